"""Bindings, and the exchanges that they belong to: what a message goes to, by the exchange's type."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.queues.names import exchange_topic
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.stock import Author
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.session.v091.arguments import Arguments
from bridgehead.protocols.amqp.session.v091.header_matching import HeaderMatch
from bridgehead.protocols.amqp.session.v091.topic_matching import TopicTree

DIRECT: Final = "direct"
FANOUT: Final = "fanout"
TOPIC: Final = "topic"
HEADERS: Final = "headers"
KINDS: Final = (DIRECT, FANOUT, TOPIC, HEADERS)

MOST_BY_HEADERS: Final = 1000  # bindings of one headers exchange: every message is held against all of them
_REMEMBERED: Final = 1000  # routing keys of one exchange


def fingerprint(value: object) -> str:
    """Equal for the same field table, however its fields are ordered."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{name!r}:{fingerprint(value[name])}" for name in sorted(value)]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([fingerprint(each) for each in value]) + "]"
    return repr(value)


class Binding:
    """From an exchange to a queue or to another exchange. `binder` has made it, and it holds as far as that one may
    read the exchange, as every subscription does."""

    def __init__(
        self,
        source: Exchange,
        queue: Queue | None,
        exchange: Exchange | None,
        routing_key: str,
        arguments: Arguments,
        binder: Principal,
    ) -> None:
        self.source: Final = source
        self.queue: Final = queue
        self.exchange: Final = exchange
        self.routing_key: Final = routing_key
        self.arguments: Final = arguments
        self.binder: Final = binder
        self.headers: Final = HeaderMatch(arguments) if source.kind == HEADERS else None
        self.key: Final = binding_key(source.name, queue, exchange, routing_key, arguments)

    @property
    def lasts(self) -> bool:
        """Both ends do (section 3.1.4)."""
        if not self.source.durable:
            return False
        if self.queue is not None:
            return self.queue.settings.durable
        return self.exchange is not None and self.exchange.durable


def binding_key(
    source: str, queue: Queue | None, exchange: Exchange | None, routing_key: str, arguments: Arguments
) -> str:
    """What tells a binding from all others: its record's key too. No name holds a NUL."""
    end = f"q{queue.name}" if queue is not None else f"x{exchange.name if exchange is not None else ''}"
    return "\0".join((source, end, routing_key, fingerprint(arguments)))


class Exchange:
    """Takes messages and says which bindings they go by. `owner`: who declared it, None for the hub; it stays when
    that identity goes, as queues do, since others rely on it."""

    def __init__(
        self,
        name: str,
        kind: str,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        alternate: str,
        owner: Author | None,
    ) -> None:
        self.name: Final = name
        self.kind: Final = kind
        self.durable: Final = durable
        self.auto_delete: Final = auto_delete
        self.internal: Final = internal
        self.alternate: Final = alternate
        self.owner: Final = owner
        self.topic: Final = exchange_topic(name)  # by which the policy knows it
        self.bindings: dict[str, Binding] = {}  # that begin here, by their keys
        self.arriving: dict[str, Binding] = {}  # that end here
        self.onward = 0  # bindings from here to exchanges
        self._direct: dict[str, dict[Binding, None]] = {}
        self._tree: TopicTree[Binding] = TopicTree()
        self._remembered: dict[str, list[Binding]] = {}

    def add(self, binding: Binding) -> None:
        self.bindings[binding.key] = binding
        self._remembered.clear()
        if binding.exchange is not None:
            self.onward += 1
        if self.kind == DIRECT:
            self._direct.setdefault(binding.routing_key, {})[binding] = None
        elif self.kind == TOPIC:
            self._tree.add(binding.routing_key, binding)

    def remove(self, binding: Binding) -> None:
        del self.bindings[binding.key]
        self._remembered.clear()
        if binding.exchange is not None:
            self.onward -= 1
        if self.kind == DIRECT:
            held = self._direct[binding.routing_key]
            del held[binding]
            if not held:
                del self._direct[binding.routing_key]
        elif self.kind == TOPIC:
            self._tree.remove(binding.routing_key, binding)

    def matching(self, routing_key: str, headers: Arguments) -> list[Binding]:
        """The bindings by which a message goes. Not to be changed by the caller."""
        if self.kind == HEADERS:
            return [binding for binding in self.bindings.values() if _asks_for(binding, headers)]
        known = self._remembered.get(routing_key)
        if known is None:
            if self.kind == DIRECT:
                known = list(self._direct.get(routing_key, ()))
            elif self.kind == TOPIC:
                known = self._tree.match(routing_key)
            else:
                known = list(self.bindings.values())
                routing_key = ""
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[routing_key] = known
        return known


def _asks_for(binding: Binding, headers: Arguments) -> bool:
    return binding.headers is not None and binding.headers.matches(headers)
