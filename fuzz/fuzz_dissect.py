"""Fuzzes the MQTT dissector: nothing is raised, every octet belongs to one packet, and no password is shown.

The first octet of an input chooses the version and the sender; the rest is dissected.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.mqtt.dissect import dissect

VERSIONS = [0, 3, 4, 5]
SENDERS = [None, False, True, None]


def target(data: bytes) -> None:
    if not data:
        return
    packets = dissect(data[1:], VERSIONS[data[0] & 3], SENDERS[data[0] >> 2 & 3])
    end = 0
    for packet in packets:
        if packet.offset != end or packet.length < 1:
            raise AssertionError(f"{packet.name} at {packet.offset}, and the last ended at {end}")
        end += packet.length
        for field in packet.fields:
            if field.offset < 0 or field.offset + field.length > packet.length:
                raise AssertionError(f"{field.name} lies outside of {packet.name}")
            if not field.value.isprintable():
                raise AssertionError(f"{field.name} holds what a terminal must not get")
            if field.name == "Password" and not field.value.endswith(("octets)", "octet)")):
                raise AssertionError("a password is shown")
    if end != len(data) - 1:
        raise AssertionError(f"{len(data) - 1 - end} octets belong to no packet")


def seeds() -> list[bytes]:
    from tests.mqtt.codec.seeds import examples

    return [
        bytes([VERSIONS.index(version) | (8 if from_server else 4)]) + octets
        for octets, version, from_server in examples()
    ]


if __name__ == "__main__":
    harness.run("dissect", target, seeds())
