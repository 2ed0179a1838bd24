"""Debian's amqp-tools (librabbitmq-c) against the real hub, over TLS."""

from __future__ import annotations

import subprocess
from urllib.parse import quote

import pytest

from tests.amqp.whole.office import OFFICE, SECRET, STRANGER, Office
from tests.cli.hub import PATIENCE

pytestmark = pytest.mark.peer("amqp-publish")


def run(
    office: Office, program: str, *words: str, name: str = OFFICE, data: bytes = b"", secret: str = SECRET
) -> subprocess.CompletedProcess[bytes]:
    url = f"amqps://{name}:{quote(secret)}@localhost:{office.port()}/%2F"
    where = [f"--url={url}", "--ssl", f"--cacert={office.authority}"]
    return subprocess.run([program, *where, *words], input=data, capture_output=True, timeout=PATIENCE, check=False)


@pytest.mark.clause("AMQP091-queue.declare", "AMQP091-basic.get", "AMQP091-basic.consume")
def test_declare_publish_get_consume_delete(office: Office) -> None:
    declared = run(office, "amqp-declare-queue", "-d", "-q", "tools/q")
    assert (declared.returncode, declared.stdout) == (0, b"tools/q\n"), declared.stderr
    for body in (b"one", b"two", b"three"):
        done = run(office, "amqp-publish", "-r", "tools/q", "-p", "-C", "text/plain", data=body)
        assert done.returncode == 0, done.stderr
    assert run(office, "amqp-get", "-q", "tools/q").stdout == b"one"
    consumed = run(office, "amqp-consume", "-q", "tools/q", "-c", "2", "cat")
    assert (consumed.returncode, consumed.stdout) == (0, b"twothree"), consumed.stderr
    assert run(office, "amqp-get", "-q", "tools/q").returncode == 2
    deleted = run(office, "amqp-delete-queue", "-q", "tools/q")
    assert (deleted.returncode, deleted.stdout) == (0, b"0\n"), deleted.stderr


@pytest.mark.clause("AMQP091-basic.publish")
def test_to_a_topic_of_the_hub(office: Office) -> None:
    mqtt = office.mqtt()
    mqtt.subscribe("Office/Tools/#")
    done = run(office, "amqp-publish", "-e", "amq.topic", "-r", "Office.Tools.Said", "-b", "21.5")
    assert done.returncode == 0, done.stderr
    assert mqtt.message() == ("Office/Tools/Said", "21.5")
    mqtt.close()


@pytest.mark.clause("AMQP091-4.7")
def test_who_may_nothing_and_who_is_nobody(office: Office) -> None:
    refused = run(office, "amqp-declare-queue", "-q", "tools/mine", name=STRANGER)
    assert refused.returncode != 0
    assert b"403" in refused.stderr
    refused = run(office, "amqp-declare-queue", "-q", "tools/mine", secret="wrong")
    assert refused.returncode != 0
    assert b"403" in refused.stderr or b"ACCESS_REFUSED" in refused.stderr
