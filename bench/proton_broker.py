"""A broker on Proton's Python binding, to measure beside ours. Runs in the environment of tests/peers/amqp.

python bench/proton_broker.py PORT

The least that such a broker does: what comes to an address goes to the receivers of that address and is accepted. It
asks nobody who he is, and permits everything; the hub beside it checks a password and a policy.
"""

from __future__ import annotations

import sys

from proton import Delivery, Endpoint
from proton.handlers import MessagingHandler
from proton.reactor import Container


class Broker(MessagingHandler):
    def __init__(self, port):
        super().__init__(prefetch=100, auto_accept=True)
        self.port = port
        self.receivers = {}

    def on_start(self, event):
        event.container.listen(f"127.0.0.1:{self.port}")

    def on_link_opening(self, event):
        link = event.link
        if link.is_sender:
            link.source.address = link.remote_source.address
            self.receivers.setdefault(link.source.address, set()).add(link)
        else:
            link.target.address = link.remote_target.address

    def on_message(self, event):
        for link in self.receivers.get(event.link.target.address, ()):
            if link.credit and link.state & Endpoint.REMOTE_ACTIVE:
                link.send(event.message)

    def on_link_closing(self, event):
        self.forget(event.link)

    def on_disconnected(self, event):
        link = event.connection.link_head(0)
        while link is not None:
            self.forget(link)
            link = link.next(0)

    def forget(self, link):
        if link.is_sender and link.source.address in self.receivers:
            self.receivers[link.source.address].discard(link)

    def on_accepted(self, event):
        event.delivery.update(Delivery.ACCEPTED)


Container(Broker(int(sys.argv[1]))).run()
