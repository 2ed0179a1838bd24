"""The SASL layer of AMQP 1.0 (5.3): from the protocol header to the outcome. Who it is, the rim finds out."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.broker.events import PEER_ERROR, REFUSED
from bridgehead.core.errors import BUSY, UNAVAILABLE, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Principal
from bridgehead.protocols.amqp.codec.v1.composites import Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, sasl_frame
from bridgehead.protocols.amqp.codec.v1.errors import FRAMING_ERROR, NOT_ALLOWED, AmqpError
from bridgehead.protocols.amqp.codec.v1.frames import Decoder
from bridgehead.protocols.amqp.codec.v1.sasl import (
    SaslChallenge,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    SaslResponse,
)
from bridgehead.protocols.amqp.codec.v1.types import Symbol
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.amqp.session.proving import HUB, SaslTurn
from bridgehead.protocols.amqp.session.speaker import Speaker
from bridgehead.protocols.amqp.session.v1.connection import Connection
from bridgehead.wire.errors import PeerError
from bridgehead.wire.outbox import Outbox

HEADER: Final = b"AMQP\x03\x01\x00\x00"  # 5.3.2
# Codes of the outcome (5.3.3.6).
OK: Final = 0
AUTH: Final = 1
SYS_TEMP: Final = 4
# What may come in before it has its turn: nothing is read while the hub judges, so it is what one read held.
_EARLY: Final = 131_072


class Sasl(Speaker):
    """Made when the peer's header has come: answers with ours, and with the mechanisms (5.3.3.1)."""

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
        self._decoder: Final = Decoder(config.sasl_frame_octets, True)
        self._early = b""  # what came while the hub judged, or behind the outcome
        self._next: Speaker | None = None
        self._over = False  # the outcome was ok: what comes is the successor's
        outbox.write(HEADER)
        outbox.write(sasl_frame(encode(SaslMechanisms([Symbol(name) for name in mechanisms]))))

    # What comes in. ---------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        if self.closed:
            return
        self.broker.counters.octets_received += len(data)
        if self._over or self.is_asking():
            self._keep(data)
            return
        try:
            frame = self._decoder.one(data)
            if frame is not None and frame.performative is not None:
                self.broker.counters.packets_received += 1
                self._take(frame.performative)
        except PeerError as error:
            self._fail(error)

    def _keep(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > _EARLY:
            self._fail(AmqpError(FRAMING_ERROR, "more came than fits before the identity is proven", -1, "AMQP-5.3.2"))

    def _take(self, performative: Performative) -> None:
        asked = self.sasl
        if isinstance(performative, SaslInit):
            if asked is not None:
                raise AmqpError(NOT_ALLOWED, "a second sasl-init", -1, "AMQP-5.3.3.2")
            mechanism = performative.mechanism
            if mechanism not in self.mechanisms:
                # 5.3.3.2: a mechanism that is not supported fails the authentication.
                self._refused(AUTH, f"the SASL mechanism {mechanism[:64]!r} is not offered", False)
                return
            self.ask(SaslTurn(mechanism, performative.initial_response))
        elif isinstance(performative, SaslResponse):
            if asked is None or not asked.responded(performative.response):
                raise AmqpError(NOT_ALLOWED, "a sasl-response that nothing asked for", -1, "AMQP-5.3.3.4")
            self.ask(asked)
        else:
            raise AmqpError(NOT_ALLOWED, "a SASL frame that is the server's to send", -1, "AMQP-5.3.3")

    # What the rim answers. --------------------------------------------------------------------------

    def challenge(self, data: bytes) -> None:
        asked = self.sasl
        if asked is None or asked.turn != HUB or self.closed:
            return
        asked.challenged()
        self.outbox.write(sasl_frame(encode(SaslChallenge(data))))
        early = self._early
        if early:
            self._early = b""
            self.receive(early)

    def authenticated(
        self,
        principal: Principal,
        verified: bool,
        serial: str,
        expires_at: float,
        data: bytes | None,
        marks: tuple[str, ...],
    ) -> None:
        asked = self.sasl
        if asked is None or asked.turn != HUB or self.closed:
            return
        asked.done()
        self.sasl = None
        self._over = True
        self.outbox.write(sasl_frame(encode(SaslOutcome(OK, data))))
        self._next = Connection(
            self.outbox,
            self.broker,
            self.config,
            self.address,
            self.tls,
            self.certificate,
            self.mechanisms,
            principal,
            verified,
            serial,
            expires_at,
            marks,
        )
        self.attention = True
        self.outbox.touch()

    def refuse(self, refusal: Refusal) -> None:
        """5.3.3.6: a fault that may pass by is told from credentials that are not accepted."""
        self._refused(SYS_TEMP if refusal.meaning in (BUSY, UNAVAILABLE) else AUTH, refusal.because, True)

    def successor(self) -> Speaker | None:
        found = self._next
        self._next = None
        return found

    def left(self) -> bytes:
        left = self._decoder.rest() + self._early
        self._early = b""
        return left

    # Ending. ----------------------------------------------------------------------------------------

    def _refused(self, code: int, because: str, reported: bool) -> None:
        if self.closed or self._over:
            return
        self.outbox.write(sasl_frame(encode(SaslOutcome(code))))
        self._end(because, "" if reported else REFUSED)

    def _fail(self, error: PeerError) -> None:
        """There is no way to name a fault before the connection is open: it is closed (2.4)."""
        self._end(str(error), PEER_ERROR)

    def _end(self, because: str, event: str) -> None:
        if self.closed:
            return
        self.closed = True
        self.sasl = None
        self._early = b""
        if event:
            self.broker.event(event, {"address": self.address, "because": because})
        self.attention = True
        self.outbox.touch()

    def lost(self, because: str) -> None:
        self.closed = True
        self.sasl = None
        self._early = b""
        self.outbox.discard()

    def dismiss(self, meaning: str, because: str) -> None:
        self.refuse(Refusal(meaning, because))

    # Time. ------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        return NEVER if self.closed or self._over else self.accepted_at + self.config.connect_timeout

    def handle_timeout(self) -> None:
        if self.broker.clock.now >= self.next_timeout():
            self._end("the identity was not proven in time", REFUSED)
