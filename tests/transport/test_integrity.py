"""Whatever sizes are sent and however often the reader pauses: the same octets arrive in the same order."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl

import pytest

from bridgehead.protocols.mqtt.client.byte_stream import ByteStream, open_stream
from bridgehead.protocols.mqtt.client.target import parse_target
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import SocketStream, Stream
from bridgehead.transport.upgrade import WebSocketRules
from bridgehead.transport.websocket import WebSocketStream
from tests.transport.tools import Echo, Hall, turns

TOTAL = 2_000_000


class Moody(Echo):
    """An echo that now and then stops reading for a while, and holds its peer back when that does not read."""

    def __init__(self, stream: Stream) -> None:
        self.dice = random.Random(7)
        below = stream._below if isinstance(stream, WebSocketStream) else stream
        assert isinstance(below, SocketStream)
        below._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().__init__(stream)

    def on_data(self, data: bytes) -> None:
        super().on_data(data)
        if self.stream.pending > 50_000:
            self.stream.pause()
        elif self.dice.random() < 0.2:
            self.stream.pause()
            asyncio.get_running_loop().call_soon(self.stream.resume)

    def on_drain(self) -> None:
        super().on_drain()
        self.stream.resume()


async def hear(stream: ByteStream, octets: int, dice: random.Random) -> bytes:
    """Read that many, and now and then look away for a while."""
    heard = bytearray()
    while len(heard) < octets:
        data = await stream.read()
        assert data, "the hub ended the connection"
        heard += data
        if dice.random() < 0.1:
            await turns(1)
    return bytes(heard)


@pytest.mark.clause("MQTT-4.2-1", "MQTT3-7.1.1-1")
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
@pytest.mark.parametrize("read_size", [1000, 65536])
async def test_the_same_octets_in_the_same_order(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, scheme: str, read_size: int
) -> None:
    """The client's end is our client's transport, on asyncio's own streams."""
    dice = random.Random(scheme)
    sizes = [1, 10, 100, 1000, 16_384, 16_385, 100_000]
    data = [dice.randbytes(dice.choice(sizes)) for _ in range(TOTAL * len(sizes) // sum(sizes))]
    whole = b"".join(data)
    shared = Shared(read_size=read_size, max_reads=2, max_records=3)
    secure = scheme in ("mqtts", "wss")
    websocket = WebSocketRules(["mqtt"]) if scheme.startswith("ws") else None
    async with Hall(shared, tls=server_tls if secure else None, websocket=websocket, owner=Moody) as hall:
        target = parse_target(f"{scheme}://localhost:{hall.listener.port}")
        stream = await open_stream(target, client_tls if secure else None)
        hearing = asyncio.create_task(hear(stream, len(whole), random.Random(scheme)))
        for each in data:
            stream.write(each)
            await stream.drain()
        assert await hearing == whole
        await stream.close()
        await hall.owners[0].ended()
        assert hall.owners[0].data == whole
