"""One-time passwords of RFC 2289."""
