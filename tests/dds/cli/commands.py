"""The command as a process, on the loopback interface."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.cli.hub import PATIENCE, command

LOOPBACK = ("--interface", "lo", "--peer", "127.0.0.1")
IDL = Path(__file__).parent / "office.idl"
TYPE = ("--idl", str(IDL), "--type", "office::Temperature")


class Running:
    """Its output is read at the end."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            command(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CYCLONEDDS_URI": "", "BRIDGEHEAD_DEBUG": "0"},
        )

    def ended(self, given: str = "") -> tuple[int, str, str]:
        """Exit code, output, errors; `given` is its standard input."""
        try:
            out, err = self.process.communicate(given, PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
        return self.process.returncode, out, err


def ran(*words: str, given: str = "") -> tuple[int, str, str]:
    return Running(*words).ended(given)
