"""What the hub's authorities sign (RFC 5280), by itself: roots, issuing authorities, leaves, revocation lists.

ECDSA on P-256 with SHA-256, unless the authority is somebody else's. Times are seconds since the epoch. What is made
here passes OpenSSL's X509_V_FLAG_X509_STRICT. Which leaves there are is in pki/profiles.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from bridgehead.security.errors import SecurityError

DAY: Final = 86400.0
AUTHORITY_LIFE: Final = 3653 * DAY
REVOCATION_LIST_LIFE: Final = 30 * DAY
BACKDATED: Final = 3600.0  # peers whose clock is late accept a new certificate at once
COMMON_NAME_LIMIT: Final = 64  # RFC 5280 appendix A.1, ub-common-name

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
VerifyingKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

# What `cryptography` raises on octets that it cannot read, when they are loaded or when a part of them is asked for.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class Revoked:
    """One entry of a revocation list. `serial` is the certificate's serial number."""

    def __init__(self, serial: int, at: float) -> None:
        self.serial: Final = serial
        self.at: Final = at


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: SigningKey, passphrase: bytes | None = None) -> bytes:
    """PKCS #8. Without a pass phrase the file's mode protects it."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def certificate_pem(*certificates: x509.Certificate) -> bytes:
    """One after the other: a leaf first, then who issued it."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def certificate_der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def read_key(pem: bytes, where: str, passphrase: bytes | None = None) -> SigningKey:
    """Errors: SecurityError, which says nothing of the contents."""
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except TypeError:  # one of both is encrypted, the key or what we expect
        if passphrase is None:
            raise SecurityError(f"the private key {where} is encrypted: give its pass phrase in a file") from None
        raise SecurityError(f"the private key {where} is not encrypted: leave the pass phrase out") from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is not None:
            raise SecurityError(f"{where} cannot be opened: a wrong pass phrase, or no private key") from None
        raise SecurityError(f"{where} holds no readable private key: restore it from a backup") from None
    if not isinstance(key, SigningKey):
        raise SecurityError(f"{where} holds a key that signs no certificates: use ECDSA, Ed25519 or RSA")
    return key


def read_certificate(pem: bytes, where: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except UNREADABLE:
        raise SecurityError(f"{where} holds no readable certificate: restore it from a backup") from None


def read_certificates(pem: bytes, where: str) -> list[x509.Certificate]:
    """At least one."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except UNREADABLE:
        raise SecurityError(f"{where} holds no readable certificate: restore it from a backup") from None


def read_revocation_list(pem: bytes, where: str) -> x509.CertificateRevocationList:
    return read_revocation_lists(pem, where)[0]


def read_revocation_lists(pem: bytes, where: str) -> list[x509.CertificateRevocationList]:
    """At least one."""
    begin = b"-----BEGIN X509 CRL-----"
    try:
        found = [x509.load_pem_x509_crl(begin + part) for part in pem.split(begin)[1:]]
    except UNREADABLE:
        found = []
    if not found:
        raise SecurityError(f"{where} holds no readable revocation list: remove it, it is made anew")
    return found


def fingerprint(certificate_der: bytes) -> str:
    """SHA-256 of the DER encoding, 64 hexadecimal digits: the name by which records know a certificate."""
    return hashlib.sha256(certificate_der).hexdigest()


def not_before(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def not_after(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True


def key_identifier(certificate: x509.Certificate) -> bytes:
    """The subject key identifier; computed where a foreign certificate has none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def make_root(key: SigningKey, now: float) -> x509.Certificate:
    """Its name is unique, so that the roots of several hubs stand beside each other in a trust store."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = common_name(f"Bridgehead Root CA {identifier.digest.hex()[:12]}")
    builder = _builder(name, name, key.public_key(), now, now - BACKDATED + AUTHORITY_LIFE)
    return _sign(_authority(builder, identifier, 1), key)


def make_issuing(root: x509.Certificate, root_key: SigningKey, key: SigningKey, now: float) -> x509.Certificate:
    """An authority below the root, for leaves only. It does not outlive the root."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = common_name(f"Bridgehead Issuing CA {identifier.digest.hex()[:12]}")
    until = min(now - BACKDATED + AUTHORITY_LIFE, not_after(root))
    builder = _builder(name, root.subject, key.public_key(), now, until)
    builder = builder.add_extension(_issuer_key_identifier(root), critical=False)
    return _sign(_authority(builder, identifier, 0), root_key)


def _authority(
    builder: x509.CertificateBuilder, identifier: x509.SubjectKeyIdentifier, path_length: int
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(key_usage(signs_certificates=True), critical=True)
    return builder.add_extension(identifier, critical=False)


def make_request(key: SigningKey) -> x509.CertificateSigningRequest:
    """For an issuing authority below somebody else's root."""
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(common_name(f"Bridgehead Issuing CA {identifier.digest.hex()[:12]}"))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(key_usage(signs_certificates=True), critical=True)
    return builder.sign(key, _hash_of(key))


def make_leaf(
    issuer: x509.Certificate,
    issuer_key: SigningKey,
    public_key: CertificatePublicKeyTypes,
    subject: str,
    alternatives: Sequence[x509.GeneralName],
    purposes: Sequence[x509.ObjectIdentifier],
    now: float,
    life: float,
    url: str = "",
    more: Sequence[x509.ExtensionType] = (),
) -> x509.Certificate:
    """An end entity: CA:FALSE, digitalSignature only, and for `purposes` only. It does not outlive its issuer.
    `url` is where revocation lists and OCSP are served (RFC 5280 4.2.1.13, 4.2.2.1); empty: it says nothing of it."""
    until = min(now - BACKDATED + life, not_after(issuer))
    builder = _builder(common_name(subject), issuer.subject, public_key, now, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(key_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    builder = builder.add_extension(_issuer_key_identifier(issuer), critical=False)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if url:
        list_at = x509.UniformResourceIdentifier(f"{url}/crl/{key_identifier(issuer).hex()}.crl")
        point = x509.DistributionPoint([list_at], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        responder = x509.UniformResourceIdentifier(f"{url}/ocsp")
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, responder)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return _sign(builder, issuer_key)


def make_revocation_list(
    authority: x509.Certificate,
    authority_key: SigningKey,
    revoked: Iterable[Revoked],
    number: int,
    now: float,
    life: float = REVOCATION_LIST_LIFE,
) -> x509.CertificateRevocationList:
    """RFC 5280 section 5. `number` grows with every list (5.2.3); the next one comes within `life` seconds."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
    builder = builder.last_update(_time(now - BACKDATED)).next_update(_time(now + life))
    builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    builder = builder.add_extension(_issuer_key_identifier(authority), critical=False)
    reason = x509.CRLReason(x509.ReasonFlags.cessation_of_operation)
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(_time(each.at))
        builder = builder.add_revoked_certificate(entry.add_extension(reason, critical=False).build())
    return builder.sign(authority_key, _hash_of(authority_key))


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _hash_of(key: SigningKey) -> hashes.SHA256 | None:
    """RFC 8410: Ed25519 hashes by itself."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _sign(builder: x509.CertificateBuilder, key: SigningKey) -> x509.Certificate:
    return builder.sign(key, _hash_of(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: float, until: float
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(_time(now - BACKDATED)).not_valid_after(_time(until))


def _issuer_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(key_identifier(issuer), None, None)


def key_usage(signs_certificates: bool) -> x509.KeyUsage:
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
