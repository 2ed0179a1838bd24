"""The client's side of AMQP 1.0 as a pure machine: octets and time in; events, octets and the next deadline out.

One connection with the SASL layer, one session, and as many links as the caller attaches. It keeps nothing for a
later connection: what a durable subscription needs beyond that, the server has.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.client.errors import Refused
from bridgehead.protocols.amqp.client.links import Delivery, Link, ahead
from bridgehead.protocols.amqp.client.login import Login
from bridgehead.protocols.amqp.client.mechanisms import Speaks
from bridgehead.protocols.amqp.codec.v1.composites import (
    RECEIVER,
    SENDER,
    DeliveryState,
    Error,
    Outcome,
    Performative,
)
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.codec.v1.hot import ACCEPTED_STATE, encode_disposition, encode_flow
from bridgehead.protocols.amqp.codec.v1.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)

MAX_FRAME_SIZE: Final = 65_536
IDLE_TIME_OUT: Final = 60.0  # seconds without a frame after which the server may be taken for gone
INCOMING_WINDOW: Final = 2048
LARGEST_MESSAGE: Final = 256 * 1024 * 1024
_WHOLE: Final = 1 << 32

# What the machine waits for.
_OPEN: Final = "open"
_BEGIN: Final = "begin"
_READY: Final = "nothing"
_CLOSE: Final = "close"
_OVER: Final = "the end"


class Ready:
    """The connection is open and the session has begun."""


class Attached:
    """The server has attached its end of the link."""

    def __init__(self, link: Link) -> None:
        self.link = link


class Detached:
    """The link is over; `link.error` says why, None when we ended it."""

    def __init__(self, link: Link) -> None:
        self.link = link


class Credited:
    """There may be room again to send."""


class Settled:
    """A message that was sent has its outcome; None when the server settled without telling one."""

    def __init__(self, delivery_id: int, state: DeliveryState | None) -> None:
        self.delivery_id = delivery_id
        self.state = state


class Arrived:
    """A message. It is neither settled nor does it make room for another until `accept`."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery


class Ended:
    """The server ended the session or the connection."""

    def __init__(self, error: Error | None) -> None:
        self.error = error


Event = Ready | Attached | Detached | Credited | Settled | Arrived | Ended


