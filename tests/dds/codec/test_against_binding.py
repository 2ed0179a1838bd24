"""The codec against the serialiser of Cyclone's binding: random types and values, both ways, both byte orders."""

from __future__ import annotations

from typing import Any

import pytest
from cyclonedds.idl._support import Endianness
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.errors import CdrError
from bridgehead.protocols.dds.codec.stream import XCDR1, XCDR2
from bridgehead.protocols.dds.codec.types import Struct
from bridgehead.protocols.dds.idl import from_binding
from tests.dds.codec.kinds import Kind, structs

EXAMPLES = 2000 if settings.get_current_profile_name() == "slow" else 50


def codec_of(kind: Kind) -> Codec:
    described = from_binding(kind.hint)
    assert isinstance(described, Struct)
    return Codec(described)


def both_ways(kind: Kind, value: Any, representation: int) -> None:
    codec = codec_of(kind)
    python = kind.python(value)
    for order in (Endianness.Little, Endianness.Big):
        theirs = python.serialize(use_version_2=representation == XCDR2, endianness=order)
        assert codec.decode(theirs) == value
    ours = codec.encode(value, representation)
    theirs = python.serialize(use_version_2=representation == XCDR2, endianness=Endianness.Little)
    again = kind.hint.deserialize(ours)
    assert again.serialize(use_version_2=representation == XCDR2, endianness=Endianness.Little) == theirs
    assert len(ours) % 4 == 0
    assert ours[:2] == theirs[:2]
    if not kind.mutable:
        padding = ours[3]
        assert ours[4 : len(ours) - padding] == theirs[4:]


@pytest.mark.clause("XTYPES-7.4.1")
@settings(max_examples=EXAMPLES)
@given(st.data())
def test_final_types_in_plain_cdr(data: st.DataObject) -> None:
    kind = data.draw(structs(2, "final", optional=False).filter(lambda kind: kind.v1))
    both_ways(kind, data.draw(kind.values), XCDR1)


@pytest.mark.clause("XTYPES-7.4.2")
@settings(max_examples=EXAMPLES)
@given(st.data())
@pytest.mark.clause("XTYPES-7.4.3.5")
def test_all_types_in_version_2(data: st.DataObject) -> None:
    kind = data.draw(structs(2))
    both_ways(kind, data.draw(kind.values), XCDR2)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_cut_octets_are_refused_and_changed_ones_raise_nothing_else(data: st.DataObject) -> None:
    kind = data.draw(structs(2))
    codec = codec_of(kind)
    whole = codec.encode(data.draw(kind.values))
    with_padding = len(whole) - whole[3]
    cut = data.draw(st.integers(0, max(with_padding - 5, 0)))
    try:
        codec.decode(whole[:cut])
    except CdrError:
        pass
    else:
        # Only a mutable part or members that may be missing can end early without a fault.
        assert kind.mutable
    changed = bytearray(whole)
    for _ in range(3):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = codec.decode(bytes(changed))
    except CdrError:
        return
    codec.encode(again)
