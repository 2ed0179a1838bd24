"""A session endpoint (2.5): its two windows, its links by their handles, its deliveries by their ids."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.core.errors import Refusal
from bridgehead.protocols.amqp.codec.v1.composites import (
    ABSENT,
    ATTACH,
    DETACH,
    DISPOSITION,
    FLOW,
    TRANSFER,
    DeliveryState,
    Performative,
)
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    FRAMING_ERROR,
    HANDLE_IN_USE,
    NOT_ALLOWED,
    RESOURCE_LIMIT_EXCEEDED,
    UNATTACHED_HANDLE,
    WINDOW_VIOLATION,
    AmqpError,
)
from bridgehead.protocols.amqp.codec.v1.hot import encode_flow
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Begin, Detach, Disposition, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import Received, TransactionalState
from bridgehead.protocols.amqp.session.v1.attaching import Opener, attach_of_sender, attach_of_taker, refused_attach
from bridgehead.protocols.amqp.session.v1.contract import (
    IncomingDelivery,
    IncomingLink,
    Link,
    OutgoingDelivery,
    OutgoingLink,
)
from bridgehead.protocols.amqp.session.v1.faults import LinkFault, SessionFault, error_for, error_of
from bridgehead.protocols.amqp.session.v1.ports import SessionPort
from bridgehead.protocols.amqp.session.v1.sender import Sender
from bridgehead.protocols.amqp.session.v1.serial import MASK
from bridgehead.protocols.amqp.session.v1.settling import Settling
from bridgehead.protocols.amqp.session.v1.taker import NOT_KEPT, Taker
from bridgehead.protocols.amqp.session.v1.wiring import Wiring
from bridgehead.wire.errors import PeerError
from bridgehead.wire.outbox import Outbox

_HALF: Final = 0x8000_0000
_IN_VAIN: Final = 500_000  # deliveries at one moment of the hub's clock: some tenth of a second


class SessionEndpoint(SessionPort):
    """`channel` is the number of both directions. The peer's handles are ours too: both ends of a link have the same,
    which its peer chose and we can always follow (2.6.2)."""

    def __init__(self, wiring: Wiring, opener: Opener, channel: int, begin: Begin) -> None:
        super().__init__(channel)
        config = wiring.peer.config
        self._wiring: Final = wiring
        self._opener: Final = opener
        self._outbox: Final[Outbox] = wiring.outbox
        self._window_size: Final[int] = config.incoming_window
        self._outgoing_window: Final[int] = config.outgoing_window
        self._handle_max: Final[int] = min(config.handle_max, begin.handle_max)
        self.window = begin.incoming_window
        self._next_incoming_id: int = begin.next_outgoing_id
        self._incoming_window: int = config.incoming_window
        self._takers: dict[int, Taker] = {}
        self._senders: dict[int, Sender] = {}
        self._detaching: dict[int, None] = {}  # handles whose detach is out, and the peer's is not in
        self._received: Final = Settling(wiring.outbox, channel, True)
        self._sent: Final = Settling(wiring.outbox, channel, False)
        self._look_at: list[Taker] = []
        self._run_later: list[Sender] = []
        self._vain = 0  # deliveries that were looked at in vain at `_vain_at`
        self._vain_at: float = 0.0
        self.is_ending = False  # our end is out: everything but the peer's end is discarded (2.5.5)
        answer = Begin(channel, 0, config.incoming_window, config.outgoing_window, config.handle_max)
        self._outbox.write(frame(channel, encode(answer)))

    # What comes in. ---------------------------------------------------------------------------------

    def take(self, performative: Performative, payload: bytes) -> None:
        """A frame of this channel, but begin and end. Raises SessionFault, and AmqpError for what ends the
        connection."""
        code = performative.code
        if code == TRANSFER:
            assert isinstance(performative, Transfer)
            self.take_transfer(performative, payload)
        elif code == DISPOSITION:
            assert isinstance(performative, Disposition)
            self._take_disposition(performative)
        elif code == FLOW:
            assert isinstance(performative, Flow)
            self._take_flow(performative)
        elif code == ATTACH:
            assert isinstance(performative, Attach)
            self._take_attach(performative)
        elif code == DETACH:
            assert isinstance(performative, Detach)
            self._take_detach(performative)
        else:
            raise AmqpError(NOT_ALLOWED, "this performative does not belong here", clause="AMQP-2.7")

    def take_transfer(self, transfer: Transfer, payload: bytes) -> None:
        if self._incoming_window <= 0:
            raise SessionFault(WINDOW_VIOLATION, "more transfers came than the window takes", clause="AMQP-2.5.6")
        self._incoming_window -= 1
        self._next_incoming_id = (self._next_incoming_id + 1) & MASK
        if 2 * self._incoming_window <= self._window_size:
            self._wiring.touch(self)
        taker = self._takers.get(transfer.handle)
        if taker is None:
            if transfer.handle not in self._detaching:
                self._unattached(transfer.handle)
            return
        try:
            taker.take(transfer, payload)
        except LinkFault as fault:
            self.detach_taker(taker, fault.condition, str(fault))

    def _unattached(self, handle: i64) -> None:
        if handle in self._senders:
            raise SessionFault(NOT_ALLOWED, f"handle {handle} is a link that the peer receives on")
        raise SessionFault(UNATTACHED_HANDLE, f"no link is attached with handle {handle}", clause="AMQP-2.8.17")

    def _take_flow(self, flow: Flow) -> None:
        """2.5.6: the window of the peer; then what concerns one link."""
        base = flow.next_incoming_id if flow.next_incoming_id != ABSENT else 0
        under_way = (self.next_outgoing_id - int(base)) & MASK
        if under_way >= _HALF:
            raise SessionFault(WINDOW_VIOLATION, "next-incoming-id is one that we have not sent", clause="AMQP-2.5.6")
        before = self.window
        self.window = int(flow.incoming_window) - under_way
        if flow.handle == ABSENT:
            if flow.echo:
                self._write_flow()
        else:
            self._take_link_flow(flow)
        if before <= 0 < self.window:
            self.run_senders()

    def _take_link_flow(self, flow: Flow) -> None:
        sender = self._senders.get(flow.handle)
        if sender is not None:
            try:
                sender.take_flow(flow)
            except LinkFault as fault:
                self.detach_sender(sender, fault.condition, str(fault))
            return
        taker = self._takers.get(flow.handle)
        if taker is not None:
            taker.take_flow(flow)
        elif flow.handle not in self._detaching:
            raise SessionFault(UNATTACHED_HANDLE, f"no link is attached with handle {flow.handle}")

    def _take_disposition(self, disposition: Disposition) -> None:
        """2.7.6: the states of a range, however long it says it is: only what is unsettled is looked at."""
        first = int(disposition.first)
        last = first if disposition.last == ABSENT else int(disposition.last)
        span = (last - first) & MASK
        settled = disposition.settled
        state = disposition.state
        if disposition.role:
            if span == 0:
                only = self.unsettled.get(first)
                if only is not None:
                    self._dispose(only, state, settled)
                return
            if not settled and (state is None or isinstance(state, Received)):
                return  # nothing changes by that
            before = len(self.unsettled)
            for number in _within(list(self.unsettled) if span > before else None, first, span):
                delivery = self.unsettled.get(number)
                if delivery is not None:
                    self._dispose(delivery, state, settled)
            self._looked_at(min(span + 1, before) - max(before - len(self.unsettled), 0))
            return
        if not settled:
            return  # what a sender tells of its own deliveries matters when it settles
        before = len(self.incoming)
        for number in _within(list(self.incoming) if span > before else None, first, span):
            incoming = self.incoming.get(number)
            if incoming is not None and isinstance(incoming.link, Taker):
                incoming.link.dispose(incoming, state, settled)
        self._looked_at(min(span + 1, before) - max(before - len(self.incoming), 0))

    def _looked_at(self, in_vain: int) -> None:
        """Deliveries that a range made us look at and that are as unsettled as before: a range is a few octets, and a
        thousand of them come with one read."""
        now = self._wiring.peer.broker.clock.now
        if now != self._vain_at:
            self._vain_at = now
            self._vain = 0
        self._vain += in_vain
        if self._vain > _IN_VAIN:
            raise SessionFault(
                RESOURCE_LIMIT_EXCEEDED, "ranges of dispositions again and again over what stays unsettled"
            )

    def _dispose(self, delivery: OutgoingDelivery, state: DeliveryState | None, settled: bool) -> None:
        link = delivery.link
        if not isinstance(link, Sender):
            return
        if isinstance(state, TransactionalState):
            try:
                self._wiring.transactions.retire(delivery, state, settled)
            except LinkFault as fault:
                self.detach_sender(link, fault.condition, str(fault))
            return
        if delivery.txn_id is not None and self._wiring.transactions.find(delivery.txn_id) is not None:
            # 4.4.4.3: what was acquired in a transaction gets its outcome in it.
            self.detach_sender(link, NOT_ALLOWED, "the delivery belongs to a transaction that is not discharged")
            return
        if state is not None:
            delivery.state = state
        if settled:
            delivery.settled = True
        link.outcome(delivery, state, settled)

    # Attach and detach. -----------------------------------------------------------------------------

    def _take_attach(self, attach: Attach) -> None:
        handle = attach.handle
        if handle > self._wiring.peer.config.handle_max:
            raise AmqpError(
                FRAMING_ERROR,
                f"handle {handle} is above the handle-max {self._wiring.peer.config.handle_max}",
                clause="AMQP-2.7.2",
            )
        if handle in self._takers or handle in self._senders or handle in self._detaching:
            raise SessionFault(HANDLE_IN_USE, f"handle {handle} is in use", clause="AMQP-2.8.17")
        if handle > self._handle_max:
            raise SessionFault(NOT_ALLOWED, "the peer's own handle-max leaves us no handle for this link")
        wiring = self._wiring
        key = f"{'<' if attach.role else '>'}{attach.name}"
        older = wiring.links.get(key)
        if older is not None:
            older.steal()  # 2.6.1
        if attach.role:
            self._attach_sender(attach, key)
        else:
            self._attach_taker(attach, key)

    def _attach_sender(self, attach: Attach, key: str) -> None:
        sender = Sender(self._wiring, self, attach, attach.handle)
        self._senders[attach.handle] = sender
        self._keep(key, sender)
        try:
            self._check_number()
            sender.begin(self._opener.source(attach, sender))
        except (Refusal, PeerError) as fault:
            error = error_for(fault)
            self._refuse(attach, error.condition, error.description or "")

    def _attach_taker(self, attach: Attach, key: str) -> None:
        taker = Taker(self._wiring, self, attach, attach.handle)
        self._takers[attach.handle] = taker
        self._keep(key, taker)
        try:
            self._check_number()
            taker.begin(self._opener.target(attach, taker, self._wiring))
        except (Refusal, PeerError) as fault:
            error = error_for(fault)
            self._refuse(attach, error.condition, error.description or "")

    def _check_number(self) -> None:
        most = self._wiring.peer.config.links
        if self._wiring.link_count > most:
            raise AmqpError(RESOURCE_LIMIT_EXCEEDED, f"a connection has at most {most} links: detach one first")

    def _keep(self, key: str, link: Link) -> None:
        self._wiring.links[key] = link
        self._wiring.link_count += 1

    def _refuse(self, attach: Attach, condition: str, because: str) -> None:
        """2.6.3: an attach without the terminus, then a detach that says why."""
        self._write(encode(refused_attach(attach)))
        self._detach(attach.handle, condition, because)

    def refuse_sender(self, link: OutgoingLink) -> None:
        assert isinstance(link, Sender)
        error = error_for(NOT_KEPT)
        self._refuse(link.attach, error.condition, error.description or "")

    def refuse_taker(self, link: IncomingLink) -> None:
        assert isinstance(link, Taker)
        error = error_for(NOT_KEPT)
        self._refuse(link.attach, error.condition, error.description or "")

    def answer_sender(self, link: OutgoingLink, unsettled: dict[bytes, DeliveryState | None]) -> None:
        assert isinstance(link, Sender)
        self._write(encode(attach_of_sender(link, link.attach, unsettled, self._wiring.max_frame_size)))

    def answer_taker(self, link: IncomingLink, unsettled: dict[bytes, DeliveryState | None]) -> bool:
        assert isinstance(link, Taker)
        answer = attach_of_taker(link, link.attach, unsettled, self._wiring.max_frame_size)
        self._write(encode(answer))
        return answer.incomplete_unsettled

    def _take_detach(self, detach: Detach) -> None:
        handle = detach.handle
        if handle in self._detaching:
            del self._detaching[handle]
            return
        link: Link | None = self._senders.get(handle)
        if link is None:
            link = self._takers.get(handle)
        if link is None:
            raise SessionFault(UNATTACHED_HANDLE, f"no link is attached with handle {handle}")
        self._flush_states()
        self._forget(handle)
        self._write(encode(Detach(handle, detach.closed, None)))
        self._end_link(link, detach.closed)

    def detach_sender(self, link: OutgoingLink, condition: str, because: str, keep: bool = False) -> None:
        assert isinstance(link, Sender)
        self._detach(link.handle, condition, because, keep)

    def detach_taker(self, link: IncomingLink, condition: str, because: str, keep: bool = False) -> None:
        assert isinstance(link, Taker)
        self._detach(link.handle, condition, because, keep)

    def _detach(self, handle: int, condition: str, because: str, keep: bool = False) -> None:
        """End a link from our side; its handle is free when the peer has answered."""
        link: Link | None = self._senders.get(handle)
        if link is None:
            link = self._takers.get(handle)
        if link is None:
            return
        self._flush_states()
        self._forget(handle)
        self._detaching[handle] = None
        error = error_of(condition, because) if condition else None
        self._write(encode(Detach(handle, True, error)))
        self._end_link(link, not keep)

    def _forget(self, handle: int) -> None:
        link: Link | None = self._senders.pop(handle, None)
        key = "<"
        if link is None:
            link = self._takers.pop(handle, None)
            key = ">"
        if link is None:
            return
        wiring = self._wiring
        wiring.link_count -= 1
        key += link.name
        if wiring.links.get(key) is link:
            del wiring.links[key]

    def _end_link(self, link: Link, closed: bool) -> None:
        if isinstance(link, Sender):
            # Who has a million unsettled deliveries on other links does not have them looked at by each detach.
            is_settled = link.unsettled_count == 0
            self._wiring.transactions.link_ends(link, is_settled)
            if not is_settled:
                for number in [number for number, each in self.unsettled.items() if each.link is link]:
                    del self.unsettled[number]
            link.end(closed)
        elif isinstance(link, Taker):
            link.end(closed)

    def abandon(self) -> None:
        """The session is over, and with it every link, which may be resumed (2.6.5)."""
        senders = self._senders
        takers = self._takers
        links: list[Link] = [*senders.values(), *takers.values()]
        for handle in [*senders, *takers]:
            self._forget(handle)
        for link in links:
            self._end_link(link, False)
        self.unsettled.clear()
        self.incoming.clear()
        self._look_at = []
        self._run_later = []

    # What goes out. ---------------------------------------------------------------------------------

    def _write(self, body: bytes) -> None:
        self._outbox.write(frame(self.channel, body))

    def settle_sent(self, delivery_id: int, state: DeliveryState | None) -> None:
        self._sent.add(delivery_id, state, True)
        self._wiring.touch(self)

    def settle_received(self, delivery_id: int, state: DeliveryState, settled: bool) -> None:
        self._received.add(delivery_id, state, settled)
        self._wiring.touch(self)

    def write_link_flow(self, handle: int, delivery_count: int, credit: int, drain: bool) -> None:
        self._grant_window()
        self._outbox.write(
            encode_flow(
                self.channel,
                self._next_incoming_id,
                self._incoming_window,
                self.next_outgoing_id,
                self._outgoing_window,
                handle,
                delivery_count,
                credit,
                drain=drain,
            )
        )

    def _write_flow(self) -> None:
        self._grant_window()
        self._outbox.write(
            encode_flow(
                self.channel,
                self._next_incoming_id,
                self._incoming_window,
                self.next_outgoing_id,
                self._outgoing_window,
            )
        )

    def _grant_window(self) -> None:
        if not self._wiring.is_congested():
            self._incoming_window = self._window_size

    def look_at(self, link: IncomingLink) -> None:
        assert isinstance(link, Taker)
        if not link.looked_at:
            link.looked_at = True
            self._look_at.append(link)
        self._wiring.touch(self)

    def settle_soon(self, delivery: IncomingDelivery) -> None:
        self._wiring.expect(delivery)

    def run_later(self, link: OutgoingLink) -> None:
        assert isinstance(link, Sender)
        if not self._run_later or self._run_later[-1] is not link:
            self._run_later.append(link)
        self._wiring.touch(self)

    def run_senders(self) -> None:
        """Window or room has come."""
        for sender in list(self._senders.values()):
            sender.run()

    def renewed(self) -> None:
        """The identity was proven anew: links act for what `peer.principal` is now."""
        for sender in list(self._senders.values()):
            if sender.node is not None:
                sender.node.renewed()
        for taker in list(self._takers.values()):
            if taker.node is not None:
                taker.node.renewed()

    def _flush_states(self) -> None:
        self._received.flush()
        self._sent.flush()

    def end_turn(self) -> None:
        if self.is_ending:
            return
        if self._look_at:
            looked_at = self._look_at
            self._look_at = []
            for taker in looked_at:
                taker.looked_at = False
                if not taker.gone and not taker.top_up():
                    taker.looked_at = True  # again when the store has caught up, or the sender has settled
                    self._look_at.append(taker)
        if 2 * self._incoming_window <= self._window_size and not self._wiring.is_congested():
            self._write_flow()
        if self._run_later:
            senders = self._run_later
            self._run_later = []
            for sender in senders:
                sender.run()
        self._flush_states()

    @property
    def waits_for_store(self) -> bool:
        """Whether the end of a commit may let senders of the peer go on."""
        return bool(self._look_at) or 2 * self._incoming_window <= self._window_size


def _within(numbers: list[int] | None, first: int, span: int) -> list[int]:
    """The delivery-ids of a range: all of them, or those of `numbers` where these are fewer."""
    if numbers is None:
        return [(first + i) & MASK for i in range(span + 1)]
    return [number for number in numbers if (number - first) & MASK <= span]
