"""A part of all datagrams is lost, each way, between real processes: nothing that was acknowledged is."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.cli.hub import PATIENCE, Hub, command, wait_until
from tests.coap.whole.harbour import DEVICE, Harbour
from tests.peers.lossy import losing, lost

READINGS = 12
TOGETHER = 12
PATIENT = "90"  # seconds that coap-client waits: its four retransmissions need at most 93 (MAX_TRANSMIT_WAIT)
# The hub's own retransmissions come sooner than RFC 7252's two seconds, so that the test does.
QUICK = "\n[coap]\nack_timeout = 0.2\nmax_retransmit = 8\n"


class HubInside(Hub):
    """A hub whose process runs in the namespace."""

    def __init__(self, inside: list[str], folder: Path, config: str) -> None:
        super().__init__(folder, config)
        self.inside = inside

    def launch(self) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("wb") as out, (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, *command("up", "--data", self.data, "--config", self.config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        return self.process


@pytest.mark.peer("ip")
@pytest.mark.peer("nft")
@pytest.mark.peer("coap-client-gnutls")
@pytest.mark.timeout(240)
@pytest.mark.clause("RFC7252-4.2")
@pytest.mark.clause("RFC7641-4.5")
@pytest.mark.parametrize(
    "percent", [8, pytest.param(20, marks=pytest.mark.slow)]
)  # the more is lost, the longer it waits
def test_what_was_acknowledged_outlasts_loss_and_a_crash(tmp_path: Path, percent: int) -> None:
    with losing(percent) as inside:
        harbour = Harbour(tmp_path, QUICK, partial(HubInside, inside))
        harbour.start()
        try:
            acknowledged = _office(harbour, inside, tmp_path / "observed")
        finally:
            harbour.hub.__exit__(None, None, None)  # SIGKILL
        dropped, arrived = lost(inside)
        assert dropped > percent // 4
        assert arrived > dropped
    assert len(acknowledged) >= READINGS // 4
    again = Harbour(tmp_path)
    again.keys = harbour.keys
    again.hub.start()
    try:
        for topic, value in acknowledged.items():
            assert (
                again.ask("coap-client-gnutls", again.uri("coaps", f"t/{topic}"), *again.proof("psk")) == f"{value}\n"
            )
    finally:
        again.hub.__exit__(None, None, None)


def _office(harbour: Harbour, inside: list[str], observed: Path) -> dict[str, str]:
    """Readings that were acknowledged, by their topics; an observer has seen its own in order meanwhile.

    The observer is our own client: Debian's libcoap 4.3.1 does not acknowledge a notification that comes a second time
    (RFC 7252 section 4.2 asks for it), so a lost acknowledgement ends what it observes."""
    client = [*inside, "coap-client-gnutls", *harbour.proof("psk"), "-B", PATIENT]
    steps_uri = harbour.uri("coaps", "t/Office/steps")
    assert any(_put(client, steps_uri, "begin") for _ in range(20))
    secret = observed.with_name("psk")
    secret.touch(0o600)
    secret.write_text(harbour.keys[DEVICE])
    hub = harbour.uri("coaps", "").rstrip("/")
    asked = command("sub", hub, "Office/steps", "--qos", "1", "--psk-identity", DEVICE, "--psk-file", secret)
    observing = _observe([*inside, *asked], observed)
    try:
        acknowledged = _publish(client, harbour)
        steps = [word for word in (f"step-{number}" for number in range(4)) if _put(client, steps_uri, word)]
        assert steps
        wait_until(f"all of {steps} to arrive", lambda: _in_order(steps, _said(observed).split()))
    finally:
        observing.kill()
        observing.wait()
    return acknowledged


def _observe(stream: list[str], observed: Path) -> subprocess.Popen[bytes]:
    """An observer that has its first representation, after as many handshakes as it takes."""
    for _ in range(20):
        with observed.open("ab") as out:
            process = subprocess.Popen(stream, stdout=out, stderr=subprocess.DEVNULL)
        wait_until("the observation", lambda process=process: "begin" in _said(observed) or process.poll() is not None)
        if process.poll() is None:
            return process
    raise AssertionError("no observation began")


def _said(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _put(client: list[str], uri: str, value: str) -> bool:
    """Whether it was acknowledged, as coap-client saw it: it gives a handshake up after some five seconds."""
    done = subprocess.run(
        [*client, "-v", "7", "-m", "put", "-e", value, uri],
        capture_output=True,
        text=True,
        timeout=PATIENCE * 5,
        check=False,
    )
    return any(f" c:{code} " in done.stdout + done.stderr for code in ("2.01", "2.04"))


def _publish(client: list[str], harbour: Harbour) -> dict[str, str]:
    topics = {f"Office/{number}": f"reading {number}" for number in range(READINGS)}
    with ThreadPoolExecutor(TOGETHER) as pool:
        done = pool.map(lambda pair: _put(client, harbour.uri("coaps", f"t/{pair[0]}"), pair[1]), topics.items())
    return {topic: value for (topic, value), was in zip(topics.items(), done, strict=True) if was}


def _in_order(wanted: list[str], said: list[str]) -> bool:
    at = 0
    for word in said:
        if at < len(wanted) and word == wanted[at]:
            at += 1
    return at == len(wanted)
