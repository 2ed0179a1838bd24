"""Revocation lists of other authorities: fetched, verified, kept, and enforced in the handshake."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import IssuedCertificate, Pki, certificates, ensure, foreign_lists
from bridgehead.security.pki.certificates import Revoked
from bridgehead.security.pki.foreign_lists import ForeignLists, fetch_list
from bridgehead.security.tls.contexts import client_context, server_context
from tests.security.support import DAY, handshake, machine, save

NOW = time.time()
URL = "http://lists.example/crl"


@pytest.fixture
def pki(data: Path) -> Pki:
    return ensure(data, [], NOW, machine)


@pytest.fixture
def other(tmp_path: Path) -> Pki:
    return ensure(tmp_path / "other", [], NOW, machine)


def listed(other: Pki, revoked: list[IssuedCertificate], now: float = NOW, number: int = 1) -> bytes:
    serials = [Revoked(each.serial, now) for each in revoked]
    made = certificates.make_revocation_list(other.authority, other.signer.key(), serials, number, now)
    return made.public_bytes(serialization.Encoding.DER)


def authorities(other: Pki) -> list[x509.Certificate]:
    return certificates.read_certificates(other.trust_file.read_bytes(), "")


class Publisher:
    """What an address gives now."""

    def __init__(self, data: bytes = b"") -> None:
        self.data: bytes | SecurityError = data

    def __call__(self, url: str) -> bytes:
        assert url == URL
        if isinstance(self.data, SecurityError):
            raise self.data
        return self.data


def context(pki: Pki, other: Pki, lists: ForeignLists, enforced: bool = True) -> ssl.SSLContext:
    path = lists.path_of(URL)
    return server_context(
        pki, client_ca=other.trust_file, client_lists=[path] if path.exists() else [], lists_enforced=enforced
    )


def accepted(pki: Pki, server: ssl.SSLContext, issued: IssuedCertificate, folder: Path) -> bool:
    return handshake(server, client_context(pki.authority_file, *save(issued, folder, f"{issued.serial:x}"))).accepted


def test_what_is_revoked_elsewhere_is_refused_in_the_handshake(pki: Pki, other: Pki, tmp_path: Path) -> None:
    gone, stays, ours = other.issue_device("a", NOW), other.issue_device("b", NOW), pki.issue_device("c", NOW)
    publisher = Publisher(listed(other, [gone]))
    lists = ForeignLists(pki.folder, publisher)
    # Before there is one: fail closed for theirs, and ours get in.
    assert not accepted(pki, context(pki, other, lists), stays, tmp_path)
    assert accepted(pki, context(pki, other, lists), ours, tmp_path)
    assert lists.refresh(URL, authorities(other), NOW) == ""
    server = context(pki, other, lists)
    assert [accepted(pki, server, each, tmp_path) for each in (gone, stays, ours)] == [False, True, True]
    assert lists.path_of(URL).stat().st_mode & 0o777 == 0o600


def test_a_list_that_has_ended_fails_closed_or_as_configured(pki: Pki, other: Pki, tmp_path: Path) -> None:
    device = other.issue_device("a", NOW)
    lists = ForeignLists(pki.folder, Publisher(listed(other, [], NOW - 40 * DAY)))
    assert "has ended on" in lists.refresh(URL, authorities(other), NOW)
    assert not lists.holds(URL, NOW)
    assert not accepted(pki, context(pki, other, lists), device, tmp_path)
    assert accepted(pki, context(pki, other, lists, enforced=False), device, tmp_path)


def test_only_a_list_of_these_authorities_that_is_not_older_is_taken_over(pki: Pki, other: Pki) -> None:
    publisher = Publisher(listed(other, [], NOW))
    lists = ForeignLists(pki.folder, publisher)
    assert lists.refresh(URL, authorities(other), NOW) == ""
    kept = lists.path_of(URL).read_bytes()
    for data, said in (
        (listed(pki, []), "is not signed by an authority of client_ca"),
        (listed(other, [], NOW - DAY), "is older than the one before: kept that one"),
        (b"<html>", "is no readable revocation list: check the address"),
        (b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "is no readable revocation list"),
        (SecurityError("cannot be fetched"), "cannot be fetched"),
    ):
        publisher.data = data
        assert said in lists.refresh(URL, authorities(other), NOW)
        assert lists.path_of(URL).read_bytes() == kept
    newer = publisher.data = listed(other, [other.issue_device("a", NOW)], NOW + 60)
    assert lists.refresh(URL, authorities(other), NOW + 60) == ""
    assert x509.load_pem_x509_crl(lists.path_of(URL).read_bytes()) == x509.load_der_x509_crl(newer)
    assert lists.refresh(URL, authorities(other), NOW + 60) == ""


def test_a_forged_signature_is_seen(pki: Pki, other: Pki) -> None:
    forged = certificates.make_revocation_list(other.authority, certificates.new_key(), [], 1, NOW)
    lists = ForeignLists(pki.folder, Publisher(forged.public_bytes(serialization.Encoding.DER)))
    assert "is not signed by an authority" in lists.refresh(URL, authorities(other), NOW)
    assert lists.until(URL) is None


def test_a_file_does_too(pki: Pki, other: Pki, tmp_path: Path) -> None:
    file = tmp_path / "their.crl"
    lists = ForeignLists(pki.folder)
    assert lists.refresh(str(file), authorities(other), NOW) == f"cannot read {file}: no such file or directory"
    file.write_bytes(other.revocation_file.read_bytes())
    assert lists.refresh(str(file), authorities(other), NOW) == ""
    assert lists.holds(str(file), NOW)


# Fetching. ------------------------------------------------------------------------------------------


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/list":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"list")
        elif self.path == "/large":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 5000)
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", {"/to/list": "/list", "/to/file": "file:///etc/passwd"}[self.path])
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name above
        """Not into the test's output."""


@pytest.fixture
def site() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetching_by_http_with_redirections(site: str) -> None:
    assert fetch_list(f"{site}/list") == b"list"
    assert fetch_list(f"{site}/to/list") == b"list"


def test_what_is_not_fetched(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_lists, "MOST_OCTETS", 4096)
    for url, said in (
        (f"{site}/large", "is larger than 4096 octets"),
        (f"{site}/missing", "cannot be fetched: Not Found"),
        (f"{site}/to/file", "cannot be fetched|neither http nor https"),
        ("file:///etc/passwd", "is fetched by http or https only"),
        ("http://127.0.0.1:1/", "cannot be fetched"),
    ):
        with pytest.raises(SecurityError, match=said):
            fetch_list(url)
