"""Rights that are withdrawn, or that another proof does not have: nothing that was open before stays open."""

from __future__ import annotations

import pytest

from bridgehead.broker import records
from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Packet, Publish, Subscribe, SubscriptionRequest, Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, ManualStore, Peer

PLANT = Permission("plant/#", False, True)
STRONG = ("certificate",)
WEAK = ("password",)


def house(*permissions: Permission) -> Hub:
    return Hub(principals=[Principal.of("office", list(permissions), ["*"])])


def withdraw(hub: Hub, *left: Permission) -> None:
    hub.principals["office"].permit(list(left), ["*"])
    hub.broker.permissions_changed(["office"])
    hub.settle()


def farewell(packets: list[Packet]) -> Disconnect:
    found = [packet for packet in packets if isinstance(packet, Disconnect)]
    assert len(found) == 1, packets
    return found[0]


def payloads(packets: list[Packet]) -> list[bytes]:
    return [packet.payload for packet in packets if isinstance(packet, Publish)]


# Withdrawn subscriptions. ---------------------------------------------------------------------------


@pytest.mark.parametrize("share", ["", "$share/g/"])
@pytest.mark.parametrize("expiry", [None, 1000])
def test_a_client_is_told_which_subscription_it_has_no_more(share: str, expiry: int | None) -> None:
    hub = house(PLANT, Permission("other", False, True))
    office = hub.client("office", expiry=expiry)
    office.subscribe(share + "plant/#", 1)
    office.subscribe("other", 1)
    office.get()
    withdraw(hub, Permission("other", False, True))
    last = farewell(office.get())
    assert last.reason_code == codes.NOT_AUTHORIZED
    assert last.properties.reason_string is not None
    assert f"the subscription to '{share}plant/#' was withdrawn" in last.properties.reason_string
    assert office.closed
    (event,) = hub.named("subscription.withdrawn")
    assert (event["principal"], event["filter"]) == ("office", share + "plant/#")
    assert hub.broker.router.subscriptions == (1 if expiry else 0)


def test_an_old_client_s_connection_closes() -> None:
    hub = house(PLANT)
    office = hub.client("office", 4)
    office.subscribe("plant/#")
    office.get()
    withdraw(hub)
    assert office.closed
    assert office.get() == []


def test_the_session_stays_and_what_is_still_permitted_goes_on() -> None:
    hub = house(PLANT, Permission("other", False, True))
    office = hub.durable("office")
    office.subscribe("plant/#", 1)
    office.subscribe("other", 1)
    withdraw(hub, Permission("other", False, True))
    sensor = hub.client("sensor")
    for topic in ("plant/1", "other"):
        sensor.publish(topic, topic.encode(), 1)
    for house_now in (hub, hub.crash()):
        office = house_now.durable("office")
        assert not office.closed
        assert list(house_now.broker.sessions.of("office")[0].subscriptions) == ["other"]
        assert payloads(office.get()) == [b"other"]


def test_a_lower_qos_or_a_denied_part_is_no_reason_to_withdraw() -> None:
    hub = house(PLANT)
    office = hub.client("office")
    office.subscribe("plant/#", 2)
    withdraw(hub, Permission("plant/#", False, True, 0), Permission("plant/secret", False, True, allow=False))
    sensor = hub.client("sensor")
    for topic in ("plant/secret", "plant/open"):
        sensor.publish(topic, topic.encode(), 1)
    got = [packet for packet in office.get() if isinstance(packet, Publish)]
    assert [(packet.payload, packet.qos) for packet in got] == [(b"plant/open", 0)]
    assert hub.named("subscription.withdrawn") == []


@pytest.mark.parametrize("version", [4, 5])
def test_who_was_away_is_told_once_when_it_comes_back(version: int) -> None:
    """It goes on believing that it is subscribed: Session Present says that all is as it was."""
    hub = house(PLANT)
    office = hub.durable("office", version)
    office.subscribe("plant/#", 1)
    office.drop()
    withdraw(hub)
    again = hub.durable("office", version)
    assert again.closed
    if version == 5:
        assert "'plant/#' was withdrawn" in str(farewell(again.get()).properties.reason_string)
    assert not hub.durable("office", version).closed


def test_what_was_withdrawn_one_after_the_other_is_told_together() -> None:
    hub = house(PLANT, Permission("other", False, True))
    office = hub.durable("office")
    office.subscribe("plant/#", 1)
    office.subscribe("other", 1)
    office.drop()
    withdraw(hub, Permission("other", False, True))
    withdraw(hub)
    told = str(farewell(hub.durable("office").get()).properties.reason_string)
    assert "'plant/#' was withdrawn" in told
    assert "'other' was withdrawn" in told


