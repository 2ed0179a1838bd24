"""One message in a queue, and who takes it."""

from __future__ import annotations

from collections import deque
from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.clearance import is_cleared
from bridgehead.core.message import Message, Origin
from bridgehead.core.policy import Principal

READY: Final = 0
ACQUIRED: Final = 1  # with a consumer, or held for one that is away
GONE: Final = 2

REJECTED: Final = "rejected"
EXPIRED: Final = "expired"
PUSHED_OUT: Final = "maxlen"
FAILED_TOO_OFTEN: Final = "delivery_limit"

_REFUSED: Final = 10_000  # numbers of entries that one consumer refused: the oldest are forgotten
_SPARE: Final = 16  # settled entries that a consumer's list may hold beside those that are not


@mypyc_attr(acyclic=True)
class Death:
    """That a message died in a queue, why, how often and when last. `exchange` and `routing_keys`: by which it had come
    there."""

    def __init__(
        self, queue: str, reason: str, count: int, at: float, exchange: str, routing_keys: tuple[str, ...]
    ) -> None:
        self.queue: Final = queue
        self.reason: Final = reason
        self.count: Final = count
        self.at: Final = at
        self.exchange: Final = exchange
        self.routing_keys: Final = routing_keys


class Entry:
    """A message's place in a queue. `sequence` grows along the queue and is its number in the queue's log."""

    def __init__(self, sequence: int, message: Message) -> None:
        self.sequence: Final = sequence
        self.message: Final = message
        self.weight = 0
        self.deliveries = 0  # that failed (AMQP 1.0 part 3, section 3.2.1: delivery-count)
        self.again = False  # it was with a consumer before, or may have been
        self.deaths: tuple[Death, ...] = ()  # the latest first
        self.annotations: bytes | None = None  # what a consumer added when it gave it back, in that protocol's form
        self.exchange = ""
        self.routing_key = ""
        self.expires_at = message.expires_at
        self.state = READY
        self.in_line = False  # it stands in the queue's line, though perhaps not ready
        self.lasts = False  # it has a record
        self.holder = ""  # the durable link that has acquired it, also while that is away
        self.ticket = 0  # the journal's batch that it waits for, 0 when nothing is to be waited for
        self.consumer: Consumer | None = None


@mypyc_attr(allow_interpreted_subclasses=True)
class Consumer:
    """One that takes messages from a queue, made by a protocol.

    `settled`: what is delivered to it is gone from the queue. `selective`: it is asked by `wants` for each entry.
    `holder` is the key of a link that lasts, "" for none; what it acquired stays acquired `lasting` seconds while it
    is away.
    """

    def __init__(
        self,
        principal: Principal,
        origin: Origin,
        settled: bool,
        priority: int = 0,
        selective: bool = False,
        holder: str = "",
        lasting: float = 0.0,
    ) -> None:
        self.principal: Principal = principal
        self.origin: Origin = origin
        self.settled: Final = settled
        self.priority: Final = priority
        self.selective: Final = selective
        self.holder: Final = holder
        self.lasting: Final = lasting
        self.attached = False
        self.parked = False  # it was not ready, and has not called `wake` since
        self.draining = False
        self.verified_only = False  # the policy lets it have only what came over a verified connection
        self.asks_tags = False  # the queue has messages with data tags, for which not everybody has clearance
        self.refused: dict[int, None] | None = None  # sequence numbers of what it is not to be given again
        # Of one that does not take everything: up to where it was asked about each line, and what has come back since.
        self.seen: list[int] = []
        self.missed: dict[Entry, int] = {}  # with the line of each
        self.missed_sorted = True
        self.coming = 0  # acquired by its durable link, to be delivered when that is written: credit is used up already
        self.acquired: deque[Entry] = deque()  # in the order of delivery; with some that are settled
        self.unsettled = 0

    def ready(self) -> bool:
        """Whether it may take one more now. One that says no is asked again after `Queues.wake`."""
        raise NotImplementedError

    def wants(self, entry: Entry) -> bool:
        """Whether it would take this one. What it answers for an entry does not change while that waits."""
        raise NotImplementedError

    def deliver(self, entry: Entry) -> None:
        """Here it is; `settled` ones have nothing more to say about it."""
        raise NotImplementedError

    def cancelled(self, meaning: str, because: str) -> None:
        """It is detached: the queue is gone, or its right has ended (a meaning of core/errors.py)."""
        raise NotImplementedError

    def no_more(self) -> None:
        """After `Queues.drain`: there is nothing more for it now."""
        raise NotImplementedError

    def suits(self, entry: Entry) -> bool:
        """Whether it may be given this one."""
        if self.verified_only and not entry.message.origin.verified:
            return False
        if self.refused is not None and entry.sequence in self.refused:
            return False
        if entry.message.origin.tags and not is_cleared(self.principal, entry.message.origin.tags):
            return False
        return not self.selective or self.wants(entry)

    @property
    def chooses(self) -> bool:
        """It does not take everything."""
        return self.selective or self.verified_only or self.asks_tags or self.refused is not None

    def refuses(self, entry: Entry) -> None:
        """It cannot take this one: others may."""
        if self.refused is None:
            self.refused = {}
        elif len(self.refused) >= _REFUSED:
            del self.refused[next(iter(self.refused))]
        self.refused[entry.sequence] = None

    def takes(self, entry: Entry) -> None:
        """The queue's note of what it has acquired."""
        entry.consumer = self
        held = self.acquired
        if len(held) > 2 * self.unsettled + _SPARE:
            held = deque([known for known in held if known.state == ACQUIRED and known.consumer is self])
            self.acquired = held
        held.append(entry)
        self.unsettled += 1

    def lets_go(self, entry: Entry) -> None:
        """It has settled it or given it back."""
        entry.consumer = None
        self.unsettled -= 1
        held = self.acquired
        while held and held[0].consumer is not self:
            held.popleft()
