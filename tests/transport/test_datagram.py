"""Datagram endpoints: batches, the address that was asked, groups, bounds."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.transport import datagram, datagram_calls, paths
from bridgehead.transport.address import BindError
from bridgehead.transport.datagram import Endpoint
from bridgehead.transport.datagram_calls import BATCH, LARGEST, Calls, Datagram, ManyAtOnce, OneByOne
from bridgehead.transport.events import DATAGRAMS_DROPPED
from bridgehead.transport.multicast import Membership
from tests.transport.tools import until

GROUP = "224.0.1.187"
_CLONE_NEWNET = 0x40000000  # linux/sched.h


class Taker:
    """What an endpoint hands up, and what it tells."""

    def __init__(self) -> None:
        self.datagrams: list[Datagram] = []
        self.events: list[tuple[str, dict[str, object]]] = []

    def event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))


@asynccontextmanager
async def opened(
    bind: str = "127.0.0.1:0", interfaces: tuple[str, ...] = (), groups: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Endpoint, Taker]]:
    taker = Taker()
    memberships = [Membership(group) for group in groups]
    endpoint = Endpoint(bind, taker.datagrams.extend, taker.event, interfaces, memberships)
    await endpoint.start()
    try:
        yield endpoint, taker
    finally:
        endpoint.close()


@pytest.fixture(params=["many at once", "one by one"])
def calls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Calls]:
    """Both ways to the kernel."""
    chosen: type[Calls] = ManyAtOnce if request.param == "many at once" else OneByOne
    monkeypatch.setattr(datagram, "calls_for", chosen)
    return chosen


def client(address: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.settimeout(5)
    return sock


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("number", [1, 5, 6, BATCH, 3 * BATCH + 1])
async def test_what_comes_goes_back_from_where_it_came_to(calls: type[Calls], address: str, number: int) -> None:
    async with opened("*:0") as (endpoint, taker):
        with client(address) as sock:
            wanted = [b"%d " % index + bytes(index % 50) for index in range(number)]
            for data in wanted:
                sock.sendto(data, (address, endpoint.port))
            await until(lambda: len(taker.datagrams) == number)
            assert [data for _, data, _ in taker.datagrams] == wanted
            assert {group for _, _, group in taker.datagrams} == {False}
            (path,) = {path for path, _, _ in taker.datagrams}
            host, port = sock.getsockname()[:2]
            assert paths.sockaddr_of(path)[:2] == (host, port)
            assert paths.shown(path) == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
            assert paths.local_of(path)[1] == socket.inet_pton(sock.family, address)
            endpoint.send([(path, b"re " + data) for _, data, _ in taker.datagrams])
            for data in wanted:
                answer, sender = sock.recvfrom(2048)
                assert (answer, sender[:2]) == (b"re " + data, (address, endpoint.port))
            assert (endpoint.counters.received, endpoint.counters.sent) == (number, number)


async def test_the_answer_leaves_from_the_address_that_was_asked(calls: type[Calls]) -> None:
    """A machine's other addresses are other CoAP endpoints (RFC 7252 section 4.1)."""
    async with opened("*:0") as (endpoint, taker):
        with client("127.0.0.9") as sock:
            sock.sendto(b"to one", ("127.0.0.7", endpoint.port))
            sock.sendto(b"to another", ("127.0.0.8", endpoint.port))
            await until(lambda: len(taker.datagrams) == 2)
            (one, _, _), (another, _, _) = taker.datagrams
            assert one != another
            endpoint.send([(another, b"b"), (one, b"a")])
            assert sock.recvfrom(10) == (b"b", ("127.0.0.8", endpoint.port))
            assert sock.recvfrom(10) == (b"a", ("127.0.0.7", endpoint.port))


async def test_both_families_on_one_port() -> None:
    async with opened("*:0") as (endpoint, taker):
        assert endpoint.addresses == [f"[::]:{endpoint.port}", f"0.0.0.0:{endpoint.port}"]
        assert endpoint.address == f"*:{endpoint.port}"
        with client() as four, client("::1") as six:
            four.sendto(b"4", ("127.0.0.1", endpoint.port))
            six.sendto(b"6", ("::1", endpoint.port))
            await until(lambda: len(taker.datagrams) == 2)
            endpoint.send([(path, data) for path, data, _ in taker.datagrams])
            assert (four.recv(10), six.recv(10)) == (b"4", b"6")


