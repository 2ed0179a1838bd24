"""The contract between SASL mechanisms (RFC 4422) and the rim that drives them: steps, questions, what a connection is.

    machine = make(name, binding, random, settings)            # offer.py
    step = machine.start(initial_response)
    while True:
        Challenge: send `data`, then step = machine.respond(what came)
        Ask:       step = machine.answer(the answer to `question`)
        Success | Failure: the end

A machine touches no socket, clock, file or chance, is used by one exchange, and holds a bounded amount whatever comes.
It raises nothing but PeerError for what the peer sends. After the end, or while a question is open, `respond` is
refused (Violation for the former, LocalMisuse for the latter).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.credentials import ScramRecord
from bridgehead.wire.errors import Violation

# What a peer may send at once, whatever the mechanism: a Kerberos ticket with many groups is the largest known.
MESSAGE_OCTETS: Final = 65_536
NAME_OCTETS: Final = 1024


# What the connection is. ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Binding:
    """The connection's transport. `tls_server_end_point` (RFC 5929 section 4) and `tls_exporter` (RFC 9266) are the
    channel binding data, None where TLS does not give them. `protected`: nobody can read or change what is sent.
    `certificate`: TLS has verified a client certificate."""

    tls_server_end_point: bytes | None = None
    tls_exporter: bytes | None = None
    protected: bool = False
    certificate: bool = False


# What a machine asks. Each question says which type its answer has. None stands for "no" and must look like it. ------


@dataclass(frozen=True, slots=True)
class VerifyPassword:
    """Is this the password of `name`? Answer: `str | None`, the identity's name."""

    name: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookUpScram:
    """Answer: `ScramRecord | None`, that of `mechanism` ("SCRAM-SHA-256" or "SCRAM-SHA-512", never -PLUS)."""

    name: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class VerifyToken:
    """Whom does this token speak for? Answer: `TokenIdentity | None`."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LookUpOtp:
    """Answer: `OtpState | None`."""

    name: str


@dataclass(frozen=True, slots=True)
class AdvanceOtp:
    """Put `after` in place of `before`, unless another exchange was faster: compare and set in one transaction.

    Answer: `bool`, False when the record is no longer `before`.
    """

    name: str
    before: OtpState
    after: OtpState


@dataclass(frozen=True, slots=True)
class LookUpKerberos:
    """Whose is this Kerberos principal ("sensor-7@EXAMPLE.ORG")? Answer: `str | None`, the identity's name."""

    principal: str


@dataclass(frozen=True, slots=True)
class LookUpNtlm:
    """The NT hash of `name`. Answer: `bytes | None`, 16 octets."""

    name: str


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """Whom does the client certificate of this connection name? Answer: `str | None`, the identity's name."""


Question = (
    VerifyPassword
    | LookUpScram
    | VerifyToken
    | LookUpOtp
    | AdvanceOtp
    | LookUpKerberos
    | LookUpNtlm
    | CertificateIdentity
)


# The answers that are more than a text or a truth. --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenIdentity:
    """The identity's name, and when its token ends (seconds since the epoch; None: the token names no end)."""

    name: str
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class OtpState:
    """RFC 2289: `last` (8 octets) was accepted as number `sequence`; `algorithm` is "otp-md5" or "otp-sha1"."""

    algorithm: str
    sequence: int
    seed: str
    last: bytes = field(repr=False)


Answer = str | bool | bytes | ScramRecord | TokenIdentity | OtpState | None


# Steps. ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Challenge:
    """To the client; go on with respond(). Empty data is an empty challenge (RFC 4422 section 5): it is sent too."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ask:
    """Go on with answer()."""

    question: Question


@dataclass(frozen=True, slots=True)
class Success:
    """`name` is proven by `kind` (security.mechanisms). `authzid` is the identity to act as: always `name`, another is
    refused. `data` goes to the client with the outcome. `expires_at`: when the right ends, seconds since the epoch."""

    name: str
    authzid: str
    kind: str
    data: bytes | None = field(default=None, repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """`because` is for the log only, and holds no secret. `data` is what the mechanism lets the server say, to be sent
    where the protocol has a place for it. `claimed` is the name that was tried ("": none was given) and `guess` tells a
    wrong proof, which counts for the brakes, from a broken message."""

    because: str
    data: bytes | None = None
    claimed: str = ""
    guess: bool = False


Step = Challenge | Ask | Success | Failure


# The machine. ---------------------------------------------------------------------------------------------------------


class Mechanism(ABC):
    """One exchange on the server's side. `name` is the registered one ("SCRAM-SHA-256-PLUS").

    Subclasses write `_start`, `_respond` and `_answer`; this class keeps the order, which holds for all.
    """

    name: str
    client_first: ClassVar[bool] = True
    message_octets: ClassVar[int] = MESSAGE_OCTETS

    def __init__(self) -> None:
        self._begun = False
        self._asking = False
        self._ended = False

    def start(self, initial: bytes | None) -> Step:
        """`initial` is the client's initial response; None: there was none (b"" is an empty one).

        Errors: PeerError.
        """
        if self._begun:
            raise LocalMisuse("a mechanism serves one exchange")
        self._begun = True
        if initial is None and self.client_first:
            # RFC 4422 section 5: the client speaks first, and the protocol had no place for it: an empty challenge.
            return Challenge(b"")
        if initial is not None and len(initial) > self.message_octets:
            return self._took(self._too_large(initial))
        return self._took(self._start(initial))

    def respond(self, response: bytes) -> Step:
        """Errors: PeerError."""
        if self._asking or not self._begun:
            raise LocalMisuse("a response came where the machine waits for an answer, or before its start")
        if self._ended:
            raise Violation("a response came after the end of the SASL exchange", clause="RFC 4422 3.4")
        if len(response) > self.message_octets:
            return self._took(self._too_large(response))
        return self._took(self._respond(response))

    def answer(self, value: Answer) -> Step:
        """The rim's answer to the question asked last. Errors: PeerError."""
        if not self._asking:
            raise LocalMisuse("an answer came to no question")
        self._asking = False
        return self._took(self._answer(value))

    def _took(self, step: Step) -> Step:
        self._asking = isinstance(step, Ask)
        self._ended = isinstance(step, Success | Failure)
        return step

    def _too_large(self, response: bytes) -> Step:
        return Failure(f"a response of {len(response)} octets is larger than any of {self.name}")

    def _start(self, initial: bytes | None) -> Step:
        return self._respond(initial or b"")

    @abstractmethod
    def _respond(self, response: bytes) -> Step: ...

    @abstractmethod
    def _answer(self, value: Answer) -> Step: ...


def identity_of(claimed: str, value: Answer, authzid: str, kind: str, because: str) -> Step:
    """The outcome where the rim's answer is the identity's name: `because` says why None is a failure."""
    if value is None:
        return Failure(because, claimed=claimed, guess=True)
    if not isinstance(value, str):
        raise LocalMisuse(f"the answer is a {type(value).__name__} and not a name")
    return outcome(value, authzid, kind)


def outcome(name: str, authzid: str, kind: str, data: bytes | None = None, expires_at: float | None = None) -> Step:
    """Success, unless another identity than one's own is asked for: nobody acts for anybody here."""
    if authzid and authzid != name:
        return Failure(f"{name!r} asked to act as another identity", claimed=name)
    return Success(name, name, kind, data, expires_at)