def test_who_does_not_come_back_to_its_session_is_not_told() -> None:
    hub = house(PLANT)
    office = hub.durable("office")
    office.subscribe("plant/#", 1)
    office.drop()
    withdraw(hub)
    assert not hub.client("office", clean_start=True).closed


@pytest.mark.parametrize("connected", [False, True])
def test_what_waits_for_a_member_that_is_in_the_group_no_more_goes_to_another(connected: bool) -> None:
    hub = house(PLANT)
    office = hub.client("office", properties=Properties(session_expiry_interval=1000, receive_maximum=1))
    office.subscribe("$share/g/plant/#", 1)
    away = hub.durable("away")
    away.subscribe("$share/g/plant/#", 1)
    away.drop()
    if not connected:
        office.drop()
    sensor = hub.client("sensor")
    for i in range(4):
        sensor.publish("plant/1", str(i).encode(), 1)
    assert payloads(office.get()) == ([b"0"] if connected else [])
    withdraw(hub)
    assert payloads(office.get()) == []
    assert sorted(hub.durable("away").payloads()) == [b"0", b"1", b"2", b"3"][1 if connected else 0 :]


def test_a_replay_ends_with_its_subscription() -> None:
    hub = house(PLANT, Permission("other", False, True))
    sensor = hub.client("sensor")
    for i in range(3000):
        sensor.publish(f"plant/{i}", b"x", 1, retain=True)
    office = hub.client("office", expiry=1000)
    office.send(Subscribe(1, [SubscriptionRequest("plant/#", 1, False, False, 0)]))
    begun = payloads(office.get())
    assert 0 < len(begun) < 3000
    withdraw(hub, Permission("other", False, True))
    assert payloads(office.get()) == []
    assert not hub.client("office", clean_start=False, expiry=1000).closed  # it was told when it happened
    session = hub.broker.sessions.of("office")[0]
    assert session.replay is None
    assert session.subscriptions == {}


def test_a_bar_that_is_lifted_finds_the_session_as_it_was() -> None:
    """A disabled identity has no rights at all; what it subscribed to is not forgotten over that."""
    hub = house(PLANT)
    office = hub.durable("office")
    office.subscribe("plant/#", 1)
    office.drop()
    rights, bindings = hub.principals["office"].rights, hub.principals["office"].bindings
    hub.principals["office"].amend([], {}, [])
    hub.broker.permissions_changed(["office"])
    hub.client("sensor").publish("plant/1", b"barred", 1)
    hub.principals["office"].amend(rights, bindings, ["*"])
    hub.broker.permissions_changed(["office"])
    hub.client("sensor").publish("plant/1", b"again", 1)
    assert payloads(hub.durable("office").get()) == [b"again"]


def test_thousands_of_subscriptions_are_gone_through_in_portions_and_nothing_leaks_meanwhile() -> None:
    hub = house(PLANT)
    sessions = []
    for i in range(20):
        office = hub.client("office", client_id=f"c{i}")
        requests = [SubscriptionRequest(f"plant/{n}", 0, False, False, 0) for n in range(500)]
        office.send(Subscribe(1, requests))
        office.get()
        sessions.append(office)
    hub.principals["office"].permit([], ["*"])
    hub.broker.permissions_changed(["office"])
    hub.settle()
    assert 0 < hub.broker.router.subscriptions < 10_000
    assert hub.broker.next_timeout() <= hub.clock.now
    hub.client("sensor").publish("plant/1", b"x")
    assert [payloads(peer.get()) for peer in sessions] == [[]] * 20
    while hub.broker.next_timeout() <= hub.clock.now:
        hub.broker.handle_timeout()
    hub.settle()
    assert hub.broker.router.subscriptions == 0
    assert all(peer.closed for peer in sessions)


# Wills. ---------------------------------------------------------------------------------------------


def test_a_will_after_the_right_is_withdrawn() -> None:
    hub = house(Permission("plant/office", True, False))
    hearer = hub.client("hearer")
    hearer.subscribe("#", 1)
    office = hub.client("office", will=Will("plant/office", b"bye", 1, True))
    withdraw(hub)
    office.drop()
    assert payloads(hearer.get()) == []
    assert len(hub.broker.retained) == 0
    assert len(hub.named("will.denied")) == 1


