"""SASL mechanisms (RFC 4422) as pure machines: octets in, steps out; what they must know they ask the rim."""
