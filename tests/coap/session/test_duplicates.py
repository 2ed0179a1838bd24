"""A request that comes again is answered again and performed once (RFC 7252 section 4.5)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message
from bridgehead.protocols.coap.codec.numbers import OBSERVE, OSCORE
from tests.coap.session.resources import served


@pytest.mark.clause("RFC7252-4.5", "RFC7252-4.2")
@pytest.mark.parametrize(
    "request_of",
    [
        Message(codes.POST, (), b"1", b"t", CON, 5),
        Message(codes.PUT, (), b"1", b"", CON, 5),
        Message(codes.GET, ((OBSERVE, b""),), b"", b"t", CON, 5),
        Message(codes.FETCH, ((OSCORE, b"\x09\x01"),), b"1", b"t", CON, 5),
    ],
    ids=["POST", "PUT", "GET with Observe", "OSCORE"],
)
def test_a_duplicate_is_answered_alike_and_performed_once(request_of: Message) -> None:
    hub, resources = served()
    client = hub.client()
    for _ in range(3):
        client.send(request_of)
        hub.pass_time(40)
    assert len(resources.handled) == 1
    assert len(client.octets) == 3
    assert len(set(client.octets)) == 1


@pytest.mark.clause("RFC7252-4.5")
def test_a_get_may_be_performed_again_and_nothing_is_kept_for_it() -> None:
    hub, resources = served()
    client = hub.client()
    request = client.message(codes.GET, "now")
    client.send(request)
    client.send(request)
    assert [message.payload for message in client.get()] == [b"1", b"2"]
    assert (len(resources.handled), hub.layer.remembered) == (2, 0)


@pytest.mark.clause("RFC7252-4.5", "RFC7252-4.3")
def test_a_non_confirmable_duplicate_is_ignored() -> None:
    hub, resources = served()
    client = hub.client()
    request = client.message(codes.POST, "now", type=NON)
    client.send(request)
    client.send(request)
    assert len(client.get()) == 1
    assert len(resources.handled) == 1


@pytest.mark.clause("RFC7252-4.5", "RFC7252-5.2.2")
def test_duplicates_of_a_request_under_way() -> None:
    hub, resources = served()
    client = hub.client()
    request = client.message(codes.GET, "later")
    client.send(request)
    client.send(request)
    assert client.get() == []  # the answer is still to come
    hub.pass_time(1)
    assert len(client.get()) == 1
    client.send(request)
    assert client.get_one().type == ACK  # the first acknowledgement was lost
    resources.kept[0].respond(Message(codes.CONTENT, (), b"late"))
    hub.settle()
    assert client.get_one().type == CON
    client.send(request)
    assert client.get_one().code == codes.EMPTY
    assert len(resources.handled) == 1


@pytest.mark.clause("RFC7252-4.5", "RFC7252-4.4", "RFC7252-4.8")
def test_a_message_id_is_free_again_after_its_lifetime() -> None:
    hub, resources = served()
    client = hub.client()
    confirmable = client.message(codes.POST, "now")
    other = client.message(codes.POST, "now", type=NON)
    client.send(confirmable)
    client.send(other)
    hub.pass_time(144)
    client.send(confirmable)
    client.send(other)
    assert len(resources.handled) == 2
    hub.pass_time(2)  # NON_LIFETIME is 145 s
    client.send(confirmable)
    client.send(other)
    assert len(resources.handled) == 3
    hub.pass_time(102)  # EXCHANGE_LIFETIME is 247 s
    client.send(confirmable)
    assert len(resources.handled) == 4


def test_a_node_that_begins_anew_with_the_same_message_ids_is_served() -> None:
    hub, resources = served()
    client = hub.client()
    client.send(Message(codes.POST, (), b"before the reset", b"\x01", CON, 1))
    client.send(Message(codes.POST, (), b"after the reset", b"\x01", CON, 1))
    assert [exchange.request.payload for exchange in resources.handled] == [b"before the reset", b"after the reset"]


@pytest.mark.clause("RFC7252-4.4")
def test_each_peer_has_message_ids_of_its_own() -> None:
    hub, resources = served()
    request = Message(codes.POST, (), b"1", b"t", CON, 5)
    hub.client("192.0.2.1:1").send(request)
    hub.client("192.0.2.1:2").send(request)
    assert len(resources.handled) == 2


def test_what_is_remembered_of_one_peer_is_bounded() -> None:
    hub, resources = served()
    hub.settings.remembered_per_peer = 3000
    client = hub.secured()
    requests = [client.message(codes.POST, "now") for _ in range(100)]
    for request in requests:
        client.send(request)
    assert hub.layer.remembered <= 3000
    client.send(requests[99])
    assert len(resources.handled) == 100  # the latest is still known
    client.send(requests[0])
    assert len(resources.handled) == 101  # the oldest is not


def test_a_peer_that_fills_the_memory_of_all_does_not_displace_others() -> None:
    hub, resources = served()
    victim = hub.secured("victim", address="192.0.2.7:1")
    precious = victim.message(codes.POST, "now")
    victim.send(precious)
    hub.settings.remembered = 5000
    greedy = hub.secured("greedy", address="192.0.2.8:1")
    for _ in range(100):
        greedy.send(greedy.message(codes.POST, "now"))
    assert hub.layer.remembered <= 5000
    handled = len(resources.handled)
    victim.send(precious)
    assert len(resources.handled) == handled


def test_nothing_is_left_when_the_lifetime_is_over() -> None:
    hub, _ = served()
    client = hub.secured()
    for step in range(50):
        client.send(client.message(codes.POST, "now", type=NON if step % 3 else CON))
        hub.pass_time(20)
    assert hub.layer.remembered > 0
    hub.pass_time(600)
    assert hub.layer.remembered == 0


def test_an_answer_that_grows_is_counted_as_it_is() -> None:
    hub, resources = served()
    client = hub.secured()
    request = client.message(codes.PUT, "later")
    client.send(request)
    before = hub.layer.remembered
    resources.kept[0].respond(Message(codes.CHANGED, (), b"x" * 500))
    hub.settle()
    assert hub.layer.remembered == before + len(client.octets[-1])
    client.send_octets(encode(request))
    assert client.octets[-1] == client.octets[-2]


def test_an_answer_to_a_request_that_was_forgotten_is_not_counted() -> None:
    hub, resources = served()
    hub.settings.remembered_per_peer = 1000
    client = hub.secured()
    client.send(client.message(codes.PUT, "later"))
    for _ in range(20):
        client.send(client.message(codes.POST, "now"))
    before = hub.layer.remembered
    resources.kept[0].respond(Message(codes.CHANGED, (), b"x" * 500))
    hub.settle()
    assert hub.layer.remembered == before
    hub.pass_time(600)
    assert hub.layer.remembered == 0


def test_a_peer_is_looked_at_once_in_a_lifetime_however_much_it_sends() -> None:
    hub, _ = served()
    client = hub.secured()
    start = hub.clock.now
    looks = []
    for _ in range(20):
        client.send(client.message(codes.POST, "now"))
        hub.pass_time(1)
    while (when := hub.layer.purging.next_timeout()) < float("inf"):
        hub.clock.now = when
        hub.layer.purging.handle_timeout(when)
        looks.append(when - start)
    assert looks == [247.0, 494.0]
