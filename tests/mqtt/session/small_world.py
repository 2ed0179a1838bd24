"""One publisher, one hub, one subscriber, and everything that can happen to them: for exhaustive exploration.

The clients obey the standard to the letter: they keep their half of the Session State, resend after a reconnection,
and a QoS 2 receiver remembers the identifiers that it has not seen released. An action is one step of one of them, one
commit of the store, a lost connection, a refused commit, or a crash of the hub.
"""

from __future__ import annotations

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec.packets import Connack, Connect, Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from tests.mqtt.dialogue import Hub, ManualStore, Peer

TOPIC = "a"


class PublisherState:
    """A client's sending half: what it has to say, and how far it is with each message."""

    def __init__(self, payloads: list[bytes], qos: int) -> None:
        self.qos = qos
        self.to_send = list(payloads)
        self.unacknowledged: dict[int, bytes] = {}  # PUBLISH was sent
        self.releasing: dict[int, bytes] = {}  # PUBREL was sent
        self.owned: list[bytes] = []  # the hub has said that it has them
        self.refused: list[bytes] = []
        self.accepted = False  # CONNACK was read

    def resend(self) -> list[Packet]:
        again: list[Packet] = [
            Publish(TOPIC, payload, self.qos, False, True, packet_id)
            for packet_id, payload in self.unacknowledged.items()
        ]
        return [*again, *[Pubrel(packet_id) for packet_id in self.releasing]]

    def publish(self) -> Packet:
        payload = self.to_send.pop(0)
        # The lowest identifier that is free, so that identifiers are used again at once.
        packet_id = next(i for i in range(1, 100) if i not in self.unacknowledged and i not in self.releasing)
        self.unacknowledged[packet_id] = payload
        return Publish(TOPIC, payload, self.qos, packet_id=packet_id)

    def take(self, packet: Packet) -> list[Packet]:
        if isinstance(packet, Connack):
            self.accepted = packet.reason_code == 0
            return self.resend() if self.accepted else []
        if isinstance(packet, Puback | Pubrec):
            payload = self.unacknowledged.pop(packet.packet_id, None)
            if packet.reason_code >= 0x80:
                if payload is not None:
                    self.refused.append(payload)
                return []
            if payload is not None:
                self.owned.append(payload)
            if isinstance(packet, Pubrec):
                if payload is not None:
                    self.releasing[packet.packet_id] = payload
                return [Pubrel(packet.packet_id)]
        elif isinstance(packet, Pubcomp):
            self.releasing.pop(packet.packet_id, None)
        return []

    def fingerprint(self) -> object:
        return (
            tuple(self.to_send), tuple(self.unacknowledged.items()), tuple(self.releasing), tuple(self.owned),
            tuple(self.refused), self.accepted,
        )  # fmt: skip


