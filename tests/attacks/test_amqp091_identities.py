"""Octets of AMQP 0-9-1 against the real hub, as no client library sends them: another's name at log-in, floods, what a
connection leaves that is cut anywhere, and whoever works beside."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from pamqp import base, body, commands, frame, header
from pamqp.commands import Basic
from pamqp.common import FieldTable

from tests.amqp.whole.office import OFFICE, SECRET, SENSOR, STRANGER, Office
from tests.cli.hub import PATIENCE

Got = TypeVar("Got")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")) as made:
        yield made
        assert "Traceback" not in made.hub.log_text()


class Raw:
    """A connection whose octets the test writes."""

    def __init__(self, office: Office) -> None:
        self.socket = socket.create_connection(("127.0.0.1", office.port("amqp")), timeout=PATIENCE)
        self.octets = b""
        self.socket.sendall(b"AMQP\x00\x00\x09\x01")
        self.get(commands.Connection.Start)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, method: base.Frame, channel: int = 1) -> None:
        self.socket.sendall(frame.marshal(method, channel))

    def get(self, kind: type[Got]) -> Got:
        while True:
            size, _, found = frame.unmarshal(self.octets) if len(self.octets) >= 8 else (0, 0, None)
            if found is not None and size:
                self.octets = self.octets[size:]
                assert isinstance(found, kind), found
                return found
            octets = self.socket.recv(65_536)
            assert octets, "the hub closed"
            self.octets += octets

    def is_cut(self) -> bool:
        """Whether the hub closes, whatever it says before."""
        try:
            while self.socket.recv(65_536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    def log_in(self, name: str, response: str | None = None) -> Raw:
        said = f"\0{name}\0{SECRET}" if response is None else response
        properties: FieldTable = {"capabilities": {"authentication_failure_close": True}}
        self.send(commands.Connection.StartOk(properties, "PLAIN", said, "en_US"), 0)
        return self

    def open(self, name: str = OFFICE) -> Raw:
        self.log_in(name).get(commands.Connection.Tune)
        self.send(commands.Connection.TuneOk(0, 0, 0), 0)
        self.send(commands.Connection.Open("/"), 0)
        self.get(commands.Connection.OpenOk)
        self.send(commands.Channel.Open())
        self.get(commands.Channel.OpenOk)
        return self

    def declare(self, queue: str, exclusive: bool = False) -> commands.Queue.DeclareOk:
        self.send(commands.Queue.Declare(queue=queue, exclusive=exclusive))
        return self.get(commands.Queue.DeclareOk)

    def publish(self, queue: str, payload: bytes) -> None:
        octets = frame.marshal(Basic.Publish(routing_key=queue), 1)
        octets += frame.marshal(header.ContentHeader(0, len(payload), Basic.Properties()), 1)
        for at in range(0, len(payload), 100_000):
            octets += frame.marshal(body.ContentBody(payload[at : at + 100_000]), 1)
        self.socket.sendall(octets)


def resident(office: Office) -> int:
    """Octets of memory that the hub's process has."""
    process = office.hub.process
    assert process is not None
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.clause("AMQP091-connection.start-ok", "AMQP091-4.7")
@pytest.mark.parametrize(
    "response", [f"{OFFICE}\0{SENSOR}\0{SECRET}", f"\0{OFFICE}\0wrong", f"\0{OFFICE}", "\0\0\0\0", f"\0\0{SECRET}"]
)
def test_a_log_in_as_somebody_else(office: Office, response: str) -> None:
    with Raw(office).log_in(SENSOR, response) as raw:
        close = raw.get(commands.Connection.Close)
        assert close.reply_code == 403
        assert SECRET not in (close.reply_text or "")
        assert raw.is_cut()


@pytest.mark.clause("AMQP091-2.2.4")
def test_what_is_sent_before_the_log_in_does_nothing(office: Office) -> None:
    with Raw(office) as raw:
        raw.socket.sendall(
            frame.marshal(commands.Connection.Open("/"), 0)
            + frame.marshal(commands.Channel.Open(), 1)
            + frame.marshal(commands.Queue.Declare(queue="early"), 1)
        )
        assert raw.is_cut()
    with Raw(office).open() as raw:
        raw.send(commands.Queue.Declare(queue="early", passive=True))
        assert raw.get(commands.Channel.Close).reply_code == 404


@pytest.mark.clause("AMQP091-basic.get")
def test_a_flood_of_gets_by_who_does_not_read(office: Office) -> None:
    """2,000 answers of 4 MB each would be 8 GB."""
    with Raw(office).open() as raw, Raw(office).open() as other:
        raw.declare("flood", exclusive=True)
        raw.publish("flood", bytes(4_000_000))
        raw.declare("flood", exclusive=True)
        before = resident(office)
        get = frame.marshal(Basic.Get(queue="flood"), 1)
        raw.socket.sendall(b"".join(get + frame.marshal(Basic.Nack(tag, False, True), 1) for tag in range(1, 2001)))
        for i in range(50):
            other.declare(f"beside-{i}", exclusive=True)
        assert resident(office) - before < 200_000_000


@pytest.mark.clause("AMQP091-queue.declare", "AMQP091-basic.consume")
def test_whatever_moment_a_connection_is_cut_nothing_of_it_stays(office: Office) -> None:
    whole = b"".join(
        frame.marshal(each, 1)
        for each in (
            commands.Queue.Declare(queue="own", exclusive=True),
            commands.Queue.Declare(queue="shared"),
            Basic.Consume(queue="shared", exclusive=True),
            Basic.Get(queue="shared"),
            commands.Tx.Select(),
            Basic.Publish(routing_key="shared"),
            header.ContentHeader(0, 5, Basic.Properties()),
            body.ContentBody(b"12345"),
        )
    )
    for cut in range(0, len(whole), 17):
        with Raw(office).open() as raw:
            raw.socket.sendall(whole[:cut])
    with Raw(office).open() as raw:
        found = raw.declare("shared")
        assert (found.message_count, found.consumer_count) == (0, 0)
        raw.declare("own", exclusive=True)
        raw.send(Basic.Consume(queue="shared", exclusive=True))
        raw.get(Basic.ConsumeOk)


@pytest.mark.parametrize("seed", range(2))
def test_noise_harms_nobody(office: Office, seed: int) -> None:
    chance = random.Random(seed)
    with Raw(office).open() as other:
        other.declare(f"kept-{seed}")
        for name in (OFFICE, STRANGER, SENSOR):
            for _ in range(8):
                with Raw(office).open(name) as raw:
                    kind = chance.choice((1, 1, 1, 2, 3, 8, 9))
                    method = chance.choice(list(commands.INDEX_MAPPING)).to_bytes(4, "big")
                    payload = method + chance.randbytes(chance.randrange(40))
                    octets = bytes((kind, 0, chance.choice((0, 1, 1, 9)))) + len(payload).to_bytes(4, "big") + payload
                    raw.socket.sendall(octets + chance.choice((b"\xce", b"\xce", b"\0")) + chance.randbytes(10))
        assert other.declare(f"kept-{seed}").queue == f"kept-{seed}"
