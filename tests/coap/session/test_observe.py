"""Observing topics (RFC 7641): registration, notifications, numbers, and every way in which an observation ends."""

from __future__ import annotations

import pytest

from bridgehead.core.message import MessageProperties
from bridgehead.core.permission import Permission
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message, uint_value
from bridgehead.protocols.coap.session.settings import CoapSettings
from tests.coap.dialogue import TO_HUB, Client, Weather
from tests.coap.topics import DEREGISTER, OBSERVE, TopicsHub, may, number, shown

JSON = MessageProperties("application/json")
CBOR = MessageProperties("application/cbor")


def observed(hub: TopicsHub, path: str = "t/a", type: int = CON, address: str = "192.0.2.2:1") -> Client:  # noqa: A002
    """A client that observes, its answer taken already."""
    client = hub.secured("observer", address=address)
    answer = client.request(codes.GET, path, options=[OBSERVE], type=type, token=b"ob")
    assert answer.code == codes.CONTENT
    assert answer.has(numbers.OBSERVE)
    return client


def payloads(client: Client) -> list[bytes]:
    return [message.payload for message in client.get() if message.code == codes.CONTENT]


# Registration. ------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7641-3.1")
@pytest.mark.clause("RFC7641-4.2")
def test_an_observer_gets_what_is_there_and_what_follows() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"1", retain=True)
    client = hub.secured()
    first = client.request(codes.GET, "t/a", options=[OBSERVE], token=b"ob")
    assert shown(first) == ("2.05", b"1")
    hub.other.publish("a", b"2", retain=True)
    second = client.get_one()
    assert (shown(second), second.token) == (("2.05", b"2"), b"ob")
    hub.other.publish("a", b"event")
    assert shown(client.get_one()) == ("2.05", b"event")
    hub.other.publish("b", b"elsewhere")
    assert client.get() == []


@pytest.mark.clause("RFC7641-4.1")
def test_a_topic_without_a_value_is_observed_too() -> None:
    hub = TopicsHub()
    client = hub.secured()
    first = client.request(codes.GET, "t/a", options=[OBSERVE])
    assert shown(first) == ("2.05", b"")
    assert not first.has(numbers.ETAG)
    hub.other.publish("a", b"1")
    assert shown(client.get_one()) == ("2.05", b"1")


def test_what_is_cleared_is_told_without_a_payload() -> None:
    hub = TopicsHub()
    client = observed(hub)
    hub.other.publish("a", b"1", retain=True)
    hub.other.publish("a", b"", retain=True)
    hub.other.publish("a", b"2", retain=True)
    assert payloads(client) == [b"1", b"", b"2"]


@pytest.mark.clause("RFC7641-4.1")
def test_the_same_token_again_replaces_the_registration() -> None:
    hub = TopicsHub()
    client = observed(hub)
    again = client.request(codes.GET, "t/a", options=[OBSERVE], token=b"ob")
    hub.other.publish("a", b"1")
    told = client.get_one()
    assert number(told) > number(again)
    client.request(codes.GET, "t/b", options=[OBSERVE], token=b"ob")
    hub.other.publish("a", b"2")
    assert client.get() == []
    hub.other.publish("b", b"3")
    assert payloads(client) == [b"3"]
    assert hub.observing.observations == 1
    assert client.peer.held == 1


@pytest.mark.clause("RFC7641-4.1")
def test_two_tokens_are_two_observations() -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.request(codes.GET, "t/a", options=[OBSERVE], token=b"2")
    hub.other.publish("a", b"1")
    assert sorted(message.token for message in client.get()) == [b"2", b"ob"]


