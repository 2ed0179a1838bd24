"""What the arguments of exchange.declare and queue.declare say, and whether a second declaration says the same.

AMQP 0-9-1 sections 1.6.2.1 and 1.7.2.1 leave them to the server; these are RabbitMQ's, which clients rely on. Those
that nobody here knows are taken without effect, as there.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.settings import DROP_HEAD, REJECT, DeadLetter, QueueSettings
from bridgehead.core.errors import CONFLICT, LOCKED, Refusal
from bridgehead.protocols.amqp.mapping.routing_keys import topic_of

# How this page and DeadLetter.exchange call the default exchange, whose own name is empty. Nobody else may be called
# so: names that begin with "amq." are the hub's (section 3.1.3.1).
DEFAULT_EXCHANGE: Final = "amq.default"

BRIDGE: Final = "amq.topic"  # the hub's topics

MESSAGE_TTL: Final = "x-message-ttl"
EXPIRES: Final = "x-expires"
MAX_LENGTH: Final = "x-max-length"
MAX_LENGTH_BYTES: Final = "x-max-length-bytes"
OVERFLOW: Final = "x-overflow"
DEAD_LETTER_EXCHANGE: Final = "x-dead-letter-exchange"
DEAD_LETTER_ROUTING_KEY: Final = "x-dead-letter-routing-key"
MAX_PRIORITY: Final = "x-max-priority"
DELIVERY_LIMIT: Final = "x-delivery-limit"
SINGLE_ACTIVE: Final = "x-single-active-consumer"
QUEUE_TYPE: Final = "x-queue-type"
ALTERNATE_EXCHANGE: Final = "alternate-exchange"

MOST_PRIORITIES: Final = 255
LONGEST_TIME: Final = (1 << 32) - 1  # milliseconds; as long as RabbitMQ takes
LARGEST_LENGTH: Final = (1 << 63) - 1

QUEUE_TYPES: Final = ("classic", "quorum")
OVERFLOWS: Final = ("drop-head", "reject-publish", "reject-publish-dlx")

Arguments = dict[str, object]


def queue_settings(arguments: Arguments, durable: bool, exclusive: str, auto_delete: bool) -> QueueSettings:
    """The settings of a queue that is declared so. `exclusive`: the key of its owner, or "". Raises Refusal (CONFLICT:
    406), naming the argument."""
    message_ttl = _number(arguments, MESSAGE_TTL, 0, LONGEST_TIME)
    expires = _number(arguments, EXPIRES, 1, LONGEST_TIME)
    limit = _number(arguments, DELIVERY_LIMIT, 0, LARGEST_LENGTH)
    kind = _word(arguments, QUEUE_TYPE, QUEUE_TYPES)
    if kind == "quorum" and not durable:
        raise Refusal(CONFLICT, "a queue of x-queue-type 'quorum' lasts: declare it with durable = true")
    _word(arguments, OVERFLOW, OVERFLOWS)
    return QueueSettings(
        durable,
        exclusive,
        auto_delete,
        None if message_ttl is None else message_ttl / 1000,
        None if expires is None else expires / 1000,
        _number(arguments, MAX_LENGTH, 0, LARGEST_LENGTH),
        _number(arguments, MAX_LENGTH_BYTES, 0, LARGEST_LENGTH),
        DROP_HEAD if arguments.get(OVERFLOW, OVERFLOWS[0]) == OVERFLOWS[0] else REJECT,
        dead_letter(arguments),
        _number(arguments, MAX_PRIORITY, 0, MOST_PRIORITIES) or 0,
        0 if limit is None else limit + 1,  # so many times it may come back; the next time it is dead
        _flag(arguments, SINGLE_ACTIVE),
    )


def dead_letter(arguments: Arguments) -> DeadLetter | None:
    """Where the arguments send what dies in the queue."""
    exchange = _text(arguments, DEAD_LETTER_EXCHANGE)
    routing_key = _text(arguments, DEAD_LETTER_ROUTING_KEY)
    if exchange is None:
        if routing_key is not None:
            raise Refusal(
                CONFLICT, f"{DEAD_LETTER_ROUTING_KEY} needs {DEAD_LETTER_EXCHANGE} beside it: name the exchange"
            )
        return None
    if exchange == BRIDGE:
        if not routing_key:
            raise Refusal(
                CONFLICT, f"{DEAD_LETTER_ROUTING_KEY} must name the topic when {DEAD_LETTER_EXCHANGE} is '{BRIDGE}'"
            )
        return DeadLetter(topic=topic_of(routing_key))
    return DeadLetter(exchange=exchange or DEFAULT_EXCHANGE, routing_key=routing_key)


def alternate_exchange(arguments: Arguments) -> str:
    """Where an exchange sends what it cannot route, "" for nowhere. Raises Refusal (CONFLICT: 406)."""
    return _text(arguments, ALTERNATE_EXCHANGE) or ""


# Whether two declarations say the same. -------------------------------------------------------------


def check_same_queue(name: str, known: QueueSettings, asked: QueueSettings, arguments: Arguments) -> None:
    """Raise Refusal (CONFLICT: 406; LOCKED: 405 for whose it is) when a queue that is there was declared otherwise
    (section 1.7.2.1: "the server MUST raise a channel exception"). What a declaration does not say about a full queue
    is no contradiction: a queue that was made by other means than this protocol can be declared without knowing it."""
    if bool(known.exclusive) != bool(asked.exclusive):
        raise Refusal(
            LOCKED,
            f"cannot obtain exclusive access to locked queue '{name}': it was declared with exclusive "
            f"{shown(bool(known.exclusive))}, declare it so or delete it first",
        )
    kept = _told(known)
    wanted = _told(asked)
    if OVERFLOW not in arguments:
        del kept[OVERFLOW], wanted[OVERFLOW]
    for argument in wanted:
        check_same("queue", name, argument, kept[argument], wanted[argument])


def check_same(what: str, name: str, argument: str, known: object, asked: object) -> None:
    """Raise Refusal (CONFLICT: 406) when the two values of one argument differ."""
    if known != asked:
        raise Refusal(
            CONFLICT,
            f"inequivalent arg '{argument}' for {what} '{name}': received {shown(asked)} but current is {shown(known)};"
            f" declare it with the current value, or delete the {what} first",
        )


def shown(value: object) -> str:
    """A value for a sentence, as clients know it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    return f"'{value!s:.100}'"


