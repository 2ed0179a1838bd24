"""The topics of a topic collection, kept as retained messages of the hub's own below `$COAP/ps/`.

A topic-name is the name of a topic of the hub: what is published to the topic-data resource is published there, in
whatever protocol. So permissions of that topic decide, and no others.
"""

from __future__ import annotations

import hashlib
import heapq
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core import message as core
from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import MessageProperties, Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.retained import Retained
from bridgehead.protocols.coap.codec.topic_properties import (
    EXPIRATION_DATE,
    MAX_SUBSCRIBERS,
    OBSERVER_CHECK,
    TOPIC_DATA,
    TOPIC_NAME,
    CodePoints,
    Properties,
    read_properties,
    write_properties,
)
from bridgehead.protocols.coap.session.pubsub.settings import PubSubSettings
from bridgehead.protocols.coap.session.records import Records
from bridgehead.wire.errors import PeerError

ROOT: Final = "$COAP/ps/"
# No device can have this name: "$" is not allowed in one.
PRINCIPAL_NAME: Final = "$COAP"
MEDIA_TYPE: Final = "application/core-pubsub+cbor"
DATA_PATH: Final = "/ps/data/"
STORED: Final = CodePoints()  # the draft's, whatever the configuration makes of them on the wire

_OWNER: Final = "owner"
_SPARE: Final = 1000  # entries of the past beside those of the present
_SHORTEST: Final = 8  # characters of an identifier
_LONGEST_CHECK: Final = 86400.0  # RFC 7641 section 4.5: once in 24 hours at least


class Topic:
    """One topic resource. `data_id` is the last path segment of its topic-data resource, "" when that is hosted
    elsewhere. `owner` created it. `message` is the record that says so: it is there as long as the topic is."""

    def __init__(self, identifier: str, properties: Properties, owner: str, message: core.Message) -> None:
        self.identifier: Final = identifier
        self.properties: Final = properties
        self.owner: Final = owner
        self.message: Final = message
        data = str(properties[TOPIC_DATA])
        self.data_id: Final = data[len(DATA_PATH) :] if data.startswith(DATA_PATH) else ""

    @property
    def name(self) -> str:
        """Its topic-name, and the name of the hub's topic."""
        return str(self.properties[TOPIC_NAME])

    @property
    def path(self) -> str:
        return f"/ps/{self.identifier}"

    @property
    def data_uri(self) -> str:
        return str(self.properties[TOPIC_DATA])

    @property
    def expires_at(self) -> float:
        """In seconds since the epoch."""
        return _number(self.properties, EXPIRATION_DATE, core.NEVER)

    @property
    def most_subscribers(self) -> float:
        return _number(self.properties, MAX_SUBSCRIBERS, core.NEVER)

    @property
    def check_interval(self) -> float:
        """Seconds between two Confirmable notifications, at most."""
        return min(_number(self.properties, OBSERVER_CHECK, _LONGEST_CHECK), _LONGEST_CHECK)


def _number(properties: Properties, which: int, absent: float) -> float:
    value = properties.get(which)
    return float(value) if isinstance(value, (int, float)) else absent


