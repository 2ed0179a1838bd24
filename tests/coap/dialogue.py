"""Dialogues with a whole hub in memory, on a virtual clock: messages in, messages out, no socket.

The network between may lose, double, delay and reorder: `hub.network.fate` says what becomes of each datagram.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER, Origin
from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import (
    ACK,
    CON,
    NO_OPTIONS,
    RST,
    Message,
    Option,
    in_order,
)
from bridgehead.protocols.coap.codec.numbers import URI_PATH, URI_QUERY
from bridgehead.protocols.coap.codec.stream import StreamDecoder, decode_websocket, encode_stream, encode_websocket
from bridgehead.protocols.coap.session.contract import Handler, Party
from bridgehead.protocols.coap.session.datagrams import DatagramPeer
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.layer import MessageLayer
from bridgehead.protocols.coap.session.link import DatagramOutbox, Link, StreamOutbox, StreamTurn
from bridgehead.protocols.coap.session.plain import DatagramPeers
from bridgehead.protocols.coap.session.settings import CoapSettings
from bridgehead.protocols.coap.session.streams import StreamPeer
from tests.coap.network import TO_CLIENT as TO_CLIENT  # of one subject for those who write dialogues
from tests.coap.network import TO_HUB as TO_HUB
from tests.coap.network import Network
from tests.coap.network import Weather as Weather
from tests.mqtt.dialogue import ManualStore

MakeHandler = Callable[["Hub"], Handler]


class Hub:
    """The broker with CoAP's message layers, without a rim: `settle` is the turn of the loop.

    `make` builds the first handler of the chain. `guest` names the principal of plain UDP, None for none.
    """

    def __init__(
        self,
        make: MakeHandler,
        settings: CoapSettings | None = None,
        store: ManualStore | None = None,
        principals: Iterable[Principal] = (),
        now: float = 1_000_000.0,
        guest: str | None = "guest",
        limits: Limits | None = None,
    ) -> None:
        self.store = store if store is not None else ManualStore()
        self.clock = Clock(now)
        self.settings = settings if settings is not None else CoapSettings()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.commit_wanted = False
        self.guest = guest
        self.chance = random.Random(7252)
        self.broker = Broker(
            self.store, self.clock, limits if limits is not None else Limits(), self._event, self._want_commit
        )
        self.principals = {principal.name: principal for principal in principals}
        self.broker.recover(list(self.principals.values()))
        self.network = Network(self.clock)
        self.outbox = DatagramOutbox(lambda: None)
        self.turn = StreamTurn(lambda: None)
        self.echo = Echo(b"a key by chance!", self.settings.echo_window)
        self.handler = make(self)
        self.layer = MessageLayer(self.handler, self.clock, self.settings, self.chance.random, self.broker.counters)
        self.peers = DatagramPeers(self.layer, self.outbox, self.echo, bytes.decode, self._guest)
        self.clients: dict[bytes, Client] = {}
        self.streams: list[StreamClient] = []
        self.settle()

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def _want_commit(self) -> None:
        self.commit_wanted = True

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]

    def principal(self, name: str) -> Principal:
        """An identity that may do everything, unless it was given to the hub with other permissions."""
        known = self.principals.get(name)
        if known is None:
            known = Principal.of(name, [Permission("#", True, True), Permission("$SYS/#", False, True)], ["*"])
            self.principals[name] = known
        return known

    def party(self, name: str, mechanism: str, address: str) -> Party:
        verified = mechanism != "none"
        principal = self.principal(name).under(Context("coap", (mechanism,) if verified else ()))
        self.broker.admit(principal)
        return Party(principal, Origin(name, "coap", verified, "", address))

    def _guest(self, address: str) -> Party | None:
        return None if self.guest is None else self.party(self.guest, "none", address)

    # Who asks. --------------------------------------------------------------------------------------

    def client(self, address: str = "192.0.2.1:4711") -> Client:
        """Over plain UDP."""
        return Client(self, address)

    def secured(self, name: str = "sensor", mechanism: str = "psk", address: str = "192.0.2.2:4711") -> SecuredClient:
        """Over DTLS: its records are left out, and what they prove is there."""
        return SecuredClient(self, name, mechanism, address)

    def stream(self, name: str = "sensor", websocket: bool = False, greets: bool = True) -> StreamClient:
        """Over TLS, or WebSocket over it. `greets`: its CSM is sent."""
        return StreamClient(self, name, websocket, greets)

    # Time. ------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything that is under way come to rest."""
        while True:
            moved = False
            for path, data in self.outbox.take():
                self.clients[path].depart(data)
                moved = True
            for outbox in self.turn.take():
                client = outbox.owner
                assert isinstance(client, StreamClient)
                client.flush()
                moved = True
            while self.network.arrive():
                moved = True
            if self.commit_wanted:
                self.commit_wanted = False
                self.broker.journal.flush()
                moved = True
            if self.store.automatic and self.store.finish():
                moved = True
            if not moved:
                return

    def commit(self) -> None:
        """One commit of a store that is not automatic finishes, and what follows comes to rest."""
        assert self.store.finish()
        self.settle()

    def next_timeout(self) -> float:
        return min(
            self.broker.next_timeout(),
            self.layer.next_timeout(),
            self.handler.next_timeout(),
            self.network.next_timeout(),
            min([client.next_timeout() for client in self.clients.values()], default=NEVER),
        )

    def pass_time(self, seconds: float) -> None:
        """Move the clock on, stopping at every deadline on the way."""
        end = self.clock.now + seconds
        while True:
            when = self.next_timeout()
            if when > end:
                break
            self.clock.now = max(when, self.clock.now)
            self.handle_timeouts()
        self.clock.now = end

    def handle_timeouts(self) -> None:
        """What is due now."""
        now = self.clock.now
        if self.broker.next_timeout() <= now:
            self.broker.handle_timeout()
        if self.layer.next_timeout() <= now:
            self.layer.handle_timeout(now)
        if self.handler.next_timeout() <= now:
            self.handler.handle_timeout(now)
        for client in list(self.clients.values()):
            if client.next_timeout() <= now:
                client.handle_timeout(now)
        self.settle()

    def until(self, done: Callable[[], bool], within: float) -> None:
        """Pass time until then, at most so many seconds."""
        end = self.clock.now + within
        while not done():
            when = self.next_timeout()
            assert when <= end, f"nothing came of it in {within} s"
            self.clock.now = max(when, self.clock.now)
            self.handle_timeouts()


