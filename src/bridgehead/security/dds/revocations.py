"""The revocation list that participants are given: of one authority, and in force as long as the permissions beside it.

Cyclone DDS 0.10 reads the first list of a file only, asks it at each handshake, and refuses everybody once the list
has expired. So it is not the hub's own file, and lasts until the documents that it comes with end.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives import serialization

from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import certificates, revocation
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.pki.hub import Pki

_MARGIN: Final = 86_400.0  # after the permissions: clocks differ


def revoked_by(pki: Pki, issuer: Authority, devices: Iterable[Revoked], now: float) -> list[Revoked]:
    """`devices`: what the registry has revoked. A serial number whose issuer nobody noted stands on every list."""
    by_serial = {each.serial: each for each in (*devices, *pki.ledger.revoked(now))}
    issuers = pki.ledger.issuers(set(by_serial))
    return [one for serial, one in by_serial.items() if issuers.get(serial, issuer.fingerprint) == issuer.fingerprint]


def revocation_list(pki: Pki, issuer: Authority, revoked: Iterable[Revoked], now: float, until: float) -> bytes:
    """PEM of the list with `revoked` (of revoked_by), in force until a day after `until`. Where the authority's key is
    kept elsewhere: the published list. Errors: SecurityError."""
    if not issuer.can_sign:
        return _published(pki, issuer, now)
    life = max(until - now, 0.0) + _MARGIN
    made = certificates.make_revocation_list(issuer.certificate, issuer.key(), revoked, int(now), now, life)
    return made.public_bytes(serialization.Encoding.PEM)


def _published(pki: Pki, issuer: Authority, now: float) -> bytes:
    wanted = certificates.key_identifier(issuer.certificate)
    for each in revocation.read_lists(pki) if pki.revocation_file.exists() else ():
        end = each.next_update_utc
        if revocation.issuer_key_identifier(each) == wanted and end is not None and end.timestamp() > now:
            return each.public_bytes(serialization.Encoding.PEM)
    raise SecurityError(
        f"no list in {pki.revocation_file} is in force: bring the key back that signs one (it is kept elsewhere)"
    )
