"""Signalling messages' options: RFC 8323 section 5."""

from __future__ import annotations

import pytest

from bridgehead.protocols.coap.codec import codes, signalling
from bridgehead.protocols.coap.codec.errors import BadOption
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.signalling import Capabilities
from bridgehead.protocols.coap.codec.stream import StreamDecoder, encode_stream


@pytest.mark.clause("RFC8323-5.3")
def test_capabilities_add_up() -> None:
    peer = Capabilities()
    assert (peer.maximum, peer.block_wise, peer.bert) == (1152, False, False)
    peer = peer.updated(Message(codes.CSM, ((signalling.BLOCK_WISE_TRANSFER, b""),)))
    assert (peer.maximum, peer.block_wise, peer.bert) == (1152, True, False)
    peer = peer.updated(Message(codes.CSM, ((signalling.MAX_MESSAGE_SIZE, b"\x20\0"), (64, b"elective"))))
    assert (peer.maximum, peer.block_wise, peer.bert) == (8192, True, True)
    peer = peer.updated(Message(codes.CSM, ((signalling.MAX_MESSAGE_SIZE, b"\x04\x80"),)))
    assert (peer.maximum, peer.block_wise, peer.bert) == (1152, True, False)
    assert peer.updated(Message(codes.CSM)).maximum == 1152


@pytest.mark.clause("RFC8323-5.3")
def test_a_csm_says_what_its_reader_gets() -> None:
    [csm] = StreamDecoder(1152).feed(encode_stream(Capabilities(70_000, True).message()))
    there = Capabilities().updated(csm)
    assert (there.maximum, there.block_wise) == (70_000, True)


@pytest.mark.clause("RFC8323-5.1")
@pytest.mark.parametrize("code", [codes.CSM, codes.PING, codes.PONG, codes.RELEASE, codes.ABORT])
def test_a_critical_option_is_not_understood(code: int) -> None:
    signalling.check_signalling(Message(code, ((8, b""),)))
    with pytest.raises(BadOption, match="critical option 9") as caught:
        signalling.check_signalling(Message(code, ((8, b""), (9, b""))))
    assert caught.value.number == 9
    with pytest.raises(BadOption):
        Capabilities().updated(Message(codes.CSM, ((9, b""),)))


@pytest.mark.clause("RFC8323-5.3")
def test_a_value_of_the_wrong_length_is_named() -> None:
    with pytest.raises(BadOption, match="Max-Message-Size has 5 octets") as caught:
        Capabilities().updated(Message(codes.CSM, ((signalling.MAX_MESSAGE_SIZE, bytes(5)),)))
    assert caught.value.number == signalling.MAX_MESSAGE_SIZE
    with pytest.raises(BadOption, match="Block-Wise-Transfer has 1 octets"):
        Capabilities().updated(Message(codes.CSM, ((signalling.BLOCK_WISE_TRANSFER, b"\1"),)))


@pytest.mark.clause("RFC8323-5.4")
def test_a_pong_has_the_token_and_custody_where_it_was_asked_for() -> None:
    plain = signalling.pong(Message(codes.PING, token=b"tok"))
    assert (plain.code, plain.token, plain.options) == (codes.PONG, b"tok", ())
    asked = signalling.pong(Message(codes.PING, ((signalling.CUSTODY, b""),), token=b"t"))
    assert asked.options == ((signalling.CUSTODY, b""),)


@pytest.mark.clause("RFC8323-5.5")
@pytest.mark.clause("RFC8323-5.6")
def test_release_and_abort_say_why() -> None:
    release = signalling.release("the hub stops", 30)
    assert (release.code, release.options, release.payload) == (codes.RELEASE, ((4, b"\x1e"),), b"the hub stops")
    assert signalling.release("bye").options == ()
    abort = signalling.abort("a message is too large")
    assert (abort.code, abort.options) == (codes.ABORT, ())
    assert signalling.abort("no", 9).options == ((signalling.BAD_CSM_OPTION, b"\x09"),)


def test_names() -> None:
    assert signalling.signal_name(codes.CSM) == "CSM"
    assert signalling.signal_name(0xFF) == "7.31"
    assert signalling.signalling_option_name(codes.RELEASE, 4) == "Hold-Off"
    assert signalling.signalling_option_name(codes.CSM, 4) == "Block-Wise-Transfer"
    assert signalling.signalling_option_name(codes.ABORT, 4) == "Option 4"
    assert signalling.is_signalling(codes.PING)
    assert not signalling.is_signalling(codes.CONTENT)
