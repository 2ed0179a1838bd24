"""Credentials are made: the records of them, and in clear what the device itself needs. Nothing is stored here."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Final, Literal

from cryptography.hazmat.primitives import serialization

from bridgehead.security.credentials import (
    CertificateRecord,
    OscoreRecord,
    OtpRecord,
    PasswordRecord,
    PreSharedKeyRecord,
    RawPublicKeyRecord,
    Sealed,
    ntlm_context,
    oscore_context,
    otp_context,
    psk_context,
)
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity.wanted import Enrolled, Fresh, NewOscore, NewOtp, NewPsk, NewRawKey, Wanted
from bridgehead.security.login.passwords import generate_password
from bridgehead.security.otp import otp
from bridgehead.security.pki import certificates, profiles
from bridgehead.security.pki.hub import Pki
from bridgehead.security.pki.issued import IssuedCertificate
from bridgehead.security.records import Device, PermissionRecord
from bridgehead.security.sasl.verifiers import nt_hash, scram_records

Seal = Callable[[bytes, str], Sealed]
Hash = Callable[[bytes], str]

_PSK_OCTETS: Final = 32  # RFC 4279 section 5.3 wants 64 octets supported; small devices commonly hold 32
_OSCORE_SECRET: Final = 16  # RFC 8613 section 3.2.1: as long as the keys of AES-CCM-16-64-128
_OSCORE_SALT: Final = 8
_OSCORE_ID: Final = 4  # RFC 8613 section 3.3: at most 7 octets with that algorithm
_HUB_ID: Final = b"B"
_OTP_ALGORITHM: Final[Literal["otp-sha1"]] = "otp-sha1"
_OTP_SEQUENCE: Final = 500
_OTP_SEED: Final = 10


class Made:
    """The records, and the secrets in clear. A field is None when that credential was not asked for."""

    def __init__(self) -> None:
        self.password: PasswordRecord | None = None
        self.certificate: CertificateRecord | None = None
        self.psk: PreSharedKeyRecord | None = None
        self.raw_key: RawPublicKeyRecord | None = None
        self.oscore: OscoreRecord | None = None
        self.otp: OtpRecord | None = None
        self.dds: CertificateRecord | None = None
        self.clear_password: bytes | None = None
        self.issued: IssuedCertificate | None = None
        self.new_psk: NewPsk | None = None
        self.new_raw_key: NewRawKey | None = None
        self.new_oscore: NewOscore | None = None
        self.new_otp: NewOtp | None = None
        self.dds_issued: IssuedCertificate | None = None

    def __repr__(self) -> str:
        return "Made(...)"

    def device(self, wanted: Wanted, now: float) -> Device:
        """The record of a device that has just these."""
        return Device(
            name=wanted.name,
            created=now,
            roles=wanted.roles,
            password=self.password,
            certificates=() if self.certificate is None else (self.certificate,),
            require=wanted.require,
            client_ids=wanted.client_ids,
            permissions=wanted.permissions,
            attributes=wanted.attributes,
            groups=wanted.groups,
            quota=wanted.quota,
            foreign_certificates=wanted.foreign_certificates,
            pre_shared_keys=() if self.psk is None else (self.psk,),
            raw_public_keys=() if self.raw_key is None else (self.raw_key,),
            oscore=() if self.oscore is None else (self.oscore,),
            token_subjects=wanted.token_subjects,
            kerberos_principals=wanted.kerberos_principals,
            otp=self.otp,
            dds_identity=self.dds,
        )

    def enrolled(self, device: Device, permissions: list[PermissionRecord], authority_pem: bytes) -> Enrolled:
        return Enrolled(
            device,
            permissions,
            self.issued,
            self.clear_password,
            authority_pem,
            self.new_psk,
            self.new_raw_key,
            self.new_oscore,
            self.new_otp,
            self.dds_issued,
        )


def make(fresh: Fresh, name: str, now: float, pki: Pki, seal: Seal, password_hash: Hash) -> Made:
    """Takes a while where there is a password: its Argon2 hash. Errors: SecurityError, NotAcceptable."""
    made = Made()
    if fresh.encoded is not None:
        made.password = PasswordRecord(fresh.encoded, now)
    elif fresh.password is not None:
        made.password = password_record(name, fresh.password, now, seal, password_hash, fresh.ntlm)
        made.clear_password = fresh.password
    if fresh.certificate:
        made.issued = pki.issue_device(name, now)
        made.certificate = certificate_record(made.issued)
    if fresh.psk is not None:
        # As text, without commas: coap-client and others take no other keys. 192 random bits.
        key_text = secrets.token_urlsafe(_PSK_OCTETS * 3 // 4)
        made.new_psk = NewPsk(fresh.psk or name, key_text.encode())
        box = seal(made.new_psk.key, psk_context(name, made.new_psk.identity))
        made.psk = PreSharedKeyRecord(made.new_psk.identity, box, now)
    if fresh.raw_public_key is not None:
        made.raw_key = raw_key_record(fresh.raw_public_key, now)
    elif fresh.raw_key:
        key = certificates.new_key()
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        made.new_raw_key = NewRawKey(certificates.key_pem(key), spki)
        made.raw_key = raw_key_record(spki, now)
    if fresh.oscore:
        made.new_oscore = new = _new_oscore()
        box = seal(bytes([len(new.secret)]) + new.secret + new.salt, oscore_context(name, new.sender_id))
        made.oscore = OscoreRecord(new.sender_id, new.recipient_id, new.id_context, box, now)
    if fresh.otp:
        made.new_otp = NewOtp(_OTP_ALGORITHM, generate_password(), _seed(), _OTP_SEQUENCE)
        made.otp = _otp_record(name, made.new_otp, now, seal)
    if fresh.dds:
        key = certificates.new_key()
        pem = certificates.key_pem(key)
        made.dds_issued = pki.issue(profiles.DDS_IDENTITY, [name], key.public_key(), now, pem)
        made.dds = certificate_record(made.dds_issued)
    return made


def password_record(
    name: str, password: bytes, now: float, seal: Seal, password_hash: Hash, ntlm: bool = False
) -> PasswordRecord:
    """The Argon2 hash, the verifiers of SCRAM (RFC 5802, RFC 7677) where SCRAM can carry the password, and the NT hash
    when it is asked for."""
    box: Sealed | None = None
    if ntlm:
        try:
            box = seal(nt_hash(password), ntlm_context(name))
        except ImportError:
            raise NotAcceptable("NTLM needs a library that is not here: install bridgehead[ntlm]") from None
        except UnicodeError:
            raise NotAcceptable("NTLM cannot carry this password: it is not UTF-8 text") from None
    return PasswordRecord(password_hash(password), now, None, scram_records(password), box)


def certificate_record(issued: IssuedCertificate) -> CertificateRecord:
    return CertificateRecord(
        fingerprint=issued.fingerprint,
        serial=format(issued.serial, "x"),
        not_before=issued.not_before,
        not_after=issued.not_after,
        issuer=issued.issuer,
    )


def raw_key_record(spki: bytes, now: float) -> RawPublicKeyRecord:
    return RawPublicKeyRecord(hashlib.sha256(spki).hexdigest(), spki, now)


def _new_oscore() -> NewOscore:
    # A new ID Context each time: an old context never comes back with its sequence numbers forgotten.
    return NewOscore(
        secrets.token_bytes(_OSCORE_ID),
        _HUB_ID,
        secrets.token_bytes(_OSCORE_SALT),
        secrets.token_bytes(_OSCORE_SECRET),
        secrets.token_bytes(_OSCORE_SALT),
    )


def _seed() -> str:
    """RFC 2289 section 6.0: letters and digits, in lower case."""
    return secrets.token_hex(_OTP_SEED // 2)


def _otp_record(name: str, new: NewOtp, now: float, seal: Seal) -> OtpRecord:
    last = otp.compute(new.algorithm, new.pass_phrase, new.seed, new.sequence)
    return OtpRecord(_OTP_ALGORITHM, new.sequence, new.seed, seal(last, otp_context(name)), now)


# What each box is bound to. Sentences name it, so it reads as one. -------------------------------------------------
