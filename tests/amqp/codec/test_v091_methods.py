"""Methods and field tables of AMQP 0-9-1: what pamqp writes is read, and whatever else comes is a fault and no harm."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import base, commands, encode
from pamqp.common import FieldTable
from pamqp.exceptions import PAMQPException

from bridgehead.protocols.amqp.codec.v091.errors import COMMAND_INVALID, SYNTAX_ERROR, ConnectionFault
from bridgehead.protocols.amqp.codec.v091.frames import Decoder
from bridgehead.protocols.amqp.codec.v091.methods import (
    decode_amqplain,
    decode_method,
    decode_secure_ok,
    decode_start_ok,
    decode_update_secret,
    method_frame,
    secure,
)
from bridgehead.protocols.amqp.codec.v091.tables import MOST_VALUES, check_content, check_table
from bridgehead.protocols.amqp.mapping.message_v091 import ContentFault, read_properties

clause = pytest.mark.clause
NESTING = 32
METHODS: list[base.Frame] = [
    commands.Connection.TuneOk(2047, 131_072, 60),
    commands.Connection.Open("/"),
    commands.Connection.Close(200, "bye", 0, 0),
    commands.Channel.Open(),
    commands.Channel.Close(404, "NOT_FOUND", 50, 10),
    commands.Exchange.Declare(0, "ex", "topic", False, True, False, False, False, {"alternate-exchange": "other"}),
    commands.Exchange.Bind(0, "to", "from", "key", False, {"a": [1, True, {"b": "c"}]}),
    commands.Queue.Declare(0, "q", False, True, False, False, False, {"x-message-ttl": 1000}),
    commands.Queue.Bind(0, "q", "ex", "key", False, {"x-match": "all"}),
    commands.Queue.Unbind(0, "q", "ex", "key", {"x-match": "all"}),
    commands.Queue.Delete(0, "q", True, True, False),
    commands.Basic.Qos(0, 10, True),
    commands.Basic.Consume(0, "q", "tag", False, True, False, False, {"x-priority": 3}),
    commands.Basic.Get(0, "q", True),
    commands.Basic.Nack(7, True, False),
    commands.Basic.Recover(True),
    commands.Tx.Select(),
    commands.Confirm.Select(),
]


def payload_of(method: base.Frame) -> bytes:
    (found,) = Decoder(131_072).feed(method_frame(3, method))
    return found.payload


def decoded(payload: bytes) -> base.Frame | int:
    """The method, or the code of the fault."""
    try:
        return decode_method(payload, NESTING)
    except ConnectionFault as fault:
        return fault.code


def table(*fields: bytes) -> bytes:
    octets = b"".join(fields)
    return struct.pack(">I", len(octets)) + octets


@clause("AMQP091-4.2.4")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_every_method_comes_back(method: base.Frame) -> None:
    got = decode_method(payload_of(method), NESTING)
    assert type(got) is type(method)
    assert dict(got) == dict(method)


@clause("AMQP091-4.2.4")
@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.name))
def test_a_method_that_is_cut_is_a_fault_or_nothing_was_missing(method: base.Frame) -> None:
    payload = payload_of(method)
    for end in range(len(payload)):
        got = decoded(payload[:end])
        assert got == SYNTAX_ERROR or type(got) is type(method)


@clause("AMQP091-4.2.4")
@pytest.mark.parametrize("payload", [b"\x00\x3c\x00\x01", b"\x00\x1e\x00\x0a", b"\xff\xff\xff\xff"])
def test_a_method_that_there_is_not(payload: bytes) -> None:
    with pytest.raises(ConnectionFault, match="no method") as fault:
        decode_method(payload, NESTING)
    assert fault.value.code == COMMAND_INVALID


@clause("AMQP091-4.2.5.5")
@given(st.sampled_from(METHODS), st.binary(max_size=80))
def test_whatever_comes_behind_a_methods_head_harms_nobody(method: base.Frame, octets: bytes) -> None:
    got = decoded(method.index.to_bytes(4, "big") + octets)
    assert got == SYNTAX_ERROR or type(got) is type(method)


# Tables. --------------------------------------------------------------------------------------------

simple = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, width=32)
    | st.binary(max_size=20).map(bytearray)
)
values = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="ascii"), max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)


@clause("AMQP091-4.2.5.5")
@given(st.dictionaries(st.text(st.characters(codec="ascii"), max_size=9), values, max_size=6))
def test_every_table_that_pamqp_writes_is_found_sound(fields: dict[str, Any]) -> None:
    octets = encode.field_table(fields)
    assert check_table(octets, 0, len(octets), NESTING) == len(octets)
    for end in range(len(octets)):
        with pytest.raises(ConnectionFault):
            check_table(octets, 0, end, NESTING)


@clause("AMQP091-4.2.5.5")
@given(st.binary(max_size=60))
def test_what_is_found_sound_is_read_or_refused_and_never_more(octets: bytes) -> None:
    content = b"\x20\x00" + octets
    with contextlib.suppress(ConnectionFault, ContentFault):
        check_content(content, NESTING)
        assert isinstance(read_properties(content), commands.Basic.Properties)


@clause("AMQP091-4.2.5.5")
def test_tables_in_tables_have_a_depth() -> None:
    def nested(depth: int) -> bytes:
        octets = bytes(4)
        for _ in range(depth - 1):
            octets = table(b"\x01aF", octets)
        return octets

    deepest = nested(NESTING)
    assert check_table(deepest, 0, len(deepest), NESTING) == len(deepest)
    deeper = nested(NESTING + 1)
    with pytest.raises(ConnectionFault, match="too deep"):
        check_table(deeper, 0, len(deeper), NESTING)
    abyss = nested(5000)  # 35 KB
    with pytest.raises(ConnectionFault, match="too deep"):
        decode_method(payload_of(commands.Queue.Bind(0, "q", "e", "k"))[:-4] + abyss, NESTING)


@clause("AMQP091-4.2.5.5")
def test_tables_have_a_number_of_values_wherever_these_lie() -> None:
    flat = table(*[b"\x01aV"] * MOST_VALUES)
    assert check_table(flat, 0, len(flat), NESTING) == len(flat)
    more = table(*[b"\x01aV"] * (MOST_VALUES + 1))
    listed = table(b"\x01aA", table(b"V" * MOST_VALUES))
    spread = table(*[b"\x01aF" + table(*[b"\x01aV"] * 31)] * 33)
    for octets in (more, listed, spread):
        with pytest.raises(ConnectionFault, match="more than 1024 values"):
            check_table(octets, 0, len(octets), NESTING)


@clause("AMQP091-4.2.6.1")
@pytest.mark.parametrize("content", [b"", b"\x00", b"\x80\x01", b"\x80\x00\x05ab", b"\x20\x00\x00\x00\x00\x09"])
def test_property_flags_that_promise_what_is_not_there(content: bytes) -> None:
    with pytest.raises(ConnectionFault) as fault:
        check_content(content, NESTING)
    assert fault.value.code == SYNTAX_ERROR


# Log-in. --------------------------------------------------------------------------------------------


@clause("AMQP091-connection.start-ok", "AMQP091-connection.secure-ok", "AMQP091-connection.secure")
def test_log_in_is_octets() -> None:
    """The response need be no text: pamqp would refuse it."""
    response = b"\x00office\xff\x00secret"
    head = payload_of(commands.Connection.StartOk({"product": "x"}, "PLAIN", "", "en_US"))
    at = head.index(b"\x05PLAIN") + 6
    payload = head[:at] + struct.pack(">I", len(response)) + response + head[at + 4 :]
    got = decode_start_ok(payload, NESTING)
    assert (got.mechanism, got.response, got.properties) == ("PLAIN", response, {"product": "x"})
    assert "secret" not in repr(got)
    assert decode_secure_ok(b"\x00\x0a\x00\x15" + struct.pack(">I", 3) + b"\x00\xffa") == b"\x00\xffa"
    for end in range(4, at + 4):
        with pytest.raises(ConnectionFault):
            decode_start_ok(payload[:end], NESTING)
    assert Decoder(4096).feed(secure(b"\xfe"))[0].payload == b"\x00\x0a\x00\x14\x00\x00\x00\x01\xfe"


@clause("AMQP091-connection.update-secret")
def test_a_new_secret_is_octets() -> None:
    assert decode_update_secret(b"\x00\x0a\x00\x46\x00\x00\x00\x03a\xff\x00\x00") == b"a\xff\x00"
    with pytest.raises(ConnectionFault):
        decode_update_secret(b"\x00\x0a\x00\x46\x00\x00\x00\x09abc")


@clause("AMQP091-connection.start-ok")
def test_amqplain_is_plain_in_a_table() -> None:
    given = encode.field_table({"LOGIN": "office", "PASSWORD": "sésame"})[4:]
    assert decode_amqplain(given, NESTING) == "\0office\0sésame".encode()
    lacking: list[FieldTable] = [{}, {"LOGIN": "a"}, {"LOGIN": "a", "PASSWORD": 1}, {"login": "a", "password": "b"}]
    for fields in lacking:
        with pytest.raises(ConnectionFault, match="LOGIN and PASSWORD"):
            decode_amqplain(encode.field_table(fields)[4:], NESTING)
    for end in range(1, len(given)):
        with pytest.raises(ConnectionFault):
            decode_amqplain(given[:end], NESTING)


@given(st.binary(max_size=64))
def test_amqplain_of_any_octets(octets: bytes) -> None:
    with contextlib.suppress(ConnectionFault):
        assert decode_amqplain(octets, NESTING).startswith(b"\0")


@clause("AMQP091-4.2.6.1")
def test_properties_that_pamqp_cannot_read_are_a_fault() -> None:
    with pytest.raises((ContentFault, PAMQPException)) as fault:
        read_properties(b"\x80\x00\x02\xff\xfe")
    assert isinstance(fault.value, ContentFault)
