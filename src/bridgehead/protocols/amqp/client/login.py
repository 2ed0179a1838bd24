"""What comes before AMQP on a client's connection: the protocol headers (2.2) and the SASL layer (5.3)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.client.errors import ConnectionFailed, LoginRefused
from bridgehead.protocols.amqp.client.mechanisms import Speaks
from bridgehead.protocols.amqp.codec.v1.composites import SASL_AUTH, SASL_OK, Performative
from bridgehead.protocols.amqp.codec.v1.encode import encode, sasl_frame
from bridgehead.protocols.amqp.codec.v1.errors import ILLEGAL_STATE, AmqpError
from bridgehead.protocols.amqp.codec.v1.frames import Decoder
from bridgehead.protocols.amqp.codec.v1.sasl import SaslChallenge, SaslInit, SaslMechanisms, SaslOutcome, SaslResponse
from bridgehead.protocols.amqp.codec.v1.types import Symbol

SASL_HEADER: Final = b"AMQP\x03\x01\x00\x00"
AMQP_HEADER: Final = b"AMQP\x00\x01\x00\x00"
SASL_FRAME_SIZE: Final = 65_536

# What it waits for.
_SASL_HEADER: Final = "the SASL header"
_MECHANISMS: Final = "the offer of mechanisms"
_CHALLENGE: Final = "a challenge or the outcome"
_AMQP_HEADER: Final = "the AMQP header"
_NOTHING: Final = "nothing"


class Login:
    """Octets in; `output` has what is to be sent. `opening` goes out behind the AMQP header, without waiting for the
    server's (2.4.2)."""

    def __init__(self, hostname: str, candidates: list[Speaks], opening: bytes) -> None:
        """`candidates` are what can prove who this is, the best first; the server's offer decides."""
        self._hostname: Final = hostname
        self._candidates: Final = candidates
        self._opening: Final = opening
        self._speaks: Speaks | None = None
        self._waits = _SASL_HEADER
        self._head = b""
        self._decoder: Final = Decoder(SASL_FRAME_SIZE, sasl=True)
        self.output: list[bytes] = [SASL_HEADER]

    @property
    def done(self) -> bool:
        return self._waits == _NOTHING

    def receive(self, data: bytes) -> bytes:
        """What follows the server's AMQP header, b"" while that has not come. Raises PeerError, ConnectionFailed, and
        LoginRefused."""
        while data and not self.done:
            if self._waits in (_SASL_HEADER, _AMQP_HEADER):
                self._head += data
                if len(self._head) < 8:
                    return b""
                head, data = self._head[:8], self._head[8:]
                self._head = b""
                self._header(head)
                continue
            found = self._decoder.one(data)
            if found is None:
                return b""
            if found.performative is not None:
                self._sasl(found.performative)
            data = self._decoder.rest()
        return data

    def _header(self, head: bytes) -> None:
        wanted = SASL_HEADER if self._waits == _SASL_HEADER else AMQP_HEADER
        if head == wanted:
            self._waits = _MECHANISMS if self._waits == _SASL_HEADER else _NOTHING
        elif head.startswith(b"HTTP/"):
            raise ConnectionFailed(
                "the server answers in HTTP; for AMQP over WebSocket use amqp+wss:// (or amqp+ws://)"
            )
        elif head.startswith(b"AMQP"):
            version = ".".join(str(octet) for octet in head[5:])
            raise ConnectionFailed(
                f"the server answers with the header of AMQP {version}, and not that of 1.0 with SASL"
            )
        else:
            raise ConnectionFailed("the server does not speak AMQP; is it the right port, and with or without TLS?")

    def _sasl(self, performative: Performative) -> None:
        speaks = self._speaks
        if self._waits == _MECHANISMS and isinstance(performative, SaslMechanisms):
            self._choose(performative.sasl_server_mechanisms)
        elif self._waits == _CHALLENGE and isinstance(performative, SaslChallenge) and speaks is not None:
            self.output.append(sasl_frame(encode(SaslResponse(speaks.respond(performative.challenge)))))
        elif self._waits == _CHALLENGE and isinstance(performative, SaslOutcome) and speaks is not None:
            if performative.outcome != SASL_OK:
                why = "does not believe who this is" if performative.outcome == SASL_AUTH else "cannot decide now"
                raise LoginRefused(f"the server {why} ({speaks.name})")
            speaks.finish(performative.additional_data)
            self._waits = _AMQP_HEADER
            self.output += [AMQP_HEADER, self._opening]
        else:
            raise AmqpError(ILLEGAL_STATE, f"a SASL frame came where {self._waits} belongs", clause="AMQP-5.3.2")

    def _choose(self, offered: list[Symbol]) -> None:
        for candidate in self._candidates:
            if candidate.name in offered:
                self._speaks = candidate
                self._waits = _CHALLENGE
                init = SaslInit(candidate.name, candidate.start(), self._hostname or None)
                self.output.append(sasl_frame(encode(init)))
                return
        have = ", ".join(each.name for each in self._candidates) or "nothing"
        there = ", ".join(offered) or "none"
        raise LoginRefused(f"the server offers the mechanisms {there}, and what is given here is for {have}")
