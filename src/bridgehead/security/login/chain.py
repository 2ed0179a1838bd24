"""What a listener lets in by: its `login`, in the order in which it is offered.

Each entry is a word, or several joined by "+" that are needed together: "password+certificate". The words are
"certificate" (of TLS), "password" (user name and password, where the protocol has a place for them) and the names of
SASL mechanisms. "SCRAM-SHA-256" stands for "SCRAM-SHA-256-PLUS" too; the latter alone insists on channel binding.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.mechanisms import CERTIFICATE, PASSWORD

PLUS: Final = "-PLUS"
SCRAM: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512")
OAUTHBEARER: Final = "OAUTHBEARER"
XOAUTH2: Final = "XOAUTH2"
GSSAPI: Final = "GSSAPI"
NTLM: Final = "NTLM"
TOKENS: Final = (OAUTHBEARER, XOAUTH2)
SASL: Final = (
    *SCRAM,
    *(name + PLUS for name in SCRAM),
    *TOKENS,
    GSSAPI,
    "EXTERNAL",
    "PLAIN",
    "OTP",
    NTLM,
)
WORDS: Final = (CERTIFICATE, PASSWORD, *SASL)
# What shows a secret to whoever reads the connection.
BARE: Final = frozenset({"PLAIN", *TOKENS})


class Chain:
    """Errors: NotAcceptable, of the first entry that cannot be."""

    def __init__(self, entries: Sequence[str]) -> None:
        self.entries: Final = tuple(entries)
        self._needed: Final = tuple(parse(entry) for entry in entries)
        words = list(dict.fromkeys(word for entry in self._needed for word in entry))
        self.words: Final = tuple(words)
        self.takes_password: Final = PASSWORD in words
        self.takes_certificate: Final = CERTIFICATE in words
        self.sasl: Final = tuple(word for word in words if word in SASL)
        methods: list[str] = []
        for word in self.sasl:
            methods.append(word)
            if word in SCRAM:
                methods.append(word + PLUS)
        self.methods: Final = tuple(dict.fromkeys(methods))  # as a client may name them

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and other.entries == self.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __str__(self) -> str:
        return ", ".join(self.entries)

    def permits(self, proofs: Iterable[str]) -> bool:
        """Whether these words, proven, are enough by one of the entries. What is proven beyond does no harm."""
        had = set(proofs)
        had.update(word.removesuffix(PLUS) for word in tuple(had))
        return any(had.issuperset(entry) for entry in self._needed)


def parse(entry: str) -> tuple[str, ...]:
    """The words of one entry. Errors: NotAcceptable."""
    words = tuple(word.strip() for word in entry.split("+"))
    for word in words:
        if word not in WORDS:
            near = difflib.get_close_matches(word.upper(), SASL, n=1) or difflib.get_close_matches(
                word.lower(), (CERTIFICATE, PASSWORD), n=1
            )
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(WORDS)}"
            raise NotAcceptable(f"{word!r} is no way to log in: {hint}")
    if len(set(words)) != len(words):
        raise NotAcceptable(f"{entry!r} names the same twice: write it once")
    spoken = [word for word in words if word != CERTIFICATE]
    if len(spoken) > 1:
        raise NotAcceptable(f"{entry!r} cannot be asked for together: only a certificate goes with another of them")
    return words


def default_chain(tokens: bool, kerberos: bool) -> Chain:
    """What a listener without `login` lets in by: tokens and Kerberos only where they are configured."""
    more = (*((OAUTHBEARER,) if tokens else ()), *((GSSAPI,) if kerberos else ()))
    return Chain((CERTIFICATE, PASSWORD, *SCRAM, *more))


def in_sasl(chain: Chain) -> Chain:
    """The same where nothing but SASL proves an identity: user name and password are PLAIN then, and a certificate
    alone speaks by EXTERNAL."""
    found: list[str] = []
    for entry in chain.entries:
        words = ["PLAIN" if word == PASSWORD else word for word in parse(entry)]
        if words == [CERTIFICATE]:
            found.append("EXTERNAL")
        found.append("+".join(words))
    return Chain(tuple(dict.fromkeys(found)))


DEFAULT: Final = default_chain(False, False)
