"""The OCSP responder and stapled responses, judged by OpenSSL's own client and by `cryptography`."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponse, OCSPResponseStatus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridgehead.security.pki import IssuedCertificate, Pki, certificates, ensure
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.pki.ocsp import MOST_OCTETS, RESPONSE_LIFE, Responder, Staple
from bridgehead.security.tls.contexts import server_context
from bridgehead.transport import openssl
from tests.security.support import DAY, Time, machine, save

NOW = time.time()


@pytest.fixture
def pki(data: Path) -> Pki:
    return ensure(data, [], NOW, machine)


def asking(
    issued: IssuedCertificate, issuer: x509.Certificate, algorithm: hashes.HashAlgorithm, nonce: bytes | None = None
) -> bytes:
    builder = ocsp.OCSPRequestBuilder().add_certificate(issued.certificate, issuer, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(serialization.Encoding.DER)


def answer(pki: Pki, request: bytes, now: float = NOW) -> OCSPResponse:
    return ocsp.load_der_ocsp_response(Responder(pki).respond(request, now))


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_rfc_6960_4_2_1_good_and_revoked(pki: Pki, algorithm: hashes.HashAlgorithm) -> None:
    gone, stays = pki.issue_device("a", NOW), pki.issue_device("b", NOW)
    pki.publish_revocations(lambda: [Revoked(gone.serial, NOW - 5)], NOW)
    good = answer(pki, asking(stays, pki.authority, algorithm))
    assert good.response_status is OCSPResponseStatus.SUCCESSFUL
    assert (good.certificate_status, good.serial_number) == (OCSPCertStatus.GOOD, stays.serial)
    assert good.next_update_utc == datetime.fromtimestamp(int(NOW + RESPONSE_LIFE), UTC)
    revoked = answer(pki, asking(gone, pki.authority, algorithm))
    assert revoked.certificate_status is OCSPCertStatus.REVOKED
    assert revoked.revocation_time_utc == datetime.fromtimestamp(int(NOW - 5), UTC)


def test_rfc_6960_4_2_2_2_a_delegated_leaf_of_the_same_authority_signs(pki: Pki) -> None:
    response = answer(pki, asking(pki.issue_device("a", NOW), pki.authority, hashes.SHA256()))
    (signer,) = response.certificates
    signer.verify_directly_issued_by(pki.authority)
    assert signer.extensions.get_extension_for_class(x509.OCSPNoCheck)
    key = signer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))


def test_the_responders_key_is_kept_and_changed_before_its_end(pki: Pki) -> None:
    request = asking(pki.issue_device("a", NOW), pki.authority, hashes.SHA256())
    signers = [answer(pki, request, NOW + days * DAY).certificates[0] for days in (0, 15, 25)]
    assert signers[0] == signers[1] != signers[2]
    assert pki.signer.responder_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("octets", "status"), [(1, "successful"), (32, "successful"), (33, "malformed")])
def test_rfc_8954_a_nonce_comes_back_when_it_has_1_to_32_octets(pki: Pki, octets: int, status: str) -> None:
    nonce = bytes(range(octets))
    response = answer(pki, asking(pki.issue_device("a", NOW), pki.authority, hashes.SHA1(), nonce))
    if status == "malformed":
        assert response.response_status is OCSPResponseStatus.MALFORMED_REQUEST
    else:
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce


def test_rfc_6960_2_2_a_serial_number_that_was_never_issued_is_unknown(pki: Pki) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        *_hashed(pki), serial_number=12345, algorithm=hashes.SHA256()
    )
    request = builder.build().public_bytes(serialization.Encoding.DER)
    assert answer(pki, request).certificate_status is OCSPCertStatus.UNKNOWN


def _hashed(pki: Pki) -> tuple[bytes, bytes]:
    issued = pki.issue_device("b", NOW).certificate
    request = ocsp.OCSPRequestBuilder().add_certificate(issued, pki.authority, hashes.SHA256()).build()
    return request.issuer_name_hash, request.issuer_key_hash


def test_rfc_6960_2_3_another_authoritys_certificate_is_not_ours_to_judge(pki: Pki, tmp_path: Path) -> None:
    other = ensure(tmp_path / "other", [], NOW, machine)
    request = asking(other.issue_device("a", NOW), other.authority, hashes.SHA256())
    assert answer(pki, request).response_status is OCSPResponseStatus.UNAUTHORIZED


def test_without_the_authoritys_key_and_without_a_signer_it_is_said_to_try_later(pki: Pki) -> None:
    request = asking(pki.issue_device("a", NOW), pki.authority, hashes.SHA256())
    kept = answer(pki, request).certificates[0]
    pki.authority_key_file.unlink()
    assert answer(pki, request, NOW + 25 * DAY).certificates[0] == kept  # late, but in force
    pki.signer.responder_file.unlink()
    assert answer(pki, request).response_status is OCSPResponseStatus.TRY_LATER


@pytest.mark.parametrize("request_der", [b"", b"\x30", b"\x30\x80", b"\x30\x03\x02\x01\x00", b"x" * (MOST_OCTETS + 1)])
def test_what_is_no_request_is_malformed(pki: Pki, request_der: bytes) -> None:
    assert answer(pki, request_der).response_status is OCSPResponseStatus.MALFORMED_REQUEST


def test_rfc_5280_4_1_2_2_a_negative_serial_number_is_malformed(pki: Pki) -> None:
    issued = pki.issue_device("a", NOW)
    request = asking(issued, pki.authority, hashes.SHA256())
    at = request.index(issued.serial.to_bytes(20, "big").lstrip(b"\0"))
    assert answer(pki, request[:at] + b"\xff" + request[at + 1 :]).response_status is (
        OCSPResponseStatus.MALFORMED_REQUEST
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data_=st.data())
def test_a_request_with_octets_changed_gets_a_response_all_the_same(pki: Pki, data_: st.DataObject) -> None:
    request = bytearray(asking(pki.issue_device("a", NOW), pki.authority, hashes.SHA256(), b"nonce"))
    for _ in range(data_.draw(st.integers(1, 4))):
        # Requests differ in length, and what is drawn must not depend on that.
        request[data_.draw(st.integers(0, 4095)) % len(request)] = data_.draw(st.integers(0, 255))
    assert answer(pki, bytes(request)).response_status in OCSPResponseStatus


@pytest.mark.peer("openssl")
def test_openssl_verifies_the_response(pki: Pki, tmp_path: Path) -> None:
    """`openssl ocsp` judges the signature, the delegation and the times."""
    gone, stays = pki.issue_device("a", NOW), pki.issue_device("b", NOW)
    pki.publish_revocations(lambda: [Revoked(gone.serial, NOW)], NOW)
    issuer = tmp_path / "issuer.pem"
    issuer.write_bytes(certificates.certificate_pem(pki.authority))
    for issued, said in ((stays, "good"), (gone, "revoked")):
        certificate, _ = save(issued, tmp_path, said)
        request, response = tmp_path / "request.der", tmp_path / "response.der"
        common = ["openssl", "ocsp", "-issuer", str(issuer), "-cert", str(certificate)]
        subprocess.run([*common, "-reqout", str(request)], check=True, capture_output=True)
        response.write_bytes(Responder(pki).respond(request.read_bytes(), time.time()))
        trusted = ["-respin", str(response), "-CAfile", str(pki.authority_file)]
        run = subprocess.run([*common, "-no_nonce", *trusted], check=False, capture_output=True, text=True)
        assert "Response verify OK" in run.stderr
        assert f"{certificate}: {said}" in run.stdout
        # With the request it holds the nonce against the response's too.
        command = ["openssl", "ocsp", "-issuer", str(issuer), "-reqin", str(request), *trusted]
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        assert run.stderr == "Response verify OK\n"


# Stapling. ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(context: ssl.SSLContext, connections: int) -> Iterator[int]:
    """A TLS server on loopback for so many connections; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(20)

    def serve() -> None:
        for _ in range(connections):
            accepted, _ = listening.accept()
            accepted.settimeout(20)
            try:
                with context.wrap_socket(accepted, server_side=True) as stream:
                    stream.recv(1)
            except OSError:
                accepted.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join(20)
        listening.close()


