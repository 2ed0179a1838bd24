"""Our OSCORE client against our OSCORE layer, and against what others may send it."""

from __future__ import annotations

import itertools

import pytest

from bridgehead.protocols.coap.client.layer import Layer
from bridgehead.protocols.coap.client.oscore import ClientContext, ProtectedLayer
from bridgehead.protocols.coap.codec import codes, oscore
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.security.errors import SecurityError
from bridgehead.security.oscore.keys import Secret

KID, HUB, CONTEXT = b"\x0a", b"B", b"context"
SECRET = Secret(bytes(16), b"salt", CONTEXT)
IV = SECRET.common_iv()
GET = Message(codes.GET, ((option.URI_PATH, b"t"),), b"", b"tk")
OBSERVE = Message(codes.GET, ((option.OBSERVE, b""), (option.URI_PATH, b"t")), b"", b"tk")


class Wire(Layer):
    """The message layer: notes what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Message] = []

    def send(self, request: Message, confirmable: bool, now: float) -> None:
        self.sent.append(request)

    def receive(self, data: bytes, now: float) -> None:
        """What came is in `arrived` already."""


class World:
    def __init__(self) -> None:
        self.wire = Wire()
        self.sequence = itertools.count(5)
        context = ClientContext(KID, HUB, CONTEXT, SECRET, lambda: next(self.sequence))
        self.layer = ProtectedLayer(self.wire, context)
        self.request_piv = b""

    def ask(self, message: Message) -> Message:
        """What the hub reads of it."""
        self.layer.send(message, True, 0.0)
        protected = self.wire.sent[-1]
        header = oscore.decompress(protected.first(option.OSCORE) or b"")
        assert (header.kid, header.kid_context) == (KID, CONTEXT)
        self.request_piv = header.partial_iv
        nonce = oscore.nonce(KID, self.request_piv, IV)
        plain = SECRET.cipher(KID).decrypt(nonce, protected.payload, self._additional())
        return oscore.restored(plain, protected)

    def _additional(self) -> bytes:
        return oscore.additional_data(10, KID, self.request_piv)

    def answer(self, response: Message, piv: bytes = b"", key: bytes = HUB) -> list[Message]:
        """What the client takes of the hub's answer."""
        nonce = oscore.nonce(HUB, piv, IV) if piv else oscore.nonce(KID, self.request_piv, IV)
        sealed = SECRET.cipher(key).encrypt(nonce, oscore.plaintext(response), self._additional())
        options = oscore.outer_options(response, oscore.compress(oscore.Compressed(piv)))
        return self.arrive(Message(codes.CHANGED, options, sealed, b"tk"))

    def arrive(self, message: Message) -> list[Message]:
        self.wire.arrived.append(message)
        self.layer.receive(b"", 0.0)
        arrived, self.layer.arrived = self.layer.arrived, []
        return arrived


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.clause("RFC8613-8.1")
def test_a_request_is_protected(world: World) -> None:
    read = world.ask(GET)
    assert (read.code, read.options, read.token) == (codes.GET, GET.options, b"tk")
    assert world.wire.sent[-1].code == codes.POST
    assert world.request_piv == b"\x05"
    world.ask(OBSERVE)
    assert world.wire.sent[-1].code == codes.FETCH
    assert world.wire.sent[-1].has(option.OBSERVE)


@pytest.mark.clause("RFC8613-8.4")
@pytest.mark.parametrize("piv", [b"", b"\x07"])
def test_the_answer_is_verified_with_either_nonce(world: World, piv: bytes) -> None:
    world.ask(GET)
    [answer] = world.answer(Message(codes.CONTENT, ((option.CONTENT_FORMAT, b""),), b"22.5"), piv)
    assert (answer.code, answer.payload, answer.token) == (codes.CONTENT, b"22.5", b"tk")
    assert answer.options == ((option.CONTENT_FORMAT, b""),)


@pytest.mark.clause("RFC8613-8.4")
def test_what_does_not_verify_is_as_if_it_had_not_come(world: World) -> None:
    world.ask(GET)
    assert world.answer(Message(codes.CONTENT, (), b"forged"), key=KID) == []
    assert world.arrive(Message(codes.CHANGED, ((option.OSCORE, b"\xff"),), b"x" * 20, b"tk")) == []
    assert world.answer(GET) == []  # a request inside
    assert world.layer.lost == []
    assert [each.payload for each in world.answer(Message(codes.CONTENT, (), b"22.5"))] == [b"22.5"]


@pytest.mark.clause("RFC8613-7.1")
def test_an_answer_to_another_request_is_none(world: World) -> None:
    world.ask(GET)
    first = world.request_piv
    world.ask(GET)
    world.request_piv = first
    assert world.answer(Message(codes.CONTENT, (), b"22.5")) == []


def test_what_comes_without_protection_is_a_failure(world: World) -> None:
    world.ask(GET)
    assert world.arrive(Message(codes.UNAUTHORIZED, (), b"Security context not found", b"tk")) == []
    [(token, because)] = world.layer.lost
    assert token == b"tk"
    assert "4.01 Security context not found; does the device still have this context?" in because


@pytest.mark.clause("RFC8613-7.4.1")
@pytest.mark.clause("RFC8613-4.1.3.5")
def test_notifications_come_in_the_order_of_their_partial_ivs_and_once(world: World) -> None:
    world.ask(OBSERVE)

    def notify(text: bytes, piv: bytes) -> list[tuple[bytes, bytes | None]]:
        arrived = world.answer(Message(codes.CONTENT, ((option.OBSERVE, b"\xff"),), text), piv)
        return [(each.payload, each.first(option.OBSERVE)) for each in arrived]

    assert notify(b"first", b"") == [(b"first", b"")]
    assert notify(b"again", b"") == []
    assert notify(b"second", b"\x07") == [(b"second", b"\x01")]
    assert notify(b"second", b"\x07") == []
    assert notify(b"late", b"\x06") == []
    assert notify(b"third", b"\x01\x00\x00\x08") == [(b"third", b"\x02")]


def test_without_sequence_numbers_a_request_is_lost_at_once(world: World) -> None:
    def none_left() -> int:
        raise SecurityError("all sequence numbers are used: export another context")

    layer = ProtectedLayer(world.wire, ClientContext(KID, HUB, CONTEXT, SECRET, none_left))
    layer.send(GET, True, 0.0)
    assert layer.lost == [(b"tk", "all sequence numbers are used: export another context")]
    assert world.wire.sent == []
