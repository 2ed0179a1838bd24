"""Properties of 0-9-1 changed as octets: against pamqp where that can write them, and where it cannot."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands

from bridgehead.core.message import Message, Origin
from bridgehead.protocols.amqp.mapping.content_v091 import with_headers
from bridgehead.protocols.amqp.mapping.message_v091 import message_from_v091, read_properties, v091_content

pytestmark = pytest.mark.clause("AMQP091-4.2.6.1")

shorts = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
tables = st.none() | st.dictionaries(
    st.text(st.characters(codec="ascii"), min_size=1, max_size=6),
    st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(max_size=9) | st.lists(st.booleans(), max_size=3),
    min_size=1,
    max_size=4,
)
given_properties = st.fixed_dictionaries(
    {
        "content_type": shorts,
        "content_encoding": shorts,
        "headers": tables,
        "delivery_mode": st.sampled_from([None, 1, 2]),
        "priority": st.none() | st.integers(0, 9),
        "correlation_id": shorts,
        "reply_to": shorts,
        "expiration": st.none() | st.integers(0, 10**9).map(str),
        "message_id": shorts,
        "message_type": shorts,
        "user_id": shorts,
        "app_id": shorts,
    }
)


def all_of(content: bytes) -> dict[str, Any]:
    return {name: value for name, value in read_properties(content) if value is not None}


@given(given_properties, tables.filter(lambda table: table is not None))
def test_headers_laid_over_and_no_expiration(properties: dict[str, Any], added: dict[str, Any]) -> None:
    content = commands.Basic.Properties(**properties).marshal()
    wanted = all_of(content)
    wanted.pop("expiration", None)
    wanted["headers"] = {**(properties["headers"] or {}), **added}
    assert all_of(with_headers(content, added)) == wanted


# A long string that is no text, a double, an unsigned number: pamqp reads them, and cannot write them again.
WILD = [
    b"S" + struct.pack(">I", 2) + b"\xff\xfe",
    b"d" + struct.pack(">d", 1e300),
    b"l" + struct.pack(">Q", 2**64 - 1),
    b"A" + struct.pack(">I", 7) + b"S" + struct.pack(">I", 2) + b"\xff\xfe",
]


@pytest.mark.parametrize("value", WILD)
def test_what_cannot_be_written_again_goes_on_as_it_came(value: bytes) -> None:
    """One publisher's message with a time to live must not break its receivers."""
    field = b"\x03own" + value
    content = b"\x21\x00" + struct.pack(">I", len(field)) + field + b"\x0560000"
    message = message_from_v091("$QUEUE/q", content, b"x", Origin("one", "amqp", True), 1000.0)
    assert message.expires_at == 1060.0
    assert v091_content(message, 1010.0) == content
    dead = v091_content(
        Message("t", b"x", 0, False, message.origin, message.properties), 1010.0, {"x-death": [{"n": 1}]}
    )
    assert field in dead
    assert read_properties(dead).expiration is None
    assert (read_properties(dead).headers or {})["x-death"] == [{"n": 1}]
    again = v091_content(
        message_from_v091("$QUEUE/q", dead, b"x", Origin("one", "amqp", True), 1000.0), 0.0, {"x-death": [{"n": 2}]}
    )
    assert (read_properties(again).headers or {})["x-death"] == [{"n": 2}]
