"""The publish/subscribe broker at `/ps`: topic collection, topics and topic data under one path."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import Refusal
from bridgehead.core.message import Origin
from bridgehead.core.policy import Context
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.content_formats import LINK_FORMAT
from bridgehead.protocols.coap.codec.link_format import Link
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Party, Peer
from bridgehead.protocols.coap.session.pubsub.catalogue import Catalogue, Topic
from bridgehead.protocols.coap.session.pubsub.configuration import Configuration
from bridgehead.protocols.coap.session.pubsub.data import TopicData
from bridgehead.protocols.coap.session.pubsub.settings import PubSubSettings
from bridgehead.protocols.coap.session.records import Records
from bridgehead.protocols.coap.session.replies import answer_failure, check_plain, failure, party_of
from bridgehead.protocols.coap.session.site import Resource
from bridgehead.wire.errors import PeerError

_DATA: Final = b"data"


class PubSub(Resource):
    """`topics` is the resource of the hub's own topics, `/t`. Make it after Broker.recover."""

    def __init__(self, broker: Broker, topics: Handler, settings: PubSubSettings) -> None:
        self._broker: Final = broker
        self._settings: Final = settings
        records = Records(broker)
        self._catalogue: Final = Catalogue(broker, records, settings)
        self._data: Final = TopicData(broker, self._catalogue, records, topics)
        self._configuration: Final = Configuration(broker, self._catalogue, records, self._data, settings)

    def links(self, party: Party) -> list[Link]:
        """What `/.well-known/core` shows: the collection. It has the topics' links (section 2.3.3)."""
        points = self._settings.points
        if not self._settings.enabled:
            return []
        return [Link("/ps", (("rt", f"{points.broker} {points.collection}"), ("ct", str(LINK_FORMAT))))]

    def handle(self, exchange: Exchange) -> None:
        if not self._settings.enabled:
            exchange.respond(failure(codes.NOT_FOUND, "publish/subscribe over topic resources is closed here"))
            return
        party = party_of(exchange)
        if party is None:
            return
        path = exchange.request.all(numbers.URI_PATH)[1:]
        try:
            if not path:
                check_plain(exchange)
                self._configuration.collection(exchange, party)
            elif exchange.multicast and exchange.request.code != codes.GET:
                exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "a group can be asked by GET only"))
            elif len(path) == 1:
                self._configuration.topic(exchange, party, path[0].decode("utf-8", "replace"))
            else:
                topic = None
                if path[0] == _DATA and len(path) == 2:
                    topic = self._catalogue.of_data(path[1].decode("utf-8", "replace"))
                if topic is None:
                    exchange.respond(
                        failure(codes.NOT_FOUND, "there is no such topic data: a topic says where its data are")
                    )
                else:
                    self._data.handle(exchange, topic)
        except (PeerError, Refusal) as error:
            answer_failure(exchange, error)

    def forget(self, peer: Peer) -> None:
        self._data.forget(peer)

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        return min(self._data.next_timeout(), self._catalogue.next_expiry())

    def handle_timeout(self, now: float) -> None:
        self._data.handle_timeout(now)
        while self._catalogue.next_expiry() <= now:
            topic = self._catalogue.expired()
            if topic is not None:
                self._expire(topic)

    def _expire(self, topic: Topic) -> None:
        """The expiration-date is reached (section 2.2.1). The data go as their topic's owner may delete them today; of
        an owner who may not, or is no more, they stay in the hub: the door tells why."""
        self._catalogue.delete(topic)
        self._data.end_all(topic.identifier)
        principal = self._broker.door.principal(topic.owner)
        if principal is None:
            return
        view = principal.under(Context("coap", ()))
        try:
            self._data.clear(topic, Party(view, Origin(topic.owner, "coap", False)), 0)
        except Refusal:
            return
