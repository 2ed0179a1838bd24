"""The receiving half of a connection: PUBLISH from the client and its acknowledgements, Topic Aliases."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.door import NOBODY, Door
from bridgehead.core.clock import Clock
from bridgehead.core.errors import STORE_UNAVAILABLE, Refusal
from bridgehead.core.session import Receiver, Session
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import Acknowledgement, Connect, Puback, Pubcomp, Publish, Pubrec
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.mapping import REASON_CODES, message_from_publish
from bridgehead.protocols.mqtt.session.acknowledgements import Acknowledgements
from bridgehead.protocols.mqtt.session.greeting import client_packet_size, reason, tells_why
from bridgehead.wire.errors import Violation
from bridgehead.wire.outbox import Outbox

_STORE_SAYS: Final = "the hub cannot keep the message now: its store is full or out of order"


class ClosedByRefusal(Exception):
    """An MQTT 3 client cannot be told, and the listener's owner wants the connection closed."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because: Final = because


class Intake:
    """Takes what the client publishes to the door and answers for the door.

    `unacknowledged` counts QoS 1 messages whose PUBACK waits for a commit.
    """

    def __init__(
        self,
        session: Session,
        receiver: Receiver,
        outbox: Outbox,
        acknowledgements: Acknowledgements,
        door: Door,
        clock: Clock,
        config: MqttConfig,
        connect: Connect,
    ) -> None:
        self._session: Final = session  # its view of the identity changes with a re-authentication
        self._receiver: Final = receiver
        self._outbox: Final = outbox
        self._acknowledgements: Final = acknowledgements
        self._door: Final = door
        self._clock: Final = clock
        self._config: Final = config
        self._v5: Final[bool] = connect.protocol_version == 5
        self._tells_why: Final[bool] = tells_why(connect)
        self._maximum_packet_size: Final[int] = client_packet_size(connect)
        self._aliases: dict[int, str] | None = None
        self.unacknowledged = 0

    def publish(self, packet: Publish) -> None:
        """Raises PeerError for what the protocol forbids, ClosedByRefusal."""
        topic = packet.topic
        if packet.has_properties:
            topic = self._resolve(packet)
        message = message_from_publish(packet, topic, self._session.origin, self._clock.now)
        if packet.qos == 0:
            try:
                self._door.publish(self._session.principal, message, None)
            except Refusal as refusal:
                self._not_acknowledged(refusal)
            return
        packet_id = packet.packet_id
        if packet.qos == 1:
            self._count(packet_id)
            try:
                ticket = self._door.publish(self._session.principal, message, self._receiver)
            except Refusal as refusal:
                self._acknowledge(0, self._refused(PUBACK, packet_id, refusal), b"", 0)
                return
            granted = self._granted(PUBACK, packet_id, ticket)
            if ticket <= 0 and not self._acknowledgements.answers_wait():
                self._outbox.write(granted)
            else:
                self._acknowledge(max(ticket, 0), granted, self._store_refuses(PUBACK, packet_id), 1)
            return
        session = self._session
        if self._v5 and (session.received is None or packet_id not in session.received):
            self._count(packet_id)
        try:
            ticket = self._door.publish_once(session, message, packet_id, self._receiver)
        except Refusal as refusal:
            self._acknowledge(0, self._refused(PUBREC, packet_id, refusal), b"", 0)
            if not self._v5:
                # MQTT 3 goes on with the exchange as if it had been accepted: its PUBREL is awaited.
                if session.received is None:
                    session.received = {}
                session.received[packet_id] = 0
            return
        granted = self._granted(PUBREC, packet_id, ticket)
        if ticket <= 0 and not self._acknowledgements.answers_wait():
            self._outbox.write(granted)
        else:
            self._acknowledge(max(ticket, 0), granted, self._store_refuses(PUBREC, packet_id), 0)

    def pubrel(self, packet: Acknowledgement) -> None:
        packet_id = packet.packet_id
        ticket = self._door.release(self._session, packet_id, self._receiver)
        answer = ack(PUBCOMP, packet_id)
        if ticket < 0:
            # Behind the steps that wait: it may have been released a moment ago, and that must last before the
            # client hears that the identifier is free, else a crash makes its next message look like a duplicate.
            ticket = 0
            if self._v5:
                answer = encode(Pubcomp(packet_id, codes.PACKET_IDENTIFIER_NOT_FOUND), 5)
        if ticket == 0 and not self._acknowledgements.steps_wait():
            self._outbox.write(answer)
        else:
            self._acknowledgements.hold(ticket, answer, None, 0)

    def _resolve(self, packet: Publish) -> str:
        properties = packet.properties
        if properties.subscription_identifiers:
            raise Violation("a client must not send a Subscription Identifier in PUBLISH", codes.PROTOCOL_ERROR)
        alias = properties.topic_alias
        if alias is None:
            return packet.topic
        if alias > self._config.topic_alias_maximum:
            raise Violation(
                f"Topic Alias {alias} is above the Topic Alias Maximum {self._config.topic_alias_maximum}",
                codes.TOPIC_ALIAS_INVALID,
            )  # [MQTT-3.3.2-9]
        if self._aliases is None:
            self._aliases = {}
        if packet.topic:
            self._aliases[alias] = packet.topic
            return packet.topic
        known = self._aliases.get(alias)
        if known is None:
            raise Violation(f"Topic Alias {alias} was not set in this connection", codes.PROTOCOL_ERROR)
        return known

    def _count(self, packet_id: int) -> None:
        """[MQTT-3.3.4-9]: more than our Receive Maximum unacknowledged is a Protocol Error."""
        if not self._v5:
            return
        received = self._session.received
        held = self.unacknowledged + (0 if received is None else len(received))
        if held >= self._config.receive_maximum:
            raise Violation(
                f"more than the Receive Maximum of {self._config.receive_maximum} messages are unacknowledged",
                codes.RECEIVE_MAXIMUM_EXCEEDED,
            )

    def _acknowledge(self, ticket: int, granted: bytes, refused: bytes, credit: int) -> None:
        if ticket == 0 and not self._acknowledgements.answers_wait():
            self._outbox.write(granted)
            return
        self.unacknowledged += credit
        self._acknowledgements.hold(ticket, granted, refused, credit)

    def _granted(self, packet_type: int, packet_id: int, ticket: int) -> bytes:
        if ticket == NOBODY and self._v5:
            return bytes([packet_type << 4, 3, packet_id >> 8, packet_id & 0xFF, codes.NO_MATCHING_SUBSCRIBERS])
        return ack(packet_type, packet_id)

    def _refused(self, packet_type: int, packet_id: int, refusal: Refusal) -> bytes:
        if not self._v5:
            if self._config.denied_publish_v3 == "close":
                raise ClosedByRefusal(refusal.because)
            return ack(packet_type, packet_id)  # [MQTT3-3.3.5-2]
        code = REASON_CODES[refusal.meaning]
        if code == codes.PACKET_TOO_LARGE:
            code = codes.QUOTA_EXCEEDED  # section 2.4: "an administrative imposed limit has been exceeded"
        if not codes.is_allowed(code, packet_type):
            code = codes.UNSPECIFIED_ERROR
        return self._answer(packet_type, packet_id, code, refusal.because)

    def _store_refuses(self, packet_type: int, packet_id: int) -> bytes:
        if not self._v5:
            return b""
        return self._answer(packet_type, packet_id, REASON_CODES[STORE_UNAVAILABLE], _STORE_SAYS)

    def _answer(self, packet_type: int, packet_id: int, code: int, because: str) -> bytes:
        properties = reason(because) if self._tells_why else NO_PROPERTIES
        made = self._encode(packet_type, packet_id, code, properties)
        if self._maximum_packet_size and len(made) > self._maximum_packet_size:
            made = self._encode(packet_type, packet_id, code, NO_PROPERTIES)  # [MQTT-3.4.2-2]
        return made

    def _encode(self, packet_type: int, packet_id: int, code: int, properties: Properties) -> bytes:
        if packet_type == PUBACK:
            return encode(Puback(packet_id, code, properties), 5)
        return encode(Pubrec(packet_id, code, properties), 5)

    def _not_acknowledged(self, refusal: Refusal) -> None:
        """QoS 0 has no answer; the log has it."""
        if not self._v5 and self._config.denied_publish_v3 == "close":
            raise ClosedByRefusal(refusal.because)
