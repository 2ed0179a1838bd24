"""From one authority to the next: what is accepted before, during and after the overlap; keys that are elsewhere."""

from __future__ import annotations

import ssl
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.identity.authorities import retire, take_back
from bridgehead.security.identity.identity import Enrolled, Identity, Wanted
from bridgehead.security.pki import IssuedCertificate, Pki, certificates, ensure, external, profiles, rollover
from bridgehead.security.pki.certificates import SigningKey
from bridgehead.security.pki.ocsp import Responder
from bridgehead.security.tls.contexts import client_context, server_context
from tests.security.support import DAY, Time, handshake, machine, save
from tests.security.test_pki import contents, first_version

NOW = time.time()


@pytest.fixture
def pki(data: Path) -> Pki:
    return ensure(data, [], NOW, machine)


def over(pki: Pki, overlap: float = 30 * DAY, now: float = NOW) -> None:
    rollover.roll_over(pki, rollover.with_new_root(now), overlap, now)


def accepted(pki: Pki, trust: Path, issued: IssuedCertificate, folder: Path) -> bool:
    """Whether both sides of a handshake accept: a client that trusts `trust`, with this certificate."""
    files = save(issued, folder, f"{issued.serial:x}")
    return handshake(server_context(pki), client_context(trust, *files)).accepted


@pytest.mark.parametrize("first", ["root and issuing", "single"])
def test_during_the_overlap_old_and_new_devices_connect_and_after_it_new_ones_only(
    data: Path, tmp_path: Path, first: str
) -> None:
    if first == "single":
        first_version(data, NOW)
    pki = ensure(data, [], NOW, machine)
    old_trust = tmp_path / "old.pem"
    old_trust.write_bytes(pki.authority_file.read_bytes())
    old = pki.issue_device("old", NOW)

    over(pki, 60)
    assert not (data / "pki" / "ca.key").exists()
    new = pki.issue_device("new", NOW)
    assert new.issuer != old.issuer
    # Clients with the old ca.pem still trust the hub, and the new ca.pem trusts it too.
    for trust in (old_trust, pki.authority_file):
        assert accepted(pki, trust, old, tmp_path)
        assert accepted(pki, trust, new, tmp_path)
    assert len(certificates.read_certificates(pki.authority_file.read_bytes(), "")) == 2

    assert rollover.finish(pki, NOW + 59) == []
    (retired,) = rollover.finish(pki, NOW + 60)
    assert retired.fingerprint == old.issuer
    assert not retired.key_file.exists()
    assert len(certificates.read_certificates(pki.authority_file.read_bytes(), "")) == 1
    assert accepted(pki, pki.authority_file, new, tmp_path)
    assert not accepted(pki, pki.authority_file, old, tmp_path)
    assert not accepted(pki, old_trust, new, tmp_path)  # its client has not taken the new ca.pem
    assert rollover.finish(pki, NOW + 61) == []


def test_another_process_sees_the_roll_over_at_once(data: Path) -> None:
    here, there = ensure(data, [], NOW, machine), ensure(data, [], NOW, machine)
    stamp = there.stamp()
    over(here)
    assert there.authority == here.authority
    assert there.stamp() != stamp


def test_the_hubs_certificate_stays_with_the_old_root_until_the_end(pki: Pki, data: Path) -> None:
    old = pki.authority
    over(pki)
    ensure(data, ["other.example"], NOW + 70 * DAY, machine)  # renewed meanwhile, with another name
    renewed = pki.server_certificate()
    assert renewed is not None
    renewed.verify_directly_issued_by(old)
    hosts = pki.server_hosts()
    rollover.finish(pki, NOW + 71 * DAY, early=True)
    moved = pki.server_certificate()
    assert moved is not None
    moved.verify_directly_issued_by(pki.authority)
    assert pki.server_hosts() == hosts


