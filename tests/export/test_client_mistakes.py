"""`pub` and `sub` with credentials that do not fit: one sentence, and what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bridgehead.cli.main import run
from tests.cli.hub import Hub, command, wait_until
from tests.export.conftest import Home
from tests.security.support import publish

PATIENCE = 30
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
transport = "websocket"
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> object:
    with Hub(tmp_path_factory.mktemp("hub"), CONFIG) as running:
        yield running


def added(hub: Hub, name: str, out: Path) -> Path:
    words: list[str | Path] = ["--data", hub.data, "--publish", "a", "--certificate", "--out", out]
    subprocess.run(command("device", "add", name, *words), capture_output=True, timeout=PATIENCE, check=True)
    return out


def publishing(url: str, *words: str | Path) -> str:
    """What the failed command says: one line."""
    said = subprocess.run(
        command("pub", url, "a", "-m", "x", "-q", "1", *words),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert said.returncode in (1, 2)
    assert said.stderr.count("\n") == 1
    return said.stderr


def test_a_revoked_certificate_is_called_revoked(hub: Hub, tmp_path: Path) -> None:
    bundle = added(hub, "gone", tmp_path / "gone")
    subprocess.run(
        command("device", "revoke", "gone", "--data", hub.data), capture_output=True, timeout=PATIENCE, check=True
    )
    # Before the listener has its new revocation list, the record refuses; that answer tells nobody why.
    url = f"mqtts://localhost:{hub.port('mqtts')}"
    wait_until(
        "TLS says it", lambda: "certificate is revoked; ask for a new one" in publishing(url, "--bundle", bundle)
    )


def test_a_websocket_port_spoken_to_in_mqtt(hub: Hub, tmp_path: Path) -> None:
    bundle = added(hub, "lost", tmp_path / "lost")
    assert "use wss://" in publishing(f"mqtts://localhost:{hub.port('wss')}", "--bundle", bundle)


def test_a_certificate_without_its_key(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.add("sensor-7", publish("a"))
    bundle = home.export("sensor-7", "mqtt", "certificate")
    assert run(["pub", "mqtts://localhost:1", "a", "-m", "x", "--cert", str(bundle / "certificate.pem")]) == 2
    assert "without its private key: give --key FILE too" in capsys.readouterr().err


def test_a_certificate_where_there_is_no_tls(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.add("sensor-7", publish("a"))
    bundle = home.export("sensor-7", "mqtt", "certificate")
    for scheme in ("ws", "mqtt"):
        assert run(["pub", f"{scheme}://localhost:1", "a", "-m", "x", "--bundle", str(bundle)]) == 2
        assert "by TLS only: use mqtts:// or wss://" in capsys.readouterr().err
