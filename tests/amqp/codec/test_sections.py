"""The message format (3.2): sections in order, their contents, and what is no message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.errors import AmqpError
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_SEQUENCE,
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    DATA,
    DELIVERY_ANNOTATIONS,
    FOOTER,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    Header,
    Properties,
    Sections,
    data_at,
    put_data,
    put_header,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, UInt, ULong, Uuid
from bridgehead.protocols.amqp.codec.v1.writer import encode_value
from tests.amqp.codec import strategies

clause = pytest.mark.clause
identifiers = st.one_of(
    st.none(),
    strategies.short_texts,
    strategies.tags,
    strategies.ulongs.map(ULong),
    st.binary(min_size=16, max_size=16).map(Uuid),
)
times = st.none() | st.integers(-(1 << 63), (1 << 63) - 1)
headers = st.builds(
    Header, st.booleans(), st.integers(0, 255), strategies.optional_uints, st.booleans(), strategies.uints
)
properties = st.builds(
    Properties,
    identifiers,
    st.none() | strategies.tags,
    strategies.names,
    strategies.names,
    strategies.names,
    identifiers,
    st.none() | strategies.short_symbols,
    st.none() | strategies.short_symbols,
    times,
    times,
    strategies.names,
    strategies.optional_uints,
    strategies.names,
)
annotation_maps = st.dictionaries(strategies.short_symbols, strategies.values, max_size=3)
application = st.dictionaries(strategies.short_texts, strategies.simple, max_size=3)


def fields(value: Header | Properties) -> dict[str, object]:
    names = [name for name in dir(value) if not name.startswith("_")]
    return {name: getattr(value, name) for name in names}


@clause(*[f"AMQP-3.2.{number}" for number in range(1, 16)], "AMQP-3.2")
@given(headers, annotation_maps, annotation_maps, properties, application, st.data())
def test_every_section(
    header: Header,
    deliveries: dict[Symbol, object],
    messages: dict[Symbol, object],
    told: Properties,
    users: dict[str, object],
    data: st.DataObject,
) -> None:
    parts = {
        HEADER: put_header(header),
        DELIVERY_ANNOTATIONS: put_section(DELIVERY_ANNOTATIONS, deliveries),
        MESSAGE_ANNOTATIONS: put_section(MESSAGE_ANNOTATIONS, messages),
        PROPERTIES: put_properties(told),
        APPLICATION_PROPERTIES: put_section(APPLICATION_PROPERTIES, users),
    }
    kind = data.draw(st.sampled_from([DATA, AMQP_SEQUENCE, AMQP_VALUE]))
    bodies: list[object]
    if kind == DATA:
        octets = data.draw(st.lists(strategies.binaries, min_size=1, max_size=3))
        bodies = list(octets)
        parts[kind] = b"".join([put_data(each) for each in octets])
    elif kind == AMQP_SEQUENCE:
        bodies = list(data.draw(st.lists(st.lists(strategies.values, max_size=3), min_size=1, max_size=3)))
        parts[kind] = b"".join([put_section(kind, each) for each in bodies])
    else:
        bodies = [data.draw(strategies.values)]
        parts[kind] = put_section(kind, bodies[0])
    parts[FOOTER] = put_section(FOOTER, messages)
    left_out = data.draw(st.lists(st.sampled_from(sorted(set(parts) - {kind}))))
    payload = b"".join([part for code, part in parts.items() if code not in left_out])

    found = Sections(payload)
    assert found.body == kind
    assert found.values() == bodies
    if kind == DATA:
        assert found.data() == b"".join(each for each in bodies if isinstance(each, bytes))
    assert fields(found.header()) == fields(Header() if HEADER in left_out else header)
    assert fields(found.properties()) == fields(Properties() if PROPERTIES in left_out else told)
    assert found.annotations(DELIVERY_ANNOTATIONS) == ({} if DELIVERY_ANNOTATIONS in left_out else deliveries)
    assert found.annotations(MESSAGE_ANNOTATIONS) == ({} if MESSAGE_ANNOTATIONS in left_out else messages)
    assert found.annotations(FOOTER) == ({} if FOOTER in left_out else messages)
    assert found.application_properties() == ({} if APPLICATION_PROPERTIES in left_out else users)
    assert found.without([]) == payload
    for code, part in parts.items():
        assert found.has(code) is (code not in left_out)
        assert found.octets(code) == (b"" if code in left_out else part)
    assert Sections(found.without([kind])).body == 0


@clause("AMQP-3.2.6")
@given(st.binary(max_size=400))
def test_a_data_section_alone_needs_no_search(body: bytes) -> None:
    payload = put_data(body)
    at = data_at(payload)
    assert payload[at:] == body
    for other in (payload[:-1], payload + b"\x00", payload + payload, put_header(Header()) + payload, b""):
        assert data_at(other) == -1
    assert data_at(b"\x00\x53\x75\xb0" + len(body).to_bytes(4, "big") + body) == 8


def section(code: int, value: object) -> bytes:
    return b"\x00\x53" + bytes([code]) + encode_value(value)


FAULTS = {
    "an unknown section": section(0x79, {}),
    "a performative": section(0x14, []),
    "a wide descriptor out of range": b"\x00\x80" + b"\xff" * 8 + b"\x40",
    "no description": encode_value("text"),
    "a compound descriptor": b"\x00\x45\x40",
    "a header twice": put_header(Header()) * 2,
    "properties before the header": put_properties(Properties()) + put_header(Header()),
    "properties after the body": put_data(b"") + put_properties(Properties()),
    "two values": section(AMQP_VALUE, 1) * 2,
    "a value after data": put_data(b"") + section(AMQP_VALUE, 1),
    "data after a value": section(AMQP_VALUE, 1) + put_data(b""),
    "data after a footer": put_data(b"") + section(FOOTER, {}) + put_data(b""),
    "a length that lies": b"\x00\x53\x75\xb0\xff\xff\xff\xff",
    "cut short": put_data(b"abc")[:-1],
    "a descriptor alone": b"\x00\x53\x75",
}


@clause("AMQP-3.2")
@pytest.mark.parametrize("payload", FAULTS.values(), ids=FAULTS)
def test_no_message(payload: bytes) -> None:
    with pytest.raises(AmqpError):
        Sections(payload)


@clause("AMQP-3.2.5", "AMQP-3.2.10")
def test_contents_of_another_type() -> None:
    with pytest.raises(AmqpError, match="no list"):
        Sections(section(HEADER, {})).header()
    with pytest.raises(AmqpError, match="no list"):
        Sections(section(PROPERTIES, {})).properties()
    with pytest.raises(AmqpError, match="creation-time"):
        Sections(section(PROPERTIES, [None] * 9 + [UInt(1)])).properties()
    with pytest.raises(AmqpError, match="14 fields"):
        Sections(section(PROPERTIES, [None] * 14)).properties()
    with pytest.raises(AmqpError, match="a map holds"):
        Sections(section(MESSAGE_ANNOTATIONS, [])).annotations(MESSAGE_ANNOTATIONS)
    with pytest.raises(AmqpError, match="no symbol"):
        Sections(section(MESSAGE_ANNOTATIONS, {"text": 1})).annotations(MESSAGE_ANNOTATIONS)
    wrongs: list[object] = [{Symbol("a"): 1}, {"a": []}, {"a": {}}, {"a": Described(ULong(1), 1)}]
    for wrong in wrongs:
        with pytest.raises(AmqpError, match="application-propert"):
            Sections(section(APPLICATION_PROPERTIES, wrong)).application_properties()
    with pytest.raises(AmqpError, match="no binary"):
        Sections(section(DATA, "text")).data()
    with pytest.raises(AmqpError, match="no list"):
        Sections(section(AMQP_SEQUENCE, 1)).values()


def test_descriptors_in_other_forms() -> None:
    payload = encode_value(Described(Symbol("amqp:data:binary"), b"a")) + b"\x00\x80" + bytes(7) + b"\x75\xa0\x01b"
    assert Sections(payload).data() == b"ab"


@given(st.binary(max_size=60))
def test_only_an_amqp_error_whatever_comes(rest: bytes) -> None:
    for payload in (rest, put_header(Header()) + rest, b"\x00\x53\x72" + rest, b"\x00\x53\x77" + rest):
        text = "a message"
        try:
            found = Sections(payload)
            found.values()
            found.header()
            found.properties()
            found.annotations(MESSAGE_ANNOTATIONS)
            found.application_properties()
            found.data()
        except AmqpError as fault:
            text = fault.text
        assert text


def test_a_message_may_be_empty() -> None:
    assert Sections(b"").body == 0
    assert Sections(b"").data() == b""
    assert fields(Sections(b"").header()) == fields(Header())
