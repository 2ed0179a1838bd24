"""What `bridgehead pub` does once its options are read: one message, or a message per line of standard input."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

from bridgehead.cli.client_options import Identity, usage
from bridgehead.protocols.mqtt.client.client import Client
from bridgehead.protocols.mqtt.client.errors import ConnectionFailed, Refused
from bridgehead.protocols.mqtt.codec.packets import Connect, Packet
from bridgehead.protocols.mqtt.codec.properties import Properties

CHUNK = 65_536
CHUNKS_AHEAD = 8  # read from standard input and not yet sent
UNANSWERED = 1000  # messages whose acknowledgement is awaited at one time, below the server's own limit
LARGEST_LINE = 268_435_455
SHOWN = 10  # refused messages told of one by one


class Sending:
    """What all messages of one run share."""

    def __init__(self, topic: str, qos: int, retain: bool, properties: Properties) -> None:
        self.topic = topic
        self.qos = qos
        self.retain = retain
        self.properties = properties


def one_message(text: str | None, file: str | None) -> bytes:
    """The payload of `-m` or `-f`."""
    if text is not None:
        return text.encode("utf-8", "surrogateescape")
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file or "").read_bytes()
    except OSError as error:
        raise usage(f"--file {file} cannot be read: {error.strerror}") from None


async def publish_all(who: Identity, connect: Connect, sending: Sending, payload: bytes | None, patience: float) -> int:
    """Publish `payload`, or each line of standard input when it is None; `patience` in seconds is for the connection
    and for the last answers. The exit code; raises Refused and ConnectionFailed."""
    client = Client(who.target, connect, who.tls, patience, who.machine)
    await client.open()
    try:
        if payload is not None:
            async with asyncio.timeout(patience):
                await client.publish(sending.topic, payload, sending.qos, sending.retain, sending.properties)
            refused = 0
        else:
            refused = await publish_lines(client, sending, patience)
    except TimeoutError:
        raise ConnectionFailed(f"{who.target} did not acknowledge within {patience:g} seconds") from None
    finally:
        await client.close()
    return 1 if refused else 0


async def publish_lines(client: Client, sending: Sending, patience: float) -> int:
    """Every line of standard input; the number of refused messages."""
    waiting: deque[tuple[int, asyncio.Future[Packet]]] = deque()
    number = refused = 0
    ended = asyncio.ensure_future(client.ended())
    try:
        async for line in standard_input_lines(ended):
            number += 1
            flow = await client.send(sending.topic, line, sending.qos, sending.retain, sending.properties)
            if flow is not None:
                waiting.append((number, flow))
            while waiting and (waiting[0][1].done() or len(waiting) > UNANSWERED):
                refused += await was_refused(client, *waiting.popleft(), refused)
        async with asyncio.timeout(patience):
            for line_number, answer in waiting:
                refused += await was_refused(client, line_number, answer, refused)
    finally:
        ended.cancel()
    if client.failure is not None:
        raise client.failure
    if refused:
        print(f"bridgehead pub: {refused} of {number} messages were refused", file=sys.stderr)
    return refused


async def was_refused(client: Client, number: int, flow: asyncio.Future[Packet], before: int) -> int:
    """1 when the message of this line was refused, which is then told, else 0."""
    try:
        await client.outcome(flow)
    except Refused as error:
        if client.failure is not None:
            raise
        if before < SHOWN:
            print(f"bridgehead pub: line {number}: {error}", file=sys.stderr)
        return 1
    return 0


async def standard_input_lines(ended: asyncio.Future[None]) -> AsyncIterator[bytes]:
    """The lines of standard input without their ends, until it or the connection (`ended`) is over.

    A thread of its own reads: a file, a pipe and a terminal all work, and a read that never returns holds up nothing.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    ahead = threading.Semaphore(CHUNKS_AHEAD)

    def pump() -> None:
        while True:
            ahead.acquire()
            data = os.read(sys.stdin.fileno(), CHUNK)
            try:
                loop.call_soon_threadsafe(chunks.put_nowait, data)
            except RuntimeError:
                return  # the loop is closed: nobody reads any more
            if not data:
                return

    rest = b""
    threading.Thread(target=pump, daemon=True, name="standard input").start()
    while True:
        coming = asyncio.ensure_future(chunks.get())
        await asyncio.wait((coming, ended), return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            return
        data = coming.result()
        ahead.release()
        if not data:
            if rest:
                yield rest
            return
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        if len(rest) > LARGEST_LINE:
            raise ConnectionFailed("a line of standard input is longer than a message can be")
        for line in lines:
            yield line
