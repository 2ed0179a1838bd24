"""Tokens (RFC 7519, RFC 8725): what is accepted, and each way in which one is not; keys that rotate."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.tokens.fetch import fetch
from bridgehead.security.tokens.keys import OCTETS, Keys, parse_keys
from bridgehead.security.tokens.settings import ALGORITHMS, Issuer
from bridgehead.security.tokens.verifier import KEYS_FETCHED, KEYS_NOT_FETCHED, TokenVerifier
from bridgehead.security.tokens.verify import NotAccepted, UnverifiedToken, VerifiedToken, verify
from tests.sasl.issuer import AUDIENCE, ISSUER, claims, confused, encode, issuer, key, key_set, rsa, token, unsigned
from tests.sasl.rim import NAME, NOW

GOOD = parse_keys(key_set(key("ES256")))


def check(text: str, keys: Keys = GOOD, now: float = NOW, whose: Issuer | None = None) -> VerifiedToken:
    return verify(UnverifiedToken(text), whose or issuer(), keys, now)


# One token. -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_by_its_own_kind_of_key(algorithm: str) -> None:
    keys = parse_keys(key_set(key(algorithm)))
    found = check(token(algorithm=algorithm), keys)
    assert (found.issuer, found.subject, found.expires_at) == (ISSUER, NAME, NOW + 630)
    for other in ("RS256", "ES256", "ES384", "Ed25519"):
        if type(key(other)) is not type(key(algorithm)):
            with pytest.raises(NotAccepted, match="no key"):
                check(token(algorithm=algorithm), parse_keys(key_set(key(other))))


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS512", "", "RS1", "ES256K", "dir"])
def test_none_and_shared_secrets_are_refused(algorithm: str) -> None:
    for signature in ("", "AAAA"):
        with pytest.raises(NotAccepted, match="private key"):
            check(unsigned(algorithm, signature))


def test_an_rsa_public_key_is_no_shared_secret() -> None:
    """RFC 8725 section 2.1."""
    public = rsa("first")
    keys = parse_keys(key_set(public))
    for secret in (public.as_pem(private=False), public.as_der(private=False), key_set(public)):
        with pytest.raises(NotAccepted, match="private key"):
            check(confused(secret), keys)


def test_no_signature_is_no_signature() -> None:
    head, body, _ = token().split(".")
    for signature in ("", "AA", "A" * 86):
        with pytest.raises(NotAccepted, match="signature"):
            check(f"{head}.{body}.{signature}")


def test_a_changed_token_is_refused() -> None:
    head, _, signature = token().split(".")
    other = encode(json.dumps(claims(sub="pump-1")).encode())
    with pytest.raises(NotAccepted, match="signature is wrong"):
        check(f"{head}.{other}.{signature}")


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": None},
        {"b64": False},
        {"typ": "logout+jwt"},
        {"typ": "dpop+jwt"},
        {"typ": 1},
        {"kid": 1},
        {"alg": 1},
        {"alg": None},
    ],
)
def test_a_header_that_asks_for_more_is_refused(header: dict[str, object]) -> None:
    with pytest.raises(NotAccepted):
        check(token(header=header))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_types_of_access_tokens(kind: str) -> None:
    assert check(token(header={"typ": kind})).subject == NAME


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"exp": None}, "no end"),
        ({"exp": NOW - 31}, "expired"),
        ({"exp": NOW - 30}, "expired"),
        ({"exp": True}, "no time"),
        ({"exp": str(NOW + 600)}, "no time"),
        ({"exp": 10**30}, "no time"),
        ({"exp": float("inf")}, "no time"),
        ({"exp": float("nan")}, "no time"),
        ({"nbf": NOW + 31}, "not valid yet"),
        ({"nbf": "x"}, "no time"),
        ({"iat": NOW + 31}, "not valid yet"),
        ({"aud": None}, "audience"),
        ({"aud": "other"}, "audience"),
        ({"aud": [AUDIENCE + "x", "other", 5]}, "audience"),
        ({"aud": {AUDIENCE: 1}}, "audience"),
        ({"aud": []}, "audience"),
        ({"iss": None}, "issuer"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": ["sensor-7"]}, "subject"),
        ({"sub": "x" * 2000}, "subject"),
    ],
)
def test_claims_that_do_not_do(changes: dict[str, object], because: str) -> None:
    with pytest.raises(NotAccepted, match=because):
        check(token(claims(**changes)))


@pytest.mark.parametrize("changes", [{"exp": NOW - 29}, {"nbf": NOW + 30}, {"iat": NOW + 30}, {"aud": ["x", AUDIENCE]}])
def test_clocks_may_differ_a_little(changes: dict[str, object]) -> None:
    assert check(token(claims(**changes))).subject == NAME


def test_the_subject_may_be_another_claim() -> None:
    found = check(token(claims(client_id="pump-1")), whose=issuer(subject_claim="client_id"))
    assert found.subject == "pump-1"


def test_an_algorithm_that_the_issuer_does_not_use_is_refused() -> None:
    with pytest.raises(NotAccepted, match="must not use"):
        check(token(), whose=issuer(algorithms=frozenset({"RS256"})))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "....",
        "e30.e30.",
        token() + "\n",
        token() + "=",
        token().replace(".", ".+", 1),
        "A" * 16_384 + "." + "A" + ".A",
        encode(b"[" * 9000) + ".e30.",
        encode(b'{"alg":"ES256","alg":"none"}') + ".e30.AA",
        encode(b"[]") + ".e30.AA",
        encode(b"\xff") + ".e30.AA",
        encode(b'{"alg":"ES256"}') + "." + encode(b'{"iss":"a","iss":"b"}') + ".AA",
        encode(b'{"alg":"ES256"}') + "." + encode(b'{"exp":' + b"9" * 5000 + b"}") + ".AA",
        token(json.dumps(claims()).encode("utf-16-le")),  # RFC 8725 section 3.7
        token(json.dumps(claims()).encode("utf-8-sig")),
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(NotAccepted):
        check(text)


@given(st.text(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_whatever_comes_is_refused_and_nothing_else(text: str, head: bytes, body: bytes) -> None:
    for each in (text, f"{encode(head)}.{encode(body)}.AA", token() + text):
        try:
            check(each)
        except NotAccepted:
            continue
        assert each == token() or not text


# Keys. ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys":[]}',
        b'{"keys":{}}',
        b"\xff",
        b"[" * 100_000,
        b" " * (OCTETS + 1),
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}',
        b'{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}',
        b'{"keys":[{"kty":["RSA"]}, 1, null, {"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}',
        b'{"keys":[' + b"1," * 64 + b"1]}",
    ],
)
def test_what_is_no_key_set_is_refused(octets: bytes) -> None:
    with pytest.raises(SecurityError):
        parse_keys(octets)


def test_keys_for_other_uses_and_weak_ones_are_passed_over() -> None:
    with pytest.raises(SecurityError):
        parse_keys(key_set(key("ES256"), use="enc"))
    with pytest.raises(SecurityError):
        parse_keys(key_set(key("ES256"), key_ops=["sign"]))
    with pytest.warns(SecurityWarning, match="2048"):
        weak = RSAKey.generate_key(1024, {"kid": "weak"})
    with pytest.raises(SecurityError):
        parse_keys(key_set(weak))
    assert len(parse_keys(key_set(weak, key("ES256")))) == 1


def test_a_key_is_used_for_its_algorithm_alone() -> None:
    keys = parse_keys(key_set(rsa("first"), alg="PS256"))
    assert check(token(algorithm="PS256"), keys).subject == NAME
    with pytest.raises(NotAccepted, match="no key"):
        check(token(algorithm="RS256"), keys)


def test_a_token_without_a_key_identifier_tries_those_that_fit() -> None:
    keys = parse_keys(key_set(key("ES256", "second"), key("ES384"), key("ES256")))
    assert check(token(kid=None), keys).subject == NAME


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        (Issuer("", Path("k"), ("a",)), "no name"),
        (Issuer("i", Path("k"), ()), "no audience"),
        (Issuer("i", Path("k"), ("",)), "no audience"),
        (Issuer("i", Path("k"), ("a",), frozenset({"HS256"})), "HS256"),
        (Issuer("i", Path("k"), ("a",), frozenset({"none"})), "none"),
        (Issuer("i", Path("k"), ("a",), frozenset()), "no algorithm"),
        (Issuer("i", Path("k"), ("a",), leeway=301), "leeway"),
        (Issuer("i", "http://i/keys", ("a",)), "https"),
        (Issuer("i", "file:///etc/passwd", ("a",)), "https"),
        (Issuer("i", "https://u:p@i/keys", ("a",)), "https"),
        (Issuer("i", Path("k"), ("a",), ca_file=Path("ca")), "CA file"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(wrong: Issuer, because: str) -> None:
    with pytest.raises(NotAcceptable, match=because):
        TokenVerifier([wrong], lambda name, fields: None)


# The verifier. --------------------------------------------------------------------------------------------------------


class Events:
    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, fields: dict[str, object]) -> None:
        self.names.append(name)


class Source:
    """Counts how often keys are fetched; `faults`: it cannot be reached."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.count = 0
        self.fails = False

    def __call__(self, whose: Issuer) -> Keys:
        self.count += 1
        if self.fails:
            raise SecurityError("it cannot be reached")
        return parse_keys(self.octets)


