"""A Link inside WebSocket (RFC 6455), for load on a hub's WebSocket listener.

Client frames must be masked (5.3). The mask key here is zero, which leaves the octets as they are: a load generator
talks to a server that its user named, so the cache poisoning that random keys prevent (10.3) is not at stake.
"""

from __future__ import annotations

from bridgehead.cli.load.links import Link, LinkLost

BINARY, CLOSE, PING, PONG = 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0
FINAL = 0x80
MASKED = 0x80
NO_MASK = bytes(4)
BUFFER = 262_144


def frame_head(opcode: int, length: int) -> bytes:
    """The header of a final frame with `length` octets (RFC 6455 5.2)."""
    first = bytes((FINAL | opcode,))
    if length < 126:
        return first + bytes((MASKED | length,)) + NO_MASK
    if length < 65_536:
        return first + bytes((MASKED | 126,)) + length.to_bytes(2, "big") + NO_MASK
    return first + bytes((MASKED | 127,)) + length.to_bytes(8, "big") + NO_MASK


class WebSocketLink(Link):
    """Takes the frames off what `inner` reads and puts them on what it sends."""

    def __init__(self, inner: Link) -> None:
        super().__init__(inner.sock, inner.name)
        self.inner = inner
        self.held = bytearray()  # octets of a frame header or control frame that is not whole yet
        self.payload_left = 0  # octets of the current data frame that are still to come
        self.buffer = bytearray(BUFFER)

    def read(self, view: memoryview) -> int:
        room = min(len(view), BUFFER)
        count = self.inner.read(memoryview(self.buffer)[:room])
        self.more = self.inner.more
        if count == 0:
            return 0
        octets: bytes | bytearray = self.buffer[:count]
        if self.held:
            octets = self.held + octets
            self.held = bytearray()
        written = 0
        at = 0
        while at < len(octets):
            if self.payload_left:
                part = octets[at : at + self.payload_left]
                view[written : written + len(part)] = part
                written += len(part)
                at += len(part)
                self.payload_left -= len(part)
                continue
            head = self.header(octets, at)
            if head is None:
                self.held = bytearray(octets[at:])
                break
            opcode, start, length = head
            if opcode in (BINARY, CONTINUATION):
                at = start
                self.payload_left = length
                continue
            if len(octets) - start < length:
                self.held = bytearray(octets[at:])
                break
            at = start + length
            if opcode == PING:
                self.control(PONG, bytes(octets[start:at]))
            elif opcode == CLOSE:
                raise LinkLost(f"the server closed the WebSocket of {self.name}")
        return written

    def header(self, octets: bytes | bytearray, at: int) -> tuple[int, int, int] | None:
        """(opcode, where the payload starts, its length), or None when the header is not whole."""
        if len(octets) - at < 2:
            return None
        opcode, length = octets[at] & 0x0F, octets[at + 1] & 0x7F
        wide = 2 if length == 126 else 8 if length == 127 else 0
        if len(octets) - at < 2 + wide:
            return None
        if wide:
            length = int.from_bytes(octets[at + 2 : at + 2 + wide], "big")
        return opcode, at + 2 + wide, length

    def control(self, opcode: int, payload: bytes) -> None:
        self.inner.send(frame_head(opcode, len(payload)) + payload)
        self.pending = self.inner.pending

    def send(self, data: bytes | bytearray | memoryview) -> None:
        self.inner.send(b"".join((frame_head(BINARY, len(data)), data)))
        self.pending = self.inner.pending

    def flush(self) -> None:
        self.inner.flush()
        self.pending = self.inner.pending
