"""Watches the whole suite for secrets that come out: in logs, in what hubs and commands print to standard error,
in data folders (audit log, databases, everything), on command lines.

Passwords that are hashed and keys that are sealed in the test's process are secrets of that test by themselves; others
are told with `register`. Files that hold keys by their purpose are not looked at.
"""

from __future__ import annotations

import base64
import functools
import re
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.vault import Vault

# Looked for in the output of every test. Tests that need a password may take one of these.
KNOWN: Final = ("hunter2", "correct horse battery staple", "right-password-1", "wrong-password-1")
_SHORTEST: Final = 8  # shorter ones stand in texts by chance
_MOST: Final = 500  # secrets of one test (hypothesis makes many)
_LARGEST: Final = 16 * 1024 * 1024  # octets of a file that is looked at
_KEYS: Final = ("pki", "master.key", "signing.key")  # in a data folder: keys by purpose
_DATABASE: Final = "identity.db"
_LOGS: Final = ("log", "out")  # what tests.cli.hub.Hub keeps beside a data folder

_found: list[bytes] = []  # the secrets of the test that runs now
_leaks: list[str] = []


def register(secret: bytes | str) -> None:
    """It must not come out of anything in this test, in none of its usual spellings."""
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    if len(raw) < _SHORTEST or len(_found) >= _MOST or raw.isalpha():
        return
    spellings = [raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")]
    spellings.append(base64.urlsafe_b64encode(raw).rstrip(b"="))
    _found.extend(each for each in dict.fromkeys(spellings) if each not in _found)


class SecretWatch:
    """A plugin of pytest: a test from which a secret came out fails; for folders that tests share, the run."""

    def __init__(self) -> None:
        self._own = ""  # what pytest calls this test's own folder
        self._shared: list[Path] = []
        self._made_shared = False
        self._kept: dict[bytes, None] = {}
        self._late: list[str] = []
        _observe(PasswordHasher, "hash")
        _observe(Vault, "seal")
        _observe_commands()
        self._observe_folders()

    def _observe_folders(self) -> None:
        make = pytest.TempPathFactory.mktemp

        @functools.wraps(make)
        def making(factory: pytest.TempPathFactory, basename: str, numbered: bool = True) -> Path:
            folder = make(factory, basename, numbered)
            if basename != self._own:
                self._shared.append(folder)
                self._made_shared = True
            return folder

        _replace(pytest.TempPathFactory, "mktemp", making)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        _found.clear()
        _leaks.clear()
        self._own = re.sub(r"[\W]", "_", item.name)[:30]
        self._made_shared = False
        result = yield
        if self._made_shared:
            self._kept.update(dict.fromkeys(_found))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        for title, text in report.sections:
            # Standard output is where a command hands a new password over.
            if title.startswith(("Captured log", "Captured stderr")):
                _leaks.extend(f"{title}: {name}" for name in shown_in(text.encode(), secrets()))
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        yield
        if isinstance(folder, Path) and folder.exists():
            _leaks.extend(leaks_below(folder, secrets()))
        if _leaks:
            pytest.fail(f"a secret came out: {'; '.join(dict.fromkeys(_leaks))}", pytrace=False)

    # Folders that several tests share are looked at once, at the end, in each of xdist's processes. ------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        wanted = [*self._kept, *(each.encode() for each in KNOWN)]
        for folder in self._shared:
            if folder.exists():
                self._late.extend(leaks_below(folder, wanted))
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["secrets"] = self._late
        elif self._late:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._late.extend(getattr(node, "workeroutput", {}).get("secrets", []))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for leak in self._late:
            terminalreporter.write_line(f"FAILED: a secret came out: {leak}", red=True)


def secrets() -> list[bytes]:
    """Those of the test that runs now."""
    return [*_found, *(each.encode() for each in KNOWN)]


def shown_in(octets: bytes, wanted: list[bytes]) -> list[str]:
    return [_shown(each) for each in wanted if each in octets]


def leaks_below(folder: Path, wanted: list[bytes]) -> list[str]:
    """Each file of a hub below the folder that holds one of them."""
    return [
        f"{path.relative_to(folder)} holds {name}"
        for path in _outputs(folder)
        for name in shown_in(_read(path), wanted)
    ]


def _outputs(folder: Path) -> Iterator[Path]:
    """The files of data folders, but for keys by purpose, and the logs beside them."""
    for database in folder.rglob(_DATABASE):
        data = database.parent
        for path in data.rglob("*"):
            if path.is_file() and not path.is_symlink() and not set(_KEYS) & set(path.relative_to(data).parts):
                yield path
        yield from (data.parent / name for name in _LOGS if (data.parent / name).is_file())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""  # a socket, or gone meanwhile


def _shown(secret: bytes) -> str:
    """Enough to find it by, and no more."""
    return f"a secret that begins with {secret[:3]!r}"


def _observe(kind: type, method: str) -> None:
    """The first argument of the method is a secret."""
    original = getattr(kind, method)

    @functools.wraps(original)
    def observed(self: object, secret: bytes, *arguments: object, **named: object) -> object:
        register(secret)
        return original(self, secret, *arguments, **named)

    _replace(kind, method, observed)


def _replace(kind: type, method: str, by: object) -> None:
    setattr(kind, method, by)


def _observe_commands() -> None:
    """What stands on a command line everybody on the machine can read."""
    start: Callable[..., None] = subprocess.Popen.__init__

    @functools.wraps(start)
    def starting(self: object, args: Any, *arguments: Any, **named: Any) -> None:
        words = [str(word) for word in args] if isinstance(args, list | tuple) else [str(args)]
        if "bridgehead" in words:
            _leaks.extend(f"a command line: {name}" for name in shown_in(" ".join(words).encode(), secrets()))
        start(self, args, *arguments, **named)

    _replace(subprocess.Popen, "__init__", starting)
