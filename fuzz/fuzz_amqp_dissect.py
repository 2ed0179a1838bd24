"""Fuzzes the AMQP dissector: nothing is raised, every octet belongs to one frame and to a field of it, and nothing that
is shown steers a terminal.

The first octet of an input chooses the version; the rest is dissected.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.amqp.dissect import dissect
    from bridgehead.protocols.amqp.dissection import UNKNOWN, V091, V1

VERSIONS = [UNKNOWN, V1, V091]


def target(data: bytes) -> None:
    if not data:
        return
    end = 0
    for frame in dissect(data[1:], VERSIONS[data[0] % 3]):
        if frame.offset != end or frame.length < 1:
            raise AssertionError(f"{frame.name} at {frame.offset}, and the last ended at {end}")
        end += frame.length
        covered: set[int] = set()
        for field in frame.fields:
            covered |= set(range(field.offset, field.offset + field.length))
            if not field.value.isprintable():
                raise AssertionError(f"{field.name} holds what a terminal must not get")
        if covered != set(range(frame.length)):
            raise AssertionError(f"{frame.name} has octets without a field, or fields without octets")
    if end != len(data) - 1:
        raise AssertionError(f"{len(data) - 1 - end} octets belong to no frame")


def seeds() -> list[bytes]:
    from pamqp import commands, frame, header

    from bridgehead.protocols.amqp.codec.v1.composites import Performative
    from bridgehead.protocols.amqp.codec.v1.encode import encode, sasl_frame
    from bridgehead.protocols.amqp.codec.v1.encode import frame as v1_frame
    from tests.amqp.codec.examples import COMPOSITES

    found = [b"\x00AMQP\x00\x01\x00\x00", b"\x00AMQP\x03\x01\x00\x00", b"\x00AMQP\x00\x00\x09\x01"]
    for each in COMPOSITES:
        if isinstance(each, Performative):
            octets = encode(each)
            found.append(b"\x01" + (sasl_frame(octets) if each.code >= 0x40 else v1_frame(1, octets + b"rest")))
    start = commands.Connection.StartOk({"t": {"l": [1, None, "x"]}}, "PLAIN", "secret")
    found.append(b"\x02" + frame.marshal(start, 0))
    found.append(b"\x02" + frame.marshal(commands.Basic.Publish(0, "e", "r", True), 1))
    properties = commands.Basic.Properties(headers={"k": "v"}, priority=3)
    found.append(b"\x02" + frame.marshal(header.ContentHeader(0, 5, properties), 1))
    for index in commands.INDEX_MAPPING:
        found.append(b"\x02\x01\x00\x01\x00\x00\x00\x08" + index.to_bytes(4, "big") + b"\x00\x00\x01a\xce")
    return found


if __name__ == "__main__":
    harness.run("amqp_dissect", target, seeds())
