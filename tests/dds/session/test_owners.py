"""Exclusive ownership: who owns each instance, who may be a stand-by, and what is told when it changes."""

from __future__ import annotations

import pytest

from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteQos
from bridgehead.protocols.dds.session.ports import DISPOSED, NO_WRITERS
from tests.dds.session.dialogue import Other, World, may, route_config

ROOMS = "Office/+/Temperature"
RIGHT = "$DDS/3/Temperature"
EXCLUSIVE = RouteQos(ownership="exclusive")
OWNER = "$SYS/dds/3/Temperature/owner"


def world() -> tuple[World, Other]:
    devices = {
        "first": may(ROOMS, RIGHT, subscribe=False),
        "standby": may(ROOMS, RIGHT, subscribe=False),
        "mallory": may(ROOMS, subscribe=False),
        "viewer": may("#", "$SYS/#", publish=False),
    }
    w = World(route_config(qos=EXCLUSIVE), devices)
    viewer = Other(w, "viewer")
    viewer.subscribe("Office/#")
    viewer.subscribe("$SYS/dds/#")
    return w, viewer


@pytest.mark.clause("DDS-2.2.3.9.2")
def test_the_first_owner_is_noticed_and_no_event() -> None:
    w, viewer = world()
    first = w.writes("first", 20)
    first.write("lobby")
    first.write("lobby")
    assert viewer.json(OWNER) == [
        {
            "instance": {"room": "lobby"},
            "topic": "Office/lobby/Temperature",
            "owner": "first",
            "writer": first.endpoint.guid.hex(),
            "strength": 20,
            "before": None,
            "because": "it is the first",
        }
    ]
    assert w.told(events.OWNER_CHANGED) == []


@pytest.mark.clause("DDS-2.2.3.9.2")
@pytest.mark.clause("DDS-2.2.3.10")
def test_a_stand_by_takes_over_and_hands_back() -> None:
    w, viewer = world()
    first, standby = w.writes("first", 20), w.writes("standby", 10)
    first.write("lobby", 1.0)
    first.leaves()
    standby.write("lobby", 2.0)
    first = w.writes("first", 20)
    first.write("lobby", 3.0)
    notices = viewer.json(OWNER)
    assert [(each["owner"], each["before"]) for each in notices] == [
        ("first", None),
        ("standby", "first"),
        ("first", "standby"),
    ]
    assert [each["because"] for each in notices] == [
        "it is the first",
        "'first' has left",
        "it is stronger (20 to 10)",
    ]
    told = w.told(events.OWNER_CHANGED)
    assert [(each["principal"], each["before"]) for each in told] == [("standby", "first"), ("first", "standby")]
    assert [each.payload for each in viewer.messages if each.topic.startswith("Office")] == [
        b'{"room":"lobby","value":1.0}',
        b'{"room":"lobby","value":2.0}',
        b'{"room":"lobby","value":3.0}',
    ]


def test_lost_liveliness_is_the_reason_where_it_is() -> None:
    w, viewer = world()
    first, standby = w.writes("first", 20), w.writes("standby", 10)
    first.write("lobby")
    w.route.liveliness_changed(2, 0, standby.endpoint.handle)
    w.route.liveliness_changed(1, 1, first.endpoint.handle)
    standby.write("lobby")
    assert viewer.json(OWNER)[-1]["because"] == "'first' has lost its liveliness"


def test_a_silent_owner_is_followed_by_a_weaker_one() -> None:
    w, viewer = world()
    w.writes("first", 20).write("lobby")
    w.writes("standby", 10).write("lobby")
    assert viewer.json(OWNER)[-1]["because"] == "'first' writes it no more"


def test_a_writer_that_announces_itself_anew_stays_the_owner_and_as_lively() -> None:
    w, viewer = world()
    first, standby = w.writes("first", 20), w.writes("standby", 10)
    first.write("lobby")
    w.route.liveliness_changed(1, 1, first.endpoint.handle)
    w.route.writer_matched(first.endpoint)
    first.write("lobby")
    assert len(viewer.json(OWNER)) == 1
    standby.write("lobby")
    assert viewer.json(OWNER)[-1]["because"] == "'first' has lost its liveliness"


def test_instances_have_owners_of_their_own() -> None:
    w, viewer = world()
    w.writes("first", 20).write("lobby")
    w.writes("standby", 10).write("vault")
    assert [(each["topic"], each["owner"]) for each in viewer.json(OWNER)] == [
        ("Office/lobby/Temperature", "first"),
        ("Office/vault/Temperature", "standby"),
    ]


