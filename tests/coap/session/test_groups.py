"""Requests to a group: no acknowledgement, no Reset, no errors, and answers at leisure (RFC 7252 section 8)."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import CON, NON, Message
from bridgehead.protocols.coap.codec.numbers import ECHO, NO_RESPONSE
from tests.coap.dialogue import Client, Hub
from tests.coap.session.resources import Resources, served


def asking() -> tuple[Hub, Resources, Client]:
    hub, resources = served()
    client = hub.client()
    client.multicast = True
    return hub, resources, client


def first_answer(hub: Hub, client: Client) -> float:
    """When it comes."""
    hub.until(lambda: bool(client.received), 5.0)
    return hub.clock.now


@pytest.mark.clause("RFC7252-8.2")
def test_an_answer_to_a_group_comes_within_leisure() -> None:
    delays = []
    for port in range(20):
        hub, _, _ = asking()
        for _ in range(port):
            hub.chance.random()
        client = hub.client(f"192.0.2.1:{port}")
        client.multicast = True
        client.send(client.message(codes.GET, "now", type=NON))
        assert client.get() == []
        start = hub.clock.now
        delays.append(first_answer(hub, client) - start)
        assert client.get_one().type == NON
    assert max(delays) - min(delays) > 2.0  # spread over the five seconds


@pytest.mark.clause("RFC7252-8.2", "RFC7252-8.1")
def test_nothing_sent_to_a_group_is_acknowledged_or_reset() -> None:
    hub, resources, client = asking()
    client.send(client.message(codes.GET, "now", type=CON))
    client.send(Message(codes.EMPTY, type=CON, message_id=4))
    client.send_octets(b"\x49\x01\x00\x07123456789")
    client.send(Message(codes.CONTENT, (), b"x", b"", CON, 5))
    hub.pass_time(20)
    assert (client.get(), resources.handled) == ([], [])


@pytest.mark.clause("RFC7252-8.2")
def test_errors_are_not_told_to_a_group() -> None:
    hub, resources, client = asking()
    client.send(client.message(codes.GET, "missing", type=NON))
    client.send(client.message(codes.GET, "later", type=NON))
    hub.pass_time(20)
    assert (client.get(), len(resources.handled)) == ([], 2)
    assert client.peer.pending == 0


@pytest.mark.clause("RFC7967-2", "RFC7252-8.2")
def test_no_response_overrules_what_a_group_is_told() -> None:
    hub, _, client = asking()
    client.send(client.message(codes.GET, "missing", type=NON, options=[(NO_RESPONSE, b"")]))
    client.send(client.message(codes.GET, "now", type=NON, options=[(NO_RESPONSE, b"\x02")]))
    hub.pass_time(20)
    assert client.get_one().code == codes.NOT_FOUND


@pytest.mark.clause("RFC9175-2.4", "RFC7252-11.3")
def test_an_answer_to_a_group_that_would_amplify_asks_for_echo() -> None:
    hub, _, client = asking()
    client.send(client.message(codes.GET, "large", type=NON))
    hub.pass_time(6)
    refused = client.get_one()
    assert refused.code == codes.UNAUTHORIZED
    value = refused.first(ECHO)
    assert value is not None
    client.send(client.message(codes.GET, "large", type=NON, options=[(ECHO, value)]))
    hub.pass_time(6)
    assert len(client.get_one().payload) == 600


def test_answers_that_wait_are_bounded() -> None:
    hub, _, client = asking()
    hub.settings.group_answers = 10
    for _ in range(50):
        client.send(client.message(codes.GET, "now", type=NON))
    hub.pass_time(6)
    assert len(client.get()) == 10
    assert hub.layer.group_answers == 0
