"""From DDS to the hub's topics: every sample is let in by the door, as its writer's device."""

from __future__ import annotations

from typing import Final

import msgspec

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER, NO_PROPERTIES, Message
from bridgehead.core.policy import Principal
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.codec.errors import CdrError
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.forms import Forms
from bridgehead.protocols.dds.session.instances import Instance, Instances
from bridgehead.protocols.dds.session.notices import INSTANCE, Notices
from bridgehead.protocols.dds.session.owners import Owners
from bridgehead.protocols.dds.session.ports import ALIVE, NO_WRITERS, Sample
from bridgehead.protocols.dds.session.rights import Rights
from bridgehead.protocols.dds.session.seldom import Seldom
from bridgehead.protocols.dds.session.sources import Source, Sources, client_id

_DISPOSED: Final = "it was disposed"
_NO_WRITERS: Final = "nobody writes it any more"


class Intake:
    """Of one route. Whoever calls has set the clock."""

    def __init__(
        self,
        config: RouteConfig,
        broker: Broker,
        forms: Forms,
        rights: Rights,
        sources: Sources,
        notices: Notices,
        seldom: Seldom,
    ) -> None:
        self._route: Final = config.name
        self._prefix: Final = client_id(config) + "/"
        self._broker: Final = broker
        self._forms: Final = forms
        self._rights: Final = rights
        self._sources: Final = sources
        self._notices: Final = notices
        self._seldom: Final = seldom
        self._qos: Final = config.qos.qos
        self._retain: Final = config.qos.retain
        self._most: Final = config.instances
        self._shares_topics: Final = not forms.tells_instances
        self._owners: Final = Owners(config, notices, seldom) if config.exclusive else None
        self.instances: Final = Instances(config.instances)

    def received(self, samples: list[Sample]) -> None:
        ending: dict[int, Sample] = {}
        for sample in samples:
            if not sample.valid:
                ending.pop(sample.instance, None)
                self._end(sample)
                continue
            self._let_in(sample)
            # The state is that of the instance now, not when the sample was written: where data was still to be taken,
            # its end comes with the data alone (DDS 1.4 section 2.2.2.5.1.3).
            if sample.state != ALIVE:
                ending[sample.instance] = sample
        for sample in ending.values():
            self._end(sample)

    # Values. ------------------------------------------------------------------------------------------

    def _let_in(self, sample: Sample) -> None:
        source = self._sources.get(sample.publication)
        if source is None:
            self._unknown(None)
            return
        principal = self._judged(source)
        if principal is None:
            return
        instance = self.instances.get(sample.instance)
        is_new = instance is None
        if is_new and self.instances.is_full:
            self._broker.counters.messages_refused += 1
            because = f"the route has {self._most} instances, which is the limit (instances)"
            self._seldom.tell(events.INSTANCES_FULL, "", {**source.told(), "route": self._route, "because": because})
            return
        try:
            if instance is None:
                keys = b"" if self._owners is None else self._forms.instance_of(sample.data, True)
                instance = Instance(self._forms.topic_of(sample.data, True), source, keys)
            payload = self._forms.payload_of(sample.data)
        except CdrError as fault:
            self._refused(source, f"it is no sample of the route's type: {fault}")
            return
        except Refusal as refusal:
            self._refused(source, refusal.because)
            return
        message = Message(
            instance.topic,
            payload,
            self._qos,
            self._retain,
            source.origin,
            source.properties(sample.timestamp),
            self._expires(source, sample.timestamp),
        )
        try:
            self._broker.door.publish(principal, message, None)
        except Refusal:
            return  # the door has told it
        if is_new:  # one that may not be written takes no room
            self.instances.add(sample.instance, instance)
        instance.source = source
        if self._shares_topics:
            self.instances.wrote(sample.instance, instance.topic)
        if self._owners is not None:
            self._owners.wrote(instance, source)

    def _expires(self, source: Source, timestamp: int) -> float:
        """Lifespan counts from the source's time (DDS 1.4 section 2.2.3.16), but from no later one than now."""
        if source.lifespan <= 0.0:
            return NEVER
        now = self._broker.clock.now
        sent = timestamp / 1e9
        return (sent if 0.0 < sent < now else now) + source.lifespan

    def _judged(self, source: Source) -> Principal | None:
        """As whom its samples are let in; None: not at all, and that is told."""
        principal = self._rights.of(source.identity)
        if principal is None:
            self._unknown(source)
            return None
        if self._owners is not None and not self._owners.admits(source, principal):
            return None
        return principal

    # The end of an instance (DDS 1.4 sections 2.2.2.4.2.13 and 2.2.2.4.2.7). ----------------------------

    def _end(self, sample: Sample) -> None:
        if sample.state == ALIVE:
            return  # nothing but news of its states
        by_itself = sample.state == NO_WRITERS
        instance = self.instances.get(sample.instance)
        source = self._sources.get(sample.publication)
        if by_itself and instance is not None:
            source = instance.source  # what it wrote ends; who unregistered last says nothing, and may be gone already
        # Cyclone forgets it with this sample, and gives it another handle when it comes again.
        self.instances.remove(sample.instance)
        if instance is not None and self._owners is not None:
            self._owners.forgotten(instance, _because(sample))
        if source is None:
            if not by_itself:
                self._unknown(None)
            return
        principal = self._judged(source)
        if principal is None:
            return
        try:
            topic = self._forms.topic_of(sample.data, sample.valid) if instance is None else instance.topic
            if self._retain:
                if not self._clear(sample, source, principal, topic):
                    return
            elif principal.may_publish(topic, self._qos, False):
                self._notify(sample, source, topic)
        except CdrError as fault:
            self._refused(source, f"it is no key of the route's type: {fault}")
            return
        except Refusal as refusal:
            self._refused(source, refusal.because)
            return
        if instance is not None and self._owners is not None:
            self._owners.ended(instance, _because(sample))

    def _clear(self, sample: Sample, source: Source, principal: Principal, topic: str) -> bool:
        """Whoever disposes of the instance clears its retained message; that nobody writes it any more clears only what
        came by this route. False: it was refused, and that is told."""
        retained = self._broker.retained.get(topic)
        if retained is None or not self.instances.speaks(sample.instance, topic):
            return True
        if sample.state == NO_WRITERS and not retained.origin.client_id.startswith(self._prefix):
            return True
        try:
            self._broker.door.publish(
                principal, Message(topic, b"", self._qos, True, source.origin, NO_PROPERTIES), None
            )
        except Refusal:
            return False
        return True

    def _notify(self, sample: Sample, source: Source, topic: str) -> None:
        because = _because(sample)
        keys = self._forms.instance_of(sample.data, sample.valid)
        fields: dict[str, object] = {"instance": msgspec.Raw(keys), "topic": topic}
        fields["writer"] = source.guid.hex()
        fields["principal"] = source.name
        fields["because"] = because
        self._notices.publish(INSTANCE, fields, False)
        self._seldom.tell(
            events.INSTANCE_ENDED,
            source.guid.hex(),
            {**source.told(), "route": self._route, "topic": topic, "because": because},
        )

    # What is told. ------------------------------------------------------------------------------------

    def _unknown(self, source: Source | None) -> None:
        self._broker.counters.messages_refused += 1
        fields: dict[str, object] = {"route": self._route}
        if source is None:
            fields["because"] = "the writer of a sample is not known: it is gone, or discovery is full"
        elif not source.name and not self._rights.verified:
            fields["writer"] = source.guid.hex()
            fields["because"] = "the domain has no security and no guest: name one (guest) to let its samples in"
        else:
            fields["writer"] = source.guid.hex()
            who = f"the device {source.name!r} is not there" if source.name else "its certificate is no device's"
            fields["because"] = f"{who}: enrol it, and export its identity (bridgehead device export --for dds)"
        self._seldom.tell(events.WRITER_UNKNOWN, "" if source is None else source.guid.hex(), fields)

    def _refused(self, source: Source, because: str) -> None:
        self._broker.counters.messages_refused += 1
        self._seldom.tell(
            events.SAMPLE_REFUSED,
            source.guid.hex(),
            {**source.told(), "route": self._route, "because": because},
        )


def _because(sample: Sample) -> str:
    return _NO_WRITERS if sample.state == NO_WRITERS else _DISPOSED
