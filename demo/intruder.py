"""An intruder: a device that is known to the hub and has a right to the lobby only, and tries for more."""

from __future__ import annotations

import time

import paho.mqtt.client as mqtt
import people
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode


def main() -> None:
    name, bundle, port = people.arguments()
    client = people.client(name, bundle, port)

    def on_subscribe(_: mqtt.Client, __: object, ___: int, reasons: list[ReasonCode], properties: Properties) -> None:
        why = getattr(properties, "ReasonString", "")
        people.tell("tried", what=f"subscribe {people.TEMPERATURE}", answer=str(reasons[0]), why=why)

    def on_publish(_: mqtt.Client, __: object, ___: int, reason: ReasonCode, properties: Properties) -> None:
        why = getattr(properties, "ReasonString", "")
        people.tell("tried", what=f"publish 99 to {people.TEMPERATURE}", answer=str(reason), why=why)

    client.on_subscribe = on_subscribe
    client.on_publish = on_publish
    client.loop_start()
    while True:
        time.sleep(3)
        client.subscribe(people.TEMPERATURE, qos=1)
        client.publish(people.TEMPERATURE, "99", qos=1)
        time.sleep(4)


main()