async def test_an_empty_datagram_is_one(calls: type[Calls]) -> None:
    async with opened() as (endpoint, taker):
        with client() as sock:
            sock.sendto(b"", ("127.0.0.1", endpoint.port))
            await until(lambda: bool(taker.datagrams))
            assert taker.datagrams[0][1] == b""
            endpoint.send_one(taker.datagrams[0][0], b"")
            assert sock.recv(10) == b""


async def test_what_is_too_large_is_dropped_and_counted(calls: type[Calls]) -> None:
    async with opened() as (endpoint, taker):
        with client() as sock:
            sock.sendto(bytes(LARGEST + 1), ("127.0.0.1", endpoint.port))
            sock.sendto(bytes(LARGEST), ("127.0.0.1", endpoint.port))
            await until(lambda: bool(taker.datagrams))
            assert [len(data) for _, data, _ in taker.datagrams] == [LARGEST]
            ((name, fields),) = taker.events
            assert (name, fields["count"]) == (DATAGRAMS_DROPPED, 1)
            assert "larger" in str(fields["because"])


async def test_one_that_cannot_be_sent_does_not_hold_up_the_others(calls: type[Calls]) -> None:
    async with opened() as (endpoint, taker):
        with client() as sock:
            good = paths.to(("127.0.0.1", sock.getsockname()[1]))
            nowhere = paths.to(("255.255.255.255", 9))  # not permitted to this socket: EACCES
            endpoint.send([(good, b"1"), (nowhere, b"x"), (good, b"2"), (good, b"3")])
            assert [sock.recv(10) for _ in range(3)] == [b"1", b"2", b"3"]
        assert (endpoint.counters.sent, endpoint.counters.dropped) == (3, 1)
        assert [name for name, _ in taker.events] == [DATAGRAMS_DROPPED]


async def test_what_the_kernel_does_not_take_waits_in_order_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(ManyAtOnce):
        willing = False

        def send(self, batch: list[tuple[bytes, bytes]]) -> int:
            if not Stubborn.willing:
                raise BlockingIOError
            return super().send(batch)

    monkeypatch.setattr(datagram, "calls_for", Stubborn)
    monkeypatch.setattr(datagram, "_PENDING", 1000)
    async with opened() as (endpoint, _):
        with client() as sock:
            to = paths.to(("127.0.0.1", sock.getsockname()[1]))
            endpoint.send([(to, b"%d" % index) for index in range(3)])
            endpoint.send([(to, b"%d" % index) for index in range(3, 9)])
            assert endpoint.counters.dropped == 5  # four fit: each counts 200 octets beside its data
            Stubborn.willing = True
            await until(lambda: endpoint.counters.sent == 4)
            assert [sock.recv(10) for _ in range(4)] == [b"0", b"1", b"2", b"3"]
            endpoint.send([(to, b"again")])
            assert sock.recv(10) == b"again"


async def test_the_address_must_be_there_and_free() -> None:
    async with opened() as (endpoint, taker):
        with pytest.raises(LocalMisuse):
            await endpoint.start()
        with pytest.raises(BindError, match="another program listens there already; end that program"):
            await Endpoint(endpoint.address, taker.datagrams.extend, taker.event).start()
    for bind, match in (("192.0.2.1:0", "does not have that address"), ("unix:/x", "datagrams need an IP address")):
        with pytest.raises(BindError, match=match):
            await Endpoint(bind, taker.datagrams.extend, taker.event).start()


# Groups. ------------------------------------------------------------------------------------------------


def to_group(sock: socket.socket, data: bytes, group: str, port: int, interface: str = "lo") -> None:
    index = socket.if_nametoindex(interface)
    if ":" in group:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.sendto(data, (group, port, 0, index))
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), index))
        sock.sendto(data, (group, port))


@pytest.mark.parametrize("bind", ["*:0", "127.0.0.1:0"])
@pytest.mark.clause("RFC7252-8.1")
async def test_what_came_to_a_group_is_marked_and_answered_from_the_own_address(bind: str, calls: type[Calls]) -> None:
    async with opened(bind, ("lo",), (GROUP, "ff02::fd")) as (endpoint, taker):
        with client() as sock:
            to_group(sock, b"who?", GROUP, endpoint.port)
            await until(lambda: bool(taker.datagrams))
            sock.sendto(b"you", ("127.0.0.1", endpoint.port))
            await until(lambda: len(taker.datagrams) == 2)
            (path, data, group), (unicast, _, directly) = taker.datagrams
            assert (data, group, directly) == (b"who?", True, False)
            assert path == unicast  # one endpoint, however it is asked
            endpoint.send([(path, b"I")])
            assert sock.recvfrom(10) == (b"I", ("127.0.0.1", endpoint.port))


