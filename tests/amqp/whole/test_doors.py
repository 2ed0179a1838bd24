"""AMQP's listeners of the real hub: TLS and what it agrees on, plaintext by name, deadlines, reloads, figures."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.protocols.amqp.codec.v1.encode import encode, frame, sasl_frame
from bridgehead.protocols.amqp.codec.v1.frames import Decoder
from bridgehead.protocols.amqp.codec.v1.performatives import Open
from bridgehead.protocols.amqp.codec.v1.sasl import SaslInit
from tests.amqp.whole.office import LISTENERS, OFFICE, SECRET, Office
from tests.cli.hub import PATIENCE, command, wait_until
from tests.coap.whole.harbour import may_both

SASL = b"AMQP\x03\x01\x00\x00"
AMQP = b"AMQP\x00\x01\x00\x00"
QUICK = """
[limits]
connect_timeout = 0.5
[system_topics]
interval = 0.1
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = Office(tmp_path_factory.mktemp("quick"), QUICK)
    made.add("reader", may_both("$SYS/#"))
    with made:
        yield made


class Raw:
    """A socket that speaks 1.0 as far as the Open."""

    def __init__(self, office: Office) -> None:
        self.sock = socket.create_connection(("127.0.0.1", office.port("amqp")), timeout=PATIENCE)
        self._rest = b""

    def until(self, ending: bytes) -> bytes:
        while ending not in self._rest:
            data = self.sock.recv(65_536)
            assert data, self._rest
            self._rest += data
        found, _, self._rest = self._rest.partition(ending)
        return found

    def open(self) -> Open:
        """Log in, and what the hub's Open says."""
        words = b"\0%b\0%b" % (OFFICE.encode(), SECRET.encode())
        self.sock.sendall(SASL + sasl_frame(encode(SaslInit("PLAIN", words))) + AMQP + frame(0, encode(Open("raw"))))
        self.until(AMQP)
        decoder = Decoder(65_536)
        frames = decoder.feed(self._rest)
        while not frames:
            frames = decoder.feed(self.sock.recv(65_536))
        found = frames[0].performative
        assert isinstance(found, Open)
        return found

    def is_ended(self) -> bool:
        while self.sock.recv(65_536):
            pass
        return True


def secured(office: Office, *protocols: str) -> ssl.SSLSocket:
    context = office.hub.trust()
    context.set_alpn_protocols(list(protocols))
    sock = socket.create_connection(("127.0.0.1", office.port()), timeout=PATIENCE)
    return context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.clause("AMQP-5.2")
@pytest.mark.parametrize(("offered", "agreed"), [(("amqp",), "amqp"), (("h2", "amqp"), "amqp"), ((), None)])
def test_tls_agrees_on_amqp(office: Office, offered: tuple[str, ...], agreed: str | None) -> None:
    with secured(office, *offered) as sock:
        assert sock.selected_alpn_protocol() == agreed
        sock.sendall(SASL)
        assert sock.recv(8) == SASL


@pytest.mark.clause("AMQP-5.2.1")
def test_who_begins_without_tls_is_not_served_there(office: Office) -> None:
    with socket.create_connection(("127.0.0.1", office.port()), timeout=PATIENCE) as sock:
        sock.sendall(SASL)
        data = sock.recv(64)
        assert not data.startswith(b"AMQP")


def test_each_door_has_its_name_and_plaintext_its_warning(office: Office) -> None:
    assert [name for name, _ in office.hub.addresses()] == ["mqtts", "amqps", "amqp", "amqps+ws", "amqp+ws"]
    warned = {str(each["address"]) for each in office.hub.events("listener.plaintext")}
    plain = {address for name, address in office.hub.addresses() if name in ("amqp", "amqp+ws")}
    assert warned == plain


@pytest.mark.parametrize("begun", [b"", b"AM", SASL[:7], SASL])
def test_half_a_header_is_not_waited_for(quick: Office, begun: bytes) -> None:
    raw = Raw(quick)
    with raw.sock:
        raw.sock.sendall(begun)
        assert raw.is_ended()


