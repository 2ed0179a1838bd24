"""EST: octets, the HTTP machine, the server on real sockets, and the hub with curl and openssl."""
