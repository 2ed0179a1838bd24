"""Messages of AMQP 1.0 (part 3, section 3.2) and the hub's, both ways. docs/amqp.md has the table.

What an AMQP receiver gets of a message that came by AMQP 1.0 is the bare message as it came, octet for octet: it
travels as the message's native form. Everybody else gets the canonical properties.

Clients send most messages with one head, all that comes before the data section, or with few: what a head means is
found out once, and remembered.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
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
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, AmqpError
from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
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
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from bridgehead.protocols.amqp.mapping.addresses import TOPIC, parse_address, topic_address
from bridgehead.protocols.amqp.mapping.cloud_events import application_properties_of, user_properties_of
from bridgehead.protocols.amqp.mapping.correlation import correlation_of, octets_of
from bridgehead.protocols.amqp.mapping.heads import (
    bare_at,
    body_at,
    content_type_of,
    has_message_id,
    own_fields_end,
    properties_at,
)
from bridgehead.protocols.amqp.mapping.texts import LONGEST, can_tell, json_of, topic_to_tell

FORM: Final = "amqp-1.0"  # the octets are the message without header and delivery-annotations
# The same without its body, which is one data section that `put_data` makes again of the payload.
HEAD_FORM: Final = "amqp-1.0-head"
RETAIN: Final = Symbol("x-opt-retain")
TOPIC_NAME: Final = Symbol("x-opt-topic")
JSON: Final = "application/json"
TEXT: Final = "text/plain;charset=utf-8"
_REMEMBERED: Final = 2000  # heads, topics
_LONGEST_REMEMBERED: Final = 512  # octets
_MILLISECONDS: Final = 1000


@mypyc_attr(acyclic=True)
class _Meaning:
    """What the sections in front of a body say. Times: `ttl` and `until` in milliseconds, ABSENT and None for none."""

    def __init__(
        self, properties: MessageProperties, retain: bool, ttl: int, until: int | None, user_id: bytes | None
    ) -> None:
        self.properties: Final = properties
        self.retain: Final = retain
        self.ttl: Final = ttl
        self.until: Final = until
        self.user_id: Final = user_id
        self.lasts: Final = ttl == ABSENT and until is None


_MEANINGS: Final[dict[bytes, _Meaning]] = {}
_USUAL: Final[dict[bytes, _Meaning]] = {}  # by what a head is without fields that only its receivers look at


def message_from_v1(topic: str, payload: bytes, qos: int, origin: Origin, now: float) -> Message:
    """The message for a topic or a queue's topic. `payload` are all its sections, `now` is in seconds since the epoch.
    Raises AmqpError for what is no message, Refusal(NOT_AUTHORIZED) for a user-id that is not the sender's."""
    at = data_at(payload)
    if at >= 0:
        return Message(topic, payload[at:], qos, False, origin, NOT_DURABLE)  # without a header it is not durable
    begin = body_at(payload)
    if begin > 0:
        head = payload[:begin]
        meaning = _MEANINGS.get(head)
        if meaning is None:
            meaning = _meaning_of_head(head)
        body = payload[begin + (5 if payload[begin + 3] == 0xA0 else 8) :]
    else:
        sections = Sections(payload)
        body, content_type, is_text = _body_of(sections)
        native = Native(FORM, sections.without([HEADER, DELIVERY_ANNOTATIONS]))
        meaning = _meaning_of(sections, native, content_type, is_text)
    if meaning.user_id is not None and meaning.user_id != origin.principal.encode():
        raise Refusal(
            NOT_AUTHORIZED, f"the user-id of a message is its sender's: leave it out or put {origin.principal!r}"
        )
    expires_at = NEVER if meaning.lasts else _expires_at(meaning, now)
    return Message(topic, body, qos, meaning.retain, origin, meaning.properties, expires_at)


def _meaning_of_head(head: bytes) -> _Meaning:
    """Of one that is not remembered. Clients number their messages: where nothing else is new, nothing is decoded."""
    begin = properties_at(head)
    if begin >= 0:
        end = own_fields_end(head, begin)
        if end > 0:
            key = b"%b\0%b\0%b" % (head[:begin], head[end:], content_type_of(head, begin))
            known = _USUAL.get(key)
            if known is None:
                known = _decoded(head)
                _remember(_USUAL, key, known)
            else:
                known = _with_native(known, Native(HEAD_FORM, head[bare_at(head) :]))
            if not has_message_id(head, begin):
                _remember(_MEANINGS, head, known)
            return known
    meaning = _decoded(head)
    _remember(_MEANINGS, head, meaning)
    return meaning


