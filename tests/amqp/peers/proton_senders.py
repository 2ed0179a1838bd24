"""Qpid Proton as a sender: transactions, exactly once, small frames, the anonymous terminus, credit.

`python proton_senders.py WHAT PREFIX`; says one line of JSON. PREFIX keeps topics of one test apart from others'.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from proton import Delivery, Link, Message, SSLDomain
from proton.handlers import MessagingHandler, TransactionHandler
from proton.reactor import Container, LinkOption


class Second(LinkOption):
    """Both settle modes for exactly once."""

    def apply(self, link: Link) -> None:
        link.snd_settle_mode = Link.SND_UNSETTLED
        link.rcv_settle_mode = Link.RCV_SECOND


def connect(container: Container, **options: Any) -> Any:
    domain = SSLDomain(SSLDomain.MODE_CLIENT)
    domain.set_trusted_ca_db(os.environ["AMQP_CA"])
    domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    return container.connect(
        f"amqps://localhost:{os.environ['AMQPS_PORT']}",
        ssl_domain=domain,
        allowed_mechs="PLAIN",
        user=os.environ["AMQP_USER"],
        password=os.environ["AMQP_PASSWORD"],
        virtual_host="localhost",
        reconnect=False,
        **options,
    )


class Told(MessagingHandler):
    """Says `self.told` when the connection is closed; a fault ends it with the reason."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self.topic = f"/topics/{prefix}"
        self.told: dict[str, Any] = {}

    def on_transport_error(self, event: Any) -> None:
        raise SystemExit(f"transport: {event.transport.condition}")

    def on_link_error(self, event: Any) -> None:
        self.told["link"] = event.link.remote_condition.name
        event.connection.close()


class Transactions(Told, TransactionHandler):
    """Commits two messages, aborts two, commits one; takes them within transactions too: the first try is aborted."""

    def __init__(self, prefix: str) -> None:
        Told.__init__(self, prefix, prefetch=0, auto_accept=False)
        self.batches = [(["a", "b"], True), (["c", "d"], False), (["e"], True)]
        self.held: list[Delivery] = []
        self.told = {"heard": [], "ends": []}
        self.taking: Any = None
        self.tries = 0

    def on_start(self, event: Any) -> None:
        self.container = event.container
        self.connection = connect(event.container)
        self.receiver = event.container.create_receiver(self.connection, self.topic)
        self.sender = event.container.create_sender(self.connection, self.topic)

    def on_link_opened(self, event: Any) -> None:
        if event.link.is_receiver:
            event.link.flow(10)

    def on_sendable(self, event: Any) -> None:
        if event.link == self.sender and len(self.batches) == 3 and not self.told["ends"]:
            self.next()

    def next(self) -> None:
        if self.batches and not hasattr(self, "transaction"):
            self.container.declare_transaction(self.connection, handler=self)
        elif not self.batches:
            self.check()

    def on_transaction_declared(self, event: Any) -> None:
        if self.batches:
            self.transaction = event.transaction
            bodies, good = self.batches[0]
            for body in bodies:
                self.transaction.send(self.sender, Message(body=body))
            self.transaction.commit() if good else self.transaction.abort()
        else:
            self.taking = event.transaction
            for delivery in self.held:
                self.taking.accept(delivery)
            self.held = []
            self.tries += 1
            self.taking.commit() if self.tries == 2 else self.taking.abort()

    def ended(self, how: str) -> None:
        self.told["ends"].append(how)
        if self.batches:
            self.batches.pop(0)
            del self.transaction
            self.next()
        elif self.tries == 1:
            self.taking = None  # Proton has released them: they come again
            self.check()
        else:
            self.connection.close()

    def on_transaction_committed(self, event: Any) -> None:
        self.ended("committed")

    def on_transaction_aborted(self, event: Any) -> None:
        self.ended("aborted")

    def on_transaction_commit_failed(self, event: Any) -> None:
        self.ended("failed")

    def on_message(self, event: Any) -> None:
        self.held.append(event.delivery)
        self.told["heard"].append(event.message.body)
        self.check()

    def check(self) -> None:
        if len(self.held) == 3 and not self.batches and self.taking is None:
            self.taking = self.container
            self.container.declare_transaction(self.connection, handler=self)


