"""What is asked for when a device is enrolled or its credentials are rotated, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridgehead.security.credentials import ForeignCertificate, TokenSubject
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki.issued import IssuedCertificate
from bridgehead.security.records import (
    Device,
    PermissionRecord,
    Quota,
    Requirement,
    check_attributes,
    check_client_id,
    check_name,
    check_permissions,
    check_quota,
)

PSK_IDENTITY_OCTETS: Final = 128  # RFC 4279 section 5.3: what every implementation must support


class Fresh:
    """Which credentials to make, or to take as they are given.

    `password` is hashed; `encoded` is its Argon2 hash already (then there are no SCRAM verifiers, nor NTLM's).
    `psk`: the identity of a pre-shared key, "" for one that is made up; its key is made. `raw_public_key`: the DER
    SubjectPublicKeyInfo that the device has; `raw_key`: make a pair. `otp`: a pass phrase and seed are made.
    """

    def __init__(
        self,
        password: bytes | None = None,
        encoded: str | None = None,
        certificate: bool = False,
        psk: str | None = None,
        raw_public_key: bytes | None = None,
        raw_key: bool = False,
        oscore: bool = False,
        otp: bool = False,
        dds: bool = False,
        ntlm: bool = False,
    ) -> None:
        self.password: Final = password
        self.encoded: Final = encoded
        self.certificate: Final = certificate
        self.psk: Final = psk
        self.raw_public_key: Final = raw_public_key
        self.raw_key: Final = raw_key
        self.oscore: Final = oscore
        self.otp: Final = otp
        self.dds: Final = dds
        self.ntlm: Final = ntlm

    def __repr__(self) -> str:
        return f"Fresh({'something' if self else 'nothing'})"

    def __bool__(self) -> bool:
        given = (self.password, self.encoded, self.psk, self.raw_public_key)
        made = self.certificate or self.raw_key or self.oscore or self.otp or self.dds
        return made or any(each is not None for each in given)

    def check(self) -> None:
        """Errors: NotAcceptable."""
        if self.psk is not None:
            check_psk_identity(self.psk)
        if self.ntlm and self.password is None:
            raise NotAcceptable("NTLM needs a password to make its hash of: give or generate one")


class Wanted:
    """A device to enrol: what its record shall say, and with which credentials. `later`: it may have none yet:
    it is to enrol itself, or what exports its files makes one."""

    def __init__(
        self,
        name: str,
        permissions: Sequence[PermissionRecord] = (),
        roles: Sequence[str] = (),
        client_ids: Sequence[str] = (),
        require: Requirement = "any",
        password: bytes | None = None,
        certificate: bool = False,
        *,
        fresh: Fresh | None = None,
        groups: Sequence[str] = (),
        attributes: Mapping[str, str] | None = None,
        quota: Quota | None = None,
        foreign_certificates: Sequence[ForeignCertificate] = (),
        token_subjects: Sequence[TokenSubject] = (),
        kerberos_principals: Sequence[str] = (),
        later: bool = False,
    ) -> None:
        self.name: Final = name
        self.permissions: Final = tuple(permissions)
        self.roles: Final = tuple(dict.fromkeys(roles))
        self.client_ids: Final = tuple(dict.fromkeys(client_ids))
        self.require: Final = require
        self.fresh: Final = Fresh(password=password, certificate=certificate) if fresh is None else fresh
        self.groups: Final = tuple(dict.fromkeys(groups))
        self.attributes: Final = dict(attributes or {})
        self.quota: Final = quota
        self.foreign_certificates: Final = tuple(foreign_certificates)
        self.token_subjects: Final = tuple(token_subjects)
        self.kerberos_principals: Final = tuple(dict.fromkeys(kerberos_principals))
        self.later: Final = later

    def __repr__(self) -> str:
        return f"Wanted({self.name!r})"

    def check(self) -> None:
        """What can be said without looking at other records. Errors: NotAcceptable."""
        check_name(self.name, "device")
        check_permissions(self.permissions)
        check_attributes(self.attributes)
        check_quota(self.quota)
        for pattern in self.client_ids:
            check_client_id(pattern)
        self.fresh.check()
        for subject in self.token_subjects:
            if not (subject.issuer and subject.subject and (subject.issuer + subject.subject).isprintable()):
                raise NotAcceptable(
                    "a token subject is two printable texts, the issuer (iss) and the subject (sub) of its tokens"
                )
        for principal in self.kerberos_principals:
            check_kerberos(principal)
        known = self.fresh or self.foreign_certificates or self.token_subjects or self.kerberos_principals
        if not known and not self.later:
            raise NotAcceptable(f"the device {self.name!r} needs a credential: a password, a certificate, or both")


class NewPsk:
    """A pre-shared key in clear, for the device."""

    def __init__(self, identity: str, key: bytes) -> None:
        self.identity: Final = identity
        self.key: Final = key

    def __repr__(self) -> str:
        return f"NewPsk({self.identity!r})"


class NewRawKey:
    """A key pair for RFC 7250: PKCS #8 in PEM, and the DER SubjectPublicKeyInfo."""

    def __init__(self, key_pem: bytes, spki: bytes) -> None:
        self.key_pem: Final = key_pem
        self.spki: Final = spki

    def __repr__(self) -> str:
        return "NewRawKey(...)"


class NewOscore:
    """An OSCORE security context as the device has it (RFC 8613 section 3.2)."""

    def __init__(self, sender_id: bytes, recipient_id: bytes, id_context: bytes, secret: bytes, salt: bytes) -> None:
        self.sender_id: Final = sender_id
        self.recipient_id: Final = recipient_id
        self.id_context: Final = id_context
        self.secret: Final = secret
        self.salt: Final = salt

    def __repr__(self) -> str:
        return f"NewOscore({self.sender_id.hex()!r})"


class NewOtp:
    """What a generator of RFC 2289 needs. The next password that counts is number `sequence` - 1."""

    def __init__(self, algorithm: str, pass_phrase: str, seed: str, sequence: int) -> None:
        self.algorithm: Final = algorithm
        self.pass_phrase: Final = pass_phrase
        self.seed: Final = seed
        self.sequence: Final = sequence

    def __repr__(self) -> str:
        return f"NewOtp({self.algorithm!r}, sequence={self.sequence!r})"


class Enrolled:
    """What came of it: the record, all permissions that hold for it, and what the device itself needs: everything in
    clear that was made for it, None for what was not."""

    def __init__(
        self,
        device: Device,
        permissions: list[PermissionRecord],
        certificate: IssuedCertificate | None,
        password: bytes | None,
        authority_pem: bytes,
        psk: NewPsk | None = None,
        raw_key: NewRawKey | None = None,
        oscore: NewOscore | None = None,
        otp: NewOtp | None = None,
        dds: IssuedCertificate | None = None,
    ) -> None:
        self.device: Final = device
        self.permissions: Final = permissions
        self.certificate: Final = certificate
        self.password: Final = password
        self.authority_pem: Final = authority_pem
        self.psk: Final = psk
        self.raw_key: Final = raw_key
        self.oscore: Final = oscore
        self.otp: Final = otp
        self.dds: Final = dds

    def __repr__(self) -> str:
        return f"Enrolled({self.device.name!r})"


def check_psk_identity(identity: str) -> None:
    """RFC 4279 section 5.1: UTF-8. Errors: NotAcceptable."""
    if not identity.isprintable() or len(identity.encode()) > PSK_IDENTITY_OCTETS:
        raise NotAcceptable(
            f"{identity[:80]!r} cannot be the identity of a pre-shared key: give at most {PSK_IDENTITY_OCTETS} octets "
            "of printable UTF-8"
        )


def check_kerberos(principal: str) -> None:
    """Errors: NotAcceptable."""
    name, at, realm = principal.rpartition("@")
    if not name or not at or not realm or " " in principal or not principal.isprintable():
        raise NotAcceptable(f"{principal[:80]!r} is no Kerberos principal: write NAME@REALM")
