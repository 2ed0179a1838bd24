"""Observing a Topic Filter at /t?f=: a stream of messages, each with its topic, and what a change of rights does."""

from __future__ import annotations

import pytest

from bridgehead.core.message import MessageProperties
from bridgehead.core.permission import Permission
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import CON, NON, uint_value
from bridgehead.protocols.coap.codec.uri import location_of
from bridgehead.protocols.coap.session.contract import Party
from tests.coap.topics import DEREGISTER, OBSERVE, TopicsHub, may, number, shown, topic


def test_each_notification_names_its_topic() -> None:
    hub = TopicsHub()
    client = hub.secured()
    first = client.request(codes.GET, "t?f=Office/+/Temperature", options=[OBSERVE], token=b"ob")
    assert shown(first) == ("2.05", b"")
    hub.other.publish("Office/Lobby/Temperature", b"20", qos=1, retain=True)
    hub.other.publish("Office/a b/Temperature", b"21")
    hub.other.publish("Office/Lobby/Humidity", b"50")
    one, other = client.get()
    assert (one.type, topic(one), one.payload) == (CON, "Office/Lobby/Temperature", b"20")
    assert (other.type, topic(other), other.payload) == (NON, "Office/a b/Temperature", b"21")
    assert location_of(other) == "/t/Office/a%20b/Temperature"
    assert number(first) < number(one) < number(other)
    client.request(codes.GET, "t?f=Office/+/Temperature", options=[DEREGISTER], token=b"ob")
    hub.other.publish("Office/Lobby/Temperature", b"22")
    assert client.get() == []


def test_what_is_retained_comes_first_at_the_pace_of_the_client() -> None:
    hub = TopicsHub()
    for i in range(20):
        hub.other.publish(f"a/{i}", b"%d" % i, qos=i % 2, retain=True)
    client = hub.secured()
    client.acknowledges = False
    client.request(codes.GET, "t?f=a/#", options=[OBSERVE])
    first = client.get_one()
    assert first.type == CON
    assert topic(first) == "a/0"
    client.acknowledges = True
    client.acknowledge(first)
    assert [topic(message) for message in client.get()] == [f"a/{i}" for i in range(1, 20)]
    assert hub.broker.sessions.of("sensor")[0].in_flight == {}


def test_only_who_comes_new_gets_what_is_retained() -> None:
    hub = TopicsHub()
    hub.other.publish("a/1", b"1", retain=True)
    client = hub.secured()
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE], token=b"1")
    assert [message.token for message in client.get()] == [b"1"]
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE], token=b"2")
    assert [message.token for message in client.get()] == [b"2"]
    hub.other.publish("a/1", b"2")
    assert sorted(message.token for message in client.get()) == [b"1", b"2"]


def test_one_topic_may_be_observed_by_its_path_and_by_a_filter() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.GET, "t/a", options=[OBSERVE], token=b"1", type=NON)
    client.request(codes.GET, "t?f=a", options=[OBSERVE], token=b"2")
    client.request(codes.GET, "t?f=#", options=[OBSERVE], token=b"3")
    hub.other.publish("a", b"1", qos=1)
    told = {message.token: message for message in client.get()}
    assert [told[token].type for token in (b"1", b"2", b"3")] == [NON, CON, CON]
    assert [told[token].has(numbers.LOCATION_PATH) for token in (b"1", b"2", b"3")] == [False, True, True]
    assert hub.broker.sessions.of("sensor")[0].in_flight == {}


@pytest.mark.clause("RFC8132-2")
def test_a_filter_by_fetch() -> None:
    hub = TopicsHub()
    client = hub.secured()
    answer = client.request(codes.FETCH, "t", b"a/+", [OBSERVE])
    assert answer.has(numbers.OBSERVE)
    hub.other.publish("a/b", b"1")
    assert topic(client.get_one()) == "a/b"


def test_a_stream_holds_messages_of_every_format_or_of_one() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE], token=b"1")
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE, (numbers.ACCEPT, uint_value(50))], token=b"2")
    hub.other.publish("a/1", b"{}", properties=MessageProperties("application/json"))
    hub.other.publish("a/2", b"\xa0", properties=MessageProperties("application/cbor"))
    hub.other.publish("a/3", b"[]", properties=MessageProperties("application/json"))
    told = client.get()
    assert [(topic(m), m.uint(numbers.CONTENT_FORMAT)) for m in told if m.token == b"1"] == [
        ("a/1", 50),
        ("a/2", 60),
        ("a/3", 50),
    ]
    assert [topic(m) for m in told if m.token == b"2"] == ["a/1", "a/3"]


