"""A Celery application as a user of the hub would write it: its worker and its client import this."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path
from typing import Any

from celery import Celery
from kombu import Queue

FOLDER = Path(os.environ.get("CELERY_FOLDER", "."))

app = Celery(
    "shop",
    broker=f"amqp://{os.environ['AMQP_USER']}:{os.environ['AMQP_QUOTED']}@localhost:{os.environ['AMQPS_PORT']}//",
    backend="rpc://",
)
app.conf.update(
    broker_use_ssl={"ca_certs": os.environ["AMQP_CA"], "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "localhost"},
    broker_connection_retry_on_startup=True,
    broker_pool_limit=2,
    task_default_queue="celery-jobs",
    task_queues=[
        Queue("celery-jobs", routing_key="celery-jobs"),
        Queue("celery-ranked", routing_key="celery-ranked", queue_arguments={"x-max-priority": 10}),
    ],
    task_routes={"celery_tasks.note": {"queue": "celery-ranked"}},
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    task_send_sent_event=True,
    result_expires=60,
    worker_hijack_root_logger=False,
)


@app.task
def add(x: int, y: int) -> int:
    return x + y


@app.task(bind=True, max_retries=3)
def stubborn(self: Any, name: str) -> int:
    """Fails twice, and is tried again after a moment each time: that is a message with an ETA."""
    tries = FOLDER / name
    count = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (count + 1))
    if count < 2:
        raise self.retry(countdown=0.2)
    return count


@app.task
def fails() -> None:
    raise ValueError("no such order")


@app.task
def note(name: str, word: str) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(word + "\n")


@app.task(acks_late=True, reject_on_worker_lost=True)
def long(name: str) -> str:
    """Begins, and does not end while the file `NAME-stay` is there."""
    with (FOLDER / name).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while (FOLDER / f"{name}-stay").exists():
        time.sleep(0.05)
    return "done"
