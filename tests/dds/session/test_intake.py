"""Samples become messages, let in as their writers' devices."""

from __future__ import annotations

import msgspec
import pytest

from bridgehead.core.permission import Permission
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos
from bridgehead.protocols.dds.session.ports import ALIVE, DISPOSED, NO_WRITERS, Sample
from tests.dds.session.dialogue import CODEC, NOW, Other, World, cdr, may, number_of, route_config

ROOMS = "Office/+/Temperature"
KEPT = RouteQos(durability="transient-local")


def world(config: RouteConfig | None = None, secured: bool = True, guest: str = "") -> World:
    devices = {
        "robot": may(ROOMS, publish=True, subscribe=False),
        "mallory": may("Other/#"),
        "viewer": may("#", "$SYS/#", publish=False),
        "admin": may("#"),
    }
    return World(config or route_config(), devices, secured, guest)


@pytest.mark.clause("DDS-2.2.2.5.5")
def test_a_sample_is_a_message_of_its_writers_device() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("robot").write("lobby", 21.5)
    (message,) = viewer.messages
    assert message.topic == "Office/lobby/Temperature"
    assert msgspec.json.decode(message.payload) == {"room": "lobby", "value": 21.5}
    assert message.properties.content_type == "application/json"
    assert (message.qos, message.retain) == (1, False)
    origin = message.origin
    assert (origin.principal, origin.protocol, origin.verified) == ("robot", "dds", True)
    assert origin.client_id.startswith("dds/3/Temperature/")


def test_key_fields_cannot_name_other_topics() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.write("a/../Admin#+")
    assert [topic for topic, _ in viewer.got] == ["Office/a%2F..%2FAdmin%23%2B/Temperature"]


def test_who_may_not_publish_over_mqtt_may_not_over_a_route() -> None:
    w = world()
    admin = Other(w, "admin")
    admin.subscribe("#")
    w.writes("mallory").write("lobby")
    assert admin.got == []
    (denied,) = w.told("publish.denied")
    assert denied["principal"] == "mallory"
    assert denied["topic"] == "Office/lobby/Temperature"
    assert denied["protocol"] == "dds"


def test_a_device_writes_only_the_instances_whose_topics_it_may() -> None:
    devices = {"robot": may("Office/lobby/Temperature", publish=True, subscribe=False), "viewer": may("#")}
    w = World(route_config(), devices)
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.send(robot.sample("lobby"), robot.sample("vault"), robot.sample("lobby", 22.0))
    assert [topic for topic, _ in viewer.got] == ["Office/lobby/Temperature"] * 2


def test_who_is_no_device_gets_nothing_in() -> None:
    w = world()
    admin = Other(w, "admin")
    admin.subscribe("#")
    w.writes("stranger").write("lobby")
    w.writes("").write("lobby")
    assert admin.got == []
    first, second = w.told(events.WRITER_UNKNOWN)
    assert "'stranger' is not there" in str(first["because"])
    assert "no device's" in str(second["because"])


def test_samples_of_a_writer_that_never_matched_are_refused() -> None:
    w = world()
    admin = Other(w, "admin")
    admin.subscribe("#")
    w.route.received([Sample(cdr("lobby"), True, ALIVE, 0, 1, 999)])
    assert admin.got == []
    assert len(w.told(events.WRITER_UNKNOWN)) == 1


def test_a_revoked_device_is_out_at_once() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.write("lobby")
    w.revoke("robot")
    robot.write("lobby", 22.0)
    assert len(viewer.got) == 1
    assert len(w.told(events.WRITER_UNKNOWN)) == 1


def test_a_device_that_comes_while_it_writes_is_heard_soon() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    held = w.principals.pop("robot")
    robot.write("lobby")
    w.principals["robot"] = held
    w.wait(1.0)
    robot.write("lobby", 22.0)
    assert [msgspec.json.decode(payload)["value"] for _, payload in viewer.got] == [22.0]


def test_a_changed_policy_counts_from_the_next_sample_on() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.write("lobby")
    w.amend("robot", may("Elsewhere/#"))
    robot.write("lobby")
    assert len(viewer.got) == 1


def test_without_security_everybody_is_the_guest_and_unverified() -> None:
    w = world(secured=False, guest="robot")
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("whoever").write("lobby")
    (message,) = viewer.messages
    assert (message.origin.principal, message.origin.verified) == ("robot", False)


def test_without_security_and_guest_nothing_gets_in() -> None:
    w = world(secured=False)
    admin = Other(w, "admin")
    admin.subscribe("#")
    w.writes("whoever").write("lobby")
    assert admin.got == []
    (told,) = w.told(events.WRITER_UNKNOWN)
    assert "guest" in str(told["because"])


