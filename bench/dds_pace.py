"""Writes ddsperf's type on a topic at an even pace; each sample carries the time at which it was written.

python bench/dds_pace.py DOMAIN TOPIC RATE      (until its input ends; CYCLONEDDS_URI says where)
"""

import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script: the folder above is not on the path

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct, types
from cyclonedds.idl.annotations import key
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic

from bench.dds_load import BAGGAGE

made: Any = types  # the binding makes types as it runs
Octets: Any = made.sequence[made.uint8]


@dataclass
class KeyedSeq(IdlStruct, typename="KeyedSeq"):
    seq: types.uint32
    keyval: types.uint32
    key("keyval")
    baggage: Octets


def main() -> None:
    domain, topic, rate = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    participant = DomainParticipant(domain)
    qos = Qos(Policy.Reliability.Reliable(10**9), Policy.History.KeepAll)
    writer = DataWriter(participant, Topic(participant, topic, KeyedSeq), qos=qos)
    rest = [0] * (BAGGAGE - 8)
    due, number = time.monotonic(), 0
    while not select.select([0], [], [], max(0.0, due - time.monotonic()))[0]:
        stamp = list(time.monotonic_ns().to_bytes(8, "big"))
        writer.write(KeyedSeq(number, 0, stamp + rest))
        number += 1
        due = max(due + 1 / rate, time.monotonic() - 0.01)


if __name__ == "__main__":
    main()
