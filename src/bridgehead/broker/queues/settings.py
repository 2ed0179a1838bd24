"""What a queue is told about itself when it is declared."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.message import NEVER, Origin

# What happens to a message that comes when a queue is full.
DROP_HEAD: Final = "drop-head"  # the oldest makes room
REJECT: Final = "reject"  # its publisher is told

HIGHEST_PRIORITY: Final = 255


@mypyc_attr(acyclic=True)
class DeadLetter:
    """Where a message goes that was rejected, expired, pushed out or delivered in vain too often: to a queue, to an
    exchange (`routing_key` None: with the one that it came by), or to a topic. One of the three is not empty."""

    def __init__(self, queue: str = "", exchange: str = "", routing_key: str | None = None, topic: str = "") -> None:
        self.queue: Final = queue
        self.exchange: Final = exchange
        self.routing_key: Final = routing_key
        self.topic: Final = topic

    def fields(self) -> tuple[str, str, str | None, str]:
        return (self.queue, self.exchange, self.routing_key, self.topic)


@mypyc_attr(acyclic=True)
class QueueSettings:
    """Times are in seconds, sizes in octets (Message.weight); None: as the hub's limits have it.

    `exclusive` is the key of the one that may use it (`owner_of` a connection, or an identity's name), "" for everybody
    whom the policy lets. `message_ttl`: how long a message waits at most. `expires`: how long the queue lasts while
    nobody uses it. `max_messages` and `max_octets` count what waits and not what is with a consumer. `max_priority` 0:
    no priorities. `max_deliveries`: a message that failed so often is dead; 0: never. `single_active`: the consumers
    do not compete, the first of them gets everything.
    """

    def __init__(
        self,
        durable: bool = False,
        exclusive: str = "",
        auto_delete: bool = False,
        message_ttl: float | None = None,
        expires: float | None = None,
        max_messages: int | None = None,
        max_octets: int | None = None,
        overflow: str = REJECT,
        dead_letter: DeadLetter | None = None,
        max_priority: int = 0,
        max_deliveries: int = 0,
        single_active: bool = False,
    ) -> None:
        self.durable: Final = durable
        self.exclusive: Final = exclusive
        self.auto_delete: Final = auto_delete
        self.message_ttl: Final = message_ttl
        self.expires: Final = expires
        self.max_messages: Final = max_messages
        self.max_octets: Final = max_octets
        self.overflow: Final = overflow
        self.dead_letter: Final = dead_letter
        self.max_priority: Final = max_priority
        self.max_deliveries: Final = max_deliveries
        self.single_active: Final = single_active

    def named(self) -> list[tuple[str, object]]:
        """Each setting with its name."""
        return [
            ("durable", self.durable),
            ("exclusive", bool(self.exclusive)),
            ("auto_delete", self.auto_delete),
            ("message_ttl", self.message_ttl),
            ("expires", self.expires),
            ("max_messages", self.max_messages),
            ("max_octets", self.max_octets),
            ("overflow", self.overflow),
            ("dead_letter", None if self.dead_letter is None else self.dead_letter.fields()),
            ("max_priority", self.max_priority),
            ("max_deliveries", self.max_deliveries),
            ("single_active", self.single_active),
        ]

    def differs(self, other: QueueSettings) -> str:
        """ "" when `other` says the same, else a sentence about the first thing that it says otherwise."""
        for (name, mine), (_, others) in zip(self.named(), other.named(), strict=True):
            if mine != others:
                return f"{name} is {_shown(mine)} and not {_shown(others)}"
        return ""

    def lifetime(self) -> float:
        """Seconds that it lasts unused."""
        return NEVER if self.expires is None else self.expires


def _shown(value: object) -> str:
    return "not set" if value is None else repr(value)


def owner_of(origin: Origin) -> str:
    """The key of one connection, for QueueSettings.exclusive. A principal's name never holds a slash."""
    return f"{origin.principal}/{origin.client_id}"
