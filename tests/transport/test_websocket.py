"""WebSocket streams against the independent `websockets` client, and against frames made by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from bridgehead.transport.shared import Shared
from bridgehead.transport.upgrade import WebSocketRules
from bridgehead.transport.websocket import WebSocketStream
from tests.transport.tools import Echo, Hall, Owner, read_all, read_exactly, reset, turns, until

MQTT = Subprotocol("mqtt")
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
BIG = bytes(range(256)) * 2048  # 512 KiB
REQUEST = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def frame(opcode: int, data: bytes, final: bool = True, masked: bool = True, length: int | None = None) -> bytes:
    """A client's frame (RFC 6455 5.2), also one that is not allowed."""
    size = len(data) if length is None else length
    head = bytes([(0x80 if final else 0) | opcode])
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + data
    mask = b"\x37\xfa\x21\x3d"  # RFC 6455 5.7
    return head + mask + bytes(octet ^ mask[i % 4] for i, octet in enumerate(data))


def closing(code: int, reason: bytes = b"") -> bytes:
    """A client's Close."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


async def read_frame(sock: socket.socket) -> tuple[int, bytes]:
    """A server's frame: (opcode, data)."""
    head = await read_exactly(sock, 2)
    assert head[0] & 0x80
    assert not head[1] & 0x80, "a server must not mask (RFC 6455 5.1)"
    size = head[1]
    if size == 126:
        (size,) = struct.unpack("!H", await read_exactly(sock, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", await read_exactly(sock, 8))
    return head[0] & 0x0F, await read_exactly(sock, size)


async def send(sock: socket.socket, *parts: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(sock, b"".join(parts))


async def raw(hall: Hall) -> socket.socket:
    """A hand-made client after its opening handshake."""
    sock = await hall.connect()
    await send(sock, REQUEST)
    response = b""
    while not response.endswith(b"\r\n\r\n"):
        response += await read_exactly(sock, 1)
    assert response.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in response  # RFC 6455 1.3
    return sock


@asynccontextmanager
async def client_of(hall: Hall, **options: Any) -> AsyncIterator[ClientConnection]:
    options.setdefault("subprotocols", [MQTT])
    scheme = "wss" if "ssl" in options else "ws"
    async with connect(f"{scheme}://localhost:{hall.listener.port}/mqtt", proxy=None, **options) as client:
        yield client


@pytest.fixture
def rules() -> WebSocketRules:
    return WebSocketRules(["mqtt"])


# --- octets ----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-6.0.0-4", "MQTT3-6.0.0-4")
@pytest.mark.parametrize("secure", [False, True])
async def test_echo_with_an_independent_client(
    shared: Shared, rules: WebSocketRules, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, secure: bool
) -> None:
    tls = server_tls if secure else None
    async with Hall(shared, tls=tls, websocket=rules, owner=Echo) as hall:
        async with client_of(hall, **({"ssl": client_tls} if secure else {})) as client:
            assert client.subprotocol == "mqtt"
            assert client.response is not None
            assert "Sec-WebSocket-Extensions" not in client.response.headers  # it offered permessage-deflate
            for data in (b"x", b"hello", b"y" * 126, BIG):
                await client.send(data)
                received = b""
                while len(received) < len(data):
                    part = await client.recv()
                    assert isinstance(part, bytes)
                    received += part
                assert received == data
            await (await client.ping())
            stream = hall.owners[0].stream
            assert (stream.tls is not None) is secure
            assert stream.peer.startswith("127.0.0.1:")
            assert stream.local.endswith(f":{hall.listener.port}")
            assert isinstance(stream, WebSocketStream)
            assert stream.subprotocol == "mqtt"
        assert await hall.owners[0].ended() == ""


@pytest.mark.clause("MQTT-6.0.0-2", "MQTT3-6.0.0-2")
async def test_frames_need_not_be_aligned_with_what_they_carry(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        await send(sock, frame(BINARY, b"one and a h"), frame(BINARY, b""), frame(BINARY, b"alf, t"))
        await send(sock, frame(BINARY, b"wo", final=False), frame(PING, b"?"), frame(CONTINUATION, b"!"))
        owner = await hall.owner()
        assert await owner.has(20) == b"one and a half, two!"
        assert await read_frame(sock) == (PONG, b"?")
        for octet in frame(BINARY, b"octet by octet"):
            await send(sock, bytes([octet]))
        assert await owner.has(34) == b"one and a half, two!octet by octet"
        sock.close()


async def test_a_fragment_is_handed_up_before_the_message_is_whole(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        await send(sock, frame(BINARY, b"first", final=False))
        assert await (await hall.owner()).has(5) == b"first"
        sock.close()


async def test_data_right_after_the_answer_waits_for_start(shared: Shared, rules: WebSocketRules) -> None:
    class Late(Owner):
        def __init__(self, stream: Any) -> None:
            super().__init__(stream, start=False)

    async with Hall(shared, websocket=rules, owner=Late) as hall:
        sock = await raw(hall)
        await send(sock, frame(BINARY, b"hello"))
        owner = await hall.owner()
        await turns()
        owner.start()
        assert await owner.has(5) == b"hello"
        sock.close()


async def test_backpressure_both_ways(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        owner = await hall.owner()
        stream = owner.stream
        for _ in range(64):
            stream.send(BIG)
        assert stream.pending > 0
        for _ in range(64):
            assert await read_frame(sock) == (BINARY, BIG)
        await until(lambda: owner.drains == 1)
        assert stream.pending == 0
        stream.pause()
        writing = asyncio.create_task(send(sock, *[frame(BINARY, b"z" * 100_000)] * 200))
        await turns()
        assert not owner.reads
        assert not writing.done()
        stream.resume()
        await owner.has(100_000 * 200)
        await writing
        sock.close()


async def test_pings_of_a_client_that_does_not_read_pile_up_nothing(shared: Shared, rules: WebSocketRules) -> None:
    """RFC 6455 5.5.3: only the most recent Ping need be answered."""
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        owner = await hall.owner()
        stream = owner.stream
        for _ in range(20):
            stream.send(BIG)
        pending = stream.pending
        assert pending > 0
        for number in range(5000):
            await send(sock, frame(PING, b"%08d" % number * 8))
        await send(sock, frame(BINARY, b"."))
        await owner.has(1)
        assert stream.pending <= pending
        for _ in range(20):
            assert await read_frame(sock) == (BINARY, BIG)
        assert await read_frame(sock) == (PONG, b"00004999" * 8)
        sock.close()


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.clause("MQTT-6.0.0-1", "MQTT3-6.0.0-1")
async def test_a_text_frame_closes_with_1003(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall, client_of(hall) as client:
        await client.send(b"binary first")
        await client.send("then text")
        with pytest.raises(ConnectionClosed) as raised:
            await client.recv()
        assert raised.value.rcvd is not None
        assert raised.value.rcvd.code == 1003
        owner = hall.owners[0]
        assert await owner.ended() == "a text frame came, where only binary frames are permitted"
        assert owner.data == b"binary first"


@pytest.mark.clause("MQTT-6.0.0-1", "MQTT3-6.0.0-1")
@pytest.mark.parametrize("final", [True, False])
async def test_octets_before_a_text_frame_of_the_same_read_are_handed_up(
    shared: Shared, rules: WebSocketRules, final: bool
) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        late = frame(BINARY if final else CONTINUATION, b"late")
        await send(sock, frame(BINARY, b"good"), frame(TEXT, b"bad", final=final), late)
        owner = await hall.owner()
        assert await owner.ended() == "a text frame came, where only binary frames are permitted"
        assert owner.data == b"good"
        opcode, data = await read_frame(sock)
        assert opcode == CLOSE
        assert data[:2] == struct.pack("!H", 1003)
        assert await read_all(sock) == b""
        sock.close()


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (frame(BINARY, b"x", masked=False), 1002),
        (frame(3, b"x"), 1002),
        (bytes([0xC2]) + frame(BINARY, b"x")[1:], 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(BINARY, b"x", final=False) + frame(BINARY, b"y"), 1002),
        (frame(PING, b"x", final=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (closing(999), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (closing(1000, b"\xff\xfe"), 1007),
        (frame(BINARY, b"", length=2**63), 1009),
        (frame(BINARY, b"", length=1024 * 1024 + 1), 1009),
        (frame(BINARY, b"x" * 600_000, final=False) + frame(CONTINUATION, b"x" * 600_000), 1009),
    ],
)
async def test_broken_rules_close_with_the_proper_code(
    shared: Shared, rules: WebSocketRules, octets: bytes, code: int
) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        await send(sock, octets)
        opcode, data = await read_frame(sock)
        assert opcode == CLOSE
        assert struct.unpack("!H", data[:2]) == (code,)
        assert await read_all(sock) == b""
        reason = await (await hall.owner()).ended()
        assert reason.startswith(("the WebSocket rules were broken: ", "the WebSocket connection failed: "))
        sock.close()


async def test_the_maximum_message_size_can_be_raised_later(shared: Shared) -> None:
    small = WebSocketRules(["mqtt"], maximum_message_size=100)
    async with Hall(shared, websocket=small) as hall:
        sock = await raw(hall)
        owner = await hall.owner()
        stream = owner.stream
        assert isinstance(stream, WebSocketStream)
        assert stream.maximum_message_size == 100
        stream.maximum_message_size = 2000  # as after the client proved who it is
        await send(sock, frame(BINARY, b"x" * 2000))
        await owner.has(2000)
        await send(sock, frame(BINARY, b"x" * 2001))
        assert (await read_frame(sock))[1][:2] == struct.pack("!H", 1009)
        sock.close()


@pytest.mark.parametrize("code", [1000, 1001, None])
async def test_the_peers_orderly_close_is_echoed(shared: Shared, rules: WebSocketRules, code: int | None) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        body = b"" if code is None else struct.pack("!H", code) + b"bye"
        await send(sock, frame(BINARY, b"last words"), frame(CLOSE, body))
        assert await read_frame(sock) == (CLOSE, body)
        assert await read_all(sock) == b""
        owner = await hall.owner()
        assert await owner.ended() == ""
        assert owner.data == b"last words"
        sock.close()


async def test_the_peers_other_close_is_told_without_control_characters(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        await send(sock, closing(4000, "no\nlonger\x1b[31m é".encode()))
        reason = await (await hall.owner()).ended()
        assert reason == r"the peer closed the WebSocket with code 4000: no\nlonger\x1b[31m \xe9"
        sock.close()


async def test_our_close_goes_after_what_is_pending_and_waits_for_the_peers(
    shared: Shared, rules: WebSocketRules
) -> None:
    async with Hall(shared, websocket=rules) as hall:
        sock = await raw(hall)
        owner = await hall.owner()
        for _ in range(20):
            owner.stream.send(BIG)
        assert owner.stream.pending
        owner.stream.close()
        owner.stream.close()
        owner.stream.send(b"too late")
        assert owner.ends == []
        for _ in range(20):
            assert await read_frame(sock) == (BINARY, BIG)
        assert await read_frame(sock) == (CLOSE, struct.pack("!H", 1000))
        assert await owner.ended() == ""
        await send(sock, frame(BINARY, b"not read any more"), closing(1000))
        assert await read_all(sock) == b""
        sock.close()
        await until(lambda: len(shared.closing) == 0)


async def test_our_close_may_name_a_code(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall, client_of(hall) as client:
        stream = (await hall.owner()).stream
        assert isinstance(stream, WebSocketStream)
        stream.close(1001, "the hub is stopping")
        with pytest.raises(ConnectionClosed) as raised:
            await client.recv()
        assert raised.value.rcvd is not None
        assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (1001, "the hub is stopping")


async def test_a_client_that_never_answers_our_close(rules: WebSocketRules) -> None:
    async with Hall(Shared(linger_seconds=0.05), websocket=rules) as hall:
        sock = await raw(hall)
        owner = await hall.owner()
        owner.stream.close()
        assert await owner.ended() == ""
        assert await read_frame(sock) == (CLOSE, struct.pack("!H", 1000))
        assert await read_all(sock) == b""
        await until(lambda: len(hall.ceilings) == 0)
        sock.close()


async def test_a_client_that_takes_nothing_is_dropped(rules: WebSocketRules) -> None:
    async with Hall(Shared(linger_seconds=0.05), websocket=rules) as hall:
        sock = await raw(hall)
        owner = await hall.owner()
        for _ in range(40):
            owner.stream.send(BIG)
        owner.stream.close()
        reason = await owner.ended()
        assert reason.startswith("the peer did not take the last ")
        await until(lambda: len(hall.ceilings) == 0)
        sock.close()


async def test_an_end_without_close_is_told(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        (await raw(hall)).close()
        assert await (await hall.owner()).ended() == "the peer ended the connection without a WebSocket Close"


async def test_a_reset_and_an_abort_are_told(shared: Shared, rules: WebSocketRules) -> None:
    async with Hall(shared, websocket=rules) as hall:
        reset(await raw(hall))
        assert await (await hall.owner()).ended() == "the peer reset the connection"
        sock = await raw(hall)
        owner = await hall.owner(1)
        owner.stream.abort()
        assert owner.ends == []
        assert await owner.ended() == "the connection was aborted"
        owner.stream.send(b"ignored")
        sock.close()


async def test_close_and_abort_inside_on_data(shared: Shared, rules: WebSocketRules) -> None:
    class Ending(Owner):
        def on_data(self, data: bytes) -> None:
            super().on_data(data)
            self.stream.send(b"bye")
            if data == b"close":
                self.stream.close()
            else:
                self.stream.abort()

    async with Hall(shared, websocket=rules, owner=Ending) as hall:
        for index, (word, reason) in enumerate([(b"close", ""), (b"abort", "the connection was aborted")]):
            sock = await raw(hall)
            await send(sock, frame(BINARY, word))
            assert await (await hall.owner(index)).ended() == reason
            sock.close()
