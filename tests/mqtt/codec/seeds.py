"""The tables' octets as seeds for fuzzing."""

from __future__ import annotations

from tests.mqtt.codec.faults import FAULTS
from tests.mqtt.codec.vectors import VECTORS


def examples() -> list[tuple[bytes, int, bool]]:
    """Octets, version, and whether a Server sends them: of each good packet and of each fault."""
    good = [(each.octets, version, each.from_server) for each in VECTORS for version in each.versions]
    bad = [(each.octets, version, each.from_server) for each in FAULTS for version in each.versions]
    return good + bad
