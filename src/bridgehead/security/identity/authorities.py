"""The end of an authority, for the records too: certificates that it issued are taken from their devices at once.

So a connection that stands on one of them is closed as any other whose credential was revoked.
"""

from __future__ import annotations

from msgspec.structs import replace

from bridgehead.security.credentials import CertificateRecord
from bridgehead.security.pki import Pki
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.rollover import finish
from bridgehead.security.records import Device
from bridgehead.security.registry.registry import Registry

# The first version's records don't name the issuer: there was one authority, which is the first ever since.
_FIRST = ("", "1")


def retire(pki: Pki, registry: Registry, now: float, *, early: bool = False) -> tuple[list[Authority], list[str]]:
    """End every overlap that is over, or all of them `early`. Returns the authorities and the names of the devices
    that lost certificates. Errors: SecurityError."""
    # First the authority: whoever comes between the two steps is refused by TLS.
    return finish(pki, now, early=early), take_back(pki, registry, now)


def take_back(pki: Pki, registry: Registry, now: float) -> list[str]:
    """Remove certificates of authorities that are accepted no more from the records; returns whose. Doing it again
    changes nothing, so it also completes what was interrupted."""
    accepted = {each.fingerprint for each in pki.authorities}
    if any(each.name in _FIRST for each in pki.authorities):
        accepted.add("")
    with registry.transaction():
        found = [device for device in registry.each_device() if not _stands(device, accepted)]
        for device in found:
            dds = device.dds_identity
            left = replace(
                device,
                certificates=tuple(each for each in device.certificates if each.issuer in accepted),
                dds_identity=dds if dds is None or dds.issuer in accepted else None,
            )
            registry.update_device(left, now)
    return [device.name for device in found]


def _stands(device: Device, accepted: set[str]) -> bool:
    known: list[CertificateRecord] = list(device.certificates)
    if device.dds_identity is not None:
        known.append(device.dds_identity)
    return all(each.issuer in accepted for each in known)
