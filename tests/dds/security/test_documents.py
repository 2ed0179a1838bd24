"""Signed documents at real participants: forged, mis-signed, expired, renewed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from bridgehead.security.dds import documents, names
from bridgehead.security.dds.authority import DdsAuthority
from bridgehead.security.dds.bundle import DomainFiles
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.explain import why_refused
from bridgehead.security.dds.grants import grants
from bridgehead.security.dds.names import Expression
from bridgehead.security.export.participant import documents_of
from tests.dds.security.peers import Peer, bundle_files
from tests.dds.security.world import TEMPERATURE, World
from tests.security.support import publish, subscribe

ROUNDS = 5
BOTH = ([TEMPERATURE], [TEMPERATURE])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_domain: int) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"), shared_domain)
    yield made
    made.identity.close()


def renew(world: World, bundle: Path, life: float) -> None:
    """As `bridgehead dds permissions` does it."""
    device = world.identity.registry.existing_device(bundle.name)
    granted = grants(device.permissions, {"device": (device.name,)}, names.plain, world.routing)
    made = documents_of(device, granted, world.identity, world.routing, time.time(), life)
    for name, content in made.files.items():
        (bundle / name).write_bytes(content)


def sign(document: bytes, certificate: Path, key: Path) -> bytes:
    signer = x509.load_pem_x509_certificate(certificate.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(document).add_signer(signer, private, hashes.SHA256())
    return builder.sign(serialization.Encoding.SMIME, [pkcs7.PKCS7Options.Text, pkcs7.PKCS7Options.DetachedSignature])


def everything(name: str) -> bytes:
    """Permissions to all there is."""
    expressions = [Expression("*"), Expression("*", "*")]
    return documents.permissions(name, [Rule(True, expressions, expressions)], 1_700_000_000, 2_000_000_000)


def open_governance() -> bytes:
    """Without any access control, encryption as the others have it."""
    text = documents.governance().decode()
    for name in ("join", "read", "write"):
        text = text.replace(f"<enable_{name}_access_control>true", f"<enable_{name}_access_control>false")
    return text.encode()


@pytest.mark.clause("DDSSEC-9.4.1.3")
@pytest.mark.clause("DDSSEC-9.4.1.1")
def test_permissions_that_a_device_signed_itself_are_refused_by_its_own_plugin(world: World) -> None:
    """CVE-2023-24011: permissions signed by anything below the CA counted."""
    forger = world.add("forger")
    (forger / "permissions.p7s").write_bytes(sign(everything("forger"), forger / "cert.pem", forger / "key.pem"))
    with world.peer(forger, *BOTH) as peer:
        peer.wait("refused participant")


@pytest.mark.parametrize("with_own_governance", [False, True])
@pytest.mark.clause("DDSSEC-9.4.1.1")
def test_and_by_everybody_else_when_it_believes_them_itself(world: World, with_own_governance: bool) -> None:
    """It takes its own certificate for the permissions CA; or a whole signer of its own, and a governance in which
    nothing is controlled."""
    name = f"believer-{with_own_governance}"
    forger = world.add(name)
    certificate, key = forger / "cert.pem", forger / "key.pem"
    governance = documents.governance(world.routing.metadata)
    if with_own_governance:
        DdsAuthority(world.folder / name, time.time())
        certificate, key = (world.folder / name / "dds" / f"permissions.{each}" for each in ("pem", "key"))
        governance = open_governance()
    else:
        # Cyclone wants a CA that is self-signed: what it takes here is the identity's, with the device's signature.
        certificate = _self_signed(forger)
    shutil.copy(certificate, forger / "permissions_ca.cert.pem")
    (forger / "permissions.p7s").write_bytes(sign(everything(name), certificate, key))
    (forger / "governance.p7s").write_bytes(sign(governance, certificate, key))
    sender = world.add(f"sender-{with_own_governance}", publish("Office/#"))
    with (
        world.hub_peer(*BOTH) as hub,
        world.peer(forger, *BOTH) as peer,
        world.peer(sender, [TEMPERATURE]),
    ):
        peer.wait(f"got Temperature from {name}", ROUNDS)  # its own: it believes that it may
        hub.wait("from sender", 3 * ROUNDS)
        assert hub.count(f"from {name}") == 0
        assert peer.count("from sender") == 0
        assert peer.count("from the hub") == 0
    assert hub.count("permissions from plugin: Failed to parse PKCS7 SMIME document") > 0


def _self_signed(folder: Path) -> Path:
    """The device's certificate with the device's own signature."""
    old = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(old.not_valid_before_utc).not_valid_after(old.not_valid_after_utc)
    path = folder / "own.pem"
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.clause("DDSSEC-9.4.1.2")
def test_a_governance_that_somebody_else_signed_is_said_so(world: World) -> None:
    bundle = world.add("misled", publish("Office/#"))
    governance = documents.governance(world.routing.metadata)
    (bundle / "governance.p7s").write_bytes(sign(governance, _self_signed(bundle), bundle / "key.pem"))
    with world.peer(bundle, *BOTH) as peer:
        peer.wait("refused participant")
        peer.wait("validating local permissions: Failed to parse PKCS7 SMIME document")
    said = why_refused(DomainFiles(bundle), time.time())
    assert said.startswith(f"{bundle / 'governance.p7s'} is signed by CN=misled and not by")


@pytest.mark.clause("DDSSEC-9.4.1.3.2.2")
def test_permissions_that_are_over_make_no_participant_and_new_ones_do(world: World) -> None:
    bundle = world.add("late", publish("Office/#"), subscribe("Office/#"))
    now = time.time()
    authority = DdsAuthority(world.identity.data, now)
    over = documents.permissions("late", [Rule(True, [Expression("*")], [])], now - 7200, now - 3600)
    (bundle / "permissions.p7s").write_bytes(authority.sign(over))
    with world.peer(bundle, *BOTH) as peer:
        peer.wait("refused participant")
    assert "permissions.p7s holds from" in why_refused(DomainFiles(bundle), now)
    renew(world, bundle, 3600.0)
    with world.peer(bundle, *BOTH) as peer:
        peer.wait("got Temperature from late", ROUNDS)
        assert peer.count("refused") == 0


@pytest.mark.clause("DDSSEC-9.4.1.3.2.2")
def test_when_permissions_end_others_stop_listening_and_telling(world: World) -> None:
    bundle = world.add("brief", publish("Office/#"), subscribe("Office/#"))
    life = 6.0
    renew(world, bundle, life)
    end = time.time() + life + 1  # the document has whole seconds
    with world.hub_peer(*BOTH) as hub, world.peer(bundle, *BOTH) as brief:
        hub.wait("from brief", 2)
        brief.wait("from the hub", 2)
        time.sleep(max(0.0, end + 0.5 - time.time()))
        heard, told = hub.count("from brief"), brief.count("from the hub")
        hub.wait("from the hub", hub.count("from the hub") + 2 * ROUNDS)  # time goes on, and so does the hub
        assert hub.count("from brief") == heard
        assert brief.count("from the hub") == told


def test_a_renewed_list_keeps_the_revoked_one_out_and_the_others_in(world: World) -> None:
    gone = world.add("gone", publish("Office/#"))
    viewer = world.add("viewer", subscribe("Office/#"))
    sender = world.add("sender", publish("Office/#"))
    world.identity.revoke("gone")
    renew(world, viewer, 3600.0)
    with (
        world.peer(viewer, readers=[TEMPERATURE]) as reader,
        world.peer(gone, [TEMPERATURE]) as refused,
        world.peer(sender, [TEMPERATURE]),
    ):
        refused.wait("ready")
        reader.wait("from sender", 3 * ROUNDS)
        assert reader.count("from gone") == 0


def test_a_revoked_identity_does_not_start_with_the_list_that_names_it(world: World) -> None:
    gone = world.add("gone-too", publish("Office/#"))
    world.identity.revoke("gone-too")
    files = bundle_files(gone)
    world.hub.make(time.time(), world.routing, 3600.0)
    files["crl"] = str(world.hub.files.crl)
    with Peer(world.domain, files, *BOTH) as peer:
        peer.wait("refused participant")
