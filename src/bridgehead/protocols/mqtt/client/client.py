"""The asynchronous client: one connection, driven by the pure machine, over any of the transports."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Iterable

from bridgehead.protocols.mqtt.client.byte_stream import ByteStream, open_stream
from bridgehead.protocols.mqtt.client.errors import ConnectionFailed, Refused, connect_refused
from bridgehead.protocols.mqtt.client.machine import (
    Arrived,
    ClientMachine,
    Connected,
    Disconnected,
    Event,
    FlowEnded,
    Speaks,
)
from bridgehead.protocols.mqtt.client.target import ALERTS, Target, words
from bridgehead.protocols.mqtt.codec.packets import (
    Acknowledgement,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Publish,
    Suback,
    SubscriptionRequest,
    Unsuback,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import DISCONNECT, PROTOCOL_ERROR, reason_name
from bridgehead.wire.errors import PeerError

HELD_MESSAGES = 1000  # arrived and not yet taken; then the client stops reading until the application has caught up
GOODBYE = 2.0  # seconds that the server gets to close after our DISCONNECT
LINGER = 65_536  # octets of output after which a sender waits for the transport


class Client:
    """Use: `connack = await client.open()`, then publish, subscribe and `next_message`, then `await client.close()`.

    Calls come from one task or several of one event loop. After the connection is lost every call raises
    ConnectionFailed with the reason.
    """

    def __init__(
        self,
        target: Target,
        connect: Connect,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        machine: Speaks | None = None,
    ) -> None:
        """`timeout` in seconds is for making the connection, CONNACK included, and for a SUBACK or UNSUBACK. `machine`
        goes on with the enhanced authentication that `connect` begins."""
        self.target = target
        self.machine = ClientMachine(connect, speaks=machine)
        self.timeout = timeout
        self._tls = tls
        self._stream: ByteStream | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._flows: dict[int, asyncio.Future[Packet]] = {}
        self._messages: deque[Publish] = deque()
        self._changed = asyncio.Event()  # a message came, room was made, or the end came
        self._flush_due = False
        self._connack: asyncio.Future[Connack] | None = None
        self._closing = False
        self.failure: Exception | None = None

    async def open(self) -> Connack:
        """Connect. Raises ConnectionFailed, or Refused with the server's Reason Code."""
        try:
            async with asyncio.timeout(self.timeout):
                self._stream = await open_stream(self.target, self._tls)
                self._connack = asyncio.get_running_loop().create_future()
                self._tasks.append(asyncio.create_task(self._read()))
                self._flush()
                connack = await self._connack
        except TimeoutError:
            await self._abandon()
            raise ConnectionFailed(f"{self.target} did not answer within {self.timeout:g} seconds") from None
        except BaseException:
            await self._abandon()
            raise
        if connack.reason_code:
            await self._abandon()
            raise connect_refused(self.machine.version, connack.reason_code, connack.properties.reason_string)
        self._tasks.append(asyncio.create_task(self._keep_alive()))
        return connack

    # -- publishing --------------------------------------------------------------------------------------------------

    async def publish(
        self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, properties: Properties = NO_PROPERTIES
    ) -> int:
        """Publish and wait for the last acknowledgement (QoS 0: for nothing); its Reason Code, below 0x80.

        Raises Refused when the server refuses the message, ConnectionFailed when the answer can't come any more.
        """
        return await self.outcome(await self.send(topic, payload, qos, retain, properties))

    async def send(
        self, topic: str, payload: bytes, qos: int = 0, retain: bool = False, properties: Properties = NO_PROPERTIES
    ) -> asyncio.Future[Packet] | None:
        """Publish without waiting for the acknowledgement, but for room: at most the server's Receive Maximum of
        messages is on its way. Await the result with `outcome`; None at QoS 0."""
        while qos and self.machine.quota <= 0 and self.failure is None:
            self._changed.clear()
            await self._changed.wait()
        self._check()
        packet_id = self.machine.publish(topic, payload, qos, retain, properties)
        flow = self._flow(packet_id) if packet_id else None
        self._flush_soon()
        if self.machine.unsent > LINGER:
            self._flush()
            await self._drain()
        return flow

    async def outcome(self, flow: asyncio.Future[Packet] | None) -> int:
        """The Reason Code that a message was acknowledged with. Raises as `publish`."""
        if flow is None:
            return 0
        packet = await flow
        assert isinstance(packet, Acknowledgement)
        if packet.reason_code >= 0x80:
            raise Refused("the server refused the message", packet.reason_code, packet.properties.reason_string)
        return int(packet.reason_code)

    # -- subscribing -------------------------------------------------------------------------------------------------

    async def subscribe(
        self, subscriptions: Iterable[SubscriptionRequest], properties: Properties = NO_PROPERTIES
    ) -> Suback:
        """Subscribe; the SUBACK, whose Reason Codes the caller judges."""
        self._check()
        packet = await self._answered(self.machine.subscribe(subscriptions, properties), "SUBACK")
        assert isinstance(packet, Suback)
        return packet

    async def unsubscribe(self, topic_filters: Iterable[str]) -> Unsuback:
        """Unsubscribe; the UNSUBACK."""
        self._check()
        packet = await self._answered(self.machine.unsubscribe(topic_filters), "UNSUBACK")
        assert isinstance(packet, Unsuback)
        return packet

    async def next_message(self) -> Publish:
        """The next message. It is acknowledged only by `accept`, so what was not taken is not lost to the session.

        Raises ConnectionFailed when the connection has ended and nothing is left.
        """
        while not self._messages:
            if self.failure is not None:
                raise self.failure
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        if len(self._messages) == HELD_MESSAGES - 1:
            self._changed.set()
        return message

    def accept(self, message: Publish) -> None:
        """Acknowledge a message that `next_message` gave."""
        if self.failure is None and not self.machine.ended:
            self.machine.accept(message)
            self._flush_soon()

    @property
    def waiting(self) -> int:
        """How many messages have arrived and were not taken yet."""
        return len(self._messages)

    # -- the end -----------------------------------------------------------------------------------------------------

    async def close(self, reason_code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        """DISCONNECT, and wait a moment for the server to close: then it has read everything that we sent.

        Raises Refused when the server said instead that it ends the connection, and why.
        """
        self._closing = True
        if self.failure is None:
            self.machine.disconnect(reason_code, properties)
            self._flush()
            self._changed.set()
            if self._tasks:
                await asyncio.wait(self._tasks[:1], timeout=GOODBYE)
        await self._abandon()
        if isinstance(self.failure, Refused):
            raise self.failure

    async def ended(self) -> None:
        """Return when the connection is over, whatever the cause (`failure`)."""
        while self.failure is None:
            self._changed.clear()
            await self._changed.wait()

    # -- within ------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read until the end, whatever its cause; `failure` then says it."""
        stream = self._stream
        assert stream is not None
        try:
            while True:
                while len(self._messages) >= HELD_MESSAGES and not self._closing:
                    self._changed.clear()
                    await self._changed.wait()
                data = await stream.read()
                if not data:
                    self._fail(ConnectionFailed(self._closed_words()))
                    return
                for event in self.machine.receive(data, time.monotonic()):
                    self._handle(event)
                self._flush()
        except PeerError as error:
            self.machine.disconnect(error.code or PROTOCOL_ERROR)
            self._flush()
            self._fail(ConnectionFailed(f"{self.target} sent what MQTT forbids: {error}"))
        except OSError as error:
            if self.machine.connected:
                self._fail(ConnectionFailed(f"the connection to {self.target} broke: {words(error)}"))
            elif isinstance(error, ssl.SSLError) and error.reason in ALERTS:
                # TLS 1.3: the server judges the client's certificate after the client has done its part.
                self._fail(ConnectionFailed(f"{self.target} refused TLS: {words(error)}"))
            else:
                self._fail(ConnectionFailed(self._closed_words()))
        except ConnectionFailed as error:
            self._fail(error)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Connected):
            if self._connack is not None and not self._connack.done():
                self._connack.set_result(event.connack)
        elif isinstance(event, Arrived):
            self._messages.append(event.publish)
            self._changed.set()
        elif isinstance(event, FlowEnded):
            flow = self._flows.pop(event.packet_id, None)
            if flow is not None and not flow.done():
                flow.set_result(event.packet)
            self._changed.set()
        elif isinstance(event, Disconnected):
            self._fail(disconnected(event.packet))

    async def _keep_alive(self) -> None:
        while True:
            deadline = self.machine.next_timeout()
            if deadline is None:
                return
            await asyncio.sleep(max(0.0, deadline - time.monotonic()))
            if not self.machine.handle_timeout(time.monotonic()):
                self._fail(ConnectionFailed(f"{self.target} answered no PINGREQ for {self.machine.keep_alive} seconds"))
                if self._stream is not None:
                    await self._stream.close()
                return
            self._flush()

    async def _answered(self, packet_id: int, name: str) -> Packet:
        flow = self._flow(packet_id)
        self._flush()
        try:
            async with asyncio.timeout(self.timeout):
                return await flow
        except TimeoutError:
            raise ConnectionFailed(f"{self.target} sent no {name} within {self.timeout:g} seconds") from None

    def _flow(self, packet_id: int) -> asyncio.Future[Packet]:
        flow: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()
        self._flows[packet_id] = flow
        if self.failure is not None:
            flow.set_exception(self.failure)
        return flow

    def _flush_soon(self) -> None:
        """One write for all that this turn of the loop produces."""
        if not self._flush_due:
            self._flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_due = False
        data = self.machine.to_send(time.monotonic())
        if data and self._stream is not None:
            self._stream.write(data)

    async def _drain(self) -> None:
        """Wait for the transport, and let the reader have its turn."""
        if self._stream is not None:
            try:
                await self._stream.drain()
            except OSError as error:
                self._fail(ConnectionFailed(f"the connection to {self.target} broke: {words(error)}"))
        await asyncio.sleep(0)
        self._check()

    def _fail(self, error: Exception) -> None:
        """The connection is over: tell everybody who waits."""
        if self.failure is None:
            self.failure = error
        self.machine.ended = True
        if self._connack is not None and not self._connack.done():
            self._connack.set_exception(self.failure)
        for flow in self._flows.values():
            if not flow.done():
                flow.set_exception(self.failure)
                flow.exception()  # whoever awaits it still gets it; nobody has to
        self._flows.clear()
        self._changed.set()

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def _abandon(self) -> None:
        """End the tasks and the transport."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self.failure is None:
            self._fail(ConnectionFailed("the connection was closed"))
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.close()

    def _closed_words(self) -> str:
        if self._connack is not None and not self._connack.done():
            return (
                f"{self.target} closed the connection without an answer; is it the right port, and with or without TLS?"
            )
        return f"{self.target} closed the connection"


def disconnected(packet: Disconnect) -> Refused:
    """The server sent DISCONNECT."""
    name = reason_name(packet.reason_code, DISCONNECT)
    return Refused("the server disconnected", packet.reason_code, packet.properties.reason_string, name)
