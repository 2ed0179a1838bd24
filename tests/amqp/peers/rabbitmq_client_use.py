"""RabbitMQ's own AMQP 1.0 client for Python: its publisher and consumer on a queue and on a topic, over TLS.

It talks to what calls itself RabbitMQ and to nothing else, and declares by a management link that only RabbitMQ has:
that check is left out here, and queues are declared by others.
"""

from __future__ import annotations

import json
import os
import sys
from urllib.parse import quote

from rabbitmq_amqp_python_client import (
    AMQPMessagingHandler,
    Connection,
    Environment,
    Event,
    Message,
    PosixSslConfigurationContext,
)
from rabbitmq_amqp_python_client.address_helper import AddressHelper


class Collecting(AMQPMessagingHandler):
    def __init__(self, wanted: int) -> None:
        super().__init__()
        self._wanted = wanted
        self.found: list[str] = []

    def on_amqp_message(self, event: Event) -> None:
        self.found.append(bytes(event.message.body).decode())
        self.delivery_context.accept(event)
        if len(self.found) == self._wanted:
            sys.stdout.write(json.dumps({"consumed": self.found}) + "\n")
            sys.stdout.flush()
            event.receiver.close()
            event.connection.close()
            os._exit(0)  # its consumer runs for ever


def unchecked(self: Connection) -> None:
    """Whoever answers may be another hub than RabbitMQ."""


def main(queue: str) -> None:
    Connection._validate_server_properties = unchecked
    user, password = os.environ["AMQP_USER"], quote(os.environ["AMQP_PASSWORD"])
    where = f"amqps://{user}:{password}@localhost:{os.environ['AMQPS_PORT']}/"
    environment = Environment(uri=where, ssl_context=PosixSslConfigurationContext(ca_cert=os.environ["AMQP_CA"]))
    connection = environment.connection()
    connection.dial()
    address = AddressHelper.queue_address(queue)
    publisher = connection.publisher(address)
    states = [str(publisher.publish(Message(body=text)).remote_state) for text in (b"one", b"two")]
    sys.stdout.write(json.dumps({"published": states}) + "\n")
    sys.stdout.flush()
    publisher.close()
    handler = Collecting(2)
    consumer = connection.consumer(address, message_handler=handler)
    consumer.run()


if __name__ == "__main__":
    main(sys.argv[1])
