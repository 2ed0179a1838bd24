"""Answers that go out in blocks (RFC 7959 sections 2.4 and 2.6, RFC 8323 section 6)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import write_block
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message, uint_value
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Peer
from tests.coap.dialogue import Client
from tests.coap.session.block_world import Alone, World, block2, block_of, fetch_body, party, with_observe
from tests.coap.session.resources import Told

BODY = bytes(range(256)) * 20
OTHER = BODY[::-1]


@pytest.mark.clause("RFC7959-2.4")
@pytest.mark.parametrize("exponent", range(7))
def test_a_large_body_is_fetched_block_by_block(exponent: int) -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    assert fetch_body(world.client(), "a", exponent) == BODY


@pytest.mark.clause("RFC7959-2.4")
@pytest.mark.clause("RFC7959-4")
def test_without_a_word_of_blocks_the_first_one_comes_with_the_size() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    answer = world.client().request(codes.GET, "a")
    assert block_of(answer, option.BLOCK2) == (0, True, 6)
    assert answer.payload == BODY[:1024]
    assert answer.uint(option.SIZE2) == len(BODY)
    assert answer.uint(option.CONTENT_FORMAT) == 42


@pytest.mark.parametrize("size", [0, 1, 1023, 1024])
def test_what_goes_into_one_message_is_left_as_it_is(size: int) -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY[:size]
    answer = world.send(codes.GET, "a").response
    assert answer.payload == BODY[:size]
    assert not answer.has(option.BLOCK2)
    assert not answer.has(option.SIZE2)


@pytest.mark.clause("RFC7959-2.4")
def test_the_last_block_may_be_full() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY[:2048]
    client = world.client()
    assert block_of(client.request(codes.GET, "a", options=[block2(1, 6)]), option.BLOCK2) == (1, False, 6)
    assert fetch_body(client, "a", 6) == BODY[:2048]


@pytest.mark.clause("RFC7959-2.4")
def test_early_negotiation_holds_for_a_small_body_too() -> None:
    world = Alone()
    world.bodies.bodies["a"] = b"x" * 40
    whole = world.send(codes.GET, "a", b"", block2(0, 2)).response
    assert block_of(whole, option.BLOCK2) == (0, False, 2)
    assert whole.payload == b"x" * 40
    first = world.send(codes.GET, "a", b"", block2(0, 1)).response
    assert block_of(first, option.BLOCK2) == (0, True, 1)
    assert first.payload == b"x" * 32


@pytest.mark.clause("RFC7959-2.4")
def test_no_block_is_larger_than_the_peer_takes() -> None:
    world = Alone()
    world.peer.block = 3
    world.bodies.bodies["a"] = BODY
    first = world.send(codes.GET, "a", b"", block2(0, 6)).response
    assert block_of(first, option.BLOCK2) == (0, True, 3)
    assert len(first.payload) == 128
    second = world.send(codes.GET, "a", b"", block2(1, 6)).response  # 1,024 octets are 8 of those
    assert block_of(second, option.BLOCK2) == (8, True, 3)
    assert second.payload == BODY[1024:1152]


@pytest.mark.clause("RFC7959-2.4")
def test_the_client_may_go_on_with_smaller_blocks() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    first = client.request(codes.GET, "a", options=[block2(0, 5)])
    second = client.request(codes.GET, "a", options=[block2(8, 2)])
    assert second.payload == BODY[512:576]
    assert second.first(option.ETAG) == first.first(option.ETAG)


@pytest.mark.clause("RFC7959-2.4")
def test_blocks_of_a_body_that_changes_meanwhile_stay_together() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    first = client.request(codes.GET, "a", options=[block2(0, 6)])
    world.bodies.bodies["a"] = OTHER
    assert fetch_body(client, "a", 6, first=first) == BODY
    assert fetch_body(client, "a", 6) == OTHER


@pytest.mark.clause("RFC7959-2.4")
def test_a_body_that_is_not_kept_is_made_anew_and_its_etag_tells() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    first = world.send(codes.GET, "a", b"", block2(0, 6)).response
    world.pass_time(world.settings.serve_time + 1)
    same = world.send(codes.GET, "a", b"", block2(1, 6)).response
    assert same.payload == BODY[1024:2048]
    assert same.first(option.ETAG) == first.first(option.ETAG)
    world.pass_time(world.settings.serve_time + 1)
    world.bodies.bodies["a"] = OTHER
    other = world.send(codes.GET, "a", b"", block2(1, 6)).response
    assert other.payload == OTHER[1024:2048]
    assert other.first(option.ETAG) != first.first(option.ETAG)


@pytest.mark.clause("RFC7959-2.4")
def test_a_body_without_an_etag_gets_one_of_its_content() -> None:
    world = Alone()
    world.bodies.etags = False
    world.bodies.bodies["a"] = BODY
    etags = [world.send(codes.GET, "a", b"", block2(number, 6)).response.first(option.ETAG) for number in (0, 1, 4)]
    assert etags[0] is not None
    assert len(set(etags)) == 1
    world.bodies.bodies["a"] = OTHER
    assert world.send(codes.GET, "a", b"", block2(0, 6)).response.first(option.ETAG) != etags[0]
    world.bodies.bodies["a"] = BODY[:100]
    assert not world.send(codes.GET, "a").response.has(option.ETAG), "what is not cut is left as it is"


@pytest.mark.clause("RFC7959-2.2")
def test_a_block_beyond_the_end_is_a_bad_request() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    for _ in range(2):  # made anew, and from what is kept
        assert world.send(codes.GET, "a", b"", block2(5, 6)).response.code == codes.BAD_REQUEST
    assert world.send(codes.GET, "a", b"", block2(4, 6)).response.code == codes.CONTENT
    world.bodies.bodies["a"] = b"short"
    assert world.send(codes.GET, "a", b"", block2(0, 0)).response.payload == b"short"
    world.pass_time(1000)
    assert world.send(codes.GET, "a", b"", block2(1, 0)).response.code == codes.BAD_REQUEST


@pytest.mark.clause("RFC7959-2.1")
def test_a_large_error_is_cut_too() -> None:
    world = World()
    client = world.client()
    first = client.request(codes.GET, "absent")
    assert first.code == codes.NOT_FOUND
    assert block_of(first, option.BLOCK2) == (0, True, 6)
    assert not first.has(option.ETAG)
    assert fetch_body(client, "absent", 6, first=first) == b"Nothing is here. " * 100


@pytest.mark.clause("RFC7959-2.7")
def test_the_rest_of_an_answer_to_post_is_not_there_without_it() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    gone = world.send(codes.POST, "a", b"", block2(1, 6))
    assert gone.response.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert world.bodies.requests == []
    world.send(codes.POST, "a", b"question")
    assert world.send(codes.POST, "a", b"", block2(1, 6)).response.payload == (b"question" + BODY)[1024:2048]
    assert len(world.bodies.requests) == 1
    tagged = world.send(codes.POST, "a", b"", block2(1, 6), (option.REQUEST_TAG, b"other"))
    assert tagged.response.code == codes.REQUEST_ENTITY_INCOMPLETE


@pytest.mark.clause("RFC7959-2.7")
def test_fetch_goes_on_with_its_payload_or_without() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    world.send(codes.FETCH, "a", b"one")
    assert world.send(codes.FETCH, "a", b"one", block2(1, 6)).response.payload == (b"one" + BODY)[1024:2048]
    assert world.send(codes.FETCH, "a", b"", block2(2, 6)).response.payload == (b"one" + BODY)[2048:3072]
    assert len(world.bodies.requests) == 1
    # Another question is another answer, and may be made as it changes nothing.
    assert world.send(codes.FETCH, "a", b"eleven", block2(1, 6)).response.payload == (b"eleven" + BODY)[1024:2048]
    assert len(world.bodies.requests) == 2


def test_nobody_gets_blocks_of_what_another_asked_for() -> None:
    world = Alone()
    alice, bob = party("alice"), party("bob")
    other = Peer(None, "192.0.2.2:4711", False, True, True)
    world.bodies.bodies["a"] = BODY
    world.send(codes.POST, "a", b"secret", party=alice)
    for sent in (
        world.send(codes.POST, "a", b"", block2(1, 6), party=bob),
        world.send(codes.POST, "a", b"", block2(1, 6)),
        world.send(codes.POST, "a", b"", block2(1, 6), party=alice, peer=other),
    ):
        assert sent.response.code == codes.REQUEST_ENTITY_INCOMPLETE


@pytest.mark.clause("RFC7959-2.8")
def test_who_asked_a_group_fetches_the_rest_alone() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.client()
    client.multicast = True
    client.send(client.message(codes.GET, "a", type=NON))
    world.hub.pass_time(10)
    echo = client.get_one().first(option.ECHO)
    assert echo is not None
    client.send(client.message(codes.GET, "a", options=[(option.ECHO, echo)], type=NON))
    world.hub.pass_time(10)
    first = client.get_one()
    assert block_of(first, option.BLOCK2) == (0, True, 6)
    client.multicast = False
    assert fetch_body(client, "a", 6, first=first) == BODY


@pytest.mark.clause("RFC7959-2.8")
def test_blocks_of_a_request_to_a_group_are_ignored() -> None:
    world = World()
    client = world.hub.client()
    client.multicast = True
    client.send(client.message(codes.PUT, "a", b"x" * 16, [(option.BLOCK1, write_block(0, True, 0))], NON))
    world.hub.pass_time(10)
    assert client.get() == []
    assert client.peer.held == 0


@pytest.mark.clause("RFC7959-2.6")
def test_a_large_observed_resource_is_notified_by_its_first_block() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    first = client.request(codes.GET, "a", options=[(option.OBSERVE, b"")])
    assert first.uint(option.OBSERVE) == 1
    assert block_of(first, option.BLOCK2) == (0, True, 6)
    second = client.request(codes.GET, "a", options=[block2(1, 6)])
    assert not second.has(option.OBSERVE), "only the first block is a notification"
    assert second.payload == BODY[1024:2048]
    world.bodies.bodies["a"] = OTHER
    world.bodies.notify("a", 2, False)
    world.hub.settle()
    notification = client.get_one()
    assert notification.uint(option.OBSERVE) == 2
    assert notification.payload == OTHER[:1024]
    assert fetch_body(client, "a", 6, first=notification) == OTHER
    assert len(world.bodies.requests) == 1, "the rest comes from what was notified"


@pytest.mark.clause("RFC7959-2.6")
def test_an_observer_gets_blocks_of_the_size_that_it_asked_for() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    client.request(codes.GET, "a", options=[(option.OBSERVE, b""), block2(0, 4)])
    world.bodies.notify("a", 2, True)
    world.hub.settle()
    notification = client.get_one()
    assert (notification.type, block_of(notification, option.BLOCK2)) == (CON, (0, True, 4))


@pytest.mark.clause("RFC7959-2.6")
def test_the_rest_of_a_body_asks_for_no_observation() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    world.send(codes.GET, "a", b"", block2(1, 6), (option.OBSERVE, b""))
    (request,) = world.bodies.requests
    assert not request.has(option.OBSERVE)
    assert world.bodies.observers == []


def test_a_notification_to_many_is_cut_once() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    peers = [Peer(None, f"192.0.2.{number}:4711", False, True, True) for number in range(3)]
    sent = [world.send(codes.GET, "a", b"", (option.OBSERVE, b""), peer=peer) for peer in peers]
    world.bodies.notify("a", 2, False)
    first = sent[0].notifications[0]
    assert all(each.notifications == [first] for each in sent)
    assert all(each.notifications[0] is first for each in sent)
    world.bodies.bodies["a"] = b"small"
    world.bodies.notify("a", 3, False)
    assert [each.notifications[1].payload for each in sent] == [b"small"] * 3


def test_a_response_that_is_cut_already_is_left_alone() -> None:
    world = Alone()
    inner = Message(codes.CONTENT, ((option.BLOCK2, write_block(0, True, 6)),), b"x" * 2000)
    world.bodies.fixed = inner
    assert world.send(codes.GET, "a").response is inner


# Ceilings. ------------------------------------------------------------------------------------------


def test_what_is_kept_for_answers_is_bounded() -> None:
    settings = BlockSettings()
    settings.served = 60_000
    world = Alone(settings)
    world.bodies.bodies["a"] = BODY
    peers = [Peer(None, f"192.0.2.{number}:4711", False, True, True) for number in range(100)]
    for peer in peers:
        world.send(codes.POST, "a", b"", peer=peer)
    served = [world.send(codes.POST, "a", b"", block2(1, 6), peer=peer).response.code for peer in peers]
    assert served == [codes.REQUEST_ENTITY_INCOMPLETE] * 90 + [codes.CHANGED] * 10
    world.pass_time(settings.serve_time + 1)
    assert world.send(codes.POST, "a", b"", block2(1, 6), peer=peers[99]).response.code != codes.CHANGED
    assert world.blockwise.next_timeout() == float("inf")


def test_forged_addresses_push_out_no_answer_of_a_proven_one() -> None:
    settings = BlockSettings()
    settings.gathered_unproven = 20_000
    settings.served = 20_000
    world = Alone(settings)
    world.bodies.bodies["a"] = BODY
    world.send(codes.POST, "a", b"mine")
    for number in range(200):
        world.send(codes.GET, "a", peer=Peer(None, f"198.51.100.{number}:1", False, False, False))
    assert world.send(codes.POST, "a", b"", block2(1, 6)).response.payload == (b"mine" + BODY)[1024:2048]
    proven = Peer(None, "192.0.2.9:1", False, False, False)
    world.send(codes.POST, "a", b"yours", peer=proven)
    proven.proven = True
    assert world.send(codes.POST, "a", b"", block2(1, 6), peer=proven).response.code == codes.CHANGED


# Amplification. -------------------------------------------------------------------------------------


@pytest.mark.clause("RFC9175-2.4")
def test_an_unproven_address_gets_no_block_before_it_said_the_echo() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client: Client = world.hub.client()
    challenge = client.request(codes.GET, "a", options=[block2(0, 6)])
    assert challenge.code == codes.UNAUTHORIZED
    echo = challenge.first(option.ECHO)
    assert echo is not None
    first = client.request(codes.GET, "a", options=[block2(0, 6), (option.ECHO, echo)])
    assert fetch_body(client, "a", 6, first=first) == BODY


# Over reliable transports. --------------------------------------------------------------------------


@pytest.mark.clause("RFC8323-6")
def test_a_stream_gets_a_body_in_one_message_if_it_takes_it() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY * 10
    answer = world.hub.stream().request(codes.GET, "a")
    assert answer.payload == BODY * 10
    assert not answer.has(option.BLOCK2)


@pytest.mark.clause("RFC8323-6")
@pytest.mark.clause("RFC8323-5.3")
@pytest.mark.parametrize("largest", [1250, 1500, 3000, 5000])
def test_bert_blocks_go_into_the_largest_message_that_the_peer_takes(largest: int) -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.stream(greets=False)
    client.get()
    client.send(Message(codes.CSM, ((2, uint_value(largest)), (4, b""))))
    answer = client.request(codes.GET, "a")
    number, more, exponent = block_of(answer, option.BLOCK2, True)
    assert (number, more, exponent) == (0, True, 7)
    body = answer.payload
    assert len(body) % 1024 == 0
    while more:
        answer = client.request(codes.GET, "a", options=[(option.BLOCK2, write_block(len(body) // 1024, False, 7))])
        number, more, exponent = block_of(answer, option.BLOCK2, True)
        assert number * 1024 == len(body)
        body += answer.payload
    assert body == BODY


@pytest.mark.clause("RFC8613-4.1.3.4")
def test_what_oscore_protected_is_cut_only_for_a_proxy_that_asks() -> None:
    world = Alone(outside=True)
    world.bodies.fixed = Message(codes.CHANGED, ((option.OSCORE, b""),), BODY[:1110])
    whole = world.send(codes.POST, "a", b"sealed", (option.OSCORE, b"\x09")).response
    assert whole is world.bodies.fixed
    first = world.send(codes.POST, "a", b"sealed", (option.OSCORE, b"\x09"), block2(0, 5)).response
    assert block_of(first, option.BLOCK2) == (0, True, 5)
    assert first.has(option.OSCORE)
    rest = [world.send(codes.POST, "a", b"", (option.OSCORE, b"\x09"), block2(at, 5)).response for at in (1, 2)]
    assert first.payload + b"".join([each.payload for each in rest]) == BODY[:1110]
    assert len(world.bodies.requests) == 2, "what is protected is never taken twice"


@pytest.mark.clause("RFC8613-4.1.3.4")
def test_what_is_not_protected_passes_the_outer_one_as_it_is() -> None:
    world = Alone(outside=True)
    sent = world.send(codes.PUT, "a", b"x" * 16, (option.BLOCK1, write_block(0, True, 0)))
    assert sent.response.code == codes.CHANGED
    assert world.bodies.requests == [sent.request]


@pytest.mark.clause("RFC8613-4.1.3.4")
def test_a_request_in_outer_blocks_is_put_together_before_oscore() -> None:
    world = Alone(outside=True)
    sealed = (option.OSCORE, b"\x09")
    first = world.send(codes.POST, "a", b"x" * 16, sealed, (option.BLOCK1, write_block(0, True, 0)))
    assert first.response.code == codes.CONTINUE
    world.bodies.bodies["a"] = b"!"
    last = world.send(codes.POST, "a", b"y", sealed, (option.BLOCK1, write_block(1, False, 0)))
    assert last.response.payload == b"x" * 16 + b"y!"


@pytest.mark.clause("RFC8323-6")
def test_a_stream_without_block_wise_transfer_in_its_csm_gets_no_bert() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.stream(greets=False)
    client.get()
    client.send(Message(codes.CSM))
    answer = client.request(codes.GET, "a")
    assert block_of(answer, option.BLOCK2) == (0, True, 6)
    assert len(answer.payload) == 1024


@pytest.mark.clause("RFC8323-6")
def test_a_stream_that_asks_for_small_blocks_gets_them() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.stream()
    answer = client.request(codes.GET, "a", options=[block2(3, 6)])
    assert block_of(answer, option.BLOCK2) == (3, True, 6)
    assert answer.payload == BODY[3072:4096]
    answer = client.request(codes.GET, "a", options=[block2(3, 4)])
    assert answer.payload == BODY[768:1024]


@pytest.mark.clause("RFC7641-3.6")
@pytest.mark.clause("RFC9175-2.4")
def test_an_observation_that_was_answered_by_a_challenge_is_none() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.client()
    challenge = client.request(codes.GET, "a", options=[(option.OBSERVE, b"")])
    echo = challenge.first(option.ECHO)
    assert echo is not None
    client.request(codes.GET, "a", options=[(option.OBSERVE, b""), (option.ECHO, echo)], token=b"good")
    told = Told()
    challenged, observing = world.bodies.observers
    notification = with_observe(world.bodies.content("a"), 2)
    assert challenged.notify(notification, True, told, 2)
    assert told.fates == [], "not before its sender has done what it does"
    world.hub.pass_time(0)
    assert told.fates == [("rejected", 2)]
    assert client.get() == []
    assert observing.notify(notification, True, told, 3)
    world.hub.settle()
    assert [each.token for each in client.get()] == [b"good"]


# Confirmable notifications whose rest is fetched. ---------------------------------------------------


def empty(messages: list[Message]) -> list[int]:
    assert all(each.code == codes.EMPTY for each in messages)
    return [each.type for each in messages]


class Watched:
    """A world with one observer of `/a`, that has the first state."""

    def __init__(self) -> None:
        self.world = World()
        self.world.bodies.bodies["a"] = BODY
        self.client = self.world.client()
        self.client.request(codes.GET, "a", options=[(option.OBSERVE, b"")])
        (self.observer,) = self.world.bodies.observers
        self.told = Told()

    def fetch(self) -> bytes:
        """The whole of what was notified; the last block is a response of its own, and the request acknowledged."""
        body = fetch_body(self.client, "a", 6, first=self.client.get_one())
        assert empty(self.client.get()) == [ACK]
        self.world.hub.pass_time(0)
        return body

    def notify(self, body: bytes, number: int) -> bool:
        self.world.bodies.bodies["a"] = body
        sent = self.observer.notify(with_observe(self.world.bodies.content("a"), number), True, self.told, number)
        self.world.hub.settle()
        return sent


@pytest.mark.clause("RFC7959-2.6")
def test_a_notification_has_landed_when_its_last_block_has_arrived() -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    assert watched.told.fates == [], "acknowledged, but not fetched"
    assert not watched.notify(OTHER, 3), "it would take the place of what is fetched"
    watched.world.bodies.bodies["a"] = BODY
    assert watched.fetch() == BODY
    assert watched.told.fates == [("acknowledged", 2)]
    assert watched.notify(OTHER, 3)
    assert watched.fetch() == OTHER
    assert watched.told.fates == [("acknowledged", 2), ("acknowledged", 3)]


@pytest.mark.clause("RFC7252-5.2.2")
def test_the_last_block_is_a_confirmable_response_of_its_own() -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    watched.client.get()
    watched.client.acknowledges = False
    ask = watched.client.message(codes.GET, "a", options=[block2(4, 6)])
    watched.client.send(ask)
    last, acknowledgement = watched.client.get()
    assert (last.type, last.token, last.payload) == (CON, ask.token, BODY[4096:])
    assert (acknowledgement.type, acknowledgement.message_id) == (ACK, ask.message_id)
    watched.world.hub.pass_time(3)
    assert watched.client.get_one().payload == BODY[4096:], "it is sent again"
    assert watched.told.fates == []
    watched.client.acknowledge(last)
    watched.world.hub.pass_time(0)
    assert watched.told.fates == [("acknowledged", 2)]


@pytest.mark.parametrize("rejects", [True, False])
def test_a_last_block_that_nobody_takes(rejects: bool) -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    watched.client.get()
    watched.client.acknowledges = False
    watched.client.send(watched.client.message(codes.GET, "a", options=[block2(4, 6)]))
    last, _ = watched.client.get()
    if rejects:
        watched.client.reset(last)
    watched.world.hub.pass_time(200)
    assert watched.told.fates == [("acknowledged" if rejects else "timed out", 2)]


@pytest.mark.clause("RFC7641-4.2")
def test_an_error_ends_what_is_fetched_too() -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    watched.client.get()
    del watched.world.bodies.bodies["a"]
    assert watched.observer.notify(Message(codes.FORBIDDEN, (), b"no permission"), True, None, 0)
    watched.world.hub.settle()
    assert watched.client.get_one().code == codes.FORBIDDEN
    assert watched.client.request(codes.GET, "a", options=[block2(1, 6)]).code == codes.NOT_FOUND


def test_who_fetches_nothing_more_gets_the_next_one_all_the_same() -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    patience = watched.world.settings.fetch_patience
    watched.world.hub.pass_time(patience - 1)
    watched.client.request(codes.GET, "a", options=[block2(1, 6)])
    watched.world.hub.pass_time(patience - 1)
    assert watched.told.fates == []
    watched.world.hub.pass_time(2)
    assert watched.told.fates == [("acknowledged", 2)]


def test_a_small_state_waits_too_until_the_large_one_before_it_is_there() -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    assert not watched.notify(b"small", 3)
    watched.world.bodies.bodies["a"] = BODY
    assert watched.fetch() == BODY
    assert watched.notify(b"small", 3)
    assert watched.client.get_one().payload == b"small"


def test_who_asks_for_the_whole_anew_fetches_the_old_no_more() -> None:
    watched = Watched()
    assert watched.notify(BODY, 2)
    watched.world.bodies.bodies["a"] = OTHER
    assert fetch_body(watched.client, "a", 6) == OTHER
    watched.world.hub.pass_time(0)
    assert watched.told.fates == [("acknowledged", 2)]


def test_a_last_block_that_was_lost_is_said_again_although_another_body_is_there() -> None:
    watched = Watched()
    client = watched.client
    assert watched.notify(BODY, 2)
    client.get()
    ask = client.message(codes.GET, "a", options=[block2(4, 6)])
    client.send(ask)
    assert client.get()[0].payload == BODY[4096:]
    watched.world.hub.pass_time(0)
    assert watched.notify(OTHER, 3)
    client.get()
    client.send(ask)
    assert client.get_one().payload == BODY[4096:]
    assert client.request(codes.GET, "a", options=[block2(4, 6)]).payload == OTHER[4096:]


def test_a_notification_that_is_rejected_or_not_answered_is_not_waited_for() -> None:
    watched = Watched()
    watched.client.acknowledges = False
    assert watched.notify(BODY, 2)
    watched.client.reset(watched.client.get_one())
    assert watched.told.fates == [("rejected", 2)]
    assert watched.notify(OTHER, 3)
    watched.world.hub.pass_time(200)
    assert watched.told.fates == [("rejected", 2), ("timed out", 3)]
    assert watched.notify(BODY, 4)


def test_a_notification_that_found_no_room_is_not_waited_for() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    sent = world.send(codes.GET, "a", b"", (option.OBSERVE, b""))
    (observer,) = world.bodies.observers
    told = Told()
    notification = with_observe(world.bodies.content("a"), 2)
    sent.has_room = False
    assert not observer.notify(notification, True, told, 2)
    sent.has_room = True
    assert observer.notify(notification, True, told, 2)
    assert not observer.notify(notification, True, told, 3)
    assert observer.notify(notification, False, told, 4), "what is not confirmable takes its place"
