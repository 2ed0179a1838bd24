"""Devices behind GUIDs. Against the real library: tests/dds/security/test_between_participants.py."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security.dds import guids
from bridgehead.security.dds.guids import (
    OCTETS,
    certificate_guid_prefix,
    device_guid_prefix,
    devices_by_guid,
    guid_prefix,
    low_name,
)
from bridgehead.security.identity.identity import Identity
from bridgehead.security.records import is_name
from tests.security.support import dds_identity


@pytest.mark.clause("DDSSEC-9.3.3")
@given(subject=st.binary(min_size=1, max_size=200))
def test_the_first_bit_is_one_and_47_bits_are_the_hash_s(subject: bytes) -> None:
    bits = "".join(f"{octet:08b}" for octet in guid_prefix(subject))
    digest = "".join(f"{octet:08b}" for octet in hashlib.sha256(subject).digest())
    assert bits == "1" + digest[:47]


@pytest.mark.clause("RTPS-8.2.4.1")
def test_a_device_s_identity_has_the_prefix_of_its_name(identity: Identity) -> None:
    made = dds_identity(identity, "robot-1")
    assert certificate_guid_prefix(made.certificate) == device_guid_prefix("robot-1")
    assert devices_by_guid(["robot-1", "robot-2"])[device_guid_prefix("robot-1")] == "robot-1"


def test_two_names_with_one_prefix_are_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = guids.device_guid_prefix
    alike = honest("victim")
    monkeypatch.setattr(guids, "device_guid_prefix", lambda name: alike if name == "made-to-fit" else honest(name))
    assert devices_by_guid(["victim", "made-to-fit", "other"]) == {honest("other"): "other"}
    assert devices_by_guid(["made-to-fit", "other", "victim"]) == {honest("other"): "other"}


@pytest.mark.parametrize("bits", [1, 8, 12])
def test_a_low_name_is_low_and_no_device_s(bits: int) -> None:
    name = low_name("Some Hub", bits)
    assert not is_name(name)
    assert name.startswith("Some Hub ")
    value = int.from_bytes(device_guid_prefix(name))
    assert value < 1 << 47 | 1 << (47 - bits)
    assert len(device_guid_prefix(name)) == OCTETS
