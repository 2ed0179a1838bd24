"""`bridgehead pub` and `sub` with --mechanism at the real hub: SCRAM, and tokens that a key of the test's signs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from msgspec.structs import replace

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Auth, Connack, Connect, Disconnect
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.security.credentials import TokenSubject
from bridgehead.security.identity.identity import Identity
from tests.clients.office import SECRET, Office
from tests.peers.raw import Raw

ISSUER = "https://issuer.example"


class TokenOffice(Office):
    """With an issuer of tokens, whose key the test has."""

    def __init__(self, folder: Path) -> None:
        self.key_pair = ECKey.generate_key("P-256", {"kid": "one"})
        keys = folder / "keys.json"
        keys.write_text(json.dumps(KeySet([self.key_pair]).as_dict(private=False)))
        issuer = f'[[token_issuer]]\nissuer = "{ISSUER}"\nkeys = "{keys}"\naudience = ["hub"]\nleeway = 0\n'
        super().__init__(folder, f'[[listener]]\nbind = "127.0.0.1:0"\n{issuer}')

    def token(self, subject: str, seconds: float = 300, audience: str = "hub") -> str:
        now = time.time()
        claims = {"iss": ISSUER, "sub": subject, "aud": audience, "iat": int(now), "exp": int(now + seconds)}
        return str(jwt.encode({"alg": "ES256", "kid": "one"}, claims, self.key_pair))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenOffice]:
    with TokenOffice(tmp_path_factory.mktemp("office")) as running:
        assert isinstance(running, TokenOffice)
        identity = Identity(running.hub.data)
        for name in ("sensor", "office"):
            device = identity.registry.existing_device(name)
            changed = replace(device, token_subjects=(TokenSubject(ISSUER, f"subject of {name}"),))
            identity.registry.update_device(changed, device.created)
        identity.close()
        yield running


def run(office: TokenOffice, verb: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    url = f"mqtts://localhost:{office.port('mqtts')}"
    command = [sys.executable, "-m", "bridgehead", verb, url, *words, "--ca", str(office.ca)]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.clause("MQTT-4.12.0-3", "MQTT-4.12.0-5")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "scram-sha-512"])
def test_pub_and_sub_by_scram(office: TokenOffice, mechanism: str) -> None:
    who = ["--user", "sensor", "--password-file", "-", "--mechanism", mechanism]
    done = run(office, "pub", "Office/a", "-m", "hello", "-q", "1", "-r", *who, given=SECRET + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    done = run(office, "sub", "Office/a", "-C", "1", *who, given=SECRET + "\n")
    assert (done.returncode, done.stdout.strip()) == (0, "hello")


def test_a_wrong_password_is_told_in_one_sentence(office: TokenOffice) -> None:
    who = ["--user", "sensor", "--password-file", "-", "--mechanism", "SCRAM-SHA-256"]
    done = run(office, "pub", "Office/a", "-m", "hello", *who, given="wrong\n")
    assert done.returncode == 1
    assert "the credentials are not accepted" in done.stderr
    assert "Traceback" not in done.stderr


def test_pub_by_a_token(office: TokenOffice) -> None:
    who = ["--mechanism", "OAUTHBEARER", "--token-file", "-", "-i", "sensor-t"]
    token = office.token("subject of sensor")
    done = run(office, "pub", "Office/a", "-m", "by token", "-q", "1", *who, given=token + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    for bad in (
        office.token("subject of nobody"),
        office.token("subject of sensor", -60),
        office.token("subject of sensor", audience="another"),
        token[:-4] + "AAAA",
    ):
        assert run(office, "pub", "Office/a", "-m", "x", *who, given=bad + "\n").returncode == 1
    assert token not in office.hub.log_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--mechanism", "PLAIN"], "--mechanism PLAIN is not known here"),
        (["--mechanism", "OAUTHBEARER"], "needs --token-file"),
        (["--token-file", "x"], "--token-file needs --mechanism OAUTHBEARER"),
        (["--mechanism", "SCRAM-SHA-256"], "needs --user NAME and --password-file FILE"),
        (["--mechanism", "OAUTHBEARER", "--token-file", "/nonexistent"], "cannot be read"),
        (["--mechanism", "SCRAM-SHA-256", "-V", "4"], "needs MQTT 5.0"),
    ],
)
def test_options_that_cannot_be(office: TokenOffice, words: list[str], sentence: str) -> None:
    done = run(office, "pub", "Office/a", "-m", "x", *words)
    assert done.returncode == 2
    assert sentence in done.stderr


# The end of a token, at the real hub. ---------------------------------------------------------------


def bearer(token: str) -> bytes:
    return f"n,,\x01auth=Bearer {token}\x01\x01".encode()


def raw(office: TokenOffice, token: str, client_id: str) -> Raw:
    client = Raw(office.hub.dial())
    properties = Properties(authentication_method="OAUTHBEARER", authentication_data=bearer(token))
    client.send(Connect(5, True, 0, client_id, None, None, None, properties))
    answer = client.receive()
    assert isinstance(answer, Connack)
    assert answer.reason_code == 0, answer
    return client


def again(client: Raw, token: str) -> None:
    properties = Properties(authentication_method="OAUTHBEARER", authentication_data=bearer(token))
    client.send(Auth(codes.RE_AUTHENTICATE, properties))


def test_the_connection_ends_with_the_token_and_a_new_token_puts_it_off(office: TokenOffice) -> None:
    ends = raw(office, office.token("subject of sensor", 3), "sensor-ends")
    goes_on = raw(office, office.token("subject of sensor", 3), "sensor-goes-on")
    again(goes_on, office.token("subject of sensor", 300))
    answer = goes_on.receive()
    assert isinstance(answer, Auth)
    assert answer.reason_code == codes.SUCCESS
    farewell = ends.receive()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.MAXIMUM_CONNECT_TIME
    goes_on.ping()


def test_anew_with_the_token_of_another(office: TokenOffice) -> None:
    client = raw(office, office.token("subject of sensor"), "sensor-anew")
    again(client, office.token("subject of office"))
    farewell = client.receive()
    assert isinstance(farewell, Disconnect)
    assert farewell.reason_code == codes.NOT_AUTHORIZED
