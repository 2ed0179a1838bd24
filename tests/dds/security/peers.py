"""Participants as processes, from exported bundles or the hub's own files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from bridgehead.security.dds.bundle import DomainFiles

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 30.0
Place = tuple[str, str]  # topic, partition


def bundle_files(bundle: Path) -> dict[str, str]:
    """Of an exported bundle."""
    return hub_files(DomainFiles(bundle))


def hub_files(files: DomainFiles) -> dict[str, str]:
    return {name: str(path) for name, path in vars(files).items()}


class Peer:
    """Killed at the end of the block. `text`: what it writes, all the time."""

    def __init__(
        self,
        domain: int,
        files: dict[str, str],
        writers: Sequence[Place] = (),
        readers: Sequence[Place] = (),
        text: str = "",
        plugins: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        order = {
            "domain": domain,
            "files": files,
            "plugins": plugins or {},
            "writers": list(writers),
            "readers": list(readers),
            "text": text,
        }
        command = [sys.executable, "-m", "tests.dds.security.peer", json.dumps(order)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def lines(self, text: str = "") -> list[str]:
        """All until now that have `text` in them."""
        with self._changed:
            return [each for each in self._lines if text in each]

    def count(self, text: str) -> int:
        return len(self.lines(text))

    def wait(self, text: str, times: int = 1, also: str = "") -> str:
        """Until so many lines have `text` in them, and `also`. Returns the last of them."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                found = [each for each in self._lines if text in each and also in each]
                if len(found) >= times:
                    return found[-1]
                if self._ended or time.monotonic() > end:
                    raise AssertionError(f"no {times} x {text!r} in: " + "\n".join(self._lines[-40:]))
                self._changed.wait(end - time.monotonic())

    @property
    def guid(self) -> bytes:
        """Of the participant, 16 octets."""
        return bytes.fromhex(self.wait("is ").split()[1].replace("-", ""))
