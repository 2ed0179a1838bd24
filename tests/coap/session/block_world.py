"""A chain of block-wise transfer alone, with a store of bodies behind it, and clients that cut by themselves."""

from __future__ import annotations

from bridgehead.core.clock import Clock
from bridgehead.core.message import Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import Block, block_size, read_block, write_block
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.blockwise import Blockwise
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Party, Peer, Watcher
from bridgehead.protocols.coap.session.settings import CoapSettings
from tests.coap.dialogue import Client, Hub


class Bodies(Handler):
    """Each path has a body: PUT sets it, GET gives it, POST and FETCH give it after what was sent. Every whole request
    stands in `requests`. A GET with Observe is kept in `observers`."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.requests: list[Message] = []
        self.observers: list[Exchange] = []
        self.forgotten: list[Peer] = []
        self.etags = True
        self.fixed: Message | None = None

    def content(self, path: str) -> Message:
        body = self.bodies[path]
        options: list[Option] = [(option.CONTENT_FORMAT, uint_value(42))]
        if self.etags:
            options.append((option.ETAG, (hash(body) & 0xFFFFFFFF).to_bytes(4, "big")))
        return Message(codes.CONTENT, in_order(options), body)

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        self.requests.append(request)
        path = b"/".join(request.all(option.URI_PATH)).decode()
        if request.code == codes.PUT:
            self.bodies[path] = request.payload
            exchange.respond(Message(codes.CHANGED))
        elif self.fixed is not None:
            exchange.respond(self.fixed)
        elif path not in self.bodies:
            exchange.respond(Message(codes.NOT_FOUND, (), b"Nothing is here. " * 100))
        elif request.code == codes.GET:
            response = self.content(path)
            if request.uint(option.OBSERVE) == 0:
                self.observers.append(exchange)
                response = with_observe(response, 1)
            exchange.respond(response)
        else:
            code = codes.CHANGED if request.code == codes.POST else codes.CONTENT
            exchange.respond(Message(code, (), request.payload + self.bodies[path]))

    def notify(self, path: str, sequence: int, confirmable: bool, watcher: Watcher | None = None) -> None:
        response = with_observe(self.content(path), sequence)
        for observer in self.observers:
            assert observer.notify(response, confirmable, watcher, sequence)

    def forget(self, peer: Peer) -> None:
        self.forgotten.append(peer)


def with_observe(response: Message, sequence: int) -> Message:
    return Message(
        response.code, in_order([*response.options, (option.OBSERVE, uint_value(sequence))]), response.payload
    )


class World:
    """A hub whose chain is block-wise transfer and `bodies`."""

    def __init__(self, settings: BlockSettings | None = None) -> None:
        self.settings = settings if settings is not None else BlockSettings()
        self.bodies = Bodies()
        self.hub = Hub(self._chain, CoapSettings())

    def _chain(self, hub: Hub) -> Handler:
        self.blockwise = Blockwise(self.bodies, hub.clock, self.settings, hub.chance.random)
        return self.blockwise

    def client(self, address: str = "192.0.2.1:4711") -> Client:
        return self.hub.secured("sensor", "psk", address)


def block1(number: int, more: bool, exponent: int) -> Option:
    return option.BLOCK1, write_block(number, more, exponent)


def block2(number: int, exponent: int) -> Option:
    return option.BLOCK2, write_block(number, False, exponent)


def block_of(message: Message, number: int, reliable: bool = False) -> Block:
    value = message.first(number)
    assert value is not None, message.options
    return read_block(value, reliable)


def cut(body: bytes, exponent: int) -> list[bytes]:
    size = block_size(exponent)
    return [body[at : at + size] for at in range(0, len(body), size)] or [b""]


def send_body(
    client: Client, code: int, path: str, body: bytes, exponent: int, options: tuple[Option, ...] = ()
) -> Message:
    """By Block1, one after the other; the last answer, or the first that is not 2.31."""
    parts = cut(body, exponent)
    answer = Message(codes.EMPTY)
    for number, payload in enumerate(parts):
        more = number < len(parts) - 1
        answer = client.request(code, path, payload, [block1(number, more, exponent), *options])
        if answer.code != codes.CONTINUE:
            return answer
        assert block_of(answer, option.BLOCK1)[:2] == (number, True)
    return answer


def fetch_body(client: Client, path: str, exponent: int, code: int = codes.GET, first: Message | None = None) -> bytes:
    """By Block2, as the answers say; of one ETag, or it fails."""
    answer = client.request(code, path, options=[block2(0, exponent)]) if first is None else first
    body = answer.payload
    etag = answer.first(option.ETAG)
    while answer.has(option.BLOCK2):
        _, more, size = block_of(answer, option.BLOCK2)
        if not more:
            break
        answer = client.request(code, path, options=[block2(len(body) // block_size(size), size)])
        assert answer.first(option.ETAG) == etag, "blocks of two bodies"
        body += answer.payload
    return body


class Sent(Exchange):
    """An exchange without a message layer, for what one transfer alone is about."""

    def __init__(self, peer: Peer, request: Message, party: Party | None = None, confirmable: bool = True) -> None:
        super().__init__(peer, party, request, confirmable, False)
        self.responses: list[Message] = []
        self.notifications: list[Message] = []
        self.silent = False
        self.has_room = True

    def respond(self, response: Message) -> None:
        assert not self.responses, "answered twice"
        assert not self.silent, "answered after it was left"
        self.responses.append(response)

    def silence(self) -> None:
        assert not self.responses, "answered twice"
        assert not self.silent, "answered after it was left"
        self.silent = True

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        if self.has_room:
            self.notifications.append(response)
        return self.has_room

    def ended(self) -> None:
        """Nothing is kept."""

    @property
    def response(self) -> Message:
        (response,) = self.responses
        return response


class Alone:
    """Block-wise transfer without a message layer: what is handed in is answered in the exchange."""

    def __init__(self, settings: BlockSettings | None = None, outside: bool = False) -> None:
        self.clock = Clock(1_000_000.0)
        self.settings = settings if settings is not None else BlockSettings()
        self.bodies = Bodies()
        self.blockwise = Blockwise(self.bodies, self.clock, self.settings, lambda: 0.0, outside)
        self.peer = Peer(None, "192.0.2.1:4711", False, True, True)

    def send(
        self,
        code: int,
        path: str,
        payload: bytes = b"",
        *options: Option,
        peer: Peer | None = None,
        party: Party | None = None,
        confirmable: bool = True,
    ) -> Sent:
        every = in_order([*[(option.URI_PATH, part.encode()) for part in path.split("/")], *options])
        sent = Sent(self.peer if peer is None else peer, Message(code, every, payload), party, confirmable)
        self.blockwise.handle(sent)
        return sent

    def pass_time(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.blockwise.next_timeout() <= end:
            self.clock.now = max(self.clock.now, self.blockwise.next_timeout())
            self.blockwise.handle_timeout(self.clock.now)
        self.clock.now = end


def party(name: str) -> Party:
    principal = Principal.of(name, [Permission("#", True, True)], ["*"])
    return Party(principal, Origin(name, "coap", True))
