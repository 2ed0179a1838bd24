"""Whole acts on identities: enrol a device with its credentials, renew them, take all of them back.

Joins the registry, the authority and the vault, so that a record never exists without what it says, nor a certificate
that counts without its record. Every act is told to `audit` before it is committed: none goes unrecorded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import fields, replace

from bridgehead.security import events, files
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.identity import invites
from bridgehead.security.identity.audit import Audit, refusals, unheard
from bridgehead.security.identity.bulk import Progress, make_all
from bridgehead.security.identity.credentials import Made, certificate_record, make
from bridgehead.security.identity.invites import Invitation
from bridgehead.security.identity.rotation import (
    check_kinds,
    kinds_of,
    rotated,
    without_credentials,
    without_ended,
)
from bridgehead.security.identity.sealed import Resealer
from bridgehead.security.identity.wanted import Enrolled, Fresh, Wanted
from bridgehead.security.login.brake import address_key
from bridgehead.security.login.lockouts import IDENTITY
from bridgehead.security.login.passwords import PasswordHasher, generate_password
from bridgehead.security.mechanisms import CERTIFICATE, DDS, OSCORE, OTP, PASSWORD, PRE_SHARED_KEY, RAW_PUBLIC_KEY
from bridgehead.security.pki import opening as authority
from bridgehead.security.pki.hub import Pki
from bridgehead.security.pki.issued import IssuedCertificate
from bridgehead.security.pki.machine import MachineNames, machine_names
from bridgehead.security.records import Device, PermissionRecord, Role
from bridgehead.security.registry.registry import Registry
from bridgehead.security.vault import Passphrase, Vault

__all__ = ["Enrolled", "Fresh", "Identity", "Wanted"]

LONGEST_OVERLAP: Final = 90 * 86400.0
_REKEY_LOCK: Final = ".rekey.lock"


class Identity:
    """The identities of one data folder, whether the hub runs on it or not. Errors of every method: SecurityError,
    NotAcceptable for what cannot be done as asked; nothing was changed then."""

    def __init__(
        self,
        data: Path,
        clock: Callable[[], float] = time.time,
        audit: Audit = unheard,
        passphrase: Passphrase | None = None,
    ) -> None:
        """Makes the folder, the database and the authority at need. `passphrase` is asked for the master key's."""
        self.data: Final = data
        self._clock: Final = clock
        self.audit: Final = audit
        self.registry: Final = Registry(data)
        self.vault: Final = Vault(data, passphrase)
        try:
            self.pki: Final[Pki] = authority.open_authority(data, clock())
        except BaseException:
            self.registry.close()
            raise

    def close(self) -> None:
        self.registry.close()

    def now(self) -> float:
        return self._clock()

    def refused(self, act: str, because: Exception, principal: str = "") -> None:
        """Tell the audit log of what was refused before it became an act here."""
        self.audit(events.ACT_REFUSED, {"act": act, "principal": principal, "because": str(because)})

    # Enrolment. -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def enrolling(self, wanted: Wanted) -> Iterator[Enrolled]:
        """The device exists when the `with` block has been left in order, and not at all when it raised.

        So whoever hands over the credentials does it inside, and undoes it when leaving the block raises.
        """
        with refusals(self.audit, "add", wanted.name):
            wanted.check()
            now = self._clock()
            # Signing and hashing take a while: other writers need not wait for them. What can be told before, is.
            self.registry.check_free(wanted.name)
            made = make(wanted.fresh, wanted.name, now, self.pki, self.vault.seal, _hash)
            device = made.device(wanted, now)
            with self.registry.transaction():
                self.registry.add_device(device)
                permissions = self.registry.permissions_of(device)
                yield made.enrolled(device, permissions, files.read(self.pki.authority_file))
                self.audit(events.DEVICE_ADDED, _told(device))

    @contextlib.contextmanager
    def importing(
        self, wanted: Sequence[Wanted], source: str = "", progress: Progress = lambda count: None
    ) -> Iterator[list[Enrolled]]:
        """Enrol all of them or none, as `enrolling` does one. `source`: the file's name, for the audit log. `progress`
        is told how many have their credentials."""
        with refusals(self.audit, "import", ""):
            now = self._clock()

            def make_one(each: Wanted) -> Made:
                return make(each.fresh, each.name, now, self.pki, self.vault.seal, _hash)

            if any(each.fresh.psk is not None or each.fresh.oscore or each.fresh.otp for each in wanted):
                self.vault.prepare_to_seal()  # before threads would do it at the same time
            made = make_all(wanted, make_one, progress)
            authority_pem = files.read(self.pki.authority_file)
            with self.registry.transaction():
                enrolled: list[Enrolled] = []
                for each, one in zip(wanted, made, strict=True):
                    device = one.device(each, now)
                    self.registry.add_device(device)
                    enrolled.append(one.enrolled(device, list(device.permissions), authority_pem))
                yield enrolled
                self.audit(events.DEVICES_IMPORTED, {"count": len(enrolled), "source": source})

    def add_certificate(self, name: str, issued: IssuedCertificate, overlap: float = 0.0) -> Device:
        """Put a certificate on the device's record that it enrolled for itself; its others count for `overlap` seconds
        more."""

        def with_certificate(device: Device) -> Device:
            now = self._clock()
            record = certificate_record(issued)
            if device.revoked_at is not None:
                raise NotAcceptable(f"the device {name!r} was revoked: it gets no certificate")
            kept = tuple(
                replace(each, until=min(each.until or now + overlap, now + overlap))
                for each in device.certificates
                if overlap > 0
            )
            return replace(device, certificates=(record, *kept))

        return self._change("enrol", name, with_certificate, events.DEVICE_ROTATED, which=CERTIFICATE, overlap=overlap)

    # Renewal. ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def rotating(
        self, name: str, overlap: float = 0.0, which: Sequence[str] | None = None, password: bytes | None = None
    ) -> Iterator[Enrolled]:
        """New credentials of the kinds `which` (security.mechanisms; None: all that the device has of those that we
        make). The old ones count for `overlap` seconds more. `password`: instead of a generated one.

        As with `enrolling`: nothing has changed when the block raises.
        """
        with refusals(self.audit, "rotate", name):
            if not 0 <= overlap <= LONGEST_OVERLAP:
                raise NotAcceptable(f"an overlap is 0 s to {LONGEST_OVERLAP / 86400:g} days long")
            now = self._clock()
            old = self.registry.existing_device(name)
            kinds = kinds_of(old) if which is None else list(dict.fromkeys(which))
            check_kinds(old, kinds)
            made = make(_fresh(old, kinds, overlap, password), name, now, self.pki, self.vault.seal, _hash)
            with self.registry.transaction():
                current = self.registry.existing_device(name)
                if current.created != old.created or current.revoked_at is not None:
                    raise NotAcceptable(f"the device {name!r} was replaced or revoked meanwhile: look again")
                device = rotated(without_ended(current, now), made, now, overlap)
                self.registry.update_device(device, now)
                permissions = self.registry.permissions_of(device)
                yield made.enrolled(device, permissions, files.read(self.pki.authority_file))
                self.audit(
                    events.DEVICE_ROTATED, {"principal": name, "which": " ".join(kinds), "overlap": float(overlap)}
                )
        self._publish(f"{name!r} has its new credentials")

    def end_overlaps(self) -> list[str]:
        """Take credentials whose time is over off their records, and put certificates on the revocation list; returns
        the devices. The hub does it when `Registry.next_ending` has come; they count no longer in any case."""
        now = self._clock()
        ended: list[str] = []
        for name in self.registry.devices_with_ended(now):
            with self.registry.transaction():
                device = self.registry.device(name)
                changed = None if device is None else without_ended(device, now)
                if changed is not None and changed != device:
                    # Of password and certificate one may be left: the rule of both stays, so nobody gets in by one.
                    self.registry.update_device(changed, now, complete=False)
                    ended.append(name)
        return ended

    # Taking back. -----------------------------------------------------------------------------------

    def revoke(self, name: str) -> Device:
        """Every credential at once. The record stays without them, so that it can be explained. Returns what it was."""
        with refusals(self.audit, "revoke", name), self.registry.transaction():
            now = self._clock()
            old = self.registry.existing_device(name)
            if old.revoked_at is not None:
                raise NotAcceptable(f"the device {name!r} is revoked already: `device remove` forgets it")
            self.registry.update_device(without_credentials(old, now), now)
            self.registry.forget_invites(name)
            self.audit(events.DEVICE_REVOKED, {"principal": name, "certificates": len(old.certificates)})
        self._publish(f"{name!r} is revoked and its credentials are void")
        return old

    def remove_device(self, name: str) -> Device:
        """The device and all its credentials, at once: its certificates are revoked. Returns what it was."""
        with refusals(self.audit, "remove", name), self.registry.transaction():
            device = self.registry.remove_device(name, self._clock())
            self.audit(events.DEVICE_REMOVED, {"principal": name, "certificates": len(device.certificates)})
        self._publish(f"{name!r} is removed and its credentials are void")
        return device

    # Changes. ---------------------------------------------------------------------------------------

    def enable(self, name: str) -> Device:
        def opened(device: Device) -> Device:
            if device.revoked_at is not None:
                raise NotAcceptable(
                    f"the device {name!r} was revoked and has no credentials: remove it and add it again"
                )
            return replace(device, enabled=True)

        return self._change("enable", name, opened, events.DEVICE_ENABLED)

    def disable(self, name: str) -> Device:
        """It may nothing and its connections end; its credentials and sessions wait for `enable`."""
        return self._change("disable", name, lambda device: replace(device, enabled=False), events.DEVICE_DISABLED)

    def change(self, name: str, changed: Callable[[Device], Device]) -> Device:
        """Replace the record by what `changed` makes of it, in one transaction. Nothing secret is decided here."""

        def checked(device: Device) -> Device:
            if device.revoked_at is not None:
                raise NotAcceptable(f"the device {name!r} was revoked: it is kept as it was, for whoever asks why")
            return changed(device)

        return self._change("set", name, checked, events.DEVICE_CHANGED)

    def add_role(self, name: str, permissions: Sequence[PermissionRecord]) -> Role:
        role = Role(name=name, created=self._clock(), permissions=tuple(permissions))
        self.registry.add_role(role)
        return role

    def unlock(self, name: str | None, address: str | None) -> list[tuple[str, str]]:
        """Lift the lock-outs of the device, at the address, or of the device at the address; returns which."""
        with refusals(self.audit, "unlock", name or ""), self.registry.transaction():
            if name is not None:
                self.registry.existing_device(name)
            wanted = None if address is None else address_key(address)
            lifted: list[tuple[str, str]] = []
            for each in self.registry.lockouts(IDENTITY):
                device, _, at = each.key.partition(" ")
                if name in (None, device) and wanted in (None, at):
                    self.registry.remove_lockout(each.kind, each.key)
                    lifted.append((device, at))
            if lifted:
                self.audit(
                    events.DEVICE_UNLOCKED, {"principal": name or "", "address": address or "", "count": len(lifted)}
                )
        return lifted

    # Invitations. -----------------------------------------------------------------------------------

    def invite(self, name: str, seconds: float = invites.LIFE) -> Invitation:
        """A token by which the device enrols itself once (RFC 7030), within so many seconds."""
        with refusals(self.audit, "invite", name), self.registry.transaction():
            made = invites.invite(self.registry, name, seconds, self._clock())
            self.audit(events.DEVICE_INVITED, {"principal": name, "expires": made.expires})
        return made

    def redeem(self, token: str, now: float | None = None) -> Device:
        """The device that the token invites. It counts once, also when several try at the same moment.

        Errors: NotAcceptable, the same for a token that is unknown, used, expired or void.
        """
        with refusals(self.audit, "redeem", ""):
            device = invites.redeem(self.registry, token, self._clock() if now is None else now)
            if device is None:
                raise NotAcceptable("this invitation is unknown, used or expired: ask for a new one (`device invite`)")
            self.audit(events.INVITE_REDEEMED, {"principal": device.name})
        return device

    # The master key. --------------------------------------------------------------------------------

    def protect(self, passphrase: bytes | None) -> None:
        """Put the master key under a pass phrase from now on, or under none."""
        with refusals(self.audit, "protect", ""):
            self.vault.protect(passphrase)
            self.audit(events.MASTER_KEY_PROTECTED, {"passphrase": passphrase is not None})

    def rekey(self) -> int:
        """A new master key, and all that is sealed is sealed anew under it; returns how many secrets. Interrupted, it
        can be done again: nothing is lost."""
        # One at a time: what one has not sealed anew yet would not open after the next one's rotation.
        with refusals(self.audit, "rekey", ""), files.locked(self.data / _REKEY_LOCK):
            # What an interrupted one has left under the key before this one would not open after this rotation.
            self._reseal()
            self.vault.rotate()
            count = self._reseal()
            self.audit(events.MASTER_KEY_ROTATED, {"count": count})
        return count

    def _reseal(self) -> int:
        sealing = Resealer(self.vault)
        with self.registry.transaction():
            for each in self.registry.devices():
                sealed = sealing.device(each)
                if sealed != each:
                    self.registry.update_device(sealed, self._clock(), complete=False)
        return sealing.count

    # Upkeep. ----------------------------------------------------------------------------------------

    def publish_revocations(self) -> bool:
        """Bring the revocation list up to the records. False when it was."""
        now = self._clock()
        return self.pki.publish_revocations(lambda: self.registry.revoked(now), now)

    def maintain(
        self, hosts: Sequence[str], names: Callable[[], MachineNames] = machine_names
    ) -> tuple[tuple[int, int], ...]:
        """What the hub does at its start, at a reload and once an hour: its own certificate stands for `hosts` and
        the machine and lasts, overlaps that are over end, the revocation list is whole and fresh. Returns
        `Pki.stamp()`."""
        authority.ensure(self.data, hosts, self._clock(), names)
        self.end_overlaps()
        self.publish_revocations()
        return self.pki.stamp()

    # ------------------------------------------------------------------------------------------------

    def _change(
        self, act: str, name: str, changed: Callable[[Device], Device], event: str, **told: str | float
    ) -> Device:
        with refusals(self.audit, act, name), self.registry.transaction():
            old = self.registry.existing_device(name)
            new = changed(old)
            if new != old:
                self.registry.update_device(new, self._clock())
                what = " ".join(_differences(old, new))
                self.audit(event, {"principal": name, **told} if told else {"principal": name, "changed": what})
        if new.certificates != old.certificates:
            self._publish(f"{name!r} is changed")
        return new

    def _publish(self, done: str) -> None:
        try:
            self.publish_revocations()
        except SecurityError as fault:
            raise SecurityError(f"{done}, but the revocation list could not be written: {fault}") from None


