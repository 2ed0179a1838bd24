"""AMQP 1.0: Python for Qpid Proton, with the certificate (SASL EXTERNAL) or the password (SASL PLAIN inside TLS)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD
from bridgehead.security.export.terms import EXAMPLE, Terms

PORT: Final = 5671
TOLD: Final = {"proton_client.py": "sends one message and receives: python3 proton_client.py [SECONDS]"}
COMING: Final = (
    "This version of the hub has no AMQP listener yet: the credentials are in force, and count from the moment\n"
    "that it has one."
)

_SCRIPT: Final = '''\
"""Connects as {name}. Needs python-qpid-proton; run it in this folder: python3 proton_client.py [SECONDS]"""

import sys
from pathlib import Path

from proton import Message, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container

FOLDER = Path(__file__).resolve().parent if "__file__" in globals() else Path()
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
ADDRESS = {address}
SOURCE = {source}


class Client(MessagingHandler):
    def __init__(self):
        super().__init__()
        self.failed = False

    def on_start(self, event):
        tls = SSLDomain(SSLDomain.MODE_CLIENT)
        tls.set_trusted_ca_db(str(FOLDER / "{authority}"))
        tls.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
{tls}        options = dict(ssl_domain=tls, reconnect=False, allowed_mechs="{mechanism}", virtual_host={host})
{password}        self.connection = event.container.connect({url}, **options)
        if SOURCE is not None:
            event.container.create_receiver(self.connection, SOURCE)
        if ADDRESS is not None:
            event.container.create_sender(self.connection, ADDRESS)
        event.container.schedule(SECONDS, self)

    def on_connection_opened(self, event):
        print("connected", flush=True)

    def on_sendable(self, event):
        event.sender.send(Message(body=b"{example}", content_type="text/plain"))
        event.sender.drained()
        self.on_sendable = lambda event: None

    def on_accepted(self, event):
        print("sent to", ADDRESS, flush=True)

    def on_rejected(self, event):
        print("refused:", event.delivery.remote.condition, flush=True)
        self.failed = True

    def on_message(self, event):
        print("received", event.message.address or SOURCE, bytes(event.message.body), flush=True)

    def on_transport_error(self, event):
        print("failed:", event.transport.condition, flush=True)
        self.failed = True

    def on_timer_task(self, event):
        self.connection.close()


client = Client()
Container(client).run()
sys.exit(1 if client.failed else 0)
'''


def script(terms: Terms) -> str:
    tls = ""
    password = ""
    if terms.certificate is not None:
        tls = f'        tls.set_credentials(str(FOLDER / "{CERTIFICATE}"), str(FOLDER / "{KEY}"), None)\n'
    if terms.password is not None:
        read = f'(FOLDER / "{PASSWORD}").read_text().rstrip("\\n")'
        password = f"        options.update(user={terms.name!r}, password={read})\n"
    return _SCRIPT.format(
        name=terms.name,
        address=repr(None if terms.topic is None else address(terms.topic)),
        source=repr(None if terms.topic_filter is None else address(terms.topic_filter)),
        authority=AUTHORITY,
        tls=tls,
        password=password,
        # Who has a certificate and a password shows both: TLS carries the one, SASL the other.
        mechanism="EXTERNAL" if terms.password is None else "PLAIN",
        url=repr(f"amqps://{terms.url_host()}:{terms.port}"),
        host=repr(terms.host),
        example=EXAMPLE,
    )


def address(topic: str) -> str:
    """A Topic Name or Topic Filter as an address: percent-encoded, reversibly; wildcards and `/` stay."""
    return quote(topic, safe="/#+$ -._~")
