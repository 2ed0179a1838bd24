"""Large messages to an observer, through the hub's topics and a network that loses: each arrives whole."""

from __future__ import annotations

import pytest

from bridgehead.core.message import MessageProperties
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.blockwise import Blockwise
from bridgehead.protocols.coap.session.contract import Handler
from tests.coap.dialogue import Hub, SecuredClient, Weather
from tests.coap.session.block_world import block2, block_of
from tests.coap.topics import OBSERVE, TopicsHub

TEXT = MessageProperties(content_type="text/plain;charset=utf-8")


class BlockHub(TopicsHub):
    def _make(self, hub: Hub) -> Handler:
        return Blockwise(super()._make(hub), hub.clock, BlockSettings(), hub.chance.random)


class Reader(SecuredClient):
    """Observes `/t/a` and fetches what is not whole, one block after the other; `bodies` are those that it has."""

    def __init__(self, hub: Hub, kind: int = CON) -> None:
        super().__init__(hub, "sensor", "psk", "192.0.2.5:4711")
        self.bodies: list[bytes] = []
        self.torn = 0  # bodies whose blocks did not belong together
        self._seen: set[int] = set()
        self._body = b""
        self._etag: bytes | None = None
        self._asks = b""
        self._registration = self.message(codes.GET, "t/a", options=[OBSERVE], type=kind)

    def register(self) -> None:
        if self._registration.type == CON:
            self.ask(self._registration)
        else:
            self.send(self._registration)

    def collect(self, data: bytes) -> None:
        super().collect(data)
        message = self.received.pop()
        if message.code == codes.EMPTY or (message.type != ACK and message.message_id in self._seen):
            return
        if message.type != ACK:
            self._seen.add(message.message_id)
        if message.token == self._registration.token:
            self._body = b""
            self._etag = message.first(option.ETAG)
            self._take(message)
        elif message.token == self._asks:
            self._asks = b""
            if message.first(option.ETAG) == self._etag:
                self._take(message)
            else:
                self.torn += 1

    def _take(self, message: Message) -> None:
        assert message.code == codes.CONTENT, (codes.dotted(message.code), message.payload)
        self._body += message.payload
        self._asks = b""
        if message.has(option.BLOCK2) and block_of(message, option.BLOCK2)[1]:
            ask = self.message(codes.GET, "t/a", options=[block2(len(self._body) // 1024, 6)])
            self._asks = ask.token
            self.ask(ask)
        elif self._body:
            self.bodies.append(self._body)


class LateReader(Reader):
    """Acknowledges nothing while it fetches: a notification of many blocks never, as node-coap-client does."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)
        self.acknowledges = False

    def collect(self, data: bytes) -> None:
        super().collect(data)
        message = decode(data)
        if message.type == CON and not self._asks:
            self.acknowledge(message)


def body_of(number: int, size: int) -> bytes:
    return (f"{number:08d}," * (size // 9 + 1)).encode()[:size]


@pytest.mark.clause("RFC7959-2.6")
@pytest.mark.parametrize("seed", range(10))
def test_nothing_that_is_acknowledged_is_lost(seed: int) -> None:
    hub = BlockHub()
    reader = Reader(hub)
    reader.register()
    hub.settle()
    hub.network.fate = Weather(seed, loss=0.05, double=0.1, delay=0.3)
    bodies = [body_of(number, size) for number, size in enumerate([3000, 5000, 40, 1025, 2048, 10, 8000, 1024])]
    for body in bodies:
        hub.other.publish("a", body, 1, properties=TEXT)
    hub.until(lambda: len(reader.bodies) >= len(bodies), 3000)
    assert reader.bodies == bodies
    assert reader.torn == 0


@pytest.mark.clause("RFC7959-2.6")
def test_who_acknowledges_the_notification_when_it_has_all_of_it_gets_all_of_it() -> None:
    hub = BlockHub()
    reader = LateReader(hub)
    reader.register()
    hub.settle()
    bodies = [body_of(number, 3000) for number in range(5)]
    for body in bodies:
        hub.other.publish("a", body, 1, properties=TEXT)
    hub.pass_time(0)
    assert reader.bodies == bodies


@pytest.mark.clause("RFC7959-2.6")
def test_without_loss_they_follow_one_another_at_once() -> None:
    hub = BlockHub()
    reader = Reader(hub)
    reader.register()
    hub.settle()
    bodies = [body_of(number, 3000) for number in range(20)]
    for body in bodies:
        hub.other.publish("a", body, 1, properties=TEXT)
    hub.pass_time(0)
    assert reader.bodies == bodies


@pytest.mark.clause("RFC7959-2.6")
def test_at_most_once_the_newest_is_there() -> None:
    hub = BlockHub()
    reader = Reader(hub, NON)
    reader.register()
    hub.settle()
    hub.network.fate = lambda direction, data: [0.2]
    bodies = [body_of(number, 3000) for number in range(5)]
    for body in bodies:
        hub.other.publish("a", body, properties=TEXT)
    hub.pass_time(10)
    assert reader.bodies == bodies[-1:]
