"""DTLS 1.2 at the rim: GnuTLS makes the handshake, wire/dtls the records."""
