"""OSCORE over the real message layers: a network that loses, doubles and reorders, DTLS below, amplification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message, Option, uint_value
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.oscore import OscoreLayer
from tests.coap.dialogue import TO_CLIENT, TO_HUB, Client, Hub, Weather
from tests.coap.oscore_contexts import Contexts
from tests.coap.oscore_device import Device
from tests.coap.session.resources import Resources, Told


class World:
    """A hub whose plain listener has no guest: only OSCORE says who asks."""

    def __init__(self) -> None:
        self.resources = Resources()
        self.contexts = Contexts()
        self.contexts.add("sensor-7")
        self.device = Device()
        self.hub = Hub(self._make, guest=None)
        self.client = self.hub.client()

    def _make(self, hub: Hub) -> OscoreLayer:
        return OscoreLayer(self.resources, self.contexts, Echo(b"k" * 16, 600.0), hub.clock)

    def protect(
        self,
        client: Client,
        code: int,
        path: str,
        payload: bytes = b"",
        options: Iterable[Option] = (),
        kind: int = CON,
    ) -> tuple[Message, Any]:
        return self.device.protect(client.message(code, path, payload, options, kind))

    def ask(self, code: int, path: str, payload: bytes = b"", options: tuple[Option, ...] = ()) -> Message:
        """A request, once more if the hub asks for Echo, over a network without faults."""
        protected, request = self.protect(self.client, code, path, payload, options)
        self.client.send(protected)
        answer = self.device.unprotect(self.client.response(protected.token), request)
        echo = answer.first(option.ECHO)
        if echo is None:
            return answer
        return self.ask(code, path, payload, (*options, (option.ECHO, echo)))


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.clause("RFC8613-7.4")
@pytest.mark.parametrize("seed", range(8))
def test_over_a_bad_network_each_request_is_executed_once_and_answered(world: World, seed: int) -> None:
    world.ask(codes.GET, "now")  # the context is known
    world.resources.handled.clear()
    world.hub.network.fate = Weather(seed, loss=0.1)
    texts = [str(number).encode() for number in range(20)]
    for text in texts:
        protected, request = world.protect(world.client, codes.PUT, "now", text)
        world.client.ask(protected)
        answered: list[Message] = []

        def has_come(token: bytes = protected.token, found: list[Message] = answered) -> bool:
            found += [each for each in world.client.get() if each.token == token and each.code]
            return bool(found)

        world.hub.until(has_come, 100.0)
        assert world.device.unprotect(answered[0], request).code == codes.CONTENT
    assert [exchange.request.payload for exchange in world.resources.handled] == texts


@pytest.mark.clause("RFC7252-4.5")
@pytest.mark.parametrize("options", [(), ((option.OBSERVE, b""),)], ids=["POST outside", "FETCH outside"])
def test_a_duplicate_gets_the_same_answer_and_is_no_replay(world: World, options: tuple[Option, ...]) -> None:
    world.ask(codes.GET, "now")
    protected, request = world.protect(world.client, codes.GET, "now", options=options)
    world.client.send(protected)
    world.client.send(protected)
    first, second = world.client.get()
    assert world.device.unprotect(first, request).code == codes.CONTENT
    assert first.payload == second.payload
    assert len(world.resources.handled) == 2  # with the first of all


@pytest.mark.clause("RFC9175-2.4")
def test_no_more_than_three_times_goes_to_an_address_that_does_not_answer(world: World) -> None:
    world.ask(codes.GET, "large")
    handled = len(world.resources.handled)
    victim = world.hub.client("198.51.100.1:4711")
    octets = world.hub.network.octets
    octets[TO_HUB] = octets[TO_CLIENT] = 0
    for _ in range(5):
        world.client.next_id()
        protected, _ = world.protect(victim, codes.GET, "large")
        victim.send(protected)
    assert len(world.resources.handled) == handled
    assert octets[TO_CLIENT] <= 3 * octets[TO_HUB]
    assert not victim.peer.proven


def test_an_error_with_a_long_sentence_fits_to_an_address_that_is_not_proven(world: World) -> None:
    """What is over the limit is cut before it is protected: cut afterwards, nobody could verify it."""
    world.ask(codes.GET, "now")
    other = world.hub.client("198.51.100.1:4711")
    protected, request = world.protect(other, codes.PUT, "missing", b"x")
    other.send(protected)
    answer = world.device.unprotect(other.response(protected.token), request)
    assert (answer.code, answer.payload) == (codes.NOT_FOUND, b"")
    assert world.ask(codes.PUT, "missing", b"x").payload != b""


def test_notifications_reach_the_observer_and_its_reset_comes_back(world: World) -> None:
    protected, request = world.protect(world.client, codes.GET, "watch", options=((option.OBSERVE, b""),))
    world.client.send(protected)
    echo = world.device.unprotect(world.client.response(protected.token), request).first(option.ECHO)
    assert echo is not None
    options = ((option.OBSERVE, b""), (option.ECHO, echo))
    protected, request = world.protect(world.client, codes.GET, "watch", options=options)
    world.client.send(protected)
    assert world.device.unprotect(world.client.response(protected.token), request).payload == b"first"
    [exchange] = world.resources.kept
    told = Told()
    for number in range(2):
        notification = Message(codes.CONTENT, ((option.OBSERVE, uint_value(2 + number)),), str(number).encode())
        assert exchange.notify(notification, number == 1, told, number)
        world.hub.settle()
        arrived = world.client.response(protected.token)
        assert arrived.type == (CON if number == 1 else NON)
        assert world.device.unprotect(arrived, request).payload == str(number).encode()
        if number == 0:
            world.client.reset(arrived)
    assert told.fates == [("rejected", 0), ("acknowledged", 1)]


def test_through_dtls_the_context_says_who_asks(world: World) -> None:
    secured = world.hub.secured("gateway")
    protected, request = world.protect(secured, codes.GET, "now")
    secured.send(protected)
    echo = world.device.unprotect(secured.response(protected.token), request).first(option.ECHO)
    assert echo is not None
    protected, request = world.protect(secured, codes.GET, "now", options=((option.ECHO, echo),))
    secured.send(protected)
    assert world.device.unprotect(secured.response(protected.token), request).code == codes.CONTENT
    secured.request(codes.GET, "now")
    names = [exchange.party.principal.name for exchange in world.resources.handled if exchange.party is not None]
    assert names == ["sensor-7", "gateway"]


def test_who_goes_away_is_forgotten(world: World) -> None:
    world.ask(codes.GET, "now")
    peer = world.client.peer
    world.hub.pass_time(world.hub.settings.peer_idle * 3)
    assert world.resources.forgotten == [peer]
    world.ask(codes.GET, "now")
    assert world.contexts.told == ["sensor-7 at 192.0.2.1:4711"] * 2


@pytest.mark.clause("RFC8613-4.1.3.6")
@pytest.mark.parametrize(("value", "answered"), [(2, False), (26, False), (8, True), (0, True)])
def test_no_response_inside_counts(world: World, value: int, answered: bool) -> None:
    world.ask(codes.GET, "now")
    options = ((option.NO_RESPONSE, uint_value(value)),)
    protected, _ = world.protect(world.client, codes.PUT, "now", b"22.5", options)
    assert not protected.has(option.NO_RESPONSE)
    world.client.send(protected)
    [reply] = world.client.get()
    assert reply.type == ACK
    assert (reply.code == codes.CHANGED) is answered
    assert world.resources.handled[-1].request.payload == b"22.5"


@pytest.mark.clause("RFC8613-4.1.3.6")
def test_no_response_outside_is_ignored(world: World) -> None:
    """Anybody on the way could have put it there."""
    world.ask(codes.GET, "now")
    protected, request = world.protect(world.client, codes.PUT, "now", b"22.5")
    tampered = protected.with_options((*protected.options, (option.NO_RESPONSE, b"\x1a")))
    world.client.send(tampered)
    assert world.device.unprotect(world.client.response(protected.token), request).code == codes.CONTENT
    stream = world.hub.stream("gateway")
    protected, request = world.device.protect(Message(codes.PUT, ((option.URI_PATH, b"now"),), b"22.6", b"tk"))
    stream.send(protected.with_options((*protected.options, (option.NO_RESPONSE, b"\x1a"))))
    assert world.device.unprotect(stream.response(b"tk"), request).code == codes.CONTENT
