"""The opening handshake of WebSocket: who comes in, and the HTTP errors for the others."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from bridgehead.transport.events import UPGRADE_FAILED
from bridgehead.transport.listener import AcceptRules
from bridgehead.transport.shared import Shared
from bridgehead.transport.upgrade import WebSocketRules
from tests.transport.tools import Hall, Owner, read_all, read_exactly, tls_client, tls_read, tls_write, turns, until

FIELDS = {
    "Host": "hub.example:8884",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "mqtt",
}


def request(line: str = "GET /mqtt HTTP/1.1", more: str = "", **changes: str | None) -> bytes:
    """A proper request with `changes` (names with _ for -); None leaves a field out."""
    fields: dict[str, str | None] = {**FIELDS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return ("\r\n".join(lines) + "\r\n" + more + "\r\n").encode()


@pytest.fixture
def rules() -> WebSocketRules:
    return WebSocketRules(["mqtt", "mqttv3.1"])


async def answer(hall: Hall, octets: bytes) -> bytes:
    """What the server says before it ends the connection."""
    sock = await hall.connect()
    await asyncio.get_running_loop().sock_sendall(sock, octets)
    said = await read_all(sock)
    sock.close()
    return said


async def head(hall: Hall, octets: bytes) -> bytes:
    """The head of a response after which the connection stays open."""
    sock = await hall.connect()
    await asyncio.get_running_loop().sock_sendall(sock, octets)
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        said += await read_exactly(sock, 1)
    sock.close()
    return said


@pytest.mark.clause("MQTT-6.0.0-4", "MQTT3-6.0.0-4")
@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("mqtt", "mqtt"), ("mqttv3.1", "mqttv3.1"), ("mqttv3.1, mqtt", "mqtt"), ("amqp, mqtt", "mqtt")],
)
async def test_the_first_common_subprotocol_is_chosen(
    shared: Shared, rules: WebSocketRules, offered: str, chosen: str
) -> None:
    async with Hall(shared, websocket=rules) as hall:
        said = await head(hall, request(Sec_WebSocket_Protocol=offered))
        assert said.startswith(b"HTTP/1.1 101 ")
        assert f"Sec-WebSocket-Protocol: {chosen}\r\n".encode() in said


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n", 404),
        (b"GET /mqtt HTTP/1.1\r\nHost: hub\r\n\r\n", 426),
        (request("GET /other HTTP/1.1"), 404),
        (request("POST /mqtt HTTP/1.1"), 405),
        (request("GET /mqtt HTTP/1.0"), 505),
        (request(Host=None), 400),
        (request(more="Host: another\r\n"), 400),
        (request(Upgrade="h2c"), 426),
        (request(Connection="keep-alive"), 426),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="short"), 400),
        (request(Sec_WebSocket_Version="8"), 400),
        (request(Sec_WebSocket_Protocol=None), 400),
        (request(Sec_WebSocket_Protocol="amqp"), 400),
        (request(more="Transfer-Encoding: chunked\r\n"), 400),
        (request(more="Content-Length: 5\r\n"), 400),
        (request(more="no colon\r\n"), 400),
        (request(more="bad name: x\r\n"), 400),
        (request(more="folded: x\r\n y\r\n"), 400),
        (request("GET /mqtt"), 400),
        (request("GET /mqtt HTTP/9.9"), 400),
        (b"GET /mqtt HTTP/1.1\nHost: hub\n\n\r\n\r\n", 400),
        (request("GET /\xff HTTP/1.1"), 400),
        (request() + b"\x82\x80\x00\x00\x00\x00", 400),
        (b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\r\n\r\n", 400),
        (b"\0" * 100_000, 400),
        (request(more="X: " + "x" * 9000 + "\r\n"), 431),
        (request(more="X: y\r\n" * 2000), 431),
        (request("GET /mqtt?" + "x" * 9000 + " HTTP/1.1"), 431),
        (b"G" * 200_000, 431),
    ],
)
async def test_whoever_may_not_come_in_hears_it_in_http(
    shared: Shared, rules: WebSocketRules, octets: bytes, status: int
) -> None:
    async with Hall(shared, websocket=rules) as hall:
        said = await answer(hall, octets)
        assert said.startswith(b"HTTP/1.1 %d " % status)
        assert b"\r\nConnection: close\r\n" in said
        event = await hall.event(UPGRADE_FAILED)
        assert event["status"] == status
        assert str(event["because"]).isprintable()
        assert len(hall.events) == 1
        assert hall.owners == []
        await until(lambda: len(hall.ceilings) == 0)


async def test_a_query_does_not_matter(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        assert (await head(hall, request("GET /mqtt?token=none HTTP/1.1"))).startswith(b"HTTP/1.1 101 ")


async def test_another_path(shared: Shared) -> None:
    async with Hall(shared, websocket=WebSocketRules(["mqtt"], path="/broker/ws")) as hall:
        assert (await head(hall, request("GET /broker/ws HTTP/1.1"))).startswith(b"HTTP/1.1 101 ")
        assert (await answer(hall, request())).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("permitted", "origin", "status"),
    [
        ([], None, 101),
        ([], "http://hub.example:8884", 403),
        ([], "null", 403),
        (["https://panel.example"], None, 101),
        (["https://panel.example"], "https://panel.example", 101),
        (["https://panel.example"], "http://panel.example", 403),
        (["https://panel.example"], "https://panel.example.evil", 403),
        (["same"], "http://hub.example:8884", 101),
        (["same"], "http://HUB.example:8884", 101),
        (["same"], "https://hub.example:8884", 403),
        (["same"], "http://hub.example", 403),
        (["same"], "http://evil.example:8884", 403),
        (["same"], "http://hub.example:bad", 403),
        (["same", "https://panel.example"], "https://panel.example", 101),
        (["*"], "https://anything.example", 101),
        (["*"], None, 101),
    ],
)
async def test_origins(shared: Shared, permitted: list[str], origin: str | None, status: int) -> None:
    """A browser sends the Origin of the page that wants to connect; other programs send none."""
    async with Hall(shared, websocket=WebSocketRules(["mqtt"], origins=permitted)) as hall:
        octets = request(Origin=origin)
        said = await (head if status == 101 else answer)(hall, octets)
        assert said.startswith(b"HTTP/1.1 %d " % status)


async def test_two_origins_are_refused(shared: Shared) -> None:
    twice = request(more="Origin: http://hub.example:8884\r\nOrigin: http://hub.example:8884\r\n")
    async with Hall(shared, websocket=WebSocketRules(["mqtt"], origins=["same"])) as hall:
        assert (await answer(hall, twice)).startswith(b"HTTP/1.1 400 ")


async def test_the_same_origin_over_tls_is_https(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    rules = WebSocketRules(["mqtt"], origins=["same"])
    async with Hall(shared, tls=server_tls, websocket=rules) as hall:
        for origin, status in [("https://hub.example:8884", b"101"), ("http://hub.example:8884", b"403")]:
            client = await tls_client(await hall.connect(), client_tls)
            await tls_write(client, request(Origin=origin))
            assert (await tls_read(client, 12)).split()[1] == status
            client.close()


@pytest.mark.parametrize("sent", [b"", b"G", request()[:-1]])
async def test_an_upgrade_that_never_ends_is_cut_off(shared: Shared, rules: WebSocketRules, sent: bytes) -> None:
    async with Hall(shared, websocket=rules, rules=AcceptRules(seconds=0.05)) as hall:
        assert (await answer(hall, sent)).startswith(b"HTTP/1.1 408 ")
        event = await hall.event(UPGRADE_FAILED)
        assert event["because"] == "the WebSocket upgrade was not complete within 0.05 s"
        await until(lambda: len(hall.ceilings) == 0)


@pytest.mark.parametrize("sent", [b"", b"GET /mqtt HTTP/1.1\r\n"])
async def test_a_client_that_leaves_before_the_upgrade(shared: Shared, rules: WebSocketRules, sent: bytes) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await hall.connect()
        await until(lambda: hall.listener.arriving == 1)
        if sent:
            await asyncio.get_running_loop().sock_sendall(sock, sent)
            await turns()
        sock.close()
        event = await hall.event(UPGRADE_FAILED)
        assert event["status"] == 0
        assert event["because"] == "the client left before the WebSocket upgrade"
        assert hall.listener.arriving == 0


async def test_a_request_octet_by_octet(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await hall.connect()
        for octet in request():
            await asyncio.get_running_loop().sock_sendall(sock, bytes([octet]))
        assert (await read_exactly(sock, 12)) == b"HTTP/1.1 101"
        assert isinstance(await hall.owner(), Owner)
        sock.close()


async def test_the_stream_says_how_long_its_handshakes_took(shared: Shared) -> None:
    """The protocol's own time to connect goes on from there."""
    began = shared.loop.time()
    async with Hall(shared, websocket=WebSocketRules(["mqtt"])) as hall:
        octets = request()
        client = await hall.connect()
        await shared.loop.sock_sendall(client, octets[:20])
        await until(lambda: hall.listener.arriving == 1)
        half = shared.loop.time()
        await until(lambda: shared.loop.time() > half)
        await shared.loop.sock_sendall(client, octets[20:])
        stream = (await hall.owner()).stream
        assert 0 < stream.spent <= shared.loop.time() - began
        client.close()
