"""The DDS end of one route: its topic, reader and writer, and what Cyclone tells of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from bridgehead.protocols.dds import cyclone
from bridgehead.protocols.dds.config import DdsConfig
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.discovery import Discovery, Endpoints
from bridgehead.protocols.dds.events import ROUTE_FAILED, SAMPLES_LOST
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.participant import Participant, Topic
from bridgehead.protocols.dds.reader import RawReader
from bridgehead.protocols.dds.session.ports import Endpoint, Sample, Writer
from bridgehead.protocols.dds.waiting import Waiting
from bridgehead.protocols.dds.writer import RawWriter

_UNTIL_MATCHED: Final = 1.0  # seconds after which what was announced is held not to match

Look = Callable[[], Discovery | None]


class RoutePort(Protocol):
    """A route as its end knows it (session/route.py)."""

    def open(self, writer: Writer | None) -> None: ...
    def close(self) -> None: ...
    def received(self, samples: list[Sample]) -> None: ...
    def writer_matched(self, endpoint: Endpoint) -> None: ...
    def writer_gone(self, handle: int) -> None: ...
    def reader_matched(self, endpoint: Endpoint) -> None: ...
    def reader_gone(self, handle: int) -> None: ...
    def deadline_missed(self, instance: int, times: int) -> None: ...
    def liveliness_changed(self, alive: int, not_alive: int, handle: int) -> None: ...
    def incompatible(self, policy: str, remote: Endpoint | None) -> None: ...
    def inconsistent(self, remote: Endpoint, type_name: str) -> None: ...
    def next_timeout(self) -> float: ...
    def handle_timeout(self) -> None: ...


class TypeOf:
    """What a topic is made with: its name in DDS, the type's name there, the binding's class, what is written
    (policies.XCDR1 or XCDR2), and the type's extensibility (codec/types.py)."""

    def __init__(self, topic: str, name: str, python: type, representation: int, extensibility: str) -> None:
        self.topic: Final = topic
        self.name: Final = name
        self.python: Final = python
        self.representation: Final = representation
        self.extensibility: Final = extensibility


