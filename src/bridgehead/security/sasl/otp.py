"""OTP (RFC 2444): one-time passwords of RFC 2289 in the extended messages of RFC 2243, with a new seed in time.

The record holds the password that was accepted last. Each is accepted once: what is stored is put in place by compare
and set, so of two exchanges with the same password one fails (RFC 2289 section 9.0 knows the race).
"""

from __future__ import annotations

import hmac
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.mechanisms import OTP
from bridgehead.security.otp.otp import (
    ALGORITHMS,
    OCTETS,
    SEQUENCE_MAX,
    SHA1,
    NotOneTime,
    checked_seed,
    folded,
    from_hex,
    from_words,
)
from bridgehead.security.sasl.contract import (
    NAME_OCTETS,
    AdvanceOtp,
    Answer,
    Ask,
    Challenge,
    Failure,
    LookUpOtp,
    Mechanism,
    OtpState,
    Step,
    outcome,
)
from bridgehead.security.sasl.prepare import NotPrepared, prepared

# A client that begins anew does it for a while.
SEQUENCE_MIN: Final = 10
SEQUENCE_FIRST: Final = 500
_NO: Final = "the one-time password is not the next one"


class Otp(Mechanism):
    """`fake_key`: as in offer.Settings; an unknown name gets the same challenge each time."""

    name = "OTP"
    message_octets = 2 * NAME_OCTETS + 1

    def __init__(self, fake_key: bytes) -> None:
        super().__init__()
        self._fake_key: Final = fake_key
        self._claimed = ""
        self._authzid = ""
        self._state: OtpState | None = None
        self._real = False

    def _respond(self, response: bytes) -> Step:
        try:
            text = response.decode()
            return self._names(text) if self._state is None else self._password(self._state, text)
        except UnicodeDecodeError:
            return self._fail("a message of OTP is not UTF-8")
        except (NotOneTime, NotPrepared) as fault:
            return self._fail(f"a message of OTP is not of its form: {fault}")

    def _names(self, text: str) -> Step:
        # RFC 2444 section 3: the authorization identity, which may be empty, NUL, and who authenticates.
        authzid, _, claimed = text.partition("\0")
        if not claimed or "\0" in claimed:
            return self._fail("the first message of OTP is two names with a NUL between")
        self._authzid = prepared(authzid)
        self._claimed = prepared(claimed)
        if not self._claimed:
            return self._fail("the name in the first message of OTP is empty when it is prepared")
        return Ask(LookUpOtp(self._claimed))

    def _answer(self, value: Answer) -> Step:
        if self._state is not None:
            if not isinstance(value, bool):
                raise LocalMisuse("the answer is no bool")
            if not value:
                return self._fail("the one-time password was used in another exchange at the same time", guess=True)
            return outcome(self._claimed, self._authzid, OTP)
        if value is not None and not isinstance(value, OtpState):
            raise LocalMisuse("the answer is no OtpState")
        if value is not None and value.sequence <= 1:
            # RFC 2289 section 6.0: number 0 would be the last, and then there is none to begin anew with.
            return self._fail("the one-time passwords have run out: give the device a new seed")
        self._real = value is not None
        nobody = self._nobody()  # made for every name, so that it takes as long
        state = self._state = value if value is not None else nobody
        # RFC 2243 section 3: otp-<algorithm> <sequence> <seed> ext: extended responses are understood.
        return Challenge(f"{state.algorithm} {state.sequence - 1} {state.seed} ext".encode())

    def _nobody(self) -> OtpState:
        # As security.identity_credentials makes them: ten hexadecimal digits, and at most the first sequence number.
        drawn = hmac.digest(self._fake_key, b"otp\0" + self._claimed.encode(), "sha256")
        sequence = SEQUENCE_FIRST - int.from_bytes(drawn[:2], "big") % (SEQUENCE_FIRST - SEQUENCE_MIN)
        return OtpState(SHA1, sequence, drawn[2:7].hex(), drawn[8 : 8 + OCTETS])

    def _password(self, state: OtpState, text: str) -> Step:
        # RFC 2243 section 4: the type of the response, a colon, and the password in that form.
        kind, colon, rest = text.partition(":")
        kind = kind.strip().lower()
        if not colon or kind not in ("hex", "word", "init-hex", "init-word"):
            return self._fail("a response of OTP begins with hex:, word:, init-hex: or init-word:")
        read = from_hex if kind.endswith("hex") else from_words
        if not kind.startswith("init-"):
            password = read(rest)
            after = OtpState(state.algorithm, state.sequence - 1, state.seed, password)
        else:
            now, parameters, new = _three(rest)
            password = read(now)
            after = _begun_anew(state, parameters, read(new))
        if not (hmac.compare_digest(folded(state.algorithm, password), state.last) and self._real):
            return self._fail(_NO, guess=True)
        return Ask(AdvanceOtp(self._claimed, state, after))

    def _fail(self, because: str, guess: bool = False) -> Failure:
        return Failure(because, claimed=self._claimed, guess=guess)


def _three(text: str) -> tuple[str, str, str]:
    """RFC 2243 section 4: init-hex:<current>:<new parameters>:<new>. Errors: NotOneTime."""
    parts = text.split(":")
    if len(parts) != 3:
        raise NotOneTime("a response that begins anew has the current password, new parameters and a new password")
    return parts[0], parts[1], parts[2]


def _begun_anew(state: OtpState, parameters: str, password: bytes) -> OtpState:
    """`parameters` are `<algorithm> <sequence> <seed>` ("md5 499 ke1235"). Errors: NotOneTime."""
    words = parameters.split()
    if len(words) != 3 or not (words[1].isascii() and words[1].isdigit() and len(words[1]) <= 4):
        raise NotOneTime("the new parameters are algorithm, sequence number and seed")
    algorithm, sequence, seed = "otp-" + words[0].lower().removeprefix("otp-"), int(words[1]), checked_seed(words[2])
    if algorithm not in ALGORITHMS:
        raise NotOneTime("the new algorithm is neither md5 nor sha1")
    if not SEQUENCE_MIN <= sequence <= SEQUENCE_MAX:
        raise NotOneTime(f"the new sequence number is not between {SEQUENCE_MIN} and {SEQUENCE_MAX}")
    # The same seed and pass phrase would give passwords again that were used before (RFC 2289 section 6.0).
    if seed == state.seed.lower() or hmac.compare_digest(password, state.last):
        raise NotOneTime("the new seed or password is the old one")
    return OtpState(algorithm, sequence, seed, password)
