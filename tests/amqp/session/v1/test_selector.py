"""Selectors: the grammar of docs/selectors.md, three-valued logic, and the bounds of both."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.amqp.codec.v1.errors import INVALID_FIELD, AmqpError
from bridgehead.protocols.amqp.codec.v1.types import Char, Float, Symbol, Timestamp, UByte, UInt, Uuid
from bridgehead.protocols.amqp.session.v1.selector_fields import (
    APPLICATION_PROPERTIES,
    HEADER,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    Fields,
)
from bridgehead.protocols.amqp.session.v1.selector_lexer import LONGEST, WORDS
from bridgehead.protocols.amqp.session.v1.selector_parser import DEEPEST, parse_selector


class Given(Fields):
    def __init__(self, known: dict[tuple[int, str], object]) -> None:
        self.known = known

    def field(self, section: int, name: str) -> object:
        return self.known.get((section, name))


MESSAGE = Given(
    {
        (APPLICATION_PROPERTIES, "colour"): "red",
        (APPLICATION_PROPERTIES, "size"): UInt(12),
        (APPLICATION_PROPERTIES, "weight"): 2.5,
        (APPLICATION_PROPERTIES, "single"): Float(struct.pack(">f", 0.5)),
        (APPLICATION_PROPERTIES, "urgent"): True,
        (APPLICATION_PROPERTIES, "a.b"): "dotted",
        (APPLICATION_PROPERTIES, "header.priority"): "by its name",
        (APPLICATION_PROPERTIES, "with space"): 1,
        (APPLICATION_PROPERTIES, "rate"): "50%_a",
        (APPLICATION_PROPERTIES, "letter"): Char(ord("x")),
        (APPLICATION_PROPERTIES, "octets"): b"red",
        (APPLICATION_PROPERTIES, "large"): 2**63 - 1,
        (APPLICATION_PROPERTIES, "larger"): 2**64 - 1,
        (APPLICATION_PROPERTIES, "nan"): float("nan"),
        (HEADER, "priority"): UByte(7),
        (HEADER, "durable"): True,
        (HEADER, "delivery-count"): 2,
        (PROPERTIES, "subject"): "alarm",
        (PROPERTIES, "creation-time"): Timestamp(1000),
        (PROPERTIES, "correlation-id"): Uuid(bytes(range(16))),
        (PROPERTIES, "content-type"): Symbol("text/plain"),
        (MESSAGE_ANNOTATIONS, "x-opt-zone"): "roof",
    }
)


def value(text: str) -> object:
    return parse_selector(text).condition.value(MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        "colour = 'red'",
        "colour <> 'blue'",
        "colour != 'blue'",
        "colour >= 'red' AND colour < 'ree'",
        "COLOUR IS NULL",  # names are told apart by case, keywords are not
        "colour is not null aNd Size Is Null",
        "size = 12 AND size > 11 AND size >= 12 AND size < 12.5 AND size <= 12L",
        "size BETWEEN 10 AND 12 AND size NOT BETWEEN 13 AND 20",
        "size = 0x0C",
        "size * 2 + 1 = 25 AND size - 2 * 3 = 6 AND (size - 2) * 3 = 30",
        "size / 5 = 2 AND -size / 5 = -2 AND size / 5.0 = 2.4",
        "- - size = 12 AND +size = 12 AND -size = -12",
        "-9223372036854775808 < 0 AND 9223372036854775807 = large",
        "weight = 2.5 AND weight = .25e1 AND weight > 1.5F AND weight < 3D AND single = 0.5",
        "urgent",
        "urgent = TRUE AND urgent <> false AND NOT (urgent = FALSE)",
        "urgent OR nothing",
        "colour IN ('blue', 'red')",
        "colour NOT IN ('blue', 'it''s')",
        "size IN (1, -2, -0.5, 12.0) AND urgent IN (TRUE)",
        "colour LIKE 'r%' AND colour LIKE '%d' AND colour LIKE '_e_' AND colour LIKE '%e%' AND colour LIKE '%'",
        "colour NOT LIKE 'r_' AND colour NOT LIKE 'red_' AND colour NOT LIKE 'rr%' AND colour NOT LIKE '%re%red'",
        "rate LIKE '50\\%\\_a' ESCAPE '\\' AND rate LIKE '50!%!_%' ESCAPE '!' AND rate NOT LIKE '50!_%' ESCAPE '!'",
        "a.b = 'dotted'",
        '"a.b" = \'dotted\' AND "header.priority" = \'by its name\' AND "with space" = 1',
        "application_properties.colour = 'red' AND application_properties.\"with space\" = 1",
        "header.priority = 7 AND amqp.priority = 7 AND JMSPriority = 7",
        "properties.subject = 'alarm' AND amqp.subject LIKE 'al%' AND JMSType = 'alarm'",
        "properties.content_type = 'text/plain' AND PROPERTIES.\"content-type\" LIKE 'text/%'",
        "message_annotations.\"x-opt-zone\" = 'roof'",
        "JMSTimestamp BETWEEN 999 AND 1001",
        "JMSDeliveryMode = 'PERSISTENT' AND JMSRedelivered AND JMSXDeliveryCount = 3",
        "JMSCorrelationID = '00010203-0405-0607-0809-0a0b0c0d0e0f'",
        "letter = 'x'",
        "1 = 1",
        "TRUE",
        "NOT NOT TRUE",
    ],
)
def test_what_selects(text: str) -> None:
    assert parse_selector(text).selects(MESSAGE)


@pytest.mark.parametrize(
    "text",
    [
        "nothing = 'red'",
        "nothing <> 'red'",
        "NOT (nothing = 1)",
        "nothing BETWEEN 1 AND 2",
        "size BETWEEN nothing AND 20",
        "nothing IN ('a')",
        "nothing NOT IN ('a')",
        "nothing LIKE '%'",
        "nothing + 1 = 1",
        "size / 0 = 1",
        "size / 0.0 = 1",
        "large + 1 = 0",
        "large * 2 <> 0",
        "larger > 0",
        "colour + 1 = 1",
        "-colour = 1",
        "-urgent = 1",
        "urgent + 1 = 2",
        "octets = 'red'",
        "nothing AND urgent",
        "nothing OR FALSE",
        "NOT nothing",
    ],
)
def test_what_is_unknown(text: str) -> None:
    assert value(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "colour = 5",
        "colour <> 5",
        "size = '12'",
        "size <> '12'",
        "urgent = 1",
        "urgent > FALSE",
        "size LIKE '12'",
        "nan = nan",
        "nan <> nan",
        "nothing AND FALSE",
        "size BETWEEN 13 AND nothing",
        "NOT (nothing OR TRUE)",
        "size IN ('12')",
    ],
)
def test_what_is_false(text: str) -> None:
    assert value(text) is False


def test_an_identifier_alone_selects_only_when_it_is_true() -> None:
    assert not parse_selector("size").selects(MESSAGE)
    assert not parse_selector("colour").selects(MESSAGE)


@pytest.mark.parametrize(
    ("text", "at", "because"),
    [
        ("", 0, "the end"),
        ("colour =", 8, "the end"),
        ("colour = 'red' size", 15, "'size'"),
        ("colour = 'red", 9, "never closed"),
        ('"colour = 1', 0, "never closed"),
        ("(size = 1", 9, ") should be here"),
        ("size = 1)", 8, "should follow"),
        ("12", 0, "a number is"),
        ("'red'", 0, "a text is"),
        ("size + 1", 0, "a number is"),
        ("urgent AND 5", 11, "a number is"),
        ("NOT 'a'", 4, "a text is"),
        ("(size = 1) + 2 = 3", 1, "a condition is"),
        ("'a' * 2 = 3", 0, "a text is"),
        ("size NOT = 3", 9, "BETWEEN, IN or LIKE"),
        ("size IN ()", 9, "should be here"),
        ("size IN (colour)", 9, "literals only"),
        ("size IN (1 2)", 11, ") should be here"),
        ("size BETWEEN 1", 14, "AND should be here"),
        ("colour LIKE red", 12, "pattern"),
        ("colour LIKE 'a' ESCAPE 'bb'", 23, "one character"),
        ("colour LIKE 'a!' ESCAPE '!'", 12, "ends with its escape"),
        ("size IS 5", 8, "NULL should be here"),
        ("size = 12x", 7, "is no number"),
        ("size = 0x", 7, "hexadecimal"),
        ("size = 9223372036854775808", 7, "64 bits"),
        ("size = 99999999999999999999", 7, "64 bits"),
        ("size ; 1", 5, "begins no word"),
        ('"" = 1', 0, "at least one character"),
        ("properties.colour = 1", 0, "has no field"),
        ("header.subject = 1", 0, "has no field"),
    ],
)
@pytest.mark.clause("AMQP-3.5.8")
def test_what_is_no_selector_is_refused_by_its_place(text: str, at: int, because: str) -> None:
    with pytest.raises(AmqpError) as caught:
        parse_selector(text)
    assert caught.value.condition == INVALID_FIELD
    assert f"character {at + 1}:" in str(caught.value)
    assert because in str(caught.value)


def test_length_words_and_depth_have_an_end() -> None:
    parse_selector("a='" + "x" * (LONGEST - 4) + "'")
    parse_selector("+".join(["1"] * (WORDS // 2 - 1)) + "=1")
    parse_selector("(" * DEEPEST + "a=1" + ")" * DEEPEST)
    parse_selector("NOT " * DEEPEST + "a=1")
    for text in (
        "a='" + "x" * (LONGEST - 3) + "'",
        " OR ".join(["a=1"] * (WORDS // 4 + 1)),
        "(" * (DEEPEST + 1) + "a=1" + ")" * (DEEPEST + 1),
        "NOT " * (DEEPEST + 1) + "a=1",
        "-" * (DEEPEST + 1) + "a=1",
    ):
        with pytest.raises(AmqpError, match="not valid at character"):
            parse_selector(text)


def test_a_pattern_that_takes_too_long_is_unknown() -> None:
    text = Given({(APPLICATION_PROPERTIES, "a"): "x" * 60_000})
    slow = parse_selector("a LIKE '%" + "x" * 100 + "y%z%'")
    assert slow.condition.value(text) is None
    assert parse_selector("a LIKE '%xx%x'").selects(text)


@given(st.text(alphabet="ab=<>()'\" 12.NOTANDORLIKEINBETWEENISNULL_%,-+*/", max_size=60))
def test_whatever_text_comes_only_an_amqp_error_is_raised(text: str) -> None:
    try:
        selected = parse_selector(text).selects(MESSAGE)
    except AmqpError:
        return
    assert selected in (True, False)


_TRUTH = {"TRUE": True, "FALSE": False, "nothing": None}


@given(st.sampled_from(sorted(_TRUTH)), st.sampled_from(sorted(_TRUTH)))
def test_three_valued_logic_is_kleenes(left: str, right: str) -> None:
    order = {False: 0, None: 1, True: 2}
    one, other = _TRUTH[left], _TRUTH[right]
    assert value(f"({left}) AND ({right})") == min(one, other, key=lambda known: order[known])
    assert value(f"({left}) OR ({right})") == max(one, other, key=lambda known: order[known])


@given(st.text(alphabet="ab", max_size=12), st.text(alphabet="ab%_", max_size=8))
def test_like_is_what_trying_every_way_finds(text: str, pattern: str) -> None:
    def matches(at: int, of: int) -> bool:
        if of == len(pattern):
            return at == len(text)
        if pattern[of] == "%":
            return any(matches(later, of + 1) for later in range(at, len(text) + 1))
        return at < len(text) and pattern[of] in ("_", text[at]) and matches(at + 1, of + 1)

    found = parse_selector(f"a LIKE '{pattern}'").selects(Given({(APPLICATION_PROPERTIES, "a"): text}))
    assert found == matches(0, 0)
