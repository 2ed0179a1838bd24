"""The profile of the hub's certificates, and that strict verifiers accept them."""

from __future__ import annotations

import ipaddress
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.pki import certificates, profiles
from bridgehead.security.pki.certificates import Revoked
from tests.security.support import DAY

NOW = time.time()


class Made:
    """One of each kind."""

    def __init__(self) -> None:
        self.root_key, self.issuing_key = certificates.new_key(), certificates.new_key()
        self.root = certificates.make_root(self.root_key, NOW)
        self.issuing = certificates.make_issuing(self.root, self.root_key, self.issuing_key, NOW)
        self.server = self.leaf(profiles.SERVER, "hub", "hub.example", "192.0.2.7", "::1")
        self.device = self.leaf(profiles.DEVICE, "sensor-7")
        self.administrator = self.leaf(profiles.ADMINISTRATOR, "ada")
        self.dds_identity = self.leaf(profiles.DDS_IDENTITY, "robot-1")
        self.dds_permissions = self.leaf(profiles.DDS_PERMISSIONS, "permissions")
        self.ocsp = self.leaf(profiles.OCSP, "responder")
        self.leaves = [getattr(self, name.replace("-", "_")) for name in profiles.PROFILES]

    def leaf(self, profile: profiles.Profile, *subjects: str, url: str = "", now: float = NOW) -> x509.Certificate:
        key = certificates.new_key().public_key()
        return profiles.make(profile, self.issuing, self.issuing_key, key, subjects, now, url=url)


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def test_all_are_ecdsa_on_p256_with_sha256_and_version_3(made: Made) -> None:
    for each in (made.root, made.issuing, *made.leaves):
        key = each.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)
        assert isinstance(each.signature_hash_algorithm, hashes.SHA256)
        assert each.version is x509.Version.v3
        assert 64 <= each.serial_number.bit_length() <= 159  # RFC 5280 4.1.2.2: positive, at most 20 octets


@pytest.mark.parametrize(("kind", "path_length"), [("root", 1), ("issuing", 0)])
def test_authorities_sign_certificates_and_lists_and_nothing_else(made: Made, kind: str, path_length: int) -> None:
    certificate: x509.Certificate = getattr(made, kind)
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, path_length)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    assert certificates.is_issued_by(certificate, made.root)
    assert certificates.not_after(certificate) - NOW > 9 * 365 * DAY


def test_two_authorities_have_different_names() -> None:
    """Beside each other in one trust store a verifier must find the right one by name."""
    made = [Made() for _ in range(2)]
    assert len({each.subject.rfc4514_string() for one in made for each in (one.root, one.issuing)}) == 4


def test_leaves_are_no_authorities_and_sign_handshakes_only(made: Made) -> None:
    own = made.issuing.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    for leaf in made.leaves:
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage)
        assert (basic.critical, basic.value.ca) == (True, False)
        assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
        assert leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert issuer.key_identifier == own.digest
        leaf.verify_directly_issued_by(made.issuing)


def test_each_profile_has_one_purpose(made: Made) -> None:
    def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

    assert purposes(made.server) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert purposes(made.device) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert purposes(made.administrator) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert purposes(made.dds_identity) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert purposes(made.dds_permissions) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert purposes(made.ocsp) == [ExtendedKeyUsageOID.OCSP_SIGNING]


def test_rfc_6960_4_2_2_2_1_the_responders_certificate_is_not_to_be_checked(made: Made) -> None:
    assert made.ocsp.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert certificates.not_after(made.ocsp) - NOW < 31 * DAY


