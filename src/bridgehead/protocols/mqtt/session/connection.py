"""The machine of one Network Connection: octets and time in, octets and the next deadline out."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import DISCONNECTED, OUTBOX_DRAINED, OUTBOX_FULL, PEER_ERROR, REFUSED
from bridgehead.core.errors import CLIENT_ID_INVALID, UNAVAILABLE, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.session import Session
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Auth,
    Connect,
    Disconnect,
    Packet,
    Pingresp,
    Publish,
    Subscribe,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.session import table
from bridgehead.protocols.mqtt.session.acknowledgements import Held
from bridgehead.protocols.mqtt.session.greeting import dismissal_code, dismissing, refusing, seconds
from bridgehead.protocols.mqtt.session.intake import ClosedByRefusal
from bridgehead.protocols.mqtt.session.login import Login
from bridgehead.protocols.mqtt.session.pace import Pace
from bridgehead.protocols.mqtt.session.subscribing import subscribe, unsubscribe
from bridgehead.wire.errors import PeerError, Violation
from bridgehead.wire.outbox import Outbox

_KEPT_PACKETS: Final = 1000
_PINGRESP: Final = encode(Pingresp(), 4)


class Connection(Login):
    """What the rim does with it:

    - `receive(data)` for what came in.
    - when the Turn says so, send `outbox.take()`. When there is `attention`, look at `state`: AUTHENTICATING: prove
      `connect`'s identity and call `authenticated` or `refuse`, and read no more until then; CLOSED: close; else read
      no more while `is_congested()`. Whatever the state, when `is_asking()`, judge what the exchange holds.
    - `lost(because)` when the network connection ended; `handle_timeout()` at `next_timeout()`.
    """

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        config: MqttConfig,
        address: str,
        topics: dict[bytes, str] | None,
        methods: tuple[str, ...] = (),
    ) -> None:
        super().__init__(outbox, broker, config, address, methods)
        self._decoder: Final = Decoder(config.maximum_packet_size, topics)
        self.because = ""
        self.accepted_at: float = broker.clock.now  # the rim may put it back
        self._last_received: float = broker.clock.now
        self._pace: Pace | None = None
        self.throttled_until = 0.0
        self._dropped_told = 0
        self._reported = False

    @property
    def closed(self) -> bool:
        """Whether nothing more is said than what stands in the outbox."""
        return self.state == table.CLOSED

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take octets as they came. Whatever they are, nothing is raised."""
        fault: PeerError | None = None
        try:
            packets = self._decoder.feed(data)
        except PeerError as error:
            packets = self._decoder.packets
            fault = error
        self._counters.octets_received += len(data)
        self._counters.packets_received += len(packets)
        if packets:
            self._last_received = self._clock.now  # [MQTT-3.1.2-22] counts packets, not octets
        self._handle(packets, fault)
        fault = None  # its traceback knows this frame: no cycle
        if self.state != table.CONNECTED or self.is_congested():
            self.attention = True
            self.outbox.touch()

    def _handle(self, packets: list[Packet], fault: Exception | None) -> None:
        """Take the packets, then the fault that came behind them."""
        try:
            self._take_all(packets)
            if fault is not None:
                assert isinstance(fault, PeerError)
                self._fail(fault)
        except PeerError as error:
            self._fail(error)
        except ClosedByRefusal as refusal:
            self._close(codes.NOT_AUTHORIZED, refusal.because, True)

    def _take_all(self, packets: list[Packet]) -> None:
        if self._connack is not None:
            # The session is not kept yet: the CONNECT may still be rejected [MQTT-3.1.4-6].
            for packet in packets:
                self._take(packet, table.AUTHENTICATING)
            return
        publishes = 0
        for packet in packets:
            kind = packet.packet_type
            if self.state != table.CONNECTED:
                self._take(packet, self.state)
            elif kind == PUBLISH:
                assert isinstance(packet, Publish)
                intake = self._intake
                assert intake is not None
                intake.publish(packet)
                publishes += 1
            elif PUBACK <= kind <= PUBCOMP:  # as the table says: these and the above are nearly all of the traffic
                assert isinstance(packet, Acknowledgement)
                self._take_acknowledgement(kind, packet)
            else:
                self._take(packet, table.CONNECTED)
        if publishes and self._config.publish_rate > 0:
            if self._pace is None:
                self._pace = Pace(self._config, self._clock.now)
            self.throttled_until = self._pace.measure(publishes, self._clock.now)

    def _take_acknowledgement(self, kind: i64, packet: Acknowledgement) -> None:
        if kind == PUBACK:
            self.puback(packet)
        elif kind == PUBREC:
            ticket = self.pubrec(packet)
            if ticket > 0:
                self._acknowledgements.hold(ticket, ack(PUBREL, packet.packet_id), None, 0)
        elif kind == PUBREL:
            intake = self._intake
            assert intake is not None
            intake.pubrel(packet)
        else:
            self.pubcomp(packet)

    def _take(self, packet: Packet, state: int) -> None:
        action = table.TABLE[state][packet.packet_type]
        if action == table.IGNORE:
            return
        if action == table.BEGIN:
            assert isinstance(packet, Connect)
            self._begin(packet)
        elif action == table.KEEP:
            if self._kept is None:
                self._kept = []
            if len(self._kept) >= _KEPT_PACKETS:
                raise Violation("too many packets before CONNACK", codes.QUOTA_EXCEEDED)
            self._kept.append(packet)
        elif action == table.TAKE_AUTH:
            assert isinstance(packet, Auth)
            self._take_auth(packet)
        elif action == table.LEAVE:
            self._end("the client left before it was authenticated", False)
        elif action in table.FORBIDDEN:
            raise table.forbidden(action, packet.packet_type)
        else:
            self._act(action, packet)

    def _act(self, action: int, packet: Packet) -> None:
        intake = self._intake
        session = self.session
        assert intake is not None
        assert session is not None
        if table.TAKE_PUBACK <= action <= table.TAKE_PUBCOMP:
            assert isinstance(packet, Acknowledgement)
            self._take_acknowledgement(packet.packet_type, packet)
        elif action == table.TAKE_PUBLISH:
            assert isinstance(packet, Publish)
            intake.publish(packet)
        elif action == table.TAKE_SUBSCRIBE:
            assert isinstance(packet, Subscribe)
            granted, refused = subscribe(packet, session, self._broker.door, self.connect)
            self._answer(session, granted, refused)
            for request in packet.subscriptions:
                if request.topic_filter.startswith("$share/"):
                    self._dispatcher.reclaim_group(request.topic_filter)
            # Retained messages follow when the turn is over, however often it subscribes in one.
        elif action == table.TAKE_UNSUBSCRIBE:
            assert isinstance(packet, Unsubscribe)
            self._answer(session, unsubscribe(packet, session, self._broker.door, self.connect), None)
        elif action == table.ANSWER_PING:
            self.outbox.write(_PINGRESP)
        else:
            assert isinstance(packet, Disconnect)
            self._farewell(packet, session)

    def _answer(self, session: Session, granted: bytes, refused: bytes | None) -> None:
        """Acknowledge what must last after the commit."""
        ticket = self._broker.door.settled(session, self)
        held = self._acknowledgements
        if ticket or (held.steps_wait() if refused is None else held.answers_wait()):
            held.hold(ticket, granted, refused, 0)
        else:
            self.outbox.write(granted)

    def is_congested(self) -> bool:
        """Read no more for now: the client is to wait for us, or it asks and takes no answers. What it is sent
        unasked stops at the outbox's limit, so what lies above that are answers."""
        return self._is_held_back() or self.outbox.octets + self.outbox.backlog > 2 * self.outbox.limit

    def _is_held_back(self) -> bool:
        """Too much waits for the store, or the client is faster than it may be."""
        return (
            self._connack is not None
            or self._clock.now < self.throttled_until
            or len(self._acknowledgements) > self._config.receive_maximum
            or (len(self._acknowledgements) > 0 and self._broker.journal.is_behind())
        )

    # After a commit. --------------------------------------------------------------------------------

    def committed(self, ticket: int) -> None:
        if self.state == table.CLOSED:
            return
        connack = self._connack
        if connack is not None:
            session = self.session
            if connack.ticket <= ticket and session is not None:
                self._connack = None
                self.outbox.uncork(connack.granted)
                self._accepted(session)
            return
        self._send_held(self._acknowledgements.settle(ticket))
        self.pump()

    def not_committed(self, ticket: int, retry: int) -> None:
        if self.state == table.CLOSED:
            return
        connack = self._connack
        if connack is not None and connack.ticket <= ticket:
            assert connack.refused is not None
            self.outbox.discard()
            self.outbox.uncork(connack.refused)
            session = self.session
            self._end("the session could not be stored", False)
            if session is not None and self._began:
                # The client was told that there is no session: it must not find one next time.
                self._broker.sessions.end(session, "the session could not be stored")
            return
        self._send_held(self._acknowledgements.fail(ticket, retry))

    def _send_held(self, ready: list[Held]) -> None:
        intake = self._intake
        for held in ready:
            if intake is not None:
                intake.unacknowledged -= held.credit
            if not held.failed:
                self.outbox.write(held.granted)
            elif held.refused:
                self.outbox.write(held.refused)
            else:
                self._close(codes.QUOTA_EXCEEDED, "the hub cannot keep the message: its store is full", True)
                return

    # Ending. ----------------------------------------------------------------------------------------

    def _farewell(self, packet: Disconnect, session: Session) -> None:
        interval = packet.properties.session_expiry_interval
        if interval is not None:
            if interval > 0 and session.expiry_interval == 0:
                raise Violation(
                    "a Session Expiry Interval of 0 in CONNECT cannot be raised in DISCONNECT", codes.PROTOCOL_ERROR
                )  # section 3.14.2.2.2
            self._broker.sessions.set_expiry_interval(session, seconds(interval))
        if packet.reason_code == codes.NORMAL_DISCONNECTION:
            self._end("", False)  # [MQTT-3.14.4-3]
        else:
            self._end(f"the client disconnected with {codes.reason_name(packet.reason_code)}", True)

    def _fail(self, error: PeerError) -> None:
        """The client broke the protocol: tell it in its version's terms and close."""
        if self.state == table.CLOSED:
            return
        code = error.code or codes.MALFORMED_PACKET
        self._report(PEER_ERROR, str(error), code)
        if self.state == table.CONNECTED:
            self._close(code, str(error), True)
            return
        if self.state == table.JUDGING or self.state == table.CHALLENGED:
            self.refuse_with(code, str(error), True)
            return
        if self.connect is None:
            # A CONNECT that cannot be read: its version is answered as far as it is known.
            self._v5 = self._decoder.protocol_version == 5
            if self._decoder.protocol_version:
                if not codes.is_allowed(code, codes.CONNACK):
                    code = codes.PROTOCOL_ERROR
                if self._v5 or code == codes.UNSUPPORTED_PROTOCOL_VERSION or code == codes.CLIENT_IDENTIFIER_NOT_VALID:
                    self.outbox.write(refusing(self._v5, self.connect, code, str(error)))
        self._end(str(error), True)

    def _close(self, code: int, because: str, keep_will: bool) -> None:
        """End from our side, with DISCONNECT where the version has it."""
        if self.state == table.CLOSED:
            return
        if self._v5 and self.state == table.CONNECTED and self._connack is None:
            self.outbox.write(dismissing(self.connect, code, because))
        self._end(because, keep_will)

    def _end(self, because: str, keep_will: bool) -> None:
        if self.state == table.CLOSED:
            return
        was_connected = self.state == table.CONNECTED
        self.state = table.CLOSED
        self.because = because
        self.attention = True
        self.outbox.touch()
        if was_connected:
            self._counters.connections -= 1
            if not self._reported:
                self._report(DISCONNECTED, because, 0)
        session = self.session
        self.session = None
        if session is not None:
            self._broker.detach(session, self, keep_will)

    def _report(self, event: str, because: str, code: int) -> None:
        fields: dict[str, object] = {"client_id": self.client_id, "address": self.address, "because": because}
        if self.session is not None:
            fields["principal"] = self.session.principal.name
        if self.dropped:
            fields["dropped"] = self.dropped
        if code:
            fields["code"] = f"0x{code:02X}"
        self._broker.event(event, fields)
        self._reported = event == PEER_ERROR  # and no second line says how it ended

    def lost(self, because: str) -> None:
        """The network connection ended. Whatever is large is let go of now, not when the garbage collector comes."""
        self._end(because or "the network connection was closed", True)
        self._decoder.release()
        self.outbox.discard()
        self._intake = None
        self._kept = None
        self.connect = None
        self.exchange = None

    def dismiss(self, meaning: str, because: str) -> None:
        if self.state == table.CONNECTED:
            self._close(dismissal_code(meaning), because, True)
        elif meaning in (UNAVAILABLE, CLIENT_ID_INVALID):
            self.refuse(Refusal(meaning, because))

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        """When `handle_timeout` wants to be called next, in seconds since the epoch; NEVER for not at all."""
        if self.state == table.CONNECTED:
            when = NEVER
            if self.keep_alive > 0:
                # [MQTT-3.1.2-22]; a client that we did not read could not be heard.
                when = max(self._last_received, self.throttled_until) + self.keep_alive * 1.5
            if self.throttled_until > self._clock.now and self.throttled_until < when:
                when = self.throttled_until
            return min(when, self._right_ends_at())
        if self.state == table.CLOSED:
            return NEVER
        return self.accepted_at + self._config.connect_timeout

    def handle_timeout(self) -> None:
        now = self._clock.now
        if self.state == table.CONNECTED:
            if now >= self._right_ends_at():
                self._end_right(now)
            elif self._is_held_back():
                self._last_received = now
            elif self.keep_alive > 0 and now >= self._last_received + self.keep_alive * 1.5:
                self._close(codes.KEEP_ALIVE_TIMEOUT, "nothing came for one and a half times the Keep Alive", True)
        elif self.state != table.CLOSED and now >= self.accepted_at + self._config.connect_timeout:
            because = "no CONNECT in time" if self.connect is None else "the identity was not proven in time"
            self._broker.event(REFUSED, {"address": self.address, "because": because})
            self._end(because, True)

    def _drop_slow(self) -> None:
        super()._drop_slow()
        if self.dropped == self._dropped_told + 1:
            self._report(OUTBOX_FULL, "the client takes no more: QoS 0 to it is dropped", 0)

    def drained(self) -> None:
        """The kernel took what was waiting: there is room again."""
        if self.state != table.CONNECTED or self._connack is not None:
            return
        if self.dropped > self._dropped_told:
            self._report(OUTBOX_DRAINED, "the client has taken what was kept for it", 0)
            self._dropped_told = self.dropped
        if self.has_waiting():
            self.pump()
