"""How sessions, deliveries and messages are written as records (MessagePack arrays), and read again."""

from __future__ import annotations

from typing import Any

import msgspec

from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.core.session import Subscription, Will


class CorruptRecord(Exception):
    """A record of the store does not read as what it should be."""


def _read(record: bytes, what: str, length: int) -> list[Any]:
    try:
        fields = msgspec.msgpack.decode(record)
    except msgspec.DecodeError as error:
        raise CorruptRecord(f"a stored {what} cannot be read: {error}") from error
    if not isinstance(fields, list) or len(fields) != length:
        raise CorruptRecord(f"a stored {what} does not have its {length} fields")
    return fields


def _write(fields: tuple[object, ...]) -> bytes:
    return msgspec.msgpack.encode(fields)


def _write_properties(properties: MessageProperties) -> tuple[object, ...] | None:
    if properties is NO_PROPERTIES:
        return None
    return (
        properties.content_type,
        properties.is_text,
        properties.response_topic,
        properties.correlation_data,
        properties.user_properties,
    )


def _read_properties(fields: Any) -> MessageProperties:
    if fields is None:
        return NO_PROPERTIES
    content_type, is_text, response_topic, correlation_data, user_properties = fields
    pairs = tuple([(str(name), str(value)) for name, value in user_properties])
    return MessageProperties(content_type, is_text, response_topic, correlation_data, pairs)


def write_message(message: Message) -> bytes:
    """The message's record, made once and remembered in `message.record`."""
    if message.record is None:
        origin = message.origin
        message.record = _write(
            (
                message.topic,
                message.payload,
                message.qos,
                message.retain,
                None if message.expires_at == NEVER else message.expires_at,
                _write_properties(message.properties),
                origin.principal,
                origin.protocol,
                origin.verified,
                origin.client_id,
            )
        )
    return message.record


def read_message(record: bytes) -> Message:
    topic, payload, qos, retain, expires_at, properties, principal, protocol, verified, client_id = _read(
        record, "message", 10
    )
    return Message(
        topic,
        payload,
        qos,
        retain,
        Origin(principal, protocol, verified, client_id),
        _read_properties(properties),
        NEVER if expires_at is None else expires_at,
    )


def write_delivery(message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], share: str) -> bytes:
    return _write((write_message(message), qos, retain, identifiers, share))


def read_delivery(record: bytes) -> tuple[Message, int, bool, tuple[int, ...], str]:
    message, qos, retain, identifiers, share = _read(record, "delivery", 5)
    return read_message(message), qos, retain, tuple([int(i) for i in identifiers]), share


def write_subscription(subscription: Subscription) -> bytes:
    return _write(
        (
            subscription.topic_filter,
            subscription.qos,
            subscription.no_local,
            subscription.retain_as_published,
            subscription.retain_handling,
            subscription.identifier,
            subscription.share,
        )
    )


def read_subscription(record: bytes) -> list[Any]:
    """The arguments of Subscription after the session."""
    return _read(record, "subscription", 7)


def write_session(
    log: str, created: float, protocol: str, expiry_interval: float, expires_at: float | None, unsent: int
) -> bytes:
    """`created` is the principal's. `expires_at` is None while the session is connected. `unsent` is the sequence
    number from which on nothing was ever sent, 0 while that changes."""
    return _write((log, created, protocol, None if expiry_interval == NEVER else expiry_interval, expires_at, unsent))


def read_session(record: bytes) -> tuple[str, float, str, float, float | None, int]:
    log, created, protocol, expiry_interval, expires_at, unsent = _read(record, "session", 6)
    return log, created, protocol, NEVER if expiry_interval is None else expiry_interval, expires_at, unsent


def write_will(will: Will, created: float, protocol: str, due: float | None) -> bytes:
    """`created` is the principal's. `due` is None while the connection lives."""
    return _write(
        (
            will.topic,
            will.payload,
            will.qos,
            will.retain,
            _write_properties(will.properties),
            will.expiry_interval,
            will.delay,
            created,
            protocol,
            due,
        )
    )


def read_will(record: bytes) -> tuple[Will, float, str, float | None]:
    topic, payload, qos, retain, properties, expiry_interval, delay, created, protocol, due = _read(record, "Will", 10)
    will = Will(topic, payload, qos, retain, _read_properties(properties), expiry_interval, delay)
    return will, created, protocol, due
