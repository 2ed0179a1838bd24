"""Requests that come in blocks (RFC 7959 section 2.5, RFC 9175 section 3)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import write_block
from bridgehead.protocols.coap.codec.message import NON, uint_value
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Peer
from tests.coap.session.block_world import Alone, World, block1, block2, block_of, party, send_body

BODY = bytes(range(256)) * 20


@pytest.mark.clause("RFC7959-2.5")
@pytest.mark.clause("RFC7959-2.9.1")
@pytest.mark.parametrize("exponent", range(7))
def test_a_body_in_blocks_becomes_one_request(exponent: int) -> None:
    world = World()
    answer = send_body(world.client(), codes.PUT, "a/b", BODY, exponent)
    assert answer.code == codes.CHANGED
    (request,) = world.bodies.requests
    assert request.payload == BODY
    assert not request.has(option.BLOCK1)


@pytest.mark.clause("RFC7959-2.1")
def test_the_answer_says_which_block_it_is_for() -> None:
    world = World()
    answer = send_body(world.client(), codes.PUT, "a", BODY, 6)
    assert block_of(answer, option.BLOCK1) == (4, False, 6)
    error = send_body(world.client(), codes.GET, "absent", BODY, 6)
    assert error.code == codes.NOT_FOUND
    assert block_of(error, option.BLOCK1) == (4, False, 6)


@pytest.mark.clause("RFC7959-2.3")
def test_one_block_alone_is_a_whole_body() -> None:
    world = Alone()
    sent = world.send(codes.PUT, "a", b"short", block1(0, False, 2))
    assert sent.response.code == codes.CHANGED
    assert world.bodies.bodies == {"a": b"short"}


@pytest.mark.clause("RFC7959-2.9.2")
def test_a_block_without_those_before_it_is_incomplete() -> None:
    world = Alone()
    assert world.send(codes.PUT, "a", b"x" * 16, block1(1, True, 0)).response.code == codes.REQUEST_ENTITY_INCOMPLETE
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0))
    late = world.send(codes.PUT, "a", b"x", block1(2, False, 0))
    assert late.response.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert world.send(codes.PUT, "a", b"y", block1(1, False, 0)).response.code == codes.CHANGED
    assert world.bodies.bodies == {"a": b"x" * 16 + b"y"}


@pytest.mark.clause("RFC7959-2.5")
def test_a_block_that_is_said_again_is_taken_once() -> None:
    world = Alone()
    for _ in range(3):
        assert world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0)).response.code == codes.CONTINUE
    for _ in range(3):
        assert world.send(codes.PUT, "a", b"y" * 16, block1(1, True, 0)).response.code == codes.CONTINUE
    world.send(codes.PUT, "a", b"z", block1(2, False, 0))
    assert world.bodies.bodies == {"a": b"x" * 16 + b"y" * 16 + b"z"}


@pytest.mark.clause("RFC7959-2.5")
def test_block_0_begins_again() -> None:
    world = Alone()
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0))
    world.send(codes.PUT, "a", b"x" * 16, block1(1, True, 0))
    world.send(codes.PUT, "a", b"y" * 16, block1(0, True, 0))
    world.send(codes.PUT, "a", b"z", block1(1, False, 0))
    assert world.bodies.bodies == {"a": b"y" * 16 + b"z"}


@pytest.mark.clause("RFC7959-2.9.2")
def test_another_content_format_is_another_body() -> None:
    world = Alone()
    text, cbor = (option.CONTENT_FORMAT, b""), (option.CONTENT_FORMAT, b"\x3c")
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0), text)
    mixed = world.send(codes.PUT, "a", b"y", block1(1, False, 0), cbor)
    assert mixed.response.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert world.bodies.requests == []


@pytest.mark.clause("RFC9175-3.3")
def test_blocks_of_two_request_tags_are_not_put_together() -> None:
    world = Alone()
    one, two = (option.REQUEST_TAG, b"1"), (option.REQUEST_TAG, b"2")
    world.send(codes.POST, "a", b"x" * 16, block1(0, True, 0), one)
    world.send(codes.POST, "a", b"y" * 16, block1(0, True, 0), two)
    untagged = world.send(codes.POST, "a", b"!", block1(1, False, 0))
    assert untagged.response.code == codes.REQUEST_ENTITY_INCOMPLETE
    world.bodies.bodies["a"] = b""
    assert world.send(codes.POST, "a", b"2", block1(1, False, 0), two).response.payload == b"y" * 16 + b"2"
    assert world.send(codes.POST, "a", b"1", block1(1, False, 0), one).response.payload == b"x" * 16 + b"1"


@pytest.mark.clause("RFC9175-3.3")
def test_an_empty_request_tag_is_not_the_same_as_none() -> None:
    world = Alone()
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0), (option.REQUEST_TAG, b""))
    assert world.send(codes.PUT, "a", b"", block1(1, False, 0)).response.code == codes.REQUEST_ENTITY_INCOMPLETE


@pytest.mark.clause("RFC9175-3.3")
def test_blocks_of_two_peers_or_two_parties_are_not_put_together() -> None:
    world = Alone()
    other = Peer(None, "192.0.2.2:4711", False, True, True)
    alice, bob = party("alice"), party("bob")
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0), party=alice)
    for sent in (
        world.send(codes.PUT, "a", b"y", block1(1, False, 0), peer=other, party=alice),
        world.send(codes.PUT, "a", b"y", block1(1, False, 0), party=bob),
        world.send(codes.PUT, "a", b"y", block1(1, False, 0)),
        world.send(codes.POST, "a", b"y", block1(1, False, 0), party=alice),
        world.send(codes.PUT, "b", b"y", block1(1, False, 0), party=alice),
    ):
        assert sent.response.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert world.bodies.requests == []


@pytest.mark.clause("RFC7959-2.9.3")
@pytest.mark.clause("RFC7959-4")
def test_a_body_that_is_too_large_is_refused_with_the_size_that_would_do() -> None:
    settings = BlockSettings()
    settings.body = 100
    world = Alone(settings)
    announced = world.send(codes.PUT, "a", b"x" * 64, block1(0, True, 2), (option.SIZE1, uint_value(101)))
    assert announced.response.code == codes.REQUEST_ENTITY_TOO_LARGE
    assert announced.response.uint(option.SIZE1) == 100
    assert world.send(codes.PUT, "a", b"x" * 64, block1(0, True, 2)).response.code == codes.CONTINUE
    assert world.send(codes.PUT, "a", b"x" * 37, block1(1, False, 2)).response.code == codes.REQUEST_ENTITY_TOO_LARGE
    # It is forgotten: nothing goes on from there.
    assert world.send(codes.PUT, "a", b"x", block1(1, False, 2)).response.code == codes.REQUEST_ENTITY_INCOMPLETE
    assert world.peer.held == 0
    send = world.send(codes.PUT, "a", b"x" * 64, block1(0, True, 2), (option.SIZE1, uint_value(100)))
    assert send.response.code == codes.CONTINUE


@pytest.mark.clause("RFC7959-2.2")
@pytest.mark.parametrize(
    ("value", "payload", "code"),
    [
        (b"\x0f", b"x" * 1024, codes.BAD_REQUEST),  # SZX 7 over datagrams
        (b"\x00\x00\x00\x00", b"x", codes.BAD_OPTION),  # four octets
        (b"\x08", b"x" * 15, codes.BAD_REQUEST),  # more follows, but the block is not full
        (b"\x08", b"x" * 17, codes.BAD_REQUEST),
        (b"\x00", b"x" * 17, codes.BAD_REQUEST),  # the last one is larger than a block
    ],
)
def test_blocks_that_cannot_be_are_refused(value: bytes, payload: bytes, code: int) -> None:
    world = Alone()
    assert world.send(codes.PUT, "a", payload, (option.BLOCK1, value)).response.code == code
    assert world.bodies.requests == []
    assert world.peer.held == 0


@pytest.mark.clause("RFC7252-5.4.5")
def test_a_block_option_twice_is_a_bad_option() -> None:
    world = Alone()
    for number in (option.BLOCK1, option.BLOCK2):
        sent = world.send(codes.PUT, "a", b"x", (number, b""), (number, b""))
        assert sent.response.code == codes.BAD_OPTION


@pytest.mark.clause("RFC7252-5.4.1")
@pytest.mark.parametrize("value", [b"\x00\x00\x00\x00", b"\x0f"])
def test_a_block_option_that_cannot_be_in_a_non_confirmable_request(value: bytes) -> None:
    world = Alone()
    sent = world.send(codes.PUT, "a", b"x", (option.BLOCK1, value), confirmable=False)
    assert sent.silent == (len(value) > 3)  # as an option that nobody knows; SZX 7 is a bad request by its own clause
    assert [each.code for each in sent.responses] == ([] if sent.silent else [codes.BAD_REQUEST])
    assert world.bodies.requests == []


@pytest.mark.clause("RFC7959-2.5")
def test_the_hub_asks_for_smaller_blocks_and_takes_them_from_there() -> None:
    world = Alone()
    world.peer.block = 2
    sent = world.send(codes.PUT, "a", b"x" * 256, block1(0, True, 4))
    assert block_of(sent.response, option.BLOCK1) == (0, True, 2)
    assert world.send(codes.PUT, "a", b"y" * 64, block1(4, True, 2)).response.code == codes.CONTINUE
    assert world.send(codes.PUT, "a", b"z", block1(5, False, 2)).response.code == codes.CHANGED
    assert world.bodies.bodies == {"a": b"x" * 256 + b"y" * 64 + b"z"}


@pytest.mark.clause("RFC7959-2.7")
def test_both_ways_in_one_exchange() -> None:
    world = World()
    client = world.client()
    world.bodies.bodies["a"] = BODY
    first = send_body(client, codes.POST, "a", b"q" * 100, 2, (block2(0, 3),))
    assert first.code == codes.CHANGED
    assert block_of(first, option.BLOCK1) == (1, False, 2)
    assert block_of(first, option.BLOCK2) == (0, True, 3)
    body = first.payload
    etag = first.first(option.ETAG)
    while len(body) < len(BODY) + 100:
        answer = client.request(codes.POST, "a", options=[block2(len(body) // 128, 3)])
        assert answer.code == codes.CHANGED
        assert answer.first(option.ETAG) == etag
        assert not answer.has(option.BLOCK1)
        body += answer.payload
    assert body == b"q" * 100 + BODY
    assert len(world.bodies.requests) == 1, "the request is performed once"


@pytest.mark.clause("RFC7959-2.7")
def test_a_large_answer_to_blocks_is_cut_also_when_nothing_was_said_of_that() -> None:
    world = World()
    client = world.client()
    world.bodies.bodies["a"] = BODY
    first = send_body(client, codes.POST, "a", b"q" * 20, 0)
    assert block_of(first, option.BLOCK1) == (1, False, 0)
    assert block_of(first, option.BLOCK2) == (0, True, 6)
    assert first.payload == (b"q" * 20 + BODY)[:1024]


@pytest.mark.clause("RFC7959-2.7")
def test_the_answer_begins_at_its_beginning() -> None:
    world = Alone()
    sent = world.send(codes.POST, "a", b"x" * 16, block1(0, True, 0), block2(1, 0))
    assert sent.response.code == codes.BAD_REQUEST


@pytest.mark.clause("RFC7959-2.5")
def test_blocks_may_be_non_confirmable() -> None:
    world = World()
    client = world.client()
    first = client.request(codes.PUT, "a", b"x" * 16, [block1(0, True, 0)], NON)
    assert (first.code, first.type) == (codes.CONTINUE, NON)
    assert client.request(codes.PUT, "a", b"y", [block1(1, False, 0)], NON).code == codes.CHANGED
    assert world.bodies.bodies == {"a": b"x" * 16 + b"y"}


# Ceilings. ------------------------------------------------------------------------------------------


def test_an_incomplete_body_is_forgotten_in_time() -> None:
    world = Alone()
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0))
    world.pass_time(world.settings.gather_time - 1)
    world.send(codes.PUT, "a", b"x" * 16, block1(1, True, 0))
    world.pass_time(world.settings.gather_time - 1)
    assert world.peer.held == 1
    world.pass_time(2)
    assert world.peer.held == 0
    assert world.send(codes.PUT, "a", b"y", block1(2, False, 0)).response.code == codes.REQUEST_ENTITY_INCOMPLETE


def test_a_peer_has_so_many_bodies_under_way_and_the_oldest_goes() -> None:
    world = Alone()
    for path in "abcde":
        world.send(codes.PUT, path, b"x" * 16, block1(0, True, 0))
    assert world.peer.held == world.settings.bodies == 4
    assert world.send(codes.PUT, "a", b"", block1(1, False, 0)).response.code == codes.REQUEST_ENTITY_INCOMPLETE
    for path in "bcde":
        assert world.send(codes.PUT, path, b"", block1(1, False, 0)).response.code == codes.CHANGED


def test_octets_of_all_peers_are_bounded_and_the_oldest_goes() -> None:
    settings = BlockSettings()
    settings.gathered = 40 * 1024
    world = Alone(settings)
    peers = [Peer(None, f"192.0.2.{number}:4711", False, True, True) for number in range(40)]
    for peer in peers:
        world.send(codes.PUT, "a", b"x" * 1024, block1(0, True, 6), peer=peer)
    held = [peer.held for peer in peers]
    assert sum(held) == 26, "each has 1,024 octets and what it takes itself"
    assert held == [0] * 14 + [1] * 26


def test_forged_addresses_push_out_only_others_that_have_proven_nothing() -> None:
    settings = BlockSettings()
    settings.gathered_unproven = 20 * 1024
    world = Alone(settings)
    world.send(codes.PUT, "a", b"x" * 1024, block1(0, True, 6))
    forged = [Peer(None, f"198.51.100.{number}:1", False, False, False) for number in range(200)]
    for peer in forged:
        world.send(codes.PUT, "a", b"x" * 1024, block1(0, True, 6), peer=peer)
    assert sum(peer.held for peer in forged) == 13
    assert world.send(codes.PUT, "a", b"y", block1(1, False, 6)).response.code == codes.CHANGED


def test_a_peer_that_is_proven_meanwhile_goes_on() -> None:
    world = Alone()
    peer = Peer(None, "192.0.2.9:1", False, False, False)
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0), peer=peer)
    peer.proven = True
    assert world.send(codes.PUT, "a", b"y" * 16, block1(1, True, 0), peer=peer).response.code == codes.CONTINUE
    assert world.send(codes.PUT, "a", b"z", block1(2, False, 0), peer=peer).response.code == codes.CHANGED
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0), peer=peer)
    peer.proven = False
    world.send(codes.PUT, "a", b"x" * 16, block1(0, True, 0), peer=peer)
    assert peer.held == 1
    world.blockwise.forget(peer)
    assert peer.held == 0


def test_a_peer_that_is_gone_leaves_nothing() -> None:
    world = World()
    client = world.client()
    client.request(codes.PUT, "a", b"x" * 16, [block1(0, True, 0)])
    world.bodies.bodies["b"] = BODY
    client.request(codes.GET, "b")
    assert client.peer.held == 1
    client.peer.lost("the association ended")
    assert client.peer.held == 0
    assert world.blockwise.next_timeout() == float("inf")
    assert world.bodies.forgotten == [client.peer]


@pytest.mark.clause("RFC8323-6")
def test_bert_blocks_are_of_any_multiple() -> None:
    world = World()
    client = world.hub.stream()
    bert = 7
    answer = client.request(codes.PUT, "a", BODY[:3072], [(option.BLOCK1, write_block(0, True, bert))])
    assert answer.code == codes.CONTINUE
    assert block_of(answer, option.BLOCK1, True) == (0, True, 7)
    answer = client.request(codes.PUT, "a", BODY[3072:5000], [(option.BLOCK1, write_block(3, False, bert))])
    assert answer.code == codes.CHANGED
    assert world.bodies.bodies == {"a": BODY[:5000]}
    odd = client.request(codes.PUT, "a", b"x" * 1025, [(option.BLOCK1, write_block(0, True, bert))])
    assert odd.code == codes.BAD_REQUEST
