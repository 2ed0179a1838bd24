"""What a listener's owner can set about EST and its HTTP."""

from __future__ import annotations


class EstConfig:
    """Times are in seconds, sizes in octets."""

    def __init__(self) -> None:
        # From the first octet of a request to its last, and between two requests of a connection.
        self.request_timeout = 10.0
        self.idle_timeout = 15.0
        # An EST request with an RSA-8192 key in base64 has 4 KiB; an OCSP request 200 octets.
        self.body_octets = 16 * 1024
        self.head_octets = 8 * 1024
        # Connections at a time, in all and from one address; requests before a connection has to be made anew.
        self.connections = 512
        self.connections_per_address = 32
        self.requests_per_connection = 100
        # Requests that wait for a signature, in all; more are told to come again.
        self.waiting = 64
