"""The temperature sensor in the meeting room: publishes a reading every second."""

from __future__ import annotations

import time

import people
import thermometer


def main() -> None:
    name, bundle, port = people.arguments()
    found = thermometer.find()
    people.tell("source", source=found.source)
    client = people.client(name, bundle, port)
    client.loop_start()
    while True:
        reading = f"{found.read():.2f}"
        client.publish(people.TEMPERATURE, reading, qos=1, retain=True).wait_for_publish(10)
        people.tell("sent", reading=reading)
        time.sleep(1)


main()
