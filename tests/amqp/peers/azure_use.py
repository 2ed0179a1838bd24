"""Azure's own AMQP 1.0 (the pyamqp of azure-servicebus): a topic and a queue, over TLS; and its token by `$cbs`.

`python azure_use.py ADDRESS...`; one line of JSON for each: what was received. With AMQP_TOKEN it brings that token to
`$cbs` before it attaches.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from azure.servicebus._pyamqp import ReceiveClient, SendClient
from azure.servicebus._pyamqp.authentication import AccessToken, JWTTokenAuth, SASLPlainAuth
from azure.servicebus._pyamqp.message import Message


def proof() -> Any:
    plain = SASLPlainAuth(os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"])
    token = os.environ.get("AMQP_TOKEN")
    if not token:
        return plain
    bearer = JWTTokenAuth(
        "amqps://localhost", "amqps://localhost", lambda: AccessToken(token, int(time.time()) + 600), token_type=b"jwt"
    )
    bearer.sasl = plain.sasl  # its own is ANONYMOUS, which no hub of ours offers
    return bearer


def pass_on(address: str) -> list[str]:
    common: dict[str, Any] = {
        "connection_verify": os.environ["AMQP_CA"],
        "custom_endpoint_address": f"sb://localhost:{os.environ['AMQPS_PORT']}",
    }
    receiver = ReceiveClient("localhost", address, auth=proof(), link_credit=10, **common)
    receiver.open()
    while not receiver.client_ready():
        receiver.do_work()
    receiver.do_work()
    sender = SendClient("localhost", address, auth=proof(), **common)
    for text in (b"one of Azure", b"two of Azure"):
        sender.send_message(Message(data=[text]))
    sender.close()
    found: list[str] = []
    while len(found) < 2:
        for message in receiver.receive_message_batch(timeout=10):
            found.append(b"".join(message.data).decode())
    receiver.close()
    return found


if __name__ == "__main__":
    for each in sys.argv[1:]:
        sys.stdout.write(json.dumps(pass_on(each)) + "\n")
