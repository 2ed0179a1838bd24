"""Values, composites and frames of AMQP 1.0 as hypothesis makes them."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.composites import Composite, DeliveryState, Error, Performative
from bridgehead.protocols.amqp.codec.v1.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from bridgehead.protocols.amqp.codec.v1.sasl import (
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
)
from bridgehead.protocols.amqp.codec.v1.states import (
    ACCEPTED,
    RELEASED,
    Declare,
    Declared,
    Discharge,
    Modified,
    Received,
    Rejected,
    TransactionalState,
)
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator, Source, Target
from bridgehead.protocols.amqp.codec.v1.types import (
    Array,
    Byte,
    Char,
    Decimal,
    Described,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    Uuid,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
symbols = st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol)
binaries = st.binary(max_size=300)
uints = st.integers(0, 4_294_967_295)
optional_uints = st.integers(-1, 4_294_967_295)
ulongs = st.integers(0, (1 << 64) - 1)
characters = st.integers(0, 0x10FFFF).filter(lambda number: not 0xD800 <= number <= 0xDFFF)
doubles = st.binary(min_size=8, max_size=8).map(lambda octets: struct.unpack(">d", octets)[0])

# Every primitive type but lists, maps and arrays, by one or several of its encodings.
scalars: dict[int, st.SearchStrategy[object]] = {
    0x56: st.booleans(),
    0x50: st.integers(0, 255).map(UByte),
    0x60: st.integers(0, 65_535).map(UShort),
    0x70: uints.map(UInt),
    0x80: ulongs.map(ULong),
    0x51: st.integers(-128, 127).map(Byte),
    0x61: st.integers(-32_768, 32_767).map(Short),
    0x71: st.integers(-(1 << 31), (1 << 31) - 1).map(Int),
    0x81: st.integers(-(1 << 63), (1 << 63) - 1),
    0x72: st.binary(min_size=4, max_size=4).map(Float),
    0x82: doubles.filter(lambda number: number == number),
    0x74: st.binary(min_size=4, max_size=4).map(Decimal),
    0x84: st.binary(min_size=8, max_size=8).map(Decimal),
    0x94: st.binary(min_size=16, max_size=16).map(Decimal),
    0x73: characters.map(Char),
    0x83: st.integers(-(1 << 63), (1 << 63) - 1).map(Timestamp),
    0x98: st.binary(min_size=16, max_size=16).map(Uuid),
    0xA0: st.binary(max_size=255),
    0xB0: binaries,
    0xA1: st.text(st.characters(max_codepoint=127), max_size=255),
    0xB1: texts,
    0xA3: st.text(st.characters(max_codepoint=127), max_size=255).map(Symbol),
    0xB3: symbols,
    0x52: st.integers(0, 255).map(UInt),
    0x53: st.integers(0, 255).map(ULong),
    0x54: st.integers(-128, 127).map(Int),
    0x55: st.integers(-128, 127),
    0x40: st.none(),
    0x41: st.just(True),
    0x42: st.just(False),
    0x43: st.just(UInt(0)),
    0x44: st.just(ULong(0)),
}
simple = st.one_of(list(scalars.values()))
# Keys that Python tells apart as AMQP does: numbers of one kind, no text that is both a string and a symbol.
keys = st.one_of(uints.map(UInt), ulongs.map(ULong), binaries, texts)
arrays = st.sampled_from(sorted(scalars)).flatmap(
    lambda code: st.lists(scalars[code], max_size=5).map(lambda items: Array(code, items))
)


def compounds(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    described = st.builds(Described, st.one_of(ulongs.map(ULong), symbols), inner)
    lists = st.lists(inner, max_size=4)
    maps = st.dictionaries(keys, inner, max_size=4)
    arrays_of_lists = st.lists(lists, max_size=3).map(lambda items: Array(0xD0, list(items)))
    arrays_of_maps = st.lists(maps, max_size=3).map(lambda items: Array(0xD1, list(items)))
    arrays_of_arrays = st.lists(arrays, max_size=3).map(lambda items: Array(0xF0, list(items)))
    described_arrays = st.lists(st.text(max_size=3), max_size=3).map(
        lambda items: Array(0xA1, list(items), [Symbol("example:text:string")])
    )
    return st.one_of(described, lists, maps, arrays_of_lists, arrays_of_maps, arrays_of_arrays, described_arrays)


values = st.recursive(st.one_of(simple, arrays), compounds, max_leaves=12)

short_symbols = st.sampled_from([Symbol("amqp:accepted:list"), Symbol("x"), Symbol("")])
capabilities = st.lists(short_symbols, max_size=3)
fields = st.none() | st.dictionaries(short_symbols, simple, max_size=3)
short_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.none() | short_texts
tags = st.binary(max_size=32)
errors = st.builds(Error, short_symbols, names, fields)
outcomes: st.SearchStrategy[DeliveryState] = st.one_of(
    st.just(ACCEPTED),
    st.just(RELEASED),
    st.builds(Rejected, st.none() | errors),
    st.builds(Modified, st.booleans(), st.booleans(), fields),
)
states: st.SearchStrategy[DeliveryState] = st.one_of(
    outcomes,
    st.builds(Received, uints, ulongs),
    st.builds(Declared, tags),
    st.builds(TransactionalState, tags, st.none() | outcomes),
)
policies = st.sampled_from(["link-detach", "session-end", "connection-close", "never"])
sources = st.builds(
    Source,
    names,
    uints,
    policies,
    uints,
    st.booleans(),
    fields,
    st.none() | short_symbols,
    fields,
    st.none() | outcomes,
    capabilities,
    capabilities,
)
targets = st.builds(Target, names, uints, policies, uints, st.booleans(), fields, capabilities)
flags = st.booleans()
flows = st.builds(
    Flow,
    optional_uints,
    uints,
    uints,
    uints,
    optional_uints,
    optional_uints,
    optional_uints,
    optional_uints,
    flags,
    flags,
    fields,
)
transfers = st.builds(
    Transfer,
    uints,
    optional_uints,
    st.none() | tags,
    optional_uints,
    st.integers(-1, 1),
    flags,
    st.integers(-1, 1),
    st.none() | states,
    flags,
    flags,
    flags,
)
dispositions = st.builds(Disposition, flags, uints, optional_uints, flags, st.none() | states, flags)
performatives: st.SearchStrategy[Performative] = st.one_of(
    flows,
    transfers,
    dispositions,
    st.builds(
        Open,
        short_texts,
        names,
        uints,
        st.integers(0, 65_535),
        optional_uints,
        capabilities,
        capabilities,
        capabilities,
        capabilities,
        fields,
    ),
    st.builds(Begin, st.integers(-1, 65_535), uints, uints, uints, uints, capabilities, capabilities, fields),
    st.builds(
        Attach,
        short_texts,
        uints,
        flags,
        st.integers(0, 2),
        st.integers(0, 1),
        st.none() | sources,
        st.none() | targets | st.builds(Coordinator, capabilities),
        st.none() | st.dictionaries(tags, st.none() | states, max_size=3),
        flags,
        optional_uints,
        st.integers(-1, (1 << 64) - 1),
        capabilities,
        capabilities,
        fields,
    ),
    st.builds(Detach, uints, flags, st.none() | errors),
    st.builds(End, st.none() | errors),
    st.builds(Close, st.none() | errors),
)
sasl_frames: st.SearchStrategy[Performative] = st.one_of(
    st.builds(SaslMechanisms, capabilities),
    st.builds(SaslInit, short_symbols, st.none() | tags, names),
    st.builds(SaslChallenge, tags),
    st.builds(SaslResponse, tags),
    st.builds(SaslOutcome, st.integers(0, 255), st.none() | tags),
)
composites: st.SearchStrategy[Composite] = st.one_of(
    performatives,
    sasl_frames,
    sources,
    targets,
    errors,
    states,
    st.builds(Declare, st.none() | tags),
    st.builds(Discharge, tags, flags),
)
