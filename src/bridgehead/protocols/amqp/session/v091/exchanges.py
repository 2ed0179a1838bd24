"""The hub's exchanges: what there is, who may change it, and what of it lasts (AMQP 0-9-1 sections 1.6, 3.1.3).

One object for the whole hub. The door decides about exchange `X` as about the topic `$EXCHANGE/X`: to publish is to
publish, to bind from it is to subscribe, and to declare, delete or bind it is to publish with retain.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import (
    EXCHANGE_BOUND,
    EXCHANGE_DECLARED,
    EXCHANGE_DELETED,
    EXCHANGE_UNBOUND,
    told,
)
from bridgehead.broker.queues.names import check_name, exchange_topic
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.stock import Author
from bridgehead.core.errors import CONFLICT, IN_USE, NOT_AUTHORIZED, NOT_FOUND, QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import Origin
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.v091 import exchange_records as records
from bridgehead.protocols.amqp.session.v091.arguments import (
    ALTERNATE_EXCHANGE,
    BRIDGE,
    DEFAULT_EXCHANGE,
    Arguments,
    alternate_exchange,
    check_same,
)
from bridgehead.protocols.amqp.session.v091.bindings import (
    DIRECT,
    FANOUT,
    HEADERS,
    KINDS,
    MOST_BY_HEADERS,
    TOPIC,
    Binding,
    Exchange,
    binding_key,
)

RESERVED: Final = "amq."
_ALWAYS_THERE: Final = "the default exchange is always there and cannot be declared"

# Section 3.1.3: the exchanges that every server has, beside the bridge.
_PREDECLARED: Final = (
    ("amq.direct", DIRECT),
    ("amq.fanout", FANOUT),
    (BRIDGE, TOPIC),
    ("amq.headers", HEADERS),
    ("amq.match", HEADERS),
)


class Exchanges:
    """Every method that is given a principal raises Refusal when the policy does not permit it, before it tells
    whether anything is there."""

    def __init__(self, broker: Broker, config: AmqpConfig) -> None:
        self._broker: Final = broker
        self._config: Final = config
        self._exchanges: dict[str, Exchange] = {}
        self._by_queue: dict[Queue, dict[Binding, None]] = {}
        self._declared: dict[str, int] = {}  # exchanges that each identity has
        self._bound: dict[str, int] = {}  # bindings likewise
        for name, kind in _PREDECLARED:
            self._exchanges[name] = Exchange(name, kind, True, False, False, "", None)
        self.bridge: Final = self._exchanges[BRIDGE]

    def find(self, name: str) -> Exchange | None:
        return self._exchanges.get(name)

    def known(self, principal: Principal, origin: Origin, name: str) -> Exchange:
        """The exchange, for one who may know of it. NOT_FOUND: there is none."""
        if name in ("", DEFAULT_EXCHANGE):
            raise Refusal(NOT_AUTHORIZED, _ALWAYS_THERE)
        exchange = self._exchanges.get(name)
        if exchange is None or exchange.owner is not None:
            topic = exchange_topic(name)
            if not self._broker.door.may_know(principal, topic, True):
                self._broker.door.deny(topic, origin, False, principal.explain_receive(topic).because)
        if exchange is None:
            raise Refusal(NOT_FOUND, f"no exchange '{name}' in vhost '/': declare it first")
        return exchange

    # Declare and delete. ----------------------------------------------------------------------------

    def declare(
        self,
        principal: Principal,
        origin: Origin,
        name: str,
        kind: str,
        durable: bool,
        auto_delete: bool,
        internal: bool,
        arguments: Arguments,
    ) -> None:
        """exchange.declare, but for the passive one (`known`)."""
        if kind not in KINDS:
            raise Refusal(CONFLICT, f"invalid exchange type '{kind:.40}': the hub has {', '.join(KINDS)}")
        if name in ("", DEFAULT_EXCHANGE):
            raise Refusal(NOT_AUTHORIZED, _ALWAYS_THERE)
        alternate = alternate_exchange(arguments)
        there = self._exchanges.get(name)
        if there is None or there.owner is not None:
            check_name(name, "exchange")
            self._ask_to_change(principal, origin, exchange_topic(name))
        if there is not None:
            check_same("exchange", name, "type", there.kind, kind)
            check_same("exchange", name, "durable", there.durable, durable)
            check_same("exchange", name, "auto_delete", there.auto_delete, auto_delete)
            check_same("exchange", name, "internal", there.internal, internal)
            check_same("exchange", name, ALTERNATE_EXCHANGE, there.alternate or None, alternate or None)
            return
        if name.startswith(RESERVED):
            raise Refusal(
                NOT_AUTHORIZED, f"exchange name '{name}' contains the reserved prefix 'amq.': choose another name"
            )
        if alternate and alternate != BRIDGE:  # there the topic decides, message by message
            self._broker.door.permit(principal, exchange_topic(alternate), origin, True)
        if self._declared.get(principal.name, 0) >= self._config.exchanges:
            raise Refusal(
                QUOTA_EXCEEDED, f"{principal.name!r} has declared {self._config.exchanges} exchanges: delete some first"
            )
        exchange = Exchange(name, kind, durable, auto_delete, internal, alternate, Author.of(principal))
        self._add(exchange)
        if durable:
            self._broker.journal.put(records.EXCHANGES, name, records.write_exchange(exchange), True)
        self._broker.event(EXCHANGE_DECLARED, {**told(origin), "exchange": name, "kind": kind, "durable": durable})

    def delete(self, principal: Principal, origin: Origin, name: str, if_unused: bool) -> None:
        """exchange.delete; nothing happens when there is none, as with RabbitMQ."""
        there = self._exchanges.get(name)
        if name in ("", DEFAULT_EXCHANGE) or (there is not None and there.owner is None):
            raise Refusal(NOT_AUTHORIZED, f"exchange '{name}' is the hub's own and cannot be deleted")
        self._ask_to_change(principal, origin, exchange_topic(name))
        if there is None:
            return
        if if_unused and there.bindings:
            raise Refusal(
                IN_USE,
                f"exchange '{name}' in vhost '/' is in use: unbind what is bound to it, or delete without if-unused",
            )
        self._drop(there)
        self._broker.event(EXCHANGE_DELETED, {**told(origin), "exchange": name})

    def _ask_to_change(self, principal: Principal, origin: Origin, topic: str) -> None:
        """Raise Refusal unless it may declare, delete and bind what the topic stands for."""
        self._broker.door.permit(principal, topic, origin, True, True)

    # Bind and unbind. -------------------------------------------------------------------------------

    def bind_queue(
        self, principal: Principal, origin: Origin, queue: Queue, source: str, routing_key: str, arguments: Arguments
    ) -> None:
        """queue.bind, but for the bridge. That the queue may be bound was asked before."""
        exchange = self._source(principal, origin, source)
        self._bind(origin, Binding(exchange, queue, None, routing_key, arguments, principal))

    def bind_exchange(
        self,
        principal: Principal,
        origin: Origin,
        destination: str,
        source: str,
        routing_key: str,
        arguments: Arguments,
    ) -> None:
        """exchange.bind, RabbitMQ's extension. Rings are permitted: a message goes through each exchange once."""
        target = self._target(principal, origin, destination)
        exchange = self._source(principal, origin, source)
        if exchange is self.bridge:
            raise Refusal(CONFLICT, "an exchange cannot be bound to amq.topic: bind queues to it, each for its topics")
        self._bind(origin, Binding(exchange, None, target, routing_key, arguments, principal))

    def unbind_queue(
        self, principal: Principal, origin: Origin, queue: Queue, source: str, routing_key: str, arguments: Arguments
    ) -> None:
        """queue.unbind; nothing happens when there is no such binding or exchange, as with RabbitMQ."""
        exchange = self._permitted_source(principal, origin, source)
        if exchange is not None:
            self._unbind(origin, exchange, binding_key(source, queue, None, routing_key, arguments))

    def unbind_exchange(
        self,
        principal: Principal,
        origin: Origin,
        destination: str,
        source: str,
        routing_key: str,
        arguments: Arguments,
    ) -> None:
        """exchange.unbind, likewise."""
        target = self._permitted_target(principal, origin, destination)
        exchange = self._permitted_source(principal, origin, source)
        if target is not None and exchange is not None:
            self._unbind(origin, exchange, binding_key(source, None, target, routing_key, arguments))

    def _source(self, principal: Principal, origin: Origin, name: str) -> Exchange:
        return _there(self._permitted_source(principal, origin, name), name)

    def _permitted_source(self, principal: Principal, origin: Origin, name: str) -> Exchange | None:
        if name in ("", DEFAULT_EXCHANGE):
            raise Refusal(
                NOT_AUTHORIZED, "every queue is bound to the default exchange by its name, and by nothing else"
            )
        exchange = self._exchanges.get(name)
        if exchange is not self.bridge:  # there the topic decides
            self._broker.door.permit(principal, exchange_topic(name), origin, False)
        return exchange

    def _target(self, principal: Principal, origin: Origin, name: str) -> Exchange:
        return _there(self._permitted_target(principal, origin, name), name)

    def _permitted_target(self, principal: Principal, origin: Origin, name: str) -> Exchange | None:
        if name in ("", DEFAULT_EXCHANGE):
            raise Refusal(NOT_AUTHORIZED, "nothing can be bound to lead to the default exchange: bind the queues")
        exchange = self._exchanges.get(name)
        if exchange is not self.bridge:
            self._ask_to_change(principal, origin, exchange_topic(name))
        return exchange

    def _bind(self, origin: Origin, binding: Binding) -> None:
        if binding.key in binding.source.bindings:
            return
        name = binding.binder.name
        if self._bound.get(name, 0) >= self._config.bindings:
            raise Refusal(QUOTA_EXCEEDED, f"{name!r} has made {self._config.bindings} bindings: remove some first")
        if binding.headers is not None and len(binding.source.bindings) >= MOST_BY_HEADERS:
            raise Refusal(
                QUOTA_EXCEEDED, f"exchange '{binding.source.name}' has {MOST_BY_HEADERS} bindings: declare another one"
            )
        self._attach(binding)
        if binding.lasts:
            self._broker.journal.put(records.BINDINGS, binding.key, records.write_binding(binding), True)
        self._broker.event(EXCHANGE_BOUND, {**told(origin), **_ends(binding)})

    def _unbind(self, origin: Origin, exchange: Exchange, key: str) -> None:
        binding = exchange.bindings.get(key)
        if binding is not None:
            self._detach(binding)
            self._broker.event(EXCHANGE_UNBOUND, {**told(origin), **_ends(binding)})
            self._end_unused(exchange)

    # What goes with others. -------------------------------------------------------------------------

    def queue_gone(self, queue: Queue) -> None:
        """The queue was deleted: its bindings are."""
        held = self._by_queue.get(queue)
        if held is not None:
            sources: dict[Exchange, None] = {}
            for binding in list(held):
                sources[binding.source] = None
                self._detach(binding)
            for exchange in sources:
                self._end_unused(exchange)

    def identity_gone(self, name: str) -> None:
        """The identity is no more: what it bound is bound no more."""
        if name in self._bound:
            for exchange in list(self._exchanges.values()):
                for binding in list(exchange.bindings.values()):
                    if binding.binder.name == name and binding.key in exchange.bindings:
                        self._detach(binding)

    def _end_unused(self, exchange: Exchange) -> None:
        """Auto-delete: when the last binding from it has gone, it goes."""
        if exchange.auto_delete and not exchange.bindings and self._exchanges.get(exchange.name) is exchange:
            self._drop(exchange)

    # State. -----------------------------------------------------------------------------------------

    def _add(self, exchange: Exchange) -> None:
        self._exchanges[exchange.name] = exchange
        if exchange.owner is not None:
            name = exchange.owner.name
            self._declared[name] = self._declared.get(name, 0) + 1

    def _drop(self, exchange: Exchange) -> None:
        del self._exchanges[exchange.name]
        if exchange.owner is not None:
            _less(self._declared, exchange.owner.name)
        if exchange.durable:
            self._broker.journal.delete(records.EXCHANGES, exchange.name)
        for binding in list(exchange.bindings.values()):
            self._detach(binding)
        for binding in list(exchange.arriving.values()):
            self._detach(binding)
            self._end_unused(binding.source)

    def _attach(self, binding: Binding) -> None:
        binding.source.add(binding)
        if binding.queue is not None:
            self._by_queue.setdefault(binding.queue, {})[binding] = None
        elif binding.exchange is not None:
            binding.exchange.arriving[binding.key] = binding
        name = binding.binder.name
        self._bound[name] = self._bound.get(name, 0) + 1

    def _detach(self, binding: Binding) -> None:
        if binding.key not in binding.source.bindings:
            return
        binding.source.remove(binding)
        if binding.queue is not None:
            held = self._by_queue[binding.queue]
            del held[binding]
            if not held:
                del self._by_queue[binding.queue]
        elif binding.exchange is not None:
            del binding.exchange.arriving[binding.key]
        _less(self._bound, binding.binder.name)
        if binding.lasts:
            self._broker.journal.delete(records.BINDINGS, binding.key)

    # Recovery. --------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Take back what lasted, after the broker has its queues and before any listener opens. A binding whose binder
        is no more, or that leads to nothing that is there, is deleted. Raises CorruptRecord."""
        broker = self._broker
        for name, record in broker.stored(records.EXCHANGES):
            kept = records.read_exchange(record)
            self._add(Exchange(name, kept.kind, True, kept.auto_delete, kept.internal, kept.alternate, kept.author))
        for key, record in broker.stored(records.BINDINGS):
            binding = self._read(record)
            if binding is None:
                broker.journal.delete(records.BINDINGS, key)
            else:
                self._attach(binding)

    def _read(self, record: bytes) -> Binding | None:
        held = records.read_binding(record)
        binder = self._broker.queues.feeds.principal_of(held.author)
        source = self._exchanges.get(held.source)
        if binder is None or source is None:
            return None
        if held.to_exchange:
            target = self._exchanges.get(held.destination)
            return None if target is None else Binding(source, None, target, held.routing_key, held.arguments, binder)
        queue = self._broker.queues.find(held.destination)
        if queue is None or not queue.settings.durable:
            return None
        return Binding(source, queue, None, held.routing_key, held.arguments, binder)


def _there(exchange: Exchange | None, name: str) -> Exchange:
    if exchange is None:
        raise Refusal(NOT_FOUND, f"no exchange '{name}' in vhost '/': declare it first")
    return exchange


def _less(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]


def _ends(binding: Binding) -> dict[str, object]:
    """For the fields of an event."""
    fields: dict[str, object] = {"exchange": binding.source.name, "key": binding.routing_key}
    if binding.queue is not None:
        fields["queue"] = binding.queue.name
    elif binding.exchange is not None:
        fields["destination"] = binding.exchange.name
    return fields