def test_figures_count_its_connections_and_octets(quick: Office) -> None:
    raw = Raw(quick)
    raw.open()
    mqtt = quick.mqtt("reader")
    mqtt.subscribe("$SYS/broker/connections/open", 0)
    mqtt.subscribe("$SYS/broker/bytes/received", 0)
    seen: dict[str, int] = {}
    while seen.get("connections/open") != 2:  # this one and that of AMQP
        topic, payload = mqtt.message()
        seen[topic.removeprefix("$SYS/broker/")] = int(payload)
    while seen.get("bytes/received", 0) < 100:
        topic, payload = mqtt.message()
        seen[topic.removeprefix("$SYS/broker/")] = int(payload)
    raw.sock.close()
    while seen["connections/open"] != 1:
        topic, payload = mqtt.message()
        seen[topic.removeprefix("$SYS/broker/")] = int(payload)
    mqtt.close()


def test_a_reload_changes_what_is_told_and_leaves_who_is_there(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        old = Raw(office)
        assert old.open().max_frame_size == 65_536
        office.reload(LISTENERS + "[amqp]\nmax_frame_size = 4096\nsessions = 3\nidle_timeout = 0\n")
        new = Raw(office)
        told = new.open()
        assert (told.max_frame_size, told.channel_max, told.idle_time_out) == (4096, 2, -1)
        # The older one may still send what it was told.
        old.sock.sendall(frame(0, encode(Open("again", hostname="x" * 5000))))
        assert b"amqp:illegal-state" in old.until(b"a second open")
        office.reload(LISTENERS.replace('protocol = "amqp"\nplaintext = true', 'protocol = "amqp"'))
        assert office.hub.await_event("listener.closed")["name"] == "amqp"
        new.sock.close()


def test_a_hub_that_stops_says_so(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        raw = Raw(office)
        raw.open()
        assert office.hub.stop() == 0
        raw.until(b"amqp:connection:forced")
        assert raw.is_ended()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("max_frame_size = 511", "amqp.max_frame_size: 511 is not accepted"),
        ("max_frames = 5", "amqp.max_frames: there is no such key"),
        ("create_queues = 1", "amqp.create_queues: 1 is not accepted"),
    ],
)
def test_check_finds_what_is_wrong_with_it(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "hub.toml"
    file.write_text(f"[amqp]\n{line}\n")
    done = subprocess.run(
        command("up", "--data", tmp_path / "data", "--config", file, "--check"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert f"hub.toml:2: {says}" in done.stderr


def test_ceilings_count_it_with_all_others(tmp_path: Path) -> None:
    with Office(tmp_path, "[limits]\nconnections_per_address = 2\n") as office:
        first, second, third = Raw(office), Raw(office), Raw(office)
        assert third.is_ended()
        assert first.open().container_id == "bridgehead"
        mqtt_is_refused = socket.create_connection(("127.0.0.1", office.port("mqtts")), timeout=PATIENCE)
        assert mqtt_is_refused.recv(10) == b""
        second.sock.close()
        first.sock.close()


def test_what_happens_is_told(office: Office) -> None:
    raw = Raw(office)
    raw.open()
    address = "127.0.0.1:" + str(raw.sock.getsockname()[1])

    def told(event: str) -> list[dict[str, object]]:
        return [each for each in office.hub.events(event) if each["address"] == address]

    raw.sock.close()
    wait_until("the end is told", lambda: told("connection.ended"))
    (ended,) = told("connection.ended")
    assert re.fullmatch(r"amqp:[0-9a-f]{16}", str(ended["client_id"]))
    assert (ended["protocol"], ended["principal"]) == ("amqp", OFFICE)
    (entered,) = told("authentication.accepted")
    assert (entered["protocol"], entered["mechanism"]) == ("amqp", "PLAIN")