def test_many_instances_that_change_hands_are_one_event_and_a_count() -> None:
    w, viewer = world()
    first, standby = w.writes("first", 20), w.writes("standby", 10)
    rooms = [f"r{number}" for number in range(40)]
    first.send(*(first.sample(room) for room in rooms))
    first.leaves()
    standby.send(*(standby.sample(room) for room in rooms))
    assert len(viewer.json(OWNER)) == 80
    assert len(w.told(events.OWNER_CHANGED)) == 1
    w.wait(10.0)
    assert w.told(events.OWNER_CHANGED)[-1]["times"] == 39


def test_who_may_write_but_not_own_is_refused_as_a_stand_by() -> None:
    """Ownership strength is a claim that any writer can make: the policy says who may."""
    w, viewer = world()
    w.writes("first", 20).write("lobby", 1.0)
    mallory = w.writes("mallory", 2**31 - 1)
    mallory.write("lobby", 666.0)
    assert [payload for topic, payload in viewer.got if topic.startswith("Office")] == [b'{"room":"lobby","value":1.0}']
    assert [each["owner"] for each in viewer.json(OWNER)] == ["first"]
    (told,) = w.told(events.OWNER_UNPERMITTED)
    assert told["principal"] == "mallory"
    assert RIGHT in str(told["because"])


def test_who_may_own_and_not_write_is_refused_too() -> None:
    w, viewer = world()
    w.amend("standby", may(RIGHT))
    w.writes("standby", 30).write("lobby")
    assert viewer.got == []
    assert [each["principal"] for each in w.told("publish.denied")] == ["standby"]


def test_the_right_to_own_ends_when_the_policy_says_so() -> None:
    w, viewer = world()
    standby = w.writes("standby", 10)
    standby.write("lobby")
    w.amend("standby", may(ROOMS))
    standby.write("lobby")
    assert len([topic for topic, _ in viewer.got if topic.startswith("Office")]) == 1


def test_who_may_not_own_disposes_of_nothing() -> None:
    devices = {
        "first": may(ROOMS, RIGHT),
        "mallory": may(ROOMS),
    }
    w = World(route_config(qos=RouteQos(ownership="exclusive", durability="transient-local")), devices)
    w.writes("first", 20).write("lobby")
    w.writes("mallory", 30).ends("lobby", DISPOSED)
    assert w.broker.retained.matching("Office/#") == ["Office/lobby/Temperature"]


def test_an_instance_without_writers_has_no_owner() -> None:
    w, viewer = world()
    first = w.writes("first", 20)
    first.write("lobby")
    first.leaves()
    first.ends("lobby", NO_WRITERS)
    last = viewer.json(OWNER)[-1]
    assert (last["owner"], last["before"], last["because"]) == (None, "first", "nobody writes it any more")


@pytest.mark.parametrize("may_own", [True, False])
def test_who_follows_an_owner_that_ended_the_instance_is_another_owner(may_own: bool) -> None:
    """Also where the end itself was not let in, as the right to own had ended before."""
    w, viewer = world()
    first, standby = w.writes("first", 20), w.writes("standby", 10)
    first.write("lobby")
    if not may_own:
        w.principals["first"].permit(may(ROOMS), [])
    first.ends("lobby", DISPOSED)
    assert [each["owner"] for each in viewer.json(OWNER)] == (["first", None] if may_own else ["first"])
    standby.write("lobby")
    assert viewer.json(OWNER)[-1]["before"] == "first"
    (event,) = w.told(events.OWNER_CHANGED)
    assert (event["principal"], event["before"], event["because"]) == ("standby", "first", "it was disposed")


def test_who_comes_back_to_what_it_ended_is_no_other_owner() -> None:
    w, _ = world()
    first = w.writes("first", 20)
    for _ in range(2):
        first.write("lobby")
        first.ends("lobby", DISPOSED)
    assert w.told(events.OWNER_CHANGED) == []


def test_a_late_subscriber_learns_the_last_change() -> None:
    w, _ = world()
    w.writes("first", 20).write("lobby")
    w.principals["viewer"].permit(may("$SYS/#"), [])
    late = Other(w, "viewer")
    late.subscribe(OWNER)
    assert [each["owner"] for each in late.json(OWNER)] == ["first"]


def test_the_notices_go_with_the_route() -> None:
    w, _ = world()
    w.writes("first", 20).write("lobby")
    w.route.close()
    assert w.broker.retained.topics() == []
