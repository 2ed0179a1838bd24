"""The scripts for AMQP's clients, with places for what each device has: `str.format` fills them."""

from __future__ import annotations

from typing import Final

PROTON_SCRIPT: Final = '''\
"""Connects as {name}. Needs python-qpid-proton; run it in this folder: python3 proton_client.py [SECONDS]"""

import sys
from pathlib import Path

from proton import Message, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import AtLeastOnce, AtMostOnce, Container

FOLDER = Path(__file__).resolve().parent if "__file__" in globals() else Path()
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
ADDRESS = {address}
SOURCE = {source}
GUARANTEE = {guarantee}


class Client(MessagingHandler):
    def __init__(self):
        super().__init__()
        self.failed = False
        self.sender = None

    def on_start(self, event):
        tls = SSLDomain(SSLDomain.MODE_CLIENT)
        tls.set_trusted_ca_db(str(FOLDER / "{authority}"))
        tls.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
{tls}        options = dict(ssl_domain=tls, reconnect=False, allowed_mechs="{mechanism}", virtual_host={host})
{password}        self.connection = event.container.connect({url}, **options)
        if SOURCE is not None:
            event.container.create_receiver(self.connection, SOURCE)
        else:
            self.speak(event)
        event.container.schedule(SECONDS, self)

    def speak(self, event):
        if ADDRESS is not None and self.sender is None:
            self.sender = event.container.create_sender(self.connection, ADDRESS, options=GUARANTEE())

    def on_connection_opened(self, event):
        print("connected", flush=True)

    def on_link_opened(self, event):
        self.speak(event)  # first it hears

    def on_sendable(self, event):
        self.on_sendable = lambda event: None
        event.sender.send(Message(body=b"{example}", content_type="text/plain"))
        if GUARANTEE is AtMostOnce:
            print("sent to", ADDRESS, flush=True)

    def on_accepted(self, event):
        print("sent to", ADDRESS, flush=True)

    def on_rejected(self, event):
        print("refused:", event.delivery.remote.condition, flush=True)
        self.failed = True

    def on_message(self, event):
        topic = (event.message.annotations or {{}}).get("x-opt-topic", SOURCE)
        body = event.message.body
        print("received", topic, bytes(body) if isinstance(body, memoryview) else body, flush=True)

    def on_link_error(self, event):
        print("failed:", event.link.remote_condition, flush=True)
        self.failed = True

    def on_transport_error(self, event):
        print("failed:", event.transport.condition, flush=True)
        self.failed = True

    def on_timer_task(self, event):
        self.connection.close()


client = Client()
Container(client).run()
sys.exit(1 if client.failed else 0)
'''

RHEA_SCRIPT: Final = """\
// Connects as {name}. Needs rhea (npm install rhea); run it in this folder: node rhea_client.js [SECONDS]
'use strict';
const fs = require('fs');
const path = require('path');
const rhea = require('rhea');

const file = (name) => fs.readFileSync(path.join(__dirname, name));
const seconds = Number(process.argv[2] || 5);
const address = {address};
const source = {source};
const settled = {settled}; // 1: at most once
const container = rhea.create_container();
let sent = false;

const connection = container.connect({{
    host: {host},
    port: {port},
    transport: 'tls',
    ca: [file('{authority}')],
    servername: {host},
{credentials}    reconnect: false,
}});

function speak() {{
    if (address !== null) {{
        connection.open_sender({{ target: address, snd_settle_mode: settled }});
    }}
}}

if (source !== null) {{
    connection.open_receiver(source);
}} else {{
    speak();
}}
container.on('connection_open', () => console.log('connected'));
container.on('receiver_open', speak); // first it hears
container.on('sendable', (context) => {{
    if (!sent) {{
        sent = true;
        const body = rhea.message.data_section(Buffer.from('{example}'));
        context.sender.send({{ body, content_type: 'text/plain' }});
        if (settled === 1) {{
            console.log('sent to', address);
        }}
    }}
}});
container.on('accepted', () => console.log('sent to', address));
container.on('message', (context) => {{
    const topic = (context.message.message_annotations || {{}})['x-opt-topic'] || source;
    const body = context.message.body;
    console.log('received', topic, body && body.content ? body.content.toString() : body);
}});
for (const failure of ['rejected', 'sender_error', 'receiver_error', 'connection_error', 'disconnected']) {{
    container.on(failure, (context) => {{
        const end = context.error || context.connection.error || {{}};
        console.log('failed:', failure, end.description || end.message || '');
        process.exit(1);
    }});
}}
container.on('connection_close', () => process.exit(0));
setTimeout(() => connection.close(), seconds * 1000);
"""

PIKA_SCRIPT: Final = '''\
"""Connects as {name} by AMQP 0-9-1. Needs pika; run it in this folder: python3 pika_client.py [SECONDS]"""

import ssl
import sys
import time
from pathlib import Path

import pika

FOLDER = Path(__file__).resolve().parent if "__file__" in globals() else Path()
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
ROUTING_KEY = {routing_key}
BINDING_KEY = {binding_key}

tls = ssl.create_default_context(cafile=str(FOLDER / "{authority}"))
{credentials}parameters = pika.ConnectionParameters(
    {host}, {port}, credentials=credentials, ssl_options=pika.SSLOptions(tls, {host})
)


def received(channel, method, properties, body):
    print("received", method.routing_key, body, flush=True)


try:
    connection = pika.BlockingConnection(parameters)
    print("connected", flush=True)
    channel = connection.channel()
    if BINDING_KEY is not None:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "amq.topic", BINDING_KEY)
        channel.basic_consume(queue, received, auto_ack=True)
    if ROUTING_KEY is not None:
        channel.confirm_delivery()
        properties = pika.BasicProperties(content_type="text/plain", delivery_mode={mode})
        channel.basic_publish("amq.topic", ROUTING_KEY, b"{example}", properties)
        print("sent to", ROUTING_KEY, flush=True)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        connection.process_data_events(time_limit=max(0.0, end - time.monotonic()))
    connection.close()
except (pika.exceptions.AMQPError, OSError) as fault:
    sys.exit(f"failed: {{fault!r}}")
'''
