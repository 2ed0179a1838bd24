"""The whole chain of handlers over a bad network and across crashes, and what every message of it keeps to."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.protocols.coap.chain import make_chain
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import read_block
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message, Option
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.session.contract import Handler, Peer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.oscore_context import OscoreContext, OscoreContexts
from tests.coap.dialogue import Client, Hub, Weather
from tests.mqtt.dialogue import ManualStore

OBSERVE: Option = (option.OBSERVE, b"")


class NoContexts(OscoreContexts):
    """No device has OSCORE here."""

    def find(self, kid: bytes, kid_context: bytes | None) -> list[OscoreContext]:
        return []

    def refused(self, peer: Peer, kid: bytes, because: str) -> None:
        """Nobody is told."""


def whole(store: ManualStore | None = None, now: float = 1_000_000.0) -> Hub:
    config = CoapConfig()

    def make(hub: Hub) -> Handler:
        echo = Echo(b"another key here", 60.0)
        return make_chain(hub.broker, config, NoContexts(), echo, hub.chance.random).handler

    return Hub(make, config, store, now=now)


def fetched(client: Client, path: str) -> bytes:
    """The whole representation, block by block."""
    body = b""
    number = 0
    while True:
        options = [(option.BLOCK2, bytes([number << 4 | 6]))] if number else []
        answer = client.request(codes.GET, path, options=options)
        assert answer.code == codes.CONTENT, answer
        body += answer.payload
        block = answer.first(option.BLOCK2)
        if block is None or not read_block(block)[1]:
            return body
        number += 1


@pytest.mark.clause("RFC7252-4.6")
def test_every_message_fits_into_one_datagram() -> None:
    hub = whole()
    client = hub.secured()
    body = bytes(range(256)) * 20
    blocks = [body[at : at + 1024] for at in range(0, len(body), 1024)]
    for number, block in enumerate(blocks):
        more = 8 if number + 1 < len(blocks) else 0
        value = bytes([number << 4 | more | 6])
        answer = client.request(codes.PUT, "t/Office/Plan", block, [(option.BLOCK1, value)])
        assert answer.code == (codes.CONTINUE if more else codes.CREATED)
    assert fetched(client, "t/Office/Plan") == body
    assert max(len(message) for message in client.octets) <= 1152


@pytest.mark.clause("RFC7252-5.2", "RFC7252-5.5.2")
@pytest.mark.parametrize(
    ("code", "path", "expected"),
    [
        (codes.GET, "t/Office/Nothing", 4),
        (codes.GET, "nowhere", 4),
        (codes.PATCH, "t/Office/Door", 4),
        (0x1F, "t/Office/Door", 4),
        (codes.PUT, "t/a#/b", 4),
        (codes.PUT, "t/Office/Door", 2),
        (codes.DELETE, "t/Office/Door", 2),
    ],
)
def test_responses_carry_a_code_by_class_and_errors_a_diagnostic(code: int, path: str, expected: int) -> None:
    answer = whole().secured().request(code, path, b"x" if code == codes.PUT else b"")
    assert answer.code >> 5 == expected
    if expected == 4:
        assert not answer.has(option.CONTENT_FORMAT)
        assert len(answer.payload.decode()) > 10
    else:
        assert answer.payload == b""


@pytest.mark.clause("RFC7252-5.4.4")
def test_an_absent_option_is_as_its_default_value() -> None:
    hub = whole()
    client = hub.secured()
    client.request(codes.PUT, "t/Office/Door", b"open")
    bare = client.request(codes.GET, "t/Office/Door")
    said = client.request(
        codes.GET, "t/Office/Door", options=[(option.URI_HOST, b"hub"), (option.URI_PORT, b"\x16\x34")]
    )
    unlimited = client.request(codes.GET, "t/Office/Door", options=[(option.BLOCK2, b"\x06")])
    assert bare.payload == said.payload == unlimited.payload == b"open"
    assert bare.options == said.options


@pytest.mark.clause("RFC7252-5.10.9")
def test_a_body_that_is_too_large_is_told_how_much_is_taken() -> None:
    hub = whole()
    client = hub.secured()
    announced = [(option.BLOCK1, b"\x0e"), (option.SIZE1, (2_000_000).to_bytes(3, "big"))]
    answer = client.request(codes.PUT, "t/Office/Plan", b"x" * 1024, announced)
    assert (answer.code, answer.uint(option.SIZE1)) == (codes.REQUEST_ENTITY_TOO_LARGE, 1_048_576)


def acknowledged(client: Client, requests: list[Message]) -> list[Message]:
    """The requests that the client knows to be done: a success came, in the acknowledgement or after it."""
    done = {message.token for message in client.received if codes.is_success(message.code)}
    return [request for request in requests if request.token in done]


@pytest.mark.clause("RFC7252-4.2", "RFC7252-4.5", "RFC7252-5.2.2")
@settings(max_examples=25)
@given(st.integers(0, 1_000_000), st.integers(1, 25), st.booleans())
def test_an_event_that_was_acknowledged_reaches_who_observes_once(seed: int, count: int, secured: bool) -> None:
    hub = whole()
    observer = hub.secured("observer", address="192.0.2.50:1")
    observer.request(codes.GET, "t/Office/Bell", options=[OBSERVE], token=b"o")
    publisher = hub.secured() if secured else hub.client()
    hub.network.fate = Weather(seed, delay=2.0)
    requests = []
    for number in range(count):
        request = publisher.message(codes.POST, "t/Office/Bell", b"ring %d" % number)
        requests.append(request)
        publisher.ask(request)
        hub.pass_time(3)
    hub.pass_time(100 * count)
    notifications = [message for message in observer.received if message.token == b"o" and message.payload]
    seen: dict[int, bytes] = {message.message_id: message.payload for message in notifications}
    assert len(set(seen.values())) == len(seen), "an event was told under two Message IDs"
    given_up = not hub.clients[observer.path].peer.held  # after silence the observation ends (RFC 7641 section 4.5)
    for request in acknowledged(publisher, requests):
        assert given_up or request.payload in seen.values()


@pytest.mark.clause("RFC7252-5.2.2")
@settings(max_examples=25)
@given(st.integers(0, 1_000_000), st.lists(st.booleans(), min_size=1, max_size=20))
def test_a_value_that_was_acknowledged_outlives_a_crash(seed: int, commits: list[bool]) -> None:
    hub = whole()
    hub.store.automatic = False
    client = hub.secured()
    hub.network.fate = Weather(seed, loss=0.1, delay=0.1)
    requests = []
    for number, commit in enumerate(commits):
        request = client.message(codes.PUT, f"t/Office/{number}", b"%d" % number)
        requests.append(request)
        client.ask(request)
        hub.pass_time(0.3)
        if commit:
            hub.store.finish()
            hub.settle()
            hub.pass_time(0.3)
    done = [int(request.payload) for request in acknowledged(client, requests)]
    hub.store.waiting.clear()  # the crash
    hub.store.automatic = True
    again = whole(hub.store, hub.clock.now)
    reader = again.secured()
    for number in done:
        assert reader.request(codes.GET, f"t/Office/{number}").payload == b"%d" % number


def test_what_is_not_committed_is_not_acknowledged() -> None:
    hub = whole()
    hub.store.automatic = False
    client = hub.secured()
    request = client.message(codes.PUT, "t/Office/Door", b"open")
    client.send(request)
    hub.pass_time(0.4)
    assert client.get() == []
    hub.pass_time(10)
    empty = client.get_one()
    assert (empty.type, empty.code) == (ACK, codes.EMPTY)
    hub.commit()
    answer = client.get_one()
    assert (answer.type, answer.code, answer.token) == (CON, codes.CREATED, request.token)
    client.send(client.message(codes.PUT, "t/Office/Door", b"shut", type=NON))
    assert client.get_one().code == codes.CHANGED  # at most once waits for no disk
