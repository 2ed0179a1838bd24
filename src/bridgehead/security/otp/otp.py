"""One-time passwords of RFC 2289: how they follow from a pass phrase, one from the next, and how people write them.

A one-time password is 64 bits. Number n is a hash applied n times to the first; whoever knows number n can check number
n - 1, by hashing it once, but not compute it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from bridgehead.security.otp.words import WORDS

MD5: Final = "otp-md5"
SHA1: Final = "otp-sha1"
ALGORITHMS: Final = (MD5, SHA1)
OCTETS: Final = 8
# RFC 2289 section 6.0: pass phrases have at least 10 characters, and 63 MUST be supported; seeds 1 to 16 letters and
# digits.
PASS_PHRASE_MIN: Final = 10
PASS_PHRASE_MAX: Final = 63
# RFC 2289 names no highest number. A client hashes as often: four digits is what generators are made for.
SEQUENCE_MAX: Final = 9999

_SEED: Final = re.compile(r"[A-Za-z0-9]{1,16}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{16}")
_NUMBERS: Final = {word: number for number, word in enumerate(WORDS)}
# RFC 1751: its decoder reads a one as L, a nought as O and a five as S; no word of the dictionary has a digit.
_MEANT: Final = str.maketrans("105", "LOS")


class NotOneTime(Exception):
    """The text is no one-time password, seed or pass phrase; the message says why, without the text."""


def checked_seed(text: str) -> str:
    """In lower case, as it is hashed (RFC 2289 section 6.0). Errors: NotOneTime."""
    if _SEED.fullmatch(text) is None:
        raise NotOneTime("a seed is 1 to 16 letters and digits")
    return text.lower()


def compute(algorithm: str, pass_phrase: str, seed: str, sequence: int) -> bytes:
    """One-time password number `sequence` (RFC 2289 section 6.0). Errors: NotOneTime."""
    if not PASS_PHRASE_MIN <= len(pass_phrase) <= PASS_PHRASE_MAX:
        raise NotOneTime(f"a pass phrase has {PASS_PHRASE_MIN} to {PASS_PHRASE_MAX} characters")
    if not 0 <= sequence <= SEQUENCE_MAX:
        raise NotOneTime(f"a sequence number is 0 to {SEQUENCE_MAX}")
    found = folded(algorithm, checked_seed(seed).encode() + pass_phrase.encode())
    for _ in range(sequence):
        found = folded(algorithm, found)
    return found


def folded(algorithm: str, data: bytes) -> bytes:
    """The hash, folded to 64 bits (RFC 2289 appendix A)."""
    if algorithm == MD5:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        return bytes(left ^ right for left, right in zip(digest[:8], digest[8:], strict=True))
    if algorithm != SHA1:
        raise NotOneTime("the algorithm is neither otp-md5 nor otp-sha1")
    # SHA-1's output is five words in big-endian order; its appendix folds them and writes them little-endian.
    words = hashlib.sha1(data, usedforsecurity=False).digest()
    one, two, three, four, five = (int.from_bytes(words[at : at + 4], "big") for at in range(0, 20, 4))
    return (one ^ three ^ five).to_bytes(4, "little") + (two ^ four).to_bytes(4, "little")


def to_words(password: bytes) -> str:
    """The six words (RFC 2289 section 6.0): 64 bits, and the sum of their pairs in the last two."""
    number = int.from_bytes(password, "big") << 2 | _checksum(password)
    return " ".join(WORDS[number >> shift & 0x7FF] for shift in range(55, -1, -11))


def from_words(text: str) -> bytes:
    """Six words in any case. Errors: NotOneTime."""
    words = text.upper().split()
    if len(words) != 6:
        raise NotOneTime("a one-time password has six words")
    number = 0
    for word in words:
        value = _NUMBERS.get(word.translate(_MEANT))
        if value is None:
            raise NotOneTime("one of the words is not in the dictionary of RFC 2289")
        number = number << 11 | value
    password = (number >> 2).to_bytes(OCTETS, "big")
    if _checksum(password) != number & 3:
        raise NotOneTime("the checksum of the six words is wrong")
    return password


def to_hex(password: bytes) -> str:
    return password.hex()


def from_hex(text: str) -> bytes:
    """16 hexadecimal digits in any case, with white space between (RFC 2289 section 6.0). Errors: NotOneTime."""
    digits = "".join(text.split())
    if _HEX.fullmatch(digits) is None:
        raise NotOneTime("a one-time password has 16 hexadecimal digits")
    return bytes.fromhex(digits)


def _checksum(password: bytes) -> int:
    return sum(octet >> shift & 3 for octet in password for shift in (0, 2, 4, 6)) & 3
