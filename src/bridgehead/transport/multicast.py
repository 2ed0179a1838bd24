"""Groups that a datagram endpoint listens to: a socket of its own for each, so that what came by it is known to have
been sent to many (RFC 7252 section 8)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Final

from bridgehead.transport.address import BindError, format_address

_IP_MULTICAST_ALL: Final = 49  # linux/in.h
_IPV6_MULTICAST_ALL: Final = 29  # linux/in6.h
ALL_INTERFACES: Final = "*"


class Membership:
    """A group's address: IPv4 or IPv6, numeric."""

    def __init__(self, group: str) -> None:
        self.group: Final = group
        self.family: Final = socket.AF_INET6 if ":" in group else socket.AF_INET


def hear_only_joined(sock: socket.socket) -> None:
    """Without this Linux gives a socket what came to any group that somebody on this machine has joined."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)


def open_groups(
    main: socket.socket, interfaces: Sequence[str], memberships: Sequence[Membership]
) -> list[socket.socket]:
    """Sockets bound to the groups of `main`'s family, on its port, joined on each interface. Raises BindError; then
    none is left open. An interface that cannot do multicast is passed over where all were asked for."""
    opened: list[socket.socket] = []
    # Only for this moment: with it another program could bind the port too and take datagrams over (socket(7)).
    main.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        for membership in memberships:
            if membership.family != main.family:
                continue
            for index, name in _chosen(interfaces):
                sock = _join(main, membership, index, name, ALL_INTERFACES not in interfaces)
                if sock is not None:
                    opened.append(sock)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    finally:
        main.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    for sock in opened:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return opened


def _chosen(interfaces: Sequence[str]) -> list[tuple[int, str]]:
    known = socket.if_nameindex()
    if ALL_INTERFACES in interfaces:
        return known
    names = {name for _, name in known}
    for name in interfaces:
        if name not in names:
            problem = f'there is no network interface "{name}"'
            raise BindError("multicast", problem, f'choose from {", ".join(sorted(names))}, or write "*" for all')
    return [(index, name) for index, name in known if name in interfaces]


def _join(main: socket.socket, membership: Membership, index: int, name: str, must: bool) -> socket.socket | None:
    group, port = membership.group, int(main.getsockname()[1])
    sock = socket.socket(membership.family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hear_only_joined(sock)
        packed = socket.inet_pton(membership.family, group)
        if membership.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((group, port, 0, index))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("i", index))
        else:
            sock.bind((group, port))
            request = packed + socket.inet_aton("0.0.0.0") + struct.pack("i", index)  # noqa: S104 - any of its addresses
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    except OSError as fault:
        sock.close()
        if not must:
            return None
        problem = f"the interface {name} cannot listen to the group ({fault.strerror})"
        raise BindError(format_address((group, port)), problem, "leave the interface out of multicast") from fault
    return sock
