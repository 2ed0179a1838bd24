"""Who vouches for DDS participants, in the form in which DDS takes it. DATA/dds, made with the first export:

    identity-ca-N.pem                  an issuing authority of the hub, signed by itself (N: its fingerprint)
    permissions.pem, permissions.key   signs governance and permissions

Both forms answer what was found with Cyclone DDS 0.10:
- It takes one certificate as the identity CA and wants it self-signed, so the issuing authority below a root will not
  do as it is. The same name and key with a signature of its own verifies the same identities.
- Whoever holds a certificate below the permissions CA could sign permissions for itself (CVE-2023-24011). So what
  participants are given as permissions CA is the signer itself: self-signed, CA:FALSE, digitalSignature only. Nothing
  can stand below it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.pki import certificates
from bridgehead.security.pki.authority import Authority
from bridgehead.security.pki.certificates import AUTHORITY_LIFE, BACKDATED

FOLDER: Final = "dds"


class DdsAuthority:
    """Errors of every method: SecurityError."""

    def __init__(self, data: Path, now: float) -> None:
        self._folder: Final = data / FOLDER
        self._certificate_file: Final = self._folder / "permissions.pem"
        self._key_file: Final = self._folder / "permissions.key"
        files.private_folder(self._folder)
        with files.locked(self._folder / ".lock"):
            self._signer: Final = self._open(now)
        self.permissions_ca_pem: Final = certificates.certificate_pem(self._signer)

    def __repr__(self) -> str:
        return f"DdsAuthority({str(self._folder)!r})"

    def identity_ca(self, issuer: Authority) -> bytes:
        """PEM of what verifies the identities that `issuer` signs."""
        if not issuer.chain:
            return certificates.certificate_pem(issuer.certificate)  # a root is self-signed already
        path = self._folder / f"identity-ca-{issuer.fingerprint[:16]}.pem"
        with files.locked(self._folder / ".lock"):
            if not path.exists():
                files.write_whole(path, certificates.certificate_pem(_self_signed_form(issuer)))
            return files.read(path)

    def sign(self, document: bytes) -> bytes:
        """S/MIME with the document in clear text (DDS Security 1.1 section 9.4.1.1), as `openssl smime -sign -text`
        makes it."""
        if not self._key_file.exists():
            raise SecurityError(f"{self._key_file} is not there: put it back to sign permissions for DDS")
        key = self._key()
        if key.public_key() != self._signer.public_key():
            raise SecurityError(
                f"{self._key_file} is not the key of {self._certificate_file}: restore both from one backup"
            )
        builder = pkcs7.PKCS7SignatureBuilder().set_data(document).add_signer(self._signer, key, hashes.SHA256())
        return builder.sign(
            serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Text, pkcs7.PKCS7Options.DetachedSignature]
        )

    def _open(self, now: float) -> x509.Certificate:
        if not self._certificate_file.exists():
            # The key comes first. A certificate that is missing beside it is one that nobody has been given.
            if not self._key_file.exists():
                files.write_whole(self._key_file, certificates.key_pem(certificates.new_key()))
            files.write_whole(self._certificate_file, certificates.certificate_pem(_signer(self._key(), now)))
        return certificates.read_certificate(files.read(self._certificate_file), str(self._certificate_file))

    def _key(self) -> ec.EllipticCurvePrivateKey:
        files.check_private(self._key_file)
        key = certificates.read_key(files.read(self._key_file), str(self._key_file))
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SecurityError(f"{self._key_file} holds no elliptic curve key: restore it from a backup")
        return key


def _self_signed_form(issuer: Authority) -> x509.Certificate:
    key, certificate = issuer.key(), issuer.certificate
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raise NotAcceptable(
            "DDS knows identities by RSA and ECDSA only (DDS Security 1.1 section 9.3.1), and the hub's authority "
            "signs by Ed25519: roll over to one with an ECDSA key first"
        )
    begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
    builder = _builder(certificate.subject, key, begin, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(certificates.key_usage(signs_certificates=True), critical=True)
    # The identities name it by this identifier.
    identifier = x509.SubjectKeyIdentifier(certificates.key_identifier(certificate))
    return builder.add_extension(identifier, critical=False).sign(key, hashes.SHA256())


def _signer(key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    """It lasts as long as an authority does: to replace it, every participant has to be given the new one."""
    digest = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    name = certificates.common_name(f"Bridgehead DDS Permissions Signer {digest.hex()[:12]}")
    builder = _builder(name, key, now - BACKDATED, now - BACKDATED + AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return builder.add_extension(certificates.key_usage(signs_certificates=False), critical=True).sign(
        key, hashes.SHA256()
    )


def _builder(
    name: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, begin: float, end: float
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(datetime.fromtimestamp(int(begin), UTC)).not_valid_after(
        datetime.fromtimestamp(int(end), UTC)
    )