def path_options(path: str) -> list[Option]:
    """The options of "t/Office/Door?f=x": segments and parameters as they are, without percent-encoding."""
    resource, _, query = path.partition("?")
    options: list[Option] = [(URI_PATH, segment.encode()) for segment in resource.split("/")] if resource else []
    return options + [(URI_QUERY, parameter.encode()) for parameter in query.split("&") if query]


class _Asked:
    """A confirmable request of a client, sent until it is answered (RFC 7252 section 4.2)."""

    def __init__(self, data: bytes, when: float) -> None:
        self.data = data
        self.timeout = 2.5
        self.when = when + self.timeout
        self.count = 0


class Client:
    """A client over datagrams: what it sends is said message by message, what it gets is read message by message.

    `acknowledges`: a Confirmable message is acknowledged as it comes.
    """

    def __init__(self, hub: Hub, address: str) -> None:
        self.hub = hub
        self.address = address
        self.path = address.encode()
        self.received: list[Message] = []
        self.octets: list[bytes] = []  # every datagram that came
        self.acknowledges = True
        self.multicast = False
        self._message_id = 100
        self._token = 0
        self._asked: dict[int, _Asked] = {}
        hub.clients[self.path] = self

    @property
    def peer(self) -> DatagramPeer:
        """The hub's own object for this client."""
        return self.hub.peers.peers[self.path]

    # What the hub gets. -----------------------------------------------------------------------------

    def arrive(self, data: bytes) -> None:
        self.hub.peers.receive([(self.path, data, self.multicast)])

    def send_octets(self, data: bytes) -> None:
        self.hub.network.carry(TO_HUB, data, self.arrive)
        self.hub.settle()

    def send(self, message: Message) -> None:
        self.send_octets(encode(message))

    def next_id(self) -> int:
        self._message_id = (self._message_id + 1) & 0xFFFF
        return self._message_id

    def next_token(self) -> bytes:
        self._token += 1
        return self._token.to_bytes(2, "big")

    def message(
        self,
        code: int,
        path: str = "",
        payload: bytes = b"",
        options: Iterable[Option] = (),
        type: int = CON,  # noqa: A002 - a message has a type
        token: bytes | None = None,
    ) -> Message:
        """A request with a Message ID and a token of its own."""
        every = in_order(path_options(path) + list(options))
        return Message(code, every, payload, self.next_token() if token is None else token, type, self.next_id())

    def request(
        self,
        code: int,
        path: str = "",
        payload: bytes = b"",
        options: Iterable[Option] = (),
        type: int = CON,  # noqa: A002 - a message has a type
        token: bytes | None = None,
    ) -> Message:
        """Send one and return its response, which has come when everything has come to rest."""
        message = self.message(code, path, payload, options, type, token)
        self.send(message)
        return self.response(message.token)

    def response(self, token: bytes) -> Message:
        """The first response with that token, taken out of what came."""
        for message in self.received:
            if message.token == token and message.code != codes.EMPTY:
                self.received.remove(message)
                return message
        raise AssertionError(f"no response with token {token.hex()} among {self.received}")

    def ask(self, message: Message) -> None:
        """Send a Confirmable request until an acknowledgement or its response comes."""
        data = encode(message)
        self._asked[message.message_id] = _Asked(data, self.hub.clock.now)
        self.send_octets(data)

    def next_timeout(self) -> float:
        return min([asked.when for asked in self._asked.values()], default=NEVER)

    def handle_timeout(self, now: float) -> None:
        for message_id, asked in list(self._asked.items()):
            if asked.when > now:
                continue
            if asked.count == 4:
                del self._asked[message_id]
                continue
            asked.count += 1
            asked.timeout *= 2
            asked.when = now + asked.timeout
            self.hub.network.carry(TO_HUB, asked.data, self.arrive)

    # What it gets. ----------------------------------------------------------------------------------

    def depart(self, data: bytes) -> None:
        """The hub has sent it."""
        self.hub.network.carry(TO_CLIENT, data, self.collect)

    def collect(self, data: bytes) -> None:
        self.octets.append(data)
        message = decode(data)
        self.received.append(message)
        if message.type in (ACK, RST):
            self._asked.pop(message.message_id, None)
        elif message.type == CON and self.acknowledges:
            answer = encode(Message(codes.EMPTY, NO_OPTIONS, b"", b"", ACK, message.message_id))
            self.hub.network.carry(TO_HUB, answer, self.arrive)

    def acknowledge(self, message: Message) -> None:
        self.send(Message(codes.EMPTY, NO_OPTIONS, b"", b"", ACK, message.message_id))

    def reset(self, message: Message) -> None:
        self.send(Message(codes.EMPTY, NO_OPTIONS, b"", b"", RST, message.message_id))

    def get(self) -> list[Message]:
        """What has come since the last call."""
        received = self.received
        self.received = []
        return received

    def get_one(self) -> Message:
        received = self.get()
        assert len(received) == 1, received
        return received[0]


