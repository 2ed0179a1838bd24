"""Who is it? Certificate and password against the device's record; then the client identifier, and who may be slower.

The rules, in this order:
1. A client certificate names its device by fingerprint. It must be on record, in force, and not revoked. TLS has
   verified the chain before; in a resumed session it has not, so the record counts.
2. A user name is the device's name. With a certificate it must be the same device. A password that is sent must be
   right, also beside a certificate.
3. `require = "password+certificate"` asks for both. A disabled device has no credentials at all.
4. The client identifier must be one that the record permits; an empty one is left to the caller.

A peer is told that its credentials are bad, whatever was wrong with them, and as late for a name that does not exist.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.core.errors import BAD_CREDENTIALS, CLIENT_ID_INVALID, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from bridgehead.core.policy import Principal
from bridgehead.security.brake import Brake, BrakeLimits, address_key
from bridgehead.security.certificates import fingerprint
from bridgehead.security.directory import Directory
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import (
    AUTHENTICATED,
    AUTHENTICATION_REFUSED,
    PASSWORD_NOT_REHASHED,
    PASSWORD_REHASHED,
)
from bridgehead.security.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.principals import Principals
from bridgehead.security.records import Device, is_name
from bridgehead.security.registry import Registry

CERTIFICATE: Final = "certificate"
PASSWORD: Final = "password"  # noqa: S105 - the kind of credential
BOTH: Final = "password+certificate"

SEEN: Final = 65_536  # (identity, address) pairs that are remembered to have got in

_BAD: Final = "the credentials are not accepted"


class Credentials:
    """What a peer shows. `certificate` (DER) was verified by TLS. `address` is the peer's, with or without port."""

    def __init__(
        self,
        user_name: str | None,
        password: bytes | None,
        certificate: bytes | None,
        client_id: str,
        address: str,
        protocol: str,
    ) -> None:
        self.user_name: Final = user_name
        self.password: Final = password
        self.certificate: Final = certificate
        self.client_id: Final = client_id
        self.address: Final = address
        self.protocol: Final = protocol

    def __repr__(self) -> str:
        """Without anything that the peer claims: a user name field may hold a password typed too early."""
        return f"Credentials(address={self.address!r}, protocol={self.protocol!r})"


class _Unproven(Exception):
    """The credentials do not prove a device; the text is for the log."""


