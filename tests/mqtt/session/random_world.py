"""Clients that obey the standard, for random histories of a whole hub; each remembers what it may rely on."""

from __future__ import annotations

from collections import Counter

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Unsuback,
    Unsubscribe,
)
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.core.naive import naive_matches, naive_may_publish, naive_receive_qos
from tests.mqtt.dialogue import Hub, Peer

TOPICS = ["a", "a/b", "a/c", "b", "secret/1"]
FILTERS = ["a", "a/+", "a/#", "#", "+", "b", "+/b", "secret/#", "$share/g/a/#", "$share/g/#", "$share/h/a/b"]
EXPIRY = 1000


def plain(topic_filter: str) -> str:
    return topic_filter.split("/", 2)[2] if topic_filter.startswith("$share/") else topic_filter


class Sent:
    """One message on its way through the hub."""

    def __init__(self, serial: int, publisher: str, topic: str, qos: int, retain: bool) -> None:
        self.serial = serial
        self.publisher = publisher
        self.topic = topic
        self.qos = qos
        self.retain = retain
        self.payload = b"%d" % serial
        # Client names that must get it once the hub has acknowledged it.
        self.due: set[str] = set()
        self.owned = False
        self.repeated = False  # what is sent again may come to a new subscription behind later ones


class Client:
    """Both halves of a client, with its Session State."""

    def __init__(self, name: str, version: int, durable: bool) -> None:
        self.name = name
        self.version = version
        self.durable = durable
        self.peer: Peer | None = None
        self.accepted = False
        self.has_session = False
        self.forget_session()

    def forget_session(self) -> None:
        self.subscriptions: dict[str, int] = {}  # granted by SUBACK
        self.hopes: set[str] = set()  # every filter that this session ever asked for
        self.asked: dict[
            int, tuple[str, int]
        ] = {}  # SUBSCRIBE and UNSUBSCRIBE that wait for an answer; qos -1: the latter
        self.unacknowledged: dict[int, Sent] = {}
        self.releasing: dict[int, Sent] = {}
        self.unreleased: set[int] = set()
        self.got: list[tuple[bytes, int, bool]] = []  # payload, QoS, RETAIN: exactly once ones without repetitions

    @property
    def connected(self) -> bool:
        return self.peer is not None and not self.peer.closed

    def identifier(self) -> int:
        used = {*self.unacknowledged, *self.releasing, *self.asked}
        return next(i for i in range(1, 1000) if i not in used)


