"""What `bridgehead pub` does at an AMQP server: one message, or a message per line of standard input."""

from __future__ import annotations

import asyncio
import sys
from collections import deque

from bridgehead.cli.amqp_identity import AmqpIdentity
from bridgehead.cli.publishing import SHOWN, UNANSWERED, standard_input_lines
from bridgehead.protocols.amqp.client.client import Client
from bridgehead.protocols.amqp.client.errors import ConnectionFailed, Refused
from bridgehead.protocols.amqp.client.links import Link
from bridgehead.protocols.amqp.client.message import Outgoing
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState

Outcome = asyncio.Future[DeliveryState | None]


async def publish_amqp(
    who: AmqpIdentity,
    container: str | None,
    node: str,
    qos: int,
    outgoing: Outgoing,
    payload: bytes | None,
    patience: float,
) -> int:
    """Send `payload`, or each line of standard input when it is None; `patience` in seconds is for the connection and
    for the last outcomes. The exit code; raises Refused and ConnectionFailed."""
    client = Client(who.target, who.container(container), who.candidates, who.tls, patience)
    await client.open()
    try:
        link = await client.sender(f"pub {node}", node, qos)
        if payload is not None:
            async with asyncio.timeout(patience):
                await client.publish(link, outgoing.octets(payload))
            bad = 0
        else:
            bad = await _lines(client, link, outgoing, patience)
        # At most once has no answer: what the server refuses it tells by a detach, before its own.
        await client.detach(link)
    except TimeoutError:
        raise ConnectionFailed(f"{who.target} did not accept within {patience:g} seconds") from None
    finally:
        await client.close()
    return 1 if bad else 0


async def _lines(client: Client, link: Link, outgoing: Outgoing, patience: float) -> int:
    """Every line of standard input; how many the server did not accept."""
    waiting: deque[tuple[int, Outcome]] = deque()
    number = bad = 0
    ended = asyncio.ensure_future(client.ended())
    try:
        async for line in standard_input_lines(ended):
            number += 1
            try:
                octets = outgoing.octets(line)
            except UnicodeDecodeError:
                bad += 1
                print(f"bridgehead pub: line {number} is no UTF-8 text, as --utf8 says", file=sys.stderr)
                continue
            outcome = await client.send(link, octets)
            if outcome is not None:
                waiting.append((number, outcome))
            while waiting and (waiting[0][1].done() or len(waiting) > UNANSWERED):
                bad += await _was_refused(client, *waiting.popleft(), bad)
        async with asyncio.timeout(patience):
            for line_number, outcome in waiting:
                bad += await _was_refused(client, line_number, outcome, bad)
    finally:
        ended.cancel()
    if client.failure is not None:
        raise client.failure
    if bad:
        print(f"bridgehead pub: {bad} of {number} messages were refused", file=sys.stderr)
    return bad


async def _was_refused(client: Client, number: int, outcome: Outcome, before: int) -> int:
    """1 when the message of this line was refused, which is then told, else 0."""
    try:
        await client.outcome(outcome)
    except Refused as error:
        if client.failure is not None:
            raise
        if before < SHOWN:
            print(f"bridgehead pub: line {number}: {error}", file=sys.stderr)
        return 1
    return 0
