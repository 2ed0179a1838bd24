"""`bridgehead queue` beside a running hub: what is added is there within a second, fed, changed and removed live."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pamqp import commands

from bench.amqp091_lanes import Lane091
from bench.amqp_load import Stalled
from bridgehead.cli import main
from tests.amqp.whole.test_restart import CONFIG, PASSWORD, enrol, publish, waiting
from tests.cli.hub import Hub, wait_until


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with Hub(tmp_path_factory.mktemp("queues"), CONFIG) as hub:
        enrol(hub.data, "worker", "Office/#", "$QUEUE/#")
        yield hub


def queue(hub: Hub, *words: str) -> subprocess.CompletedProcess[str]:
    return run(hub.data, *words)


def run(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command within this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main.run(["queue", *words, "--data", str(data)])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def worker(hub: Hub) -> Lane091:
    return Lane091("127.0.0.1", hub.port("amqp"), "worker", PASSWORD)


def is_there(hub: Hub, name: str) -> bool:
    lane = worker(hub)
    try:
        waiting(lane, name)
    except Stalled:
        return False
    finally:
        lane.close()
    return True


def test_an_added_queue_is_fed_at_once_and_gone_when_removed(hub: Hub) -> None:
    added = queue(hub, "add", "readings", "--from", "Office/+/Temperature", "--json")
    assert added.returncode == 0, added.stderr
    value = json.loads(added.stdout)
    assert (value["address"], value["policy_name"]) == ("/queues/readings", "$QUEUE/readings")
    wait_until("the queue", lambda: is_there(hub, "readings"))
    lane = worker(hub)
    publish(lane, "amq.topic", "Office.Lobby.Temperature")
    publish(lane, "amq.topic", "Office.Lobby.Humidity")
    assert waiting(lane, "readings") == 1
    changed = queue(hub, "set", "readings", "--from", "Office/+/Humidity")
    assert changed.returncode == 0, changed.stderr

    def refed() -> bool:
        before = waiting(lane, "readings") or 0
        publish(lane, "amq.topic", "Office.Lobby.Humidity")
        return (waiting(lane, "readings") or 0) > before

    wait_until("the other feed", refed)
    lane.close()
    removed = queue(hub, "remove", "readings")
    assert removed.stdout == "removed readings\n"
    wait_until("the queue is gone", lambda: not is_there(hub, "readings"))
    audited = "".join(file.read_text() for file in (hub.data / "audit").glob("*.jsonl"))
    assert all(f'"{event}"' in audited for event in ("queue.added", "queue.changed", "queue.removed"))


def test_what_a_client_declared_is_not_thrown_away(hub: Hub) -> None:
    lane = worker(hub)
    lane.ask(commands.Queue.Declare(queue="theirs", durable=False), commands.Queue.DeclareOk)
    assert queue(hub, "add", "theirs").returncode == 0
    wait_until("it is told", lambda: "queue.not-applied" in hub.log_text())
    assert waiting(lane, "theirs") == 0
    lane.close()
    assert queue(hub, "remove", "theirs").returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "a", "--from", "Office/#/x"], "# must be a level of its own"),
        (["add", "a", "--from", "$SYS/#"], "hub's own names"),
        (["add", "a", "--ttl", "soon"], "no duration"),
        (["add", "a", "--overflow", "block"], "use reject or drop-head"),
        (["add", "a", "--dead-letter", "a"], "its own dead letters"),
        (["add", ""], "at least one character"),
        (["set", "a"], "say what shall change"),
        (["set", "nowhere", "--ttl", "1h"], "there is no queue 'nowhere'"),
        (["remove", "nowhere"], "there is no queue 'nowhere'"),
    ],
)
def test_what_cannot_be_is_said_with_the_remedy(tmp_path: Path, words: list[str], says: str) -> None:
    assert run(tmp_path, "add", "other").returncode == 0
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_queues_are_listed(tmp_path: Path) -> None:
    assert run(tmp_path, "add", "b", "--priorities", "3", "--not-durable").returncode == 0
    assert run(tmp_path, "add", "a", "--from", "x/#", "--max-bytes", "1MiB").returncode == 0
    again = run(tmp_path, "add", "a")
    assert again.returncode == 2
    assert "there is a queue 'a' already" in again.stderr
    values = json.loads(run(tmp_path, "list", "--json").stdout)
    assert [(each["name"], each["durable"], each["priorities"]) for each in values] == [("a", True, 0), ("b", False, 3)]
    assert values[0]["max_bytes"] == 1024 * 1024
