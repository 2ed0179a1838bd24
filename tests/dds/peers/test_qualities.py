"""Qualities of service between real peers and the running hub: what each of them is there, and who is told of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridgehead.protocols.dds.session.sources import CDR_TYPE
from tests.cli.hub import wait_until
from tests.dds.domains import free_domain
from tests.dds.peers.hands import IDL, cyclone
from tests.dds.peers.town import DdsTown, domain_table, first_message, folder_of, sent, temperature_route, town
from tests.peers.raw import Raw

LEASE = 0.5
pytestmark = [pytest.mark.peer("idlc")]


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    with free_domain() as found:
        yield found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, number: int) -> Iterator[DdsTown]:
    notes = (
        f'[[dds.route]]\ndomain = {number}\ntopic = "Notes"\ntype = "std_msgs::msg::dds_::String_"\nidl = "{IDL}"\n'
        'partition = "Floor2/West"\n'
    )
    config = (
        domain_table(number, guest="robot")
        + temperature_route(number)
        + temperature_route(number, "Brief", "Brief/${room}", '{reliability = "best-effort"}')
        + temperature_route(number, "Watched", "Watched/${room}", f"{{lease = {LEASE}}}")
        + temperature_route(number, "Punctual", "Punctual/${room}", "{deadline = 0.2}")
        + temperature_route(number, "Owned", "Owned/${room}", '{ownership = "exclusive"}')
        + temperature_route(number, "RawIn", "Raw/${room}", more='payload = "cdr"\ndirection = "in"')
        + temperature_route(number, "RawOut", "Raw/${room}", more='payload = "cdr"\ndirection = "out"')
        + notes
    )
    with town(folder_of(tmp_path_factory), config, "robot", "viewer") as made:
        yield made


def sample(room: str, counter: int = 1) -> dict[str, Any]:
    return {"room": room, "celsius": 21.5, "counter": counter}


def notice(client: Raw, changed: str) -> dict[str, Any]:
    """The next notice of liveliness that says so."""
    while True:
        told: dict[str, Any] = json.loads(client.message().payload)
        if told["changed"] == changed:
            return told


@pytest.mark.clause("DDS-2.2.3.16")
def test_best_effort_is_at_most_once_and_lifespan_expiry(place: DdsTown, number: int, tmp_path: Path) -> None:
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Brief", reliability="best-effort", lifespan=60) as talker,
    ):
        viewer.subscribe("Brief/+", 1)
        message = first_message(viewer, lambda: talker.order(write=sample("Lobby")))
        assert (message.topic, message.qos) == ("Brief/Lobby", 0)
        expiry = message.properties.message_expiry_interval
        assert expiry is not None
        assert 0 < expiry <= 60


@pytest.mark.clause("DDS-2.2.3.11")
def test_liveliness_is_told_as_a_will_is(place: DdsTown, number: int, tmp_path: Path) -> None:
    """While it is silent, when it speaks again, when it leaves; and last, that one was killed."""
    topic = f"$SYS/dds/{number}/Watched/liveliness"
    with place.mqtt("viewer") as viewer:
        viewer.subscribe(topic)
        with cyclone(tmp_path, "talk", number, "Watched", lease=LEASE, every=0.05) as talker:
            assert notice(viewer, "came")["principal"] == "robot"
            talker.signal(signal.SIGSTOP)
            lost = notice(viewer, "lost")
            assert (lost["principal"], lost["alive"], lost["not_alive"]) == ("robot", 0, 1)
            event = place.hub.await_event("dds.liveliness-lost")
            assert (event["route"], event["principal"], event["writer"]) == (
                f"{number}/Watched",
                "robot",
                lost["writer"],
            )
            talker.signal(signal.SIGCONT)
            assert notice(viewer, "regained")["writer"] == lost["writer"]
            place.hub.await_event("dds.liveliness-regained")
            talker.end()
            assert notice(viewer, "left")["alive"] == 0
        with cyclone(tmp_path, "talk", number, "Watched", lease=LEASE) as talker:
            notice(viewer, "came")
            talker.signal(signal.SIGKILL)
            killed = notice(viewer, "lost")
            assert killed["writer"] != lost["writer"]
        with place.mqtt("viewer", "viewer-late") as late:
            late.subscribe(topic)
            message = late.message()
            assert message.retain
            assert json.loads(message.payload)["writer"] == killed["writer"]


@pytest.mark.clause("DDS-2.2.3.7")
def test_a_missed_deadline_is_told_with_its_topic(place: DdsTown, number: int, tmp_path: Path) -> None:
    with cyclone(tmp_path, "talk", number, "Punctual", deadline=0.2) as talker:
        talker.matched().order(write=sample("Clock"))
        event = place.hub.await_event("dds.deadline-missed")
        assert (event["route"], event["principal"]) == (f"{number}/Punctual", "robot")
        assert event["topic"] == "Punctual/Clock"
        assert event["because"] == "no sample came within 0.2 s"


@pytest.mark.parametrize(
    ("does", "options", "policy", "said"),
    [
        (
            "talk",
            {"reliability": "best-effort"},
            "Reliability",
            "offers Reliability best-effort, the hub asks for reliable",
        ),
        (
            "listen",
            {"durability": "transient-local"},
            "Durability",
            "asks for Durability transient-local, the hub offers volatile",
        ),
        ("listen", {"deadline": "2"}, "Deadline", "asks for Deadline 2 s, the hub offers infinite"),
        ("talk", {"strength": "5"}, "Ownership", "offers Ownership exclusive, the hub asks for shared"),
    ],
)
@pytest.mark.clause("DDS-2.2.3")
def test_qualities_that_do_not_fit_are_told_with_both_sides(
    place: DdsTown, number: int, tmp_path: Path, does: str, options: dict[str, str], policy: str, said: str
) -> None:
    with cyclone(tmp_path, does, number, "Temperature", **options) as hands:

        def told() -> list[dict[str, object]]:
            return [each for each in place.hub.events("dds.qos-incompatible") if each["policy"] == policy]

        wait_until(f"{policy} is told", told)
        (event,) = told()
        side = "writer" if does == "talk" else "reader"
        assert (event["route"], event["principal"]) == (f"{number}/Temperature", "robot")
        assert str(event["because"]).startswith(f"the {side} of 'robot' {said}: ")
        assert not any("matched" in each for each in hands.told)


@pytest.mark.clause("DDS-2.2.3.13")
def test_a_partition_is_the_beginning_of_the_topic(place: DdsTown, number: int, tmp_path: Path) -> None:
    """Where no template says otherwise; both ways."""
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "Notes", "String", partition="Floor2/West") as talker,
        cyclone(tmp_path, "listen", number, "Notes", "String", partition="Floor2/West") as listener,
    ):
        viewer.subscribe("#")
        message = first_message(viewer, lambda: talker.order(write={"data": "up here"}))
        assert (message.topic, json.loads(message.payload)) == ("Floor2/West/Notes", {"data": "up here"})
        sent(viewer, "Floor2/West/Notes", {"data": "and back"}, listener)


def test_raw_octets_pass_and_directions_hold(place: DdsTown, number: int, tmp_path: Path) -> None:
    """What comes in on one DDS topic goes out on another as the octets that it was; nothing goes the other way."""
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path, "talk", number, "RawIn") as talker,
        cyclone(tmp_path, "listen", number, "RawOut") as listener,
        cyclone(tmp_path, "listen", number, "RawIn") as beside,
    ):
        viewer.subscribe("Raw/+")
        message = first_message(viewer, lambda: talker.order(write=sample("Lobby", 7)))
        assert (message.topic, message.properties.content_type) == ("Raw/Lobby", CDR_TYPE)
        assert message.payload.startswith((b"\0\1", b"\0\7"))
        assert b"Lobby\0" in message.payload
        listener.sample(room="Lobby", counter=7)
        octets = message.payload.replace(b"Lobby", b"Attic")
        listener.wait_for(
            "what MQTT sent",
            lambda told: told.get("sample") == sample("Attic", 7),
            meanwhile=lambda: viewer.publish("Raw/Attic", octets),
        )
        talker.order(write=sample("Lobby", 8))
        beside.sample(room="Lobby", counter=8)
        assert {each["room"] for each in beside.samples()} == {"Lobby"}


@pytest.mark.clause("DDS-2.2.3.10")
def test_a_strength_that_changes_while_it_writes_changes_the_owner(place: DdsTown, number: int, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        place.mqtt("viewer") as viewer,
        cyclone(tmp_path / "first", "talk", number, "Owned", strength=20, every=0.05, room="Desk") as first,
        cyclone(tmp_path / "second", "talk", number, "Owned", strength=10, every=0.05, room="Desk") as second,
    ):
        first.matched()
        second.matched()
        viewer.subscribe("Owned/Desk")
        while json.loads(viewer.message().payload)["celsius"] != 20.0:
            continue
        second.order(strength=30)
        while json.loads(viewer.message().payload)["celsius"] != 10.0:
            continue
        event = place.hub.await_event("dds.owner-changed")
        assert (event["route"], event["topic"]) == (f"{number}/Owned", "Owned/Desk")
        with place.mqtt("viewer", "viewer-late") as late:
            late.subscribe(f"$SYS/dds/{number}/Owned/owner")
            told = json.loads(late.message().payload)
            assert (told["instance"], told["strength"], told["before"]) == ({"room": "Desk"}, 30, "robot")
            assert told["because"] == "it is stronger (30 to 20)"


def test_a_peer_that_comes_back_with_another_type_and_other_qualities(
    place: DdsTown, number: int, tmp_path: Path
) -> None:
    """What does not fit is told, and heard is whoever fits, in between and afterwards."""

    def count() -> int:
        return len([each for each in place.hub.events("dds.qos-incompatible") if each["policy"] == "Type Consistency"])

    with place.mqtt("viewer") as viewer:
        viewer.subscribe("Office/#")
        with cyclone(tmp_path, "talk", number, "Temperature") as right:
            assert first_message(viewer, lambda: right.order(write=sample("A"))).topic == "Office/A/Temperature"
        with cyclone(tmp_path, "talk", number, "Temperature", "Numbered") as wrong:
            wrong.order(write={"room": 7, "celsius": "warm"})
            wait_until("another type is told", count)
        with cyclone(tmp_path, "talk", number, "Temperature", reliability="best-effort", every=0.05, room="B"):
            pass
        with cyclone(tmp_path, "talk", number, "Temperature") as right:
            topics = {first_message(viewer, lambda: right.order(write=sample("C"))).topic}
            while "Office/C/Temperature" not in topics:
                topics.add(viewer.message().topic)
            assert topics <= {"Office/A/Temperature", "Office/C/Temperature"}
