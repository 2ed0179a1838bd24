"""A participant of its own process that writes what is no sample: `python -m tests.dds.hostile_peer DOMAIN SEED`.

The binding's own topics check nothing of what is written through them.
"""

from __future__ import annotations

import random
import sys
import time
from importlib import import_module
from typing import Any

from bridgehead.protocols.dds import policies
from bridgehead.protocols.dds.cyclone import checked, ffi, library
from bridgehead.protocols.dds.participant import Domain, Participant
from bridgehead.protocols.dds.reader import handles
from tests.dds.keyed import KEYED, TOPIC, sample
from tests.dds.rim import OCTETS, loopback, route

COUNT = 10_000
KNOWN = (0, 1, 2, 3, 6, 7, 8, 9, 10, 11)  # encapsulations (DDS-XTypes 1.3 section 7.6.2.1.2)


def main() -> None:
    number, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    participant = Participant(Domain(loopback(number), OCTETS), None)
    binding: Any = import_module("cyclonedds._clayer")
    lib = library()
    topic = binding.ddspy_topic_create(participant.entity, TOPIC, KEYED.python, None, None)
    with policies.made() as qos:
        policies.writer_qos(qos, route(number), policies.XCDR1)
        lib.dds_qset_history(qos, 1, -1)
        writer = checked(lib.dds_create_writer(participant.entity, topic, qos, ffi().NULL), "no writer")
    while not handles(lib.dds_get_matched_subscriptions, writer):
        time.sleep(0.01)
    sys.stdin.readline()  # whoever listens knows of the match too
    for _ in range(COUNT):
        octets = bytearray(
            sample(chance.getrandbits(32), chance.getrandbits(4), chance.randbytes(chance.randrange(40)))
        )
        for _ in range(chance.randrange(4)):
            octets[chance.randrange(len(octets))] = chance.getrandbits(8)
        if chance.random() < 0.3:
            del octets[chance.randrange(4, len(octets)) :]
        octets[0] = 0
        if octets[1] not in KNOWN:  # whole packets are refused for others, again and again
            octets[1] = chance.choice(KNOWN)
        # The binding sends what is shorter, or no multiple of four octets, so that nobody can read its packets.
        octets += bytes(max(20 - len(octets), -len(octets) % 4))
        chance.choice((binding.ddspy_write, binding.ddspy_write, binding.ddspy_dispose))(writer, bytes(octets))
    print("written", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
