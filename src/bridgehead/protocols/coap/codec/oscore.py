"""OSCORE on the wire: the option, the COSE object's parts, and what of a message is protected (RFC 8613).

Nothing here encrypts: ciphertext and keys are the caller's.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.decode import read_options
from bridgehead.protocols.coap.codec.encode import body
from bridgehead.protocols.coap.codec.message import Message, Option, in_order
from bridgehead.wire.errors import Malformed

MOST_SEQUENCE: Final = (1 << 40) - 1  # RFC 8613 section 7.2.1: a Partial IV has at most five octets
_PIV: Final = 5
_RESERVED: Final = 0xE0
_CONTEXT: Final = 0x10
_KID: Final = 0x08
_LENGTH: Final = 0x07
# [ "Encrypt0", h'', external_aad ] up to external_aad (RFC 8613 section 5.4).
_ENCRYPT0: Final = b"\x83\x68Encrypt0\x40"


@mypyc_attr(acyclic=True)
class Compressed:
    """The header of a compressed COSE object (RFC 8613 section 6.1). `partial_iv` is empty where there is none."""

    def __init__(self, partial_iv: bytes, kid: bytes | None = None, kid_context: bytes | None = None) -> None:
        self.partial_iv: Final = partial_iv
        self.kid: Final = kid
        self.kid_context: Final = kid_context


def decompress(value: bytes) -> Compressed:
    """The value of an OSCORE option. Errors: Malformed."""
    if not value:
        return Compressed(b"")  # section 2: no octet where all flags are zero
    flags = value[0]
    length = flags & _LENGTH
    if flags & _RESERVED or length > _PIV or flags == 0:
        raise Malformed(f"an OSCORE option with the flags 0x{flags:02x}", codes.BAD_OPTION, 0, "RFC8613-6.1")
    at = 1 + length
    if at > len(value):
        raise Malformed("an OSCORE option ends in its Partial IV", codes.BAD_OPTION, len(value), "RFC8613-6.1")
    partial_iv = value[1:at]
    if length > 1 and partial_iv[0] == 0:
        # The same number in another form would have another AAD, and be another message to whoever compares.
        raise Malformed("a Partial IV with a leading zero", codes.BAD_OPTION, 1, "RFC8613-5")
    kid_context: bytes | None = None
    if flags & _CONTEXT:
        end = at + 1 + (value[at] if at < len(value) else 0)
        if at >= len(value) or end > len(value):
            raise Malformed("an OSCORE option ends in its kid context", codes.BAD_OPTION, len(value), "RFC8613-6.1")
        kid_context = value[at + 1 : end]
        at = end
    if flags & _KID:
        return Compressed(partial_iv, value[at:], kid_context)
    if at != len(value):
        raise Malformed("octets follow in an OSCORE option without a kid", codes.BAD_OPTION, at, "RFC8613-6.1")
    return Compressed(partial_iv, None, kid_context)


def compress(header: Compressed) -> bytes:
    """The value of an OSCORE option. `kid_context` has at most 255 octets."""
    flags = len(header.partial_iv)
    parts = [b"", header.partial_iv]
    if header.kid_context is not None:
        flags |= _CONTEXT
        parts.append(bytes([len(header.kid_context)]))
        parts.append(header.kid_context)
    if header.kid is not None:
        flags |= _KID
        parts.append(header.kid)
    if not flags:
        return b""
    parts[0] = bytes([flags])
    return b"".join(parts)


def partial_iv(sequence: int) -> bytes:
    """Without leading zeroes, one octet for 0 (RFC 8613 section 5)."""
    return sequence.to_bytes(max((sequence.bit_length() + 7) // 8, 1), "big")


def nonce(identifier: bytes, piv: bytes, common_iv: bytes) -> bytes:
    """The AEAD nonce for a Partial IV that the endpoint of that Sender ID made (RFC 8613 section 5.2)."""
    length = len(common_iv)
    padded = bytes([len(identifier)]) + identifier.rjust(length - 1 - _PIV, b"\0") + piv.rjust(_PIV, b"\0")
    number = int.from_bytes(padded, "big") ^ int.from_bytes(common_iv, "big")
    return number.to_bytes(length, "big")


def additional_data(algorithm: int, request_kid: bytes, request_piv: bytes) -> bytes:
    """The AAD of a request and of every response to it (RFC 8613 section 5.4). No options of class I are defined.
    `algorithm` is the AEAD's number in COSE."""
    array = b"\x85\x01\x81" + _integer(algorithm) + octet_string(request_kid) + octet_string(request_piv) + b"\x40"
    return _ENCRYPT0 + octet_string(array)


def octet_string(octets: bytes) -> bytes:
    """CBOR's, of less than 256 octets."""
    if len(octets) < 24:
        return bytes([0x40 | len(octets)]) + octets
    return bytes([0x58, len(octets)]) + octets


def _integer(number: int) -> bytes:
    """CBOR's, from -256 to 255."""
    major, size = (0x20, -1 - number) if number < 0 else (0, number)
    return bytes([major | size]) if size < 24 else bytes([major | 24, size])


# What is protected. -------------------------------------------------------------------------------


def is_outer_only(number: int) -> bool:
    """Class U alone (RFC 8613 section 4.1, figure 5; RFC 8768 section 6 for Hop-Limit): proxies act on it. An option
    that is not known is of class E."""
    return (
        number == option.URI_HOST
        or number == option.URI_PORT
        or number == option.OSCORE
        or number == option.HOP_LIMIT
        or number == option.PROXY_URI
        or number == option.PROXY_SCHEME
    )


def plaintext(message: Message) -> bytes:
    """Code, options of class E and payload (RFC 8613 section 5.3). A response's Observe is inside without its value
    (section 4.1.3.5.2)."""
    inner: list[Option] = []
    is_response = not codes.is_request(message.code)
    for number, value in message.options:
        if number == option.OBSERVE and is_response:
            inner.append((number, b""))
        elif not is_outer_only(number):
            inner.append((number, value))
    return bytes([message.code]) + body(tuple(inner), message.payload)


def restored(plain: bytes, outer: Message) -> Message:
    """The message that was protected: decrypted, with the outer options of class U. Errors: PeerError.

    Outer options of class E are discarded (RFC 8613 section 8.2, step 1), and those that are inside too. So are
    Proxy-Uri and Proxy-Scheme: whoever can open the message is where they led to, and anybody on the way could have put
    them there to have it carried on, opened, to a place of his choice."""
    if not plain:
        raise Malformed("an OSCORE plaintext without a code", codes.BAD_REQUEST, 0, "RFC8613-5.3")
    options: list[Option] = []
    at = read_options(plain, 1, len(plain), options)
    inside: set[int] = set()
    for number, _ in options:
        if number == option.OSCORE:
            raise Malformed("OSCORE inside of OSCORE", codes.BAD_OPTION, -1, "RFC8613-4.1.3.7")
        inside.add(number)
    for number, value in outer.options:
        if _survives(number) and number not in inside:
            options.append((number, value))
    return Message(plain[0], in_order(options), plain[at:], outer.token, outer.type, outer.message_id)


def _survives(number: int) -> bool:
    return number == option.URI_HOST or number == option.URI_PORT or number == option.HOP_LIMIT


def outer_options(message: Message, compressed: bytes) -> tuple[Option, ...]:
    """Those of class U, the OSCORE option, and Observe, which proxies must see too (RFC 8613 section 4.1.3.5)."""
    outer: list[Option] = [(option.OSCORE, compressed)]
    for number, value in message.options:
        if number == option.OBSERVE or is_outer_only(number):
            outer.append((number, value))
    return in_order(outer)
