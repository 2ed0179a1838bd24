"""Acts of one process take effect in another: each `bridgehead device ...` beside a hub that runs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.protocols.mqtt.codec.packets import Connack, Disconnect
from bridgehead.security.login.brake import address_key
from bridgehead.security.login.lockouts import IDENTITY
from bridgehead.security.registry.registry import Registry
from bridgehead.security.registry.tokens import Lockout
from tests.cli.hub import Client, Hub, command, wait_until

PASSWORD = "a password of the tests"
CONFIG = '[[listener]]\nbind = "127.0.0.1:0"\nplaintext = true\n'


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    made = Hub(tmp_path_factory.mktemp("live"), CONFIG)
    made.enrol("guessed", PASSWORD)
    registry = Registry(made.data)
    registry.put_lockout(Lockout(IDENTITY, f"guessed {address_key('127.0.0.1')}", time.time() + 3600, 50))
    registry.close()
    with made as running:
        yield running


def device(hub: Hub, *words: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        command("device", *words, "--data", hub.data), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def add(hub: Hub, name: str, *words: str) -> str:
    """With a password; returns it."""
    return _password(device(hub, "add", name, "--generate-password", "--publish", "a", *words))


def _password(out: str) -> str:
    return out.rpartition("password     ")[2].split()[0]


def connect(hub: Hub, name: str, password: str) -> Client | None:
    """None: refused."""
    client = Client(hub.dial(hub.addresses()[0][0]), name, password)
    answer = client.receive()
    assert isinstance(answer, Connack)
    return client if answer.reason_code == 0 else None


def connected(hub: Hub, name: str, password: str) -> Client:
    client = connect(hub, name, password)
    assert client is not None
    return client


def ends(client: Client) -> bool:
    """With a DISCONNECT, then closed."""
    assert isinstance(client.receive(), Disconnect)
    return client.is_closed()


def test_an_added_device_connects_and_a_revoked_one_is_out(hub: Hub) -> None:
    password = add(hub, "revoked-one")
    client = connected(hub, "revoked-one", password)
    device(hub, "revoke", "revoked-one")
    assert ends(client)
    assert connect(hub, "revoked-one", password) is None
    assert "revoked already" in device(hub, "revoke", "revoked-one", code=2)


def test_a_rotation_keeps_the_old_password_for_the_overlap(hub: Hub) -> None:
    old = add(hub, "rotated")
    new = _password(device(hub, "rotate", "rotated", "--overlap", "1h"))
    assert old != new
    for each in (old, new):
        connected(hub, "rotated", each).sock.close()
    newest = _password(device(hub, "rotate", "rotated"))
    assert [connect(hub, "rotated", each) is not None for each in (old, new, newest)] == [False, False, True]


def test_disabled_and_enabled(hub: Hub) -> None:
    password = add(hub, "paused")
    client = connected(hub, "paused", password)
    device(hub, "disable", "paused")
    assert ends(client)
    assert connect(hub, "paused", password) is None
    device(hub, "enable", "paused")
    connected(hub, "paused", password).sock.close()


def test_removed(hub: Hub) -> None:
    password = add(hub, "removed")
    client = connected(hub, "removed", password)
    device(hub, "remove", "removed")
    assert ends(client)
    assert connect(hub, "removed", password) is None


def test_imported_devices_connect(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "devices.csv"
    file.write_text("name,credentials\nimported-1,password\nimported-2,password\n")
    device(hub, "import", file, "--out", tmp_path / "out")
    rows = [line.split(",")[:2] for line in (tmp_path / "out" / "secrets.csv").read_text().splitlines()[1:]]
    for name, password in rows:
        connected(hub, name, password).sock.close()
    assert len(rows) == 2


def test_client_identifiers_that_are_taken_away_end_the_connection(hub: Hub) -> None:
    password = add(hub, "renamed")
    client = connected(hub, "renamed", password)
    device(hub, "set", "renamed", "--client-id", "another")
    assert ends(client)
    assert connect(hub, "renamed", password) is None


def test_a_device_that_is_locked_out_since_an_earlier_run_is_let_in_by_command(hub: Hub) -> None:
    assert connect(hub, "guessed", PASSWORD) is None
    assert device(hub, "unlock", "guessed") == "unlocked guessed at 127.0.0.1\n"
    wait_until("let in", lambda: connect(hub, "guessed", PASSWORD) is not None)


def test_every_act_is_in_the_audit_log(hub: Hub) -> None:
    add(hub, "told")
    device(hub, "rotate", "told")
    device(hub, "invite", "told")
    device(hub, "revoke", "told")
    device(hub, "remove", "told")
    told = "".join(path.read_text() for path in sorted((hub.data / "audit").glob("*.jsonl")))
    for event in ("device.added", "device.rotated", "device.invited", "device.revoked", "device.removed"):
        assert f'"event":"{event}","principal":"told"' in told
    done = subprocess.run(command("log", "verify", "--data", hub.data), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_hub_under_a_pass_phrase_starts_with_it_only(tmp_path: Path) -> None:
    made = Hub(tmp_path, CONFIG)
    phrase, wrong = tmp_path / "phrase", tmp_path / "wrong"
    phrase.write_text("correct horse battery\n")
    wrong.write_text("another one\n")
    device(made, "add", "sensor", "--psk")
    device(made, "protect", "--new-passphrase-file", phrase)

    def start(*words: str | Path) -> str:
        done = subprocess.run(
            command("up", "--data", made.data, "--config", made.config, *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 1
        return done.stderr.splitlines()[-1]

    assert "is protected by a pass phrase: start on a terminal, or give --passphrase-file" in start()
    assert "the pass phrase does not open" in start("--passphrase-file", wrong)
    up = command("up", "--data", made.data, "--config", made.config, "--passphrase-file", phrase)
    with subprocess.Popen(up, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            assert any(line.startswith("ready ") for line in process.stdout)
        finally:
            process.terminate()
