"""A user name and a password against the record: one way for every name, so that it costs and looks the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from bridgehead.broker.events import EventSink
from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import PASSWORD_NOT_REHASHED, PASSWORD_REHASHED
from bridgehead.security.login.answers import passwords_in_force
from bridgehead.security.login.brake import address_key
from bridgehead.security.login.guard import Guard
from bridgehead.security.login.passwords import PasswordVerifier
from bridgehead.security.login.proof import NEVER, Unproven
from bridgehead.security.mechanisms import PASSWORD
from bridgehead.security.records import Device, is_name
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.enforced import mark_of_password
from bridgehead.security.sasl.verifiers import scram_records

MOST_PASSWORDS: Final = 2  # of one device in force at a time: the password, and the one before it

_Result = TypeVar("_Result")


class Desk(Protocol):
    """What it needs of the authenticator, which explains each."""

    @property
    def guard(self) -> Guard: ...

    def clock(self) -> float: ...

    def follow(self) -> None: ...

    async def write(self, act: Callable[[Registry], _Result]) -> _Result: ...


class PasswordProof:
    """A wrong password costs two hashes, whoever's it is: as many as a device can have passwords in force while a
    rotation overlaps. Else its time would tell which names exist, and which are in such an overlap."""

    def __init__(
        self, authenticator: Desk, directory: Directory, verifier: PasswordVerifier, events: EventSink
    ) -> None:
        self._authenticator: Final = authenticator
        self._directory: Final = directory
        self._verifier: Final = verifier
        self._events: Final = events

    async def prove(self, name: str, password: bytes, address: str) -> tuple[Device, float, str]:
        """The device whose password it is, until when, and the password's mark. Errors: Unproven, Refusal(BUSY),
        SecurityError."""
        guard = self._authenticator.guard
        guard.check(name, address)
        record = self._remembered(name, password)
        if record is None:
            guard.admit(address)
            record = await self._verified(name, password, address)
        device = self._device(name)
        if record is None or device is None or record not in passwords_in_force(device, self._authenticator.clock()):
            # The last: it was changed while the hash was computed.
            guard.failed(name, address)
            raise Unproven(_why_not(name, device))
        guard.succeeded(name, address)
        if record == device.password and self._verifier.hasher.is_outdated(record.encoded):
            await self._hash_anew(device.name, record.encoded, password)
            device = self._still(device)
        return device, NEVER if record.until is None else record.until, mark_of_password(PASSWORD, record)

    def _remembered(self, name: str, password: bytes) -> PasswordRecord | None:
        now = self._authenticator.clock()
        for record in passwords_in_force(self._device(name), now):
            if self._verifier.remembers(record.encoded, password, now):
                return record
        return None

    async def _verified(self, name: str, password: bytes, address: str) -> PasswordRecord | None:
        """All in one turn: of guesses that are sent at once, each is held against the brake after the one before."""
        authenticator = self._authenticator
        tried: dict[str, PasswordRecord] = {}
        begun = False

        def due() -> list[str]:
            """Its turn has come: what it is to be held against, as of now."""
            nonlocal begun
            authenticator.guard.check(name, address)
            begun = True
            known = passwords_in_force(self._device(name), authenticator.clock())
            tried.update((record.encoded, record) for record in known)
            hashes = [record.encoded for record in known]
            return hashes + [self._verifier.hasher.nobody] * (MOST_PASSWORDS - len(hashes))

        try:
            right = await self._verifier.verify(address_key(address), password, due, authenticator.clock)
        except asyncio.CancelledError:
            if begun:  # else who never waits for the answer would have hashes computed without end
                authenticator.guard.failed(name, address)
            raise
        return None if right is None else tried.get(right)

    def _device(self, name: str) -> Device | None:
        self._authenticator.follow()
        return self._directory.device(name) if is_name(name) else None

    def _still(self, proven: Device) -> Device:
        """The device as it is now; its password must be the one that was proven."""
        device = self._device(proven.name)
        chosen = None if device is None or device.password is None else (device.created, device.password.set_at)
        if device is None or proven.password is None or chosen != (proven.created, proven.password.set_at):
            raise Unproven(f"the device {proven.name!r} was changed while its password's hash was made anew")
        return device

    async def _hash_anew(self, name: str, old: str, password: bytes) -> None:
        """The parameters have changed since the hash was made. If it does not work now, it will another time."""
        hasher = self._verifier.hasher
        try:
            await self._authenticator.write(
                lambda registry: registry.renew_password_hash(name, old, hasher.hash(password), scram_records(password))
            )
        except SecurityError as fault:
            self._events(PASSWORD_NOT_REHASHED, {"principal": name, "because": str(fault)})
        else:
            self._events(PASSWORD_REHASHED, {"principal": name})


def _why_not(name: str, device: Device | None) -> str:
    """For the log only."""
    if device is None:
        return f"there is no device {name!r}" if is_name(name) else "the user name is no device's"
    if device.password is None:
        return f"the device {name!r} has no password"
    return f"the password is not that of {name!r}"