class RandomWorld:
    """The hub, its clients, and the book of what each is owed."""

    def __init__(self, clients: list[Client], receive_maximum: int | None) -> None:
        self.permissions: dict[str, list[Permission]] = {
            client.name: [Permission("#", True, True)] for client in clients
        }
        self.clients = {client.name: client for client in clients}
        principals = [Principal.of(name, list(granted), []) for name, granted in self.permissions.items()]
        self.hub = Hub(principals=principals)
        self.hub.limits.session_expiry_interval = EXPIRY
        self.receive_maximum = receive_maximum
        self.sent: dict[bytes, Sent] = {}
        self.refusals = False  # a refused message may be sent again behind later ones

    # What happens. ----------------------------------------------------------------------------------

    def connect(self, client: Client, clean_start: bool) -> None:
        # A client that knows of no session asks for none, until a CONNACK has told it that it has one.
        clean_start = clean_start or not client.has_session
        clean = clean_start or not client.durable
        if clean:
            self.session_over(client)
        client.peer = self.hub.peer(client.name, client.version)
        client.accepted = False
        client.asked = {}
        if client.version == 5:
            expiry = EXPIRY if client.durable else None
            properties = Properties(session_expiry_interval=expiry, receive_maximum=self.receive_maximum)
        else:
            # Clean Session 1 ends the session with its connection: a durable client says 0.
            properties, clean = Properties(), not client.durable
            if clean_start and client.durable:
                return self._old_clean_start(client)
        client.peer.send(Connect(client.version, clean, 0, client.name, None, "user", b"password", properties))
        return None

    def _old_clean_start(self, client: Client) -> None:
        """MQTT 3: a connection with Clean Session 1 wipes the session, the next one with 0 begins it."""
        wiping = client.peer
        assert wiping is not None
        wiping.send(Connect(client.version, True, 0, client.name, None, "user", b"password"))
        wiping.send(Disconnect())
        client.peer = self.hub.peer(client.name, client.version)
        client.peer.send(Connect(client.version, False, 0, client.name, None, "user", b"password"))

    def session_over(self, client: Client) -> None:
        """Nothing is owed to it any more, and it owes nothing."""
        for message in self.sent.values():
            message.due.discard(client.name)
        client.has_session = False
        client.forget_session()

    def drop(self, client: Client, reads: bool, orderly: bool) -> None:
        peer = client.peer
        if peer is None or peer.closed:
            return
        if reads:
            while peer.received:
                self._take(client, peer.received.pop(0))
        if orderly and client.accepted:
            peer.send(Disconnect())
        else:
            peer.drop()
        self.gone(client)

    def gone(self, client: Client) -> None:
        peer = client.peer
        if peer is not None:
            peer.received = []
        client.accepted = False
        client.asked = {}
        if not client.durable:
            self.session_over(client)

    def crash(self) -> None:
        for client in self.clients.values():
            peer = client.peer
            if peer is not None:
                peer.connection.state = 3
                self.gone(client)
        self.hub = self.hub.crash()

    def subscribe(self, client: Client, topic_filter: str, qos: int, no_local: bool, handling: int) -> None:
        if not (client.connected and client.accepted):
            return
        packet_id = client.identifier()
        client.asked[packet_id] = (topic_filter, qos)
        client.hopes.add(topic_filter)
        # While it is being replaced nobody can tell by which QoS a message comes.
        client.subscriptions.pop(topic_filter, None)
        shared = topic_filter.startswith("$share/")
        request = SubscriptionRequest(topic_filter, qos, no_local and not shared, False, handling)
        if client.version < 5:
            request = SubscriptionRequest(topic_filter, qos)
        assert client.peer is not None
        client.peer.send(Subscribe(packet_id, [request]))

    def unsubscribe(self, client: Client, topic_filter: str) -> None:
        if not (client.connected and client.accepted):
            return
        packet_id = client.identifier()
        client.asked[packet_id] = (topic_filter, -1)
        client.subscriptions.pop(topic_filter, None)
        assert client.peer is not None
        client.peer.send(Unsubscribe(packet_id, [topic_filter]))

    def publish(self, client: Client, topic: str, qos: int, retain: bool) -> None:
        if not (client.connected and client.accepted) or len(client.unacknowledged) + len(client.releasing) >= 20:
            return
        message = Sent(len(self.sent) + 1, client.name, topic, qos, retain)
        self.sent[message.payload] = message
        if qos and naive_may_publish(self.permissions[client.name], topic, qos, retain):
            message.due = {other.name for other in self.clients.values() if self._is_owed(other, message)}
        packet_id = client.identifier() if qos else 0
        if qos:
            client.unacknowledged[packet_id] = message
        assert client.peer is not None
        client.peer.send(Publish(topic, message.payload, qos, retain, False, packet_id))

    def _is_owed(self, client: Client, message: Sent) -> bool:
        """A QoS above 0 will come out of it for certain."""
        if client.name == message.publisher:
            return False  # No Local may be set
        if naive_receive_qos(self.permissions[client.name], message.topic) < 1:
            return False
        matching = [
            qos
            for topic_filter, qos in client.subscriptions.items()
            if not topic_filter.startswith("$share/") and naive_matches(topic_filter, message.topic)
        ]
        return max(matching, default=0) > 0

    def amend(self, client: Client, secret: bool, rest: bool) -> None:
        # What was written for a client whose CONNACK waits for the disk was permitted when it was written.
        while self.hub.store.waiting:
            self.hub.commit()
        self.check_policy()
        granted = [Permission("#", True, rest)]
        if not secret:
            granted.append(Permission("secret/#", True, True, allow=False))
        self.permissions[client.name] = granted
        was_there = client.connected
        self.hub.principals[client.name].permit(list(granted), [])
        self.hub.broker.permissions_changed()
        self.hub.settle()
        self._withdrawn(client)
        if was_there and not client.connected:
            self.gone(client)
        for message in self.sent.values():
            if naive_receive_qos(granted, message.topic) < 0:
                message.due.discard(client.name)
            # Sent again it is denied, which an older version cannot tell from an acknowledgement.
            mute = client.version < 5 and message.publisher == client.name and not message.owned
            if mute and not naive_may_publish(granted, message.topic, message.qos, message.retain):
                message.due.clear()

    def _withdrawn(self, client: Client) -> None:
        """Subscriptions that cover nothing any more are over (a client that is there is sent away for it)."""
        granted = self.permissions[client.name]
        over = [
            each
            for each in client.subscriptions
            if not any(naive_receive_qos(granted, topic) >= 0 for topic in TOPICS if naive_matches(plain(each), topic))
        ]
        for each in over:
            del client.subscriptions[each]

    def pass_time(self, seconds: float) -> None:
        self.hub.pass_time(seconds)

    # What clients read. -----------------------------------------------------------------------------

    def read(self, client: Client, count: int) -> None:
        for _ in range(count):
            peer = client.peer
            if peer is None or not peer.received:
                return
            packet = peer.received.pop(0)
            answers = self._take(client, packet)
            if answers and not peer.closed:
                peer.send(*answers)

    def _take(self, client: Client, packet: Packet) -> list[Packet]:
        if isinstance(packet, Connack):
            return self._connack(client, packet)
        if isinstance(packet, Publish):
            return self._published(client, packet)
        if isinstance(packet, Pubrel):
            client.unreleased.discard(packet.packet_id)
            return [Pubcomp(packet.packet_id)]
        if isinstance(packet, Puback | Pubrec):
            return self._acknowledged(client, packet)
        if isinstance(packet, Pubcomp):
            client.releasing.pop(packet.packet_id, None)
        elif isinstance(packet, Suback | Unsuback):
            topic_filter, qos = client.asked.pop(packet.packet_id)
            if isinstance(packet, Suback) and packet.reason_codes[0] < 0x80:
                assert packet.reason_codes[0] <= qos
                if topic_filter not in {asked for asked, _ in client.asked.values()}:  # nothing later that changes it
                    client.subscriptions[topic_filter] = packet.reason_codes[0]
        return []

    def _connack(self, client: Client, packet: Connack) -> list[Packet]:
        if packet.reason_code:
            assert client.peer is not None
            assert client.peer.closed
            return []
        if client.version > 3:
            # The server never claims a session that the client does not know ([MQTT-3.2.2-3]).
            assert client.has_session or not packet.session_present
            assert packet.session_present or not client.has_session, f"{client.name}'s session was lost"
        client.accepted = client.has_session = True
        for sent in client.unacknowledged.values():
            sent.repeated = True
        again: list[Packet] = [
            Publish(sent.topic, sent.payload, sent.qos, sent.retain, True, packet_id)
            for packet_id, sent in client.unacknowledged.items()
        ]
        return [*again, *[Pubrel(packet_id) for packet_id in client.releasing]]

    def _acknowledged(self, client: Client, packet: Puback | Pubrec) -> list[Packet]:
        message = client.unacknowledged.pop(packet.packet_id, None)
        if packet.reason_code >= 0x80:
            assert packet.reason_code in (0x87, 0x97), hex(packet.reason_code)
            return []
        if message is not None:
            message.owned = True
            if isinstance(packet, Pubrec):
                client.releasing[packet.packet_id] = message
        return [Pubrel(packet.packet_id)] if isinstance(packet, Pubrec) else []

    def _published(self, client: Client, packet: Publish) -> list[Packet]:
        message = self.sent[packet.payload]
        assert packet.topic == message.topic
        assert packet.qos <= message.qos
        assert any(naive_matches(plain(f), packet.topic) for f in client.hopes), f"{client.name} never asked for it"
        if packet.qos < 2 or packet.packet_id not in client.unreleased:
            client.got.append((packet.payload, packet.qos, packet.retain))
            message.due.discard(client.name)
        if packet.qos == 2:
            client.unreleased.add(packet.packet_id)
        return [] if packet.qos == 0 else [Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id)]

    # What must be true. -----------------------------------------------------------------------------

    def check_policy(self) -> None:
        """Whatever the hub has just sent, the receiver may have at this moment."""
        for client in self.clients.values():
            peer = client.peer
            if peer is None:
                continue
            for packet in peer.fresh():
                if isinstance(packet, Publish):
                    topic = packet.topic
                    permitted = naive_receive_qos(self.permissions[client.name], topic)
                    assert permitted >= 0, f"{client.name} was sent {topic}"

    def check_counters(self) -> None:
        hub = self.hub
        alive = [peer for peer in hub.peers if peer.connection.session is not None]
        assert hub.broker.counters.connections == len(alive)
        sessions = hub.broker.sessions.all()
        assert hub.broker.router.subscriptions == sum(len(session.subscriptions) for session in sessions)
        for session in sessions:
            queue = list(session.queue or ())
            assert session.queued_octets == sum(delivery.message.weight for delivery in queue)
            assert session.uncommitted == sum(1 for delivery in queue if delivery.ticket)
            assert len({delivery.sequence for delivery in queue} | set(session.in_flight)) == len(queue) + len(
                session.in_flight
            )

    def settle_everything(self) -> None:
        """The disk has room, everybody who has a session connects and reads until nothing comes any more."""
        self.hub.store.full = False
        self.hub.store.automatic = True
        self.hub.settle()
        self.hub.pass_time(2)
        for _ in range(300):
            busy = False
            for client in self.clients.values():
                if client.durable and client.has_session and not client.connected:
                    self.connect(client, False)
                if client.peer is not None and client.peer.received:
                    busy = True
                    self.read(client, 100)
            self.check_policy()
            if not busy:
                return
        raise AssertionError("it does not come to rest")

    def check_debts(self) -> None:
        for message in self.sent.values():
            if message.owned:
                assert not message.due, f"message {message.serial} was acknowledged and is missing at {message.due}"
        for client in self.clients.values():
            # A retained message may come as often as it is subscribed to.
            exact = Counter(payload for payload, qos, retain in client.got if qos == 2 and not retain)
            for payload, times in exact.items():
                assert times <= self._copies(client, payload), f"{client.name} got {payload!r} {times} times"
            if not self.refusals:
                self._check_order(client)

    def _copies(self, client: Client, payload: bytes) -> int:
        """One for its own subscriptions, and one for each group that it was a member of."""
        topic = self.sent[payload].topic
        matching = [topic_filter for topic_filter in client.hopes if naive_matches(plain(topic_filter), topic)]
        shared = sum(1 for topic_filter in matching if topic_filter.startswith("$share/"))
        return shared + (1 if len(matching) > shared else 0)

    def _check_order(self, client: Client) -> None:
        """[MQTT-4.6.0-5]: per publisher, topic and QoS, by the first time that each came."""
        if any(topic_filter.startswith("$share/") for topic_filter in client.hopes):
            return
        last: dict[tuple[str, str, int, int], int] = {}
        seen: set[bytes] = set()
        for payload, qos, retain in client.got:
            message = self.sent[payload]
            if retain or message.repeated or payload in seen:
                continue
            seen.add(payload)
            line = (message.publisher, message.topic, message.qos, qos)
            assert message.serial > last.get(line, 0), f"{client.name} got {message.serial} behind {last[line]}"
            last[line] = message.serial
