"""pika as somebody else's hands: a line of JSON says what to do, a line of JSON what came of it.

{"bind": BINDING_KEY}, {"declare": QUEUE, "feed": BINDING_KEY}, {"consume": QUEUE}, {"take": COUNT},
{"send": ROUTING_KEY, "body": TEXT, "properties": FIELDS, "exchange": NAME}
"""

from __future__ import annotations

import json
import os
import ssl
import sys
from typing import Any

import pika
import pika.exceptions

PATIENCE = 30


def connect() -> Any:
    context = ssl.create_default_context(cafile=os.environ["AMQP_CA"])
    credentials = pika.PlainCredentials(os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"])
    return pika.BlockingConnection(
        pika.ConnectionParameters(
            "localhost",
            int(os.environ["AMQPS_PORT"]),
            credentials=credentials,
            ssl_options=pika.SSLOptions(context, "localhost"),
        )
    )


class Hands:
    def __init__(self) -> None:
        self.connection = connect()
        self.open()

    def open(self) -> None:
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.heard: list[Any] = []

    def on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        told = {
            "routing_key": method.routing_key,
            "exchange": method.exchange,
            "body": body.decode(),
            "headers": properties.headers or {},
            "content_type": properties.content_type,
            "correlation_id": properties.correlation_id,
            "reply_to": properties.reply_to,
            "delivery_mode": properties.delivery_mode,
            "expiration": properties.expiration,
            "priority": properties.priority,
        }
        self.heard.append(told)
        channel.basic_ack(method.delivery_tag)

    def do(self, order: dict[str, Any]) -> Any:
        if "bind" in order:
            queue = self.channel.queue_declare("", exclusive=True).method.queue
            self.channel.queue_bind(queue, "amq.topic", order["bind"])
            self.channel.basic_consume(queue, self.on_message)
            return {"bound": order["bind"]}
        if "declare" in order:
            self.channel.queue_declare(order["declare"], durable=True)
            if "feed" in order:
                self.channel.queue_bind(order["declare"], "amq.topic", order["feed"])
            return {"declared": order["declare"]}
        if "consume" in order:
            self.channel.basic_consume(order["consume"], self.on_message)
            return {"consumes": order["consume"]}
        if "take" in order:
            while len(self.heard) < order["take"]:
                self.connection.process_data_events(time_limit=PATIENCE)
            found, self.heard = self.heard[: order["take"]], self.heard[order["take"] :]
            return found
        properties = pika.BasicProperties(**order.get("properties", {}))
        self.channel.basic_publish(
            order.get("exchange", "amq.topic"), order["send"], order["body"].encode(), properties
        )
        return {"sent": 1}


def main() -> None:
    hands = Hands()
    for line in sys.stdin:
        try:
            answer = hands.do(json.loads(line))
        except pika.exceptions.ChannelClosedByBroker as closed:
            answer = {"refused": closed.reply_code, "because": closed.reply_text}
            hands.open()
        except pika.exceptions.NackError:
            answer = {"refused": "nack"}
        print(json.dumps(answer), flush=True)
    hands.connection.close()


main()
