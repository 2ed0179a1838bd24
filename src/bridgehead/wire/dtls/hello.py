"""Reads a ClientHello before any library sees it (RFC 6347 section 4.2.1, RFC 7250, RFC 9146)."""

from __future__ import annotations

from typing import Final

from bridgehead.wire.dtls.numbers import (
    CLIENT_CERTIFICATE_TYPE,
    CLIENT_HELLO,
    CONNECTION_ID,
    HANDSHAKE,
    HANDSHAKE_HEADER,
    HEADER,
    RAW_PUBLIC_KEY,
    SERVER_CERTIFICATE_TYPE,
    X509,
)
from bridgehead.wire.errors import Malformed, Violation
from bridgehead.wire.reader import Reader

DECODE_ERROR: Final = 50  # the alert's number


class ClientHello:
    """`number` is the record's sequence number, `sequence` the message's. `bound` is the body without its cookie: what
    a cookie is bound to. `raw_keys`: by the extensions of RFC 7250 it has a raw public key and no certificate, and
    reads a server's raw key. `cid`: the Connection ID that records to this client are to carry (b"" for none), None:
    not offered."""

    def __init__(
        self, number: int, sequence: int, random: bytes, cookie: bytes, bound: bytes, raw_keys: bool, cid: bytes | None
    ) -> None:
        self.number: Final = number
        self.sequence: Final = sequence
        self.random: Final = random
        self.cookie: Final = cookie
        self.bound: Final = bound
        self.raw_keys: Final = raw_keys
        self.cid: Final = cid


def is_client_hello(datagram: bytes) -> bool:
    """Whether it begins with an unprotected record that says it holds a ClientHello."""
    return (
        len(datagram) >= HEADER + HANDSHAKE_HEADER
        and datagram[0] == HANDSHAKE
        and datagram[1] == 0xFE
        and datagram[3] == 0
        and datagram[4] == 0
        and datagram[HEADER] == CLIENT_HELLO
    )


def read_client_hello(datagram: bytes) -> ClientHello:
    """The ClientHello in the first record. Errors: Malformed; Violation for one in fragments, which could not be
    answered without keeping state for an address that is not proven."""
    if not is_client_hello(datagram):
        raise Malformed("this is no ClientHello", DECODE_ERROR, 0)
    reader = Reader(datagram, 0, len(datagram), DECODE_ERROR)
    reader.octets(3, "record header")
    number = int.from_bytes(reader.octets(8, "record header"), "big")
    length = reader.u16("record length")
    if length > reader.remaining:
        raise reader.cut_short("record")
    reader.octets(1, "handshake type")
    whole = int.from_bytes(reader.octets(3, "message length"), "big")
    sequence = int(reader.u16("message_seq"))
    offset = int.from_bytes(reader.octets(3, "fragment_offset"), "big")
    here = int.from_bytes(reader.octets(3, "fragment_length"), "big")
    if offset or here != whole:
        raise Violation("a ClientHello in fragments is not taken before the address is proven", DECODE_ERROR, 0)
    if here + HANDSHAKE_HEADER > length:
        raise Malformed("the ClientHello runs past its record", DECODE_ERROR, 0)
    start = HEADER + HANDSHAKE_HEADER
    body = Reader(datagram, start, start + here, DECODE_ERROR)
    body.octets(2, "client_version")
    random = body.octets(32, "random")
    body.octets(body.u8("session_id"), "session_id")
    before = datagram[start : int(body.pos)]
    cookie = body.octets(body.u8("cookie"), "cookie")
    after = datagram[int(body.pos) : start + here]
    body.octets(body.u16("cipher_suites"), "cipher_suites")
    body.octets(body.u8("compression_methods"), "compression_methods")
    client_raw = server_raw = False
    cid: bytes | None = None
    if body.remaining > 0:
        end = body.u16("extensions")
        if end != body.remaining:
            raise Malformed("the extensions do not fill the ClientHello", DECODE_ERROR, int(body.at))
        while body.remaining > 0:
            kind = body.u16("extension_type")
            data = body.octets(body.u16("extension length"), "extension_data")
            if kind == CLIENT_CERTIFICATE_TYPE:
                client_raw = RAW_PUBLIC_KEY in data[1:] and X509 not in data[1:]
            elif kind == SERVER_CERTIFICATE_TYPE:
                server_raw = RAW_PUBLIC_KEY in data[1:]
            elif kind == CONNECTION_ID:
                if not data or data[0] != len(data) - 1:
                    raise Malformed("connection_id is not one Connection ID", DECODE_ERROR, int(body.at))
                cid = data[1:]
    return ClientHello(number, sequence, random, cookie, before + after, client_raw and server_raw, cid)
