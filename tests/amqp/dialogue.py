"""A whole hub without sockets, on a virtual clock, that AMQP 1.0 containers talk with frame by frame."""

from __future__ import annotations

from collections.abc import Iterable

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, DeliveryState, Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, frame
from bridgehead.protocols.amqp.codec.v1.frames import Decoder, Frame
from bridgehead.protocols.amqp.codec.v1.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Transfer,
)
from bridgehead.protocols.amqp.codec.v1.termini import Source, Target
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.speaker import Speaker
from bridgehead.protocols.amqp.session.v1.connection import HEADER, Connection
from bridgehead.wire.outbox import Outbox, Turn
from tests.mqtt.dialogue import ManualStore


def data(body: bytes) -> bytes:
    """A message of one data section (3.2.6)."""
    if len(body) < 256:
        return b"\x00\x53\x75\xa0" + bytes([len(body)]) + body
    return b"\x00\x53\x75\xb0" + len(body).to_bytes(4, "big") + body


def body_of(payload: bytes) -> bytes:
    """The octets of the data section at the end of a message, whatever sections stand before it."""
    short = payload.find(b"\x00\x53\x75\xa0")
    if short >= 0 and short + 5 + payload[short + 4] == len(payload):
        return payload[short + 5 :]
    long = payload.find(b"\x00\x53\x75\xb0")
    assert long >= 0, payload
    return payload[long + 8 :]


class Talker:
    """A peer of the hub, of either version, with the hub's machine for it."""

    hub: AmqpHub
    connection: Speaker

    def deliver(self, octets: bytes) -> None:
        """The rim sends."""
        raise NotImplementedError

    def drop(self) -> None:
        """The network connection breaks."""
        self.connection.lost("connection reset")
        self.hub.settle()

    @property
    def closed(self) -> bool:
        return self.connection.closed


