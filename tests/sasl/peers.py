"""SASL clients that were not written here, as programs: their lines of base64 in, ours out."""

from __future__ import annotations

import base64
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bridgehead.security.sasl.contract import Challenge, Failure, Mechanism, Success
from tests.sasl.rim import Town

PATIENCE = 20.0


class Program:
    """A client on two pipes, in a session of its own: it has no terminal to ask for a password."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
        self.heard = b""
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def say(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def line(self) -> bytes | None:
        """The next line, None when there is no more."""
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, f"the program is silent after {self.heard!r}"
            octets = os.read(self.process.stdout.fileno(), 65536)
            if not octets:
                return None
            self.heard += octets
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def end(self) -> str:
        """All that it said, at its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        while self.line() is not None:
            pass
        self.process.wait(PATIENCE)
        return self.heard.decode()


class Cyrus(Program):
    """Cyrus SASL's sample client: `S: base64` to it, `C: base64` from it."""

    def __init__(
        self,
        name: str,
        options: Sequence[str],
        password: str | None,
        environment: Mapping[str, str] | None = None,
        host: str = "localhost",
    ) -> None:
        super().__init__(
            ["sasl-sample-client", "-m", name, "-s", "mqtt", "-n", host, *options],
            environment,
        )
        self.name = name
        self.say(b"S: " + base64.b64encode(name.encode()))
        if password is not None:
            self.say(password.encode())

    def says(self) -> bytes:
        while (line := self.line()) is not None:
            _, found, text = line.rpartition(b"C: ")
            if found:
                return base64.b64decode(text)
        raise AssertionError(f"the client ended: {self.heard!r}")

    def run(self, town: Town, machine: Mechanism) -> Success | Failure:
        """The whole exchange. A last message of ours goes to the client too."""
        name, separator, initial = self.says().partition(b"\0")
        assert name == self.name.encode()
        step = town.start(machine, initial if separator else None)
        while isinstance(step, Challenge):
            self.say(b"S: " + base64.b64encode(step.data))
            step = town.respond(machine, self.says())
        if step.data is not None:
            self.say(b"S: " + base64.b64encode(step.data))
        return step


class CyrusLibrary(Cyrus):
    """Cyrus SASL's library under a program of ours that asks for nothing: see cyrus_client.py."""

    def __init__(self, name: str, authid: str, password: str, authzid: str) -> None:
        script = str(Path(__file__).with_name("cyrus_client.py"))
        Program.__init__(self, [sys.executable, script, name, authid, authzid], {"SASL_TEST_PASSWORD": password})
        self.name = name


class Gsasl(Program):
    """GNU SASL's client on its own lines: base64 alone on each."""

    def __init__(self, name: str, options: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        super().__init__(["gsasl", "--client", "--mechanism", name, "--quiet", *options], environment)
        self.name = name

    def says(self) -> bytes:
        line = self.line()
        assert line is not None, f"the client ended: {self.heard!r}"
        return base64.b64decode(line)

    def run(self, town: Town, machine: Mechanism) -> Success | Failure:
        assert self.line() == self.name.encode()
        step = town.start(machine, self.says())
        while isinstance(step, Challenge):
            self.say(base64.b64encode(step.data))
            step = town.respond(machine, self.says())
        if step.data is not None:
            self.say(base64.b64encode(step.data))
        return step