def test_a_topic_that_has_no_path_is_passed_by_and_counted() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.GET, "t?f=#", options=[OBSERVE])
    hub.other.publish("a/../b", b"1", qos=1)
    hub.other.publish("x" * 256, b"1")
    hub.other.publish("a", b"1")
    assert topic(client.get_one()) == "a"
    assert hub.broker.counters.dropped_too_large == 2


@pytest.mark.parametrize("path", ["t?f=$share/g/a", "t?f=a/#/b"])
def test_filters_that_are_none_here(path: str) -> None:
    answer = TopicsHub().secured().request(codes.GET, path, options=[OBSERVE])
    assert answer.code == codes.BAD_REQUEST
    assert not answer.has(numbers.OBSERVE)


def test_hundred_observations_of_one_peer_all_get_what_is_confirmable() -> None:
    hub = TopicsHub()
    client = hub.secured()
    for i in range(100):
        client.request(codes.GET, "t/a", options=[OBSERVE], token=b"x%d" % i)
    hub.other.publish("a", b"1", qos=1)
    hub.other.publish("a", b"2", qos=1)
    told = client.get()
    assert len(told) == 200
    assert all(message.payload == b"1" for message in told[:100])
    assert len({message.token for message in told[100:]}) == 100
    assert hub.broker.sessions.of("sensor")[0].in_flight == {}


# Rights. ------------------------------------------------------------------------------------------


def test_a_permission_that_is_withdrawn_ends_its_observation_with_4_03() -> None:
    sensor = may("sensor", Permission("a", False, True), Permission("b/#", False, True))
    hub = TopicsHub([sensor])
    client = hub.secured()
    client.request(codes.GET, "t/a", options=[OBSERVE], token=b"1")
    client.request(codes.GET, "t?f=b/+", options=[OBSERVE], token=b"2")
    sensor.permit([Permission("a", False, True)], ["*"])
    hub.broker.permissions_changed(["sensor"])
    hub.settle()
    last = client.get_one()
    assert (last.code, last.token) == (codes.FORBIDDEN, b"2")
    assert b"b/+" in last.payload
    assert not last.has(numbers.OBSERVE)
    hub.other.publish("b/x", b"1", qos=1)
    hub.other.publish("a", b"1")
    assert [message.token for message in client.get()] == [b"1"]
    assert not client.peer.gone


def test_what_waits_is_not_delivered_after_its_permission() -> None:
    sensor = may("sensor", Permission("#", False, True))
    hub = TopicsHub([sensor])
    client = hub.secured()
    client.request(codes.GET, "t?f=#", options=[OBSERVE])
    client.acknowledges = False
    for path in ("a", "b", "c"):
        hub.other.publish(path, b"1", qos=1)
    first = client.get_one()
    sensor.permit([Permission("#", False, True), Permission("b", False, True, allow=False)], ["*"])
    hub.broker.permissions_changed(["sensor"])
    client.acknowledges = True
    client.acknowledge(first)
    assert [topic(message) for message in client.get()] == ["c"]


@pytest.mark.parametrize("observes", [True, False])
def test_who_is_revoked_is_told_and_closed(observes: bool) -> None:
    hub = TopicsHub()
    client = hub.secured()
    hub.observing.attach(client.peer)
    if observes:
        client.request(codes.GET, "t/a", options=[OBSERVE])
    hub.broker.revoke("sensor", "the device was revoked")
    hub.settle()
    assert client.peer.gone
    assert [shown(message) for message in client.get()] == ([("4.03", b"the device was revoked")] if observes else [])
    assert hub.observing.observations == 0
    assert hub.broker.sessions.of("sensor") == []


def test_who_rotates_its_credentials_is_closed_where_it_used_them() -> None:
    hub = TopicsHub()
    old, new = hub.secured(address="192.0.2.2:1"), hub.secured(address="192.0.2.2:2")
    assert old.peer.party is not None
    assert new.peer.party is not None
    old.peer.party.marks = ("psk old",)
    new.peer.party.marks = ("psk new",)
    hub.observing.attach(old.peer)
    hub.observing.attach(new.peer)
    assert hub.broker.disconnect("sensor", "the key was rotated", frozenset({"psk old"})) == 1
    assert old.peer.gone
    assert not new.peer.gone


