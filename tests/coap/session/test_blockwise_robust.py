"""Q-Block1 and Q-Block2 (RFC 9177), message by message as its examples have it."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import write_block
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message, Option, uint_value
from bridgehead.protocols.coap.codec.missing_blocks import CONTENT_FORMAT, read_missing
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from tests.coap.dialogue import Client
from tests.coap.session.block_world import Alone, World, block2, block_of, cut
from tests.coap.session.robust_client import Fetcher, Sender, numbers_of, q1, q2

BODY = bytes(range(256)) * 100  # 25 blocks of 1,024 octets
EXPONENT = 6
GAP = 0.125


def say(client: Client, code: int, path: str, payload: bytes, options: list[Option], type: int = NON) -> Message:  # noqa: A002
    """Send without waiting for an answer."""
    message = client.message(code, path, payload, options, type)
    client.send(message)
    return message


def put(client: Client, body: bytes, *numbers: int, tag: bytes = b"\x09", type: int = NON) -> Message:  # noqa: A002
    """Send those blocks; the last request."""
    parts = cut(body, EXPONENT)
    last = Message(0)
    for number in numbers:
        options = q1(number, number < len(parts) - 1, EXPONENT, len(body), tag)
        last = say(client, codes.PUT, "a", parts[number], options, type)
    return last


def missing_of(message: Message) -> list[int]:
    assert message.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert message.type == NON
    assert message.uint(option.CONTENT_FORMAT) == CONTENT_FORMAT
    return read_missing(message.payload)


# Q-Block1. ------------------------------------------------------------------------------------------


@pytest.mark.clause("RFC9177-4.3")
def test_a_body_without_loss_has_one_answer() -> None:
    world = World()
    client = world.client()
    last = put(client, BODY[:4000], 0, 1, 2, 3)
    answer = client.get_one()
    assert (answer.code, answer.type, answer.token) == (codes.CHANGED, NON, last.token)
    assert world.bodies.bodies == {"a": BODY[:4000]}
    (request,) = world.bodies.requests
    assert not request.has(option.Q_BLOCK1)
    assert client.peer.held == 0
    assert client.peer.pending == 0


@pytest.mark.clause("RFC9177-4.3")
@pytest.mark.clause("RFC9177-7.2")
def test_each_whole_set_is_told() -> None:
    world = World()
    client = world.client()
    last = put(client, BODY, *range(10))
    told = client.get_one()
    assert (told.code, told.type, told.token) == (codes.CONTINUE, NON, last.token)
    assert block_of(told, option.Q_BLOCK1) == (9, True, EXPONENT)
    put(client, BODY, *range(10, 20))
    assert block_of(client.get_one(), option.Q_BLOCK1) == (19, True, EXPONENT)
    put(client, BODY, *range(20, 25))
    assert client.get_one().code == codes.CHANGED
    assert world.bodies.bodies == {"a": BODY}


@pytest.mark.clause("RFC9177-4.3")
@pytest.mark.clause("RFC9177-5")
@pytest.mark.clause("RFC9177-7.2")
def test_what_is_missing_of_a_set_is_asked_for_when_the_next_one_begins() -> None:
    """The example of section 10.1.3."""
    world = World()
    client = world.client()
    body = BODY[: 13 * 1024]
    put(client, body, 0, 2, 3, 4, 5, 6, 7, 8)
    assert client.get() == []
    last = put(client, body, 11)
    asked = client.get_one()
    assert missing_of(asked) == [1, 9]
    assert asked.token == last.token
    put(client, body, 1)
    assert client.get() == []
    put(client, body, 9)
    assert block_of(client.get_one(), option.Q_BLOCK1) == (9, True, EXPONENT)
    last = put(client, body, 12)
    world.hub.pass_time(4 - GAP)
    assert client.get() == []
    world.hub.pass_time(GAP)
    asked = client.get_one()
    assert missing_of(asked) == [10]
    assert asked.token == last.token
    last = put(client, body, 10)
    answer = client.get_one()
    assert (answer.code, answer.token) == (codes.CHANGED, last.token)
    assert world.bodies.bodies == {"a": body}


@pytest.mark.clause("RFC9177-7.2")
def test_a_body_that_stays_incomplete_is_asked_for_four_times_and_dropped() -> None:
    """The example of section 10.1.4."""
    world = World()
    client = world.client()
    last = put(client, BODY[:3000], 0, 2)
    for wait in (4, 8, 16, 32):
        world.hub.pass_time(wait - GAP)
        assert client.get() == []
        world.hub.pass_time(GAP)
        asked = client.get_one()
        assert missing_of(asked) == [1]
        assert asked.token == last.token
    assert client.peer.held == 1
    world.hub.pass_time(65)
    assert client.get() == []
    assert client.peer.held == 0


@pytest.mark.clause("RFC9177-7.2")
def test_a_whole_set_that_did_not_come_is_asked_for() -> None:
    world = World()
    client = world.client()
    put(client, BODY, *range(10))
    assert client.get_one().code == codes.CONTINUE
    world.hub.pass_time(4)
    assert missing_of(client.get_one()) == list(range(10, 20))


@pytest.mark.clause("RFC9177-4.3")
def test_blocks_come_in_any_order_and_twice() -> None:
    world = World()
    client = world.client()
    put(client, BODY[:4000], 3, 1, 1, 3, 0)
    assert client.get() == []
    put(client, BODY[:4000], 2)
    assert client.get_one().code == codes.CHANGED
    assert world.bodies.bodies == {"a": BODY[:4000]}


@pytest.mark.clause("RFC9177-4.3")
def test_a_duplicate_is_answered_as_the_first() -> None:
    world = World()
    client = world.client()
    put(client, BODY, *range(10))
    assert client.get_one().code == codes.CONTINUE
    again = put(client, BODY, 9)
    answer = client.get_one()
    assert (answer.code, answer.token) == (codes.CONTINUE, again.token)
    put(client, BODY, *range(10, 25))
    client.get()
    again = put(client, BODY, 24)
    answer = client.get_one()
    assert (answer.code, answer.token) == (codes.CHANGED, again.token)
    assert len(world.bodies.requests) == 1, "the body is taken once"
    world.hub.pass_time(world.settings.finished_time + 1)
    put(client, BODY, 24)
    world.hub.settle()
    assert missing_of(client.get_one()) == list(range(20)), "now it begins another"


@pytest.mark.clause("RFC9177-4.3")
def test_two_request_tags_are_two_bodies() -> None:
    world = World()
    client = world.client()
    put(client, BODY[:2000], 0, tag=b"1")
    put(client, BODY[500:2500], 0, tag=b"2")
    put(client, BODY[:2000], 1, tag=b"1")
    assert world.bodies.bodies == {"a": BODY[:2000]}
    put(client, BODY[500:2500], 1, tag=b"2")
    assert world.bodies.bodies == {"a": BODY[500:2500]}


@pytest.mark.clause("RFC9177-4.3")
def test_a_client_that_gave_the_body_up_rejects_the_question() -> None:
    world = World()
    client = world.client()
    put(client, BODY[:3000], 0, 2)
    world.hub.pass_time(4)
    client.reset(client.get_one())
    assert client.peer.held == 0
    world.hub.pass_time(200)
    assert client.get() == []


@pytest.mark.clause("RFC9177-4.3")
@pytest.mark.clause("RFC9177-4.6")
@pytest.mark.parametrize("left_out", [option.REQUEST_TAG, option.SIZE1])
def test_a_block_without_its_labels_is_a_bad_request(left_out: int) -> None:
    world = Alone()
    options = [each for each in q1(0, True, 0, 100) if each[0] != left_out]
    assert world.send(codes.PUT, "a", b"x" * 16, *options).response.code == codes.BAD_REQUEST


@pytest.mark.clause("RFC9177-4.6")
@pytest.mark.parametrize(
    ("number", "more", "octets", "size"),
    [
        (0, True, 16, 16),
        (0, False, 16, 17),
        (1, False, 15, 32),
        (2, False, 1, 17),
        (7, False, 0, 16),
        (0, True, 15, 40),
    ],
)
def test_a_block_that_does_not_fit_size1_is_a_bad_request(number: int, more: bool, octets: int, size: int) -> None:
    world = Alone()
    sent = world.send(codes.PUT, "a", b"x" * octets, *q1(number, more, 0, size))
    assert sent.response.code == codes.BAD_REQUEST
    assert world.peer.held == 0


@pytest.mark.clause("RFC9177-4.6")
def test_size1_and_the_block_size_stay_the_same() -> None:
    world = Alone()
    assert world.send(codes.PUT, "a", b"x" * 16, *q1(0, True, 0, 40)).silent
    assert world.send(codes.PUT, "a", b"x" * 16, *q1(1, True, 0, 41)).response.code == codes.BAD_REQUEST
    assert world.send(codes.PUT, "a", b"x" * 8, *q1(1, False, 1, 40)).response.code == codes.BAD_REQUEST


def test_a_body_above_the_ceiling_is_refused_at_its_first_block() -> None:
    settings = BlockSettings()
    settings.body = 100
    world = Alone(settings)
    sent = world.send(codes.PUT, "a", b"x" * 16, *q1(0, True, 0, 101))
    assert sent.response.code == codes.REQUEST_ENTITY_TOO_LARGE
    assert sent.response.uint(option.SIZE1) == 100


def test_an_empty_body_and_one_of_a_single_block() -> None:
    world = Alone()
    assert world.send(codes.PUT, "a", b"", *q1(0, False, 0, 0)).response.code == codes.CHANGED
    assert world.send(codes.PUT, "b", b"x", *q1(0, False, 0, 1)).response.code == codes.CHANGED
    assert world.bodies.bodies == {"a": b"", "b": b"x"}


@pytest.mark.clause("RFC9177-4.3")
@pytest.mark.clause("RFC9177-5")
def test_confirmable_blocks_are_acknowledged_and_nothing_is_asked_for() -> None:
    world = World()
    client = world.client()
    put(client, BODY, *range(1, 12), type=CON)
    acknowledged = client.get()
    assert [(each.type, each.code) for each in acknowledged] == [(ACK, codes.EMPTY)] * 11
    world.hub.pass_time(100)
    assert client.get() == []
    put(client, BODY, *range(12, 25), 0, type=CON)
    answers = client.get()
    assert (answers[-1].type, answers[-1].code) == (ACK, codes.CHANGED)
    assert world.bodies.bodies == {"a": BODY}


def test_requests_without_an_answer_do_not_fill_up_the_peer() -> None:
    world = World()
    client = world.client()
    for tag in range(200):
        put(client, BODY[:3000], 0, 1, tag=bytes([tag]))
    assert client.peer.pending == 0
    assert client.peer.held == world.settings.bodies
    assert client.request(codes.GET, "absent").code == codes.NOT_FOUND


# Q-Block2. ------------------------------------------------------------------------------------------


@pytest.mark.clause("RFC9177-4.4")
@pytest.mark.clause("RFC9177-4.6")
def test_all_blocks_follow_one_request() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY[:4000]
    client = world.client()
    request = say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    blocks = client.get()
    assert numbers_of(blocks) == [0, 1, 2, 3]
    assert b"".join([each.payload for each in blocks]) == BODY[:4000]
    assert {each.token for each in blocks} == {request.token}
    assert {each.type for each in blocks} == {NON}
    assert {each.uint(option.SIZE2) for each in blocks} == {4000}
    assert len({each.first(option.ETAG) for each in blocks}) == 1
    assert blocks[0].has(option.ETAG)


@pytest.mark.clause("RFC9177-7.2")
def test_a_pause_is_between_two_sets() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    assert numbers_of(client.get()) == list(range(10))
    world.hub.pass_time(2 - GAP)
    assert client.get() == []
    world.hub.pass_time(1 + GAP)
    assert numbers_of(client.get()) == list(range(10, 20))
    world.hub.pass_time(3)
    assert numbers_of(client.get()) == list(range(20, 25))
    world.hub.pass_time(100)
    assert client.get() == []


@pytest.mark.clause("RFC9177-4.4")
@pytest.mark.clause("RFC9177-7.2")
def test_continue_brings_the_next_set_at_once_with_the_first_token() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    request = say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    client.get()
    say(client, codes.GET, "a", b"", q2((10, True, EXPONENT)))
    blocks = client.get()
    assert numbers_of(blocks) == list(range(10, 20))
    assert {each.token for each in blocks} == {request.token}
    world.hub.pass_time(3)
    assert numbers_of(client.get()) == list(range(20, 25)), "the pause began anew"
    say(client, codes.GET, "a", b"", q2((20, True, EXPONENT)))
    assert client.get() == [], "that set has just gone"
    world.hub.pass_time(10)
    say(client, codes.GET, "a", b"", q2((20, True, EXPONENT)))
    assert numbers_of(client.get()) == list(range(20, 25)), "it was lost"


@pytest.mark.clause("RFC9177-4.4")
def test_continue_for_a_body_that_is_not_kept_any_more_gets_it_anew() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    request = say(client, codes.GET, "a", b"", q2((10, True, EXPONENT)))
    blocks = client.get()
    assert numbers_of(blocks) == list(range(10))[:0] + list(range(10, 20))
    assert {each.token for each in blocks} == {request.token}
    say(client, codes.GET, "a", b"", q2((30, True, EXPONENT)))
    assert client.get_one().code == codes.BAD_REQUEST


@pytest.mark.clause("RFC9177-4.4")
@pytest.mark.clause("RFC9177-4.5")
def test_missing_blocks_come_with_the_token_of_the_request_for_them() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    say(client, codes.GET, "a", b"", [*q2((0, True, EXPONENT)), (option.OBSERVE, b"")])
    first = client.get()
    assert {each.uint(option.OBSERVE) for each in first} == {1}, "the same in all blocks"
    world.bodies.bodies["a"] = b"changed meanwhile"
    request = say(client, codes.GET, "a", b"", q2((1, False, EXPONENT), (9, False, EXPONENT)))
    blocks = client.get()
    assert numbers_of(blocks) == [1, 9]
    assert {each.token for each in blocks} == {request.token}
    assert not any(each.has(option.OBSERVE) for each in blocks)
    assert {each.first(option.ETAG) for each in blocks} == {first[0].first(option.ETAG)}
    assert blocks[0].payload == BODY[1024:2048]


@pytest.mark.clause("RFC9177-4.4")
def test_m_asks_for_the_rest_of_the_set() -> None:
    """The example of section 10.2.4."""
    world = World()
    body = BODY[: 11 * 1024 - 1]
    world.bodies.bodies["a"] = body
    client = world.client()
    first = say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    world.hub.pass_time(10)
    assert numbers_of(client.get()) == list(range(11))
    request = say(client, codes.GET, "a", b"", q2((2, True, EXPONENT)))
    blocks = client.get()
    assert numbers_of(blocks) == list(range(2, 10))
    assert {each.token for each in blocks} == {request.token}
    say(client, codes.GET, "a", b"", q2((10, True, EXPONENT)))
    last = client.get_one()
    assert numbers_of([last]) == [10]
    assert last.token == first.token


@pytest.mark.clause("RFC9177-4.4")
def test_what_two_options_ask_for_goes_once() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    say(client, codes.GET, "a", b"", q2((5, True, EXPONENT), (7, False, EXPONENT), (12, False, EXPONENT)))
    assert numbers_of(client.get()) == [5, 6, 7, 8, 9, 12]


@pytest.mark.clause("RFC9177-4.4")
def test_one_request_for_missing_blocks_gets_no_more_than_a_set() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY * 4
    client = world.client()
    say(client, codes.GET, "a", b"", q2(*[(number, False, EXPONENT) for number in range(1, 60)]))
    assert numbers_of(client.get()) == list(range(1, 11))


@pytest.mark.clause("RFC9177-4.4")
@pytest.mark.parametrize(
    "wanted", [((2, False, 6), (1, False, 6)), ((1, False, 6), (1, False, 6)), ((1, False, 6), (2, False, 5))]
)
def test_missing_blocks_are_named_in_order_once_and_of_one_size(wanted: tuple[tuple[int, bool, int], ...]) -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    assert world.send(codes.GET, "a", b"", *q2(*wanted)).response.code == codes.BAD_REQUEST


@pytest.mark.clause("RFC9177-7.2")
def test_after_missing_blocks_comes_another_pause() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    world.hub.pass_time(1.9)
    client.get()
    say(client, codes.GET, "a", b"", q2((3, False, EXPONENT)))
    assert numbers_of(client.get()) == [3]
    world.hub.pass_time(1.9)
    assert client.get() == []
    world.hub.pass_time(1.2)
    assert numbers_of(client.get()) == list(range(10, 20))


@pytest.mark.clause("RFC9177-4.4")
def test_the_rest_of_an_answer_to_post_is_not_made_anew() -> None:
    world = World()
    client = world.client()
    world.bodies.bodies["a"] = BODY[:4000]
    gone = client.request(codes.POST, "a", b"", q2((1, False, EXPONENT)))
    assert gone.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert world.bodies.requests == []


@pytest.mark.clause("RFC9177-4.4")
@pytest.mark.clause("RFC9177-7.1")
def test_confirmable_blocks_are_paced_by_their_acknowledgements() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    client.acknowledges = False
    client.send(client.message(codes.GET, "a", options=q2((0, True, EXPONENT))))
    first, second = client.get()
    assert (first.type, second.type) == (ACK, CON)
    assert numbers_of([first, second]) == [0, 1]
    client.acknowledges = True
    client.acknowledge(second)
    world.hub.settle()
    assert numbers_of(client.get()) == list(range(2, 25))


@pytest.mark.clause("RFC9177-7.1")
def test_a_confirmable_body_ends_when_the_peer_is_silent() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    client.acknowledges = False
    client.send(client.message(codes.GET, "a", options=q2((0, True, EXPONENT))))
    world.hub.pass_time(2000)
    assert set(numbers_of(client.get())) < set(range(11))


@pytest.mark.clause("RFC9177-4.5")
def test_notifications_are_bodies_of_their_own() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.client()
    request = say(client, codes.GET, "a", b"", [*q2((0, True, EXPONENT)), (option.OBSERVE, b"")])
    client.get()
    world.bodies.bodies["a"] = BODY[::-1]
    world.bodies.notify("a", 2, False)
    world.hub.settle()
    blocks = client.get()
    assert numbers_of(blocks) == list(range(10))
    assert blocks[0].payload == BODY[::-1][:1024]
    say(client, codes.GET, "a", b"", q2((10, True, EXPONENT)))
    blocks += client.get()
    assert numbers_of(blocks) == list(range(20)), "and none of the body before it"
    assert {each.uint(option.OBSERVE) for each in blocks} == {2}
    assert {each.token for each in blocks} == {request.token}


def test_an_error_has_no_blocks() -> None:
    world = World()
    client = world.client()
    answer = client.request(codes.GET, "absent", options=q2((0, True, EXPONENT)), type=NON)
    assert answer.code == codes.NOT_FOUND
    assert not answer.has(option.Q_BLOCK2)


def test_a_small_body_is_one_block() -> None:
    world = World()
    world.bodies.bodies["a"] = b"small"
    answer = world.client().request(codes.GET, "a", options=q2((0, True, EXPONENT)), type=NON)
    assert block_of(answer, option.Q_BLOCK2) == (0, False, EXPONENT)
    assert (answer.payload, answer.uint(option.SIZE2)) == (b"small", 5)


# Both, and neither. ---------------------------------------------------------------------------------


@pytest.mark.clause("RFC9177-4.7")
def test_both_in_one_exchange() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY[:3000]
    client = world.client()
    question = BODY[:2000]
    for number, payload in enumerate(cut(question, EXPONENT)):
        options = [*q1(number, number < 1, EXPONENT, 2000), *q2((0, True, EXPONENT))]
        say(client, codes.FETCH, "a", payload, options)
    blocks = client.get()
    assert numbers_of(blocks) == [0, 1, 2, 3, 4]
    assert b"".join([each.payload for each in blocks]) == question + BODY[:3000]
    tag = (option.REQUEST_TAG, b"\x09")
    say(client, codes.FETCH, "a", b"", [*q2((1, False, EXPONENT), (3, False, EXPONENT)), tag])
    assert numbers_of(client.get()) == [1, 3]
    assert len(world.bodies.requests) == 1


@pytest.mark.clause("RFC9177-4.1")
@pytest.mark.parametrize(
    "options",
    [
        [(option.BLOCK1, b""), (option.Q_BLOCK1, b"")],
        [(option.BLOCK1, b""), (option.Q_BLOCK2, b"")],
        [(option.BLOCK2, b""), (option.Q_BLOCK1, b"")],
        [(option.BLOCK2, b""), (option.Q_BLOCK2, b"")],
        [(option.Q_BLOCK1, b""), (option.Q_BLOCK1, b"")],
    ],
)
def test_block_and_q_block_are_not_mixed(options: list[Option]) -> None:
    world = Alone()
    labels = [(option.REQUEST_TAG, b"1"), (option.SIZE1, b"\x01")]
    assert world.send(codes.PUT, "a", b"x", *options, *labels).response.code == codes.BAD_OPTION


@pytest.mark.clause("RFC9177-4.1")
def test_who_does_not_take_q_block_says_so() -> None:
    settings = BlockSettings()
    settings.robust = False
    world = Alone(settings)
    assert world.send(codes.GET, "a", b"", *q2((0, True, 6))).response.code == codes.BAD_OPTION
    assert World().hub.stream().request(codes.GET, "a", options=q2((0, True, 6))).code == codes.BAD_OPTION


@pytest.mark.clause("RFC9177-4.8")
def test_q_block_to_a_group_is_ignored() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.client()
    client.multicast = True
    say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    world.hub.pass_time(10)
    assert client.get() == []
    assert world.bodies.requests == []


@pytest.mark.clause("RFC9175-2.4")
def test_an_unproven_address_gets_no_burst() -> None:
    world = World()
    world.bodies.bodies["a"] = BODY
    client = world.hub.client()
    say(client, codes.GET, "a", b"", q2((0, True, EXPONENT)))
    world.hub.pass_time(300)
    octets = world.hub.network.octets
    assert octets["to client"] <= 3 * octets["to hub"]


def test_smaller_blocks_than_asked_for_are_counted_in_their_own_size() -> None:
    world = Alone()
    world.peer.block = 5
    world.bodies.bodies["a"] = BODY[:4000]
    sent = world.send(codes.GET, "a", b"", *q2((0, True, 6)), confirmable=False)
    assert block_of(sent.response, option.Q_BLOCK2) == (0, True, 5)
    assert numbers_of(sent.notifications) == [1, 2, 3, 4, 5, 6, 7]
    again = world.send(codes.GET, "a", b"", *q2((1, False, 6)), confirmable=False)
    assert numbers_of([again.response, *again.notifications]) == [2, 3]


def test_the_client_of_these_tests_sends_and_fetches() -> None:
    world = World()
    sender = Sender(world.hub)
    sender.begin(codes.PUT, "a", BODY, EXPONENT)
    world.hub.settle()
    assert sender.answer is not None
    assert sender.answer.code == codes.CHANGED
    assert (sender.sent, sender.continued) == (25, 2), "nothing waited for a pause"
    fetcher = Fetcher(world.hub, "192.0.2.8:4711")
    fetcher.begin("a", EXPONENT)
    world.hub.settle()
    assert fetcher.body == BODY
    assert fetcher.sent == 3


def test_plain_blocks_and_robust_ones_of_the_same_answer() -> None:
    world = Alone()
    world.bodies.bodies["a"] = BODY
    plain = world.send(codes.GET, "a", b"", block2(0, 6)).response
    robust = world.send(codes.GET, "a", b"", *q2((1, False, 6))).response
    assert plain.first(option.ETAG) == robust.first(option.ETAG)
    assert robust.uint(option.SIZE2) == len(BODY)
    assert robust.first(option.Q_BLOCK2) == write_block(1, True, 6)
    assert uint_value(42) == robust.first(option.CONTENT_FORMAT)
