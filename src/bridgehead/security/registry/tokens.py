"""One-time invitations and lock-outs in the registry."""

from __future__ import annotations

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.registry.base import DEVICE, RegistryBase, integer, number


class Lockout:
    """`failures` wrong tries; nothing is accepted before `until` (seconds since the epoch). What `kind` and `key` are
    (an identity from an address, an address) is the brake's affair."""

    def __init__(self, kind: str, key: str, until: float, failures: int) -> None:
        self.kind = kind
        self.key = key
        self.until = until
        self.failures = failures

    def __repr__(self) -> str:
        return f"Lockout({self.kind!r}, {self.key!r}, until={self.until!r}, failures={self.failures!r})"


class RegistryTokens(RegistryBase):
    """Errors of every method: SecurityError."""

    # Invitations: only the hash of a token is kept. -------------------------------------------------

    def put_invite(self, digest: bytes, device: str, now: float, expires: float) -> None:
        """It takes the place of an earlier one of the device. Errors: NotAcceptable for an unknown device."""
        with self.transaction():
            if not self._database.rows("SELECT 1 FROM devices WHERE name = ?", device):
                raise NotAcceptable(f"there is no device {device!r}{self.nearest(DEVICE, device)}")
            self._database.write("DELETE FROM invites WHERE device = ? OR expires_at <= ?", device, now)
            self._database.write("INSERT INTO invites VALUES (?, ?, ?, ?)", digest, device, now, expires)

    def take_invite(self, digest: bytes, now: float) -> str | None:
        """The device that the invitation was for; it is gone then. None: unknown, used, expired, or made in what is
        the future by this clock, so that a clock that was set back prolongs nothing."""
        with self.transaction():
            rows = self._database.rows("SELECT device, made_at, expires_at FROM invites WHERE hash = ?", digest)
            if not rows:
                return None
            self._database.write("DELETE FROM invites WHERE hash = ?", digest)
            device, made, expires = rows[0]
            return str(device) if number(made) <= now < number(expires) else None

    def forget_invites(self, device: str) -> None:
        with self.transaction():
            self._database.write("DELETE FROM invites WHERE device = ?", device)

    def invite_of(self, device: str) -> float | None:
        """When the device's open invitation expires."""
        rows = self._database.rows("SELECT expires_at FROM invites WHERE device = ?", device)
        return number(rows[0][0]) if rows else None

    # Lock-outs, so that they outlive the process and can be lifted by a command. --------------------

    def put_lockout(self, lockout: Lockout) -> None:
        with self.transaction():
            self._database.write(
                "INSERT OR REPLACE INTO lockouts VALUES (?, ?, ?, ?)",
                lockout.kind,
                lockout.key,
                lockout.until,
                lockout.failures,
            )

    def lockout(self, kind: str, key: str) -> Lockout | None:
        rows = self._database.rows("SELECT until, failures FROM lockouts WHERE kind = ? AND key = ?", kind, key)
        return Lockout(kind, key, number(rows[0][0]), integer(rows[0][1])) if rows else None

    def lockouts(self, kind: str | None = None) -> list[Lockout]:
        """All, or all of a kind, by kind and key."""
        rows = self._database.rows(
            "SELECT kind, key, until, failures FROM lockouts WHERE ? = '' OR kind = ? ORDER BY kind, key",
            kind or "",
            kind or "",
        )
        return [Lockout(str(of), str(key), number(until), integer(count)) for of, key, until, count in rows]

    def remove_lockout(self, kind: str, key: str) -> bool:
        """False: there was none."""
        with self.transaction():
            return self._database.write("DELETE FROM lockouts WHERE kind = ? AND key = ?", kind, key) > 0

    def forget_lockouts(self, before: float) -> int:
        """Drop those that ended before that time; returns how many."""
        with self.transaction():
            return self._database.write("DELETE FROM lockouts WHERE until < ?", before)
