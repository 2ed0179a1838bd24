"""OAUTHBEARER and XOAUTH2 with a client that was not written here: curl, which speaks them within POP3 (RFC 5034)."""

from __future__ import annotations

import base64
import socket
import subprocess
import threading
from types import TracebackType
from typing import Self

import pytest

from bridgehead.security.sasl.contract import Challenge, Failure, Mechanism, Success, TokenIdentity
from tests.sasl.peers import PATIENCE
from tests.sasl.rim import NAME, NOW, Town, mechanism

pytestmark = pytest.mark.peer("curl")
TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
BOTH = ("OAUTHBEARER", "XOAUTH2")


class PostOffice:
    """A POP3 server of one connection: as much as it takes to carry a mechanism of ours."""

    def __init__(self, town: Town, machine: Mechanism) -> None:
        self._town = town
        self._machine = machine
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port = int(self._listener.getsockname()[1])
        self.outcome: Success | Failure | None = None
        self.challenges: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.join(PATIENCE)
        self._listener.close()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        peer.settimeout(PATIENCE)
        with peer, peer.makefile("rb") as lines:
            peer.sendall(b"+OK\r\n")
            for line in lines:
                word, *rest = line.split()
                if word == b"CAPA":
                    peer.sendall(b"+OK\r\nSASL " + self._machine.name.encode() + b"\r\n.\r\n")
                elif word == b"AUTH":
                    step = self._town.start(self._machine, base64.b64decode(rest[1]) if len(rest) > 1 else None)
                    while isinstance(step, Challenge):
                        self.challenges.append(step.data)
                        peer.sendall(b"+ " + base64.b64encode(step.data) + b"\r\n")
                        step = self._town.respond(self._machine, base64.b64decode(lines.readline()))
                    self.outcome = step
                    peer.sendall(b"+OK\r\n" if isinstance(step, Success) else b"-ERR\r\n")
                else:
                    peer.sendall(b"+OK\r\n.\r\n" if word == b"LIST" else b"+OK\r\n")


def log_in(name: str, user: str, token: str, initial: bool) -> tuple[int, PostOffice]:
    """curl's exit code, and what came of it here."""
    town = Town(tokens={TOKEN: TokenIdentity(NAME, NOW + 60)})
    with PostOffice(town, mechanism(name)) as office:
        done = subprocess.run(
            [
                *("curl", "-sS", "--max-time", "20", "--noproxy", "*", "-K", "-", f"pop3://127.0.0.1:{office.port}/"),
                *("--login-options", f"AUTH={name}", *(["--sasl-ir"] if initial else [])),
            ],
            input=f'user = "{user}:"\noauth2-bearer = "{token}"\n',
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )
    return done.returncode, office


@pytest.mark.parametrize("initial", [True, False], ids=["initial", "asked"])
@pytest.mark.parametrize("name", BOTH)
def test_curl(name: str, initial: bool) -> None:
    code, office = log_in(name, NAME, TOKEN, initial)
    assert code == 0
    assert isinstance(office.outcome, Success)
    assert (office.outcome.name, office.outcome.kind, office.outcome.expires_at) == (NAME, "token", NOW + 60)
    assert office.challenges == ([] if initial else [b""])


@pytest.mark.parametrize("name", BOTH)
def test_curl_with_a_token_that_does_not_count(name: str) -> None:
    """RFC 7628 section 3.2.3: the refusal is told first, and curl acknowledges it."""
    code, office = log_in(name, NAME, "another", True)
    assert code == 67  # "The user name, password, or similar was not accepted"
    assert isinstance(office.outcome, Failure)
    assert len(office.challenges) == 1
    assert b"status" in office.challenges[0]


@pytest.mark.parametrize("name", BOTH)
def test_curl_as_somebody_else(name: str) -> None:
    """A token that counts, for another identity than its own."""
    code, office = log_in(name, "pump-1", TOKEN, True)
    assert code == 67
    assert isinstance(office.outcome, Failure)
    assert "another identity" in office.outcome.because