@pytest.mark.clause("RFC7641-4.1")
def test_without_room_it_is_a_plain_answer() -> None:
    settings = CoapSettings()
    settings.observations_per_peer = 1
    hub = TopicsHub(settings=settings)
    hub.other.publish("b", b"1", retain=True)
    client = observed(hub)
    answer = client.request(codes.GET, "t/b", options=[OBSERVE], token=b"2")
    assert shown(answer) == ("2.05", b"1")
    assert not answer.has(numbers.OBSERVE)
    assert client.request(codes.GET, "t?f=#", options=[OBSERVE], token=b"3").code == codes.TOO_MANY_REQUESTS
    settings.observations_per_peer = 10
    settings.observations = 1
    assert not client.request(codes.GET, "t/b", options=[OBSERVE], token=b"4").has(numbers.OBSERVE)
    assert client.request(codes.GET, "t/a", options=[OBSERVE], token=b"ob").has(numbers.OBSERVE)


@pytest.mark.clause("RFC7641-4.1")
def test_who_may_not_read_does_not_observe() -> None:
    hub = TopicsHub([may("observer", Permission("b/#", False, True))])
    client = hub.secured("observer")
    for path in ("t/a", "t?f=a", "t?f=#"):
        answer = client.request(codes.GET, path, options=[OBSERVE])
        assert answer.code == codes.FORBIDDEN
        assert not answer.has(numbers.OBSERVE)
    hub.other.publish("a", b"1")
    hub.pass_time(1)
    assert client.get() == []
    assert hub.broker.sessions.of("observer") == []


def test_a_group_is_not_observed() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"1", retain=True)
    client = hub.client()
    client.multicast = True
    client.send(client.message(codes.GET, "t/a", options=[OBSERVE], type=NON))
    hub.pass_time(10)
    assert not client.get_one().has(numbers.OBSERVE)
    assert hub.observing.observations == 0


def test_a_registration_that_holds_already_is_2_03() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"1", retain=True)
    client = hub.secured()
    tag = client.request(codes.GET, "t/a").first(numbers.ETAG)
    assert tag is not None
    answer = client.request(codes.GET, "t/a", options=[OBSERVE, (numbers.ETAG, tag)])
    assert answer.code == codes.VALID
    assert answer.has(numbers.OBSERVE)
    hub.other.publish("a", b"2")
    assert payloads(client) == [b"2"]


# CON and NON. -------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7641-3.5")
@pytest.mark.parametrize(
    ("registered", "qos", "told"), [(CON, 0, NON), (CON, 1, CON), (CON, 2, CON), (NON, 0, NON), (NON, 1, NON)]
)
def test_the_guarantee_of_both_ends_says_how_it_is_sent(registered: int, qos: int, told: int) -> None:
    hub = TopicsHub()
    client = observed(hub, type=registered)
    hub.other.publish("a", b"1", qos=qos)
    assert client.get_one().type == told


def test_a_con_is_retransmitted_and_those_behind_it_wait() -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.acknowledges = False
    for i in range(20):
        hub.other.publish("a", b"%d" % i, qos=1)
    assert payloads(client) == [b"0"]
    hub.pass_time(4)
    again = client.get_one()
    assert again.payload == b"0"
    client.acknowledges = True
    client.acknowledge(again)
    hub.pass_time(1)
    assert payloads(client) == [b"%d" % i for i in range(1, 20)]


def test_the_publisher_and_the_observer_are_one() -> None:
    hub = TopicsHub()
    client = observed(hub)
    assert client.request(codes.PUT, "t/a", b"1", token=b"pu").code == codes.CREATED
    assert payloads(client) == [b"1"]


@pytest.mark.clause("RFC8323-7")
def test_over_a_stream_acknowledged_by_what_follows() -> None:
    hub = TopicsHub()
    client = hub.stream("observer")
    client.request(codes.GET, "t/a", options=[OBSERVE])
    for i in range(200):
        hub.other.publish("a", b"%d" % i, qos=1)
    assert [message.payload for message in client.get() if message.code == codes.CONTENT] == [
        b"%d" % i for i in range(200)
    ]
    client.drop()
    assert hub.broker.sessions.of("observer") == []