@pytest.mark.parametrize("crash", [False, True])
def test_a_will_is_judged_as_the_connection_was_that_left_it(crash: bool) -> None:
    """Not by how the session is held when it falls due: the stronger proof of a later connection lends it nothing."""
    hub = house(Permission("plant/office", True, False, mechanisms=STRONG))
    weak = hub.peer("office")
    weak.context = Context("mqtt", WEAK)
    assert weak.connect("w", will=Will("plant/office", b"forged", 1, False)).reason_code == codes.NOT_AUTHORIZED
    late = Properties(will_delay_interval=10)
    strong = hub.client("office", expiry=100, will=Will("plant/office", b"bye", 1, True, late), mechanisms=STRONG)
    strong.drop()
    if crash:
        hub = hub.crash()
    hub.client("office", client_id="other", mechanisms=WEAK)
    hub.pass_time(30)
    kept = hub.broker.retained.get("plant/office")
    assert kept is not None
    assert kept.payload == b"bye"
    assert kept.origin.verified


# Other proof. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True])
def test_a_session_resumed_by_a_weaker_proof_gets_nothing_of_the_stronger_ones(crash: bool) -> None:
    hub = house(Permission("plant/#", False, True, mechanisms=STRONG), Permission("open/#", False, True))
    strong = hub.client("office", expiry=1000, mechanisms=STRONG)
    strong.subscribe("plant/#", 1)
    strong.subscribe("open/#", 1)
    strong.drop()
    sensor = hub.client("sensor")
    sensor.publish("plant/1", b"secret", 1, retain=True)
    sensor.publish("open/1", b"open", 1)
    if crash:
        hub = hub.crash()
    weak = hub.client("office", clean_start=False, expiry=1000, mechanisms=WEAK)
    packets = weak.get()
    assert b"secret" not in payloads(packets)
    assert "'plant/#' was withdrawn" in str(farewell(packets).properties.reason_string)
    weak = hub.client("office", clean_start=False, expiry=1000, mechanisms=WEAK)
    assert weak.payloads() == [b"open"]
    assert weak.subscribe("plant/#", 1) == [codes.NOT_AUTHORIZED]
    hub.client("sensor").publish("plant/1", b"live", 1)
    assert weak.payloads() == []


def test_a_session_is_kept_under_its_own_proof_while_it_is_away() -> None:
    """Over a restart too: else what its conditional right lets it have would be missing when it comes back."""
    hub = house(Permission("plant/#", False, True, mechanisms=STRONG))
    strong = hub.client("office", expiry=1000, mechanisms=STRONG)
    strong.subscribe("plant/#", 1)
    strong.drop()
    hub = hub.crash()
    hub.client("sensor").publish("plant/1", b"for the strong", 1)
    assert hub.client("office", clean_start=False, expiry=1000, mechanisms=STRONG).payloads() == [b"for the strong"]


def test_a_takeover_by_a_weaker_proof_ends_what_flowed_to_the_stronger() -> None:
    hub = house(Permission("plant/#", True, True, mechanisms=STRONG))
    strong = hub.client("office", expiry=1000, mechanisms=STRONG)
    strong.subscribe("plant/#", 0)
    sensor = hub.client("sensor")
    sensor.publish("plant/1", b"1")
    assert strong.payloads() == [b"1"]
    weak = hub.client("office", clean_start=False, expiry=1000, mechanisms=WEAK)
    assert strong.closed
    sensor.publish("plant/1", b"2")
    assert payloads(weak.get()) == []
    weak = hub.client("office", clean_start=False, expiry=1000, mechanisms=WEAK)
    weak.publish("plant/1", b"forged", 1, retain=True)
    assert len(hub.broker.retained) == 0


def test_a_denial_of_one_proof_does_not_hold_for_another_and_holds_when_none_is_known() -> None:
    hub = house(PLANT, Permission("plant/secret", False, True, allow=False, mechanisms=WEAK))
    peers: list[Peer] = []
    for i, mechanisms in enumerate((STRONG, WEAK, (*WEAK, *STRONG), None)):
        peer = hub.client("office", client_id=f"c{i}", mechanisms=mechanisms)
        peer.subscribe("plant/#")
        peers.append(peer)
    hub.client("sensor").publish("plant/secret", b"x")
    assert [len(peer.payloads()) for peer in peers] == [1, 0, 0, 0]