def test_an_identity_inside_oscore_goes_and_the_peer_stays() -> None:
    """RFC 8613: several identities may speak from one address."""
    hub = TopicsHub()
    client = hub.secured("outer")
    client.request(codes.GET, "t/a", options=[OBSERVE], token=b"1")
    peer = client.peer
    outer = peer.party
    inner = hub.party("inner", "oscore", peer.address)
    peer.party = inner  # as the OSCORE layer's exchange has it
    client.request(codes.GET, "t/a", options=[OBSERVE], token=b"1")
    peer.party = outer
    hub.other.publish("a", b"1")
    assert len(client.get()) == 2
    hub.broker.revoke("inner", "revoked")
    hub.settle()
    assert client.get_one().code == codes.FORBIDDEN
    assert not peer.gone
    hub.other.publish("a", b"2")
    assert shown(client.get_one()) == ("2.05", b"2")
    assert isinstance(outer, Party)
    assert inner.receiver is None


def test_an_attached_peer_keeps_its_session_without_observing() -> None:
    hub = TopicsHub()
    client = hub.secured()
    hub.observing.attach(client.peer)
    client.request(codes.GET, "t/a", options=[OBSERVE], token=b"1")
    client.request(codes.GET, "t/a", options=[DEREGISTER], token=b"1")
    hub.pass_time(1)
    assert len(hub.broker.sessions.of("sensor")) == 1
    client.peer.close("it left")
    assert hub.broker.sessions.of("sensor") == []


def test_a_client_that_registers_and_cancels_leaves_nothing() -> None:
    hub = TopicsHub()
    client = hub.client()
    for _ in range(3000):
        client.request(codes.GET, "t/a", options=[OBSERVE], token=b"1")
        client.request(codes.GET, "t/a", options=[DEREGISTER], token=b"1")
    assert len(hub.observing._checks) < 1100
    hub.pass_time(0)
    assert hub.broker.sessions.of("guest") == []
    assert hub.broker.router.subscriptions == 0


def test_what_could_not_be_sent_to_all_yet_is_not_sent_after_its_permission() -> None:
    sensor = may("sensor", Permission("#", False, True))
    hub = TopicsHub([sensor])
    client = hub.secured()
    for i in range(100):
        client.request(codes.GET, "t?f=#", options=[OBSERVE], token=b"x%d" % i)
    client.acknowledges = False
    hub.other.publish("a", b"1", qos=1)
    first = client.get_one()
    sensor.permit([Permission("#", False, True), Permission("a", False, True, allow=False)], ["*"])
    hub.broker.permissions_changed(["sensor"])
    client.acknowledges = True
    client.acknowledge(first)
    assert len(client.get()) <= hub.settings.waiting  # those that the message layer had already
    assert hub.broker.sessions.of("sensor")[0].in_flight == {}
    hub.other.publish("b", b"1", qos=1)
    assert len(client.get()) == 100


@pytest.mark.clause("RFC7641-3.1")
def test_who_registers_again_to_be_sure_is_not_sent_what_is_retained_again() -> None:
    hub = TopicsHub()
    for i in range(3):
        hub.other.publish(f"a/{i}", b"%d" % i, retain=True)
    client = hub.secured()
    client.acknowledges = False
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE], token=b"ob")
    first = client.get_one()
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE], token=b"ob")
    client.acknowledges = True
    client.acknowledge(first)
    assert [topic(message) for message in client.get()] == ["a/1", "a/2"]
    client.request(codes.GET, "t?f=a/+", options=[OBSERVE], token=b"ob")
    assert client.get() == []
    hub.other.publish("a/1", b"x", qos=1)
    assert topic(client.get_one()) == "a/1"
    assert hub.observing.observations == 1


def test_who_registers_again_misses_nothing_that_waits() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.acknowledges = False
    for i in range(40):
        client.request(codes.GET, "t?f=#", options=[OBSERVE], token=b"%02d" % i)
    hub.other.publish("a", b"1", qos=1)
    first = client.get_one()
    for i in range(40):
        client.request(codes.GET, "t?f=#", options=[OBSERVE], token=b"%02d" % i)
    client.acknowledges = True
    client.acknowledge(first)
    tokens = {message.token for message in [first, *client.get()] if message.payload == b"1"}
    assert tokens == {b"%02d" % i for i in range(40)}
