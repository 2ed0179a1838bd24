"""What `bridgehead sub` does at an AMQP server: attach receivers, print what arrives, settle what was printed."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Final

from bridgehead.cli.amqp_identity import AmqpIdentity
from bridgehead.cli.subscribing import harmless
from bridgehead.protocols.amqp.client.client import Client
from bridgehead.protocols.amqp.client.links import Delivery
from bridgehead.protocols.amqp.client.message import Incoming
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol

WINDOW: Final = 200  # messages under way to us
NO_LOCAL: Final = "apache.org:no-local-filter:list"


class AmqpReceiving:
    """What to receive from, how to print, when to end. `kept` is for how many seconds the subscription stays."""

    def __init__(
        self,
        nodes: list[str],
        qos: int,
        verbose: bool,
        json_lines: bool,
        count: int | None,
        timeout: float | None,
        no_local: bool,
        kept: int | None,
    ) -> None:
        self.nodes = nodes
        self.qos = qos
        self.verbose = verbose
        self.json_lines = json_lines
        self.count = count
        self.timeout = timeout
        self.no_local = no_local
        self.kept = kept

    @property
    def window(self) -> int:
        """No more than is asked for: what a queue gives away unsettled has to come back, and settled is lost."""
        return WINDOW if self.count is None else min(WINDOW, self.count)

    def filters(self) -> dict[object, object] | None:
        if not self.no_local:
            return None
        empty: list[object] = []
        return {Symbol("no-local"): Described(Symbol(NO_LOCAL), empty)}


async def subscribe_amqp(who: AmqpIdentity, container: str | None, receiving: AmqpReceiving) -> int:
    """Print until the end; the exit code. Raises Refused and ConnectionFailed."""
    client = Client(who.target, who.container(container), who.candidates, who.tls)
    await client.open()
    printed = 0
    try:
        links = []
        for node in receiving.nodes:
            links.append(
                await client.receiver(
                    f"sub {node}",
                    node,
                    receiving.qos,
                    receiving.window,
                    receiving.count or 0,
                    receiving.filters(),
                    receiving.kept,
                )
            )
        try:
            async with asyncio.timeout(receiving.timeout):
                while receiving.count is None or printed < receiving.count:
                    delivery = await client.next_message()
                    _show(delivery, receiving, flush=not client.waiting)
                    client.accept(delivery)
                    printed += 1
        except TimeoutError:
            if receiving.count is not None:
                print(f"bridgehead sub: {printed} of {receiving.count} messages came in time", file=sys.stderr)
                return 1
        finally:
            for link in links:
                await client.detach(link, closed=receiving.kept is None)
    finally:
        await client.close()
    return 0


def _show(delivery: Delivery, receiving: AmqpReceiving, flush: bool) -> None:
    """One message on standard output."""
    message = Incoming(delivery.octets, delivery.link.address)
    output = sys.stdout.buffer
    if receiving.json_lines:
        output.write(json.dumps(as_json(message, delivery), ensure_ascii=False).encode() + b"\n")
    else:
        line = message.where.encode() + b" " + message.payload if receiving.verbose else message.payload
        # What a device sends must not steer the terminal of whoever looks at it.
        output.write((harmless(line) if sys.stdout.isatty() else line) + b"\n")
    if flush:
        output.flush()


def as_json(message: Incoming, delivery: Delivery) -> dict[str, object]:
    """The message's fields; octets that are no UTF-8 text become base64, and `encoding` says so."""
    try:
        text, encoding = message.payload.decode("utf-8"), "utf8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(message.payload).decode("ascii"), "base64"
    return {
        "topic": message.topic,
        "address": message.address,
        "payload": text,
        "encoding": encoding,
        "settled": delivery.settled,
        "retain": message.retain,
        "properties": message.properties,
        "application_properties": message.application,
    }
