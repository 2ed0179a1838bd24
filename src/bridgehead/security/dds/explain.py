"""Why a secured participant could not be made. Cyclone DDS says which step failed, and not by which file."""

from __future__ import annotations

import hashlib
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7

from bridgehead.security import files
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import certificates
from bridgehead.security.pki.authority import date

_BOUNDARY: Final = re.compile(rb'boundary="?([^"\r\n;]+)"?')
_GRANT: Final = re.compile(r"<grant\b.*?</grant>", re.DOTALL)
# id-messageDigest (RFC 5652 section 11.2) and the head of a set of one SHA-256.
_DIGEST: Final = bytes.fromhex("06092a864886f70d01090431220420")


def why_refused(signed: DomainFiles, now: float) -> str:
    """One sentence with what to do, "" when nothing is wrong with these files as far as they can be judged here. The
    signatures themselves are Cyclone's to verify."""
    try:
        return (
            _identity(signed, now)
            or _signature(signed.governance, signed.permissions_ca, "`bridgehead dds governance` writes it anew")
            or _signature(signed.permissions, signed.permissions_ca, "`bridgehead dds permissions` writes it anew")
            or _permissions(signed, now)
        )
    except SecurityError as fault:
        return str(fault)


def _identity(signed: DomainFiles, now: float) -> str:
    certificate = certificates.read_certificate(files.read(signed.certificate), str(signed.certificate))
    authority = certificates.read_certificate(files.read(signed.identity_ca), str(signed.identity_ca))
    key = certificates.read_key(files.read(signed.key), str(signed.key))
    if key.public_key() != certificate.public_key():
        return f"{signed.key} is not the key of {signed.certificate}: take both from one bundle"
    if not certificates.is_issued_by(certificate, authority):
        return f"{signed.certificate} was not issued by {signed.identity_ca}: export the device again"
    if not certificates.not_before(certificate) <= now < certificates.not_after(certificate):
        end = date(certificates.not_after(certificate))
        return f"{signed.certificate} is not in force (until {end}): export the device again, or set the clock"
    if signed.crl is None:
        return ""
    listed = certificates.read_revocation_list(files.read(signed.crl), str(signed.crl))
    if listed.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
        return f"{signed.certificate} was revoked: add the device again for a new identity"
    end_of_list = listed.next_update_utc
    if end_of_list is None or end_of_list.timestamp() <= now:
        return f"{signed.crl} has expired: `bridgehead dds permissions` writes it anew"
    return ""


def _signature(document: Path, signer: Path, remedy: str) -> str:
    data = files.read(document)
    boundary = _BOUNDARY.search(re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0])
    parts = re.split(rb"\r?\n?--" + re.escape(boundary[1]) + rb"(?:--)?\r?\n", data) if boundary else []
    if len(parts) < 3:
        return f"{document} is not signed (S/MIME): {remedy}"
    body = re.split(rb"\r?\n\r?\n", parts[2], maxsplit=1)[-1]
    try:
        der = ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}\n{body.decode('ascii').strip()}\n{ssl.PEM_FOOTER}")
        holders = pkcs7.load_der_pkcs7_certificates(der)
    except ValueError:
        return f"{document} has no signature that can be read: {remedy}"
    wanted = certificates.read_certificate(files.read(signer), str(signer))
    if wanted not in holders:
        name = holders[0].subject.rfc4514_string() if holders else "nobody"
        return f"{document} is signed by {name} and not by {signer}: {remedy}"
    at = der.find(_DIGEST)
    said = der[at + len(_DIGEST) :][:32]
    if at >= 0 and said != hashlib.sha256(_canonical(parts[1])).digest():
        return f"{document} was changed after it was signed: {remedy}"
    return ""


def _canonical(part: bytes) -> bytes:
    """Lines end in CR LF (RFC 8551 section 3.1.1)."""
    return part.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _permissions(signed: DomainFiles, now: float) -> str:
    """Whether there is a grant of today for the certificate's subject."""
    certificate = certificates.read_certificate(files.read(signed.certificate), str(signed.certificate))
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = f"CN={names[0].value!s}" if names else certificate.subject.rfc4514_string()
    text = files.read(signed.permissions).decode("utf-8", "replace")
    grants = [each for each in _GRANT.findall(text) if f"<subject_name>{name}</subject_name>" in each]
    if not grants:
        return f"{signed.permissions} grants nothing to {name}: take it from the same bundle as {signed.certificate}"
    begins, ends = (re.findall(rf"<{word}>([^<]+)<", grants[0]) for word in ("not_before", "not_after"))
    try:
        begin, end = (datetime.fromisoformat(each[0]).replace(tzinfo=UTC).timestamp() for each in (begins, ends))
    except (IndexError, ValueError):
        return f"{signed.permissions} does not say when it holds: `bridgehead dds permissions` writes it anew"
    if not begin <= now < end:
        return (
            f"{signed.permissions} holds from {date(begin)} to {date(end)} only: "
            "`bridgehead dds permissions` writes it anew"
        )
    return ""
