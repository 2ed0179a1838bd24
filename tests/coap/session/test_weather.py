"""Lost, doubled, late and reordered datagrams: what was acknowledged was performed, and performed once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message
from bridgehead.protocols.coap.codec.numbers import OBSERVE
from bridgehead.protocols.coap.session.contract import Exchange, Handler
from tests.coap.dialogue import Hub, Weather
from tests.coap.session.resources import Told, served


class Performing(Handler):
    """Answers each request now or later, as its payload says: "later 3" after three seconds."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.performed: Counter[bytes] = Counter()
        self._later: list[tuple[float, Exchange]] = []

    def handle(self, exchange: Exchange) -> None:
        payload = exchange.request.payload
        self.performed[payload] += 1
        if payload.startswith(b"later"):
            self._later.append((self.hub.clock.now + float(payload.split()[1]), exchange))
        else:
            exchange.respond(Message(codes.CHANGED, (), payload))

    def next_timeout(self) -> float:
        return min([when for when, _ in self._later], default=float("inf"))

    def handle_timeout(self, now: float) -> None:
        due = [exchange for when, exchange in self._later if when <= now]
        self._later = [(when, exchange) for when, exchange in self._later if when > now]
        for exchange in due:
            exchange.respond(Message(codes.CHANGED, (), exchange.request.payload))


@pytest.mark.clause("RFC7252-4.2", "RFC7252-4.5", "RFC7252-5.2.2", "RFC7252-5.3.2")
@settings(max_examples=40)
@given(st.integers(0, 1_000_000), st.lists(st.floats(0, 40), min_size=1, max_size=30), st.booleans())
def test_what_is_acknowledged_is_performed_once(seed: int, delays: list[float], secured: bool) -> None:
    made: list[Performing] = []

    def make(hub: Hub) -> Handler:
        made.append(Performing(hub))
        return made[0]

    hub = Hub(make)
    hub.network.fate = Weather(seed)
    client = hub.secured() if secured else hub.client()
    requests = []
    for number, delay in enumerate(delays):
        text = f"now {number}" if delay < 10 else f"later {delay} {number}"
        request = client.message(codes.POST, "x", text.encode())
        requests.append(request)
        client.ask(request)
        hub.pass_time(delay / 10)
    hub.pass_time(300)
    peer = client.peer
    acknowledged = {message.message_id for message in client.received if message.type == ACK}
    answered = {message.token: message.payload for message in client.received if message.code}
    for request in requests:
        performed = made[0].performed[request.payload]
        assert performed <= 1
        if request.message_id in acknowledged or request.token in answered:
            assert performed == 1
        if request.token in answered:
            assert answered[request.token] == request.payload
        elif request.message_id in acknowledged:  # a separate response, of which every copy was lost
            assert request.payload.startswith(b"later")
    assert len(answered) >= 0.9 * len(requests) - 1
    hub.pass_time(600)
    assert (hub.layer.remembered, peer.pending) == (0, 0)


@pytest.mark.clause("RFC7252-4.2", "RFC7252-4.7", "RFC7641-4.5")
@settings(max_examples=40)
@given(st.integers(0, 1_000_000), st.integers(1, 40), st.booleans())
def test_a_notification_that_counts_as_acknowledged_was_received(seed: int, count: int, secured: bool) -> None:
    hub, resources = served()
    client = hub.secured() if secured else hub.client()
    client.request(codes.GET, "watch", options=[(OBSERVE, b"")])
    weather = Weather(seed)
    hub.network.fate = weather
    told = Told()
    taken = []
    for number in range(count):
        if resources.kept[0].notify(Message(codes.CONTENT, (), b"%d" % number), True, told, number):
            taken.append(number)
        hub.pass_time(1.5)
    hub.pass_time(100 * count)
    received = {int(message.payload) for message in client.received if message.type == CON}
    fates = {number: fate for fate, number in told.fates}
    assert sorted(fates) == taken  # each has one fate
    assert len(told.fates) == len(taken)
    for number, fate in fates.items():
        if fate == "acknowledged":
            assert number in received


def test_the_weather_is_bad() -> None:
    """The other tests here prove something only if this holds."""
    hub, _ = served()
    weather = Weather(1)
    hub.network.fate = weather
    client = hub.secured()
    for _ in range(200):
        client.send(client.message(codes.GET, "now", type=NON))
        hub.pass_time(0.01)
    hub.pass_time(1)
    ids = [int.from_bytes(message.payload) for message in client.received]
    assert weather.lost > 40
    assert ids != sorted(ids)
    doubled = Counter(client.octets).most_common(1)[0][1]
    assert doubled == 2
