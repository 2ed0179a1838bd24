"""Bundles of `bridgehead device export --for libcoap`, as they are, with libcoap's client at the real hub."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bridgehead.security.export.folder import BundleFolder
from bridgehead.security.export.gather import gathering
from bridgehead.security.export.targets import TARGETS, Order
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.mechanisms import CERTIFICATE, PRE_SHARED_KEY, RAW_PUBLIC_KEY
from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE, wait_until
from tests.coap.whole.harbour import Harbour, may_both

KINDS = [(PRE_SHARED_KEY, ""), (RAW_PUBLIC_KEY, "-raw-key"), (CERTIFICATE, "-certificate")]
GNUTLS = "coap-client-gnutls"


def bundle(harbour: Harbour, folder: Path, name: str, kind: str, *permissions: PermissionRecord) -> Path:
    identity = Identity(harbour.hub.data)
    try:
        with identity.enrolling(Wanted(name, permissions, password=b"which is not used here")):
            pass
        made = BundleFolder(folder / name)
        with gathering(identity, name, [kind], 0.0) as enrolled:
            made.put(TARGETS["libcoap"].build(Order(identity, enrolled, "127.0.0.1", harbour.hub.port("coaps"))))
    finally:
        identity.close()
    return made.folder


def run(folder: Path, script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(folder / script), *words],
        cwd="/",
        env={**os.environ, "COAP_CLIENT": GNUTLS},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.peer(GNUTLS)
@pytest.mark.parametrize(("kind", "suffix"), KINDS)
def test_a_bundle_publishes_and_reads(harbour: Harbour, tmp_path: Path, kind: str, suffix: str) -> None:
    name = f"bundle{suffix}"
    folder = bundle(harbour, tmp_path, name, kind, may_both(f"exports/{name}/a b"))
    mqtt = harbour.mqtt()
    mqtt.subscribe(f"exports/{name}/#")
    put = run(folder, f"coap-put{suffix}.sh", "22.5")
    assert (put.returncode, put.stderr) == (0, "")
    assert mqtt.message() == (f"exports/{name}/a b", "22.5")
    assert run(folder, f"coap-get{suffix}.sh").stdout == "22.5\n"
    mqtt.close()


@pytest.mark.peer(GNUTLS)
def test_what_may_not_be_kept_is_posted(harbour: Harbour, tmp_path: Path) -> None:
    permission = PermissionRecord("exports/posts", publish=True, subscribe=False, max_qos=0, retain=False)
    folder = bundle(harbour, tmp_path, "posts", PRE_SHARED_KEY, permission)
    mqtt = harbour.mqtt()
    mqtt.subscribe("exports/posts")
    assert run(folder, "coap-post.sh", "event").stderr == ""
    assert mqtt.message() == ("exports/posts", "event")
    mqtt.close()


@pytest.mark.peer(GNUTLS)
def test_a_wildcard_is_a_stream(harbour: Harbour, tmp_path: Path) -> None:
    permission = PermissionRecord("exports/streams/#", publish=False, subscribe=True)
    folder = bundle(harbour, tmp_path, "streams", PRE_SHARED_KEY, permission)
    mqtt = harbour.mqtt()
    mqtt.publish("exports/streams/1", "kept", retain=True)
    out = tmp_path / "out"
    with out.open("wb") as file:
        words = ["sh", str(folder / "coap-get.sh"), "-s", "60", "-w"]
        environment = {**os.environ, "COAP_CLIENT": GNUTLS}
        running = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT, env=environment)
    try:
        wait_until("what is retained comes", lambda: out.read_text().split() == ["kept"])
        mqtt.publish("exports/streams/2", "next")
        wait_until("what is published comes", lambda: out.read_text().split() == ["kept", "next"])
    finally:
        running.kill()
        running.wait()
        mqtt.close()
