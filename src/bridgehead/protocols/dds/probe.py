"""Looks who is in a domain without joining it: introduces itself by SPDP, and listens who answers.

It needs neither Cyclone DDS nor credentials, and so tells what everybody can see. Only IPv4 is asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from typing import Final

from bridgehead.protocols.dds.spdp import PREFIX_OCTETS, Announcement, Introduction, SpdpError, announcements

GROUP: Final = "239.255.0.1"  # RTPS 2.3 section 9.6.1.4.1
LAST_INDEX: Final = 60  # participants of one host that are asked where there is no multicast
MOST: Final = 4096  # participants that are remembered
_LEASE: Final = 10
_EVERY: Final = 0.5  # seconds


def multicast_port(domain: int) -> int:
    """Of discovery (RTPS 2.3 section 9.6.1.1)."""
    return 7400 + 250 * domain


def unicast_port(domain: int, index: int) -> int:
    return 7410 + 250 * domain + 2 * index


class ProbeError(Exception):
    """One sentence, with what to do."""


def address_of(interface: str) -> str:
    """The IPv4 address of a network interface, given by its name or address. Errors: ProbeError."""
    try:
        return str(ipaddress.IPv4Address(interface))
    except ValueError:
        pass
    import fcntl
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock.fileno(), 0x8915, struct.pack("256s", interface.encode()[:15]))  # SIOCGIFADDR
        except OSError as error:
            raise ProbeError(
                f"interface {interface} has no IPv4 address ({error.strerror}): see `ip address`"
            ) from None
    return socket.inet_ntoa(answer[20:24])


def route_to(destination: str) -> str:
    """This machine's address on the way to there. Errors: ProbeError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((destination, 7400))
        except OSError as error:
            raise ProbeError(f"{destination} can't be reached ({error.strerror}): name an --interface") from None
        return str(sock.getsockname()[0])


class Probe(asyncio.DatagramProtocol):
    """`found` by GUID prefix. `own` is the prefix it introduces itself by."""

    def __init__(self, domain: int, interface: str, peers: tuple[str, ...]) -> None:
        """Peers are asked instead of the multicast group. Errors: ProbeError."""
        self.found: Final[dict[bytes, Announcement]] = {}
        self.own: Final = secrets.token_bytes(PREFIX_OCTETS)
        self._address: Final = address_of(interface) if interface else route_to(peers[0] if peers else GROUP)
        if peers:
            ports = [unicast_port(domain, index) for index in range(LAST_INDEX + 1)]
            self._targets = [(peer, port) for peer in peers for port in ports]
        else:
            self._targets = [(GROUP, multicast_port(domain))]
        self._transport: asyncio.DatagramTransport | None = None

    async def run(self, seconds: float) -> None:
        """Ask again and again for so long. Errors: ProbeError."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind((self._address, 0))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self._address))
            sock.setblocking(False)
            transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except OSError as error:
            sock.close()
            raise ProbeError(f"can't look from {self._address} ({error.strerror}): name another --interface") from None
        said = Introduction(self.own, self._address, sock.getsockname()[1], _LEASE)
        end = loop.time() + seconds
        try:
            while (left := end - loop.time()) > 0:
                self._send(transport, said.announcement())
                await asyncio.sleep(min(_EVERY, left))
        finally:
            self._send(transport, said.farewell())
            transport.close()

    def _send(self, transport: asyncio.DatagramTransport, datagram: bytes) -> None:
        for target in self._targets:
            transport.sendto(datagram, target)

    def datagram_received(self, data: bytes, address: object) -> None:
        try:
            told = announcements(data)
        except SpdpError:
            return  # anybody can send anything here: what is no announcement tells nothing
        for each in told:
            if each.prefix != self.own and (each.prefix in self.found or len(self.found) < MOST):
                self.found[each.prefix] = each

    def error_received(self, error: Exception) -> None:
        """Nobody listens at one of the ports that were tried: ICMP says so."""
