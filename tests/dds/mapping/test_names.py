"""Topics of samples, and key fields of topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_name
from bridgehead.protocols.dds.codec.types import FLOAT64, INT32, Enum, Member, Primitive, String, Struct
from bridgehead.protocols.dds.mapping.names import Template, default_topic, escaped, unescaped

PLACE = Struct("Place", (Member("floor", Primitive(INT32), 0, key=True), Member("room", String(), 1, key=True)))
MODE = Enum("Mode", {"OFF": 0, "ON": 1})
READING = Struct(
    "Reading",
    (
        Member("place", PLACE, 0, key=True),
        Member("mode", MODE, 1, key=True),
        Member("celsius", Primitive(FLOAT64), 2),
        Member("note", String(), 3),
    ),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_every_text_is_one_level_and_comes_back(text: str) -> None:
    level = escaped(text)
    assert level
    assert not set(level) & set("/+#\0$")
    assert unescaped(level) == text


@given(TEXTS, TEXTS)
def test_two_texts_are_never_one_level(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)


@given(st.text(st.sampled_from("%2F5Ba/+#$\0"), max_size=6))
def test_what_is_not_written_so_is_refused(level: str) -> None:
    try:
        text = unescaped(level)
    except Refusal:
        text = None
    assert text is None or escaped(text) == level
    assert text is not None or not level or set(level) & set("%/+#$\0")


@given(st.integers(-(2**31), 2**31 - 1), TEXTS, st.sampled_from(["OFF", "ON"]))
def test_key_fields_make_the_topic_and_come_back(floor: int, room: str, mode: str) -> None:
    template = Template("Office/${place.floor}/${place.room}/x/${mode}", READING)
    assert template.filter == "Office/+/+/x/+"
    keys = {"place": {"floor": floor, "room": room}, "mode": mode}
    topic = template.topic({**keys, "celsius": 1.0})
    if len(topic.encode()) < 65_535 and "\ufeff" not in topic:
        check_topic_name(topic)
    assert template.values(topic) == keys


@pytest.mark.parametrize(
    ("hub", "said"),
    [
        ("Office/${nobody}", r"Reading has no field nobody: name one that is there \(place, "),
        ("Office/${mode.floor}", "Reading has no field mode.floor: fields are in structures only"),
        ("Office/${place}", "only texts, whole numbers and enumerations"),
        ("Office/${celsius}", "only texts, whole numbers and enumerations"),
        ("Office/${note}", "note is no key of Reading: mark it @key"),
        ("Office/a${mode}", "nothing else"),
        ("Office/+", "without wildcards"),
        ("$SYS/${mode}", "cannot be a topic for data"),
        ("", "cannot be a topic for data"),
    ],
)
def test_a_template_that_cannot_be_says_why(hub: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("$", r"\$")):
        Template(hub, READING)


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("Office/1/a/x/ON/more", "is no topic like"),
        ("Office/1/a/y/ON", "is no topic like"),
        ("Office/one/a/x/ON", "place.floor: a whole number"),
        ("Office/01/a/x/ON", "place.floor: a whole number"),
        ("Office/3000000000/a/x/ON", "place.floor: a whole number from -2147483648"),
        ("Office/1/a%2f/x/ON", "no escaped value"),
    ],
)
def test_a_topic_that_is_none_of_the_templates_is_refused(topic: str, said: str) -> None:
    template = Template("Office/${place.floor}/${place.room}/x/${mode}", READING)
    with pytest.raises(Refusal, match=said):
        template.values(topic)


def test_without_a_template_partition_and_name_are_the_topic() -> None:
    assert default_topic("Office/Lobby", "Door") == "Office/Lobby/Door"
    assert default_topic("", "rt/chatter") == "rt/chatter"
    assert default_topic("a+b", "c#") == "a%2Bb/c%23"
    assert Template("Office/Door", READING).is_fixed
