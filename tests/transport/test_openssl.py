"""What is reached inside of OpenSSL: the exporter of RFC 9266 and stapled responses, seen from the other end too."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from bench.certificates import Authority
from bridgehead.security.tls.profiles import INTERMEDIATE, harden_server
from bridgehead.transport import openssl
from bridgehead.transport.openssl import OpenSsl


def found() -> OpenSsl:
    result = openssl.find()
    assert isinstance(result, OpenSsl), result
    return result


def handshaken(
    folder: Path, server: ssl.SSLContext | None = None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a TLS connection in memory: (server's, client's)."""
    authority = Authority(folder)
    server = server or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue(f"hub{len(list(folder.iterdir()))}", ("localhost",)))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(authority.ca)
    client.maximum_version = version
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (server.wrap_bio(up, down, server_side=True), client.wrap_bio(down, up, server_hostname="localhost"))
    for _ in range(4):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends


def test_rfc_9266_both_ends_export_the_same_octets_and_no_two_connections_do(tmp_path: Path) -> None:
    server, client = handshaken(tmp_path)
    binding = found().exporter(server)
    assert binding is not None
    assert len(binding) == 32
    assert openssl.exporter(client) == binding
    assert openssl.exporter(handshaken(tmp_path)[0]) not in (None, binding)


def test_there_is_none_before_tls_1_3(tmp_path: Path) -> None:
    server, client = handshaken(tmp_path, version=ssl.TLSVersion.TLSv1_2)
    assert server.version() == "TLSv1.2"
    assert openssl.exporter(server) is None
    assert openssl.exporter(client) is None


def test_there_is_none_before_the_handshake() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert openssl.exporter(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)) is None


def test_a_response_is_asked_for_in_handshakes_with_status_request_only(tmp_path: Path) -> None:
    """Python's own client sends no status_request; openssl's does in the tests of the listeners."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    asked: list[None] = []

    def response() -> bytes | None:
        asked.append(None)
        return None

    assert openssl.staple(context, response)
    assert handshaken(tmp_path, context)[1].version() == "TLSv1.3"
    assert asked == []


def test_a_python_that_nobody_has_looked_into_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "_KNOWN", ((3, 5),))
    with pytest.raises(openssl.Missing, match=r"the inside of cpython .* is not known"):
        OpenSsl()


def test_pointers_that_are_not_where_they_should_be_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openssl, "_HEADER", object.__basicsize__ + 8)
    with pytest.raises(openssl.Missing):
        OpenSsl()


def test_where_it_cannot_be_had_the_hub_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server, _ = handshaken(tmp_path)
    monkeypatch.setattr(openssl, "find", lambda: "no, because")
    assert openssl.exporter(server) is None
    assert not openssl.staple(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), lambda: b"")
    assert not openssl.set_groups(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), "X25519")
    assert not openssl.set_lifetime(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), 60)


def test_a_group_that_openssl_does_not_know_changes_nothing(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert openssl.set_groups(context, "P-256")
    assert not openssl.set_groups(context, "X25519:no-such-group")
    assert handshaken(tmp_path, context)[1].version() == "TLSv1.3"


def resumed(folder: Path, server: ssl.SSLContext, version: ssl.TLSVersion) -> tuple[int, bool]:
    """(what the server says a session lives, whether the client's second connection resumed the first's)."""
    authority = Authority(folder)
    server.load_cert_chain(*authority.issue("hub", ("localhost",)))
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(authority.ca)
    client.maximum_version = version
    session: ssl.SSLSession | None = None
    hint, reused = 0, False
    for _ in range(2):
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = (
            server.wrap_bio(up, down, server_side=True),
            client.wrap_bio(down, up, server_hostname="localhost", session=session),
        )
        for _ in range(4):
            for end in reversed(ends):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
        with contextlib.suppress(ssl.SSLWantReadError):
            ends[1].read(1)  # the tickets of TLS 1.3 come behind the handshake
        session, reused = ends[1].session, bool(ends[1].session_reused)
        hint = session.ticket_lifetime_hint if session is not None else 0
    return hint, reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("lifetime", [60, 86400, 0])
def test_rfc_8446_4_6_1_a_ticket_says_how_long_it_lives(tmp_path: Path, version: ssl.TLSVersion, lifetime: int) -> None:
    """With 0 nothing is resumed, neither by ticket nor by TLS 1.2's Session ID (RFC 5246 7.4.1.3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    harden_server(context, INTERMEDIATE, lifetime > 0)
    assert openssl.set_lifetime(context, lifetime)
    hint, reused = resumed(tmp_path, context, version)
    assert (hint, reused) == (lifetime, lifetime > 0)