def test_each_authority_has_its_list_and_its_responder(pki: Pki) -> None:
    old, issuer = pki.issue_device("old", NOW), pki.authority
    over(pki)
    new = pki.issue_device("new", NOW)
    pki.publish_revocations(lambda: [certificates.Revoked(each.serial, NOW) for each in (old, new)], NOW)
    for issued, by in ((old, issuer), (new, pki.authority)):
        der = pki.revocation_list(certificates.key_identifier(by).hex())
        assert der is not None
        assert [entry.serial_number for entry in x509.load_der_x509_crl(der)] == [issued.serial]
        assert Responder(pki).about(issued.certificate, NOW) is not None
    assert pki.revocation_list() == pki.revocation_list(certificates.key_identifier(pki.authority).hex())
    assert pki.revocation_list("00") is None


def test_a_second_roll_over_waits_for_the_first(pki: Pki) -> None:
    over(pki)
    before = contents(pki.folder)
    with pytest.raises(NotAcceptable, match=r"a roll-over is under way until .*: wait, or end it with"):
        over(pki)
    assert contents(pki.folder) == before


def test_what_fails_half_way_changes_nothing(pki: Pki) -> None:
    before = contents(pki.folder)

    def make(folder: Path) -> None:
        rollover.with_new_root(NOW)(folder)
        raise SecurityError("no space left on device")

    with pytest.raises(SecurityError, match="no space left"):
        rollover.roll_over(pki, make, DAY, NOW)
    assert contents(pki.folder) == before
    with pytest.raises(SecurityError, match=r"this machine's clock says .*: set the clock"):
        rollover.roll_over(pki, rollover.with_new_root(NOW), DAY, NOW - 2 * DAY)
    assert contents(pki.folder) == before


# Records. -------------------------------------------------------------------------------------------


def test_at_the_end_records_lose_what_the_old_authority_issued(identity: Identity, clock: Time) -> None:
    old, both = _enrol(identity, "old"), _enrol(identity, "both")
    over(identity.pki, now=clock())
    new = _enrol(identity, "new")
    _, names = retire(identity.pki, identity.registry, clock())
    assert names == []
    clock.now += 31 * DAY
    retired, names = retire(identity.pki, identity.registry, clock())
    assert [each.fingerprint for each in retired] == [old.device.certificates[0].issuer]
    assert names == ["both", "old"]
    assert identity.registry.existing_device("old").certificates == ()
    assert identity.registry.existing_device("new").certificates == new.device.certificates
    for enrolled in (old, both):
        assert identity.registry.revoked_from(enrolled.device.certificates[0].fingerprint) == enrolled.device.name
    assert take_back(identity.pki, identity.registry, clock()) == []


def _enrol(identity: Identity, name: str) -> Enrolled:
    with identity.enrolling(Wanted(name, certificate=True)) as enrolled:
        return enrolled


# The root's key elsewhere. --------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_with_the_roots_key_offline_everything_but_a_new_issuing_authority_goes_on(
    pki: Pki, data: Path, tmp_path: Path, passphrase: bytes | None
) -> None:
    away = tmp_path / "root.key"
    rollover.offline_root(pki, away, passphrase)
    assert not pki.signer.root_key_file.exists()
    assert away.stat().st_mode & 0o777 == 0o600
    assert (b"ENCRYPTED" in away.read_bytes()) is (passphrase is not None)
    assert pki.issue_device("sensor-7", NOW).serial
    assert pki.publish_revocations(lambda: [certificates.Revoked(5, NOW)], NOW)
    ensure(data, ["new.example"], NOW + 60, machine)
    with pytest.raises(NotAcceptable, match=r"the root's key is not in .*: name the file .* --root-key"):
        rollover.with_same_root(pki, None, None, NOW)
    old = pki.issue_device("old", NOW)
    maker = rollover.with_same_root(pki, away, passphrase, NOW)
    rollover.roll_over(pki, maker, 30 * DAY, NOW)
    assert not pki.signer.root_key_file.exists()
    assert len(certificates.read_certificates(pki.authority_file.read_bytes(), "")) == 1  # clients need nothing new
    new = pki.issue_device("new", NOW)
    assert accepted(pki, pki.authority_file, old, tmp_path)
    rollover.finish(pki, NOW, early=True)
    assert accepted(pki, pki.authority_file, new, tmp_path)
    assert not accepted(pki, pki.authority_file, old, tmp_path)  # below the same root, but its authority is gone


