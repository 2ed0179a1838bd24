"""What people and import files write of a device, made into what records hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from bridgehead.security.credentials import ForeignCertificate
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity.wanted import check_kerberos
from bridgehead.security.pki import certificates
from bridgehead.security.policy.units import quota as quota_of_words
from bridgehead.security.records import Quota, check_attributes

_FOREIGN: Final = ("fingerprint", "uri", "dns", "email", "subject")
_OURS: Final = "urn:bridgehead:"
_DNS: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_HEX64: Final = re.compile(r"[0-9a-f]{64}")
_DURATION: Final = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

__all__ = ["attributes", "check_kerberos", "duration", "foreign", "foreign_of", "public_key", "quota"]


def duration(text: str) -> float:
    """`30s`, `15m`, `1h`, `7d`, `0`; in seconds. Errors: NotAcceptable."""
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(text)
    if found is None:
        raise NotAcceptable(f"{text[:40]!r} is no duration: write it as 30s, 15m, 1h or 7d")
    return int(found.group(1)) * _SECONDS[found.group(2)]


def quota(text: str) -> Quota:
    """`100 messages/s 64 KiB/s`, or one of both. Errors: NotAcceptable."""
    return quota_of_words(text.split())


def attributes(pairs: Iterable[str]) -> dict[str, str]:
    """Each `NAME=VALUE`. Errors: NotAcceptable."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise NotAcceptable(f"the attribute {pair[:80]!r} has no value: write it as NAME=VALUE")
        if name in found:
            raise NotAcceptable(f"the attribute {name!r} is given twice: it has one value")
        found[name] = value
    check_attributes(found)
    return found


def foreign(text: str) -> ForeignCertificate:
    """`fingerprint:SHA256`, `uri:...`, `dns:...`, `email:...` or `subject:RFC 4514`. Errors: NotAcceptable."""
    kind, colon, value = text.partition(":")
    if not colon or kind not in _FOREIGN or not value or not value.isprintable():
        raise NotAcceptable(
            f"{text[:80]!r} names no foreign certificate: write fingerprint:SHA256, uri:..., dns:..., email:... "
            "or subject:..."
        )
    if kind == "fingerprint":
        value = value.replace(":", "").lower()
        if not _HEX64.fullmatch(value):
            raise NotAcceptable(f"{text[:120]!r} is no SHA-256 fingerprint: give its 64 hexadecimal digits")
    elif kind == "dns":
        value = value.lower()
        if not _DNS.fullmatch(value):
            raise NotAcceptable(f"{value[:80]!r} is no DNS name: write it in full, without a wildcard")
    elif kind == "email":
        local, at, domain = value.rpartition("@")
        if not local or not at or not domain:
            raise NotAcceptable(f"{value[:80]!r} is no mail address")
        value = f"{local}@{domain.lower()}"
    elif kind == "uri":
        if value.lower().startswith(_OURS):
            raise NotAcceptable(f"{value[:80]!r} is a name that only the hub's own authority gives: use --certificate")
    else:
        try:
            value = x509.Name.from_rfc4514_string(value).rfc4514_string()
        except ValueError:
            raise NotAcceptable(f"{value[:80]!r} is no subject as RFC 4514 writes it: CN=pump-3,O=Example") from None
        if not value:
            raise NotAcceptable("an empty subject names no certificate")
    return ForeignCertificate(cast(Literal["fingerprint", "uri", "dns", "email", "subject"], kind), value)


def foreign_of(pem: bytes, where: str, now: float) -> ForeignCertificate:
    """By the fingerprint of the certificate in this file. Errors: NotAcceptable."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        begins, ends = certificates.not_before(certificate), certificates.not_after(certificate)
        is_authority = _is_authority(certificate)
    except ValueError:
        raise NotAcceptable(f"{where} holds no readable certificate in PEM: nothing was changed") from None
    if is_authority:
        raise NotAcceptable(
            f"the certificate in {where} is an authority's (CA:TRUE), not a device's: give the device's own"
        )
    if now >= ends:
        raise NotAcceptable(f"the certificate in {where} has expired: get a new one from who issued it")
    if now < begins:
        raise NotAcceptable(f"the certificate in {where} is not valid yet: set this machine's clock, or wait")
    return ForeignCertificate("fingerprint", certificates.fingerprint(certificates.certificate_der(certificate)))


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def public_key(data: bytes, where: str) -> bytes:
    """DER SubjectPublicKeyInfo of a public key in PEM or DER. A private key is refused. Errors: NotAcceptable."""
    try:
        if b"-----BEGIN" not in data:
            key = serialization.load_der_public_key(data)
        elif b"PRIVATE KEY-----" in data:
            raise NotAcceptable(f"{where} holds a private key: give the public one, the private one stays where it is")
        else:
            key = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise NotAcceptable(f"{where} holds no readable public key: give it in PEM or DER") from None
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
