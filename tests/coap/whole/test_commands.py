"""`bridgehead pub` and `sub` at a real hub: every transport, every credential, and what they say when it says no."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.hub import PATIENCE, command, wait_until
from tests.coap.whole.harbour import DEVICE, OTHER, Harbour

NUMBERS = itertools.count(1)
WAYS = [
    ("coap", "nosec"),
    ("coaps", "psk"),
    pytest.param("coaps", "rpk", marks=pytest.mark.slow),
    pytest.param("coaps", "certificate", marks=pytest.mark.slow),
    pytest.param("coap+tcp", "nosec", marks=pytest.mark.slow),
    ("coaps+tcp", "certificate"),
    pytest.param("coap+ws", "nosec", marks=pytest.mark.slow),
    ("coaps+ws", "certificate"),
]


def fresh(kind: str) -> str:
    return f"{'open' if kind == 'nosec' else 'Office'}/commands {next(NUMBERS)}/Temperature"


def proof(harbour: Harbour, kind: str, folder: Path, name: str = DEVICE) -> list[str]:
    if kind == "psk":
        file = folder / "psk"
        file.write_text(harbour.keys[name] + "\n")
        return ["--psk-identity", name, "--psk-file", str(file)]
    ca = ["--ca", str(harbour.authority)]
    if kind == "rpk":
        return ["--raw-key", str(harbour.pem(name, "raw")), *ca]
    return ["--cert", str(harbour.pem(name, "cert")), *ca] if kind == "certificate" else []


def url(harbour: Harbour, scheme: str) -> str:
    return harbour.uri(scheme, "").rstrip("/")


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


class Subscriber:
    """`bridgehead sub --json`, which has subscribed."""

    def __init__(self, harbour: Harbour, out: Path, *words: str) -> None:
        self.out = out
        self.process = subprocess.Popen(command("sub", "--json", *words), stdout=out.open("wb"), stderr=subprocess.PIPE)

    def messages(self) -> list[tuple[str, str]]:
        found = [json.loads(line) for line in self.out.read_text().splitlines()]
        return [(each["topic"], each["payload"]) for each in found]

    def await_messages(self, number: int) -> list[tuple[str, str]]:
        wait_until(f"{number} messages", lambda: len(self.messages()) >= number or self.process.poll() is not None)
        return self.messages()

    def finish(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said.decode()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize(("scheme", "kind"), WAYS)
def test_what_is_published_crosses(harbour: Harbour, tmp_path: Path, scheme: str, kind: str) -> None:
    topic = fresh(kind)
    mqtt = harbour.mqtt()
    mqtt.subscribe(topic)
    options = [url(harbour, scheme), topic, *proof(harbour, kind, tmp_path)]
    done = run("pub", *options, "-m", "21.5", "-q", "1", "--retain", "--utf8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert mqtt.message() == (topic, "21.5")
    done = run("pub", *options, "--stdin", "-q", "1", given="one\ntwo\nthree\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert [mqtt.message()[1] for _ in range(3)] == ["one", "two", "three"]
    large = tmp_path / "large"
    large.write_text("x" * 5000)
    done = run("pub", *options, "-f", str(large), "-q", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert mqtt.message() == (topic, "x" * 5000)
    mqtt.close()


@pytest.mark.parametrize(("scheme", "kind"), WAYS)
@pytest.mark.clause("RFC7641-3.2")
def test_what_is_observed_is_printed(harbour: Harbour, tmp_path: Path, scheme: str, kind: str) -> None:
    topic = fresh(kind)
    parent = topic.rpartition("/")[0]
    mqtt = harbour.mqtt()
    mqtt.publish(topic, "kept", retain=True)
    options = [url(harbour, scheme), "-q", "1", "-C", "4", *proof(harbour, kind, tmp_path)]
    subscriber = Subscriber(harbour, tmp_path / "out", *options, f"{parent}/#", f"{parent}/alone")
    try:
        subscriber.await_messages(1)
        mqtt.publish(f"{parent}/other", "by filter")
        subscriber.await_messages(2)
        mqtt.publish(f"{parent}/alone", "x" * 3000)
        code, said = subscriber.finish()
    finally:
        subscriber.stop()
        mqtt.close()
    assert (code, said) == (0, "")
    found = subscriber.messages()
    assert found[:2] == [(topic, "kept"), (f"{parent}/other", "by filter")]
    assert found[2:] == [(f"{parent}/alone", "x" * 3000)] * 2  # by the filter, and by its own observation


def test_a_refusal_is_one_sentence(harbour: Harbour, tmp_path: Path) -> None:
    hub = url(harbour, "coaps")
    stranger = proof(harbour, "psk", tmp_path, OTHER)
    done = run("pub", hub, "Office/x", "-m", "1", "-q", "1", *stranger)
    assert done.returncode == 1
    assert done.stderr.startswith("bridgehead pub: the server refused the message: Forbidden (4.03)")
    assert done.stderr.endswith("; check the identity's permissions\n")
    done = run("sub", hub, "Office/#", *stranger)
    assert done.returncode == 1
    assert done.stderr.startswith("bridgehead sub: the server refused the observation of Office/#: Forbidden (4.03)")
    done = run("pub", hub, "Office/x", "--stdin", *stranger, given="1\n2\n")
    assert done.returncode == 1
    assert done.stderr.count("Forbidden") == 2
    assert done.stderr.endswith("bridgehead pub: 2 of 2 messages were refused\n")


def test_a_wrong_key_gets_no_session(harbour: Harbour, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not the key\n")
    words = ["--psk-identity", DEVICE, "--psk-file", str(tmp_path / "wrong"), "--timeout", "2"]
    done = run("pub", url(harbour, "coaps"), "Office/x", "-m", "1", *words)
    assert done.returncode == 1
    assert "coaps://127.0.0.1" in done.stderr
    assert "51 (decrypt_error); is this the pre-shared key of this identity" in done.stderr
    assert done.stderr.count("\n") == 1


def test_mqtt_spoken_to_as_coap(harbour: Harbour) -> None:
    done = run(
        "pub", f"coaps+tcp://127.0.0.1:{harbour.hub.port('mqtts')}", "a", "-m", "1", "--ca", str(harbour.authority)
    )
    assert done.returncode == 1
    assert "does that port speak CoAP?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_cannot_be_observed_is_shown_once(harbour: Harbour) -> None:
    done = run("sub", harbour.uri("coap", ".well-known/core?rt=core.ps"))
    assert (done.returncode, done.stdout) == (1, '</ps>;rt="core.ps core.ps.coll";ct=40\n')
    assert done.stderr.endswith("the server answers for /.well-known/core, and does not let it be observed\n")


def test_a_resource_by_its_path(harbour: Harbour) -> None:
    mqtt = harbour.mqtt()
    mqtt.publish("open/by path", "here", retain=True)
    done = run("sub", harbour.uri("coap", "t/open/by%20path"), "-C", "1", "-v")
    assert (done.returncode, done.stdout) == (0, "/t/open/by%20path here\n")
    done = run("pub", harbour.uri("coap", "t/open/by%20path"), "-m", "there", "--retain")
    assert (done.returncode, done.stderr) == (0, "")
    done = run("sub", url(harbour, "coap"), "open/by path", "-C", "1")
    assert done.stdout == "there\n"
    done = run("sub", harbour.uri("coap", "t?f=open/by%20path"), "-C", "1", "-v")
    assert done.stdout == "open/by path there\n"
    done = run("pub", url(harbour, "coap"), "open/by path", "-m", "", "--retain")
    assert (done.returncode, done.stderr) == (0, "")
    done = run("sub", url(harbour, "coap"), "open/by path", "-C", "1", "-W", "0.5")
    assert (done.returncode, done.stderr) == (1, "bridgehead sub: 0 of 1 messages came in time\n")
    mqtt.close()


def test_a_bundle_holds_each_credential(harbour: Harbour, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    harbour.command(
        "device", "add", "bundled", "--publish", "Office/#", "--certificate", "--psk", "--raw-key", "--out", bundle
    )
    mqtt = harbour.mqtt()
    mqtt.subscribe("Office/bundled")
    for credential in ("certificate", "psk", "rpk"):
        words = ["--bundle", str(bundle), "--credential", credential, "-q", "1"]
        done = run("pub", url(harbour, "coaps"), "Office/bundled", "-m", credential, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert mqtt.message() == ("Office/bundled", credential)
    done = run("pub", url(harbour, "coaps+tcp"), "Office/bundled", "-m", "tls", "-q", "1", "--bundle", str(bundle))
    assert (done.returncode, done.stderr) == (0, "")
    assert mqtt.message() == ("Office/bundled", "tls")
    mqtt.close()
