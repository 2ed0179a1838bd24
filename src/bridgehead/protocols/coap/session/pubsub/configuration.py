"""The topic collection `/ps` and its topic resources `/ps/...` (sections 2.4 and 2.5 of the draft)."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.content_formats import CBOR, LINK_FORMAT
from bridgehead.protocols.coap.codec.link_format import Attribute, Link, filtered, write_links
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.codec.topic_properties import (
    INITIALIZE,
    RESOURCE_TYPE,
    TOPIC_CONTENT_FORMAT,
    TOPIC_DATA,
    TOPIC_NAME,
    Properties,
    read_keys,
    read_properties,
    write_properties,
)
from bridgehead.protocols.coap.session.contract import Exchange, Party
from bridgehead.protocols.coap.session.pubsub.catalogue import DATA_PATH, Catalogue, Topic
from bridgehead.protocols.coap.session.pubsub.checks import amended, bad, check_new, check_values, replaced
from bridgehead.protocols.coap.session.pubsub.data import Created, TopicData
from bridgehead.protocols.coap.session.pubsub.rights import check_administer, may_see
from bridgehead.protocols.coap.session.pubsub.settings import PubSubSettings
from bridgehead.protocols.coap.session.records import Records
from bridgehead.protocols.coap.session.replies import content, failure, precondition_fails
from bridgehead.wire.errors import PeerError


class Configuration:
    """What is asked of topics, not of their data."""

    def __init__(
        self, broker: Broker, catalogue: Catalogue, records: Records, data: TopicData, settings: PubSubSettings
    ) -> None:
        self._broker: Final = broker
        self._catalogue: Final = catalogue
        self._records: Final = records
        self._data: Final = data
        self._settings: Final = settings

    def collection(self, exchange: Exchange, party: Party) -> None:
        """Raises PeerError and Refusal."""
        code = exchange.request.code
        if code == codes.GET:
            self._list(exchange, party)
        elif code == codes.FETCH:
            self._filter(exchange, party)
        elif code == codes.POST:
            self._create(exchange, party)
        else:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "a topic collection takes GET, FETCH and POST"))

    def topic(self, exchange: Exchange, party: Party, identifier: str) -> None:
        """Raises PeerError and Refusal."""
        topic = self._catalogue.find(identifier)
        # Whoever may not know of a topic does not learn from the answer that there is one.
        if topic is None or not may_see(self._broker, party, topic.name):
            exchange.respond(failure(codes.NOT_FOUND, "there is no such topic: GET /ps lists those that you may see"))
            return
        code = exchange.request.code
        if code == codes.GET:
            exchange.respond(self._content(exchange.request, self._written(topic.properties)))
        elif code == codes.FETCH:
            self._read_part(exchange, topic)
        elif code == codes.POST or code == codes.IPATCH:
            self._update(exchange, party, topic)
        elif code == codes.DELETE:
            self._delete(exchange, party, topic)
        else:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "a topic takes GET, FETCH, POST, iPATCH and DELETE"))

    # The collection. --------------------------------------------------------------------------------

    def _seen(self, party: Party) -> list[Topic]:
        return [topic for topic in self._catalogue.all() if may_see(self._broker, party, topic.name)]

    def _list(self, exchange: Exchange, party: Party) -> None:
        """Section 2.4.1, and the queries of sections 2.3.3 and 2.3.4: with one, topic-data resources are looked through
        too. Resource types are implied, and left out."""
        points = self._settings.points
        request = exchange.request
        queries = [query.decode("utf-8", "replace") for query in request.all(numbers.URI_QUERY)]
        seen = self._seen(party)
        links = [Link(topic.path, (("rt", points.topic), ("ct", str(points.content_format)))) for topic in seen]
        if queries:
            for topic in seen:
                attributes: list[Attribute] = [("rt", str(topic.properties.get(RESOURCE_TYPE, points.data)))]
                content_format = topic.properties.get(TOPIC_CONTENT_FORMAT)
                if content_format is not None:
                    attributes.append(("ct", str(content_format)))
                links.append(Link(topic.data_uri, tuple(attributes)))
            links = filtered(links, queries)
        self._links(exchange, [link.target for link in links])

    def _filter(self, exchange: Exchange, party: Party) -> None:
        """Section 2.4.2: topics that have each of the properties with its value."""
        wanted = self._properties(exchange.request)
        found: list[str] = []
        for topic in self._seen(party):
            if _has(topic.properties, wanted):
                found.append(topic.path)
        self._links(exchange, found)

    def _links(self, exchange: Exchange, targets: list[str]) -> None:
        payload = write_links([Link(target) for target in targets]).encode()
        exchange.respond(content(exchange.request, LINK_FORMAT, payload))

    def _create(self, exchange: Exchange, party: Party) -> None:
        """Section 2.4.3."""
        properties = self._properties(exchange.request)
        # Clients of earlier drafts leave it out; the draft has but this one.
        properties.setdefault(RESOURCE_TYPE, self._settings.points.data)
        check_new(properties, self._broker.limits.topic_levels, self._broker.clock.now)
        name = str(properties[TOPIC_NAME])
        check_administer(self._broker, party, name)
        if self._catalogue.named(name) is not None:
            raise bad("the topic-name is in use already: update that topic, or choose another name")
        uri = str(properties.get(TOPIC_DATA, ""))
        if uri.startswith(DATA_PATH) and self._catalogue.of_data(uri[len(DATA_PATH) :]) is not None:
            raise bad("the topic-data is another topic's: choose another, or leave it out")
        topic, ticket = self._catalogue.create(properties, party.principal.name)
        options: list[Option] = [(numbers.LOCATION_PATH, b"ps"), (numbers.LOCATION_PATH, topic.identifier.encode())]
        response = self._representation(codes.CREATED, topic, options)
        initial = properties.get(INITIALIZE)
        if isinstance(initial, bytes):
            self._data.initialize(exchange, topic, initial, Created(response, ticket))
        else:
            self._records.answer(ticket, exchange, response)

    # One topic. -------------------------------------------------------------------------------------

    def _read_part(self, exchange: Exchange, topic: Topic) -> None:
        """Section 2.5.2."""
        request = exchange.request
        if request.uint(numbers.CONTENT_FORMAT, CBOR) != CBOR:
            raise _other_format(CBOR)
        self._check_size(request)
        wanted = read_keys(request.payload, self._settings.points)
        found = {which: value for which, value in topic.properties.items() if which in wanted}
        exchange.respond(self._content(request, self._written(found)))

    def _update(self, exchange: Exchange, party: Party, topic: Topic) -> None:
        """Sections 2.5.3 and 2.5.4. Who may see a topic and not publish to it is refused."""
        check_administer(self._broker, party, topic.name)
        request = exchange.request
        wanted = self._properties(request)
        if precondition_fails(request, self._written(topic.properties)):
            exchange.respond(failure(codes.PRECONDITION_FAILED, "the topic has other properties by now: read it anew"))
            return
        change = replaced if request.code == codes.POST else amended
        properties = change(topic.properties, wanted)
        check_values(properties, self._broker.clock.now)
        changed, ticket = self._catalogue.change(topic, properties)
        self._data.changed(changed)
        self._records.answer(ticket, exchange, self._representation(codes.CHANGED, changed, []))

    def _delete(self, exchange: Exchange, party: Party, topic: Topic) -> None:
        """Section 2.5.5: the topic-data resource goes with it."""
        check_administer(self._broker, party, topic.name)
        if precondition_fails(exchange.request, self._written(topic.properties)):
            exchange.respond(failure(codes.PRECONDITION_FAILED, "the topic has other properties by now: read it anew"))
            return
        ticket = max(self._data.clear(topic, party, 1 if exchange.confirmable else 0), self._catalogue.delete(topic))
        self._records.answer(ticket, exchange, Message(codes.DELETED))

    # Representations. -------------------------------------------------------------------------------

    def _check_size(self, request: Message) -> None:
        if len(request.payload) > self._settings.properties_octets:
            most = self._settings.properties_octets
            raise PeerError(f"the properties of a topic have {most} octets at most", codes.REQUEST_ENTITY_TOO_LARGE)

    def _properties(self, request: Message) -> Properties:
        points = self._settings.points
        if request.uint(numbers.CONTENT_FORMAT, points.content_format) != points.content_format:
            raise _other_format(points.content_format)
        self._check_size(request)
        return read_properties(request.payload, points)

    def _written(self, properties: Properties) -> bytes:
        return write_properties(properties, self._settings.points)

    def _content(self, request: Message, payload: bytes) -> Message:
        return content(request, self._settings.points.content_format, payload)

    def _representation(self, code: int, topic: Topic, options: list[Option]) -> Message:
        options.append((numbers.CONTENT_FORMAT, uint_value(self._settings.points.content_format)))
        return Message(code, in_order(options), self._written(topic.properties))


def _has(properties: Properties, wanted: Properties) -> bool:
    for which, value in wanted.items():
        if properties.get(which) != value:
            return False
    return True


def _other_format(wanted: int) -> PeerError:
    return PeerError(f"send it with Content-Format {wanted}", codes.UNSUPPORTED_CONTENT_FORMAT)
