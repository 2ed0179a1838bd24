"""Composite types: what is written has every field, what is read may have fewer, and wrong fields are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.codec.v1.composites import Composite, Error
from bridgehead.protocols.amqp.codec.v1.decode import NAMES, composite_of, decode_composite, decode_performative
from bridgehead.protocols.amqp.codec.v1.encode import encode
from bridgehead.protocols.amqp.codec.v1.errors import DECODE_ERROR, INVALID_FIELD, AmqpError
from bridgehead.protocols.amqp.codec.v1.performatives import Begin, Close, Flow, Open, Transfer
from bridgehead.protocols.amqp.codec.v1.reader import decode_value
from bridgehead.protocols.amqp.codec.v1.sasl import SaslInit, SaslMechanisms, SaslResponse
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, RELEASED, Declared, TransactionalState
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, UByte, UInt, ULong
from bridgehead.protocols.amqp.codec.v1.writer import encode_value
from tests.amqp.codec import strategies

clause = pytest.mark.clause
# The fields of each composite in the standard.
FIELDS = {
    "open": 10,
    "begin": 8,
    "attach": 14,
    "flow": 11,
    "transfer": 11,
    "disposition": 6,
    "detach": 3,
    "end": 1,
    "close": 1,
    "error": 3,
    "received": 2,
    "accepted": 0,
    "rejected": 1,
    "released": 0,
    "modified": 3,
    "source": 11,
    "target": 7,
    "coordinator": 1,
    "declare": 1,
    "discharge": 2,
    "declared": 1,
    "transactional-state": 2,
    "sasl-mechanisms": 1,
    "sasl-init": 3,
    "sasl-challenge": 1,
    "sasl-response": 1,
    "sasl-outcome": 2,
}


@clause(
    *[f"AMQP-2.7.{number}" for number in range(1, 10)],
    *[f"AMQP-3.4.{number}" for number in range(1, 6)],
    *[f"AMQP-5.3.3.{number}" for number in range(1, 6)],
    *["AMQP-2.8.14", "AMQP-3.5.3", "AMQP-3.5.4", "AMQP-4.5.1", "AMQP-4.5.2", "AMQP-4.5.3", "AMQP-4.5.5", "AMQP-4.5.6"],
    "AMQP-1.4",
    "AMQP-1.5",
    "AMQP-2.8.1",
    "AMQP-2.8.4",
    "AMQP-5.3.3.6",
)
@given(strategies.composites)
def test_every_composite_comes_back_and_has_all_its_fields(value: Composite) -> None:
    octets = encode(value)
    assert decode_composite(octets) == (value, len(octets))
    described, _ = decode_value(octets)
    assert isinstance(described, Described)
    assert isinstance(described.value, list)
    assert len(described.value) == FIELDS[NAMES[int(value.code)]]
    assert repr(value)


@clause("AMQP-1.4")
@given(strategies.composites)
def test_trailing_nulls_may_be_left_out(value: Composite) -> None:
    described, _ = decode_value(encode(value))
    assert isinstance(described, Described)
    assert isinstance(described.value, list)
    fields: list[object] = list(described.value)
    while fields and fields[-1] is None:
        del fields[-1]
    trimmed = encode_value(Described(described.descriptor, fields))
    assert decode_composite(trimmed) == (value, len(trimmed))


@clause("AMQP-1.5")
@given(strategies.composites)
def test_a_descriptor_may_be_a_symbol(value: Composite) -> None:
    described, _ = decode_value(encode(value))
    assert isinstance(described, Described)
    name = Symbol(f"amqp:{NAMES[int(value.code)]}:list")
    octets = encode_value(Described(name, described.value))
    assert decode_composite(octets) == (value, len(octets))
    # In eight octets, as a peer may write it.
    wide = b"\x00\x80" + int(value.code).to_bytes(8, "big") + encode_value(described.value)
    assert decode_composite(wide) == (value, len(wide))


@clause("AMQP-1.4")
@given(st.data(), strategies.composites)
def test_a_field_of_another_type_or_too_many(data: st.DataObject, value: Composite) -> None:
    described, _ = decode_value(encode(value))
    assert isinstance(described, Described)
    assert isinstance(described.value, list)
    fields: list[object] = [*described.value]
    with pytest.raises(AmqpError):
        decode_composite(encode_value(Described(described.descriptor, [*fields, None])))
    if fields:
        fields[data.draw(st.integers(0, len(fields) - 1))] = data.draw(strategies.simple)
        condition = DECODE_ERROR
        try:
            decode_composite(encode_value(Described(described.descriptor, fields)))
        except AmqpError as fault:
            condition = fault.condition
        assert condition in (DECODE_ERROR, INVALID_FIELD)


MANDATORY = [
    (0x10, [], "open has no container-id"),
    (0x11, [None, None], "begin has no next-outgoing-id"),
    (0x12, ["name"], "attach has no handle"),
    (0x12, ["name", UInt(0)], "attach has no role"),
    (0x13, [None, UInt(1), None], "flow has no next-outgoing-id"),
    (0x14, [], "transfer has no handle"),
    (0x15, [], "disposition has no role"),
    (0x15, [True], "disposition has no first"),
    (0x16, [], "detach has no handle"),
    (0x1D, [], "error has no condition"),
    (0x23, [UInt(1)], "received has no section-offset"),
    (0x32, [], "discharge has no txn-id"),
    (0x33, [], "declared has no txn-id"),
    (0x34, [None], "transactional-state has no txn-id"),
    (0x40, [], "sasl-mechanisms has no sasl-server-mechanisms"),
    (0x41, [], "sasl-init has no mechanism"),
    (0x42, [], "sasl-challenge has no challenge"),
    (0x44, [], "sasl-outcome has no code"),
]


@clause("AMQP-1.4", "AMQP-2.8.15")
@pytest.mark.parametrize(("code", "fields", "text"), MANDATORY)
def test_mandatory_fields(code: int, fields: list[object], text: str) -> None:
    with pytest.raises(AmqpError, match=text) as fault:
        decode_composite(encode_value(Described(ULong(code), fields)))
    assert fault.value.condition == INVALID_FIELD


WRONG = [
    ("an open with a symbol as its name", 0x10, [Symbol("c")]),
    ("a delivery-tag of 33 octets", 0x14, [UInt(0), UInt(0), bytes(33)]),
    ("a sender's settle mode of 3", 0x12, ["l", UInt(0), True, UByte(3)]),
    ("a receiver's settle mode of 2", 0x12, ["l", UInt(0), True, UByte(0), UByte(2)]),
    ("an error that is none", 0x18, [Described(ULong(0x24), [])]),
    ("a state that is an error", 0x15, [True, UInt(0), None, None, Described(ULong(0x1D), [Symbol("a")])]),
    ("unsettled by text", 0x12, ["l", UInt(0), True, None, None, None, None, {"tag": None}]),
    ("unsettled with no state", 0x12, ["l", UInt(0), True, None, None, None, None, {b"tag": 1}]),
    ("capabilities of text", 0x10, ["c", None, None, None, None, "en"]),
    ("a map for the list", 0x10, {}),
]


@clause("AMQP-1.4", "AMQP-2.8.2", "AMQP-2.8.3", "AMQP-2.8.7")
@pytest.mark.parametrize(("code", "fields"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong_fields(code: int, fields: object) -> None:
    with pytest.raises(AmqpError):
        decode_composite(encode_value(Described(ULong(code), fields)))


@clause("AMQP-1.4", "AMQP-1.5", "AMQP-2.3.2")
def test_unknown_descriptors() -> None:
    unknown = Described(ULong(0x99), [])
    assert composite_of(unknown) is unknown
    # A terminus, a filter, an address of a kind that nobody knows is the caller's to judge.
    source = Source(address=Described(Symbol("example:address"), "a"), filter={Symbol("f"): unknown})
    assert decode_composite(encode(source))[0] == source
    for octets in (encode_value(unknown), encode_value(1), encode(ACCEPTED)):
        with pytest.raises(AmqpError, match="no performative"):
            decode_performative(octets, 0, len(octets))
    with pytest.raises(AmqpError, match="no composite"):
        decode_composite(encode_value("text"))


def test_one_symbol_or_an_array_of_them() -> None:
    alone = encode_value(Described(ULong(0x40), [Symbol("PLAIN")]))
    assert decode_composite(alone)[0] == SaslMechanisms([Symbol("PLAIN")])


def test_a_field_that_is_a_symbol_is_plain_text() -> None:
    closed, _ = decode_composite(encode(Close(Error("amqp:not-found"))))
    assert isinstance(closed, Close)
    assert closed.error is not None
    assert type(closed.error.condition) is str


def test_accepted_and_released_are_one_value_each() -> None:
    assert decode_composite(encode(ACCEPTED))[0] is ACCEPTED
    assert decode_composite(encode(RELEASED))[0] is RELEASED
    state, _ = decode_composite(encode(TransactionalState(b"t", ACCEPTED)))
    assert isinstance(state, TransactionalState)
    assert state.outcome is ACCEPTED


@clause("AMQP-2.7.1", "AMQP-2.7.2", "AMQP-3.5.3")
def test_the_standard_s_defaults() -> None:
    opened, _ = decode_composite(encode_value(Described(ULong(0x10), ["c"])))
    assert opened == Open("c", None, 4_294_967_295, 65_535)
    begun, _ = decode_composite(encode_value(Described(ULong(0x11), [None, UInt(0), UInt(1), UInt(2)])))
    assert begun == Begin(-1, 0, 1, 2, 4_294_967_295)
    source, _ = decode_composite(encode_value(Described(ULong(0x28), [])))
    assert source == Source(None, 0, "session-end", 0, False)


def test_no_secret_is_shown() -> None:
    for value in (SaslInit("PLAIN", b"\0user\0hunter2"), SaslResponse(b"hunter2")):
        assert "hunter2" not in repr(value)


@pytest.mark.parametrize(
    "value", [Transfer(-5), Flow(0, 1 << 32, 0, 0), Begin(65_536, 0, 0, 0), Close(Error("é")), Open("\ud800")]
)
def test_our_own_mistakes(value: Composite) -> None:
    with pytest.raises(LocalMisuse):
        encode(value)


def test_values_of_different_types_differ() -> None:
    assert Declared(b"a") != TransactionalState(b"a")
    assert ACCEPTED != RELEASED
