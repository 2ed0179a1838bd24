"""The profile of the hub's certificates, and that strict verifiers accept them."""

from __future__ import annotations

import ipaddress
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridgehead.security import certificates
from bridgehead.security.certificates import Revoked
from bridgehead.security.errors import SecurityError
from tests.security.support import DAY

NOW = time.time()


class Made:
    """One of each kind."""

    def __init__(self) -> None:
        self.authority_key = certificates.new_key()
        self.authority = certificates.make_authority(self.authority_key, NOW)
        hosts = ["hub", "hub.example", ipaddress.ip_address("192.0.2.7"), ipaddress.ip_address("::1")]
        server_key, device_key = certificates.new_key().public_key(), certificates.new_key().public_key()
        self.server = certificates.make_server(self.authority, self.authority_key, server_key, hosts, NOW)
        self.device = certificates.make_device(self.authority, self.authority_key, device_key, "sensor-7", NOW)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def test_all_are_ecdsa_on_p256_with_sha256_and_version_3(made: Made) -> None:
    for each in (made.authority, made.server, made.device):
        key = each.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        assert isinstance(each.signature_hash_algorithm, hashes.SHA256)
        assert each.version is x509.Version.v3
        assert 64 <= each.serial_number.bit_length() <= 159  # RFC 5280 4.1.2.2: positive, at most 20 octets


def test_the_authority_signs_certificates_and_lists_and_nothing_else(made: Made) -> None:
    extensions = made.authority.extensions
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 1)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    assert made.authority.subject == made.authority.issuer
    assert certificates.not_after(made.authority) - NOW > 9 * 365 * DAY


def test_two_authorities_have_different_names() -> None:
    """Beside each other in one trust store a verifier must find the right one by name."""
    names = {certificates.make_authority(certificates.new_key(), NOW).subject.rfc4514_string() for _ in range(3)}
    assert len(names) == 3


def test_leaves_are_no_authorities_and_sign_handshakes_only(made: Made) -> None:
    own = made.authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    for leaf in (made.server, made.device):
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
        assert (basic.critical, basic.value.ca) == (True, False)
        assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
        assert leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert issuer.key_identifier == own.digest
        leaf.verify_directly_issued_by(made.authority)


def test_server_and_device_cannot_stand_in_for_each_other(made: Made) -> None:
    def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    assert purposes(made.server) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert purposes(made.device) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_device_is_named_twice(made: Made) -> None:
    names = made.device.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:bridgehead:device:sensor-7"]
    assert made.device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "sensor-7"


def test_a_name_of_64_characters_fits() -> None:
    key = certificates.new_key()
    authority = certificates.make_authority(key, NOW)
    certificate = certificates.make_device(authority, key, certificates.new_key().public_key(), "d" * 64, NOW)
    assert certificate.subject.rfc4514_string() == "CN=" + "d" * 64


def test_the_server_stands_for_names_and_addresses(made: Made) -> None:
    names = made.server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub", "hub.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "::1"]


def test_lives_of_397_days_that_begin_an_hour_ago(made: Made) -> None:
    for leaf in (made.server, made.device):
        begin, end = certificates.not_before(leaf), certificates.not_after(leaf)
        assert end - begin == 397 * DAY
        assert begin == int(NOW - 3600)


def test_no_certificate_outlives_the_authority() -> None:
    key = certificates.new_key()
    authority = certificates.make_authority(key, NOW)
    late = certificates.not_after(authority) - 10 * DAY
    leaf = certificates.make_device(authority, key, certificates.new_key().public_key(), "d", late)
    assert certificates.not_after(leaf) == certificates.not_after(authority)


def test_the_revocation_list_names_serials_and_grows_in_number(made: Made) -> None:
    revoked = [Revoked(made.device.serial_number, NOW)]
    made_list = certificates.make_revocation_list(made.authority, made.authority_key, revoked, 41, NOW)
    assert [entry.serial_number for entry in made_list] == [made.device.serial_number]
    assert made_list.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 41
    public_key = made.authority.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert made_list.is_signature_valid(public_key)
    assert made_list.next_update_utc is not None
    assert made_list.next_update_utc.timestamp() == int(NOW + 30 * DAY)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(("kind", "purpose"), [("server", "sslserver"), ("device", "sslclient")])
def test_openssl_verifies_strictly(made: Made, tmp_path: Path, kind: str, purpose: str) -> None:
    authority, leaf = tmp_path / "ca.pem", tmp_path / "leaf.pem"
    authority.write_bytes(certificates.certificate_pem(made.authority))
    leaf.write_bytes(certificates.certificate_pem(getattr(made, kind)))
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(authority), str(leaf)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    other = "sslclient" if purpose == "sslserver" else "sslserver"
    command[4] = other
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.peer("openssl")
def test_openssl_sees_the_revocation(made: Made, tmp_path: Path) -> None:
    authority, leaf, crl = tmp_path / "ca.pem", tmp_path / "leaf.pem", tmp_path / "ca.crl"
    authority.write_bytes(certificates.certificate_pem(made.authority))
    leaf.write_bytes(certificates.certificate_pem(made.device))
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-crl_check",
        "-CRLfile",
        str(crl),
        "-CAfile",
        str(authority),
        str(leaf),
    ]
    for revoked, accepted in (([], True), ([Revoked(made.device.serial_number, NOW)], False)):
        made_list = certificates.make_revocation_list(made.authority, made.authority_key, revoked, 1, NOW)
        crl.write_bytes(made_list.public_bytes(serialization.Encoding.PEM))
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (run.returncode == 0) is accepted
        assert ("certificate revoked" in run.stderr) is not accepted


def test_cryptographys_own_verifier_accepts_the_server(made: Made) -> None:
    """An independent path validation in Rust, with the Web PKI's demands."""
    builder = verification.PolicyBuilder().store(verification.Store([made.authority]))
    builder.build_server_verifier(x509.DNSName("hub.example")).verify(made.server, [])
    builder.build_server_verifier(x509.IPAddress(ipaddress.ip_address("192.0.2.7"))).verify(made.server, [])
    with pytest.raises(verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("other.example")).verify(made.server, [])


@pytest.mark.parametrize("pem", [b"", b"no PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_cannot_be_read_is_a_sentence_without_its_contents(pem: bytes) -> None:
    with pytest.raises(SecurityError, match=r"^ca.key holds no readable private key") as caught:
        certificates.read_key(pem, "ca.key")
    assert "AAAA" not in str(caught.value)
    with pytest.raises(SecurityError, match=r"^ca.pem holds no readable certificate"):
        certificates.read_certificate(pem, "ca.pem")
    with pytest.raises(SecurityError, match=r"^ca.crl holds no readable revocation list"):
        certificates.read_revocation_list(pem, "ca.crl")
