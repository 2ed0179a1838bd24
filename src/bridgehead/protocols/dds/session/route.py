"""One route between a DDS topic and the hub's topics, put together of its parts. The rim tells it what happens in DDS.

All calls come one after another, with the broker's clock set.
"""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.config import DomainConfig
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session import incompatible
from bridgehead.protocols.dds.session.forms import Forms
from bridgehead.protocols.dds.session.intake import Intake
from bridgehead.protocols.dds.session.liveliness import Liveliness
from bridgehead.protocols.dds.session.notices import Notices
from bridgehead.protocols.dds.session.outgoing import Outgoing
from bridgehead.protocols.dds.session.ports import Endpoint, Parties, Sample, Writer
from bridgehead.protocols.dds.session.readers import Readers
from bridgehead.protocols.dds.session.rights import Rights
from bridgehead.protocols.dds.session.seldom import Seldom
from bridgehead.protocols.dds.session.sources import Sources


class Route:
    """`open` and `close`; between them the participant may be made anew, and `open` is called again: with None while
    there is none. Everybody that matched is told gone before."""

    def __init__(
        self, config: RouteConfig, domain: DomainConfig, broker: Broker, codec: Codec, parties: Parties
    ) -> None:
        """Errors: ValueError, with a sentence for people, when the template doesn't fit the type."""
        self.config: Final = config
        self._broker: Final = broker
        self._forms: Final = Forms(config, codec)
        self._rights: Final = Rights(domain, broker, parties)
        self._seldom: Final = Seldom(broker.event, broker.clock)
        self._notices: Final = Notices(config, broker)
        self._sources: Final = Sources(config, self._rights)
        self._readers: Final = Readers(config, self._rights, self._seldom)
        self._liveliness: Final = Liveliness(config, self._sources, self._notices, self._seldom)
        self._intake: Final = Intake(
            config, broker, self._forms, self._rights, self._sources, self._notices, self._seldom
        )
        self._outgoing: Outgoing | None = None
        if config.goes_out:
            self._outgoing = Outgoing(config, broker, self._forms, self._readers, self._seldom)

    def open(self, writer: Writer | None) -> None:
        """The reader and the writer are there, new ones; None: no writer."""
        self._intake.instances.clear()
        self._liveliness.begin()
        if self._outgoing is not None:
            self._outgoing.open(writer)

    def close(self) -> None:
        """The route is no more. What it retained stays."""
        if self._outgoing is not None:
            self._outgoing.close()
        self._intake.instances.clear()
        self._seldom.finish()
        self._notices.clear()

    # From the reader. ---------------------------------------------------------------------------------

    def received(self, samples: list[Sample]) -> None:
        self._intake.received(samples)

    def writer_matched(self, endpoint: Endpoint) -> None:
        self._sources.matched(endpoint)

    def writer_gone(self, handle: int) -> None:
        self._sources.gone(handle)

    def deadline_missed(self, instance: int, times: int) -> None:
        """`times`: since it was told last; `instance` the last of them."""
        fields: dict[str, object] = {"route": self.config.name}
        known = self._intake.instances.get(instance)
        if known is not None:
            fields.update(known.source.told())
            fields["topic"] = known.topic
        fields["missed"] = times
        fields["because"] = f"no sample came within {self.config.qos.deadline:g} s"
        self._seldom.tell(events.DEADLINE_MISSED, "", fields)

    def liveliness_changed(self, alive: int, not_alive: int, handle: int) -> None:
        """The writers that are alive and those that aren't; `handle` is that of the one that changed last."""
        self._liveliness.changed(alive, not_alive, handle)

    # From the writer. ---------------------------------------------------------------------------------

    def reader_matched(self, endpoint: Endpoint) -> None:
        self._readers.matched(endpoint)

    def reader_gone(self, handle: int) -> None:
        self._readers.gone(handle)

    def incompatible(self, policy: str, remote: Endpoint | None) -> None:
        """A reader or writer of the topic doesn't match because of `policy`; None: it can't be told which."""
        who = "" if remote is None else self._rights.name_of(remote.identity)
        key = policy if remote is None else f"{policy} {remote.guid.hex()}"
        self._seldom.tell(events.QOS_INCOMPATIBLE, key, incompatible.told(self.config, policy, remote, who))

    def inconsistent(self, remote: Endpoint, type_name: str) -> None:
        """A reader or writer of the topic has another type than the route's, which is called `type_name`."""
        who = self._rights.name_of(remote.identity)
        fields = incompatible.other_type(self.config, type_name, remote, who)
        self._seldom.tell(events.INCONSISTENT_TOPIC, remote.guid.hex(), fields)

    # Time. --------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        """When `handle_timeout` wants to be called next, in seconds since the epoch."""
        if self._outgoing is not None and self._outgoing.wants_time:
            return self._broker.clock.now
        return self._seldom.next_timeout()

    def handle_timeout(self) -> None:
        self._seldom.handle_timeout()
        if self._outgoing is not None and self._outgoing.wants_time:
            self._outgoing.pump()
