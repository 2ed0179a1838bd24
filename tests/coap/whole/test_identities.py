"""Who gets in, who does not, and what becomes of sessions when a right ends: DTLS at the real hub."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests.cli.hub import PATIENCE, wait_until
from tests.coap.whole.harbour import LISTENERS, Harbour, Observing, may_both

GNUTLS = "coap-client-gnutls"
NUMBERS = itertools.count(1)
MORE = """
[login]
tries_per_identity = 3
first_delay = 60.0
lock_after = 0
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    """A hub whose devices come and go."""
    made = Harbour(tmp_path_factory.mktemp("identities"), MORE)
    made.start()
    try:
        yield made
    finally:
        made.hub.__exit__(None, None, None)


@pytest.fixture
def device(port: Harbour) -> str:
    """A new one, which may use open/#."""
    name = f"device-{next(NUMBERS)}"
    port.add(name, may_both("open/#"))
    return name


class Session:
    """openssl s_client over DTLS by a pre-shared key; it stays until it is closed."""

    def __init__(self, port: Harbour, name: str, folder: Path, *options: str, key: str = "") -> None:
        self._out = folder / f"s_client-{next(NUMBERS)}"
        self._file = self._out.open("wb")
        hexadecimal = (key or port.keys[name]).encode().hex()
        words = ["openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port.hub.port('coaps')}"]
        words += ["-psk_identity", name, "-psk", hexadecimal, "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0", *options]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=self._file, stderr=self._file)

    def text(self) -> str:
        return self._out.read_bytes().decode("utf-8", "replace")

    def ends(self) -> str:
        """What it said until it ended by itself."""
        self.process.wait(PATIENCE)
        return self.text()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._file.close()


def accepted(port: Harbour, name: str, count: int = 1) -> None:
    wait_until(f"{name} is in", lambda: len(_accepted(port, name)) >= count)


def _accepted(port: Harbour, name: str) -> list[dict[str, object]]:
    return [event for event in port.hub.events("authentication.accepted") if event["principal"] == name]


def refused(port: Harbour, name: str) -> list[dict[str, object]]:
    return [event for event in port.hub.events("authentication.refused") if event["claimed"] == name]


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("act", ["revoke", "disable", "remove", "rotate"])
def test_the_end_of_a_right_closes_the_session_at_once(port: Harbour, device: str, act: str, tmp_path: Path) -> None:
    session = Session(port, device, tmp_path)
    accepted(port, device)
    words = ["--psk", "--overlap", "0", "--out", str(tmp_path / "new")] if act == "rotate" else []
    began = monotonic()
    port.command("device", act, device, *words)
    text = session.ends()
    assert monotonic() - began < PATIENCE
    assert "closed" in text  # close_notify came
    session.close()
    again = Session(port, device, tmp_path)
    wait_until("it is refused", lambda: refused(port, device) or refused(port, "(not a device's name)"))
    again.close()
    assert len(_accepted(port, device)) == 1


@pytest.mark.peer("openssl")
def test_nobody_resumes_a_session_whose_key_is_another_one_now(port: Harbour, device: str, tmp_path: Path) -> None:
    ticket = tmp_path / "ticket"
    first = Session(port, device, tmp_path, "-sess_out", str(ticket))
    wait_until("a ticket", ticket.exists)
    first.close()
    second = Session(port, device, tmp_path, "-sess_in", str(ticket))
    wait_until("it is resumed", lambda: "Reused," in second.text())
    accepted(port, device, 2)  # and judged anew
    second.close()
    port.command("device", "rotate", device, "--psk", "--overlap", "0", "--out", tmp_path / "new")
    third = Session(port, device, tmp_path, "-sess_in", str(ticket))
    wait_until("it is refused", lambda: refused(port, device))
    assert "Reused," not in third.text()
    third.close()


@pytest.mark.peer("openssl")
@pytest.mark.clause("RFC7252-9.1.3.1")
def test_unknown_identities_and_wrong_keys_look_alike(port: Harbour, device: str, tmp_path: Path) -> None:
    said: list[str] = []
    for name in (device, "nobody-of-that-name"):
        session = Session(port, name, tmp_path, key="wrong")
        session.ends()
        lines = session.text().splitlines()
        said.append("\n".join(line.partition("error:")[2].partition(":s")[0] for line in lines if "error:" in line))
        session.close()
    assert said[0] == said[1] != ""
    events = [refused(port, device)[-1], refused(port, "nobody-of-that-name")[-1]]
    assert {event["mechanism"] for event in events} == {"psk"}
    assert len({str(event["because"]) for event in events}) == 1


