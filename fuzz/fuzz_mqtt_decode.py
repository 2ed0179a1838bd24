"""Fuzzes the MQTT decoder: only PeerError comes out, however the stream is cut, and what decodes encodes again.

The first octet of an input chooses the version and the sender, the second where the stream is cut; the rest is fed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.protocols.mqtt.codec.decode import Decoder
    from bridgehead.protocols.mqtt.codec.encode import encode
    from bridgehead.protocols.mqtt.codec.packets import Packet
    from bridgehead.protocols.mqtt.codec.reason_codes import REASON_CODES
    from bridgehead.wire.errors import PeerError

MAXIMUM = 4096
VERSIONS = [0, 3, 4, 5]


def decode(parts: list[bytes], version: int, from_server: bool) -> tuple[list[Packet], str, int]:
    """The packets, the fault's text ("" for none), and the version at the end."""
    decoder = Decoder(MAXIMUM, {}, from_server)
    decoder.protocol_version = version
    packets: list[Packet] = []
    for part in parts:
        try:
            packets += decoder.feed(part)
        except PeerError as fault:
            if fault.code not in REASON_CODES or fault.code < 0x80:
                raise AssertionError(f"no reason code: {fault.code}") from fault
            return packets + decoder.packets, str(fault), decoder.protocol_version
        if decoder.held > MAXIMUM + len(part):
            raise AssertionError(f"{decoder.held} octets are held")
    return packets, "", decoder.protocol_version


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    version, from_server = VERSIONS[data[0] & 3], data[0] & 4 != 0
    octets = data[2:]
    cut = data[1] % (len(octets) + 1)
    packets, fault, version_after = decode([octets], version, from_server)
    in_parts = decode([octets[:cut], octets[cut:]], version, from_server)
    if (packets, fault) != in_parts[:2]:
        raise AssertionError(f"cut at {cut}: {in_parts} instead of {packets} {fault}")
    if not packets or version_after == 0:
        return
    # A second CONNECT is decoded in its own version, which is its session's business.
    versions = [getattr(packet, "protocol_version", version_after) for packet in packets]
    again = [encode(packet, each) for packet, each in zip(packets, versions, strict=True)]
    begin = version_after if version or from_server else 0
    if decode(again, begin, from_server)[:2] != (packets, ""):
        raise AssertionError(f"{packets} came back as {decode(again, begin, from_server)}")


def seeds() -> list[bytes]:
    from tests.mqtt.codec.seeds import examples

    found: list[bytes] = []
    for octets, version, from_server in examples():
        found.append(bytes([VERSIONS.index(version) | (4 if from_server else 0), 3]) + octets)
        if octets[0] == 0x10:
            found.append(bytes([0, 3]) + octets)
    return found


if __name__ == "__main__":
    harness.run("mqtt_decode", target, seeds())
