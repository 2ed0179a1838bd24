"""What `bridgehead sub` does with a CoAP URL: observe topics, Topic Filters or a resource, and print what comes."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections import deque
from typing import Final

from bridgehead.cli.coap_identity import CoapIdentity
from bridgehead.cli.subscribing import harmless
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.client.client import PATIENCE, Client, Observation
from bridgehead.protocols.coap.client.errors import ConnectionFailed, Refused
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.content_formats import media_type
from bridgehead.protocols.coap.codec.message import Message, Option, in_order
from bridgehead.protocols.coap.codec.uri import path_text

PING: Final = 60.0  # seconds of silence after which the server is asked whether it is still there
TOLD: Final = 256  # ETags of what was printed: what is kept may be older than the last event
REFRESH: Final = 3  # silences after which an observation over plain UDP is registered again


class CoapReceiving:
    """What to observe (nothing: the URL's own resource), how to print, when to end."""

    def __init__(
        self, filters: list[str], qos: int, verbose: bool, json_lines: bool, count: int | None, timeout: float | None
    ) -> None:
        self.filters: Final = filters
        self.qos: Final = qos
        self.verbose: Final = verbose
        self.json_lines: Final = json_lines
        self.count: Final = count
        self.timeout: Final = timeout


class Source:
    """One observation and what it is of."""

    def __init__(self, observation: Observation, name: str, is_filter: bool, is_topic: bool) -> None:
        self.observation: Final = observation
        self.name: Final = name
        self.is_filter: Final = is_filter
        self.is_topic: Final = is_topic
        self.is_first = True
        self.was_refreshed = False
        self._told: Final[deque[bytes]] = deque(maxlen=TOLD)

    def topic_of(self, message: Message) -> str:
        """A stream of several topics names each in its Location-Path."""
        location = message.all(option.LOCATION_PATH)
        if self.is_filter and location and location[0] == mapping.TOPICS:
            return b"/".join(location[1:]).decode("utf-8", "replace")
        return self.name

    def is_news(self, message: Message) -> bool:
        """Not the answer to a registration where there is no value yet, or where the value was told already."""
        was_first, self.is_first = self.is_first, False
        etag = message.first(option.ETAG) or b""
        if message.code == codes.VALID or (self.was_refreshed and etag in self._told):
            self.was_refreshed = False
            return False
        if etag:
            self._told.append(etag)
        empty = self.is_topic and not message.payload and not etag
        is_empty_answer = empty and (was_first or self.was_refreshed)
        self.was_refreshed = False
        return not is_empty_answer

    def refresh(self) -> None:
        """A server over plain UDP that was started anew answers pings and knows nothing of observers. A stream would
        bring all that is kept once more: it is not registered again."""
        if not self.is_filter:
            self.was_refreshed = True
            self.observation.refresh(self._told[-1] if self._told else b"")


def requested(client: Client, topic_filter: str) -> Message:
    """A topic is a path of its own; a filter with wildcards is a query of /t."""
    options: list[Option] = [*client.options()]
    if _is_wild(topic_filter):
        options += [(option.URI_PATH, mapping.TOPICS), (option.URI_QUERY, b"f=" + topic_filter.encode())]
    else:
        options += [(option.URI_PATH, segment) for segment in mapping.path_of_topic(topic_filter)]
    return Message(codes.GET, in_order(options))


def _is_wild(topic_filter: str) -> bool:
    return "+" in topic_filter or "#" in topic_filter


async def subscribe_coap(who: CoapIdentity, receiving: CoapReceiving) -> int:
    """Print until the end; the exit code. Raises Refused and ConnectionFailed."""
    printed = 0
    async with Client(who.uri, who.security) as client:
        sources = _sources(client, receiving)
        queue: asyncio.Queue[tuple[Source, Message] | Refused | ConnectionFailed] = asyncio.Queue()
        tasks = [asyncio.ensure_future(_pump(client, source, queue)) for source in sources]
        try:
            async with asyncio.timeout(receiving.timeout):
                while receiving.count is None or printed < receiving.count:
                    found = await _next(client, queue, sources)
                    if isinstance(found, Exception):
                        raise found
                    source, message = found
                    if source.is_news(message):
                        show(source.topic_of(message), message, receiving, flush=queue.empty())
                        printed += 1
        except TimeoutError:
            if receiving.count is not None:
                print(f"bridgehead sub: {printed} of {receiving.count} messages came in time", file=sys.stderr)
                return 1
        finally:
            for task in tasks:
                task.cancel()
    return 0


def _sources(client: Client, receiving: CoapReceiving) -> list[Source]:
    confirmable = receiving.qos > 0
    if not receiving.filters:
        request = Message(codes.GET, client.options())
        name = path_text(client.uri.path)
        is_topic = client.uri.path[:1] == (mapping.TOPICS,)
        return [Source(client.observe(request, confirmable), name, bool(client.uri.query), is_topic)]
    return [
        Source(client.observe(requested(client, each), confirmable), each, _is_wild(each), True)
        for each in receiving.filters
    ]


async def _pump(
    client: Client, source: Source, queue: asyncio.Queue[tuple[Source, Message] | Refused | ConnectionFailed]
) -> None:
    """The answer to the registration has to come in time: one that was lost (NON) would be waited for in vain."""
    try:
        try:
            async with asyncio.timeout(PATIENCE):
                message = await source.observation.next()
        except TimeoutError:
            raise client.silence(PATIENCE) from None
        while message is not None:
            queue.put_nowait((source, message))
            message = await source.observation.next()
    except ConnectionFailed as error:
        queue.put_nowait(error)
        return
    ended = source.observation.ended
    if ended is None:
        queue.put_nowait(ConnectionFailed(f"the observation of {source.name} ended"))
    elif codes.is_success(ended.code):
        queue.put_nowait((source, ended))  # as it stands now: what a GET without Observe would have told
        queue.put_nowait(ConnectionFailed(f"the server answers for {source.name}, and does not let it be observed"))
    else:
        queue.put_nowait(Refused(f"the server refused the observation of {source.name}", ended))


async def _next(
    client: Client, queue: asyncio.Queue[tuple[Source, Message] | Refused | ConnectionFailed], sources: list[Source]
) -> tuple[Source, Message] | Refused | ConnectionFailed:
    """What comes next; while nothing comes, the server is asked now and then."""
    silences = 0
    while True:
        coming = asyncio.ensure_future(queue.get())
        try:
            done, _ = await asyncio.wait((coming,), timeout=PING)
        finally:
            if not coming.done():
                coming.cancel()
        if done:
            return coming.result()
        silences += 1
        if silences % REFRESH == 0 and client.uri.scheme == "coap":
            for source in sources:
                source.refresh()
        client.ping()


def show(topic: str, message: Message, receiving: CoapReceiving, flush: bool) -> None:
    """One message on standard output."""
    output = sys.stdout.buffer
    if receiving.json_lines:
        output.write(json.dumps(as_json(topic, message), ensure_ascii=False).encode() + b"\n")
    else:
        line = topic.encode() + b" " + message.payload if receiving.verbose else message.payload
        # What a device sends must not steer the terminal of whoever looks at it.
        output.write((harmless(line) if sys.stdout.isatty() else line) + b"\n")
    if flush:
        output.flush()


def as_json(topic: str, message: Message) -> dict[str, object]:
    """The message's fields; octets that are no UTF-8 text become base64, and `encoding` says so."""
    try:
        text, encoding = message.payload.decode("utf-8"), "utf8"
    except UnicodeDecodeError:
        text, encoding = base64.b64encode(message.payload).decode("ascii"), "base64"
    found: dict[str, object] = {
        "topic": topic,
        "payload": text,
        "encoding": encoding,
        "code": codes.dotted(message.code),
    }
    number = message.uint(option.CONTENT_FORMAT)
    if number >= 0:
        found["content_type"] = media_type(number) or number
    etag = message.first(option.ETAG)
    if etag is not None:
        found["etag"] = etag.hex()
    max_age = message.uint(option.MAX_AGE)
    if max_age >= 0:
        found["max_age"] = max_age
    return found
