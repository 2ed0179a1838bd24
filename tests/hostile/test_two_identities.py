"""Two identities on the real hub, over TLS with certificates: neither gets what is the other's, whatever it tries.

tests/mqtt/session/test_two_identities.py tries more ways, in memory.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from bridgehead.protocols.mqtt.codec.packets import Connack, Disconnect, Pingreq, Pingresp, Publish, Will
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.codec.reason_codes import (
    CLIENT_IDENTIFIER_NOT_VALID,
    NOT_AUTHORIZED,
    SESSION_TAKEN_OVER,
)
from tests.peers.raw import Raw
from tests.peers.town import Town, may_both, may_publish, may_subscribe

VERSIONS = [4, 5]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """`writer` publishes everywhere; tests add the devices that they are about."""
    with Town(tmp_path_factory.mktemp("town")) as running:
        running.add("writer", may_publish("#"))
        yield running


@pytest.fixture
def writer(town: Town) -> Iterator[Raw]:
    raw = town.client("writer")
    yield raw
    raw.close()


def kept(town: Town, name: str, client_id: str, version: int) -> tuple[Raw, bool]:
    """Connected with a session that stays (an hour), and whether it was there."""
    raw = Raw(town.tls(name), version)
    answer = raw.connect(client_id, clean_start=False, expiry=3600)
    assert answer.reason_code == 0
    return raw, answer.session_present


def told(raw: Raw) -> str:
    """Why the hub sent the client away, as it was not authorized any more."""
    farewell = raw.rest()[-1]
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == NOT_AUTHORIZED
    return str(farewell.properties.reason_string)


# Sessions. ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_client_identifier_of_another_device_is_refused(town: Town, writer: Raw, version: int) -> None:
    owner, thief = f"owner{version}", f"thief{version}"
    for name in (owner, thief):
        town.add(name, may_subscribe("a/#"))
    victim = town.client(owner, version=version)
    assert victim.subscribe("a/#", 1) == 1
    raw = Raw(town.tls(thief), version)
    answer = raw.connect(owner)
    assert answer.reason_code == (CLIENT_IDENTIFIER_NOT_VALID if version == 5 else 2)
    assert raw.rest() == []
    assert writer.publish("a/x", b"still mine", 1) == 0
    assert victim.message().payload == b"still mine"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("connected", [True, False])
def test_a_client_identifier_that_both_may_use_means_two_sessions(
    town: Town, writer: Raw, version: int, connected: bool
) -> None:
    """Neither a live nor a stored session is taken over or resumed."""
    names = [f"{who}-{version}-{connected}" for who in ("one", "two")]
    topic = f"b/{version}/{connected}"
    for name in names:
        town.add(name, may_subscribe("b/#"), client_ids=("common",))
    one, present = kept(town, names[0], "common", version)
    assert not present
    one.subscribe(topic, 2)
    if not connected:
        one.disconnect()
        assert writer.publish(topic, b"for one", 2) == 0
    two, present = kept(town, names[1], "common", version)
    assert not present
    two.ping()  # and nothing came before the answer
    if connected:
        one.ping()
        assert writer.publish(topic, b"for one", 2) == 0
    else:
        two.ping()
        one, present = kept(town, names[0], "common", version)
        assert present
    assert one.message().payload == b"for one"
    two.ping()


def test_the_same_device_takes_its_own_session_over(town: Town) -> None:
    town.add("twice", may_subscribe("a/#"))
    first, _ = kept(town, "twice", "twice", 5)
    _, present = kept(town, "twice", "twice", 5)
    assert present
    (farewell,) = first.rest()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == SESSION_TAKEN_OVER


# Removal. -------------------------------------------------------------------------------------------


def attempt(sock: ssl.SSLSocket, client_id: str) -> int:
    """What the hub answers to a CONNECT; -1 when it only closes, or TLS itself fails."""
    raw = Raw(sock)
    try:
        return raw.connect(client_id).reason_code
    except (ConnectionError, ssl.SSLError):
        return -1
    finally:
        raw.close()


def try_tls(town: Town, name: str, session: ssl.SSLSession | None = None) -> int:
    try:
        return attempt(town.tls(name, session), name)
    except (ConnectionError, ssl.SSLError):
        return -1


def test_a_removed_device_is_out_at_once_and_for_ever(town: Town, writer: Raw) -> None:
    town.add("leaver", may_subscribe("c/#"))
    away, _ = kept(town, "leaver", "leaver-away", 5)
    away.subscribe("c/#", 1)
    away.disconnect()
    here, _ = kept(town, "leaver", "leaver", 5)
    here.subscribe("c/#", 1)
    assert writer.publish("c/x", b"before", 1) == 0
    assert here.message().payload == b"before"
    assert isinstance(here.sock, ssl.SSLSocket)
    session = here.sock.session
    assert session is not None
    context = town.context("leaver")
    resumed = context.wrap_socket(town.sock("mqtts"), server_hostname="localhost", session=None)
    ticket_holder = Raw(resumed)
    ticket_holder.connect("leaver-ticket")
    ticket_holder.ping()
    ticket = resumed.session
    again = context.wrap_socket(town.sock("mqtts"), server_hostname="localhost", session=ticket)
    assert again.session_reused  # so a resumption does work, while it may
    assert attempt(again, "leaver-again") == 0
    late = context.wrap_socket(
        town.sock("mqtts"), server_hostname="localhost", session=ticket
    )  # before, and no CONNECT

    town.command("device", "remove", "leaver")
    (farewell,) = here.rest()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == NOT_AUTHORIZED
    ticket_holder.rest()
    town.hub.await_event("identity.ended")

    assert attempt(late, "leaver") not in (0, 1)
    assert try_tls(town, "leaver") not in (0, 1)
    try:
        code = attempt(context.wrap_socket(town.sock("mqtts"), server_hostname="localhost", session=ticket), "leaver")
    except (ConnectionError, ssl.SSLError):
        code = -1
    assert code not in (0, 1)
    # Another device of that name finds nothing of the first one's.
    assert writer.publish("c/x", b"nobody", 1) in (0, 0x10)
    town.add("leaver", may_subscribe("c/#"))
    for client_id in ("leaver", "leaver-away"):
        heir, present = kept(town, "leaver", client_id, 5)
        assert not present
        heir.ping()


def test_a_removed_devices_password_is_worth_nothing(town: Town) -> None:
    town.add("forgotten", may_subscribe("c/#"))
    town.guest("forgotten").ping()  # so its password is remembered
    town.command("device", "remove", "forgotten")
    answer = town.raw().connect("forgotten", "forgotten", "correct horse battery")
    assert answer.reason_code == 0x86


# Permissions that end while data flows. -------------------------------------------------------------


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_delivery_ends_with_the_permission_and_comes_back_with_it(town: Town, writer: Raw, qos: int) -> None:
    name = f"reader-{qos}"
    town.add(name, may_subscribe("d/#"), may_subscribe("open/#"))
    reader = town.client(name)
    for topic_filter in ("d/#", "open/#"):
        assert reader.subscribe(topic_filter, qos) == qos
    for number in range(20):
        writer.publish("d/x", b"%d" % number, qos)
    assert [reader.message().payload for _ in range(20)] == [b"%d" % number for number in range(20)]
    town.allow(name, may_subscribe("open/#"))
    assert "the subscription to 'd/#' was withdrawn" in told(reader)
    reader = town.client(name)
    assert reader.subscribe("d/#", qos) == NOT_AUTHORIZED
    assert reader.subscribe("open/#", qos) == qos
    for number in range(20):
        writer.publish("d/x", b"secret", qos)
        writer.publish("open/x", b"%d" % number, qos)
    assert [reader.message().payload for _ in range(20)] == [b"%d" % number for number in range(20)]
    town.allow(name, may_subscribe("d/#"), may_subscribe("open/#"))
    assert reader.subscribe("d/#", qos) == qos
    writer.publish("d/x", b"again", qos)
    assert reader.message().payload == b"again"


def test_what_is_queued_is_dropped_with_the_permission(town: Town, writer: Raw) -> None:
    town.add("sleeper", may_subscribe("d/#"), may_subscribe("open/#"))
    sleeper, _ = kept(town, "sleeper", "sleeper", 5)
    for topic_filter in ("d/#", "open/#"):
        sleeper.subscribe(topic_filter, 2)
    sleeper.disconnect()
    for number in range(10):
        writer.publish("d/queue", b"secret", 1 + number % 2)
        writer.publish("open/queue", b"%d" % number, 1 + number % 2)
    town.allow("sleeper", may_subscribe("open/#"))
    sleeper, present = kept(town, "sleeper", "sleeper", 5)
    assert present
    assert "the subscription to 'd/#' was withdrawn" in told(sleeper)
    sleeper, present = kept(town, "sleeper", "sleeper", 5)
    assert present
    assert [sleeper.message().payload for _ in range(10)] == [b"%d" % number for number in range(10)]
    sleeper.ping()


@pytest.mark.parametrize("version", VERSIONS)
def test_publishing_ends_with_the_permission(town: Town, version: int) -> None:
    name = f"speaker-{version}"
    town.add(name, may_both("e/#"))
    town.add(f"witness-{version}", may_subscribe("e/#"))
    witness = town.client(f"witness-{version}")
    witness.subscribe(f"e/{version}", 1)
    speaker = town.client(name, version=version)
    assert speaker.publish(f"e/{version}", b"allowed", 1) == 0
    town.allow(name, may_subscribe("e/#"))
    denials = len(town.hub.events("publish.denied"))
    # 3.1.1 cannot be told: it is acknowledged, dropped and logged.
    assert speaker.publish(f"e/{version}", b"denied", 1) == (NOT_AUTHORIZED if version == 5 else 0)
    line = town.hub.await_event("publish.denied", denials + 1)
    assert line["principal"] == name
    assert "no permission" in str(line["because"])
    assert witness.message().payload == b"allowed"
    witness.ping()


# Ways around. ---------------------------------------------------------------------------------------


def will(topic: str) -> Will:
    return Will(topic, b"will", 1, False, NO_PROPERTIES)


def test_a_will_needs_its_permission_when_it_is_made_and_when_it_is_due(town: Town) -> None:
    town.add("mourner", may_publish("f/mine"))
    town.add("listener", may_subscribe("f/#"))
    listener = town.client("listener")
    listener.subscribe("f/#", 1)
    raw = Raw(town.tls("mourner"))
    assert raw.connect("mourner", will=will("f/other")).reason_code == NOT_AUTHORIZED
    # Made while it was permitted, due when it is not any more; and one of a device that is removed.
    raw = Raw(town.tls("mourner"))
    assert raw.connect("mourner", will=will("f/mine")).reason_code == 0
    denied = len(town.hub.events("will.denied"))
    town.allow("mourner", may_publish("f/none"))
    raw.close()
    town.hub.await_event("will.denied", denied + 1)
    town.allow("mourner", may_publish("f/mine"))
    raw = Raw(town.tls("mourner"))
    assert raw.connect("mourner", will=will("f/mine")).reason_code == 0
    town.command("device", "remove", "mourner")
    raw.rest()
    town.hub.await_event("identity.ended")
    listener.ping()


def test_retained_messages_are_for_those_who_may_read_them(town: Town, writer: Raw) -> None:
    town.add("curious", may_subscribe("g/open/#"), may_subscribe("g/+/lamp"))
    for topic in ("g/open/a", "g/closed/lamp", "g/closed/safe"):
        assert writer.publish(topic, topic.encode(), 1, retain=True) in (0, 0x10)
    curious = town.client("curious")
    for denied in ("#", "g/#", "g/+/#", "+/+/+", "g/closed/safe", "$share/all/g/#"):
        assert curious.subscribe(denied) == NOT_AUTHORIZED
    assert curious.subscribe("g/open/#") == 0
    assert curious.message().topic == "g/open/a"
    assert curious.subscribe("g/+/lamp") == 0
    assert curious.message().topic == "g/closed/lamp"
    curious.ping()
    town.allow("curious", may_subscribe("g/open/#"))
    assert "the subscription to 'g/+/lamp' was withdrawn" in told(curious)
    curious = town.client("curious")
    assert curious.subscribe("g/+/lamp") == NOT_AUTHORIZED
    writer.publish("g/closed/lamp", b"new", 1, retain=True)
    curious.ping()


def test_a_member_that_may_not_read_any_more_gets_nothing_of_its_groups_share(town: Town, writer: Raw) -> None:
    for name in ("member-a", "member-b"):
        town.add(name, may_subscribe("h/#"))
    a, b = town.client("member-a"), town.client("member-b")
    for member in (a, b):
        # What a member has not acknowledged would go to the other ([MQTT-4.8.2-5]).
        assert member.subscribe("$share/group/h/#", 0) == 0
    for number in range(10):
        writer.publish("h/x", b"%d" % number, 1)
    shared = sorted([int(member.message().payload) for member in (a, b) for _ in range(5)])
    assert shared == list(range(10))
    town.allow("member-b", may_subscribe("i/#"))
    assert "the subscription to '$share/group/h/#' was withdrawn" in told(b)
    for number in range(10):
        writer.publish("h/x", b"%d" % number, 1)
    assert [int(a.message().payload) for _ in range(10)] == list(range(10))


def test_a_topic_alias_belongs_to_its_connection(town: Town) -> None:
    town.add("alias-a", may_publish("j/a"))
    town.add("alias-b", may_publish("j/b"))
    one, two = town.client("alias-a"), town.client("alias-b")
    one.send(Publish("j/a", b"x", 1, False, False, 1, Properties(topic_alias=1)))
    assert not isinstance(one.receive(), Disconnect)
    two.send(Publish("", b"x", 1, False, False, 1, Properties(topic_alias=1)))
    (farewell,) = two.rest()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == 0x82
    one.ping()


def test_system_topics_are_for_those_permitted(town: Town) -> None:
    town.add("nosy", may_subscribe("#"))
    town.add("operator", may_subscribe("$SYS/broker/#"))
    nosy = town.client("nosy")
    assert nosy.subscribe("$SYS/#") == NOT_AUTHORIZED
    assert nosy.subscribe("#") == 0
    nosy.send(Pingreq())
    found = list(iter(nosy.receive, Pingresp()))
    assert all(isinstance(packet, Publish) and not packet.topic.startswith("$") for packet in found)
    operator = town.client("operator")
    assert operator.subscribe("$SYS/broker/version") == 0
    assert operator.message().payload.startswith(b"bridgehead")
    assert town.client("writer", "writer-sys").publish("$SYS/broker/version", b"forged", 1) == NOT_AUTHORIZED


def test_a_certificate_of_another_device_beside_a_right_password_is_refused(town: Town) -> None:
    for name in ("mask", "face"):
        town.add(name, may_subscribe("a/#"))
    raw = Raw(town.tls("mask"))
    answer = raw.connect("face", "face", "correct horse battery")
    assert isinstance(answer, Connack)
    assert answer.reason_code == 0x86
