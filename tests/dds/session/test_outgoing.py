"""Messages become samples, as far as every remote reader may have them."""

from __future__ import annotations

import msgspec
import pytest

from bridgehead.core.errors import PAYLOAD_FORMAT_INVALID, UNAVAILABLE, Refusal
from bridgehead.core.message import MessageProperties
from bridgehead.core.permission import Permission
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.codec.codec import Codec
from bridgehead.protocols.dds.codec.types import FLOAT64, Member, Primitive, Struct
from bridgehead.protocols.dds.config import DomainConfig
from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos
from bridgehead.protocols.dds.session.route import Route
from tests.dds.session.dialogue import CODEC, NOW, TEMPERATURE, Other, World, cdr, may, route_config

ROOMS = "Office/+/Temperature"
LOBBY = "Office/lobby/Temperature"
KEPT = RouteQos(durability="transient-local")


def payload(room: str = "lobby", value: float = 21.5) -> bytes:
    return msgspec.json.encode({"room": room, "value": value})


def world(
    config: RouteConfig | None = None, secured: bool = True, guest: str = "", codec: Codec = CODEC
) -> tuple[World, Other]:
    devices = {
        "sensor": may("Office/#", "$TAG/#"),
        "lobbyist": may(LOBBY),
        "reader": may(ROOMS, publish=False),
        "blind": may("Elsewhere/#"),
    }
    w = World(config or route_config(), devices, secured, guest, codec)
    return w, Other(w, "sensor")


def test_a_message_is_a_sample() -> None:
    w, sensor = world()
    sensor.publish(LOBBY, payload(), 1)
    assert w.writer.calls == [("write", cdr("lobby"), 0)]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_of_whatever_guarantee(qos: int) -> None:
    w, sensor = world()
    sensor.publish(LOBBY, payload(), qos)
    assert w.writer.values == [{"room": "lobby", "value": 21.5}]


def test_cdr_goes_out_as_it_is() -> None:
    w, sensor = world(route_config(payload="cdr"))
    sensor.publish(LOBBY, cdr("lobby"))
    assert w.writer.calls == [("write", cdr("lobby"), 0)]


def test_topics_outside_of_the_route_do_not() -> None:
    w, sensor = world()
    sensor.publish("Office/lobby/Humidity", payload())
    assert w.writer.calls == []


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (b"", "JSON"),
        (b"21.5", "object"),
        (b'{"room":"lobby"}', "value"),
        (b'{"room":"lobby","value":"warm"}', "value"),
        (b'{"room":"lobby","value":1,"more":2}', "more"),
    ],
)
def test_what_is_no_sample_is_told_with_the_field(octets: bytes, what: str) -> None:
    w, sensor = world()
    sensor.publish(LOBBY, octets)
    sensor.publish(LOBBY, payload())
    assert len(w.writer.calls) == 1
    (told,) = w.told(events.MESSAGE_UNFIT)
    assert (told["principal"], told["topic"]) == ("sensor", LOBBY)
    assert what in str(told["because"])


def test_who_may_write_one_instance_writes_no_other_by_its_payload() -> None:
    """The rights of the hub are on topics: a payload that names another instance would go past them."""
    w, _ = world()
    lobbyist = Other(w, "lobbyist")
    lobbyist.publish(LOBBY, payload("vault"))
    assert w.writer.calls == []
    assert "vault" in str(w.told(events.MESSAGE_UNFIT)[0]["because"])


def test_nor_in_cdr() -> None:
    w, _ = world(route_config(payload="cdr"))
    Other(w, "lobbyist").publish(LOBBY, cdr("vault"))
    assert w.writer.calls == []
    assert len(w.told(events.MESSAGE_UNFIT)) == 1


def test_what_the_writers_checker_refuses_is_told() -> None:
    w, sensor = world(route_config(hub="Office/raw", payload="cdr"), codec=Codec(Struct("T", TEMPERATURE.members[1:])))
    w.writer.objection = Refusal(PAYLOAD_FORMAT_INVALID, "the octets are no sample of the topic's type")
    sensor.publish("Office/raw", b"\0\1\0\0", 1)
    assert len(w.told(events.MESSAGE_UNFIT)) == 1


def test_a_writer_that_fails_is_told_as_the_routes_failure() -> None:
    w, sensor = world()
    w.writer.objection = Refusal(UNAVAILABLE, "a sample was not written: out of resources")
    sensor.publish(LOBBY, payload(), 1)
    assert w.told(events.MESSAGE_UNFIT) == []
    assert [told["because"] for told in w.told(events.ROUTE_FAILED)] == ["a sample was not written: out of resources"]


# Readers. -------------------------------------------------------------------------------------------------


