"""pika while the hub is killed: a publisher with confirms, or a consumer that acknowledges each delivery.

`python crash_pika.py publish|consume QUEUE`. Standard input has a line for each time the hub is there: "port N"; then
"end". A publisher says how much is confirmed, and sends again what was not; a consumer takes until the queue is empty
and says what it got: body, routing key, whether it was said to be redelivered.
"""

from __future__ import annotations

import json
import os
import queue
import ssl
import sys
import threading
import time
from typing import Any

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

WORDS: queue.Queue[str] = queue.Queue()
IDLE = 1.0  # seconds without a message after which a consumer looks whether the queue is empty


def say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def listen() -> None:
    for line in sys.stdin:
        WORDS.put(line.strip())
    WORDS.put("end")


def connected() -> Any:
    """Of the next hub; None at the end."""
    word = WORDS.get()
    if word == "end":
        return None
    context = ssl.create_default_context(cafile=os.environ["AMQP_CA"])
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            host="localhost",
            port=int(word.removeprefix("port ")),
            ssl_options=pika.SSLOptions(context, "localhost"),
            credentials=pika.PlainCredentials(os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"]),
        )
    )


def publish(name: str) -> None:
    confirmed = 0
    sendings = 0
    connection = connected()
    while connection is not None:
        try:
            channel = connection.channel()
            channel.queue_declare(name, durable=True)
            channel.confirm_delivery()
            while WORDS.empty():
                sendings += 1
                body = str(confirmed + 1).encode()
                channel.basic_publish("", name, body, pika.BasicProperties(delivery_mode=2), mandatory=True)
                confirmed += 1
                say({"confirmed": confirmed})
            connection.close()
        except (NackError, UnroutableError):
            raise  # no kill: the hub said no
        except AMQPError:
            pass  # killed: what was not confirmed is sent again to the next one
        connection = connected()
    say({"last": confirmed, "sendings": sendings})


def consume(name: str) -> None:
    got: list[tuple[str, str, bool]] = []
    connection = connected()
    while connection is not None:
        try:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=20)
            last = time.monotonic()
            for method, _, body in channel.consume(name, inactivity_timeout=0.1):
                if method is None:
                    if not WORDS.empty() and time.monotonic() > last + IDLE and is_empty(channel, name):
                        break
                    continue
                last = time.monotonic()
                got.append((body.decode(), method.routing_key, method.redelivered))
                channel.basic_ack(method.delivery_tag)
                say({"got": len(got)})
            connection.close()
        except AMQPError:
            pass  # killed: what was not acknowledged comes again
        connection = connected()
    say({"all": got})


def is_empty(channel: Any, name: str) -> bool:
    waiting: int = channel.queue_declare(name, passive=True).method.message_count
    return waiting == 0


threading.Thread(target=listen, daemon=True).start()
{"publish": publish, "consume": consume}[sys.argv[1]](sys.argv[2])
