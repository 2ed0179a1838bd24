"""`[proxy]`: the cross-proxy between HTTP and CoAP. Whom it reaches for whom says the policy, not this table."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Proxy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    trust: Annotated[
        str,
        Meta(description="PEM file of authorities of other servers; empty: the system's, and the hub's own for CoAP"),
    ] = ""
    body_size: Annotated[int, Meta(ge=1024, le=268_435_456, description="octets of the largest body, each way")] = (
        1048576
    )
    answer_timeout: Annotated[float, Meta(gt=0, le=3600, description="seconds for another server's answer")] = 60.0
    streams: Annotated[int, Meta(ge=0, le=100_000, description="observations that are open as server-sent events")] = (
        256
    )
    streams_per_identity: Annotated[int, Meta(ge=0, le=100_000, description="of these, of one identity")] = 32
    requests: Annotated[int, Meta(ge=1, le=100_000, description="requests to other servers under way")] = 128
    requests_per_identity: Annotated[int, Meta(ge=1, le=100_000, description="of these, of one identity")] = 16
