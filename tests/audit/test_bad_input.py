"""Each kind of bad input: one clear sentence, nothing changed, and a line in the audit log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bridgehead.protocols.mqtt.codec.decode import Decoder
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Auth, Connack, Connect, Disconnect, Packet
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.security.audit.folder import FOLDER
from bridgehead.security.audit.journal import append
from bridgehead.security.audit.verify import verify
from bridgehead.security.credentials import TokenSubject
from bridgehead.security.identity.identity import Fresh, Identity, Wanted
from bridgehead.security.sasl.client import ScramClient
from bridgehead.security.sasl.contract import Binding
from tests.cli.hub import PATIENCE, Hub, command

ISSUER = "https://issuer.example.org"
AUDIENCE = "bridgehead"
PASSWORD = "right-password-1"
BIND = '[[listener]]\nbind = "127.0.0.1:0"\n'


class Audited:
    """A data folder's audit log, and what came since the last look."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._seen = len(self.lines())

    def lines(self) -> list[dict[str, object]]:
        return [
            json.loads(line)
            for path in sorted((self.data / FOLDER).glob("audit-*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def new(self, event: str) -> list[dict[str, object]]:
        """The lines of this event since the last call that found one."""
        lines = self.lines()
        found = [line for line in lines[self._seen :] if line["event"] == event]
        if found:
            self._seen = len(lines)
        return found

    def await_line(self, event: str) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE
        while not (found := self.new(event)):
            assert time.monotonic() < deadline, f"no line of {event}"
            time.sleep(0.01)
        assert verify(self.data / FOLDER).intact
        return found[0]


def run(*arguments: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), input=typed, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that refused has said: one line, no traceback."""
    assert done.returncode != 0, done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "_DEBUG" not in done.stderr
    return lines[0]


# At the hub's door. ---------------------------------------------------------------------------------


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


KEY = rsa.generate_private_key(65537, 2048)


def jwks() -> str:
    numbers = KEY.public_key().public_numbers()
    key = {
        "kty": "RSA",
        "kid": "k1",
        "use": "sig",
        "alg": "RS256",
        "n": base64url(numbers.n.to_bytes(256, "big")),
        "e": base64url(numbers.e.to_bytes(3, "big")),
    }
    return json.dumps({"keys": [key]})


def token(algorithm: str, **changed: object) -> str:
    claims = {"iss": ISSUER, "sub": "device-7", "aud": AUDIENCE, "exp": int(time.time()) + 300, **changed}
    header = {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    if algorithm == "none":
        return f"{signed}."
    if algorithm == "HS256":
        # The public key as the shared secret: whoever mixes the two kinds up believes it.
        public = KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return f"{signed}.{base64url(hmac.digest(public, signed.encode(), hashlib.sha256))}"
    return f"{signed}.{base64url(KEY.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


class Door:
    """A hub that takes tokens and SCRAM, with the device sensor-7 enrolled."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        identity = Identity(hub.data)
        wanted = Wanted(
            "sensor-7", fresh=Fresh(password=PASSWORD.encode()), token_subjects=[TokenSubject(ISSUER, "device-7")]
        )
        with identity.enrolling(wanted):
            pass
        identity.close()
        self.audited = Audited(hub.data)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    (folder / "keys.json").write_text(jwks())
    config = BIND + f'[[token_issuer]]\nissuer = "{ISSUER}"\nkeys = "keys.json"\naudience = ["{AUDIENCE}"]\n'
    config += "[login]\ntries_per_identity = 1000\ntries_per_address = 1000\n"  # all of these come from one address
    with Hub(folder, config) as hub:
        yield Door(hub)


class Peer:
    """MQTT 5.0 with enhanced authentication, by hand."""

    def __init__(self, door: Door, method: str, data: bytes) -> None:
        self._sock = door.hub.dial()
        self._method = method
        self._decoder = Decoder(1 << 20, None, from_server=True)
        self._decoder.protocol_version = 5
        properties = Properties(authentication_method=method, authentication_data=data)
        self._send(Connect(5, True, 0, "sensor-7", properties=properties))

    def _send(self, packet: Packet) -> None:
        self._sock.sendall(encode(packet, 5))

    def answer(self, data: bytes) -> None:
        self._send(Auth(0x18, Properties(authentication_method=self._method, authentication_data=data)))

    def receive(self) -> Packet:
        while True:
            octets = self._sock.recv(65536)
            assert octets, "closed without a word"
            if packets := self._decoder.feed(octets):
                return packets[0]

    def challenge(self) -> bytes:
        packet = self.receive()
        assert isinstance(packet, Auth), packet
        return packet.properties.authentication_data or b""

    def end(self) -> int:
        packet = self.receive()
        assert isinstance(packet, Connack | Disconnect), packet
        self._sock.close()
        return packet.reason_code


def bearer(text: str, authzid: str = "") -> bytes:
    identity = f"a={authzid}" if authzid else ""
    return f"n,{identity},\x01auth=Bearer {text}\x01\x01".encode()


def present(door: Door, text: str, authzid: str = "") -> int:
    """CONNACK's reason code for a token; RFC 7628 3.2.3: a refusal is told first, and acknowledged."""
    peer = Peer(door, "OAUTHBEARER", bearer(text, authzid))
    packet = peer.receive()
    if isinstance(packet, Auth):
        peer.answer(b"\x01")
        return peer.end()
    assert isinstance(packet, Connack)
    return packet.reason_code


def test_a_good_token_and_the_right_password_get_in(door: Door) -> None:
    """Or the refusals below would prove nothing."""
    assert present(door, token("RS256")) == 0
    assert door.audited.await_line("authentication.accepted")["principal"] == "sensor-7"
    client = ScramClient("SCRAM-SHA-256", "sensor-7", PASSWORD, b"n" * 24)
    peer = Peer(door, "SCRAM-SHA-256", client.start())
    peer.answer(client.respond(peer.challenge()))
    assert peer.end() == 0
    assert door.audited.await_line("authentication.accepted")["mechanism"] == "SCRAM-SHA-256"


@pytest.mark.parametrize(
    "text",
    [
        token("none"),
        token("HS256"),
        token("RS256", exp=int(time.time()) - 3600),
        token("RS256", aud="another-service"),
        token("RS256", iss="https://elsewhere.example.org"),
        token("RS256", sub="nobody"),
        token("RS256")[:-8] + "AAAAAAAA",
        "nothing.tokenlike.here",
    ],
    ids=["none", "HS256 by the RSA key", "expired", "audience", "issuer", "subject", "signature", "no token"],
)
def test_a_token_that_does_not_count(door: Door, text: str) -> None:
    """RFC 8725 2.1, 3.1: `none`, and a public key taken for a shared one."""
    assert present(door, text) >= 0x80
    line = door.audited.await_line("authentication.refused")
    assert line["kind"] == "refusal"
    assert line["mechanism"] == "OAUTHBEARER"
    assert line["because"]
    claims = text.split(".")[1]
    assert claims not in json.dumps(line)


def test_an_authorization_identity_that_is_not_the_tokens(door: Door) -> None:
    assert present(door, token("RS256"), authzid="sensor-8") >= 0x80
    assert "another identity" in str(door.audited.await_line("authentication.refused")["because"])


def first_message(authzid: str = "") -> bytes:
    client = ScramClient("SCRAM-SHA-256", "sensor-7", PASSWORD, b"m" * 24)
    header, bare = client.start().split(b",,", 1)
    return header + b"," + (b"a=" + authzid.encode() if authzid else b"") + b"," + bare


def test_a_scram_client_that_claims_to_be_another(door: Door) -> None:
    """RFC 5802 5.1: the authorization identity."""
    peer = Peer(door, "SCRAM-SHA-256", first_message("sensor-8"))
    packet = peer.receive()
    if isinstance(packet, Auth):
        peer.answer(b"c=biws,r=x,p=AAAA")
        assert peer.end() >= 0x80
    else:
        assert isinstance(packet, Connack)
        assert packet.reason_code >= 0x80
    assert door.audited.await_line("authentication.refused")["mechanism"] == "SCRAM-SHA-256"


def test_a_scram_client_that_sends_its_messages_out_of_order(door: Door) -> None:
    peer = Peer(door, "SCRAM-SHA-256", b"c=biws,r=abcdefgh,p=AAAA")
    assert peer.end() >= 0x80
    assert door.audited.await_line("authentication.refused")["because"]
    again = Peer(door, "SCRAM-SHA-256", first_message())
    again.challenge()
    again.answer(first_message())
    assert again.end() >= 0x80
    assert door.audited.await_line("authentication.refused")["because"]


def test_a_scram_client_that_leaves_out_the_channel_binding(door: Door) -> None:
    """RFC 5802 6: what was to be bound to the connection is not."""
    bound = ScramClient("SCRAM-SHA-256-PLUS", "sensor-7", PASSWORD, b"k" * 24, Binding(b"\x00" * 32, None, True))
    peer = Peer(door, "SCRAM-SHA-256-PLUS", b"n,," + bound.start().split(b",,", 1)[1])
    assert peer.end() >= 0x80
    assert door.audited.await_line("authentication.refused")["because"]


def test_a_scram_client_that_binds_to_another_connection(door: Door) -> None:
    """Somebody between the two, with a TLS connection of his own to each."""
    client = ScramClient("SCRAM-SHA-256-PLUS", "sensor-7", PASSWORD, b"k" * 24, Binding(b"\x00" * 32, None, True))
    peer = Peer(door, "SCRAM-SHA-256-PLUS", client.start())
    peer.answer(client.respond(peer.challenge()))
    assert peer.end() >= 0x80
    assert door.audited.await_line("authentication.refused")["because"]


# At the commands. -----------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the device sensor-7."""
    folder = tmp_path / "data"
    identity = Identity(folder)
    with identity.enrolling(Wanted("sensor-7", password=PASSWORD.encode())):
        pass
    identity.close()
    (tmp_path / "password").write_text(PASSWORD + "\n")
    assert run("role", "add", "reader", "--data", folder, "--subscribe", "a/#").returncode == 0
    return folder


def snapshot(data: Path) -> list[object]:
    identity = Identity(data)
    try:
        registry = identity.registry
        return [registry.devices(), registry.roles(), registry.groups(), registry.policy()]
    finally:
        identity.close()


def test_a_device_that_is_there_already(data: Path) -> None:
    audited, before = Audited(data), snapshot(data)
    done = run("device", "add", "sensor-7", "--data", data, "--password-file", data.parent / "password")
    assert "there is a device 'sensor-7' already" in one_sentence(done)
    assert snapshot(data) == before
    line = audited.await_line("act.refused")
    assert (line["act"], line["principal"]) == ("add", "sensor-7")


@pytest.mark.parametrize(
    "text",
    [
        "role reader\n  permit publish a/#\n",
        "role reader\n  allow publish a/#/b\n",
        "everyone\n  allow both # when hours Mon-Fri 07:00-06:60 Europe/Berlin\n",
        "role reader\n  allow publish a/b\n  deny publish a/#\n",  # it can never match
    ],
)
def test_a_policy_that_cannot_be_applied(data: Path, text: str) -> None:
    audited, before = Audited(data), snapshot(data)
    (data.parent / "bad.policy").write_text(text)
    done = run("policy", "apply", data.parent / "bad.policy", "--data", data)
    assert done.returncode != 0
    assert "bad.policy:2" in done.stderr
    assert "Traceback" not in done.stderr
    assert snapshot(data) == before
    assert audited.await_line("act.refused")["act"] == "policy apply"


def test_a_wrong_pass_phrase_of_the_master_key(data: Path) -> None:
    identity = Identity(data)
    identity.vault.protect(b"the right pass phrase")
    identity.close()
    audited, before = Audited(data), snapshot(data)
    (data.parent / "phrase").write_text("the wrong pass phrase\n")
    done = run("device", "add", "pump-1", "--data", data, "--psk", "--passphrase-file", data.parent / "phrase")
    assert "pass phrase" in one_sentence(done)
    assert snapshot(data) == before
    assert "pass phrase" in str(audited.await_line("act.refused")["because"])


# At the hub's start and reload. ---------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["no PEM at all", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_certificate_that_cannot_be_read(tmp_path: Path, broken: str) -> None:
    for name in ("hub.pem", "hub.key"):
        (tmp_path / name).write_text(broken)
        (tmp_path / name).chmod(0o600)
    bad = BIND + 'certificate = "hub.pem"\nkey = "hub.key"\n'
    with Hub(tmp_path, BIND) as hub:
        audited = Audited(hub.data)
        address = hub.addresses()
        hub.reload(bad)
        line = audited.await_line("node.reload-failed")
        assert "PEM" in str(line["because"])
        hub.dial().close()  # the old one goes on
        assert hub.addresses() == address
        assert hub.stop() == 0
        hub.configure(bad)
        done = run("up", "--data", hub.data, "--config", hub.config)
        assert "PEM" in done.stderr.splitlines()[-1]
        assert "PEM" in str(audited.await_line("node.failed")["because"])


@pytest.mark.parametrize(("days", "words"), [(-4000, "has expired on"), (400, "set the clock")])
def test_an_authority_that_is_not_valid_now(tmp_path: Path, days: int, words: str) -> None:
    """Expired long ago, or made while the clock stood in the future."""
    data = tmp_path / "data"
    Identity(data, clock=lambda: time.time() + days * 86400).close()
    audited = Audited(data)
    (tmp_path / "hub.toml").write_text(BIND)
    done = run("up", "--data", data, "--config", tmp_path / "hub.toml")
    assert done.returncode == 1
    assert words in done.stderr.splitlines()[-1]
    assert words in str(audited.await_line("node.failed")["because"])


def test_a_configuration_with_an_error(tmp_path: Path) -> None:
    """Where a hub has run, its audit log knows of a start that was refused too."""
    append(tmp_path / "data", "node.stopped", {})
    audited = Audited(tmp_path / "data")
    (tmp_path / "hub.toml").write_text("[audit]\nsyslog = 'nowhere'\n")
    done = run("up", "--data", tmp_path / "data", "--config", tmp_path / "hub.toml")
    assert "is no address of a syslog" in one_sentence(done)
    line = audited.await_line("node.failed")
    assert "hub.toml:2" in str(line["because"])
    assert "uid" in str(line["by"])


def test_a_clock_that_jumps_back(tmp_path: Path) -> None:
    now = time.time() + 86400
    append(tmp_path / "data", "device.added", {"principal": "sensor-7"}, clock=lambda: now)
    audited = Audited(tmp_path / "data")
    append(tmp_path / "data", "device.added", {"principal": "sensor-8"})
    assert "the clock is" in str(audited.await_line("audit.clock-back")["because"])