def verifier(source: Source, events: Events | None = None, interval: float = 0.0) -> TokenVerifier:
    return TokenVerifier([issuer()], events or Events(), clock=lambda: NOW, interval=interval, get=source)


async def test_keys_are_fetched_once() -> None:
    source = Source(key_set(key("ES256")))
    here = verifier(source)
    await here.prepare()
    found = await asyncio.gather(*(here.verify(token()) for _ in range(20)))
    assert ({each.subject for each in found}, source.count) == ({NAME}, 1)


async def test_keys_rotate() -> None:
    """A token names a key that is not known: the set is fetched anew; what was withdrawn no longer counts."""
    source = Source(key_set(key("ES256")))
    here = verifier(source)
    await here.verify(token())
    source.octets = key_set(key("ES256", "second"))
    assert (await here.verify(token(kid="second"))).subject == NAME
    assert source.count == 2
    with pytest.raises(NotAccepted, match="no key"):
        await here.verify(token())


async def test_made_up_key_identifiers_cost_the_issuer_nothing() -> None:
    source = Source(key_set(key("ES256")))
    here = verifier(source, interval=3600.0)
    forged = [token(header={"kid": f"made-up-{number}"}) for number in range(20)]
    outcomes = await asyncio.gather(*(here.verify(each) for each in forged), return_exceptions=True)
    assert all(isinstance(each, NotAccepted) for each in outcomes)
    assert source.count == 1
    assert (await here.verify(token())).subject == NAME


