"""uamqp: receives from a topic what it sends to it, over TLS, then the same with a queue.

`python uamqp_use.py URI...`, each amqps://localhost/ADDRESS, for it knows no other form of addresses; one line of JSON
for each: what was received.
"""

from __future__ import annotations

import json
import os
import sys
import time

import uamqp
from uamqp import authentication


def proof() -> authentication.SASLPlain:
    return authentication.SASLPlain(
        "localhost",
        os.environ["AMQP_USER"],
        os.environ["AMQP_PASSWORD"],
        port=int(os.environ["AMQPS_PORT"]),
        verify=os.environ["AMQP_CA"],
    )


def pass_on(address: str) -> list[str]:
    source = uamqp.address.Source(address)
    target = uamqp.address.Target(address)
    receiver = uamqp.ReceiveClient(source, auth=proof(), timeout=10_000)
    receiver.open()
    while not receiver.client_ready():
        time.sleep(0.01)
    receiver.do_work()
    sender = uamqp.SendClient(target, auth=proof())
    for text in ("one of uamqp", "two of uamqp"):
        sender.send_message(uamqp.Message(text.encode()))
    sender.close()
    found: list[str] = []
    while len(found) < 2:
        for message in receiver.receive_message_batch(timeout=10_000):
            found.append(b"".join(message.get_data()).decode())
            message.accept()
    receiver.close()
    return found


if __name__ == "__main__":
    for each in sys.argv[1:]:
        sys.stdout.write(json.dumps(pass_on(each)) + "\n")
