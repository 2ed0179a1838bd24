"""Addresses to listen on and to show: parsing, opening the listening sockets, naming the peer."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import stat
import struct
from typing import Final

_UNIX: Final = "unix:"
_STRUCT_UCRED: Final = "iII"  # pid, uid, gid: unix(7), SO_PEERCRED
_PORTS_TRIED: Final = 8


class BindError(Exception):
    """The hub cannot listen at `address`. `remedy` says what to do; the text is one sentence with both."""

    def __init__(self, address: str, problem: str, remedy: str) -> None:
        super().__init__(f"cannot listen on {address}: {problem}; {remedy}")
        self.address = address
        self.problem = problem
        self.remedy = remedy


class Address:
    """A path (Unix socket), or a host and a port. Host "*" is every IPv4 and IPv6 address of this machine."""

    __slots__ = ("host", "path", "port")

    def __init__(self, host: str, port: int, path: str = "") -> None:
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path

    def __str__(self) -> str:
        if self.path:
            return _UNIX + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`127.0.0.1:8883`, `[::1]:8883`, `hub.example:8883`, `*:8883`, `unix:/run/hub.sock`; port 0 is any free one."""
    if text.startswith(_UNIX):
        return Address("", 0, text[len(_UNIX) :])
    host, colon, port = text.rpartition(":")
    if not colon or not host or not _is_port(port):
        raise BindError(text, "that is not an address", 'write "host:port", "[::1]:port" or "unix:/path"')
    return Address(host[1:-1] if host.startswith("[") and host.endswith("]") else host, int(port))


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


def format_address(sockaddr: object) -> str:
    """A socket address as text. An IPv4 peer of a dual-stack socket is shown as the IPv4 address that it is."""
    if isinstance(sockaddr, tuple):
        host, port = str(sockaddr[0]), sockaddr[1]
        if ":" not in host:
            return f"{host}:{port}"
        if host.startswith("::ffff:") and "." in host:
            return f"{host[7:]}:{port}"
        return f"[{host}]:{port}"
    if isinstance(sockaddr, bytes):  # Linux's abstract namespace
        return _UNIX + os.fsdecode(sockaddr).replace("\0", "@")
    return f"{_UNIX}{sockaddr}"


def peer_of(sock: socket.socket, sockaddr: object) -> str:
    """`host:port`; over a Unix socket who is there, by the kernel's word: `unix:uid=1000,gid=1000,pid=4242`."""
    if sock.family != socket.AF_UNIX:
        return format_address(sockaddr)
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_STRUCT_UCRED))
    pid, uid, gid = struct.unpack(_STRUCT_UCRED, credentials)
    return f"{_UNIX}uid={uid},gid={gid},pid={pid}"


def network_of(peer: str) -> str:
    """Who a peer counts as: an IPv4 address, an IPv6 /64 (one host owns that many addresses), a user of a socket."""
    if peer.startswith(_UNIX):
        return peer.partition(",")[0]
    if not peer.startswith("["):
        return peer.rpartition(":")[0]
    host = peer[1:].partition("]")[0].partition("%")[0]
    return ipaddress.IPv6Address(host).packed[:8].hex()


def site_of(peer: str) -> str:
    """The IPv6 /48 that a peer belongs to, what one customer may be given (RFC 6177); "" for any other peer."""
    if not peer.startswith("["):
        return ""
    host = peer[1:].partition("]")[0].partition("%")[0]
    return f"{ipaddress.IPv6Address(host).packed[:6].hex()}/48"


async def open_listeners(address: Address, backlog: int, unix_mode: int) -> list[socket.socket]:
    """Non-blocking listening sockets: one, or one for each address of a host name. Raises BindError."""
    if address.path:
        return [_open_unix(address, backlog, unix_mode)]
    if address.host == "*":
        try:
            return [_open_tcp(address, socket.AF_INET6, ("::", address.port), backlog, dual_stack=True)]
        except BindError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EAFNOSUPPORT:
                raise
            return [_open_tcp(address, socket.AF_INET, ("0.0.0.0", address.port), backlog)]  # noqa: S104 - "*" was asked for
    return _open_all(address, await _resolve(address), backlog)


