"""Who is it? Certificate and password against the device's record; then the client identifier, and who may be slower.

The rules, in this order:
1. What is shown must be enough for the listener's chain, before any of it is looked at.
2. A client certificate names its device by fingerprint, or, of a foreign authority, by its names. It must be on record,
   in force, and not revoked. TLS has verified the chain before; in a resumed session it has not, so the record counts.
3. A user name is the device's name. With a certificate it must be the same device. A password that is sent must be
   right, also beside a certificate.
4. `require = "password+certificate"` asks for both. A disabled device has no credentials at all.
5. The client identifier must be one that the record permits; an empty one is left to the caller.

A peer is told that its credentials are bad, whatever was wrong with them, and as late for a name that does not exist.
SASL mechanisms come to the same end through `exchange`.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from bridgehead.broker.events import EventSink
from bridgehead.core.errors import BAD_CREDENTIALS, BUSY, CLIENT_ID_INVALID, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from bridgehead.core.policy import Context, Principal
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import AUTHENTICATED, AUTHENTICATION_REFUSED, LOCKOUT_NOT_KEPT
from bridgehead.security.login.answers import Answers, Unseals, VerifiesTokens
from bridgehead.security.login.brake import BrakeLimits, address_key
from bridgehead.security.login.chain import Chain
from bridgehead.security.login.exchange import Exchange
from bridgehead.security.login.foreign import foreign_device
from bridgehead.security.login.guard import Guard, GuardLimits
from bridgehead.security.login.keys import KeyProof
from bridgehead.security.login.lockouts import Lockouts, keep
from bridgehead.security.login.password_proof import PasswordProof
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.login.proof import NEVER, Braked, Credentials, Proven, Unproven
from bridgehead.security.mechanisms import CERTIFICATE, PASSWORD, SCRAM
from bridgehead.security.pki.certificates import fingerprint
from bridgehead.security.records import Device, is_name
from bridgehead.security.registry.registry import Registry
from bridgehead.security.registry.tokens import Lockout
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.enforced import mark_of
from bridgehead.security.rights.principals import Principals
from bridgehead.security.sasl.contract import Binding, OtpState
from bridgehead.security.sasl.offer import RANDOM_OCTETS, Settings, make, offered

__all__ = ["Authenticator", "Credentials", "Proven"]

BOTH: Final = "password+certificate"
EXCHANGES: Final = 10_000  # under way at a time
EXCHANGES_PER_ADDRESS: Final = 256

_BAD: Final = "the credentials are not accepted"
_Result = TypeVar("_Result")


class Authenticator:
    """Lives on the event loop's thread. `clock` gives seconds since the epoch."""

    def __init__(
        self,
        registry: Registry,
        events: EventSink,
        *,
        clock: Callable[[], float] = time.time,
        verifier: PasswordVerifier | None = None,
        identity_brake: BrakeLimits | None = None,
        address_brake: BrakeLimits | None = None,
        limits: GuardLimits | None = None,
        settings: Settings | None = None,
        vault: Unseals | None = None,
        tokens: VerifiesTokens | None = None,
    ) -> None:
        """`identity_brake` counts failures per (identity, address), `address_brake` per address, or `limits` says
        more. `settings` are what SASL mechanisms share, `vault` opens sealed secrets, `tokens` verifies them; without
        one of these nobody gets in by what needs it. Errors: SecurityError."""
        if limits is None:
            limits = GuardLimits(identity_brake or BrakeLimits(free=5), address_brake or BrakeLimits(free=50))
        self._directory: Final = Directory(registry)
        self._data: Final[Path] = registry.path.parent
        self._principals: Final = Principals(self._directory, events, clock)
        self._events: Final = events
        self._clock: Final = clock
        self._verifier: Final = verifier if verifier is not None else PasswordVerifier(PasswordHasher())
        self._lockouts: Final = Lockouts(registry, clock())
        self.guard: Final = Guard(limits, self._lockouts, events, clock, self._keep)
        self._passwords: Final = PasswordProof(self, self._directory, self._verifier, events)
        self.keys: Final = KeyProof(self, self._directory, vault, events)
        self._writing: Final[set[asyncio.Task[None]]] = set()
        self.settings = settings if settings is not None else Settings(secrets.token_bytes(32), clock)
        self.answers: Final = Answers(self._directory, vault)
        self.tokens = tokens
        self._exchanges = 0
        self._exchanges_by_address: dict[str, int] = {}

    def limit(self, limits: GuardLimits, waiting: int, waiting_per_address: int, remember_seconds: float) -> None:
        """Put other limits in force, from the next try on. The last three are as in PasswordVerifier."""
        self.guard.limit(limits)
        self._verifier.limit(waiting, waiting_per_address, remember_seconds)

    def close(self) -> None:
        """Waits for a hash that is being computed. The registry stays open: it is its maker's."""
        self._verifier.close()

    # Principals. ------------------------------------------------------------------------------------

    @property
    def principals(self) -> Principals:
        """For whoever applies to the broker what changes of them."""
        return self._principals

    @property
    def generation(self) -> int:
        """Grows whenever the permissions of a living principal changed: judge routes anew then."""
        return self._principals.generation

    def principal(self, name: str) -> Principal | None:
        """The principal of a device, without proof: for its sessions and Wills while it is away. None: no such device.

        Errors: SecurityError.
        """
        return self._principals.get(name)

    def refresh(self) -> list[str]:
        """Take over what other processes wrote; returns the names whose connections must be closed now: removed,
        disabled, a credential, role or client identifier taken away or changed. `principal(name)` is None for those
        removed. Meant to be called a few times a second. Errors: SecurityError, and all stays as it was.
        """
        self._principals.follow()
        return self._principals.take_ended()

    def clock(self) -> float:
        """Seconds since the epoch."""
        return self._clock()

    def follow(self) -> None:
        """The records as they are now. Errors: SecurityError."""
        self._principals.follow()

    # Proof. -----------------------------------------------------------------------------------------

    async def authenticate(self, credentials: Credentials) -> Proven:
        """Errors: Refusal(BAD_CREDENTIALS | NOT_AUTHORIZED | CLIENT_ID_INVALID | BUSY | UNAVAILABLE)."""
        try:
            self.follow()
            device, kinds, until, marks = await self._prove(credentials)
            return self.proven(credentials, device, kinds, until, marks=marks)
        except Unproven as fault:
            self.refused(credentials, str(fault), isinstance(fault, Braked))
            raise Refusal(BAD_CREDENTIALS, _BAD) from None
        except Refusal as refusal:
            self.refused(credentials, refusal.because)
            raise
        except SecurityError as fault:
            self.refused(credentials, str(fault))
            raise Refusal(UNAVAILABLE, "identities cannot be read just now") from None

    def offered(self, chain: Chain, binding: Binding) -> list[str]:
        """The SASL mechanisms that a connection may use, in the chain's order."""
        return offered(chain.sasl, binding, self.settings)

    def exchange(self, mechanism: str, credentials: Credentials) -> Exchange:
        """Begin a SASL exchange on a connection. Errors: offer.NotOffered; Refusal(BUSY | NOT_AUTHORIZED)."""
        random = secrets.token_bytes(RANDOM_OCTETS)
        chain = credentials.chain
        machine = make(mechanism, chain.sasl, credentials.binding, random, self.settings)
        try:
            if credentials.password is not None:
                raise Refusal(NOT_AUTHORIZED, "a password beside an authentication method: leave one of them out")
            shown = [mechanism] if credentials.certificate is None else [mechanism, CERTIFICATE]
            if not chain.permits(shown):
                raise Refusal(NOT_AUTHORIZED, f"this listener asks for {chain}")
            self.guard.admit(credentials.address)
            key = address_key(credentials.address)
            here = self._exchanges_by_address.get(key, 0)
            if self._exchanges >= EXCHANGES or here >= EXCHANGES_PER_ADDRESS:
                raise Refusal(BUSY, "too many authentications are under way: try again in a moment")
        except Refusal as refusal:
            self.refused(credentials, refusal.because, False, "", mechanism)
            raise
        self._exchanges += 1
        self._exchanges_by_address[key] = here + 1
        return Exchange(self, credentials, machine, partial(self._over, key))

    def _over(self, key: str) -> None:
        self._exchanges -= 1
        left = self._exchanges_by_address.pop(key) - 1
        if left:
            self._exchanges_by_address[key] = left

    async def _prove(self, credentials: Credentials) -> tuple[Device, tuple[str, ...], float, tuple[str, ...]]:
        """The device, by which kinds of proof, until when, and the marks of what proved it."""
        self._check_chain(credentials)
        by_certificate: Device | None = None
        until, mark = NEVER, ""
        if credentials.certificate is not None:
            by_certificate, until, mark = self.by_certificate(credentials.certificate)
        name = credentials.user_name
        if by_certificate is not None:
            if name is not None and name != by_certificate.name:
                raise Unproven(f"the certificate is of {by_certificate.name!r}, and the user name is not")
            name = by_certificate.name
        if credentials.password is None:
            if by_certificate is None:
                raise Unproven("a user name without a password")
            return by_certificate, (CERTIFICATE,), until, (mark,)
        if name is None:
            raise Unproven("a password without a user name or a certificate")
        device, password_until, password = await self.by_password(name, credentials.password, credentials.address)
        if credentials.certificate is None or not credentials.chain.takes_certificate:
            return device, (PASSWORD,), password_until, (password,)
        # While the password waited for its turn the certificate may have been taken back.
        if self.by_certificate(credentials.certificate)[0].name != device.name:
            raise Unproven("the certificate is not the device's any more")
        return device, (CERTIFICATE, PASSWORD), min(until, password_until), (mark, password)

    def _check_chain(self, credentials: Credentials) -> None:
        """Whether what is shown could be enough: said before any of it is looked at, so it tells nothing about it."""
        chain = credentials.chain
        shown: list[str] = []
        if credentials.certificate is not None:
            shown.append(CERTIFICATE)
        if credentials.password is not None:
            if not chain.takes_password:
                raise Refusal(NOT_AUTHORIZED, f"this listener takes no passwords: it asks for {chain}")
            shown.append(PASSWORD)
        if not shown and credentials.user_name is None:
            if chain.takes_password and chain.takes_certificate:
                because = "no credentials: send a client certificate, or user name and password"
            else:
                because = f"no credentials: this listener asks for {chain}"
            raise Refusal(NOT_AUTHORIZED, because)
        if shown and not chain.permits(shown):
            raise Refusal(NOT_AUTHORIZED, f"this listener asks for {chain}")

    def by_certificate(self, certificate: bytes) -> tuple[Device, float, str]:
        """The device that has this certificate on its record, in force now, until when, and its mark there. Errors:
        Unproven."""
        known = fingerprint(certificate)
        now = self.clock()
        device = self._directory.device_by_fingerprint(known)
        if device is None:
            former = self._directory.registry.revoked_from(known)
            if former is not None:
                raise Unproven(f"the certificate {known[:16]}... of {former!r} was revoked")
            found = foreign_device(self._directory.registry, certificate, now)
            if found is None:
                raise Unproven(f"the certificate {known[:16]}... is on no device's record")
            return found
        record = next(each for each in device.certificates if each.fingerprint == known)
        if now < record.not_before:
            raise Unproven(f"the certificate {known[:16]}... of {device.name!r} is not valid yet")
        ends = record.not_after if record.until is None else min(record.not_after, record.until)
        if now > ends:
            raise Unproven(f"the certificate {known[:16]}... of {device.name!r} has expired")
        return device, ends, mark_of(CERTIFICATE, known)

    async def by_password(self, name: str, password: bytes, address: str) -> tuple[Device, float, str]:
        """The device whose password it is, until when, and its mark. Errors: Unproven, Refusal(BUSY), SecurityError."""
        return await self._passwords.prove(name, password, address)

    # The end of every way. --------------------------------------------------------------------------

    def proven(
        self,
        credentials: Credentials,
        device: Device,
        kinds: tuple[str, ...],
        until: float,
        data: bytes | None = None,
        mechanism: str = "",
        marks: tuple[str, ...] = (),
    ) -> Proven:
        """What holds however it was proven. `device` is as of now. Errors: Unproven, Refusal, SecurityError."""
        kinds = tuple(sorted(kinds))  # one view for each set of them
        by = "+".join(reversed(kinds))
        if not device.enabled:
            raise Unproven(f"the device {device.name!r} is disabled")
        if device.require == BOTH and not (CERTIFICATE in kinds and {PASSWORD, SCRAM} & set(kinds)):
            raise Unproven(f"{device.name!r} must prove itself by password and certificate, and did by {by} only")
        if until <= self.clock():
            raise Unproven(f"what {device.name!r} was proven by has ended")
        principal = self._principals.of(device)
        if credentials.client_id and not principal.may_use_client_id(credentials.client_id):
            raise Refusal(CLIENT_ID_INVALID, f"{device.name!r} may not use this client identifier")
        fields: dict[str, object] = {
            "principal": device.name,
            "by": by,
            "client_id": credentials.client_id,
            "address": credentials.address,
            "protocol": credentials.protocol,
        }
        if mechanism:
            fields["mechanism"] = mechanism
        self._events(AUTHENTICATED, fields)
        return Proven(principal.under(Context(credentials.protocol, kinds)), kinds, until, data, marks)

    def refused(
        self, credentials: Credentials, because: str, braked: bool = False, claimed: str = "", mechanism: str = ""
    ) -> None:
        claimed = claimed or credentials.user_name or ""
        if claimed and not is_name(claimed):
            claimed = "(not a device's name)"  # perhaps a secret in the wrong field
        fields: dict[str, object] = {
            "claimed": claimed,
            "because": because,
            "braked": braked,
            "client_id": credentials.client_id,
            "address": credentials.address,
            "protocol": credentials.protocol,
        }
        if mechanism:
            fields["mechanism"] = mechanism
        self._events(AUTHENTICATION_REFUSED, fields)

    # What blocks. -----------------------------------------------------------------------------------

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """On the threads of passwords."""
        return await self._verifier.run(function)

    async def write(self, act: Callable[[Registry], _Result]) -> _Result:
        """With a registry of its own: a connection belongs to its thread. Errors: SecurityError."""

        def work() -> _Result:
            registry = Registry(self._data, busy_seconds=1.0)
            try:
                return act(registry)
            finally:
                registry.close()

        return await self._verifier.run(work)

    async def advance_otp(self, name: str, before: OtpState, after: OtpState) -> bool:
        now = self.clock()
        return await self.write(lambda registry: self.answers.advance_otp(registry, name, before, after, now))

    def _keep(self, lockout: Lockout) -> None:
        task = asyncio.get_running_loop().create_task(self._kept(lockout))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _kept(self, lockout: Lockout) -> None:
        now = self.clock()
        try:
            await self.write(lambda registry: keep(registry, lockout, now))
        except SecurityError as fault:
            self._events(LOCKOUT_NOT_KEPT, {"because": str(fault)})
        else:
            self._lockouts.kept(lockout)