@pytest.mark.peer("openssl")
def test_guessing_keys_is_braked(port: Harbour, device: str, tmp_path: Path) -> None:
    for _ in range(4):
        guess = Session(port, device, tmp_path, key="wrong")
        guess.ends()
        guess.close()
    right = Session(port, device, tmp_path)
    right.ends()
    right.close()
    wait_until("all are told", lambda: len(refused(port, device)) == 5)
    assert [event["braked"] for event in refused(port, device)] == [False] * 4 + [True]
    assert not _accepted(port, device)


@pytest.mark.peer("openssl")
def test_a_secret_in_the_place_of_the_identity_is_not_told(port: Harbour, tmp_path: Path) -> None:
    session = Session(port, "pass word/of#somebody", tmp_path, key="wrong")
    session.ends()
    session.close()
    wait_until("it is told", lambda: refused(port, "(not a device's name)"))
    assert "of#somebody" not in port.hub.log_text()


@pytest.mark.peer(GNUTLS)
def test_a_raw_key_of_nobody_is_refused_and_told(port: Harbour, device: str) -> None:
    port.command("device", "remove", device)
    assert "2.05" not in port.ask(GNUTLS, port.uri("coaps", ".well-known/core"), "-v", "7", *port.proof("rpk", device))
    wait_until(
        "it is told", lambda: [e for e in port.hub.events("authentication.refused") if e.get("mechanism") == "rpk"]
    )


@pytest.mark.peer(GNUTLS)
@pytest.mark.parametrize("scheme", ["coaps", "coaps+tcp"])
def test_a_revoked_certificate_is_refused(port: Harbour, device: str, scheme: str) -> None:
    uri, proof = port.uri(scheme, ".well-known/core"), port.proof("certificate", device)
    assert "</ps>" in port.ask(GNUTLS, uri, *proof)
    port.command("device", "revoke", device)
    wait_until("the hub has the new list", lambda: port.hub.events("certificate.loaded"))
    assert "</ps>" not in port.ask(GNUTLS, uri, "-B", "3", *proof)


@pytest.mark.peer(GNUTLS)
@pytest.mark.parametrize("kind", ["psk", "rpk", "certificate"])
def test_the_policy_knows_by_what_somebody_came(port: Harbour, device: str, kind: str) -> None:
    topic = f"by/{kind}/{device}"
    port.command("role", "add", f"by-{device}", "--allow", f"publish {topic} when mechanism {kind}, protocol coap")
    port.command("device", "set", device, "--role", f"by-{device}")
    for other in ("psk", "rpk", "certificate"):
        said = port.ask(GNUTLS, port.uri("coaps", f"t/{topic}"), "-m", "put", "-e", "x", *port.proof(other, device))
        assert ("4.03" in said) == (other != kind)


@pytest.mark.peer(GNUTLS)
def test_an_observer_is_told_when_its_permission_is_withdrawn(port: Harbour, device: str, tmp_path: Path) -> None:
    topic = f"open/{device}"
    mqtt = port.mqtt()
    mqtt.publish(topic, "seen", retain=True)
    observing = Observing(GNUTLS, port.uri("coaps", f"t/{topic}"), port.proof("psk", device), tmp_path / "out")
    observing.await_value("seen")
    port.command("device", "set", device, "--no-permission", "open/#")
    port.hub.await_event("subscription.withdrawn")
    mqtt.publish(topic, "unseen", retain=True)
    mqtt.publish(topic, "unseen too", retain=True)
    observing.stop()
    assert "unseen" not in (tmp_path / "out").read_text()
    mqtt.close()


# The listener. ------------------------------------------------------------------------------------------


@pytest.mark.peer(GNUTLS)
def test_a_listener_lets_in_by_its_modes_alone(port: Harbour, device: str) -> None:
    secured = 'bind = "127.0.0.1:0"\nprotocol = "coap"\n'
    port.reload(LISTENERS.replace(secured, secured + 'login = ["rpk"]\n', 1) + MORE)
    try:
        addresses = str(port.hub.events("node.reloaded")[-1]["listeners"]).split()
        (address,) = [each.partition("=")[2] for each in addresses if each.startswith("coaps=")]
        uri = f"coaps://{address}/.well-known/core"
        assert "</ps>" in port.ask(GNUTLS, uri, *port.proof("rpk", device))
        for kind in ("psk", "certificate"):
            assert "</ps>" not in port.ask(GNUTLS, uri, "-B", "3", *port.proof(kind, device))
    finally:
        port.reload(LISTENERS + MORE)