class RouteEnd:
    """From `open` to `close`, which both may come again: a new participant gets a new reader and writer. `tell_time` is
    called before the route is, so that its clock is right."""

    def __init__(
        self,
        route: RoutePort,
        config: RouteConfig,
        type_of: TypeOf,
        endpoints: Endpoints,
        limits: DdsConfig,
        tell_time: Callable[[], float],
        event: Callable[[str, dict[str, object]], None],
    ) -> None:
        self.route: Final = route
        self.config: Final = config
        self._type: Final = type_of
        self._endpoints: Final = endpoints
        self._limits: Final = limits
        self._tell_time: Final = tell_time
        self._event: Final = event
        self._topic: Topic | None = None
        self._reader: RawReader | None = None
        self._writer: RawWriter | None = None
        self._waiting: Waiting | None = None
        self._look: Look | None = None
        self._writers: set[int] = set()
        self._readers: set[int] = set()
        self._doubtful: Final[dict[int, tuple[Endpoint, float]]] = {}  # by their handles, and until when they may match
        self._too_large = 0

    @property
    def is_open(self) -> bool:
        return self._topic is not None

    def open(self, participant: Participant, waiting: Waiting, look: Look) -> None:
        """`look` brings discovery up to date. Errors: DdsError, and nothing is left open."""
        config, limits, described = self.config, self._limits, self._type
        topic = participant.topic(described.topic, described.python, described.representation, described.extensibility)
        self._topic, self._waiting, self._look = topic, waiting, look
        try:
            if config.comes_in:
                self._reader = RawReader(participant, topic, config, limits.batch, limits.waiting, limits.sample_octets)
            if config.goes_out:
                self._writer = RawWriter(participant, topic, config)
                self._writer.on_matched = self._on_readers
            self._tell_time()
            self.route.open(self._writer)
            if self._reader is not None:
                waiting.attach(self._reader.entity, partial(self._call, self._on_reader_status))
                waiting.attach(self._reader.condition, partial(self._call, self._on_samples))
            if self._writer is not None:
                waiting.attach(self._writer.entity, partial(self._call, self._on_writer_status))
        except DdsError:
            self.close()
            raise

    def close(self) -> None:
        """Its reader and writer go, and with them everybody they matched; the route itself lives on."""
        waiting, self._waiting = self._waiting, None
        topic, self._topic = self._topic, None
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        self._doubtful.clear()
        self._tell_time()
        for entity in (reader, writer):
            if entity is not None and waiting is not None:
                waiting.detach(entity.entity)
        if reader is not None:
            if waiting is not None:
                waiting.detach(reader.condition)
            self._match_writers(set())
            reader.close()
        if writer is not None:
            self._match_readers(set())
            writer.close()
        if topic is not None:
            topic.close()
            self.route.open(None)

    # What the waiting thread has seen, told in the loop. ------------------------------------------------

    def _call(self, handler: Callable[[], None]) -> None:
        try:
            handler()
        except DdsError as error:  # it would come again at once, for ever
            self.close()
            self._event(ROUTE_FAILED, {"route": self.config.name, "because": f"{error}: reload the configuration"})

    def _on_samples(self) -> None:
        if self._reader is not None:
            self._take(self._reader)

    def _take(self, reader: RawReader) -> bool:
        """Whether there may be more."""
        samples = reader.take()
        self._tell_time()
        known = self._writers
        if any(sample.publication not in known for sample in samples):
            self._match_writers(reader.matched() | {sample.publication for sample in samples})
        if samples:
            self.route.received(samples)
        if reader.too_large != self._too_large:
            self._event(
                SAMPLES_LOST,
                {
                    "route": self.config.name,
                    "samples": reader.too_large - self._too_large,
                    "because": f"they are larger than {self._limits.sample_octets} octets (dds.sample_size)",
                },
            )
            self._too_large = reader.too_large
        return len(samples) == self._limits.batch

    def _take_rest(self, reader: RawReader) -> None:
        """What a writer wrote comes before the word that it has gone."""
        for _ in range(self._limits.waiting // self._limits.batch + 1):
            if not self._take(reader):
                return

    def _on_reader_status(self) -> None:
        reader = self._reader
        if reader is None:
            return
        changed = reader.changed()
        self._tell_time()
        if changed & cyclone.SUBSCRIPTION_MATCHED:
            self._take_rest(reader)
            self._match_writers(reader.matched())
        if changed & cyclone.LIVELINESS_CHANGED:
            self.route.liveliness_changed(*reader.liveliness())
        if changed & cyclone.REQUESTED_DEADLINE_MISSED:
            times, instance = reader.deadline_missed()
            if times > 0:
                self.route.deadline_missed(instance, times)
        if changed & cyclone.REQUESTED_INCOMPATIBLE_QOS:
            times, policy = reader.incompatible()
            if times > 0:
                self.route.incompatible(policy, self._unmatched(True))
        if changed & cyclone.SAMPLE_LOST:
            lost = reader.lost()
            if lost > 0 and not self.config.exclusive:  # Cyclone counts what a stand-by wrote as lost
                because = "they never came: the network lost them, or they came faster than the hub takes them"
                self._event(SAMPLES_LOST, {"route": self.config.name, "samples": lost, "because": because})

    def _on_writer_status(self) -> None:
        writer = self._writer
        if writer is None:
            return
        changed = writer.changed()
        self._tell_time()
        if changed & cyclone.PUBLICATION_MATCHED:
            self._on_readers()
        if changed & cyclone.OFFERED_INCOMPATIBLE_QOS:
            times, policy = writer.incompatible()
            if times > 0:
                self.route.incompatible(policy, self._unmatched(False))

    def _on_readers(self) -> None:
        if self._writer is not None:
            self._match_readers(self._writer.matched())

    def _match_writers(self, now: set[int]) -> None:
        gone, came = self._writers - now, now - self._writers
        for handle in gone:
            self._writers.discard(handle)
            self.route.writer_gone(handle)
        for handle in came:
            found = self._endpoints.writer(self._reader.entity, handle) if self._reader is not None else None
            if found is not None:
                self._writers.add(handle)
                self._doubtful.pop(handle, None)
                self.route.writer_matched(found)

    def _match_readers(self, now: set[int]) -> None:
        gone, came = self._readers - now, now - self._readers
        for handle in gone:
            self._readers.discard(handle)
            self.route.reader_gone(handle)
        for handle in came:
            found = self._endpoints.reader(self._writer.entity, handle) if self._writer is not None else None
            if found is not None:
                self._readers.add(handle)
                self._doubtful.pop(handle, None)
                self.route.reader_matched(found)

    def announced_anew(self, endpoint: Endpoint) -> None:
        """Of one that matches, these are its data tags and its strength from now on."""
        if endpoint.handle in self._writers:
            self._tell_time()
            self.route.writer_matched(endpoint)
        elif endpoint.handle in self._readers:
            self._tell_time()
            self.route.reader_matched(endpoint)

    def announced(self, endpoint: Endpoint) -> None:
        """Somebody's writer or reader is new. One whose type has another name may match, as by DDS-XTypes the shape
        counts. Of one that does not, Cyclone says nothing."""
        mine = self._writer if endpoint.is_reader else self._reader
        if mine is None or endpoint.topic != self._type.topic or endpoint.type_name == self._type.name:
            return
        matches = endpoint.handle in self._writers or endpoint.handle in self._readers
        if not matches and len(self._doubtful) < self._limits.endpoints:  # as many may come and go within the time
            self._doubtful[endpoint.handle] = (endpoint, self._tell_time() + _UNTIL_MATCHED)

    def judge_types(self, now: float) -> None:
        """Tell of those that were announced with another type's name a while ago, are still there, and don't match."""
        if self._doubtful:
            self._call(partial(self._judge_types, now))

    def _judge_types(self, now: float) -> None:
        while self._doubtful:
            handle, (endpoint, until) = next(iter(self._doubtful.items()))
            if until > now:
                return
            del self._doubtful[handle]
            known = self._look() if self._look is not None else None
            if known is not None and (handle in known.writers or handle in known.readers):
                self.route.inconsistent(endpoint, self._type.name)

    def _unmatched(self, writers: bool) -> Endpoint | None:
        """Who may be meant by a status that names nobody: the one that discovery told last, of those on this topic that
        don't match."""
        discovery = self._look() if self._look is not None else None
        if discovery is None:
            return None
        known = discovery.writers if writers else discovery.readers
        matched = self._writers if writers else self._readers
        found = [each for each in known.values() if each.topic == self._type.topic and each.handle not in matched]
        return found[-1] if found else None
