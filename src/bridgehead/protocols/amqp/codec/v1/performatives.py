"""The performatives of AMQP 1.0 (2.7) as values. No field changes after one was made."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.protocols.amqp.codec.v1.composites import (
    ABSENT,
    ATTACH,
    BEGIN,
    CLOSE,
    DETACH,
    DISPOSITION,
    END,
    FLOW,
    MAX_UINT,
    OPEN,
    RCV_FIRST,
    SND_MIXED,
    TRANSFER,
    DeliveryState,
    Error,
    Performative,
)
from bridgehead.protocols.amqp.codec.v1.types import Symbol


class Open(Performative):
    """2.7.1. `idle_time_out` is in milliseconds."""

    def __init__(
        self,
        container_id: str,
        hostname: str | None = None,
        max_frame_size: int = MAX_UINT,
        channel_max: int = 65_535,
        idle_time_out: int = ABSENT,
        outgoing_locales: list[Symbol] | None = None,
        incoming_locales: list[Symbol] | None = None,
        offered_capabilities: list[Symbol] | None = None,
        desired_capabilities: list[Symbol] | None = None,
        properties: dict[object, object] | None = None,
    ) -> None:
        super().__init__(OPEN)
        self.container_id: Final = container_id
        self.hostname: Final = hostname
        self.max_frame_size: Final = max_frame_size
        self.channel_max: Final = channel_max
        self.idle_time_out: Final = idle_time_out
        self.outgoing_locales: Final[list[Symbol]] = outgoing_locales or []
        self.incoming_locales: Final[list[Symbol]] = incoming_locales or []
        self.offered_capabilities: Final[list[Symbol]] = offered_capabilities or []
        self.desired_capabilities: Final[list[Symbol]] = desired_capabilities or []
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {
            "container_id": self.container_id,
            "hostname": self.hostname,
            "max_frame_size": self.max_frame_size,
            "channel_max": self.channel_max,
            "idle_time_out": self.idle_time_out,
            "outgoing_locales": self.outgoing_locales,
            "incoming_locales": self.incoming_locales,
            "offered_capabilities": self.offered_capabilities,
            "desired_capabilities": self.desired_capabilities,
            "properties": self.properties,
        }


class Begin(Performative):
    """2.7.2"""

    def __init__(
        self,
        remote_channel: int,
        next_outgoing_id: int,
        incoming_window: int,
        outgoing_window: int,
        handle_max: int = MAX_UINT,
        offered_capabilities: list[Symbol] | None = None,
        desired_capabilities: list[Symbol] | None = None,
        properties: dict[object, object] | None = None,
    ) -> None:
        super().__init__(BEGIN)
        self.remote_channel: Final = remote_channel
        self.next_outgoing_id: Final = next_outgoing_id
        self.incoming_window: Final = incoming_window
        self.outgoing_window: Final = outgoing_window
        self.handle_max: Final = handle_max
        self.offered_capabilities: Final[list[Symbol]] = offered_capabilities or []
        self.desired_capabilities: Final[list[Symbol]] = desired_capabilities or []
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {
            "remote_channel": self.remote_channel,
            "next_outgoing_id": self.next_outgoing_id,
            "incoming_window": self.incoming_window,
            "outgoing_window": self.outgoing_window,
            "handle_max": self.handle_max,
            "offered_capabilities": self.offered_capabilities,
            "desired_capabilities": self.desired_capabilities,
            "properties": self.properties,
        }


class Attach(Performative):
    """2.7.3. `source` and `target` are Source, Target, Coordinator, None, or a Described of no known kind.
    `unsettled` maps delivery-tags to the delivery state that this end has, None for none."""

    def __init__(
        self,
        name: str,
        handle: int,
        role: bool,
        snd_settle_mode: int = SND_MIXED,
        rcv_settle_mode: int = RCV_FIRST,
        source: object = None,
        target: object = None,
        unsettled: dict[bytes, DeliveryState | None] | None = None,
        incomplete_unsettled: bool = False,
        initial_delivery_count: int = ABSENT,
        max_message_size: int = ABSENT,
        offered_capabilities: list[Symbol] | None = None,
        desired_capabilities: list[Symbol] | None = None,
        properties: dict[object, object] | None = None,
    ) -> None:
        super().__init__(ATTACH)
        self.name: Final = name
        self.handle: Final = handle
        self.role: Final = role
        self.snd_settle_mode: Final = snd_settle_mode
        self.rcv_settle_mode: Final = rcv_settle_mode
        self.source: Final = source
        self.target: Final = target
        self.unsettled: Final = unsettled
        self.incomplete_unsettled: Final = incomplete_unsettled
        self.initial_delivery_count: Final = initial_delivery_count
        self.max_message_size: Final = max_message_size
        self.offered_capabilities: Final[list[Symbol]] = offered_capabilities or []
        self.desired_capabilities: Final[list[Symbol]] = desired_capabilities or []
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {
            "name": self.name,
            "handle": self.handle,
            "role": self.role,
            "snd_settle_mode": self.snd_settle_mode,
            "rcv_settle_mode": self.rcv_settle_mode,
            "source": self.source,
            "target": self.target,
            "unsettled": self.unsettled,
            "incomplete_unsettled": self.incomplete_unsettled,
            "initial_delivery_count": self.initial_delivery_count,
            "max_message_size": self.max_message_size,
            "offered_capabilities": self.offered_capabilities,
            "desired_capabilities": self.desired_capabilities,
            "properties": self.properties,
        }


class Flow(Performative):
    """2.7.4"""

    def __init__(
        self,
        next_incoming_id: i64,
        incoming_window: i64,
        next_outgoing_id: i64,
        outgoing_window: i64,
        handle: i64 = ABSENT,
        delivery_count: i64 = ABSENT,
        link_credit: i64 = ABSENT,
        available: i64 = ABSENT,
        drain: bool = False,
        echo: bool = False,
        properties: dict[object, object] | None = None,
    ) -> None:
        super().__init__(FLOW)
        self.next_incoming_id: Final = next_incoming_id
        self.incoming_window: Final = incoming_window
        self.next_outgoing_id: Final = next_outgoing_id
        self.outgoing_window: Final = outgoing_window
        self.handle: Final = handle
        self.delivery_count: Final = delivery_count
        self.link_credit: Final = link_credit
        self.available: Final = available
        self.drain: Final = drain
        self.echo: Final = echo
        self.properties: Final = properties

    def content(self) -> dict[str, object]:
        return {
            "next_incoming_id": self.next_incoming_id,
            "incoming_window": self.incoming_window,
            "next_outgoing_id": self.next_outgoing_id,
            "outgoing_window": self.outgoing_window,
            "handle": self.handle,
            "delivery_count": self.delivery_count,
            "link_credit": self.link_credit,
            "available": self.available,
            "drain": self.drain,
            "echo": self.echo,
            "properties": self.properties,
        }


class Transfer(Performative):
    """2.7.5. `rcv_settle_mode` is -1 where the link's holds. `settled` is -1 when absent, else 0 or 1: a frame of a
    delivery that goes on may leave it out."""

    def __init__(
        self,
        handle: i64,
        delivery_id: i64 = ABSENT,
        delivery_tag: bytes | None = None,
        message_format: i64 = ABSENT,
        settled: i64 = ABSENT,
        more: bool = False,
        rcv_settle_mode: i64 = ABSENT,
        state: DeliveryState | None = None,
        resume: bool = False,
        aborted: bool = False,
        batchable: bool = False,
    ) -> None:
        super().__init__(TRANSFER)
        self.handle: Final = handle
        self.delivery_id: Final = delivery_id
        self.delivery_tag: Final = delivery_tag
        self.message_format: Final = message_format
        self.settled: Final = settled
        self.more: Final = more
        self.rcv_settle_mode: Final = rcv_settle_mode
        self.state: Final = state
        self.resume: Final = resume
        self.aborted: Final = aborted
        self.batchable: Final = batchable

    def content(self) -> dict[str, object]:
        return {
            "handle": self.handle,
            "delivery_id": self.delivery_id,
            "delivery_tag": self.delivery_tag,
            "message_format": self.message_format,
            "settled": self.settled,
            "more": self.more,
            "rcv_settle_mode": self.rcv_settle_mode,
            "state": self.state,
            "resume": self.resume,
            "aborted": self.aborted,
            "batchable": self.batchable,
        }


class Disposition(Performative):
    """2.7.6. `last` is -1 when it is the same as `first`."""

    def __init__(
        self,
        role: bool,
        first: i64,
        last: i64 = ABSENT,
        settled: bool = False,
        state: DeliveryState | None = None,
        batchable: bool = False,
    ) -> None:
        super().__init__(DISPOSITION)
        self.role: Final = role
        self.first: Final = first
        self.last: Final = last
        self.settled: Final = settled
        self.state: Final = state
        self.batchable: Final = batchable

    def content(self) -> dict[str, object]:
        return {
            "role": self.role,
            "first": self.first,
            "last": self.last,
            "settled": self.settled,
            "state": self.state,
            "batchable": self.batchable,
        }


class Detach(Performative):
    """2.7.7"""

    def __init__(self, handle: int, closed: bool = False, error: Error | None = None) -> None:
        super().__init__(DETACH)
        self.handle: Final = handle
        self.closed: Final = closed
        self.error: Final = error

    def content(self) -> dict[str, object]:
        return {"handle": self.handle, "closed": self.closed, "error": self.error}


class End(Performative):
    """2.7.8"""

    def __init__(self, error: Error | None = None) -> None:
        super().__init__(END)
        self.error: Final = error

    def content(self) -> dict[str, object]:
        return {"error": self.error}


class Close(Performative):
    """2.7.9"""

    def __init__(self, error: Error | None = None) -> None:
        super().__init__(CLOSE)
        self.error: Final = error

    def content(self) -> dict[str, object]:
        return {"error": self.error}
