"""CoAP at the real hub: other makers' clients, every mode of security, every transport, MQTT on the other side."""
