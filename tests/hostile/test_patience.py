"""Those who say nothing, or never finish: given up after the time to connect at every door, with one line each."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

import pytest

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connect
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from tests.cli.hub import wait_until
from tests.hostile.field import Name, Witness, bounded, lines_about, name_of, the_one_line
from tests.peers.raw import Raw
from tests.peers.town import TCP, TLS, UNIX, Town

CONNECT = encode(Connect(5, True, 60, "half", None, "user", b"password", NO_PROPERTIES), 5)
UPGRADE = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # a TLS ClientHello of 512 octets begins like this

NO_CONNECT = "connection.refused"
NO_HANDSHAKE = "listener.handshake-failed"
NO_UPGRADE = "listener.upgrade-failed"
# name -> (door, what is sent, the event)
HALVES: dict[str, tuple[str, bytes, str]] = {
    "nothing at all": (TCP, b"", NO_CONNECT),
    "half a CONNECT": (TCP, CONNECT[:-1], NO_CONNECT),
    "one octet": (TCP, CONNECT[:1], NO_CONNECT),
    "nothing after the TLS handshake": (TLS, b"", NO_CONNECT),
    "half a CONNECT over TLS": (TLS, CONNECT[:20], NO_CONNECT),
    "no TLS handshake": ("no handshake", b"", NO_HANDSHAKE),
    "half a ClientHello": ("no handshake", HELLO, NO_HANDSHAKE),
    "no WebSocket request": ("ws", b"", NO_UPGRADE),
    "half a WebSocket request": ("ws", UPGRADE[:40], NO_UPGRADE),
    "nothing after the WebSocket upgrade": ("ws", UPGRADE, NO_CONNECT),
    "half a WebSocket frame": ("ws", UPGRADE, NO_CONNECT),
}


def opened(town: Town, name: str, source: str) -> Raw:
    door, octets, _ = HALVES[name]
    if door == TLS:
        sock: socket.socket = town.context().wrap_socket(town.sock(TLS, source), server_hostname="localhost")
    else:
        sock = town.sock(TLS if door == "no handshake" else door, source)
    raw = Raw(sock)
    raw.send_octets(octets)
    if octets == UPGRADE:
        head = b""
        while b"\r\n\r\n" not in head:
            head += sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 101")
    if name == "half a WebSocket frame":
        raw.send_octets(b"\x82\xff" + (70).to_bytes(8, "big") + b"\x00\x00\x00\x00" + CONNECT[:10])
    return raw


def test_every_half_is_given_up_with_one_line(town: Town, witness: Witness) -> None:
    """All at once, as they wait for the same clock."""
    with bounded(town):
        raws = {name: opened(town, name, f"127.0.2.{number}") for number, name in enumerate(HALVES, 2)}
        names = {name: name_of(raw) for name, raw in raws.items()}
        for raw in raws.values():
            witness.beat()
            while raw.sock.recv(4096):  # ends when the hub has closed; TimeoutError if it does not
                pass
        for name, raw in raws.items():
            line = the_one_line(town, witness, names[name])
            assert line["event"] == HALVES[name][2], (name, line)
            assert str(line["because"])
            raw.close()


@pytest.mark.parametrize("door", [TCP, TLS])
def test_octets_that_dribble_gain_no_time(town: Town, witness: Witness, door: str) -> None:
    """One octet of a large CONNECT at a time: packets count, not octets."""
    long = encode(Connect(5, True, 60, "d" * 60_000, None, "user", b"password", NO_PROPERTIES), 5)
    raw = town.raw(door)
    name = name_of(raw)
    sent = 0
    with suppress(ConnectionError, OSError):
        for octet in long:
            raw.send_octets(bytes([octet]))
            sent += 1
            if sent % 20 == 0:
                witness.beat()
            if select.select([raw.sock], [], [], 0.01)[0]:
                assert raw.rest() == []
                break
    assert 0 < sent < len(long)
    assert the_one_line(town, witness, name)["event"] == NO_CONNECT


def test_the_unix_socket_has_no_more_patience(town: Town, witness: Witness) -> None:
    raws = [town.raw(UNIX) for _ in range(3)]
    raws[0].send_octets(CONNECT[:-1])
    raws[1].send_octets(b"\xc0\x00")
    for raw in raws:
        assert raw.rest() == []
    # There are no ports: the peer is known by its process.
    mine = Name(f"unix:uid={os.getuid()},gid={os.getgid()},pid={os.getpid()}")
    wait_until("three lines", lambda: len(lines_about(town, mine)) >= 3)
    witness.beat()
    assert sorted(str(line["event"]) for line in lines_about(town, mine)) == [
        "connection.peer-error",
        NO_CONNECT,
        NO_CONNECT,
    ]


def test_a_client_that_connected_and_keeps_its_keep_alive_is_not_concerned(town: Town, witness: Witness) -> None:
    town.add("patient")
    patient = town.client("patient")
    silent = town.raw()
    silent.rest()  # the time to connect has passed by now
    patient.ping()
    witness.beat()
