"""`[queues]`: what queues with names may grow to (docs/queues.md)."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

MIB: Final = 1024 * 1024

Count = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class Queues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    count: Annotated[Count, Meta(description="queues")] = 10_000
    per_identity: Annotated[Count, Meta(description="of these, declared by one identity")] = 1000
    messages: Annotated[Count, Meta(description="messages of one queue, waiting and not settled")] = 1_000_000
    bytes: Annotated[Count, Meta(description="octets of the messages of one queue")] = 256 * MIB
    bytes_per_identity: Annotated[
        Count, Meta(description="octets of the messages of all queues that one identity declared")
    ] = 1024 * MIB
    all_bytes: Annotated[Count, Meta(description="octets of the messages of all queues")] = 4096 * MIB
    consumers: Annotated[Count, Meta(description="consumers of one queue")] = 1000
    feeds: Annotated[Count, Meta(description="topic filters that feed one queue")] = 100
