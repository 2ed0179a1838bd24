"""Messages of AMQP 1.0 (part 3, section 3.2) and the hub's, both ways. docs/amqp.md has the table.

What an AMQP receiver gets of a message that came by AMQP 1.0 is the bare message as it came, octet for octet: it
travels as the message's native form. Everybody else gets the canonical properties.
"""

from __future__ import annotations

import json
from typing import Final

from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.message import NEVER, NO_PROPERTIES, NORMAL_PRIORITY, Message, MessageProperties, Native, Origin
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, AmqpError
from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    HEADER,
    MESSAGE_ANNOTATIONS,
    Header,
    Properties,
    Sections,
    data_at,
    put_data,
    put_header,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.types import (
    Array,
    Described,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    Uuid,
)
from bridgehead.protocols.amqp.mapping.addresses import TOPIC, parse_address, topic_address

FORM: Final = "amqp-1.0"
RETAIN: Final = Symbol("x-opt-retain")
TOPIC_NAME: Final = Symbol("x-opt-topic")
JSON: Final = "application/json"
TEXT: Final = "text/plain;charset=utf-8"


def message_from_v1(topic: str, payload: bytes, qos: int, origin: Origin, now: float) -> Message:
    """The message for a topic or a queue's topic. `payload` are all its sections. Raises AmqpError for what is no
    message, Refusal(NOT_AUTHORIZED) for a user-id that is not the sender's."""
    at = data_at(payload)
    if at >= 0:
        return Message(topic, payload[at:], qos, False, origin)
    sections = Sections(payload)
    header = sections.header()
    properties = sections.properties()
    if properties.user_id is not None and properties.user_id != origin.principal.encode():
        raise Refusal(
            NOT_AUTHORIZED, f"the user-id of a message is its sender's: leave it out or put {origin.principal!r}"
        )
    retain = False
    if sections.has(MESSAGE_ANNOTATIONS):
        wanted = sections.annotations(MESSAGE_ANNOTATIONS).get(RETAIN, False)
        if not isinstance(wanted, bool):
            raise AmqpError(INVALID_FIELD, "the message annotation x-opt-retain is a boolean")
        retain = wanted
    expires_at = NEVER
    if header.ttl != ABSENT:
        expires_at = now + header.ttl / 1000
    if properties.absolute_expiry_time is not None:
        expires_at = min(expires_at, properties.absolute_expiry_time / 1000)
    body, content_type, is_text = _body_of(sections)
    bare = sections.without([HEADER, DELIVERY_ANNOTATIONS])
    made = MessageProperties(
        properties.content_type or content_type,
        is_text,
        _response_topic(properties.reply_to),
        _correlation_data(properties),
        _user_properties(sections),
        header.priority,
        Native(FORM, bare),
    )
    return Message(topic, body, qos, retain, origin, made, expires_at)


def to_of(payload: bytes) -> str | None:
    """The address in the properties' `to` (for the anonymous terminus). Raises AmqpError."""
    to = Sections(payload).properties().to
    if to is None or isinstance(to, str):
        return to
    raise AmqpError(INVALID_FIELD, "the field `to` of the properties is a string", clause="AMQP-3.2.4")


def _body_of(sections: Sections) -> tuple[bytes, str | None, bool]:
    """The octets for everybody else, their content type where the body implies one, whether they are text."""
    if sections.body == DATA:
        return sections.data(), None, False
    if sections.body == 0:
        return b"", None, False
    values = sections.values()
    if sections.body == AMQP_VALUE:
        value = values[0]
        if value is None:
            return b"", None, False
        if isinstance(value, str):
            return value.encode(), TEXT, True
        if isinstance(value, bytes):
            return value, None, False
    else:
        joined: list[object] = []
        for item in values:
            assert isinstance(item, list)
            joined.extend(item)
        value = joined
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode(), JSON, True


def plain(value: object) -> object:
    """An AMQP value as JSON has it. Octets are hexadecimal; times are milliseconds since 1970-01-01 UTC."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {text_of(key): plain(item) for key, item in value.items()}
    if isinstance(value, Array):
        return [plain(item) for item in value.items]
    if isinstance(value, Described):
        return plain(value.value)
    number = getattr(value, "value", None)
    return number if isinstance(number, int | float | str) else text_of(value)


def text_of(value: object) -> str:
    """A simple value as text, as User Properties of MQTT carry it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Uuid):
        digits = value.octets.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, UByte | UShort | UInt | ULong | Timestamp):
        return str(value.value)
    inner = getattr(value, "value", None)
    return str(value) if inner is None else str(inner)


_CLOUD_EVENTS: Final = ("cloudEvents:", "cloudEvents_")  # CloudEvents AMQP binding 1.0.2, section 3.1.3


def _user_properties(sections: Sections) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for name, value in sections.application_properties().items():
        if name.startswith(_CLOUD_EVENTS):
            name = name[len(_CLOUD_EVENTS[0]) :]
        pairs.append((name, text_of(value)))
    return tuple(pairs)


