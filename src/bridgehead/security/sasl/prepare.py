"""SASLprep (RFC 4013) of names and passwords: what looks the same is the same, and what cannot be typed is refused."""

from __future__ import annotations

import stringprep
import unicodedata
from typing import Final

# RFC 4013 section 2.3, and the unassigned code points of Unicode 3.2 that section 2.5 forbids in stored strings. What
# is compared with stored strings is treated alike here: a name that may not be stored names nobody.
_PROHIBITED: Final = (
    (stringprep.in_table_c12, "a space that is not U+0020"),
    (stringprep.in_table_c21_c22, "a control character"),
    (stringprep.in_table_c3, "a private use character"),
    (stringprep.in_table_c4, "a code point that is no character"),
    (stringprep.in_table_c5, "a surrogate"),
    (stringprep.in_table_c6, "a character unfit for plain text"),
    (stringprep.in_table_c7, "a character unfit for canonical representation"),
    (stringprep.in_table_c8, "a character that changes the display"),
    (stringprep.in_table_c9, "a tagging character"),
    (stringprep.in_table_a1, "a code point that Unicode 3.2 does not assign"),
)


class NotPrepared(Exception):
    """The text holds what SASLprep forbids; the message says what, without the text."""


def prepared(text: str) -> str:
    """RFC 4013. An empty text stays empty; another may become so, and then names nobody. Errors: NotPrepared."""
    if text.isascii() and text.isprintable():
        return text
    # RFC 4013 2.1 and 2.2: map, then normalize with the tables of Unicode 3.2 (RFC 3454 section 4).
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for character in normal:
        for prohibits, what in _PROHIBITED:
            if prohibits(character):
                raise NotPrepared(f"it holds {what}")
    # RFC 3454 section 6: right-to-left text has no left-to-right in it, and begins and ends right-to-left.
    if any(stringprep.in_table_d1(character) for character in normal) and (
        any(stringprep.in_table_d2(character) for character in normal)
        or not stringprep.in_table_d1(normal[0])
        or not stringprep.in_table_d1(normal[-1])
    ):
        raise NotPrepared("it mixes right-to-left and left-to-right writing")
    return normal
