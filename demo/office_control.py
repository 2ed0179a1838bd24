"""The office control: watches the meeting room and tells people when it is too warm before a meeting.

The demo's calendar has a meeting every twenty seconds; people are told in the ten seconds before.
"""

from __future__ import annotations

import time

import paho.mqtt.client as mqtt
import people

TOO_WARM = 20.5
MEETING_EVERY = 20.0
TOLD_BEFORE = 10.0


def main() -> None:
    name, bundle, port = people.arguments()
    client = people.client(name, bundle, port)
    began = time.monotonic()
    told = -1

    def on_message(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        nonlocal told
        reading = float(message.payload)
        people.tell("received", topic=message.topic, reading=reading, retained=message.retain, qos=message.qos)
        meeting, since = divmod(time.monotonic() - began, MEETING_EVERY)
        left = MEETING_EVERY - since
        if reading > TOO_WARM and left <= TOLD_BEFORE and told != meeting:
            told = int(meeting)
            notice = f"The meeting room has {reading:.1f} °C, and the meeting begins in {left:.0f} s: open a window"
            client.publish(people.NOTICE, notice, qos=1)
            people.tell("notice", text=notice)

    def on_connect(client: mqtt.Client, _: object, __: object, reason: object, ___: object) -> None:
        client.subscribe(people.TEMPERATURE, qos=1)

    client.on_message = on_message
    client.on_connect = on_connect
    client.loop_forever()


main()