def _correlation_data(properties: Properties) -> bytes | None:
    found = properties.correlation_id
    if found is None or isinstance(found, bytes):
        return found
    return text_of(found).encode()


def _response_topic(reply_to: object) -> str | None:
    """The Topic Name that a reply-to names; a queue's or another's address has no meaning elsewhere."""
    if not isinstance(reply_to, str):
        return None
    try:
        named = parse_address(reply_to, False)
    except AmqpError:
        return None
    return named.name if named.kind == TOPIC else None


# To receivers. --------------------------------------------------------------------------------------


_ANNOTATED_TOPICS: Final[dict[str, bytes]] = {}
_REMEMBERED: Final = 10_000  # topics


def _topic_section(topic: str) -> bytes:
    """The message-annotations that tell a receiver of a wildcard which topic it was."""
    known = _ANNOTATED_TOPICS.get(topic)
    if known is None:
        if len(_ANNOTATED_TOPICS) >= _REMEMBERED:
            _ANNOTATED_TOPICS.clear()
        known = put_section(MESSAGE_ANNOTATIONS, {TOPIC_NAME: topic})
        _ANNOTATED_TOPICS[topic] = known
    return known


def v1_payload(message: Message, now: float) -> bytes:
    """The sections for a receiver that gets it as a first delivery, live. Made once for many (Message.encoded)."""
    encoded = message.encoded
    if isinstance(encoded, bytes):
        return encoded
    properties = message.properties
    if properties is NO_PROPERTIES and message.expires_at == NEVER and message.qos == 0:
        made = _topic_section(message.topic) + put_data(message.payload)
        message.encoded = made
        return made
    made = _header(message, now, 0, False) + _annotations(message, False, None) + _rest(message)
    if message.expires_at == NEVER:
        message.encoded = made
    return made


def v1_delivery(
    message: Message, now: float, retain: bool, delivery_count: int, first_acquirer: bool, annotations: bytes | None
) -> bytes:
    """As `v1_payload` for one delivery that is not like the others. `annotations`: the octets of a map that a receiver
    added by Modified (3.4.5)."""
    if not retain and not delivery_count and not first_acquirer and annotations is None:
        return v1_payload(message, now)
    head = _header(message, now, delivery_count, first_acquirer)
    return head + _annotations(message, retain, annotations) + _rest(message)


def _header(message: Message, now: float, delivery_count: int, first_acquirer: bool) -> bytes:
    priority = message.properties.priority
    ttl = ABSENT
    if message.expires_at != NEVER:
        ttl = max(0, min(int((message.expires_at - now) * 1000), 0xFFFF_FFFF))
    if ttl == ABSENT and priority == NORMAL_PRIORITY and not message.qos and not delivery_count and not first_acquirer:
        return b""
    return put_header(Header(message.qos > 0, priority, ttl, first_acquirer, delivery_count))


def _annotations(message: Message, retain: bool, added: bytes | None) -> bytes:
    native = _native(message)
    own: dict[object, object] = {}
    if native:
        sections = Sections(native)
        if sections.has(MESSAGE_ANNOTATIONS):
            own = sections.annotations(MESSAGE_ANNOTATIONS)
            own.pop(RETAIN, None)
    if not own and not retain and added is None:
        return _topic_section(message.topic)
    if added is not None:
        more, _ = decode_value(added)
        if isinstance(more, dict):
            own.update(more)
    own[TOPIC_NAME] = message.topic
    if retain:
        own[RETAIN] = True
    return put_section(MESSAGE_ANNOTATIONS, own)


def _native(message: Message) -> bytes:
    native = message.properties.native
    return native.octets if native is not None and native.form == FORM else b""


def _rest(message: Message) -> bytes:
    """Properties, application-properties, body and footer: as they came, or of the canonical properties."""
    native = _native(message)
    if native:
        return Sections(native).without([MESSAGE_ANNOTATIONS])
    given = message.properties
    if given is NO_PROPERTIES:
        return put_data(message.payload)
    parts: list[bytes] = []
    if given.content_type is not None or given.response_topic is not None or given.correlation_data is not None:
        reply_to = None if given.response_topic is None else topic_address(given.response_topic)
        content_type = given.content_type
        if content_type is not None and not content_type.isascii():
            content_type = None
        parts.append(
            put_properties(
                Properties(reply_to=reply_to, correlation_id=given.correlation_data, content_type=content_type)
            )
        )
    if given.user_properties:
        parts.append(put_section(APPLICATION_PROPERTIES, _application_properties(given.user_properties)))
    parts.append(put_data(message.payload))
    return b"".join(parts)


def _application_properties(pairs: tuple[tuple[str, str], ...]) -> dict[object, object]:
    """Of several with one name the last counts: a map has each key once (3.2.5)."""
    names = {name for name, _ in pairs}
    is_event = {"specversion", "id", "source", "type"} <= names
    made: dict[object, object] = {}
    for name, value in pairs:
        is_attribute = is_event and name.isascii() and name.isalnum() and name.islower()
        made[_CLOUD_EVENTS[0] + name if is_attribute else name] = value
    return made
