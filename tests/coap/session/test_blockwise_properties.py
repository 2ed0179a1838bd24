"""Any body, any block size, any network: what is acknowledged is whole, and what is fetched is what was there."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import write_block
from bridgehead.protocols.coap.codec.message import ACK, Message, Option, uint_value
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Peer
from tests.coap.dialogue import Client, Weather
from tests.coap.session.block_world import Alone, World, block1, block2, block_of, cut, fetch_body, send_body
from tests.coap.session.robust_client import Fetcher, Sender, q1

SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def body_of(size: int, seed: int = 0) -> bytes:
    return bytes([(seed + at * at + at // 251) & 0xFF for at in range(size)])


@SOME
@given(size=st.integers(0, 700), exponent=st.integers(0, 6))
def test_every_size_goes_there_and_comes_back(size: int, exponent: int) -> None:
    world = World()
    client = world.client()
    body = body_of(size)
    assert send_body(client, codes.PUT, "a", body, exponent).code == codes.CHANGED
    assert world.bodies.bodies == {"a": body}
    assert fetch_body(client, "a", exponent) == body
    assert client.peer.held == 0


@SOME
@given(size=st.integers(0, 700), exponent=st.integers(0, 4), data=st.data())
def test_robust_blocks_in_any_order_with_repetitions_are_one_body(
    size: int, exponent: int, data: st.DataObject
) -> None:
    world = Alone()
    body = body_of(size)
    parts = cut(body, exponent)
    order = data.draw(st.permutations(range(len(parts))))
    again = data.draw(st.lists(st.sampled_from(range(len(parts))), max_size=5))
    at = data.draw(st.integers(0, len(order)))
    answers = []
    for number in [*order[:at], *again, *order[at:]]:
        options = q1(number, number < len(parts) - 1, exponent, size)
        sent = world.send(codes.PUT, "a", parts[number], *options, confirmable=False)
        answers += [each.code for each in sent.responses]
    assert world.bodies.bodies == {"a": body}
    assert len(world.bodies.requests) == 1
    assert set(answers) == {codes.CHANGED}
    assert world.peer.held == 0


@FEW
@given(blocks=st.integers(1, 35), last=st.integers(1, 16), seed=st.integers(0, 1 << 30))
def test_a_lossy_network_delays_a_robust_request_and_does_no_more(blocks: int, last: int, seed: int) -> None:
    world = World()
    world.hub.network.fate = Weather(seed, loss=0.3, double=0.1, delay=0.3)
    sender = Sender(world.hub)
    body = body_of((blocks - 1) * 16 + last, seed)
    sender.begin(codes.PUT, "a", body, 0)
    world.hub.until(lambda: sender.answer is not None, 3600)
    assert sender.answer is not None
    assert sender.answer.code == codes.CHANGED
    assert world.bodies.bodies == {"a": body}
    assert len(world.bodies.requests) == 1


@FEW
@given(blocks=st.integers(1, 35), last=st.integers(1, 16), seed=st.integers(0, 1 << 30), etags=st.booleans())
def test_a_lossy_network_delays_a_robust_answer_and_does_no_more(
    blocks: int, last: int, seed: int, etags: bool
) -> None:
    world = World()
    world.bodies.etags = etags
    world.hub.network.fate = Weather(seed, loss=0.3, double=0.1, delay=0.3)
    fetcher = Fetcher(world.hub)
    body = world.bodies.bodies["a"] = body_of((blocks - 1) * 16 + last, seed)
    fetcher.begin("a", 0)
    world.hub.until(lambda: fetcher.body is not None, 3600)
    assert fetcher.body == body


def ask_until_answered(world: World, client: Client, message: Message) -> Message:
    client.ask(message)
    found: list[Message] = []

    def answered() -> bool:
        found.extend(
            each for each in client.get() if each.token == message.token and not (each.type == ACK and each.code == 0)
        )
        return bool(found)

    world.hub.until(answered, 600)
    return found[0]


@FEW
@given(blocks=st.integers(1, 12), seed=st.integers(0, 1 << 30))
def test_a_lossy_network_delays_blocks_both_ways_and_does_no_more(blocks: int, seed: int) -> None:
    world = World()
    world.hub.network.fate = Weather(seed, loss=0.1, double=0.2, delay=0.3)
    client = world.client()
    body = body_of(blocks * 16 - 3, seed)
    world.bodies.bodies["a"] = b""
    parts = cut(body, 0)
    answer = Message(codes.EMPTY)
    for number, payload in enumerate(parts):
        options: list[Option] = [block1(number, number < len(parts) - 1, 0), block2(0, 0)]
        answer = ask_until_answered(world, client, client.message(codes.POST, "a", payload, options))
        assert answer.code == (codes.CONTINUE if number < len(parts) - 1 else codes.CHANGED)
    back = answer.payload
    while answer.has(option.BLOCK2) and block_of(answer, option.BLOCK2)[1]:
        message = client.message(codes.POST, "a", b"", [block2(len(back) // 16, 0)])
        answer = ask_until_answered(world, client, message)
        back += answer.payload
    assert back == body
    assert len(world.bodies.requests) == 1, "the request is performed once"


option_values = st.binary(max_size=4)
block_options = st.lists(
    st.tuples(
        st.sampled_from(
            [
                option.BLOCK1,
                option.BLOCK2,
                option.Q_BLOCK1,
                option.Q_BLOCK2,
                option.SIZE1,
                option.SIZE2,
                option.REQUEST_TAG,
                option.ETAG,
            ]
        ),
        option_values,
    ),
    max_size=5,
)
requests = st.tuples(
    st.sampled_from([codes.GET, codes.POST, codes.PUT, codes.FETCH]), block_options, st.binary(max_size=40)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(requests, max_size=12), st.booleans(), st.booleans())
def test_whatever_options_come_every_request_has_an_end(
    several: list[tuple[int, list[Option], bytes]], reliable: bool, confirmable: bool
) -> None:
    bounds = BlockSettings()
    bounds.body = 2000
    bounds.gathered = 6000
    bounds.served = 6000
    world = Alone(bounds)
    world.bodies.bodies["a"] = body_of(3000)
    peer = Peer(None, "192.0.2.1:4711", reliable, True, True)
    peer.block = 7 if reliable else 6
    for code, options, payload in several:
        sent = world.send(code, "a", payload, *options, peer=peer, confirmable=confirmable)
        assert len(sent.responses) + sent.silent == 1
        assert all(len(each.payload) <= peer.largest for each in sent.responses)
        world.pass_time(1)
    assert peer.held <= bounds.bodies
    world.pass_time(1000)
    assert peer.held == 0
    assert world.blockwise.next_timeout() == float("inf")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_megabyte_through_a_bad_network(seed: int) -> None:
    world = World()
    world.hub.network.fate = Weather(seed, loss=0.2, double=0.1, delay=0.3)
    body = body_of(1_000_000, seed)
    sender = Sender(world.hub)
    sender.begin(codes.PUT, "a", body, 6)
    world.hub.until(lambda: sender.answer is not None, 36_000)
    assert world.bodies.bodies == {"a": body}
    fetcher = Fetcher(world.hub, "192.0.2.8:4711")
    fetcher.begin("a", 6)
    world.hub.until(lambda: fetcher.body is not None, 36_000)
    assert fetcher.body == body


def test_octets_that_are_gathered_are_those_that_came() -> None:
    """A Size1 alone reserves nothing."""
    world = Alone()
    peers = [Peer(None, f"192.0.2.{number}:4711", False, True, True) for number in range(200)]
    for peer in peers:
        sent = world.send(codes.PUT, "a", b"x" * 16, *q1(0, True, 0, 1_000_000), peer=peer, confirmable=False)
        assert sent.silent
        world.send(
            codes.PUT,
            "b",
            b"x" * 16,
            (option.BLOCK1, write_block(0, True, 0)),
            (option.SIZE1, uint_value(1_000_000)),
            peer=peer,
        )
    assert sum(peer.held for peer in peers) == 400
