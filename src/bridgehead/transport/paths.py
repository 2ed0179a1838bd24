"""A datagram's path: where it came from, where it was sent to, and by which interface, as the octets that the kernel
takes back when an answer is sent.

A path is the sender's socket address, the control message with its IP_PKTINFO or IPV6_PKTINFO (ip(7), ipv6(7)), and
eight octets that end it, the first of which says which of an endpoint's sockets it is. Nobody but this room looks
inside: elsewhere it is the name of a remote endpoint (RFC 7252 section 4.1: an answer must come from the address that
was asked). The layout is Linux's, with 64-bit sizes.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

from bridgehead.transport.address import format_address

IP_PKTINFO: Final = 8  # linux/in.h; the socket module has no name for it before Python 3.14
_CMSG: Final = "=Qii"  # cmsg_len, cmsg_level, cmsg_type
TAIL: Final = 8


class Layout:
    """Where the parts of one family's paths are, in octets."""

    def __init__(self, family: int, name: int, control_at: int, control: int) -> None:
        self.family: Final = family
        self.name: Final = name  # the socket address begins the path and is so long
        self.control_at: Final = control_at
        self.control: Final = control
        self.length: Final = control_at + control + TAIL


IPV4: Final = Layout(socket.AF_INET, 16, 16, 32)
IPV6: Final = Layout(socket.AF_INET6, 28, 32, 40)
_IPV4_NAME: Final = "=H2s4s8x"
_IPV6_NAME: Final = "=H2sI16sI4x"
_IPV4_INFO: Final = "=I4s4s4x"  # ipi_ifindex, ipi_spec_dst, ipi_addr
_IPV6_INFO: Final = "=16sI4x"  # ipi6_addr, ipi6_ifindex
_IPV4_CONTROL: Final = struct.pack(_CMSG, 28, socket.IPPROTO_IP, IP_PKTINFO)
_IPV6_CONTROL: Final = struct.pack(_CMSG, 36, socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)
_ANY_IPV4: Final = bytes(4)
_ANY_IPV6: Final = bytes(16)


def ask_for_paths(sock: socket.socket) -> None:
    """Have the kernel tell with each datagram which address it was sent to."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def layout_of(path: bytes) -> Layout:
    return IPV4 if len(path) == IPV4.length else IPV6


def tail_of(index: int) -> bytes:
    """What ends the paths of an endpoint's socket number `index` (0 to 255)."""
    return bytes((index,)) + bytes(TAIL - 1)


def index_of(path: bytes) -> int:
    return path[-TAIL]


def make_ipv4(host: str, port: int, interface: int, local: bytes, index: int) -> bytes:
    """`local`: the four octets of the hub's own address; `interface`: its index, 0 for whichever."""
    name = struct.pack(_IPV4_NAME, socket.AF_INET, port.to_bytes(2, "big"), socket.inet_aton(host))
    return name + _IPV4_CONTROL + struct.pack(_IPV4_INFO, interface, local, local) + tail_of(index)


def make_ipv6(host: str, port: int, scope: int, interface: int, local: bytes, index: int) -> bytes:
    """As make_ipv4, `local` with sixteen octets, `scope` the zone of a link-local `host`."""
    address = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    name = struct.pack(_IPV6_NAME, socket.AF_INET6, port.to_bytes(2, "big"), 0, address, scope)
    return name + _IPV6_CONTROL + struct.pack(_IPV6_INFO, local, interface) + tail_of(index)


def to(sockaddr: tuple[str, int] | tuple[str, int, int, int], index: int = 0) -> bytes:
    """The path to an address that nothing came from yet: the kernel chooses from where."""
    if len(sockaddr) == 4:
        host, port, _, scope = sockaddr
        return make_ipv6(host, port, scope, 0, _ANY_IPV6, index)
    return make_ipv4(*sockaddr, 0, _ANY_IPV4, index)


def sockaddr_of(path: bytes) -> tuple[str, int] | tuple[str, int, int, int]:
    """Of the remote endpoint, as socket.sendto takes it."""
    port = int.from_bytes(path[2:4], "big")
    if len(path) == IPV4.length:
        return socket.inet_ntop(socket.AF_INET, path[4:8]), port
    scope = int.from_bytes(path[24:28], sys.byteorder)
    return socket.inet_ntop(socket.AF_INET6, path[8:24]), port, 0, scope


def shown(path: bytes) -> str:
    """The remote endpoint for people: `192.0.2.7:5683`, `[2001:db8::7]:5683`, `[fe80::7%eth0]:5683`."""
    sockaddr = sockaddr_of(path)
    if len(sockaddr) == 4 and sockaddr[3]:
        try:
            zone = socket.if_indextoname(sockaddr[3])
        except OSError:  # the interface is gone meanwhile
            zone = str(sockaddr[3])
        return format_address((f"{sockaddr[0]}%{zone}", sockaddr[1]))
    return format_address(sockaddr)


def local_of(path: bytes) -> tuple[int, bytes]:
    """The hub's own side: (the interface's index, the address's octets)."""
    if len(path) == IPV4.length:
        interface, local, _ = struct.unpack_from(_IPV4_INFO, path, IPV4.control_at + 16)
        return interface, local
    local, interface = struct.unpack_from(_IPV6_INFO, path, IPV6.control_at + 16)
    return interface, local


def answer_to_group(path: bytes, own: bytes, index: int) -> bytes:
    """The path by which to answer what was sent to a group: never from the group's address (RFC 7252 section 8.2), but
    from `own`, or from what the kernel chooses where `own` is all zeros, by the interface that it came by."""
    interface, local = local_of(path)
    if len(path) == IPV4.length:
        if own == _ANY_IPV4:
            own = local  # ipi_spec_dst: the interface's own address
        control = _IPV4_CONTROL + struct.pack(_IPV4_INFO, interface, own, own)
        return path[: IPV4.name] + control + tail_of(index)
    control = _IPV6_CONTROL + struct.pack(_IPV6_INFO, own, interface)
    return path[: IPV6.control_at] + control + tail_of(index)
