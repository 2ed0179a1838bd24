"""Whatever comes instead of a proper CONNECT, at the real hub: told where the version has a code, closed, one line."""

from __future__ import annotations

import random

import pytest

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connack, Connect, Publish, Will
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.reason_codes import (
    MALFORMED_PACKET,
    PACKET_TOO_LARGE,
    TOPIC_NAME_INVALID,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from tests.hostile.field import Witness, bounded, name_of, the_one_line
from tests.peers.raw import Raw
from tests.peers.town import TCP, Town


def connect(version: int, change: tuple[bytes, bytes] = (b"", b""), will: Will | None = None) -> bytes:
    """A CONNECT in which something was replaced by something else of the same length."""
    octets = encode(Connect(version, True, 60, "ABCD", will, "user", b"pass", NO_PROPERTIES), version)
    before, after = change
    assert octets.count(before) == 1 or not before
    return octets.replace(before, after) if before else octets


def wildcard_will(version: int) -> bytes:
    return connect(version, (b"a/bb", b"a/+b"), Will("a/bb", b"x", 0, False, NO_PROPERTIES))


NOT_UTF_8 = (b"ABCD", b"\xc3\x28CD")
NULL = (b"ABCD", b"A\x00CD")
SURROGATE = (b"ABCD", b"\xed\xa0\x80D")
_CHANCE = random.Random(5)

# name -> octets, what 5.0 is told (None: closed without a word)
FAULTS: dict[str, tuple[bytes, int | None]] = {
    "PINGREQ first": (b"\xc0\x00", None),
    "PUBLISH first": (encode(Publish("a", b"x", 0, False, False, 0, NO_PROPERTIES), 5), None),
    "type 0": (b"\x00\x00", None),
    "garbage": (bytes(_CHANCE.randrange(256) for _ in range(4096)), None),
    "a Remaining Length of 256 MiB": (b"\x10\xff\xff\xff\x7f", None),
    "a Remaining Length that does not end": (b"\x10\xff\xff\xff\xff\x01", None),
    "another protocol's name": (connect(5, (b"\x00\x04MQTT", b"\x00\x04XMPP")), None),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    "TLS where there is none": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), None),
    "version 6": (connect(5, (b"MQTT\x05", b"MQTT\x06")), UNSUPPORTED_PROTOCOL_VERSION),
    "the reserved flag": (connect(5, (b"MQTT\x05\xc2", b"MQTT\x05\xc3")), MALFORMED_PACKET),
    "a name that is not UTF-8": (connect(5, NOT_UTF_8), MALFORMED_PACKET),
    "a name with a null character": (connect(5, NULL), MALFORMED_PACKET),
    "a name with a surrogate": (connect(5, SURROGATE), MALFORMED_PACKET),
    "a Will with QoS 3": (connect(5, (b"MQTT\x05\xc2", b"MQTT\x05\xda")), MALFORMED_PACKET),
    "a wildcard in the Will's topic": (wildcard_will(5), TOPIC_NAME_INVALID),
    "3.1.1 with a name that is not UTF-8": (connect(4, NOT_UTF_8), None),
    "3.1.1 with a wildcard in the Will's topic": (wildcard_will(4), None),
}
ADDRESSES = {name: f"127.0.1.{number // 4}" for number, name in enumerate(FAULTS, 4)}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_and_closed_and_logged_once(town: Town, witness: Witness, name: str) -> None:
    octets, code = FAULTS[name]
    # The log takes a few lines a minute of one address: each group of cases comes from another.
    raw = Raw(town.sock(TCP, ADDRESSES[name]))
    with bounded(town):
        raw.send_octets(octets)
        answers = raw.rest()
        line = the_one_line(town, witness, name_of(raw))
    assert line["event"] == "connection.peer-error"
    assert str(line["because"])
    if code is None:
        assert answers == []
        return
    (answer,) = answers
    assert isinstance(answer, Connack)
    assert answer.reason_code == code
    assert line["code"] == f"0x{code:02X}"


def test_no_connect_is_larger_than_it_need_be(town: Town, witness: Witness) -> None:
    """128 KiB are enough for a CONNECT, whatever a PUBLISH may have: nobody has proven who he is."""
    raw = Raw(town.sock(TCP, "127.0.1.100"))
    raw.send_octets(b"\x10" + b"\x81\x80\x08" + b"\x00\x04MQTT\x05\x02\x00\x3c")
    assert raw.rest() == []
    line = the_one_line(town, witness, name_of(raw))
    assert line["code"] == f"0x{PACKET_TOO_LARGE:02X}"
