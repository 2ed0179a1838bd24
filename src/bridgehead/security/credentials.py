"""The credentials in a device's record, one class for each kind. Times are seconds since the epoch.

What must stay readable to be used (symmetric keys, the NTLM hash) is `Sealed` under the master key; what is only
verified (passwords) is stored as what verifies it. A `repr` never shows either.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Sealed(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret, encrypted by security.vault: `key` names the master key, `box` is nonce and AES-256-GCM ciphertext."""

    key: str
    box: bytes

    def __repr__(self) -> str:
        return "Sealed(...)"


class ScramRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """The verifier of one SCRAM mechanism (RFC 5802 section 3): no password follows from it. `mechanism` is
    "SCRAM-SHA-256" or "SCRAM-SHA-512"."""

    mechanism: str
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return f"ScramRecord({self.mechanism!r})"


class PasswordRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`encoded` is the Argon2 hash in its own text form. `set_at`: when the password was chosen; hashing the same
    password anew does not change it. `until`: when it ends, None: never. `ntlm`: its NT hash, kept only when NTLM
    was asked for."""

    encoded: str
    set_at: float
    until: float | None = None
    scram: tuple[ScramRecord, ...] = ()
    ntlm: Sealed | None = None

    def __repr__(self) -> str:
        return f"PasswordRecord(set_at={self.set_at!r}, until={self.until!r})"


class CertificateRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One that our authority issued. `fingerprint`: SHA-256 of the DER encoding, in hexadecimal. `serial`: the serial
    number, in hexadecimal. `issuer`: the fingerprint of the authority's certificate, empty for the first. `until`:
    when it ends here though it is valid longer (a rotation's overlap), None: with its validity."""

    fingerprint: str
    serial: str
    not_before: float
    not_after: float
    issuer: str = ""
    until: float | None = None


class ForeignCertificate(Struct, frozen=True, forbid_unknown_fields=True):
    """A certificate of somebody else's authority that the listener trusts. By which of its names it is known: `kind`
    and `value`; a fingerprint is SHA-256 in hexadecimal, a subject in RFC 4514's text form."""

    kind: Literal["fingerprint", "uri", "dns", "email", "subject"]
    value: str


class PreSharedKeyRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A DTLS or TLS pre-shared key (RFC 4279): `identity` as the device sends it, in UTF-8."""

    identity: str
    key: Sealed
    set_at: float
    until: float | None = None


class RawPublicKeyRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A raw public key (RFC 7250). `spki` is the DER SubjectPublicKeyInfo, `fingerprint` its SHA-256 in hexadecimal."""

    fingerprint: str
    spki: bytes
    set_at: float
    until: float | None = None


class OscoreRecord(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An OSCORE security context (RFC 8613 section 3). The identifiers are as the device has them: its `sender_id` is
    our Recipient ID. `secret` seals Master Secret and Master Salt, the former's length (one octet) first."""

    sender_id: bytes
    recipient_id: bytes
    id_context: bytes
    secret: Sealed
    set_at: float
    until: float | None = None


class TokenSubject(Struct, frozen=True, forbid_unknown_fields=True):
    """The `iss` and `sub` of the tokens that speak for the device (RFC 7519 section 4.1)."""

    issuer: str
    subject: str


class OtpRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """RFC 2289: `last` is the one-time password that was accepted last, of number `sequence`; the next is one less.
    It is as public as a password that was used up, and sealed all the same: with few numbers left it can be guessed
    from a weak pass phrase."""

    algorithm: Literal["otp-md5", "otp-sha1"]
    sequence: int
    seed: str
    last: Sealed
    set_at: float

    def __repr__(self) -> str:
        return f"OtpRecord({self.algorithm!r}, sequence={self.sequence!r})"


def psk_context(device: str, identity: str) -> str:
    return f"pre-shared key {identity!r} of {device}"


def oscore_context(device: str, sender_id: bytes) -> str:
    return f"OSCORE secret {sender_id.hex()} of {device}"


def otp_context(device: str) -> str:
    return f"one-time password of {device}"


def ntlm_context(device: str) -> str:
    return f"NTLM hash of {device}"