class Exactly(Told):
    """Three messages, each with the whole exchange on both links."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, auto_accept=False, auto_settle=False)
        self.told = {"heard": [], "accepted": 0, "settled": 0}
        self.sent = 0

    def on_start(self, event: Any) -> None:
        connection = connect(event.container)
        self.receiver = event.container.create_receiver(connection, self.topic, options=Second())
        self.sender = event.container.create_sender(connection, self.topic, options=Second())

    def on_link_opened(self, event: Any) -> None:
        self.told["sender" if event.link.is_sender else "receiver"] = event.link.remote_rcv_settle_mode

    def on_sendable(self, event: Any) -> None:
        while self.sent < 3 and event.sender.credit:
            event.sender.send(Message(body=self.sent))
            self.sent += 1

    def on_message(self, event: Any) -> None:
        self.told["heard"].append(event.message.body)
        event.delivery.update(Delivery.ACCEPTED)

    def on_accepted(self, event: Any) -> None:
        self.told["accepted"] += 1
        event.delivery.settle()

    def on_settled(self, event: Any) -> None:
        if event.link.is_receiver:
            self.told["settled"] += 1
            event.delivery.settle()
            if self.told["settled"] == 3:
                event.connection.close()


class Large(Told):
    """Messages of many frames of 512 octets, both ways."""

    def on_start(self, event: Any) -> None:
        connection = connect(event.container, max_frame_size=512)
        self.receiver = event.container.create_receiver(connection, self.topic)
        self.sender = event.container.create_sender(connection, self.topic)
        self.sizes = [1, 5_000, 300_000]
        self.told = {"same": []}

    def on_sendable(self, event: Any) -> None:
        while self.sizes and event.sender.credit:
            event.sender.send(Message(body=bytes([len(self.sizes)]) * self.sizes.pop(0)))

    def on_message(self, event: Any) -> None:
        body = bytes(event.message.body)
        self.told["same"].append([len(body), len(set(body))])
        if len(self.told["same"]) == 3:
            event.connection.close()


class Anonymous(Told):
    """One link for two topics, and a queue that is not there."""

    def on_start(self, event: Any) -> None:
        self.connection = connect(event.container)
        self.one = event.container.create_receiver(self.connection, self.topic + "%2Fone")
        self.two = event.container.create_receiver(self.connection, self.topic + "%2Ftwo")
        self.sender = event.container.create_sender(self.connection, None)
        self.told = {"heard": {}, "rejected": []}
        self.sent = False

    def on_sendable(self, event: Any) -> None:
        if self.sent:
            return
        self.sent = True
        for name in ("one", "two"):
            event.sender.send(Message(address=f"{self.topic}%2F{name}", body=name))
        event.sender.send(Message(address="/queues/there-is-none", body="lost"))

    def on_message(self, event: Any) -> None:
        self.told["heard"][event.message.body] = event.link == (self.one if event.message.body == "one" else self.two)
        self.finish()

    def on_rejected(self, event: Any) -> None:
        self.told["rejected"].append(event.delivery.remote.condition.name)
        self.finish()

    def finish(self) -> None:
        if len(self.told["heard"]) == 2 and self.told["rejected"]:
            self.connection.close()


class Drained(Told):
    """A receiver with more credit than there are messages, which drains it."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix, prefetch=0)

    def on_start(self, event: Any) -> None:
        self.connection = connect(event.container)
        self.receiver = event.container.create_receiver(self.connection, self.topic)
        self.sender = event.container.create_sender(self.connection, self.topic)
        self.told = {"heard": 0}

    def on_sendable(self, event: Any) -> None:
        if not self.told.get("sent"):
            self.told["sent"] = True
            event.sender.send(Message(body=1))

    def on_accepted(self, event: Any) -> None:
        self.receiver.drain(20)

    def on_message(self, event: Any) -> None:
        self.told["heard"] += 1

    def on_link_flow(self, event: Any) -> None:
        if event.link.is_receiver and self.told["heard"]:
            self.told["credit"] = event.link.credit
            self.connection.close()


WHATS = {
    "transactions": Transactions,
    "exactly": Exactly,
    "large": Large,
    "anonymous": Anonymous,
    "drained": Drained,
}

if __name__ == "__main__":
    handler = WHATS[sys.argv[1]](sys.argv[2])
    Container(handler).run()
    print(json.dumps(handler.told))
