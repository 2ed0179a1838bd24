"""No more goes to an address that is not proven than three times what came (RFC 9175 section 2.4, RFC 7252 11.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message
from bridgehead.protocols.coap.codec.numbers import BLOCK2, ECHO, OBSERVE
from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.link import Link
from bridgehead.protocols.coap.session.settings import CoapSettings
from bridgehead.protocols.coap.session.way import Way
from tests.coap.dialogue import TO_CLIENT, TO_HUB
from tests.coap.session.resources import Told, served


@pytest.mark.clause("RFC7252-11.3", "RFC9175-2.4", "RFC9175-2.3", "RFC9175-2.2.1")
def test_a_large_answer_waits_for_echo() -> None:
    hub, _resources = served()
    client = hub.client()
    refused = client.request(codes.GET, "large")
    assert (refused.code, refused.payload) == (codes.UNAUTHORIZED, b"")
    value = refused.first(ECHO)
    assert value is not None
    assert 1 <= len(value) <= 40
    assert len(refused.all(ECHO)) == 1
    assert hub.network.octets[TO_CLIENT] <= 3 * hub.network.octets[TO_HUB]
    answer = client.request(codes.GET, "large", options=[(ECHO, value)])
    assert (answer.code, len(answer.payload)) == (codes.CONTENT, 600)
    assert client.request(codes.GET, "large").code == codes.CONTENT  # the address is proven now
    assert client.peer.proven


@pytest.mark.clause("RFC9175-2.3")
def test_an_echo_value_is_of_one_address_and_of_a_time() -> None:
    hub, _ = served()
    client = hub.client("192.0.2.1:1")
    value = client.request(codes.GET, "large").first(ECHO)
    assert value is not None
    other = hub.client("192.0.2.1:2")
    assert other.request(codes.GET, "large", options=[(ECHO, value)]).code == codes.UNAUTHORIZED
    hub.pass_time(121)
    assert client.request(codes.GET, "large", options=[(ECHO, value)]).code == codes.UNAUTHORIZED


@pytest.mark.clause("RFC9175-2.3")
def test_an_echo_value_of_another_run_or_by_chance_proves_nothing() -> None:
    echo = Echo(b"0123456789abcdef", 60.0)
    value = echo.value("192.0.2.1:1", 1000.0)
    assert echo.proves("192.0.2.1:1", value, 1000.0)
    assert echo.proves("192.0.2.1:1", value, 1060.0)
    assert not echo.proves("192.0.2.1:1", value, 1141.0)
    assert not echo.proves("192.0.2.1:1", value, 900.0)  # from the future
    assert not Echo(b"another key here", 60.0).proves("192.0.2.1:1", value, 1000.0)
    for wrong in (b"", value[:-1], value + b"\0", bytes(8), value[::-1]):
        assert not echo.proves("192.0.2.1:1", wrong, 1000.0)


def test_a_diagnostic_is_left_out_sooner_than_echo_is_asked_for() -> None:
    hub, _ = served()
    client = hub.client()
    answer = client.request(codes.GET, "missing")
    assert (answer.code, answer.payload) == (codes.NOT_FOUND, b"")
    assert hub.network.octets[TO_CLIENT] <= 3 * hub.network.octets[TO_HUB]


def test_a_post_that_was_performed_is_not_asked_for_again() -> None:
    hub, _ = served()
    client = hub.client()
    answer = client.request(codes.POST, "large")
    assert (answer.code, answer.payload, answer.options) == (codes.CONTENT, b"", ())


def test_a_block_of_an_answer_is_not_cut() -> None:
    """The payload of a block belongs to its number: without it the option would lie."""
    hub, resources = served()
    client = hub.client()
    client.send(client.message(codes.POST, "later"))
    resources.kept[0].respond(Message(codes.CHANGED, ((BLOCK2, b"\x0d"),), b"x" * 512))
    hub.settle()
    assert client.get_one().code == codes.UNAUTHORIZED


def test_echo_may_be_required_of_everyone() -> None:
    settings = CoapSettings()
    settings.echo_required = True
    hub, resources = served(settings)
    client = hub.client()
    request = client.message(codes.POST, "now")
    client.send(request)
    refused = client.get_one()
    assert (refused.code, resources.handled) == (codes.UNAUTHORIZED, [])
    assert (client.peer.pending, hub.layer.remembered) == (0, 0)  # nothing is kept for who is not there
    value = refused.first(ECHO)
    assert value is not None
    assert client.request(codes.POST, "now", options=[(ECHO, value)]).code == codes.CHANGED
    assert hub.secured().request(codes.POST, "now").code == codes.CHANGED


def test_no_limit_over_dtls() -> None:
    hub, _ = served()
    assert hub.secured().request(codes.GET, "large").code == codes.CONTENT


_REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([codes.GET, codes.POST, codes.EMPTY, 0xFF, 0x45]),
        st.sampled_from(["now", "large", "missing", "watch", "later", ""]),
        st.sampled_from([CON, NON, ACK, RST]),
        st.binary(max_size=8),
        st.booleans(),
    ),
    max_size=20,
)


@pytest.mark.clause("RFC7252-11.3", "RFC9175-2.4")
@given(_REQUESTS)
def test_no_requests_of_an_address_that_never_answers_amplify(
    requests: list[tuple[int, str, int, bytes, bool]],
) -> None:
    hub, resources = served()
    client = hub.client()
    client.acknowledges = False
    for code, path, kind, token, again in requests:
        client._token += 1
        message = client.message(code, path, token=token, type=kind) if code else Message(0, type=kind, message_id=3)
        for _ in range(2 if again else 1):
            client.send(message)
        for number, exchange in enumerate(resources.kept):
            exchange.notify(Message(codes.CONTENT, (), b"news" * 10), number % 2 == 0, None, number)
        hub.pass_time(7)
        assert hub.network.octets[TO_CLIENT] <= 3 * hub.network.octets[TO_HUB]
    hub.pass_time(300)
    assert hub.network.octets[TO_CLIENT] <= 3 * hub.network.octets[TO_HUB]


@pytest.mark.clause("RFC7641-7", "RFC7252-11.3")
def test_an_observer_on_plain_udp_has_to_show_interest() -> None:
    hub, resources = served()
    client = hub.client()
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    exchange = resources.kept[0]
    told = Told()
    kinds = []
    for number in range(200):
        assert exchange.notify(Message(codes.CONTENT, ((OBSERVE, b"\x05"),), b"21.5 degrees"), False, told, number)
        hub.settle()
        kinds.append(client.get_one().type)
    assert CON in kinds[:5]
    assert kinds.count(NON) > 190
    assert not client.peer.proven


@pytest.mark.clause("RFC7641-7", "RFC7252-11.3")
def test_one_that_does_not_acknowledge_gets_nothing_more() -> None:
    hub, resources = served()
    client = hub.client()
    client.acknowledges = False
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    told = Told()
    for number in range(200):
        resources.kept[0].notify(Message(codes.CONTENT, (), b"21.5 degrees"), False, told, number)
        hub.pass_time(1)
    assert hub.network.octets[TO_CLIENT] <= 3 * hub.network.octets[TO_HUB]
    assert told.fates[0][0] == "timed out"


def test_acknowledgements_that_are_guessed_cost_more_than_they_give() -> None:
    hub, resources = served()
    client = hub.client()
    client.acknowledges = False
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    told = Told()
    sent = 0
    for guess in range(65536):
        resources.kept[0].notify(Message(codes.CONTENT, (), b"x" * 1000), False, told, guess)
        hub.outbox.take()
        client.peer.receive(bytes([0x60, 0]) + guess.to_bytes(2, "big"))
        sent += 4
    octets = hub.broker.counters.octets_sent
    assert octets <= 3 * sent


class _Sent(Link):
    def __init__(self) -> None:
        self.octets: list[int] = []

    def send(self, data: bytes) -> None:
        self.octets.append(len(data))


@pytest.mark.clause("RFC7252-11.3")
def test_the_bound_is_three_times_to_the_octet() -> None:
    hub, _ = served()
    link = _Sent()
    peer = DatagramPeer(hub.layer, link, None, "192.0.2.1:1", False, False)
    way = Way(peer, link, hub.layer)
    assert not way.send(b"x")
    way.heard(10)
    assert (way.has_room(30), way.has_room(31)) == (True, False)
    assert not way.send(b"x" * 31)
    assert way.send(b"x" * 29)
    assert way.send(b"x")
    assert not way.send(b"x")
    way.named()
    assert (way.has_room(65_536), way.has_room(65_537)) == (True, False)
    assert way.send(b"x" * 65_000)
    way.named()  # it is not added to what is left
    assert (way.has_room(65_536), way.has_room(65_537)) == (True, False)
    peer.proven = True
    assert way.has_room(1_000_000)
    assert way.send(b"x" * 70_000)
    peer.gone = True
    assert not way.send(b"x")
    assert link.octets == [29, 1, 65_000, 70_000]
