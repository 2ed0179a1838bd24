"""Qpid Proton as somebody else's hands: a line of JSON says what to do, a line of JSON what came of it.

{"receive": ADDRESS}, {"take": COUNT}, {"send": ADDRESS, "message": FIELDS}, {"lines": ADDRESS, "bodies": [...]}
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from proton import ConnectionException, Delivery, Message, SSLDomain
from proton.utils import BlockingConnection, LinkDetached, SendException

PATIENCE = 30
OUTCOMES = {Delivery.REJECTED: "rejected", Delivery.RELEASED: "released", Delivery.MODIFIED: "modified"}


def connect() -> BlockingConnection:
    domain = SSLDomain(SSLDomain.MODE_CLIENT)
    domain.set_trusted_ca_db(os.environ["AMQP_CA"])
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    return BlockingConnection(
        f"amqps://localhost:{os.environ['AMQPS_PORT']}",
        timeout=PATIENCE,
        ssl_domain=domain,
        allowed_mechs="PLAIN",
        user=os.environ["AMQP_USER"],
        password=os.environ["AMQP_PASSWORD"],
        virtual_host="localhost",
    )


def plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return {"binary": value.hex()}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def told(message: Message) -> dict[str, Any]:
    return {
        "body": bytes(message.body).decode() if isinstance(message.body, bytes | memoryview) else message.body,
        "properties": plain(message.properties or {}),
        "annotations": plain(message.annotations or {}),
        "content_type": message.content_type,
        "correlation_id": plain(message.correlation_id),
        "reply_to": message.reply_to,
        "subject": message.subject,
        "durable": message.durable,
        "priority": message.priority,
        "ttl": message.ttl,
    }


def made(fields: dict[str, Any]) -> Message:
    """`data` and `user` are text."""
    body = fields.pop("data").encode()
    user = fields.pop("user", "")
    message = Message(body=body, **fields)
    if user:
        message.user_id = user.encode()
    return message


def do(connection: BlockingConnection, order: dict[str, Any], links: dict[str, Any]) -> Any:
    if "receive" in order:
        links["receiver"] = connection.create_receiver(order["receive"], credit=100)
        return {"open": order["receive"]}
    if "take" in order:
        found = []
        for _ in range(order["take"]):
            found.append(told(links["receiver"].receive(timeout=PATIENCE)))
            links["receiver"].accept()
        return found
    address = order.get("send") or order["lines"]
    if address not in links:
        links[address] = connection.create_sender(address)
    if "lines" in order:
        for body in order["bodies"]:
            links[address].send(Message(body=body.encode()))
        return {"sent": len(order["bodies"])}
    links[address].send(made(order["message"]))
    return {"sent": 1}


def main() -> None:
    connection = connect()
    links: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            answer = do(connection, json.loads(line), links)
        except LinkDetached as fault:
            answer = {"refused": fault.condition, "because": str(fault)}
        except SendException as fault:
            answer = {"outcome": OUTCOMES[fault.state]}
        except ConnectionException as fault:
            answer = {"closed": str(fault)}
        print(json.dumps(answer), flush=True)
    connection.close()


main()
