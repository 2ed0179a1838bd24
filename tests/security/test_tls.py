"""Handshakes over real sockets: what the contexts accept, and whom they refuse."""

from __future__ import annotations

import datetime
import socket
import ssl
import subprocess
import threading
import time
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import IssuedCertificate, Pki, certificates, ensure, open_authority, profiles
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.tls.contexts import client_context, server_context
from bridgehead.security.tls.profiles import SUITES
from tests.security.support import DAY, Outcome, handshake, machine, save

NOW = time.time()


@pytest.fixture
def pki(data: Path) -> Pki:
    return ensure(data, [], NOW, machine)


def client(pki: Pki, issued: IssuedCertificate | None = None, folder: Path | None = None) -> ssl.SSLContext:
    if issued is None:
        return client_context(pki.authority_file)
    assert folder is not None
    return client_context(pki.authority_file, *save(issued, folder, f"{issued.serial}"))


def weak(pki: Pki, version: ssl.TLSVersion, suites: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    """A client that would take anything, as far as this OpenSSL can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=pki.authority_file)
    context.set_ciphers(suites)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


def only(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


# Versions, suites, groups. --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(pki: Pki, version: ssl.TLSVersion) -> None:
    outcome = handshake(server_context(pki), only(client(pki), version))
    assert outcome.accepted
    assert outcome.version == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(pki: Pki, version: ssl.TLSVersion) -> None:
    outcome = handshake(server_context(pki), weak(pki, version))
    assert not outcome.accepted
    assert isinstance(outcome.server_fault, ssl.SSLError)
    assert outcome.server_fault.reason == "UNSUPPORTED_PROTOCOL"


@pytest.fixture
def rsa_files(tmp_path: Path) -> tuple[Path, Path]:
    """An operator's own RSA certificate: with it the suites that are refused would be possible at all."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(today).not_valid_after(today + datetime.timedelta(days=2))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    certificate_file, key_file = tmp_path / "rsa.pem", tmp_path / "rsa.key"
    certificate_file.write_bytes(certificates.certificate_pem(builder.sign(key, hashes.SHA256())))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@pytest.mark.parametrize(
    ("suite", "why"),
    [
        ("AES128-GCM-SHA256", "no forward secrecy"),
        ("AES256-SHA", "no forward secrecy, CBC"),
        ("ECDHE-RSA-AES128-SHA256", "CBC"),
        ("ECDHE-RSA-AES256-SHA", "CBC"),
        ("DHE-RSA-AES128-GCM-SHA256", "finite-field groups of the server's choice"),
        ("ECDHE-ECDSA-AES128-SHA256", "CBC"),
        ("ADH-AES128-GCM-SHA256", "anonymous"),
    ],
)
@pytest.mark.parametrize("with_rsa", [True, False])
def test_suites_without_forward_secrecy_or_aead_are_refused(
    pki: Pki, rsa_files: tuple[Path, Path], suite: str, why: str, with_rsa: bool
) -> None:
    server = server_context(pki, certificate=rsa_files[0], key=rsa_files[1]) if with_rsa else server_context(pki)
    outcome = handshake(server, weak(pki, ssl.TLSVersion.TLSv1_2, f"{suite}:@SECLEVEL=0"))
    assert not outcome.accepted, why
    assert isinstance(outcome.server_fault, ssl.SSLError)
    assert outcome.server_fault.reason == "NO_SHARED_CIPHER"


@pytest.mark.parametrize("suite", SUITES)
def test_each_suite_of_ours_works(pki: Pki, rsa_files: tuple[Path, Path], suite: str) -> None:
    certificate, key = rsa_files
    server = server_context(pki, certificate=certificate, key=key) if "-RSA-" in suite else server_context(pki)
    trusted = client_context(certificate) if "-RSA-" in suite else client(pki)
    trusted.set_ciphers(suite)
    outcome = handshake(server, only(trusted, ssl.TLSVersion.TLSv1_2))
    assert outcome.accepted, outcome.server_fault
    assert outcome.suite == suite


def test_the_clients_order_of_suites_counts(pki: Pki) -> None:
    trusted = client(pki)
    trusted.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256")
    assert handshake(server_context(pki), only(trusted, ssl.TLSVersion.TLSv1_2)).suite.endswith("CHACHA20-POLY1305")


def s_client(pki: Pki, server: ssl.SSLContext, *options: str) -> subprocess.CompletedProcess[str]:
    """OpenSSL's own client, once, against this context."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def serve() -> None:
        accepted, _ = listening.accept()
        accepted.settimeout(20)
        try:
            with server.wrap_socket(accepted, server_side=True) as stream:
                stream.recv(100)
        except OSError:
            accepted.close()  # a refusal: the client's words are what is looked at

    thread = threading.Thread(target=serve)
    thread.start()
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listening.getsockname()[1]}"]
    command += ["-CAfile", str(pki.authority_file), "-verify_return_error", "-x509_strict", *options]
    run = subprocess.run(command, input="Q\n", capture_output=True, text=True, timeout=30, check=False)
    thread.join(20)
    listening.close()
    return run


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(("groups", "accepted"), [("P-256", True), ("X25519:P-256", True), ("ffdhe8192", False)])
def test_groups_are_those_of_small_and_cheap_handshakes(pki: Pki, groups: str, accepted: bool) -> None:
    """A client that guesses another group is asked once more; one with expensive ones only is refused."""
    run = s_client(pki, server_context(pki), "-tls1_3", "-groups", groups)
    assert ("Verify return code: 0 (ok)" in run.stdout and "TLSv1.3, Cipher is TLS_" in run.stdout) is accepted


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_verifies_the_hub_strictly_by_name_and_address(pki: Pki, version: str) -> None:
    for name in (["-verify_hostname", "hub.example"], ["-verify_ip", "192.0.2.7"]):
        run = s_client(pki, server_context(pki), version, *name)
        assert "Verify return code: 0 (ok)" in run.stdout, run.stderr
        assert "Compression: NONE" in run.stdout
    assert "hostname mismatch" in s_client(pki, server_context(pki), version, "-verify_hostname", "other").stderr


@pytest.mark.peer("openssl")
def test_renegotiation_is_refused(pki: Pki) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)
    seen: list[bytes] = []

    def serve() -> None:
        accepted, _ = listening.accept()
        accepted.settimeout(20)
        try:
            with server_context(pki).wrap_socket(accepted, server_side=True) as stream:
                while data := stream.recv(100):
                    seen.append(data)
        except OSError:
            accepted.close()

    thread = threading.Thread(target=serve)
    thread.start()
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{listening.getsockname()[1]}"]
    run = subprocess.run(
        [*command, "-CAfile", str(pki.authority_file)],
        input="R\nafter\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    thread.join(20)
    listening.close()
    assert "RENEGOTIATING" in run.stderr + run.stdout
    assert "no renegotiation" in run.stderr
    assert seen == []


def test_pythons_strict_flag_accepts_the_hub(pki: Pki) -> None:
    trusted = client(pki)
    trusted.verify_flags |= ssl.VERIFY_X509_STRICT
    assert handshake(server_context(pki), trusted).accepted


def test_contexts_have_no_compression_and_no_renegotiation(pki: Pki) -> None:
    for context in (server_context(pki), client(pki)):
        assert context.options & ssl.OP_NO_COMPRESSION
        assert context.options & ssl.OP_NO_RENEGOTIATION
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        suites = [each["name"] for each in context.get_ciphers() if each["protocol"] == "TLSv1.2"]
        assert sorted(suites) == sorted(SUITES)
        assert all(each["aead"] for each in context.get_ciphers())
        assert context.keylog_filename is None
        assert not context.options & getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


@pytest.mark.parametrize(
    ("offered", "chosen"), [([], None), (["mqtt"], "mqtt"), (["h2"], None), (["h2", "mqtt"], "mqtt")]
)
def test_alpn_is_answered_and_not_demanded(pki: Pki, offered: list[str], chosen: str | None) -> None:
    outcome = handshake(server_context(pki), client_context(pki.authority_file, alpn=offered))
    assert outcome.accepted
    assert outcome.alpn == chosen


# Who the hub is. ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "accepted"), [("hub", True), ("hub.example", True), ("192.0.2.7", True), ("evil", False)]
)
def test_a_client_of_ours_checks_the_name(pki: Pki, host: str, accepted: bool) -> None:
    assert handshake(server_context(pki), client(pki), host).accepted is accepted


def test_a_client_of_ours_refuses_another_hub(pki: Pki, tmp_path: Path) -> None:
    other = ensure(tmp_path / "other", [], NOW, machine)
    outcome = handshake(server_context(other), client(pki))
    assert isinstance(outcome.client_fault, ssl.SSLCertVerificationError)


def test_a_devices_certificate_does_not_make_a_hub(pki: Pki, tmp_path: Path) -> None:
    """A stolen device cannot pose as the hub, whatever its name."""
    certificate, key = save(pki.issue_device("localhost", NOW), tmp_path)
    outcome = handshake(server_context(pki, certificate=certificate, key=key), client(pki))
    assert isinstance(outcome.client_fault, ssl.SSLCertVerificationError)


def test_without_a_file_the_systems_authorities_are_trusted_and_not_ours(pki: Pki) -> None:
    outcome = handshake(server_context(pki), client_context(None))
    assert isinstance(outcome.client_fault, ssl.SSLCertVerificationError)


# Who the client is. ---------------------------------------------------------------------------------

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def attempt(pki: Pki, issued: IssuedCertificate | None, folder: Path, version: ssl.TLSVersion) -> Outcome:
    return handshake(server_context(pki), only(client(pki, issued, folder), version))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_devices_certificate_reaches_the_hub(pki: Pki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    issued = pki.issue_device("sensor-7", NOW)
    outcome = attempt(pki, issued, tmp_path, version)
    assert outcome.accepted
    assert outcome.peer is not None
    assert certificates.fingerprint(outcome.peer) == issued.fingerprint


@pytest.mark.parametrize("version", VERSIONS)
def test_none_is_accepted_unless_it_is_required(pki: Pki, version: ssl.TLSVersion) -> None:
    assert handshake(server_context(pki), only(client(pki), version)).peer is None
    outcome = handshake(server_context(pki, client_certificate_required=True), only(client(pki), version))
    assert isinstance(outcome.server_fault, ssl.SSLError)
    assert outcome.server_fault.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    assert outcome.client_fault is not None


def refused(outcome: Outcome, because: str) -> bool:
    assert isinstance(outcome.server_fault, ssl.SSLCertVerificationError)
    assert because in outcome.server_fault.verify_message
    return outcome.client_fault is not None and outcome.peer is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_foreign_authoritys_certificate_is_refused(pki: Pki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    other = ensure(tmp_path / "other", [], NOW, machine)
    outcome = attempt(pki, other.issue_device("sensor-7", NOW), tmp_path, version)
    assert refused(outcome, "unable to get local issuer certificate")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_expired_certificate_is_refused(tmp_path: Path, data: Path, version: ssl.TLSVersion) -> None:
    open_authority(data, NOW - 1000 * DAY)
    expired = open_authority(data, NOW - 900 * DAY).issue_device("sensor-7", NOW - 900 * DAY)
    pki = ensure(data, [], NOW, machine)
    assert refused(attempt(pki, expired, tmp_path, version), "certificate has expired")


def test_a_certificate_from_the_future_is_refused(pki: Pki, tmp_path: Path) -> None:
    issued = pki.issue_device("sensor-7", NOW + 30 * DAY)
    assert refused(attempt(pki, issued, tmp_path, ssl.TLSVersion.TLSv1_3), "certificate is not yet valid")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_revoked_certificate_is_refused_and_its_neighbour_is_not(
    pki: Pki, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    gone, stays = pki.issue_device("sensor-7", NOW), pki.issue_device("sensor-8", NOW)
    pki.publish_revocations(lambda: [Revoked(gone.serial, NOW)], NOW)
    assert refused(attempt(pki, gone, tmp_path, version), "certificate revoked")
    assert attempt(pki, stays, tmp_path, version).accepted


def test_the_hubs_own_certificate_is_no_device(pki: Pki) -> None:
    trusted = client_context(pki.authority_file, pki.server_file)
    assert refused(handshake(server_context(pki), trusted), "unsuitable certificate purpose")


def test_a_device_cannot_issue_certificates(pki: Pki, tmp_path: Path) -> None:
    """A chain through a device's certificate: a leaf is no authority (RFC 5280 6.1.4 k)."""
    issued = pki.issue_device("sensor-7", NOW)
    parent = certificates.read_certificate(issued.certificate_pem, "")
    key = certificates.new_key()
    parent_key = certificates.read_key(issued.key_pem, "")
    child = profiles.make(profiles.DEVICE, parent, parent_key, key.public_key(), ["root"], NOW)
    certificate_file, key_file = tmp_path / "child.pem", tmp_path / "child.key"
    certificate_file.write_bytes(certificates.certificate_pem(child) + issued.certificate_pem)
    key_file.write_bytes(certificates.key_pem(key))
    outcome = handshake(server_context(pki), client_context(pki.authority_file, certificate_file, key_file))
    assert isinstance(outcome.server_fault, ssl.SSLCertVerificationError)


# Resumption. ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_resumed_session_still_shows_the_certificate(pki: Pki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """So the authenticator judges it again: TLS itself does not verify it a second time."""
    server, device = server_context(pki), only(client(pki, pki.issue_device("sensor-7", NOW), tmp_path), version)
    first = handshake(server, device)
    second = handshake(server, device, session=first.session)
    assert second.accepted
    assert second.resumed
    assert second.peer == first.peer is not None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_context_ends_old_sessions(pki: Pki, tmp_path: Path, version: ssl.TLSVersion) -> None:
    issued = pki.issue_device("sensor-7", NOW)
    device = only(client(pki, issued, tmp_path), version)
    first = handshake(server_context(pki), device)
    again = handshake(server_context(pki), device, session=first.session)
    assert again.accepted
    assert not again.resumed
    pki.publish_revocations(lambda: [Revoked(issued.serial, NOW)], NOW)
    assert refused(handshake(server_context(pki), device, session=first.session), "certificate revoked")


@pytest.mark.peer("openssl")
def test_tickets_last_two_hours_and_carry_no_early_data(pki: Pki) -> None:
    run = s_client(pki, server_context(pki), "-tls1_2")
    assert "TLS session ticket lifetime hint: 7200 (seconds)" in run.stdout
    assert server_context(pki).num_tickets == 1


# Foreign authorities, other files. ------------------------------------------------------------------


def test_a_foreign_authority_can_be_added(pki: Pki, tmp_path: Path) -> None:
    other = ensure(tmp_path / "other", [], NOW, machine)
    server = server_context(pki, client_ca=other.authority_file)
    for authority in (pki, other):
        issued = authority.issue_device("sensor-7", NOW)
        assert handshake(server, client(pki, issued, tmp_path)).accepted


def test_with_revocation_lists_for_all_authorities_they_are_checked(pki: Pki, tmp_path: Path) -> None:
    other = ensure(tmp_path / "other", [], NOW, machine)
    ours, theirs = pki.issue_device("sensor-7", NOW), other.issue_device("sensor-8", NOW)
    pki.publish_revocations(lambda: [Revoked(ours.serial, NOW)], NOW)
    other.publish_revocations(lambda: [Revoked(theirs.serial, NOW)], NOW)
    both = tmp_path / "both.pem"
    both.write_bytes(other.trust_file.read_bytes() + other.revocation_file.read_bytes())
    for issued in (ours, theirs):
        assert refused(handshake(server_context(pki, client_ca=both), client(pki, issued, tmp_path)), "revoked")
    assert handshake(server_context(pki, client_ca=both), client(pki, other.issue_device("d", NOW), tmp_path)).accepted
    # Without theirs OpenSSL cannot check any: the authenticator does, by the record.
    without = server_context(pki, client_ca=other.authority_file)
    assert not without.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


def test_files_that_do_not_do_are_named(pki: Pki, tmp_path: Path) -> None:
    issued, other = pki.issue_device("a", NOW), pki.issue_device("b", NOW)
    certificate, key = save(issued, tmp_path, "a")
    _, foreign = save(other, tmp_path, "b")
    broken = tmp_path / "broken.pem"
    broken.write_text("broken")
    with pytest.raises(SecurityError, match=rf"{foreign} is not the private key of the certificate {certificate}"):
        server_context(pki, certificate=certificate, key=foreign)
    with pytest.raises(SecurityError, match=rf"{broken} and {key} hold no usable certificate and key in PEM"):
        server_context(pki, certificate=broken, key=key)
    with pytest.raises(SecurityError, match=r"cannot read .*missing.pem or .*: no such file"):
        server_context(pki, certificate=tmp_path / "missing.pem", key=key)
    with pytest.raises(SecurityError, match=rf"{broken} holds no usable certificate or revocation list"):
        client_context(broken)
    with pytest.raises(SecurityError, match=r"cannot read .*missing.pem: no such file"):
        client_context(tmp_path / "missing.pem")
    with pytest.raises(SecurityError, match=rf"{broken} holds no usable certificate or revocation list"):
        server_context(pki, client_ca=broken)


def test_an_encrypted_key_is_refused_without_asking_on_the_terminal(pki: Pki, tmp_path: Path) -> None:
    certificate, key = save(pki.issue_device("a", NOW), tmp_path)
    loaded = certificates.read_key(key.read_bytes(), "")
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"pass phrase"),
        )
    )
    with pytest.raises(SecurityError, match=rf"the private key {key} is encrypted"):
        server_context(pki, certificate=certificate, key=key)
