"""The plant's part of the demo: two redundant controllers in a secured DDS domain, the stronger one killed on stage."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import chain, repeat
from pathlib import Path

from bridgehead.protocols.dds import binding

HERE = Path(__file__).resolve().parent
TOPIC = "Temperature"
HALL = "Hall-1"
HUB_TOPIC = f"Plant/{HALL}/Temperature"
STRENGTHS = {"controller-1": 20, "controller-2": 10}
LEASE = 0.1  # seconds of silence after which a controller counts as dead
ALIVE = (3.0, 8.0)  # seconds until the first is killed, and until it is again each time it has come back
DEAD = 4.0  # seconds until it is started again
# Of one machine's demos no two meet: each domain has UDP ports of its own, 7400 + 250 * DOMAIN and the next ones.
DOMAIN = 100 + os.getpid() % 100
# Loopback only, and no multicast: the demo shows itself to nobody else.
LOOPBACK = (
    '<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface address="127.0.0.1" multicast="false"/>'
    "</Interfaces><AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    '<MaxAutoParticipantIndex>20</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers></Discovery>'
    "</Domain></CycloneDDS>"
)
CONFIGURATION = f"""
[[dds.domain]]
id = {DOMAIN}
interfaces = ["127.0.0.1"]
peers = ["127.0.0.1"]
multicast = false

[[dds.route]]
domain = {DOMAIN}
topic = "{TOPIC}"
type = "plant.Temperature"
idl = "{HERE / "plant.idl"}"
hub = "Plant/${{hall}}/Temperature"
direction = "in"
qos = {{ ownership = "exclusive", lease = {LEASE}, durability = "transient-local" }}
"""
# Who may write the topic, and who may own it or stand by.
RIGHTS = ["--publish", "Plant/+/Temperature", "--publish", f"$DDS/{DOMAIN}/{TOPIC}"]

Start = Callable[[str], Awaitable[asyncio.subprocess.Process]]
Told = Callable[[str, float], None]


def missing() -> str:
    """Why there can be no secured DDS here, and what to install; "" where there can."""
    return binding.missing() or binding.security_missing()


async def start(name: str, bundle: Path) -> asyncio.subprocess.Process:
    """A controller with the bundle that `bridgehead device export --for dds` wrote."""
    environment = {
        **os.environ,
        "BRIDGEHEAD_DDS": str(bundle),
        "CYCLONEDDS_URI": f"file://{bundle / 'cyclonedds.xml'},{LOOPBACK}",
    }
    words = [str(DOMAIN), TOPIC, HALL, str(STRENGTHS[name]), str(LEASE)]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "dds_controller.py"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )


async def kill_again_and_again(name: str, again: Start, killed: Told) -> None:
    """Start the controller, kill -9 it, and start it once more, for ever. `killed` is told whom, and when (Unix)."""
    for alive in chain(ALIVE, repeat(ALIVE[-1])):
        controller = await again(name)
        await asyncio.sleep(alive)
        controller.send_signal(signal.SIGKILL)
        killed(name, time.time())
        await controller.wait()
        await asyncio.sleep(DEAD)
