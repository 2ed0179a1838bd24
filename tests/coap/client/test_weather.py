"""Our client and the whole hub, over a network that loses, doubles and reorders, on a virtual clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.client.datagrams import DatagramLayer
from bridgehead.protocols.coap.client.machine import Answered, ClientMachine, Event, Lost, Notified
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.blockwise import Blockwise
from bridgehead.protocols.coap.session.contract import Handler
from tests.coap.dialogue import TO_CLIENT, Hub, SecuredClient, Weather, path_options
from tests.coap.topics import TopicsHub


class BlockHub(TopicsHub):
    """With block-wise transfer, as the real chain has it."""

    def _make(self, hub: Hub) -> Handler:
        return Blockwise(super()._make(hub), hub.clock, BlockSettings(), hub.chance.random)


class OurClient(SecuredClient):
    """The machine of `bridgehead pub` and `sub`, at the end of a DTLS session."""

    def __init__(self, hub: Hub, seed: int) -> None:
        super().__init__(hub, "sensor", "psk", "192.0.2.9:4711")
        self.machine = ClientMachine(DatagramLayer(hub.chance.random, seed), bytes([seed & 0xFF]) * 8)
        self.events: list[Event] = []

    def depart(self, data: bytes) -> None:
        self.hub.network.carry(TO_CLIENT, data, self.take)

    def take(self, data: bytes) -> None:
        self.machine.receive(data, self.hub.clock.now)
        self.after()

    def next_timeout(self) -> float:
        return self.machine.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self.machine.handle_timeout(now)
        self.after()

    def after(self) -> None:
        self.events += self.machine.events()
        for data in self.machine.outgoing():
            self.hub.network.carry("to hub", data, self.arrive)

    def begin(self, code: int, path: str, payload: bytes = b"", observe: bool = False) -> int:
        options = ([(option.OBSERVE, b"")] if observe else []) + path_options(path)
        number = self.machine.request(
            Message(code, tuple(sorted(options, key=lambda each: each[0])), payload), True, self.hub.clock.now
        )
        self.after()
        self.hub.settle()
        return number

    def finished(self) -> set[int]:
        return {event.number for event in self.events if isinstance(event, Answered | Lost)}


def hub_in(seed: int, loss: float) -> tuple[BlockHub, OurClient]:
    hub = BlockHub()
    client = OurClient(hub, seed)
    hub.network.fate = Weather(seed, loss)
    return hub, client


@pytest.mark.clause("RFC7252-4.2")
@pytest.mark.clause("RFC7252-4.5")
@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_what_is_acknowledged_arrived_and_arrived_once(seed: int) -> None:
    hub, client = hub_in(seed, 0.2)
    hub.other.subscribe("Office/#", 1)
    numbers = {client.begin(codes.POST, f"t/Office/{each}", b"%d" % each): each for each in range(12)}
    hub.until(lambda: client.finished() >= set(numbers), 5000.0)
    answered = {numbers[event.number] for event in client.events if isinstance(event, Answered)}
    assert all(event.response.code == codes.CHANGED for event in client.events if isinstance(event, Answered))
    came = [int(message.payload) for message in hub.other.messages]
    assert len(came) == len(set(came))
    assert answered <= set(came)
    # Five transmissions, of which one in five is lost on either way: few requests lose them all.
    assert len(answered) >= 7


@pytest.mark.clause("RFC7959-2.5")
@pytest.mark.clause("RFC7959-2.3")
@given(st.integers(0, 10_000), st.integers(1025, 9000))
@settings(max_examples=25)
def test_a_large_value_there_and_back(seed: int, size: int) -> None:
    hub, client = hub_in(seed, 0.1)
    body = bytes(each % 251 + 1 for each in range(size))
    put = client.begin(codes.PUT, "t/Office/large", body)
    hub.until(lambda: put in client.finished(), 5000.0)
    get = client.begin(codes.GET, "t/Office/large")
    hub.until(lambda: get in client.finished(), 5000.0)
    found = {event.number: event.response for event in client.events if isinstance(event, Answered)}
    if put in found and get in found:
        assert (found[put].code, found[get].payload) == (codes.CREATED, body)
    assert len(found) >= 1


@pytest.mark.clause("RFC7641-3.2")
@pytest.mark.clause("RFC7641-4.5")
@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_every_acknowledged_notification_is_told_once_and_in_order(seed: int) -> None:
    hub, client = hub_in(seed, 0.1)
    number = client.begin(codes.GET, "t/Office/door", observe=True)
    hub.until(lambda: bool(client.events), 5000.0)
    if not isinstance(client.events[0], Notified):
        return  # the registration was lost five times
    sent = [b"%d" % each for each in range(10)]
    for payload in sent:
        hub.other.publish("Office/door", payload, 1)
        hub.pass_time(1.0)
    hub.pass_time(1000.0)
    later = [event for event in client.events[1:] if isinstance(event, Notified) and event.number == number]
    told = [event.response.payload for event in later]
    assert told == [each for each in sent if each in told]
    assert sent[-1] in told or told == sent[: len(told)]
    assert client.next_timeout() == NEVER
