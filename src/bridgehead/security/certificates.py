"""The certificates and revocation lists that the hub's own authority signs: their profile (RFC 5280), nothing else.

ECDSA on P-256 with SHA-256 throughout. Times are seconds since the epoch. What is made here passes OpenSSL's
X509_V_FLAG_X509_STRICT.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridgehead.security.errors import SecurityError
from bridgehead.security.machine import Address

DAY: Final = 86400.0
AUTHORITY_LIFE: Final = 3653 * DAY
SERVER_LIFE: Final = 397 * DAY  # what the CA/Browser Forum allowed at most when browsers began to enforce a limit
DEVICE_LIFE: Final = 397 * DAY
REVOCATION_LIST_LIFE: Final = 30 * DAY
BACKDATED: Final = 3600.0  # peers whose clock is late accept a new certificate at once
COMMON_NAME_LIMIT: Final = 64  # RFC 5280 appendix A.1, ub-common-name

DEVICE_URN: Final = "urn:bridgehead:device:"


class Revoked:
    """One entry of a revocation list. `serial` is the certificate's serial number."""

    def __init__(self, serial: int, at: float) -> None:
        self.serial: Final = serial
        self.at: Final = at


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def read_key(pem: bytes, where: str) -> ec.EllipticCurvePrivateKey:
    """Errors: SecurityError, which says nothing of the contents."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SecurityError(f"{where} holds no readable private key: restore it from a backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SecurityError(f"{where} holds a key that is not an elliptic curve's: restore the hub's own")
    return key


def read_certificate(pem: bytes, where: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise SecurityError(f"{where} holds no readable certificate: restore it from a backup") from None


def read_revocation_list(pem: bytes, where: str) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(pem)
    except ValueError:
        raise SecurityError(f"{where} holds no readable revocation list: remove it, it is made anew") from None


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 of the DER encoding, 64 hexadecimal digits: the name by which records know a certificate."""
    return hashlib.sha256(certificate_der).hexdigest()


def not_before(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def not_after(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def make_authority(key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    """A self-signed root. Its name is unique, so that the roots of several hubs stand beside each other in a trust
    store. pathLenConstraint 1 leaves room for an issuing authority below it."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _common_name(f"Bridgehead CA {identifier.digest.hex()[:12]}")
    builder = _builder(name, name, key.public_key(), now, now - BACKDATED + AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def make_server(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public_key: CertificatePublicKeyTypes,
    hosts: Sequence[str | Address],
    now: float,
) -> x509.Certificate:
    """The hub's own certificate. `hosts` is not empty; the first one is the subject's common name too."""
    names: list[x509.GeneralName] = [
        x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host) for host in hosts
    ]
    subject = _common_name(next((str(host) for host in hosts if len(str(host)) <= COMMON_NAME_LIMIT), "bridgehead"))
    builder = _leaf(authority, subject, public_key, now, SERVER_LIFE)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def make_device(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public_key: CertificatePublicKeyTypes,
    name: str,
    now: float,
) -> x509.Certificate:
    """A device's certificate: common name NAME, alternative name urn:bridgehead:device:NAME, for clients only."""
    builder = _leaf(authority, _common_name(name), public_key, now, DEVICE_LIFE)
    alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(DEVICE_URN + name)])
    builder = builder.add_extension(alternative, critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def make_revocation_list(
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    revoked: Iterable[Revoked],
    number: int,
    now: float,
) -> x509.CertificateRevocationList:
    """RFC 5280 section 5. `number` grows with every list (5.2.3)."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
    builder = builder.last_update(_time(now - BACKDATED)).next_update(_time(now + REVOCATION_LIST_LIFE))
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    builder = builder.add_extension(_authority_key_identifier(authority), critical=False)
    reason = x509.CRLReason(x509.ReasonFlags.cessation_of_operation)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(_time(each.at))
        builder = builder.add_revoked_certificate(entry.add_extension(reason, critical=False).build())
    return builder.sign(authority_key, hashes.SHA256())


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _leaf(
    authority: x509.Certificate, subject: x509.Name, key: CertificatePublicKeyTypes, now: float, life: float
) -> x509.CertificateBuilder:
    """What server and device have in common. It does not outlive the authority."""
    until = min(now - BACKDATED + life, not_after(authority))
    builder = _builder(subject, authority.subject, key, now, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    return builder.add_extension(_authority_key_identifier(authority), critical=False)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: float, until: float
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(_time(now - BACKDATED)).not_valid_after(_time(until))


def _authority_key_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    """An authority signs certificates and lists; a leaf signs handshakes (ECDHE needs no keyAgreement)."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
