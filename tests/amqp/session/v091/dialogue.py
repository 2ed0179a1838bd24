"""AMQP 0-9-1 clients that talk with a whole hub in memory, on a virtual clock: methods in, methods out, no socket."""

from __future__ import annotations

from typing import TypeVar

from pamqp import base, body, commands, frame, header
from pamqp.common import FieldTable

from bridgehead.core.message import NEVER
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.session.v091.connection import Connection
from bridgehead.protocols.amqp.session.v091.vhost import vhost_of
from bridgehead.wire.outbox import Outbox
from tests.amqp.dialogue import AmqpHub, Talker

Got = TypeVar("Got")
CAPABLE: FieldTable = {
    "capabilities": {"authentication_failure_close": True, "consumer_cancel_notify": True, "basic.nack": True}
}


def everything(name: str) -> Principal:
    rights = [Permission(each, True, True) for each in ("#", "$QUEUE/#", "$EXCHANGE/#")]
    return Principal.of(name, rights, ["*"])


class Client(Talker):
    """One connection. `take` gives the next frame that came, as (channel, what pamqp makes of it)."""

    def __init__(self, hub: AmqpHub, name: str = "office", mechanisms: tuple[str, ...] = ("PLAIN",)) -> None:
        self.hub = hub
        self.name = name
        vhost_of(hub.broker, hub.config)
        self.octets = b""
        self.reading = True
        hub.unique += 1
        self.serial = f"{hub.unique:016x}"
        outbox = Outbox(hub.turn, hub.config.outbox_octets)
        outbox.owner = self
        self.connection: Connection = Connection(
            outbox, hub.broker, hub.config, "192.0.2.7:5000", True, False, mechanisms
        )
        hub.peers.append(self)
        hub.settle()

    def deliver(self, octets: bytes) -> None:
        """The rim sends."""
        if self.reading:
            self.octets += octets
        else:
            self.connection.outbox.backlog += len(octets)
            self.octets += octets

    def stop_reading(self) -> None:
        self.reading = False

    def read_on(self) -> None:
        self.reading = True
        self.connection.outbox.backlog = 0
        self.connection.drained()
        self.hub.settle()

    def send_octets(self, octets: bytes) -> None:
        self.connection.receive(octets)
        self.hub.settle()

    def send(self, method: base.Frame, channel: int = 1) -> None:
        self.send_octets(frame.marshal(method, channel))

    def take(self) -> tuple[int, object]:
        assert self.octets, "nothing came"
        size, channel, found = frame.unmarshal(self.octets)
        self.octets = self.octets[size:]
        return channel, found

    def get(self, kind: type[Got], channel: int = 1) -> Got:
        """The next frame, which is of this kind and channel."""
        number, found = self.take()
        assert isinstance(found, kind), found
        assert number == channel
        return found

    def ask(self, method: base.Frame, answer: type[Got], channel: int = 1) -> Got:
        self.send(method, channel)
        return self.get(answer, channel)

    def silent(self) -> bool:
        return not self.octets

    # From start to open. ----------------------------------------------------------------------------

    def start(
        self, properties: FieldTable | None = None, response: str = "\0office\0secret", by: str = "PLAIN"
    ) -> None:
        self.get(commands.Connection.Start, 0)
        given = CAPABLE if properties is None else properties
        self.send(commands.Connection.StartOk(given, by, response, "en_US"), 0)

    def proven(self, expires_at: float = NEVER, data: bytes | None = None) -> None:
        principal = self.hub.principals.get(self.name) or everything(self.name)
        self.hub.principals[self.name] = principal
        self.connection.authenticated(principal, True, self.serial, expires_at, data, ("password",))
        self.hub.settle()

    def open(
        self, heartbeat: int = 0, frame_max: int = 131_072, expires_at: float = NEVER, by: str = "PLAIN"
    ) -> Client:
        """Everything up to an open channel 1."""
        self.start(by=by)
        self.proven(expires_at)
        self.get(commands.Connection.Tune, 0)
        self.send(commands.Connection.TuneOk(2047, frame_max, heartbeat), 0)
        self.ask(commands.Connection.Open("/"), commands.Connection.OpenOk, 0)
        self.ask(commands.Channel.Open(), commands.Channel.OpenOk)
        return self

    # Content. ---------------------------------------------------------------------------------------

    def publish(
        self,
        routing_key: str,
        payload: bytes = b"m",
        exchange: str = "",
        properties: commands.Basic.Properties | None = None,
        mandatory: bool = False,
        channel: int = 1,
    ) -> None:
        method = commands.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
        content = header.ContentHeader(0, len(payload), properties or commands.Basic.Properties())
        octets = frame.marshal(method, channel) + frame.marshal(content, channel)
        if payload:
            octets += frame.marshal(body.ContentBody(payload), channel)
        self.send_octets(octets)

    def content(self, channel: int = 1) -> tuple[commands.Basic.Properties, bytes]:
        """A content header and its body."""
        head = self.get(header.ContentHeader, channel)
        payload = b""
        while len(payload) < head.body_size:
            payload += self.get(body.ContentBody, channel).value or b""
        assert isinstance(head.properties, commands.Basic.Properties)
        return head.properties, payload

    def delivered(self, channel: int = 1) -> tuple[commands.Basic.Deliver, bytes]:
        method = self.get(commands.Basic.Deliver, channel)
        return method, self.content(channel)[1]

    def declare(
        self, queue: str, durable: bool = False, exclusive: bool = False, arguments: FieldTable | None = None
    ) -> commands.Queue.DeclareOk:
        method = commands.Queue.Declare(queue=queue, durable=durable, exclusive=exclusive, arguments=arguments)
        return self.ask(method, commands.Queue.DeclareOk)

    def consume(self, queue: str, no_ack: bool = False, tag: str = "c") -> None:
        self.ask(commands.Basic.Consume(queue=queue, no_ack=no_ack, consumer_tag=tag), commands.Basic.ConsumeOk)

    def closed_channel(self, code: int, channel: int = 1) -> str:
        close = self.get(commands.Channel.Close, channel)
        assert close.reply_code == code, close.reply_text
        return close.reply_text or ""

    def told_closed(self, code: int) -> str:
        close = self.get(commands.Connection.Close, 0)
        assert close.reply_code == code, close.reply_text
        return close.reply_text or ""
