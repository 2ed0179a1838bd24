"""The client's message layer over datagrams: RFC 7252 section 4, on a virtual clock."""

from __future__ import annotations

import pytest

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.datagrams import MAX_RETRANSMIT, DatagramLayer
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message

GET = Message(codes.GET, ((11, b"t"),), b"", b"token-1")
PUT = Message(codes.PUT, ((11, b"t"),), b"21", b"token-2")


def layer(jitter: float = 0.0, message_id: int = 0xFFFF) -> DatagramLayer:
    return DatagramLayer(lambda: jitter, message_id)


def taken(of: DatagramLayer) -> list[Message]:
    found, of.outgoing = of.outgoing, []
    return [decode(each) for each in found]


def answer(to: DatagramLayer, message: Message, now: float = 0.0) -> None:
    to.receive(encode(message), now)


@pytest.mark.clause("RFC7252-5.2.1")
def test_a_piggybacked_response_ends_the_exchange() -> None:
    it = layer()
    it.send(GET, True, 0.0)
    [sent] = taken(it)
    assert (sent.type, sent.message_id, sent.token, sent.options) == (CON, 0xFFFF, b"token-1", GET.options)
    answer(it, Message(codes.CONTENT, (), b"21", b"token-1", ACK, 0xFFFF))
    assert [each.payload for each in it.arrived] == [b"21"]
    assert it.next_timeout() == NEVER
    assert taken(it) == []


@pytest.mark.clause("RFC7252-4.2")
@pytest.mark.parametrize(("jitter", "first"), [(0.0, 2.0), (1.0, 3.0)])
def test_a_request_is_retransmitted_with_back_off_and_given_up(jitter: float, first: float) -> None:
    it = layer(jitter)
    it.send(GET, True, 100.0)
    [original] = it.outgoing
    it.outgoing = []
    due = 100.0
    for turn in range(MAX_RETRANSMIT):
        due += first * 2**turn
        assert it.next_timeout() == due
        it.handle_timeout(due - 0.001)
        assert it.outgoing == []
        it.handle_timeout(due)
        assert it.outgoing == [original]
        it.outgoing = []
        assert it.lost == []
    due += first * 2**MAX_RETRANSMIT
    it.handle_timeout(due)
    assert it.lost == [(b"token-1", "the server does not answer")]
    assert it.outgoing == []
    assert it.next_timeout() == NEVER


@pytest.mark.clause("RFC7252-5.2.2")
def test_a_separate_response_is_acknowledged_each_time_and_taken_once() -> None:
    it = layer(message_id=5)
    it.send(GET, True, 0.0)
    taken(it)
    answer(it, Message(codes.EMPTY, (), b"", b"", ACK, 5))
    assert it.next_timeout() == NEVER
    separate = Message(codes.CONTENT, (), b"21", b"token-1", CON, 900)
    answer(it, separate, 1.0)
    answer(it, separate, 2.0)
    assert [each.payload for each in it.arrived] == [b"21"]
    assert [(each.type, each.message_id, each.code) for each in taken(it)] == [(ACK, 900, 0), (ACK, 900, 0)]


@pytest.mark.clause("RFC7252-5.2.2")
def test_a_separate_response_stands_for_a_lost_acknowledgement() -> None:
    it = layer()
    it.send(GET, True, 0.0)
    taken(it)
    answer(it, Message(codes.CONTENT, (), b"21", b"token-1", NON, 900))
    assert len(it.arrived) == 1
    assert it.next_timeout() == NEVER


@pytest.mark.clause("RFC7252-5.3.2")
def test_a_response_that_nobody_waits_for_is_rejected() -> None:
    it = layer()
    answer(it, Message(codes.CONTENT, (), b"x", b"other", CON, 7))
    answer(it, Message(codes.CONTENT, (), b"x", b"other", NON, 8))
    assert [(each.type, each.message_id) for each in taken(it)] == [(RST, 7), (RST, 8)]
    assert it.arrived == []


@pytest.mark.clause("RFC7252-5.3.2")
def test_a_piggybacked_response_needs_the_token_of_its_request() -> None:
    it = layer(message_id=5)
    it.send(GET, True, 0.0)
    taken(it)
    answer(it, Message(codes.CONTENT, (), b"x", b"forged", ACK, 5))
    answer(it, Message(codes.CONTENT, (), b"x", b"token-1", ACK, 6))
    assert it.arrived == []
    assert it.next_timeout() != NEVER


@pytest.mark.clause("RFC7252-4.2")
def test_a_reset_ends_the_exchange_and_a_foreign_one_does_not() -> None:
    it = layer(message_id=5)
    it.send(GET, True, 0.0)
    taken(it)
    answer(it, Message(codes.EMPTY, (), b"", b"", RST, 6))
    assert it.lost == []
    answer(it, Message(codes.EMPTY, (), b"", b"", RST, 5))
    assert it.lost == [(b"token-1", "the server rejected the request")]


@pytest.mark.clause("RFC7252-4.3")
def test_a_non_confirmable_request_is_sent_once_and_may_be_reset() -> None:
    it = layer(message_id=5)
    it.send(PUT, False, 0.0)
    [sent] = taken(it)
    assert (sent.type, sent.message_id) == (NON, 5)
    assert it.next_timeout() == NEVER
    answer(it, Message(codes.EMPTY, (), b"", b"", RST, 5))
    assert it.lost == [(b"token-2", "the server rejected the request")]


@pytest.mark.clause("RFC7252-4.7")
def test_one_confirmable_exchange_at_a_time() -> None:
    it = layer(message_id=5)
    it.send(GET, True, 0.0)
    it.send(PUT, True, 0.0)
    assert [each.token for each in taken(it)] == [b"token-1"]
    answer(it, Message(codes.EMPTY, (), b"", b"", ACK, 5), 1.0)
    assert [each.token for each in taken(it)] == [b"token-2"]


def test_what_is_forgotten_is_not_sent() -> None:
    it = layer()
    it.send(GET, True, 0.0)
    it.send(PUT, True, 0.0)
    it.forget(b"token-2")
    it.forget(b"token-1")
    taken(it)
    it.handle_timeout(1000.0)
    assert taken(it) == []
    assert it.next_timeout() == NEVER


@pytest.mark.clause("RFC7252-4.2")
@pytest.mark.clause("RFC7252-4.3")
def test_what_cannot_be_processed_is_rejected_or_ignored() -> None:
    it = layer()
    it.receive(bytes.fromhex("4f450007"), 0.0)  # CON with a reserved token length
    it.receive(bytes.fromhex("5f450008"), 0.0)  # the same, NON
    it.receive(bytes.fromhex("8f450009"), 0.0)  # of another version
    it.receive(b"\x40", 0.0)
    answer(it, Message(codes.GET, (), b"", b"", CON, 10))
    answer(it, Message(codes.EMPTY, (), b"", b"", CON, 11))
    assert [(each.type, each.message_id) for each in taken(it)] == [(RST, 7), (RST, 10), (RST, 11)]


@pytest.mark.clause("RFC7252-4.3")
def test_a_ping_is_answered_by_a_reset() -> None:
    it = layer(message_id=5)
    it.ping(0.0)
    it.ping(0.0)
    [sent] = taken(it)
    assert (sent.type, sent.code, sent.message_id) == (CON, codes.EMPTY, 5)
    answer(it, Message(codes.EMPTY, (), b"", b"", RST, 5))
    assert (it.lost, it.next_timeout()) == ([], NEVER)
    it.ping(10.0)
    while it.next_timeout() != NEVER:
        it.handle_timeout(it.next_timeout())
    assert it.lost == [(b"", "the server does not answer")]
