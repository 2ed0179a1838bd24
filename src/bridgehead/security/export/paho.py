"""Python for paho-mqtt 2."""

from __future__ import annotations

from typing import Final

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD
from bridgehead.security.export.terms import EXAMPLE, Terms

_PAHO: Final = '''\
"""Connects as {name}. Needs paho-mqtt 2; run it in this folder: python3 paho_client.py [SECONDS]"""

import sys
import time
from pathlib import Path

import paho.mqtt.client as mqtt

FOLDER = Path(__file__).resolve().parent if "__file__" in globals() else Path()
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
TOPIC = {topic}
TOPIC_FILTER = {topic_filter}
failures = []


def on_connect(client, userdata, flags, reason_code, properties):
    print("connected:", reason_code, flush=True)
    if reason_code.is_failure:
        failures.append(reason_code)
        client.disconnect()
        return
    if TOPIC_FILTER is not None:
        client.subscribe(TOPIC_FILTER, qos={subscribe_qos})
    if TOPIC is not None:
        client.publish(TOPIC, "{example}", qos={publish_qos})


def on_publish(client, userdata, mid, reason_code, properties):
    print("published to", TOPIC, "-", reason_code, flush=True)
    if reason_code.is_failure:
        failures.append(reason_code)


def on_subscribe(client, userdata, mid, reason_codes, properties):
    print("subscribed to", TOPIC_FILTER, "-", reason_codes[0], flush=True)
    if reason_codes[0].is_failure:
        failures.append(reason_codes[0])


def on_message(client, userdata, message):
    print("received", message.topic, message.payload, flush=True)


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id={client_id}, protocol=mqtt.MQTTv5)
client.on_connect, client.on_publish = on_connect, on_publish
client.on_subscribe, client.on_message = on_subscribe, on_message
{credentials}client.connect({host}, {port})
client.loop_start()
time.sleep(SECONDS)
client.disconnect()
client.loop_stop()
sys.exit(1 if failures else 0)
'''


def paho(terms: Terms) -> str:
    tls = [f'ca_certs=str(FOLDER / "{AUTHORITY}")']
    if terms.certificate is not None:
        tls += [f'certfile=str(FOLDER / "{CERTIFICATE}")', f'keyfile=str(FOLDER / "{KEY}")']
    credentials = f"client.tls_set({', '.join(tls)})\n"
    if terms.password is not None:
        read = f'(FOLDER / "{PASSWORD}").read_text().rstrip("\\n")'
        credentials += f"client.username_pw_set({terms.name!r}, {read})\n"
    return _PAHO.format(
        name=terms.name,
        topic=repr(terms.topic),
        topic_filter=repr(terms.topic_filter),
        publish_qos=terms.publish_qos,
        subscribe_qos=terms.subscribe_qos,
        client_id=repr(terms.client_id()),
        credentials=credentials,
        host=repr(terms.host),
        port=terms.port,
        example=EXAMPLE,
    )
