"""Frames of AMQP 1.0 out of a stream (2.3), however it is cut. The usual transfers, dispositions and flows are
decoded by hot.py; anything else by the general way, with the same result."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.amqp.codec.v1.composites import SASL_MECHANISMS, Performative
from bridgehead.protocols.amqp.codec.v1.decode import decode_performative
from bridgehead.protocols.amqp.codec.v1.errors import FRAMING_ERROR, AmqpError
from bridgehead.protocols.amqp.codec.v1.hot import HotReader
from bridgehead.wire.errors import PeerError

_AMQP: Final = 0
_SASL: Final = 1
# More than this still to come: collect it in a growing buffer, and don't join it anew at each read.
_LONG_WAIT: Final = 65_536


class Frame:
    """`performative` is None for an empty frame, which only keeps the connection alive (2.4.5). `payload` is what
    follows a transfer in its frame: a message, or a part of one."""

    def __init__(self, channel: i64, performative: Performative | None, payload: bytes) -> None:
        self.channel: Final = channel
        self.performative: Final = performative
        self.payload: Final = payload

    def __repr__(self) -> str:
        return f"Frame({self.channel}, {self.performative!r}, <{len(self.payload)} octets>)"


@mypyc_attr(acyclic=True)
class Decoder:
    """One direction of one connection, behind the protocol header.

    `max_frame_size` bounds a frame, and with it what is held between two reads; it may be changed when Open has told
    it. With `sasl` only SASL frames are taken (5.3.1), else only AMQP frames.
    """

    def __init__(self, max_frame_size: int, sasl: bool = False) -> None:
        self.max_frame_size = max_frame_size
        self.frames: list[Frame] = []  # set by a fault only: what was whole before it
        self._type: Final[i64] = _SASL if sasl else _AMQP
        self._rest = b""
        self._collected: bytearray | None = None
        self._needed: i64 = 0
        self._fault: PeerError | None = None
        self._hot: Final = HotReader()

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame that is whole with this read; an incomplete rest is kept for the next.

        Raises AmqpError; the frames of this read before the fault are then in `frames`. After a fault the stream has
        no known boundary any more: each further call raises the same error.
        """
        found: list[Frame] = []
        self._feed(data, found, False)
        return found

    def one(self, data: bytes) -> Frame | None:
        """The next frame alone, or None while it is incomplete; what follows it is kept. For the SASL layer, whose
        last frame is followed by a protocol header. `data` may be empty."""
        found: list[Frame] = []
        self._feed(data, found, True)
        return found[0] if found else None

    def rest(self) -> bytes:
        """What has not been decoded. It is forgotten here."""
        rest = self._rest if self._collected is None else bytes(self._collected)
        self._rest = b""
        self._collected = None
        self._needed = 0
        return rest

    @property
    def held(self) -> i64:
        """Octets of an incomplete frame that are waiting for more."""
        return len(self._rest) if self._collected is None else len(self._collected)

    def _feed(self, data: bytes, found: list[Frame], alone: bool) -> None:
        if self._fault is not None:
            self.frames = []
            raise self._fault
        if self._needed:
            joined = self._join(data)
            if joined is None:
                return
            data = joined
        try:
            self._decode(data, found, alone)
        except PeerError as fault:
            self._fault = fault
            self.frames = found
            raise

    def _join(self, data: bytes) -> bytes | None:
        """What was held with `data` behind it, or None while the frame is known to be incomplete."""
        collected = self._collected
        if collected is None:
            joined = self._rest + data
            if len(joined) < self._needed:
                self._hold(joined, self._needed)
                return None
        else:
            collected += data
            if len(collected) < self._needed:
                return None
            joined = bytes(collected)
            self._collected = None
        self._rest = b""
        self._needed = 0
        return joined

    def _hold(self, rest: bytes, needed: i64) -> None:
        self._needed = needed
        if needed - len(rest) > _LONG_WAIT:
            self._collected = bytearray(rest)
            self._rest = b""
        else:
            self._rest = rest

    def _decode(self, data: bytes, found: list[Frame], alone: bool) -> None:
        size: i64 = len(data)
        pos: i64 = 0
        needed: i64 = 8
        limit: i64 = self.max_frame_size
        hot = self._hot
        kind = self._type
        while size - pos >= 8:
            if alone and found:
                # What follows may be no frame at all: look at it with the next call.
                needed = 1
                break
            high: i64 = data[pos]
            second: i64 = data[pos + 1]
            third: i64 = data[pos + 2]
            low: i64 = data[pos + 3]
            length = high << 24 | second << 16 | third << 8 | low
            offset: i64 = data[pos + 4]
            begin = pos + 4 * offset
            if length > limit or length < 8 or offset < 2 or 4 * offset > length or data[pos + 5] != kind:
                raise self._malformed(length, offset, data[pos + 5])
            end = pos + length
            if end > size:
                needed = length
                break
            high = data[pos + 6]
            low = data[pos + 7]
            channel: i64 = 0 if kind == _SASL else high << 8 | low
            if begin == end:
                if kind == _SASL:
                    raise AmqpError(FRAMING_ERROR, "a SASL frame is empty", -1, "AMQP-5.3.1")
                found.append(Frame(channel, None, b""))
            else:
                performative = hot.performative(data, begin, end) if kind == _AMQP else None
                payload = hot.payload
                if performative is None:
                    performative, payload = decode_performative(data, begin, end)
                    if (performative.code >= SASL_MECHANISMS) != (kind == _SASL):
                        raise AmqpError(FRAMING_ERROR, "a performative in a frame of another type", -1, "AMQP-2.3.1")
                found.append(Frame(channel, performative, data[payload:end]))
            pos = end
        hot.forget()
        if pos < size:
            self._hold(data[pos:] if pos else data, needed)

    def _malformed(self, length: i64, offset: i64, kind: i64) -> AmqpError:
        if length > self.max_frame_size:
            text = f"a frame has {length} octets, at most {self.max_frame_size} are accepted"
        elif length < 8:
            text = f"a frame says it has {length} octets, and its header has 8"
        elif offset < 2 or 4 * offset > length:
            text = f"the data offset {offset} lies outside of the frame"
        elif self._type == _SASL:
            text = f"a frame of type {kind} came where a SASL frame belongs"
        else:
            text = f"a frame of type {kind} came where an AMQP frame belongs"
        return AmqpError(FRAMING_ERROR, text, -1, "AMQP-2.3.1")