def _remember(meanings: dict[bytes, _Meaning], octets: bytes, meaning: _Meaning) -> None:
    if len(octets) <= _LONGEST_REMEMBERED:
        if len(meanings) >= _REMEMBERED:
            meanings.clear()
        meanings[octets] = meaning


def _with_native(meaning: _Meaning, native: Native) -> _Meaning:
    known = meaning.properties
    made = MessageProperties(
        known.content_type,
        known.is_text,
        known.response_topic,
        known.correlation_data,
        known.user_properties,
        known.priority,
        native,
        known.transient,
    )
    return _Meaning(made, meaning.retain, meaning.ttl, meaning.until, meaning.user_id)


def _decoded(head: bytes) -> _Meaning:
    sections = Sections(head)
    if sections.body or sections.has(FOOTER):
        # A second body follows, and of which kind the whole message tells.
        raise AmqpError("amqp:decode-error", "a body of one kind is followed by another body", clause="AMQP-3.2")
    bare = sections.without([HEADER, DELIVERY_ANNOTATIONS])
    return _meaning_of(sections, Native(HEAD_FORM, bare) if bare else None, None, False)


def _meaning_of(sections: Sections, native: Native | None, body_type: str | None, is_text: bool) -> _Meaning:
    header = sections.header()
    properties = sections.properties()
    retain = False
    if sections.has(MESSAGE_ANNOTATIONS):
        wanted = sections.annotations(MESSAGE_ANNOTATIONS).get(RETAIN, False)
        if not isinstance(wanted, bool):
            raise AmqpError(INVALID_FIELD, "the message annotation x-opt-retain is a boolean")
        retain = wanted
    content_type = properties.content_type
    if not content_type or not can_tell(content_type):
        content_type = body_type
    correlation = octets_of(properties.correlation_id)
    if correlation is not None and len(correlation) > LONGEST:
        correlation = None
    made = MessageProperties(
        content_type,
        is_text,
        _response_topic(properties.reply_to),
        correlation,
        user_properties_of(sections.application_properties()),
        header.priority,
        native,
        not header.durable,
    )
    return _Meaning(made, retain, header.ttl, properties.absolute_expiry_time, properties.user_id)


def _expires_at(meaning: _Meaning, now: float) -> float:
    expires_at = NEVER
    if meaning.ttl != ABSENT:
        expires_at = now + meaning.ttl / _MILLISECONDS
    if meaning.until is not None:
        expires_at = min(expires_at, meaning.until / _MILLISECONDS)
    return expires_at


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
            text = value.encode("utf-8", "surrogatepass")
            return text, TEXT, "\0" not in value
        if isinstance(value, bytes):
            return value, None, False
        return json_of(value).encode("utf-8", "surrogatepass"), JSON, True
    joined: list[object] = []
    for item in values:
        if isinstance(item, list):
            joined.extend(item)
    return json_of(joined).encode("utf-8", "surrogatepass"), JSON, True


def _response_topic(reply_to: object) -> str | None:
    """The Topic Name that a reply-to names; a queue's or another's address has no meaning elsewhere."""
    if not isinstance(reply_to, str):
        return None
    try:
        named = parse_address(reply_to, False)
    except AmqpError:
        return None
    return topic_to_tell(named.name) if named.kind == TOPIC else None


# To receivers. --------------------------------------------------------------------------------------


@mypyc_attr(acyclic=True)
class _Front:
    """What of a native form is written anew and what is not: the sender's message-annotations without x-opt-retain, and
    everything behind them."""

    def __init__(self, annotations: dict[object, object], rest: bytes) -> None:
        self.annotations: Final = annotations
        self.rest: Final = rest


class _Live:
    """What was made last of a message that expires."""

    def __init__(self) -> None:
        self.message: Message | None = None
        self.now = 0.0
        self.made = b""


_live: Final = _Live()
_FRONTS: Final[dict[bytes, _Front]] = {}
_TOPICS: Final[dict[str, bytes]] = {}
_DURABLE: Final = put_header(Header(True))
_NO_HEADER: Final = b""


