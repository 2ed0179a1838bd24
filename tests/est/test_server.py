"""The server over real sockets: who is slow, too many, or reads no answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Final

import pytest

from bridgehead.core.errors import BUSY, Refusal
from bridgehead.protocols.est.config import EstConfig
from bridgehead.protocols.est.server import EstServer
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.listener import Listener
from bridgehead.transport.shared import Shared

GET = b"GET /crl/ca.crl HTTP/1.1\r\nHost: hub\r\n\r\n"


class Hub:
    """Answers, a server of them in plaintext, and where it listens."""

    def __init__(self) -> None:
        self.config: Final = EstConfig()
        self.server: Final = EstServer(self.config, self)
        self.content = b"list"
        self.go_on: Final = asyncio.Event()
        self.asked = 0
        self.port = 0

    async def authorities(self) -> bytes:
        return b"never asked for in plaintext"

    async def enroll(self, name: str, token: str, request: bytes, address: str) -> bytes:
        return await self.authorities()

    async def reenroll(self, certificate: bytes, request: bytes, address: str) -> bytes:
        return await self.authorities()

    async def revocation_list(self, authority: str) -> bytes | None:
        self.asked += 1
        if authority == "00":
            await self.go_on.wait()
        return None if authority == "ff" else self.content

    async def ocsp(self, request: bytes) -> bytes:
        raise Refusal(BUSY, "come again")


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    made = Hub()
    listener = Listener(
        "127.0.0.1:0",
        made.server.accept,
        shared=Shared(),
        on_event=lambda _name, _fields: None,
        ceilings=Ceilings(1000),
    )
    await listener.start()
    made.port = listener.port
    yield made
    listener.close()
    await made.server.stop()


async def client(hub: Hub) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", hub.port)


async def ask(hub: Hub, octets: bytes) -> bytes:
    """All that comes until the server ends."""
    reader, writer = await client(hub)
    writer.write(octets)
    answer = await reader.read()
    writer.close()
    return answer


LAST = b"GET /crl/%s.crl HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (LAST % b"ca", 200),
        (LAST % b"ff", 404),
        (LAST.replace(b"GET", b"POST") % b"ca", 405),
        (LAST.replace(b"/crl/%s.crl", b"/"), 404),
        (LAST.replace(b"/crl/%s.crl", b"/ocsp"), 503),
        (LAST.replace(b"/crl/%s.crl", b"/.well-known/est/cacerts"), 403),  # RFC 7030 3.3: never without TLS
        (b"\x16\x03\x01\r\n\r\n", 400),
    ],
)
async def test_answers(hub: Hub, octets: bytes, status: int) -> None:
    answer = await ask(hub, octets)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"retry-after" in answer.lower()) is (status == 503)


async def test_slow_clients_are_ended(hub: Hub) -> None:
    hub.config.request_timeout = 0.2
    assert (await ask(hub, b"GET /crl")).startswith(b"HTTP/1.1 408 ")


async def test_one_address_has_so_many_connections(hub: Hub) -> None:
    hub.config.connections_per_address = 2
    first, second = await client(hub), await client(hub)
    assert await ask(hub, b"") == b""
    for _, writer in (first, second):
        writer.close()
    while len(hub.server):
        await asyncio.sleep(0.01)
    assert (await ask(hub, LAST % b"ca")).startswith(b"HTTP/1.1 200 ")


async def test_so_many_answers_are_worked_on_at_a_time(hub: Hub) -> None:
    hub.config.waiting = 1
    first = await client(hub)
    first[1].write(LAST % b"00")
    while not hub.asked:
        await asyncio.sleep(0.01)
    assert (await ask(hub, LAST % b"ca")).startswith(b"HTTP/1.1 503 ")
    hub.go_on.set()
    assert (await first[0].read()).startswith(b"HTTP/1.1 200 ")
    first[1].close()


async def test_whoever_reads_no_answer_gets_no_more_and_is_ended(hub: Hub) -> None:
    """100 requests in one go for 4 MiB each would be 400 MiB of output: it is one at a time."""
    hub.content = bytes(4 * 1024 * 1024)
    hub.config.request_timeout = 0.3
    raw = socket.create_connection(("127.0.0.1", hub.port))
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_sendall(raw, GET * 50)
    while not len(hub.server):
        await asyncio.sleep(0.01)
    while len(hub.server):
        await asyncio.sleep(0.01)
    assert hub.asked == 1
    raw.close()


async def test_a_client_that_leaves_while_its_answer_is_made(hub: Hub) -> None:
    reader, writer = await client(hub)
    writer.write(LAST % b"00")
    while not hub.asked:
        await asyncio.sleep(0.01)
    writer.transport.abort()
    hub.go_on.set()
    while len(hub.server):
        await asyncio.sleep(0.01)
    assert await reader.read() == b""
