"""The watch itself: what it finds, and what it leaves alone. Whether the suite leaks is for every other test to say."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.vault import Vault
from tests.secrets import plugin
from tests.secrets.plugin import KNOWN, leaks_below, register, secrets, shown_in

SECRET = "tell-no-one-5c1d"

CONFTEST = """
from tests.secrets.plugin import SecretWatch

def pytest_configure(config):
    config.pluginmanager.register(SecretWatch(), "secret-watch")
"""
HEAD = """
import logging, subprocess, sys
from pathlib import Path
from bridgehead.security.login.passwords import PasswordHasher
from tests.secrets.plugin import register
"""
LEAKS = {
    "log": "def test_it():\n    register('tell-no-one-5c1d')\n    logging.error('it is tell-no-one-5c1d')\n",
    "stderr": "def test_it():\n    register('tell-no-one-5c1d')\n    print('tell-no-one-5c1d', file=sys.stderr)\n",
    "hashed": "def test_it():\n    PasswordHasher().hash(b'some-password-9')\n    logging.error('some-password-9')\n",
    "database": "def test_it(tmp_path):\n    (tmp_path / 'identity.db').write_text('hunter2')\n",
    "audit": "def test_it(tmp_path):\n    (tmp_path / 'd' / 'audit').mkdir(parents=True)\n"
    "    (tmp_path / 'd' / 'identity.db').touch()\n    (tmp_path / 'd' / 'audit' / 'a.jsonl').write_text('hunter2')\n",
    "hub's log": "def test_it(tmp_path):\n    (tmp_path / 'd').mkdir()\n    (tmp_path / 'd' / 'identity.db').touch()\n"
    "    (tmp_path / 'log').write_text('the password is hunter2')\n",
    "command line": "def test_it():\n    register('tell-no-one-5c1d')\n"
    "    subprocess.run([sys.executable, '-c', '', 'bridgehead', 'tell-no-one-5c1d'])\n",
    "shared": "import pytest\n@pytest.fixture(scope='module')\ndef it(tmp_path_factory):\n"
    "    folder = tmp_path_factory.mktemp('all')\n    (folder / 'identity.db').write_text('hunter2')\n"
    "def test_it(it):\n    pass\n",
}


def suite(folder: Path, body: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_one.py").write_text(HEAD + body)
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, f"--rootdir={folder}", str(folder)],
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root / 'src'}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("where", LEAKS)
def test_a_secret_that_comes_out_fails_the_run(tmp_path_factory: pytest.TempPathFactory, where: str) -> None:
    done = suite(tmp_path_factory.mktemp("suite"), LEAKS[where])
    assert done.returncode == 1, done.stdout
    assert "a secret came out" in done.stdout
    assert "tell-no-one" not in done.stdout.partition("a secret came out")[2].partition("\n")[0]


def test_processes_side_by_side_report_to_the_one_that_started_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = suite(tmp_path_factory.mktemp("suite"), LEAKS["shared"], "-n", "1")
    assert done.returncode == 1, done.stdout
    assert "a secret came out" in done.stdout


def test_a_test_that_keeps_its_secrets_passes(tmp_path_factory: pytest.TempPathFactory) -> None:
    body = "def test_it():\n    register('tell-no-one-5c1d')\n    print('tell-no-one-5c1d')\n    logging.error('x')\n"
    done = suite(tmp_path_factory.mktemp("suite"), body)
    assert done.returncode == 0, done.stdout


def test_every_usual_spelling_is_looked_for() -> None:
    register(SECRET)
    octets = SECRET.encode()
    for spelling in (octets, octets.hex().encode(), base64.b64encode(octets), base64.urlsafe_b64encode(octets)):
        assert shown_in(b"... " + spelling + b" ...", secrets())
    assert not shown_in(b"nothing here", secrets())


def test_what_is_hashed_or_sealed_is_a_secret(tmp_path: Path) -> None:
    PasswordHasher().hash(b"a-password-that-is-hashed")
    Vault.open(tmp_path).seal(b"\x01\x02\x03\x04\x05\x06\x07\x08\x09", "context")
    assert b"a-password-that-is-hashed" in secrets()
    assert b"010203040506070809" in secrets()


def test_words_that_stand_in_texts_by_chance_are_none() -> None:
    before = len(secrets())
    register("secret")
    register("administration")
    assert len(secrets()) == before


def test_keys_by_purpose_are_left_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "identity.db").touch()
    for name in ("pki/server.pem", "audit/signing.key", "master.key", "audit/audit-000001.jsonl"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(SECRET)
    assert leaks_below(folder, [SECRET.encode()]) == ["audit/audit-000001.jsonl holds a secret that begins with b'tel'"]


def test_the_suite_is_watched(request: pytest.FixtureRequest) -> None:
    assert isinstance(request.config.pluginmanager.get_plugin("secret-watch"), plugin.SecretWatch)
    assert all(each.encode() in secrets() for each in KNOWN)
