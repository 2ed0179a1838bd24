"""Addresses: what may be written, what is shown, and what a failed bind says."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from bridgehead.transport.address import (
    BindError,
    format_address,
    network_of,
    open_listeners,
    parse_address,
    peer_of,
)
from bridgehead.transport.ceilings import Ceilings

BACKLOG = 16


@pytest.mark.parametrize(
    ("text", "host", "port", "path"),
    [
        ("127.0.0.1:8883", "127.0.0.1", 8883, ""),
        ("[::1]:0", "::1", 0, ""),
        ("[::]:1883", "::", 1883, ""),
        ("hub.example:65535", "hub.example", 65535, ""),
        ("*:8883", "*", 8883, ""),
        ("unix:/run/hub.sock", "", 0, "/run/hub.sock"),
    ],
)
def test_what_may_be_written(text: str, host: str, port: int, path: str) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.path) == (host, port, path)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "8883", ":8883", "host:", "host:x", "host:65536", "host:-1", "host:" + 5000 * "9"]
)
def test_what_may_not_be_written(text: str) -> None:
    with pytest.raises(BindError, match=r'write "host:port"'):
        parse_address(text)


@pytest.mark.parametrize(
    ("sockaddr", "text"),
    [
        (("127.0.0.1", 5), "127.0.0.1:5"),
        (("::1", 5, 0, 0), "[::1]:5"),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7:5"),
        ("/run/hub.sock", "unix:/run/hub.sock"),
        ("", "unix:"),
        (b"\0name", "unix:@name"),
    ],
)
def test_what_is_shown(sockaddr: object, text: str) -> None:
    assert format_address(sockaddr) == text


def test_who_a_peer_counts_as() -> None:
    assert network_of("192.0.2.7:5000") == "192.0.2.7"
    assert network_of("[2001:db8:1:2:3::4]:5") == network_of("[2001:db8:1:2:ffff::]:9")
    assert network_of("[2001:db8:1:2::4]:5") != network_of("[2001:db8:1:3::4]:5")
    assert network_of("[fe80::1%eth0]:5") == network_of("[fe80::2%eth0]:5")
    assert network_of("unix:uid=5,gid=6,pid=7") == "unix:uid=5"


def test_the_kernel_says_who_is_at_the_other_end_of_a_unix_socket() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert peer_of(near, "") == f"unix:uid={os.getuid()},gid={os.getgid()},pid={os.getpid()}"


def test_ceilings_count_what_is_open() -> None:
    ceilings = Ceilings(3, per_network=2)
    assert ceilings.admit("a") == ""
    assert ceilings.admit("a") == ""
    assert ceilings.admit("a") == "the ceiling of 2 connections from one address is reached"
    assert ceilings.admit("b") == ""
    assert ceilings.admit("c") == "the hub's ceiling of 3 connections is reached"
    ceilings.release("a")
    assert ceilings.admit("a") == ""
    for network in ("a", "a", "b"):
        ceilings.release(network)
    assert len(ceilings) == 0
    assert ceilings._by_network == {}
    assert ceilings


# --- binding ----------------------------------------------------------------------------------------------------------


async def test_port_zero_and_the_options_that_accepted_sockets_inherit() -> None:
    (sock,) = await open_listeners(parse_address("127.0.0.1:0"), BACKLOG, 0o600)
    with sock, socket.create_connection(sock.getsockname()):
        accepted, _ = sock.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0


async def test_a_star_is_ipv4_and_ipv6() -> None:
    (sock,) = await open_listeners(parse_address("*:0"), BACKLOG, 0o600)
    with sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)) as client:
                accepted, sockaddr = sock.accept()
                with accepted:
                    assert format_address(sockaddr) == format_address(client.getsockname())


async def test_an_ipv6_address_is_ipv6_only() -> None:
    (sock,) = await open_listeners(parse_address("[::]:0"), BACKLOG, 0o600)
    with sock:
        port = sock.getsockname()[1]
        with socket.create_connection(("::1", port)):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


async def test_a_name_is_each_of_its_addresses_with_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(address: object) -> list[tuple[int, str]]:
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]

    monkeypatch.setattr("bridgehead.transport.address._resolve", resolve)
    sockets = await open_listeners(parse_address("hub.example:0"), BACKLOG, 0o600)
    assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "::1"]
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    for sock in sockets:
        sock.close()


async def test_bind_errors_name_the_address_and_the_remedy() -> None:
    (taken,) = await open_listeners(parse_address("127.0.0.1:0"), BACKLOG, 0o600)
    text = format_address(taken.getsockname())
    with taken, pytest.raises(BindError) as raised:
        await open_listeners(parse_address(text), BACKLOG, 0o600)
    assert str(raised.value) == (
        f"cannot listen on {text}: another program listens there already; end that program or choose another port"
    )
    assert raised.value.address == text

    with pytest.raises(BindError, match="this machine does not have that address"):
        await open_listeners(parse_address("192.0.2.1:0"), BACKLOG, 0o600)
    with pytest.raises(BindError, match=r'the name "no-such-host\.invalid" is not known'):
        await open_listeners(parse_address("no-such-host.invalid:1"), BACKLOG, 0o600)


async def test_a_port_that_the_system_does_not_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, sockaddr: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BindError, match="choose a port above 1023, or give the hub CAP_NET_BIND_SERVICE"):
        await open_listeners(parse_address("127.0.0.1:80"), BACKLOG, 0o600)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_a_unix_socket_has_its_mode_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    path = tmp_path / "hub.sock"
    at_bind: list[int] = []
    real = os.chmod

    def chmod(target: str, wanted: int) -> None:
        at_bind.append(stat.S_IMODE(os.stat(target).st_mode))
        real(target, wanted)

    monkeypatch.setattr(os, "chmod", chmod)
    (sock,) = await open_listeners(parse_address(f"unix:{path}"), BACKLOG, mode)
    with sock:
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert at_bind[0] & ~mode == 0


async def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    address = parse_address(f"unix:{tmp_path / 'hub.sock'}")
    (first,) = await open_listeners(address, BACKLOG, 0o600)
    first.close()  # as after a crash: the file stays
    (second,) = await open_listeners(address, BACKLOG, 0o600)
    with second, pytest.raises(BindError, match="another program listens there already"):
        await open_listeners(address, BACKLOG, 0o600)


async def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("data")
    with pytest.raises(BindError, match="a file that is no socket is there"):
        await open_listeners(parse_address(f"unix:{file}"), BACKLOG, 0o600)
    assert file.read_text() == "data"


async def test_unix_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="its folder does not exist"):
        await open_listeners(parse_address(f"unix:{tmp_path}/none/hub.sock"), BACKLOG, 0o600)
    with pytest.raises(BindError, match="the path is too long"):
        await open_listeners(parse_address(f"unix:{tmp_path}/{'x' * 200}"), BACKLOG, 0o600)
