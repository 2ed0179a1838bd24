"""What `bridgehead sub` does once its options are read: subscribe, print what arrives, acknowledge what was printed."""

from __future__ import annotations

import asyncio
import base64
import json
import sys

from bridgehead.cli.client_options import Identity, subscription_refused
from bridgehead.protocols.mqtt.client.client import Client
from bridgehead.protocols.mqtt.codec.packets import Connect, Publish, SubscriptionRequest
from bridgehead.protocols.mqtt.codec.properties import Properties


class Receiving:
    """What to subscribe to, how to print, when to end."""

    def __init__(
        self,
        requests: list[SubscriptionRequest],
        properties: Properties,
        verbose: bool,
        json_lines: bool,
        count: int | None,
        timeout: float | None,
    ) -> None:
        self.requests = requests
        self.properties = properties
        self.verbose = verbose
        self.json_lines = json_lines
        self.count = count
        self.timeout = timeout


async def subscribe_all(who: Identity, connect: Connect, receiving: Receiving) -> int:
    """Print until the end; the exit code. Raises Refused and ConnectionFailed."""
    client = Client(who.target, connect, who.tls, machine=who.machine)
    await client.open()
    printed = 0
    try:
        suback = await client.subscribe(receiving.requests, receiving.properties)
        for request, code in zip(receiving.requests, suback.reason_codes, strict=True):
            if code >= 0x80:
                reason = suback.properties.reason_string
                raise subscription_refused(request, code, reason, connect.protocol_version)
            if code < request.qos:
                print(f"bridgehead sub: {request.topic_filter} comes with QoS {code} at most", file=sys.stderr)
        try:
            async with asyncio.timeout(receiving.timeout):
                while receiving.count is None or printed < receiving.count:
                    message = await client.next_message()
                    show(message, receiving, flush=not client.waiting)
                    client.accept(message)
                    printed += 1
        except TimeoutError:
            if receiving.count is not None:
                print(f"bridgehead sub: {printed} of {receiving.count} messages came in time", file=sys.stderr)
                return 1
    finally:
        await client.close()
    return 0


def show(message: Publish, receiving: Receiving, flush: bool) -> None:
    """One message on standard output."""
    output = sys.stdout.buffer
    if receiving.json_lines:
        output.write(json.dumps(as_json(message), ensure_ascii=False).encode() + b"\n")
    else:
        payload = message.payload
        line = message.topic.encode() + b" " + payload if receiving.verbose else payload
        # What a device sends must not steer the terminal of whoever looks at it.
        output.write((harmless(line) if sys.stdout.isatty() else line) + b"\n")
    if flush:
        output.flush()


def harmless(line: bytes) -> bytes:
    """Text with everything unprintable shown as an escape."""
    text = line.decode("utf-8", "backslashreplace")
    shown = (c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode("ascii") for c in text)
    return "".join(shown).encode()


def as_json(message: Publish) -> dict[str, object]:
    """The message's fields; octets that are no UTF-8 text become base64, and `encoding` says so."""
    payload = message.payload
    try:
        text, encoding = payload.decode("utf-8"), "utf8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(payload).decode("ascii"), "base64"
    properties = {
        name: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for name, value in message.properties.present().items()
    }
    return {
        "topic": message.topic,
        "payload": text,
        "encoding": encoding,
        "qos": int(message.qos),
        "retain": message.retain,
        "dup": message.dup,
        "properties": properties,
    }