class Catalogue:
    """What it knows is a reading of the retained messages, and holds only while they are the same: what a failed commit
    takes back is taken back here too. Make it after Broker.recover."""

    def __init__(self, broker: Broker, records: Records, settings: PubSubSettings) -> None:
        self._broker: Final = broker
        self._retained: Final[Retained] = broker.retained
        self._records: Final = records
        self._settings: Final = settings
        permission = Permission(ROOT + "#", publish=True, subscribe=False)
        self._principal: Final = Principal.of(PRINCIPAL_NAME, [permission], [])
        self._origin: Final = Origin(PRINCIPAL_NAME, "internal", True)
        self._by_id: dict[str, Topic] = {}
        self._by_name: dict[str, str] = {}
        self._by_data: dict[str, str] = {}
        self._expiring: list[tuple[float, str]] = []
        broker.admit(self._principal)
        for topic in broker.retained.matching(ROOT + "+"):
            message = broker.retained.get(topic)
            if message is not None:
                self._take_in(message)

    def _take_in(self, message: core.Message) -> Topic | None:
        """None: nobody but the hub writes topics, or not in this form."""
        if message.origin.principal != PRINCIPAL_NAME:
            return None
        try:
            properties = read_properties(message.payload, STORED)
        except PeerError:
            return None
        if TOPIC_NAME not in properties or TOPIC_DATA not in properties:
            return None
        owner = ""
        for name, value in message.properties.user_properties:
            if name == _OWNER:
                owner = value
        topic = Topic(message.topic[len(ROOT) :], properties, owner, message)
        self._by_id[topic.identifier] = topic
        self._by_name[topic.name] = topic.identifier
        if topic.data_id:
            self._by_data[topic.data_id] = topic.identifier
        if topic.expires_at < core.NEVER:
            if len(self._expiring) > 2 * len(self._by_id) + _SPARE:
                self._expiring = [(each.expires_at, each.identifier) for each in self._by_id.values()]
                heapq.heapify(self._expiring)
            else:
                heapq.heappush(self._expiring, (topic.expires_at, topic.identifier))
        return topic

    # Finding. ---------------------------------------------------------------------------------------

    def find(self, identifier: str) -> Topic | None:
        topic = self._by_id.get(identifier)
        if topic is None:
            return None
        message = self._retained.get(ROOT + identifier)
        if message is topic.message:
            return topic
        self._forget(topic)
        return None if message is None else self._take_in(message)

    def named(self, name: str) -> Topic | None:
        """By its topic-name."""
        identifier = self._by_name.get(name)
        return None if identifier is None else self.find(identifier)

    def of_data(self, data_id: str) -> Topic | None:
        """By the last path segment of its topic-data resource."""
        identifier = self._by_data.get(data_id)
        return None if identifier is None else self.find(identifier)

    def all(self) -> list[Topic]:
        """In the order of their creation."""
        found: list[Topic] = []
        for identifier in list(self._by_id):
            topic = self.find(identifier)
            if topic is not None:
                found.append(topic)
        return found

    def next_expiry(self) -> float:
        """When `expired` is to be asked, in seconds since the epoch."""
        return self._expiring[0][0] if self._expiring else core.NEVER

    def expired(self) -> Topic | None:
        """The topic whose time has come first, None when its expiration-date is another one by now."""
        when, identifier = heapq.heappop(self._expiring)
        topic = self.find(identifier)
        return topic if topic is not None and topic.expires_at <= when else None

    def _forget(self, topic: Topic) -> None:
        self._by_id.pop(topic.identifier, None)
        self._by_name.pop(topic.name, None)
        self._by_data.pop(topic.data_id, None)

    # Changing. Each returns the ticket to answer after. ---------------------------------------------

    def create(self, properties: Properties, owner: str) -> tuple[Topic, int]:
        """`properties` without topic-data get one here. Raises Refusal."""
        settings = self._settings
        if len(self._by_id) >= settings.topics:
            raise Refusal(QUOTA_EXCEEDED, f"the topic collection has {settings.topics} topics, which is its limit")
        if [topic.owner for topic in self._by_id.values()].count(owner) >= settings.topics_per_identity:
            raise Refusal(QUOTA_EXCEEDED, f"{owner!r} has {settings.topics_per_identity} topics: delete some first")
        identifier = self._identifier(str(properties[TOPIC_NAME]))
        properties.setdefault(TOPIC_DATA, DATA_PATH + identifier)
        return self._write(identifier, properties, owner)

    def change(self, topic: Topic, properties: Properties) -> tuple[Topic, int]:
        """Put all of its properties anew. Raises Refusal."""
        return self._write(topic.identifier, properties, topic.owner)

    def delete(self, topic: Topic) -> int:
        ticket = self._records.publish(self._principal, self._message(topic.identifier, b"", topic.owner))
        self._forget(topic)
        return ticket

    def _write(self, identifier: str, properties: Properties, owner: str) -> tuple[Topic, int]:
        message = self._message(identifier, write_properties(properties, STORED), owner)
        ticket = self._records.publish(self._principal, message)
        topic = self._take_in(message)
        assert topic is not None
        return topic, ticket

    def _message(self, identifier: str, payload: bytes, owner: str) -> core.Message:
        described = MessageProperties(content_type=MEDIA_TYPE, user_properties=((_OWNER, owner),))
        return core.Message(ROOT + identifier, payload, 1, True, self._origin, described)

    def _identifier(self, name: str) -> str:
        """Free, and the same again for a topic that is deleted and created anew: a link to it goes on holding."""
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        length = _SHORTEST
        while digest[:length] in self._by_id or digest[:length] in self._by_data:
            length += 1
        return digest[:length]
