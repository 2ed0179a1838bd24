"""Any order of what participants and the policy do, against small models of what then must be true."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.core.permission import Permission
from bridgehead.protocols.dds.mapping.settings import RouteQos
from bridgehead.protocols.dds.session.ports import DISPOSED, NO_WRITERS
from tests.dds.session.dialogue import Other, World, may, route_config

ROOMS = ("a", "b", "c")
KEPT = RouteQos(durability="transient-local")
DEVICES = ("one", "two", "mallory")
_RIGHTS: dict[str, tuple[str, ...]] = {"one": ("a", "b"), "two": ("b", "c"), "mallory": ()}

steps = st.lists(
    st.tuples(
        st.sampled_from(DEVICES),
        st.sampled_from(ROOMS),
        st.sampled_from(["write", "dispose", "no-writers", "leave", "renew"]),
    ),
    max_size=40,
)


def _topic(room: str) -> str:
    return f"Office/{room}/Temperature"


def _permissions(rooms: tuple[str, ...]) -> list[Permission]:
    return may("Elsewhere", *(_topic(room) for room in rooms))


@settings(max_examples=150)
@given(steps)
def test_what_is_retained_is_what_those_who_may_wrote_and_did_not_end(happenings: list[tuple[str, str, str]]) -> None:
    w = World(route_config(qos=KEPT, instances=3), {name: _permissions(_RIGHTS[name]) for name in DEVICES})
    writers = {name: w.writes(name) for name in DEVICES}
    model: dict[str, float] = {}
    known: set[str] = set()  # instances of the reader of now
    value = 0.0
    for name, room, act in happenings:
        value += 1.0
        permitted = room in _RIGHTS[name]
        if act == "write":
            writers[name].write(room, value)
            if permitted:
                model[room] = value
                known.add(room)
        elif act in ("dispose", "no-writers"):
            writers[name].ends(room, DISPOSED if act == "dispose" else NO_WRITERS)
            # That nobody writes an instance any more is no act of the one who left last.
            if permitted or (act == "no-writers" and room in known):
                model.pop(room, None)
            known.discard(room)
        elif act == "leave":
            writers[name].leaves()
            writers[name] = w.writes(name)
        else:
            for writer in writers.values():
                writer.leaves()
            w.route.open(None)
            w.route.open(w.writer)
            writers = {each: w.writes(each) for each in DEVICES}
            known.clear()
    retained = {}
    for topic in w.broker.retained.matching("Office/#"):
        message = w.broker.retained.get(topic)
        assert message is not None
        sample = msgspec.json.decode(message.payload)
        assert _topic(sample["room"]) == topic
        assert message.origin.principal in ("one", "two")
        retained[sample["room"]] = sample["value"]
    assert retained == model
    assert w.writer.calls == []  # all of it came from where it would have gone


reading = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from(ROOMS), st.integers(0, 1)),
        st.tuples(st.just("permit"), st.sampled_from(["x", "y"]), st.sets(st.sampled_from(ROOMS))),
        st.tuples(st.just("match"), st.sampled_from(["x", "y", "stranger"]), st.booleans()),
        st.tuples(st.just("room"), st.integers(0, 4), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(reading)
def test_nothing_is_written_that_a_matched_reader_may_not_read_then(
    happenings: list[tuple[str, object, object]],
) -> None:
    w = World(route_config(), {"sensor": may("Office/#"), "x": may("Elsewhere"), "y": may("Elsewhere")})
    sensor = Other(w, "sensor")
    rights: dict[str, set[str]] = {"x": set(), "y": set(), "stranger": set()}
    matched: dict[str, int] = {}
    seen = 0
    published = 0
    for act, what, more in happenings:
        if act == "publish":
            published += 1
            sensor.publish(_topic(str(what)), msgspec.json.encode({"room": what, "value": 1.0}), int(str(more)))
        elif act == "permit" and isinstance(more, set):
            rights[str(what)] = more
            w.amend(str(what), _permissions(tuple(sorted(more))))
        elif act == "match":
            name = str(what)
            if more and name not in matched:
                matched[name] = w.reads(name)
            elif not more and name in matched:
                w.route.reader_gone(matched.pop(name))
        elif act == "room" and isinstance(what, int):
            w.writer.room = what
            w.wait(0.1)
        for sample in w.writer.values[seen:]:
            for name in matched:
                assert sample["room"] in rights[name]
        seen = len(w.writer.values)
    assert seen <= published
