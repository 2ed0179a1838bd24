"""A hub without sockets: its virtual host, and people with permissions who use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.broker.queues.queue import Queue
from bridgehead.core.clock import Clock
from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER, Message, Origin
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.core.session import Receiver
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.v091.arguments import Arguments
from bridgehead.protocols.amqp.session.v091.declaring import topic_for
from bridgehead.protocols.amqp.session.v091.vhost import Vhost, vhost_of
from tests.broker.fakes import FakeReceiver
from tests.mqtt.dialogue import ManualStore

ALL = [
    Permission("#", publish=True, subscribe=True),
    Permission("$QUEUE/#", publish=True, subscribe=True),
    Permission("$EXCHANGE/#", publish=True, subscribe=True),
]


def send(topic_filter: str) -> Permission:
    return Permission(topic_filter, publish=True, subscribe=False, retain=False)


def make(topic_filter: str) -> Permission:
    return Permission(topic_filter, publish=True, subscribe=False)


def take(topic_filter: str) -> Permission:
    return Permission(topic_filter, publish=False, subscribe=True)


@contextmanager
def refused(meaning: str, match: str = "") -> Iterator[None]:
    """What is done inside is refused with this meaning, in a sentence that matches."""
    with pytest.raises(Refusal, match=match or None) as caught:
        yield
    assert caught.value.meaning == meaning, caught.value.because


class Hall:
    """`people`: their names and permissions; without any there is `owner`, who may do everything."""

    def __init__(
        self,
        people: dict[str, Sequence[Permission]] | None = None,
        store: ManualStore | None = None,
        now: float = 1_000_000.0,
        created: dict[str, float] | None = None,
        config: AmqpConfig | None = None,
    ) -> None:
        self.store = ManualStore() if store is None else store
        self.people: dict[str, Sequence[Permission]] = {"owner": ALL} if people is None else people
        self.events: list[tuple[str, dict[str, object]]] = []
        self.clock = Clock(now)
        self.broker = Broker(self.store, self.clock, Limits(), self._event, self._want)
        self.config = AmqpConfig() if config is None else config
        self.vhost: Vhost = vhost_of(self.broker, self.config)
        self.created = created or {}
        self.principals = {
            name: Principal.of(name, list(permissions), ["*"], self.created.get(name, 1.0))
            for name, permissions in self.people.items()
        }
        self.broker.recover(list(self.principals.values()))
        self.turn()

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def _want(self) -> None:
        """`turn` looks by itself."""

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]

    def turn(self) -> None:
        self.broker.journal.flush()
        while self.store.finish():
            self.broker.journal.flush()

    def after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.broker.handle_timeout()

    def again(self, people: dict[str, Sequence[Permission]] | None = None) -> Hall:
        """The next run, on the same disk."""
        self.turn()
        return Hall(self.people if people is None else people, self.store.copy(), self.clock.now, self.created)

    def who(self, name: str = "owner", connection: str = "1") -> Person:
        return Person(self, name, connection)

    def queue(self, name: str) -> Queue:
        found = self.broker.queues.find(name)
        assert found is not None
        return found

    def waiting(self, name: str) -> list[bytes]:
        return [entry.message.payload for entry in self.queue(name).all_waiting()]


class Person:
    """One connection of an identity."""

    def __init__(self, hall: Hall, name: str, connection: str) -> None:
        self.hall = hall
        self.principal = hall.principals[name]
        self.origin = Origin(name, "amqp", True, f"amqp:{connection}")

    def exchange(
        self,
        name: str,
        kind: str = "direct",
        durable: bool = False,
        auto_delete: bool = False,
        internal: bool = False,
        arguments: Arguments | None = None,
    ) -> None:
        self.hall.vhost.exchanges.declare(
            self.principal, self.origin, name, kind, durable, auto_delete, internal, arguments or {}
        )

    def delete_exchange(self, name: str, if_unused: bool = False) -> None:
        self.hall.vhost.exchanges.delete(self.principal, self.origin, name, if_unused)

    def queue(
        self,
        name: str = "",
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: Arguments | None = None,
    ) -> Queue:
        return self.hall.vhost.declaring.declare(
            self.principal, self.origin, name, durable, exclusive, auto_delete, arguments or {}
        )

    def bind(self, queue: str, exchange: str, key: str = "", arguments: Arguments | None = None) -> None:
        self.hall.vhost.declaring.bind(self.principal, self.origin, queue, exchange, key, arguments or {})

    def unbind(self, queue: str, exchange: str, key: str = "", arguments: Arguments | None = None) -> None:
        self.hall.vhost.declaring.unbind(self.principal, self.origin, queue, exchange, key, arguments or {})

    def join(self, destination: str, source: str, key: str = "", arguments: Arguments | None = None) -> None:
        self.hall.vhost.exchanges.bind_exchange(self.principal, self.origin, destination, source, key, arguments or {})

    def part(self, destination: str, source: str, key: str = "", arguments: Arguments | None = None) -> None:
        self.hall.vhost.exchanges.unbind_exchange(
            self.principal, self.origin, destination, source, key, arguments or {}
        )

    def publish(
        self,
        exchange: str,
        key: str,
        payload: bytes = b"x",
        headers: Arguments | None = None,
        qos: int = 1,
        receiver: Receiver | None = None,
        expires_at: float = NEVER,
    ) -> int:
        message = Message(topic_for(exchange, key), payload, qos, False, self.origin, expires_at=expires_at)
        return self.hall.vhost.routing.publish(
            self.principal, message, exchange, key, headers, receiver or FakeReceiver()
        )
