"""DDS bundles, between real participants: Cyclone DDS with its security plug-ins, on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from bridgehead.security.dds import documents
from bridgehead.security.dds.authority import DdsAuthority
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.names import Expression
from bridgehead.security.mechanisms import DDS
from bridgehead.security.records import PermissionRecord
from tests.export.conftest import Home
from tests.security.support import publish, subscribe

pytestmark = [pytest.mark.peer("idlc"), pytest.mark.peer("cc")]

# On loopback and nowhere else, by addresses instead of multicast.
LOOPBACK = """<CycloneDDS><Domain Id="any">
<General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>
<AllowMulticast>false</AllowMulticast></General>
<Discovery><ParticipantIndex>auto</ParticipantIndex><Peers><Peer address="127.0.0.1"/></Peers></Discovery>
</Domain></CycloneDDS>"""
SECONDS = "1.5"
PATIENCE = 40


@pytest.fixture(scope="module")
def client(shared_home: Home) -> Path:
    """The bundle's own C client, built once, as its script builds it."""
    bundle = exported(shared_home, "builder", publish("Build/it"))
    built = subprocess.run(
        ["sh", bundle / "dds_client.sh", "publish", "200", "0"],
        env=environment(bundle),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (built.returncode, built.stdout) == (0, "published to it\n"), built.stderr
    return bundle / "dds_client"


def exported(home: Home, name: str, *permissions: PermissionRecord) -> Path:
    home.add(name, *permissions)
    return home.export(name, "dds", DDS)


def environment(bundle: Path) -> dict[str, str]:
    uri = f"file://{bundle}/cyclonedds.xml,{LOOPBACK}".replace("\n", "")
    return {**os.environ, "BRIDGEHEAD_DDS": str(bundle), "CYCLONEDDS_URI": uri}


class Asked:
    """`word`: publish or subscribe; `place`: topic and partition."""

    def __init__(self, client: Path, bundle: Path, word: str, domain: int, *place: str) -> None:
        command = [str(client), word, str(domain), SECONDS, *place]
        self.process = subprocess.Popen(
            command, env=environment(bundle), cwd=bundle, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def said(self) -> str:
        out, _ = self.process.communicate(timeout=PATIENCE)
        return out


@contextlib.contextmanager
def publishing(client: Path, bundle: Path, domain: int, *place: str) -> Iterator[Asked]:
    asked = Asked(client, bundle, "publish", domain, *place)
    try:
        yield asked
    finally:
        asked.process.kill()
        asked.process.communicate()


def test_two_exported_participants_exchange_data(shared_home: Home, client: Path) -> None:
    sender = exported(shared_home, "sender", publish("Office/Lobby/Door"))
    reader = exported(shared_home, "reader", subscribe("Office/Lobby/+"))
    with publishing(client, sender, 201, "Door", "Office/Lobby"):
        said = Asked(client, reader, "subscribe", 201, "Door", "Office/Lobby").said()
    assert "received 21.5" in said


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("publish", ("Window", "Office/Lobby")),
        ("publish", ("Door", "Office/Attic")),
        ("publish", ("Door", "")),
        ("publish", ("Door", "Office/*")),
        ("subscribe", ("Door", "Office/Lobby")),
    ],
)
def test_what_is_not_permitted_gets_no_writer_and_no_reader(
    shared_home: Home, client: Path, word: str, place: tuple[str, str]
) -> None:
    name = f"bound-{word}-{place[0]}-{len(place[1])}-{place[1][-1:] == '*'}"
    bundle = exported(shared_home, name, publish("Office/Lobby/Door"))
    said = Asked(client, bundle, word, 202, *place).said()
    assert "refused" in said


def test_a_reader_may_not_name_many_partitions_to_get_round_a_denial(shared_home: Home, client: Path) -> None:
    bundle = exported(shared_home, "curious", subscribe("Office/#"), subscribe("Office/Vault/#", allow=False))
    assert "refused" in Asked(client, bundle, "subscribe", 203, "Door", "Office/*").said()
    assert "Office/#: in part" in (bundle / "README.txt").read_text()
    assert "subscribed to Door" in Asked(client, bundle, "subscribe", 203, "Door", "Office").said()


def test_a_participant_without_credentials_gets_nothing(shared_home: Home, client: Path) -> None:
    sender = exported(shared_home, "closed", publish("Office/Lobby/Door"))
    stranger = shared_home.folder / "stranger"
    stranger.mkdir()
    (stranger / "cyclonedds.xml").write_text("<CycloneDDS/>")
    with publishing(client, sender, 204, "Door", "Office/Lobby"):
        said = Asked(client, stranger, "subscribe", 204, "Door", "Office/Lobby").said()
    assert "subscribed to Door" in said
    assert "received" not in said


