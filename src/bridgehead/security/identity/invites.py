"""One-time invitations by which a device enrols itself: made, and redeemed once. Only a token's hash is kept."""

from __future__ import annotations

import hashlib
from typing import Final

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.login.passwords import generate_password
from bridgehead.security.records import Device
from bridgehead.security.registry.registry import Registry

LIFE: Final = 900.0  # seconds
LONGEST: Final = 7 * 86400.0
_TOKEN_OCTETS: Final = 200  # more than any token of ours; what is longer is not even hashed


class Invitation:
    """`token` is shown once. `expires`: seconds since the epoch."""

    def __init__(self, device: str, token: str, expires: float) -> None:
        self.device: Final = device
        self.token: Final = token
        self.expires: Final = expires

    def __repr__(self) -> str:
        return f"Invitation({self.device!r}, expires={self.expires!r})"


def invite(registry: Registry, name: str, seconds: float, now: float) -> Invitation:
    """Errors: SecurityError; NotAcceptable for an unknown or closed device, or a time that is none."""
    if not 0 < seconds <= LONGEST:
        raise NotAcceptable(f"an invitation holds for more than nothing and at most {LONGEST / 86400:g} days")
    with registry.transaction():
        device = registry.existing_device(name)
        if not device.enabled:
            state = "was revoked" if device.revoked_at is not None else "is disabled"
            raise NotAcceptable(f"the device {name!r} {state}: it cannot be invited")
        token = generate_password()
        registry.put_invite(_digest(token), name, now, now + seconds)
        return Invitation(name, token, now + seconds)


def redeem(registry: Registry, token: str, now: float) -> Device | None:
    """The device that the token invites, once. None: unknown, used, expired or void, which look the same."""
    if len(token) > _TOKEN_OCTETS:
        return None
    # By the hash of 154 random bits: what the look-up's time tells is nothing to guess by.
    name = registry.take_invite(_digest(token), now)
    device = None if name is None else registry.device(name)
    return device if device is not None and device.enabled else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
