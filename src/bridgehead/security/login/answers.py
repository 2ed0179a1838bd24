"""What the hub answers to the questions of SASL mechanisms: the registry's part, with one look for every "no"."""

from __future__ import annotations

import secrets
from typing import Final, Protocol

from msgspec.structs import replace

from bridgehead.security.credentials import OtpRecord, PasswordRecord, ScramRecord, Sealed, ntlm_context, otp_context
from bridgehead.security.errors import SecurityError
from bridgehead.security.mechanisms import SCRAM
from bridgehead.security.records import Device, is_name
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.enforced import mark_of_password
from bridgehead.security.sasl.contract import OtpState
from bridgehead.security.tokens.verify import VerifiedToken

_NOBODY: Final = "nobody"


class Unseals(Protocol):
    """The part of security.vault.Vault that log-ins need."""

    def unlock(self) -> bool: ...

    def seal(self, plain: bytes, context: str) -> Sealed: ...

    def open_sealed(self, sealed: Sealed, context: str) -> bytes: ...


class VerifiesTokens(Protocol):
    """security.tokens.verifier.TokenVerifier. Errors of `verify`: NotAccepted."""

    async def verify(self, text: str) -> VerifiedToken: ...


def passwords_in_force(device: Device | None, now: float) -> tuple[PasswordRecord, ...]:
    """The password, then the one before it until its time is over. A disabled device's too: its right password is no
    wrong try, which would keep it out when it is enabled again."""
    if device is None:
        return ()
    known = (device.password, device.former_password)
    return tuple(each for each in known if each is not None and (each.until is None or now < each.until))


def scram_record(device: Device | None, mechanism: str, now: float) -> tuple[ScramRecord, float | None, str] | None:
    """The verifier of the password in force, until when, and the mark. A rotation's former
    password has none: a client cannot be asked twice."""
    for password in passwords_in_force(device, now)[:1]:
        for record in password.scram:
            if record.mechanism == mechanism:
                return record, password.until, mark_of_password(SCRAM, password)
    return None


class Answers:
    """Reads by the event loop's registry; writes (`advance_otp`) are for a thread with a registry of its own."""

    def __init__(self, directory: Directory, vault: Unseals | None) -> None:
        self._directory: Final = directory
        self._vault: Final = vault
        self._nobodys: Sealed | None = None

    def device(self, name: str) -> Device | None:
        """Call `follow` of the authenticator before."""
        return self._directory.claimed(name) if is_name(name) else None

    def by_kerberos(self, principal: str) -> Device | None:
        return self._directory.registry.device_by_kerberos(principal)

    def by_token(self, claims: VerifiedToken) -> Device | None:
        return self._directory.registry.device_by_token_subject(claims.issuer, claims.subject)

    def otp(self, name: str) -> OtpState | None:
        """Errors: SecurityError, where the master key is not there."""
        device = self.device(name)
        if device is None or not device.enabled or device.otp is None or self._vault is None:
            self._open_nobodys()
            return None
        return self._otp_state(device.name, device.otp)

    def _open_nobodys(self) -> None:
        """Costs what it costs to open somebody's."""
        if self._vault is None or not self._vault.unlock():
            return
        if self._nobodys is None:
            self._nobodys = self._vault.seal(secrets.token_bytes(8), _NOBODY)
        try:
            self._vault.open_sealed(self._nobodys, _NOBODY)
        except SecurityError:  # the master key is another one since
            self._nobodys = None

    def _otp_state(self, name: str, record: OtpRecord) -> OtpState:
        assert self._vault is not None
        last = self._vault.open_sealed(record.last, otp_context(name))
        return OtpState(record.algorithm, record.sequence, record.seed, last)

    def advance_otp(self, registry: Registry, name: str, before: OtpState, after: OtpState, now: float) -> bool:
        """One transaction: False when another exchange was faster. Errors: SecurityError."""
        vault = self._vault
        if vault is None:
            return False
        with registry.transaction():
            device = registry.device(name)
            if device is None or not device.enabled or device.otp is None:
                return False
            if self._otp_state(name, device.otp) != before:
                return False
            algorithm = device.otp.algorithm
            if after.algorithm == "otp-md5":
                algorithm = "otp-md5"
            elif after.algorithm == "otp-sha1":
                algorithm = "otp-sha1"
            else:
                raise SecurityError(f"{after.algorithm!r} is no algorithm of one-time passwords")
            record = OtpRecord(
                algorithm, after.sequence, after.seed, vault.seal(after.last, otp_context(name)), device.otp.set_at
            )
            registry.update_device(replace(device, otp=record), now)
        return True

    def nt_hash(self, name: str, now: float) -> bytes | None:
        """Errors: SecurityError, where the master key is not there."""
        for password in passwords_in_force(self.device(name), now)[:1]:
            if password.ntlm is not None and self._vault is not None:
                return self._vault.open_sealed(password.ntlm, ntlm_context(name))
        self._open_nobodys()
        return None
