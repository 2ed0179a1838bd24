"""The protocol header (AMQP 1.0: 2.2 and 5.3.2; 0-9-1: 4.2.2), by which both versions share a port."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import REFUSED
from bridgehead.core.message import NEVER
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.speaker import Speaker
from bridgehead.protocols.amqp.session.v091.connection import Connection
from bridgehead.protocols.amqp.session.v1.sasl import HEADER as SASL
from bridgehead.protocols.amqp.session.v1.sasl import Sasl
from bridgehead.wire.outbox import Outbox

_LENGTH: Final = 8
NAME: Final = b"AMQP"
WITHOUT_SASL: Final = b"AMQP\x00\x01\x00\x00"
V091: Final = b"AMQP\x00\x00\x09\x01"
_ERAS: Final = (b"AMQP\x01", b"AMQP\x00\x00")  # how the headers of 0-8, 0-9, 0-10 and 0-9-1 begin


class Entry(Speaker):
    """Waits for eight octets, not for ever, and hands over to the version that they name. Any others are answered with
    a header that is served here, and the connection is closed: whoever serves only AMQP can say so in no other way."""

    def __init__(
        self,
        outbox: Outbox,
        broker: Broker,
        config: AmqpConfig,
        address: str,
        tls: bool,
        certificate: bool,
        mechanisms: tuple[str, ...],
    ) -> None:
        super().__init__(outbox, broker, config, address, tls, certificate, mechanisms)
        self._begun = b""
        self._next: Speaker | None = None
        self._over = False

    def receive(self, data: bytes) -> None:
        if self.closed:
            return
        self._begun += data
        if self._over:
            return  # the rim has not looked yet: it is for the successor
        header = self._begun[:_LENGTH]
        if header[: len(NAME)] != NAME[: len(header)]:
            self._refused("what came is no AMQP: it does not begin with its protocol header", SASL)
        elif len(header) == _LENGTH:
            self._take(header)

    def _take(self, header: bytes) -> None:
        self._begun = self._begun[_LENGTH:]
        self._over = True
        if header == SASL:
            self._next = Sasl(
                self.outbox, self.broker, self.config, self.address, self.tls, self.certificate, self.mechanisms
            )
        elif header == V091:
            self._next = Connection(
                self.outbox, self.broker, self.config, self.address, self.tls, self.certificate, self.mechanisms
            )
        elif header == WITHOUT_SASL:
            # 5.3: an identity is proven here, or nothing goes on.
            self._refused("AMQP 1.0 without the SASL layer: have the client authenticate", SASL)
        else:
            version = ".".join(str(octet) for octet in header[len(NAME) :])
            because = f"AMQP with the protocol header {version}: 1.0 with SASL (3.1.0.0) and 0-9-1 (0.0.9.1) are served"
            self._refused(because, V091 if header.startswith(_ERAS) else SASL)
        self.broker.counters.octets_received += _LENGTH
        self.attention = True
        self.outbox.touch()

    def successor(self) -> Speaker | None:
        found = self._next
        self._next = None
        return found

    def left(self) -> bytes:
        left = self._begun
        self._begun = b""
        return left

    def _refused(self, because: str, header: bytes) -> None:
        self.outbox.write(header)
        self._end(because)

    def _end(self, because: str) -> None:
        self.closed = True
        self._begun = b""
        self.broker.event(REFUSED, {"address": self.address, "because": because})
        self.attention = True
        self.outbox.touch()

    def lost(self, because: str) -> None:
        self.closed = True

    def dismiss(self, meaning: str, because: str) -> None:
        if not self.closed:
            self._end(because)

    def next_timeout(self) -> float:
        return NEVER if self.closed or self._over else self.accepted_at + self.config.connect_timeout

    def handle_timeout(self) -> None:
        if self.broker.clock.now >= self.next_timeout():
            self._end("no protocol header in time")