def test_the_guest_does_not_get_what_is_for_verified_origins() -> None:
    devices = {
        "guest": [Permission(ROOMS, publish=True, subscribe=False, verified=True)],
        "viewer": may("#"),
    }
    w = World(route_config(), devices, secured=False, guest="guest")
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("whoever").write("lobby")
    assert viewer.got == []


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\x01\0\0", b"\0\x01\0\0\xff\xff\xff\xff", cdr("lobby") + bytes(8)])
def test_octets_that_are_no_sample_are_refused_and_told(data: bytes) -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.send(Sample(data, True, ALIVE, 0, 1, robot.endpoint.handle), robot.sample("lobby"))
    assert len(viewer.got) == 1
    (told,) = w.told(events.SAMPLE_REFUSED)
    assert told["principal"] == "robot"
    assert told["route"] == "3/Temperature"


def test_cdr_passes_as_it_is() -> None:
    w = world(route_config(hub="Office/raw", payload="cdr"))
    w.amend("robot", may("Office/raw"))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    octets = b"\0\x01\0\0whatever it is, the hub does not look"
    robot.send(Sample(octets, True, ALIVE, 0, 1, robot.endpoint.handle))
    assert viewer.got == [("Office/raw", octets)]
    assert viewer.messages[0].properties.content_type == "application/x-cdr"


def test_cdr_with_a_template_goes_to_the_topic_of_its_key() -> None:
    w = world(route_config(payload="cdr"))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("robot").write("lobby")
    assert viewer.got == [("Office/lobby/Temperature", cdr("lobby"))]


def test_without_a_template_the_topic_is_that_of_dds() -> None:
    w = world(route_config(hub=""))
    w.amend("robot", may("Temperature"))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("robot").write("lobby")
    assert [topic for topic, _ in viewer.got] == ["Temperature"]


@pytest.mark.clause("DDS-2.2.3.16")
def test_lifespan_is_expiry_from_the_sources_time() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot", lifespan=10.0)
    robot.write("lobby", timestamp=int((NOW - 4) * 1e9))
    robot.write("lobby", timestamp=int((NOW + 400) * 1e9))  # a clock that is ahead makes nothing live longer
    assert [message.expires_at for message in viewer.messages] == [NOW + 6, NOW + 10]


@pytest.mark.clause("DDS-2.2.2.5.5")
def test_source_times_travel_only_where_the_route_says_so() -> None:
    for timestamps in (False, True):
        w = world(route_config(timestamps=timestamps))
        viewer = Other(w, "viewer")
        viewer.subscribe("#")
        w.writes("robot").write("lobby", timestamp=1_700_000_000_123_456_789)
        properties = viewer.messages[0].properties.user_properties
        assert properties == ((("dds-source-timestamp", "1700000000123456789"),) if timestamps else ())


@pytest.mark.clause("DDSSEC-8.7")
def test_data_tags_of_a_writer_are_the_origins_and_shown() -> None:
    w = world()
    w.amend("robot", [*may(ROOMS), *may("$TAG/LEVEL/secret")])
    w.amend("viewer", [*may("#"), *may("$TAG/LEVEL/secret")])
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("robot", tags=("LEVEL=secret",)).write("lobby")
    (message,) = viewer.messages
    assert message.origin.tags == ("LEVEL=secret",)
    assert message.properties.user_properties == (("tag:LEVEL", "secret"),)


@pytest.mark.clause("DDS-2.2.3.14")
def test_best_effort_is_at_most_once() -> None:
    w = world(route_config(qos=RouteQos(reliability="best-effort")))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    w.writes("robot").write("lobby")
    assert viewer.messages[0].qos == 0


def test_transient_local_is_retained() -> None:
    w = world(route_config(qos=KEPT))
    w.writes("robot").write("lobby")
    late = Other(w, "viewer")
    late.subscribe("#")
    assert [topic for topic, _ in late.got] == ["Office/lobby/Temperature"]


# The end of an instance. ----------------------------------------------------------------------------------


@pytest.mark.clause("DDS-2.2.2.4.2.13")
@pytest.mark.parametrize("state", [DISPOSED, NO_WRITERS])
def test_the_end_of_an_instance_clears_what_it_retained(state: int) -> None:
    w = world(route_config(qos=KEPT))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.write("lobby")
    robot.write("vault")
    robot.ends("lobby", state)
    assert viewer.got[-1] == ("Office/lobby/Temperature", b"")
    assert w.broker.retained.topics() == ["Office/vault/Temperature"]


def test_a_dispose_clears_also_what_an_earlier_run_retained() -> None:
    w = world(route_config(qos=KEPT))
    Other(w, "admin").publish("Office/lobby/Temperature", b'{"room":"lobby","value":1}', retain=True)
    w.writes("robot").ends("lobby", DISPOSED)
    assert w.broker.retained.topics() == []


@pytest.mark.clause("DDS-2.2.2.4.2.7")
def test_that_nobody_writes_it_any_more_clears_nothing_of_others() -> None:
    w = world(route_config(qos=KEPT))
    Other(w, "admin").publish("Office/lobby/Temperature", b'{"room":"lobby","value":1}', retain=True)
    w.writes("robot").ends("lobby", NO_WRITERS)
    assert w.broker.retained.topics() == ["Office/lobby/Temperature"]


