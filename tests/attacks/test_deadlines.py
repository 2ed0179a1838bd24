"""Clients that come and go leave nothing behind in the server, however long a Keep Alive they ask for."""

from __future__ import annotations

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.protocols.mqtt.server import Exchanges, MqttServer
from bridgehead.security.login.authenticate import Credentials, Proven
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.store.memory import MemoryStore
from bridgehead.transport.stream import OnData, OnDrain, OnEnd, Stream

CLIENTS = 5_000


class Pipe(Stream):
    """A stream whose peer is the test."""

    def __init__(self) -> None:
        self.peer = "192.0.2.1:5000"
        self.tls = None
        self.spent = 0.0
        self.sent = b""

    @property
    def local(self) -> str:
        return ""

    @property
    def pending(self) -> int:
        return 0

    def start(self, on_data: OnData, on_end: OnEnd, on_drain: OnDrain | None = None) -> None:
        self.on_data = on_data
        self.on_end = on_end

    def send(self, data: bytes) -> None:
        self.sent += data

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class Everybody:
    def __init__(self) -> None:
        self.principal = Principal.of("door", [Permission("#", True, True)], ["*"])

    async def authenticate(self, credentials: Credentials) -> Proven:
        return Proven(self.principal, ("password",))

    def exchange(self, mechanism: str, credentials: Credentials) -> Exchanges:
        raise NotOffered(mechanism)


async def test_deadlines_of_clients_that_are_gone_are_dropped() -> None:
    broker = Broker(MemoryStore(lambda call: None), Clock(0.0), Limits(), lambda name, fields: None, lambda: None)
    server = MqttServer(broker, MqttConfig(), Everybody(), 0.0)
    hello = encode(Connect(4, True, 65_535, "x"), 4)
    for _ in range(CLIENTS):
        pipe = Pipe()
        server.accept(pipe)
        pipe.on_data(hello)
        link = next(iter(server._links))
        link.look()
        assert link.task is not None
        await link.task
        assert link.machine.keep_alive == 65_535
        server.watch(link)
        pipe.on_end("")
    assert len(server) == 0
    assert len(server._deadlines) < CLIENTS / 2
    await server.stop(0.0)


async def test_a_deadline_that_moves_is_not_entered_anew_each_time() -> None:
    broker = Broker(MemoryStore(lambda call: None), Clock(0.0), Limits(), lambda name, fields: None, lambda: None)
    server = MqttServer(broker, MqttConfig(), Everybody(), 0.0)
    pipe = Pipe()
    server.accept(pipe)
    pipe.on_data(encode(Connect(4, True, 65_535, "x"), 4))
    link = next(iter(server._links))
    link.look()
    assert link.task is not None
    await link.task
    for i in range(1000):
        broker.clock.now += 1.0
        pipe.on_data(b"\xc0\x00")
        server.watch(link)
        assert len(server._deadlines) <= 2, i
    await server.stop(0.0)
