"""`[amqp]`: times and ceilings of AMQP 1.0 and 0-9-1; docs/configuration.md lists the same keys."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

MIB: Final = 1024 * 1024
_LARGEST: Final = 2**53 - 1

Count = Annotated[int, Meta(ge=1, le=_LARGEST)]


class Amqp(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    idle_timeout: Annotated[
        float, Meta(ge=0, le=86_400, description="1.0: seconds after which a silent peer is gone (Open); 0: never")
    ] = 60.0
    heartbeat: Annotated[
        int, Meta(ge=0, le=65_535, description="0-9-1: seconds between heartbeats (Tune); 0: none are asked for")
    ] = 60
    max_frame_size: Annotated[
        int, Meta(ge=512, le=16 * MIB, description="1.0: octets of the largest frame that is taken (Open)")
    ] = 65_536
    frame_max: Annotated[
        int, Meta(ge=4096, le=16 * MIB, description="0-9-1: octets of the largest frame, each way (Tune)")
    ] = 131_072
    sasl_frame_size: Annotated[
        int, Meta(ge=512, le=MIB, description="octets of a frame before the identity is proven")
    ] = 8192
    sessions: Annotated[int, Meta(ge=1, le=65_536, description="1.0: sessions of one connection (Open)")] = 256
    channels: Annotated[int, Meta(ge=1, le=65_535, description="0-9-1: channels of one connection (Tune)")] = 2047
    handles: Annotated[int, Meta(ge=1, le=2**32, description="1.0: links of one session (Begin)")] = 256
    links: Annotated[Count, Meta(description="1.0: links of one connection")] = 1000
    consumers: Annotated[Count, Meta(description="0-9-1: consumers of one connection")] = 1000
    message_size: Annotated[
        int, Meta(ge=1024, le=1024 * MIB, description="octets of the largest message (Attach; 0-9-1: of a body)")
    ] = 32 * MIB
    nesting: Annotated[
        int, Meta(ge=4, le=64, description="lists, maps and tables inside of one another, in what a peer sends")
    ] = 32
    credit: Annotated[
        int, Meta(ge=1, le=1_000_000, description="1.0: messages that a sender may send before it gets new credit")
    ] = 1000
    window: Annotated[
        int, Meta(ge=1, le=1_000_000, description="1.0: transfers that a session may send before it gets a new window")
    ] = 2048
    unsettled: Annotated[
        Count, Meta(description="1.0: deliveries of one link that wait for their outcome, each way")
    ] = 10_000
    prefetch: Annotated[
        int, Meta(ge=1, le=1_000_000, description="0-9-1: deliveries of one channel that wait to be acknowledged")
    ] = 10_000
    waiting_messages: Annotated[
        Count, Meta(description="1.0: messages sent at most once that wait for credit; above it they are dropped")
    ] = 1000
    waiting_bytes: Annotated[Count, Meta(description="octets of these")] = MIB
    selector_size: Annotated[
        int, Meta(ge=64, le=MIB, description="octets of a receiver's selector (docs/selectors.md)")
    ] = 8192
    dynamic_nodes: Annotated[Count, Meta(description="1.0: dynamic nodes of one identity")] = 100
    exchanges_per_identity: Annotated[Count, Meta(description="0-9-1: exchanges that one identity declared")] = 1000
    bindings_per_identity: Annotated[Count, Meta(description="0-9-1: bindings that one identity made")] = 10_000
    transactions: Annotated[Count, Meta(description="open transactions of one connection")] = 16
    transaction_messages: Annotated[Count, Meta(description="messages of one transaction")] = 1000
    transaction_bytes: Annotated[Count, Meta(description="octets of the messages of one transaction")] = 32 * MIB
    create_queues: Annotated[
        bool,
        Meta(description="1.0: attaching to `/queues/NAME` that is not there declares it, where the policy permits"),
    ] = False
