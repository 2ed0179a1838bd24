"""A route with a real broker and no DDS: a test plays the remote participants, and sees what the hub would write."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message, MessageProperties, Origin
from bridgehead.core.permission import Context, Permission
from bridgehead.core.policy import Principal
from bridgehead.core.session import TAKEN, Delivery, Receiver, Subscription, Target
from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.types import FLOAT64, Member, Primitive, String, Struct
from bridgehead.protocols.dds.config import PLAIN, SECURED, DomainConfig
from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos
from bridgehead.protocols.dds.session.ports import ALIVE, Endpoint, Parties, Sample, Writer
from bridgehead.protocols.dds.session.route import Route
from tests.mqtt.dialogue import ManualStore

TEMPERATURE = Struct(
    "Office::Temperature",
    (Member("room", String(), 0, key=True), Member("value", Primitive(FLOAT64), 1)),
)
CODEC = Codec(TEMPERATURE)
TEMPLATE = "Office/${room}/Temperature"
NOW = 1_000_000.0


def route_config(
    hub: str = TEMPLATE,
    payload: str = "json",
    direction: str = "both",
    qos: RouteQos | None = None,
    tags: tuple[str, ...] = (),
    instances: int = 10_000,
    timestamps: bool = False,
    key: tuple[str, ...] = (),
) -> RouteConfig:
    return RouteConfig(
        3,
        "Temperature",
        "Office::Temperature",
        hub=hub,
        key=key,
        payload=payload,
        direction=direction,
        qos=qos if qos is not None else RouteQos(),
        tags=tags,
        instances=instances,
        timestamps=timestamps,
    )


def cdr(room: str, value: float = 21.5) -> bytes:
    return CODEC.encode({"room": room, "value": value})


def may(*filters: str, publish: bool = True, subscribe: bool = True, retain: bool = True) -> list[Permission]:
    return [Permission(each, publish=publish, subscribe=subscribe, retain=retain) for each in filters]


class Devices(Parties):
    """The registry: who has a principal is a device."""

    def __init__(self, principals: dict[str, Principal]) -> None:
        self.principals = principals

    def party(self, name: str, verified: bool) -> Principal | None:
        principal = self.principals.get(name)
        return None if principal is None else principal.under(Context("dds", ("dds",) if verified else ()))


class Written(Writer):
    """What the hub's writer was given: ("write", CDR, timestamp), ("dispose", key), ("unregister", key)."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.room = 1_000_000  # samples
        self.objection: Refusal | None = None
        self.on_look: Callable[[], object] | None = None

    def look(self) -> None:
        if self.on_look is not None:
            self.on_look()

    def write(self, cdr: bytes, timestamp: int) -> bool:
        if self.objection is not None:
            raise self.objection
        if not self.room:
            return False
        self.room -= 1
        self.calls.append(("write", cdr, timestamp))
        return True

    def dispose(self, cdr_key: bytes) -> bool:
        return self._end("dispose", cdr_key)

    def unregister(self, cdr_key: bytes) -> bool:
        return self._end("unregister", cdr_key)

    def _end(self, what: str, cdr_key: bytes) -> bool:
        if not self.room:
            return False
        self.calls.append((what, cdr_key))
        return True

    @property
    def values(self) -> list[dict[str, object]]:
        """The samples that were written, decoded."""
        return [CODEC.decode(call[1]) for call in self.calls if call[0] == "write" and isinstance(call[1], bytes)]


