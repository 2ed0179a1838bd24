"""Fuzzes what DDS takes in beside samples: announcements that `bridgehead dds discover` hears, payloads as JSON, topics
as key fields. Only their errors come out, and what is taken can be written again.

The first octet of an input chooses the reader.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness
from fuzz.fuzz_dds_cdr import CODECS, FORMS, NUMBERS

with harness.use_the_source():
    from bridgehead.core.errors import Refusal
    from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable
    from bridgehead.protocols.dds.codec.types import FINAL, INT32, Member, Primitive, String, Struct
    from bridgehead.protocols.dds.mapping.names import Template, unescaped
    from bridgehead.protocols.dds.spdp import Introduction, SpdpError, announcements

PLACE = Struct("Place", (Member("floor", Primitive(INT32), 0), Member("room", String(), 1)), FINAL)
DOOR = Struct("Door", (Member("at", PLACE, 0, key=True), Member("light", NUMBERS, 1)), FINAL)
DOORS = Template("Doors/${at.room}/${at.floor}", DOOR)
READERS = len(FORMS) + 3
NUMBER = (
    b'{"m0": 1, "m1": "-1152921504606846976", "m2": true, "m3": -2, "m4": "NaN", "m5": "x", "m6": 1, "m7": "y", '
    b'"m8": "AAECAwQFBgcICQoLDA0ODw==", "m9": "LAST", "m10": ["a"]}'
)


def target(data: bytes) -> None:
    if not data:
        return
    choice, octets = data[0] % READERS, data[1:]
    try:
        if choice < len(FORMS):
            _payload(choice, octets)
        elif choice == READERS - 3:
            for each in announcements(octets):
                if len(each.prefix) != 12 or len(each.name) > 1024:
                    raise AssertionError(f"{each.prefix!r} calls itself {each.name!r}")
        elif choice == READERS - 2:
            values = DOORS.values(octets.decode(errors="replace"))
            if DOORS.values(DOORS.topic(values)) != values:
                raise AssertionError(f"{values} did not come back")
        else:
            unescaped(octets.decode(errors="replace"))
    except (CdrError, Refusal, SpdpError, Unencodable) as fault:
        if not str(fault) and not getattr(fault, "because", ""):
            raise AssertionError("the fault has no text") from fault


def _payload(choice: int, octets: bytes) -> None:
    """What fits the type as JSON is a sample, and the same JSON again."""
    cdr = CODECS[choice].encode(FORMS[choice].from_json(octets))
    written = FORMS[choice].to_json(CODECS[choice].decode(cdr))
    if CODECS[choice].encode(FORMS[choice].from_json(written)) != cdr:
        raise AssertionError(f"{octets!r} came back as {written!r}")


def seeds() -> list[bytes]:
    said = Introduction(bytes(range(12)), "192.0.2.7", 7411, 10)
    last = READERS - 1
    return [
        b'\0{"m0": 1, "m1": 2, "m2": "YWJj"}',
        b"\1" + NUMBER,
        b'\3{"m0": "s", "m1": null}',
        bytes([last - 2]) + said.announcement(),
        bytes([last - 2]) + said.farewell(),
        bytes([last - 1]) + b"Doors/lobby%2F1/-7",
        bytes([last]) + b"%25%",
    ]


if __name__ == "__main__":
    harness.run("dds_payloads", target, seeds())
