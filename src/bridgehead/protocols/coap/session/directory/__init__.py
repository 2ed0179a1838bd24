"""A resource directory: registrations and look-ups (RFC 9176)."""
