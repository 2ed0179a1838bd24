"""Quality of service in Cyclone's own form: of the hub's readers and writers, and read from what others announce."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from bridgehead.protocols.dds.cyclone import INFINITY, ffi, library
from bridgehead.protocols.dds.mapping import settings
from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos

# dds/ddsc/dds_public_qosdefs.h
_RELIABLE: Final = 1
_TRANSIENT_LOCAL: Final = 1
_KEEP_ALL: Final = 1
_EXCLUSIVE: Final = 1
_MANUAL_BY_TOPIC: Final = 2
_IGNORE_OWN_PARTICIPANT: Final = 1
_UNLIMITED: Final = -1

XCDR1: Final = 0  # DataRepresentationId_t (DDS-XTypes 1.3 section 7.6.3.1.1)
XCDR2: Final = 2
_NAMES: Final = {  # dds_qos_policy_id, as DDS 1.4 section 2.2.3 calls them
    1: "User Data",
    2: "Durability",
    3: "Presentation",
    4: "Deadline",
    5: "Latency Budget",
    6: "Ownership",
    7: "Ownership Strength",
    8: "Liveliness",
    9: "Time Based Filter",
    10: "Partition",
    11: "Reliability",
    12: "Destination Order",
    13: "History",
    14: "Resource Limits",
    24: "Type Consistency",
    25: "Data Representation",
}


def policy_name(number: int) -> str:
    return _NAMES.get(number, f"policy {number}")


def nanoseconds(seconds: float) -> int:
    """A duration of the configuration; 0 means that there is none."""
    return INFINITY if seconds == settings.FOREVER else round(seconds * 1e9)


@contextmanager
def made() -> Iterator[Any]:
    """A dds_qos_t that lives as long as the block."""
    qos = library().dds_create_qos()
    try:
        yield qos
    finally:
        library().dds_delete_qos(qos)


def _common(qos: Any, route: RouteQos, representations: tuple[int, ...], blocking: int) -> None:
    lib = library()
    lib.dds_qset_reliability(qos, _RELIABLE if route.reliability == settings.RELIABLE else 0, blocking)
    lib.dds_qset_durability(qos, _TRANSIENT_LOCAL if route.durability == settings.TRANSIENT_LOCAL else 0)
    if route.depth:
        lib.dds_qset_history(qos, 0, route.depth)
    else:
        lib.dds_qset_history(qos, _KEEP_ALL, _UNLIMITED)
    lib.dds_qset_deadline(qos, nanoseconds(route.deadline))
    lib.dds_qset_latency_budget(qos, round(route.latency_budget * 1e9))
    lib.dds_qset_ownership(qos, _EXCLUSIVE if route.ownership == settings.EXCLUSIVE else 0)
    manual = route.liveliness == settings.MANUAL_BY_TOPIC
    lib.dds_qset_liveliness(qos, _MANUAL_BY_TOPIC if manual else 0, nanoseconds(route.lease))
    lib.dds_qset_ignorelocal(qos, _IGNORE_OWN_PARTICIPANT)
    lib.dds_qset_data_representation(qos, len(representations), ffi().new("int16_t[]", representations))


def reader_qos(qos: Any, route: RouteConfig, representations: tuple[int, ...], waiting: int) -> None:
    """Fill `qos`. `waiting` bounds the samples that Cyclone keeps for the hub when it keeps all."""
    _common(qos, route.qos, representations, 0)
    if not route.qos.depth:
        library().dds_qset_resource_limits(qos, waiting, _UNLIMITED, _UNLIMITED)
    # Instances without writers and disposed ones are forgotten once that was taken: a flood of them leaves nothing.
    library().dds_qset_reader_data_lifecycle(qos, 0, 0)


def writer_qos(qos: Any, route: RouteConfig, representation: int) -> None:
    """Fill `qos`. It never blocks: what has no room is offered again later."""
    _common(qos, route.qos, (representation,), 0)
    lib = library()
    lib.dds_qset_lifespan(qos, nanoseconds(route.qos.lifespan))
    if route.qos.ownership == settings.EXCLUSIVE:
        lib.dds_qset_ownership_strength(qos, route.qos.strength)
    lib.dds_qset_writer_data_lifecycle(qos, False)
    if route.qos.durability == settings.TRANSIENT_LOCAL:
        # What late readers get: the last one of each instance for KEEP_ALL, else as many as the history has.
        lib.dds_qset_durability_service(qos, 0, 0, route.qos.depth or 1, _UNLIMITED, _UNLIMITED, _UNLIMITED)
    if route.tags:
        data = "".join(f"tag:{each};" for each in route.tags).encode()
        lib.dds_qset_userdata(qos, data, len(data))


def topic_qos(qos: Any, representations: tuple[int, ...]) -> None:
    library().dds_qset_data_representation(qos, len(representations), ffi().new("int16_t[]", representations))


def partition(qos: Any, name: str) -> None:
    """Of a publisher or subscriber: `name`, or the default partition for ""."""
    if name:
        library().dds_qset_partition1(qos, name.encode())
