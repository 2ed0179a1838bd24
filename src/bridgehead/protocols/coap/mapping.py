"""Between CoAP's messages and the canonical message, and from refusals to Response Codes.

What becomes of a PUT or POST on its way to others; tests/coap/test_mapping.py holds each line:

    of the request                    in the message
    Uri-Path behind /t                the Topic Name, level by level, empty levels too
    payload                           kept
    CON or NON                        QoS 1 or QoS 0; over a stream QoS 1
    PUT or POST                       RETAIN or not
    Content-Format                    Content Type; 0 also says that the payload is UTF-8 text
    Max-Age                           when it expires
    token, Message ID, other options  lost: they belong to the exchange

What becomes of a message on its way to a CoAP client:

    of the message                    in the response or notification
    Topic Name                        the path that was asked for; of a stream the Location-Path
    payload                           kept
    QoS                               CON for 1 and 2, NON for 0, as far as the registration asks for it
    RETAIN                            lost
    Content Type                      Content-Format, if the registry has a number; else lost
    payload is UTF-8 text             Content-Format 0 where there is no Content Type; else lost
    time of expiry                    Max-Age, in whole seconds that are left
    Response Topic, Correlation Data,
    User Properties                   lost

A Topic Name with a level of more than 255 octets, or with a level that is "." or "..", has no path in CoAP (RFC 7252
sections 5.10 and 5.10.1): it can be neither asked for nor told.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core import errors
from bridgehead.core.errors import NAME_INVALID, Refusal
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.protocols.coap.codec import codes, content_formats, numbers
from bridgehead.protocols.coap.codec import message as coap

# The one table from what a refusal means to CoAP's Response Codes (RFC 7252 section 12.1.2, RFC 8516).
RESPONSE_CODES: Final[dict[str, int]] = {
    errors.NOT_AUTHORIZED: codes.FORBIDDEN,
    errors.BAD_CREDENTIALS: codes.UNAUTHORIZED,
    errors.NAME_INVALID: codes.BAD_REQUEST,
    errors.FILTER_INVALID: codes.BAD_REQUEST,
    errors.CLIENT_ID_INVALID: codes.BAD_REQUEST,
    errors.QUOTA_EXCEEDED: codes.TOO_MANY_REQUESTS,
    errors.STORE_UNAVAILABLE: codes.SERVICE_UNAVAILABLE,
    errors.TOO_LARGE: codes.REQUEST_ENTITY_TOO_LARGE,
    errors.BUSY: codes.SERVICE_UNAVAILABLE,
    errors.PAYLOAD_FORMAT_INVALID: codes.BAD_REQUEST,
    errors.UNAVAILABLE: codes.SERVICE_UNAVAILABLE,
    errors.NOT_FOUND: codes.NOT_FOUND,
    errors.CONFLICT: codes.CONFLICT,
    errors.IN_USE: codes.CONFLICT,
    errors.LOCKED: codes.FORBIDDEN,
    errors.DELETED: codes.NOT_FOUND,
    errors.QUEUE_FULL: codes.SERVICE_UNAVAILABLE,
}

TOPICS: Final = b"t"  # the first segment of a topic's path
NO_FORMAT: Final = -1
MOST_MAX_AGE: Final = 0xFFFFFFFF  # RFC 7252 section 5.10.5
_LONGEST_SEGMENT: Final = 255  # octets, RFC 7252 section 5.10
_DOTS: Final = frozenset([".", ".."])
# What stands for a Content-Format without a media type of its own: an experimental one, or one with a content coding.
_NUMBERED: Final = "application/octet-stream; coap-content-format="
_TEXT: Final = "text/plain; charset=utf-8"
_PLAIN_TEXT: Final = MessageProperties(_TEXT, True)


def code_of(refusal: Refusal) -> int:
    """The Response Code that says what a refusal means."""
    return RESPONSE_CODES[refusal.meaning]


# Names. -------------------------------------------------------------------------------------------


def topic_of_path(segments: list[bytes]) -> str:
    """The Topic Name of a path whose first segment is TOPICS. Raises Refusal: NAME_INVALID."""
    levels = segments[1:]
    if not levels:
        raise Refusal(NAME_INVALID, "/t is no topic: ask for /t/ and the topic's levels, or for /t?f= and a filter")
    for level in levels:
        if b"/" in level:  # else two paths would be one topic
            raise Refusal(NAME_INVALID, "a path segment holds a slash: each level of a topic is a segment of its own")
        if level == b"." or level == b"..":
            raise Refusal(NAME_INVALID, "no path segment is . or .. in CoAP: no topic with such a level is there")
    try:
        return b"/".join(levels).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refusal(NAME_INVALID, "a path segment is not UTF-8") from None


def path_of_topic(topic: str) -> list[bytes]:
    """The segments, TOPICS first: topic_of_path gives the topic again. Raises Refusal where has_path says no."""
    if not has_path(topic):
        raise Refusal(NAME_INVALID, "this topic has no path in CoAP: a level is too long, or it is . or ..")
    return [TOPICS, *topic.encode("utf-8", "surrogatepass").split(b"/")]


def has_path(topic: str) -> bool:
    """Whether CoAP has a name for the topic."""
    if len(topic) <= _LONGEST_SEGMENT // 4 and "." not in topic:
        return True
    for level in topic.split("/"):
        if level in _DOTS or len(level.encode("utf-8", "surrogatepass")) > _LONGEST_SEGMENT:
            return False
    return True


# Content. -----------------------------------------------------------------------------------------


def content_type_of(number: int) -> str:
    """The Content Type that says the same as a Content-Format; content_format_of gives the number again."""
    return content_formats.media_type(number) or f"{_NUMBERED}{number}"


def content_format_of(properties: MessageProperties) -> int:
    """The Content-Format that says the same as a message's properties, NO_FORMAT when there is none."""
    text = properties.content_type
    if text is None:
        return content_formats.TEXT if properties.is_text else NO_FORMAT
    if text.startswith(_NUMBERED):
        digits = text[len(_NUMBERED) :]
        if digits.isascii() and digits.isdecimal() and len(digits) <= 5 and int(digits) <= content_formats.LARGEST:
            return int(digits)
    return content_formats.content_format(text)


def properties_of(content_format: int) -> MessageProperties:
    """Of a message that came with this Content-Format, NO_FORMAT for none."""
    if content_format < 0:
        return NO_PROPERTIES
    if content_format == content_formats.TEXT:
        return _PLAIN_TEXT
    return MessageProperties(content_type_of(content_format))


def message_of_request(
    request: coap.Message, topic: str, qos: int, retain: bool, origin: Origin, now: float
) -> Message:
    """The canonical message of a PUT or POST. `now` is in seconds since the epoch."""
    max_age = request.uint(numbers.MAX_AGE)
    expires_at = NEVER if max_age < 0 else now + max_age
    properties = properties_of(request.uint(numbers.CONTENT_FORMAT))
    return Message(topic, request.payload, qos, retain, origin, properties, expires_at)


def max_age_of(message: Message, now: float) -> int:
    """The whole seconds for which it still holds, -1 for no end (RFC 7252 section 5.10.5)."""
    if message.expires_at == NEVER:
        return -1
    return min(max(int(message.expires_at - now), 0), MOST_MAX_AGE)
