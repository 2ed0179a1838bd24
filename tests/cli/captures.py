"""Makes capture files for tests: pcap and pcapng, of each link type, with TCP segments in any order."""

from __future__ import annotations

import struct
from ipaddress import ip_address

SYN, ACK, PSH, FIN = 0x02, 0x10, 0x08, 0x01

ETHERNET, LOOP, RAW, SLL, SLL2, NULL = 1, 108, 101, 113, 276, 0


def tcp(source: int, destination: int, sequence: int, flags: int, data: bytes = b"") -> bytes:
    return struct.pack(">HHIIBBHHH", source, destination, sequence % (1 << 32), 0, 5 << 4, flags, 65535, 0, 0) + data


def udp(source: int, destination: int, data: bytes, length: int | None = None) -> bytes:
    return struct.pack(">HHHH", source, destination, 8 + len(data) if length is None else length, 0) + data


def ipv4(
    segment: bytes, source: str = "10.0.0.1", destination: str = "10.0.0.2", fragment: int = 0, protocol: int = 6
) -> bytes:
    total = 20 + len(segment)
    addresses = ip_address(source).packed + ip_address(destination).packed
    return struct.pack(">BBHHHBBH", 0x45, 0, total, 0, fragment, 64, protocol, 0) + addresses + segment


def ipv6(
    segment: bytes, source: str = "fe80::1", destination: str = "fe80::2", extension: bytes = b"", protocol: int = 6
) -> bytes:
    following = 0 if extension else protocol
    header = struct.pack(">IHBB", 6 << 28, len(extension) + len(segment), following, 64)
    return header + ip_address(source).packed + ip_address(destination).packed + extension + segment


def framed(packet: bytes, link_type: int, vlans: int = 0) -> bytes:
    """An IP packet in a frame of the link type; Ethernet frames are padded to 60 octets."""
    protocol = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    if link_type == ETHERNET:
        return (bytes(12) + b"\x81\x00\x00\x07" * vlans + protocol + packet).ljust(60, b"\x00")
    if link_type == SLL:
        return bytes(14) + protocol + packet
    if link_type == SLL2:
        return protocol + bytes(18) + packet
    if link_type in (NULL, LOOP):
        return b"\x02\x00\x00\x00" + packet
    return packet


def pcap(frames: list[bytes], link_type: int = ETHERNET, order: str = "<", nanoseconds: bool = False) -> bytes:
    """One frame a second."""
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)]
    for second, frame in enumerate(frames):
        parts.append(struct.pack(order + "IIII", second, 0, len(frame), len(frame)) + frame)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def pcapng(frames: list[tuple[int, bytes]], link_types: list[int], order: str = "<", kind: int = 6) -> bytes:
    """`frames` are (interface, octets). `kind`: 6 enhanced, 3 simple, 2 the obsolete packet block."""
    parts = [block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)]
    for link_type in link_types:
        nanoseconds = struct.pack(order + "HHB3xHH", 9, 1, 9, 0, 0)
        parts.append(block(1, struct.pack(order + "HHI", link_type, 0, 0) + nanoseconds, order))
    parts.append(block(5, bytes(12), order))  # interface statistics: to be passed over
    for second, (interface, octets) in enumerate(frames):
        time = second * 1_000_000_000
        sizes = (time >> 32, time & 0xFFFFFFFF, len(octets), len(octets))
        if kind == 3:
            body = struct.pack(order + "I", len(octets)) + octets
        elif kind == 2:
            body = struct.pack(order + "HHIIII", interface, 0, *sizes) + octets
        else:
            body = struct.pack(order + "IIIII", interface, *sizes) + octets
        parts.append(block(kind, body, order))
    return b"".join(parts)


class Talk:
    """A TCP connection as its IP packets, from 10.0.0.1:50000 to 10.0.0.2 and back."""

    def __init__(self, port: int = 1883, client_sequence: int = 1000, server_sequence: int = 9000) -> None:
        self.port = port
        self.packets: list[bytes] = []
        self._next = {True: client_sequence, False: server_sequence}

    def add(self, from_client: bool, flags: int, data: bytes = b"", sequence: int | None = None) -> None:
        at = self._next[from_client] if sequence is None else sequence
        if from_client:
            self.packets.append(ipv4(tcp(50000, self.port, at, flags, data), "10.0.0.1", "10.0.0.2"))
        else:
            self.packets.append(ipv4(tcp(self.port, 50000, at, flags, data), "10.0.0.2", "10.0.0.1"))
        if sequence is None:
            self._next[from_client] += len(data) + (1 if flags & (SYN | FIN) else 0)

    def open(self) -> None:
        self.add(True, SYN)
        self.add(False, SYN | ACK)
        self.add(True, ACK)

    def client(self, data: bytes) -> None:
        self.add(True, ACK | PSH, data)

    def server(self, data: bytes) -> None:
        self.add(False, ACK | PSH, data)

    def next_of(self, from_client: bool) -> int:
        return self._next[from_client]

    def pcap(self) -> bytes:
        return pcap([framed(packet, ETHERNET) for packet in self.packets])
