"""What the owner of a proxy can set."""

from __future__ import annotations

from bridgehead.wire.http import HttpLimits


class ProxySettings(HttpLimits):
    """Times are in seconds, sizes in octets."""

    def __init__(self) -> None:
        super().__init__()
        self.body_octets = 1_048_576
        self.answer_timeout = 60.0  # for the CoAP or HTTP server that is asked
        self.streams = 256  # observations as server-sent events, in all
        self.streams_per_identity = 32  # of these, of one identity
        self.events = 64  # notifications that wait for one client
        self.keep_alive = 15.0  # between two lines of a stream, so that what lies between holds it open
        self.under_way = 128  # requests to other servers, in all
        self.under_way_per_identity = 16
