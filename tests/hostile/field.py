"""What every attack is judged by: a witness that goes on, the hub's memory, and the lines in its log."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bridgehead.protocols.mqtt.codec.packets import Acknowledgement, Publish
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from tests.cli.hub import wait_until
from tests.peers.raw import Raw
from tests.peers.town import Town, may_both

MIB: Final = 1024 * 1024
# Whatever somebody sends, the hub keeps at most so much more than before, allocator and log included.
SLACK: Final = 16 * MIB


def resident(pid: int) -> int:
    """Octets of the process that are in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process has no memory")


class Witness:
    """A device with nothing to do with the attack; `beat` is a message to itself and back, acknowledged both ways."""

    def __init__(self, town: Town) -> None:
        town.add("witness", may_both("witness/#"))
        self._raw: Final = town.client("witness")
        assert self._raw.subscribe("witness/#", 1) == 1
        self._number = 0

    def beat(self) -> None:
        self._number += 1
        payload = b"%d" % self._number
        raw = self._raw
        raw.send(Publish("witness/a", payload, 1, False, False, raw.next_identifier(), NO_PROPERTIES))
        first, second = raw.receive(), raw.receive()
        message = first if isinstance(first, Publish) else second
        other = second if isinstance(first, Publish) else first
        assert isinstance(message, Publish)
        assert message.payload == payload
        assert isinstance(other, Acknowledgement)
        assert other.reason_code == 0
        raw.send_octets(b"\x40\x02" + int(message.packet_id).to_bytes(2, "big"))


class Name(NamedTuple):
    """An attacker as the hub's log calls it; its own address and port, which others may have had before it."""

    address: str
    since: str = ""  # ISO 8601, as in the log


def name_of(raw: Raw) -> Name:
    host, port = raw.sock.getsockname()[:2]
    return Name(f"{host}:{port}", raw.began.strftime("%Y-%m-%dT%H:%M:%S"))


def lines_about(town: Town, name: Name) -> list[dict[str, object]]:
    """What the hub has logged about the connection, but that a device was let in."""
    return [
        line
        for line in town.hub.lines()
        if name.address in (line.get("address"), line.get("peer"))
        and line["event"] != "authentication.accepted"
        and str(line["time"]) >= name.since
    ]


def the_one_line(town: Town, witness: Witness, name: Name) -> dict[str, object]:
    """The one line about the connection that was ended. The witness goes on meanwhile, so that a second line would
    have been written."""
    wait_until(f"a line about {name.address}", lambda: lines_about(town, name))
    witness.beat()
    (line,) = lines_about(town, name)
    return line


@contextmanager
def bounded(town: Town, octets: int = SLACK) -> Iterator[None]:
    """The hub's memory does not grow by more."""
    before = resident(town.pid)
    yield
    after = resident(town.pid)
    assert after - before <= octets, f"the hub grew by {(after - before) / MIB:.1f} MiB"


@contextmanager
def many_files() -> Iterator[int]:
    """As many open files as the system permits this process; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
