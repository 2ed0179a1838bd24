"""A hub whose chain is the site with the topics and /.well-known/core, for dialogues."""

from __future__ import annotations

from collections.abc import Iterable

from bridgehead.broker.limits import Limits
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.core.session import Delivery, Receiver, Subscription, Target
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message as CoapMessage
from bridgehead.protocols.coap.codec.message import Option
from bridgehead.protocols.coap.session.contract import Handler
from bridgehead.protocols.coap.session.observing import Observing
from bridgehead.protocols.coap.session.settings import CoapSettings
from bridgehead.protocols.coap.session.site import Site
from bridgehead.protocols.coap.session.topics import Topics
from bridgehead.protocols.coap.session.well_known import WellKnown
from tests.coap.dialogue import Hub
from tests.mqtt.dialogue import ManualStore

OBSERVE: Option = (numbers.OBSERVE, b"")
DEREGISTER: Option = (numbers.OBSERVE, b"\x01")
CONTENT_FORMAT = numbers.CONTENT_FORMAT


class TopicsHub(Hub):
    """`other` is a subscriber and publisher of another protocol."""

    def __init__(
        self,
        principals: Iterable[Principal] = (),
        settings: CoapSettings | None = None,
        store: ManualStore | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.site = Site()
        super().__init__(self._make, settings, store, principals, limits=limits)
        self.other = Other(self)

    def _make(self, hub: Hub) -> Handler:
        self.observing = Observing(hub.broker, hub.settings)
        self.site.add(b"t", Topics(hub.broker, self.observing, hub.settings))
        self.site.add(b".well-known", WellKnown(self.site))
        return self.site


class Other(Receiver):
    """A session of an unnamed protocol, straight at the broker."""

    def __init__(self, hub: Hub, name: str = "other", verified: bool = True) -> None:
        self.hub = hub
        self.principal = hub.principal(name)
        hub.broker.admit(self.principal)
        self.session, _ = hub.broker.attach(self.principal, name, "mqtt", verified, True, 0.0, None, self)
        self.origin = Origin(name, "mqtt", verified, name)
        self.messages: list[Message] = []
        self.qos: list[int] = []

    def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        self.hub.broker.door.subscribe(Subscription(self.session, topic_filter, qos, retain_as_published=True))

    def publish(
        self,
        topic: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
        expires_at: float = NEVER,
    ) -> None:
        message = Message(topic, payload, qos, retain, self.origin, properties, expires_at)
        self.hub.broker.door.publish(self.principal, message, self)
        self.hub.settle()

    def transmit(self, message: Message, target: Target) -> None:
        self.messages.append(message)
        self.qos.append(0)

    def offer(self, delivery: Delivery) -> int:
        self.messages.append(delivery.message)
        self.qos.append(delivery.qos)
        return 2  # DISCARDED: nothing is acknowledged later

    def pump(self) -> None:
        """Nothing waits."""

    def committed(self, ticket: int) -> None:
        """Nothing waits."""

    def not_committed(self, ticket: int, retry: int) -> None:
        """Nothing waits."""

    def dismiss(self, meaning: str, because: str) -> None:
        raise AssertionError(because)


def may(name: str, *permissions: Permission) -> Principal:
    return Principal.of(name, list(permissions), ["*"])


def number(message: CoapMessage) -> int:
    """Of the Observe option."""
    return message.uint(numbers.OBSERVE)


def topic(message: CoapMessage) -> str:
    """Where a notification of a stream comes from."""
    segments = message.all(numbers.LOCATION_PATH)
    assert segments[0] == b"t"
    return b"/".join(segments[1:]).decode()


def shown(message: CoapMessage) -> tuple[str, bytes]:
    return codes.dotted(message.code), message.payload
