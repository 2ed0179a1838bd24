"""The frames that come and go by the hundred thousand: transfer, disposition and flow in their usual shapes, by hand.

A shape that is not usual (another encoding, a state that is not accepted, properties of a flow) is left to decode.py:
`HotReader.performative` then gives None and has decided nothing.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64, mypyc_attr

from bridgehead.protocols.amqp.codec.v1.composites import DISPOSITION, FLOW, TRANSFER, DeliveryState, Performative
from bridgehead.protocols.amqp.codec.v1.performatives import Disposition, Flow, Transfer
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from bridgehead.protocols.amqp.codec.v1.writer import put_binary, put_uint
from bridgehead.wire.writer import u16, u32

_ABSENT: Final = -1
_UNUSUAL: Final = -2
_MAX_TAG: Final = 32  # 2.8.7


@mypyc_attr(acyclic=True)
class HotReader:
    """Reads field after field. `payload` is the offset behind the performative that was decoded last."""

    def __init__(self) -> None:
        self.payload: i64 = 0
        self._data = b""
        self._at: i64 = 0
        self._end: i64 = 0  # of the list
        self._left: i64 = 0  # fields that the list still has

    def forget(self) -> None:
        """Keep no octets of the last read: an idle connection would keep them as long as it lasts."""
        self._data = b""

    def performative(self, data: bytes, pos: i64, end: i64) -> Performative | None:
        """The performative at `pos` of a frame that ends at `end`, or None when its shape is not usual."""
        # Descriptor (3 octets), the list's constructor, size and count: 6 octets, or 12 with the long form.
        if end - pos < 6 or data[pos] != 0 or data[pos + 1] != 0x53:
            return None
        code: i64 = data[pos + 2]
        if code < FLOW or code > DISPOSITION:
            return None
        form: i64 = data[pos + 3]
        size: i64
        if form == 0xC0:
            size = data[pos + 4]
            self._left = data[pos + 5]
            self._at = pos + 6
            self._end = pos + 5 + size
        elif form == 0xD0 and end - pos >= 12 and data[pos + 4] == 0 and data[pos + 8] == 0 and data[pos + 9] == 0:
            first: i64 = data[pos + 5]
            second: i64 = data[pos + 6]
            third: i64 = data[pos + 7]
            size = first << 16 | second << 8 | third
            if data[pos + 10] != 0:
                return None
            self._left = data[pos + 11]
            self._at = pos + 12
            self._end = pos + 8 + size
        else:
            return None
        if self._end > end or self._end < self._at or self._left > 11:
            return None
        self._data = data
        found: Performative | None
        if code == TRANSFER:
            found = self._transfer()
        elif code == DISPOSITION:
            found = self._disposition()
        else:
            found = self._flow()
        if self._at != self._end or self._left != 0:
            return None
        self.payload = self._end
        return found

    def _transfer(self) -> Transfer | None:
        handle = self._uint()
        delivery_id = self._uint()
        if handle < 0 or delivery_id == _UNUSUAL:
            return None
        tag = self._tag()
        message_format = self._uint()
        settled = self._boolean()
        more = self._boolean()
        mode = self._mode()
        if message_format == _UNUSUAL or settled == _UNUSUAL or more == _UNUSUAL or mode == _UNUSUAL:
            return None
        # A state belongs to transactions and resumption: the general way.
        state = self._boolean()
        resume = self._boolean()
        aborted = self._boolean()
        batchable = self._boolean()
        if state != _ABSENT or resume == _UNUSUAL or aborted == _UNUSUAL or batchable == _UNUSUAL:
            return None
        return Transfer(
            handle,
            delivery_id,
            tag,
            message_format,
            settled,
            more == 1,
            mode,
            None,
            resume == 1,
            aborted == 1,
            batchable == 1,
        )

    def _disposition(self) -> Disposition | None:
        role = self._boolean()
        first = self._uint()
        last = self._uint()
        settled = self._boolean()
        if role < 0 or first < 0 or last == _UNUSUAL or settled == _UNUSUAL:
            return None
        state: DeliveryState | None = None
        if self._left > 0 and self._at < self._end and self._data[self._at] == 0:
            if not self._is_accepted():
                return None
            state = ACCEPTED
        elif self._boolean() != _ABSENT:
            return None
        batchable = self._boolean()
        if batchable == _UNUSUAL:
            return None
        return Disposition(role == 1, first, last, settled == 1, state, batchable == 1)

    def _flow(self) -> Flow | None:
        next_incoming_id = self._uint()
        incoming_window = self._uint()
        next_outgoing_id = self._uint()
        outgoing_window = self._uint()
        if next_incoming_id == _UNUSUAL or incoming_window < 0 or next_outgoing_id < 0 or outgoing_window < 0:
            return None
        handle = self._uint()
        delivery_count = self._uint()
        link_credit = self._uint()
        available = self._uint()
        if handle == _UNUSUAL or delivery_count == _UNUSUAL or link_credit == _UNUSUAL or available == _UNUSUAL:
            return None
        drain = self._boolean()
        echo = self._boolean()
        if drain == _UNUSUAL or echo == _UNUSUAL or self._boolean() != _ABSENT:
            return None
        return Flow(
            next_incoming_id,
            incoming_window,
            next_outgoing_id,
            outgoing_window,
            handle,
            delivery_count,
            link_credit,
            available,
            drain == 1,
            echo == 1,
        )

    def _uint(self) -> i64:
        if self._left == 0:
            return _ABSENT
        at = self._at
        room = self._end - at
        if room < 1:
            return _UNUSUAL
        data = self._data
        code: i64 = data[at]
        value: i64
        if code == 0x52 and room >= 2:
            value = data[at + 1]
            self._at = at + 2
        elif code == 0x70 and room >= 5:
            high: i64 = data[at + 1]
            second: i64 = data[at + 2]
            third: i64 = data[at + 3]
            low: i64 = data[at + 4]
            value = high << 24 | second << 16 | third << 8 | low
            self._at = at + 5
        elif code == 0x43:
            value = 0
            self._at = at + 1
        elif code == 0x40:
            value = _ABSENT
            self._at = at + 1
        else:
            return _UNUSUAL
        self._left -= 1
        return value

    def _boolean(self) -> i64:
        if self._left == 0:
            return _ABSENT
        at = self._at
        if at >= self._end:
            return _UNUSUAL
        code: i64 = self._data[at]
        value: i64
        if code == 0x42:
            value = 0
        elif code == 0x41:
            value = 1
        elif code == 0x40:
            value = _ABSENT
        else:
            return _UNUSUAL
        self._at = at + 1
        self._left -= 1
        return value

    def _mode(self) -> i64:
        """A ubyte that is 0 or 1."""
        at = self._at
        if self._left > 0 and self._end - at >= 2 and self._data[at] == 0x50 and self._data[at + 1] < 2:
            value: i64 = self._data[at + 1]
            self._at = at + 2
            self._left -= 1
            return value
        return self._boolean_null()

    def _boolean_null(self) -> i64:
        value = self._boolean()
        return _ABSENT if value == _ABSENT else _UNUSUAL

    def _tag(self) -> bytes | None:
        """A delivery-tag. Where its shape is not usual the list ends here, so that no field fits any more."""
        at = self._at
        if self._left == 0:
            return None
        room = self._end - at
        if room >= 2 and self._data[at] == 0xA0:
            length: i64 = self._data[at + 1]
            if length <= _MAX_TAG and length + 2 <= room:
                self._at = at + 2 + length
                self._left -= 1
                return self._data[at + 2 : at + 2 + length]
        elif room >= 1 and self._data[at] == 0x40:
            self._at = at + 1
            self._left -= 1
            return None
        self._end = -1
        return None

    def _is_accepted(self) -> bool:
        """Go behind the state `accepted` in either of the two shapes that peers send."""
        at = self._at
        data = self._data
        room = self._end - at
        if room < 4 or data[at + 1] != 0x53 or data[at + 2] != 0x24:
            return False
        if data[at + 3] == 0x45:
            self._at = at + 4
        elif room >= 6 and data[at + 3] == 0xC0 and data[at + 4] == 1 and data[at + 5] == 0:
            self._at = at + 6
        else:
            return False
        self._left -= 1
        return True


@mypyc_attr(acyclic=True)
class TransferEncoder:
    """The transfers of one sending link: what is the same in each of them is made once.

    With a delivery-tag of four octets, the delivery-id's own, `settled_frame` and `unsettled_frame` are one
    allocation each. A message that does not fit into one frame goes by `first_frame` and `next_frame`.
    """

    def __init__(self, channel: int, handle: int) -> None:
        number = put_uint(handle)
        self._front: Final = b"\x02\x00" + u16(channel) + b"\x00\x53\x14"
        self._handle: Final = number
        # size, count, handle, then the delivery-id's constructor.
        self._settled: Final = self._front + b"\xc0" + bytes([20 + len(number), 11]) + number + b"\x70"
        self._overhead: Final[i64] = len(self._settled) + 4 + 18

    def settled_frame(self, delivery_id: int, payload: bytes) -> bytes:
        """A whole message in one pre-settled transfer."""
        number = u32(delivery_id)
        # tag of 4 octets; message-format 0, settled, not more, rcv-settle-mode and state null, three times false
        return b"%b%b%b\xa0\x04%b\x43\x41\x42\x40\x40\x42\x42\x42%b" % (
            u32(self._overhead + len(payload)),
            self._settled,
            number,
            number,
            payload,
        )

    def unsettled_frame(self, delivery_id: int, payload: bytes) -> bytes:
        """A whole message in one transfer that its receiver has to settle. Its delivery-tag is the delivery-id."""
        number = u32(delivery_id)
        return b"%b%b%b\xa0\x04%b\x43\x42\x42\x40\x40\x42\x42\x42%b" % (
            u32(self._overhead + len(payload)),
            self._settled,
            number,
            number,
            payload,
        )

    def first_frame(
        self, delivery_id: int, tag: bytes, settled: bool, more: bool, payload: bytes, state: bytes = b"\x40"
    ) -> bytes:
        """The first transfer of a delivery with a tag of its own; `state` is an encoded delivery state."""
        head = self._handle + b"\x70" + u32(delivery_id) + put_binary(tag) + b"\x43"
        flags = (b"\x41" if settled else b"\x42") + (b"\x41" if more else b"\x42")
        return self._frame(head + flags + b"\x40" + state + b"\x42\x42\x42", payload)

    def next_frame(self, settled: bool, more: bool, payload: bytes, aborted: bool = False) -> bytes:
        """A further transfer of the same delivery (2.6.14)."""
        flags = (b"\x41" if settled else b"\x42") + (b"\x41" if more else b"\x42")
        last = b"\x42\x41\x42" if aborted else b"\x42\x42\x42"
        return self._frame(self._handle + b"\x40\x40\x40" + flags + b"\x40\x40" + last, payload)

    def _frame(self, fields: bytes, payload: bytes) -> bytes:
        if len(fields) < 255:
            sizes = b"\xc0" + bytes([len(fields) + 1, 11])
        else:
            sizes = b"\xd0" + u32(len(fields) + 4) + b"\x00\x00\x00\x0b"
        length = 4 + len(self._front) + len(sizes) + len(fields) + len(payload)
        return b"%b%b%b%b%b" % (u32(length), self._front, sizes, fields, payload)


def encode_disposition(channel: int, role: bool, first: int, last: int, settled: bool, state: bytes) -> bytes:
    """A disposition's frame for the deliveries `first` to `last`; `state` is encoded, b"\\x40" for none."""
    flags = b"\x41" if role else b"\x42"
    end = b"\x41" if settled else b"\x42"
    fields = b"%b\x70%b\x70%b%b%b\x42" % (flags, u32(first), u32(last), end, state)
    if len(fields) < 255:
        sizes = b"\xc0" + bytes([len(fields) + 1, 6])
    else:
        sizes = b"\xd0" + u32(len(fields) + 4) + b"\x00\x00\x00\x06"
    length = 11 + len(sizes) + len(fields)
    return b"%b\x02\x00%b\x00\x53\x15%b%b" % (u32(length), u16(channel), sizes, fields)


