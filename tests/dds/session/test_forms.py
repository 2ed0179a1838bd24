"""A route's template, type and payload together."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import NAME_INVALID, Refusal
from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.types import INT32, Member, Primitive, String, Struct
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.forms import Forms, topic_without_template
from tests.dds.session.dialogue import CODEC, cdr, route_config

PLACE = Struct("Place", (Member("floor", Primitive(INT32), 0), Member("room", String(), 1)))
NESTED = Codec(Struct("Door", (Member("at", PLACE, 0, key=True), Member("open", Primitive("boolean"), 1))))


def test_key_names_the_fields_in_order() -> None:
    config = route_config(hub="Doors/${a}/x/${b}", key=("at.room", "at.floor"))
    forms = Forms(config, NESTED)
    value = {"at": {"floor": 2, "room": "lobby"}, "open": True}
    assert forms.filter == "Doors/+/x/+"
    assert forms.topic_of(NESTED.encode(value), True) == "Doors/lobby/x/2"
    assert forms.tells_instances
    assert NESTED.decode_keys(forms.key_of("Doors/lobby/x/2")) == {"at": {"floor": 2, "room": "lobby"}}


@pytest.mark.parametrize("key", [("at.room",), ("at.room", "at.floor", "at.room")])
def test_as_many_as_there_are(key: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="key names"):
        Forms(route_config(hub="Doors/${a}/x/${b}", key=key), NESTED)


@pytest.mark.parametrize("hub", ["Doors/${open}", "Doors/${nothing}", "$SYS/${at.room}", "Doors/+/${at.room}"])
def test_a_template_that_does_not_fit_is_said(hub: str) -> None:
    with pytest.raises(ValueError, match=r"Doors|SYS"):
        Forms(route_config(hub=hub), NESTED)


def test_a_part_of_the_key_tells_no_instance() -> None:
    forms = Forms(route_config(hub="Doors/${at.room}"), NESTED)
    assert not forms.tells_instances
    with pytest.raises(Refusal) as caught:
        forms.key_of("Doors/lobby")
    assert caught.value.meaning == NAME_INVALID


def test_instances_of_one_topic_are_told_apart_by_their_keys() -> None:
    forms = Forms(route_config(hub="Office/all"), CODEC)
    samples = [forms.sample_of("Office/all", b'{"room":"%s","value":1}' % room) for room in (b"a", b"b", b"a")]
    assert samples[0].key == samples[2].key != samples[1].key
    assert [sample.cdr for sample in samples[:2]] == [cdr("a", 1.0), cdr("b", 1.0)]


def test_ros_topics_without_a_template_are_called_as_ros_calls_them() -> None:
    config = RouteConfig(0, "/chatter", preset="ros2")
    assert config.dds_topic == "rt/chatter"
    assert topic_without_template(config) == "chatter"


@pytest.mark.parametrize(
    "payload",
    [b'{"open":true}', b'{"at":{},"open":true}', b'{"at":{"floor":2},"open":true}'],
)
def test_key_fields_that_the_payload_leaves_out_are_the_topic_s(payload: bytes) -> None:
    forms = Forms(route_config(hub="Doors/${at.room}/${at.floor}"), NESTED)
    sample = forms.sample_of("Doors/lobby/2", payload)
    assert NESTED.decode(sample.cdr) == {"at": {"floor": 2, "room": "lobby"}, "open": True}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"at":{"floor":3},"open":true}', "key fields say"),
        (b'{"at":{"floor":null},"open":true}', "at.floor"),
        (b'{"at":3,"open":true}', "at: an object is wanted"),
        (b"[]", "an object is wanted"),
        (b"{}", "open: it is missing"),
    ],
)
def test_what_the_payload_says_otherwise_stays(payload: bytes, said: str) -> None:
    forms = Forms(route_config(hub="Doors/${at.room}/${at.floor}"), NESTED)
    with pytest.raises(Refusal, match=said):
        forms.sample_of("Doors/lobby/2", payload)
