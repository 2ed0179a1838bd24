"""Who else is in a domain: participants, writers and readers, from Cyclone's built-in topics (DDS 1.4 section 2.2.5).

What others announce is theirs to choose, names included: text that isn't UTF-8 is shown with replacement characters,
and how many are remembered is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from bridgehead.protocols.dds import cyclone
from bridgehead.protocols.dds.cyclone import checked, ffi, library
from bridgehead.protocols.dds.mapping import settings
from bridgehead.protocols.dds.mapping.settings import RouteQos
from bridgehead.protocols.dds.session.ports import ALIVE, Endpoint

PREFIX_OCTETS: Final = 12  # of a GUID: the same for all of a participant's (RTPS 2.3 section 8.2.4.1)
SUBJECT_OCTETS: Final = 6  # of a GUID, made from the certificate's subject where the domain is secured
_BATCH: Final = 64
_TEXT_OCTETS: Final = 256  # of a name that others chose
_TAG: Final = "tag:"
_LONGEST_TAG: Final = 256  # characters
_MOST_TAGS: Final = 32  # of one writer
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
UNREADABLE: Final = "unreadable=tag"


class RemoteParticipant:
    """`guid` is of 16 octets. `name` is what it calls itself, "" for nothing. That it is seen proves nothing of who it
    is: on a secured domain those whose authentication failed are seen too."""

    def __init__(self, handle: int, guid: bytes, name: str) -> None:
        self.handle: Final = handle
        self.guid: Final = guid
        self.name: Final = name


class Changes:
    """What `Discovery.take` found: participants that came and went, and writers and readers that came or changed.
    `anew` are those that announced themselves before, perhaps with other data tags or another strength."""

    def __init__(self) -> None:
        self.came: Final[list[RemoteParticipant]] = []
        self.gone: Final[list[RemoteParticipant]] = []
        self.endpoints: Final[list[Endpoint]] = []
        self.anew: Final[list[Endpoint]] = []


class Endpoints:
    """Makes Endpoint values of what Cyclone tells. `names` gives the devices by GUID prefix on a secured domain."""

    def __init__(self, secured: bool, names: Callable[[], Mapping[bytes, str]]) -> None:
        self.secured: Final = secured
        self._names: Final = names

    def identity(self, guid: bytes) -> str:
        """The device that a secured domain's participant has shown to be; "" for nobody's, and where nobody shows."""
        return self._names().get(guid[:SUBJECT_OCTETS], "") if self.secured else ""

    def endpoint(self, handle: int, told: Any) -> Endpoint:
        """Of an `endpoint_t *` that is valid until this returns."""
        participant = bytes(told.participant_key.v)
        return Endpoint(
            handle,
            bytes(told.key.v),
            participant,
            self.identity(participant),
            _text(told.topic_name),
            _text(told.type_name),
            _partitions(told.qos),
            _qos(told.qos),
            _tags(told.qos),
            self.secured,
        )

    def writer(self, reader: int, handle: int) -> Endpoint | None:
        """The remote writer `handle`, which matches the hub's reader `reader`; None when it is gone meanwhile."""
        return self._matched(library().dds_get_matched_publication_data(reader, handle), handle)

    def reader(self, writer: int, handle: int) -> Endpoint | None:
        """The remote reader `handle`, which matches the hub's writer `writer`; None when it is gone meanwhile."""
        return self._matched(library().dds_get_matched_subscription_data(writer, handle), handle)

    def _matched(self, told: Any, handle: int) -> Endpoint | None:
        if not told:
            return None
        try:
            return self.endpoint(handle, told)
        finally:
            library().dds_builtintopic_free_endpoint(told)


class Discovery:
    """`participants`, `writers` and `readers` by their handles, without the hub's own. The three `entities` are to be
    waited for; `take` brings all up to date. What exceeds a bound is counted in `refused`."""

    def __init__(self, participant: int, own: bytes, endpoints: Endpoints, most: int, most_endpoints: int) -> None:
        """`own` is the hub's GUID prefix. Errors: DdsError."""
        self.participants: Final[dict[int, RemoteParticipant]] = {}
        self.writers: Final[dict[int, Endpoint]] = {}
        self.readers: Final[dict[int, Endpoint]] = {}
        self.refused = 0
        self._own: Final = own[:PREFIX_OCTETS]
        self._endpoints: Final = endpoints
        self._most: Final = most
        self._most_endpoints: Final = most_endpoints
        self._taken: Final = ffi().new("void *[]", _BATCH)
        self._infos: Final = ffi().new("sample_info_t[]", _BATCH)
        topics = (cyclone.PARTICIPANT_TOPIC, cyclone.PUBLICATION_TOPIC, cyclone.SUBSCRIPTION_TOPIC)
        lib, null = library(), ffi().NULL
        self._readers: Final = [
            checked(lib.dds_create_reader(participant, topic, null, null), "discovery can't be read")
            for topic in topics
        ]
        self.conditions: Final = [
            checked(lib.dds_create_readcondition(each, cyclone.ANY_STATE), "discovery can't be waited for")
            for each in self._readers
        ]

    def take(self) -> Changes:
        """Take everything that is there. Errors: DdsError."""
        changes = Changes()
        while self._batch(self._readers[0], partial(self._participant, changes)):
            pass
        for reader, known in zip(self._readers[1:], (self.writers, self.readers), strict=True):
            while self._batch(reader, partial(self._endpoint, changes, known)):
                pass
        return changes

    def _batch(self, reader: int, each: Callable[[int, Any], None]) -> bool:
        """Whether there may be more. `each` is given None for what is gone."""
        count = library().dds_take(reader, self._taken, self._infos, _BATCH, _BATCH)
        if checked(count, "discovery can't be taken") == 0:
            return False
        try:
            for index in range(count):
                info = self._infos[index]
                alive = info.valid_data and info.instance_state == ALIVE
                each(info.instance_handle, self._taken[index] if alive else None)
        finally:
            library().dds_return_loan(reader, self._taken, count)
        return bool(count == _BATCH)

    def _participant(self, changes: Changes, handle: int, told: Any) -> None:
        if told is None:
            known = self.participants.pop(handle, None)
            if known is not None:
                changes.gone.append(known)
            return
        participant = ffi().cast("participant_t *", told)
        guid = bytes(participant.key.v)
        if guid[:PREFIX_OCTETS] == self._own or handle in self.participants:
            return
        if len(self.participants) >= self._most:
            self.refused += 1
            return
        name = ffi().new("char **")
        called = ""
        if library().dds_qget_entity_name(participant.qos, name) and name[0]:
            called = _text(name[0])
            library().dds_free(name[0])
        found = RemoteParticipant(handle, guid, called)
        self.participants[handle] = found
        changes.came.append(found)

    def _endpoint(self, changes: Changes, known: dict[int, Endpoint], handle: int, told: Any) -> None:
        if told is None:
            known.pop(handle, None)
            return
        endpoint = ffi().cast("endpoint_t *", told)
        if bytes(endpoint.participant_key.v)[:PREFIX_OCTETS] == self._own:
            return
        found = self._endpoints.endpoint(handle, endpoint)
        if handle in known:
            changes.anew.append(found)
        elif len(self.writers) + len(self.readers) >= self._most_endpoints:
            self.refused += 1
            changes.anew.append(found)  # nobody remembers whether it is
            return
        known[handle] = found
        changes.endpoints.append(found)


