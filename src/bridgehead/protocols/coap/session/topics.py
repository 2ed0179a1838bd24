"""The hub's topics as resources: /t/ and the topic's levels, and /t?f= with a Topic Filter.

GET reads the retained message, with Observe it subscribes; PUT publishes retained, POST publishes as an event, DELETE
clears. A CON is at least once, and answered when it lasts; a NON is at most once. docs/coap.md has the whole.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import FILTER_INVALID, QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import NO_PROPERTIES
from bridgehead.core.message import Message as CoreMessage
from bridgehead.protocols.coap import mapping
from bridgehead.protocols.coap.codec import codes, content_formats, numbers
from bridgehead.protocols.coap.codec.link_format import Attribute, Link, write_links
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.uri import path_text
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer
from bridgehead.protocols.coap.session.observing import Observing
from bridgehead.protocols.coap.session.records import Records
from bridgehead.protocols.coap.session.replies import content as document
from bridgehead.protocols.coap.session.replies import failure, party_of, refused
from bridgehead.protocols.coap.session.representation import (
    NO_NUMBER,
    NOT_ACCEPTABLE,
    content,
    offered,
    options_of,
    representation,
)
from bridgehead.protocols.coap.session.settings import CoapSettings
from bridgehead.protocols.coap.session.site import Resource

RESOURCE_TYPE: Final = "bridgehead.topics"
_REGISTER: Final = 0  # the values of Observe in a request (RFC 7641 section 2)
_DEREGISTER: Final = 1
_STEPS: Final = 10  # of a walk, for each link that may be listed
_SHARE: Final = "$share/"


class Topics(Resource):
    def __init__(self, broker: Broker, observing: Observing, settings: CoapSettings) -> None:
        self._broker: Final = broker
        self._observing: Final = observing
        self._settings: Final = settings
        self._records: Final = Records(broker)

    def links(self, party: Party) -> list[Link]:
        """The way to ask by filter, and the topics that have a value; not more than a list holds."""
        found, _ = self._browse(party, "#")
        return [Link("/t", (("rt", RESOURCE_TYPE), ("ct", str(content_formats.LINK_FORMAT)), ("obs", None))), *found]

    def handle(self, exchange: Exchange) -> None:
        party = party_of(exchange)
        if party is None:
            return
        request = exchange.request
        path = request.all(numbers.URI_PATH)
        try:
            if len(path) == 1:
                self._collection(exchange, party)
                return
            topic = mapping.topic_of_path(path)
            if request.has(numbers.URI_QUERY):
                exchange.respond(failure(codes.BAD_REQUEST, "a topic takes no query: /t?f= is for Topic Filters"))
            elif request.code == codes.GET:
                self._get(exchange, party, topic)
            elif exchange.multicast:
                # To a group only what is harmless when it is done by many (RFC 7252 section 8.1).
                exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "a group can be asked by GET only"))
            elif request.code == codes.PUT:
                self._put(exchange, party, topic)
            elif request.code == codes.POST:
                self._publish(exchange, party, topic, request, False, codes.CHANGED)
            elif request.code == codes.DELETE:
                self._delete(exchange, party, topic)
            else:
                exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "a topic takes GET, PUT, POST and DELETE"))
        except Refusal as refusal:
            exchange.respond(refused(refusal))

    def forget(self, peer: Peer) -> None:
        self._observing.forget(peer)

    def next_timeout(self) -> float:
        return self._observing.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self._observing.handle_timeout(now)

    # A topic is read. -------------------------------------------------------------------------------

    def _get(self, exchange: Exchange, party: Party, topic: str) -> None:
        request = exchange.request
        message = self._broker.door.read(party.principal, topic, party.origin)
        accept = -1
        tags: list[bytes] = []
        observe = -1
        for number, value in request.options:
            if number == numbers.ACCEPT:
                accept = int.from_bytes(value, "big")
            elif number == numbers.ETAG:
                tags.append(value)
            elif number == numbers.OBSERVE:
                observe = int.from_bytes(value, "big")
        content_format = mapping.NO_FORMAT
        if message is not None:
            content_format = representation(message).content_format
            if accept >= 0:
                content_format = offered(content_format, accept, message.payload)
        told = NO_NUMBER
        if observe == _DEREGISTER:
            self._observing.cancel(exchange, party)
        elif observe == _REGISTER and content_format != NOT_ACCEPTABLE and not exchange.multicast:
            told = self._register(exchange, party, topic, accept, content_format)
        if message is None:
            if told == NO_NUMBER:
                exchange.respond(failure(codes.NOT_FOUND, "the topic has no value"))
            else:
                # RFC 7641 section 4.1 lets only a success begin an observation. There is no value yet; one may come.
                exchange.respond(Message(codes.CONTENT, options_of(b"", told, (), -1, -1)))
            return
        if content_format == NOT_ACCEPTABLE:
            exchange.respond(failure(codes.NOT_ACCEPTABLE, "the value is not of the Content-Format that you accept"))
            return
        now = self._broker.clock.now
        form = representation(message)
        if tags and form.tag in tags:  # RFC 7252 section 5.9.1.3
            max_age = mapping.max_age_of(message, now)
            exchange.respond(Message(codes.VALID, options_of(form.tag, told, (), -1, max_age)))
            return
        exchange.respond(content(message, form, content_format, told, now))

    def _register(self, exchange: Exchange, party: Party, topic: str, accept: int, content_format: int) -> int:
        """The Observe option's number; NO_NUMBER when there is no more room: then it is answered as any GET is (RFC
        7641 section 4.1)."""
        try:
            observation = self._observing.register(exchange, party, topic, False, accept)
        except Refusal as refusal:
            if refusal.meaning == QUOTA_EXCEEDED:
                return NO_NUMBER
            raise
        observation.content_format = content_format
        return observation.number

    # A topic is written. ----------------------------------------------------------------------------

    def _put(self, exchange: Exchange, party: Party, topic: str) -> None:
        request = exchange.request
        if not request.payload:
            because = "an empty value cannot be kept: DELETE clears the topic, POST publishes an empty event"
            exchange.respond(failure(codes.BAD_REQUEST, because))
            return
        # Who may not read is not told whether there was a value.
        is_new = self._broker.door.may_read(party.principal, topic) and self._value(party, topic) is None
        self._publish(exchange, party, topic, request, True, codes.CREATED if is_new else codes.CHANGED)

    def _delete(self, exchange: Exchange, party: Party, topic: str) -> None:
        request = exchange.request
        cleared = Message(codes.DELETE, request.options)  # whatever payload came means nothing
        self._publish(exchange, party, topic, cleared, True, codes.DELETED)

    def _publish(self, exchange: Exchange, party: Party, topic: str, request: Message, retain: bool, code: int) -> None:
        if self._precondition_fails(party, topic, request):
            because = "the topic's value is another one" if request.has(numbers.IF_MATCH) else "the topic has a value"
            exchange.respond(failure(codes.PRECONDITION_FAILED, because))
            return
        qos = 1 if exchange.confirmable else 0
        now = self._broker.clock.now
        if code == codes.DELETED:
            message = CoreMessage(topic, b"", qos, retain, party.origin, NO_PROPERTIES)
        else:
            message = mapping.message_of_request(request, topic, qos, retain, party.origin, now)
        response = Message(code)
        if qos:
            ticket = self._records.publish(party.principal, message)
            self._records.answer(ticket, exchange, response)
        else:
            self._broker.door.publish(party.principal, message, None)
            exchange.respond(response)

    def _precondition_fails(self, party: Party, topic: str, request: Message) -> bool:
        """If-Match or If-None-Match is there and not met (RFC 7252 section 5.10.8). Raises Refusal for who may not
        read: the answer would tell what the value is."""
        wanted = request.all(numbers.IF_MATCH)
        absent = request.has(numbers.IF_NONE_MATCH)
        if not wanted and not absent:
            return False
        message = self._broker.door.read(party.principal, topic, party.origin)
        if message is None:
            return bool(wanted)
        if absent:
            return True
        return b"" not in wanted and representation(message).tag not in wanted

    def _value(self, party: Party, topic: str) -> CoreMessage | None:
        return self._broker.door.read(party.principal, topic, party.origin)

    # Topic Filters. ---------------------------------------------------------------------------------

    def _collection(self, exchange: Exchange, party: Party) -> None:
        request = exchange.request
        if request.code != codes.GET and request.code != codes.FETCH:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "/t takes GET with ?f=, and FETCH with a Topic Filter"))
            return
        topic_filter = _filter_of(request)
        observe = request.uint(numbers.OBSERVE)
        if observe == _REGISTER and not exchange.multicast:
            accept = request.uint(numbers.ACCEPT)
            if topic_filter.startswith(_SHARE):
                raise Refusal(FILTER_INVALID, "CoAP has no shared subscriptions: observe the filter itself")
            observation = self._observing.register(exchange, party, topic_filter, True, accept)
            exchange.respond(Message(codes.CONTENT, options_of(b"", observation.number, (), -1, -1)))
            self._observing.pump(party)
            return
        if observe == _DEREGISTER:
            self._observing.cancel(exchange, party)
        links, whole = self._browse(party, topic_filter)
        if not whole:
            because = f"more than {self._settings.listed} topics, or too many to look through: ask by a narrower filter"
            exchange.respond(failure(codes.REQUEST_ENTITY_TOO_LARGE, because))
        elif exchange.multicast and not links:
            exchange.silence()
        else:
            exchange.respond(document(request, content_formats.LINK_FORMAT, write_links(links).encode()))

    def _browse(self, party: Party, topic_filter: str) -> tuple[list[Link], bool]:
        """Links to the topics with a value that the party may read, and whether these are all."""
        most = self._settings.listed
        messages, whole = self._broker.door.browse(party.principal, topic_filter, most, most * _STEPS)
        links: list[Link] = []
        for message in messages:
            if mapping.has_path(message.topic):
                attributes: list[Attribute] = []
                content_format = mapping.content_format_of(message.properties)
                if content_format >= 0:
                    attributes.append(("ct", str(content_format)))
                attributes.append(("obs", None))
                links.append(Link(path_text(mapping.path_of_topic(message.topic)), tuple(attributes)))
        return links, whole


def _filter_of(request: Message) -> str:
    """The Topic Filter that a request to /t is about; all topics where none stands. Raises Refusal: FILTER_INVALID."""
    queries = request.all(numbers.URI_QUERY)
    if request.code == codes.FETCH:
        content_format = request.uint(numbers.CONTENT_FORMAT)
        if queries or not request.payload or content_format not in (mapping.NO_FORMAT, content_formats.TEXT):
            raise Refusal(FILTER_INVALID, "FETCH takes the Topic Filter as its payload, text/plain, and no query")
        return _text(request.payload)
    if not queries:
        return "#"
    if len(queries) > 1 or not queries[0].startswith(b"f="):
        raise Refusal(FILTER_INVALID, "/t takes one query parameter: f= and a Topic Filter")
    return _text(queries[0][2:])


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise Refusal(FILTER_INVALID, "the Topic Filter is not UTF-8") from None
