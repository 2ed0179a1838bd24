"""Topic-data resources `/ps/data/...` (section 3 of the draft): a view of the hub's topics.

What is asked of one is asked of the resource of the hub's topic of that name, in an Exchange of its own; here is only
what the topic's properties add: the state half created, the Content-Format, the bounds of subscribers.
"""

from __future__ import annotations

import heapq
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core import message as core
from bridgehead.core.message import NEVER
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.codec.topic_properties import TOPIC_CONTENT_FORMAT
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Party, Peer
from bridgehead.protocols.coap.session.pubsub.catalogue import Catalogue, Topic
from bridgehead.protocols.coap.session.pubsub.subscriber import Keeper, Subscriber
from bridgehead.protocols.coap.session.records import Records
from bridgehead.protocols.coap.session.replies import failure

_GONE: Final = "the topic has no data: it was deleted, or nobody has published yet"
_BUSY: Final = 5.0  # seconds until a notification is tried again that found no room


class Created:
    """What is answered when the initial data of a new topic are there too."""

    def __init__(self, response: Message, ticket: int) -> None:
        self.response: Final = response
        self.ticket: Final = ticket


class Publication(Exchange):
    """A PUT. The first one makes the topic fully created (section 3.1)."""

    def __init__(self, outer: Exchange, request: Message, first: bool) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, outer.multicast)
        self._outer: Final = outer
        self._first: Final = first

    def respond(self, response: Message) -> None:
        if codes.is_success(response.code):
            response = Message(codes.CREATED if self._first else codes.CHANGED)
        self._outer.respond(response)


class Initialization(Exchange):
    """The first publication, by the property initialize (section 2.2.1): without it there is no topic."""

    def __init__(self, data: TopicData, outer: Exchange, request: Message, topic: Topic, created: Created) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, False)
        self._data: Final = data
        self._outer: Final = outer
        self._topic: Final = topic
        self._created: Final = created

    def respond(self, response: Message) -> None:
        self._data.initialized(self._outer, self._topic, self._created, response)


class Removal(Exchange):
    """A DELETE: the topic is half created again, and its subscriptions end (section 3.2.4)."""

    def __init__(self, data: TopicData, outer: Exchange, request: Message, topic: Topic) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, outer.multicast)
        self._data: Final = data
        self._outer: Final = outer
        self._topic: Final = topic

    def respond(self, response: Message) -> None:
        if codes.is_success(response.code):
            self._data.end_all(self._topic.identifier)
        self._outer.respond(response)