def test_in_bad_weather_nothing_acknowledged_is_lost() -> None:
    settings = CoapSettings()
    settings.max_retransmit = 12
    hub = TopicsHub(settings=settings)
    client = observed(hub)
    hub.network.fate = Weather(7641)
    for i in range(50):
        hub.other.publish("a", b"%d" % i, qos=1)
        hub.pass_time(1)
    hub.pass_time(3600)
    got = [int(payload) for payload in dict.fromkeys(payloads(client))]
    assert sorted(got) == list(range(50))


# Numbers. -----------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7641-3.2")
@pytest.mark.clause("RFC7641-4.4")
def test_numbers_grow_whatever_comes_and_to_whom() -> None:
    hub = TopicsHub()
    near, far = observed(hub), observed(hub, address="192.0.2.3:1")
    far.request(codes.GET, "t/b", options=[OBSERVE], token=b"2")
    for i in range(30):
        hub.other.publish("ab"[i % 2], b"%d" % i, qos=i % 3, retain=i % 5 == 0)
    for client in (near, far):
        for token in (b"ob", b"2"):
            told = [number(message) for message in client.received if message.token == token]
            assert told == sorted(set(told))


@pytest.mark.clause("RFC7641-4.4")
def test_numbers_begin_anew_after_24_bit() -> None:
    hub = TopicsHub()
    client = observed(hub)
    observation = hub.observing._checks[0][2]
    observation.number = 0xFFFFFF
    for _ in range(3):
        hub.other.publish("a", b"1")
    assert [number(message) for message in client.get()] == [1, 2, 3]
    observation.number = 0xFFFFFE  # 0xFFFFFF - 2**23 < number < 2**23: only one of its own is surely newer
    hub.observing._notifications._number = 0x700000
    hub.other.publish("a", b"1")
    assert number(client.get_one()) == 0xFFFFFF


def test_all_observers_share_one_notification() -> None:
    hub = TopicsHub()
    clients = [observed(hub, address=f"192.0.2.9:{port}") for port in range(1, 6)]
    hub.other.publish("a", b"1")
    tails = {client.octets[-1][4:] for client in clients}
    assert len(tails) == 1


@pytest.mark.clause("RFC7641-4.3.1")
def test_max_age_is_what_is_left_when_it_is_told() -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.acknowledges = False
    for payload in (b"1", b"2"):
        hub.other.publish("a", payload, qos=1, expires_at=hub.clock.now + 100)
    first = client.get_one()
    assert first.uint(numbers.MAX_AGE) == 100
    hub.pass_time(1)
    client.acknowledge(first)
    assert client.get_one().uint(numbers.MAX_AGE) == 99
    assert not client.get()


# Content-Format. ----------------------------------------------------------------------------------


@pytest.mark.clause("RFC7641-4.2")
def test_another_content_format_ends_it_with_4_06() -> None:
    hub = TopicsHub()
    client = observed(hub)
    hub.other.publish("a", b"{}", properties=JSON)
    hub.other.publish("a", b"x")  # not said to be another
    hub.other.publish("a", b"\xa0", properties=CBOR)
    told = client.get()
    assert [codes.dotted(message.code) for message in told] == ["2.05", "2.05", "4.06"]
    assert not told[2].has(numbers.OBSERVE)
    hub.other.publish("a", b"{}", properties=JSON)
    assert client.get() == []
    assert hub.observing.observations == 0


@pytest.mark.clause("RFC7641-4.2")
def test_the_first_answer_sets_the_content_format() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"{}", retain=True, properties=JSON)
    client = observed(hub)
    hub.other.publish("a", b"\xa0", properties=CBOR, qos=1)
    assert client.get_one().code == codes.NOT_ACCEPTABLE


def test_an_observation_that_accepts_octets_gets_whatever_comes() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.GET, "t/a", options=[OBSERVE, (numbers.ACCEPT, uint_value(42))])
    hub.other.publish("a", b"{}", properties=JSON)
    hub.other.publish("a", b"\xa0", properties=CBOR)
    assert [(message.payload, message.uint(numbers.CONTENT_FORMAT)) for message in client.get()] == [
        (b"{}", 42),
        (b"\xa0", 42),
    ]