class _Braked(_Unproven):
    """Not even looked at."""


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
    ) -> None:
        """`identity_brake` counts failures per (identity, address), `address_brake` per address. An identity is
        never braked for an address from which nobody failed."""
        self._directory: Final = Directory(registry)
        self._data: Final = registry.path.parent
        self._principals: Final = Principals(self._directory, events)
        self._events: Final = events
        self._clock: Final = clock
        self._verifier: Final = verifier if verifier is not None else PasswordVerifier(PasswordHasher())
        self._identity_brake: Final = Brake(identity_brake if identity_brake is not None else BrakeLimits(free=5))
        self._address_brake: Final = Brake(address_brake if address_brake is not None else BrakeLimits(free=50))
        self._seen: OrderedDict[str, None] = OrderedDict()

    def limit(
        self,
        identity_brake: BrakeLimits,
        address_brake: BrakeLimits,
        waiting: int,
        waiting_per_address: int,
        remember_seconds: float,
    ) -> None:
        """Put other limits in force, from the next try on. The last three are as in PasswordVerifier."""
        self._identity_brake.limits = identity_brake
        self._address_brake.limits = address_brake
        self._verifier.limit(waiting, waiting_per_address, remember_seconds)

    def close(self) -> None:
        """Waits for a hash that is being computed. The registry stays open: it is its maker's."""
        self._verifier.close()

    # Principals. ------------------------------------------------------------------------------------

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

    # Proof. -----------------------------------------------------------------------------------------

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Errors: Refusal(BAD_CREDENTIALS | NOT_AUTHORIZED | CLIENT_ID_INVALID | BUSY | UNAVAILABLE)."""
        try:
            self._principals.follow()
            device, by = await self._prove(credentials)
            principal = self._principals.of(device)
        except _Unproven as fault:
            self._refused(credentials, str(fault), isinstance(fault, _Braked))
            raise Refusal(BAD_CREDENTIALS, _BAD) from None
        except Refusal as refusal:
            self._refused(credentials, refusal.because)
            raise
        except SecurityError as fault:
            self._refused(credentials, str(fault))
            raise Refusal(UNAVAILABLE, "identities cannot be read just now") from None
        if credentials.client_id and not principal.may_use_client_id(credentials.client_id):
            self._refused(credentials, f"the record of {device.name!r} does not permit this client identifier")
            raise Refusal(CLIENT_ID_INVALID, f"{device.name!r} may not use this client identifier")
        self._events(
            AUTHENTICATED,
            {
                "principal": device.name,
                "by": by,
                "client_id": credentials.client_id,
                "address": credentials.address,
                "protocol": credentials.protocol,
            },
        )
        return principal

    async def _prove(self, credentials: Credentials) -> tuple[Device, str]:
        """The device, and by which credentials."""
        by_certificate: Device | None = None
        if credentials.certificate is not None:
            by_certificate = self._device_of(credentials.certificate)
        name = credentials.user_name
        if by_certificate is not None:
            if name is not None and name != by_certificate.name:
                raise _Unproven(f"the certificate is of {by_certificate.name!r}, and the user name is not")
            name = by_certificate.name
        if credentials.password is not None:
            if name is None:
                raise _Unproven("a password without a user name or a certificate")
            device = await self._by_password(name, credentials)
            if by_certificate is None:
                proven = PASSWORD
            else:
                # While the password waited for its turn the certificate may have been taken back.
                if credentials.certificate is None or self._device_of(credentials.certificate).name != device.name:
                    raise _Unproven("the certificate is not the device's any more")
                proven = BOTH
        elif by_certificate is not None:
            device, proven = by_certificate, CERTIFICATE
        elif name is not None:
            raise _Unproven("a user name without a password")
        else:
            raise Refusal(NOT_AUTHORIZED, "no credentials: send a client certificate, or user name and password")
        if not device.enabled:
            raise _Unproven(f"the device {device.name!r} is disabled")
        if device.require == BOTH and proven != BOTH:
            raise _Unproven(f"{device.name!r} must prove itself by password and certificate, and did by {proven} only")
        return device, proven

    def _device_of(self, certificate: bytes) -> Device:
        """The device that has this certificate on its record, in force now."""
        known = fingerprint(certificate)
        device = self._directory.device_by_fingerprint(known)
        if device is None:
            former = self._directory.registry.revoked_from(known)
            if former is not None:
                raise _Unproven(f"the certificate {known[:16]}... of {former!r} was revoked")
            raise _Unproven(f"the certificate {known[:16]}... is on no device's record")
        record = next(each for each in device.certificates if each.fingerprint == known)
        now = self._clock()
        if now < record.not_before:
            raise _Unproven(f"the certificate {known[:16]}... of {device.name!r} is not valid yet")
        if now > record.not_after:
            raise _Unproven(f"the certificate {known[:16]}... of {device.name!r} has expired")
        return device

    async def _by_password(self, name: str, credentials: Credentials) -> Device:
        """One way for every name: an unknown one, and one without a password, cost a hash too."""
        password = credentials.password
        assert password is not None
        address = address_key(credentials.address)
        pair = f"{address} {name if is_name(name) else ''}"
        tried = ""

        def due() -> str:
            """The password's turn has come: what it is to be held against, as of now."""
            nonlocal tried
            self._check_brakes(pair, address)
            tried = self._stored(name)[1]
            return tried

        self._check_brakes(pair, address)
        device, stored = self._stored(name)
        right = self._verifier.remembers(stored, password, self._clock())
        if not right:
            try:
                right = await self._verifier.verify(address, password, due, self._clock)
            except asyncio.CancelledError:
                if tried:  # else who never waits for the answer would have hashes computed without end
                    self._failed(pair, address)
                raise
            device, stored = self._stored(name)
            right = right and stored == tried  # else it was changed while the hash was computed
        if not right or device is None:
            self._failed(pair, address)
            raise _Unproven(_why_not(name, device))
        self._identity_brake.succeeded(pair)
        self._seen_here(pair)
        if self._verifier.hasher.is_outdated(stored):
            await self._hash_anew(device.name, stored, password)
            device = self._still(device)
        return device

    def _still(self, proven: Device) -> Device:
        """The device as it is now; its password must be the one that was proven."""
        device = self._stored(proven.name)[0]
        chosen = None if device is None or device.password is None else (device.created, device.password.set_at)
        if device is None or proven.password is None or chosen != (proven.created, proven.password.set_at):
            raise _Unproven(f"the device {proven.name!r} was changed while its password's hash was made anew")
        return device

    def _failed(self, pair: str, address: str) -> None:
        now = self._clock()
        self._identity_brake.failed(pair, now)
        self._address_brake.failed(address, now)

    def _stored(self, name: str) -> tuple[Device | None, str]:
        """The device, and the hash of its password or one that no password leads to."""
        self._principals.follow()
        device = self._directory.device(name) if is_name(name) else None
        if device is None or device.password is None:
            return device, self._verifier.hasher.nobody
        return device, device.password.encoded

    def _check_brakes(self, pair: str, address: str) -> None:
        """Neighbours behind one address don't pay for each other: who has got in from there is spared its brake."""
        now = self._clock()
        wait = self._identity_brake.wait(pair, now)
        if pair not in self._seen:
            wait = max(wait, self._address_brake.wait(address, now))
        if wait > 0:
            raise _Braked(f"too many wrong tries from this address: not looked at for another {wait:.0f} s")

    def _seen_here(self, pair: str) -> None:
        self._seen[pair] = None
        self._seen.move_to_end(pair)
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)

    async def _hash_anew(self, name: str, old: str, password: bytes) -> None:
        """The parameters have changed since the hash was made. If it does not work now, it will another time."""

        def work() -> None:
            registry = Registry(self._data, busy_seconds=1.0)  # a connection belongs to its thread
            try:
                registry.renew_password_hash(name, old, self._verifier.hasher.hash(password))
            finally:
                registry.close()

        try:
            await self._verifier.run(work)
        except SecurityError as fault:
            self._events(PASSWORD_NOT_REHASHED, {"principal": name, "because": str(fault)})
        else:
            self._events(PASSWORD_REHASHED, {"principal": name})

    def _refused(self, credentials: Credentials, because: str, braked: bool = False) -> None:
        claimed = credentials.user_name
        if claimed is None:
            claimed = ""
        elif not is_name(claimed):
            claimed = "(not a device's name)"  # perhaps a secret in the wrong field
        self._events(
            AUTHENTICATION_REFUSED,
            {
                "claimed": claimed,
                "because": because,
                "braked": braked,
                "client_id": credentials.client_id,
                "address": credentials.address,
                "protocol": credentials.protocol,
            },
        )


def _why_not(name: str, device: Device | None) -> str:
    """For the log only."""
    if device is None:
        return f"there is no device {name!r}" if is_name(name) else "the user name is no device's"
    if device.password is None:
        return f"the device {name!r} has no password"
    return f"the password is not that of {name!r}"
