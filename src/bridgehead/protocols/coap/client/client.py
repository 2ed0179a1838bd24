"""A CoAP client on the event loop: runs a ClientMachine over any of the transports."""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
import time
from types import TracebackType
from typing import Final, Self

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.datagrams import DatagramLayer
from bridgehead.protocols.coap.client.errors import ConnectionFailed
from bridgehead.protocols.coap.client.layer import Layer
from bridgehead.protocols.coap.client.machine import REGISTER, Answered, ClientMachine, Lost, Notified
from bridgehead.protocols.coap.client.oscore import ClientContext, ProtectedLayer
from bridgehead.protocols.coap.client.streams import StreamLayer
from bridgehead.protocols.coap.client.transports import Transport, open_stream, open_udp, where
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, in_order
from bridgehead.protocols.coap.codec.uri import Uri, is_address
from bridgehead.transport.dtls.contract import DtlsIdentity

PATIENCE: Final = 10.0
MOST_WAITING: Final = 10_000  # notifications that nobody has taken yet


class Security:
    """Who the client is: a context of TLS for streams, an identity for DTLS, an OSCORE context over any of them. What
    the scheme does not need is None."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        dtls: DtlsIdentity | None = None,
        oscore: ClientContext | None = None,
    ) -> None:
        self.tls: Final = tls
        self.dtls: Final = dtls
        self.oscore: Final = oscore


class Observation:
    """A registration: its first representation and all that follow, in order."""

    def __init__(self, client: Client, number: int) -> None:
        self._client: Final = client
        self._queue: Final[asyncio.Queue[Message | ConnectionFailed | None]] = asyncio.Queue()
        self.number: Final = number
        self.ended: Message | None = None  # the answer that ended it, or that never registered it

    def put(self, what: Message | ConnectionFailed | None) -> bool:
        """False: more wait than anybody takes, and it is over."""
        if isinstance(what, Message) and self._queue.qsize() >= MOST_WAITING:
            self._queue.put_nowait(ConnectionFailed(f"{MOST_WAITING} notifications wait to be taken: it is given up"))
            return False
        self._queue.put_nowait(what)
        return True

    @property
    def waiting(self) -> bool:
        """Whether something has come already."""
        return not self._queue.empty()

    async def next(self) -> Message | None:
        """The next representation; None when the server ended it: `ended` says how. Errors: ConnectionFailed."""
        found = await self._queue.get()
        if isinstance(found, ConnectionFailed):
            raise found
        return found

    def refresh(self, etag: bytes) -> None:
        """Register it once more: see ClientMachine.refresh. What is told then may be a 2.03 without content."""
        self._client.refresh(self.number, etag)

    def cancel(self) -> None:
        """Deregister it."""
        self._client.cancel(self.number)


class Client:
    """One server, that of `uri`. `async with Client(uri) as client:` opens and closes it."""

    def __init__(self, uri: Uri, security: Security | None = None, patience: float = PATIENCE) -> None:
        """`patience`: seconds for the connection and for each answer."""
        self.uri: Final = uri
        self._security: Final = security or Security()
        self._patience: Final = patience
        self._machine: ClientMachine | None = None
        self._transport: Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answers: Final[dict[int, asyncio.Future[Message]]] = {}
        self._observations: Final[dict[int, Observation]] = {}
        self._ready: Final = asyncio.Event()
        self._failure: ConnectionFailed | None = None
        self._heard = False  # something came, whatever it was

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, up to where requests can be sent. Errors: ConnectionFailed."""
        try:
            async with asyncio.timeout(self._patience):
                await self._open()
                await self._ready.wait()
        except TimeoutError:
            await self.close()
            raise self.silence(self._patience) from None
        if self._failure is not None:
            await self.close()
            raise self._failure

    async def _open(self) -> None:
        scheme = self.uri.scheme
        layer: Layer
        if scheme in ("coap", "coaps"):
            layer = DatagramLayer(random.random, secrets.randbelow(1 << 16))
        else:
            layer = StreamLayer(scheme.endswith("+ws"))
        if self._security.oscore is not None:
            layer = ProtectedLayer(layer, self._security.oscore)
        self._machine = ClientMachine(layer, secrets.token_bytes(8))
        if scheme == "coap":
            self._transport = await open_udp(self.uri, self._received, self._fail)
        elif scheme == "coaps":
            if self._security.dtls is None:
                raise ConnectionFailed("coaps:// needs a pre-shared key, a raw public key or a certificate")
            # GnuTLS is loaded for those alone who speak DTLS.
            from bridgehead.protocols.coap.client.dtls_transport import DtlsTransport

            dtls = DtlsTransport(self.uri, self._security.dtls, self._received, self._fail)
            self._transport = dtls
            await dtls.open()
        else:
            self._transport = await open_stream(self.uri, self._security.tls, self._received, self._fail)
        self._after()

    async def close(self) -> None:
        """End observations and the connection."""
        for number in list(self._observations):
            self.cancel(number)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    def options(self) -> tuple[tuple[int, bytes], ...]:
        """Those that every request to the URI has: host and port as far as needed, path and query."""
        return self.uri.options(self.uri.host if is_address(self.uri.host) else "", self.uri.port)

    async def request(self, request: Message, confirmable: bool = True) -> Message:
        """The response, whatever its code, with its whole body. Errors: ConnectionFailed."""
        machine = self._open_machine()
        number = machine.request(request, confirmable, time.monotonic())
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        self._after()
        try:
            async with asyncio.timeout(self._patience):
                return await answer
        except TimeoutError:
            raise self.silence(self._patience) from None
        finally:
            if self._answers.pop(number, None) is not None and not answer.done():
                self.cancel(number)

    def observe(self, request: Message, confirmable: bool = True) -> Observation:
        """Register: a GET or FETCH gets its Observe option here. Errors: ConnectionFailed."""
        machine = self._open_machine()
        options = in_order([*[each for each in request.options if each[0] != option.OBSERVE], REGISTER])
        number = machine.request(request.with_options(options), confirmable, time.monotonic())
        observation = self._observations[number] = Observation(self, number)
        self._after()
        return observation

    def silence(self, seconds: float) -> ConnectionFailed:
        """What to raise when no answer came within `seconds`."""
        doubt = "" if self._heard else f"; does the server run there, and speak {self.uri.scheme}:// on that port?"
        return ConnectionFailed(f"{where(self.uri)} did not answer within {seconds:g} seconds{doubt}")

    def cancel(self, number: int) -> None:
        """Nobody waits for a request or an observation any more."""
        self._observations.pop(number, None)
        if self._machine is not None:
            self._machine.cancel(number, time.monotonic())
            self._after()

    def refresh(self, number: int, etag: bytes) -> None:
        """Register an observation once more."""
        self._open_machine().refresh(number, etag, time.monotonic())
        self._after()

    def ping(self) -> None:
        """Ask whether the server is there: where it is not, everything fails after the usual time."""
        self._open_machine().ping(time.monotonic())
        self._after()

    def _open_machine(self) -> ClientMachine:
        if self._failure is not None:
            raise self._failure
        if self._machine is None or self._transport is None:
            raise ConnectionFailed("the client is not open")
        return self._machine

    def _received(self, data: bytes) -> None:
        self._heard = True
        if self._machine is not None:
            self._machine.receive(data, time.monotonic())
            self._after()

    def _due(self) -> None:
        self._timer = None
        if self._machine is not None:
            self._machine.handle_timeout(time.monotonic())
            self._after()

    def _after(self) -> None:
        """Send, tell, and set the timer: after everything that touched the machine."""
        machine, transport = self._machine, self._transport
        if machine is None or transport is None:
            return
        for data in machine.outgoing():
            transport.send(data)
        for event in machine.events():
            self._tell(event)
        if machine.closed:
            self._fail(machine.closed)
        if machine.layer.is_ready:
            self._ready.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = machine.next_timeout()
        if due != NEVER:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(due - time.monotonic(), 0.0), self._due)

    def _tell(self, event: Answered | Notified | Lost) -> None:
        if isinstance(event, Lost) and event.number == 0:
            self._fail(event.because)
            return
        observation = self._observations.get(event.number)
        answer = self._answers.get(event.number)
        if isinstance(event, Notified):
            if observation is not None and not observation.put(event.response):
                self.cancel(event.number)
        elif isinstance(event, Answered):
            if observation is not None:
                del self._observations[event.number]
                observation.ended = event.response
                observation.put(None)
            elif answer is not None and not answer.done():
                answer.set_result(event.response)
        else:
            fault = ConnectionFailed(f"{where(self.uri)}: {event.because}")
            if observation is not None:
                del self._observations[event.number]
                observation.put(fault)
            elif answer is not None and not answer.done():
                answer.set_exception(fault)

    def _fail(self, because: str) -> None:
        """Everything that waits has failed."""
        if self._failure is None:
            self._failure = ConnectionFailed(f"{where(self.uri)}: {because}" if "://" not in because else because)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._failure)
        for observation in self._observations.values():
            observation.put(self._failure)
        self._observations.clear()
        self._ready.set()