def test_accept_that_is_not_met_does_not_register() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"{}", retain=True, properties=JSON)
    client = hub.secured()
    answer = client.request(codes.GET, "t/a", options=[OBSERVE, (numbers.ACCEPT, uint_value(60))])
    assert answer.code == codes.NOT_ACCEPTABLE
    assert hub.observing.observations == 0


# Its end. -----------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7641-3.6")
def test_cancelled_by_get() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"1", retain=True)
    client = observed(hub)
    answer = client.request(codes.GET, "t/a", options=[DEREGISTER], token=b"ob")
    assert shown(answer) == ("2.05", b"1")
    assert not answer.has(numbers.OBSERVE)
    hub.other.publish("a", b"2")
    assert client.get() == []
    assert client.peer.held == 0


@pytest.mark.clause("RFC7641-3.6")
def test_a_get_without_observe_cancels_nothing() -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.request(codes.GET, "t/a", token=b"ob")
    hub.other.publish("a", b"1")
    assert payloads(client) == [b"1"]


@pytest.mark.clause("RFC7641-3.6")
@pytest.mark.parametrize("qos", [0, 1])
def test_cancelled_by_reset(qos: int) -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.acknowledges = False
    hub.other.publish("a", b"1", qos=qos)
    client.reset(client.get_one())
    hub.other.publish("a", b"2", qos=qos)
    hub.pass_time(300)
    assert client.get() == []
    assert hub.observing.observations == 0
    assert hub.broker.sessions.of("observer") == []


@pytest.mark.clause("RFC7641-3.6")
def test_a_reset_of_something_else_cancels_nothing() -> None:
    hub = TopicsHub()
    client = observed(hub)
    hub.other.publish("a", b"1")
    told = client.get_one()
    client.reset(Message(codes.EMPTY, (), b"", b"", NON, (told.message_id + 1) & 0xFFFF))
    hub.other.publish("a", b"2")
    assert payloads(client) == [b"2"]


@pytest.mark.clause("RFC7641-4.5")
def test_silence_ends_all_that_the_client_observes() -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.request(codes.GET, "t/b", options=[OBSERVE], token=b"2")
    client.acknowledges = False
    for i in range(3):
        hub.other.publish("a", b"%d" % i, qos=1)
    hub.pass_time(93)
    assert set(payloads(client)) == {b"0"}
    hub.other.publish("b", b"1")
    assert client.get() == []
    assert hub.observing.observations == 0
    assert hub.broker.sessions.of("observer") == []
    assert client.peer.held == 0


@pytest.mark.clause("RFC7641-4.5")
def test_once_in_24_hours_a_notification_is_confirmable() -> None:
    hub = TopicsHub()
    client = observed(hub, type=NON)
    types = []
    for _ in range(25 * 60):
        hub.pass_time(60)
        hub.other.publish("a", b"1")
        types += [message.type for message in client.get()]
    assert types.count(CON) == 1
    assert types.count(NON) == 25 * 60


@pytest.mark.clause("RFC7641-4.5")
def test_also_when_nothing_is_published() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"1", retain=True)
    client = observed(hub, type=NON)
    stream = observed(hub, "t?f=b/+", address="192.0.2.3:1")
    hub.pass_time(86_401)
    checked = client.get_one()
    assert (checked.type, shown(checked)) == (CON, ("2.05", b"1"))
    assert (stream.get_one().type) == CON
    stream.acknowledges = False
    hub.pass_time(86_400 + 93)
    assert hub.observing.observations == 1


