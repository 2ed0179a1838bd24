"""The cross-proxy between HTTP and CoAP (RFC 8075; RFC 7252 section 10)."""
