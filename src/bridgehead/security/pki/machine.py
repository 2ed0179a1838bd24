"""By which names and addresses this machine can be dialled."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
import threading
from typing import Final

from bridgehead.security.errors import NotAcceptable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_ADDRESSES: Final = 64
_LOOKUP_SECONDS: Final = 0.5
# RFC 1123 2.1, and the underscore that real machines have. One leading wildcard label as RFC 9525 6.3 knows it.
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*{_LABEL}")

_RTM_NEWADDR: Final = 20
_RTM_GETADDR: Final = 22
_NLM_F_REQUEST_DUMP: Final = 0x301
_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_F_TEMPORARY: Final = 0x01
_SCOPE_LINK: Final = 253


class MachineNames:
    """`domain_name` is the fully qualified host name, or None when nobody answered in time."""

    def __init__(self, host_name: str, domain_name: str | None, addresses: list[Address]) -> None:
        self.host_name: Final = host_name
        self.domain_name: Final = domain_name
        self.addresses: Final = addresses


def machine_names() -> MachineNames:
    """This machine's names as of now. Takes at most half a second, also with a broken resolver."""
    host_name = socket.gethostname().rstrip(".").lower()
    if not is_host_name(host_name):
        host_name = "localhost"
    return MachineNames(host_name, _domain_name(host_name), _addresses())


def is_host_name(text: str) -> bool:
    return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None


def parse_host(text: str) -> str | Address:
    """A host as it goes into a certificate: an address, or a lower-case host name. Errors: NotAcceptable."""
    bare = text.strip().removeprefix("[").removesuffix("]")
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        pass
    name = bare.rstrip(".").lower()
    if not is_host_name(name):
        raise NotAcceptable(
            f"{text!r} is neither a host name nor an IP address: write it as in hub.example or 192.0.2.7 "
            "(no port, no URL; international names in their xn-- form)"
        )
    return name


def _domain_name(host_name: str) -> str | None:
    if "." in host_name:
        return host_name
    found: list[str] = []

    def look_up() -> None:
        try:
            entries = socket.getaddrinfo(host_name, None, flags=socket.AI_CANONNAME)
        except OSError:
            return  # nobody knows it: the certificate does without
        found.extend(entry[3].rstrip(".").lower() for entry in entries if entry[3])

    # The resolver has no deadline of its own, and the hub shall be ready in two seconds.
    thread = threading.Thread(target=look_up, name="host name", daemon=True)
    thread.start()
    thread.join(_LOOKUP_SECONDS)
    return next((name for name in found if name.startswith(host_name + ".") and is_host_name(name)), None)


def _addresses() -> list[Address]:
    """Without link-local and temporary (RFC 8981) ones: the first need a scope, the second are gone tomorrow."""
    unique = dict.fromkeys(
        a for a in _interface_addresses() if not (a.is_link_local or a.is_multicast or a.is_unspecified)
    )
    return sorted(unique, key=lambda address: (address.version, address.packed))[:MOST_ADDRESSES]


if sys.platform == "linux":

    def _interface_addresses() -> list[Address]:
        """rtnetlink(7): RTM_GETADDR, as `ip addr` asks."""
        found: list[Address] = []
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as netlink:
            netlink.settimeout(_LOOKUP_SECONDS)
            netlink.send(struct.pack("=IHHIIBBBBI", 24, _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0, 0, 0, 0, 0, 0))
            while True:
                data = netlink.recv(65536)
                at = 0
                while at + 16 <= len(data):
                    length, kind = struct.unpack_from("=IH", data, at)
                    if kind in (_NLMSG_DONE, _NLMSG_ERROR) or length < 16:
                        return found
                    if kind == _RTM_NEWADDR:
                        found += _address_of(data[at + 16 : at + length])
                    at += (length + 3) & ~3

    def _address_of(message: bytes) -> list[Address]:
        """One `ifaddrmsg` with its attributes."""
        flags, scope = message[2], message[3]
        if scope == _SCOPE_LINK or flags & _IFA_F_TEMPORARY:
            return []
        attributes: dict[int, bytes] = {}
        at = 8
        while at + 4 <= len(message):
            length, kind = struct.unpack_from("=HH", message, at)
            if length < 4:
                break
            attributes[kind] = message[at + 4 : at + length]
            at += (length + 3) & ~3
        # On a point-to-point link IFA_ADDRESS is the other end's.
        raw = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS, b""))
        return [ipaddress.ip_address(raw)] if len(raw) in (4, 16) else []

else:

    def _interface_addresses() -> list[Address]:
        """What the resolver says of this machine's own name."""
        try:
            entries = socket.getaddrinfo(socket.gethostname(), None)
        except OSError:
            return []
        return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]
