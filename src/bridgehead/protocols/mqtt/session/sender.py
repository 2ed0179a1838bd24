"""The sending half of a connection: PUBLISH to the client, its acknowledgements, Receive Maximum, aliases."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from bridgehead.broker.counters import Counters
from bridgehead.broker.dispatch import Dispatcher
from bridgehead.core.clock import Clock
from bridgehead.core.message import Message
from bridgehead.core.session import (
    DISCARDED,
    NO_CREDIT,
    RELEASED,
    TAKEN,
    Delivery,
    Receiver,
    Session,
    Target,
)
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import OCTETS, PublishForm, ack, encode
from bridgehead.protocols.mqtt.codec.packets import Acknowledgement, Pubrel
from bridgehead.protocols.mqtt.codec.reason_codes import PUBREL
from bridgehead.protocols.mqtt.mapping import MqttMessage, form
from bridgehead.wire.outbox import Outbox

_IDENTIFIERS: Final = 65535
_REPLAY_STEPS: Final = 1000  # looked at before others have their turn: less than a millisecond
_WITHOUT_LIMIT: Final = 268435460  # no packet is larger (section 2.1.4)


def packet_identifier(sequence: int) -> int:
    """The Packet Identifier of a delivery follows from its number in the session, so it survives a crash
    without being written (docs/adr/0003)."""
    return (sequence - 1) % _IDENTIFIERS + 1


class Sender(Receiver):
    """What the client may be sent is decided before it comes here; how, is decided here."""

    def __init__(self, outbox: Outbox, dispatcher: Dispatcher, clock: Clock, counters: Counters) -> None:
        self.outbox: Final = outbox
        self._dispatcher: Final = dispatcher
        self._clock: Final = clock
        self._counters: Final = counters
        self.session: Session | None = None
        self._v5 = False
        self._passes: i64 = 3
        self._quota: i64 = _IDENTIFIERS
        self._maximum_packet_size: i64 = _WITHOUT_LIMIT
        self._aliases: dict[str, int] | None = None
        self._alias_maximum = 0
        self.dropped = 0
        self._oldest: i64 = 0

    def begin(
        self,
        session: Session,
        v5: bool,
        receive_maximum: int,
        maximum_packet_size: int,
        topic_alias_maximum: int,
    ) -> None:
        """The client's CONNECT was accepted. `maximum_packet_size` 0: without limit."""
        self.session = session
        self._v5 = v5
        self._passes = 5 if v5 else 3
        self._quota = receive_maximum
        if maximum_packet_size:
            self._maximum_packet_size = maximum_packet_size
        if topic_alias_maximum:
            self._aliases = {}
            self._alias_maximum = topic_alias_maximum
            self._passes = 0

    # At most once. ----------------------------------------------------------------------------------

    def transmit(self, message: Message, target: Target) -> None:
        outbox = self.outbox
        if outbox.octets + outbox.backlog > outbox.limit:
            self._drop_slow()
            return
        if isinstance(message, MqttMessage) and message.passes == self._passes and not target.identifiers:
            frame = message.frame
            if len(frame) <= self._maximum_packet_size:
                outbox.write(frame)
                self._counters.messages_sent += 1
                return
        self._transmit(message, message.retain and target.retain_as_published, target.identifiers)

    def _drop_slow(self) -> None:
        self.dropped += 1
        self._counters.dropped_slow += 1

    def _transmit(self, message: Message, retain: bool, identifiers: tuple[int, ...]) -> None:
        alias = self._alias(message.topic)
        made = form(message, self._v5, 0, retain, identifiers, alias, self._clock.now)
        if len(made.head) + len(made.tail) > self._maximum_packet_size:
            self._counters.dropped_too_large += 1  # [MQTT-3.1.2-25]
            return
        self.outbox.write(made.head)
        if made.tail:
            self.outbox.write(made.tail)
        self._alias_sent(message.topic, alias)
        self._counters.messages_sent += 1

    def _alias(self, topic: str) -> int:
        """0: no alias. Above 0: a new one, to be told with the topic. Below: told before."""
        aliases = self._aliases
        if aliases is None:
            return 0
        known = aliases.get(topic)
        if known is not None:
            return -known
        if len(aliases) < self._alias_maximum:
            return len(aliases) + 1
        return 0

    def _alias_sent(self, topic: str, alias: int) -> None:
        if alias > 0 and self._aliases is not None:
            self._aliases[topic] = alias

    # At least and exactly once. ---------------------------------------------------------------------

    def offer(self, delivery: Delivery) -> int:
        session = self.session
        if session is None or self._quota <= 0 or self.outbox.is_full():
            return NO_CREDIT
        if not self._is_free(delivery.sequence, session) or not self._dispatcher.may_fly(session):
            return NO_CREDIT
        return TAKEN if self._send(delivery) else DISCARDED

    def _is_free(self, sequence: i64, session: Session) -> bool:
        """Whether no delivery in flight has the same Packet Identifier [MQTT-2.2.1-4]. `_oldest` is at most the
        oldest of them, so that this is nearly always one comparison."""
        if sequence - self._oldest < _IDENTIFIERS:
            return True
        self._oldest = min(session.in_flight, default=sequence)
        return sequence - self._oldest < _IDENTIFIERS

    def _send(self, delivery: Delivery) -> bool:
        """False when the client would not take a packet of this size [MQTT-3.1.2-24]."""
        message = delivery.message
        made: PublishForm | None = None
        alias = 0
        # As it came in, nearly always, and then without asking any further; `_passes` is 0 where there are aliases.
        if isinstance(message, MqttMessage) and message.grammar == self._passes and not delivery.identifiers:
            made = message.cut_for(delivery.qos, delivery.retain)
        if made is None:
            alias = self._alias(message.topic)
            made = form(message, self._v5, delivery.qos, delivery.retain, delivery.identifiers, alias, self._clock.now)
        head = made.head
        tail = made.tail
        if len(head) + len(tail) + 2 > self._maximum_packet_size:
            self._counters.dropped_too_large += 1
            return False
        if delivery.again:
            head = bytes([head[0] | 0x08]) + head[1:]  # [MQTT-3.3.1-1]
        number: i64 = delivery.sequence
        identifier: i64 = (number - 1) % _IDENTIFIERS + 1
        self.outbox.write_parts(head, OCTETS[identifier >> 8] + OCTETS[identifier & 0xFF], tail)
        if alias > 0:
            self._alias_sent(message.topic, alias)
        self._quota -= 1
        self._counters.messages_sent += 1
        return True

    def pump(self) -> None:
        """Send what waits, as far as the client's Receive Maximum and the outbox permit."""
        session = self.session
        if session is None:
            return
        dispatcher = self._dispatcher
        session.replay_steps = _REPLAY_STEPS
        while True:
            while session.queue and self._quota > 0 and not self.outbox.is_full():
                if not self._is_free(session.queue[0].sequence, session) or not dispatcher.may_fly(session):
                    return
                delivery = dispatcher.next_delivery(session)
                if delivery is None:
                    break
                if delivery.state == RELEASED:
                    self._quota -= 1
                    self.outbox.write(ack(PUBREL, packet_identifier(delivery.sequence)))
                elif not self._send(delivery):
                    dispatcher.acknowledged(session, delivery.sequence)
            if session.replay is None or self._quota <= 0 or self.outbox.is_full():
                return
            if not self._is_free(session.next_sequence, session) or not dispatcher.may_fly(session):
                return
            delivery = dispatcher.next_replay(session)
            if delivery is None:
                if session.replay_steps <= 0:
                    self.outbox.touch()  # goes on when the turn is over
                return
            if delivery.qos == 0:
                self._transmit(delivery.message, True, delivery.identifiers)
            elif not self._send(delivery):
                dispatcher.acknowledged(session, delivery.sequence)

    def resume(self) -> None:
        """A session with deliveries in flight is connected again: PUBREL for those that the client has
        ([MQTT-4.4.0-1], [MQTT-4.6.0-4]); the others come by `pump`, in their order."""
        session = self.session
        assert session is not None
        for delivery in session.in_flight.values():
            if delivery.state == RELEASED:
                self._quota -= 1
                self.outbox.write(ack(PUBREL, packet_identifier(delivery.sequence)))

    def _find(self, packet_id: i64) -> Delivery | None:
        session = self.session
        if session is None:
            return None
        last: i64 = session.next_sequence - 1
        sequence: i64 = last - (last - packet_id) % _IDENTIFIERS
        found = session.in_flight.get(sequence)
        if found is not None:
            return found
        oldest: i64 = last - 2 * _IDENTIFIERS - session.waiting()  # nothing in flight is older than that
        sequence -= _IDENTIFIERS
        while sequence > oldest and sequence > 0:
            found = session.in_flight.get(sequence)
            if found is not None:
                return found
            sequence -= _IDENTIFIERS
        return None

    def puback(self, packet: Acknowledgement) -> None:
        delivery = self._find(packet.packet_id)
        if delivery is None or delivery.qos != 1:
            return  # an acknowledgement that nothing waits for harms nobody
        self._complete(delivery)

    def pubrec(self, packet: Acknowledgement) -> int:
        """Returns the ticket to wait for before PUBREL is sent, -1 when it has nothing to wait for or has been
        sent already."""
        delivery = self._find(packet.packet_id)
        if delivery is None or delivery.qos != 2:
            if packet.reason_code < codes.UNSPECIFIED_ERROR:
                self.outbox.write(self.pubrel(packet.packet_id, codes.PACKET_IDENTIFIER_NOT_FOUND))
            return -1
        if packet.reason_code >= codes.UNSPECIFIED_ERROR:
            self._complete(delivery)  # [MQTT-4.3.3-5]: the client refuses it, and it is over
            return -1
        session = self.session
        assert session is not None
        ticket = self._dispatcher.released(session, delivery, self)
        if ticket > 0:
            return ticket
        self.outbox.write(ack(PUBREL, packet.packet_id))
        return -1

    def pubrel(self, packet_id: int, reason_code: int) -> bytes:
        if reason_code == 0 or not self._v5:
            return ack(PUBREL, packet_id)
        return encode(Pubrel(packet_id, reason_code), 5)

    def pubcomp(self, packet: Acknowledgement) -> None:
        delivery = self._find(packet.packet_id)
        if delivery is None or delivery.state != RELEASED:
            return
        self._complete(delivery)

    def _complete(self, delivery: Delivery) -> None:
        session = self.session
        assert session is not None
        self._dispatcher.acknowledged(session, delivery.sequence)
        self._quota += 1
        if session.queue or session.replay is not None:
            self.pump()

    def has_waiting(self) -> bool:
        """Whether room in the outbox would be used."""
        session = self.session
        return session is not None and (bool(session.queue) or session.replay is not None)
