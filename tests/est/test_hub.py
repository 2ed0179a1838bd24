"""The running hub with clients not written here: curl and openssl do what docs/certificates.md says."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridgehead.security.identity.identity import Enrolled, Identity, Wanted
from bridgehead.security.pki import certificates
from bridgehead.security.tls.contexts import client_context
from tests.cli.hub import Hub, wait_until

pytestmark = [pytest.mark.peer("curl"), pytest.mark.peer("openssl")]

CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
[[listener]]
bind = "127.0.0.1:0"
protocol = "est"
[[listener]]
bind = "127.0.0.2:0"
protocol = "est"
plaintext = true
[log]
format = "json"
[tls]
names = ["localhost"]
"""
DOCUMENT = Path(__file__).parents[2] / "docs" / "certificates.md"


def script(name: str) -> str:
    found = re.search(rf"<!-- run: {name} -->\n```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    return f"set -e -o pipefail\n{found[1]}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub(tmp_path, CONFIG) as running:
        (tmp_path / "ca.pem").write_bytes((running.data / "pki" / "ca.pem").read_bytes())
        yield running


def run(hub: Hub, text: str, token: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HUB": f"127.0.0.1:{hub.port('https')}", "TOKEN": token}
    command = ["bash", "-c", text]
    return subprocess.run(command, cwd=hub.folder, env=environment, capture_output=True, text=True, check=False)


def bridgehead(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridgehead", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def invited(hub: Hub, name: str = "sensor-7") -> str:
    identity = Identity(hub.data)
    try:
        if identity.registry.device(name) is None:
            with identity.enrolling(Wanted(name, password=b"password")):
                pass
        return identity.invite(name).token
    finally:
        identity.close()


@contextmanager
def enrolling(hub: Hub, wanted: Wanted) -> Iterator[Enrolled]:
    identity = Identity(hub.data)
    try:
        with identity.enrolling(wanted) as enrolled:
            yield enrolled
    finally:
        identity.close()


def admitted(hub: Hub, certificate: str, key: str) -> bool:
    """Whether MQTT over TLS lets in by this certificate."""
    folder = hub.folder
    context = client_context(folder / "ca.pem", folder / certificate, folder / key)
    try:
        return _connected(hub, context)
    except OSError:
        return False


def _connected(hub: Hub, context: ssl.SSLContext) -> bool:
    with _connection(hub, context, "sensor-7") as stream:
        answer = stream.recv(100)
        return answer[:1] == b"\x20" and answer[3] == 0


def _connection(hub: Hub, context: ssl.SSLContext, client_id: str) -> ssl.SSLSocket:
    """TLS, with a CONNECT of MQTT 5.0 sent."""
    packet = bytes.fromhex("00044d5154540502003c00") + bytes([0, len(client_id)]) + client_id.encode()
    raw = socket.create_connection(("127.0.0.1", hub.port("mqtts")), timeout=30)
    stream = context.wrap_socket(raw, server_hostname="127.0.0.1")
    stream.sendall(b"\x10" + bytes([len(packet)]) + packet)
    return stream


def test_a_device_enrols_itself_and_again_as_the_document_says(hub: Hub) -> None:
    """RFC 7030 4.1, 4.2.1, 4.2.2."""
    token = invited(hub)
    done = run(hub, script("enrol"), token)
    assert done.returncode == 0, done.stderr
    assert admitted(hub, "device.pem", "device.key")
    done = run(hub, script("re-enrol"))
    assert done.returncode == 0, done.stderr
    assert admitted(hub, "next.pem", "next.key")
    assert admitted(hub, "device.pem", "device.key")  # until its own end
    done = run(hub, script("cacerts"))
    assert done.returncode == 0, done.stderr
    got = certificates.read_certificates((hub.folder / "cacerts.pem").read_bytes(), "")
    assert certificates.read_certificate((hub.folder / "ca.pem").read_bytes(), "") in got
    wait_until("events", lambda: [line["by"] for line in hub.events("est.enrolled")] == ["token", "certificate"])
    # A token counts once; that is said and not hidden, and the log never has it.
    again = run(hub, script("enrol"), token)
    assert again.returncode != 0
    assert "401" in again.stderr
    assert token not in hub.log_text()
    # What was revoked enrols no more.
    identity = Identity(hub.data)
    identity.revoke("sensor-7")
    identity.close()
    wait_until("revoked", lambda: not admitted(hub, "next.pem", "next.key"))
    assert run(hub, script("re-enrol").replace("next.", "third.")).returncode != 0


def test_lists_ocsp_and_stapling_with_openssl(hub: Hub) -> None:
    identity = Identity(hub.data)
    with identity.enrolling(Wanted("sensor-7", certificate=True)) as enrolled:
        assert enrolled.certificate is not None
        (hub.folder / "device.pem").write_bytes(enrolled.certificate.certificate_pem)
    chain = identity.pki.trust_file.read_bytes()
    (hub.folder / "issuing.pem").write_bytes(certificates.certificate_pem(identity.pki.authority))
    identity.close()
    (hub.folder / "trusted.pem").write_bytes(chain)
    plain = dict(hub.addresses())["http"]
    ask = f"""
    curl -sS --fail http://{plain}/crl/ca.crl | openssl crl -inform DER -CAfile trusted.pem -noout -verify 2>&1
    openssl ocsp -issuer issuing.pem -cert device.pem -CAfile ca.pem -url http://{plain}/ocsp 2>&1
    openssl ocsp -issuer issuing.pem -cert device.pem -reqout request.der -no_nonce
    path=$(openssl base64 -A -in request.der | sed 's/+/%2B/g; s,/,%2F,g; s/=/%3D/g')
    curl -sS --fail "http://{plain}/ocsp/$path" -o got.der
    openssl ocsp -issuer issuing.pem -cert device.pem -no_nonce -CAfile ca.pem -respin got.der 2>&1
    """
    shown = run(hub, ask).stdout
    assert "verify OK" in shown
    assert shown.count("Response verify OK") == 2
    assert shown.count("device.pem: good") == 2
    identity = Identity(hub.data)
    identity.revoke("sensor-7")
    identity.close()
    shown = run(hub, ask).stdout
    assert shown.count("device.pem: revoked") == 2
    port = hub.port("mqtts")
    status = run(hub, f"openssl s_client -connect 127.0.0.1:{port} -CAfile ca.pem -status </dev/null").stdout
    assert "OCSP Response Status: successful" in status
    assert "Cert Status: good" in status
    refused = run(hub, f"curl -sS http://{plain}/.well-known/est/cacerts")
    assert "EST needs TLS" in refused.stdout


REFUSED = [
    ("-u sensor-7:wrong -H 'Content-Type: application/pkcs10' --data-binary @good.b64", "401"),
    ("-H 'Content-Type: application/pkcs10' --data-binary @good.b64", "401"),
    ("-u other:TOKEN -H 'Content-Type: application/pkcs10' --data-binary @good.b64", "400"),
    ("-u sensor-7:TOKEN -H 'Content-Type: application/pkcs10' --data-binary @other.b64", "400"),
    ("-u sensor-7:TOKEN -H 'Content-Type: application/pkcs10' --data-binary @small.b64", "400"),
    ("-u sensor-7:TOKEN -H 'Content-Type: application/pkcs10' --data nonsense", "400"),
    ("-u sensor-7:TOKEN -H 'Content-Type: text/plain' --data-binary @good.b64", "415"),
    ("-u sensor-7:TOKEN", "405"),
]


def test_what_is_refused_uses_up_no_token(hub: Hub) -> None:
    token = invited(hub)
    made = run(
        hub,
        """set -e
        openssl ecparam -name prime256v1 -genkey -noout -out k; openssl genrsa -out small.key 1024
        openssl req -new -key k -subj /CN=sensor-7 -outform DER | openssl base64 > good.b64
        openssl req -new -key k -subj /CN=sensor-8 -outform DER | openssl base64 > other.b64
        openssl req -new -key small.key -subj /CN=sensor-7 -outform DER | openssl base64 > small.b64""",
    )
    assert made.returncode == 0, made.stderr
    for arguments, status in REFUSED:
        text = (
            f'curl -sS -o said -w "%{{http_code}}" --cacert ca.pem {arguments.replace("TOKEN", token)} '
            '"https://$HUB/.well-known/est/simpleenroll"'
        )
        assert run(hub, text).stdout == status, arguments
    assert run(hub, script("enrol"), token).returncode == 0


def test_guessing_is_braked(hub: Hub) -> None:
    invited(hub)
    run(hub, "openssl req -new -newkey rsa:2048 -nodes -keyout k -subj /CN=sensor-7 -outform DER | openssl base64 > r")
    text = (
        'curl -sS -o /dev/null -w "%{http_code} " --cacert ca.pem -u sensor-7:wrong '
        '-H "Content-Type: application/pkcs10" --data-binary @r "https://$HUB/.well-known/est/simpleenroll"; '
    )
    assert run(hub, text * 7).stdout.split() == ["401"] * 6 + ["429"]


def test_a_disabled_device_that_goes_on_asking_keeps_no_neighbour_out(hub: Hub) -> None:
    """A fleet behind one address, of which one was disabled: a certificate is no guess."""
    for name in ("off", "on"):
        with enrolling(hub, Wanted(name, certificate=True)) as enrolled:
            assert enrolled.certificate is not None
            (hub.folder / f"{name}.pem").write_bytes(enrolled.certificate.certificate_pem)
            (hub.folder / f"{name}.key").write_bytes(enrolled.certificate.key_pem)
    assert bridgehead("device", "disable", "off", "--data", hub.data).returncode == 0
    make = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -subj / -outform DER"
    run(hub, make + " | openssl base64 > r")
    text = (
        'for who in off off off off off off off on; do curl -sS -o /dev/null -w "%{http_code} " --cacert ca.pem '
        '--cert $who.pem --key $who.key -H "Content-Type: application/pkcs10" --data-binary @r '
        '"https://$HUB/.well-known/est/simplereenroll"; done'
    )
    assert run(hub, text).stdout.split() == ["403"] * 6 + ["429", "200"]


def test_a_roll_over_without_a_restart(hub: Hub) -> None:
    """Old and new device connect during the overlap; after it the old one is refused, and its connection has ended."""
    done = run(hub, script("enrol"), invited(hub))
    assert done.returncode == 0, done.stderr
    rolled = bridgehead("ca", "roll-over", "--data", hub.data, "--overlap", "30d")
    assert rolled.returncode == 0, rolled.stderr
    hub.await_event("certificate.loaded")
    assert admitted(hub, "device.pem", "device.key")
    done = run(hub, script("re-enrol"))
    assert done.returncode == 0, done.stderr
    wait_until("the new one is admitted", lambda: admitted(hub, "next.pem", "next.key"))
    assert admitted(hub, "device.pem", "device.key")
    (hub.folder / "ca.pem").write_bytes((hub.data / "pki" / "ca.pem").read_bytes())
    folder = hub.folder
    stands = client_context(folder / "ca.pem", folder / "device.pem", folder / "device.key")
    live = _connection(hub, stands, "sensor-7-live")
    assert live.recv(100)[:1] == b"\x20"
    finished = bridgehead("ca", "roll-over", "--finish", "--data", hub.data)
    assert finished.returncode == 0, finished.stderr
    with live:
        assert live.recv(100)[:1] == b"\xe0"  # DISCONNECT, then the end: it stood on what is void
        assert live.recv(100) == b""
    wait_until("the old one is refused", lambda: not admitted(hub, "device.pem", "device.key"))
    wait_until("the new one goes on", lambda: admitted(hub, "next.pem", "next.key"))
    assert hub.process is not None
    assert hub.process.poll() is None