async def open_datagram_sockets(address: Address) -> list[socket.socket]:
    """Non-blocking bound UDP sockets, one for each address: "*" has one for IPv4 and one for IPv6, where the machine
    has it. Raises BindError."""
    if address.path:
        raise BindError(str(address), "datagrams need an IP address", 'write "host:port" or "*:port"')
    if address.host != "*":
        return _open_all(address, await _resolve(address), 0, socket.SOCK_DGRAM)
    try:
        return _open_all(address, [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")], 0, socket.SOCK_DGRAM)  # noqa: S104 - "*" was asked for
    except BindError as error:
        if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EAFNOSUPPORT:
            raise
        return _open_all(address, [(socket.AF_INET, "0.0.0.0")], 0, socket.SOCK_DGRAM)  # noqa: S104


async def _resolve(address: Address) -> list[tuple[int, str]]:
    """Every (family, numeric host) of the host, in the resolver's order."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except (OSError, UnicodeError) as error:
        problem = f'the name "{address.host}" is not known'
        raise BindError(str(address), problem, "write a name or an address of this machine") from error
    return list(dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found))


def _open_all(
    address: Address, hosts: list[tuple[int, str]], backlog: int, kind: int = socket.SOCK_STREAM
) -> list[socket.socket]:
    """With port 0 all get the same port: the first one's. Another program may hold it at the second: try again."""
    for attempt in range(_PORTS_TRIED):
        opened: list[socket.socket] = []
        port = address.port
        try:
            for family, host in hosts:
                if kind == socket.SOCK_DGRAM:
                    opened.append(_open_udp(address, family, (host, port)))
                else:
                    opened.append(_open_tcp(address, family, (host, port), backlog))
                port = port or opened[0].getsockname()[1]
        except BindError as error:
            for sock in opened:
                sock.close()
            cause = error.__cause__
            busy = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
            if not (busy and opened and address.port == 0 and attempt + 1 < _PORTS_TRIED):
                raise
        else:
            return opened
    raise BindError(str(address), "no port is free on all its addresses", "name a port")


def _open_tcp(
    address: Address, family: int, sockaddr: tuple[str, int], backlog: int, dual_stack: bool = False
) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise BindError(str(address), *_remedy(error, address)) from error
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        # Linux hands these down to accepted sockets: two system calls less per connection.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.bind(sockaddr)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise BindError(str(address), *_remedy(error, address)) from error
    return sock


def _open_udp(address: Address, family: int, sockaddr: tuple[str, int]) -> socket.socket:
    """Without SO_REUSEADDR: with it another program of the same user could take the datagrams over (socket(7))."""
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise BindError(str(address), *_remedy(error, address)) from error
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(sockaddr)
    except OSError as error:
        sock.close()
        raise BindError(str(address), *_remedy(error, address)) from error
    return sock


def _remedy(error: OSError, address: Address) -> tuple[str, str]:
    """(problem, remedy) for people."""
    if error.errno == errno.EADDRINUSE:
        return "another program listens there already", "end that program or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have that address", 'choose one of its own, or "*" for all of them'
    if error.errno in (errno.EACCES, errno.EPERM):
        if address.path:
            return "the folder does not permit it", "choose a folder that the hub's user may write to"
        return "the system does not permit it", "choose a port above 1023, or give the hub CAP_NET_BIND_SERVICE"
    if error.errno == errno.EAFNOSUPPORT:
        return "this machine has no such address family", "choose an IPv4 address"
    if error.errno == errno.ENOENT:
        return "its folder does not exist", "create the folder first"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "no file descriptor is left", "raise the limit of open files (ulimit -n)"
    return os.strerror(error.errno or 0).lower(), "choose another address"


def _open_unix(address: Address, backlog: int, mode: int) -> socket.socket:
    path = address.path
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(address)
        sock.setblocking(False)
        # The file takes its mode from the socket, less the umask: at no moment is it open to others.
        os.fchmod(sock.fileno(), mode)
        sock.bind(path)
        os.chmod(path, mode)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno is None:  # raised by Python: "AF_UNIX path too long"
            raise BindError(str(address), "the path is too long", "choose one of at most 107 octets") from error
        raise BindError(str(address), *_remedy(error, address)) from error
    except BindError:
        sock.close()
        raise
    return sock


def _remove_stale(address: Address) -> None:
    """Remove the socket of a hub that is gone; leave alone one that answers, and what is no socket."""
    try:
        kind = os.lstat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise BindError(str(address), "a file that is no socket is there", "choose another path or move the file away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(address.path)
        except ConnectionRefusedError:
            os.unlink(address.path)
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody listens
    raise BindError(str(address), "another program listens there already", "end that program or choose another path")
