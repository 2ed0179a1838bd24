"""One link of a client: what it may send, what is under way, and what has come in (2.6)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import (
    RCV_FIRST,
    RCV_SECOND,
    RECEIVER,
    SENDER,
    SND_MIXED,
    SND_SETTLED,
    SND_UNSETTLED,
    UNSETTLED_STATE,
    Error,
)
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.codec.v1.hot import NO_STATE, TransferEncoder
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Symbol

_WHOLE: Final = 1 << 32
_HALF: Final = 1 << 31
# A delivery's first frame without its payload: a generous bound.
_FRAME_OVERHEAD: Final = 128


def ahead(later: int, earlier: int) -> int:
    """How far a serial number is ahead of another (RFC 1982): negative when it is behind."""
    return (later - earlier + _HALF) % _WHOLE - _HALF


class Delivery:
    """A message that came in, in one piece. `octets` are its sections; `settled` when no answer is expected."""

    def __init__(self, link: Link, delivery_id: int, tag: bytes, octets: bytes, settled: bool) -> None:
        self.link: Final = link
        self.delivery_id: Final = delivery_id
        self.tag: Final = tag
        self.octets: Final = octets
        self.settled: Final = settled


class Link:
    """`qos` 0 is at most once (pre-settled), 1 at least once, 2 exactly once (both ends settle)."""

    def __init__(
        self, name: str, handle: int, role: bool, address: str, qos: int, window: int = 0, total: int = 0
    ) -> None:
        self.name: Final = name
        self.handle: Final = handle
        self.role: Final = role
        self.address: Final = address
        self.qos: Final = qos
        self.window: Final = window  # a receiver's: messages that may be under way to us
        self._left = total - window if total else _WHOLE  # credit that may still be given
        self.attached = False
        self.was_attached = False
        self.detaching = False
        self.error: Error | None = None
        self.credit = 0
        self.delivery_count = 0
        self.max_message_size = 0
        self.address_there: object = address  # as the peer's attach tells it
        self._encoder: Final = TransferEncoder(0, handle)
        self._parts: list[bytes] = []
        self._octets = 0
        self._id = -1
        self._tag = b""
        self._settled = False
        self._taken = 0

    def attach(
        self,
        capabilities: list[Symbol] | None = None,
        filters: dict[object, object] | None = None,
        kept: int | None = None,
    ) -> Attach:
        """Our attach. A receiver's terminus stays for `kept` seconds when the link is detached without being closed."""
        second = RCV_SECOND if self.qos == 2 else RCV_FIRST
        if self.role == SENDER:
            mode = SND_SETTLED if self.qos == 0 else SND_UNSETTLED
            target = Target(self.address, capabilities=capabilities)
            return Attach(self.name, self.handle, SENDER, mode, second, Source(), target, initial_delivery_count=0)
        mode = SND_SETTLED if self.qos == 0 else SND_MIXED
        source = Source(self.address, filter=filters, capabilities=capabilities)
        if kept is not None:
            # 3.5.6: the time runs from the moment at which the link is detached, or its connection is lost.
            source = Source(
                self.address, UNSETTLED_STATE, "link-detach", kept, filter=filters, capabilities=capabilities
            )
        return Attach(self.name, self.handle, RECEIVER, mode, second, source, Target())

    def answered(self, attach: Attach) -> bool:
        """The peer's attach; False when it has no terminus, and so refuses (2.6.3)."""
        terminus = attach.target if self.role == SENDER else attach.source
        if terminus is None:
            return False
        if isinstance(terminus, Source | Target):
            self.address_there = terminus.address
        self.max_message_size = max(0, attach.max_message_size)
        if self.role == RECEIVER:
            self.delivery_count = max(0, attach.initial_delivery_count)
        self.attached = self.was_attached = True
        return True

    # -- sending -----------------------------------------------------------------------------------------------------

    def flow(self, flow: Flow) -> None:
        """2.6.7: the receiver says how far it lets us go."""
        if self.role == SENDER and flow.link_credit >= 0:
            known = 0 if flow.delivery_count < 0 else int(flow.delivery_count)
            self.credit = max(0, ahead(known + int(flow.link_credit), self.delivery_count))
            if flow.drain:
                self.delivery_count = (self.delivery_count + self.credit) % _WHOLE
                self.credit = 0

    def frames(self, delivery_id: int, octets: bytes, frame_size: int) -> list[bytes]:
        """The frames of one message. One credit is used up."""
        self.credit -= 1
        self.delivery_count = (self.delivery_count + 1) % _WHOLE
        settled = self.qos == 0
        room = frame_size - _FRAME_OVERHEAD
        if len(octets) <= room:
            encoder = self._encoder
            if settled:
                return [encoder.settled_frame(delivery_id, octets)]
            return [encoder.unsettled_frame(delivery_id, octets)]
        tag = delivery_id.to_bytes(4, "big")
        frames: list[bytes] = []
        for start in range(0, len(octets), room):
            part = octets[start : start + room]
            more = start + room < len(octets)
            if start == 0:
                frames.append(self._encoder.first_frame(delivery_id, tag, settled, more, part, NO_STATE))
            else:
                frames.append(self._encoder.next_frame(settled, more, part))
        return frames

    # -- receiving ---------------------------------------------------------------------------------------------------

    def take(self, transfer: Transfer, payload: bytes, limit: int) -> Delivery | None:
        """A frame of a delivery; the delivery once it is whole. Raises AmqpError."""
        if not self._parts and self._id < 0:
            if transfer.delivery_id < 0 or transfer.delivery_tag is None:
                raise AmqpError("amqp:not-allowed", "a delivery begins without its id or tag", clause="AMQP-2.7.5")
            if self.credit <= 0:
                raise AmqpError("amqp:link:transfer-limit-exceeded", "a delivery came without credit")
            self._id = int(transfer.delivery_id)
            self._tag = transfer.delivery_tag
            self._settled = False
        if transfer.settled == 1:
            self._settled = True
        if transfer.aborted:
            self._forget()
            self._used()
            return None
        self._parts.append(payload)
        self._octets += len(payload)
        if self._octets > limit:
            raise AmqpError("amqp:link:message-size-exceeded", f"a message has more than {limit} octets")
        if transfer.more:
            return None
        octets = b"".join(self._parts)
        delivery = Delivery(self, self._id, self._tag, octets, self._settled)
        self._forget()
        self._used()
        return delivery

    def _forget(self) -> None:
        self._parts.clear()
        self._octets = 0
        self._id = -1

    def _used(self) -> None:
        self.credit -= 1
        self.delivery_count = (self.delivery_count + 1) % _WHOLE

    def consumed(self) -> bool:
        """The application has taken one message: whether the credit is to be filled up now."""
        self._taken += 1
        if self._taken * 2 < self.window:
            return False
        more = min(self._taken, self._left)
        self._taken = 0
        self._left -= more if self._left < _WHOLE else 0
        self.credit += more
        return more > 0
