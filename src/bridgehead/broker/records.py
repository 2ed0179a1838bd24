"""How sessions, deliveries and messages are written as records (MessagePack arrays), and read again."""

from __future__ import annotations

from typing import Any, Final

import msgspec

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
from bridgehead.core.policy import Context
from bridgehead.core.session import Subscription, Will


class CorruptRecord(Exception):
    """A record of the store does not read as what it should be."""


def read(record: bytes, what: str, length: int, earlier: int = 0) -> list[Any]:
    """The record's fields. One that was written by a release before has `earlier` of them: the others are None."""
    try:
        fields = msgspec.msgpack.decode(record)
    except msgspec.DecodeError as error:
        raise CorruptRecord(f"a stored {what} cannot be read: {error}") from error
    if earlier and isinstance(fields, list) and len(fields) == earlier:
        return fields + [None] * (length - earlier)
    if not isinstance(fields, list) or len(fields) != length:
        raise CorruptRecord(f"a stored {what} does not have its {length} fields")
    return fields


def write_context(context: Context | None) -> tuple[object, ...] | None:
    return None if context is None else (context.protocol, context.mechanisms)


def read_context(fields: Any) -> Context | None:
    if fields is None:
        return None
    protocol, mechanisms = fields
    return Context(str(protocol), tuple([str(mechanism) for mechanism in mechanisms]))


def write(fields: tuple[object, ...]) -> bytes:
    return msgspec.msgpack.encode(fields)


def _write_properties(properties: MessageProperties) -> tuple[object, ...] | None:
    if properties is NO_PROPERTIES:
        return None
    if properties is NOT_DURABLE:
        return ()
    fields: tuple[object, ...] = (
        properties.content_type,
        properties.is_text,
        properties.response_topic,
        properties.correlation_data,
        properties.user_properties,
        properties.priority,
        None if properties.native is None else (properties.native.form, properties.native.octets),
    )
    return (*fields, True) if properties.transient else fields


def _read_properties(fields: Any) -> MessageProperties:
    if fields is None:
        return NO_PROPERTIES
    if not fields:
        return NOT_DURABLE
    transient = len(fields) == 8 and fields.pop() is True
    if len(fields) == 5:  # by a release before
        fields = [*fields, NORMAL_PRIORITY, None]
    content_type, is_text, response_topic, correlation_data, user_properties, priority, native = fields
    pairs = tuple([(str(name), str(value)) for name, value in user_properties])
    kept = None if native is None else Native(str(native[0]), bytes(native[1]))
    return MessageProperties(content_type, is_text, response_topic, correlation_data, pairs, priority, kept, transient)


def write_message(message: Message) -> bytes:
    """The message's record, made once and remembered in `message.record`."""
    if message.record is None:
        origin = message.origin
        fields: tuple[object, ...] = (
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
        # Few have tags: the others' records stay as they were before there were any.
        message.record = write((*fields, origin.tags) if origin.tags else fields)
    return message.record


def read_message(record: bytes) -> Message:
    topic, payload, qos, retain, expires_at, properties, principal, protocol, verified, client_id, tags = read(
        record, "message", 11, 10
    )
    return Message(
        topic,
        payload,
        qos,
        retain,
        Origin(principal, protocol, verified, client_id, "", tuple([str(tag) for tag in tags or ()])),
        _read_properties(properties),
        NEVER if expires_at is None else expires_at,
    )


def write_delivery(message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], share: str) -> bytes:
    return write((write_message(message), qos, retain, identifiers, share))


def read_delivery(record: bytes) -> tuple[Message, int, bool, tuple[int, ...], str]:
    message, qos, retain, identifiers, share = read(record, "delivery", 5)
    return read_message(message), qos, retain, tuple([int(i) for i in identifiers]), share


def write_subscription(subscription: Subscription) -> bytes:
    return write(
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
    return read(record, "subscription", 7)


class SessionRecord:
    """`created` is the principal's. `expires_at` is None while the session is connected. `unsent` is the sequence
    number from which on nothing was ever sent, 0 while that changes. `context` and `verified` are those of the
    connection that it has or had last; None: not known."""

    def __init__(
        self,
        log: str,
        created: float,
        protocol: str,
        expiry_interval: float,
        expires_at: float | None,
        unsent: int,
        context: Context | None,
        verified: bool,
    ) -> None:
        self.log: Final = log
        self.created: Final = created
        self.protocol: Final = protocol
        self.expiry_interval: Final = expiry_interval
        self.expires_at: Final = expires_at
        self.unsent: Final = unsent
        self.context: Final = context
        self.verified: Final = verified


def write_session(session: SessionRecord) -> bytes:
    interval = None if session.expiry_interval == NEVER else session.expiry_interval
    return write(
        (
            session.log,
            session.created,
            session.protocol,
            interval,
            session.expires_at,
            session.unsent,
            write_context(session.context),
            session.verified,
        )
    )


def read_session(record: bytes) -> SessionRecord:
    log, created, protocol, expiry_interval, expires_at, unsent, context, verified = read(record, "session", 8, 6)
    return SessionRecord(
        log,
        created,
        protocol,
        NEVER if expiry_interval is None else expiry_interval,
        expires_at,
        unsent,
        read_context(context),
        bool(verified),
    )


def write_hidden(created: float) -> bytes:
    """`created` is the principal's whose retained messages are hidden."""
    return write((created,))


def read_hidden(record: bytes) -> float:
    return float(read(record, "mark of hidden messages", 1)[0])


def write_will(will: Will, created: float, origin: Origin, due: float | None, context: Context | None) -> bytes:
    """`created` is the principal's. `due` is None while the connection lives. `origin` and `context` are those of the
    connection that left it."""
    return write(
        (
            will.topic,
            will.payload,
            will.qos,
            will.retain,
            _write_properties(will.properties),
            will.expiry_interval,
            will.delay,
            created,
            origin.protocol,
            due,
            write_context(context),
            origin.verified,
        )
    )


def read_will(record: bytes) -> tuple[Will, float, str, float | None, Context | None, bool]:
    """The Will, `created`, the protocol, `due`, the context, whether the origin was verified."""
    (
        topic,
        payload,
        qos,
        retain,
        properties,
        expiry_interval,
        delay,
        created,
        protocol,
        due,
        context,
        verified,
    ) = read(record, "Will", 12, 10)
    will = Will(topic, payload, qos, retain, _read_properties(properties), expiry_interval, delay)
    return will, created, protocol, due, read_context(context), bool(verified)