@pytest.fixture
def network() -> Iterator[None]:
    """A network namespace of this test alone, with an interface that knows groups."""
    library = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as own:
        assert library.unshare(_CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            for words in (
                "link set lo up",
                "link add d0 type veth peer name d1",
                "link set d1 up",
                "link set d0 multicast on up",
                "addr add 2001:db8::1/64 dev d0 nodad",
            ):
                subprocess.run(["ip", *words.split()], check=True)
            yield
        finally:
            assert library.setns(own.fileno(), 0) == 0


@pytest.mark.peer("ip")
@pytest.mark.usefixtures("network")
@pytest.mark.clause("RFC7252-8.1")
async def test_an_ipv6_group(calls: type[Calls]) -> None:
    async with opened("*:0", ("d0",), ("ff02::fd",)) as (endpoint, taker):
        with client("2001:db8::1") as sock:
            to_group(sock, b"who?", "ff02::fd", endpoint.port, "d0")
            await until(lambda: bool(taker.datagrams))
            ((path, data, group),) = taker.datagrams
            assert (data, group) == (b"who?", True)
            endpoint.send([(path, b"I")])
            answer, sender = sock.recvfrom(10)
            assert (answer, sender[:2]) == (b"I", ("2001:db8::1", endpoint.port))


async def test_a_group_that_was_not_joined_is_not_heard() -> None:
    """Even where another program on the machine has joined it."""
    async with opened("*:0") as (endpoint, taker):
        with client() as sock, client("0.0.0.0") as neighbour:
            member = socket.inet_aton(GROUP) + bytes(4) + struct.pack("i", socket.if_nametoindex("lo"))
            neighbour.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            to_group(sock, b"who?", GROUP, endpoint.port)
            sock.sendto(b"you", ("127.0.0.1", endpoint.port))
            await until(lambda: bool(taker.datagrams))
            assert [data for _, data, _ in taker.datagrams] == [b"you"]


async def test_nobody_else_can_bind_the_port_meanwhile() -> None:
    async with opened("*:0", ("lo",), (GROUP,)) as (endpoint, _):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for address in ("0.0.0.0", "127.0.0.1", GROUP):
                with pytest.raises(OSError, match="in use"):
                    thief.bind((address, endpoint.port))


async def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(BindError, match=r'no network interface "eth77"; choose from .*lo'):
        async with opened("*:0", ("eth77",), (GROUP,)):
            pass
    async with opened("*:0", ("*",), (GROUP,)) as (endpoint, _):
        assert endpoint.port


def test_this_machine_takes_the_faster_calls() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert isinstance(datagram_calls.calls_for(sock, 0), ManyAtOnce)


def test_a_machine_without_them_takes_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "other")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert isinstance(datagram_calls.calls_for(sock, 0), OneByOne)


async def test_a_path_made_by_hand_is_the_one_that_comes() -> None:
    async with opened("*:0") as (endpoint, taker):
        for address, make in (("127.0.0.1", _made_ipv4), ("::1", _made_ipv6)):
            with client(address) as sock:
                sock.sendto(b"x", (address, endpoint.port))
                await until(lambda: bool(taker.datagrams))
                path = taker.datagrams.pop()[0]
                assert path == make(sock.getsockname()[1], paths.index_of(path))


def _made_ipv4(port: int, index: int) -> bytes:
    return paths.make_ipv4("127.0.0.1", port, socket.if_nametoindex("lo"), socket.inet_aton("127.0.0.1"), index)


def _made_ipv6(port: int, index: int) -> bytes:
    local = socket.inet_pton(socket.AF_INET6, "::1")
    return paths.make_ipv6("::1", port, 0, socket.if_nametoindex("lo"), local, index)


async def test_reading_gives_others_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood is read in portions."""
    async with opened() as (endpoint, taker):
        with client() as sock:
            for _ in range(6 * BATCH):
                sock.sendto(b"x", ("127.0.0.1", endpoint.port))
            seen: list[int] = []

            def turn() -> None:
                seen.append(len(taker.datagrams))
                if len(taker.datagrams) < 6 * BATCH:
                    asyncio.get_running_loop().call_soon(turn)

            turn()
            await until(lambda: len(taker.datagrams) == 6 * BATCH)
            assert any(0 < number < 6 * BATCH for number in seen)
