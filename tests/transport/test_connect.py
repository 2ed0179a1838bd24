"""The client's side: URLs, and connections to our listener and to independent servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from bridgehead.transport.connect import ConnectError, Target, open_stream, parse_target
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream
from bridgehead.transport.upgrade import WebSocketRules
from tests.transport.tools import Contexts, Echo, Hall, Owner, turns, until

MQTT = Subprotocol("mqtt")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mqtt://hub", "mqtt://hub:1883"),
        ("mqtt://hub:1", "mqtt://hub:1"),
        ("mqtts://hub/", "mqtts://hub:8883"),
        ("mqtts://[::1]:9", "mqtts://[::1]:9"),
        ("ws://hub", "ws://hub:80/mqtt"),
        ("wss://hub:8884/a/b?c=d", "wss://hub:8884/a/b?c=d"),
        ("unix:/run/hub.sock", "unix:/run/hub.sock"),
        ("unix:///run/hub%20one.sock", "unix:/run/hub one.sock"),
    ],
)
def test_urls(url: str, shown: str) -> None:
    assert str(parse_target(url)) == shown


@pytest.mark.parametrize(
    ("url", "because"),
    [
        ("hub:1883", "must begin with"),
        ("http://hub", "must begin with"),
        ("mqtt://", "names no host"),
        ("mqtt://hub:port", "that is not a URL"),
        ("mqtt://hub:99999", "that is not a URL"),
        ("mqtt://[::1", "that is not a URL"),
        ("mqtt://hub/path", "has no path"),
        ("mqtts://me:secret@hub", "must not stand in the URL"),
        ("unix:relative", "write unix:/path"),
        ("unix://host/path", "write unix:/path"),
    ],
)
def test_what_is_no_url(url: str, because: str) -> None:
    with pytest.raises(ConnectError, match=because) as raised:
        parse_target(url)
    assert "secret" not in str(raised.value)


async def echo(stream: Stream) -> None:
    owner = Owner(stream)
    stream.send(b"hello")
    assert await owner.has(5) == b"hello"
    stream.send(b"x" * 300_000)
    await owner.has(300_005)
    stream.close()
    assert await owner.ended() == ""


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss", "unix"])
async def test_every_transport_to_our_own_listener(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path, scheme: str
) -> None:
    secure = scheme in ("mqtts", "wss")
    path = tmp_path / "hub.sock"
    async with Hall(
        shared,
        f"unix:{path}" if scheme == "unix" else "127.0.0.1:0",
        tls=server_tls if secure else None,
        websocket=WebSocketRules(["mqtt"]) if scheme in ("ws", "wss") else None,
        owner=Echo,
    ) as hall:
        url = f"unix:{path}" if scheme == "unix" else f"{scheme}://localhost:{hall.listener.port}"
        stream = await open_stream(parse_target(url), client_tls if secure else None, shared=shared)
        assert stream.peer == hall.listener.address
        assert (stream.tls is not None) is secure
        if stream.tls is not None:
            assert stream.tls.peer_certificate
        await echo(stream)
        assert await hall.owners[0].ended() == ""


async def test_tls_must_be_wanted_where_the_scheme_has_it_and_only_there(client_tls: ssl.SSLContext) -> None:
    with pytest.raises(ConnectError, match="mqtts connections need TLS"):
        await open_stream(Target("mqtts", "localhost", 1))
    with pytest.raises(ConnectError, match="mqtt connections have no TLS"):
        await open_stream(Target("mqtt", "localhost", 1), client_tls)


async def test_the_servers_name_is_checked(shared: Shared, contexts: Contexts, client_tls: ssl.SSLContext) -> None:
    async with Hall(shared, tls=contexts.server("other"), owner=Echo) as hall:  # a certificate for localhost only
        target = Target("mqtts", "127.0.0.1", hall.listener.port)
        with pytest.raises(ConnectError, match=r"the peer's certificate is not accepted: .*127\.0\.0\.1"):
            await open_stream(target, client_tls)
        await echo(await open_stream(target, client_tls, server_hostname="localhost"))


async def test_a_server_of_an_unknown_authority_is_refused(
    shared: Shared, server_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    from bench.certificates import Authority

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(Authority(tmp_path).ca)
    async with Hall(shared, tls=server_tls) as hall:
        with pytest.raises(ConnectError, match="the peer's certificate is not accepted"):
            await open_stream(Target("mqtts", "localhost", hall.listener.port), context)


async def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match=r"cannot connect to mqtt://127\.0\.0\.1:1: the connection was refused"):
        await open_stream(Target("mqtt", "127.0.0.1", 1))
    with pytest.raises(ConnectError, match=r"cannot connect to unix:.*: no such file or directory"):
        await open_stream(parse_target(f"unix:{tmp_path}/none"))
    with pytest.raises(ConnectError, match=r'the name "no-such-host\.invalid" is not known'):
        await open_stream(parse_target("mqtt://no-such-host.invalid"))


@pytest.mark.parametrize("scheme", ["mqtts", "ws"])
async def test_a_server_that_says_nothing(client_tls: ssl.SSLContext, scheme: str) -> None:
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1000):
                pass
        except ConnectionResetError:
            pass
        writer.close()
        ended.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        target = Target(scheme, "127.0.0.1", server.sockets[0].getsockname()[1], "/mqtt" if scheme == "ws" else "")
        with pytest.raises(ConnectError, match=r"did not answer within 0\.05 s"):
            await open_stream(target, client_tls if scheme == "mqtts" else None, seconds=0.05)
        await asyncio.wait_for(ended.wait(), 10)  # and our side is closed


@pytest.mark.parametrize(
    ("said", "because"),
    [
        (b"MQTT\r\n\r\n", "did not receive a valid HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "the server answered 200: hi"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\n\x1b[1m", r"the server answered 401: \\x1b\[1m"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "the server's handshake is not valid"),
        (b"", "the server ended the connection"),
        (b"X" * 200_000, "no WebSocket at .*: read .* bytes, expected no more than 8192"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: " + b"b" * 5000 + b"\r\n" * 1, "the server ended the connection"),
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
        with pytest.raises(ConnectError, match=because):
            await open_stream(parse_target(f"ws://127.0.0.1:{port}"))


Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo_server(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def test_with_an_independent_websocket_server() -> None:
    async with serve(echo_server, "127.0.0.1", 0, subprotocols=[MQTT]) as server:
        port = server.sockets[0].getsockname()[1]
        await echo(await open_stream(parse_target(f"ws://127.0.0.1:{port}/mqtt")))


@pytest.mark.clause("MQTT-6.0.0-3", "MQTT3-6.0.0-3")
async def test_we_offer_the_subprotocol_and_insist_on_it() -> None:
    offered: list[str] = []

    def note(connection: ServerConnection, request: Request) -> Response | None:
        offered.extend(request.headers.get_all("Sec-WebSocket-Protocol"))
        return None

    async with serve(echo_server, "127.0.0.1", 0, process_request=note) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectError, match="the server did not choose a subprotocol"):
            await open_stream(parse_target(f"ws://127.0.0.1:{port}/mqtt"))
    assert offered == ["mqtt"]


async def test_data_in_the_same_segment_as_the_answer() -> None:
    """A server may speak first; what it says with its 101 waits for start()."""
    shared = Shared(linger_seconds=0.05)
    from websockets.server import ServerProtocol

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
        port = server.sockets[0].getsockname()[1]
        stream = await open_stream(parse_target(f"ws://127.0.0.1:{port}"), shared=shared)
        await turns()
        owner = Owner(stream)
        assert await owner.has(12) == b"first second"
        stream.close()
        await owner.ended()
        await until(lambda: len(shared.closing) == 0)


async def test_the_server_closes(shared: Shared) -> None:
    async def closing(connection: ServerConnection) -> None:
        await connection.close(1011, "out of order")

    async with serve(closing, "127.0.0.1", 0, subprotocols=[MQTT]) as server:
        port = server.sockets[0].getsockname()[1]
        owner = Owner(await open_stream(parse_target(f"ws://127.0.0.1:{port}"), shared=shared))
        assert await owner.ended() == "the peer closed the WebSocket with code 1011: out of order"
        await until(lambda: len(shared.closing) == 0)
