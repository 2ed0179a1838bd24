"""What `bridgehead pub` does with a CoAP URL: one request, or a request per line of standard input."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import Final

from bridgehead.cli.client_options import usage
from bridgehead.cli.coap_identity import CoapIdentity
from bridgehead.cli.publishing import SHOWN, standard_input_lines
from bridgehead.core.errors import Refusal
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.client.client import Client
from bridgehead.protocols.coap.client.errors import ConnectionFailed, Refused
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.content_formats import TEXT, content_format
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value

UNANSWERED: Final = 32  # requests of lines whose answer is awaited at one time

REMEDIES: Final = {
    codes.UNAUTHORIZED: "say who you are: coaps:// with --psk-identity, --cert, --raw-key or --bundle",
    codes.FORBIDDEN: "check the identity's permissions",
    codes.NOT_FOUND: "check the path: topics are at /t",
    codes.METHOD_NOT_ALLOWED: "--retain writes with PUT; without it POST is sent",
    codes.TOO_MANY_REQUESTS: "send more slowly, or ask for a larger quota",
}


class CoapSending:
    """What all requests of one run share. `topic` is None where the URL names the resource."""

    def __init__(self, topic: str | None, qos: int, retain: bool, options: list[Option]) -> None:
        self.topic: Final = topic
        self.qos: Final = qos
        self.retain: Final = retain
        self.options: Final = options

    def request(self, client: Client, payload: bytes) -> Message:
        """RETAIN is PUT, an event is POST, and an empty value that is to be kept clears: DELETE."""
        options: list[Option] = [*client.options()]
        if self.topic is not None:
            options += [(option.URI_PATH, segment) for segment in mapping.path_of_topic(self.topic)]
        if self.retain and not payload and self.topic is not None:
            return Message(codes.DELETE, in_order(options))
        code = codes.PUT if self.retain else codes.POST
        return Message(code, in_order([*options, *self.options]), payload)


def coap_message_options(expiry: int | None, content_type: str | None, utf8: bool) -> list[Option]:
    """Max-Age and Content-Format. Raises CommandError with exit code 2."""
    options: list[Option] = []
    if content_type is not None:
        number = content_format(content_type)
        if number < 0 and content_type.isascii() and content_type.isdecimal() and int(content_type) < 65_536:
            number = int(content_type)
        if number < 0:
            raise usage(
                f"--content-type {content_type} has no Content-Format in CoAP: give its number, or leave it out"
            )
        options.append((option.CONTENT_FORMAT, uint_value(number)))
    elif utf8:
        options.append((option.CONTENT_FORMAT, uint_value(TEXT)))
    if expiry is not None:
        options.append((option.MAX_AGE, uint_value(expiry)))
    return options


def check_topic_has_path(topic: str) -> None:
    """Raises CommandError with exit code 2."""
    try:
        mapping.path_of_topic(topic)
    except Refusal as refusal:
        raise usage(refusal.because) from None


async def publish_coap(who: CoapIdentity, sending: CoapSending, payload: bytes | None, patience: float) -> int:
    """Send `payload`, or each line of standard input when it is None; the exit code. Raises Refused and
    ConnectionFailed. `patience` in seconds is for the connection and for each answer."""
    async with Client(who.uri, who.security, patience) as client:
        if payload is None:
            return 1 if await _lines(client, sending) else 0
        _check(
            await client.request(sending.request(client, payload), sending.qos > 0), "the server refused the message"
        )
    return 0


async def _lines(client: Client, sending: CoapSending) -> int:
    """Every line; the number of refused ones."""
    waiting: deque[tuple[int, asyncio.Task[Message]]] = deque()
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    number = refused = 0
    try:
        async for line in standard_input_lines(never):
            number += 1
            task = asyncio.ensure_future(client.request(sending.request(client, line), sending.qos > 0))
            waiting.append((number, task))
            while waiting[0][1].done() or len(waiting) >= UNANSWERED:
                refused += await _outcome(*waiting.popleft(), refused)
                if not waiting:
                    break
        while waiting:
            refused += await _outcome(*waiting.popleft(), refused)
    finally:
        for _, task in waiting:
            task.cancel()
    if refused:
        print(f"bridgehead pub: {refused} of {number} messages were refused", file=sys.stderr)
    return refused


async def _outcome(number: int, task: asyncio.Task[Message], before: int) -> int:
    """1 when the message of this line was refused, which is then told, else 0."""
    try:
        _check(await task, f"line {number}")
    except Refused as error:
        if before < SHOWN:
            print(f"bridgehead pub: {error}", file=sys.stderr)
        return 1
    return 0


def _check(response: Message, what: str) -> None:
    if not codes.is_success(response.code):
        raise Refused(what, response)


def with_remedy(error: Refused | ConnectionFailed) -> str:
    """The sentence, with what to do next where the code tells."""
    remedy = REMEDIES.get(error.response.code) if isinstance(error, Refused) else None
    return f"{error}; {remedy}" if remedy else str(error)
