"""A reader of raw samples: takes them in batches, and tells the statuses that Cyclone has for it."""

from __future__ import annotations

from typing import Any, Final

from bridgehead.protocols.dds import cyclone, policies
from bridgehead.protocols.dds.batch import Batch
from bridgehead.protocols.dds.cyclone import checked, ffi, library
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.participant import Participant, Topic
from bridgehead.protocols.dds.session.ports import Sample

_STATUSES: Final = (
    cyclone.REQUESTED_DEADLINE_MISSED
    | cyclone.REQUESTED_INCOMPATIBLE_QOS
    | cyclone.SAMPLE_LOST
    | cyclone.LIVELINESS_CHANGED
    | cyclone.SUBSCRIPTION_MATCHED
)


class RawReader:
    """`batch` is how many samples are taken at a time, `sample_octets` the largest that is. Errors: DdsError."""

    def __init__(
        self,
        participant: Participant,
        topic: Topic,
        route: RouteConfig,
        batch: int,
        waiting: int,
        sample_octets: int,
    ) -> None:
        lib, null = library(), ffi().NULL
        with policies.made() as qos:
            policies.partition(qos, route.partition)
            subscriber = checked(lib.dds_create_subscriber(participant.entity, qos, null), f"route {route.name}")
        with policies.made() as qos:
            policies.reader_qos(qos, route, topic.read_as, waiting)
            code = lib.dds_create_reader(subscriber, topic.entity, qos, null)
        self._subscriber: Final = subscriber
        self.entity: Final = checked(code, f"route {route.name} can't read topic {route.topic}")
        checked(lib.dds_set_status_mask(self.entity, _STATUSES), f"route {route.name} can't watch its reader")
        self.condition: Final = checked(
            lib.dds_create_readcondition(self.entity, cyclone.ANY_STATE), f"route {route.name} can't wait for samples"
        )
        self._batch: Final = Batch(batch, sample_octets)

    def take(self) -> list[Sample]:
        """At most a batch, in the order of Cyclone's (per instance the writers' own). [] when there is none."""
        return self._batch.take(self.entity)

    @property
    def too_large(self) -> int:
        """How many were dropped because of their size."""
        return self._batch.too_large

    def changed(self) -> int:
        """Which statuses changed since this was asked last."""
        status = ffi().new("uint32_t *")
        checked(library().dds_take_status(self.entity, status, _STATUSES), "a reader's status can't be read")
        return int(status[0])

    def matched(self) -> set[int]:
        """The publication handles of all remote writers that write to this reader."""
        return handles(library().dds_get_matched_publications, self.entity)

    def incompatible(self) -> tuple[int, str]:
        """How many writers offer too little since this was asked last, and the policy that is to blame (the last)."""
        status = ffi().new("incompatible_t *")
        checked(library().dds_get_requested_incompatible_qos_status(self.entity, status), "a status can't be read")
        return status.change, policies.policy_name(status.last)

    def deadline_missed(self) -> tuple[int, int]:
        """How many deadlines were missed since this was asked last, and the instance handle of the last."""
        status = ffi().new("deadline_t *")
        checked(library().dds_get_requested_deadline_missed_status(self.entity, status), "a status can't be read")
        return status.change, status.last

    def liveliness(self) -> tuple[int, int, int]:
        """Writers alive, those not alive, and the publication handle of the one that changed last."""
        status = ffi().new("liveliness_t *")
        checked(library().dds_get_liveliness_changed_status(self.entity, status), "a status can't be read")
        return status.alive, status.not_alive, status.last

    def lost(self) -> int:
        """How many samples never came since this was asked last."""
        status = ffi().new("lost_t *")
        checked(library().dds_get_sample_lost_status(self.entity, status), "a status can't be read")
        return int(status.change)

    def close(self) -> None:
        library().dds_delete(self._subscriber)


def handles(call: Any, entity: int) -> set[int]:
    """All the instance handles that `call` has for `entity`: asked again with more room until there is enough."""
    room = 16
    while True:
        into = ffi().new("uint64_t[]", room)
        count = checked(call(entity, into, room), "what matches can't be read")
        if count <= room:
            return set(ffi().unpack(into, count)) if count else set()
        room = count
