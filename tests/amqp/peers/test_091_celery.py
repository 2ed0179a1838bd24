"""Celery with a real worker process and a client, over TLS to the real hub: tasks, results, control, events."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.amqp.whole.office import PYTHON, SCRIPTS, SECRET, Office, Script
from tests.cli.hub import wait_until

pytestmark = pytest.mark.timeout(180)


class Shop:
    """The application in a folder of its own, with as many workers as a test starts."""

    def __init__(self, office: Office, folder: Path) -> None:
        self.folder = folder
        self.surroundings = {
            **office.surroundings(),
            "AMQP_QUOTED": quote(SECRET),
            "CELERY_FOLDER": str(folder),
            "PYTHONPATH": str(SCRIPTS),
            "C_FORCE_ROOT": "1",
        }
        self.workers: list[subprocess.Popen[bytes]] = []

    def worker(self, name: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """One process that does one task at a time. `wait` until it is ready: not where a task is there already, with
        which it begins before it says so."""
        log = self.folder / f"{name}.log"
        words = ["-m", "celery", "-A", "celery_tasks", "worker", "--pool", "solo", "-n", f"{name}@here", "-E"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(PYTHON), *words, "--loglevel", "INFO", "--heartbeat-interval", "2"],
                env={**os.environ, **self.surroundings},
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(process)

        def is_ready() -> bool:
            said = log.read_text(errors="replace")
            assert process.poll() is None, said
            return " ready." in said

        if wait:
            wait_until(f"the worker {name} is ready", is_ready)
        return process

    def client(self, *what: str) -> Script:
        return Script([str(PYTHON), str(SCRIPTS / "celery_client.py"), *what], self.surroundings)

    def told(self, *what: str) -> dict[str, Any]:
        return {line["what"]: line["told"] for line in self.client(*what).lines()}

    def close(self) -> None:
        for process in self.workers:
            if process.poll() is None:
                process.kill()
            process.wait()


@pytest.fixture
def shop(office: Office, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(office, tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_tasks_and_their_results(shop: Shop) -> None:
    worker = shop.worker("one")
    said = shop.told("results", "later", "control", "events")
    assert said["add"] == 5
    assert said["many"] == [2 * n for n in range(20)]
    assert said["failed"] == "no such order"
    assert said["retried"] == 2
    assert said["eta"] == [2, True]
    assert said["ping"] == ["pong"]
    assert "celery_tasks.add" in said["registered"]
    assert {"task-received", "task-started", "task-succeeded"} <= set(said["events"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0


def test_what_matters_more_comes_first(shop: Shop) -> None:
    shop.worker("one")
    # The first was with the worker already: it takes one ahead of each queue.
    assert shop.told("priorities")["order"] == ["low", "high", "middle", "low too"]


def test_a_worker_killed_in_its_task_loses_nothing(shop: Shop) -> None:
    first = shop.worker("one")
    with shop.client("killed") as client:
        assert client.line() == {"what": "begun", "told": first.pid}
        first.kill()
        first.wait()
        shop.worker("two", wait=False)
        client.say("go on")
        assert client.line() == {"what": "value", "told": ["done", 2]}
