"""The asynchronous AMQP 1.0 client: one connection, driven by the pure machine, over TCP, TLS or WebSocket."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque

from bridgehead.protocols.amqp.client.errors import ConnectionFailed, Refused, outcome_error, refused
from bridgehead.protocols.amqp.client.links import Delivery, Link
from bridgehead.protocols.amqp.client.machine import (
    Arrived,
    Attached,
    ClientMachine,
    Credited,
    Detached,
    Ended,
    Event,
    Ready,
    Settled,
)
from bridgehead.protocols.amqp.client.mechanisms import Speaks
from bridgehead.protocols.amqp.client.streams import ByteStream, open_stream, words
from bridgehead.protocols.amqp.client.target import Target
from bridgehead.protocols.amqp.codec.v1.composites import RECEIVER, SENDER, DeliveryState, Error
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.wire.errors import PeerError

GOODBYE = 2.0  # seconds that the server gets to answer our close
LINGER = 65_536  # octets of output after which a sender waits for the transport


class Client:
    """Use: `await client.open()`, then `sender` or `receiver`, `publish`, `next_message`, then `await client.close()`.

    Calls come from one task or several of one event loop. After the connection is lost every call raises
    ConnectionFailed or Refused with the reason.
    """

    def __init__(
        self,
        target: Target,
        container_id: str,
        candidates: list[Speaks],
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
    ) -> None:
        """`timeout` in seconds is for making the connection, and for the answer to an attach."""
        self.target = target
        self.machine = ClientMachine(container_id, target.host, candidates)
        self.timeout = timeout
        self.failure: Exception | None = None
        self._tls = tls
        self._stream: ByteStream | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._outcomes: dict[int, asyncio.Future[DeliveryState | None]] = {}
        self._messages: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._flush_due = False
        self._closing = False

    async def open(self) -> None:
        """Connect and prove who this is. Raises ConnectionFailed, or Refused with the server's words."""
        try:
            async with asyncio.timeout(self.timeout):
                self._stream = await open_stream(self.target, self._tls)
                self._tasks.append(asyncio.create_task(self._read()))
                self._flush()
                while not self.machine.ready:
                    await self._change()
        except TimeoutError:
            await self._abandon()
            raise ConnectionFailed(f"{self.target} did not answer within {self.timeout:g} seconds") from None
        except BaseException:
            await self._abandon()
            raise
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    # -- links -------------------------------------------------------------------------------------------------------

    async def sender(self, name: str, address: str, qos: int) -> Link:
        """A link for messages to `address`. Raises Refused when the server does not attach it."""
        self._check()
        return await self._link(self.machine.attach(name, SENDER, address, qos))

    async def receiver(
        self,
        name: str,
        address: str,
        qos: int,
        window: int,
        total: int = 0,
        filters: dict[object, object] | None = None,
        kept: int | None = None,
    ) -> Link:
        """A link for messages from `address`, at most `window` under way and `total` (0: any number) in all.

        With `kept` the subscription outlives it by so many seconds, under its name and the container's. Raises Refused.
        """
        self._check()
        return await self._link(self.machine.attach(name, RECEIVER, address, qos, window, total, filters, kept))

    async def _link(self, link: Link) -> Link:
        self._flush()
        try:
            async with asyncio.timeout(self.timeout):
                while not link.attached:
                    if link.error is not None:
                        raise refused(f"the server refused {link.address}", link.error)
                    await self._change()
        except TimeoutError:
            raise ConnectionFailed(f"{self.target} did not attach within {self.timeout:g} seconds") from None
        return link

    async def detach(self, link: Link, closed: bool = True) -> None:
        """End the link; with `closed` False a durable subscription stays. Waits for the server's answer, and raises
        Refused when that is an error: of what was sent at most once there is no other word."""
        self.machine.detach(link, closed)
        self._flush()
        try:
            async with asyncio.timeout(GOODBYE):
                while link.attached and self.failure is None:
                    await self._change()
        except TimeoutError:
            return  # the close that follows ends it too
        self._check()

    # -- sending -----------------------------------------------------------------------------------------------------

    async def publish(self, link: Link, octets: bytes) -> None:
        """Send a message and wait for its outcome (QoS 0: for nothing). Raises Refused, ConnectionFailed."""
        await self.outcome(await self.send(link, octets))

    async def send(self, link: Link, octets: bytes) -> asyncio.Future[DeliveryState | None] | None:
        """Send without waiting for the outcome, but for credit. Await the result with `outcome`; None at QoS 0."""
        self._check()
        while not self.machine.may_send(link):
            if link.error is not None:
                raise refused(f"the server detached {link.address}", link.error)
            await self._change()
        number = self.machine.send(link, octets)
        future: asyncio.Future[DeliveryState | None] | None = None
        if link.qos:
            future = self._outcomes[number] = asyncio.get_running_loop().create_future()
        self._flush_soon()
        if self.machine.unsent > LINGER:
            self._flush()
            await self._drain()
        return future

    async def outcome(self, future: asyncio.Future[DeliveryState | None] | None) -> None:
        """Wait for what became of a message. Raises Refused when it was not accepted."""
        if future is not None:
            error = outcome_error(await future)
            if error is not None:
                raise error

    # -- receiving ---------------------------------------------------------------------------------------------------

    async def next_message(self) -> Delivery:
        """The next message of any receiver. It is settled only by `accept`, so what was not taken is not lost.

        Raises when the connection or a link has ended and nothing is left.
        """
        while not self._messages:
            await self._change()
        return self._messages.popleft()

    def accept(self, delivery: Delivery) -> None:
        """Settle a message that `next_message` gave."""
        if self.failure is None and not self.machine.ended:
            self.machine.accept(delivery)
            self._flush_soon()

    @property
    def waiting(self) -> int:
        """How many messages have arrived and were not taken yet."""
        return len(self._messages)

    # -- the end -----------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close, and wait a moment for the server's: then it has read everything that we sent."""
        self._closing = True
        if self.failure is None and self._stream is not None:
            self.machine.close()
            self._flush()
            if self._tasks:
                await asyncio.wait(self._tasks[:1], timeout=GOODBYE)
        await self._abandon()

    async def ended(self) -> None:
        """Return when the connection is over, whatever the cause (`failure`)."""
        while self.failure is None:
            self._changed.clear()
            await self._changed.wait()

    # -- within ------------------------------------------------------------------------------------------------------

    async def _change(self) -> None:
        """Wait until something has happened. Raises when it is the end."""
        self._check()
        self._changed.clear()
        await self._changed.wait()
        self._check()

    async def _read(self) -> None:
        """Read until the end, whatever its cause; `failure` then says it."""
        stream = self._stream
        assert stream is not None
        try:
            while self.failure is None:
                data = await stream.read()
                if not data:
                    self._fail(ConnectionFailed(self._closed_words()))
                    return
                for event in self.machine.receive(data, time.monotonic()):
                    self._handle(event)
                self._flush()
        except AmqpError as error:
            self.machine.close(Error(error.condition, error.text))
            self._flush()
            self._fail(ConnectionFailed(f"{self.target} sent what AMQP forbids: {error}"))
        except PeerError as error:
            self._fail(ConnectionFailed(f"{self.target} sent what its SASL mechanism forbids: {error}"))
        except OSError as error:
            self._fail(ConnectionFailed(f"the connection to {self.target} broke: {words(error)}"))
        except (ConnectionFailed, Refused) as error:
            self._fail(error)

    def _handle(self, event: Event) -> None:
        if isinstance(event, Arrived):
            self._messages.append(event.delivery)
        elif isinstance(event, Settled):
            future = self._outcomes.pop(event.delivery_id, None)
            if future is not None and not future.done():
                future.set_result(event.state)
        elif isinstance(event, Ended):
            if event.error is not None:
                self._fail(refused("the server ended the connection", event.error))
            else:
                self._fail(ConnectionFailed(f"{self.target} closed the connection"))
        elif isinstance(event, Detached):
            link = event.link
            if link.error is None and not link.detaching:
                link.error = Error("amqp:link:detach-forced", "the server told no reason")
            if link.error is not None and link.was_attached:
                self._fail(refused(f"the server detached {link.address}", link.error))
        elif not isinstance(event, Ready | Attached | Credited):
            raise AssertionError(event)
        self._changed.set()

    async def _keep_alive(self) -> None:
        while True:
            deadline = self.machine.next_timeout()
            if deadline is None:
                return
            await asyncio.sleep(max(0.0, deadline - time.monotonic()))
            if not self.machine.handle_timeout(time.monotonic()):
                self._fail(ConnectionFailed(f"{self.target} has been silent for too long"))
                if self._stream is not None:
                    await self._stream.close()
                return
            self._flush()

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
        self.machine.end()
        for future in self._outcomes.values():
            if not future.done():
                future.set_exception(self.failure)
                future.exception()  # whoever awaits it still gets it; nobody has to
        self._outcomes.clear()
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
        if not self.machine.ready and not self._closing:
            return (
                f"{self.target} closed the connection without an answer; is it the right port, and with or without TLS?"
            )
        return f"{self.target} closed the connection"