class ClientMachine:
    """Drives one connection. Times are seconds of any clock that never goes back."""

    def __init__(self, container_id: str, hostname: str, candidates: list[Speaks]) -> None:
        """`candidates` are what can prove who this is, the best first; the server's offer decides."""
        opening = Open(container_id, hostname or None, MAX_FRAME_SIZE, 0, int(IDLE_TIME_OUT * 1000))
        self._login: Login | None = Login(hostname, candidates, frame(0, encode(opening)))
        self._waits = _OPEN
        self._decoder: Final = Decoder(MAX_FRAME_SIZE)
        self._output: list[bytes] = self._login.output
        self._login.output = []
        self.unsent = 0  # octets that `to_send` has not given out yet
        self.peer: Open | None = None
        self._frame_size = 512
        self._links: dict[int, Link] = {}  # by our handle
        self._theirs: dict[int, Link] = {}  # by the server's handle
        self._handle = -1
        self._next_outgoing_id = 0
        self._window = 0  # frames that the server still takes (2.5.6)
        self._held: deque[bytes] = deque()  # transfers that wait for it
        self._next_incoming_id = 0
        self._incoming = INCOMING_WINDOW
        self._delivery_id = -1
        self._unsettled: dict[int, Link] = {}
        self._last_sent = 0.0
        self._last_received = 0.0

    @property
    def ready(self) -> bool:
        return self._waits == _READY

    @property
    def ended(self) -> bool:
        return self._waits == _OVER

    def end(self) -> None:
        """There is no connection any more."""
        self._waits = _OVER

    # -- octets in -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What the server's octets mean. Raises PeerError, Refused and ConnectionFailed."""
        self._last_received = now
        events: list[Event] = []
        login = self._login
        if login is not None:
            data = login.receive(data)
            self._output += login.output
            login.output = []
            if login.done:
                self._login = None
        if data and self._waits != _OVER:
            for found in self._decoder.feed(data):
                self._handle_frame(found, events)
            self._refill()
        return events

    def _handle_frame(self, found: Frame, events: list[Event]) -> None:
        performative = found.performative
        if performative is None:
            return
        if isinstance(performative, Close):
            if self._waits != _CLOSE:
                self._frame(Close())
            self._waits = _OVER
            events.append(Ended(performative.error))
        elif self._waits == _OPEN and isinstance(performative, Open):
            self._opened(performative)
        elif self._waits == _BEGIN and isinstance(performative, Begin):
            self._next_incoming_id = performative.next_outgoing_id
            self._window = performative.incoming_window
            self._waits = _READY
            events.append(Ready())
        elif self._waits in (_READY, _CLOSE):
            self._in_session(performative, found.payload, events)
        else:
            raise AmqpError("amqp:illegal-state", f"a frame came where {self._waits} belongs", clause="AMQP-2.4.6")

    def _opened(self, peer: Open) -> None:
        self.peer = peer
        self._frame_size = max(512, min(peer.max_frame_size, MAX_FRAME_SIZE))
        self._waits = _BEGIN
        self._frame(Begin(-1, self._next_outgoing_id, INCOMING_WINDOW, INCOMING_WINDOW, 255))

    def _in_session(self, performative: Performative, payload: bytes, events: list[Event]) -> None:
        if isinstance(performative, Transfer):
            self._transfer(performative, payload, events)
        elif isinstance(performative, Disposition):
            self._disposition(performative, events)
        elif isinstance(performative, Flow):
            self._flow(performative, events)
        elif isinstance(performative, Attach):
            self._attached(performative, events)
        elif isinstance(performative, Detach):
            self._detached(performative, events)
        elif isinstance(performative, End):
            self._frame(End())
            events.append(Ended(performative.error))
        else:
            raise AmqpError("amqp:illegal-state", "a second open or begin came", clause="AMQP-2.5.5")

    def _attached(self, attach: Attach, events: list[Event]) -> None:
        link = next(
            (each for each in self._links.values() if each.name == attach.name and each.role != attach.role), None
        )
        if link is None:
            raise AmqpError(
                "amqp:not-allowed", "the server attaches a link that was not asked for", clause="AMQP-2.6.3"
            )
        self._theirs[attach.handle] = link
        # Without a terminus it is refused, and the detach that follows says why (2.6.3).
        if link.answered(attach):
            if link.role == RECEIVER:
                link.credit = link.window
                self._link_flow(link)
            events.append(Attached(link))

    def _detached(self, detach: Detach, events: list[Event]) -> None:
        link = self._theirs.pop(detach.handle, None)
        if link is None:
            raise AmqpError("amqp:session:unattached-handle", f"no link has the handle {detach.handle}")
        if not link.detaching:
            self._frame(Detach(link.handle, True))
        link.error = detach.error
        link.attached = False
        del self._links[link.handle]
        events.append(Detached(link))

    def _flow(self, flow: Flow, events: list[Event]) -> None:
        known = 0 if flow.next_incoming_id < 0 else int(flow.next_incoming_id)
        self._window = max(0, ahead(known + int(flow.incoming_window), self._next_outgoing_id))
        while self._held and self._window > 0:
            self._transmit(self._held.popleft())
        if flow.handle >= 0:
            link = self._link_of(int(flow.handle))
            link.flow(flow)
            if flow.echo or flow.drain:
                self._link_flow(link)
        elif flow.echo:
            self._session_flow()
        events.append(Credited())

    def _transfer(self, transfer: Transfer, payload: bytes, events: list[Event]) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) % _WHOLE
        self._incoming -= 1
        link = self._link_of(int(transfer.handle))
        delivery = link.take(transfer, payload, LARGEST_MESSAGE)
        if delivery is not None:
            events.append(Arrived(delivery))

    def _link_of(self, handle: int) -> Link:
        link = self._theirs.get(handle)
        if link is None:
            raise AmqpError("amqp:session:unattached-handle", f"no link has the handle {handle}", clause="AMQP-2.8.17")
        return link

    def _disposition(self, disposition: Disposition, events: list[Event]) -> None:
        if disposition.role == SENDER:
            return  # the other half of exactly once: what we accepted is settled there too, and forgotten here already
        first = int(disposition.first)
        last = first if disposition.last < 0 else int(disposition.last)
        if ahead(last, first) < 0 or ahead(last, first) > len(self._unsettled) + INCOMING_WINDOW:
            raise AmqpError("amqp:invalid-field", "a disposition names deliveries that were never sent")
        for number in range(ahead(last, first) + 1):
            delivery_id = (first + number) % _WHOLE
            state = disposition.state
            if not disposition.settled and not isinstance(state, Outcome):
                continue
            if self._unsettled.pop(delivery_id, None) is None:
                continue
            if not disposition.settled:
                # 2.6.12: the receiver settles second, when it knows that we have.
                self._send(
                    encode_disposition(
                        0, SENDER, delivery_id, delivery_id, True, ACCEPTED_STATE if state is None else encode(state)
                    )
                )
            events.append(Settled(delivery_id, state))

    # -- what the application wants ------------------------------------------------------------------------------------

    def attach(
        self,
        name: str,
        role: bool,
        address: str,
        qos: int,
        window: int = 0,
        total: int = 0,
        filters: dict[object, object] | None = None,
        kept: int | None = None,
    ) -> Link:
        """Ask for a link; `Attached` or `Detached` follows. At most `window` messages are under way to a receiver, and
        `total` (0: any number) come in all; its subscription outlives it by `kept` seconds, where that is given."""
        self._must_be_ready()
        self._handle += 1
        link = Link(name, self._handle, role, address, qos, window, total)
        self._links[link.handle] = link
        self._frame(link.attach(filters=filters, kept=kept))
        return link

    def may_send(self, link: Link) -> bool:
        """Whether the link has credit and nothing else waits for the session's window."""
        return link.attached and link.credit > 0 and not self._held

    def send(self, link: Link, octets: bytes) -> int:
        """Send a message, when `may_send` is so; its delivery-id. Raises Refused when it is too large for the link."""
        self._must_be_ready()
        if not self.may_send(link):
            raise LocalMisuse("sent without credit")
        if link.max_message_size and len(octets) > link.max_message_size:
            raise Refused(f"the message has {len(octets)} octets and the server takes {link.max_message_size}")
        self._delivery_id = delivery_id = (self._delivery_id + 1) % _WHOLE
        if link.qos:
            self._unsettled[delivery_id] = link
        for each in link.frames(delivery_id, octets, self._frame_size):
            if self._window > 0 and not self._held:
                self._transmit(each)
            else:
                self._held.append(each)
        return delivery_id

    def accept(self, delivery: Delivery) -> None:
        """The application has taken this message: settle it, and let another come."""
        link = delivery.link
        if not delivery.settled:
            # Exactly once: the sender settles first, and its disposition ends it (2.6.12).
            settled = link.qos != 2
            number = delivery.delivery_id
            self._send(encode_disposition(0, RECEIVER, number, number, settled, ACCEPTED_STATE))
        if link.consumed() and link.attached:
            self._link_flow(link)

    def detach(self, link: Link, closed: bool = True) -> None:
        """End a link; with `closed` False its durable terminus stays."""
        if link.attached and not link.detaching:
            link.detaching = True
            self._frame(Detach(link.handle, closed))

    def close(self, error: Error | None = None) -> None:
        """Say goodbye, or why the connection ends."""
        if self._waits in (_BEGIN, _READY, _OPEN):
            self._frame(Close(error))
            self._waits = _CLOSE

    # -- octets and time out ---------------------------------------------------------------------------------------

    def to_send(self, now: float) -> bytes:
        """The octets for the server since the last call."""
        if not self._output:
            return b""
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        self.unsent = 0
        self._last_sent = now
        return data

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        if not self.ready or self.peer is None:
            return None
        ours = self._last_received + 2 * IDLE_TIME_OUT
        if self.peer.idle_time_out <= 0:
            return ours
        # 2.4.5: half of what the server waits, so that a frame that is late is no end.
        return min(ours, self._last_sent + self.peer.idle_time_out / 2000)

    def handle_timeout(self, now: float) -> bool:
        """An empty frame when it is time for one; False when the server has been silent for too long."""
        if self.ready and now >= self._last_received + 2 * IDLE_TIME_OUT:
            return False
        if self.ready and self.peer is not None and 0 < self.peer.idle_time_out / 2000 <= now - self._last_sent:
            self._send(frame(0, b""))
        return True

    # -- within --------------------------------------------------------------------------------------------------------

    def _send(self, octets: bytes) -> None:
        self._output.append(octets)
        self.unsent += len(octets)

    def _frame(self, performative: Performative) -> None:
        self._send(frame(0, encode(performative)))

    def _transmit(self, transfer: bytes) -> None:
        self._window -= 1
        self._next_outgoing_id = (self._next_outgoing_id + 1) % _WHOLE
        self._send(transfer)

    def _refill(self) -> None:
        if self.ready and self._incoming <= INCOMING_WINDOW // 2:
            self._session_flow()

    def _session_flow(self) -> None:
        self._incoming = INCOMING_WINDOW
        self._send(encode_flow(0, self._next_incoming_id, self._incoming, self._next_outgoing_id, INCOMING_WINDOW))

    def _link_flow(self, link: Link) -> None:
        self._incoming = INCOMING_WINDOW
        self._send(
            encode_flow(
                0,
                self._next_incoming_id,
                self._incoming,
                self._next_outgoing_id,
                INCOMING_WINDOW,
                link.handle,
                link.delivery_count,
                link.credit,
                0 if link.role == SENDER else -1,
            )
        )

    def _must_be_ready(self) -> None:
        if not self.ready:
            raise LocalMisuse("there is no session")
