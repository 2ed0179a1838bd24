"""Dialogues with a whole hub in memory, on a virtual clock: packets in, packets out, no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.broker.ports import Batch, StoreError
from bridgehead.core.clock import Clock
from bridgehead.core.errors import Refusal
from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.session.connection import Connection
from bridgehead.protocols.mqtt.session.table import AUTHENTICATING, CLOSED
from bridgehead.wire.outbox import Outbox, Turn


class ManualStore:
    """A store in memory whose commits finish when the test says so, or fail."""

    def __init__(self) -> None:
        self.buckets: dict[tuple[str, str], bytes] = {}
        self.records: dict[str, dict[int, bytes]] = {}
        self.waiting: list[tuple[Batch, Callable[[StoreError | None], None]]] = []
        self.automatic = True
        self.full = False

    def submit(self, batch: Batch, done: Callable[[StoreError | None], None]) -> None:
        self.waiting.append((batch, done))

    def finish(self) -> bool:
        """Finish one commit. False when none was waiting."""
        if not self.waiting:
            return False
        batch, done = self.waiting.pop(0)
        if self.full:
            done(StoreError("database or disk is full"))
            return True
        assert not set(batch.puts) & batch.deletes
        self.buckets.update(batch.puts)
        for where in batch.deletes:
            self.buckets.pop(where, None)
        for log, sequence, record in batch.appends:
            held = self.records.setdefault(log, {})
            assert sequence not in held, f"log {log} holds {sequence} already"
            held[sequence] = record
        for log, sequence in batch.removes:
            self.records.get(log, {}).pop(sequence, None)
        for log, upto in batch.trims.items():
            held = self.records.get(log, {})
            for sequence in [number for number in held if number <= upto]:
                del held[sequence]
        for log in batch.drops:
            self.records.pop(log, None)
        done(None)
        return True

    def scan(self, bucket: str) -> Iterable[tuple[str, bytes]]:
        return [(key, value) for (name, key), value in sorted(self.buckets.items()) if name == bucket]

    def get(self, bucket: str, key: str) -> bytes | None:
        return self.buckets.get((bucket, key))

    def logs(self) -> Iterable[str]:
        return [log for log, held in self.records.items() if held]

    def read(self, log: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        held = self.records.get(log, {})
        return [(number, held[number]) for number in sorted(held) if number > after][:limit]

    def close(self) -> None:
        self.waiting.clear()

    def copy(self) -> ManualStore:
        """What the disk holds now, in another store."""
        other = ManualStore()
        other.buckets = dict(self.buckets)
        other.records = {log: dict(held) for log, held in self.records.items()}
        return other

    def everything(self) -> dict[str, object]:
        """What is on the disk, for comparisons."""
        logs = {log: sorted(held) for log, held in self.records.items() if held}
        return {"keys": sorted(self.buckets), "logs": logs}


class Hub:
    """The broker with MQTT connections, without a rim: `settle` is the turn of the loop."""

    def __init__(
        self,
        store: ManualStore | None = None,
        principals: Iterable[Principal] = (),
        now: float = 1_000_000.0,
        config: MqttConfig | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.store = store if store is not None else ManualStore()
        self.clock = Clock(now)
        self.limits = limits if limits is not None else Limits()
        self.config = config if config is not None else MqttConfig()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.commit_wanted = False
        self.turn = Turn(lambda: None)
        self.topics: dict[bytes, str] = {}
        self.broker = Broker(self.store, self.clock, self.limits, self._event, self._want_commit)
        self.principals = {principal.name: principal for principal in principals}
        self.peers: list[Peer] = []
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
            known = Principal.of(name, [Permission("#", True, True), Permission("$SYS/#", False, True)], ["*"])
            self.principals[name] = known
        return known

    def settle(self) -> None:
        """Let everything that is under way come to rest."""
        while True:
            outboxes = self.turn.take()
            for outbox in outboxes:
                peer = outbox.owner
                assert isinstance(peer, Peer)
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
            deadlines = [self.broker.next_timeout()] + [peer.connection.next_timeout() for peer in self.peers]
            when = min(deadlines)
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

    def crash(self) -> Hub:
        """What a kill and a new start leave: only what the store has."""
        self.store.waiting.clear()
        self.store.automatic = True
        again = Hub(self.store, self.principals.values(), self.clock.now, self.config, self.limits)
        return again

    def peer(self, name: str = "sensor", version: int = 5) -> Peer:
        return Peer(self, name, version)

    def client(
        self,
        name: str = "sensor",
        version: int = 5,
        client_id: str | None = None,
        clean_start: bool = True,
        expiry: int | None = None,
        keep_alive: int = 0,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
        mechanisms: tuple[str, ...] | None = None,
        verified: bool = True,
    ) -> Peer:
        """A peer whose CONNECT was accepted."""
        peer = Peer(self, name, version)
        peer.context = None if mechanisms is None else Context("mqtt", mechanisms)
        peer.verified = verified
        answer = peer.connect(client_id, clean_start, keep_alive, will, properties, expiry)
        assert answer.reason_code == 0, answer
        return peer

    def durable(self, name: str, version: int = 5, clean_start: bool = False, client_id: str | None = None) -> Peer:
        """A connected peer with a session that outlives the connection, in the terms of its version."""
        return self.client(name, version, client_id, clean_start, 1000 if version == 5 else None)


class Peer:
    """A client: what it sends is said packet by packet, what it gets is read packet by packet."""

    def __init__(self, hub: Hub, name: str, version: int, methods: tuple[str, ...] = ()) -> None:
        self.hub = hub
        self.name = name
        self.version = version
        outbox = Outbox(hub.turn, hub.config.outbox_octets)
        outbox.owner = self
        self.connection = Connection(outbox, hub.broker, hub.config, "192.0.2.1:4711", hub.topics, methods)
        self.decoder = Decoder(268435455, None, True)
        self.decoder.protocol_version = version
        self.received: list[Packet] = []
        self.octets = b""
        self.backlog: bytes | None = None  # what the kernel cannot take while the peer does not read; None: it reads
        self.proves_itself = True
        self.context: Context | None = None  # how it is proven, None: the hub does not know
        self.verified = True
        self._arrived: list[Packet] = []
        hub.peers.append(self)

    def deliver(self, data: bytes) -> None:
        """The rim sends, as protocols/mqtt/server.py does it."""
        connection = self.connection
        if self.backlog is None:
            self.collect(data)
        else:
            self.backlog += data
            connection.outbox.backlog = len(self.backlog)
        if not connection.outbox.backlog and connection.state != CLOSED and connection.has_waiting():
            connection.drained()

    def collect(self, data: bytes) -> None:
        self.octets += data
        packets = self.decoder.feed(data)
        self.received.extend(packets)
        self._arrived.extend(packets)

    def fresh(self) -> list[Packet]:
        """What has come since this was asked last, read or not."""
        arrived = self._arrived
        self._arrived = []
        return arrived

    def stop_reading(self) -> None:
        """From now on what the hub sends stays in the rim."""
        self.backlog = b""

    def read_on(self) -> None:
        """The peer reads again, and takes what has waited."""
        data = self.backlog
        assert data is not None
        self.backlog = None
        self.connection.outbox.backlog = 0
        self.collect(data)
        self.connection.drained()
        self.hub.settle()

    @property
    def closed(self) -> bool:
        return self.connection.state == CLOSED

    def send_octets(self, data: bytes) -> None:
        self.connection.receive(data)
        if self.connection.state == AUTHENTICATING and self.proves_itself:
            self.prove()
        self.hub.settle()

    def prove(self) -> None:
        """The authenticator has found out who the peer is."""
        self.hub.unique += 1
        principal = self.hub.principal(self.name)
        if self.context is not None:
            principal = principal.under(self.context)
        self.connection.authenticated(principal, self.verified, f"{self.hub.unique:016x}")
        self.hub.settle()

    def send(self, *packets: Packet) -> None:
        self.send_octets(b"".join([encode(packet, self.version) for packet in packets]))

    def get(self) -> list[Packet]:
        """What has come since the last call."""
        received = self.received
        self.received = []
        return received

    def get_one(self) -> Packet:
        received = self.get()
        assert len(received) == 1, received
        return received[0]

    def connect(
        self,
        client_id: str | None = None,
        clean_start: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
        expiry: int | None = None,
    ) -> Connack:
        """Connect and return the CONNACK, which is the first packet to come."""
        if expiry is not None:
            properties = Properties(session_expiry_interval=expiry)
        self.send(
            Connect(
                self.version,
                clean_start,
                keep_alive,
                self.name if client_id is None else client_id,
                will,
                "user",
                b"password",
                properties,
            )
        )
        answer = self.received.pop(0)
        assert isinstance(answer, Connack), answer
        return answer

    def refuse(self, refusal: Refusal) -> None:
        self.connection.refuse(refusal)
        self.hub.settle()

    def subscribe(
        self,
        topic_filter: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        identifier: int | None = None,
        packet_id: int = 1,
    ) -> list[int]:
        """Subscribe and return the reason codes; what follows the SUBACK stays to be read."""
        request = SubscriptionRequest(topic_filter, qos, no_local, retain_as_published, retain_handling)
        properties = NO_PROPERTIES if identifier is None else Properties(subscription_identifiers=[identifier])
        self.send(Subscribe(packet_id, [request], properties))
        answer = self.received.pop(0)
        assert isinstance(answer, Suback), answer
        assert answer.packet_id == packet_id
        return answer.reason_codes

    def publish(
        self,
        topic: str,
        payload: bytes = b"21.5",
        qos: int = 0,
        retain: bool = False,
        packet_id: int = 1,
        properties: Properties = NO_PROPERTIES,
        dup: bool = False,
    ) -> None:
        self.send(Publish(topic, payload, qos, retain, dup, packet_id if qos else 0, properties))

    def messages(self) -> list[Publish]:
        """The PUBLISH packets since the last call; QoS 1 ones are acknowledged."""
        published = [packet for packet in self.get() if isinstance(packet, Publish)]
        for packet in published:
            if packet.qos == 1:
                self.send(Puback(packet.packet_id))
        return published

    def disconnect(self, reason_code: int = 0, properties: Properties = NO_PROPERTIES) -> None:
        """The orderly end: DISCONNECT, and nothing comes back."""
        self.send(Disconnect(reason_code, properties))
        assert self.closed

    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.messages()]

    def drop(self) -> None:
        """The network connection breaks."""
        self.connection.lost("connection reset")
        self.hub.settle()
