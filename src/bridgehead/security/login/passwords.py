"""Passwords: Argon2id (RFC 9106), verified off the event loop by a few threads with a bounded queue.

Parameters: 19 MiB, 2 passes, 1 lane, which is OWASP's recommendation for Argon2id and one of RFC 9106's family:
27 ms of one processor on the machine of the measurements, so a fleet that comes back after a power cut is served.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import secrets
import string
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import argon2

from bridgehead.core.errors import BUSY, Refusal
from bridgehead.security.login import mosquitto_hash

_ALPHABET: Final = string.ascii_letters + string.digits
_GENERATED: Final = 26  # characters of 62: 154 bits
# Measured on two cores while passwords are verified: what others wait for the event loop, p99, is 4.5 ms with two
# threads of niceness 10 and 2 ms so. 19 gains nothing more, and would leave log-ins nothing on a busy machine.
_NICENESS: Final = 15
_Result = TypeVar("_Result")


def generate_password() -> str:
    """26 letters and digits, 154 bits of chance: needs no quoting anywhere."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED))


class PasswordHasher:
    """Makes and checks Argon2id hashes in their own text form. Blocks for tens of milliseconds."""

    def __init__(self, passes: int = 2, memory_kib: int = 19456, lanes: int = 1) -> None:
        self._argon2: Final = argon2.PasswordHasher(passes, memory_kib, lanes, hash_len=32, salt_len=16)
        # Costs what a true hash costs, and no password leads to it: its output is not computed but drawn.
        salt, output = (base64.b64encode(secrets.token_bytes(n)).rstrip(b"=").decode() for n in (16, 32))
        self.nobody: Final = f"$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}"

    def hash(self, password: bytes) -> str:
        return self._argon2.hash(password)

    def verify(self, encoded: str, password: bytes) -> bool:
        """False also for a hash that cannot be read."""
        if mosquitto_hash.is_mosquittos(encoded):
            right = mosquitto_hash.verify(encoded, password)
            self._is_right(self.nobody, password)  # it shall cost what every other name costs
            return right
        return self._is_right(encoded, password)

    def _is_right(self, encoded: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(encoded, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def is_outdated(self, encoded: str) -> bool:
        """Whether it was made with other parameters than today's, or by Mosquitto."""
        return mosquitto_hash.is_mosquittos(encoded) or self._argon2.check_needs_rehash(encoded)


class PasswordVerifier:
    """Verifies on `threads` threads of low priority (0: one less than there are cores, at most 4). Who waits for a
    turn is counted, in all and per address.

    What was right a short while ago is remembered (`remember_seconds`, 0: never), as a MAC under a key that only
    this process has: a fleet's reconnecting costs one hash per device and not one per try. A wrong password always
    costs its hashes.
    """

    def __init__(
        self,
        hasher: PasswordHasher,
        threads: int = 0,
        waiting: int = 1024,
        waiting_per_address: int = 256,
        remember_seconds: float = 300.0,
        remembered: int = 65536,
    ) -> None:
        self.hasher: Final = hasher
        # One core is the event loop's: hashing fills the memory bus and the caches of whatever shares its core.
        threads = threads or min(4, max(1, (os.cpu_count() or 1) - 1))
        self._pool: Final = ThreadPoolExecutor(threads, "password", _lower_priority)
        self._slots: Final = asyncio.Semaphore(threads)
        self._limit = waiting
        self._limit_per_address = waiting_per_address
        self._waiting = 0
        self._waiting_by_address: dict[str, int] = {}
        self._key: Final = secrets.token_bytes(32)
        self._remember_seconds = remember_seconds
        self._remember_most: Final = remembered
        self._remembered: OrderedDict[bytes, float] = OrderedDict()

    def limit(self, waiting: int, waiting_per_address: int, remember_seconds: float) -> None:
        """Put other limits in force; a shorter memory holds for what was remembered before too."""
        if remember_seconds < self._remember_seconds:
            self._remembered.clear()
        self._limit = waiting
        self._limit_per_address = waiting_per_address
        self._remember_seconds = remember_seconds

    def close(self) -> None:
        """Waits for what runs; what waits is given up."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def remembers(self, encoded: str, password: bytes, now: float) -> bool:
        """Whether this password was right for this hash a short while ago."""
        until = self._remembered.get(self._mac(encoded, password))
        return until is not None and now < until

    async def verify(
        self, address: str, password: bytes, encoded_when_due: Callable[[], Sequence[str]], now: Callable[[], float]
    ) -> str | None:
        """Wait for a turn, first come, first served; then ask which hashes to verify against, and do it, one after the
        other. Returns the one that the password is right for.

        `encoded_when_due` may raise: much can have happened while waiting. Errors: Refusal(BUSY), and what it raises.
        """
        await self._wait(address)
        running = False
        try:
            hashes = encoded_when_due()
            for encoded in hashes:
                if self.remembers(encoded, password, now()):
                    return encoded
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._pool, self._right_one, hashes, password)
            # The thread goes on when who asked goes away: only its end makes room. Who asked hears of it before the
            # next one's turn comes, so that a failure counts against the next guess.
            verified = asyncio.shield(future)
            future.add_done_callback(self._release)
            running = True
        finally:
            if not running:
                self._slots.release()
        right = await verified
        if right is not None:
            self._remember(right, password, now())
        return right

    def _right_one(self, hashes: Sequence[str], password: bytes) -> str | None:
        return next((encoded for encoded in hashes if self.hasher.verify(encoded, password)), None)

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """Something else that belongs to passwords and blocks, on the same threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)

    async def _wait(self, address: str) -> None:
        mine = self._waiting_by_address.get(address, 0)
        if self._waiting >= self._limit or mine >= self._limit_per_address:
            raise Refusal(BUSY, "too many passwords wait to be verified: try again in a moment")
        self._waiting += 1
        self._waiting_by_address[address] = mine + 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
            left = self._waiting_by_address.pop(address) - 1
            if left:
                self._waiting_by_address[address] = left

    def _release(self, _: asyncio.Future[str | None]) -> None:
        self._slots.release()

    def _remember(self, encoded: str, password: bytes, now: float) -> None:
        if self._remember_seconds <= 0:
            return
        mac = self._mac(encoded, password)
        self._remembered[mac] = now + self._remember_seconds
        self._remembered.move_to_end(mac)
        if len(self._remembered) > self._remember_most:
            self._remembered.popitem(last=False)

    def _mac(self, encoded: str, password: bytes) -> bytes:
        return hmac.digest(self._key, encoded.encode() + b"\0" + password, "sha256")


def _lower_priority() -> None:
    """Hashing yields to the event loop. Linux gives each thread its own niceness."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
