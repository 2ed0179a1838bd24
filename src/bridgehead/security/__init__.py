"""Identity, credentials and the certificate authority."""
