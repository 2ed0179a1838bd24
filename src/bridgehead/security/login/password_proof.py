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
from bridgehead.security.records import Device, is_name
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory

_Result = TypeVar("_Result")


class Desk(Protocol):
    """What it needs of the authenticator, which explains each."""

    @property
    def guard(self) -> Guard: ...

    def clock(self) -> float: ...

    def follow(self) -> None: ...

    async def write(self, act: Callable[[Registry], _Result]) -> _Result: ...


class PasswordProof:
    """An unknown name, and one without a password, cost a hash too. While a rotation overlaps, a wrong password of
    that device costs two."""

    def __init__(
        self, authenticator: Desk, directory: Directory, verifier: PasswordVerifier, events: EventSink
    ) -> None:
        self._authenticator: Final = authenticator
        self._directory: Final = directory
        self._verifier: Final = verifier
        self._events: Final = events

    async def prove(self, name: str, password: bytes, address: str) -> tuple[Device, float]:
        """The device whose password it is, and until when. Errors: Unproven, Refusal(BUSY), SecurityError."""
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
        return device, NEVER if record.until is None else record.until

    def _remembered(self, name: str, password: bytes) -> PasswordRecord | None:
        now = self._authenticator.clock()
        for record in passwords_in_force(self._device(name), now):
            if self._verifier.remembers(record.encoded, password, now):
                return record
        return None

    async def _verified(self, name: str, password: bytes, address: str) -> PasswordRecord | None:
        """Each password in force has its turn."""
        authenticator = self._authenticator
        tried: list[PasswordRecord | None] = []

        def due() -> str:
            """Its turn has come: what it is to be held against, as of now."""
            authenticator.guard.check(name, address)
            for record in passwords_in_force(self._device(name), authenticator.clock()):
                if record not in tried:
                    tried.append(record)
                    return record.encoded
            tried.append(None)
            return self._verifier.hasher.nobody

        try:
            while True:
                if await self._verifier.verify(address_key(address), password, due, authenticator.clock):
                    return tried[-1]
                left = [
                    record
                    for record in passwords_in_force(self._device(name), authenticator.clock())
                    if record not in tried
                ]
                if not left or tried[-1] is None:
                    return None
        except asyncio.CancelledError:
            if tried:  # else who never waits for the answer would have hashes computed without end
                authenticator.guard.failed(name, address)
            raise

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
                lambda registry: registry.renew_password_hash(name, old, hasher.hash(password))
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