def uris(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def test_an_administrator_is_no_device(made: Made) -> None:
    assert uris(made.administrator) == ["urn:bridgehead:administrator:ada"]
    assert uris(made.dds_identity) == ["urn:bridgehead:device:robot-1"]


def test_certificates_say_where_lists_and_ocsp_are_when_there_is_such_a_place(made: Made) -> None:
    leaf = made.leaf(profiles.DEVICE, "sensor-7", url="http://hub.example:8080")
    point = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0]
    assert point.full_name is not None
    assert (
        point.full_name[0].value == f"http://hub.example:8080/crl/{certificates.key_identifier(made.issuing).hex()}.crl"
    )
    access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value[0]
    assert access.access_location.value == "http://hub.example:8080/ocsp"
    with pytest.raises(x509.ExtensionNotFound):
        made.device.extensions.get_extension_for_class(x509.AuthorityInformationAccess)


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        (ec.generate_private_key(ec.SECP256R1()), True),
        (ec.generate_private_key(ec.SECP384R1()), True),
        (ed25519.Ed25519PrivateKey.generate(), True),
        (rsa.generate_private_key(65537, 2048), True),
        (rsa.generate_private_key(65537, 1024), False),
        (ec.generate_private_key(ec.SECP192R1()), False),
        (ec.generate_private_key(ec.SECP256K1()), False),
        (x25519.X25519PrivateKey.generate(), False),
    ],
)
def test_which_keys_are_certified(
    made: Made,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | x25519.X25519PrivateKey,
    accepted: bool,
) -> None:
    if accepted:
        leaf = profiles.make(profiles.DEVICE, made.issuing, made.issuing_key, key.public_key(), ["d"], NOW)
        assert leaf.public_key() == key.public_key()
    else:
        with pytest.raises(NotAcceptable, match="is not certified: use "):
            profiles.make(profiles.DEVICE, made.issuing, made.issuing_key, key.public_key(), ["d"], NOW)


def test_the_device_is_named_twice(made: Made) -> None:
    assert uris(made.device) == ["urn:bridgehead:device:sensor-7"]
    assert made.device.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "sensor-7"


def test_a_name_of_64_characters_fits(made: Made) -> None:
    assert made.leaf(profiles.DEVICE, "d" * 64).subject.rfc4514_string() == "CN=" + "d" * 64


def test_the_server_stands_for_names_and_addresses(made: Made) -> None:
    names = made.server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub", "hub.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7", "::1"]


def test_lives_are_short_and_begin_an_hour_ago(made: Made) -> None:
    for leaf in (made.server, made.device, made.dds_identity):
        begin, end = certificates.not_before(leaf), certificates.not_after(leaf)
        assert end - begin == 90 * DAY
        assert begin == int(NOW - 3600)
    assert certificates.not_after(made.administrator) - NOW < 61 * DAY


def test_no_certificate_outlives_the_authority(made: Made) -> None:
    late = certificates.not_after(made.issuing) - 10 * DAY
    assert certificates.not_after(made.leaf(profiles.DEVICE, "d", now=late)) == certificates.not_after(made.issuing)


