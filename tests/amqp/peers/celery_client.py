"""A client of the Celery application: calls tasks, asks for results, talks to workers, listens to events."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

# Beside this script, where the peers' Python looks.
tasks: Any = importlib.import_module("celery_tasks")
FOLDER, app = tasks.FOLDER, tasks.app
add, stubborn, fails, note, long = tasks.add, tasks.stubborn, tasks.fails, tasks.note, tasks.long

PATIENCE = 25


def say(what: str, told: Any) -> None:
    print(json.dumps({"what": what, "told": told}), flush=True)


def results() -> None:
    say("add", add.delay(2, 3).get(timeout=PATIENCE))
    say("many", [result.get(timeout=PATIENCE) for result in [add.delay(n, n) for n in range(20)]])
    failed = fails.delay()
    try:
        failed.get(timeout=PATIENCE)
    except ValueError as error:
        say("failed", str(error))


def later() -> None:
    say("retried", stubborn.delay("stubborn").get(timeout=PATIENCE))
    begun = datetime.now(UTC)
    at = begun + timedelta(seconds=0.5)
    value = add.apply_async((1, 1), eta=at).get(timeout=PATIENCE)
    say("eta", [value, datetime.now(UTC) >= at])


def control() -> None:
    inspect = app.control.inspect(timeout=PATIENCE, limit=1)
    answers = app.control.broadcast("ping", reply=True, timeout=PATIENCE, limit=1)
    say("ping", sorted(next(iter(each.values())).get("ok", "") for each in answers))
    registered = inspect.registered() or {}
    say("registered", sorted({name for names in registered.values() for name in names}))


def events() -> None:
    seen: list[str] = []
    done = threading.Event()

    def take(event: dict[str, Any]) -> None:
        seen.append(event["type"])
        if event["type"] == "task-succeeded":
            done.set()

    def listen() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": take})
            begun.set()
            receiver.capture(limit=None, timeout=PATIENCE, wakeup=True)

    begun = threading.Event()
    threading.Thread(target=listen, daemon=True).start()
    begun.wait(PATIENCE)
    for _ in range(10):  # the receiver's queue is there soon after; what was sent before is not for it
        add.delay(4, 4).get(timeout=PATIENCE)
        if done.wait(1):
            break
    say("events", sorted({name for name in seen if name.startswith("task-")}))


def priorities() -> None:
    """While the one worker is held up, tasks of three priorities wait."""
    (FOLDER / "held-stay").touch()
    held = long.delay("held")
    while not (FOLDER / "held").exists():
        time.sleep(0.05)
    for word, priority in (("low", 0), ("high", 9), ("middle", 5), ("low too", 0)):
        note.apply_async(("ranked", word), priority=priority)
    (FOLDER / "held-stay").unlink()
    held.get(timeout=PATIENCE)
    until = time.monotonic() + PATIENCE
    words: list[str] = []
    while len(words) < 4 and time.monotonic() < until:
        time.sleep(0.05)
        words = (FOLDER / "ranked").read_text().splitlines() if (FOLDER / "ranked").exists() else []
    say("order", words)


def killed() -> None:
    """The worker that has begun is killed by whoever runs this; another one takes the task."""
    (FOLDER / "victim-stay").touch()
    result = long.delay("victim")
    while not (FOLDER / "victim").exists():
        time.sleep(0.05)
    say("begun", int((FOLDER / "victim").read_text().split()[0]))
    sys.stdin.readline()
    (FOLDER / "victim-stay").unlink()
    value = result.get(timeout=PATIENCE)
    say("value", [value, len(set((FOLDER / "victim").read_text().split()))])


for wanted in sys.argv[1:]:
    globals()[wanted]()