async def test_those_who_wait_share_one_fetch() -> None:
    source = Source(key_set(key("ES256"), key("ES256", "second")))
    here = verifier(source)
    tokens = [token(), token(kid="second")] * 10
    assert len(await asyncio.gather(*(here.verify(each) for each in tokens))) == 20
    assert source.count == 1


async def test_an_issuer_that_cannot_be_reached() -> None:
    """Nobody gets in without keys; with known ones they go on, and it is told."""
    source, events = Source(key_set(key("ES256"))), Events()
    source.fails = True
    here = verifier(source, events)
    await here.prepare()
    with pytest.raises(NotAccepted, match="cannot be had"):
        await here.verify(token())
    source.fails = False
    assert (await here.verify(token())).subject == NAME
    source.fails = True
    with pytest.raises(NotAccepted, match="no key"):
        await here.verify(token(kid="second"))
    assert (await here.verify(token())).subject == NAME
    assert events.names == [KEYS_NOT_FETCHED, KEYS_NOT_FETCHED, KEYS_FETCHED, KEYS_NOT_FETCHED]
    await here.close()


async def test_the_same_subject_of_another_issuer_is_another() -> None:
    """Two identities: each issuer's keys count for its own tokens alone."""
    mine, other = key("ES256"), key("ES256", "second")
    sets = {ISSUER: key_set(mine), "https://other.example.org": key_set(other)}
    issuers = [Issuer(name, Path("unused.json"), (AUDIENCE,)) for name in sets]
    here = TokenVerifier(issuers, Events(), clock=lambda: NOW, get=lambda whose: parse_keys(sets[whose.name]))
    found = await here.verify(token(claims(iss="https://other.example.org"), kid="second"))
    assert (found.issuer, found.subject) == ("https://other.example.org", NAME)
    for forged in (token(kid="second"), token(kid=None, signer=other), token(kid="first", signer=other)):
        with pytest.raises(NotAccepted):
            await here.verify(forged)
    with pytest.raises(NotAccepted, match="none of those"):
        await here.verify(token(claims(iss="https://third.example.org")))


async def test_keys_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    here = TokenVerifier([issuer(file)], Events(), clock=lambda: NOW, interval=0.0)
    with pytest.raises(NotAccepted):
        await here.verify(token())
    file.write_bytes(key_set(key("ES256")))
    assert (await here.verify(token())).subject == NAME
    file.write_bytes(key_set(key("ES256"), key("ES256", "second")))
    assert (await here.verify(token(kid="second"))).subject == NAME


# Fetching. ------------------------------------------------------------------------------------------------------------


class Served(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = {
            "/keys": (200, {}, key_set(key("ES256"))),
            "/moved": (302, {"Location": "/keys"}, b""),
            "/huge": (200, {}, b" " * (OCTETS + 1)),
            "/text": (200, {}, b"hello"),
        }.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client has had enough

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        return


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """An https server with a certificate of its own; its address, and the file to trust it by."""
    folder = tmp_path_factory.mktemp("web")
    certificate, private = folder / "cert.pem", folder / "key.pem"
    order = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*order, *names, "-keyout", private, "-out", certificate], check=True, capture_output=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"https://localhost:{server.server_address[1]}", certificate
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_are_fetched_over_https(web: tuple[str, Path]) -> None:
    address, certificate = web
    keys = fetch(issuer(f"{address}/keys", ca_file=certificate))
    assert check(token(), keys).subject == NAME


@pytest.mark.parametrize(
    ("path", "because"),
    [("/moved", "answers 302"), ("/none", "answers 404"), ("/huge", "more than"), ("/text", "no JSON")],
)
def test_what_else_a_server_may_answer(web: tuple[str, Path], path: str, because: str) -> None:
    address, certificate = web
    with pytest.raises(SecurityError, match=because):
        fetch(issuer(address + path, ca_file=certificate))


def test_a_server_that_nobody_vouches_for_is_not_believed(web: tuple[str, Path]) -> None:
    with pytest.raises(SecurityError, match="cannot be fetched"):
        fetch(issuer(f"{web[0]}/keys"))


def test_a_server_that_trickles_is_left(web: tuple[str, Path]) -> None:
    address, certificate = web
    with pytest.raises(SecurityError, match=r"cannot be fetched|takes longer"):
        fetch(issuer(f"{address}/keys", ca_file=certificate), seconds=1e-9)
