"""TLS contexts and their named profiles."""
