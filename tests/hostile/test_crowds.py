"""Crowds at the real hub: ten thousand that say nothing, storms of connections, TLS handshakes left open."""

from __future__ import annotations

import select
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connack, Connect
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from tests.cli.hub import PATIENCE
from tests.hostile.field import MIB, SLACK, Witness, bounded, many_files, resident
from tests.hostile.test_patience import HELLO
from tests.peers.raw import Raw
from tests.peers.town import SECRET, TCP, TLS, Town

pytestmark = pytest.mark.timeout(180)

CROWD: Final = 10_000
SOURCES: Final = 20
OWN_FILES: Final = 1000  # what this process and the hub need beside the crowd
PER_CONNECTION: Final = 6 * 1024  # octets that an idle connection may cost
MORE = "[limits]\nconnect_timeout = 6.0\n[system_topics]\ninterval = 0\n"


def count_of(town: Town, event: str) -> int:
    """How often it happened, by the log's own account: lines, and those that a flood made it leave out."""
    left_out = sum(int(str(line["count"])) for line in town.hub.events("log.suppressed") if line["of"] == event)
    return len(town.hub.events(event)) + left_out


class Crowd:
    """Connections that say nothing. `open` are those that the hub has not closed."""

    def __init__(self, port: int) -> None:
        self._port: Final = port
        self._poll: Final = select.poll()
        self.open: dict[int, socket.socket] = {}

    def join(self, number: int) -> None:
        sock = socket.socket()
        sock.settimeout(PATIENCE)
        sock.bind((f"127.0.3.{number % SOURCES + 1}", 0))
        sock.connect(("127.0.0.1", self._port))
        self.open[sock.fileno()] = sock
        self._poll.register(sock, select.POLLIN | select.POLLRDHUP)

    def sweep(self, seconds: float) -> None:
        """Forget those that the hub has closed."""
        for fileno, _ in self._poll.poll(seconds * 1000):
            self._poll.unregister(fileno)
            self.open.pop(fileno).close()


def test_ten_thousand_that_say_nothing(tmp_path: Path) -> None:
    with many_files() as files, Town(tmp_path, MORE) as town:
        witness = Witness(town)
        size = min(CROWD, files - OWN_FILES)
        before = resident(town.pid)
        crowd = Crowd(town.hub.port(TCP))
        largest = before
        for number in range(size):
            crowd.join(number)
            if number % 200 == 0:
                witness.beat()
                largest = max(largest, resident(town.pid))
        largest = max(largest, resident(town.pid))
        deadline = time.monotonic() + 60
        while crowd.open:
            assert time.monotonic() < deadline, f"{len(crowd.open)} were not closed"
            crowd.sweep(0.1)
            witness.beat()
        assert largest - before <= size * PER_CONNECTION + SLACK, f"{(largest - before) / size:.0f} octets each"
        # What they cost is free again for whoever comes, if not given back to the system.
        for number in range(size // 10):
            crowd.join(number)
        witness.beat()
        assert resident(town.pid) - before <= size * PER_CONNECTION + SLACK
        while crowd.open:
            crowd.sweep(0.1)
        town.hub.signal(signal.SIGTERM)
        assert town.hub.process is not None
        assert town.hub.process.wait(PATIENCE) == 0
        # One line each, but a flood of them is counted: nobody fills the disk.
        assert count_of(town, "connection.refused") == size + size // 10
        assert len(town.hub.events("connection.refused")) <= 20
        assert not town.hub.events("node.defect")


def test_a_storm_of_connections_that_end_at_once(town: Town, witness: Witness) -> None:
    with bounded(town):
        for number in range(3000):
            town.sock(TCP, f"127.0.4.{number % 200 + 1}").close()
            if number % 100 == 0:
                witness.beat()
        witness.beat()


def test_a_storm_of_clients_that_come_and_go(town: Town, witness: Witness) -> None:
    """With sessions that end with them, or are taken over, resumed and begun anew."""
    town.add("restless")
    hello = Raw(town.sock())
    hello.connect("restless", "restless", SECRET)  # the password is remembered from now on
    expiring = [
        encode(
            Connect(4, clean, 0, f"restless-{number}", None, "restless", SECRET.encode(), NO_PROPERTIES),
            4,
        )
        for number in range(20)
        for clean in (True, False)
    ]
    with bounded(town):
        for number in range(1500):
            raw = town.raw(version=4)
            raw.send_octets(expiring[number % len(expiring)])
            answer = raw.receive()
            assert isinstance(answer, Connack)
            assert answer.reason_code == 0
            if number % 3:
                raw.close()  # the others stay until they are taken over
            if number % 50 == 0:
                witness.beat()
    hello.ping()


def test_handshakes_left_open_do_not_keep_others_out(town: Town, witness: Witness) -> None:
    """More of them than the hub works at at a time, and many more that wait: whoever stalls makes room, and addresses
    take turns."""
    town.add("latecomer")
    with bounded(town, SLACK + 1500 * 100 * 1024):
        stalled = [town.sock(TLS, f"127.0.5.{number % 3 + 1}") for number in range(1500)]
        for sock in stalled:
            sock.sendall(HELLO)
        witness.beat()
        for number in range(3):
            latecomer = town.client("latecomer", f"latecomer-{number}")
            latecomer.ping()
            latecomer.close()
        # The first ones have made room; there was no need to wait for all to be given up.
        because = [str(line["because"]) for line in town.hub.events("listener.handshake-failed")]
        assert because[0] == "the TLS handshake stalled while others waited"
        assert not any("within" in each for each in because)
        for sock in stalled:
            with suppress(ConnectionResetError):
                sock.recv(1024)
            sock.close()
        witness.beat()


def test_one_address_has_its_own_ceiling(tmp_path: Path) -> None:
    limits = "[limits]\nconnections_per_address = 50\n[system_topics]\ninterval = 0\n"
    with Town(tmp_path, limits) as town:
        witness = Witness(town)
        many = [town.sock(TCP, "127.0.6.1") for _ in range(50)]
        witness.beat()
        refused = town.sock(TCP, "127.0.6.1")
        assert refused.recv(1) == b""
        line = town.hub.await_event("listener.connection-refused")
        assert str(line["peer"]).startswith("127.0.6.1:")
        assert len(town.hub.events("listener.connection-refused")) == 1
        town.sock(TCP, "127.0.6.2").close()
        many.pop().close()
        town.add("next")
        for _ in range(100):  # the hub sees the place free when it sees the end of the one before
            raw = Raw(town.sock(TCP, "127.0.6.1"))
            try:
                assert raw.connect("next", "next", SECRET).reason_code == 0
                break
            except ConnectionError:
                witness.beat()
        else:
            raise AssertionError("the free place was never given")
        assert resident(town.pid) < 400 * MIB
