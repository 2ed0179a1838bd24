"""CoAP: RFC 7252 and its family, on the hub."""
