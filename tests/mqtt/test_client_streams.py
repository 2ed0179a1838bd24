"""Where the client connects to, over each transport: URLs, the hub's listeners, independent servers, and bad ones."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from bridgehead.protocols.mqtt.client.byte_stream import ByteStream, open_stream
from bridgehead.protocols.mqtt.client.errors import ConnectionFailed
from bridgehead.protocols.mqtt.client.target import Target, TargetError, parse_target
from bridgehead.transport.shared import Shared
from bridgehead.transport.upgrade import WebSocketRules
from tests.transport.tools import Contexts, Echo, Hall

MQTT = Subprotocol("mqtt")


@pytest.fixture
def contexts(tmp_path: Path) -> Contexts:
    from bench.certificates import Authority

    return Contexts(Authority(tmp_path))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://hub", "mqtt://hub:1883"),
        ("MQTT://hub:1", "mqtt://hub:1"),
        ("mqtts://hub/", "mqtts://hub:8883"),
        ("mqtts://[::1]:9", "mqtts://[::1]:9"),
        ("ws://hub", "ws://hub:80/mqtt"),
        ("ws://hub/", "ws://hub:80/"),
        ("wss://hub:8884/a/b?c=d", "wss://hub:8884/a/b?c=d"),
        ("mqtt+unix:/run/hub.sock", "mqtt+unix:/run/hub.sock"),
        ("mqtt+unix:///run/hub%20one.sock", "mqtt+unix:/run/hub one.sock"),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert str(parse_target(url)) == shown


def test_the_user_may_stand_in_the_url_and_is_not_shown() -> None:
    target = parse_target("mqtts://door%2F3@hub")
    assert target.user_name == "door/3"
    assert "door" not in str(target)


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("hub:1883", "the URL must be"),
        ("http://hub", "the URL must be"),
        ("mqtt://", "names no host"),
        ("mqtt://hub:port", "cannot be read"),
        ("mqtt://hub:99999", "cannot be read"),
        ("mqtt://[::1", "cannot be read"),
        ("mqtt://hub..example", "cannot be read"),
        ("mqtt://hub/path", "ends after the port"),
        ("mqtts://me:secret@hub", "a password in the URL would be seen"),
        ("mqtt+unix:", "needs the path of a socket"),
        ("mqtt+unix://host/path", "needs the path of a socket"),
    ],
)
def test_what_is_no_url(url: str, because: str) -> None:
    with pytest.raises(TargetError, match=because) as raised:
        parse_target(url)
    assert "secret" not in str(raised.value)


async def echoed(stream: ByteStream, data: bytes) -> bool:
    """Whether `data` comes back from the other side."""
    stream.write(data)
    await stream.drain()
    heard = b""
    while len(heard) < len(data):
        heard += await stream.read()
    await stream.close()
    return heard == data


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss", "mqtt+unix"])
async def test_every_transport_to_our_own_listener(contexts: Contexts, tmp_path: Path, scheme: str) -> None:
    secure = scheme in ("mqtts", "wss")
    path = tmp_path / "hub.sock"
    unix = scheme == "mqtt+unix"
    async with Hall(
        Shared(),
        f"unix:{path}" if unix else "127.0.0.1:0",
        tls=contexts.server() if secure else None,
        websocket=WebSocketRules(["mqtt"]) if scheme in ("ws", "wss") else None,
        owner=Echo,
    ) as hall:
        url = f"mqtt+unix:{path}" if unix else f"{scheme}://localhost:{hall.listener.port}"
        stream = await open_stream(parse_target(url), contexts.client() if secure else None)
        assert await echoed(stream, b"x" * 300_000)


async def test_the_servers_name_is_checked(contexts: Contexts) -> None:
    async with Hall(Shared(), tls=contexts.server("other")) as hall:  # a certificate for localhost only
        with pytest.raises(ConnectionFailed, match=r"is for another name: .*127\.0\.0\.1.*; use a name that it holds"):
            await open_stream(Target("mqtts", "127.0.0.1", hall.listener.port), contexts.client())


async def test_a_server_of_an_unknown_authority_is_refused(contexts: Contexts) -> None:
    async with Hall(Shared(), tls=contexts.server()) as hall:
        target = Target("mqtts", "localhost", hall.listener.port)
        with pytest.raises(ConnectionFailed, match=r"is not trusted: .*; give its authority with --ca FILE"):
            await open_stream(target, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody else can listen there
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailed, match=r"cannot connect to mqtt://127\.0\.0\.1:\d+: Connection refused"):
            await open_stream(Target("mqtt", *taken.getsockname()), None)
    with pytest.raises(ConnectionFailed, match=r"cannot connect to mqtt\+unix:.*: No such file"):
        await open_stream(parse_target(f"mqtt+unix:{tmp_path}/none"), None)


@pytest.mark.parametrize(
    ("said", "because"),
    [
        (b"MQTT\r\n\r\n", "did not receive a valid HTTP response"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nhi", "HTTP status 404; is the path right?"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "missing Connection header"),
        (b"", "closed the connection instead of answering"),
        (b"X" * 200_000, "expected no more than 8192"),
    ],
)
async def test_what_is_no_websocket_server(said: bytes, because: str) -> None:
    async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            writer.write(said)
            writer.write_eof()
            await reader.read()
        except OSError:
            pass  # the client has seen enough
        writer.close()

    async with await asyncio.start_server(wrong, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFailed, match=because):
            await open_stream(parse_target(f"ws://127.0.0.1:{port}"), None)


async def echo_server(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_with_an_independent_websocket_server() -> None:
    async with serve(echo_server, "127.0.0.1", 0, subprotocols=[MQTT]) as server:
        port = server.sockets[0].getsockname()[1]
        assert await echoed(await open_stream(parse_target(f"ws://127.0.0.1:{port}"), None), b"hello")


@pytest.mark.clause("MQTT-6.0.0-3", "MQTT3-6.0.0-3")
async def test_we_offer_the_subprotocol_and_insist_on_it() -> None:
    offered: list[str] = []

    def note(connection: ServerConnection, request: Request) -> Response | None:
        offered.extend(request.headers.get_all("Sec-WebSocket-Protocol"))
        return None

    async with serve(echo_server, "127.0.0.1", 0, process_request=note) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionFailed, match="did not choose the subprotocol mqtt"):
            await open_stream(parse_target(f"ws://127.0.0.1:{port}"), None)
    assert offered == ["mqtt"]


async def test_data_in_the_same_segment_as_the_answer() -> None:
    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        protocol = ServerProtocol(subprotocols=[MQTT])
        protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
        request = protocol.events_received()[0]
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        protocol.send_binary(b"first ")
        protocol.send_binary(b"second")
        writer.write(b"".join(protocol.data_to_send()))
        await reader.read()
        writer.close()

    async with await asyncio.start_server(eager, "127.0.0.1", 0) as server:
        stream = await open_stream(parse_target(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None)
        assert await stream.read() == b"first second"
        await stream.close()


async def test_the_server_closes() -> None:
    async def closing(connection: ServerConnection) -> None:
        await connection.close(1011, "out of order")

    async with serve(closing, "127.0.0.1", 0, subprotocols=[MQTT]) as server:
        stream = await open_stream(parse_target(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"), None)
        assert await stream.read() == b""
        await stream.close()
