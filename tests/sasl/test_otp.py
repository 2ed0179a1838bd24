"""One-time passwords: the vectors of RFC 2289, the messages of RFC 2444 and 2243, replays, races, new seeds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Fresh, Wanted
from bridgehead.security.otp.otp import NotOneTime, compute, from_hex, from_words, to_hex, to_words
from bridgehead.security.otp.words import WORDS
from bridgehead.security.sasl.contract import AdvanceOtp, Ask, OtpState, Step
from bridgehead.security.sasl.offer import Settings, make
from bridgehead.security.sasl.otp import Otp
from tests.sasl.rim import FAKE_KEY, NAME, NOW, OPEN, Town, challenge, failure, mechanism, settings, success

PHRASE = "This is a test."
SEED = "ke1234"
FIRST = f"\0{NAME}".encode()

# RFC 2289 appendix C: algorithm, pass phrase, seed, number, hexadecimal, words.
VECTORS = [
    ("otp-md5", "This is a test.", "TeSt", 0, "9E87 6134 D904 99DD", "INCH SEA ANNE LONG AHEM TOUR"),
    ("otp-md5", "This is a test.", "TeSt", 1, "7965 E054 36F5 029F", "EASE OIL FUM CURE AWRY AVIS"),
    ("otp-md5", "This is a test.", "TeSt", 99, "50FE 1962 C496 5880", "BAIL TUFT BITS GANG CHEF THY"),
    ("otp-md5", "AbCdEfGhIjK", "alpha1", 0, "8706 6DD9 644B F206", "FULL PEW DOWN ONCE MORT ARC"),
    ("otp-md5", "AbCdEfGhIjK", "alpha1", 1, "7CD3 4C10 40AD D14B", "FACT HOOF AT FIST SITE KENT"),
    ("otp-md5", "AbCdEfGhIjK", "alpha1", 99, "5AA3 7A81 F212 146C", "BODE HOP JAKE STOW JUT RAP"),
    ("otp-md5", "OTP's are good", "correct", 0, "F205 7539 43DE 4CF9", "ULAN NEW ARMY FUSE SUIT EYED"),
    ("otp-md5", "OTP's are good", "correct", 1, "DDCD AC95 6F23 4937", "SKIM CULT LOB SLAM POE HOWL"),
    ("otp-md5", "OTP's are good", "correct", 99, "B203 E28F A525 BE47", "LONG IVY JULY AJAR BOND LEE"),
    ("otp-sha1", "This is a test.", "TeSt", 0, "BB9E 6AE1 979D 8FF4", "MILT VARY MAST OK SEES WENT"),
    ("otp-sha1", "This is a test.", "TeSt", 1, "63D9 3663 9734 385B", "CART OTTO HIVE ODE VAT NUT"),
    ("otp-sha1", "This is a test.", "TeSt", 99, "87FE C776 8B73 CCF9", "GAFF WAIT SKID GIG SKY EYED"),
    ("otp-sha1", "AbCdEfGhIjK", "alpha1", 0, "AD85 F658 EBE3 83C9", "LEST OR HEEL SCOT ROB SUIT"),
    ("otp-sha1", "AbCdEfGhIjK", "alpha1", 1, "D07C E229 B5CF 119B", "RITE TAKE GELD COST TUNE RECK"),
    ("otp-sha1", "AbCdEfGhIjK", "alpha1", 99, "27BC 7103 5AAF 3DC6", "MAY STAR TIN LYON VEDA STAN"),
    ("otp-sha1", "OTP's are good", "correct", 0, "D51F 3E99 BF8E 6F0B", "RUST WELT KICK FELL TAIL FRAU"),
    ("otp-sha1", "OTP's are good", "correct", 1, "82AE B52D 9437 74E4", "FLIT DOSE ALSO MEW DRUM DEFY"),
    ("otp-sha1", "OTP's are good", "correct", 99, "4F29 6A74 FE15 67EC", "AURA ALOE HURL WING BERG WAIT"),
]


@pytest.mark.parametrize(("algorithm", "phrase", "seed", "number", "digits", "words"), VECTORS)
def test_the_vectors_of_rfc_2289(algorithm: str, phrase: str, seed: str, number: int, digits: str, words: str) -> None:
    password = compute(algorithm, phrase, seed, number)
    assert password == from_hex(digits) == from_words(words)
    assert (to_hex(password).upper(), to_words(password)) == (digits.replace(" ", ""), words)


def test_the_dictionary() -> None:
    """RFC 2289 appendix D: 571 words of up to three letters, then those of four, each part in order."""
    assert len(set(WORDS)) == len(WORDS) == 2048
    short, long = WORDS[:571], WORDS[571:]
    assert (sorted(short), sorted(long)) == (list(short), list(long))
    assert {len(word) for word in short} == {1, 2, 3}
    assert {len(word) for word in long} == {4}


@given(st.binary(min_size=8, max_size=8))
def test_words_and_digits_are_read_back(password: bytes) -> None:
    assert from_words(to_words(password).lower()) == from_hex(f" {to_hex(password)}\n") == password


@given(st.text(max_size=40))
def test_any_text_is_a_password_or_none(text: str) -> None:
    for read in (from_words, from_hex):
        try:
            assert len(read(text)) == 8
        except NotOneTime:
            pass


@pytest.mark.parametrize(
    "words",
    ["", "BAIL TUFT BITS GANG CHEF", "BAIL TUFT BITS GANG CHEF THY A", "BAIL TUFT BITS GANG CHEF XYZ"],
)
def test_words_of_another_form_are_refused(words: str) -> None:
    with pytest.raises(NotOneTime):
        from_words(words)


def test_a_wrong_checksum_is_refused_and_digits_are_read_as_letters() -> None:
    with pytest.raises(NotOneTime, match="checksum"):
        from_words("BAIL TUFT BITS GANG CHEF TIC")
    assert from_words("bai1 tuft b1ts gang chef thy".replace("b1ts", "bits")) == from_hex("50FE1962C4965880")


@pytest.mark.parametrize(
    ("algorithm", "phrase", "seed", "number"),
    [
        ("otp-md4", PHRASE, SEED, 1),
        ("otp-md5", "too short", SEED, 1),
        ("otp-md5", "x" * 64, SEED, 1),
        ("otp-md5", PHRASE, "", 1),
        ("otp-md5", PHRASE, "a" * 17, 1),
        ("otp-md5", PHRASE, "a b", 1),
        ("otp-md5", PHRASE, "\u0664", 1),
        ("otp-md5", PHRASE, SEED, 10_000),
        ("otp-md5", PHRASE, SEED, -1),
    ],
)
def test_what_rfc_2289_forbids_is_refused(algorithm: str, phrase: str, seed: str, number: int) -> None:
    with pytest.raises(NotOneTime):
        compute(algorithm, phrase, seed, number)


# The mechanism. -------------------------------------------------------------------------------------------------------


def town(algorithm: str = "otp-sha1", number: int = 100) -> Town:
    last = compute(algorithm, PHRASE, SEED, number)
    return Town(otp={NAME: OtpState(algorithm, number, SEED, last)})


def password(number: int, algorithm: str = "otp-sha1", seed: str = SEED) -> bytes:
    return compute(algorithm, PHRASE, seed, number)


def say(kind: str, number: int, algorithm: str = "otp-sha1") -> bytes:
    value = password(number, algorithm)
    return f"{kind}:{to_words(value) if kind.lower() == 'word' else to_hex(value)}".encode()


def begin(here: Town, first: bytes = FIRST) -> Otp:
    machine = mechanism("OTP", OPEN)
    assert isinstance(machine, Otp)
    challenge(here.start(machine, first))
    return machine


@pytest.mark.parametrize("algorithm", ["otp-md5", "otp-sha1"])
@pytest.mark.parametrize("kind", ["hex", "word", "HEX", "Word"])
def test_each_number_in_turn(algorithm: str, kind: str) -> None:
    here = town(algorithm)
    for number in (99, 98, 97):
        machine = mechanism("OTP", OPEN)
        assert challenge(here.start(machine, FIRST)) == f"{algorithm} {number} {SEED} ext".encode()
        step = success(here.respond(machine, say(kind, number, algorithm)))
        assert (step.name, step.kind) == (NAME, "otp")
        assert here.otp[NAME] == OtpState(algorithm, number, SEED, password(number, algorithm))


def test_an_initial_response_may_be_missing() -> None:
    here, machine = town(), mechanism("OTP", OPEN)
    assert challenge(machine.start(None)) == b""
    assert b" 99 " in challenge(here.respond(machine, FIRST))
    assert success(here.respond(machine, say("hex", 99))).name == NAME


def test_a_password_is_worth_nothing_the_second_time() -> None:
    here = town()
    success(here.respond(begin(here), say("hex", 99)))
    refused = failure(here.respond(begin(here), say("hex", 99)))
    assert (refused.because, refused.guess) == ("the one-time password is not the next one", True)


def test_of_two_exchanges_with_the_same_password_one_fails() -> None:
    """RFC 2289 section 9.0: the race. Both were asked for number 99 before either answered."""
    here = town()
    first, second = begin(here), begin(here)
    assert isinstance(first.respond(say("hex", 99)), Ask)
    asked: Step = second.respond(say("hex", 99))
    assert isinstance(asked, Ask)
    assert isinstance(asked.question, AdvanceOtp)
    assert success(first.answer(here.answer(asked.question))).name == NAME
    assert "same time" in failure(second.answer(here.answer(asked.question))).because


@pytest.mark.parametrize("number", [100, 98, 97, 0])
def test_another_number_is_refused(number: int) -> None:
    here = town()
    assert failure(here.respond(begin(here), say("hex", number))).guess
    assert here.otp == town().otp


def test_an_unknown_name_gets_the_same_challenge_each_time() -> None:
    here = town()
    asked = [challenge(here.start(mechanism("OTP", OPEN), b"\0" + name)) for name in (b"nobody", b"nobody", b"no-2")]
    assert asked[0] == asked[1] != asked[2]
    algorithm, number, _, extended = asked[0].split()
    assert (algorithm, extended) == (b"otp-sha1", b"ext")
    assert 9 < int(number) < 500
    foreign = make("OTP", ["OTP"], OPEN, bytes(32), Settings(bytes(32), settings().clock))
    assert challenge(here.start(foreign, b"\0nobody")) != asked[0]


def test_an_unknown_name_looks_like_one_that_was_enrolled(tmp_path: Path) -> None:
    """In algorithm, form of the seed and range of the number."""
    identity = Identity(tmp_path / "data", clock=lambda: NOW)
    try:
        with identity.enrolling(Wanted(NAME, fresh=Fresh(otp=True))) as enrolled:
            made = enrolled.otp
    finally:
        identity.close()
    assert made is not None
    real = OtpState(made.algorithm, made.sequence, made.seed, bytes(8))
    asked = [
        challenge(Town(otp={NAME: real}).start(mechanism("OTP", OPEN), b"\0" + name)).decode()
        for name in (NAME.encode(), b"nobody", b"no-2")
    ]
    forms = {re.sub(r"[0-9a-f]{10}", "SEED", re.sub(r" [0-9]{2,3} ", " NUMBER ", each)) for each in asked}
    assert forms == {"otp-sha1 NUMBER SEED ext"}
    assert all(int(each.split()[1]) <= made.sequence - 1 for each in asked)


def test_no_password_is_right_for_an_unknown_name() -> None:
    here, machine = town(), begin(town(), b"\0nobody")
    state = machine._state
    assert state is not None
    for value in (bytes(8), state.last):
        again = begin(here, b"\0nobody")
        assert failure(here.respond(again, f"hex:{value.hex()}".encode())).guess
    assert not any(isinstance(question, AdvanceOtp) for question in here.asked)


@pytest.mark.parametrize("authzid", [b"pump-1", b"root", b"SENSOR-7"])
def test_another_identity_is_refused(authzid: bytes) -> None:
    here = town()
    machine = begin(here, authzid + FIRST)
    assert "another identity" in failure(here.respond(machine, say("hex", 99))).because


@pytest.mark.parametrize("first", [b"", b"\0", b"sensor-7", b"a\0b\0c", b"\0\xff", b"\0a\x07", b"x" * 5000])
def test_a_first_message_of_another_form_is_refused(first: bytes) -> None:
    here = town()
    failure(here.start(mechanism("OTP", OPEN), first))
    assert here.asked == []


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"hex:",
        b"hex:0123",
        b"word:A B C",
        b"50FE1962C4965880",
        b"dec:1",
        b"hex:\xff",
        b"init-hex:" + b"0" * 16,
        b"hex:" + b"0" * 17,
        b"init-word:A B C D E F:md5 499 ke1235",
        b"init-hex:::",
    ],
)
def test_a_response_of_another_form_is_refused(response: bytes) -> None:
    here = town()
    assert not failure(here.respond(begin(here), response)).guess
    assert here.otp == town().otp


# A new seed. ----------------------------------------------------------------------------------------------------------


def anew(kind: str, parameters: str, now: bytes, new: bytes) -> bytes:
    write = to_hex if kind == "init-hex" else to_words
    return f"{kind}:{write(now)}:{parameters}:{write(new)}".encode()


@pytest.mark.parametrize("kind", ["init-hex", "init-word"])
@pytest.mark.parametrize("name", ["md5", "sha1", "SHA1"])
def test_a_client_begins_anew(kind: str, name: str) -> None:
    """RFC 2243 section 4, as its own example has it: `init-hex:...:md5 499 ke1235:...`."""
    here, algorithm = town(number=3), f"otp-{name.lower()}"
    new = password(499, algorithm, "ke1235")
    step = here.respond(begin(here), anew(kind, f"{name} 499 ke1235", password(2), new))
    assert success(step).name == NAME
    assert here.otp[NAME] == OtpState(algorithm, 499, "ke1235", new)
    machine = mechanism("OTP", OPEN)
    assert challenge(here.start(machine, FIRST)) == f"{algorithm} 498 ke1235 ext".encode()
    answer = f"hex:{to_hex(password(498, algorithm, 'ke1235'))}".encode()
    assert success(here.respond(machine, answer)).name == NAME


@pytest.mark.parametrize(
    "parameters",
    [
        f"sha1 499 {SEED}",
        f"sha1 499 {SEED.upper()}",
        "md4 499 ke1235",
        "sha1 9 ke1235",
        "sha1 10000 ke1235",
        "sha1 -5 ke1235",
        "sha1 \u0664\u0669 ke1235",
        "sha1 499 ke-1235",
        "sha1 499",
        "sha1 499 ke1235 x",
    ],
)
def test_new_parameters_that_are_the_old_or_none_are_refused(parameters: str) -> None:
    here = town()
    failure(here.respond(begin(here), anew("init-hex", parameters, password(99), password(499, seed="ke1235"))))
    assert here.otp == town().otp


def test_who_does_not_know_the_next_password_cannot_begin_anew() -> None:
    here = town()
    new = password(499, seed="ke1235")
    assert failure(here.respond(begin(here), anew("init-hex", "sha1 499 ke1235", password(98), new))).guess
    assert here.otp == town().otp


def test_the_last_one_may_begin_anew_and_then_there_is_none() -> None:
    here = town(number=2)
    machine = begin(here)
    assert success(here.respond(machine, say("hex", 1))).name == NAME
    assert "new seed" in failure(here.start(mechanism("OTP", OPEN), FIRST)).because
    here = town(number=2)
    step = here.respond(begin(here), anew("init-hex", "sha1 499 ke1235", password(1), password(499, seed="ke1235")))
    assert success(step).name == NAME
    assert here.otp[NAME].sequence == 499


def test_answers_of_another_type_are_our_mistake() -> None:
    machine = Otp(FAKE_KEY)
    machine.start(FIRST)
    with pytest.raises(LocalMisuse):
        machine.answer(NAME)
    here = town()
    machine = begin(here)
    machine.respond(say("hex", 99))
    with pytest.raises(LocalMisuse):
        machine.answer(NAME)
