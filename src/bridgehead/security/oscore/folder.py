"""A device's own OSCORE context, in the folder that `bridgehead device export` writes.

settings.json and secret.json hold the context; sequence.json, which is made here, the next Sender Sequence Number, and
lock keeps two programs apart. All four are as aiocoap has them, so the folder can go from one program to the other.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.oscore.keys import ALGORITHMS, HKDF_SHA_256, HKDF_SHA_512, Secret

SETTINGS: Final = "settings.json"
SECRET: Final = "secret.json"  # noqa: S105 - a file's name
SEQUENCE: Final = "sequence.json"
LOCK: Final = "lock"
_NEXT: Final = "next-to-send"
_AHEAD: Final = 64  # numbers that are reserved by one write (RFC 8613 appendix B.1.1)
_MOST: Final = (1 << 40) - 1  # RFC 8613 section 7.2.1
_HASHES: Final = {"sha256": HKDF_SHA_256, "sha512": HKDF_SHA_512}


class OscoreFolder:
    """The context, for this process alone until `close`. Errors of every method: SecurityError."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._lock: Final = self._locked()
        try:
            settings = {**self._read(SECRET), **self._read(SETTINGS)}
            self.sender_id: Final = self._octets(settings, "sender-id")
            self.recipient_id: Final = self._octets(settings, "recipient-id")
            self.id_context: Final = self._octets(settings, "id-context", optional=True)
            self.secret: Final = self._secret(settings)
            self._next = self._stored()
        except BaseException:
            os.close(self._lock)
            raise
        self._reserved = self._next

    def __repr__(self) -> str:
        return f"OscoreFolder({str(self._path)!r})"

    def next_sequence(self) -> int:
        """A Sender Sequence Number that was never used, and never will be again."""
        number = self._next
        if number > _MOST:
            raise SecurityError(f"all sequence numbers of {self._path} are used: export another context")
        if number >= self._reserved:
            self._store(number + _AHEAD)
            self._reserved = number + _AHEAD
        self._next = number + 1
        return number

    def close(self) -> None:
        """What was reserved and not used can be used later."""
        try:
            if self._next != self._reserved:
                self._store(self._next)
        finally:
            os.close(self._lock)

    def _locked(self) -> int:
        try:
            descriptor = os.open(self._path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as fault:
            because = (fault.strerror or "").lower()
            raise SecurityError(f"{self._path} cannot be used as an OSCORE context: {because}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise SecurityError(
                f"another program uses the OSCORE context in {self._path}: one at a time may, else nonces come twice"
            ) from None
        return descriptor

    def _read(self, name: str) -> dict[str, object]:
        path = self._path / name
        if name == SECRET:
            files.check_private(path)
        try:
            found = json.loads(files.read(path))
        except ValueError:  # whose text may hold values
            found = None
        if not isinstance(found, dict):
            raise self._damaged(name)
        return found

    def _damaged(self, name: str) -> SecurityError:
        return SecurityError(f"{self._path / name} is not what `bridgehead device export` writes: export a new context")

    def _octets(self, settings: dict[str, object], name: str, optional: bool = False) -> bytes:
        text = settings.get(f"{name}_hex", "" if optional else None)
        try:
            return bytes.fromhex(text) if isinstance(text, str) else bytes.fromhex("no digits")
        except ValueError:
            raise self._damaged(SECRET if name in ("secret", "salt") else SETTINGS) from None

    def _secret(self, settings: dict[str, object]) -> Secret:
        numbers = {algorithm.name: algorithm.number for algorithm in ALGORITHMS.values()}
        algorithm = numbers.get(str(settings.get("algorithm", "AES-CCM-16-64-128")))
        hkdf = _HASHES.get(str(settings.get("kdf-hashfun", "sha256")))
        if algorithm is None or hkdf is None:
            raise self._damaged(SETTINGS)
        master, salt = self._octets(settings, "secret"), self._octets(settings, "salt", optional=True)
        made = Secret(master, salt, self.id_context or None, algorithm, hkdf)
        try:
            made.key(self.sender_id), made.key(self.recipient_id)
        except NotAcceptable:
            raise self._damaged(SETTINGS) from None
        return made

    def _stored(self) -> int:
        if not (self._path / SEQUENCE).exists():
            return 0
        number = self._read(SEQUENCE).get(_NEXT)
        if not isinstance(number, int) or number < 0:
            raise self._damaged(SEQUENCE)
        return number

    def _store(self, number: int) -> None:
        # A client receives no requests: it has no replay window to keep.
        content = json.dumps({_NEXT: number, "received": "unknown"})
        files.write_whole(self._path / SEQUENCE, content.encode())
