"""pika: logs in by one mechanism of 0-9-1, binds a queue of its own to a topic, and takes what it published.

`python pika_login.py PLAIN|EXTERNAL|AMQPLAIN|RABBIT-CR-DEMO|AUTHZID`; a line of JSON: the mechanisms that were offered
and what was heard, or why it was refused. With `stay` as a second word it stays until the hub ends the connection, and
says how; with `renew`, it brings AMQP_TOKEN by update-secret first.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
from typing import Any

import pamqp.encode
import pika
import pika.connection
import pika.credentials
from pika.exceptions import AMQPConnectionError, ConnectionClosed, StreamLostError


class Named(pika.PlainCredentials):
    """PLAIN with an authorization identity, or any other mechanism's name with PLAIN's words."""

    def __init__(self, mechanism: str, words: bytes) -> None:
        super().__init__("", "")
        self._mechanism = mechanism
        self._words = words

    def response_for(self, start: Any) -> tuple[str, bytes]:
        OFFERED.append(bytes(start.mechanisms).decode())
        return self._mechanism, self._words


OFFERED: list[str] = []
# pika lets in no credentials but of its own kinds.
pika.credentials.VALID_TYPES.append(Named)


def credentials(how: str) -> Any:
    name, secret = os.environ["AMQP_USER"].encode(), os.environ["AMQP_PASSWORD"].encode()
    token = os.environ.get("AMQP_TOKEN", "").encode()
    if how == "EXTERNAL":
        return pika.credentials.ExternalCredentials()
    words = {
        "PLAIN": b"\0" + name + b"\0" + secret,
        "AMQPLAIN": pamqp.encode.field_table({"LOGIN": name.decode(), "PASSWORD": secret.decode()})[4:],
        "RABBIT-CR-DEMO": name,
        "AUTHZID": b"somebody-else\0" + name + b"\0" + secret,
        "OAUTHBEARER": b"n,,\x01auth=Bearer " + token + b"\x01\x01",
    }
    return Named({"AUTHZID": "PLAIN"}.get(how, how), words[how])


def main(how: str, then: str = "") -> None:
    context = ssl.create_default_context(cafile=os.environ["AMQP_CA"])
    if how == "EXTERNAL":
        context.load_cert_chain(os.environ["AMQP_CERTIFICATE"], os.environ["AMQP_KEY"])
    parameters = pika.ConnectionParameters(
        "localhost",
        int(os.environ["AMQPS_PORT"]),
        credentials=credentials(how),
        ssl_options=pika.SSLOptions(context, "localhost"),
        blocked_connection_timeout=20,
        socket_timeout=20,
    )
    try:
        connection = pika.BlockingConnection(parameters)
    except AMQPConnectionError as fault:
        tell({"refused": type(fault).__name__, "offered": OFFERED})
        return
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, "amq.topic", "Office.pika")
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", "Office.pika", b"said by pika", mandatory=True)
    _, _, body = channel.basic_get(queue, auto_ack=True)
    tell({"heard": body.decode(), "offered": OFFERED})
    if then == "renew":
        connection.update_secret(sys.stdin.readline().strip(), "it ends soon")
        tell({"renewed": True})
    if then:
        try:
            while True:
                connection.process_data_events(1)
        except ConnectionClosed as end:
            tell({"closed": end.reply_code, "because": end.reply_text})
        except StreamLostError as end:
            tell({"lost": str(end)})
        return
    connection.close()


def tell(found: object) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