def s_client(port: int, pki: Pki, *options: str) -> str:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(pki.authority_file), *options]
    return subprocess.run(command, input="Q\n", capture_output=True, text=True, timeout=30, check=False).stdout


@pytest.mark.peer("openssl")
def test_rfc_6066_8_the_response_is_stapled_to_whoever_asks(pki: Pki) -> None:
    staple = Staple(pki, Responder(pki), time.time)
    staple.renew()
    context = server_context(pki)
    assert openssl.staple(context, staple.current)
    with serving(context, 3) as port:
        for version in ("-tls1_2", "-tls1_3"):
            shown = s_client(port, pki, "-status", version)
            assert "OCSP Response Status: successful (0x0)" in shown
            assert "Cert Status: good" in shown
            assert "Verify return code: 0 (ok)" in shown
        assert "OCSP" not in s_client(port, pki)


@pytest.mark.peer("openssl")
def test_without_a_response_that_holds_the_handshake_goes_on_without(pki: Pki) -> None:
    clock = Time(NOW)
    staple = Staple(pki, Responder(pki), clock)
    staple.renew()
    assert staple.current() is not None
    clock.now += RESPONSE_LIFE
    assert staple.current() is None
    context = server_context(pki)
    assert openssl.staple(context, staple.current)
    with serving(context, 1) as port:
        shown = s_client(port, pki, "-status")
    assert "OCSP response: no response sent" in shown
    assert "Verify return code: 0 (ok)" in shown


def test_a_certificate_of_somebody_else_has_no_response_of_ours(pki: Pki, tmp_path: Path) -> None:
    other = ensure(tmp_path / "other", [], NOW, machine)
    assert Responder(pki).about(other.issue_device("a", NOW).certificate, NOW) is None
