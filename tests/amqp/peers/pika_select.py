"""pika's select connection in use: publisher confirms and a consumer that counts, by callbacks alone."""

from __future__ import annotations

import json
import os
import ssl
import sys
from typing import Any

import pika

COUNT = int(sys.argv[1])
QUEUE = "pika/select"


class Machine:
    def __init__(self) -> None:
        context = ssl.create_default_context(cafile=os.environ["AMQP_CA"])
        parameters = pika.ConnectionParameters(
            "localhost",
            int(os.environ["AMQPS_PORT"]),
            credentials=pika.PlainCredentials(os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"]),
            ssl_options=pika.SSLOptions(context, "localhost"),
        )
        self.confirmed = 0
        self.got: list[int] = []
        self.closed = ""
        self.connection = pika.SelectConnection(
            parameters, on_open_callback=self.opened, on_close_callback=self.ended, on_open_error_callback=self.ended
        )

    def opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self.ready)

    def ready(self, channel: Any) -> None:
        self.channel = channel
        channel.basic_qos(prefetch_count=50)
        channel.confirm_delivery(self.confirm)
        channel.queue_declare(QUEUE, durable=True, callback=self.declared)

    def declared(self, _: Any) -> None:
        self.channel.basic_consume(QUEUE, self.message)
        for number in range(COUNT):
            self.channel.basic_publish("", QUEUE, str(number).encode(), pika.BasicProperties(delivery_mode=2))

    def confirm(self, frame: Any) -> None:
        if frame.method.NAME == "Basic.Ack":
            self.confirmed = max(self.confirmed, frame.method.delivery_tag)
        self.perhaps_done()

    def message(self, channel: Any, method: Any, _: Any, body: bytes) -> None:
        self.got.append(int(body))
        if len(self.got) % 10 == 0 or len(self.got) == COUNT:
            channel.basic_ack(method.delivery_tag, multiple=True)
        self.perhaps_done()

    def perhaps_done(self) -> None:
        if self.confirmed == COUNT and len(self.got) == COUNT:
            self.channel.queue_delete(QUEUE, callback=lambda _: self.connection.close())

    def ended(self, _: Any, reason: Any) -> None:
        self.closed = repr(reason)
        self.connection.ioloop.stop()


machine = Machine()
machine.connection.ioloop.start()
print(
    json.dumps(
        {
            "confirmed": machine.confirmed,
            "in order": machine.got == list(range(COUNT)),
            "closed": machine.closed,
        }
    )
)
