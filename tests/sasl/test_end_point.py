"""tls-server-end-point (RFC 5929 section 4) beside openssl's own hashes, and SASLprep (RFC 4013) beside scramp's."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security.sasl.prepare import NotPrepared, prepared
from bridgehead.security.tls.contexts import end_point

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
RSA = ["-newkey", "rsa:2048"]


def certificate(folder: Path, options: list[str]) -> Path:
    order = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=hub"]
    made = [*order, *options, "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(made, check=True, capture_output=True)
    return folder / "cert.pem"


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(
    ("options", "digest"),
    [
        ([*EC, "-sha256"], "sha256"),
        ([*EC, "-sha384"], "sha384"),
        ([*RSA, "-sha512"], "sha512"),
        ([*RSA, "-sha1"], "sha256"),
        ([*RSA, "-sha384", "-sigopt", "rsa_padding_mode:pss"], "sha384"),
    ],
)
def test_the_hash_is_openssls(tmp_path: Path, options: list[str], digest: str) -> None:
    file = certificate(tmp_path, options)
    order = ["openssl", "x509", "-in", str(file), "-noout", "-fingerprint", f"-{digest}"]
    done = subprocess.run(order, check=True, capture_output=True, text=True)
    assert end_point(file) == bytes.fromhex(done.stdout.partition("=")[2].strip().replace(":", ""))


@pytest.mark.peer("openssl")
def test_a_signature_without_a_hash_function_has_none(tmp_path: Path) -> None:
    assert end_point(certificate(tmp_path, ["-newkey", "ed25519"])) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("", "")],
)
def test_the_examples_of_rfc_4013_section_3(text: str, expected: str) -> None:
    assert prepared(text) == expected


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\u2028b", "\ue000", "\U000e0041", "\u0221"])
def test_what_rfc_4013_prohibits(text: str) -> None:
    with pytest.raises(NotPrepared):
        prepared(text)


@given(st.text(max_size=12))
def test_scramp_prepares_alike(text: str) -> None:
    utils: Any = importlib.import_module("scramp.utils")
    try:
        theirs: str | None = utils.saslprep(text)
    except utils.ScramException:
        theirs = None
    try:
        ours: str | None = prepared(text)
    except NotPrepared:
        ours = None
    assert ours == theirs
