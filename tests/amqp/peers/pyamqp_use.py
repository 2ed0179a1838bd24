"""py-amqp (amqplib's heir, under Celery) in use: its channel's verbs as kombu calls them."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

import amqp


def connect() -> Any:
    made = amqp.Connection(
        f"localhost:{os.environ['AMQPS_PORT']}",
        userid=os.environ["AMQP_USER"],
        password=os.environ["AMQP_PASSWORD"],
        ssl={"ca_certs": os.environ["AMQP_CA"], "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": "localhost"},
        confirm_publish=True,
        heartbeat=2,
    )
    made.connect()
    return made


def main() -> None:
    connection = connect()
    channel = connection.channel()
    channel.exchange_declare("pyamqp.ex", "direct", durable=True, auto_delete=False)
    channel.queue_declare("pyamqp/q", durable=True, auto_delete=False, arguments={"x-max-priority": 5})
    channel.queue_bind("pyamqp/q", "pyamqp.ex", "k")
    for number, priority in enumerate((0, 5, 1)):
        message = amqp.Message(str(number), priority=priority, application_headers={"n": number}, delivery_mode=2)
        channel.basic_publish(message, "pyamqp.ex", "k")
    got = []
    for _ in range(3):
        message = channel.basic_get("pyamqp/q")
        got.append([message.body, message.headers["n"], message.delivery_info["redelivered"]])
        channel.basic_ack(message.delivery_tag)
    channel.basic_publish(amqp.Message("again"), "pyamqp.ex", "k")
    first = channel.basic_get("pyamqp/q")
    channel.basic_recover(requeue=True)
    second = channel.basic_get("pyamqp/q", no_ack=True)
    purged = channel.queue_purge("pyamqp/q")
    seen: list[str] = []
    channel.basic_qos(0, 1, False)

    def take(message: Any) -> None:
        seen.append(message.body)
        channel.basic_ack(message.delivery_tag)

    tag = channel.basic_consume("pyamqp/q", callback=take)
    for word in ("a", "b", "c"):
        channel.basic_publish(amqp.Message(word), "pyamqp.ex", "k")
    until = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < until:
        connection.drain_events(timeout=20)
    channel.basic_cancel(tag)
    beats = connection.heartbeat
    for _ in range(int(float(sys.argv[1]) / 0.5)):
        with contextlib.suppress(TimeoutError):
            connection.drain_events(timeout=0.5)
        connection.heartbeat_tick()
    errors = []
    acts: list[Callable[[Any], Any]] = [
        lambda c: c.queue_declare("pyamqp/none", passive=True),
        lambda c: c.queue_declare("pyamqp/q", durable=True, auto_delete=False, arguments={"x-max-priority": 6}),
        lambda c: c.exchange_declare("pyamqp.ex", "topic", durable=True, auto_delete=False),
    ]
    for act in acts:
        try:
            act(connection.channel())
        except amqp.exceptions.AMQPError as error:
            errors.append([type(error).__name__, error.reply_code])
    channel.queue_delete("pyamqp/q")
    channel.exchange_delete("pyamqp.ex")
    connection.close()
    print(
        json.dumps(
            {
                "by priority": got,
                "recovered": [first.body, second.body, second.delivery_info["redelivered"]],
                "purged": purged,
                "consumed": seen,
                "heartbeat": beats,
                "errors": errors,
            }
        )
    )


main()
