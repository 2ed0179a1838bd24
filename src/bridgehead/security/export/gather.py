"""What a bundle is made of: the record, the permissions that hold, and the secrets that can be handed over.

The hub keeps no private key, no password and no used OSCORE context that it could hand out again; a pre-shared key it
does. The rest is made anew when the bundle is written, and the old ones count for a while more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from bridgehead.security import files
from bridgehead.security.credentials import psk_context
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity.credentials import make
from bridgehead.security.identity.identity import Enrolled, Identity
from bridgehead.security.identity.rotation import kinds_of, rotated
from bridgehead.security.identity.wanted import Fresh, NewPsk
from bridgehead.security.login.passwords import PasswordHasher, generate_password
from bridgehead.security.mechanisms import CERTIFICATE, DDS, OSCORE, PASSWORD, PRE_SHARED_KEY, RAW_PUBLIC_KEY
from bridgehead.security.records import Device, PermissionRecord
from bridgehead.security.registry.registry import Registry

GROUP: Final = "${group}"
# Of what can be in a bundle.
KINDS: Final = (CERTIFICATE, PASSWORD, PRE_SHARED_KEY, RAW_PUBLIC_KEY, OSCORE, DDS)
_WORDS: Final = {
    CERTIFICATE: "a certificate, of whose private key the hub keeps no copy",
    PASSWORD: "a password, which the hub cannot read",
    RAW_PUBLIC_KEY: "a raw public key, of whose private half the hub keeps no copy",
    OSCORE: "an OSCORE context, which must not be used in two places (RFC 8613 section 7.2.1)",
    DDS: "a DDS identity, of whose private key the hub keeps no copy",
}


@contextlib.contextmanager
def gathering(identity: Identity, name: str, new: Sequence[str], overlap: float) -> Iterator[Enrolled]:
    """The device with everything that can be handed over. Credentials of the kinds `new` (of KINDS) are made; where the
    device has such already, those count for `overlap` seconds more.

    Nothing has changed when the block raises. Errors: SecurityError, NotAcceptable.
    """
    device = identity.registry.existing_device(name)
    if device.revoked_at is not None:
        raise NotAcceptable(f"the device {name!r} was revoked and has no credentials: remove it and add it again")
    present = kinds_of(device)
    rotating = [kind for kind in new if kind in present]
    adding = [kind for kind in new if kind not in present]
    with contextlib.ExitStack() as stack:
        found = _present(identity, device)
        if rotating:
            found = stack.enter_context(identity.rotating(name, overlap, rotating))
        if adding:
            added = stack.enter_context(_adding(identity, name, adding))
            found = _joined(found, added) if rotating else added
        yield _whole(identity, found)


def check_usable(found: Enrolled, usable: Sequence[str], target: str) -> None:
    """At least one credential of the kinds that the target can use is there, or both where both are required.

    Errors: NotAcceptable, with the option that makes one.
    """
    held = set(_held(found))
    device = found.device
    if device.require == "password+certificate" and CERTIFICATE in usable and held & {CERTIFICATE, PASSWORD}:
        missing = next((kind for kind in (CERTIFICATE, PASSWORD) if kind not in held), None)
        if missing is not None:
            raise NotAcceptable(
                f"{device.name!r} must prove itself by password and certificate: add --credential certificate "
                "--credential password, which make both anew"
            )
    if held & set(usable):
        return
    present = [kind for kind in kinds_of(device) if kind in usable]
    if present:
        words = ", and ".join(_WORDS[kind] for kind in present)
        raise NotAcceptable(
            f"{device.name!r} has {words}: add --credential new, which makes another one "
            "(the present one counts until the end of --overlap)"
        )
    raise NotAcceptable(
        f"{device.name!r} has no credential that {target} can use: add --credential new, which makes one"
    )


def permissions_of(registry: Registry, device: Device) -> list[PermissionRecord]:
    """As Registry.permissions_of; `${group}` in a group's own permissions is that group."""
    found = list(device.permissions)
    for name in dict.fromkeys(device.roles):
        role = registry.role(name)
        found += () if role is None else role.permissions
    for name in dict.fromkeys(device.groups):
        group = registry.group(name)
        for each in () if group is None else group.permissions:
            found.append(replace(each, topic_filter=each.topic_filter.replace(GROUP, name)))
    return [*found, *registry.policy().permissions]


def _present(identity: Identity, device: Device) -> Enrolled:
    return Enrolled(device, [], None, None, files.read(identity.pki.authority_file))


@contextlib.contextmanager
def _adding(identity: Identity, name: str, kinds: Sequence[str]) -> Iterator[Enrolled]:
    """Credentials of kinds that the device does not have yet."""
    fresh = Fresh(
        password=generate_password().encode() if PASSWORD in kinds else None,
        certificate=CERTIFICATE in kinds,
        psk="" if PRE_SHARED_KEY in kinds else None,
        raw_key=RAW_PUBLIC_KEY in kinds,
        oscore=OSCORE in kinds,
        dds=DDS in kinds,
    )
    now = identity.now()
    made = make(fresh, name, now, identity.pki, identity.vault.seal, PasswordHasher().hash)
    with identity.registry.transaction():
        identity.change(name, lambda device: rotated(device, made, now, 0.0))
        device = identity.registry.existing_device(name)
        yield made.enrolled(device, [], files.read(identity.pki.authority_file))


def _joined(one: Enrolled, other: Enrolled) -> Enrolled:
    return Enrolled(
        other.device,
        [],
        one.certificate or other.certificate,
        one.password if other.password is None else other.password,
        one.authority_pem,
        one.psk or other.psk,
        one.raw_key or other.raw_key,
        one.oscore or other.oscore,
        None,
        one.dds or other.dds,
    )


def _whole(identity: Identity, found: Enrolled) -> Enrolled:
    """With the permissions, and a pre-shared key that can be read again."""
    device = found.device
    psk = found.psk
    if psk is None and device.pre_shared_keys:
        record = device.pre_shared_keys[0]
        psk = NewPsk(record.identity, identity.vault.open_sealed(record.key, psk_context(device.name, record.identity)))
    permissions = permissions_of(identity.registry, device)
    return Enrolled(
        device,
        permissions,
        found.certificate,
        found.password,
        found.authority_pem,
        psk,
        found.raw_key,
        found.oscore,
        None,
        found.dds,
    )


def _held(found: Enrolled) -> list[str]:
    held = {
        CERTIFICATE: found.certificate is not None,
        PASSWORD: found.password is not None,
        PRE_SHARED_KEY: found.psk is not None,
        RAW_PUBLIC_KEY: found.raw_key is not None,
        OSCORE: found.oscore is not None,
        DDS: found.dds is not None,
    }
    return [kind for kind, is_held in held.items() if is_held]