def _topic_section(topic: str) -> bytes:
    """The message-annotations that tell a receiver of a wildcard which topic it was."""
    known = _TOPICS.get(topic)
    if known is None:
        known = put_section(MESSAGE_ANNOTATIONS, {TOPIC_NAME: topic})
        if len(topic) <= _LONGEST_REMEMBERED:
            if len(_TOPICS) >= _REMEMBERED:
                _TOPICS.clear()
            _TOPICS[topic] = known
    return known


def v1_payload(message: Message, now: float) -> bytes:
    """The sections for a receiver that gets it as a first delivery, live. Made once for many (Message.encoded)."""
    encoded = message.encoded
    if isinstance(encoded, bytes):
        return encoded
    if _live.message is message and _live.now == now:
        return _live.made
    made = _header(message, now, 0, False) + _annotations(message, False, None) + _rest(message)
    if message.expires_at == NEVER:
        message.encoded = made
    else:
        # Its ttl is told anew each time, but not to each receiver of one moment.
        _live.message = message
        _live.now = now
        _live.made = made
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
    durable = message.qos > 0 and not message.properties.transient
    ttl = ABSENT
    if message.expires_at != NEVER:
        ttl = max(0, min(int((message.expires_at - now) * _MILLISECONDS), 0xFFFF_FFFF))
    if ttl == ABSENT and priority == NORMAL_PRIORITY and not delivery_count and not first_acquirer:
        return _DURABLE if durable else _NO_HEADER
    return put_header(Header(durable, priority, ttl, first_acquirer, delivery_count))


def _front(message: Message) -> _Front | None:
    """Of a message that came by AMQP 1.0 and had more than a body."""
    native = message.properties.native
    if native is None or native.form not in (FORM, HEAD_FORM):
        return None
    octets = native.octets
    known = _FRONTS.get(octets)
    if known is not None:
        return known
    if native.form == HEAD_FORM and octets[2] != MESSAGE_ANNOTATIONS and octets.startswith(b"\0\x53"):
        nothing: dict[object, object] = {}
        return _Front(nothing, octets)
    sections = Sections(octets)
    own: dict[object, object] = {}
    if sections.has(MESSAGE_ANNOTATIONS):
        own = sections.annotations(MESSAGE_ANNOTATIONS)
        own.pop(RETAIN, None)
        # Whatever the sender says: what a receiver reads there is the hub's word.
        own.pop(TOPIC_NAME, None)
    known = _Front(own, sections.without([MESSAGE_ANNOTATIONS]))
    if native.form == HEAD_FORM and len(octets) <= _LONGEST_REMEMBERED:
        if len(_FRONTS) >= _REMEMBERED:
            _FRONTS.clear()
        _FRONTS[octets] = known
    return known


def _annotations(message: Message, retain: bool, added: bytes | None) -> bytes:
    front = _front(message)
    if not retain and added is None and (front is None or not front.annotations):
        return _topic_section(message.topic)
    all_of_them: dict[object, object] = {}
    if front is not None:
        all_of_them.update(front.annotations)
    if added is not None:
        more, _ = decode_value(added)
        if isinstance(more, dict):
            all_of_them.update(more)
            all_of_them.pop(RETAIN, None)  # the hub's word, too
    all_of_them[TOPIC_NAME] = message.topic
    if retain:
        all_of_them[RETAIN] = True
    return put_section(MESSAGE_ANNOTATIONS, all_of_them)


def _rest(message: Message) -> bytes:
    """Properties, application-properties, body and footer: as they came, or of the canonical properties."""
    given = message.properties
    front = None if given.native is None else _front(message)
    if front is not None:
        if given.native is not None and given.native.form == FORM:
            return front.rest
        return front.rest + put_data(message.payload)
    if given is NO_PROPERTIES or given is NOT_DURABLE:
        return put_data(message.payload)
    parts: list[bytes] = []
    content_type = given.content_type
    if content_type is None and given.is_text:
        content_type = TEXT
    elif content_type is not None and not content_type.isascii():
        content_type = None  # it is a symbol there
    if content_type is not None or given.response_topic is not None or given.correlation_data is not None:
        reply_to = None if given.response_topic is None else topic_address(given.response_topic)
        correlation = correlation_of(given.correlation_data)
        parts.append(
            put_properties(Properties(reply_to=reply_to, correlation_id=correlation, content_type=content_type))
        )
    if given.user_properties:
        own: dict[object, object] = {}
        own.update(application_properties_of(given.user_properties))
        parts.append(put_section(APPLICATION_PROPERTIES, own))
    parts.append(put_data(message.payload))
    return b"".join(parts)
