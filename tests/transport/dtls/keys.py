"""Keys and certificates for DTLS tests, made once per session: P-256, one authority, one list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEGIN = datetime.now(UTC) - timedelta(days=1)
_END = _BEGIN + timedelta(days=30)


class KeyPair:
    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        # libcoap reads a raw key as an EC PRIVATE KEY.
        self.sec1 = self.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        self.spki = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Authority:
    def __init__(self, name: str = "Test authority") -> None:
        self.key = KeyPair()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_END)
            .add_extension(x509.BasicConstraints(True, 0), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(self.key.private, hashes.SHA256())
        )
        self.pem = made.public_bytes(Encoding.PEM).decode()

    def issue(self, name: str, key: KeyPair, *, server: bool = False) -> x509.Certificate:
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))] if server else [x509.DNSName(name)]
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.name)
            .public_key(key.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(_END)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.key.private, hashes.SHA256())
        )

    def revoke(self, *certificates: x509.Certificate) -> str:
        """A revocation list in PEM."""
        made = x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(_BEGIN).next_update(_END)
        for each in certificates:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(_BEGIN).build()
            made = made.add_revoked_certificate(entry)
        return made.sign(self.key.private, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


class Town:
    """An authority, the hub's key and certificate, and two devices with both."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.hub_key = KeyPair()
        self.hub = self.authority.issue("hub", self.hub_key, server=True)
        self.sensor_key = KeyPair()
        self.sensor = self.authority.issue("sensor-7", self.sensor_key)
        self.stranger_key = KeyPair()
        self.stranger = Authority("Another authority").issue("sensor-7", self.stranger_key)


@cache
def town() -> Town:
    return Town()


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )
