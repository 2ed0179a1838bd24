"""A message as the commands send and show it: the sections of AMQP 1.0 in plain terms."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote, unquote

from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_SEQUENCE,
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    MESSAGE_ANNOTATIONS,
    Header,
    Properties,
    Sections,
    put_data,
    put_header,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.types import Described, Integer, Scalar, Symbol, Uuid

RETAIN: Final = "x-opt-retain"
TOPIC: Final = "x-opt-topic"  # what the hub tells the receivers of a wildcard and of a queue
_TOPICS: Final = "/topics/"


def topic_node(topic: str) -> str:
    """The address of a topic, or of a topic filter."""
    return _TOPICS + quote(topic, safe="")


def topic_of(address: str) -> str | None:
    """The topic that an address names; None when it names something else."""
    return unquote(address.removeprefix(_TOPICS)) if address.startswith(_TOPICS) else None


class Outgoing:
    """What all messages of one run share. `ttl` is in seconds."""

    def __init__(
        self,
        durable: bool,
        retain: bool = False,
        ttl: int | None = None,
        content_type: str | None = None,
        is_text: bool = False,
        reply_to: str | None = None,
        correlation_id: bytes | None = None,
        application: list[tuple[str, str]] | None = None,
    ) -> None:
        self.is_text = is_text
        parts: list[bytes] = []
        if durable or ttl is not None:
            parts.append(put_header(Header(durable, ttl=-1 if ttl is None else ttl * 1000)))
        if retain:
            parts.append(put_section(MESSAGE_ANNOTATIONS, {Symbol(RETAIN): True}))
        if content_type is not None or reply_to is not None or correlation_id is not None:
            parts.append(
                put_properties(Properties(content_type=content_type, reply_to=reply_to, correlation_id=correlation_id))
            )
        if application:
            parts.append(put_section(APPLICATION_PROPERTIES, dict(application)))
        self._before: Final = b"".join(parts)

    def octets(self, payload: bytes) -> bytes:
        """The message with this payload: a data section, or a string (`is_text`; raises UnicodeDecodeError)."""
        if self.is_text:
            return self._before + put_section(AMQP_VALUE, payload.decode("utf-8"))
        return self._before + put_data(payload)


class Incoming:
    """A message that came, taken apart. Raises AmqpError for octets that are none."""

    def __init__(self, octets: bytes, address: str) -> None:
        """`address` is the receiver's own, for messages that do not say where they were sent to."""
        sections = Sections(octets)
        properties = sections.properties()
        header = sections.header()
        self.address: Final = properties.to if isinstance(properties.to, str) else address
        self.payload: Final = _payload(sections)
        self.durable: Final = header.durable
        self.annotations: Final = sections.annotations(MESSAGE_ANNOTATIONS)
        self.retain: Final = self.annotations.get(Symbol(RETAIN)) is True
        told: dict[str, object] = {
            "ttl": None if header.ttl < 0 else header.ttl / 1000,
            "priority": None if header.priority == 4 else header.priority,
            "delivery_count": header.delivery_count or None,
            "message_id": properties.message_id,
            "user_id": properties.user_id,
            "subject": properties.subject,
            "reply_to": properties.reply_to,
            "correlation_id": properties.correlation_id,
            "content_type": properties.content_type,
            "content_encoding": properties.content_encoding,
            "absolute_expiry_time": properties.absolute_expiry_time,
            "creation_time": properties.creation_time,
            "group_id": properties.group_id,
        }
        self.properties: Final = {name: plain(value) for name, value in told.items() if value is not None}
        self.application: Final = {name: plain(value) for name, value in sections.application_properties().items()}

    @property
    def topic(self) -> str | None:
        """The topic that it was published to; None where neither the server nor the address tells one."""
        told = self.annotations.get(Symbol(TOPIC))
        return told if isinstance(told, str) else topic_of(self.address)

    @property
    def where(self) -> str:
        """The topic, or the address of what is none."""
        return self.topic or self.address


def _payload(sections: Sections) -> bytes:
    """The body as octets: of data itself, of text its UTF-8, of anything else JSON."""
    if sections.body == DATA or sections.body == 0:
        return sections.data()
    values = sections.values()
    value: object = values if sections.body == AMQP_SEQUENCE else values[0]
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return json.dumps(plain(value), ensure_ascii=False).encode()


def plain(value: object) -> object:
    """An AMQP value as JSON has it: octets as text where they are, else in hex."""
    if value is None or isinstance(value, bool | int | float | str):
        return str(value) if isinstance(value, Symbol) else value
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.hex()
    if isinstance(value, Uuid):
        return str(value)
    if isinstance(value, Integer):
        return value.value
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Described):
        return plain(value.value)
    return repr(value.content()) if isinstance(value, Scalar) else repr(value)
