"""Drives one SASL mechanism: answers its questions from the records, and turns its end into what is proven."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from bridgehead.core.errors import BAD_CREDENTIALS, NOT_AUTHORIZED, UNAVAILABLE, LocalMisuse, Refusal
from bridgehead.security.credentials import TokenSubject
from bridgehead.security.errors import SecurityError
from bridgehead.security.login.answers import Answers, VerifiesTokens, passwords_in_force, scram_record
from bridgehead.security.login.chain import GSSAPI, NTLM
from bridgehead.security.login.guard import Guard
from bridgehead.security.login.proof import NEVER, Braked, Credentials, Proven, Unproven
from bridgehead.security.mechanisms import CERTIFICATE, KERBEROS, OTP, PASSWORD, SCRAM, TOKEN
from bridgehead.security.mechanisms import NTLM as NTLM_KIND
from bridgehead.security.records import Device
from bridgehead.security.rights.enforced import mark_of, mark_of_password
from bridgehead.security.sasl.contract import (
    AdvanceOtp,
    Answer,
    Ask,
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
from bridgehead.security.tokens.verify import NotAccepted
from bridgehead.wire.errors import PeerError

# Their libraries block: milliseconds of arithmetic, and a replay cache on disk.
_BLOCKING: Final = frozenset({GSSAPI, NTLM})


_Result = TypeVar("_Result")


class Judge(Protocol):
    """What an exchange needs of the authenticator, which explains each."""

    @property
    def guard(self) -> Guard: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def tokens(self) -> VerifiesTokens | None: ...

    def clock(self) -> float: ...

    def follow(self) -> None: ...

    async def run(self, function: Callable[[], _Result]) -> _Result: ...

    async def by_password(self, name: str, password: bytes, address: str) -> tuple[Device, float, str]: ...

    def by_certificate(self, certificate: bytes) -> tuple[Device, float, str]: ...

    async def advance_otp(self, name: str, before: OtpState, after: OtpState) -> bool: ...

    def proven(
        self,
        credentials: Credentials,
        device: Device,
        kinds: tuple[str, ...],
        until: float,
        data: bytes | None,
        mechanism: str,
        marks: tuple[str, ...],
    ) -> Proven: ...

    def refused(self, credentials: Credentials, because: str, braked: bool, claimed: str, mechanism: str) -> None: ...


class Exchange:
    """One exchange on one connection. `begin` and `go_on` give the next challenge, or what is proven. Errors of both:
    Refusal(BAD_CREDENTIALS | NOT_AUTHORIZED | CLIENT_ID_INVALID | BUSY | UNAVAILABLE), after which it is over.
    """

    def __init__(
        self, authenticator: Judge, credentials: Credentials, machine: Mechanism, over: Callable[[], None]
    ) -> None:
        """`over` is called once, when it is over or given up (`close`)."""
        self._authenticator: Final = authenticator
        self._credentials: Final = credentials
        self._machine: Final = machine
        self._over: Callable[[], None] | None = over
        self._claimed = ""  # the name that the questions were about
        self._expires_at = NEVER
        self._marks: dict[str, None] = {}  # of the credentials that it stands on
        self._still: list[Callable[[Device], bool]] = []  # what must be true of the record in the end

    @property
    def mechanism(self) -> str:
        return self._machine.name

    async def begin(self, initial: bytes | None) -> bytes | Proven:
        """`initial` is the client's initial response, None when it sent none."""
        return await self._run(lambda: self._machine.start(initial))

    async def go_on(self, response: bytes) -> bytes | Proven:
        return await self._run(lambda: self._machine.respond(response))

    def close(self) -> None:
        """It is over, or nobody waits for it any more."""
        if self._over is not None:
            self._over()
            self._over = None

    async def _run(self, act: Callable[[], Step]) -> bytes | Proven:
        """Ends the exchange unless a challenge comes of it."""
        ended = True
        try:
            outcome = await self._judged(act)
            ended = not isinstance(outcome, bytes)
            return outcome
        except (Unproven, PeerError) as fault:
            self._authenticator.refused(
                self._credentials, str(fault), isinstance(fault, Braked), self._claimed, self.mechanism
            )
            raise Refusal(BAD_CREDENTIALS, "the credentials are not accepted") from None
        except Refusal as refusal:
            self._authenticator.refused(self._credentials, refusal.because, False, self._claimed, self.mechanism)
            raise
        except SecurityError as fault:
            self._authenticator.refused(self._credentials, str(fault), False, self._claimed, self.mechanism)
            raise Refusal(UNAVAILABLE, "identities cannot be read just now") from None
        finally:
            if ended:
                self.close()

    async def _judged(self, act: Callable[[], Step]) -> bytes | Proven:
        if self._over is None:
            raise LocalMisuse("the exchange is over")
        step = await self._stepped(act)
        while isinstance(step, Ask):
            answer = await self._answer(step.question)
            step = await self._stepped(partial(self._machine.answer, answer))
        if isinstance(step, Challenge):
            return step.data
        if isinstance(step, Failure):
            self._claimed = step.claimed or self._claimed
            if step.guess:
                self._authenticator.guard.failed(self._claimed, self._credentials.address)
            raise Unproven(step.because)
        return self._proven(step)

    async def _stepped(self, act: Callable[[], Step]) -> Step:
        if self.mechanism in _BLOCKING:
            return await self._authenticator.run(act)
        return act()

    # Questions. -------------------------------------------------------------------------------------

    async def _answer(self, question: Question) -> Answer:
        authenticator = self._authenticator
        credentials = self._credentials
        answers = authenticator.answers
        now = authenticator.clock()
        authenticator.follow()
        if isinstance(question, VerifyPassword):
            self._tries(question.name)
            device, until, mark = await authenticator.by_password(question.name, question.password, credentials.address)
            self._stands_on(mark, until)
            return device.name
        if isinstance(question, LookUpScram):
            self._tries(question.name)
            found = scram_record(answers.device(question.name), question.mechanism, now)
            if found is None:
                return None
            record, ends, mark = found
            self._stands_on(mark, NEVER if ends is None else ends)
            mechanism = question.mechanism
            self._still.append(lambda device: found == scram_record(device, mechanism, authenticator.clock()))
            return record
        if isinstance(question, VerifyToken):
            return await self._token(question.token)
        if isinstance(question, LookUpOtp):
            self._tries(question.name)
            self._stands_on(mark_of(OTP, "otp"), NEVER)
            return answers.otp(question.name)
        if isinstance(question, AdvanceOtp):
            return await authenticator.advance_otp(question.name, question.before, question.after)
        if isinstance(question, LookUpKerberos):
            principal = question.principal
            self._still.append(lambda device: principal in device.kerberos_principals)
            self._stands_on(mark_of(KERBEROS, principal), NEVER)
            owner = answers.by_kerberos(principal)
            return None if owner is None else owner.name
        if isinstance(question, LookUpNtlm):
            self._tries(question.name)
            for password in passwords_in_force(answers.device(question.name), now)[:1]:
                self._stands_on(mark_of_password(NTLM_KIND, password), NEVER)
            return answers.nt_hash(question.name, now)
        assert isinstance(question, CertificateIdentity)
        if credentials.certificate is None:
            return None
        holder, until, mark = authenticator.by_certificate(credentials.certificate)
        self._stands_on(mark, until)
        return holder.name

    async def _token(self, token: str) -> TokenIdentity | None:
        verifier = self._authenticator.tokens
        if verifier is None:
            return None
        self._authenticator.guard.check("", self._credentials.address)
        try:
            claims = await verifier.verify(token)
        except NotAccepted as refused:
            self._authenticator.guard.failed("", self._credentials.address)
            raise Unproven(str(refused)) from None
        self._authenticator.follow()
        owner = self._authenticator.answers.by_token(claims)
        if owner is None:
            raise Unproven("the token is right, and its subject is on no device's record")
        subject = TokenSubject(claims.issuer, claims.subject)
        self._still.append(lambda device: subject in device.token_subjects)
        self._stands_on(mark_of(TOKEN, f"{claims.issuer} {claims.subject}"), NEVER)
        return TokenIdentity(owner.name, claims.expires_at)

    def _tries(self, name: str) -> None:
        """The exchange is about this name, and about no other before its end."""
        if self._claimed and self._claimed != name:
            raise Unproven("the exchange began as one identity and went on as another")
        self._claimed = name
        self._authenticator.guard.check(name, self._credentials.address)

    def _stands_on(self, mark: str, until: float) -> None:
        self._marks[mark] = None
        self._ends(until)

    def _ends(self, until: float) -> None:
        self._expires_at = min(self._expires_at, until)

    # The end. ---------------------------------------------------------------------------------------

    def _proven(self, success: Success) -> Proven:
        """As of now: much can have happened since the questions were answered."""
        authenticator = self._authenticator
        credentials = self._credentials
        authenticator.follow()
        device = authenticator.answers.device(success.name)
        if device is None or any(not still(device) for still in self._still):
            raise Unproven(f"what {success.name!r} was proven by was taken back meanwhile")
        if self._claimed:  # again: whoever begins many exchanges at once would else have a guess in each
            authenticator.guard.check(self._claimed, credentials.address)
        self._claimed = device.name
        if success.expires_at is not None:
            self._ends(success.expires_at)
        words, kinds = [self.mechanism], [success.kind]
        if credentials.certificate is not None:
            holder, until, mark = authenticator.by_certificate(credentials.certificate)
            if holder.name != device.name:
                raise Unproven(f"the certificate is of {holder.name!r}, and the exchange proved another")
            if credentials.chain.takes_certificate:
                words.append(CERTIFICATE)
                kinds.append(CERTIFICATE)
                self._stands_on(mark, until)
        if credentials.user_name is not None and credentials.user_name != device.name:
            raise Unproven("the user name is not the identity that the exchange proved")
        if not credentials.chain.permits(words):
            raise Refusal(NOT_AUTHORIZED, f"this listener asks for {credentials.chain}")
        if success.kind in (PASSWORD, SCRAM):
            authenticator.guard.succeeded(device.name, credentials.address)
        return authenticator.proven(
            credentials,
            device,
            tuple(dict.fromkeys(kinds)),
            self._expires_at,
            success.data,
            self.mechanism,
            tuple(self._marks),
        )
