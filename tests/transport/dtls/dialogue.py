"""Clients and a server over memory on a virtual clock; the network between them does what a test tells it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from bridgehead.core.clock import Clock
from bridgehead.transport.dtls.client import DtlsClient
from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Failure, Proof, Rim
from bridgehead.transport.dtls.server import DtlsServer
from bridgehead.wire.dtls.association import Association, Sink
from tests.transport.dtls.keys import pem, town
from tests.transport.dtls.rim import Devices

PSK = b"a key of 16 oct."
CLIENT = DtlsIdentity(psk_identity=b"sensor-7", psk_key=PSK)

# (to the server?, the client's number, datagram) -> seconds of each copy's way; none: lost.
Network = Callable[[bool, int, bytes], list[float]]


def perfect(to_server: bool, client: int, datagram: bytes) -> list[float]:
    return [0.01]


class Collected(Sink):
    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.because: list[str] = []

    def received(self, data: bytes) -> None:
        self.data.append(data)

    def ended(self, because: str) -> None:
        self.because.append(because)


class Node:
    """A client, and where it is."""

    def __init__(self, number: int, path: bytes) -> None:
        self.number = number
        self.path = path
        self.dtls: DtlsClient
        self.sink = Collected()
        self.proofs: list[Proof] = []
        self.failures: list[Failure] = []

    @property
    def association(self) -> Association:
        assert self.dtls.association is not None, [each.because for each in self.failures]
        return self.dtls.association


class Dialogue:
    """`wire`: each datagram that was sent, as (to the server?, datagram)."""

    def __init__(
        self,
        *,
        settings: DtlsSettings | None = None,
        identity: DtlsIdentity | None = None,
        devices: Devices | None = None,
        network: Network = perfect,
        seed: int = 1,
    ) -> None:
        here = town()
        self.chance = random.Random(seed)
        self.clock = Clock(1_000.0)
        self.settings = settings or DtlsSettings()
        self.devices = devices or Devices({b"sensor-7": PSK}, {here.sensor_key.spki})
        self.network = network
        self.wire: list[tuple[bool, bytes]] = []
        self.nodes: list[Node] = []
        self.failures: list[Failure] = []
        self.associations: list[Association] = []
        self.sinks: list[Collected] = []
        self._flying: list[tuple[float, int, bool, int, bytes, bytes]] = []
        self._count = 0
        self._deferred: list[Callable[[], None]] = []
        self.turns: list[int] = []
        hub = DtlsIdentity(certificate=pem(here.hub), key=here.hub_key.pem, trust=here.authority.pem)
        self.server = DtlsServer(
            identity or hub,
            self.devices,
            self.settings,
            self._rim(self._to_client, self._established, self.failures.append),
        )

    def _rim(
        self,
        send: Callable[[bytes, bytes], None],
        established: Callable[[Association], None],
        failed: Callable[[Failure], None],
    ) -> Rim:
        return Rim(
            send=send,
            established=established,
            failed=failed,
            address_of=lambda path: path.decode().partition(" ")[0],
            defer=self._deferred.append,
            clock=self.clock,
            random=self.chance.randbytes,
        )

    def _established(self, association: Association) -> None:
        association.sink = Collected()
        self.associations.append(association)
        self.sinks.append(association.sink)

    # Nodes.

    def add(self, identity: DtlsIdentity = CLIENT, path: bytes = b"", settings: DtlsSettings | None = None) -> Node:
        """A client that has said nothing yet."""
        number = len(self.nodes)
        node = Node(number, path or f"192.0.2.{number} 40000".encode())

        def established(association: Association) -> None:
            association.sink = node.sink
            assert isinstance(association.proof, Proof)
            node.proofs.append(association.proof)

        rim = self._rim(lambda _, data: self.to_server(node, data), established, node.failures.append)
        node.dtls = DtlsClient(identity, settings or self.settings, rim, "127.0.0.1")
        self.nodes.append(node)
        return node

    def connect(self, identity: DtlsIdentity = CLIENT, path: bytes = b"", seconds: float = 60.0) -> Node:
        """A client whose handshake is complete."""
        node = self.add(identity, path)
        node.dtls.start()
        self.run(seconds, until=lambda: node.dtls.association is not None)
        assert node.association is not None
        return node

    def say(self, node: Node, data: bytes) -> None:
        self.to_server(node, node.association.seal(data))

    def answer(self, association: Association, data: bytes) -> None:
        self._to_client(association.path, association.seal(data))

    # The network.

    def to_server(self, node: Node, data: bytes) -> None:
        self.wire.append((True, data))
        for delay in self.network(True, node.number, data):
            self._fly(delay, True, node.number, node.path, data)

    def _to_client(self, path: bytes, data: bytes) -> None:
        self.wire.append((False, data))
        for node in self.nodes:
            if node.path == path:
                for delay in self.network(False, node.number, data):
                    self._fly(delay, False, node.number, path, data)

    def _fly(self, delay: float, to_server: bool, number: int, path: bytes, data: bytes) -> None:
        self._count += 1
        heapq.heappush(self._flying, (self.clock.now + delay, self._count, to_server, number, path, data))

    # Time.

    def turn(self) -> None:
        """What was deferred. `turns` tells how many handshakes each one began."""
        before = self.server.half_open
        now, self._deferred[:] = list(self._deferred), []
        for call in now:
            call()
        self.turns.append(self.server.half_open - before)

    def run(self, seconds: float = 5.0, until: Callable[[], bool] = lambda: False) -> None:
        """Lets time go by, from one event to the next."""
        end = self.clock.now + seconds
        while not until():
            while self._deferred:
                self.turn()
            if until():
                return
            due = min(
                [self._flying[0][0] if self._flying else end, self.server.next_timeout()]
                + [node.dtls.next_timeout() for node in self.nodes]
            )
            if due >= end:
                self.clock.now = end
                return
            self.clock.now = max(self.clock.now, due)
            while self._flying and self._flying[0][0] <= self.clock.now:
                _, _, to_server, number, path, data = heapq.heappop(self._flying)
                if to_server:
                    self.server.receive(path, data)
                elif self.nodes[number].path == path:
                    self.nodes[number].dtls.receive(data)
            if self.server.next_timeout() <= self.clock.now:
                self.server.handle_timeout(self.clock.now)
            for node in self.nodes:
                if node.dtls.next_timeout() <= self.clock.now:
                    node.dtls.handle_timeout(self.clock.now)
