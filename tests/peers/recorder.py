"""A relay between a client and the hub that keeps what passes as a capture, without the right to capture."""

from __future__ import annotations

import select
import socket
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Final

from tests.cli.captures import ETHERNET, Talk, framed, ipv4, pcap, udp

_MOST: Final = 65_536  # octets of a datagram
_SEGMENT: Final = 32_768  # octets of a stream in one packet of the capture


class Recorder:
    """A client goes to `port` instead of the hub's port `hub` on 127.0.0.1; the capture shows `shown` as that port.
    One client, by UDP or (`stream`) by one TCP connection."""

    def __init__(self, hub: int, shown: int, stream: bool = False) -> None:
        self._shown: Final = shown
        self._stream: Final = stream
        self._talk: Final = Talk(shown)
        self._datagrams: Final[list[bytes]] = []
        self._door = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self._door.bind(("127.0.0.1", 0))
        self._out = socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
        self._out.connect(("127.0.0.1", hub))
        if stream:
            self._door.listen()
        self._ending, self._end = socket.socketpair()
        self._thread: Final = Thread(target=self._pass_on_stream if stream else self._pass_on)
        self.port: Final = int(self._door.getsockname()[1])

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.close()
        self._thread.join()
        for each in (self._door, self._out, self._ending):
            each.close()

    def write(self, file: Path) -> None:
        """After the end."""
        if self._stream:
            file.write_bytes(self._talk.pcap())
        else:
            file.write_bytes(pcap([framed(packet, ETHERNET) for packet in self._datagrams]))

    def _pass_on(self) -> None:
        client = ("", 0)
        while True:
            for ready in select.select([self._door, self._out, self._ending], [], [])[0]:
                if ready is self._ending:
                    return
                if ready is self._door:
                    data, client = self._door.recvfrom(_MOST)
                    self._datagrams.append(ipv4(udp(40_000, self._shown, data), protocol=17))
                    self._out.send(data)
                else:
                    data = self._out.recv(_MOST)
                    back = ipv4(udp(self._shown, 40_000, data), "10.0.0.2", "10.0.0.1", protocol=17)
                    self._datagrams.append(back)
                    self._door.sendto(data, client)

    def _pass_on_stream(self) -> None:
        if self._ending in select.select([self._door, self._ending], [], [])[0]:
            return
        client = self._door.accept()[0]
        self._talk.open()
        with client:
            while True:
                for ready in select.select([client, self._out, self._ending], [], [])[0]:
                    data = b"" if ready is self._ending else ready.recv(_SEGMENT)
                    if not data:
                        return
                    if ready is client:
                        self._talk.client(data)
                        self._out.sendall(data)
                    else:
                        self._talk.server(data)
                        client.sendall(data)