def sign(document: bytes, certificate: Path, key: Path) -> bytes:
    signer = x509.load_pem_x509_certificate(certificate.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(document).add_signer(signer, private, hashes.SHA256())
    return builder.sign(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Text, pkcs7.PKCS7Options.DetachedSignature])


def everything(name: str) -> bytes:
    expressions = [Expression("*"), Expression("*", "*")]
    return documents.permissions(name, [Rule(True, expressions, expressions)], 1_700_000_000, 2_000_000_000)


def test_permissions_that_a_mere_leaf_signed_are_refused_by_itself_and_by_others(
    shared_home: Home, client: Path
) -> None:
    """CVE-2023-24011."""
    sender = exported(shared_home, "honest", publish("Office/Lobby/Door"))
    forger = exported(shared_home, "forger")
    (forger / "permissions.p7s").write_bytes(sign(everything("forger"), forger / "cert.pem", forger / "key.pem"))
    assert "the participant is refused" in Asked(client, forger, "subscribe", 205, "Door", "Office/Lobby").said()

    # Its identity CA in place of the permissions CA, as with one CA for both: that is how others were caught.
    permissions_ca = (forger / "permissions_ca.cert.pem").read_bytes()
    shutil.copy(forger / "identity_ca.cert.pem", forger / "permissions_ca.cert.pem")
    assert "the participant is refused" in Asked(client, forger, "subscribe", 205, "Door", "Office/Lobby").said()

    # A signer of its own, which it believes itself; the other side holds to the hub's.
    own = shared_home.folder / "own"
    DdsAuthority(own, time.time())
    (forger / "permissions_ca.cert.pem").write_bytes((own / "dds" / "permissions.pem").read_bytes())
    assert (forger / "permissions_ca.cert.pem").read_bytes() != permissions_ca
    signer = (own / "dds" / "permissions.pem", own / "dds" / "permissions.key")
    (forger / "permissions.p7s").write_bytes(sign(everything("forger"), *signer))
    (forger / "governance.p7s").write_bytes(sign(documents.governance(), *signer))
    with publishing(client, sender, 205, "Door", "Office/Lobby"):
        said = Asked(client, forger, "subscribe", 205, "Door", "Office/Lobby").said()
    assert "subscribed to Door" in said
    assert "received" not in said


def test_the_signer_is_a_leaf_that_nothing_can_stand_below(shared_home: Home, client: Path) -> None:
    signer = x509.load_pem_x509_certificate((client.parent / "permissions_ca.cert.pem").read_bytes())
    assert signer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = signer.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not usage.crl_sign
    identity_ca = x509.load_pem_x509_certificate((client.parent / "identity_ca.cert.pem").read_bytes())
    assert identity_ca.public_key() != signer.public_key()
    identity = x509.load_pem_x509_certificate((client.parent / "cert.pem").read_bytes())
    identity.verify_directly_issued_by(identity_ca)
    assert identity.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("document", ["governance.p7s", "permissions.p7s"])
def test_openssl_verifies_the_signatures(client: Path, document: str) -> None:
    command = ["openssl", "smime", "-verify", "-text", "-in", document, "-CAfile", "permissions_ca.cert.pem"]
    checked = subprocess.run(command, cwd=client.parent, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    wanted = (
        documents.governance() if document == "governance.p7s" else (client.parent / "permissions.xml").read_bytes()
    )
    assert checked.stdout.replace(b"\r\n", b"\n") == wanted


def test_a_ros_keystore_s_enclave_exchanges_data_on_ros_topics(shared_home: Home, client: Path) -> None:
    """The same middleware as rmw_cyclonedds_cpp, with the enclave's files and ROS 2's names of topics."""
    places: dict[str, Path] = {}
    for name, permission in (("talker-1", publish("Office/chatter")), ("listener-1", subscribe("Office/#"))):
        shared_home.add(name, permission)
        bundle = shared_home.export(name, "ros2", DDS)
        enclave = bundle / "keystore" / "enclaves" / name.replace("-", "_")
        assert {path.name for path in enclave.iterdir()} >= {
            "cert.pem",
            "key.pem",
            "governance.p7s",
            "permissions.p7s",
            "identity_ca.cert.pem",
            "permissions_ca.cert.pem",
        }
        assert f"ROS_SECURITY_ENCLAVE_OVERRIDE=/{enclave.name}" in (bundle / "environment.sh").read_text()
        shutil.copy(client.parent / "cyclonedds.xml", enclave)
        places[name] = enclave
    with publishing(client, places["talker-1"], 206, "rt/Office/chatter", ""):
        said = Asked(client, places["listener-1"], "subscribe", 206, "rt/Office/chatter", "").said()
    assert "received 21.5" in said
    # What every node makes for itself is permitted, another node's parameters are not.
    assert "published" in Asked(client, places["talker-1"], "publish", 207, "rt/rosout", "").said()
    assert (
        "refused" in Asked(client, places["talker-1"], "publish", 207, "rr/listener_1/get_parametersReply", "").said()
    )
