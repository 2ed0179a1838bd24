"""At the real hub: certificates that are somebody's or for something else, and exchanges that are never ended."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Auth, Connack, Connect
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.security.credentials import ForeignCertificate
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.pki import certificates, profiles
from tests.cli.hub import PATIENCE, Hub
from tests.peers.raw import Raw
from tests.peers.town import may_both

CONFIG = '[[listener]]\nbind = "127.0.0.1:0"\nclient_ca = "{authority}"\n[tls]\nnames = ["localhost"]\n'
URN = "urn:bridgehead:device:"
HUB = certificates.common_name("Another CA")


class House:
    """`one` and `two` are devices with passwords and names in another authority's certificates, `host` has the hub's
    own name there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = certificates.new_key()
        authority = folder / "authority.pem"
        self.authority = self.signed(HUB, self.key, [], ca=True)
        authority.write_bytes(certificates.certificate_pem(self.authority))
        self.hub = Hub(folder, CONFIG.format(authority=authority))
        self.identity = Identity(self.hub.data)
        for name, dns in (("one", "one.example"), ("two", "two.example"), ("host", "localhost")):
            wanted = Wanted(
                name,
                [may_both(f"{name}/#")],
                password=name.encode(),
                certificate=True,
                foreign_certificates=[ForeignCertificate("dns", dns)],
            )
            with self.identity.enrolling(wanted):
                pass

    def signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: list[x509.GeneralName],
        *,
        ca: bool = False,
        days: tuple[int, int] = (-1, 10),
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> x509.Certificate:
        """By the other authority."""
        now = datetime.now(UTC)
        begin, end = (now + timedelta(each) for each in days)
        builder = x509.CertificateBuilder(HUB, subject, key.public_key(), x509.random_serial_number(), begin, end)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if not ca:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def enters(self, certificate: x509.Certificate, key: certificates.SigningKey, version: ssl.TLSVersion) -> int:
        """The Reason Code of CONNACK; -1: TLS itself refuses."""
        pem = self.folder / "shown.pem"
        pem.write_bytes(certificates.certificate_pem(certificate) + certificates.key_pem(key))
        context = self.hub.trust()
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(pem)
        try:
            bare = socket.create_connection(("127.0.0.1", self.hub.port("mqtts")), PATIENCE)
            with context.wrap_socket(bare, server_hostname="localhost") as sock:
                return Raw(sock).connect("").reason_code
        except (ssl.SSLError, ConnectionError):
            return -1


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    with house.hub:
        yield house
    house.identity.close()


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BAD = codes.BAD_USER_NAME_OR_PASSWORD


@pytest.mark.parametrize("version", VERSIONS)
def test_certificates_of_another_authority(house: House, version: ssl.TLSVersion) -> None:
    one, two = x509.DNSName("one.example"), x509.DNSName("two.example")
    ours = x509.UniformResourceIdentifier(URN + "one")
    nobody = certificates.common_name("x")
    key = certificates.new_key()

    def shown(subject: x509.Name, *names: x509.GeneralName, days: tuple[int, int] = (-1, 10)) -> int:
        return house.enters(house.signed(subject, key, list(names), days=days), key, version)

    assert shown(nobody, one) == 0
    assert shown(nobody, one, two) == BAD  # of two devices
    assert shown(certificates.common_name("one")) == BAD  # a name that ours would have
    assert shown(nobody, ours) == BAD
    assert shown(nobody, one, ours) == BAD
    assert shown(nobody, x509.DNSName("*.example")) == BAD
    assert shown(nobody, one, days=(-9, -1)) == -1
    assert shown(nobody, one, days=(1, 9)) == -1
    server = house.signed(nobody, key, [one], purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    assert house.enters(server, key, version) == -1


@pytest.mark.parametrize("version", VERSIONS)
def test_certificates_of_our_authority_that_no_record_has(house: House, version: ssl.TLSVersion) -> None:
    """The hub's own, a responder's, an administrator's, a DDS participant's, and a device's that was never handed out,
    though names in them are on a record."""
    expected = {
        profiles.SERVER: ("localhost", -1),
        profiles.OCSP: ("one", -1),
        profiles.DDS_PERMISSIONS: ("one", -1),
        profiles.ADMINISTRATOR: ("one", BAD),
        profiles.DDS_IDENTITY: ("one", BAD),
        profiles.DEVICE: ("one", BAD),
    }
    for profile, (subject, code) in expected.items():
        key = certificates.new_key()
        issued = house.identity.pki.issue(profile, [subject], key.public_key(), time.time())
        assert house.enters(issued.certificate, key, version) == code, profile


def test_a_device_signs_no_other_device(house: House) -> None:
    with house.identity.enrolling(Wanted("signer", certificate=True)) as enrolled:
        given = enrolled.certificate
    assert given is not None
    signer_key = certificates.read_key(given.key_pem, "")
    key = certificates.new_key()
    made = certificates.make_leaf(
        given.certificate,
        signer_key,
        key.public_key(),
        "one",
        [x509.UniformResourceIdentifier(URN + "one")],
        [ExtendedKeyUsageOID.CLIENT_AUTH],
        time.time(),
        3600.0,
    )
    assert house.enters(made, key, ssl.TLSVersion.TLSv1_3) == -1


def test_exchanges_that_are_never_ended(house: House) -> None:
    """They are bounded per address, told so, and nobody else waits."""
    begun: list[Raw] = []
    refused = 0
    for number in range(270):
        raw = Raw(house.hub.dial())
        first = f"n,,n=two,r=abcdefgh{number}".encode()
        properties = Properties(authentication_method="SCRAM-SHA-256", authentication_data=first)
        raw.send(Connect(5, True, 0, "", None, None, None, properties))
        answer = raw.receive()
        begun.append(raw)
        if isinstance(answer, Auth):
            continue
        assert isinstance(answer, Connack)
        assert answer.reason_code == codes.SERVER_BUSY
        refused += 1
    assert refused == 270 - 256
    assert Raw(house.hub.dial()).connect("two", "two", "two").reason_code == 0
    for raw in begun:
        raw.close()
