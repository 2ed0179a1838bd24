"""What a device may ask for by EST, and what it must prove."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.identity.enrolment import (
    MOST_CERTIFICATES,
    MOST_OCTETS,
    NotProven,
    authorities,
    certs_only,
    read_request,
    simple_enroll,
    simple_reenroll,
)
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.pki import IssuedCertificate, certificates
from bridgehead.security.pki.certificates import SigningKey
from tests.security.support import DAY, Time, enrol

EC = certificates.new_key()
SHA_256 = hashes.SHA256()


def request(name: str = "", key: SigningKey = EC, uri: str = "", algorithm: hashes.SHA256 | None = SHA_256) -> bytes:
    subject = certificates.common_name(name) if name else x509.Name([])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if uri:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), False)
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


@pytest.fixture
def invited(identity: Identity) -> str:
    enrol(identity, Wanted("sensor-7", password=b"password"))
    return identity.invite("sensor-7").token


def der(issued: IssuedCertificate) -> bytes:
    return certificates.certificate_der(issued.certificate)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (EC, hashes.SHA256()),
        (ed25519.Ed25519PrivateKey.generate(), None),
        (rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    ],
    ids=["ECDSA", "Ed25519", "RSA"],
)
def test_rfc_7030_4_2_1_a_token_gives_one_certificate(
    identity: Identity, invited: str, key: SigningKey, algorithm: hashes.SHA256 | None
) -> None:
    issued = simple_enroll(identity, "sensor-7", invited, request("sensor-7", key, algorithm=algorithm))
    assert issued.certificate.public_key() == key.public_key()
    assert issued.key_pem == b""
    device = identity.registry.existing_device("sensor-7")
    assert [each.fingerprint for each in device.certificates] == [issued.fingerprint]
    with pytest.raises(NotProven, match="unknown, used or expired"):
        simple_enroll(identity, "sensor-7", invited, request())


@pytest.mark.parametrize("octets", [request(), request("sensor-7"), request("x", uri="urn:bridgehead:device:sensor-7")])
def test_the_subject_is_empty_or_the_device(identity: Identity, invited: str, octets: bytes) -> None:
    issued = simple_enroll(identity, "sensor-7", invited, octets)
    assert issued.certificate.subject.rfc4514_string() == "CN=sensor-7"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        b"x" * (MOST_OCTETS + 1),
        request("sensor-8"),
        request("sensor-7", uri="urn:bridgehead:device:sensor-8"),
        request("sensor-7", uri="urn:bridgehead:administrator:sensor-7"),
        request(key=rsa.generate_private_key(65537, 1024)),
        request(key=rsa.generate_private_key(3, 2048)),
        request(key=ec.generate_private_key(ec.SECP256K1())),
        request()[:-1] + bytes([request()[-1] ^ 1]),
    ],
)
def test_a_request_that_is_not_acceptable_uses_up_no_token(identity: Identity, invited: str, octets: bytes) -> None:
    with pytest.raises(NotAcceptable) as caught:
        simple_enroll(identity, "sensor-7", invited, octets)
    assert not isinstance(caught.value, NotProven)
    assert simple_enroll(identity, "sensor-7", invited, request()).serial


def test_a_token_is_for_one_device_alone(identity: Identity, invited: str) -> None:
    enrol(identity, Wanted("sensor-8", password=b"password"))
    with pytest.raises(NotProven):
        simple_enroll(identity, "sensor-8", invited, request("sensor-8"))
    assert identity.registry.existing_device("sensor-8").certificates == ()
    assert simple_enroll(identity, "sensor-7", invited, request()).serial


def test_an_authority_that_cannot_sign_uses_up_no_token(identity: Identity, invited: str) -> None:
    away = identity.data / "away"
    identity.pki.authority_key_file.rename(away)
    with pytest.raises(SecurityError, match="is not there: put it back to sign anything"):
        simple_enroll(identity, "sensor-7", invited, request())
    away.rename(identity.pki.authority_key_file)
    assert simple_enroll(identity, "sensor-7", invited, request()).serial


def test_rfc_7030_4_2_2_the_present_certificate_gives_the_next(identity: Identity, invited: str, clock: Time) -> None:
    first = simple_enroll(identity, "sensor-7", invited, request())
    clock.now += 60 * DAY
    second = simple_reenroll(identity, der(first), request("sensor-7", certificates.new_key()))
    held = identity.registry.existing_device("sensor-7").certificates
    assert [each.fingerprint for each in held] == [first.fingerprint, second.fingerprint]
    clock.now += 31 * DAY
    with pytest.raises(NotProven, match="not in force"):
        simple_reenroll(identity, der(first), request())
    simple_reenroll(identity, der(second), request())
    held = identity.registry.existing_device("sensor-7").certificates
    assert first.fingerprint not in [each.fingerprint for each in held]


def test_a_device_has_so_many_certificates_at_a_time(identity: Identity, invited: str, clock: Time) -> None:
    made = [simple_enroll(identity, "sensor-7", invited, request())]
    for _ in range(MOST_CERTIFICATES):
        clock.now += DAY
        made.append(simple_reenroll(identity, der(made[-1]), request()))
    held = identity.registry.existing_device("sensor-7").certificates
    assert [each.fingerprint for each in held] == [each.fingerprint for each in made[1:]]
    assert identity.pki.revoked_serials() == {made[0].serial}


def test_who_may_not_enrol_again(identity: Identity, invited: str, clock: Time) -> None:
    issued = simple_enroll(identity, "sensor-7", invited, request())
    unknown = identity.pki.issue_device("sensor-7", clock())
    with pytest.raises(NotProven, match="no enabled device's"):
        simple_reenroll(identity, der(unknown), request())
    with pytest.raises(NotAcceptable, match="names another device"):
        simple_reenroll(identity, der(issued), request("sensor-8"))
    identity.change("sensor-7", lambda device: replace(device, enabled=False))
    with pytest.raises(NotProven):
        simple_reenroll(identity, der(issued), request())


def test_rfc_5652_5_1_certs_only(identity: Identity) -> None:
    found = pkcs7.load_der_pkcs7_certificates(authorities(identity.pki))
    assert set(found) == {identity.pki.signer.root, identity.pki.authority}
    assert pkcs7.load_der_pkcs7_certificates(certs_only(identity.pki.authority)) == [identity.pki.authority]


def test_a_request_signed_with_sha_1_is_refused() -> None:
    """cryptography signs none any more: the algorithm's identifier is changed in one that is signed with SHA-256."""
    key = rsa.generate_private_key(65537, 2048)
    octets = request(key=key).replace(bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105"))
    with pytest.raises(NotAcceptable, match="a hash that is broken: use SHA-256"):
        read_request(octets)


@given(st.lists(st.tuples(st.integers(0, len(request()) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_a_request_with_octets_changed_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    octets = bytearray(GOOD)
    for at, value in changes:
        octets[at % len(octets)] = value
    try:
        assert read_request(bytes(octets)).is_signature_valid
    except NotAcceptable as fault:
        assert len(str(fault)) < 200  # noqa: PT017 - one of two right outcomes


GOOD = request()
