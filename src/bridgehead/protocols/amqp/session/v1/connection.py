"""The machine of one AMQP 1.0 connection (2.4) behind the SASL layer: from the second protocol header to close."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import DISCONNECTED, PEER_ERROR, REFUSED
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.composites import (
    ABSENT,
    BEGIN,
    CLOSE,
    END,
    OPEN,
    TRANSFER,
    Error,
)
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.errors import (
    CONNECTION_FORCED,
    FRAMING_ERROR,
    ILLEGAL_STATE,
    INVALID_FIELD,
    NOT_ALLOWED,
    RESOURCE_LIMIT_EXCEEDED,
    UNAUTHORIZED_ACCESS,
    AmqpError,
)
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.codec.v1.performatives import Begin, Close, End, Open, Transfer
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.pace import Pace
from bridgehead.protocols.amqp.session.v1.attaching import Opener
from bridgehead.protocols.amqp.session.v1.contract import Peer
from bridgehead.protocols.amqp.session.v1.endpoint import SessionEndpoint
from bridgehead.protocols.amqp.session.v1.faults import SessionFault, error_for, error_of
from bridgehead.protocols.amqp.session.v1.hearing import ConnectionReceiver, Hearing
from bridgehead.protocols.amqp.session.v1.opening import TerminusOpener
from bridgehead.protocols.amqp.session.v1.taker import Taker
from bridgehead.protocols.amqp.session.v1.wiring import Wiring
from bridgehead.wire.errors import PeerError
from bridgehead.wire.outbox import Outbox

HEADER: Final = b"AMQP\x00\x01\x00\x00"
CONTAINER: Final = "bridgehead"
_EMPTY_FRAME: Final = frame(0, b"")
_SMALLEST_FRAME: Final = 512  # 2.4.1, MIN-MAX-FRAME-SIZE
_SHORTEST_IDLE: Final = 100  # milliseconds: who wants to hear from us more often is refused (2.4.5)
_PRODUCT: Final = "Bridgehead"
_RELAY: Final = Symbol("ANONYMOUS-RELAY")

# Where the connection stands (2.4.6), as far as it matters here.
AWAITING_HEADER: Final = 0
AWAITING_OPEN: Final = 1
OPENED: Final = 2
CLOSED: Final = 3


class Connection(Hearing):
    """`principal` and `verified`, `serial`, `expires_at`, `marks` are what Speaker.authenticated brought."""

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        config: AmqpConfig,
        address: str,
        tls: bool,
        certificate: bool,
        mechanisms: tuple[str, ...],
        principal: Principal,
        verified: bool,
        serial: str,
        expires_at: float,
        marks: tuple[str, ...],
    ) -> None:
        super().__init__(outbox, broker, config, address, tls, certificate, mechanisms)
        self.expires_at = expires_at
        self.state = AWAITING_HEADER
        self._principal: Final = principal
        self._verified: Final = verified
        self._serial: Final = serial
        self._marks: Final = marks
        self._header = b""
        self._decoder: Final = Decoder(config.max_frame_size)
        self._receiver: Final = ConnectionReceiver(self)
        self._peer: Peer | None = None
        self._wiring: Wiring | None = None
        self._opener: Opener = TerminusOpener(self)
        self._sessions: dict[int, SessionEndpoint] = {}
        self._remote_channel_max = 0
        self._pace: Pace | None = None
        self._throttled_until = 0.0
        now: float = broker.clock.now
        self._last_received = now
        self._beat: float = 0.0  # seconds between two empty frames of ours, 0 for none
        self._next_beat: float = NEVER

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        if self.state == CLOSED:
            return
        self.broker.counters.octets_received += len(data)
        if self.state == AWAITING_HEADER:
            data = self._take_header(data)
            if not data:
                return
        self._last_received = self.broker.clock.now
        fault: PeerError | None = None
        try:
            frames = self._decoder.feed(data)
        except PeerError as error:
            frames = self._decoder.frames
            fault = error
        self.broker.counters.packets_received += len(frames)
        wiring = self._wiring
        if wiring is not None:
            wiring.begin_turn()
        self._take_all(frames)
        if fault is not None and self.state != CLOSED:
            self._fail(_framing(fault))
        fault = None
        wiring = self._wiring
        if wiring is not None and self.state != CLOSED:
            wiring.end_turn()
        if self.is_congested() or (wiring is not None and wiring.is_sooner):
            self._call_attention()

    def _call_attention(self) -> None:
        """The rim is to look at us: to read no more, or at an earlier deadline."""
        self.attention = True
        self.outbox.touch()
        if self._wiring is not None:
            self._wiring.is_sooner = False

    def _take_header(self, data: bytes) -> bytes:
        """2.2: the header of AMQP itself, behind the SASL layer. Returns what follows it."""
        missing = 8 - len(self._header)
        self._header += data[:missing]
        rest = data[missing:] if len(data) > missing else b""
        if not HEADER.startswith(self._header):
            self.outbox.write(HEADER)  # 2.2: what we speak, then the end
            self._end("after SASL the peer asked for another protocol than AMQP 1.0.0", REFUSED, "")
            return b""
        if len(self._header) < 8:
            return b""
        self.outbox.write(HEADER)
        self.state = AWAITING_OPEN
        return rest

    def _take_all(self, frames: list[Frame]) -> None:
        transfers = 0
        sessions = self._sessions
        for each in frames:
            performative = each.performative
            if performative is None:
                continue  # 2.4.5: it only says that the peer is there
            if self.state != OPENED:
                if self.state == CLOSED:
                    return
                self._guarded(each)
                continue
            if performative.code == TRANSFER:
                session = sessions.get(each.channel)
                if session is not None and not session.is_ending:
                    assert isinstance(performative, Transfer)
                    transfers += 1
                    try:
                        session.take_transfer(performative, each.payload)
                    except PeerError as error:
                        self._judge(session, error)
                    continue
            self._guarded(each)
        if transfers and self.config.publish_rate > 0:
            if self._pace is None:
                self._pace = Pace(self.config, self.broker.clock.now)
            self._throttled_until = self._pace.measure(transfers, self.broker.clock.now)

    def _guarded(self, each: Frame) -> None:
        session = self._sessions.get(each.channel)
        try:
            self._take(each, session)
        except PeerError as error:
            self._judge(session, error)

    def _take(self, each: Frame, session: SessionEndpoint | None) -> None:
        performative = each.performative
        assert performative is not None
        code = performative.code
        if self.state == AWAITING_OPEN:
            if code != OPEN:
                raise AmqpError(ILLEGAL_STATE, "the first frame is not an open", clause="AMQP-2.4.1")
            if each.channel != 0:
                raise AmqpError(FRAMING_ERROR, "an open came on another channel than 0", clause="AMQP-2.4.1")
            assert isinstance(performative, Open)
            self._open(performative)
            return
        if code == CLOSE:
            assert isinstance(performative, Close)
            self._taken_close(performative)
        elif code == OPEN:
            raise AmqpError(ILLEGAL_STATE, "a second open", clause="AMQP-2.4.1")
        elif code == BEGIN:
            assert isinstance(performative, Begin)
            self._begin(each.channel, performative)
        elif session is None:
            raise AmqpError(NOT_ALLOWED, f"channel {each.channel} has no session", clause="AMQP-2.5.1")
        elif code == END:
            self._taken_end(int(each.channel), session)
        elif not session.is_ending:
            session.take(performative, each.payload)

    def _judge(self, session: SessionEndpoint | None, fault: PeerError) -> None:
        """End what the fault is of: the session, or all."""
        if isinstance(fault, SessionFault) and session is not None:
            self._end_session(session, error_for(fault))
        else:
            self._fail(_framing(fault))

    # Open and close. --------------------------------------------------------------------------------

    def _open(self, performative: Open) -> None:
        config = self.config
        if performative.max_frame_size < _SMALLEST_FRAME:
            raise AmqpError(INVALID_FIELD, "max-frame-size is below 512", clause="AMQP-2.7.1")
        if 0 < performative.idle_time_out < _SHORTEST_IDLE:
            raise AmqpError(
                INVALID_FIELD, f"an idle-time-out below {_SHORTEST_IDLE} ms is not supported", clause="AMQP-2.4.5"
            )
        try:
            session = self.enter(self._principal, self._verified, f"amqp:{self._serial}", self._marks, self._receiver)
        except Refusal as refusal:
            error = error_for(refusal)
            self._close(error, refusal.because, REFUSED)
            return
        peer = Peer(
            self.broker,
            config,
            self.outbox,
            self._principal,
            session.origin,
            performative.container_id,
            self._receiver,
            session,
        )
        self._peer = peer
        self._wiring = Wiring(peer, performative.max_frame_size)
        self._wiring.begin_turn()
        self._remote_channel_max = performative.channel_max
        self.state = OPENED
        self._write_open()
        if performative.idle_time_out > 0:
            # 2.4.5: at half of it there is always something.
            self._beat = performative.idle_time_out / 2000.0
            self._next_beat = self.broker.clock.now + self._beat
        self.attention = True  # the deadlines are others
        self.outbox.touch()
        self.entered("1.0", performative.container_id)

    def _write_open(self) -> None:
        config = self.config
        answer = Open(
            CONTAINER,
            None,
            config.max_frame_size,
            config.channel_max,
            # 2.4.5: half of what we really wait, so that a beat in time is never late.
            int(config.idle_timeout * 500) if config.idle_timeout > 0 else ABSENT,
            offered_capabilities=[_RELAY],
            properties={Symbol("product"): _PRODUCT},
        )
        self.outbox.write(frame(0, encode(answer)))

    def _taken_close(self, performative: Close) -> None:
        self._let_go()
        self.outbox.write(frame(0, encode(Close())))
        error = performative.error
        because = "" if error is None else f"the peer closed with {error.condition}: {error.description or ''}"[:500]
        self._end(because or "the peer closed the connection", DISCONNECTED, "")

    def _fail(self, fault: AmqpError) -> None:
        """The peer broke the protocol (2.8.16)."""
        self._close(error_for(fault), str(fault), PEER_ERROR)

    def _close(self, error: Error, because: str, event: str) -> None:
        """2.4.3: close with the reason, then nothing more."""
        if self.state == CLOSED:
            return
        if self.state == AWAITING_HEADER:
            self.outbox.write(HEADER)
        if self.state != OPENED:
            self._write_open()  # 2.4.1: a close is always after an open
        self._let_go()
        self.outbox.write(frame(0, encode(Close(error))))
        self._end(because, event, error.condition if event == PEER_ERROR else "")

    def _let_go(self) -> None:
        """Everything that the links of the connection have still to say, and then they are gone: nothing of theirs
        comes after the close."""
        wiring = self._wiring
        sessions = self._sessions
        self._sessions = {}
        if wiring is not None:
            # 4.1: what is not discharged is rolled back, before the links let go of what they hold.
            wiring.transactions.roll_back_all(None)
            wiring.end_turn()
            wiring.waitings.forget()
        for session in sessions.values():
            session.is_ending = True
            session.abandon()
        self._wiring = None

    def _end(self, because: str, event: str, code: str) -> None:
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.closed = True
        self.attention = True
        self.outbox.touch()
        self._let_go()
        peer = self._peer
        if peer is not None:
            self.broker.queues.connection_ended(f"{peer.origin.principal}/{peer.origin.client_id}")
        self.leave(self._receiver, because, event, code)
        self._receiver.release()
        self._opener = Opener()  # the other one knows the connection
        self._peer = None

    def lost(self, because: str) -> None:
        self._end(because or "the network connection was closed", DISCONNECTED, "")
        self.outbox.discard()

    def dismiss(self, meaning: str, because: str) -> None:
        if self.state == CLOSED:
            return
        condition = UNAUTHORIZED_ACCESS if meaning == NOT_AUTHORIZED else CONNECTION_FORCED
        self._close(error_of(condition, because), because, DISCONNECTED)

    # Sessions. --------------------------------------------------------------------------------------

    def _begin(self, channel: int, performative: Begin) -> None:
        config = self.config
        wiring = self._wiring
        assert wiring is not None
        if channel > config.channel_max:
            # 2.7.1: a channel beyond what we said.
            raise AmqpError(
                FRAMING_ERROR, f"channel {channel} is above the channel-max {config.channel_max}", clause="AMQP-2.7.1"
            )
        if performative.remote_channel != ABSENT:
            raise AmqpError(ILLEGAL_STATE, "a begin that answers none of ours", clause="AMQP-2.5.1")
        if channel in self._sessions:
            raise AmqpError(ILLEGAL_STATE, f"channel {channel} has a session already", clause="AMQP-2.5.1")
        if channel > self._remote_channel_max:
            raise AmqpError(NOT_ALLOWED, "the peer's own channel-max leaves us no channel for this session")
        self._sessions[channel] = SessionEndpoint(wiring, self._opener, channel, performative)

    def _taken_end(self, channel: int, session: SessionEndpoint) -> None:
        del self._sessions[channel]
        if session.is_ending:
            return
        wiring = self._wiring
        session.end_turn()
        session.is_ending = True
        session.abandon()
        if wiring is not None:
            self.outbox.write(frame(channel, encode(End())))

    def _end_session(self, session: SessionEndpoint, error: Error) -> None:
        """2.5.5: our end is out; what still comes is discarded until the peer's end."""
        if session.is_ending:
            return
        session.end_turn()
        session.is_ending = True
        session.abandon()
        self.outbox.write(frame(session.channel, encode(End(error))))

    # After a commit. --------------------------------------------------------------------------------

    def committed(self, ticket: int) -> None:
        wiring = self._wiring
        if wiring is None:
            return
        wiring.begin_turn()
        wiring.waitings.settle(ticket)
        self._after_commit(wiring)

    def not_committed(self, ticket: int, retry: int) -> None:
        wiring = self._wiring
        if wiring is None:
            return
        wiring.begin_turn()
        wiring.waitings.fail(ticket, retry)
        self._after_commit(wiring)

    def _after_commit(self, wiring: Wiring) -> None:
        for session in self._sessions.values():
            if session.waits_for_store:
                wiring.touch(session)
        wiring.end_turn()
        if wiring.is_sooner:
            self._call_attention()

    def _settle_overdue(self) -> None:
        wiring = self._wiring
        if wiring is None:
            return
        overdue = wiring.overdue()
        if not overdue:
            return
        wiring.begin_turn()
        for delivery in overdue:
            if isinstance(delivery.link, Taker):
                delivery.link.settle_unasked(delivery)
        wiring.end_turn()

    # What the rim asks. -----------------------------------------------------------------------------

    def is_congested(self) -> bool:
        wiring = self._wiring
        if self.outbox.octets + self.outbox.backlog > 2 * self.outbox.limit:
            return True
        if wiring is None:
            return False
        return self.broker.clock.now < self._throttled_until or wiring.is_congested()

    def has_waiting(self) -> bool:
        wiring = self._wiring
        return wiring is not None and wiring.starved

    def drained(self) -> None:
        wiring = self._wiring
        if wiring is None or not wiring.starved:
            return
        wiring.starved = False
        wiring.begin_turn()
        for session in list(self._sessions.values()):
            session.run_senders()
        wiring.end_turn()

    def stand_on(self, principal: Principal) -> None:
        super().stand_on(principal)
        peer = self._peer
        if peer is None:
            return
        peer.principal = principal
        for endpoint in self._sessions.values():
            endpoint.renewed()

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        if self.state == CLOSED:
            return NEVER
        if self.state != OPENED:
            return min(self.accepted_at + self.config.connect_timeout, self.expires_at)
        when = min(self.expires_at, self._next_beat)
        if self._wiring is not None:
            when = min(when, self._wiring.next_expected())
        if self.config.idle_timeout > 0:
            when = min(when, max(self._last_received, self._throttled_until) + self.config.idle_timeout)
        if self._throttled_until > self.broker.clock.now:
            when = min(when, self._throttled_until)
        return when

    def handle_timeout(self) -> None:
        now = self.broker.clock.now
        if self.state == CLOSED:
            return
        if now >= self.expires_at:
            because = "what proved the identity has expired: connect again with a new one"
            self._close(error_of(UNAUTHORIZED_ACCESS, because), because, DISCONNECTED)
            return
        if self.state != OPENED:
            if now >= self.accepted_at + self.config.connect_timeout:
                because = "no open came in time"
                self._close(error_of(RESOURCE_LIMIT_EXCEEDED, because), because, REFUSED)
            return
        self._settle_overdue()
        if now >= self._next_beat:
            self._next_beat = now + self._beat
            self.outbox.write(_EMPTY_FRAME)
        idle = self.config.idle_timeout
        if idle > 0 and now >= self._last_received + idle:
            if self.is_congested():
                self._last_received = now  # a peer that is not read cannot be heard
                return
            because = "nothing came for as long as the idle-time-out allows"
            self._close(error_of(RESOURCE_LIMIT_EXCEEDED, because), because, DISCONNECTED)


def _framing(fault: PeerError) -> AmqpError:
    """2.8.16: what cannot be read as frames ends the connection with framing-error."""
    return fault if isinstance(fault, AmqpError) else AmqpError(FRAMING_ERROR, str(fault))
