"""What DDS tells of writers and qualities of service, as events and notices."""

from __future__ import annotations

import pytest

from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteQos
from tests.dds.session.dialogue import Other, World, may, route_config

LIVELINESS = "$SYS/dds/3/Temperature/liveliness"


def world(qos: RouteQos | None = None) -> tuple[World, Other]:
    devices = {"robot": may("Office/#"), "viewer": may("#", "$SYS/#", publish=False)}
    w = World(route_config(qos=qos), devices)
    viewer = Other(w, "viewer")
    viewer.subscribe("$SYS/dds/#")
    return w, viewer


@pytest.mark.clause("DDS-2.2.3.11")
def test_liveliness_that_is_lost_and_regained_is_told_with_its_writer() -> None:
    w, viewer = world()
    robot = w.writes("robot").endpoint
    w.route.liveliness_changed(1, 0, robot.handle)
    w.route.liveliness_changed(0, 1, robot.handle)
    w.route.liveliness_changed(1, 0, robot.handle)
    w.route.liveliness_changed(0, 0, robot.handle)
    assert [(each["changed"], each["alive"], each["not_alive"]) for each in viewer.json(LIVELINESS)] == [
        ("came", 1, 0),
        ("lost", 0, 1),
        ("regained", 1, 0),
        ("left", 0, 0),
    ]
    assert {each["principal"] for each in viewer.json(LIVELINESS)} == {"robot"}
    assert [each["principal"] for each in w.told(events.LIVELINESS_LOST)] == ["robot"]
    assert [each["writer"] for each in w.told(events.LIVELINESS_REGAINED)] == [robot.guid.hex()]


@pytest.mark.clause("DDS-2.2.4.1")
def test_a_status_that_says_nothing_new_is_no_notice() -> None:
    w, viewer = world()
    w.route.liveliness_changed(0, 0, 0)
    assert viewer.got == []


def test_of_a_writer_that_is_unknown_the_counts_are_told() -> None:
    w, viewer = world()
    w.route.liveliness_changed(1, 0, 7)
    w.route.liveliness_changed(0, 1, 7)
    assert [each["principal"] for each in viewer.json(LIVELINESS)] == [None, None]
    assert len(w.told(events.LIVELINESS_LOST)) == 1


def test_a_new_reader_counts_from_nought() -> None:
    w, viewer = world()
    w.route.liveliness_changed(2, 1, 7)
    w.route.open(w.writer)
    w.route.liveliness_changed(2, 0, 7)
    assert viewer.json(LIVELINESS)[-1]["changed"] == "came"


@pytest.mark.clause("DDS-2.2.3.7")
@pytest.mark.clause("DDS-2.2.4.1")
def test_a_missed_deadline_is_told_with_the_instance() -> None:
    w, _ = world(RouteQos(deadline=0.5))
    robot = w.writes("robot")
    robot.write("lobby")
    w.route.deadline_missed(robot.sample("lobby").instance, 2)
    w.route.deadline_missed(12345, 1)
    (told,) = w.told(events.DEADLINE_MISSED)
    assert (told["topic"], told["principal"], told["missed"]) == ("Office/lobby/Temperature", "robot", 2)
    assert "0.5 s" in str(told["because"])
    w.wait(10.0)
    assert w.told(events.DEADLINE_MISSED)[-1]["times"] == 1


@pytest.mark.parametrize(
    ("policy", "theirs", "reader", "sentence"),
    [
        ("Reliability", RouteQos(reliability="best-effort"), False, "offers Reliability best-effort, the hub asks for"),
        ("Durability", RouteQos(durability="transient-local"), True, "asks for Durability transient-local, the hub"),
        ("Deadline", RouteQos(deadline=2.0), True, "asks for Deadline 2 s, the hub offers infinite"),
        ("Ownership", RouteQos(ownership="exclusive"), False, "offers Ownership exclusive, the hub asks for shared"),
        ("Liveliness", RouteQos(lease=3.0), True, "asks for Liveliness automatic, lease 3 s, the hub offers automatic"),
        ("Latency Budget", RouteQos(latency_budget=0.5), False, "offers Latency Budget 0.5 s, the hub asks for 0 s"),
        ("Partition", RouteQos(), False, "does not fit the hub's in Partition"),
    ],
)
@pytest.mark.clause("DDS-2.2.3")
def test_qualities_that_do_not_fit_are_told_with_both_sides(
    policy: str, theirs: RouteQos, reader: bool, sentence: str
) -> None:
    w, _ = world()
    remote = w.endpoint("robot", reader, qos=theirs)
    w.route.incompatible(policy, remote)
    w.route.incompatible(policy, remote)
    (told,) = w.told(events.QOS_INCOMPATIBLE)
    assert (told["policy"], told["principal"], told["remote"]) == (policy, "robot", remote.guid.hex())
    assert f"{'reader' if reader else 'writer'} of 'robot' {sentence}" in str(told["because"])


@pytest.mark.clause("DDS-2.2.4.1")
@pytest.mark.parametrize("reader", [False, True])
def test_a_type_of_another_name_is_told_with_both_names(reader: bool) -> None:
    w, _ = world()
    remote = w.endpoint("robot", reader)
    for _ in range(3):
        w.route.inconsistent(remote, "office::Other")
    (told,) = w.told(events.INCONSISTENT_TOPIC)
    assert (told["principal"], told["remote"]) == ("robot", remote.guid.hex())
    side = "reader" if reader else "writer"
    assert f"the {side} of 'robot' has the type {remote.type_name!r}" in str(told["because"])
    assert "the route has 'office::Other'" in str(told["because"])


def test_where_nobody_can_be_named_the_hubs_own_side_is() -> None:
    w, _ = world()
    w.route.incompatible("Reliability", None)
    assert "the hub's is reliable" in str(w.told(events.QOS_INCOMPATIBLE)[0]["because"])


def test_what_was_counted_is_told_when_the_route_closes() -> None:
    w, _ = world()
    for _ in range(5):
        w.route.incompatible("Reliability", None)
    w.route.close()
    assert [each.get("times") for each in w.told(events.QOS_INCOMPATIBLE)] == [None, 4]
