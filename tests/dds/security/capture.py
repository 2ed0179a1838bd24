"""What crosses the loopback to the ports of one DDS domain."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal

_PORT_BASE, _DOMAIN_GAIN = 7400, 250  # RTPS 2.3 section 9.6.1.1
_ETHERTYPE_ALL = 3
_IPV4_HEADER, _ETHERNET = 20, 14
_PCAP_HEADER, _RECORD_HEADER = 24, 16
_RTPS_HEADER = 20
_DATA = (0x15, 0x16)  # DATA and DATA_FRAG (RTPS 2.3 section 9.4.5.1.1)
_STATELESS_WRITER = b"\x00\x02\x01\xc3"  # of what is said before there is a key (DDS Security 1.1 section 7.3.7.1)
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE = 26, 33
_LOAD_HALF, _LOAD_OCTET, _EQUAL, _ABOVE, _AT_LEAST, _RETURN = 0x28, 0x30, 0x15, 0x25, 0x35, 0x06


def only(sock: socket.socket, ports: Collection[range]) -> None:
    """Let in UDP over IPv4 to these ports and what is between them: else other tests' datagrams fill the socket, and
    what is lost of a handshake is not sent again. A filter of Linux (struct sock_fprog)."""
    low, high = min(each.start for each in ports), max(each.stop - 1 for each in ports)
    steps = (
        (_LOAD_HALF, 0, 0, 12),
        (_EQUAL, 0, 6, 0x0800),
        (_LOAD_OCTET, 0, 0, _ETHERNET + 9),
        (_EQUAL, 0, 4, socket.IPPROTO_UDP),
        (_LOAD_HALF, 0, 0, _ETHERNET + _IPV4_HEADER + 2),
        (_AT_LEAST, 0, 2, low),
        (_ABOVE, 1, 0, high),
        (_RETURN, 0, 0, 0xFFFF),
        (_RETURN, 0, 0, 0),
    )
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in steps))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(steps), ctypes.addressof(program)))


class Capture:
    """`datagrams` after the block: whole IPv4 packets. Reads the network itself as root, else by dumpcap."""

    def __init__(self, *domains: int) -> None:
        self._ranges = {
            each: range(_PORT_BASE + _DOMAIN_GAIN * each, _PORT_BASE + _DOMAIN_GAIN * (each + 1)) for each in domains
        }
        self._frames: list[bytes] = []

    def __enter__(self) -> Capture:
        if os.geteuid() == 0:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE_ALL))
            only(self._socket, self._ranges.values())
            with suppress(PermissionError):  # without CAP_NET_ADMIN it stays as large as the system lets it be
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 16 << 20)
            self._socket.bind(("lo", 0))
            self._socket.settimeout(0.2)
            self._ended = threading.Event()
            self._thread = threading.Thread(target=self._receive)
            self._thread.start()
        else:
            self._folder = tempfile.TemporaryDirectory()
            self._file = Path(self._folder.name) / "lo.pcap"
            command = ["dumpcap", "-q", "-P", "-i", "lo", "-f", "udp", "-w", str(self._file)]
            self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            assert self._process.stderr is not None
            while not (line := self._process.stderr.readline()).startswith("File:"):
                assert line, "dumpcap may not capture here: add this user to its group, or run as root"
        return self

    def _receive(self) -> None:
        while not self._ended.is_set():
            try:
                self._frames.append(self._socket.recv(65_536))
            except TimeoutError:
                continue

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if os.geteuid() == 0:
            self._ended.set()
            self._thread.join()
            self._socket.close()
            return
        self._process.terminate()
        self._process.communicate()
        data = self._file.read_bytes()
        at = _PCAP_HEADER
        while at + _RECORD_HEADER <= len(data):
            length = int.from_bytes(data[at + 8 : at + 12], "little")
            at += _RECORD_HEADER
            self._frames.append(data[at : at + length])
            at += length
        self._folder.cleanup()

    def of(self, domain: int) -> list[bytes]:
        """The UDP datagrams to its ports."""
        ports = self._ranges[domain]
        found: list[bytes] = []
        for frame in self._frames:
            packet = frame[_ETHERNET:]
            is_udp = len(packet) > _IPV4_HEADER + 8 and packet[0] == 0x45 and packet[9] == socket.IPPROTO_UDP
            if is_udp and int.from_bytes(packet[_IPV4_HEADER + 2 : _IPV4_HEADER + 4]) in ports:
                found.append(packet[_IPV4_HEADER + 8 :])
        return found


def handshakes(datagram: bytes) -> tuple[bytes, bytes]:
    """The submessages (RTPS 2.3 section 8.3.3) that are of a handshake, or a fragment of one, and all else."""
    of_handshake, other = b"", datagram[:_RTPS_HEADER]
    at = _RTPS_HEADER
    while at + 4 <= len(datagram):
        order: Literal["little", "big"] = "little" if datagram[at + 1] & 1 else "big"
        length = int.from_bytes(datagram[at + 2 : at + 4], order)
        end = at + 4 + length if length else len(datagram)
        if datagram[at] in _DATA and datagram[at + 12 : at + 16] == _STATELESS_WRITER:
            of_handshake += datagram[at:end]
        else:
            other += datagram[at:end]
        at = end
    return of_handshake, other + datagram[at:]