def test_the_root_goes_offline_once_and_into_a_new_file(pki: Pki, tmp_path: Path, data: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    with pytest.raises(NotAcceptable, match=r"taken exists already: name a new file"):
        rollover.offline_root(pki, taken, None)
    assert taken.read_text() == "mine"
    rollover.offline_root(pki, tmp_path / "root.key", None)
    with pytest.raises(NotAcceptable, match="it was moved already, or never was here"):
        rollover.offline_root(pki, tmp_path / "again.key", None)


def test_a_single_authoritys_key_cannot_go_offline(tmp_path: Path) -> None:
    first_version(tmp_path / "old", NOW)
    single = ensure(tmp_path / "old", [], NOW, machine)
    with pytest.raises(
        NotAcceptable, match="make a root and an issuing authority first with `bridgehead ca roll-over`"
    ):
        rollover.offline_root(single, tmp_path / "root.key", None)


def test_a_wrong_pass_phrase_or_another_roots_key_changes_nothing(pki: Pki, tmp_path: Path) -> None:
    away = tmp_path / "root.key"
    rollover.offline_root(pki, away, b"open sesame")
    before = contents(pki.folder)
    with pytest.raises(SecurityError, match=r"root.key cannot be opened: a wrong pass phrase"):
        rollover.with_same_root(pki, away, b"open barley", NOW)
    foreign = tmp_path / "foreign.key"
    foreign.write_bytes(certificates.key_pem(certificates.new_key()))
    with pytest.raises(NotAcceptable, match=r"foreign.key is not the key of the root"):
        rollover.with_same_root(pki, foreign, None, NOW)
    assert contents(pki.folder) == before


# Somebody else's root. ------------------------------------------------------------------------------


class Company:
    """A root that is not ours, and what it signs."""

    def __init__(self) -> None:
        self.key = certificates.new_key()
        self.root = certificates.make_root(self.key, NOW - DAY)

    def issuing(self, key: SigningKey, now: float = NOW - DAY) -> bytes:
        return certificates.certificate_pem(certificates.make_issuing(self.root, self.key, key, now), self.root)


@pytest.mark.parametrize(
    "key",
    [certificates.new_key(), rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()],
    ids=["ECDSA", "RSA", "Ed25519"],
)
def test_an_external_authority_takes_over(pki: Pki, tmp_path: Path, key: SigningKey) -> None:
    company = Company()
    chain = external.read_chain(company.issuing(key), "chain.pem", NOW)
    rollover.roll_over(pki, external.with_chain(chain, key, "key.pem"), 0, NOW)
    rollover.finish(pki, NOW)
    assert pki.authority_file.read_bytes() == certificates.certificate_pem(company.root)
    issued = pki.issue_device("sensor-7", NOW)
    assert issued.certificate.issuer == pki.authority.subject
    response = Responder(pki).about(issued.certificate, NOW)
    assert response is not None
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return  # TLS 1.2 and 1.3 clients of P-256 alone cannot verify it; `cryptography` has signed and read it
    assert accepted(pki, pki.authority_file, issued, tmp_path)


def test_a_request_is_signed_elsewhere_and_installed(pki: Pki, tmp_path: Path) -> None:
    with pytest.raises(NotAcceptable, match="no request is open: make one with `bridgehead ca request` first"):
        external.requested_key(pki)
    pem = external.request(pki)
    request = x509.load_pem_x509_csr(pem)
    assert request.is_signature_valid
    assert request.public_key() == x509.load_pem_x509_csr(external.request(pki)).public_key()
    usage = request.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (usage.ca, usage.path_length) == (True, 0)
    company = Company()
    key = external.requested_key(pki)
    chain = external.read_chain(company.issuing(key), "chain.pem", NOW)
    rollover.roll_over(pki, external.with_chain(chain, key, "the request"), 30 * DAY, NOW)
    external.forget_request(pki)
    assert accepted(pki, pki.authority_file, pki.issue_device("sensor-7", NOW), tmp_path)


@pytest.mark.peer("openssl")
def test_openssl_reads_the_request(pki: Pki, tmp_path: Path) -> None:
    file = tmp_path / "request.pem"
    file.write_bytes(external.request(pki))
    run = subprocess.run(
        ["openssl", "req", "-in", str(file), "-verify", "-noout"], capture_output=True, text=True, check=False
    )
    assert "verify OK" in run.stderr


def _chains() -> list[tuple[bytes, str]]:
    company, other, key = Company(), Company(), certificates.new_key()
    whole = company.issuing(key)
    issuing, root = (certificates.certificate_pem(each) for each in x509.load_pem_x509_certificates(whole))
    leaf = certificates.certificate_pem(
        profiles.make(profiles.DEVICE, company.root, company.key, key.public_key(), ["d"], NOW)
    )
    far = certificates.make_issuing(company.root, company.key, key, NOW + 9 * DAY)
    return [
        (b"broken", "holds no readable certificate"),
        (issuing, "is not signed by what follows it: end the file with the self-signed root"),
        (root + issuing, "is not signed by what follows it"),
        (issuing + certificates.certificate_pem(other.root), "is not signed by what follows it: put each authority"),
        (leaf + root, "is no authority"),
        (certificates.certificate_pem(far) + root, "is valid from .* on: wait, or set the clock"),
        (root * 6, "holds 6 certificates"),
    ]


@pytest.mark.parametrize(("pem", "said"), _chains())
def test_a_chain_that_does_not_do_is_one_sentence(pem: bytes, said: str) -> None:
    with pytest.raises(SecurityError, match=said):
        external.read_chain(pem, "chain.pem", NOW)


def test_an_expired_authority_is_refused() -> None:
    company, key = Company(), certificates.new_key()
    with pytest.raises(NotAcceptable, match=r"has expired on .*: get a new one"):
        external.read_chain(company.issuing(key), "chain.pem", NOW + 3700 * DAY)


def test_an_authority_that_may_not_sign_lists_is_refused() -> None:
    company, key = Company(), certificates.new_key()
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    made = x509.CertificateBuilder().subject_name(certificates.common_name("x")).issuer_name(company.root.subject)
    made = made.public_key(key.public_key()).serial_number(5).add_extension(usage, True)
    made = made.not_valid_before(company.root.not_valid_before_utc).not_valid_after(company.root.not_valid_after_utc)
    made = made.add_extension(x509.BasicConstraints(True, 0), True)
    pem = certificates.certificate_pem(made.sign(company.key, hashes.SHA256()), company.root)
    with pytest.raises(NotAcceptable, match="may not sign certificates and revocation lists"):
        external.read_chain(pem, "chain.pem", NOW)


def test_the_key_of_another_chain_is_refused() -> None:
    company = Company()
    chain = external.read_chain(company.issuing(certificates.new_key()), "chain.pem", NOW)
    with pytest.raises(NotAcceptable, match=r"key.pem is not the key of CN="):
        external.with_chain(chain, certificates.new_key(), "key.pem")


def test_old_sessions_do_not_resume_after_the_end(pki: Pki, tmp_path: Path) -> None:
    """The contexts are made anew when the files change: their tickets end with them."""
    old = pki.issue_device("old", NOW)
    device = client_context(pki.authority_file, *save(old, tmp_path))
    device.maximum_version = ssl.TLSVersion.TLSv1_2
    first = handshake(server_context(pki), device)
    over(pki)
    rollover.finish(pki, NOW, early=True)
    assert not handshake(server_context(pki), device, session=first.session).accepted
