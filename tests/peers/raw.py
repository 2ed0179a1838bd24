"""A client of any version over a blocking socket, packet by packet or octet by octet; it may break every rule."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import Final

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
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
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, PUBREL

_LARGEST: Final = 268_435_455


class Raw:
    """`sock` is connected and has a time-out. What comes is decoded as what a server of `version` sends."""

    def __init__(self, sock: socket.socket, version: int = 5) -> None:
        self.sock: Final = sock
        self.began: Final = datetime.now(UTC)
        self.version: Final = version
        self._decoder: Final = Decoder(_LARGEST, None, from_server=True)
        self._decoder.protocol_version = version
        self._received: list[Packet] = []
        self._identifier = 0

    # Octets and packets. ----------------------------------------------------------------------------

    def send_octets(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def send(self, *packets: Packet) -> None:
        self.sock.sendall(b"".join([encode(packet, self.version) for packet in packets]))

    def receive(self) -> Packet:
        """The next packet. ConnectionError when the hub has closed."""
        while not self._received:
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionResetError("the hub closed the connection")
            self._received += self._decoder.feed(data)
        return self._received.pop(0)

    def rest(self) -> list[Packet]:
        """All packets up to the hub's end of the connection. TimeoutError when it does not end it."""
        found: list[Packet] = []
        try:
            while True:
                found.append(self.receive())
        except (ConnectionError, ssl.SSLEOFError):
            return found

    def close(self) -> None:
        self.sock.close()

    # Whole acts. ------------------------------------------------------------------------------------

    def hello(
        self,
        client_id: str,
        name: str | None = None,
        password: str | None = None,
        *,
        clean_start: bool = True,
        expiry: int = 0,
        keep_alive: int = 0,
        will: Will | None = None,
        properties: Properties | None = None,
    ) -> Connect:
        """A CONNECT. `expiry` above 0 sets the Session Expiry Interval of 5.0."""
        if properties is None:
            properties = Properties(session_expiry_interval=expiry) if expiry and self.version == 5 else NO_PROPERTIES
        secret = None if password is None else password.encode()
        return Connect(self.version, clean_start, keep_alive, client_id, will, name, secret, properties)

    def connect(
        self,
        client_id: str,
        name: str | None = None,
        password: str | None = None,
        *,
        clean_start: bool = True,
        expiry: int = 0,
        will: Will | None = None,
        properties: Properties | None = None,
    ) -> Connack:
        self.send(
            self.hello(
                client_id, name, password, clean_start=clean_start, expiry=expiry, will=will, properties=properties
            )
        )
        answer = self.receive()
        assert isinstance(answer, Connack), answer
        return answer

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> int:
        """The Reason Code of PUBACK or PUBREC (QoS 2 is completed), 0 for QoS 0."""
        identifier = self.next_identifier() if qos else 0
        self.send(Publish(topic, payload, qos, retain, False, identifier, NO_PROPERTIES))
        if qos == 0:
            return 0
        code = self._acknowledgement(PUBACK if qos == 1 else PUBREC)
        if qos == 2 and code < 0x80:
            self.send_octets(ack(PUBREL, identifier))
            self._acknowledgement(PUBCOMP)
        return code

    def _next(self) -> Packet:
        """The next packet but for PUBREL, which is answered: others may come before it."""
        while True:
            packet = self.receive()
            if not isinstance(packet, Acknowledgement) or packet.packet_type != PUBREL:
                return packet
            self.send_octets(ack(PUBCOMP, packet.packet_id))

    def _acknowledgement(self, packet_type: int) -> int:
        answer = self._next()
        assert isinstance(answer, Acknowledgement), answer
        assert answer.packet_type == packet_type
        return int(answer.reason_code)

    def subscribe(self, topic_filter: str, qos: int = 0) -> int:
        """The Reason Code."""
        self.send(Subscribe(self.next_identifier(), [SubscriptionRequest(topic_filter, qos)], NO_PROPERTIES))
        answer = self._next()
        assert isinstance(answer, Suback), answer
        return answer.reason_codes[0]

    def message(self) -> Publish:
        """The next packet, which is a PUBLISH; it is acknowledged. At QoS 2, whatever is called next completes it."""
        packet = self._next()
        assert isinstance(packet, Publish), packet
        if packet.qos == 1:
            self.send_octets(ack(PUBACK, packet.packet_id))
        elif packet.qos == 2:
            self.send_octets(ack(PUBREC, packet.packet_id))
        return packet

    def ping(self) -> None:
        """Everything that was sent before is done when this returns."""
        self.send(Pingreq())
        answer = self._next()
        assert isinstance(answer, Pingresp), answer

    def disconnect(self) -> None:
        self.send(Disconnect(0, NO_PROPERTIES))
        self.close()

    def next_identifier(self) -> int:
        self._identifier = self._identifier % 65535 + 1
        return self._identifier
