"""Reads capture files, pcap and pcapng, down to their TCP segments and UDP datagrams.

By hand, because what the registries have is either without types and care since 2022, or large and under the GPL,
and neither keeps a pcapng's interfaces with their link types apart.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import BinaryIO, Final

PCAP_MICROSECONDS: Final = 0xA1B2C3D4
PCAP_NANOSECONDS: Final = 0xA1B23C4D
PCAPNG: Final = 0x0A0D0D0A
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_ENHANCED_PACKET: Final = 6
_OPTION_RESOLUTION: Final = 9

# No frame and no block is larger; a length above it means a damaged file.
_MAX_LENGTH: Final = 64 * 1024 * 1024

# Link types (the registry of tcpdump.org).
_NULL: Final = 0
_ETHERNET: Final = 1
_RAW: Final = (12, 14, 101, 228, 229)
_LOOP: Final = 108
_LINUX_SLL: Final = 113
_LINUX_SLL2: Final = 276
LINK_TYPES: Final = (_NULL, _ETHERNET, *_RAW, _LOOP, _LINUX_SLL, _LINUX_SLL2)

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLANS: Final = (0x8100, 0x88A8, 0x9100)
_TCP: Final = 6
_UDP: Final = 17
_IPV6_EXTENSIONS: Final = (0, 43, 60, 135)


class CaptureError(Exception):
    """The file cannot be read as a capture; the text is one sentence."""


class Frame:
    """One captured frame. `time` is in seconds since the epoch, `missing` the octets that the capture left out."""

    def __init__(self, time: float, link_type: int, octets: bytes, missing: int) -> None:
        self.time: Final = time
        self.link_type: Final = link_type
        self.octets: Final = octets
        self.missing: Final = missing


class Segment:
    """One TCP segment. `source` and `destination` are "address:port"."""

    def __init__(
        self, time: float, source: tuple[str, int], destination: tuple[str, int], sequence: int, flags: int, data: bytes
    ) -> None:
        self.time: Final = time
        self.source: Final = source
        self.destination: Final = destination
        self.sequence: Final = sequence
        self.flags: Final = flags
        self.data: Final = data

    @property
    def is_syn(self) -> bool:
        return self.flags & 0x02 != 0

    @property
    def is_ack(self) -> bool:
        return self.flags & 0x10 != 0


class Datagram:
    """One UDP datagram. `missing`: octets of it that the capture left out."""

    def __init__(
        self, time: float, source: tuple[str, int], destination: tuple[str, int], data: bytes, missing: int
    ) -> None:
        self.time: Final = time
        self.source: Final = source
        self.destination: Final = destination
        self.data: Final = data
        self.missing: Final = missing


def frames(file: BinaryIO) -> Iterator[Frame]:
    """The frames of a pcap or pcapng file, in its order. A last frame that is cut short is left out."""
    start = file.read(4)
    if len(start) < 4:
        raise CaptureError("it is too short to be a capture file")
    if start[:2] == b"\x1f\x8b":
        raise CaptureError("it is compressed: decompress it first, for example with `gunzip --keep`")
    little, big = struct.unpack("<I", start)[0], struct.unpack(">I", start)[0]
    if little == PCAPNG:
        return _pcapng(file)
    for order, magic in (("<", little), (">", big)):
        if magic in (PCAP_MICROSECONDS, PCAP_NANOSECONDS):
            return _pcap(file, order, 1e-9 if magic == PCAP_NANOSECONDS else 1e-6)
    raise CaptureError("it is no capture file: neither pcap nor pcapng")


def _pcap(file: BinaryIO, order: str, fraction: float) -> Iterator[Frame]:
    header = file.read(20)
    if len(header) < 20:
        raise CaptureError("its header is cut short")
    # The upper bits of the link type may tell of a frame check sequence.
    link_type: int = struct.unpack(order + "I", header[16:20])[0] & 0x0FFFFFFF
    record = struct.Struct(order + "IIII")
    while len(header := file.read(16)) == 16:
        seconds, part, length, original = record.unpack(header)
        octets = _read(file, length)
        if octets is None:
            return
        yield Frame(seconds + part * fraction, link_type, octets, max(0, original - length))


def _read(file: BinaryIO, length: int) -> bytes | None:
    if length > _MAX_LENGTH:
        raise CaptureError(f"it is damaged: a frame of {length} octets")
    octets = file.read(length)
    return octets if len(octets) == length else None


class _Interface:
    def __init__(self, link_type: int, snap_length: int, resolution: float) -> None:
        self.link_type = link_type
        self.snap_length = snap_length
        self.resolution = resolution


def _pcapng(file: BinaryIO) -> Iterator[Frame]:
    """Sections of blocks (draft-ietf-opsawg-pcapng). Each section has its own byte order and interfaces."""
    order = "<"
    interfaces: list[_Interface] = []
    kind_octets = b"\x0a\x0d\x0d\x0a"
    while len(kind_octets) == 4:
        kind: int = struct.unpack(order + "I", kind_octets)[0]
        head = file.read(4)
        if kind == PCAPNG:
            magic = file.read(4)
            if len(magic) < 4:
                return
            order = "<" if struct.unpack("<I", magic)[0] == _BYTE_ORDER_MAGIC else ">"
            if struct.unpack(order + "I", magic)[0] != _BYTE_ORDER_MAGIC:
                raise CaptureError("it is damaged: a section without its byte-order magic")
            interfaces = []
        if len(head) < 4:
            return
        length: int = struct.unpack(order + "I", head)[0]
        already = 12 if kind == PCAPNG else 8
        if length < already + 4 or length % 4:
            raise CaptureError(f"it is damaged: a block of {length} octets")
        body = _read(file, length - already)
        if body is None:
            return
        body = body[:-4]  # the length once more
        if kind == _INTERFACE and len(body) >= 8:
            interfaces.append(_interface(body, order))
        elif kind in (_ENHANCED_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
            frame = _packet_block(kind, body, order, interfaces)
            if frame is not None:
                yield frame
        kind_octets = file.read(4)


def _interface(body: bytes, order: str) -> _Interface:
    link_type, _, snap_length = struct.unpack(order + "HHI", body[:8])
    resolution = 1e-6
    position = 8
    while position + 4 <= len(body):
        code, length = struct.unpack(order + "HH", body[position : position + 4])
        value = body[position + 4 : position + 4 + length]
        if code == 0:
            break
        if code == _OPTION_RESOLUTION and value:
            resolution = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        position += 4 + (length + 3) // 4 * 4
    return _Interface(link_type, snap_length, resolution)


def _packet_block(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Frame | None:
    if kind == _SIMPLE_PACKET:
        if len(body) < 4 or not interfaces:
            return None
        original: int = struct.unpack(order + "I", body[:4])[0]
        snap_length = interfaces[0].snap_length or original
        length = min(original, snap_length, len(body) - 4)
        return Frame(0.0, interfaces[0].link_type, body[4 : 4 + length], original - length)
    if len(body) < 20:
        return None
    form = "IIIII" if kind == _ENHANCED_PACKET else "HHIIII"
    fields = struct.unpack(order + form, body[:20])
    number, high, low, length, original = fields[0], *fields[-4:]
    if number >= len(interfaces):
        raise CaptureError("it is damaged: a packet of an interface that is not described")
    interface = interfaces[number]
    octets = body[20 : 20 + length]
    return Frame((high << 32 | low) * interface.resolution, interface.link_type, octets, max(0, original - len(octets)))


def content_of(frame: Frame) -> Segment | Datagram | None:
    """The TCP segment or UDP datagram in a frame, or None when it has none (another protocol, a fragment, a header cut
    short)."""
    octets = frame.octets
    network = _network_layer(octets, frame.link_type)
    if network < 0 or network >= len(octets):
        return None
    version = octets[network] >> 4
    if version == 4:
        return _ipv4(frame.time, octets[network:])
    return _ipv6(frame.time, octets[network:]) if version == 6 else None


def _network_layer(octets: bytes, link_type: int) -> int:
    """Where the IP header begins, -1 for nowhere."""
    if link_type in _RAW:
        return 0
    if link_type in (_NULL, _LOOP):
        return 4
    if link_type == _ETHERNET:
        offset = 12
    elif link_type == _LINUX_SLL:
        offset = 14
    elif link_type == _LINUX_SLL2:
        # Here the protocol comes first, and the header is 20 octets long.
        return 20 if octets[:2] in (b"\x08\x00", b"\x86\xdd") else -1
    else:
        return -1
    while offset + 2 <= len(octets):
        protocol: int = struct.unpack(">H", octets[offset : offset + 2])[0]
        offset += 2
        if protocol in (_IPV4, _IPV6):
            return offset
        if protocol not in _VLANS:
            return -1
        offset += 2
    return -1


def _ipv4(time: float, octets: bytes) -> Segment | Datagram | None:
    header = (octets[0] & 15) * 4
    if len(octets) < 20 or header < 20:
        return None
    total, fragment = struct.unpack(">H", octets[2:4])[0], struct.unpack(">H", octets[6:8])[0] & 0x3FFF
    if fragment:
        return None
    # 0 is what a network card leaves that cuts segments itself.
    end = total or len(octets)
    return _content(octets[9], time, _address(octets[12:16]), _address(octets[16:20]), octets[header:end])


def _ipv6(time: float, octets: bytes) -> Segment | Datagram | None:
    if len(octets) < 40:
        return None
    length: int = struct.unpack(">H", octets[4:6])[0]
    end = 40 + length if length else len(octets)
    following, position = octets[6], 40
    while following in _IPV6_EXTENSIONS and position + 8 <= len(octets):
        following, position = octets[position], position + 8 + octets[position + 1] * 8
    return _content(following, time, _address(octets[8:24]), _address(octets[24:40]), octets[position:end])


def _content(protocol: int, time: float, source: str, destination: str, octets: bytes) -> Segment | Datagram | None:
    if protocol == _TCP:
        return _tcp(time, source, destination, octets)
    return _udp(time, source, destination, octets) if protocol == _UDP else None


def _address(octets: bytes) -> str:
    address = ip_address(octets)
    return f"[{address}]" if address.version == 6 else str(address)


def _tcp(time: float, source: str, destination: str, octets: bytes) -> Segment | None:
    if len(octets) < 20:
        return None
    from_port, to_port, sequence = struct.unpack(">HHI", octets[:8])
    offset = (octets[12] >> 4) * 4
    if offset < 20 or offset > len(octets):
        return None
    return Segment(time, (source, from_port), (destination, to_port), sequence, octets[13] & 0x3F, octets[offset:])


def _udp(time: float, source: str, destination: str, octets: bytes) -> Datagram | None:
    if len(octets) < 8:
        return None
    from_port, to_port, length = struct.unpack(">HHH", octets[:6])
    # 0 is what a network card leaves that cuts datagrams itself.
    end = length if length >= 8 else len(octets)
    return Datagram(time, (source, from_port), (destination, to_port), octets[8:end], max(0, end - len(octets)))
