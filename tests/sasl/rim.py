"""What stands around a mechanism in these tests: a small town of identities, and a driver that answers questions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from bridgehead.security.credentials import ScramRecord
from bridgehead.security.sasl.contract import (
    AdvanceOtp,
    Answer,
    Ask,
    Binding,
    CertificateIdentity,
    Challenge,
    Failure,
    LookUpKerberos,
    LookUpNtlm,
    LookUpOtp,
    LookUpScram,
    Mechanism,
    OtpState,
    Question,
    Step,
    Success,
    TokenIdentity,
    VerifyPassword,
    VerifyToken,
)
from bridgehead.security.sasl.offer import Settings, make
from bridgehead.security.sasl.verifiers import scram_records

FAKE_KEY = hashlib.sha256(b"the hub's own").digest()
PASSWORD = "pencil-And-paper"
NAME = "sensor-7"
PROTECTED = Binding(protected=True, certificate=True)
OPEN = Binding()
NOW = 1_800_000_000.0


@dataclass
class Town:
    """Who is known, by which proof. `asked` holds every question, in order."""

    passwords: dict[str, bytes] = field(default_factory=lambda: {NAME: PASSWORD.encode()})
    scram: dict[str, tuple[ScramRecord, ...]] = field(default_factory=dict)
    tokens: dict[str, TokenIdentity] = field(default_factory=dict)
    otp: dict[str, OtpState] = field(default_factory=dict)
    kerberos: dict[str, str] = field(default_factory=dict)
    ntlm: dict[str, bytes] = field(default_factory=dict)
    certificate: str | None = None
    asked: list[Question] = field(default_factory=list)

    def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        match question:
            case VerifyPassword(name, password):
                return name if self.passwords.get(name) == password else None
            case LookUpScram(name, mechanism):
                if name not in self.scram and name in self.passwords:
                    self.scram[name] = scram_records(self.passwords[name])
                return next((each for each in self.scram.get(name, ()) if each.mechanism == mechanism), None)
            case VerifyToken(token):
                return self.tokens.get(token)
            case LookUpOtp(name):
                return self.otp.get(name)
            case AdvanceOtp(name, before, after):
                if self.otp.get(name) != before:
                    return False
                self.otp[name] = after
                return True
            case LookUpKerberos(principal):
                return self.kerberos.get(principal)
            case LookUpNtlm(name):
                return self.ntlm.get(name)
            case CertificateIdentity():
                return self.certificate

    def settle(self, machine: Mechanism, step: Step) -> Challenge | Success | Failure:
        """Answers questions until the machine says something else."""
        while isinstance(step, Ask):
            step = machine.answer(self.answer(step.question))
        return step

    def start(self, machine: Mechanism, initial: bytes | None) -> Challenge | Success | Failure:
        return self.settle(machine, machine.start(initial))

    def respond(self, machine: Mechanism, response: bytes) -> Challenge | Success | Failure:
        return self.settle(machine, machine.respond(response))

    def talk(
        self, machine: Mechanism, initial: bytes | None, client: Callable[[bytes], bytes]
    ) -> tuple[Success | Failure, list[bytes]]:
        """Lets `client` answer every challenge; returns the outcome and the challenges."""
        step = self.start(machine, initial)
        challenges: list[bytes] = []
        while isinstance(step, Challenge):
            challenges.append(step.data)
            assert len(challenges) < 20
            step = self.respond(machine, client(step.data))
        return step, challenges


def settings(**others: Callable[[Binding, bytes], Mechanism]) -> Settings:
    return Settings(FAKE_KEY, lambda: NOW, others=others)


def mechanism(name: str, binding: Binding = PROTECTED, random: bytes = bytes(range(32))) -> Mechanism:
    return make(name, [name], binding, random, settings())


def failure(step: Step) -> Failure:
    assert isinstance(step, Failure), step
    return step


def success(step: Step) -> Success:
    assert isinstance(step, Success), step
    return step


def challenge(step: Step) -> bytes:
    assert isinstance(step, Challenge), step
    return step.data
