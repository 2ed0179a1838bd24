"""Qpid Proton's blocking client: logs in by one SASL mechanism, says something to a topic, hears it, and leaves.

`python proton_login.py MECHANISM TOPIC [tls|plain]`; says one line of JSON: the mechanism in force and what was heard,
or why it was refused. What proves the identity stands in the environment.
"""

from __future__ import annotations

import json
import os
import sys

from proton import ConnectionException, Message, SSLDomain
from proton.utils import BlockingConnection, LinkDetached, SendException


def domain() -> SSLDomain:
    found = SSLDomain(SSLDomain.MODE_CLIENT)
    found.set_trusted_ca_db(os.environ["AMQP_CA"])
    found.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
    if os.environ.get("SHOW_CERTIFICATE"):
        found.set_credentials(os.environ["AMQP_CERTIFICATE"], os.environ["AMQP_KEY"], None)
    return found


def main(mechanism: str, topic: str, how: str = "tls") -> object:
    by_name = {"user": os.environ["AMQP_USER"], "password": os.environ["AMQP_PASSWORD"]}
    if mechanism in ("EXTERNAL", "GSSAPI"):
        by_name = {}
    where = f"amqps://localhost:{os.environ['AMQPS_PORT']}"
    if how == "plain":
        where = f"amqp://localhost:{os.environ['AMQP_PORT']}"
    try:
        connection = BlockingConnection(
            where,
            timeout=10,
            ssl_domain=domain() if how == "tls" else None,
            allowed_mechs=mechanism,
            allow_insecure_mechs=True,
            virtual_host="localhost",
            **by_name,
        )
        in_force = connection.conn.transport.sasl().mech
        receiver = connection.create_receiver(topic, credit=1)
        sender = connection.create_sender(topic)
        sender.send(Message(body="said by Proton"))
        heard = receiver.receive(timeout=10)
        receiver.accept()
        connection.close()
    except (ConnectionException, LinkDetached, SendException) as fault:
        return {"refused": str(fault)}
    return {"mechanism": in_force, "heard": heard.body}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
