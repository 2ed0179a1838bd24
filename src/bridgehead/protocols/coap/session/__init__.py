"""The state machines of CoAP: messages, exchanges, what the hub answers."""
