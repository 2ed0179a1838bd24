"""pika on the plaintext listener: declares, binds, publishes with confirms, gets and consumes. `pika_plain.py QUEUE`"""

from __future__ import annotations

import json
import os
import sys

import pika


def main(queue: str) -> None:
    credentials = pika.PlainCredentials(os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"])
    connection = pika.BlockingConnection(
        pika.ConnectionParameters("localhost", int(os.environ["AMQP_PORT"]), credentials=credentials)
    )
    channel = connection.channel()
    channel.queue_declare(queue, auto_delete=True)
    channel.exchange_declare(f"{queue}-exchange", "direct", auto_delete=True)
    channel.queue_bind(queue, f"{queue}-exchange", "key")
    channel.confirm_delivery()
    large = b"0123456789" * 20_000  # of several frames
    properties = pika.BasicProperties(
        content_type="text/plain", headers={"number": 1, "text": "two", "list": [3, True]}
    )
    for body in (b"small", large, b""):
        channel.basic_publish(f"{queue}-exchange", "key", body, properties)
    method, _, body = channel.basic_get(queue)
    channel.basic_ack(method.delivery_tag)
    found = [len(body)]
    for method, _, body in channel.consume(queue, inactivity_timeout=20):
        channel.basic_ack(method.delivery_tag)
        found.append(len(body))
        if len(found) == 3:
            break
    channel.cancel()
    connection.close()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
