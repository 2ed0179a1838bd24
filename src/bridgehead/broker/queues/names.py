"""Names of queues, and the Topic Names by which the policy knows them (docs/adr/0011, 0012)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import NAME_INVALID, Refusal
from bridgehead.core.topic import check_topic_name

QUEUE: Final = "$QUEUE/"
EXCHANGE: Final = "$EXCHANGE/"
SERVER_NAMED: Final = "amq.gen-"  # AMQP 0-9-1: the hub chose the name
DYNAMIC: Final = "reply/"  # AMQP 1.0: the hub made the node; the next level is the identity's name

LONGEST: Final = 255  # octets, as AMQP 0-9-1's short strings


def escaped(name: str) -> str:
    """A name as the levels of a Topic Name, injective: what no Topic Name may hold, and the sign of that itself, are
    percent-encoded. A slash stays, so names may have levels."""
    if "%" in name:
        name = name.replace("%", "%25")
    if "+" in name:
        name = name.replace("+", "%2B")
    if "#" in name:
        name = name.replace("#", "%23")
    if "\0" in name:
        name = name.replace("\0", "%00")
    return name


def queue_topic(name: str) -> str:
    return QUEUE + escaped(name)


def exchange_topic(name: str) -> str:
    return EXCHANGE + escaped(name)


def check_name(name: str, what: str = "queue") -> None:
    """Raise Refusal(NAME_INVALID) unless a queue may be called so."""
    if not name:
        raise Refusal(NAME_INVALID, f"a {what}'s name must be at least one character long")
    if len(name) > LONGEST or len(name.encode("utf-8", "surrogatepass")) > LONGEST:
        raise Refusal(NAME_INVALID, f"a {what}'s name must not be longer than {LONGEST} octets")
    if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in name):
        raise Refusal(NAME_INVALID, f"a {what}'s name must not hold control characters or half surrogate pairs")
    check_topic_name(queue_topic(name))


def is_made_by_the_hub(name: str, principal: str) -> bool:
    """Whether the hub chose this name for the identity: nobody needs a right to have such a queue as its own."""
    return name.startswith((SERVER_NAMED, f"{DYNAMIC}{principal}/"))