def test_a_session_of_before_has_no_proof_and_no_conditional_right() -> None:
    """Records that an earlier release wrote say nothing of it."""
    hub = house(Permission("plant/#", False, True, mechanisms=STRONG), Permission("open", False, True))
    office = hub.client("office", expiry=1000, mechanisms=STRONG)
    for topic_filter in ("plant/#", "open"):
        office.subscribe(topic_filter, 1)
    office.drop()
    store: ManualStore = hub.store
    for where, record in list(store.buckets.items()):
        if where[0] == "session":
            held = records.read_session(record)
            assert held.context == Context("mqtt", STRONG)
            fields = (held.log, held.created, held.protocol, held.expiry_interval, held.expires_at, held.unsent)
            store.buckets[where] = records.write(fields)
    after = hub.crash()
    session = after.broker.sessions.of("office")[0]
    assert session.principal.context is None
    sensor = after.client("sensor")
    for topic in ("plant/1", "open"):
        sensor.publish(topic, topic.encode(), 1)
    assert [delivery.message.topic for delivery in session.queue or ()] == ["open"]


# Retained messages of who is revoked. ---------------------------------------------------------------


def written() -> Hub:
    """The sensor wrote three, somebody else one."""
    hub = house(Permission("#", False, True))
    sensor = hub.client("sensor")
    for i in range(3):
        sensor.publish(f"plant/{i}", b"sensor", 1, retain=True)
    hub.client("other").publish("plant/other", b"other", 1, retain=True)
    return hub


def seen(hub: Hub) -> list[bytes]:
    peer = hub.client("office", client_id=f"c{hub.unique}")
    peer.subscribe("plant/#", 1)
    return sorted(peer.payloads())


def test_what_is_hidden_is_seen_by_nobody_until_it_is_shown() -> None:
    hub = written()
    office = hub.durable("office")
    office.stop_reading()
    hub.broker.hide_retained("sensor", 7.0)
    hub.settle()
    assert seen(hub) == [b"other"]
    hub = hub.crash()
    assert seen(hub) == [b"other"]
    hub.broker.show_retained("sensor", 7.0)
    hub.settle()
    assert seen(hub) == [b"other", *[b"sensor"] * 3]
    assert seen(hub.crash()) == [b"other", *[b"sensor"] * 3]


def test_a_replay_that_waits_in_a_queue_does_not_bring_out_what_is_hidden() -> None:
    hub = written()
    office = hub.client("office", properties=Properties(session_expiry_interval=1000, receive_maximum=1))
    office.send(Subscribe(1, [SubscriptionRequest("plant/#", 1, False, False, 0)]))
    assert len(payloads(office.get())) == 1
    hub.broker.hide_retained("sensor", 7.0)
    office.drop()
    assert hub.client("office", clean_start=False, expiry=1000).payloads() == [b"other"]


def test_another_s_message_takes_a_hidden_one_s_place() -> None:
    hub = written()
    hub.broker.hide_retained("sensor", 7.0)
    hub.client("other").publish("plant/0", b"new", 1, retain=True)
    assert seen(hub) == [b"new", b"other"]
    hub.broker.show_retained("sensor", 7.0)
    assert seen(hub) == [b"new", b"other", b"sensor", b"sensor"]


def test_the_new_holder_of_a_name_does_not_bring_back_what_the_old_one_wrote() -> None:
    hub = written()
    hub.broker.hide_retained("sensor", 7.0)
    hub.settle()
    hub = hub.crash()
    hub.broker.show_retained("sensor", 8.0)
    hub.settle()
    for now in (hub, hub.crash()):
        assert seen(now) == [b"other"]
        assert len(now.broker.retained) == 1
        assert now.broker.retained.hidden == {}


def test_what_is_purged_is_gone_and_what_comes_after_it_stays() -> None:
    hub = house(Permission("#", False, True))
    sensor = hub.client("sensor")
    for i in range(25_000):
        sensor.publish(f"plant/{i}", b"sensor", 0, retain=True)
    hub.broker.purge_retained("sensor")
    assert seen(hub) == []
    for topic in ("plant/new", "plant/5"):  # the second is one of those that are still to be deleted
        sensor.publish(topic, b"new", 0, retain=True)
    assert hub.broker.next_timeout() <= hub.clock.now
    while hub.broker.next_timeout() <= hub.clock.now:
        hub.broker.handle_timeout()
    hub.settle()
    assert [event["messages"] for event in hub.named("retained.purged")] == [24_999]
    for now in (hub, hub.crash()):
        assert seen(now) == [b"new", b"new"]
