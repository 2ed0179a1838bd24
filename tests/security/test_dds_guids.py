"""Whose a participant is, by its GUID."""

from __future__ import annotations

import pytest

from bridgehead.security.dds.guids import OCTETS, device_guid_prefix


@pytest.mark.clause("DDSSEC-9.3.3")
@pytest.mark.parametrize(("name", "octets"), [("robot", "cc1ac5ea7fe9"), ("viewer", "fec30694685f")])
def test_the_octets_are_those_that_cyclone_dds_chose(name: str, octets: str) -> None:
    assert device_guid_prefix(name).hex() == octets


def test_the_first_bit_is_one() -> None:
    assert all(len(device_guid_prefix(f"device-{number}")) == OCTETS for number in range(3))
    assert all(device_guid_prefix(f"device-{number}")[0] & 0x80 for number in range(50))
