"""Messages of all kinds, for hypothesis, and what makes two of them equal."""

from __future__ import annotations

from hypothesis import strategies as st

from bridgehead.protocols.coap.codec.message import CON, Message, in_order
from bridgehead.protocols.coap.codec.options import OPTIONS

_CODES = [code for code in range(1, 256) if code >> 5 in (0, 2, 3, 4, 5)]
_SIGNALS = [0xE1, 0xE2, 0xE3, 0xE4, 0xE5]


def as_tuple(message: Message) -> tuple[object, ...]:
    return (message.code, message.options, message.payload, message.token, message.type, message.message_id)


def option_lists() -> st.SearchStrategy[tuple[tuple[int, bytes], ...]]:
    number = st.one_of(st.sampled_from(sorted(OPTIONS)), st.integers(0, 65_535))
    value = st.one_of(st.binary(max_size=20), st.binary(min_size=250, max_size=300))
    return st.lists(st.tuples(number, value), max_size=8).map(in_order)


@st.composite
def messages(draw: st.DrawFn, stream: bool = False) -> Message:
    """`stream`: as they travel over reliable transports."""
    code = draw(st.sampled_from(_CODES + ([*_SIGNALS, 0] if stream else [])))
    options = draw(option_lists())
    payload = draw(st.binary(max_size=300))
    token = draw(st.binary(max_size=8))
    if stream:
        return Message(code, options, payload, token, CON, 0)
    return Message(code, options, payload, token, draw(st.integers(0, 3)), draw(st.integers(0, 65_535)))
