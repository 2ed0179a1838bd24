"""OSCORE on the wire: the vectors of RFC 8613 appendix C and section 6.3, round trips, and octets that are neither."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes, oscore
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import Message, uint_value
from bridgehead.security.oscore.keys import Secret
from bridgehead.wire.errors import PeerError

MASTER = bytes.fromhex("0102030405060708090a0b0c0d0e0f10")
SALT = bytes.fromhex("9e7ca92223786340")
CONTEXT = bytes.fromhex("37cbf3210017a2d3")
SECRETS = {"C.1": Secret(MASTER, SALT, None), "C.2": Secret(MASTER, b"", None), "C.3": Secret(MASTER, SALT, CONTEXT)}
# Context, kid, kid context, plain request, protected request.
REQUESTS = {
    "C.4": (
        "C.1",
        "",
        None,
        "44015d1f00003974396c6f63616c686f737483747631",
        "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e",
    ),
    "C.5": (
        "C.2",
        "00",
        None,
        "440171c30000b932396c6f63616c686f737483747631",
        "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0",
    ),
    "C.6": (
        "C.3",
        "",
        CONTEXT,
        "44012f8eef9bbf7a396c6f63616c686f737483747631",
        "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3",
    ),
}
REQUEST_IV = b"\x14"  # of all of them
RESPONSE = "64455d1f00003974ff48656c6c6f20576f726c6421"


def framed(of: Message, code: int, message: Message, compressed: bytes, sealed: bytes) -> bytes:
    return encode(Message(code, oscore.outer_options(message, compressed), sealed, of.token, of.type, of.message_id))


@pytest.mark.clause("RFC8613-C")
@pytest.mark.clause("RFC8613-8.1")
@pytest.mark.clause("RFC8613-5.2")
@pytest.mark.clause("RFC8613-5.4")
@pytest.mark.parametrize("name", REQUESTS)
def test_vectors_of_requests(name: str) -> None:
    which, kid_text, kid_context, plain, protected = REQUESTS[name]
    secret, kid = SECRETS[which], bytes.fromhex(kid_text)
    request = decode(bytes.fromhex(plain))
    additional = oscore.additional_data(10, kid, REQUEST_IV)
    nonce = oscore.nonce(kid, REQUEST_IV, secret.common_iv())
    sealed = secret.cipher(kid).encrypt(nonce, oscore.plaintext(request), additional)
    compressed = oscore.compress(oscore.Compressed(REQUEST_IV, kid, kid_context))
    assert framed(request, codes.POST, request, compressed, sealed).hex() == protected

    arrived = decode(bytes.fromhex(protected))
    header = oscore.decompress(arrived.first(option.OSCORE) or b"")
    assert (header.partial_iv, header.kid, header.kid_context) == (REQUEST_IV, kid, kid_context)
    restored = oscore.restored(secret.cipher(kid).decrypt(nonce, arrived.payload, additional), arrived)
    assert encode(restored).hex() == plain


@pytest.mark.clause("RFC8613-C")
@pytest.mark.clause("RFC8613-8.3")
@pytest.mark.parametrize(
    ("piv", "protected"),
    [
        (b"", "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106"),
        (b"\0", "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e"),
    ],
    ids=["C.7", "C.8"],
)
def test_vectors_of_responses(piv: bytes, protected: str) -> None:
    secret, response = SECRETS["C.1"], decode(bytes.fromhex(RESPONSE))
    common_iv = secret.common_iv()
    nonce = oscore.nonce(b"\x01", piv, common_iv) if piv else oscore.nonce(b"", REQUEST_IV, common_iv)
    additional = oscore.additional_data(10, b"", REQUEST_IV)
    sealed = secret.cipher(b"\x01").encrypt(nonce, oscore.plaintext(response), additional)
    assert framed(response, codes.CHANGED, response, oscore.compress(oscore.Compressed(piv)), sealed).hex() == protected


@pytest.mark.clause("RFC8613-6.3")
@pytest.mark.parametrize(
    ("value", "piv", "kid", "kid_context"),
    [
        ("090525", b"\x05", b"\x25", None),
        ("0900", b"\0", b"", None),
        ("19050544616c656b", b"\x05", b"", b"Dalek"),
        ("", b"", None, None),
        ("0107", b"\x07", None, None),
    ],
)
def test_examples_of_compression(value: str, piv: bytes, kid: bytes | None, kid_context: bytes | None) -> None:
    header = oscore.decompress(bytes.fromhex(value))
    assert (header.partial_iv, header.kid, header.kid_context) == (piv, kid, kid_context)
    assert oscore.compress(header).hex() == value


@pytest.mark.clause("RFC8613-5.4")
def test_the_example_of_the_additional_data() -> None:
    expected = "8368456e63727970743040498501810a4100412540"
    assert oscore.additional_data(10, b"\0", b"\x25").hex() == expected


@given(
    st.integers(-256, 255),
    st.binary(max_size=7),
    st.integers(0, oscore.MOST_SEQUENCE),
)
def test_the_additional_data_is_what_a_cbor_library_makes(algorithm: int, kid: bytes, sequence: int) -> None:
    cbor: Any = import_module("cbor2")
    piv = oscore.partial_iv(sequence)
    array = cbor.dumps([1, [algorithm], kid, piv, b""])
    assert oscore.additional_data(algorithm, kid, piv) == cbor.dumps(["Encrypt0", b"", array])


@pytest.mark.clause("RFC8613-6.1")
@given(
    st.none() | st.integers(0, oscore.MOST_SEQUENCE),
    st.none() | st.binary(max_size=7),
    st.none() | st.binary(max_size=255),
)
def test_every_header_survives_compression(sequence: int | None, kid: bytes | None, kid_context: bytes | None) -> None:
    piv = b"" if sequence is None else oscore.partial_iv(sequence)
    header = oscore.decompress(oscore.compress(oscore.Compressed(piv, kid, kid_context)))
    assert (header.partial_iv, header.kid, header.kid_context) == (piv, kid, kid_context)


@pytest.mark.clause("RFC8613-6.1")
@pytest.mark.parametrize(
    "value",
    [
        "00",  # section 2: all flags zero is no octet
        "29" + "05",  # a reserved flag
        "490525",
        "890525",
        "0e" + "010203040506",  # a Partial IV of 6 octets
        "0f" + "01020304050607",
        "0b0102",  # cut short
        "1105",  # no length of the kid context
        "19050544616c65",  # a kid context that is cut short
        "010725",  # octets without a kid
        "1100" + "0025",
        "0a0005",  # a leading zero
        "0a0000",
    ],
)
def test_an_option_that_does_not_decompress(value: str) -> None:
    with pytest.raises(PeerError) as raised:
        oscore.decompress(bytes.fromhex(value))
    assert raised.value.code == codes.BAD_OPTION


@given(st.binary(max_size=32))
def test_any_octets_are_a_header_or_a_fault_of_the_peer(value: bytes) -> None:
    try:
        header = oscore.decompress(value)
    except PeerError:
        return
    assert oscore.compress(header) == value


OUTER = Message(codes.POST, ((option.OSCORE, b"\x09\x14"),), b"sealed", b"tk", 1, 77)


@given(st.binary(max_size=64))
def test_any_plaintext_is_a_message_or_a_fault_of_the_peer(plain: bytes) -> None:
    try:
        message = oscore.restored(plain, OUTER)
    except PeerError:
        return
    assert (message.token, message.type, message.message_id) == (b"tk", 1, 77)
    assert not message.has(option.OSCORE)


@pytest.mark.clause("RFC8613-4.1.3.7")
def test_oscore_inside_of_oscore_is_refused() -> None:
    with pytest.raises(PeerError, match="inside of OSCORE"):
        oscore.restored(b"\x01\x90", OUTER)


@pytest.mark.clause("RFC8613-4.1")
@pytest.mark.clause("RFC8613-4.1.2")
@pytest.mark.clause("RFC8613-4.1.3.2")
def test_what_proxies_need_stays_outside_and_nothing_else() -> None:
    options = (
        (option.IF_MATCH, b"\1"),
        (option.URI_HOST, b"hub"),
        (option.ETAG, b"\2"),
        (option.URI_PORT, b"\x16\x33"),
        (option.URI_PATH, b"t"),
        (option.CONTENT_FORMAT, b""),
        (option.URI_QUERY, b"a"),
        (option.HOP_LIMIT, b"\x10"),
        (option.ACCEPT, b""),
        (option.BLOCK2, b"\6"),
        (option.PROXY_SCHEME, b"coap"),
        (option.SIZE1, b"\1"),
        (option.ECHO, b"12345678"),
        (option.NO_RESPONSE, b"\x1a"),
        (option.REQUEST_TAG, b""),
        (65000, b"new"),  # section 4.1: an option that is not known is of class E
    )
    message = Message(codes.PUT, options, b"22.5")
    outside = {number for number, _ in oscore.outer_options(message, b"\x09\x14")}
    known_outside = {option.URI_HOST, option.URI_PORT, option.HOP_LIMIT, option.PROXY_SCHEME}
    assert outside == known_outside | {option.OSCORE}
    restored = oscore.restored(oscore.plaintext(message), OUTER)
    assert restored.options == tuple(each for each in options if each[0] not in known_outside)
    assert (restored.code, restored.payload) == (codes.PUT, b"22.5")


@pytest.mark.clause("RFC8613-8.2")
def test_outer_options_of_class_e_are_discarded() -> None:
    tampered = (
        (option.IF_MATCH, b"evil"),
        (option.URI_HOST, b"hub"),
        (option.OBSERVE, b""),
        (option.OSCORE, b"\x09\x14"),
        (option.URI_PATH, b"evil"),
        (option.PROXY_URI, b"http://evil"),
        (option.PROXY_SCHEME, b"coap"),
        (option.ECHO, b"evil"),
        (option.NO_RESPONSE, b"\x1a"),
    )
    plain = oscore.plaintext(Message(codes.GET, ((option.URI_PATH, b"t"),)))
    restored = oscore.restored(plain, Message(codes.FETCH, tampered, b"sealed"))
    assert restored.code == codes.GET
    assert restored.options == ((option.URI_HOST, b"hub"), (option.URI_PATH, b"t"))


@pytest.mark.clause("RFC8613-4.1.3.5")
def test_the_observe_of_a_notification_is_inside_without_its_value() -> None:
    notification = Message(codes.CONTENT, ((option.OBSERVE, uint_value(77)),), b"22.5")
    assert oscore.outer_options(notification, b"\x01\x05") == ((option.OBSERVE, b"\x4d"), (option.OSCORE, b"\x01\x05"))
    assert oscore.restored(oscore.plaintext(notification), OUTER).first(option.OBSERVE) == b""


@pytest.mark.clause("RFC8613-4.1.3.5")
def test_the_observe_of_a_request_is_inside_and_outside() -> None:
    cancellation = Message(codes.GET, ((option.OBSERVE, b"\1"), (option.URI_PATH, b"t")))
    assert oscore.outer_options(cancellation, b"\x09\x14") == ((option.OBSERVE, b"\1"), (option.OSCORE, b"\x09\x14"))
    assert oscore.restored(oscore.plaintext(cancellation), OUTER).first(option.OBSERVE) == b"\1"


@pytest.mark.clause("RFC8613-5")
def test_a_partial_iv_has_no_leading_zeroes_but_for_zero() -> None:
    assert [oscore.partial_iv(each).hex() for each in (0, 1, 255, 256, oscore.MOST_SEQUENCE)] == [
        "00",
        "01",
        "ff",
        "0100",
        "ffffffffff",
    ]
