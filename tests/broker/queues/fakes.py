"""A consumer of no protocol, and a house with queues."""

from __future__ import annotations

from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.entry import Consumer, Entry
from bridgehead.core.message import NEVER, NORMAL_PRIORITY, Message, MessageProperties, Origin
from bridgehead.core.permission import Permission
from bridgehead.core.rights import Rights
from bridgehead.core.session import Receiver
from tests.broker.fakes import EVERYTHING, House
from tests.mqtt.dialogue import ManualStore


class FakeConsumer(Consumer):
    """Takes as many as it has credit for, and notes them. `only`: the payloads that it wants."""

    def __init__(
        self,
        house: House,
        name: str = "two",
        credit: int = 1000,
        settled: bool = False,
        priority: int = 0,
        only: set[bytes] | None = None,
        holder: str = "",
        lasting: float = 0.0,
        client_id: str = "consumer",
    ) -> None:
        origin = Origin(name, "fake", True, client_id)
        super().__init__(house.principals[name], origin, settled, priority, only is not None, holder, lasting)
        self.only = only
        self.credit = credit
        self.got: list[Entry] = []
        self.cancellations: list[tuple[str, str]] = []
        self.drained = 0

    def ready(self) -> bool:
        return self.credit > self.coming

    def wants(self, entry: Entry) -> bool:
        return self.only is None or entry.message.payload in self.only

    def deliver(self, entry: Entry) -> None:
        self.credit -= 1
        self.got.append(entry)

    def cancelled(self, meaning: str, because: str) -> None:
        self.cancellations.append((meaning, because))

    def no_more(self) -> None:
        self.drained += 1

    def payloads(self) -> list[bytes]:
        return [entry.message.payload for entry in self.got]


def declared(house: House, name: str = "jobs", settings: QueueSettings | None = None, owner: str = "one") -> Queue:
    return house.broker.queues.declare(
        house.principals[owner], origin_of(owner), name, settings if settings is not None else QueueSettings()
    )


def queue_house(store: ManualStore | None = None, now: float = 1_000_000.0) -> House:
    """A house whose principals may do everything with queues too."""
    house = House(store, now=now)
    for principal in house.principals.values():
        rights = [*EVERYTHING, Permission("$QUEUE/#", publish=True, subscribe=True)]
        principal.amend([Rights(principal.name, rights)], {}, ["*"])
    return house


def origin_of(name: str, client_id: str = "") -> Origin:
    return Origin(name, "fake", True, client_id or name)


def sent(
    house: House,
    queue: Queue | str,
    payload: bytes,
    qos: int = 1,
    receiver: Receiver | None = None,
    priority: int = NORMAL_PRIORITY,
    expires_at: float = NEVER,
    name: str = "one",
) -> int:
    called = queue if isinstance(queue, str) else queue.name
    properties = MessageProperties(priority=priority)
    message = Message("to/" + called, payload, qos, False, origin_of(name), properties, expires_at)
    return house.broker.queues.publish(house.principals[name], message, called, receiver)


def waiting(queue: Queue) -> list[bytes]:
    """What could be taken now, in the order of taking."""
    return [entry.message.payload for entry in queue.all_waiting()]
