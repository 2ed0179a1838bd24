"""Records after the handshake: sealed, opened, taken once, dropped in silence, ended."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.replay import ReplayWindow
from tests.wire.dtls.parts import SUITES, Told, pair, protection


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("cid", [b"", b"\x01\x02\x03", bytes(range(20))])
def test_what_one_seals_the_other_opens(suite: str, cid: bytes) -> None:
    first, second, _, _ = pair(suite, cid)
    for size in (0, 1, 64, 1200, 16_384):
        plain = random.Random(size).randbytes(size)
        assert second.open(first.seal(plain)) == [plain]
        record = second.seal(plain)
        assert len(record) == size + second.overhead
        assert first.open(record) == [plain]


@pytest.mark.parametrize("suite", SUITES)
def test_one_that_rested_goes_on(suite: str) -> None:
    first, second, _, _ = pair(suite)
    assert second.open(first.seal(b"before")) == [b"before"]
    first.rest()
    second.rest()
    second.rest()
    assert second.open(first.seal(b"after")) == [b"after"]
    assert first.open(second.seal(b"and back")) == [b"and back"]


@pytest.mark.clause("RFC7252-9.1.3.1")
def test_a_record_of_aes_128_ccm_8_by_hand() -> None:
    """RFC 6655 section 3: nonce and additional data put together here once more."""
    first, _, _, _ = pair("ccm-8")
    record = first.seal(b"22.5 C")
    sequence = bytes.fromhex("0001000000000000")
    assert record[:13] == b"\x17\xfe\xfd" + sequence + (6 + 8 + 8).to_bytes(2, "big")
    additional = sequence + b"\x17\xfe\xfd" + (6).to_bytes(2, "big")
    sealed = AESCCM(b"\x07" * 16, 8).encrypt(b"\x08" * 4 + sequence, b"22.5 C", additional)
    assert record[13:] == sequence + sealed


def test_a_record_of_chacha20_poly1305_by_hand() -> None:
    """RFC 7905 section 2: the sequence number is XORed into the nonce."""
    first, _, _, _ = pair("chacha20")
    first.seal(b"")
    record = first.seal(b"22.5 C")
    sequence = bytes.fromhex("0001000000000001")
    nonce = bytes(a ^ b for a, b in zip(b"\x08" * 12, bytes(4) + sequence, strict=True))
    additional = sequence + b"\x17\xfe\xfd" + (6).to_bytes(2, "big")
    sealed = ChaCha20Poly1305(b"\x07" * 32).encrypt(nonce, b"22.5 C", additional)
    assert record[13:] == sealed


@pytest.mark.clause("RFC9146-4")
def test_a_record_with_a_connection_id_by_hand() -> None:
    """RFC 9146 section 5.3: what is authenticated; section 4: the type inside, the padding."""
    first, second, _, _ = pair("gcm", b"", b"\xaa\xbb")
    record = first.seal(b"22.5 C")
    sequence = bytes.fromhex("0001000000000000")
    inner = b"22.5 C\x17"
    assert record[:15] == b"\x19\xfe\xfd" + sequence + b"\xaa\xbb" + (8 + 7 + 16).to_bytes(2, "big")
    additional = b"\xff" * 8 + b"\x19\x02\x19\xfe\xfd" + sequence + b"\xaa\xbb" + (7).to_bytes(2, "big")
    assert record[15:] == sequence + AESGCM(b"\x07" * 16).encrypt(b"\x08" * 4 + sequence, inner, additional)
    sequence = bytes.fromhex("0001000000000005")
    padded = inner + bytes(5)
    additional = b"\xff" * 8 + b"\x19\x02\x19\xfe\xfd" + sequence + b"\xaa\xbb" + len(padded).to_bytes(2, "big")
    sealed = sequence + AESGCM(b"\x07" * 16).encrypt(b"\x08" * 4 + sequence, padded, additional)
    by_hand = b"\x19\xfe\xfd" + sequence + b"\xaa\xbb" + len(sealed).to_bytes(2, "big") + sealed
    assert second.open(by_hand) == [b"22.5 C"]


@pytest.mark.clause("RFC9146-4")
def test_where_a_connection_id_is_agreed_records_without_it_are_dropped() -> None:
    first, second, _, _ = pair("ccm-8", b"", b"\xaa\xbb")
    plain = protection("ccm-8", 7).seal(23, 1 << 48, b"no id")
    assert second.open(plain) == []
    record = first.seal(b"x")
    assert second.open(record[:11] + b"\xaa\xbc" + record[13:]) == []
    assert second.open(record) == [b"x"]


def test_several_records_in_one_datagram() -> None:
    first, second, _, _ = pair()
    assert second.open(first.seal(b"a") + first.seal(b"b") + first.seal(b"c")) == [b"a", b"b", b"c"]


@pytest.mark.clause("RFC6347-4.1")
def test_the_window_lets_each_number_in_once() -> None:
    first, second, _, _ = pair()
    records = [first.seal(b"%d" % n) for n in range(200)]
    assert second.open(records[100]) == [b"100"]
    assert second.open(records[37]) == [b"37"]  # 63 behind the newest
    assert second.open(records[36]) == []  # too old to tell
    assert second.open(records[37]) == []
    assert second.open(records[199]) == [b"199"]
    assert second.open(records[100]) == []


@given(st.lists(st.integers(0, 200), max_size=120))
def test_the_window_is_that_of_a_set(numbers: list[int]) -> None:
    window, taken = ReplayWindow(), set[int]()
    for number in numbers:
        top = max(taken, default=-1)
        expected = number > top or (top - number < 64 and number not in taken)
        assert window.fresh(number) is expected
        if expected:
            assert window.take(number) is (number > top)
            taken.add(number)
    assert window.top == max(taken, default=-1)


@given(st.binary(max_size=80), st.integers(0, 79), st.booleans())
def test_a_forged_record_is_dropped_and_the_next_one_comes_in(noise: bytes, place: int, cut: bool) -> None:
    first, second, _, told = pair("ccm-8", b"", b"\xaa\xbb")
    record = first.seal(bytes(40))
    place %= len(record)
    changed = record[:place] + noise if cut else record[:place] + bytes([record[place] ^ 1]) + record[place + 1 :]
    if not changed.startswith(record):
        assert second.open(changed) == []
    assert second.open(first.seal(b"next")) == [b"next"]
    assert told.because == []


def test_an_association_ends_after_too_many_forgeries() -> None:
    first, second, _, told = pair(forgeries=5)
    record = first.seal(b"x")
    forged = record[:-1] + bytes([record[-1] ^ 1])
    for _ in range(4):
        assert second.open(forged) == []
    assert second.ended == ""
    second.open(forged)
    assert told.because == ["too many records that are not genuine came for it"]
    assert second.open(record) == []


def test_the_first_epoch_and_others_carry_no_data() -> None:
    _, second, _, told = pair()
    for epoch in (0, 2, 65_535):
        assert second.open(protection("ccm-8", 7).seal(23, epoch << 48, b"x")) == []
    assert told.data == []


@pytest.mark.clause("RFC6347-4.2.4")
def test_the_last_flight_is_sent_again_until_data_shows_that_it_came() -> None:
    first, second, _, _ = pair()
    second.flight = (b"flight one", b"flight two")
    second.open(b"\x16\xfe\xfd" + bytes(8) + b"\x00\x0c" + b"\x10" + bytes(11))  # ClientKeyExchange, again
    assert second.answers() == [b"flight one", b"flight two"]
    assert second.answers() == []
    finished = protection("ccm-8", 7).seal(22, 1 << 48, b"\x14" + bytes(23))
    second.open(finished)
    assert second.answers() == [b"flight one", b"flight two"]
    second.open(finished)  # replayed: the peer repeats it
    assert second.answers() == [b"flight one", b"flight two"]
    first.begin_at(1, -1)
    assert second.open(first.seal(b"data")) == [b"data"]
    second.open(finished)
    assert second.answers() == []


def test_answers_are_bounded() -> None:
    _, second, _, _ = pair()
    second.flight = (b"flight",)
    for _ in range(50):
        second.open(b"\x14\xfe\xfd" + bytes(8) + b"\x00\x01\x01")
    assert len(second.answers()) <= 8
    for _ in range(50):
        second.open(b"\x14\xfe\xfd" + bytes(8) + b"\x00\x01\x01")
        second.answers()
    second.open(b"\x14\xfe\xfd" + bytes(8) + b"\x00\x01\x01")
    assert second.answers() == []


def test_its_numbers_go_on_from_the_handshake() -> None:
    first, second, _, _ = pair()
    first.begin_at(3, 2)
    assert first.seal(b"")[3:11] == bytes.fromhex("0001000000000003")
    assert first.open(second.seal(b"0")) == []  # Finished had this number
    second.begin_at(3, 0)
    assert first.open(second.seal(b"3")) == [b"3"]


def test_it_ends_before_its_numbers_do() -> None:
    first, _, told, _ = pair()
    first.begin_at((1 << 48) - 2, -1)
    assert first.seal(b"last")
    assert first.seal(b"one too many") == b""
    assert told.because == ["its sequence numbers are used up"]


def test_what_is_too_long_for_a_record_is_the_callers_mistake() -> None:
    first, _, _, _ = pair()
    with pytest.raises(ValueError, match="16384"):
        first.seal(bytes(16_385))


def test_alerts_end_it_or_not() -> None:
    for level, description, because in (
        (1, 0, "the peer closed it"),
        (2, 49, "the peer sent the fatal alert 49 (access_denied)"),
        (1, 90, ""),
    ):
        first, second, _, told = pair()
        second.open(first.alert(level, description))
        assert second.ended == because
        assert told.because == ([because] if because else [])
    _, second, _, told = pair()
    second.open(protection("ccm-8", 7).seal(21, 1 << 48, b"\x02"))  # no alert has one octet
    assert (second.ended, told.because) == ("", [])


def test_nothing_comes_out_after_its_end() -> None:
    first, second, told, _ = pair()
    record = second.seal(b"x")
    first.end("over")
    first.end("again")
    assert told.because == ["over"]
    assert first.open(record) == []
    assert first.seal(b"y") == b""
    assert first.alert(1, 0) == b""


@given(st.binary(max_size=200))
def test_no_octets_raise(data: bytes) -> None:
    made = Association(b"", None, protection("ccm-8", 1), protection("ccm-8", 2))
    made.sink = Told()
    made.flight = (b"f",)
    assert made.open(data) == []
    with_cid = Association(b"", None, protection("gcm", 1, b"ab"), protection("gcm", 2))
    assert with_cid.open(data) == []
