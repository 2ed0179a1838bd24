"""Requests with as many options as fit: bounded work, the answer that the standard names, others undisturbed."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.decode import MOST_OPTIONS
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import RST, Message, in_order
from tests.coap.topics import TopicsHub

PATH = [(numbers.URI_PATH, b"t"), (numbers.URI_PATH, b"a")]


def of_tags(number: int, count: int) -> list[tuple[int, bytes]]:
    return [(number, serial.to_bytes(8, "big")) for serial in range(count)]


@pytest.mark.clause("RFC7252-5.10.6")
def test_among_as_many_tags_as_fit_the_one_that_holds_is_found() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.PUT, "t/a", b"21.5")
    tag = client.request(codes.GET, "t/a").first(numbers.ETAG)
    assert tag is not None
    many = of_tags(numbers.ETAG, MOST_OPTIONS - len(PATH) - 1)
    assert client.request(codes.GET, "t/a", options=many).code == codes.CONTENT
    assert client.request(codes.GET, "t/a", options=[*many, (numbers.ETAG, tag)]).code == codes.VALID


@pytest.mark.clause("RFC7252-5.10.8.1")
def test_among_as_many_conditions_as_fit() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.PUT, "t/a", b"21.5")
    many = of_tags(numbers.IF_MATCH, MOST_OPTIONS - len(PATH))
    assert client.request(codes.PUT, "t/a", b"22.0", many).code == codes.PRECONDITION_FAILED
    assert client.request(codes.GET, "t/a").payload == b"21.5"


@pytest.mark.clause("RFC7252-4.2")
@pytest.mark.parametrize("number", [numbers.ETAG, numbers.IF_MATCH, numbers.URI_PATH, 65_000])
def test_more_options_than_the_hub_reads_are_reset_and_leave_nothing(number: int) -> None:
    hub = TopicsHub()
    client = hub.secured()
    for _ in range(50):
        message = client.message(codes.GET, options=of_tags(number, MOST_OPTIONS + 1))
        options = in_order(list(message.options))
        client.send_octets(encode(Message(message.code, options, b"", b"tk", 0, message.message_id)))
        (answer,) = client.get()
        assert (answer.type, answer.code, answer.message_id) == (RST, codes.EMPTY, message.message_id)
    assert client.peer.pending == 0
    assert client.request(codes.PUT, "t/a", b"1").code == codes.CREATED
    assert hub.secured(address="192.0.2.9:4711").request(codes.GET, "t/a").payload == b"1"
