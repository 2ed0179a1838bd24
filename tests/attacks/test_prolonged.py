"""What was to end does not go on: a credential by another one, an audit log by an old state of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from bridgehead.security.audit.folder import HEAD
from bridgehead.security.audit.verify import verify
from bridgehead.security.identity.enrolment import NotProven, simple_reenroll
from bridgehead.security.identity.identity import Fresh, Identity, Wanted
from bridgehead.security.pki import IssuedCertificate, certificates
from tests.audit.support import Chain


def request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(certificates.new_key(), hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def der(issued: IssuedCertificate | None) -> bytes:
    assert issued is not None
    return certificates.certificate_der(issued.certificate)


def test_a_certificate_in_its_overlap_gets_no_other_one(tmp_path: Path) -> None:
    """Else who has a stolen key makes himself a new one in the hour that a rotation leaves."""
    identity = Identity(tmp_path / "data")
    with identity.enrolling(Wanted("pump", fresh=Fresh(certificate=True))) as enrolled:
        stolen = der(enrolled.certificate)
    with identity.rotating("pump", overlap=3600.0) as rotated:
        current = der(rotated.certificate)
    with pytest.raises(NotProven, match="replaced by another one"):
        simple_reenroll(identity, stolen, request())
    assert simple_reenroll(identity, current, request())
    identity.close()


def test_a_log_that_is_put_back_under_the_running_hub_is_recorded(tmp_path: Path) -> None:
    """File and head of some minutes ago fit each other, and the signature is right."""
    chain = Chain(tmp_path)
    chain.write(3)
    earlier = {path: path.read_bytes() for path in (chain.path(), chain.folder / HEAD)}
    chain.write(5)
    for path, octets in earlier.items():
        path.write_bytes(octets)
    assert verify(chain.folder).intact
    chain.write(1)
    assert [str(finding) for finding in verify(chain.folder).findings if "put back" in str(finding)]
    chain.write(1)
    assert len(verify(chain.folder).findings) == 1


def test_a_log_that_is_put_back_and_goes_on_elsewhere_is_recorded(tmp_path: Path) -> None:
    """As many lines as before, and others."""
    chain = Chain(tmp_path)
    chain.write(3)
    earlier = {path: path.read_bytes() for path in (chain.path(), chain.folder / HEAD)}
    chain.write(1)
    running = chain.journal
    for path, octets in earlier.items():
        path.write_bytes(octets)
    chain.reopen()
    chain.write(1)
    chain.journal = running
    chain.write(1)
    assert any("put back" in str(finding) for finding in verify(chain.folder).findings)