def test_a_reader_that_may_not_read_gets_nothing() -> None:
    w, sensor = world()
    w.reads("reader")
    sensor.publish(LOBBY, payload(value=1.0))
    handle = w.reads("blind")
    sensor.publish(LOBBY, payload(value=2.0), 1)
    w.route.reader_gone(handle)
    sensor.publish(LOBBY, payload(value=3.0), 1)
    assert [value["value"] for value in w.writer.values] == [1.0, 3.0]
    (told,) = w.told(events.READER_UNPERMITTED)
    assert (told["principal"], told["topic"]) == ("blind", LOBBY)
    assert "permit it to subscribe" in str(told["because"])


@pytest.mark.parametrize("identity", ["stranger", ""])
def test_a_reader_that_is_no_device_gets_nothing(identity: str) -> None:
    w, sensor = world()
    w.reads(identity)
    sensor.publish(LOBBY, payload())
    assert w.writer.calls == []
    assert len(w.told(events.READER_UNPERMITTED)) == 1


def test_a_denial_of_one_topic_withholds_that_one() -> None:
    w, sensor = world()
    denial = Permission("Office/vault/#", publish=False, subscribe=True, allow=False)
    w.amend("reader", [*may(ROOMS, publish=False), denial])
    w.reads("reader")
    sensor.publish("Office/vault/Temperature", payload("vault"))
    sensor.publish(LOBBY, payload())
    assert [value["room"] for value in w.writer.values] == ["lobby"]


def test_a_changed_policy_counts_from_the_next_message_on() -> None:
    w, sensor = world()
    w.reads("reader")
    sensor.publish(LOBBY, payload(value=1.0))
    w.amend("reader", may("Elsewhere/#"))
    sensor.publish(LOBBY, payload(value=2.0))
    w.amend("reader", may(ROOMS))
    sensor.publish(LOBBY, payload(value=3.0))
    assert [value["value"] for value in w.writer.values] == [1.0, 3.0]


def test_a_revoked_reader_stops_the_route_until_it_is_gone() -> None:
    w, sensor = world()
    handle = w.reads("reader")
    w.revoke("reader")
    sensor.publish(LOBBY, payload(value=1.0))
    w.route.reader_gone(handle)
    sensor.publish(LOBBY, payload(value=2.0))
    assert [value["value"] for value in w.writer.values] == [2.0]


def test_what_waited_is_judged_when_it_is_written() -> None:
    w, sensor = world()
    w.reads("reader")
    w.writer.room = 0
    sensor.publish(LOBBY, payload(), 1)
    w.amend("reader", may("Elsewhere/#"))
    w.writer.room = 10
    w.wait(0.1)
    assert w.writer.calls == []


@pytest.mark.clause("DDSSEC-8.7")
def test_data_tags_need_every_readers_clearance() -> None:
    w, sensor = world()
    w.reads("reader")
    sensor.publish(LOBBY, payload(value=1.0), tags=("LEVEL=secret",))
    w.amend("reader", [*may(ROOMS), *may("$TAG/LEVEL/secret")])
    sensor.publish(LOBBY, payload(value=2.0), tags=("LEVEL=secret",))
    sensor.publish(LOBBY, payload(value=3.0), tags=("LEVEL=secret", "FOR=admiral"))
    assert [value["value"] for value in w.writer.values] == [2.0]
    assert "LEVEL=secret" in str(w.told(events.READER_UNPERMITTED)[0]["because"])


def test_tags_of_the_routes_own_writer_count_too() -> None:
    w, sensor = world(route_config(tags=("LEVEL=secret",)))
    w.reads("reader")
    sensor.publish(LOBBY, payload())
    assert w.writer.calls == []


def test_verified_only_readers_get_nothing_of_others() -> None:
    w, sensor = world()
    w.amend("reader", [Permission(ROOMS, publish=False, subscribe=True, verified=True)])
    w.reads("reader")
    sensor.publish(LOBBY, payload(value=1.0), verified=False)
    sensor.publish(LOBBY, payload(value=2.0), verified=True)
    assert [value["value"] for value in w.writer.values] == [2.0]


def test_without_security_the_guest_is_asked_before_anybody_matched() -> None:
    for guest, many in (("reader", 1), ("blind", 0), ("", 0)):
        w, sensor = world(None, False, guest)
        sensor.publish(LOBBY, payload())
        assert len(w.writer.calls) == many


# Loops. ---------------------------------------------------------------------------------------------------


def test_what_came_by_the_route_does_not_go_back() -> None:
    w, _ = world()
    w.writes("sensor").write("lobby")
    assert w.writer.calls == []