def _hash(password: bytes) -> str:
    return PasswordHasher().hash(password)


def _fresh(device: Device, kinds: Sequence[str], overlap: float, password: bytes | None) -> Fresh:
    """What a rotation makes."""
    psk: str | None = None
    if PRE_SHARED_KEY in kinds:
        present = device.pre_shared_keys[0].identity
        # A peer sends the identity before the key is known: two keys that both count need two identities.
        stem = present.partition("~")[0][:100]
        psk = f"{stem}~{generate_password()[:6]}" if overlap > 0 else present
    new_password = None
    if PASSWORD in kinds:
        new_password = generate_password().encode() if password is None else password
    had_ntlm = device.password is not None and device.password.ntlm is not None
    return Fresh(
        password=new_password,
        certificate=CERTIFICATE in kinds,
        psk=psk,
        raw_key=RAW_PUBLIC_KEY in kinds,
        oscore=OSCORE in kinds,
        otp=OTP in kinds,
        dds=DDS in kinds,
        ntlm=had_ntlm and PASSWORD in kinds,
    )


def _told(device: Device) -> dict[str, str | int | float | bool]:
    given = kinds_of(device)
    return {
        "principal": device.name,
        "kinds": " ".join(given),
        "roles": " ".join(device.roles),
        "groups": " ".join(device.groups),
    }


def _differences(old: Device, new: Device) -> list[str]:
    """The fields that differ, by name only."""
    return [each.name for each in fields(Device) if getattr(old, each.name) != getattr(new, each.name)]
