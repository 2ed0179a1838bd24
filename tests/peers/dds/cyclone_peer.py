"""Cyclone DDS' Python binding as somebody else's hands: a line of JSON says what to do, a line of JSON what came of it.

    cyclone_peer.py talk|listen DOMAIN TOPIC TYPE [option=value]...     (TYPE: Temperature, Numbered, Renamed or String)

Orders: {"write": FIELDS}, {"flood": COUNT, "room": STEM}, {"hang": true}, {"strength": NUMBER}, {"tag": NAME=VALUE}.
Told: {"ready": true}, {"matched": COUNT}, {"written": COUNT}, {"sample": FIELDS}, {"ended": STATE}, {"refused": WHY}.
Ends where its input does. Options: credentials (a folder of `bridgehead device export --for dds`), partition,
durability, reliability, depth, strength, lease, manual, deadline, lifespan, tag, every (seconds between samples that
are written unasked), room (of those).
"""

import json
import os
import select
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from cyclonedds.core import DDSException, Listener, Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.annotations import key
from cyclonedds.pub import DataWriter, Publisher
from cyclonedds.sub import DataReader, Subscriber
from cyclonedds.topic import Topic
from cyclonedds.util import duration

LOOPBACK: Final = (
    '<General><Interfaces><NetworkInterface address="127.0.0.1" multicast="false"/></Interfaces>'
    "<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    '<MaxAutoParticipantIndex>60</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers></Discovery>'
)
EMPTY: Final = '<CycloneDDS xmlns="https://cdds.io/config"><Domain Id="any"></Domain></CycloneDDS>'
PAUSE: Final = 0.002  # seconds between looks at what came


@dataclass
class Temperature(IdlStruct, typename="office.Temperature"):
    room: str
    key("room")
    celsius: float
    counter: int


@dataclass
class Numbered(IdlStruct, typename="office.Temperature"):
    """The same name for another type."""

    room: int
    key("room")
    celsius: str


@dataclass
class Renamed(IdlStruct, typename="kitchen.Temperature"):
    """Another name for the same type."""

    room: str
    key("room")
    celsius: float
    counter: int


@dataclass
class String(IdlStruct, typename="std_msgs.msg.dds_.String_"):
    data: str


TELLING: Final = threading.Lock()
TYPES: Final = {"Temperature": Temperature, "Numbered": Numbered, "Renamed": Renamed, "String": String}


def tell(what: dict[str, Any]) -> None:
    with TELLING:  # listeners tell from a thread of their own
        print(json.dumps(what), flush=True)


def ears() -> Any:
    made: Any = Matched  # the binding doesn't say what a Listener takes
    return made()


def domain(number: int, options: dict[str, str]) -> Domain:
    text = EMPTY
    if folder := options.get("credentials"):
        os.environ["BRIDGEHEAD_DDS"] = folder  # the exported configuration reads it
        text = (Path(folder) / "cyclonedds.xml").read_text()
    return Domain(number, text.replace('<Domain Id="any">', '<Domain Id="any">' + LOOPBACK, 1))


def tags(tag: str) -> Any:
    return Policy.Userdata(f"tag:{tag};".encode())


def quality(options: dict[str, str]) -> Qos:
    reliable = options.get("reliability", "reliable") == "reliable"
    kept = options.get("durability", "volatile") == "transient-local"
    policies: list[Any] = [
        Policy.Reliability.Reliable(duration(seconds=1)) if reliable else Policy.Reliability.BestEffort,
        Policy.Durability.TransientLocal if kept else Policy.Durability.Volatile,
        Policy.History.KeepLast(int(options.get("depth", "1000"))),
    ]
    if "strength" in options:
        policies += [Policy.Ownership.Exclusive, Policy.OwnershipStrength(int(options["strength"]))]
    if "lease" in options:
        kind = Policy.Liveliness.ManualByTopic if "manual" in options else Policy.Liveliness.Automatic
        policies.append(kind(duration(seconds=float(options["lease"]))))
    if "deadline" in options:
        policies.append(Policy.Deadline(duration(seconds=float(options["deadline"]))))
    if "lifespan" in options:
        policies.append(Policy.Lifespan(duration(seconds=float(options["lifespan"]))))
    if "tag" in options:
        policies.append(tags(options["tag"]))
    return Qos(*policies)


def orders(buffer: bytearray) -> list[dict[str, Any]] | None:
    """What stands on standard input, without waiting; None at its end."""
    while select.select([0], [], [], 0)[0]:
        data = os.read(0, 65536)
        if not data:
            return None
        buffer += data
    whole, _, rest = bytes(buffer).rpartition(b"\n")
    buffer[:] = rest
    return [json.loads(line) for line in whole.splitlines() if line]


class Matched(Listener):
    """Tells how many ends of others match, when that changes."""

    def on_publication_matched(self, writer: Any, status: Any) -> None:
        tell({"matched": status.current_count})

    def on_subscription_matched(self, reader: Any, status: Any) -> None:
        tell({"matched": status.current_count})


def talk(participant: DomainParticipant, topic: Topic[Any], kind: Any, options: dict[str, str]) -> None:
    group = Qos(Policy.Partition([options["partition"]])) if "partition" in options else Qos()
    writer: DataWriter[Any] = DataWriter(Publisher(participant, qos=group), topic, quality(options), ears())
    tell({"ready": True})
    buffer, written = bytearray(), 0
    every, due = float(options.get("every", "0")), time.monotonic()
    while (found := orders(buffer)) is not None:
        samples = [kind(**order["write"]) for order in found if "write" in order]
        for order in found:
            samples += [kind(f"{order['room']}{number}", 0.0, number) for number in range(order.get("flood", 0))]
            if "strength" in order:
                writer.set_qos(Qos(Policy.OwnershipStrength(order["strength"])))
            if "tag" in order:
                writer.set_qos(Qos(tags(order["tag"])))
        if every and time.monotonic() >= due:
            due += every
            samples.append(kind(options.get("room", "Lobby"), float(options.get("strength", "0")), written))
        for sample in samples:
            writer.write(sample)
            written += 1
        if samples and not every:
            tell({"written": written})
        if any("hang" in order for order in found):
            time.sleep(3600)  # Cyclone's threads live on: only who looks at the topic's liveliness sees it
        time.sleep(PAUSE)


def listen(participant: DomainParticipant, topic: Topic[Any], options: dict[str, str]) -> None:
    group = Qos(Policy.Partition([options["partition"]])) if "partition" in options else Qos()
    reader: DataReader[Any] = DataReader(Subscriber(participant, qos=group), topic, quality(options), ears())
    tell({"ready": True})
    buffer = bytearray()
    while orders(buffer) is not None:
        for sample in reader.take(1000):
            if isinstance(sample, Temperature | Numbered | String):
                tell({"sample": asdict(sample)})
            else:
                tell({"ended": sample.sample_info.instance_state})
        time.sleep(PAUSE)


def main() -> None:
    does, number, name, kind = sys.argv[1:5]
    options = {before: after for before, _, after in (each.partition("=") for each in sys.argv[5:])}
    held = domain(int(number), options)
    try:
        participant = DomainParticipant(int(number))
        topic: Topic[Any] = Topic(participant, name, TYPES[kind])
        if does == "talk":
            talk(participant, topic, TYPES[kind], options)
        else:
            listen(participant, topic, options)
    except DDSException as fault:
        tell({"refused": str(fault)})
    del held


if __name__ == "__main__":
    main()
