"""Frames of both versions field by field: every octet is named, nothing secret is shown, and nothing is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, common, frame, header

from bridgehead.protocols.amqp.codec.v1.composites import Error, Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, sasl_frame
from bridgehead.protocols.amqp.codec.v1.encode import frame as v1_frame
from bridgehead.protocols.amqp.codec.v1.hot import TransferEncoder
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Close, Disposition, Open
from bridgehead.protocols.amqp.codec.v1.sasl import SaslInit
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    Header,
    put_data,
    put_header,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol
from bridgehead.protocols.amqp.dissect import dissect, version_of
from bridgehead.protocols.amqp.dissection import V091, V1, DissectedFrame
from tests.amqp.codec import strategies

SASL_HEADER = b"AMQP\x03\x01\x00\x00"
V1_HEADER = b"AMQP\x00\x01\x00\x00"
V091_HEADER = b"AMQP\x00\x00\x09\x01"
PASSWORD = b"hunter2"


def rows(found: DissectedFrame) -> dict[str, str]:
    return {field.name: field.value for field in found.fields}


def check(data: bytes, found: list[DissectedFrame]) -> None:
    """Frames follow one another, and their fields cover them."""
    end = 0
    for each in found:
        assert each.offset == end
        assert each.length > 0
        end += each.length
        covered: set[int] = set()
        for field in each.fields:
            assert 0 <= field.offset <= field.offset + field.length <= each.length
            assert field.value.isprintable()
            covered |= set(range(field.offset, field.offset + field.length))
        assert covered == set(range(each.length))
    assert end == len(data)


@pytest.mark.clause("AMQP-2.2", "AMQP-2.3.1", "AMQP-5.3.1")
def test_a_connection_of_1_0() -> None:
    message = put_header(Header(True)) + put_section(APPLICATION_PROPERTIES, {"k": 1}) + put_data(b"21.5")
    data = b"".join(
        [
            SASL_HEADER,
            sasl_frame(encode(SaslInit("PLAIN", b"\0ana\0" + PASSWORD, "hub"))),
            V1_HEADER,
            v1_frame(0, encode(Open("c", "hub", 4096))),
            v1_frame(
                1, encode(Attach("l", 0, True, source=Source("a", filter={Symbol("f"): Described(Symbol("s"), "x")})))
            ),
            TransferEncoder(1, 0).settled_frame(7, message),
            v1_frame(1, encode(Disposition(True, 7, state=ACCEPTED))),
            v1_frame(0, b""),
            v1_frame(0, encode(Close(Error("amqp:not-found", "gone")))),
        ]
    )
    found = dissect(data)
    check(data, found)
    assert [each.name for each in found] == [
        "protocol header",
        "sasl-init",
        "protocol header",
        "open",
        "attach",
        "transfer",
        "disposition",
        "empty frame",
        "close",
    ]
    assert {each.version for each in found} == {V1}
    assert all(each.fault is None for each in found)
    assert rows(found[0])["Protocol id"] == "3 (SASL)"
    assert rows(found[1])["initial-response"] == "(12 octets)"
    assert rows(found[3])["max-frame-size"] == "4096"
    assert rows(found[3])["idle-time-out"] == "null"
    assert "f" in rows(found[4])["source"]
    transfer = rows(found[5])
    assert (transfer["settled"], transfer["delivery-id"], transfer["data"]) == ("true", "7", "'21.5'")
    assert transfer["application-properties"] == "{'k': 1}"
    assert rows(found[6])["state"] == "Accepted()"
    assert "amqp:not-found" in rows(found[8])["error"]
    field = next(field for field in found[3].fields if field.name == "hostname")
    assert (field.clause, field.offset, field.length) == ("AMQP 1.0 2.7.1", 17, 5)


@pytest.mark.clause("AMQP091-4.2.3", "AMQP091-4.2.5.5", "AMQP091-4.2.6.1")
def test_a_connection_of_0_9_1() -> None:
    properties = commands.Basic.Properties(content_type="a/b", headers={"k": "v"}, priority=3)
    table: common.FieldTable = {"t": {"l": [1, True, "x", None, -1.5]}, "big": 1 << 40, "no": False}
    data = b"".join(
        [
            V091_HEADER,
            frame.marshal(commands.Connection.StartOk(table, "PLAIN", "\0ana\0hunter2"), 0),
            frame.marshal(commands.Basic.Publish(0, "e", "r", True), 1),
            frame.marshal(header.ContentHeader(0, 5, properties), 1),
            b"\x03\x00\x01\x00\x00\x00\x05hello\xce",
            b"\x08\x00\x00\x00\x00\x00\x00\xce",
        ]
    )
    found = dissect(data)
    check(data, found)
    assert [each.name for each in found] == [
        "protocol header",
        "connection.start-ok",
        "basic.publish",
        "content header",
        "content body",
        "heartbeat",
    ]
    assert {each.version for each in found} == {V091}
    assert all(each.fault is None for each in found)
    assert rows(found[1])["response"] == "(12 octets)"
    assert "'l': [1, true, 'x', null, " in rows(found[1])["client_properties"]
    publish = rows(found[2])
    assert (publish["exchange"], publish["routing_key"], publish["mandatory"]) == ("'e'", "'r'", "true")
    content = rows(found[3])
    assert (content["Body size"], content["headers"], content["priority"]) == ("5", "{'k': 'v'}", "3")
    assert rows(found[4])["Content"] == "'hello'"


def test_every_method_of_0_9_1_is_named() -> None:
    for index, method in commands.INDEX_MAPPING.items():
        octets = index.to_bytes(4, "big")
        [found] = dissect(b"\x01\x00\x01\x00\x00\x00\x04" + octets + b"\xce", V091)
        assert found.name.split(".")[0] == method.__qualname__.split(".")[0].lower()
        assert found.name.endswith("-ok") is method.__qualname__.endswith("Ok")


FAULTS = [
    (V1_HEADER[:5], "", "the protocol header is incomplete"),
    (b"AMQP\x00\x02\x00\x00", "", "no version of AMQP that is known here has this header"),
    (b"\x00\x00\x00\x64\x02\x00\x00\x00", V1, "the frame is incomplete"),
    (b"\x00\x00\x00\x09\x02\x00\x00\x00\x40", V1, "the frame's body begins with no performative"),
    (b"\x00\x00\x00\x0b\x02\x00\x00\x00\x00\x53\x10", V1, "the octets end within a value"),
    (b"\x01\x00\x00\x00\x00\x00\x05hello", V091, "the frame is incomplete"),
    (b"\x08\x00\x00\x00\x00\x00\x00\x00", V091, "the frame ends with 0x00 and not with 0xce"),
    (b"\x07\x00\x00\x00\x00\x00\x00\xce", V091, "7 is no type of a frame"),
    (b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x63\xce", V091, "a method of no known class or number"),
    (b"\x08\x00\x00\x00\x00\x00\x01\x00\xce", V091, "1 octets follow the last field"),
]


@pytest.mark.parametrize(("octets", "version", "fault"), FAULTS)
def test_faults(octets: bytes, version: str, fault: str) -> None:
    found = dissect(octets, version)
    check(octets, found)
    assert found[-1].fault == fault
    assert found[-1].fault_clause


def test_tables_within_tables_have_a_bound() -> None:
    table = b""
    for _ in range(5000):
        table = b"\x01aF" + len(table).to_bytes(4, "big") + table
    body = b"\x00\x0a\x00\x0b" + len(table).to_bytes(4, "big") + table
    octets = b"\x01\x00\x00" + len(body).to_bytes(4, "big") + body + b"\xce"
    [found] = dissect(octets, V091)
    check(octets, [found])
    assert found.fault == "tables lie too deep in one another"


def test_versions() -> None:
    assert version_of(V1_HEADER) == version_of(SASL_HEADER) == V1
    assert version_of(V091_HEADER) == V091
    assert version_of(b"") == version_of(b"AMQ") == ""
    # Without a header: by the shape of the first frame.
    assert dissect(b"\x08\x00\x00\x00\x00\x00\x00\xce")[0].version == V091
    assert dissect(v1_frame(0, b""))[0].version == V1


@pytest.mark.parametrize("cut", range(1, 40))
def test_no_secret_is_shown_of_what_is_cut_or_broken(cut: int) -> None:
    whole = sasl_frame(encode(SaslInit("PLAIN", b"\0ana\0" + PASSWORD)))
    start = frame.marshal(commands.Connection.StartOk({}, "PLAIN", "\0ana\0hunter2"), 0)
    for octets, version in ((whole[:cut], V1), (start[:cut], V091), (whole[:3] + bytes([cut]) + whole[4:cut], V1)):
        for each in dissect(octets, version):
            for field in each.fields:
                assert "unter" not in field.value
                assert b"unter".hex(" ") not in field.value


@given(
    st.lists(st.one_of(strategies.performatives, strategies.sasl_frames), min_size=1, max_size=3),
    st.binary(max_size=20),
)
def test_every_octet_of_1_0_is_named(performatives: list[Performative], rest: bytes) -> None:
    parts = [sasl_frame(encode(each)) if each.code >= 0x40 else v1_frame(3, encode(each)) for each in performatives]
    data = V1_HEADER + b"".join(parts)
    found = dissect(data)
    check(data, found)
    assert [each.fault for each in found] == [None] * len(found)
    check(data + rest, dissect(data + rest))


@given(st.sampled_from([V1, V091, ""]), st.binary(max_size=60), st.sampled_from([b"", V1_HEADER, V091_HEADER, b"\x01"]))
def test_nothing_is_raised(version: str, octets: bytes, before: bytes) -> None:
    data = before + octets
    check(data, dissect(data, version))


def test_a_value_that_is_long_is_cut() -> None:
    message = put_section(AMQP_VALUE, ["word"] * 1000)
    [found] = dissect(TransferEncoder(0, 0).settled_frame(1, message))
    assert rows(found)["amqp-value"].endswith("characters)")
    assert len(rows(found)["amqp-value"]) < 500
