"""The sending end of a link: what a receiver of the peer is sent, by its credit (2.6.7) and the session's window."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, SND_SETTLED, DeliveryState, Outcome
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    MESSAGE_SIZE_EXCEEDED,
    NOT_IMPLEMENTED,
    STOLEN,
    UNKNOWN_ID,
)
from bridgehead.protocols.amqp.codec.v1.hot import NO_STATE, TransferEncoder
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import Rejected, TransactionalState
from bridgehead.protocols.amqp.session.v1.attaching import bare
from bridgehead.protocols.amqp.session.v1.contract import NO_ID, OutgoingDelivery, OutgoingLink, Source
from bridgehead.protocols.amqp.session.v1.faults import LinkFault, error_of
from bridgehead.protocols.amqp.session.v1.ports import SessionPort
from bridgehead.protocols.amqp.session.v1.serial import MASK, distance
from bridgehead.protocols.amqp.session.v1.settling import state_octets
from bridgehead.protocols.amqp.session.v1.waiting import Waiting
from bridgehead.protocols.amqp.session.v1.wiring import Wiring
from bridgehead.wire.outbox import Outbox

# What a transfer's frame has beside the payload, at most: header 8, performative with a tag of 32 octets and a
# transactional state with an identifier of 32.
_BESIDE: Final = 150


class _HeldSettlement(Waiting):
    def __init__(self, sender: Sender, delivery: OutgoingDelivery) -> None:
        self._sender: Final = sender
        self._delivery: Final = delivery

    def granted(self) -> None:
        self._sender.settle(self._delivery)

    def refused(self) -> bool:
        return False  # what it stands for has happened: it is tried again until it lasts


class _HeldAttach(Waiting):
    def __init__(self, sender: Sender) -> None:
        self._sender: Final = sender

    def granted(self) -> None:
        self._sender.complete()

    def refused(self) -> bool:
        self._sender.not_kept()
        return True


class Sender(OutgoingLink):
    """`handle` is ours and the peer's alike. `delivery_count` is the standard's: deliveries begun, from 0."""

    def __init__(self, wiring: Wiring, session: SessionPort, attach: Attach, handle: int) -> None:
        super().__init__(wiring.peer, attach)
        self.handle: Final = handle
        self.attach: Attach = attach
        self.node: Source | None = None
        self.delivery_count = 0
        self.unsettled_count = 0
        self.gone = False
        self._wiring: Final = wiring
        self._session: Final = session
        self._outbox: Final[Outbox] = wiring.outbox
        self._encoder: Final = TransferEncoder(session.channel, handle)
        self._counters: Final = wiring.peer.broker.counters
        self._room: Final = wiring.max_frame_size - _BESIDE
        self._most_unsettled: Final[int] = wiring.peer.config.unsettled
        self._too_many = False  # unsettled ones
        self._drained = False  # that was told
        # The message under way, when it takes several frames and the window or the outbox ended before it did.
        self._rest: bytes | None = None
        self._rest_at = 0
        self._rest_settled = False
        self._rest_of: OutgoingDelivery | None = None
        self._over: deque[OutgoingDelivery] | None = None  # resumed, and over before they were sent again
        # 2.7.3: the peer's unsettled map had no room for all of it: nothing new until it is attached again.
        self._incomplete: Final[bool] = attach.incomplete_unsettled

    # Attaching. -------------------------------------------------------------------------------------

    def begin(self, node: Source) -> None:
        """The terminus is there: answer the attach, after the commit where it has to last."""
        self.node = node
        if node.ticket > 0:
            self._wiring.waitings.add(node.ticket, _HeldAttach(self))
        else:
            self.complete()

    def not_kept(self) -> None:
        """What the terminus needs could not be stored."""
        node = self.node
        if self.gone or node is None:
            return
        self._session.refuse_sender(self)
        node.closed()

    def complete(self) -> None:
        node = self.node
        if self.gone or node is None:
            return
        ours = node.unsettled()
        theirs = self.attach.unsettled
        states: dict[bytes, DeliveryState | None] = {delivery.tag: delivery.state for delivery in ours}
        self._session.answer_sender(self, states)
        self.attached = True
        for delivery in ours:
            delivery.link = self
            if theirs is not None and delivery.tag in theirs:
                state = theirs[delivery.tag]
                delivery.known = True
                if isinstance(state, Outcome):
                    delivery.state = state
                    node.outcome(delivery, state, False)
                    continue
            elif self.attach.incomplete_unsettled:
                continue  # 2.7.3: the peer may have it, and had no room to say so
            node.again(delivery)
        self.attach = bare(self.attach)
        self.source = None
        self.properties = None
        self.run()

    # What the peer asks for. ------------------------------------------------------------------------

    def take_flow(self, flow: Flow) -> None:
        if flow.link_credit != ABSENT:
            # 2.6.7: link-credit(snd) := delivery-count(rcv) + link-credit(rcv) - delivery-count(snd).
            count = flow.delivery_count if flow.delivery_count != ABSENT else 0
            self.credit = max(distance((count + flow.link_credit) & MASK, self.delivery_count), 0)
        self.drain = flow.drain
        if flow.properties is not None:
            self._acquire_in(flow.properties)
        if not self.attached:
            return
        self._drained = False
        self.run()
        if flow.echo or (self.drain and self.credit == 0 and not self._drained):
            self._session.write_link_flow(self.handle, self.delivery_count, self.credit, self.drain)

    def _acquire_in(self, properties: dict[object, object]) -> None:
        """4.4.3: what the link is sent from now on is acquired in this transaction."""
        if "txn-id" not in properties:
            return
        txn_id = properties["txn-id"]
        if txn_id is None:
            self.acquires_in = None
            return
        if not isinstance(txn_id, bytes):
            raise LinkFault(INVALID_FIELD, "a txn-id is binary", clause="AMQP-4.5.4")
        if self.snd_settle_mode == SND_SETTLED:
            raise LinkFault(NOT_IMPLEMENTED, "only an unsettled delivery can be acquired in a transaction")
        transaction = self._wiring.transactions.find(txn_id)
        if transaction is None:
            raise LinkFault(UNKNOWN_ID, "no such transaction is open", clause="AMQP-4.5.8")
        self.acquires_in = txn_id
        transaction.acquirers[self] = None

    def run(self) -> None:
        """Credit, window or room may have come."""
        node = self.node
        if not self.attached or node is None:
            return
        if self._rest is not None and not self._go_on():
            return
        if self._over and not self._end_over():
            return
        if self.credit <= 0:
            return
        if self.drain:
            if node.drain():
                self.drained()
        else:
            node.more()

    def drained(self) -> None:
        if not self.drain or self.credit <= 0 or self._rest is not None or not self.attached:
            return
        self.delivery_count = (self.delivery_count + self.credit) & MASK
        self.credit = 0
        self._drained = True
        self._session.write_link_flow(self.handle, self.delivery_count, 0, True)

    def may_send(self) -> bool:
        return not self._incomplete and self._has_room()

    def may_resume(self, delivery: OutgoingDelivery) -> bool:
        return (delivery.known or not self._incomplete) and self._has_room()

    def _has_room(self) -> bool:
        if self.credit <= 0 or not self.attached or self._rest is not None or self._session.window <= 0:
            return False
        if self.unsettled_count >= self._most_unsettled:
            self._too_many = True
            return False
        if self._outbox.is_full():
            self._wiring.starved = True
            return False
        return True

    # Sending. ---------------------------------------------------------------------------------------

    def send_settled(self, payload: bytes) -> None:
        session = self._session
        if 0 < self.max_message_size < len(payload):
            self._counters.dropped_too_large += 1
            return
        number = session.next_delivery_id
        session.next_delivery_id = (number + 1) & MASK
        self.delivery_count = (self.delivery_count + 1) & MASK
        self.credit -= 1
        self._counters.messages_sent += 1
        if len(payload) <= self._room:
            session.window -= 1
            session.next_outgoing_id = (session.next_outgoing_id + 1) & MASK
            self._outbox.write(self._encoder.settled_frame(number, payload))
        else:
            self._begin(number, number.to_bytes(4, "big"), True, payload, NO_STATE, False)

    def send(self, delivery: OutgoingDelivery, payload: bytes) -> None:
        delivery.link = self
        if 0 < self.max_message_size < len(payload):
            # 2.7.3: a larger one is never sent. For its source it is as if this receiver had refused it.
            self._counters.dropped_too_large += 1
            because = f"the receiver takes at most {self.max_message_size} octets"
            delivery.settled = True
            self.outcome(delivery, Rejected(error_of(MESSAGE_SIZE_EXCEEDED, because)), True)
            return
        session = self._session
        number = session.next_delivery_id
        session.next_delivery_id = (number + 1) & MASK
        self.delivery_count = (self.delivery_count + 1) & MASK
        self.credit -= 1
        self._counters.messages_sent += 1
        delivery.delivery_id = number
        session.unsettled[number] = delivery
        self.unsettled_count += 1
        state = NO_STATE
        if self.acquires_in is not None:
            state = self._acquire(delivery, self.acquires_in)
        if len(payload) <= self._room and not delivery.known:
            session.window -= 1
            session.next_outgoing_id = (session.next_outgoing_id + 1) & MASK
            self._outbox.write(self._encoder.first_frame(number, delivery.tag, False, False, payload, state))
        else:
            self._rest_of = delivery
            self._begin(number, delivery.tag, False, payload, state, delivery.known)

    def _acquire(self, delivery: OutgoingDelivery, txn_id: bytes) -> bytes:
        transaction = self._wiring.transactions.find(txn_id)
        if transaction is None:
            self.acquires_in = None
            return NO_STATE
        transaction.acquire(delivery)
        return state_octets(TransactionalState(txn_id, None))

    def later(self, yielding: bool = False) -> None:
        if self.gone:
            return
        if yielding:
            self._wiring.starved = True
            self._outbox.touch()
        else:
            self._session.run_later(self)

    def outcome(self, delivery: OutgoingDelivery, state: DeliveryState | None, settled: bool) -> None:
        node = self.node
        if node is not None:
            node.outcome(delivery, state, settled)

    def _begin(self, number: int, tag: bytes, settled: bool, payload: bytes, state: bytes, known: bool) -> None:
        """The first frame of a message; it may be the only one."""
        session = self._session
        part = payload[: self._room]
        more = len(part) < len(payload)
        session.window -= 1
        session.next_outgoing_id = (session.next_outgoing_id + 1) & MASK
        if known:
            # 2.6.13: resumed from the beginning, so that our state is what the receiver has to go by.
            made = Transfer(self.handle, number, tag, 0, 1 if settled else 0, more, resume=True)
            self._outbox.write(frame(session.channel, encode(made) + part))
        else:
            self._outbox.write(self._encoder.first_frame(number, tag, settled, more, part, state))
        if more:
            self._rest = payload
            self._rest_at = len(part)
            self._rest_settled = settled
            self._go_on()
        else:
            self._rest_of = None

    def _go_on(self) -> bool:
        """Send the rest of the message under way, as far as it goes; whether all of it went."""
        session = self._session
        payload = self._rest
        assert payload is not None
        at = self._rest_at
        size = len(payload)
        while at < size:
            if session.window <= 0:
                break
            if self._outbox.is_full():
                self._wiring.starved = True
                break
            part = payload[at : at + self._room]
            at += len(part)
            session.window -= 1
            session.next_outgoing_id = (session.next_outgoing_id + 1) & MASK
            self._outbox.write(self._encoder.next_frame(self._rest_settled, at < size, part))
        self._rest_at = at
        if at < size:
            return False
        self._rest = None
        self._rest_of = None
        return True

    # Settling. --------------------------------------------------------------------------------------

    def settle(self, delivery: OutgoingDelivery, ticket: int = 0) -> None:
        if ticket > 0:
            self._wiring.waitings.add(ticket, _HeldSettlement(self, delivery))
            return
        number = delivery.delivery_id
        if number == NO_ID:
            if delivery.known and not self.gone:
                # 2.6.13: the receiver has the outcome and waits to hear that we know it.
                if self._over is None:
                    self._over = deque()
                self._over.append(delivery)
                self._end_over()
            return
        if self._session.unsettled.get(number) is not delivery:
            return
        if self._rest_of is delivery:
            self._abort()
        del self._session.unsettled[number]
        self.unsettled_count -= 1
        delivery.delivery_id = NO_ID
        delivery.known = False
        if not delivery.settled:
            self._session.settle_sent(number, delivery.state)
        if self._too_many:
            self._too_many = False
            self._session.run_later(self)

    def _abort(self) -> None:
        """What was settled before it was sent whole is not sent any further (2.6.14)."""
        session = self._session
        self._rest = None
        self._rest_of = None
        session.next_outgoing_id = (session.next_outgoing_id + 1) & MASK
        session.window -= 1
        self._outbox.write(self._encoder.next_frame(False, False, b"", True))

    def _end_over(self) -> bool:
        """Resume and settle in one transfer what the receiver has an outcome of; whether all of it went."""
        over = self._over
        session = self._session
        while over:
            if not self._has_room():
                return False
            delivery = over.popleft()
            number = session.next_delivery_id
            session.next_delivery_id = (number + 1) & MASK
            self.delivery_count = (self.delivery_count + 1) & MASK
            self.credit -= 1
            session.window -= 1
            session.next_outgoing_id = (session.next_outgoing_id + 1) & MASK
            made = Transfer(self.handle, number, delivery.tag, 0, 1, state=delivery.state, resume=True)
            self._outbox.write(frame(session.channel, encode(made)))
        return True

    # Ending. ----------------------------------------------------------------------------------------

    def detach(self, condition: str, because: str) -> None:
        if self.gone:
            return
        self._session.detach_sender(self, condition, because)

    def steal(self) -> None:
        if not self.gone:
            self._session.detach_sender(self, STOLEN, "the container attached a link of this name again", True)

    def end(self, closed: bool) -> None:
        """The link is gone from its session."""
        if self.gone:
            return
        self.gone = True
        self.attached = False
        self.credit = 0
        self._rest = None
        self._rest_of = None
        self._over = None
        node = self.node
        self.node = None
        if node is None:
            return
        if closed:
            node.closed()
        else:
            node.suspended()
