"""DDS bundles, between real participants: Cyclone DDS with its security plug-ins, on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

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
    """`word`: publish or subscribe; `place`: topic and partition. It is killed at the end of the block."""

    def __init__(self, client: Path, bundle: Path, word: str, domain: int, *place: str, seconds: str = "60") -> None:
        command = [str(client), word, str(domain), seconds, *place]
        self.process = subprocess.Popen(
            command, env=environment(bundle), cwd=bundle, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self) -> Asked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def hears(self, text: str) -> None:
        """Waits for a line with it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return
        raise AssertionError(f"ended without {text!r}")

    def said(self) -> str:
        """All of it, after its time."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        return out

    def said_so_far(self) -> str:
        self.process.kill()
        return self.said()


def at_once(client: Path, bundle: Path, word: str, domain: int, *place: str) -> str:
    """What it says about being permitted: it need not wait for anybody."""
    return Asked(client, bundle, word, domain, *place, seconds="0").said()


def test_two_exported_participants_exchange_data(shared_home: Home, client: Path) -> None:
    sender = exported(shared_home, "sender", publish("Office/Lobby/Door"))
    reader = exported(shared_home, "reader", subscribe("Office/Lobby/+"))
    place = ("Door", "Office/Lobby")
    with Asked(client, sender, "publish", 201, *place), Asked(client, reader, "subscribe", 201, *place) as listening:
        listening.hears("received 21.5")


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
    assert "refused" in at_once(client, bundle, word, 202, *place)


def test_a_reader_may_not_name_many_partitions_to_get_round_a_denial(shared_home: Home, client: Path) -> None:
    bundle = exported(shared_home, "curious", subscribe("Office/#"), subscribe("Office/Vault/#", allow=False))
    assert "refused" in at_once(client, bundle, "subscribe", 203, "Door", "Office/*")
    assert "Office/#: in part" in (bundle / "README.txt").read_text()
    assert "subscribed to Door" in at_once(client, bundle, "subscribe", 203, "Door", "Office")


def assert_hears_nothing(home: Home, client: Path, sender: Path, stranger: Path, domain: int) -> None:
    """While one who may read gets the data, the other, who was there before, does not."""
    reader = exported(home, f"reader-{domain}", subscribe("Office/Lobby/Door"))
    place = ("Door", "Office/Lobby")
    with Asked(client, stranger, "subscribe", domain, *place) as refused:
        refused.hears("subscribed to Door")
        with (
            Asked(client, sender, "publish", domain, *place),
            Asked(client, reader, "subscribe", domain, *place) as listening,
        ):
            listening.hears("received 21.5")
            time.sleep(0.5)
            assert "received" not in refused.said_so_far()


def test_a_participant_without_credentials_gets_nothing(shared_home: Home, client: Path) -> None:
    sender = exported(shared_home, "closed", publish("Office/Lobby/Door"))
    stranger = shared_home.folder / "stranger"
    stranger.mkdir()
    (stranger / "cyclonedds.xml").write_text("<CycloneDDS/>")
    assert_hears_nothing(shared_home, client, sender, stranger, 204)


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
    assert "the participant is refused" in at_once(client, forger, "subscribe", 205, "Door", "Office/Lobby")

    # Its identity CA in place of the permissions CA, as with one CA for both: that is how others were caught.
    permissions_ca = (forger / "permissions_ca.cert.pem").read_bytes()
    shutil.copy(forger / "identity_ca.cert.pem", forger / "permissions_ca.cert.pem")
    assert "the participant is refused" in at_once(client, forger, "subscribe", 205, "Door", "Office/Lobby")

    # A signer of its own, which it believes itself; the other side holds to the hub's.
    own = shared_home.folder / "own"
    DdsAuthority(own, time.time())
    (forger / "permissions_ca.cert.pem").write_bytes((own / "dds" / "permissions.pem").read_bytes())
    assert (forger / "permissions_ca.cert.pem").read_bytes() != permissions_ca
    signer = (own / "dds" / "permissions.pem", own / "dds" / "permissions.key")
    (forger / "permissions.p7s").write_bytes(sign(everything("forger"), *signer))
    (forger / "governance.p7s").write_bytes(sign(documents.governance(), *signer))
    assert_hears_nothing(shared_home, client, sender, forger, 205)


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
    place = ("rt/Office/chatter", "")
    with (
        Asked(client, places["talker-1"], "publish", 206, *place),
        Asked(client, places["listener-1"], "subscribe", 206, *place) as listening,
    ):
        listening.hears("received 21.5")
    # What every node makes for itself is permitted, another node's parameters are not.
    assert "published" in at_once(client, places["talker-1"], "publish", 207, "rt/rosout", "")
    other = "rr/listener_1/get_parametersReply"
    assert "refused" in at_once(client, places["talker-1"], "publish", 207, other, "")
