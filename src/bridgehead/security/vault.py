"""Secrets that must stay readable (keys), encrypted at rest under the master key with AES-256-GCM.

Where the master key comes from, the first of these that is there:
    $CREDENTIALS_DIRECTORY/bridgehead-master-key   a systemd credential: 32 octets, or 64 hexadecimal digits
    DATA/master.key                                the key itself, 0600; made when the first secret is sealed
    DATA/master.key with a pass phrase             the key, sealed under scrypt (RFC 7914) of the pass phrase

A box is bound to its context (whose, and what for) as additional data: moved to another record it does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from bridgehead.security import files
from bridgehead.security.credentials import Sealed
from bridgehead.security.errors import NotAcceptable, SecurityError

FILE: Final = "master.key"
CREDENTIAL: Final = "bridgehead-master-key"
KEY_OCTETS: Final = 32
_NONCE: Final = 12
_NO_FILE: Final = (0, 0)
_LOCK: Final = ".master.key.lock"
_PROTECTED: Final = "master key"  # the context of the master key's own box

# RFC 7914 section 2: 128 * N * r octets of memory, 64 MiB here, and about 0.2 s.
_SCRYPT_N: Final = 65536
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1
_SCRYPT_MOST: Final = 256 * 1024 * 1024  # a damaged file shall not ask for more memory than that

Passphrase = Callable[[], bytes]


class _KeyFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """DATA/master.key: either `key`, or `box` with the parameters of scrypt. Both hold the key in force, and behind it
    the one before the last rotation, if there was one: what was sealed under it while it took place still opens."""

    key: bytes | None = None
    box: bytes | None = None
    salt: bytes = b""
    n: int = 0
    r: int = 0
    p: int = 0

    def __repr__(self) -> str:
        return "_KeyFile(...)"


class Vault:
    """Holds the master key in memory once it was needed. Errors of every method: SecurityError."""

    def __init__(
        self, data: Path, passphrase: Passphrase | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """`passphrase` is asked when the key turns out to be protected by one; None: then it cannot be opened."""
        self.path: Final = data / FILE
        self._text: Final = str(self.path)
        self._lock: Final = data / _LOCK
        self._passphrase: Final = passphrase
        self._phrase: bytes | None = None  # once it was told: a file descriptor tells it only once
        self._environment: Final = os.environ if environment is None else environment
        self._key: bytes | None = None
        self._former: bytes | None = None
        self._stamp: tuple[int, int] = _NO_FILE

    @classmethod
    def open(cls, data: Path, passphrase: Passphrase | None = None) -> Vault:
        """As the constructor, and what key there is has been read: a wrong pass phrase or a damaged file is told now,
        not at the first secret."""
        vault = cls(data, passphrase)
        vault.unlock()
        return vault

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    # Secrets. ---------------------------------------------------------------------------------------

    def seal(self, plain: bytes, context: str) -> Sealed:
        """The master key is made when there is none yet."""
        return seal_with(self._current(make=True), plain, context)

    def prepare_to_seal(self) -> None:
        """Have the master key in memory, so that several threads may seal."""
        self._current(make=True)

    def open_sealed(self, sealed: Sealed, context: str) -> bytes:
        key = self._current(make=False)
        if self._former is not None and sealed.key == key_name(self._former):
            return open_with(self._former, sealed, context)
        return open_with(key, sealed, context)

    # The master key. --------------------------------------------------------------------------------

    def unlock(self) -> bool:
        """Read the master key where there is one. False: there is none yet."""
        if self._key is None and (self._credential() is not None or self.path.exists()):
            self._read()
        return self._key is not None

    def is_external(self) -> bool:
        """Whether the key is a systemd credential."""
        return self._credential() is not None

    def is_protected(self) -> bool:
        """Whether the file needs a pass phrase."""
        return not self.is_external() and self.path.exists() and self._file().box is not None

    def protect(self, passphrase: bytes | None) -> None:
        """Put the key under this pass phrase from now on; None: under none. What is sealed stays as it is."""
        if self.is_external():
            raise NotAcceptable("the master key is a systemd credential: whoever hands it over protects it")
        self._current(make=True)
        with files.locked(self._lock):
            self._write(self._current(make=False), passphrase)  # another process may have put a new key in force
            self._phrase = passphrase

    def rotate(self) -> None:
        """Put a new key in force, under the same pass phrase if there is one. What is sealed under the present one
        opens until the next rotation: seal it anew before that."""
        if self.is_external():
            raise NotAcceptable("the master key is a systemd credential: replace it where it is kept")
        self._current(make=True)
        with files.locked(self._lock):
            old = self._current(make=False)  # another process may have put a new key in force
            phrase = self._ask() if self.is_protected() else None
            self._former = old
            self._write(secrets.token_bytes(KEY_OCTETS), phrase)

    def is_current(self, sealed: Sealed) -> bool:
        """Whether it was sealed under the key in force."""
        return sealed.key == key_name(self._current(make=False))

    def _current(self, make: bool) -> bytes:
        if self._key is not None and not self._file_changed():
            return self._key
        if self._credential() is not None or self.path.exists():
            return self._read()
        if not make:
            raise SecurityError(
                f"the master key {self.path} is not there: restore it from a backup, without it no stored key opens"
            )
        files.private_folder(self.path.parent)
        with files.locked(self._lock):
            if self.path.exists():  # another process was quicker
                return self._read()
            key = secrets.token_bytes(KEY_OCTETS)
            self._write(key, None)
            return key

    def _read(self) -> bytes:
        credential = self._credential()
        if credential is not None:
            self._key = self._read_credential(credential)
        else:
            both = self._read_file()
            self._key, self._former = both[:KEY_OCTETS], both[KEY_OCTETS:] or None
        return self._key

    def _credential(self) -> Path | None:
        folder = self._environment.get("CREDENTIALS_DIRECTORY")
        path = None if not folder else Path(folder) / CREDENTIAL
        return path if path is not None and path.exists() else None

    def _read_credential(self, path: Path) -> bytes:
        found = files.read(path)
        if len(found) == KEY_OCTETS:
            return found
        text = found.strip()
        try:
            key = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            key = b""
        if len(key) != KEY_OCTETS:
            raise SecurityError(
                f"the credential {CREDENTIAL} is no master key: give 32 octets or 64 hexadecimal digits"
            )
        return key

    def _file(self) -> _KeyFile:
        files.check_private(self.path)
        try:
            found = msgspec.json.decode(files.read(self.path), type=_KeyFile)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # whose text may hold values
            raise self._damaged() from None
        if (found.key is None) == (found.box is None) or (found.key is not None and not _is_key(found.key)):
            raise self._damaged()
        return found

    def _damaged(self) -> SecurityError:
        return SecurityError(f"the master key {self.path} is damaged: restore it from a backup")

    def _read_file(self) -> bytes:
        stamp = self._file_stamp()
        found = self._file()
        if found.key is not None:
            self._stamp = stamp
            return found.key
        assert found.box is not None
        if 128 * found.n * found.r * found.p > _SCRYPT_MOST:
            raise self._damaged()
        wrapping = self._wrapping(self._ask(), found)
        try:
            key = AESGCM(wrapping).decrypt(found.box[:_NONCE], found.box[_NONCE:], _PROTECTED.encode())
        except (InvalidTag, ValueError):
            self._phrase = None
            raise SecurityError(f"the pass phrase does not open {self.path}: try again, nothing was changed") from None
        if not _is_key(key):
            raise self._damaged()
        self._stamp = stamp
        return key

    def _wrapping(self, passphrase: bytes, parameters: _KeyFile) -> bytes:
        try:
            return hashlib.scrypt(
                passphrase,
                salt=parameters.salt,
                n=parameters.n,
                r=parameters.r,
                p=parameters.p,
                maxmem=2 * _SCRYPT_MOST,
                dklen=KEY_OCTETS,
            )
        except (ValueError, OverflowError):
            raise self._damaged() from None

    def _ask(self) -> bytes:
        if self._phrase is None:
            if self._passphrase is None:
                raise SecurityError(
                    f"{self.path} is protected by a pass phrase: start on a terminal, or give --passphrase-file"
                )
            self._phrase = self._passphrase()
        return self._phrase

    def _write(self, key: bytes, passphrase: bytes | None) -> None:
        both = key + (self._former or b"")
        if passphrase is None:
            content = _KeyFile(key=both)
        else:
            shape = _KeyFile(salt=secrets.token_bytes(16), n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
            nonce = secrets.token_bytes(_NONCE)
            box = AESGCM(self._wrapping(passphrase, shape)).encrypt(nonce, both, _PROTECTED.encode())
            content = _KeyFile(None, nonce + box, shape.salt, shape.n, shape.r, shape.p)
        files.write_whole(self.path, msgspec.json.encode(content))
        self._key = key
        self._stamp = self._file_stamp()

    def _file_stamp(self) -> tuple[int, int]:
        try:
            status = os.stat(self._text)
        except OSError:
            return _NO_FILE
        return status.st_mtime_ns, status.st_ino

    def _file_changed(self) -> bool:
        if self.is_external():
            return False
        stamp = self._file_stamp()
        return stamp not in (self._stamp, _NO_FILE)


def _is_key(octets: bytes) -> bool:
    return len(octets) in (KEY_OCTETS, 2 * KEY_OCTETS)


@lru_cache(maxsize=4)  # a handshake waits for it, and OpenSSL takes longer for it than for the box itself
def key_name(key: bytes) -> str:
    """By which a box knows its key; nothing of the key follows from it."""
    return hmac.digest(key, b"bridgehead master key", "sha256").hex()[:16]


def seal_with(key: bytes, plain: bytes, context: str) -> Sealed:
    # A random nonce: NIST SP 800-38D section 8.3 allows 2^32 boxes under one key.
    nonce = secrets.token_bytes(_NONCE)
    return Sealed(key_name(key), nonce + AESGCM(key).encrypt(nonce, plain, context.encode()))


def open_with(key: bytes, sealed: Sealed, context: str) -> bytes:
    """Errors: SecurityError, which says nothing of the contents."""
    if sealed.key != key_name(key):
        raise SecurityError(
            "a stored key was sealed under another master key: restore master.key from the same backup as identity.db"
        )
    try:
        return AESGCM(key).decrypt(sealed.box[:_NONCE], sealed.box[_NONCE:], context.encode())
    except (InvalidTag, ValueError):
        raise SecurityError(f"the stored {context} is damaged: rotate it, or restore a backup") from None
