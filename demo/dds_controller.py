"""One of two controllers that measure the same hall: publishes DDS samples, twenty a second, with Eclipse Cyclone DDS.

Ownership is exclusive: the stronger one is heard as long as it lives (DDS 1.4 section 2.2.3.9). Its credentials, and
where it finds the others, are in the environment (CYCLONEDDS_URI), as the stage sets it.
"""

# No `from __future__ import annotations`: the binding reads the types of a sample's fields.
import sys
import time
from dataclasses import dataclass
from typing import Any

import people
import thermometer
from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import key
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic
from cyclonedds.util import duration

EVERY = 0.05  # seconds


@dataclass
class Temperature(IdlStruct, typename="plant.Temperature"):
    """plant.idl, in Python."""

    hall: str
    key("hall")
    celsius: float


def main() -> None:
    domain, topic_name, hall, strength, lease = sys.argv[1:6]
    found = thermometer.find()
    participant = DomainParticipant(int(domain))
    qos = Qos(
        Policy.Reliability.Reliable(duration(seconds=1)),
        Policy.Durability.TransientLocal,  # the hub retains what it says
        Policy.Ownership.Exclusive,
        Policy.OwnershipStrength(int(strength)),
        Policy.Liveliness.Automatic(duration(seconds=float(lease))),
    )
    topic: Topic[Any] = Topic(participant, topic_name, Temperature)
    writer: DataWriter[Any] = DataWriter(participant, topic, qos)
    people.tell("controls", hall=hall, strength=int(strength))
    while True:
        writer.write(Temperature(hall, round(found.read(), 2)))
        time.sleep(EVERY)


main()
