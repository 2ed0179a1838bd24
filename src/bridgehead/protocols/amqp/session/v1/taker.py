"""The receiving end of a link: what a sender of the peer sends, put together from its transfers, under our credit."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import STORE_UNAVAILABLE, Refusal
from bridgehead.protocols.amqp.codec.v1.composites import (
    ABSENT,
    RCV_FIRST,
    RCV_SECOND,
    SND_SETTLED,
    SND_UNSETTLED,
    DeliveryState,
    Outcome,
)
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    MESSAGE_SIZE_EXCEEDED,
    NOT_ALLOWED,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    STOLEN,
    TRANSFER_LIMIT_EXCEEDED,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected, TransactionalState
from bridgehead.protocols.amqp.codec.v1.termini import Source as SourceValue
from bridgehead.protocols.amqp.session.v1.attaching import bare
from bridgehead.protocols.amqp.session.v1.contract import NO_ID, IncomingDelivery, IncomingLink, Target
from bridgehead.protocols.amqp.session.v1.faults import LinkFault, rejected_for
from bridgehead.protocols.amqp.session.v1.ports import SessionPort
from bridgehead.protocols.amqp.session.v1.serial import MASK, distance
from bridgehead.protocols.amqp.session.v1.waiting import Waiting
from bridgehead.protocols.amqp.session.v1.wiring import Wiring
from bridgehead.wire.errors import PeerError

_REJECTED: Final = "amqp:rejected:list"
NOT_KEPT: Final = Refusal(STORE_UNAVAILABLE, "the hub cannot keep the message: its store is full")


class _HeldRange(Waiting):
    """Messages one after the other that are accepted when the batch lasts."""

    def __init__(self, taker: Taker, first: int) -> None:
        self.taker: Final = taker
        self.first: Final = first
        self.last = first
        self.size = 1

    def granted(self) -> None:
        self.taker.accept_range(self.first, self.last, self.size)

    def refused(self) -> bool:
        self.taker.reject_range(self.first, self.last, self.size)
        return True


class _HeldAnswer(Waiting):
    def __init__(
        self, taker: Taker, delivery: IncomingDelivery, granted: DeliveryState, refused: DeliveryState
    ) -> None:
        self._taker: Final = taker
        self._delivery: Final = delivery
        self._granted: Final = granted
        self._refused: Final = refused

    def granted(self) -> None:
        self._taker.answer_held(self._delivery, self._granted)

    def refused(self) -> bool:
        self._taker.answer_held(self._delivery, self._refused)
        return True


class _HeldAttach(Waiting):
    def __init__(self, taker: Taker) -> None:
        self._taker: Final = taker

    def granted(self) -> None:
        self._taker.complete()

    def refused(self) -> bool:
        self._taker.not_kept()
        return True


class Taker(IncomingLink):
    """`credit` is what the peer may still send; `delivery_count` follows its own (2.6.7)."""

    def __init__(self, wiring: Wiring, session: SessionPort, attach: Attach, handle: int) -> None:
        super().__init__(wiring.peer, attach)
        self.handle: Final = handle
        self.attach: Attach = attach
        self.node: Target | None = None
        self.credit = 0
        self.delivery_count: int = attach.initial_delivery_count
        self.gone = False
        self.looked_at = False
        self._wiring: Final = wiring
        self._session: Final = session
        source = attach.source
        # A source that names its outcomes and not this one cannot be told that a message is rejected.
        self._rejects: Final = (
            not isinstance(source, SourceValue) or not source.outcomes or _REJECTED in source.outcomes
        )
        self._quick = False
        self._incomplete = False  # our unsettled map had no room for all of it (2.7.3)
        # A message that has not arrived whole: its first transfer and its parts.
        self._first: Transfer | None = None
        self._parts = bytearray()  # joined as they come: a million parts of one octet are a million octets
        self._unsettled: dict[bytes, IncomingDelivery] = {}  # by tag: not settled by the sender yet

    # Attaching. -------------------------------------------------------------------------------------

    def begin(self, node: Target) -> None:
        self.node = node
        self._quick = node.is_quick and self.rcv_settle_mode == RCV_FIRST
        if node.ticket > 0:
            self._wiring.waitings.add(node.ticket, _HeldAttach(self))
        else:
            self.complete()

    def not_kept(self) -> None:
        node = self.node
        if self.gone or node is None:
            return
        self._session.refuse_taker(self)
        node.closed()

    def complete(self) -> None:
        node = self.node
        if self.gone or node is None:
            return
        ours = node.unsettled()
        self._incomplete = self._session.answer_taker(self, ours)
        self.attached = True
        theirs = self.attach.unsettled
        for tag, state in ours.items():
            delivery = IncomingDelivery(NO_ID, tag, 0, b"", False, True)
            delivery.known = True
            delivery.outcome = state
            if self.attach.incomplete_unsettled or (theirs is not None and tag in theirs):
                self._unsettled[tag] = delivery
            else:
                node.disposed(delivery, state, True)  # 2.6.13: the sender has settled what it does not know
        self.attach = bare(self.attach)
        self.target = None
        self.properties = None
        self._session.look_at(self)

    # Credit. ----------------------------------------------------------------------------------------

    def take_flow(self, flow: Flow) -> None:
        """The sender's own state: it may have used up credit without sending (drain)."""
        if flow.delivery_count != ABSENT:
            advance = distance(flow.delivery_count, self.delivery_count)
            if advance > 0:
                self.delivery_count = flow.delivery_count
                self.credit = max(self.credit - advance, 0)
                self._session.look_at(self)
        if flow.echo:
            self._session.write_link_flow(self.handle, self.delivery_count, self.credit, False)

    def top_up(self) -> bool:
        """Grant credit again when half of it is used. False when it must wait: for the store, or for a sender that
        does not settle."""
        offered = self.offered
        if not self.attached or 2 * self.credit > offered:
            return True
        if self._wiring.is_congested():
            return False
        granted = min(offered, self.peer.config.unsettled - len(self._unsettled))
        if granted > self.credit:
            self.credit = granted
            self._session.write_link_flow(self.handle, self.delivery_count, granted, False)
        return granted == offered

    # Transfers. -------------------------------------------------------------------------------------

    def take(self, transfer: Transfer, payload: bytes) -> None:
        """One transfer's frame. Raises LinkFault."""
        if (
            self._quick
            and self._first is None
            and not transfer.more
            and transfer.state is None
            and transfer.rcv_settle_mode <= RCV_FIRST
            and not transfer.resume
            and not transfer.aborted
        ):
            self._count(transfer)
            self._take_whole(transfer, payload)
            return
        first = self._first
        if first is None:
            self._count(transfer)
            if transfer.aborted:
                return
            if transfer.more:
                self._first = transfer
                if isinstance(transfer.state, TransactionalState):
                    self.posting_in = transfer.state.txn_id
                self._collect(payload)
                return
            self._complete(transfer, transfer, payload)
            return
        if transfer.delivery_id != ABSENT and transfer.delivery_id != first.delivery_id:
            raise LinkFault(INVALID_FIELD, "another delivery-id within one delivery", clause="AMQP-2.7.5")
        if transfer.delivery_tag is not None and transfer.delivery_tag != first.delivery_tag:
            raise LinkFault(INVALID_FIELD, "another delivery-tag within one delivery", clause="AMQP-2.7.5")
        if transfer.aborted:
            self._forget_parts()  # 2.6.14: as if it had not been sent
            return
        self._collect(payload)
        if transfer.more:
            return
        parts = bytes(self._parts)
        self._forget_parts()
        self._complete(first, transfer, parts)

    def _count(self, transfer: Transfer) -> None:
        """The first transfer of a delivery."""
        if self.credit <= 0:
            raise LinkFault(TRANSFER_LIMIT_EXCEEDED, "a transfer came without credit for it", clause="AMQP-2.6.7")
        if transfer.delivery_id == ABSENT or transfer.delivery_tag is None:
            raise LinkFault(
                INVALID_FIELD,
                "the first transfer of a delivery has a delivery-id and a delivery-tag",
                clause="AMQP-2.7.5",
            )
        if self._incomplete and not transfer.resume:
            raise LinkFault(NOT_ALLOWED, "a new delivery after an incomplete unsettled map", clause="AMQP-2.7.3")
        self.credit -= 1
        self.delivery_count = (self.delivery_count + 1) & MASK
        if 2 * self.credit <= self.offered and not self.looked_at:
            self._session.look_at(self)

    def _collect(self, payload: bytes) -> None:
        octets = len(payload)
        wiring = self._wiring
        wiring.partial_octets += octets
        self._parts += payload
        if len(self._parts) > self.max_message_size:
            self._forget_parts()
            raise self._too_large()
        if wiring.partial_octets > 2 * self.peer.config.message_octets:
            self._forget_parts()
            raise LinkFault(RESOURCE_LIMIT_EXCEEDED, "too many messages of this connection have begun and not ended")

    def _forget_parts(self) -> None:
        self._wiring.partial_octets -= len(self._parts)
        self._parts = bytearray()
        self._first = None
        self.posting_in = None

    def _too_large(self) -> LinkFault:
        return LinkFault(
            MESSAGE_SIZE_EXCEEDED, f"a message has more than {self.max_message_size} octets", clause="AMQP-2.7.3"
        )

    def _is_settled(self, settled: int, resume: bool) -> bool:
        """2.7.5: whether the delivery came settled, which the link's mode has a word in."""
        if self.snd_settle_mode == SND_SETTLED:
            return True
        if settled == 1 and self.snd_settle_mode == SND_UNSETTLED and not resume:
            raise LinkFault(INVALID_FIELD, "a settled transfer on a link that is unsettled", clause="AMQP-2.7.5")
        return settled == 1

    def _take_whole(self, transfer: Transfer, payload: bytes) -> None:
        """A whole message outside of any transaction: nearly all of them are."""
        if len(payload) > self.max_message_size:
            raise self._too_large()
        if transfer.message_format > 0:
            self._complete(transfer, transfer, payload)
            return
        settled = self._is_settled(transfer.settled, False)
        node = self.node
        if node is None:
            return
        try:
            ticket = node.take(payload, settled)
        except (Refusal, PeerError) as fault:
            self._refuse(int(transfer.delivery_id), settled, fault)
            return
        if settled:
            return
        number = int(transfer.delivery_id)
        if ticket <= 0:
            self._session.settle_received(number, ACCEPTED, True)
            return
        waitings = self._wiring.waitings
        waitings.count += 1
        held = waitings.last(ticket)
        if isinstance(held, _HeldRange) and held.taker is self and (held.last + 1) & MASK == number:
            held.last = number
            held.size += 1
        else:
            waitings.add(ticket, _HeldRange(self, number))

    def _refuse(self, number: int, settled: bool, fault: Exception) -> None:
        """Nothing is told of what came settled: the door has reported it."""
        if isinstance(fault, LinkFault):
            raise fault
        if settled:
            return
        rejected = rejected_for(fault)
        if self._rejects:
            self._session.settle_received(number, rejected, True)
            return
        error = rejected.error
        assert error is not None
        self.detach(error.condition, error.description or "")

    def _complete(self, first: Transfer, last: Transfer, payload: bytes) -> None:
        """A message has arrived whole, whatever it is."""
        if len(payload) > self.max_message_size:
            raise self._too_large()
        tag = first.delivery_tag
        assert tag is not None
        settled = self._is_settled(max(first.settled, last.settled), first.resume)
        mode = max(first.rcv_settle_mode, last.rcv_settle_mode)
        if mode == RCV_SECOND and self.rcv_settle_mode == RCV_FIRST:
            raise LinkFault(INVALID_FIELD, "rcv-settle-mode second on a link whose mode is first", clause="AMQP-2.7.5")
        second = self.rcv_settle_mode == RCV_SECOND and mode != RCV_FIRST
        number = int(first.delivery_id)
        known = self._unsettled.get(tag)
        if known is not None and not first.resume:
            raise LinkFault(NOT_ALLOWED, "a delivery-tag that is still in use", clause="AMQP-2.6.12")
        if known is None and first.resume:
            return  # 2.7.5: one that is not in our unsettled map is ignored
        node = self.node
        if node is None:
            return
        delivery = IncomingDelivery(number, tag, max(int(first.message_format), 0), payload, settled, second)
        delivery.state = first.state if first.state is not None else last.state
        if known is not None:
            delivery.known = True
            delivery.outcome = known.outcome
            if settled:
                del self._unsettled[tag]
                node.disposed(delivery, delivery.state, True)
                return
        if first.resume and isinstance(delivery.state, Outcome):
            # 2.6.13: the sender knows an outcome; there is nothing to be delivered any more.
            self._session.settle_received(number, delivery.outcome or delivery.state, True)
            self._unsettled.pop(tag, None)
            node.disposed(delivery, delivery.state, True)
            return
        if not settled:
            self._unsettled[tag] = delivery
            self._session.incoming[number] = delivery
            delivery.link = self
        self._hand_over(node, delivery)

    def _hand_over(self, node: Target, delivery: IncomingDelivery) -> None:
        try:
            if delivery.message_format != 0:
                raise LinkFault(NOT_IMPLEMENTED, f"message-format {delivery.message_format} is none that we know")
            if isinstance(delivery.state, TransactionalState):
                self._wiring.transactions.post(self, node, delivery, delivery.state)
            else:
                node.transfer(delivery)
        except (Refusal, PeerError) as fault:
            self._refuse_delivery(delivery, fault)
        # It is kept until the sender settles: who never does is not kept the messages of.
        delivery.payload = b""
        delivery.state = None

    def _refuse_delivery(self, delivery: IncomingDelivery, fault: Exception) -> None:
        if isinstance(fault, LinkFault):
            raise fault
        if delivery.settled:
            return
        rejected = rejected_for(fault)
        if self._rejects:
            self.answer(delivery, rejected, not delivery.second)
            return
        error = rejected.error
        assert error is not None
        self.detach(error.condition, error.description or "")

    # Answers. ---------------------------------------------------------------------------------------

    def answer(self, delivery: IncomingDelivery, state: DeliveryState, settled: bool) -> None:
        if delivery.settled or self.gone:
            return
        delivery.outcome = state
        if settled:
            self._forget(delivery)
        elif not self.lasts and isinstance(state, Outcome):
            self._session.settle_soon(delivery)
        self._session.settle_received(delivery.delivery_id, state, settled)

    def settle_unasked(self, delivery: IncomingDelivery) -> None:
        """The sender knows the outcome and has not settled. Some never do, and wait for us, though the mode is second
        (2.8.3); where the terminus does not last, nothing depends on who is first."""
        state = delivery.outcome
        if self.gone or state is None or self._unsettled.get(delivery.tag) is not delivery:
            return
        self.dispose(delivery, state, True)
        self._session.settle_received(delivery.delivery_id, state, True)

    def hold(self, delivery: IncomingDelivery, ticket: int, granted: DeliveryState, refused: DeliveryState) -> None:
        if ticket <= 0:
            self.answer(delivery, granted, not delivery.second)
        else:
            self._wiring.waitings.count += 1
            self._wiring.waitings.add(ticket, _HeldAnswer(self, delivery, granted, refused))

    def answer_held(self, delivery: IncomingDelivery, state: DeliveryState) -> None:
        self._wiring.waitings.count -= 1
        self.answer(delivery, state, not delivery.second)

    def accept_range(self, first: int, last: int, size: int) -> None:
        self._wiring.waitings.count -= size
        if self.gone:
            return
        number = first
        while number != last:
            self._session.settle_received(number, ACCEPTED, True)
            number = (number + 1) & MASK
        self._session.settle_received(last, ACCEPTED, True)

    def reject_range(self, first: int, last: int, size: int) -> None:
        self._wiring.waitings.count -= size
        if self.gone:
            return
        rejected: Rejected = rejected_for(NOT_KEPT)
        for i in range(size):
            self._session.settle_received((first + i) & MASK, rejected, True)

    def dispose(self, delivery: IncomingDelivery, state: DeliveryState | None, settled: bool) -> None:
        """The sender's disposition of one that it sent unsettled."""
        node = self.node
        if node is None:
            return
        if settled:
            self._forget(delivery)
        node.disposed(delivery, state, settled)

    def _forget(self, delivery: IncomingDelivery) -> None:
        self._session.incoming.pop(delivery.delivery_id, None)
        if self._unsettled.get(delivery.tag) is delivery:
            del self._unsettled[delivery.tag]
            if not self.looked_at:
                self._session.look_at(self)

    # Ending. ----------------------------------------------------------------------------------------

    def detach(self, condition: str, because: str) -> None:
        if self.gone:
            return
        self._session.detach_taker(self, condition, because)

    def steal(self) -> None:
        if not self.gone:
            self._session.detach_taker(self, STOLEN, "the container attached a link of this name again", True)

    def end(self, closed: bool) -> None:
        """The link is gone from its session."""
        if self.gone:
            return
        self.gone = True
        self.attached = False
        self._forget_parts()
        for delivery in self._unsettled.values():
            self._session.incoming.pop(delivery.delivery_id, None)
        self._unsettled = {}
        node = self.node
        self.node = None
        if node is None:
            return
        if closed:
            node.closed()
        else:
            node.suspended()