def test_the_revocation_list_names_serials_and_grows_in_number(made: Made) -> None:
    revoked = [Revoked(made.device.serial_number, NOW)]
    made_list = certificates.make_revocation_list(made.issuing, made.issuing_key, revoked, 41, NOW)
    assert [entry.serial_number for entry in made_list] == [made.device.serial_number]
    assert made_list.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 41
    public_key = made.issuing.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert made_list.is_signature_valid(public_key)
    assert made_list.next_update_utc is not None
    assert made_list.next_update_utc.timestamp() == int(NOW + 30 * DAY)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(
    ("kind", "purpose"),
    [("server", "sslserver"), ("device", "sslclient"), ("dds_permissions", "smimesign"), ("ocsp", "ocsphelper")],
)
def test_openssl_verifies_strictly(made: Made, tmp_path: Path, kind: str, purpose: str) -> None:
    root, issuing, leaf = tmp_path / "ca.pem", tmp_path / "issuing.pem", tmp_path / "leaf.pem"
    root.write_bytes(certificates.certificate_pem(made.root))
    issuing.write_bytes(certificates.certificate_pem(made.issuing))
    leaf.write_bytes(certificates.certificate_pem(getattr(made, kind)))
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(root)]
    command += ["-untrusted", str(issuing), str(leaf)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    if kind == "ocsp":
        return  # OpenSSL leaves the judgement of this purpose to its OCSP functions
    command[4] = "sslclient" if purpose == "sslserver" else "sslserver"
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


@pytest.mark.peer("openssl")
def test_openssl_sees_the_revocation(made: Made, tmp_path: Path) -> None:
    authority, leaf, crl = tmp_path / "ca.pem", tmp_path / "leaf.pem", tmp_path / "ca.crl"
    authority.write_bytes(certificates.certificate_pem(made.root, made.issuing))
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
        made_list = certificates.make_revocation_list(made.issuing, made.issuing_key, revoked, 1, NOW)
        crl.write_bytes(made_list.public_bytes(serialization.Encoding.PEM))
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (run.returncode == 0) is accepted
        assert ("certificate revoked" in run.stderr) is not accepted


def test_cryptographys_own_verifier_accepts_the_server(made: Made) -> None:
    """An independent path validation in Rust, with the Web PKI's demands."""
    builder = verification.PolicyBuilder().store(verification.Store([made.root]))
    builder.build_server_verifier(x509.DNSName("hub.example")).verify(made.server, [made.issuing])
    builder.build_server_verifier(x509.IPAddress(ipaddress.ip_address("192.0.2.7"))).verify(made.server, [made.issuing])
    with pytest.raises(verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("other.example")).verify(made.server, [made.issuing])


@pytest.mark.parametrize("pem", [b"", b"no PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_cannot_be_read_is_a_sentence_without_its_contents(pem: bytes) -> None:
    with pytest.raises(SecurityError, match=r"^ca.key holds no readable private key") as caught:
        certificates.read_key(pem, "ca.key")
    assert "AAAA" not in str(caught.value)
    with pytest.raises(SecurityError, match=r"^ca.pem holds no readable certificate"):
        certificates.read_certificate(pem, "ca.pem")
    with pytest.raises(SecurityError, match=r"^ca.crl holds no readable revocation list"):
        certificates.read_revocation_list(pem, "ca.crl")


def test_a_pass_phrase_is_right_or_said_to_be_wrong() -> None:
    key = certificates.new_key()
    sealed = certificates.key_pem(key, b"open sesame")
    opened = certificates.read_key(sealed, "root.key", b"open sesame")
    assert opened.public_key() == key.public_key()
    with pytest.raises(SecurityError, match=r"^root.key cannot be opened: a wrong pass phrase, or no private key"):
        certificates.read_key(sealed, "root.key", b"open barley")
    with pytest.raises(SecurityError, match=r"^the private key root.key is encrypted: give its pass phrase in a file"):
        certificates.read_key(sealed, "root.key")
    with pytest.raises(SecurityError, match=r"^the private key root.key is not encrypted: leave the pass phrase out"):
        certificates.read_key(certificates.key_pem(key), "root.key", b"open sesame")


@pytest.mark.peer("openssl")
def test_cve_2023_24011_what_the_permissions_signer_signs_is_verified_and_a_device_cannot(
    made: Made, tmp_path: Path
) -> None:
    """As DDS implementations do: S/MIME, with the signer's own certificate as the permissions CA."""
    document = tmp_path / "permissions.xml"
    document.write_text("<dds/>")
    key = certificates.new_key()
    signer = profiles.make(
        profiles.DDS_PERMISSIONS, made.issuing, made.issuing_key, key.public_key(), ["permissions"], NOW
    )
    pem, key_file, signed = tmp_path / "signer.pem", tmp_path / "signer.key", tmp_path / "permissions.p7s"
    pem.write_bytes(certificates.certificate_pem(signer))
    key_file.write_bytes(certificates.key_pem(key))
    trust = tmp_path / "trust.pem"
    trust.write_bytes(certificates.certificate_pem(made.root, made.issuing))

    def smime(*arguments: str | Path) -> int:
        return subprocess.run(["openssl", "smime", *map(str, arguments)], capture_output=True, check=False).returncode

    assert smime("-sign", "-text", "-in", document, "-signer", pem, "-inkey", key_file, "-out", signed) == 0
    assert smime("-verify", "-text", "-in", signed, "-CAfile", trust) == 0
    assert smime("-verify", "-text", "-in", signed, "-CAfile", pem, "-partial_chain") == 0
    device_key = certificates.new_key()
    device = profiles.make(profiles.DEVICE, made.issuing, made.issuing_key, device_key.public_key(), ["d"], NOW)
    pem.write_bytes(certificates.certificate_pem(device))
    key_file.write_bytes(certificates.key_pem(device_key))
    assert smime("-sign", "-text", "-in", document, "-signer", pem, "-inkey", key_file, "-out", signed) == 0
    assert smime("-verify", "-text", "-in", signed, "-CAfile", trust) != 0
