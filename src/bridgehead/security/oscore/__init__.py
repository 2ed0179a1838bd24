"""OSCORE's keys and sequence numbers (RFC 8613)."""