ACCEPTED_STATE: Final = b"\x00\x53\x24\x45"
RELEASED_STATE: Final = b"\x00\x53\x26\x45"
NO_STATE: Final = b"\x40"


def encode_flow(
    channel: int,
    next_incoming_id: int,
    incoming_window: int,
    next_outgoing_id: int,
    outgoing_window: int,
    handle: int = -1,
    delivery_count: int = 0,
    link_credit: int = 0,
    available: int = -1,
    drain: bool = False,
    echo: bool = False,
) -> bytes:
    """A flow's frame: the session's alone when `handle` is -1, else the link's with it. `next_incoming_id` is -1
    before the peer's begin came; `available` is -1 where only the sender knows it."""
    link = b"\x40\x40\x40\x40"
    if handle >= 0:
        link = b"%b\x70%b\x70%b%b" % (
            put_uint(handle),
            u32(delivery_count),
            u32(link_credit),
            b"\x40" if available < 0 else put_uint(available),
        )
    fields = b"%b\x70%b\x70%b\x70%b%b%b%b\x40" % (
        b"\x40" if next_incoming_id < 0 else b"\x70" + u32(next_incoming_id),
        u32(incoming_window),
        u32(next_outgoing_id),
        u32(outgoing_window),
        link,
        b"\x41" if drain else b"\x42",
        b"\x41" if echo else b"\x42",
    )
    return b"%b\x02\x00%b\x00\x53\x13\xc0%b\x0b%b" % (
        u32(14 + len(fields)),
        u16(channel),
        bytes([len(fields) + 1]),
        fields,
    )
