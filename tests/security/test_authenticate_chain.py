"""What a listener lets in by: the words, what goes together, what is enough; and certificates of other authorities."""

from __future__ import annotations

import datetime

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from bridgehead.security.credentials import ForeignCertificate
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.login.brake import address_key, site_key
from bridgehead.security.login.chain import DEFAULT, Chain, default_chain
from bridgehead.security.login.foreign import foreign_device
from bridgehead.security.login.proof import Unproven
from bridgehead.security.pki.certificates import fingerprint
from tests.security.support import Time, enrol


def test_the_default_has_tokens_and_kerberos_only_where_they_are_configured() -> None:
    assert DEFAULT.entries == ("certificate", "password", "SCRAM-SHA-256", "SCRAM-SHA-512")
    assert default_chain(True, False).entries[4:] == ("OAUTHBEARER",)
    assert default_chain(False, True).entries[4:] == ("GSSAPI",)
    assert "NTLM" not in default_chain(True, True).words


def test_scram_stands_for_plus_and_plus_for_itself_alone() -> None:
    assert Chain(["SCRAM-SHA-256"]).methods == ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
    assert Chain(["SCRAM-SHA-256-PLUS"]).methods == ("SCRAM-SHA-256-PLUS",)
    assert Chain(["SCRAM-SHA-256"]).permits(["SCRAM-SHA-256-PLUS"])
    assert not Chain(["SCRAM-SHA-256-PLUS"]).permits(["SCRAM-SHA-256"])


@pytest.mark.parametrize(
    ("entries", "proofs", "enough"),
    [
        (["certificate", "password"], ["password"], True),
        (["certificate", "password"], ["certificate", "password"], True),
        (["password+certificate"], ["password"], False),
        (["password+certificate"], ["certificate"], False),
        (["password+certificate"], ["certificate", "password"], True),
        (["password+certificate", "OAUTHBEARER"], ["OAUTHBEARER"], True),
        (["certificate"], ["password"], False),
        (["PLAIN"], ["password"], False),
        (["certificate"], [], False),
    ],
)
def test_what_is_enough(entries: list[str], proofs: list[str], enough: bool) -> None:
    assert Chain(entries).permits(proofs) is enough


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("pasword", "did you mean 'password'?"),
        ("scram-sha-256", "did you mean 'SCRAM-SHA-256'?"),
        ("ANONYMOUS", "is no way to log in"),
        ("", "is no way to log in"),
        ("password+password", "names the same twice"),
        ("password+SCRAM-SHA-256", "cannot be asked for together"),
    ],
)
def test_an_entry_that_cannot_be(entry: str, sentence: str) -> None:
    with pytest.raises(NotAcceptable, match=r"^[^\n]*$") as refused:
        Chain([entry])
    assert sentence in str(refused.value)


def test_one_customer_is_one_site_and_its_houses_are_told_apart() -> None:
    first, second, other = "[2001:db8:1:1::1]:5", "[2001:db8:1:2::1]:5", "[2001:db8:2::1]:5"
    assert address_key(first) != address_key(second)
    assert site_key(first) == site_key(second) == "2001:db8:1::/48"
    assert site_key(other) != site_key(first)
    assert [site_key(each) for each in ("192.0.2.1:5", "unix:uid=1", "[::ffff:192.0.2.1]:5", "nonsense")] == [""] * 4


# Certificates of other authorities. -----------------------------------------------------------------


def foreign(
    now: float, names: list[x509.GeneralName], subject: str = "Unit 7", begins: float = -60, ends: float = 3600
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(datetime.datetime.fromtimestamp(now + begins, datetime.UTC))
    builder = builder.not_valid_after(datetime.datetime.fromtimestamp(now + ends, datetime.UTC))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def knows(identity: Identity, clock: Time, device: str, *known: tuple[str, str]) -> None:
    if identity.registry.device(device) is None:
        enrol(identity, Wanted(device, password=b"irrelevant here"))
    records = msgspec.convert([{"kind": kind, "value": value} for kind, value in known], tuple[ForeignCertificate, ...])
    identity.registry.update_device(
        replace(identity.registry.existing_device(device), foreign_certificates=records), clock()
    )


@pytest.mark.parametrize(
    ("kind", "value", "name"),
    [
        ("uri", "urn:example:unit:7", x509.UniformResourceIdentifier("urn:example:unit:7")),
        ("dns", "unit-7.example.org", x509.DNSName("Unit-7.Example.org")),
        ("email", "Unit7@example.org", x509.RFC822Name("Unit7@Example.org")),
        ("subject", "CN=Unit 7", None),
    ],
)
def test_by_each_of_its_names(
    identity: Identity, clock: Time, kind: str, value: str, name: x509.GeneralName | None
) -> None:
    knows(identity, clock, "unit-7", (kind, value))
    certificate = foreign(clock(), [] if name is None else [name])
    found = foreign_device(identity.registry, certificate, clock())
    assert found is not None
    assert (found[0].name, found[1]) == ("unit-7", clock() + 3600)
    assert foreign_device(identity.registry, foreign(clock(), [], "Another"), clock()) is None


def test_by_fingerprint_which_needs_no_name(identity: Identity, clock: Time) -> None:
    certificate = foreign(clock(), [], "Another")
    knows(identity, clock, "unit-7", ("fingerprint", fingerprint(certificate)))
    found = foreign_device(identity.registry, certificate, clock())
    assert found is not None
    assert found[0].name == "unit-7"


def test_names_of_two_devices_prove_neither(identity: Identity, clock: Time) -> None:
    knows(identity, clock, "unit-7", ("dns", "unit-7.example.org"))
    knows(identity, clock, "unit-8", ("dns", "unit-8.example.org"))
    both = foreign(clock(), [x509.DNSName("unit-7.example.org"), x509.DNSName("unit-8.example.org")])
    with pytest.raises(Unproven, match="names several devices: unit-7, unit-8"):
        foreign_device(identity.registry, both, clock())


def test_a_certificate_of_a_bridgehead_authority_is_never_taken_for_a_foreign_one(
    identity: Identity, clock: Time
) -> None:
    knows(identity, clock, "unit-7", ("dns", "unit-7.example.org"), ("uri", "urn:bridgehead:device:unit-7"))
    ours = [x509.UniformResourceIdentifier("urn:bridgehead:device:unit-7"), x509.DNSName("unit-7.example.org")]
    assert foreign_device(identity.registry, foreign(clock(), ours), clock()) is None


@pytest.mark.parametrize(("begins", "ends", "because"), [(60, 3600, "not valid yet"), (-3600, -60, "has expired")])
def test_out_of_its_time(identity: Identity, clock: Time, begins: float, ends: float, because: str) -> None:
    """TLS looks at that in a full handshake, and not in a resumed session."""
    knows(identity, clock, "unit-7", ("subject", "CN=Unit 7"))
    with pytest.raises(Unproven, match=because):
        foreign_device(identity.registry, foreign(clock(), [], begins=begins, ends=ends), clock())


def test_what_is_no_certificate_is_refused(identity: Identity, clock: Time) -> None:
    with pytest.raises(Unproven, match="cannot be read"):
        foreign_device(identity.registry, b"\x30\x03\x02\x01\x00", clock())
