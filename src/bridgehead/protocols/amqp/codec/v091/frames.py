"""Frames of AMQP 0-9-1 out of a stream (4.2.3), however it is cut."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.amqp.codec.v091.errors import FRAME_ERROR, ConnectionFault

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8
END: Final = 0xCE  # 4.2.3: what each frame ends with
OVERHEAD: Final = 8  # octets around a payload: type, channel, size, end
SMALLEST: Final = 4096  # frame-min-size


@mypyc_attr(acyclic=True)
class Frame:
    """`kind` is METHOD, HEADER, BODY or HEARTBEAT."""

    def __init__(self, kind: i64, channel: i64, payload: bytes) -> None:
        self.kind: Final = kind
        self.channel: Final = channel
        self.payload: Final = payload


@mypyc_attr(acyclic=True)
class Decoder:
    """`frame_max` bounds a frame with everything around its payload, and with it what is held between two reads; it
    is changed when it was negotiated."""

    def __init__(self, frame_max: int) -> None:
        self.frame_max = frame_max
        self.frames: list[Frame] = []  # set by a fault only: what was whole before it
        self._rest = b""
        self._fault: ConnectionFault | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame that is whole with this read. Raises ConnectionFault (501); `frames` are then those before the
        fault, and each further call raises the same."""
        if self._fault is not None:
            self.frames = []
            raise self._fault
        if self._rest:
            data = self._rest + data
        found: list[Frame] = []
        size: i64 = len(data)
        limit: i64 = self.frame_max - OVERHEAD
        at: i64 = 0
        while size - at >= 7:
            first: i64 = data[at + 3]
            second: i64 = data[at + 4]
            third: i64 = data[at + 5]
            fourth: i64 = data[at + 6]
            length = first << 24 | second << 16 | third << 8 | fourth
            kind: i64 = data[at]
            if length > limit:
                self._fail(f"a frame of {length} octets is above the frame-max of {self.frame_max}", found)
            if kind < METHOD or (kind > BODY and kind != HEARTBEAT):
                self._fail(f"{kind} is no type of a frame", found)
            end = at + 7 + length
            if end >= size:
                break
            if data[end] != END:
                self._fail("a frame does not end with its frame-end octet", found)
            high: i64 = data[at + 1]
            low: i64 = data[at + 2]
            found.append(Frame(kind, high << 8 | low, data[at + 7 : end]))
            at = end + 1
        self._rest = data[at:] if at else data
        return found

    def _fail(self, because: str, found: list[Frame]) -> None:
        self._rest = b""
        self.frames = found
        self._fault = ConnectionFault(because, FRAME_ERROR, clause="AMQP091-4.2.3")
        raise self._fault


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"%b%b%b%b\xce" % (
        kind.to_bytes(1, "big"),
        channel.to_bytes(2, "big"),
        len(payload).to_bytes(4, "big"),
        payload,
    )


HEARTBEAT_FRAME: Final = frame(HEARTBEAT, 0, b"")