class TopicData(Keeper):
    """`topics` is the resource of the hub's own topics. Subscribers are known by peer, party and token, as in RFC
    7641 section 4.1 (behind one peer may be several clients, by OSCORE), and are no more than the observations that
    `topics` permits."""

    def __init__(self, broker: Broker, catalogue: Catalogue, records: Records, topics: Handler) -> None:
        self._broker: Final = broker
        self._catalogue: Final = catalogue
        self._records: Final = records
        self._topics: Final = topics
        self._subscribers: dict[str, dict[Subscriber, None]] = {}  # of each topic, in the order of their coming
        self._by_key: dict[tuple[Peer, Party | None, bytes], Subscriber] = {}
        self._checks: list[tuple[float, int, Subscriber]] = []
        self._serial = 0

    def exists(self, topic: Topic) -> bool:
        """Whether the topic is fully created: it has a value."""
        retained = self._broker.retained
        message = retained.get(topic.name)
        return message is not None and message.expires_at > self._broker.clock.now and not retained.is_hidden(message)

    def inner(self, topic: Topic, request: Message) -> Message:
        """The request to the hub's topic in the place of the one to its topic-data resource."""
        options: list[Option] = [(numbers.URI_PATH, segment) for segment in mapping.path_of_topic(topic.name)]
        options.extend([option for option in request.options if option[0] != numbers.URI_PATH])
        return request.with_options(in_order(options))

    def ask(self, exchange: Exchange) -> None:
        self._topics.handle(exchange)

    def handle(self, exchange: Exchange, topic: Topic) -> None:
        request = exchange.request
        if request.code == codes.GET:
            self._get(exchange, topic)
        elif request.code == codes.PUT:
            self._put(exchange, topic)
        elif request.code == codes.DELETE:
            self.ask(Removal(self, exchange, self.inner(topic, request), topic))
        else:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "topic data take GET, PUT and DELETE"))

    # Publishing. ------------------------------------------------------------------------------------

    def _put(self, exchange: Exchange, topic: Topic) -> None:
        """Section 3.2.1."""
        request = exchange.request
        wanted = topic.properties.get(TOPIC_CONTENT_FORMAT)
        if isinstance(wanted, int) and request.uint(numbers.CONTENT_FORMAT) != wanted:
            because = f"this topic takes Content-Format {wanted}"
            exchange.respond(failure(codes.UNSUPPORTED_CONTENT_FORMAT, because))
            return
        self.ask(Publication(exchange, self.inner(topic, request), not self.exists(topic)))

    def initialize(self, exchange: Exchange, topic: Topic, payload: bytes, created: Created) -> None:
        content_format = topic.properties.get(TOPIC_CONTENT_FORMAT)
        assert isinstance(content_format, int)
        options = ((numbers.CONTENT_FORMAT, uint_value(content_format)),)
        request = Message(codes.PUT, options, payload, exchange.request.token)
        self.ask(Initialization(self, exchange, self.inner(topic, request), topic, created))

    def initialized(self, exchange: Exchange, topic: Topic, created: Created, response: Message) -> None:
        if codes.is_success(response.code):
            self._records.answer(created.ticket, exchange, created.response)
            return
        current = self._catalogue.find(topic.identifier)
        if current is not None:
            self._catalogue.delete(current)
        exchange.respond(response)

    def clear(self, topic: Topic, party: Party, qos: int) -> int:
        """Delete the data as `party`, with its topic. Returns the ticket to answer after. Raises Refusal."""
        ticket = 0
        if topic.data_id and self._broker.retained.get(topic.name) is not None:
            ticket = self._records.publish(party.principal, core.Message(topic.name, b"", qos, True, party.origin))
        self.end_all(topic.identifier)
        return ticket

    # Subscribing. -----------------------------------------------------------------------------------

    def _get(self, exchange: Exchange, topic: Topic) -> None:
        """Sections 3.2.2, 3.2.3 and 3.3."""
        request = exchange.request
        inner = self.inner(topic, request)
        observe = request.uint(numbers.OBSERVE)
        known = self._by_key.get(_key(exchange)) if 0 <= observe <= 1 else None
        if known is not None:
            self._forget(known)
            if known.topic != topic.identifier:
                self._stop(known)
        if observe == 0:
            # Who may not read is told so whether there is data or not: the hub's topic answers in either case.
            room = not exchange.multicast and len(self._subscribers.get(topic.identifier, {})) < topic.most_subscribers
            if room and self.exists(topic):
                self._subscribe(exchange, topic, inner)
                return
            if known is not None:
                self._stop(known)
            inner = _without(inner, numbers.OBSERVE)  # RFC 7641 section 4.1: there is no more room
        self.ask(_Passing(exchange, inner))

    def _subscribe(self, exchange: Exchange, topic: Topic, inner: Message) -> None:
        subscriber = Subscriber(self, exchange, inner, topic.identifier, topic.check_interval)
        self._subscribers.setdefault(topic.identifier, {})[subscriber] = None
        self._by_key[_key(exchange)] = subscriber
        self._await_check(subscriber)
        self.ask(subscriber)

    def _forget(self, subscriber: Subscriber) -> None:
        """It counts no more."""
        subscriber.over = True
        held = self._subscribers.get(subscriber.topic)
        if held is not None and subscriber in held:
            del held[subscriber]
            if not held:
                del self._subscribers[subscriber.topic]
        key = _key(subscriber)
        if self._by_key.get(key) is subscriber:
            del self._by_key[key]

    def _stop(self, subscriber: Subscriber) -> None:
        """Nothing of the hub's topic is to come any more: as by a GET with Observe 1 (RFC 7641 section 3.6)."""
        options = list(_without(subscriber.request, numbers.OBSERVE).options)
        options.append((numbers.OBSERVE, uint_value(1)))
        self.ask(_Silent(subscriber, subscriber.request.with_options(in_order(options))))
        subscriber.ended()

    def _end(self, subscriber: Subscriber, because: str) -> None:
        """With a last notification 4.04 (RFC 7641 section 3.2)."""
        if not subscriber.over:
            self._forget(subscriber)
            subscriber.farewell(failure(codes.NOT_FOUND, because))
            self._stop(subscriber)

    def end_all(self, identifier: str) -> None:
        """The topic of that identifier has no data any more."""
        for subscriber in list(self._subscribers.get(identifier, {})):
            self._end(subscriber, _GONE)

    def changed(self, topic: Topic) -> None:
        """The topic has other properties: who came last goes first, and checks may be due earlier (section 2.5.3)."""
        for i, subscriber in enumerate(list(self._subscribers.get(topic.identifier, {}))):
            if i >= topic.most_subscribers:
                self._end(subscriber, "the topic takes fewer subscribers from now on")
            else:
                subscriber.interval = topic.check_interval
                self._await_check(subscriber)

    def forget(self, peer: Peer) -> None:
        """The peer is gone; the hub's topics are told so too."""
        for subscriber in [held for held in self._by_key.values() if held.peer is peer]:
            self._forget(subscriber)

    # As the keeper of subscribers.

    def has_value(self, topic: str) -> bool:
        found = self._catalogue.find(topic)
        return found is not None and self.exists(found)

    def time(self) -> float:
        return self._broker.clock.now

    def ended(self, subscriber: Subscriber) -> None:
        self._forget(subscriber)

    def lost(self, subscriber: Subscriber) -> None:
        if not subscriber.over:
            self._forget(subscriber)
            self._stop(subscriber)

    def without_value(self, topic: str) -> None:
        self.end_all(topic)

    # Time: a Confirmable notification once in an observer-check. -------------------------------------

    def _await_check(self, subscriber: Subscriber) -> None:
        if len(self._checks) > 2 * len(self._by_key) + 1000:
            self._checks = [entry for entry in self._checks if not entry[2].over]
            heapq.heapify(self._checks)
        self._serial += 1
        heapq.heappush(self._checks, (subscriber.confirmed_at + subscriber.interval, self._serial, subscriber))

    def next_timeout(self) -> float:
        while self._checks and self._checks[0][2].over:
            heapq.heappop(self._checks)
        return self._checks[0][0] if self._checks else NEVER

    def handle_timeout(self, now: float) -> None:
        while self._checks and self._checks[0][0] <= now:
            subscriber = heapq.heappop(self._checks)[2]
            if subscriber.over:
                continue
            if subscriber.confirmed_at + subscriber.interval <= now and not subscriber.check(now):
                self._serial += 1
                heapq.heappush(self._checks, (now + _BUSY, self._serial, subscriber))
                continue
            self._await_check(subscriber)


class _Passing(Exchange):
    """A GET that is answered as the hub's topic answers it."""

    def __init__(self, outer: Exchange, request: Message) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, outer.multicast)
        self._outer: Final = outer

    def respond(self, response: Message) -> None:
        self._outer.respond(response)


class _Silent(Exchange):
    """A request that the hub makes of itself in the place of a peer. Nobody waits for its answer."""

    def __init__(self, outer: Exchange, request: Message) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, False)
        self.response: Message | None = None

    def respond(self, response: Message) -> None:
        self.response = response


def _key(exchange: Exchange) -> tuple[Peer, Party | None, bytes]:
    return exchange.peer, exchange.party, exchange.request.token


def _without(request: Message, number: int) -> Message:
    """The same without the options of that number."""
    return request.with_options(tuple([option for option in request.options if option[0] != number]))