class Other(Receiver):
    """A device over another protocol, straight at the broker."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.principal = world.principals[name]
        self.session, _ = world.broker.attach(self.principal, name, "mqtt", True, True, 0.0, None, self)
        self.messages: list[Message] = []

    def subscribe(self, topic_filter: str, qos: int = 1) -> None:
        self.world.broker.door.subscribe(Subscription(self.session, topic_filter, qos, retain_as_published=True))
        self.pump()

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: MessageProperties = NO_PROPERTIES,
        expires_at: float = NEVER,
        tags: tuple[str, ...] = (),
        verified: bool = True,
    ) -> None:
        name = self.principal.name
        origin = Origin(name, "mqtt", verified, name, "", tags)
        self.world.broker.door.publish(
            self.principal, Message(topic, payload, qos, retain, origin, properties, expires_at), None
        )
        self.world.settle()

    @property
    def got(self) -> list[tuple[str, bytes]]:
        return [(message.topic, message.payload) for message in self.messages]

    def json(self, topic: str) -> list[dict[str, object]]:
        """What came on the topic, read."""
        return [msgspec.json.decode(each.payload) for each in self.messages if each.topic == topic]

    def transmit(self, message: Message, target: Target) -> None:
        self.messages.append(message)

    def offer(self, delivery: Delivery) -> int:
        self.messages.append(delivery.message)
        return TAKEN

    def pump(self) -> None:
        self.session.replay_steps = 1000
        while (delivery := self.world.broker.dispatcher.next_replay(self.session)) is not None:
            self.messages.append(delivery.message)

    def committed(self, ticket: int) -> None:
        self.pump()

    def not_committed(self, ticket: int, retry: int) -> None:
        raise AssertionError("the store does not fail here")

    def dismiss(self, meaning: str, because: str) -> None:
        self.world.broker.detach(self.session, self, False)


class World:
    """One domain with one route. `devices` gives each device its permissions."""

    def __init__(
        self,
        config: RouteConfig,
        devices: dict[str, list[Permission]],
        secured: bool = True,
        guest: str = "",
        codec: Codec = CODEC,
        limits: Limits | None = None,
    ) -> None:
        self.clock = Clock(NOW)
        self.store = ManualStore()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.broker = Broker(
            self.store, self.clock, limits if limits is not None else Limits(), self._event, lambda: None
        )
        self.principals = {name: Principal.of(name, permissions, []) for name, permissions in devices.items()}
        self.broker.recover(list(self.principals.values()))
        self.devices = Devices(self.principals)
        domain = DomainConfig(3, SECURED if secured else PLAIN, guest)
        self.route = Route(config, domain, self.broker, codec, self.devices)
        self.writer = Written()
        self.secured = secured
        self.handles = 100
        self.route.open(self.writer if config.goes_out else None)

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def settle(self) -> None:
        self.broker.journal.flush()
        while self.store.finish():
            self.broker.journal.flush()

    def told(self, name: str) -> list[dict[str, object]]:
        """The fields of all events of this name."""
        return [fields for found, fields in self.events if found == name]

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.broker.handle_timeout()
        if self.route.next_timeout() <= self.clock.now:
            self.route.handle_timeout()

    def amend(self, name: str, permissions: list[Permission]) -> None:
        """The policy changes, as the node would tell it."""
        self.principals[name].permit(permissions, [])
        self.broker.permissions_changed([name])

    def revoke(self, name: str) -> None:
        del self.principals[name]
        self.broker.revoke(name, "its credentials were taken back")

    # Remote participants. ---------------------------------------------------------------------------------

    def endpoint(
        self,
        identity: str,
        reader: bool = False,
        tags: tuple[str, ...] = (),
        qos: RouteQos | None = None,
    ) -> Endpoint:
        self.handles += 1
        participant = identity.encode().ljust(12, b"\0")[:12]
        guid = participant + bytes((0, 0, self.handles % 256, 0x07 if reader else 0x02))
        return Endpoint(
            self.handles,
            guid,
            participant + b"\0\0\1\xc1",
            identity if self.secured else "",
            "Temperature",
            "Office::Temperature",
            (),
            qos if qos is not None else RouteQos(),
            tags,
            self.secured,
        )

    def writes(
        self, identity: str, strength: int = 0, lifespan: float = 0.0, tags: tuple[str, ...] = ()
    ) -> RemoteWriter:
        """A remote writer of this device matches."""
        endpoint = self.endpoint(identity, False, tags, RouteQos(strength=strength, lifespan=lifespan))
        self.route.writer_matched(endpoint)
        return RemoteWriter(self, endpoint)

    def reads(self, identity: str) -> int:
        """A remote reader of this device matches; its handle."""
        endpoint = self.endpoint(identity, True)
        self.route.reader_matched(endpoint)
        return endpoint.handle


class RemoteWriter:
    """Instances are called by their rooms, and have a number each."""

    def __init__(self, world: World, endpoint: Endpoint) -> None:
        self.world = world
        self.endpoint = endpoint

    def sample(
        self, room: str, value: float = 21.5, state: int = ALIVE, timestamp: int = int(NOW * 1e9), data: bytes = b""
    ) -> Sample:
        return Sample(data or cdr(room, value), True, state, timestamp, number_of(room), self.endpoint.handle)

    def end(self, room: str, state: int) -> Sample:
        """Without a value: disposed, or without writers."""
        data = CODEC.encode_keys({"room": room})
        return Sample(data, False, state, int(NOW * 1e9), number_of(room), self.endpoint.handle)

    def write(self, room: str, value: float = 21.5, timestamp: int = int(NOW * 1e9)) -> None:
        self.send(self.sample(room, value, timestamp=timestamp))

    def send(self, *samples: Sample) -> None:
        self.world.route.received(list(samples))
        self.world.settle()

    def ends(self, room: str, state: int) -> None:
        self.send(self.end(room, state))

    def leaves(self) -> None:
        self.world.route.writer_gone(self.endpoint.handle)


def number_of(room: str) -> int:
    """Cyclone's handle of the instance."""
    return int.from_bytes(room.encode()[:7].ljust(7, b"\0"))
