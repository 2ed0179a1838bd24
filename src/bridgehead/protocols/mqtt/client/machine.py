"""The client's side of MQTT as a pure machine: octets and time in; events, octets and the next deadline out.

One network connection, one machine. It keeps nothing for a later connection: what a persistent session needs
beyond that (messages in flight across a reconnect) the server has, and sends again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.client.errors import Refused, packet_name
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    CONTINUE_AUTHENTICATION,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    QOS_NOT_SUPPORTED,
    RETAIN_NOT_SUPPORTED,
    SUBACK,
    UNSUBACK,
)
from bridgehead.wire.errors import Violation

# What one outgoing flow waits for; over is no state of its own, the flow is forgotten then.
AWAITING_PUBACK: Final = "awaiting PUBACK"
AWAITING_PUBREC: Final = "awaiting PUBREC"
AWAITING_PUBCOMP: Final = "awaiting PUBCOMP"
AWAITING_SUBACK: Final = "awaiting SUBACK"
AWAITING_UNSUBACK: Final = "awaiting UNSUBACK"
OVER: Final = ""

# (state, packet type) -> next state. Any other pair is the server's fault.
FLOWS: Final[dict[tuple[str, int], str]] = {
    (AWAITING_PUBACK, PUBACK): OVER,
    (AWAITING_PUBREC, PUBREC): AWAITING_PUBCOMP,  # OVER with a Reason Code of 0x80 or more [MQTT-4.3.3-4]
    (AWAITING_PUBCOMP, PUBREC): AWAITING_PUBCOMP,  # sent again: answered again
    (AWAITING_PUBCOMP, PUBCOMP): OVER,
    (AWAITING_SUBACK, SUBACK): OVER,
    (AWAITING_UNSUBACK, UNSUBACK): OVER,
}

LARGEST_PACKET_IDENTIFIER: Final = 65_535
PROTOCOL_LIMIT: Final = 268_435_460  # fixed header of 5 octets and the largest Remaining Length


class Connected:
    """The server accepted; `connack` has its limits."""

    def __init__(self, connack: Connack) -> None:
        self.connack = connack


class Arrived:
    """A message. It stays unacknowledged until `accept`."""

    def __init__(self, publish: Publish) -> None:
        self.publish = publish


class FlowEnded:
    """The last acknowledgement of a PUBLISH, SUBSCRIBE or UNSUBSCRIBE came."""

    def __init__(self, packet_id: int, packet: Packet) -> None:
        self.packet_id = packet_id
        self.packet = packet


class Disconnected:
    """The server ended the connection and said why."""

    def __init__(self, packet: Disconnect) -> None:
        self.packet = packet


Event = Connected | Arrived | FlowEnded | Disconnected


class Speaks(Protocol):
    """One exchange of enhanced authentication (security.sasl.client). Errors of the last two: PeerError."""

    name: str

    def start(self) -> bytes: ...

    def respond(self, challenge: bytes) -> bytes: ...

    def finish(self, data: bytes | None) -> None: ...


class ClientMachine:
    """Drives one connection. Times are seconds of any clock that never goes back."""

    def __init__(self, connect: Connect, largest_packet: int = PROTOCOL_LIMIT, speaks: Speaks | None = None) -> None:
        """`speaks` answers the server's AUTH; CONNECT has the Authentication Method and what it said first."""
        self._speaks: Final = speaks
        self.connect = connect
        self.version = connect.protocol_version
        self.connected = False
        self.ended = False
        self.quota = 0  # PUBLISH packets of QoS 1 and 2 that may still go out (MQTT 5.0 4.9)
        self.maximum_qos = 2
        self.retain_available = True
        self.maximum_packet_size = PROTOCOL_LIMIT
        self.keep_alive = connect.keep_alive
        self._decoder = Decoder(largest_packet, None, from_server=True)
        self._decoder.protocol_version = self.version
        self._flows: dict[int, str] = {}
        self._last_packet_id = 0
        self._incoming: set[int] = set()  # Packet Identifiers of QoS 2 messages that were not released yet
        self._output: list[bytes] = [encode(connect, self.version)]
        self.unsent = 0  # octets of messages that `to_send` has not given out yet
        self._last_sent = 0.0
        self._ping_sent: float | None = None

    # -- octets in -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What the server's octets mean. Raises PeerError; the events before the fault are lost with it."""
        events: list[Event] = []
        for packet in self._decoder.feed(data):
            event = self._handle(packet, now)
            if event is not None:
                events.append(event)
        return events

    def _handle(self, packet: Packet, now: float) -> Event | None:
        if not self.connected:
            if isinstance(packet, Connack):
                return self._accepted(packet)
            if isinstance(packet, Auth):
                self._answer(packet)
                return None
            raise Violation(f"{packet_name(packet.packet_type)} came before CONNACK", PROTOCOL_ERROR)  # [MQTT-3.2.0-1]
        if isinstance(packet, Publish):
            return self._arrived(packet)
        if isinstance(packet, Acknowledgement):
            if packet.packet_type == PUBREL:
                # [MQTT-4.3.3-11]: answered even when the identifier is unknown, as after a lost session.
                self._incoming.discard(packet.packet_id)
                self._output.append(ack(PUBCOMP, packet.packet_id))
                return None
            return self._flow(packet.packet_id, packet, packet.reason_code)
        if isinstance(packet, (Suback, Unsuback)):
            return self._flow(packet.packet_id, packet, 0)
        if isinstance(packet, Pingresp):
            self._ping_sent = None
            return None
        if isinstance(packet, Disconnect):
            self.ended = True
            return Disconnected(packet)
        raise Violation(f"{packet_name(packet.packet_type)} has no place here", PROTOCOL_ERROR)

    def _answer(self, packet: Auth) -> None:
        """A challenge of the server, before CONNACK [MQTT-4.12.0-3]."""
        speaks = self._speaks
        if speaks is None:
            raise Violation("AUTH came and no Authentication Method was asked for", PROTOCOL_ERROR)  # [MQTT-4.12.0-6]
        properties = packet.properties
        if packet.reason_code != CONTINUE_AUTHENTICATION or properties.authentication_method != speaks.name:
            raise Violation("AUTH is not of the authentication under way", PROTOCOL_ERROR)  # [MQTT-4.12.0-5]
        data = speaks.respond(properties.authentication_data or b"")
        answer = Properties(authentication_method=speaks.name, authentication_data=data)
        self._output.append(encode(Auth(CONTINUE_AUTHENTICATION, answer), self.version))

    def _accepted(self, connack: Connack) -> Connected:
        properties = connack.properties
        if connack.reason_code == 0 and self._speaks is not None:
            if properties.authentication_method != self._speaks.name:
                raise Violation("CONNACK is not of the authentication under way", PROTOCOL_ERROR)  # [MQTT-4.12.0-5]
            self._speaks.finish(properties.authentication_data)
        self.connected = connack.reason_code == 0
        self.ended = not self.connected
        self.quota = LARGEST_PACKET_IDENTIFIER if properties.receive_maximum is None else properties.receive_maximum
        if properties.maximum_qos is not None:
            self.maximum_qos = properties.maximum_qos
        self.retain_available = properties.retain_available != 0
        if properties.maximum_packet_size is not None:
            self.maximum_packet_size = properties.maximum_packet_size
        if properties.server_keep_alive is not None:
            self.keep_alive = properties.server_keep_alive  # [MQTT-3.1.2-21]
        return Connected(connack)

    def _arrived(self, publish: Publish) -> Arrived | None:
        if publish.properties.topic_alias is not None:
            raise Violation("a Topic Alias came although none was permitted", PROTOCOL_ERROR)  # [MQTT-3.1.2-27]
        if publish.qos == 2:
            if publish.packet_id in self._incoming:
                return None  # sent again before it was released: delivered once [MQTT-4.3.3-10]
            self._incoming.add(publish.packet_id)
        return Arrived(publish)

    def _flow(self, packet_id: int, packet: Packet, reason_code: int) -> FlowEnded | None:
        state = self._flows.get(packet_id, OVER)
        following = FLOWS.get((state, packet.packet_type))
        if following is None:
            raise Violation(
                f"{packet_name(packet.packet_type)} came for {packet_id}, which is {state or 'not in use'}",
                PROTOCOL_ERROR,
            )
        if following == AWAITING_PUBCOMP and reason_code < 0x80:
            self._flows[packet_id] = following
            self._output.append(ack(PUBREL, packet_id))
            return None
        del self._flows[packet_id]
        if packet.packet_type not in (SUBACK, UNSUBACK):
            self.quota += 1
        return FlowEnded(packet_id, packet)

    # -- what the application wants ------------------------------------------------------------------------------------

    def publish(
        self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, properties: Properties = NO_PROPERTIES
    ) -> int:
        """Send a message; its Packet Identifier, 0 at QoS 0. At QoS 1 and 2 `quota` must be above 0.

        Raises Refused when the server said in CONNACK that it does not take such a message.
        """
        self._must_be_connected()
        if qos > self.maximum_qos:  # [MQTT-3.2.2-11]
            raise Refused(f"the server takes messages up to QoS {self.maximum_qos}", QOS_NOT_SUPPORTED)
        if retain and not self.retain_available:  # [MQTT-3.2.2-14]
            raise Refused("the server keeps no retained messages", RETAIN_NOT_SUPPORTED)
        if qos and self.quota <= 0:
            raise LocalMisuse("published past the server's Receive Maximum")
        packet_id = self._free_packet_id() if qos else 0
        frame = encode(Publish(topic, payload, qos, retain, False, packet_id, properties), self.version)
        if len(frame) > self.maximum_packet_size:  # [MQTT-3.2.2-15]
            limit = self.maximum_packet_size
            raise Refused(f"the message needs {len(frame)} octets and the server takes {limit}", PACKET_TOO_LARGE)
        if qos:
            self.quota -= 1
            self._flows[packet_id] = AWAITING_PUBACK if qos == 1 else AWAITING_PUBREC
        self._output.append(frame)
        self.unsent += len(frame)
        return packet_id

    def accept(self, publish: Publish) -> None:
        """The application has taken this message: acknowledge it."""
        if publish.qos == 1:
            self._output.append(ack(PUBACK, publish.packet_id))
        elif publish.qos == 2:
            self._output.append(ack(PUBREC, publish.packet_id))

    def subscribe(self, subscriptions: Iterable[SubscriptionRequest], properties: Properties = NO_PROPERTIES) -> int:
        """Ask for subscriptions; the Packet Identifier."""
        self._must_be_connected()
        packet_id = self._free_packet_id()
        self._flows[packet_id] = AWAITING_SUBACK
        self._output.append(encode(Subscribe(packet_id, list(subscriptions), properties), self.version))
        return packet_id

    def unsubscribe(self, topic_filters: Iterable[str]) -> int:
        """End subscriptions; the Packet Identifier."""
        self._must_be_connected()
        packet_id = self._free_packet_id()
        self._flows[packet_id] = AWAITING_UNSUBACK
        self._output.append(encode(Unsubscribe(packet_id, list(topic_filters), NO_PROPERTIES), self.version))
        return packet_id

    def disconnect(self, reason_code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        """Say goodbye, or, with a code of 0x80 and more, why the connection ends."""
        if not self.ended and (self.connected or self.version == 5):
            self._output.append(encode(Disconnect(reason_code, properties), self.version))
        self.ended = True

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
        """When `handle_timeout` wants to be called; None without a keep alive."""
        if not self.connected or self.ended or self.keep_alive == 0:
            return None
        if self._ping_sent is not None:
            return self._ping_sent + self.keep_alive
        return self._last_sent + self.keep_alive * 0.75  # sooner than need be: the way to the server takes time too

    def handle_timeout(self, now: float) -> bool:
        """Ping, or give up: False when the server has not answered the last PINGREQ for a whole keep alive."""
        deadline = self.next_timeout()
        if deadline is None or now < deadline:
            return True
        if self._ping_sent is not None:
            return False
        self._ping_sent = now
        self._output.append(encode(Pingreq(), self.version))
        return True

    def _free_packet_id(self) -> int:
        """The next Packet Identifier that no flow uses [MQTT-2.2.1-3]."""
        if len(self._flows) >= LARGEST_PACKET_IDENTIFIER:
            raise LocalMisuse("all Packet Identifiers are in use")
        packet_id = self._last_packet_id
        while True:
            packet_id = packet_id % LARGEST_PACKET_IDENTIFIER + 1
            if packet_id not in self._flows:
                self._last_packet_id = packet_id
                return packet_id

    def _must_be_connected(self) -> None:
        if not self.connected or self.ended:
            raise LocalMisuse("there is no connection")