class SubscriberState:
    """A client's receiving half."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.unreleased: set[int] = set()

    def take(self, packet: Packet) -> list[Packet]:
        if isinstance(packet, Publish):
            if packet.qos == 1:
                self.got.append(packet.payload)
                return [Puback(packet.packet_id)]
            if packet.packet_id not in self.unreleased:
                self.unreleased.add(packet.packet_id)
                self.got.append(packet.payload)
            return [Pubrec(packet.packet_id)]
        if isinstance(packet, Pubrel):
            self.unreleased.discard(packet.packet_id)
            return [Pubcomp(packet.packet_id)]
        return []

    def fingerprint(self) -> object:
        return (tuple(self.got), tuple(sorted(self.unreleased)))


class World:
    """`actions` lists what can happen now, `act` lets it happen."""

    def __init__(
        self, published: int, subscribed: int, messages: int, version: int, crashes: int, drops: int, refusals: int
    ) -> None:
        everything = [Permission("#", True, True)]
        self.principals = [Principal.of(name, everything, ["*"]) for name in ("publisher", "subscriber")]
        self.hub = Hub(ManualStore(), self.principals)
        self.version = version
        self.subscribed = subscribed
        self.publisher = PublisherState([b"%d" % i for i in range(messages)], published)
        self.subscriber = SubscriberState()
        self.left = {"crash": crashes, "drop": drops, "refuse": refusals}
        self.p: Peer = self.hub.durable("publisher", version)
        self.publisher.accepted = True
        self.s: Peer = self.hub.durable("subscriber", version)
        self.s.subscribe(TOPIC, subscribed)
        self.hub.store.automatic = False

    def actions(self) -> list[str]:
        found: list[str] = []
        if self.p.closed:
            found.append("publisher reconnects")
        else:
            if self.publisher.to_send and self.publisher.accepted:
                found.append("publisher publishes")
            if self.p.received:
                found.append("publisher reads")
        if self.s.closed:
            found.append("subscriber reconnects")
        elif self.s.received:
            found.append("subscriber reads")
        if self.hub.store.waiting:
            found.append("commit")
            if self.left["refuse"]:
                found.append("commit refused")
        if self.left["drop"]:
            if not self.p.closed:
                found += ["publisher drops, unread lost", "publisher drops, unread read"]
            if not self.s.closed:
                found += ["subscriber drops, unread lost", "subscriber drops, unread read"]
        if self.left["crash"]:
            found += ["crash, unread lost", "crash, unread read"]
        return found

    def act(self, action: str) -> None:
        who, _, what = action.partition(" ")
        if action == "commit":
            self.hub.commit()
        elif action == "commit refused":
            self.left["refuse"] -= 1
            self.hub.store.full = True
            self.hub.commit()
            self.hub.store.full = False
            self.hub.clock.now += 2.0
            self.hub.broker.handle_timeout()
            self.hub.settle()
        elif who == "crash,":
            self.left["crash"] -= 1
            self._end_of_connection(self.p, self.publisher, "read" in action)
            self._end_of_connection(self.s, self.subscriber, "read" in action)
            self.p.connection.state = self.s.connection.state = 3
            self.hub = self.hub.crash()
            self.hub.store.automatic = False
        elif what.startswith("drops"):
            self.left["drop"] -= 1
            peer, state = (self.p, self.publisher) if who == "publisher" else (self.s, self.subscriber)
            self._end_of_connection(peer, state, "unread read" in action)
            peer.drop()
        elif what == "reconnects":
            self._reconnect(who)
        elif what == "publishes":
            self.p.send(self.publisher.publish())
        elif who == "publisher":
            self._read(self.p, self.publisher)
        else:
            self._read(self.s, self.subscriber)

    def _read(self, peer: Peer, state: PublisherState | SubscriberState) -> None:
        packet = peer.received.pop(0)
        answers = state.take(packet)
        if answers:
            peer.send(*answers)

    def _end_of_connection(self, peer: Peer, state: PublisherState | SubscriberState, reads: bool) -> None:
        """What the hub had sent still arrives or not; what is answered to it does not."""
        if reads and not peer.closed:
            for packet in peer.received:
                state.take(packet)
        peer.received = []
        if isinstance(state, PublisherState):
            state.accepted = False

    def _reconnect(self, who: str) -> None:
        """CONNECT is sent; what the hub answers is read in a step of its own."""
        peer = self.hub.peer(who, self.version)
        properties = Properties(session_expiry_interval=1000) if self.version == 5 else NO_PROPERTIES
        peer.send(Connect(self.version, False, 0, who, None, "user", b"password", properties))
        if who == "publisher":
            self.p = peer
        else:
            self.s = peer

    def fingerprint(self) -> object:
        hub = self.hub
        sessions = []
        for session in hub.broker.sessions.all():
            queue = [(d.sequence, d.state, d.ticket > 0, d.again) for d in session.queue or ()]
            flight = [(d.sequence, d.state) for d in session.in_flight.values()]
            sessions.append((session.key, tuple(queue), tuple(flight), tuple(sorted(session.received or ()))))
        unread = [tuple(repr(packet) for packet in peer.received) for peer in (self.p, self.s)]
        waiting = [
            (tuple(sorted(b.puts)), tuple(sorted(b.deletes)), len(b.appends), tuple(b.removes))
            for b, _ in hub.store.waiting
        ]
        return (
            self.publisher.fingerprint(), self.subscriber.fingerprint(), tuple(sorted(sessions)), tuple(unread),
            repr(hub.store.everything()), repr(waiting), self.p.closed, self.s.closed, tuple(self.left.items()),
        )  # fmt: skip

    def finish(self) -> None:
        """Everything goes well from now on, until nothing happens any more."""
        self.left = {"crash": 0, "drop": 0, "refuse": 0}
        for _ in range(1000):
            actions = self.actions()
            if not actions:
                return
            self.act(actions[0])
        raise AssertionError("the exchange does not come to an end")
