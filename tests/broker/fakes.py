"""A broker without any protocol: a receiver that notes what it is told, and a hub's parts around it."""

from __future__ import annotations

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.session import NO_CREDIT, TAKEN, Delivery, Receiver, Session, Subscription, Target, Will
from tests.mqtt.dialogue import ManualStore

EVERYTHING = [Permission("#", True, True), Permission("$SYS/#", True, True)]


class FakeReceiver(Receiver):
    """The connected end of a session in a protocol that there is not."""

    def __init__(self) -> None:
        self.transmitted: list[bytes] = []
        self.offered: list[Delivery] = []
        self.pumped = 0
        self.tickets: list[int] = []
        self.failures: list[tuple[int, int]] = []
        self.dismissals: list[tuple[str, str]] = []
        self.credit = 1000

    def transmit(self, message: Message, target: Target) -> None:
        self.transmitted.append(message.payload)

    def offer(self, delivery: Delivery) -> int:
        if self.credit <= 0:
            return NO_CREDIT
        self.credit -= 1
        self.offered.append(delivery)
        return TAKEN

    def pump(self) -> None:
        self.pumped += 1

    def committed(self, ticket: int) -> None:
        self.tickets.append(ticket)

    def not_committed(self, ticket: int, retry: int) -> None:
        self.failures.append((ticket, retry))

    def dismiss(self, meaning: str, because: str) -> None:
        self.dismissals.append((meaning, because))


class House:
    """A broker on a virtual clock. `turn` is the turn of the loop; commits finish when `commit` says so."""

    def __init__(
        self, store: ManualStore | None = None, limits: Limits | None = None, *names: str, now: float = 1_000_000.0
    ) -> None:
        self.store = ManualStore() if store is None else store
        self.clock = Clock(now)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.wanted = 0
        self.broker = Broker(self.store, self.clock, limits or Limits(), self._event, self._want)
        self.principals = {name: Principal.of(name, list(EVERYTHING), ["*"]) for name in names or ("one", "two")}
        self.broker.recover(list(self.principals.values()))
        self.turn()

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def _want(self) -> None:
        self.wanted += 1

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]

    def turn(self) -> None:
        """The rim flushes, and every commit finishes."""
        self.broker.journal.flush()
        while self.store.finish():
            self.broker.journal.flush()

    def session(
        self, name: str, expiry: float = 100.0, receiver: FakeReceiver | None = None, will: Will | None = None
    ) -> Session:
        held = self.broker.attach(
            self.principals[name], name, "fake", True, False, expiry, will, receiver or FakeReceiver()
        )
        return held[0]

    def subscribe(self, session: Session, topic_filter: str, qos: int = 1, share: str = "", identifier: int = 0) -> int:
        return self.broker.door.subscribe(Subscription(session, topic_filter, qos, share=share, identifier=identifier))

    def message(
        self,
        topic: str,
        payload: bytes = b"x",
        qos: int = 1,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
        expires_at: float = float("inf"),
        name: str = "one",
    ) -> Message:
        return Message(topic, payload, qos, retain, Origin(name, "fake", True, name), properties, expires_at)

    def publish(self, message: Message, receiver: Receiver | None = None) -> int:
        return self.broker.door.publish(self.principals[message.origin.principal], message, receiver)