def _text(told: Any) -> str:
    """At most so many octets of a C string that somebody else chose."""
    return ffi().string(told, _TEXT_OCTETS).decode(errors="replace") if told else ""


def _partitions(qos: Any) -> tuple[str, ...]:
    count, names = ffi().new("uint32_t *"), ffi().new("char ***")
    if not qos or not library().dds_qget_partition(qos, count, names) or not count[0]:
        return ()
    found = tuple(_text(names[0][index]) for index in range(count[0]))
    for index in range(count[0]):
        library().dds_free(names[0][index])
    library().dds_free(names[0])
    return found


def tags_of(data: bytes) -> tuple[str, ...]:
    """The data tags in a User Data QoS: `tag:NAME=VALUE;` items, others are let be. Sorted, each once.

    They go on as texts of other protocols: one that could not, and more than there may be, are UNREADABLE. So what they
    meant to mark is not let in as if it bore nothing."""
    found: set[str] = set()
    for item in data.decode(errors="replace").split(";"):
        text = item.strip()
        if not text.startswith(_TAG):
            continue
        tag = text.removeprefix(_TAG)
        name, _, value = tag.partition("=")
        is_readable = bool(name and value) and len(tag) <= _LONGEST_TAG and not _UNPRINTABLE.search(tag)
        found.add(tag if is_readable else UNREADABLE)
    return tuple(sorted(found)) if len(found) <= _MOST_TAGS else (UNREADABLE,)


def _tags(qos: Any) -> tuple[str, ...]:
    value, size = ffi().new("void **"), ffi().new("size_t *")
    if not qos or not library().dds_qget_userdata(qos, value, size) or not size[0]:
        return ()
    data = bytes(ffi().buffer(value[0], size[0]))
    library().dds_free(value[0])
    return tags_of(data)


def _seconds(nanoseconds: int) -> float:
    return settings.FOREVER if nanoseconds == cyclone.INFINITY else nanoseconds / 1e9


def _qos(qos: Any) -> RouteQos:
    """In the words of a route's owner, to be compared with what the route has. What wasn't announced is the default."""
    lib, declared = library(), ffi()
    kind, number, time = declared.new("int *"), declared.new("int32_t *"), declared.new("int64_t *")

    def is_set(call: Any, *into: Any) -> bool:
        return bool(qos) and bool(call(qos, *into))

    reliable = is_set(lib.dds_qget_reliability, kind, time) and kind[0] == 1
    lasting = is_set(lib.dds_qget_durability, kind) and kind[0] >= 1
    depth = number[0] if is_set(lib.dds_qget_history, kind, number) and kind[0] == 0 else 0
    deadline = _seconds(time[0]) if is_set(lib.dds_qget_deadline, time) else settings.FOREVER
    lifespan = _seconds(time[0]) if is_set(lib.dds_qget_lifespan, time) else settings.FOREVER
    exclusive = is_set(lib.dds_qget_ownership, kind) and kind[0] == 1
    strength = number[0] if is_set(lib.dds_qget_ownership_strength, number) else 0
    alive = is_set(lib.dds_qget_liveliness, kind, time)
    return RouteQos(
        reliability=settings.RELIABLE if reliable else settings.BEST_EFFORT,
        durability=settings.TRANSIENT_LOCAL if lasting else settings.VOLATILE,
        depth=depth,
        deadline=deadline,
        lifespan=lifespan,
        liveliness=settings.MANUAL_BY_TOPIC if alive and kind[0] == 2 else settings.AUTOMATIC,
        lease=_seconds(time[0]) if alive else settings.FOREVER,
        ownership=settings.EXCLUSIVE if exclusive else settings.SHARED,
        strength=strength,
    )
