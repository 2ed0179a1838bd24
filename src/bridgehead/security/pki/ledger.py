"""What the authorities have issued: one line for each certificate, for OCSP, revocation lists and the calendar."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.pki.certificates import REVOCATION_LIST_LIFE, Revoked
from bridgehead.security.pki.issued import IssuedCertificate

FILE: Final = "issued.db"
_BUSY_SECONDS: Final = 10.0
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS issued (serial TEXT NOT NULL PRIMARY KEY, fingerprint TEXT NOT NULL, "
    "issuer TEXT NOT NULL, profile TEXT NOT NULL, subject TEXT NOT NULL, not_before REAL NOT NULL, "
    "not_after REAL NOT NULL, revoked_at REAL) WITHOUT ROWID"
)
_COLUMNS: Final = "serial, fingerprint, issuer, profile, subject, not_before, not_after, revoked_at"


class Entry:
    """`serial` in hexadecimal. `issuer`: fingerprint of the issuing authority's certificate. Devices' revocations
    stand in the registry and not in `revoked_at`."""

    def __init__(self, row: tuple[str, str, str, str, str, float, float, float | None]) -> None:
        self.serial, self.fingerprint, self.issuer, self.profile, self.subject = row[:5]
        self.not_before, self.not_after, self.revoked_at = row[5:]


class Ledger:
    """In DATA/pki/issued.db. Each call opens it for itself: it is used from several threads, and rarely."""

    def __init__(self, folder: Path) -> None:
        self.path: Final = folder / FILE

    def add(self, issued: IssuedCertificate, profile: str, subject: str) -> None:
        row = (f"{issued.serial:x}", issued.fingerprint, issued.issuer, profile, subject)
        with self._open() as connection:
            connection.execute(
                f"INSERT INTO issued ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",  # noqa: S608 - our own columns
                (*row, issued.not_before, issued.not_after),
            )

    def find(self, serial: int) -> Entry | None:
        with self._open() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM issued WHERE serial = ?",  # noqa: S608
                (f"{serial:x}",),
            ).fetchone()
        return None if row is None else Entry(row)

    def living(self, now: float) -> list[Entry]:
        """Neither expired nor revoked here, by their end."""
        with self._open() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM issued WHERE not_after > ? AND revoked_at IS NULL ORDER BY not_after",  # noqa: S608
                (now,),
            ).fetchall()
        return [Entry(row) for row in rows]

    def revoke(self, serial: int, now: float) -> Entry:
        """Errors: NotAcceptable when there is no such certificate, or it is a device's."""
        entry = self.find(serial)
        if entry is None:
            raise NotAcceptable(f"no certificate with the serial number {serial:x} was issued here: see ca list")
        if entry.revoked_at is None:
            with self._open() as connection:
                connection.execute("UPDATE issued SET revoked_at = ? WHERE serial = ?", (now, entry.serial))
            entry.revoked_at = now
        return entry

    def revoked(self, now: float) -> list[Revoked]:
        """What a revocation list of today names, beside the devices' certificates."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT serial, revoked_at FROM issued WHERE revoked_at IS NOT NULL AND not_after > ?",
                (now - REVOCATION_LIST_LIFE,),
            ).fetchall()
        return [Revoked(int(serial, 16), at) for serial, at in rows]

    def issuers(self, serials: set[int]) -> dict[int, str]:
        """Who issued which of these, as far as it is known."""
        found: dict[int, str] = {}
        with self._open() as connection:
            for serial in serials:
                row = connection.execute("SELECT issuer FROM issued WHERE serial = ?", (f"{serial:x}",)).fetchone()
                if row is not None:
                    found[serial] = row[0]
        return found

    def forget_expired(self, now: float) -> None:
        with self._open() as connection:
            connection.execute("DELETE FROM issued WHERE not_after < ?", (now - REVOCATION_LIST_LIFE,))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        files.create_empty(self.path)
        files.check_private(self.path)
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection:
                # One short write each; an entry that a power cut takes away was of a certificate nobody was handed.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_TABLE)
                with connection:
                    yield connection
        except sqlite3.Error as fault:
            raise SecurityError(
                f"{self.path} cannot be used ({fault}): restore it from a backup, or remove it"
            ) from None
