"""What belongs together in a block-wise transfer, and how a body is cut (RFC 7959 section 2, RFC 9175 section 3)."""

from __future__ import annotations

import zlib
from typing import Final

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import BERT, block_size, exponent_for, write_block
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.session.contract import Peer

BLOCK_OPTIONS: Final = frozenset((option.BLOCK1, option.BLOCK2, option.Q_BLOCK1, option.Q_BLOCK2))
# They may differ between the requests of one body: what controls a single message is no part of what is asked.
_NOT_ASKED: Final = BLOCK_OPTIONS | {option.OBSERVE, option.NO_RESPONSE, option.HOP_LIMIT}
# And these are of no weight for where the rest of an answer is fetched: it was made already.
_NOT_FETCHED: Final = _NOT_ASKED | {
    option.ETAG,
    option.IF_MATCH,
    option.IF_NONE_MATCH,
    option.CONTENT_FORMAT,
    option.REQUEST_TAG,
}
_HEADER: Final = 24  # octets of a message on a stream before its options, and the payload marker
_OPTION_HEADER: Final = 5
_LARGEST: Final = 6
PROTECTION: Final = 64  # octets that OSCORE may add: its option, the kid, the tag


def gathering_key(request: Message) -> bytes:
    """Requests with the same key carry blocks of one body. Content-Format and Request-Tag are a part of it: RFC 7959
    section 2.5, RFC 9175 section 3.3."""
    return _key(request, _NOT_ASKED)


def fetching_key(request: Message) -> bytes:
    """Requests with the same key fetch blocks of one answer."""
    return _key(request, _NOT_FETCHED)


def _key(request: Message, but: frozenset[int]) -> bytes:
    parts = [request.code.to_bytes(1, "big")]
    for number, value in request.options:
        if number not in but and not option.is_no_cache_key(number):
            parts.append(number.to_bytes(2, "big") + len(value).to_bytes(2, "big"))
            parts.append(value)
    return b"".join(parts)


def without(options: tuple[Option, ...], numbers: frozenset[int]) -> tuple[Option, ...]:
    return tuple([each for each in options if each[0] not in numbers])


def added(message: Message, more: list[Option], payload: bytes) -> Message:
    """The same with further options and another payload."""
    return Message(message.code, in_order([*message.options, *more]), payload)


def with_etag(response: Message) -> Message:
    """A successful answer in blocks has an ETag, by which the client knows that they belong together (RFC 7959
    section 2.4). Without one from the resource it is made of the content, so that the same content has the same."""
    if not codes.is_success(response.code) or response.has(option.ETAG):
        return response
    content = response.payload
    etag = zlib.crc32(content).to_bytes(4, "big") + (len(content) & 0xFFFFFFFF).to_bytes(4, "big")
    return added(response, [(option.ETAG, etag)], content)


def part(whole: Message, kind: int, number: int, exponent: int, chunk: int, sized: bool) -> Message:
    """One message of the body: `chunk` octets from block `number` on. `kind` is Block2 or Q-Block2; `sized`: with
    Size2."""
    offset = number * block_size(exponent)
    payload = whole.payload[offset : offset + chunk]
    more = offset + chunk < len(whole.payload)
    options: list[Option] = [(kind, write_block(number, more, exponent))]
    if sized:
        options.append((option.SIZE2, uint_value(len(whole.payload))))
    return added(whole, options, payload)


def room_on_stream(peer: Peer, response: Message) -> int:
    """So many octets of payload go with the options into one message (RFC 8323 section 5.3.1), even if OSCORE
    protects it."""
    octets = _HEADER + len(response.token)
    for _, value in response.options:
        octets += _OPTION_HEADER + len(value)
    return peer.largest - octets - PROTECTION - 3 * _OPTION_HEADER - 8  # and an ETag, a Block2 and a Size2 besides


def best_exponent(peer: Peer, wanted: int, room: int) -> int:
    """The block size for an answer: no larger than `wanted` (-1: anything) nor than what goes into one message."""
    most = min(peer.block, _LARGEST)
    if peer.reliable:
        if room >= 1024 and peer.block == BERT and wanted in (-1, BERT):
            return BERT
        most = exponent_for(room)
    return most if wanted < 0 else min(most, wanted)


def chunk_size(exponent: int, room: int) -> int:
    """Octets of payload in one message."""
    return room // 1024 * 1024 if exponent == BERT else block_size(exponent)