def test_who_may_not_publish_may_not_dispose() -> None:
    w = world(route_config(qos=KEPT))
    w.writes("robot").write("lobby")
    w.writes("mallory").ends("lobby", DISPOSED)
    w.writes("stranger").ends("lobby", DISPOSED)
    assert w.broker.retained.topics() == ["Office/lobby/Temperature"]
    assert [each["principal"] for each in w.told("publish.denied")] == ["mallory"]


def test_the_last_writers_leave_is_heard_after_it_has_gone() -> None:
    w = world(route_config(qos=KEPT))
    robot = w.writes("robot")
    robot.write("lobby")
    robot.leaves()
    robot.ends("lobby", NO_WRITERS)
    assert w.broker.retained.topics() == []


@pytest.mark.clause("DDS-2.2.2.5.1.3")
def test_the_state_of_a_value_is_the_instances_now() -> None:
    """Where data was still to be taken its end comes with the data alone, on each of the samples."""
    w = world(route_config(qos=KEPT))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.send(robot.sample("lobby", 1.0, DISPOSED), robot.sample("lobby", 2.0, DISPOSED))
    assert [payload for _, payload in viewer.got] == [
        b'{"room":"lobby","value":1.0}',
        b'{"room":"lobby","value":2.0}',
        b"",
    ]
    assert w.broker.retained.topics() == []


def test_instances_that_share_a_topic_do_not_clear_one_another() -> None:
    w = world(route_config(hub="Office/all", qos=KEPT))
    w.amend("robot", may("Office/all"))
    robot = w.writes("robot")
    robot.write("lobby")
    robot.write("vault")
    robot.ends("lobby", DISPOSED)
    assert w.broker.retained.topics() == ["Office/all"]
    robot.ends("vault", DISPOSED)
    assert w.broker.retained.topics() == []


def test_where_nothing_is_retained_the_end_is_a_notice() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("Office/#")
    viewer.subscribe("$SYS/dds/#")
    robot = w.writes("robot")
    robot.write("lobby")
    robot.ends("lobby", DISPOSED)
    (notice,) = viewer.json("$SYS/dds/3/Temperature/instance")
    assert notice["instance"] == {"room": "lobby"}
    assert notice["topic"] == "Office/lobby/Temperature"
    assert notice["principal"] == "robot"
    assert [topic for topic, _ in viewer.got].count("Office/lobby/Temperature") == 1
    assert w.told(events.INSTANCE_ENDED)[0]["because"] == "it was disposed"


def test_who_may_not_publish_makes_no_notices() -> None:
    w = world()
    viewer = Other(w, "viewer")
    viewer.subscribe("$SYS/dds/#")
    w.writes("mallory").ends("lobby", DISPOSED)
    assert viewer.got == []
    assert w.told(events.INSTANCE_ENDED) == []


def test_whose_value_was_cleared_speaks_for_the_topic_no_more() -> None:
    w = world(route_config(hub="Office/all", qos=KEPT))
    w.amend("robot", may("Office/all"))
    robot = w.writes("robot")
    robot.write("lobby")
    robot.write("vault")
    robot.ends("vault", DISPOSED)
    Other(w, "admin").publish("Office/all", b'{"room":"lobby","value":1}', retain=True)
    robot.ends("lobby", DISPOSED)
    assert w.broker.retained.topics() == []


# Bounds. --------------------------------------------------------------------------------------------------


@pytest.mark.clause("DDS-2.2.3.19")
def test_a_flood_of_instances_finds_no_room_and_is_told_once() -> None:
    w = world(route_config(instances=3))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.send(*(robot.sample(f"r{number}") for number in range(50)))
    robot.write("r0", 5.0)  # a living one is not forgotten for them
    assert [topic for topic, _ in viewer.got] == [f"Office/{room}/Temperature" for room in ("r0", "r1", "r2", "r0")]
    assert len(w.told(events.INSTANCES_FULL)) == 1
    w.wait(10.0)
    assert [each.get("times") for each in w.told(events.INSTANCES_FULL)] == [None, 46]
    robot.ends("r1", DISPOSED)
    robot.write("r9")
    assert viewer.got[-1][0] == "Office/r9/Temperature"


def test_who_may_not_publish_takes_no_instances_from_others() -> None:
    w = world(route_config(instances=2))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    mallory = w.writes("mallory")
    mallory.send(*(mallory.sample(f"m{number}") for number in range(10)))
    w.writes("robot").write("lobby")
    assert [topic for topic, _ in viewer.got] == ["Office/lobby/Temperature"]


def test_a_new_participant_of_the_hubs_begins_with_no_instances() -> None:
    w = world(route_config(instances=1))
    viewer = Other(w, "viewer")
    viewer.subscribe("#")
    robot = w.writes("robot")
    robot.write("lobby")
    robot.leaves()
    w.route.open(w.writer)
    w.writes("robot").write("vault")
    assert viewer.got[-1][0] == "Office/vault/Temperature"


@pytest.mark.clause("RTPS-9.6.3.8")
def test_instances_are_told_by_handle_and_key() -> None:
    assert number_of("lobby") != number_of("vault")
    assert CODEC.decode_keys(CODEC.encode_keys({"room": "lobby"})) == {"room": "lobby"}
