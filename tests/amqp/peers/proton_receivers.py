"""Qpid Proton's blocking client as a receiver: selectors, durable subscriptions, browsing, dynamic nodes, outcomes.

`python proton_receivers.py WHAT PREFIX`; says one line of JSON. PREFIX keeps topics of one test apart from others'.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from proton import Delivery, Message, SSLDomain, Timeout
from proton.reactor import Container, Copy, DurableSubscription, Selector
from proton.utils import BlockingConnection, BlockingReceiver, LinkDetached

PATIENCE = 20


def connect(container: str | None = None) -> BlockingConnection:
    domain = SSLDomain(SSLDomain.MODE_CLIENT)
    domain.set_trusted_ca_db(os.environ["AMQP_CA"])
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    made = None
    if container is not None:
        made = Container()
        made.container_id = container
    return BlockingConnection(
        f"amqps://localhost:{os.environ['AMQPS_PORT']}",
        timeout=PATIENCE,
        container=made,
        ssl_domain=domain,
        allowed_mechs="PLAIN",
        user=os.environ["AMQP_USER"],
        password=os.environ["AMQP_PASSWORD"],
        virtual_host="localhost",
    )


def take(receiver: BlockingReceiver, count: int) -> list[Any]:
    bodies = []
    for _ in range(count):
        bodies.append(receiver.receive(timeout=PATIENCE).body)
        receiver.accept()
    return bodies


def selector(prefix: str) -> object:
    connection = connect()
    topic = f"/topics/{prefix}%2Fselector"
    wanted = Selector("colour = 'red' AND weight > 2.5 AND JMSType LIKE 'al%' AND nothing IS NULL")
    receiver = connection.create_receiver(topic, credit=10, options=wanted)
    sender = connection.create_sender(topic)
    for number, (colour, weight) in enumerate([("red", 1.0), ("red", 3.0), ("blue", 3.0), ("red", 4.0)]):
        sender.send(Message(body=number, subject="alarm", properties={"colour": colour, "weight": weight}))
    heard = take(receiver, 2)
    try:
        connection.create_receiver(topic, name="wrong", options=Selector("colour = "))
        refused = ""
    except LinkDetached as fault:
        refused = str(fault)
    connection.close()
    return {"heard": heard, "refused": refused}


def durable(prefix: str) -> object:
    topic = f"/topics/{prefix}%2Fdurable"
    heard: list[object] = []
    for step in range(3):
        connection = connect(f"{prefix}-container")
        receiver = connection.create_receiver(topic, credit=10, name="news", options=DurableSubscription())
        if step:
            heard.append(take(receiver, 1))
        other = connect()
        if step < 2:
            connection.close()  # the connection ends, the link is not closed
            other.create_sender(topic).send(Message(body=f"while away {step}"))
        else:
            receiver.close()
            connection.close()
        other.close()
    return {"heard": heard}


def browse(prefix: str) -> object:
    connection = connect()
    node = connection.create_receiver(None, dynamic=True, credit=0)
    address = node.link.remote_source.address
    sender = connection.create_sender(address)
    for number in range(3):
        sender.send(Message(body=number))
    looked = take(connection.create_receiver(address, credit=10, name="look", options=Copy()), 3)
    taken = take(connection.create_receiver(address, credit=10, name="take"), 3)
    connection.close()
    return {"address": address.startswith("/queues/reply%2F"), "looked": looked, "taken": taken}


def reply(prefix: str) -> object:
    """A request to a topic, and an answer to where the request says."""
    connection = connect()
    answers = connection.create_receiver(None, dynamic=True, credit=10)
    requests = connection.create_receiver(f"/topics/{prefix}%2Fask", credit=10)
    reply_to = answers.link.remote_source.address
    connection.create_sender(f"/topics/{prefix}%2Fask").send(
        Message(body="how warm?", reply_to=reply_to, correlation_id="c-1")
    )
    request = requests.receive(timeout=PATIENCE)
    requests.accept()
    anonymous = connection.create_sender(None)
    anonymous.send(Message(address=request.reply_to, body="21.5", correlation_id=request.correlation_id))
    answer = answers.receive(timeout=PATIENCE)
    answers.accept()
    connection.close()
    return {"answer": answer.body, "correlation": answer.correlation_id}


def outcomes(prefix: str) -> object:
    connection = connect()
    node = connection.create_receiver(None, dynamic=True, credit=0)
    address = node.link.remote_source.address
    sender = connection.create_sender(address)
    sender.send(Message(body="once"))
    sender.send(Message(body="twice"))
    receiver = connection.create_receiver(address, credit=1, name="one")
    seen = []
    for told in (Delivery.RELEASED, Delivery.MODIFIED, Delivery.ACCEPTED, Delivery.REJECTED):
        message = receiver.receive(timeout=PATIENCE)
        seen.append([message.body, message.delivery_count])
        receiver.settle(told)
    try:
        receiver.receive(timeout=0.3)
        left = True
    except Timeout:
        left = False
    connection.close()
    return {"seen": seen, "left": left}


WHAT = {"selector": selector, "durable": durable, "browse": browse, "reply": reply, "outcomes": outcomes}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(WHAT[sys.argv[1]](sys.argv[2])) + "\n")
