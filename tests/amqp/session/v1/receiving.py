"""What the tests of receivers share: devices that publish, queues that are there, sources and filters."""

from __future__ import annotations

from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.settings import QueueSettings
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Native, Origin
from bridgehead.protocols.amqp.codec.v1 import sections as names
from bridgehead.protocols.amqp.codec.v1.composites import DeliveryState
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Detach
from bridgehead.protocols.amqp.codec.v1.sections import Header, Properties, Sections, put_properties, put_section
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol
from tests.amqp.dialogue import AmqpHub, Container, Delivered, ReceivingLink, data

ORIGIN = Origin("device", "mqtt", True, "device")


def publish(
    hub: AmqpHub,
    topic: str,
    payload: bytes,
    qos: int = 0,
    retain: bool = False,
    expires_at: float = NEVER,
    properties: MessageProperties = NO_PROPERTIES,
) -> None:
    """As a device does it over any protocol."""
    message = Message(topic, payload, qos, retain, ORIGIN, properties, expires_at)
    hub.broker.door.publish(hub.principal("device"), message, None)
    hub.settle()


def queue(hub: AmqpHub, name: str = "orders", settings: QueueSettings | None = None) -> Queue:
    """An administrator's, durable unless said otherwise."""
    found = hub.broker.queues.establish(name, settings if settings is not None else QueueSettings(durable=True))
    hub.settle()
    return found


def put(hub: AmqpHub, payload: bytes, qos: int = 1, name: str = "orders", subject: str | None = None) -> None:
    """Let a message into a queue; `subject` becomes that of its properties."""
    found = hub.broker.queues.find(name)
    assert found is not None
    message = Message(found.topic, payload, qos, False, ORIGIN, native(payload, subject))
    hub.broker.queues.publish(hub.principal("device"), message, name, None)
    hub.settle()


def native(payload: bytes, subject: str | None, colour: str | None = None) -> MessageProperties:
    """As a message has them that came by AMQP 1.0."""
    if subject is None and colour is None:
        return NO_PROPERTIES
    octets = put_properties(Properties(subject=subject))
    if colour is not None:
        octets += put_section(names.APPLICATION_PROPERTIES, {"colour": colour})
    return MessageProperties(native=Native("amqp-1.0", octets + data(payload)))


def lasting(address: str, timeout: int = 600, filters: dict[object, object] | None = None) -> Source:
    """A source whose terminus outlives its link."""
    return Source(address, 2, "link-detach", timeout, filter=filters)


def selector(text: object) -> dict[object, object]:
    name = Symbol("apache.org:selector-filter:string")
    return {name: Described(name, text)}


def no_local() -> dict[object, object]:
    nothing: list[object] = []
    return {Symbol("no-local"): Described(Symbol("apache.org:no-local-filter:list"), nothing)}


def bodies(link: ReceivingLink) -> list[bytes]:
    """Of what has come; unsettled ones are accepted and settled."""
    found = link.deliveries()
    accept(link, found)
    return [each.body for each in found]


def accept(
    link: ReceivingLink, found: list[Delivered], state: DeliveryState | None = ACCEPTED, settled: bool = True
) -> None:
    for each in found:
        if not each.settled:
            link.settle(each.delivery_id, state=state, settled=settled)


def header(delivered: Delivered) -> Header:
    return Sections(delivered.payload).header()


def annotated(delivered: Delivered) -> dict[object, object]:
    """But for the topic, which every message has."""
    found = Sections(delivered.payload).annotations(names.MESSAGE_ANNOTATIONS)
    return {name: value for name, value in found.items() if name != "x-opt-topic"}


def refused(peer: Container, source: Source | None, name: str = "refused") -> str:
    """Attach to a source that is not for this peer; returns the condition of the detach."""
    made = Attach(name, 77, True, 2, 0, source, Target("here"))
    answer = peer.attach(made)
    assert answer.source is None, answer
    detach = peer.get_one()
    assert isinstance(detach, Detach), detach
    assert detach.closed
    assert detach.error is not None
    peer.send(Detach(77, True))
    return str(detach.error.condition)


def described(peer: Container, source: Source) -> str:
    """As `refused`, the description."""
    peer.attach(Attach("refused", 77, True, 2, 0, source, Target("here")))
    detach = peer.get_one()
    assert isinstance(detach, Detach), detach
    assert detach.error is not None
    peer.send(Detach(77, True))
    return str(detach.error.description)


def detached(peer: Container) -> str:
    """The condition of the detach that has just come."""
    found = [each.performative for each in peer.received if isinstance(each.performative, Detach)]
    assert found, peer.received
    error = found[-1].error
    return "" if error is None else str(error.condition)


def answered(link: ReceivingLink) -> Source:
    """The source in force, by the hub's attach."""
    source = link.answer.source
    assert isinstance(source, Source)
    return source