class AmqpHub:
    """The broker with AMQP connections, without a rim: `settle` is the turn of the loop."""

    def __init__(
        self,
        store: ManualStore | None = None,
        principals: Iterable[Principal] = (),
        now: float = 1_000_000.0,
        config: AmqpConfig | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.store = store if store is not None else ManualStore()
        self.clock = Clock(now)
        self.limits = limits if limits is not None else Limits()
        self.config = config if config is not None else AmqpConfig()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.commit_wanted = False
        self.turn = Turn(lambda: None)
        self.broker = Broker(self.store, self.clock, self.limits, self._event, self._want_commit)
        self.principals = {principal.name: principal for principal in principals}
        self.peers: list[Talker] = []
        self.unique = 0
        self.broker.recover(list(self.principals.values()))
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
            known = Principal.of(name, [Permission("#", True, True), Permission("$QUEUE/#", True, True)], ["*"])
            self.principals[name] = known
        return known

    def settle(self) -> None:
        """Let everything that is under way come to rest."""
        while True:
            outboxes = self.turn.take()
            for outbox in outboxes:
                peer = outbox.owner
                assert isinstance(peer, Talker)
                peer.deliver(outbox.take())
            if outboxes:
                continue
            if self.commit_wanted:
                self.commit_wanted = False
                self.broker.journal.flush()
            if self.store.automatic and self.store.finish():
                continue
            if not self.commit_wanted:
                return

    def commit(self) -> None:
        """One commit of a store that is not automatic finishes, and what follows comes to rest."""
        assert self.store.finish()
        self.settle()

    def pass_time(self, seconds: float) -> None:
        """Move the clock on, stopping at every deadline on the way."""
        end = self.clock.now + seconds
        while True:
            when = min([self.broker.next_timeout()] + [peer.connection.next_timeout() for peer in self.peers])
            if when > end:
                break
            self.clock.now = max(when, self.clock.now)
            if self.broker.next_timeout() <= self.clock.now:
                self.broker.handle_timeout()
            for peer in self.peers:
                if peer.connection.next_timeout() <= self.clock.now:
                    peer.connection.handle_timeout()
            self.settle()
        self.clock.now = end

    def crash(self) -> AmqpHub:
        """What a kill and a new start leave: only what the store has."""
        self.store.waiting.clear()
        self.store.automatic = True
        return AmqpHub(self.store, self.principals.values(), self.clock.now, self.config, self.limits)

    def container(
        self,
        name: str = "office",
        container_id: str = "",
        max_frame_size: int = 65_536,
        channel_max: int = 65_535,
        idle_time_out: int = ABSENT,
        expires_at: float = NEVER,
        begin: bool = True,
    ) -> Container:
        """A connected peer, with a session on channel 0 unless `begin` is false."""
        peer = Container(self, name, container_id or name, expires_at)
        peer.decoder.max_frame_size = max_frame_size
        peer.send_octets(HEADER)
        peer.send(Open(peer.container_id, "hub", max_frame_size, channel_max, idle_time_out))
        assert isinstance(peer.get_one(), Open)
        if begin:
            peer.begin()
        return peer


class Container(Talker):
    """A peer whose identity is proven: what it sends is said frame by frame, what it gets is read frame by frame."""

    def __init__(self, hub: AmqpHub, name: str, container_id: str, expires_at: float = NEVER) -> None:
        self.hub = hub
        self.name = name
        self.container_id = container_id
        hub.unique += 1
        outbox = Outbox(hub.turn, hub.config.outbox_octets)
        outbox.owner = self
        self.connection: Connection = Connection(
            outbox,
            hub.broker,
            hub.config,
            "192.0.2.1:4711",
            True,
            False,
            ("PLAIN", "OAUTHBEARER"),
            hub.principal(name),
            True,
            f"{hub.unique:016x}",
            expires_at,
            (),
        )
        self.decoder = Decoder(4_294_967_295)
        self.received: list[Frame] = []
        self.header = b""
        self.heartbeats = 0
        self.backlog: bytes | None = None  # what the kernel cannot take while the peer does not read; None: it reads
        self.transfers: dict[int, int] = {}  # that came, by channel
        self.delivery_id = 0
        self.next_handle = 0
        hub.peers.append(self)

    # The wire. ----------------------------------------------------------------------------------------

    def deliver(self, octets: bytes) -> None:
        """The rim sends, as protocols/amqp/server.py does it."""
        connection = self.connection
        if self.backlog is None:
            self.collect(octets)
        else:
            self.backlog += octets
            connection.outbox.backlog = len(self.backlog)
        if not connection.outbox.backlog and not connection.closed and connection.has_waiting():
            connection.drained()

    def collect(self, octets: bytes) -> None:
        if len(self.header) < 8:
            need = 8 - len(self.header)
            self.header += octets[:need]
            octets = octets[need:]
        for each in self.decoder.feed(octets):
            if each.performative is None:
                self.heartbeats += 1
            else:
                if isinstance(each.performative, Transfer):
                    self.transfers[int(each.channel)] = self.transfers.get(int(each.channel), 0) + 1
                self.received.append(each)

    def stop_reading(self) -> None:
        """From now on what the hub sends stays in the rim."""
        self.backlog = b""

    def read_on(self) -> None:
        octets = self.backlog
        assert octets is not None
        self.backlog = None
        self.connection.outbox.backlog = 0
        self.collect(octets)
        self.connection.drained()
        self.hub.settle()

    def send_octets(self, octets: bytes) -> None:
        self.connection.receive(octets)
        self.hub.settle()

    def send(self, *performatives: Performative, channel: int = 0, payload: bytes = b"") -> None:
        """All in one read; `payload` belongs to the last."""
        octets = [encode(each) for each in performatives]
        octets[-1] += payload
        self.send_octets(b"".join([frame(channel, body) for body in octets]))

    def get(self) -> list[Performative]:
        """What has come since the last call."""
        received = self.received
        self.received = []
        return [each.performative for each in received if each.performative is not None]

    def get_one(self) -> Performative:
        received = self.get()
        assert len(received) == 1, received
        return received[0]

    def closing(self) -> Close:
        """The hub's close, after which nothing comes."""
        last = self.get()[-1]
        assert isinstance(last, Close), last
        assert self.closed
        return last

    def condition(self) -> str:
        """The error that the hub has just closed, ended or detached with."""
        last = self.get()[-1]
        assert isinstance(last, Close | End | Detach), last
        assert last.error is not None
        return str(last.error.condition)

    # Sessions and links. ------------------------------------------------------------------------------

    def begin(
        self,
        channel: int = 0,
        next_outgoing_id: int = 0,
        incoming_window: int = 2048,
        outgoing_window: int = 2048,
        handle_max: int = 4_294_967_295,
    ) -> Begin:
        self.send(Begin(ABSENT, next_outgoing_id, incoming_window, outgoing_window, handle_max), channel=channel)
        answer = self.get_one()
        assert isinstance(answer, Begin), answer
        assert answer.remote_channel == channel
        return answer

    def attach(self, attach: Attach, channel: int = 0) -> Attach:
        """Attach, and return the answer, which is the first frame to come."""
        self.send(attach, channel=channel)
        answer = self.received.pop(0).performative
        assert isinstance(answer, Attach), answer
        return answer

    def _handle(self) -> int:
        self.next_handle += 1
        return self.next_handle - 1

    def sender(
        self,
        address: str | None,
        name: str = "",
        snd_settle_mode: int = 2,
        rcv_settle_mode: int = 0,
        unsettled: dict[bytes, DeliveryState | None] | None = None,
        channel: int = 0,
        target: object = None,
        source: object = None,
        initial_delivery_count: int = 0,
    ) -> SendingLink:
        """A link that is attached and has its credit."""
        handle = self._handle()
        answer = self.attach(
            Attach(
                name or f"sender-{handle}",
                handle,
                False,
                snd_settle_mode,
                rcv_settle_mode,
                Source("here") if source is None else source,
                Target(address) if target is None else target,
                unsettled,
                initial_delivery_count=initial_delivery_count,
            ),
            channel,
        )
        assert answer.target is not None, self.get()
        link = SendingLink(self, handle, channel, answer)
        for each in self.get():
            assert isinstance(each, Flow), each
            assert each.handle == handle
            link.credit = each.link_credit
        return link

    def receiver(
        self,
        address: str | None,
        credit: int = 100,
        name: str = "",
        snd_settle_mode: int = 2,
        rcv_settle_mode: int = 0,
        unsettled: dict[bytes, DeliveryState | None] | None = None,
        channel: int = 0,
        source: object = None,
        max_message_size: int = ABSENT,
    ) -> ReceivingLink:
        """A link that is attached; what follows the attach stays to be read."""
        handle = self._handle()
        answer = self.attach(
            Attach(
                name or f"receiver-{handle}",
                handle,
                True,
                snd_settle_mode,
                rcv_settle_mode,
                Source(address) if source is None else source,
                Target("here"),
                unsettled,
                max_message_size=max_message_size,
            ),
            channel,
        )
        assert answer.source is not None, self.get()
        link = ReceivingLink(self, handle, channel, answer)
        if credit:
            link.flow(credit)
        return link


class SendingLink:
    """The container sends."""

    def __init__(self, peer: Container, handle: int, channel: int, answer: Attach) -> None:
        self.peer = peer
        self.handle = handle
        self.channel = channel
        self.answer = answer
        self.credit = 0

    def transfer(
        self,
        payload: bytes = b"",
        settled: bool = False,
        tag: bytes | None = None,
        state: DeliveryState | None = None,
        resume: bool = False,
        more: bool = False,
        body: bytes = b"21.5",
    ) -> int:
        """Send one message (of one data section around `body`, unless `payload` is given); returns its delivery-id."""
        number = self.peer.delivery_id
        self.peer.delivery_id += 1
        transfer = Transfer(
            self.handle,
            number & 0xFFFF_FFFF,
            (number & 0xFFFF_FFFF).to_bytes(4, "big") if tag is None else tag,
            0,
            1 if settled else 0,
            more,
            state=state,
            resume=resume,
        )
        self.peer.send(transfer, channel=self.channel, payload=payload or data(body))
        return number

    def outcomes(self) -> list[Disposition]:
        """The dispositions that came; credit and windows on the way are taken note of."""
        found: list[Disposition] = []
        for each in self.peer.get():
            if isinstance(each, Flow):
                if each.handle == self.handle:
                    self.credit = each.link_credit
                continue
            assert isinstance(each, Disposition), each
            assert each.role
            found.append(each)
        return found

    def outcome(self) -> DeliveryState | None:
        """The state of the only disposition that came."""
        found = self.outcomes()
        assert len(found) == 1, found
        return found[0].state

    def detach(self, closed: bool = False) -> Detach:
        self.peer.send(Detach(self.handle, closed), channel=self.channel)
        last = self.peer.get()[-1]
        assert isinstance(last, Detach), last
        return last


class Delivered:
    """One delivery that the container got, whole."""

    def __init__(self, first: Transfer, payload: bytes, frames: int) -> None:
        self.delivery_id = int(first.delivery_id)
        self.tag = first.delivery_tag or b""
        self.settled = first.settled == 1
        self.state = first.state
        self.resume = first.resume
        self.payload = payload
        self.frames = frames

    @property
    def body(self) -> bytes:
        return body_of(self.payload)


class ReceivingLink:
    """The container receives."""

    def __init__(self, peer: Container, handle: int, channel: int, answer: Attach) -> None:
        self.peer = peer
        self.handle = handle
        self.channel = channel
        self.answer = answer
        self.delivery_count = answer.initial_delivery_count
        self.flows: list[Flow] = []
        self.dispositions: list[Disposition] = []
        self._parts: list[bytes] = []
        self._first: Transfer | None = None

    def flow(
        self,
        credit: int,
        drain: bool = False,
        echo: bool = False,
        properties: dict[object, object] | None = None,
        incoming_window: int = 2048,
        next_incoming_id: int = ABSENT,
    ) -> None:
        made = Flow(
            self.peer.transfers.get(self.channel, 0) if next_incoming_id == ABSENT else next_incoming_id,
            incoming_window,
            0,
            2048,
            self.handle,
            self.delivery_count & 0xFFFF_FFFF,
            credit,
            drain=drain,
            echo=echo,
            properties=properties,
        )
        self.peer.send(made, channel=self.channel)

    def deliveries(self) -> list[Delivered]:
        """What has come on this link since the last call. Flows and dispositions are kept in lists of their own; a
        frame of anything else is a fault of the test or the hub."""
        found: list[Delivered] = []
        left: list[Frame] = []
        for each in self.peer.received:
            performative = each.performative
            if isinstance(performative, Transfer):
                if performative.handle != self.handle:
                    left.append(each)
                    continue
                whole = self._collect(performative, each.payload)
                if whole is not None:
                    found.append(whole)
            elif isinstance(performative, Flow):
                self.flows.append(performative)
            elif isinstance(performative, Disposition):
                self.dispositions.append(performative)
            else:
                left.append(each)
        self.peer.received = left
        return found

    def _collect(self, transfer: Transfer, payload: bytes) -> Delivered | None:
        if self._first is None:
            self._first = transfer
            self.delivery_count += 1
        if transfer.aborted:
            self._first = None
            self._parts = []
            return None
        self._parts.append(payload)
        if transfer.more:
            return None
        whole = Delivered(self._first, b"".join(self._parts), len(self._parts))
        self._first = None
        self._parts = []
        return whole

    def settle(self, first: int, last: int = ABSENT, state: DeliveryState | None = None, settled: bool = True) -> None:
        self.peer.send(Disposition(True, first, last, settled, state), channel=self.channel)

    def detach(self, closed: bool = False) -> Detach:
        self.peer.send(Detach(self.handle, closed), channel=self.channel)
        last = self.peer.get()[-1]
        assert isinstance(last, Detach), last
        return last
