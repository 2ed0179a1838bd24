"""Messages of AMQP 0-9-1 (section 4.2.6, class basic) and the hub's, both ways. docs/amqp.md has the table.

`content` is what a content header has behind the body size: property flags and properties. What came by 0-9-1 goes out
by 0-9-1 with the very same octets; they travel as the message's native form.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from pamqp import commands, header
from pamqp.exceptions import PAMQPException

from bridgehead.core.errors import NOT_AUTHORIZED, PAYLOAD_FORMAT_INVALID, Refusal
from bridgehead.core.message import (
    NEVER,
    NO_PROPERTIES,
    NORMAL_PRIORITY,
    NOT_DURABLE,
    Message,
    MessageProperties,
    Native,
    Origin,
)
from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.mapping.addresses import TOPIC, parse_address, topic_address
from bridgehead.protocols.amqp.mapping.cloud_events import application_properties_of, user_properties_of
from bridgehead.protocols.amqp.mapping.content_v091 import with_headers
from bridgehead.protocols.amqp.mapping.correlation import octets_of_short, short_text_of
from bridgehead.protocols.amqp.mapping.message_v1 import TEXT
from bridgehead.protocols.amqp.mapping.texts import can_tell, topic_to_tell
from bridgehead.wire.errors import PeerError

FORM: Final = "amqp-0-9-1"
EMPTY: Final = b"\0\0"  # no property at all
TRANSIENT: Final = b"\x10\x00\x01"  # delivery-mode 1 and nothing else
PERSISTENT: Final = b"\x10\x00\x02"
RETAIN: Final = "x-retain"
MILLISECONDS: Final = 1000
_HEAD: Final = b"\0\x3c\0\0" + bytes(8)  # class-id, weight and body size, as pamqp wants to see them
_FAULTS: Final = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    struct.error,
    OverflowError,
    RecursionError,
    PAMQPException,
)


class ContentFault(PeerError):
    """A content header that is none (reply code 502, syntax-error)."""


def read_properties(content: bytes) -> commands.Basic.Properties:
    """The properties of a content header. The depth of its tables was looked at before. Raises ContentFault."""
    found = header.ContentHeader()
    try:
        found.unmarshal(_HEAD + content)
    except _FAULTS as fault:
        raise ContentFault(f"the properties of a content header cannot be read: {fault}", 502) from None
    return found.properties


def message_from_v091(topic: str, content: bytes, body: bytes, origin: Origin, now: float) -> Message:
    """The message for a topic, a queue's or an exchange's topic. Raises ContentFault, Refusal(NOT_AUTHORIZED) for a
    user-id that is not the sender's, Refusal(PAYLOAD_FORMAT_INVALID) for an expiration that is no number."""
    if content in (EMPTY, TRANSIENT):
        return Message(topic, body, 0, False, origin)
    if content == PERSISTENT:
        return Message(topic, body, 1, False, origin)
    given = read_properties(content)
    if given.user_id and given.user_id != origin.principal:
        because = f"the user-id of a message is its sender's: leave it out or put {origin.principal!r}"
        raise Refusal(NOT_AUTHORIZED, because)
    headers: dict[str, Any] = given.headers or {}
    expires_at = NEVER
    if given.expiration:
        if not (given.expiration.isascii() and given.expiration.isdigit() and len(given.expiration) < 16):
            raise Refusal(PAYLOAD_FORMAT_INVALID, "the expiration of a message is a number of milliseconds, as digits")
        expires_at = now + int(given.expiration) / MILLISECONDS
    priority = NORMAL_PRIORITY if given.priority is None else min(given.priority, 255)
    passed: dict[str, object] = {name: value for name, value in headers.items() if name != RETAIN}
    content_type = given.content_type
    made = MessageProperties(
        content_type if content_type and can_tell(content_type) else None,
        False,
        _response_topic(given.reply_to),
        octets_of_short(given.correlation_id) if given.correlation_id else None,
        user_properties_of(passed),
        priority,
        Native(FORM, content),
    )
    qos = 1 if given.delivery_mode == 2 else 0
    return Message(topic, body, qos, headers.get(RETAIN) is True, origin, made, expires_at)


def _response_topic(reply_to: str | None) -> str | None:
    """A reply-to of 0-9-1 is a queue's name; one that is the address of a topic has a meaning elsewhere."""
    if not reply_to or not reply_to.startswith("/topics/"):
        return None
    try:
        named = parse_address(reply_to, False)
    except AmqpError:
        return None
    return topic_to_tell(named.name) if named.kind == TOPIC else None


def headers_of(message: Message) -> dict[str, Any]:
    """The headers by which a headers exchange decides. The very objects: not to be changed."""
    native = message.properties.native
    if native is not None and native.form == FORM:
        return read_properties(native.octets).headers or {}
    return dict(application_properties_of(message.properties.user_properties))


def v091_content(message: Message, now: float, added: dict[str, Any] | None = None) -> bytes:
    """The content header's octets behind the body size. `added` are headers to lay over its own (x-death)."""
    properties = message.properties
    native = properties.native
    if native is not None and native.form == FORM:
        if added is not None:
            return with_headers(native.octets, added)  # it died once: it does not die of its expiration again
        return native.octets  # the expiration too is as it was sent: RabbitMQ's clients compare it
    if (properties is NO_PROPERTIES or properties is NOT_DURABLE) and message.expires_at == NEVER and added is None:
        return PERSISTENT if message.qos and not properties.transient else TRANSIENT
    return _canonical(message, now, added).marshal()


def _left(message: Message, now: float) -> str | None:
    if message.expires_at == NEVER:
        return None
    return str(max(0, int((message.expires_at - now) * MILLISECONDS)))


def _canonical(message: Message, now: float, added: dict[str, Any] | None) -> commands.Basic.Properties:
    properties = message.properties
    headers: dict[str, Any] = {}
    for name, value in application_properties_of(properties.user_properties).items():
        if len(name.encode()) <= 255:  # a table's names are short strings
            headers[name] = value
    if added is not None:
        headers.update(added)
    reply_to = None if properties.response_topic is None else _short(topic_address(properties.response_topic))
    priority = None if properties.priority == NORMAL_PRIORITY else properties.priority
    return commands.Basic.Properties(
        content_type=_short(properties.content_type or (TEXT if properties.is_text else "")),
        headers=headers or None,
        delivery_mode=2 if message.qos and not properties.transient else 1,
        priority=priority,
        correlation_id=short_text_of(properties.correlation_data),
        reply_to=reply_to,
        expiration=_left(message, now),
    )


def _short(text: str) -> str | None:
    """A short string (section 4.2.5.3); None for one that is too long to be one."""
    return text if text and len(text.encode()) <= 255 else None
