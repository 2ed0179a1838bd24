"""Bodies, credentials, targets: what is read, and that nothing else comes out of them than PeerError."""

from __future__ import annotations

import base64
import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.est.codec import body, target
from bridgehead.protocols.est.codec.attributes import CSR_ATTRIBUTES
from bridgehead.wire import http_basic
from bridgehead.wire.errors import Malformed


@given(st.binary(min_size=1, max_size=2000))
def test_rfc_8951_3_1_a_body_comes_back_whole(der: bytes) -> None:
    encoded = body.encode(der)
    assert all(len(line) <= 64 for line in encoded.split(b"\r\n"))
    assert body.decode(encoded) == base64.b64decode(encoded) == der


@pytest.mark.parametrize("given_", [b"TUlJ", b"TU lJ\r\n", b"\n T U\tl J\n"])
def test_white_space_is_skipped(given_: bytes) -> None:
    assert body.decode(given_) == b"MII"


@pytest.mark.parametrize("given_", [b"", b" \r\n", b"T", b"TUl", b"TU-J", b"\xff", b"-----BEGIN"])
def test_what_is_no_base64_is_malformed(given_: bytes) -> None:
    with pytest.raises(Malformed):
        body.decode(given_)


@given(st.binary(max_size=200))
def test_any_octets_are_a_body_or_malformed(octets: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(body.decode(octets), bytes)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Basic " + base64.b64encode(b"sensor-7:token"), ("sensor-7", "token")),
        (b"basic  " + base64.b64encode("sensor-7:tök:en".encode()), ("sensor-7", "tök:en")),
        (b"Basic " + base64.b64encode(b":"), ("", "")),
        (b"Basic " + base64.b64encode(b"no colon"), None),
        (b"Basic " + base64.b64encode(b"\xff:x"), None),
        (b"Basic !", None),
        (b"Bearer abc", None),
        (b"Basic " + b"A" * 2000, None),
        (b"", None),
    ],
)
def test_rfc_7617_basic(header: bytes, found: tuple[str, str] | None) -> None:
    assert http_basic.basic(header) == found


@given(st.binary(max_size=300))
def test_any_octets_are_credentials_or_none(header: bytes) -> None:
    found = http_basic.basic(header)
    assert found is None or header.lower().lstrip().startswith(b"basic")


@pytest.mark.parametrize(
    ("text", "operation", "argument"),
    [
        (b"/.well-known/est/cacerts", target.CACERTS, b""),
        (b"/.well-known/est/simpleenroll?x=1", target.SIMPLE_ENROLL, b""),
        (b"/.well-known/est/simplereenroll", target.SIMPLE_REENROLL, b""),
        (b"/.well-known/est/csrattrs", target.CSR_ATTRIBUTES, b""),
        (b"/.well-known/est/label/cacerts", target.NOTHING, b""),
        (b"/.well-known/est/../../etc/passwd", target.NOTHING, b""),
        (b"/crl/ca.crl", target.REVOCATION_LIST, b""),
        (b"/crl/00ff.crl", target.REVOCATION_LIST, b"00ff"),
        (b"/crl/00FF.crl", target.NOTHING, b""),
        (b"/crl/.crl", target.NOTHING, b""),
        (b"/crl/" + b"0" * 200 + b".crl", target.NOTHING, b""),
        (b"/ocsp", target.OCSP, b""),
        (b"/ocsp/MAM%3D", target.OCSP, b"0\x03"),
        (b"/ocsp/MAM%3d", target.OCSP, b"0\x03"),
        (b"/ocsp/+w%2F%zz", target.OCSP, b"+w%2F%zz"),
        (b"/", target.NOTHING, b""),
    ],
)
def test_targets(text: bytes, operation: str, argument: bytes) -> None:
    found = target.parse(text)
    assert (found.operation, found.argument) == (operation, argument)


@given(st.binary(max_size=200))
def test_any_octets_are_a_target(octets: bytes) -> None:
    assert target.parse(b"/" + octets).operation in (target.NOTHING, *target.METHODS)


@pytest.mark.peer("openssl")
def test_rfc_7030_4_5_2_openssl_reads_the_attributes(tmp_path: Path) -> None:
    file = tmp_path / "attributes.der"
    file.write_bytes(CSR_ATTRIBUTES)
    command = ["openssl", "asn1parse", "-inform", "DER", "-in", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in ("id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256"):
        assert name in shown
