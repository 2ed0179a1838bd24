"""A consumer of AMQP 0-9-1 (basic.consume): takes from one queue for one channel, as far as its prefetch goes."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.queue import Queue
from bridgehead.core.entry import Consumer, Entry
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal


class Unacked:
    """A delivery that is not acknowledged. `entry` is None when the queue has taken it back by itself, or is
    gone. `in_transaction`: it is acknowledged in one that is not committed."""

    def __init__(self, queue: Queue, entry: Entry | None, consumer: BasicConsumer | None) -> None:
        self.queue: Final = queue
        self.entry: Entry | None = entry
        self.consumer: Final = consumer  # None: by basic.get
        self.in_transaction = False


class Deliveries:
    """What a consumer needs of its channel."""

    def may_deliver(self, consumer: BasicConsumer) -> bool:
        raise NotImplementedError

    def deliver(self, consumer: BasicConsumer, entry: Entry) -> None:
        raise NotImplementedError

    def consumer_cancelled(self, consumer: BasicConsumer, meaning: str, because: str) -> None:
        raise NotImplementedError

    def queue_gone(self, queue: Queue) -> None:
        """The queue was deleted, and what came from it with it."""
        raise NotImplementedError


class BasicConsumer(Consumer):
    """`prefetch`: deliveries without acknowledgement that it may have, 0 for any number (1.8.3.1). `head` is its tag as
    a short string."""

    def __init__(
        self,
        principal: Principal,
        origin: Origin,
        no_ack: bool,
        priority: int,
        channel: Deliveries,
        queue: Queue,
        tag: str,
        head: bytes,
        prefetch: int,
    ) -> None:
        super().__init__(principal, origin, no_ack, priority)
        self._channel: Final = channel
        self.queue: Final = queue
        self.tag: Final = tag
        self.head: Final = head
        self.prefetch: Final = prefetch
        self.started = False  # consume-ok is out
        self.unacked = 0
        self.names = b""  # exchange and routing key of the last delivery, as short strings
        self.named_exchange = ""
        self.named_key = ""

    def ready(self) -> bool:
        if not self.started or (self.prefetch and self.unacked >= self.prefetch):
            return False
        return self._channel.may_deliver(self)

    def wants(self, entry: Entry) -> bool:
        return True

    def deliver(self, entry: Entry) -> None:
        self._channel.deliver(self, entry)

    def cancelled(self, meaning: str, because: str) -> None:
        self._channel.consumer_cancelled(self, meaning, because)

    def no_more(self) -> None:
        """0-9-1 has no drain."""
