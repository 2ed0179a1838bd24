"""CON, NON, ACK, RST and what is malformed (RFC 7252 sections 4.1 to 4.3, 5.2, 5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message
from bridgehead.protocols.coap.codec.numbers import HOP_LIMIT, NO_RESPONSE
from tests.coap.session.resources import Told, served


@pytest.mark.clause("RFC7252-5.2.1", "RFC7252-5.3.1", "RFC7252-4.2")
def test_the_response_travels_in_the_acknowledgement() -> None:
    hub, _ = served()
    client = hub.client()
    request = client.message(codes.GET, "now", token=b"\x00\xff12345\x00")
    client.send(request)
    response = client.get_one()
    assert (response.type, response.code, response.message_id) == (ACK, codes.CONTENT, request.message_id)
    assert (response.token, response.payload) == (request.token, b"1")
    assert not client.peer.reliable
    assert not client.peer.secured


@pytest.mark.clause("RFC7252-5.2.3", "RFC7252-4.3")
def test_a_non_confirmable_request_has_a_non_confirmable_response_with_an_id_of_the_hubs() -> None:
    hub, _ = served()
    client = hub.secured()
    ids = []
    for _ in range(100):
        response = client.request(codes.GET, "now", type=NON)
        assert response.type == NON
        ids.append(response.message_id)
    assert len(set(ids)) == 100


@pytest.mark.clause("RFC7252-5.2.2")
def test_an_answer_that_takes_long_is_separate() -> None:
    hub, resources = served()
    client = hub.client()
    request = client.message(codes.GET, "later")
    client.send(request)
    hub.pass_time(0.4)
    assert client.get() == []
    hub.pass_time(0.2)
    empty = client.get_one()
    assert (empty.type, empty.code, empty.message_id, empty.token) == (ACK, 0, request.message_id, b"")
    hub.pass_time(20)
    assert client.get() == []
    resources.kept[0].respond(Message(codes.CONTENT, (), b"at last"))
    hub.settle()
    response = client.get_one()
    assert (response.type, response.code, response.payload) == (CON, codes.CONTENT, b"at last")
    assert response.token == request.token
    hub.pass_time(100)  # it was acknowledged, so it does not come again
    assert client.get() == []


@pytest.mark.clause("RFC7252-2.2", "RFC7252-5.3.2")
def test_responses_are_matched_by_tokens_in_whatever_order_they_come() -> None:
    hub, resources = served()
    client = hub.secured()
    requests = [client.message(codes.GET, "later") for _ in range(3)]
    for request in requests:
        client.send(request)
    for number in (2, 0):
        resources.kept[number].respond(Message(codes.CONTENT, (), b"%d" % number))
    hub.pass_time(1)
    resources.kept[1].respond(Message(codes.CONTENT, (), b"1"))
    hub.settle()
    answers = [(message.type, message.token, message.payload) for message in client.get() if message.code]
    assert answers == [
        (ACK, requests[2].token, b"2"),
        (ACK, requests[0].token, b"0"),
        (CON, requests[1].token, b"1"),
    ]


@pytest.mark.clause("RFC7252-5.2.2")
def test_an_answer_within_half_a_second_is_not() -> None:
    hub, resources = served()
    client = hub.client()
    client.send(client.message(codes.PUT, "later"))
    hub.pass_time(0.3)
    resources.kept[0].respond(Message(codes.CHANGED))
    hub.settle()
    assert client.get_one().type == ACK
    hub.pass_time(10)
    assert client.get() == []


@pytest.mark.clause("RFC7252-5.2.3")
def test_a_late_answer_to_a_non_confirmable_request_is_not_confirmable() -> None:
    hub, resources = served()
    client = hub.client()
    client.send(client.message(codes.GET, "later", type=NON))
    hub.pass_time(5)
    assert client.get() == []
    resources.kept[0].respond(Message(codes.CONTENT))
    hub.settle()
    assert client.get_one().type == NON


@pytest.mark.clause("RFC7252-4.2", "RFC7252-4.3")
def test_a_ping_is_reset() -> None:
    hub, _ = served()
    client = hub.client()
    client.send(Message(codes.EMPTY, type=CON, message_id=77))
    answer = client.get_one()
    assert (answer.type, answer.code, answer.message_id, answer.token) == (RST, 0, 77, b"")
    client.send(Message(codes.EMPTY, type=NON, message_id=78))
    assert client.get() == []


@pytest.mark.clause("RFC7252-5.3.2", "RFC7252-4.2")
def test_a_response_that_nobody_asked_for_is_rejected() -> None:
    hub, resources = served()
    client = hub.client()
    client.send(Message(codes.CONTENT, (), b"news", b"t", CON, 9))
    assert (client.get_one().type, resources.handled) == (RST, [])
    client.send(Message(codes.CONTENT, (), b"news", b"t", NON, 10))
    client.send(Message(codes.CONTENT, (), b"news", b"t", ACK, 11))
    client.send(Message(codes.CONTENT, (), b"news", b"t", RST, 12))
    client.send(Message(codes.GET, (), b"", b"t", ACK, 13))
    client.send(Message(codes.GET, (), b"", b"t", RST, 14))
    assert (client.get(), resources.handled) == ([], [])


CON_WITH_FAULT = [
    (b"\x49\x01\x00\x07123456789", "a token length of 9"),
    (b"\x4f\x01\x00\x07", "a token length of 15"),
    (b"\x44\x01\x00\x07ab", "a token cut short"),
    (b"\x40\x01\x00\x07\xff", "a marker without a payload"),
    (b"\x40\x01\x00\x07\xf1a", "an option delta of 15"),
    (b"\x40\x01\x00\x07\x1fa", "an option length of 15"),
    (b"\x40\x01\x00\x07\xb5ab", "an option cut short"),
    (b"\x40\x01\x00\x07\xe0\xff\xff", "an option number beyond 65,535"),
    (b"\x40\x00\x00\x07\xff\x01", "an empty message with a payload"),
    (b"\x41\x00\x00\x07a", "an empty message with a token"),
    (b"\x40\x20\x00\x07", "a reserved class"),
    (b"\x40\xe2\x00\x07", "signalling, which is for streams"),
]


@pytest.mark.clause("RFC7252-4.2", "RFC7252-4.3", "RFC7252-3", "RFC7252-4.1")
@pytest.mark.parametrize(("octets", "what"), CON_WITH_FAULT, ids=[what for _, what in CON_WITH_FAULT])
def test_what_is_no_message_is_reset_if_confirmable_else_ignored(octets: bytes, what: str) -> None:
    hub, resources = served()
    client = hub.client()
    client.send_octets(octets)
    answer = client.get_one()
    assert (answer.type, answer.message_id) == (RST, 7), what
    for kind in (NON, ACK, RST):
        client.send_octets(bytes([octets[0] & 0xCF | kind << 4]) + octets[1:])
    assert (client.get(), resources.handled) == ([], [])


@pytest.mark.clause("RFC7252-3")
def test_another_version_is_ignored() -> None:
    hub, resources = served()
    client = hub.client()
    for octets in (b"\x80\x01\x00\x07", b"\x00\x01\x00\x07", b"\xc0\x01\x00\x07", b"\x40", b"", b"\x40\x01\x00"):
        client.send_octets(octets)
    assert (client.get(), resources.handled) == ([], [])


@given(st.lists(st.one_of(st.binary(max_size=40), st.builds(lambda rest: b"\x44\x01\x00\x01" + rest, st.binary()))))
def test_no_octets_raise_and_a_good_request_is_served_after_them(datagrams: list[bytes]) -> None:
    hub, _ = served()
    client = hub.secured()
    for datagram in datagrams:
        client.peer.receive(datagram)
    hub.outbox.take()
    assert client.request(codes.PUT, "now", token=b"\x01token").code == codes.CONTENT


def test_a_defect_is_answered_and_raised() -> None:
    hub, _ = served()
    client = hub.client()
    with pytest.raises(ZeroDivisionError):
        client.send(client.message(codes.GET, "broken"))
    hub.settle()
    assert client.get_one().code == codes.INTERNAL_SERVER_ERROR
    assert client.request(codes.GET, "now").code == codes.CONTENT


def test_a_request_is_answered_once() -> None:
    hub, resources = served()
    client = hub.client()
    client.request(codes.GET, "watch")
    with pytest.raises(LocalMisuse):
        resources.kept[0].respond(Message(codes.CONTENT))


@pytest.mark.clause("RFC8768-3")
@pytest.mark.parametrize("value", [b"", b"\x00", b"\x01\x00"])
def test_a_hop_limit_out_of_range_is_a_bad_request(value: bytes) -> None:
    hub, resources = served()
    client = hub.client()
    assert client.request(codes.GET, "now", options=[(HOP_LIMIT, value)]).code == codes.BAD_REQUEST
    assert resources.handled == []
    assert client.request(codes.GET, "now", options=[(HOP_LIMIT, b"\x01")]).code == codes.CONTENT


@pytest.mark.clause("RFC7967-2")
@pytest.mark.parametrize(
    ("value", "answered"),
    [
        (b"", {"now", "missing"}),
        (b"\x02", {"missing"}),
        (b"\x08", {"now"}),
        (b"\x1a", set()),
        (b"\x10", {"now", "missing"}),
    ],
)
def test_no_response_suppresses_classes(value: bytes, answered: set[str]) -> None:
    hub, resources = served()
    client = hub.secured()
    for path in ("now", "missing"):
        client.send(client.message(codes.GET, path, options=[(NO_RESPONSE, value)], type=NON))
        assert bool(client.get()) == (path in answered)
        request = client.message(codes.GET, path, options=[(NO_RESPONSE, value)])
        client.send(request)
        acknowledgement = client.get_one()  # a confirmable request is acknowledged all the same
        assert (acknowledgement.type, acknowledgement.message_id) == (ACK, request.message_id)
        assert bool(acknowledgement.code) == (path in answered)
    assert len(resources.handled) == 4


@pytest.mark.clause("RFC7967-2")
def test_a_suppressed_late_answer_leaves_the_empty_acknowledgement() -> None:
    hub, resources = served()
    client = hub.client()
    client.send(client.message(codes.PUT, "later", options=[(NO_RESPONSE, b"\x02")]))
    hub.pass_time(1)
    assert client.get_one().code == codes.EMPTY
    resources.kept[0].respond(Message(codes.CHANGED))
    hub.pass_time(100)
    assert client.get() == []


@pytest.mark.clause("RFC7252-4.7")
def test_requests_that_are_not_answered_are_bounded() -> None:
    hub, resources = served()
    client = hub.secured()
    hub.settings.pending = 3
    for _ in range(3):
        client.send(client.message(codes.PUT, "later"))
    assert client.request(codes.PUT, "later").code == codes.SERVICE_UNAVAILABLE
    assert len(resources.kept) == 3
    resources.kept[0].respond(Message(codes.CHANGED))
    hub.settle()
    client.get()
    assert client.request(codes.PUT, "now").code == codes.CONTENT


@pytest.mark.clause("RFC7252-4.7")
def test_separate_responses_that_are_never_acknowledged_are_bounded() -> None:
    hub, resources = served()
    client = hub.secured()
    client.acknowledges = False
    hub.settings.pending = 10
    for step in range(100):
        client.send(client.message(codes.PUT, "later"))
        hub.pass_time(1)
        if len(resources.kept) > step:
            resources.kept[step].respond(Message(codes.CHANGED))
    assert len(resources.kept) < 15  # ten wait, one is under way, and that is given up after 93 s at most


def test_what_a_client_sends_is_counted() -> None:
    hub, _ = served()
    client = hub.client()
    request = client.message(codes.GET, "now")
    client.send(request)
    counters = hub.broker.counters
    assert (counters.packets_received, counters.octets_received) == (1, len(encode(request)))
    assert (counters.packets_sent, counters.octets_sent) == (1, len(client.octets[0]))


def test_a_peer_that_is_gone_gets_nothing_and_everyone_is_told() -> None:
    hub, resources = served()
    client = hub.secured()
    client.acknowledges = False
    client.send(client.message(codes.PUT, "later"))
    client.request(codes.GET, "watch")
    told = Told()
    for number in (1, 2):
        assert resources.kept[1].notify(Message(codes.CONTENT), True, told, number)
    hub.settle()
    client.get()
    client.peer.close("the right was withdrawn")
    assert told.fates == [("timed out", 1), ("timed out", 2)]
    assert (client.closed, client.peer.because) == ("the right was withdrawn", "the right was withdrawn")
    assert resources.forgotten == [client.peer]
    resources.kept[0].respond(Message(codes.CHANGED))
    assert not resources.kept[1].notify(Message(codes.CONTENT), True, told, 3)
    assert not resources.kept[1].notify(Message(codes.CONTENT), False, told, 4)
    hub.pass_time(300)
    assert client.get() == []
    client.peer.close("again")
    assert (len(told.fates), hub.layer.remembered) == (2, 0)
