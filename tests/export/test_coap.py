"""CoAP bundles with libcoap's own client and server: the key and the certificate as they were exported."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.mechanisms import CERTIFICATE, OSCORE, PRE_SHARED_KEY, RAW_PUBLIC_KEY
from bridgehead.security.pki.raw_key import raw_key
from tests.export.conftest import Home
from tests.security.support import publish, subscribe

PATIENCE = 30
CLIENT = pytest.mark.peer("coap-client-gnutls")
SERVER = pytest.mark.peer("coap-server-gnutls")


@contextlib.contextmanager
def server(folder: Path, *options: str | Path) -> Iterator[tuple[int, Path]]:
    """libcoap's server; yields its DTLS port and its log. It takes the port after the one that it is told."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "server.log"
    command = ["coap-server-gnutls", "-A", "127.0.0.1", "-p", str(port - 1), "-d", "10", "-v", "6", *map(str, options)]
    with log.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + PATIENCE
        while f":{port:04X} " not in Path("/proc/net/udp").read_text():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield port, log
    finally:
        running.kill()
        running.wait()


def run(bundle: Path, script: str, *words: str, client: str = "coap-client-gnutls") -> subprocess.CompletedProcess[str]:
    """From another folder, as `sh FOLDER/coap-put.sh`."""
    command = ["sh", str(bundle / script), *words]
    environment = {**os.environ, "COAP_CLIENT": client}
    return subprocess.run(
        command, cwd="/", env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@CLIENT
@SERVER
@pytest.mark.parametrize("hint", ["", "CoAP"])
def test_the_exported_key_puts_and_gets(home: Home, tmp_path: Path, hint: str) -> None:
    """Whether the server sends an identity hint (RFC 4279 section 5.2) or none."""
    home.add("sensor-7", publish("Office/a b/${device}"), subscribe("Office/a b/${device}"))
    with home_server(home, tmp_path, "sensor-7", hint) as (bundle, log):
        put = run(bundle, "coap-put.sh", "22.5")
        assert (put.returncode, put.stderr) == (0, "")
        assert run(bundle, "coap-get.sh").stdout.strip() == "22.5"
        assert "Identity 'sensor-7' requested" in log.read_text()


@contextlib.contextmanager
def home_server(home: Home, folder: Path, name: str, hint: str) -> Iterator[tuple[Path, Path]]:
    """A server that knows the key as the bundle says it, and a second export that names the server's port."""
    first = home.export(name, "coap", PRE_SHARED_KEY)
    credentials = json.loads((first / "aiocoap.json").read_text())
    [dtls] = [value["dtls"] for value in credentials.values()]
    key = bytes.fromhex(dtls["psk"]["hex"]).decode()
    assert bytes.fromhex(dtls["client-identity"]["hex"]).decode() == name
    known = folder / "known"
    known.write_text(f"{hint},{name},{key}\n")
    with server(folder, "-k", "another", "-h", hint, "-i", known) as (port, log):
        again = home.export(name, "coap", port=port)  # the key is kept sealed, and is the same
        assert (again / "coap-psk").read_text() == (first / "coap-psk").read_text()
        yield again, log


@CLIENT
@SERVER
def test_another_key_is_not_let_in(home: Home, tmp_path: Path) -> None:
    home.add("sensor-7", publish("Office/a"))
    with home_server(home, tmp_path, "sensor-7", "") as (bundle, _):
        (bundle / "coap-psk").write_text(",sensor-7,wrong-wrong-wrong\n")
        refused = run(bundle, "coap-put.sh")
        assert "cannot send CoAP pdu" in refused.stdout + refused.stderr


@CLIENT
@SERVER
@pytest.mark.parametrize("client", ["coap-client-gnutls", "coap-client-openssl"])
def test_the_exported_certificate_puts(home: Home, tmp_path: Path, client: str) -> None:
    home.add("sensor-7", publish("Office/a"))
    pki = home.identity.pki
    with server(tmp_path, "-c", pki.server_file, "-j", pki.server_file, "-C", pki.trust_file) as (port, log):
        bundle = home.export("sensor-7", "coap", CERTIFICATE, port=port)
        put = run(bundle, "coap-put-certificate.sh", "22.5", client=client)
        assert (put.returncode, put.stdout.strip()) == (0, ""), put.stderr + log.read_text()
        assert "'urn:bridgehead:device:sensor-7' presented by client" in log.read_text()


def test_the_key_is_on_no_command_line(home: Home) -> None:
    home.add("sensor-7", publish("Office/a"), subscribe("Office/a"))
    bundle = home.export("sensor-7", "coap", PRE_SHARED_KEY)
    key = (bundle / "coap-psk").read_text().splitlines()[0].rpartition(",")[2]
    assert len(key) == 32
    holders = {path.name for path in bundle.rglob("*") if path.is_file() and key in path.read_text()}
    assert holders == {"coap-psk"}


def test_an_oscore_context_is_written_for_both_and_never_twice(home: Home) -> None:
    """RFC 8613 section 7.2.1: a context whose sequence numbers begin anew reuses nonces."""
    home.add("sensor-7", publish("Office/a"))
    bundle = home.export("sensor-7", "coap", OSCORE)
    settings = json.loads((bundle / "oscore" / "settings.json").read_text())
    secret = json.loads((bundle / "oscore" / "secret.json").read_text())
    text = (bundle / "oscore-libcoap.conf").read_text()
    lines = dict(line.split(",hex,") for line in text.splitlines() if ",hex," in line)
    assert {name: value.strip('"') for name, value in lines.items()} == {
        "master_secret": secret["secret_hex"],
        "master_salt": secret["salt_hex"],
        "id_context": settings["id-context_hex"],
        "sender_id": settings["sender-id_hex"],
        "recipient_id": settings["recipient-id_hex"],
    }
    [record] = home.identity.registry.existing_device("sensor-7").oscore
    assert record.sender_id.hex() == settings["sender-id_hex"]
    with pytest.raises(NotAcceptable, match="must not be used in two places"):
        home.export("sensor-7", "coap")


@CLIENT
@SERVER
def test_the_exported_raw_key_puts(home: Home, tmp_path: Path) -> None:
    """libcoap with GnuTLS alone speaks raw public keys. Its server takes any; the hub looks at the record."""
    home.add("sensor-7", publish("Office/a"))
    keys = home.export("sensor-7", "coap", RAW_PUBLIC_KEY)
    with server(tmp_path, "-M", keys / "raw-key.pem") as (port, log):
        bundle = home.export("sensor-7", "libcoap", RAW_PUBLIC_KEY, port=port)
        put = run(bundle, "coap-put-raw-key.sh", "22.5")
        assert (put.returncode, put.stdout.strip()) == (0, ""), put.stderr + log.read_text()
    public = serialization.load_pem_public_key((bundle / "raw-key.pem").read_bytes())
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert spki in [each.spki for each in home.identity.registry.existing_device("sensor-7").raw_public_keys]
    hub = serialization.load_pem_private_key(raw_key(home.identity.pki.folder).encode(), None).public_key()
    assert serialization.load_pem_public_key((bundle / "hub-raw-key.pem").read_bytes()) == hub
    with pytest.raises(NotAcceptable, match="of whose private half the hub keeps no copy"):
        home.export("sensor-7", "libcoap")


def script(bundle: Path, name: str) -> str:
    return (bundle / name).read_text().splitlines()[-1]


def test_topics_are_below_t_with_every_level_encoded(home: Home) -> None:
    home.add("sensor-7", publish("Büro/a?b//c d/#", 1), subscribe("Büro/a?b//c d/e"))
    bundle = home.export("sensor-7", "libcoap", PRE_SHARED_KEY)
    assert script(bundle, "coap-put.sh").endswith(" coaps://localhost:5684/t/B%C3%BCro/a%3Fb//c%20d/test")
    assert script(bundle, "coap-get.sh").endswith(' "$@" coaps://localhost:5684/t/B%C3%BCro/a%3Fb//c%20d/e')
    assert "Topics are at /t" in (bundle / "README.txt").read_text()


def test_what_may_not_be_kept_is_posted_and_what_needs_no_answer_is_not_confirmable(home: Home) -> None:
    home.add("sensor-7", publish("Office/a", 0, retain=False))
    bundle = home.export("sensor-7", "libcoap", PRE_SHARED_KEY)
    assert " -N -m post " in script(bundle, "coap-post.sh")
    assert not (bundle / "coap-put.sh").exists()


def test_a_wildcard_is_observed(home: Home) -> None:
    home.add("sensor-7", subscribe("Office/+/Temperature"))
    bundle = home.export("sensor-7", "libcoap", PRE_SHARED_KEY)
    assert script(bundle, "coap-get.sh").endswith(""" "$@" 'coaps://localhost:5684/t?f=Office/%2B/Temperature'""")
    assert "set -- -s 60" in (bundle / "coap-get.sh").read_text()


def test_a_bundle_for_libcoap_has_nothing_of_aiocoaps(home: Home) -> None:
    home.add("sensor-7", publish("Office/a"))
    kinds = (PRE_SHARED_KEY, OSCORE, CERTIFICATE)
    of_libcoap = {path.name for path in home.export("sensor-7", "libcoap", *kinds).rglob("*") if path.is_file()}
    of_both = {path.name for path in home.export("sensor-7", "coap", *kinds).rglob("*") if path.is_file()}
    assert of_both - of_libcoap == {"aiocoap.json", "settings.json", "secret.json"}


def test_the_readme_says_where_oscore_is_heard(home: Home) -> None:
    home.add("sensor-7", publish("Office/a"))
    text = (home.export("sensor-7", "coap", OSCORE) / "README.txt").read_text()
    assert "the hub needs a listener that permits it" in text
    assert "a copy that begins anew reuses nonces" in text