class _Association(Link):
    """What DTLS leaves to the hub: a way that proves who is at its end."""

    def __init__(self, client: SecuredClient) -> None:
        self._client = client

    def send(self, data: bytes) -> None:
        self._client.hub.outbox.write(self._client.path, data)

    def full(self) -> bool:
        return self._client.hub.outbox.full()

    def close(self, because: str) -> None:
        self._client.closed = because


class SecuredClient(Client):
    def __init__(self, hub: Hub, name: str, mechanism: str, address: str) -> None:
        super().__init__(hub, address)
        self.closed = ""
        party = hub.party(name, mechanism, address)
        self._peer = DatagramPeer(hub.layer, _Association(self), party, address, True, True)

    @property
    def peer(self) -> DatagramPeer:
        return self._peer

    def arrive(self, data: bytes) -> None:
        self._peer.receive(data)


class StreamClient:
    """A client over a reliable transport. `answers_pings`: as every endpoint must."""

    def __init__(self, hub: Hub, name: str, websocket: bool, greets: bool) -> None:
        self.hub = hub
        self.websocket = websocket
        self.received: list[Message] = []
        self.answers_pings = True
        self.reads = True
        self.closed = False
        self._token = 0
        self._decoder = StreamDecoder(16_777_216)
        outbox = StreamOutbox(hub.turn, hub.settings.stream_outbox)
        outbox.owner = self
        party = hub.party(name, "certificate", "192.0.2.3:4711")
        self.peer = StreamPeer(hub.layer, outbox, party, "192.0.2.3:4711", True, websocket)
        self._waiting: list[bytes] = []
        hub.streams.append(self)
        hub.settle()
        if greets:
            self.send(Message(codes.CSM, ((2, (1_048_576).to_bytes(3, "big")), (4, b""))))
            greeting = self.received.pop(0)
            assert greeting.code == codes.CSM, greeting

    def flush(self) -> None:
        """The rim sends."""
        outbox = self.peer.outbox
        self._waiting += outbox.take_parts()
        if self.reads:
            self._collect()
        outbox.backlog = sum(len(part) for part in self._waiting)
        if outbox.closing and self.reads:
            self.closed = True

    def _collect(self) -> None:
        parts = self._waiting
        self._waiting = []
        for part in parts:
            messages = [decode_websocket(part)] if self.websocket else self._decoder.feed(part)
            for message in messages:
                self.received.append(message)
                if message.code == codes.PING and self.answers_pings:
                    self.send(Message(codes.PONG, NO_OPTIONS, b"", message.token))

    def read_on(self) -> None:
        self.reads = True
        self._collect()
        self.peer.outbox.backlog = 0
        self.hub.settle()

    def send(self, message: Message) -> None:
        self.send_octets(encode_websocket(message) if self.websocket else encode_stream(message))

    def send_octets(self, data: bytes) -> None:
        self.peer.receive(data)
        self.hub.settle()

    def request(
        self,
        code: int,
        path: str = "",
        payload: bytes = b"",
        options: Iterable[Option] = (),
        token: bytes | None = None,
    ) -> Message:
        """Send one and return its response, which has come when everything has come to rest."""
        if token is None:
            self._token += 1
            token = self._token.to_bytes(2, "big")
        self.send(Message(code, in_order(path_options(path) + list(options)), payload, token))
        return self.response(token)

    def response(self, token: bytes) -> Message:
        for message in self.received:
            if message.token == token and message.code not in (codes.PING, codes.PONG):
                self.received.remove(message)
                return message
        raise AssertionError(f"no response with token {token.hex()} among {self.received}")

    def get(self) -> list[Message]:
        """What has come since the last call."""
        received = self.received
        self.received = []
        return received

    def get_one(self) -> Message:
        received = self.get()
        assert len(received) == 1, received
        return received[0]

    def drop(self) -> None:
        """The connection breaks."""
        self.peer.lost("connection reset")
        self.hub.settle()
