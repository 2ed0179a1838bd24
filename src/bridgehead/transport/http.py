"""The rim of HTTP: joins streams, HTTP connections and whatever answers requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Final

from bridgehead.transport.address import network_of
from bridgehead.transport.stream import Stream
from bridgehead.wire.http import ANSWERING, STREAMING, WAITING, HttpConnection, HttpLimits, Request

_TICK: Final = 0.5  # seconds between two looks at the deadlines
TEXT: Final = b"text/plain; charset=utf-8"

Headers = list[tuple[bytes, bytes]]


class Reply:
    """One answer. `parts`: a body that comes bit by bit, instead of `content`."""

    def __init__(
        self,
        status: int,
        kind: bytes,
        content: bytes,
        more: Headers | None = None,
        parts: AsyncIterator[bytes] | None = None,
    ) -> None:
        self.status: Final = status
        self.headers: Final[Headers] = [(b"content-type", kind), *(more or [])] if kind else [*(more or [])]
        self.content: Final = content
        self.parts: Final = parts


def said(status: int, sentence: str, more: Headers | None = None) -> Reply:
    """A sentence for people."""
    return Reply(status, TEXT, sentence.encode() + b"\n", more)


Answer = Callable[[Request, Stream], Awaitable[Reply]]


class _Link:
    """One client."""

    def __init__(self, server: HttpServer, stream: Stream, http: HttpConnection, answer: Answer) -> None:
        self._server: Final = server
        self.answer: Final = answer
        self.stream: Final = stream
        self.http: Final = http
        self.network: Final = network_of(stream.peer)
        self.task: asyncio.Task[None] | None = None
        self.full_since = 0.0  # when its output began to wait; 0.0: none does
        self.drained: Final = asyncio.Event()

    def on_data(self, data: bytes) -> None:
        self.http.receive(data, monotonic())
        self._server.look(self)

    def on_end(self, _because: str) -> None:
        self._server.forget(self)

    def on_drain(self) -> None:
        self.full_since = 0.0
        self.drained.set()
        self._server.look(self)
        if self.http.state == WAITING:
            self.stream.resume()


class HttpServer:
    """Serves HTTP/1.1 on whatever streams it is given: bounded in connections, octets and time."""

    def __init__(self, limits: HttpLimits) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._limits: Final = limits
        self._links: Final[set[_Link]] = set()
        self._by_network: Final[dict[str, int]] = {}
        self._tick: asyncio.TimerHandle | None = self._loop.call_later(_TICK, self._on_tick)

    def __len__(self) -> int:
        """Open connections."""
        return len(self._links)

    def accept(self, stream: Stream, answer: Answer) -> None:
        """Serve a new client, unless there are too many. `answer` may take a while; it must not raise."""
        link = _Link(self, stream, HttpConnection(self._limits, monotonic() - stream.spent), answer)
        here = self._by_network.get(link.network, 0)
        if len(self._links) >= self._limits.connections or here >= self._limits.connections_per_address:
            stream.close()
            return
        self._by_network[link.network] = here + 1
        self._links.add(link)
        stream.start(link.on_data, link.on_end, link.on_drain)

    def forget(self, link: _Link) -> None:
        if link not in self._links:
            return
        self._links.discard(link)
        left = self._by_network[link.network] - 1
        if left:
            self._by_network[link.network] = left
        else:
            del self._by_network[link.network]
        if link.task is not None:
            link.task.cancel()

    async def stop(self) -> None:
        """End every connection; answers that are on their way are given up."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        tasks = [link.task for link in self._links if link.task is not None]
        for link in list(self._links):
            link.stream.close()
            self.forget(link)
        await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------

    def look(self, link: _Link) -> None:
        """Send what there is, and answer a request that is there."""
        data = link.http.to_send()
        if data:
            link.stream.send(data)
            if link.stream.pending:  # nothing more is read, nor answered, before this has gone
                link.full_since = link.full_since or monotonic()
                link.drained.clear()
                link.stream.pause()
        if link.http.close:
            link.stream.close()
        elif link.http.state == ANSWERING and link.task is None and not link.full_since:
            link.stream.pause()
            link.task = self._loop.create_task(self._serve(link))

    async def _serve(self, link: _Link) -> None:
        request = link.http.request
        assert request is not None
        try:
            reply = await link.answer(request, link.stream)
            if reply.parts is not None:
                await self._stream(link, reply, reply.parts)
        except BaseException:
            link.stream.abort()  # a defect, or the end: nobody is left waiting for an answer that does not come
            raise
        finally:
            link.task = None
        if link.http.state == ANSWERING:
            link.http.respond(reply.status, reply.headers, reply.content, monotonic())
        self.look(link)
        if link.http.state == WAITING and not link.full_since:
            link.stream.resume()

    async def _stream(self, link: _Link, reply: Reply, parts: AsyncIterator[bytes]) -> None:
        """Hand on the parts as they come, no faster than the client takes them."""
        http = link.http
        http.begin(reply.status, reply.headers, monotonic())
        link.stream.resume()  # so that the client's end is seen
        self.look(link)
        async for part in parts:
            if http.state != STREAMING:
                return
            http.part(part)
            self.look(link)
            if link.full_since:
                await link.drained.wait()
                link.stream.resume()
        http.end(monotonic())

    def _on_tick(self) -> None:
        self._tick = self._loop.call_later(_TICK, self._on_tick)
        now = monotonic()
        for link in list(self._links):
            if link.full_since and now - link.full_since > self._limits.request_timeout:
                link.stream.abort()  # it does not take its answer
            elif link.http.next_timeout() <= now:
                link.http.handle_timeout(now)
                self.look(link)
