"""What a listener's owner can set about EST and its HTTP."""

from __future__ import annotations

from bridgehead.wire.http import HttpLimits


class EstConfig(HttpLimits):
    """An EST request with an RSA-8192 key in base64 has 4 KiB, an OCSP request 200 octets: HttpLimits' sizes do."""

    def __init__(self) -> None:
        super().__init__()
        # Requests that wait for a signature, in all; more are told to come again.
        self.waiting = 64
