"""Who is it, by a key that a handshake of TLS or DTLS proves: a pre-shared key, a raw public key, a certificate.

Asked in the midst of a handshake, so everything here answers at once. Whoever offers a pre-shared key cannot tell an
identity that does not exist from one whose key it does not have (RFC 4279 section 2, RFC 6347): both take as long.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final, Literal, Protocol

from bridgehead.broker.events import EventSink
from bridgehead.core.errors import BAD_CREDENTIALS, UNAVAILABLE, Refusal
from bridgehead.security.credentials import PreSharedKeyRecord, RawPublicKeyRecord, Sealed, psk_context
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import RECORD_UNREADABLE
from bridgehead.security.login.answers import Unseals
from bridgehead.security.login.guard import Guard
from bridgehead.security.login.proof import NEVER, Braked, Credentials, Proven, Unproven
from bridgehead.security.mechanisms import CERTIFICATE, PRE_SHARED_KEY, RAW_PUBLIC_KEY
from bridgehead.security.records import Device, is_name
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.enforced import is_barred, mark_of

Kind = Literal["psk", "rpk", "certificate"]

_BAD: Final = "the credentials are not accepted"
_NOBODY: Final = "nobody's pre-shared key"
_KEY_OCTETS: Final = 32
_REMEMBERED: Final = 10_000  # identities, of devices and of nobody
_BRAKED: Final = 1_000  # handshakes under way that cannot come to anything


class Desk(Protocol):
    """What it needs of the authenticator, which explains each."""

    @property
    def guard(self) -> Guard: ...

    def clock(self) -> float: ...

    def follow(self) -> None: ...

    def by_certificate(self, certificate: bytes) -> tuple[Device, float, str]: ...

    def proven(
        self,
        credentials: Credentials,
        device: Device,
        kinds: tuple[str, ...],
        until: float,
        data: bytes | None = None,
        mechanism: str = "",
        marks: tuple[str, ...] = (),
    ) -> Proven: ...

    def refused(
        self, credentials: Credentials, because: str, braked: bool = False, claimed: str = "", mechanism: str = ""
    ) -> None: ...


class KeyProof:
    """Lives on the event loop's thread. `vault` opens the keys; without it nobody gets in by a pre-shared key."""

    def __init__(self, authenticator: Desk, directory: Directory, vault: Unseals | None, events: EventSink) -> None:
        self._authenticator: Final = authenticator
        self._directory: Final = directory
        self._vault: Final = vault
        self._events: Final = events
        self._version = directory.version
        # Asked again, an identity costs as much whether it exists or not.
        self._holders: dict[bytes, str | None] = {}
        self._braked: dict[tuple[bytes, str], str] = {}
        self._nobodys: Sealed | None = None

    # In the midst of a handshake. -------------------------------------------------------------------

    def pre_shared_key(self, identity: bytes, address: str) -> bytes | None:
        """The key of this identity, if it may be used from there just now. None after the same time."""
        try:
            self._authenticator.follow()
            device = self._holder(identity)
            record = None if device is None else self._psk_in_force(device, identity)
            if record is not None and device is not None and not is_barred(device):
                key = self._open(record.key, psk_context(device.name, record.identity))
            else:
                key = None
                self._open_nobodys()
        except SecurityError as fault:
            self._events(RECORD_UNREADABLE, {"principal": _shown(identity), "because": str(fault)})
            return None
        try:
            self._authenticator.guard.check(_claimed(device, identity), address)
        except Braked as braked:
            while len(self._braked) >= _BRAKED:
                del self._braked[next(iter(self._braked))]
            self._braked[identity, address] = str(braked)
            return None
        return key

    def knows_raw_key(self, spki: bytes) -> bool:
        """Whether this raw public key (DER SubjectPublicKeyInfo) is on the record of a device, in force."""
        try:
            self._authenticator.follow()
            device, record = self._by_raw_key(spki)
        except (SecurityError, Unproven):
            return False
        return record is not None and device is not None and not is_barred(device)

    # After it. --------------------------------------------------------------------------------------

    def prove(self, kind: Kind, shown: bytes, address: str, protocol: str) -> Proven:
        """Whose is what the handshake has proven? `shown` is the identity of a pre-shared key, the raw public key or
        the certificate (DER). A resumed session is judged as a new one. Errors: Refusal(BAD_CREDENTIALS |
        UNAVAILABLE)."""
        authenticator = self._authenticator
        credentials = Credentials(None, None, shown if kind == CERTIFICATE else None, "", address, protocol)
        device: Device | None = None
        try:
            authenticator.follow()
            if kind == CERTIFICATE:
                device, until, mark = authenticator.by_certificate(shown)
            elif kind == RAW_PUBLIC_KEY:
                device, until, mark = self._prove_raw_key(shown)
            else:
                device, until, mark = self._prove_psk(shown)
            proven = authenticator.proven(credentials, device, (kind,), until, marks=(mark,))
        except Unproven as fault:
            authenticator.refused(credentials, str(fault), False, _name_of(device), kind)
            raise Refusal(BAD_CREDENTIALS, _BAD) from None
        except Refusal as refusal:
            authenticator.refused(credentials, refusal.because, False, _name_of(device), kind)
            raise
        except SecurityError as fault:
            authenticator.refused(credentials, str(fault), False, _name_of(device), kind)
            raise Refusal(UNAVAILABLE, "identities cannot be read just now") from None
        if kind == PRE_SHARED_KEY:
            authenticator.guard.succeeded(device.name, address)
        return proven

    def failed(self, kind: Kind | None, shown: bytes, because: str, address: str, protocol: str) -> None:
        """A handshake failed at its proof, from an address that is the peer's. A wrong pre-shared key is a wrong try as
        a wrong password is one; keys and certificates cannot be guessed."""
        authenticator = self._authenticator
        credentials = Credentials(None, None, None, "", address, protocol)
        try:
            device = self._holder(shown) if kind == PRE_SHARED_KEY else None
            if kind == RAW_PUBLIC_KEY:
                device, _ = self._by_raw_key(shown)
        except (SecurityError, Unproven):
            device = None
        claimed = _claimed(device, shown) if kind == PRE_SHARED_KEY else _name_of(device)
        braked = self._braked.pop((shown, address), "") if kind == PRE_SHARED_KEY else ""
        authenticator.refused(credentials, braked or because, bool(braked), claimed, kind or "")
        if kind == PRE_SHARED_KEY and not braked:
            authenticator.guard.failed(claimed, address)

    # Records. ---------------------------------------------------------------------------------------

    def _holder(self, identity: bytes) -> Device | None:
        """Errors: SecurityError."""
        version = self._directory.version
        if version != self._version or len(self._holders) >= _REMEMBERED:
            self._version = version
            self._holders.clear()
        if identity in self._holders:
            name = self._holders[identity]
            return None if name is None else self._directory.device(name)
        try:
            device = self._directory.device_by_psk_identity(identity.decode())
        except UnicodeDecodeError:  # RFC 4279 section 5.1: it should be UTF-8; those on record are
            device = None
        self._holders[identity] = None if device is None else device.name
        return device

    def _psk_in_force(self, device: Device, identity: bytes) -> PreSharedKeyRecord | None:
        text = identity.decode()
        for record in device.pre_shared_keys:
            if record.identity == text and self._lives(record.until):
                return record
        return None

    def _prove_psk(self, identity: bytes) -> tuple[Device, float, str]:
        device = self._holder(identity)
        record = None if device is None else self._psk_in_force(device, identity)
        if device is None or record is None:
            raise Unproven("the pre-shared key is on no device's record any more")
        return device, _end(record.until), mark_of(PRE_SHARED_KEY, f"{record.identity} {record.set_at}")

    def _by_raw_key(self, spki: bytes) -> tuple[Device | None, RawPublicKeyRecord | None]:
        known = hashlib.sha256(spki).hexdigest()
        device = self._directory.device_by_raw_key(known)
        if device is None:
            return None, None
        for record in device.raw_public_keys:
            if record.fingerprint == known and self._lives(record.until):
                return device, record
        return device, None

    def _prove_raw_key(self, spki: bytes) -> tuple[Device, float, str]:
        device, record = self._by_raw_key(spki)
        if device is None or record is None:
            raise Unproven(f"the raw public key {hashlib.sha256(spki).hexdigest()[:16]}... is on no device's record")
        return device, _end(record.until), mark_of(RAW_PUBLIC_KEY, f"{record.fingerprint} {record.set_at}")

    def _lives(self, until: float | None) -> bool:
        return until is None or self._authenticator.clock() < until

    # Sealed keys. -----------------------------------------------------------------------------------

    def _open(self, sealed: Sealed, context: str) -> bytes | None:
        return None if self._vault is None else self._vault.open_sealed(sealed, context)

    def _open_nobodys(self) -> None:
        """Takes what opening somebody's takes."""
        vault = self._vault
        if vault is None or not vault.unlock():
            return
        if self._nobodys is None:
            self._nobodys = vault.seal(secrets.token_bytes(_KEY_OCTETS), _NOBODY)
        try:
            vault.open_sealed(self._nobodys, _NOBODY)
        except SecurityError:  # the master key is another one since
            self._nobodys = None


def _end(until: float | None) -> float:
    return NEVER if until is None else until


def _name_of(device: Device | None) -> str:
    return "" if device is None else device.name


def _claimed(device: Device | None, identity: bytes) -> str:
    return device.name if device is not None else _shown(identity)


def _shown(identity: bytes) -> str:
    """An identity of nobody may be a secret in the wrong field."""
    text = identity.decode("utf-8", "replace")
    return text if is_name(text) else "(not a device's name)"