def test_what_came_by_another_route_does() -> None:
    w, _ = world()
    config = RouteConfig(3, "Temperature/Raw", "Office::Temperature", hub="Office/${room}/Temperature")
    beside = Route(config, DomainConfig(3), w.broker, CODEC, w.devices)
    sensor = w.writes("sensor")
    beside.writer_matched(sensor.endpoint)
    beside.received([sensor.sample("lobby")])
    assert w.writer.values == [{"room": "lobby", "value": 21.5}]


# Instances, retained messages, times. ---------------------------------------------------------------------


@pytest.mark.clause("DDS-2.2.2.4.2.13")
def test_clearing_a_retained_message_disposes_of_the_instance() -> None:
    w, sensor = world(route_config(qos=KEPT))
    sensor.publish(LOBBY, payload(), 1, retain=True)
    sensor.publish(LOBBY, b"", 1, retain=True)
    key = CODEC.encode_keys({"room": "lobby"})
    assert w.writer.calls == [("write", cdr("lobby"), 0), ("dispose", key), ("unregister", key)]


def test_a_dispose_waits_for_room_behind_what_waits() -> None:
    w, sensor = world(route_config(qos=KEPT))
    w.writer.room = 0
    sensor.publish(LOBBY, payload(), 1, retain=True)
    sensor.publish(LOBBY, b"", 1, retain=True)
    w.writer.room = 1
    w.wait(0.1)
    assert [call[0] for call in w.writer.calls] == ["write"]
    w.writer.room = 1
    w.wait(0.1)
    assert [call[0] for call in w.writer.calls] == ["write", "dispose", "unregister"]


def test_where_the_topic_names_no_instance_that_is_told() -> None:
    w, sensor = world(route_config(hub="Office/all", qos=KEPT))
    sensor.publish("Office/all", b"", 1, retain=True)
    assert w.writer.calls == []
    assert "hub" in str(w.told(events.MESSAGE_UNFIT)[0]["because"])


def test_a_type_without_keys_has_one_instance() -> None:
    codec = Codec(Struct("T", (Member("value", Primitive(FLOAT64), 0),)))
    w, sensor = world(route_config(hub="Office/one", qos=KEPT), codec=codec)
    sensor.publish("Office/one", b'{"value":1.5}', retain=True)
    sensor.publish("Office/one", b"", retain=True)
    assert [call[0] for call in w.writer.calls] == ["write", "dispose", "unregister"]


@pytest.mark.clause("DDS-2.2.3.19")
def test_instances_are_bounded_and_a_disposed_one_makes_room() -> None:
    w, sensor = world(route_config(qos=KEPT, instances=2))
    for room in ("a", "b", "c", "d"):
        sensor.publish(f"Office/{room}/Temperature", payload(room), retain=True)
    assert [value["room"] for value in w.writer.values] == ["a", "b"]
    assert len(w.told(events.INSTANCES_FULL)) == 1
    sensor.publish("Office/a/Temperature", b"", retain=True)
    sensor.publish("Office/e/Temperature", payload("e"))
    assert w.writer.values[-1]["room"] == "e"


def test_retained_messages_are_written_to_each_new_writer_where_dds_keeps_them() -> None:
    w, sensor = world(route_config(qos=KEPT))
    sensor.publish(LOBBY, payload(), 1, retain=True)
    w.writes("sensor").write("vault")  # came from DDS: its writer has it itself
    w.writer.calls.clear()
    w.route.open(w.writer)
    assert w.writer.values == [{"room": "lobby", "value": 21.5}]


def test_where_dds_keeps_nothing_old_values_are_not_written_again() -> None:
    w, sensor = world()
    sensor.publish(LOBBY, payload(), 1, retain=True)
    w.writer.calls.clear()
    w.route.open(w.writer)
    assert w.writer.calls == []


def test_nor_to_the_first_one() -> None:
    w, sensor = world()
    w.route.close()
    sensor.publish(LOBBY, payload(), 1, retain=True)
    w.route.open(w.writer)
    assert w.writer.calls == []


def test_a_new_writer_has_room_for_as_many_instances() -> None:
    w, sensor = world(route_config(instances=1))
    sensor.publish(LOBBY, payload())
    w.route.open(w.writer)
    sensor.publish("Office/vault/Temperature", payload("vault"))
    assert [value["room"] for value in w.writer.values] == ["lobby", "vault"]


