"""Fuzzes AMQP 1.0's codec: only PeerError comes out of a value, a composite, a message or a stream however it is cut;
what decodes encodes again, and the hot way decides as the general one.

The first octet of an input chooses what it is, the second where a stream is cut; the rest is decoded.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.amqp.codec.v1.composites import Performative
    from bridgehead.protocols.amqp.codec.v1.decode import decode_composite, decode_performative
    from bridgehead.protocols.amqp.codec.v1.encode import encode
    from bridgehead.protocols.amqp.codec.v1.frames import Decoder
    from bridgehead.protocols.amqp.codec.v1.hot import HotReader
    from bridgehead.protocols.amqp.codec.v1.reader import decode_value, skip_value
    from bridgehead.protocols.amqp.codec.v1.sections import (
        DELIVERY_ANNOTATIONS,
        FOOTER,
        MESSAGE_ANNOTATIONS,
        Sections,
        data_at,
    )
    from bridgehead.protocols.amqp.codec.v1.writer import encode_value
    from bridgehead.wire.errors import PeerError

MAXIMUM = 4096


def value(octets: bytes) -> None:
    decoded, end = decode_value(octets)
    if skip_value(octets, 0, len(octets)) != end:
        raise AssertionError("a value has another length when it is passed over")
    again = encode_value(decoded)
    if encode_value(decode_value(again)[0]) != again:
        raise AssertionError(f"{octets.hex()} became {again.hex()}, and that something else")


def composite(octets: bytes) -> None:
    decoded, _ = decode_composite(octets)
    again, _ = decode_composite(encode(decoded))
    # By their octets: a not-a-number is not equal to itself.
    if encode(again) != encode(decoded):
        raise AssertionError(f"{decoded} came back as {again}")


def message(octets: bytes) -> None:
    at = data_at(octets)
    found = Sections(octets)
    if at >= 0 and found.data() != octets[at:]:
        raise AssertionError("a data section alone is another than the search finds")
    if found.without([]) != octets:
        raise AssertionError("the sections are not the message")
    for ask in (found.header, found.properties, found.application_properties, found.values, found.data):
        try:
            ask()
        except PeerError:
            continue
    for code in (DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, FOOTER):
        try:
            found.annotations(code)
        except PeerError:
            continue


def hot(octets: bytes) -> None:
    reader = HotReader()
    found = reader.performative(octets, 0, len(octets))
    if found is not None and decode_performative(octets, 0, len(octets)) != (found, reader.payload):
        raise AssertionError(f"the hot way decodes {octets.hex()} to {found}")


def stream(parts: list[bytes], sasl: bool) -> tuple[list[str], str]:
    """What is shown of the frames, and the fault's text ("" for none)."""
    decoder = Decoder(MAXIMUM, sasl)
    found: list[str] = []
    for part in parts:
        try:
            frames = decoder.feed(part)
        except PeerError as fault:
            # Its place is one in the octets of this read, and so not the same.
            return found + [repr(each) for each in decoder.frames], fault.text
        found += [repr(each) for each in frames]
        if decoder.held > MAXIMUM + len(part):
            raise AssertionError(f"{decoder.held} octets are held")
    return found, ""


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    kind, octets = data[0] % 6, data[2:]
    if kind >= 4:
        cut = data[1] % (len(octets) + 1)
        whole, parts = stream([octets], kind == 5), stream([octets[:cut], octets[cut:]], kind == 5)
        if whole != parts:
            raise AssertionError(f"cut at {cut}: {parts} instead of {whole}")
        return
    try:
        (value, composite, message, hot)[kind](octets)
    except PeerError:
        return


def seeds() -> list[bytes]:
    from bridgehead.protocols.amqp.codec.v1.encode import frame, sasl_frame
    from tests.amqp.codec.examples import COMPOSITES, MESSAGES
    from tests.amqp.codec.test_values import FAULTS, VECTORS

    found = [b"\x00\x00" + bytes.fromhex(octets) for octets, _, _ in VECTORS]
    found += [b"\x00\x00" + bytes.fromhex(octets) for octets in FAULTS.values()]
    found += [b"\x02\x00" + octets for octets in MESSAGES]
    for each in COMPOSITES:
        octets = encode(each)
        found.append(b"\x01\x00" + octets)
        found.append(b"\x03\x00" + octets + b"rest")
        if isinstance(each, Performative):
            sasl = each.code >= 0x40
            found.append(b"\x05\x09" + sasl_frame(octets) * 2 if sasl else b"\x04\x09" + frame(1, octets + b"x") * 2)
    return found


if __name__ == "__main__":
    harness.run("amqp_v1", target, seeds())
