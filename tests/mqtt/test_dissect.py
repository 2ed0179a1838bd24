"""Dissection: fields with their offsets and clauses, faults, and nothing that is secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Auth,
    Connack,
    Connect,
    Publish,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.dissect import DissectedPacket, dissect
from tests.mqtt.codec import faults
from tests.mqtt.codec.faults import FAULTS
from tests.mqtt.codec.vectors import VECTORS, Vector


def one(octets: bytes, version: int = 0) -> DissectedPacket:
    [packet] = dissect(octets, version)
    return packet


def rows(packet: DissectedPacket) -> list[tuple[str, str, int, int, str]]:
    return [(field.name, field.value, field.offset, field.length, field.clause) for field in packet.fields]


def test_publish() -> None:
    packet = one(b"\x3b\x0e\x00\x03a/b\x00\x07\x03\x23\x00\x05hey", 5)
    assert (packet.name, packet.offset, packet.length, packet.version) == ("PUBLISH", 0, 16, 5)
    assert packet.fault is None
    assert rows(packet) == [
        ("Packet Type", "3 (PUBLISH)", 0, 1, "MQTT 5.0 2.1.2"),
        ("DUP", "1", 0, 1, "MQTT 5.0 3.3.1.1"),
        ("QoS", "1 (at least once)", 0, 1, "MQTT 5.0 3.3.1.2"),
        ("RETAIN", "1", 0, 1, "MQTT 5.0 3.3.1.3"),
        ("Remaining Length", "14", 1, 1, "MQTT 5.0 2.1.4"),
        ("Topic Name", "'a/b'", 2, 5, "MQTT 5.0 3.3.2.1"),
        ("Packet Identifier", "7", 7, 2, "MQTT 5.0 3.3.2.2"),
        ("Property Length", "3", 9, 1, "MQTT 5.0 3.3.2.3.1"),
        ("Topic Alias", "5", 10, 3, "MQTT 5.0 3.3.2.3.4"),
        ("Payload", "'hey'", 13, 3, "MQTT 5.0 3.3.3"),
    ]


def test_connect_3_1_1() -> None:
    packet = one(encode(Connect(4, True, 60, "dev1", Will("w/t", b"\x00\x01", 1, True), "user", b"secret"), 4))
    assert packet.version == 4
    assert not packet.assumed_version
    found = {field.name: (field.value, field.clause) for field in packet.fields}
    assert found["Packet Type"] == ("1 (CONNECT)", "MQTT 3.1.1 2.2.1")
    assert found["Remaining Length"][1] == "MQTT 3.1.1 2.2.3"
    assert found["Protocol Level"] == ("4 (MQTT 3.1.1)", "MQTT 3.1.1 3.1.2.2")
    assert found["Clean Session"] == ("1", "MQTT 3.1.1 3.1.2.4")
    assert found["Will QoS"] == ("1 (at least once)", "MQTT 3.1.1 3.1.2.6")
    assert found["Keep Alive"] == ("60 s", "MQTT 3.1.1 3.1.2.10")
    assert found["Client Identifier"] == ("'dev1'", "MQTT 3.1.1 3.1.3.1")
    assert found["Will Topic"] == ("'w/t'", "MQTT 3.1.1 3.1.3.2")
    assert found["Will Message"] == ("00 01", "MQTT 3.1.1 3.1.3.3")
    assert found["User Name"] == ("'user'", "MQTT 3.1.1 3.1.3.4")
    assert found["Password"] == ("(6 octets)", "MQTT 3.1.1 3.1.3.5")


def test_a_packet_of_3_1_is_named_so() -> None:
    packet = one(encode(Connect(3, True, 60, "dev1"), 3))
    assert {field.clause.rpartition(" ")[0] for field in packet.fields} == {"MQTT 3.1"}


def test_properties_have_the_clause_of_their_packet() -> None:
    properties = Properties(user_properties=[("a", "b")], reason_string="w", session_expiry_interval=5)
    packet = one(encode(Connack(False, 0, properties), 5), 5)
    clauses = {field.name: field.clause for field in packet.fields}
    assert clauses["User Property"] == "MQTT 5.0 3.2.2.3.10"
    assert clauses["Reason String"] == "MQTT 5.0 3.2.2.3.9"
    assert clauses["Session Expiry Interval"] == "MQTT 5.0 3.2.2.3.2"
    will = Will("t", b"", 0, False, Properties(user_properties=[("a", "b")]))
    connect = one(encode(Connect(5, True, 0, "a", will), 5))
    assert "MQTT 5.0 3.1.3.2.8" in [field.clause for field in connect.fields if field.name == "User Property"]


def test_subscription_options_bit_by_bit() -> None:
    packet = one(encode(Subscribe(1, [SubscriptionRequest("a/#", 2, True, True, 1)]), 5), 5)
    notes = {field.name: (field.value, field.note) for field in packet.fields if field.clause.endswith("3.8.3.1")}
    assert notes == {
        "Reserved": ("00", "bits 7-6"),
        "Retain Handling": ("1 (send retained messages only when the subscription is new)", "bits 5-4"),
        "Retain As Published": ("1", "bit 3"),
        "No Local": ("1", "bit 2"),
        "Maximum QoS": ("2 (exactly once)", "bits 1-0"),
    }


@pytest.mark.parametrize("vector", VECTORS, ids=[vector.name for vector in VECTORS])
def test_fields_cover_every_octet_of_every_packet(vector: Vector) -> None:
    octets = vector.octets
    for version in vector.versions:
        packet = one(octets, version)
        assert packet.fault is None
        assert packet.length == len(octets)
        covered = 0
        for field in packet.fields:
            assert field.offset in (covered, covered - 1)  # several fields may share an octet
            covered = max(covered, field.offset + field.length)
            assert field.clause
        assert covered == len(octets)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_faults_are_named_with_their_clause(fault: faults.Fault) -> None:
    for version in fault.versions:
        packet = dissect(fault.octets, version, fault.from_server)[-1]
        assert packet.fault
        assert packet.fault_code == fault.code
        assert bool(packet.fault_clause) == bool(fault.clause)
        if version == 5:
            assert packet.fault_clause == fault.clause or packet.version != 5
        elif packet.version == version:
            assert not packet.fault_clause.startswith(("MQTT-", "MQTT 5.0"))


def test_several_packets_follow_the_connect() -> None:
    octets = encode(Connect(4, True, 60, "a"), 4) + b"\x30\x06\x00\x03a/b\x00" + b"\xe0\x00"
    packets = dissect(octets)
    assert [(packet.name, packet.offset, packet.version) for packet in packets] == [
        ("CONNECT", 0, 4),
        ("PUBLISH", 15, 4),
        ("DISCONNECT", 23, 4),
    ]
    assert not any(packet.assumed_version for packet in packets)


def test_without_connect_the_version_that_fits_is_assumed() -> None:
    old, new = one(b"\x30\x0a\x00\x03a/bhello"), one(b"\x30\x0b\x00\x03a/b\x00hello")
    assert (old.version, old.assumed_version, new.version, new.assumed_version) == (4, True, 5, True)


def test_an_incomplete_packet() -> None:
    packet = one(b"\x30\x0a\x00\x03a/b", 4)
    assert packet.fault == "the packet is incomplete: 5 octets of it are missing"
    assert "Topic Name" in [field.name for field in packet.fields]
    assert one(b"\x30\x06\x00\x03a/b", 4).fault == "the packet is incomplete: 1 octet of it is missing"
    assert one(b"\x30", 4).fault
    assert one(b"\x30\x80", 4).fault


def test_what_follows_a_faulty_packet_is_dissected_too() -> None:
    packets = dissect(b"\x36\x05\x00\x03a/b" + b"\xc0\x00", 4)
    assert [(packet.name, packet.fault) for packet in packets] == [("PUBLISH", "PUBLISH has QoS 3"), ("PINGREQ", None)]


@pytest.mark.parametrize("length", [0, 1, 5, 12])
def test_no_secret_is_shown_even_of_a_broken_packet(length: int) -> None:
    octets = encode(Connect(5, True, 60, "a", None, "u", b"hunter2hunter2", Properties()), 5)
    auth = encode(Auth(0x18, Properties(authentication_method="K", authentication_data=b"hunter2hunter2")), 5)
    for broken in (octets, octets[: len(octets) - length], auth, auth[: len(auth) - length]):
        for packet in dissect(broken, 5):
            assert not any("hunter" in field.value for field in packet.fields)
            assert "hunter" not in (packet.fault or "")
    # One octet too many in the Remaining Length of the user name: the password is left unread.
    shifted = octets.replace(b"\x00\x01u", b"\x00\x7fu")
    assert not any("hunter" in field.value for packet in dissect(shifted) for field in packet.fields)


def test_long_values_are_cut() -> None:
    packet = one(encode(Publish("t" * 1000, b"\xff" * 1000), 4), 4)
    assert all(len(field.value) < 300 for field in packet.fields)
    assert "1000 octets" in packet.fields[-1].note
    assert len(one(encode(Publish("t", b"x" * 1000), 4), 4).fields[-1].value) < 300


@given(
    octets=st.binary(max_size=120), version=st.sampled_from([0, 3, 4, 5]), sender=st.sampled_from([None, False, True])
)
def test_whatever_the_octets_nothing_is_raised(octets: bytes, version: int, sender: bool | None) -> None:
    packets = dissect(octets, version, sender)
    assert sum(packet.length for packet in packets) == len(octets)


@given(
    vector=st.sampled_from(VECTORS),
    place=st.integers(0, 200),
    value=st.integers(0, 255),
    version=st.sampled_from([0, 3, 4, 5]),
)
def test_mutated_packets(vector: Vector, place: int, value: int, version: int) -> None:
    octets = bytearray(vector.octets)
    octets[place % len(octets)] = value
    packets = dissect(bytes(octets), version)
    assert sum(packet.length for packet in packets) == len(octets)