def test_retained_messages_wait_for_room_in_their_order() -> None:
    w, sensor = world(route_config(qos=KEPT))
    for number in range(20):
        sensor.publish(f"Office/r{number:02}/Temperature", payload(f"r{number:02}"), 1, retain=True)
    w.writer.calls.clear()
    w.writer.room = 7
    w.route.open(w.writer)
    assert len(w.writer.calls) == 7
    assert w.route.next_timeout() <= w.clock.now
    w.writer.room = 100
    w.wait(0.1)
    assert sorted(str(value["room"]) for value in w.writer.values) == [f"r{number:02}" for number in range(20)]


@pytest.mark.clause("DDS-2.2.2.4.2.12")
def test_source_times_go_out_where_the_route_says_so() -> None:
    stamped = MessageProperties(user_properties=(("dds-source-timestamp", str(int((NOW - 5) * 1e9))),))
    for timestamps, expected in ((False, 0), (True, int((NOW - 5) * 1e9))):
        w, sensor = world(route_config(timestamps=timestamps))
        sensor.publish(LOBBY, payload(), properties=stamped)
        assert w.writer.calls[0][2] == expected


@pytest.mark.parametrize("text", ["", "-1", "soon", "9" * 40, "²"])
@pytest.mark.clause("DDS-2.2.2.4.2.12")
def test_other_texts_are_no_time(text: str) -> None:
    w, sensor = world(route_config(timestamps=True))
    sensor.publish(LOBBY, payload(), properties=MessageProperties(user_properties=(("dds-source-timestamp", text),)))
    assert w.writer.calls[0][2] == 0


def test_no_source_is_in_the_future() -> None:
    w, sensor = world(route_config(timestamps=True))
    ahead = MessageProperties(user_properties=(("dds-source-timestamp", str(int((NOW + 999) * 1e9))),))
    sensor.publish(LOBBY, payload(), properties=ahead)
    assert w.writer.calls[0][2] == int(NOW * 1e9)


# Room. ----------------------------------------------------------------------------------------------------


@pytest.mark.clause("DDS-2.2.3.14")
def test_what_is_delivered_at_least_once_waits_for_room_and_keeps_its_order() -> None:
    w, sensor = world()
    w.writer.room = 1
    for number in range(5):
        sensor.publish(LOBBY, payload(value=float(number)), 1)
    assert len(w.writer.calls) == 1
    w.writer.room = 2
    w.wait(0.1)
    w.writer.room = 100
    w.wait(0.1)
    assert [value["value"] for value in w.writer.values] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert w.route.next_timeout() > w.clock.now


def test_what_is_delivered_at_most_once_is_dropped_and_told() -> None:
    w, sensor = world()
    w.writer.room = 0
    sensor.publish(LOBBY, payload(), 0)
    w.writer.room = 10
    w.wait(0.1)
    assert w.writer.calls == []
    assert len(w.told(events.ROUTE_SLOW)) == 1
    assert w.broker.counters.dropped_slow == 1


def test_what_expired_while_it_waited_is_not_written() -> None:
    w, sensor = world()
    w.writer.room = 0
    sensor.publish(LOBBY, payload(), 1, expires_at=NOW + 5)
    w.writer.room = 10
    w.wait(6)
    assert w.writer.calls == []


def test_nor_what_is_expired_when_it_comes() -> None:
    w, sensor = world()
    sensor.publish(LOBBY, payload(), 0, expires_at=NOW - 1)
    assert w.writer.calls == []
    assert w.broker.counters.dropped_expired == 1


def test_messages_wait_while_the_participant_is_made_anew() -> None:
    w, sensor = world()
    w.route.open(None)
    sensor.publish(LOBBY, payload(value=1.0), 1)
    sensor.publish(LOBBY, payload(value=2.0), 0)
    assert w.writer.calls == []
    w.route.open(w.writer)
    assert [value["value"] for value in w.writer.values] == [1.0]


def test_a_closed_route_has_no_session_and_writes_nothing() -> None:
    w, sensor = world()
    before = len(w.broker.sessions)
    w.route.close()
    sensor.publish(LOBBY, payload(), 1)
    assert w.writer.calls == []
    assert len(w.broker.sessions) == before - 1


def test_a_route_that_only_comes_in_has_no_session() -> None:
    w, sensor = world(route_config(direction="in"))
    sensor.publish(LOBBY, payload(), 1)
    assert w.writer.calls == []
    assert len(w.broker.sessions) == 1


def test_who_matches_at_the_last_moment_is_asked_for_too() -> None:
    """Cyclone matches readers in threads of its own: the route looks before it writes."""
    w, sensor = world()
    w.reads("reader")
    w.writer.on_look = lambda: w.reads("blind") if not w.told(events.READER_UNPERMITTED) else None
    sensor.publish(LOBBY, payload())
    assert w.writer.calls == []
    (told,) = w.told(events.READER_UNPERMITTED)
    assert told["principal"] == "blind"
