"""Publish/subscribe over topic resources: draft-ietf-core-coap-pubsub-21, experimental."""