@pytest.mark.clause("RFC7641-4.5")
def test_a_client_that_is_not_there_after_a_day_is_forgotten() -> None:
    hub = TopicsHub()
    client = hub.client()
    client.request(codes.GET, "t/a", options=[OBSERVE], type=NON)
    client.acknowledges = False
    hub.pass_time(86_000)
    assert hub.observing.observations == 1
    hub.pass_time(86_400)
    assert hub.observing.observations == 0
    assert len(hub.peers) == 0


def test_the_peer_goes_and_nothing_is_kept() -> None:
    hub = TopicsHub()
    client = observed(hub)
    client.acknowledges = False
    for i in range(10):
        hub.other.publish("a", b"%d" % i, qos=1)
    client.peer.close("it left")
    assert hub.observing.observations == 0
    assert hub.broker.sessions.of("observer") == []
    assert hub.broker.router.subscriptions == 0
    hub.other.publish("a", b"x", qos=1)


def test_what_a_slow_observer_does_not_take_is_bounded() -> None:
    hub = TopicsHub()
    hub.broker.limits.queue_messages = 10
    client = observed(hub)
    client.acknowledges = False
    for i in range(100):
        hub.other.publish("a", b"%d" % i, qos=1)
    assert hub.broker.counters.dropped_queue_full > 0
    client.acknowledges = True
    client.acknowledge(client.get_one())
    got = payloads(client)
    assert got == [b"%d" % i for i in range(1, len(got) + 1)]
    assert len(got) < 20


@pytest.mark.clause("RFC7641-3.6")
def test_a_client_that_starts_anew_under_the_same_address_resets_the_old() -> None:
    hub = TopicsHub()
    client = observed(hub)
    hub.other.publish("a", b"1", qos=1)
    message = client.get_one()
    assert message.type == CON
    client.acknowledges = False
    hub.other.publish("a", b"2", qos=1)
    client.reset(client.get_one())
    assert hub.observing.observations == 0
    assert client.request(codes.GET, "t/a", type=NON).type in (ACK, NON)


@pytest.mark.clause("RFC7641-7")
def test_an_address_that_is_not_proven_gets_little_and_is_given_up() -> None:
    hub = TopicsHub()
    client = hub.client()
    client.acknowledges = False
    client.request(codes.GET, "t/a", options=[OBSERVE])
    sent = len(client.octets[0])
    for _ in range(50):
        hub.other.publish("a", b"x" * 100, qos=1)
        hub.other.publish("a", b"x" * 100)
    hub.pass_time(300)
    assert sum(len(data) for data in client.octets) <= 3 * hub.network.octets[TO_HUB]
    assert sent > 0
    assert hub.observing.observations == 0
    assert len(hub.peers) == 0


def test_a_long_walk_through_what_is_retained_lets_others_have_their_turn() -> None:
    hub = TopicsHub()
    for i in range(2500):
        hub.other.publish(f"a/{i}/b", b"1", retain=True)
    hub.other.publish("a/last/c", b"2", retain=True)
    client = hub.secured()
    client.request(codes.GET, "t?f=a/+/c", options=[OBSERVE])
    assert client.get() == []
    hub.pass_time(0)
    assert client.get_one().payload == b"2"


@pytest.mark.clause("RFC7641-7")
@pytest.mark.parametrize("qos", [0, 1])
def test_a_notification_larger_than_may_go_to_the_address_comes_after_an_empty_message(qos: int) -> None:
    """RFC 7252 section 4.3: the client rejects the empty message, and so shows that it is there."""
    hub = TopicsHub()
    client = hub.client()
    client.acknowledges = False
    client.request(codes.GET, "t/a", options=[OBSERVE], type=NON)
    hub.other.publish("a", b"x" * 500, qos=qos)
    ping = client.get_one()
    assert (ping.type, ping.code, len(client.octets[-1])) == (CON, codes.EMPTY, 4)
    client.reset(ping)
    client.acknowledges = True
    hub.pass_time(2)
    assert payloads(client) == [b"x" * 500]
    for _ in range(20):
        hub.other.publish("a", b"y" * 500, qos=qos)
    assert len(payloads(client)) == 20
