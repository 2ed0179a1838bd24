"""A client that keeps its half of the promise: what is not acknowledged is sent again, QoS 2 is completed.

Its session state (MQTT 5.0 section 4.1, client's side) lives as long as the object, through any number of connections.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import ack, encode
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import PUBACK, PUBCOMP, PUBREC, PUBREL

PATIENCE: Final = 30.0
WINDOW: Final = 20  # messages on their way at a time
EXPIRY: Final = 3600
OnMessage = Callable[[Publish], None]


class Outgoing:
    """A message that the hub has not acknowledged wholly. `released`: PUBREC came, PUBREL is to be sent."""

    def __init__(self, packet: Publish) -> None:
        self.packet: Final = packet
        self.released = False
        self.sendings = 0


class Reliable:
    """`on_message` gets each delivery once as QoS 2 says, at least once as QoS 1 says. `sessions` counts the
    connections at which the session was there."""

    def __init__(
        self,
        client_id: str,
        version: int,
        context: ssl.SSLContext,
        on_message: OnMessage | None = None,
        will: Will | None = None,
    ) -> None:
        self.client_id: Final = client_id
        self.acknowledged = 0  # messages that the hub has taken charge of
        self.refused: list[tuple[str, int]] = []  # (topic, Reason Code)
        self.sessions = 0
        self.connections = 0
        self.repeated = 0  # PUBLISH packets sent with DUP
        self._version: Final = version
        self._context: Final = context
        self._on_message = on_message
        self._will: Final = will
        self._outgoing: dict[int, Outgoing] = {}  # by Packet Identifier, in the order of sending [MQTT-4.6.0-1]
        self._incoming: set[int] = set()  # QoS 2 messages that are here and not released yet
        self._next_identifier = 0
        self._answers: dict[int, asyncio.Future[list[int]]] = {}
        self._progress = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    # Connections. -----------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def connect(self, port: int) -> None:
        """Connect to the hub on this machine and go on where it broke off. AssertionError when refused."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=self._context, server_hostname="localhost", limit=1 << 20
        )
        properties = Properties(session_expiry_interval=EXPIRY) if self._version == 5 else NO_PROPERTIES
        connect = Connect(self._version, False, 0, self.client_id, self._will, None, None, properties)
        writer.write(encode(connect, self._version))
        decoder = Decoder(1 << 20, None, from_server=True)
        decoder.protocol_version = self._version
        packets: list[Packet] = []
        while not packets:
            data = await reader.read(65536)
            if not data:
                writer.close()
                raise ConnectionResetError("the hub closed before CONNACK")
            packets = list(decoder.feed(data))
        connack = packets.pop(0)
        assert isinstance(connack, Connack)
        assert connack.reason_code == 0, connack
        self.connections += 1
        self.sessions += connack.session_present
        self._writer = writer
        if not connack.session_present:
            self._incoming.clear()  # [MQTT-3.2.2-5]
        for outgoing in self._outgoing.values():
            self._send(outgoing)  # [MQTT-4.4.0-1]
        self._reading = asyncio.create_task(self._read(reader, decoder, packets))

    async def lost(self) -> None:
        """Returns when the connection has ended."""
        if self._reading is not None:
            await asyncio.wait_for(asyncio.shield(self._reading), PATIENCE)
        self._cut()

    async def disconnect(self) -> None:
        if self.is_connected:
            self._write(encode(Disconnect(0, NO_PROPERTIES), self._version))
        await self.lost()

    async def abort(self) -> None:
        """The network fails."""
        if self._writer is not None:
            self._writer.transport.abort()
        await self.lost()

    def _cut(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def _read(self, reader: asyncio.StreamReader, decoder: Decoder, packets: list[Packet]) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while True:
                for packet in packets:
                    self._take(packet)
                data = await reader.read(65536)
                if not data:
                    break
                packets = decoder.feed(data)
        for answer in self._answers.values():
            answer.set_exception(ConnectionResetError("the connection ended before the answer"))
        self._answers.clear()
        self._progress.set()

    def _write(self, octets: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(octets)

    # Sending. ---------------------------------------------------------------------------------------

    def _identifier(self) -> int:
        while True:
            self._next_identifier = self._next_identifier % 65535 + 1
            if self._next_identifier not in self._outgoing and self._next_identifier not in self._answers:
                return self._next_identifier

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool = False) -> None:
        """Send with QoS 1 or 2; when there is no connection, the next one sends it."""
        identifier = self._identifier()
        outgoing = Outgoing(Publish(topic, payload, qos, retain, False, identifier, NO_PROPERTIES))
        self._outgoing[identifier] = outgoing
        if self.is_connected:
            self._send(outgoing)

    def _send(self, outgoing: Outgoing) -> None:
        packet = outgoing.packet
        if outgoing.released:
            self._write(ack(PUBREL, packet.packet_id))
            return
        if outgoing.sendings:
            self.repeated += 1
            packet = Publish(
                packet.topic, packet.payload, packet.qos, packet.retain, True, packet.packet_id, packet.properties
            )  # [MQTT-3.3.1-1]
        outgoing.sendings += 1
        self._write(encode(packet, self._version))

    def has_room(self) -> bool:
        return len(self._outgoing) < WINDOW

    async def room(self) -> None:
        """Returns when another message may be sent, or the connection has ended."""
        while not self.has_room() and self.is_connected:
            self._progress.clear()
            await self._progress.wait()

    async def all_acknowledged(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while self._outgoing:
                assert self.is_connected
                self._progress.clear()
                await self._progress.wait()

    async def subscribe(self, topic_filter: str, qos: int) -> list[int]:
        """Reason Codes. ConnectionError when the connection ended before."""
        identifier, answer = self._expect_answer()
        subscribe = Subscribe(identifier, [SubscriptionRequest(topic_filter, qos)], NO_PROPERTIES)
        self._write(encode(subscribe, self._version))
        return await asyncio.wait_for(answer, PATIENCE)

    async def unsubscribe(self, topic_filter: str) -> None:
        identifier, answer = self._expect_answer()
        self._write(encode(Unsubscribe(identifier, [topic_filter], NO_PROPERTIES), self._version))
        await asyncio.wait_for(answer, PATIENCE)

    def _expect_answer(self) -> tuple[int, asyncio.Future[list[int]]]:
        if not self.is_connected:
            raise ConnectionResetError("there is no connection")
        identifier = self._identifier()
        answer = self._answers[identifier] = asyncio.get_running_loop().create_future()
        return identifier, answer

    # What comes. ------------------------------------------------------------------------------------

    def _take(self, packet: Packet) -> None:
        if isinstance(packet, Publish):
            self._take_publish(packet)
        elif isinstance(packet, Acknowledgement):
            self._take_acknowledgement(packet)
        elif isinstance(packet, Suback):
            self._answers.pop(packet.packet_id).set_result(list(packet.reason_codes))
        elif isinstance(packet, Unsuback):
            self._answers.pop(packet.packet_id).set_result([])

    def _take_publish(self, packet: Publish) -> None:
        if packet.qos == 2:
            if packet.packet_id not in self._incoming:  # [MQTT-4.3.3-10]
                self._incoming.add(packet.packet_id)
                self._deliver(packet)
            self._write(ack(PUBREC, packet.packet_id))
            return
        self._deliver(packet)
        if packet.qos == 1:
            self._write(ack(PUBACK, packet.packet_id))

    def _deliver(self, packet: Publish) -> None:
        if self._on_message is not None:
            self._on_message(packet)

    def _take_acknowledgement(self, packet: Acknowledgement) -> None:
        identifier = packet.packet_id
        if packet.packet_type == PUBREL:
            self._incoming.discard(identifier)
            self._write(ack(PUBCOMP, identifier))
            return
        outgoing = self._outgoing.get(identifier)
        if packet.packet_type == PUBREC:
            if packet.reason_code >= 0x80:
                self._over(identifier, packet.reason_code)
            else:
                if outgoing is not None and not outgoing.released:
                    outgoing.released = True
                    self.acknowledged += 1
                self._write(ack(PUBREL, identifier))
        elif packet.packet_type == PUBCOMP:
            self._over(identifier, 0)
        elif outgoing is not None:
            self.acknowledged += packet.reason_code < 0x80
            self._over(identifier, packet.reason_code)

    def _over(self, identifier: int, code: int) -> None:
        outgoing = self._outgoing.pop(identifier, None)
        if outgoing is not None and code >= 0x80:
            self.refused.append((outgoing.packet.topic, code))
        self._progress.set()