def _told(settings: QueueSettings) -> dict[str, object]:
    """Settings in the terms of queue.declare."""
    dead = settings.dead_letter
    return {
        "durable": settings.durable,
        "auto_delete": settings.auto_delete,
        MESSAGE_TTL: _milliseconds(settings.message_ttl),
        EXPIRES: _milliseconds(settings.expires),
        MAX_LENGTH: settings.max_messages,
        MAX_LENGTH_BYTES: settings.max_octets,
        OVERFLOW: "drop-head" if settings.overflow == DROP_HEAD else "reject-publish",
        DEAD_LETTER_EXCHANGE: None if dead is None else _dead_letter_exchange(dead),
        DEAD_LETTER_ROUTING_KEY: None if dead is None else dead.routing_key,
        MAX_PRIORITY: settings.max_priority or None,
        DELIVERY_LIMIT: settings.max_deliveries - 1 if settings.max_deliveries else None,
        SINGLE_ACTIVE: settings.single_active,
    }


def _dead_letter_exchange(dead: DeadLetter) -> str:
    if dead.exchange:
        return "" if dead.exchange == DEFAULT_EXCHANGE else dead.exchange
    return f"(the queue {dead.queue})" if dead.queue else f"(the topic {dead.topic})"


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


# One argument. ------------------------------------------------------------------------------------------


def _number(arguments: Arguments, name: str, lowest: int, highest: int) -> int | None:
    value = arguments.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refusal(CONFLICT, f"invalid arg '{name}': {shown(value)} is no whole number; send an integer")
    if not lowest <= value <= highest:
        raise Refusal(
            CONFLICT, f"invalid arg '{name}': {shown(value)} is out of range; send a number from {lowest} to {highest}"
        )
    return value


def _flag(arguments: Arguments, name: str) -> bool:
    value = arguments.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Refusal(CONFLICT, f"invalid arg '{name}': {shown(value)} is no truth value; send true or false")
    return value


def _text(arguments: Arguments, name: str) -> str | None:
    value = arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refusal(CONFLICT, f"invalid arg '{name}': {shown(value)} is no text; send a string")
    return value


def _word(arguments: Arguments, name: str, words: tuple[str, ...]) -> str | None:
    value = _text(arguments, name)
    if value is not None and value not in words:
        raise Refusal(
            CONFLICT, f"invalid arg '{name}': {shown(value)} is not known here; send one of {', '.join(words)}"
        )
    return value
