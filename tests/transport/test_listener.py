"""Listeners: ceilings, sockets of every kind, descriptors running out, crowds that say nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import ssl
import sys
from pathlib import Path

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.events import CONNECTION_REFUSED, HANDSHAKE_FAILED
from bridgehead.transport.listener import AcceptRules, Listener
from bridgehead.transport.shared import Shared
from bridgehead.transport.upgrade import WebSocketRules
from tests.transport.tools import Echo, Hall, connect, read_all, read_exactly, tls_client, tls_read, tls_write, until

CROWD = 2000


@pytest.mark.parametrize(("bind", "host"), [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]"), ("*:0", "*")])
async def test_tcp_over_both_families(shared: Shared, bind: str, host: str) -> None:
    async with Hall(shared, bind, owner=Echo) as hall:
        port = hall.listener.port
        assert port != 0
        assert hall.listener.address == f"{host}:{port}"
        reader, writer = await asyncio.open_connection("::1" if host == "[::1]" else "127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        owner = await hall.owner()
        local = writer.get_extra_info("sockname")
        assert owner.stream.peer == (f"[::1]:{local[1]}" if ":" in local[0] else f"127.0.0.1:{local[1]}")
        assert owner.stream.local.endswith(f":{port}")
        assert hall.listener.connections == len(hall.ceilings) == 1
        writer.close()
        await owner.ended()


async def test_a_unix_socket_tells_who_is_there(shared: Shared, tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with Hall(shared, f"unix:{path}", owner=Echo, rules=AcceptRules(unix_mode=0o660)) as hall:
        assert hall.listener.address == f"unix:{path}"
        assert hall.listener.port == 0
        assert path.stat().st_mode & 0o777 == 0o660
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        owner = await hall.owner()
        assert owner.stream.peer == f"unix:uid={os.getuid()},gid={os.getgid()},pid={os.getpid()}"
        assert owner.stream.local == f"unix:{path}"
        writer.close()
        await owner.ended()
    assert not path.exists()


async def test_somebody_elses_socket_file_is_not_removed(shared: Shared, tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with Hall(shared, f"unix:{path}"):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX)
        successor.bind(str(path))
    assert path.exists()
    successor.close()


async def test_a_file_that_is_gone_already_is_no_fault(shared: Shared, tmp_path: Path) -> None:
    path = tmp_path / "hub.sock"
    async with Hall(shared, f"unix:{path}"):
        path.unlink()


async def test_stop_accepting_leaves_the_connections_alone(shared: Shared) -> None:
    async with Hall(shared, owner=Echo) as hall:
        client = await hall.connect()
        await hall.owner()
        port = hall.listener.port
        hall.listener.stop_accepting()
        hall.listener.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await connect(port)
        await asyncio.get_running_loop().sock_sendall(client, b"hello")
        assert await read_exactly(client, 5) == b"hello"
        client.close()


async def test_a_listener_can_begin_again(shared: Shared) -> None:
    async with Hall(shared, owner=Echo) as hall:
        hall.listener.stop_accepting()
        await hall.listener.start()
        client = await hall.connect()
        await asyncio.get_running_loop().sock_sendall(client, b"hello")
        assert await read_exactly(client, 5) == b"hello"
        client.close()


async def test_misuse_is_told(shared: Shared, server_tls: ssl.SSLContext) -> None:
    async with Hall(shared) as hall:
        with pytest.raises(LocalMisuse):
            await hall.listener.start()
        with pytest.raises(LocalMisuse):
            hall.listener.reload(server_tls)


async def test_close_ends_handshakes_and_upgrades(shared: Shared, server_tls: ssl.SSLContext) -> None:
    rules = WebSocketRules(["mqtt"])
    async with Hall(shared, tls=server_tls) as one, Hall(shared, websocket=rules) as two:
        clients = [await one.connect(), await one.connect(), await two.connect()]
        await asyncio.get_running_loop().sock_sendall(clients[1], b"\x16\x03\x01\x02\x00\x01")
        await until(lambda: one.listener.arriving == 2 and two.listener.arriving == 1)
        for hall in (one, two):
            hall.listener.close()
            assert hall.listener.arriving == 0
            assert hall.listener.connections == 0
        for client in clients:
            client.close()
        assert one.events == two.events == []


async def test_connections_above_the_ceiling_are_closed_at_once(shared: Shared) -> None:
    ceilings = Ceilings(3)
    async with Hall(shared, ceilings=ceilings, owner=Echo) as hall, Hall(shared, ceilings=ceilings) as other:
        clients = [await hall.connect(), await hall.connect(), await other.connect()]
        await until(lambda: len(ceilings) == 3)
        refused = await hall.connect()
        assert await read_all(refused) == b""
        event = await hall.event(CONNECTION_REFUSED)
        assert event == {
            "listener": hall.listener.address,
            "peer": f"127.0.0.1:{refused.getsockname()[1]}",
            "because": "the hub's ceiling of 3 connections is reached",
        }
        refused.close()
        clients[0].close()
        await until(lambda: len(ceilings) == 2)
        again = await hall.connect()
        await asyncio.get_running_loop().sock_sendall(again, b"hello")
        assert await read_exactly(again, 5) == b"hello"
        assert len(hall.events) == 1
        for client in (again, *clients[1:]):
            client.close()


async def test_the_ceiling_of_one_address(shared: Shared) -> None:
    async with Hall(shared, ceilings=Ceilings(100, per_network=2)) as hall:
        clients = [await hall.connect() for _ in range(3)]
        event = await hall.event(CONNECTION_REFUSED)
        assert event["because"] == "the ceiling of 2 connections from one address is reached"
        assert len(hall.ceilings) == 2
        for client in clients:
            client.close()


async def test_established_connections_have_their_turn_while_a_crowd_arrives(shared: Shared) -> None:
    async with Hall(shared, owner=Echo, rules=AcceptRules(at_once=2)) as hall:
        first = await hall.connect()
        await hall.owner()
        crowd = [socket.create_connection(("127.0.0.1", hall.listener.port)) for _ in range(20)]
        first.send(b"hello")
        assert await read_exactly(first, 5) == b"hello"
        assert len(hall.owners) < 21
        await until(lambda: len(hall.owners) == 21)
        for client in (first, *crowd):
            client.close()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_running_out_of_file_descriptors(loop: str) -> None:
    import subprocess

    command = [sys.executable, "-m", "tests.transport.exhausted", *(["uvloop"] if loop == "uvloop" else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["because"].startswith("too many open files")
    assert result["alive"] == "served all the same"
    assert result["again"] == "welcome"
    assert result["accepted"] > 1
    assert result["events"] <= 2  # one for each pause, not one for each turn of the loop


@pytest.mark.parametrize("kind", ["tls", "websocket", "both"])
async def test_a_crowd_that_says_nothing_is_sent_away_and_its_memory_comes_back(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, kind: str
) -> None:
    tls = server_tls if kind != "websocket" else None
    websocket = WebSocketRules(["mqtt"]) if kind != "tls" else None
    rules = AcceptRules(seconds=1.5)
    async with Hall(shared, tls=tls, websocket=websocket, rules=rules) as hall:
        crowd: list[socket.socket] = []
        while len(crowd) < CROWD:
            crowd.append(await hall.connect())
        await until(lambda: len(hall.ceilings) == CROWD)
        assert hall.listener.arriving == CROWD
        if kind == "tls":  # and somebody who has something to say is served meanwhile
            client = await tls_client(await hall.connect(), client_tls)
            await tls_write(client, b"hello")
            assert await (await hall.owner()).has(5) == b"hello"
            client.close()
        for sock in crowd:
            sock.setblocking(False)
        await until(lambda: len(hall.events) >= CROWD, "everybody is sent away")
        assert hall.listener.arriving == 0
        for sock in crowd:
            sock.close()
        await until(lambda: len(hall.ceilings) == 0)
        gc.collect()
        left = [thing for thing in gc.get_objects() if type(thing).__name__ in ("Arrival", "Handshake", "Upgrade")]
        assert left == []
        if kind != "websocket":
            assert {name for name, _ in hall.events} == {HANDSHAKE_FAILED}
            assert hall.events[0][1]["because"] == "no TLS handshake began within 1.5 s"


async def test_a_silent_tls_client_costs_no_openssl_memory(shared: Shared, server_tls: ssl.SSLContext) -> None:
    async with Hall(shared, tls=server_tls) as hall:
        client = await hall.connect()
        await until(lambda: hall.listener.arriving == 1)
        (arrival,) = hall.listener._arrivals._deadlines.items()
        assert arrival.handshake is None
        client.close()


async def test_a_stream_over_tls_over_a_unix_socket(
    shared: Shared, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, tmp_path: Path
) -> None:
    async with Hall(shared, f"unix:{tmp_path / 'hub.sock'}", tls=server_tls, owner=Echo):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(tmp_path / "hub.sock"))
        sock.setblocking(False)
        client = await tls_client(sock, client_tls)
        await tls_write(client, b"hello")
        assert await tls_read(client, 5) == b"hello"
        client.close()


async def test_nothing_is_opened_before_start_and_a_failed_start_leaves_nothing(shared: Shared) -> None:
    before = len(os.listdir("/proc/self/fd"))
    listener = Listener(
        "192.0.2.1:0", lambda stream: None, shared=shared, on_event=lambda *_: None, ceilings=Ceilings(1)
    )
    assert listener.address == "192.0.2.1:0"
    assert listener.addresses == []
    with pytest.raises(Exception, match=r"cannot listen on 192\.0\.2\.1:0"):
        await listener.start()
    assert len(os.listdir("/proc/self/fd")) == before
