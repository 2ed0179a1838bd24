"""From the hub's topics to DDS: a session of the hub's own, whose receiver is the route's writer."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import UNAVAILABLE, Refusal
from bridgehead.core.message import Message
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.session import (
    DISCARDED,
    NO_CREDIT,
    Delivery,
    Receiver,
    Session,
    Subscription,
    Target,
)
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.forms import Forms
from bridgehead.protocols.dds.session.ports import Writer
from bridgehead.protocols.dds.session.readers import Readers
from bridgehead.protocols.dds.session.seldom import Seldom
from bridgehead.protocols.dds.session.sources import PROTOCOL, TIMESTAMP_PROPERTY, client_id

_REPLAY: Final = 0  # Retain Handling (MQTT 5.0 section 3.8.3.1): the retained messages are wanted
_NO_REPLAY: Final = 2
_REPLAY_STEPS: Final = 1000  # looked at before others have their turn: less than a millisecond
_LONGEST_TIME: Final = 19  # digits of nanoseconds that fit into a 64-bit integer


class Outgoing(Receiver):
    """The session begins with the first writer. While the participant is away, what is delivered at least once waits in
    the session's queue."""

    def __init__(self, config: RouteConfig, broker: Broker, forms: Forms, readers: Readers, seldom: Seldom) -> None:
        self._config: Final = config
        self._broker: Final = broker
        self._forms: Final = forms
        self._readers: Final = readers
        self._seldom: Final = seldom
        self._name: Final = client_id(config)
        # What the route may read is what it was configured for; whether its readers may, they are asked.
        permissions = [
            Permission(forms.filter, publish=False, subscribe=True),
            Permission("$TAG/#", publish=False, subscribe=True),
        ]
        escaped = config.name.replace("%", "%25").replace("/", "%2F")  # a principal's name never holds a slash
        self._principal: Final = Principal.of(f"$DDS:{escaped}", permissions, [])
        self._writer: Writer | None = None
        self._session: Session | None = None
        self._instances: set[str | bytes] = set()
        self._held: Delivery | None = None  # a retained message that the writer had no room for
        self._again = False  # to be gone on with soon: the writer had no room, or others were to have their turn

    def open(self, writer: Writer | None) -> None:
        """A new writer in place of the one before, which had its history with it; None: there is none for a while."""
        self._writer = writer
        self._instances.clear()
        self._held = None
        if writer is None:
            return
        keeps = self._config.qos.retain
        try:
            if self._session is None:
                self._session, _ = self._broker.attach(
                    self._principal, self._name, PROTOCOL, True, True, 0.0, None, self
                )
            elif keeps:
                self._broker.door.unsubscribe(self._session, self._forms.filter)
            if self._forms.filter not in self._session.subscriptions:
                handling = _REPLAY if keeps else _NO_REPLAY
                self._broker.door.subscribe(
                    Subscription(self._session, self._forms.filter, self._config.qos.qos, retain_handling=handling)
                )
        except Refusal as refusal:
            self._seldom.tell(events.ROUTE_FAILED, "", {"route": self._config.name, "because": refusal.because})
            return
        self.pump()

    def close(self) -> None:
        self._writer = None
        self._held = None
        session, self._session = self._session, None
        if session is not None:
            self._broker.detach(session, self, False)

    @property
    def wants_time(self) -> bool:
        """Whether `pump` is to be called again soon."""
        return self._again and self._writer is not None

    # As the broker's receiver. ------------------------------------------------------------------------

    def transmit(self, message: Message, target: Target) -> None:
        writer = self._writer
        if writer is None or not self._write(writer, message):
            self._broker.counters.dropped_slow += 1
            because = "the writer has no room: its readers are slow" if writer is not None else "DDS is away"
            self._seldom.tell(events.ROUTE_SLOW, "", {"route": self._config.name, "because": because})

    def offer(self, delivery: Delivery) -> int:
        writer = self._writer
        if writer is None:
            return NO_CREDIT
        if not self._write(writer, delivery.message):
            self._again = True
            return NO_CREDIT
        return DISCARDED  # DDS has it: nobody will acknowledge it to the hub, and nothing is to be kept

    def pump(self) -> None:
        self._again = False
        session, writer = self._session, self._writer
        if session is None or writer is None:
            return
        dispatcher = self._broker.dispatcher
        while session.queue:
            delivery = dispatcher.next_delivery(session)
            if delivery is None:
                break
            if not self._write(writer, delivery.message):
                dispatcher.put_back(session, delivery)
                self._again = True
                return
            dispatcher.acknowledged(session, delivery.sequence)
        self._replay(session, writer)

    def _replay(self, session: Session, writer: Writer) -> None:
        dispatcher = self._broker.dispatcher
        session.replay_steps = _REPLAY_STEPS
        while True:
            delivery = self._held
            if delivery is None:
                if session.replay is None:
                    return
                delivery = dispatcher.next_replay(session)
            if delivery is None:
                self._again = session.replay is not None and session.replay_steps <= 0
                return
            if not self._write(writer, delivery.message):
                self._held = delivery
                self._again = True
                return
            self._held = None
            if delivery.sequence:
                dispatcher.acknowledged(session, delivery.sequence)

    def committed(self, ticket: int) -> None:
        self.pump()

    def not_committed(self, ticket: int, retry: int) -> None:
        """Nothing that the route does is written."""

    def dismiss(self, meaning: str, because: str) -> None:
        """Another route has taken its name: the configuration has it twice."""
        self.close()
        self._seldom.tell(events.ROUTE_FAILED, "", {"route": self._config.name, "because": because})

    # Writing. -----------------------------------------------------------------------------------------

    def _is_own(self, message: Message) -> bool:
        """Whether it came from where it would go: what a remote writer wrote reaches remote readers without the hub."""
        origin = message.origin
        return origin.protocol == PROTOCOL and origin.client_id.rpartition("/")[0] == self._name

    def _write(self, writer: Writer, message: Message) -> bool:
        """False: the writer has no room now. What may not be written, or can't, is told of, and gone."""
        if self._is_own(message):
            return True
        if message.expires_at <= self._broker.clock.now:
            self._broker.counters.dropped_expired += 1
            return True
        try:
            writer.look()
            if not self._readers.may_have(message):
                self._broker.counters.dropped_not_permitted += 1
                return True
            if message.retain and message.payload_length == 0:
                return self._dispose(writer, message.topic)
            sample = self._forms.sample_of(message.topic, message.payload)
            if sample.key not in self._instances:
                if len(self._instances) >= self._config.instances:
                    because = f"the route writes {self._config.instances} instances, which is the limit (instances)"
                    self._seldom.tell(
                        events.INSTANCES_FULL,
                        "out",
                        {"route": self._config.name, "topic": message.topic, "because": because},
                    )
                    return True
                self._instances.add(sample.key)
            return writer.write(sample.cdr, self._timestamp(message))
        except Refusal as refusal:
            if refusal.meaning == UNAVAILABLE:
                fields: dict[str, object] = {"route": self._config.name, "because": refusal.because}
                self._seldom.tell(events.ROUTE_FAILED, "", fields)
            else:
                self._unfit(message, refusal.because)
            return True

    def _dispose(self, writer: Writer, topic: str) -> bool:
        """A cleared retained message: the instance is no more, and the writer needs no memory for it."""
        key = self._forms.key_of(topic)
        if not writer.dispose(key):
            return False
        if writer.unregister(key):  # else it goes on counting
            self._instances.discard(topic)
        return True

    def _timestamp(self, message: Message) -> int:
        """When its source has said it was written, in nanoseconds; 0: now."""
        if self._config.timestamps:
            for name, value in message.properties.user_properties:
                if name == TIMESTAMP_PROPERTY and len(value) <= _LONGEST_TIME and value.isascii() and value.isdigit():
                    return min(int(value), int(self._broker.clock.now * 1e9))
        return 0

    def _unfit(self, message: Message, because: str) -> None:
        origin = message.origin
        self._seldom.tell(
            events.MESSAGE_UNFIT,
            origin.principal,
            {
                "principal": origin.principal,
                "client_id": origin.client_id,
                "protocol": origin.protocol,
                "route": self._config.name,
                "topic": message.topic,
                "because": because,
            },
        )
