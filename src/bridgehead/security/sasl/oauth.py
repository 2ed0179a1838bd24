"""OAUTHBEARER (RFC 7628) and XOAUTH2 (the form that Google and Microsoft speak): a token instead of a password."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Final

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.mechanisms import TOKEN
from bridgehead.security.sasl.contract import (
    Answer,
    Ask,
    Challenge,
    Failure,
    Mechanism,
    Step,
    TokenIdentity,
    VerifyToken,
    outcome,
)
from bridgehead.security.sasl.prepare import NotPrepared, prepared
from bridgehead.security.sasl.scram_keys import NotScram, attribute, unescaped

_SEPARATOR: Final = "\x01"
_PAIR: Final = re.compile(r"([A-Za-z]+)=([\x21-\x7e \t\r\n]*)")  # RFC 7628 3.1
_BEARER: Final = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")  # RFC 6750 2.1
_BROKEN: Final = "the message is not of this form"


class _Bearer(Mechanism):
    """What both have in common: a message with a token; and after a refusal the client speaks once more."""

    _refusal: bytes

    def __init__(self) -> None:
        super().__init__()
        self._claimed = ""
        self._because = ""

    def _respond(self, response: bytes) -> Step:
        if self._because:
            # RFC 7628 3.2.3: the client acknowledges the error with a dummy message, and the exchange fails.
            return Failure(self._because, claimed=self._claimed, guess=True)
        try:
            token = self._token(response.decode())
        except (UnicodeDecodeError, NotScram, NotPrepared, ValueError):
            return Failure(f"a message of {self.name} is not of its form", claimed=self._claimed)
        return Ask(VerifyToken(token))

    def _answer(self, value: Answer) -> Step:
        if value is None:
            self._because = "the token is not accepted"
            return Challenge(self._refusal)
        if not isinstance(value, TokenIdentity):
            raise LocalMisuse("the answer is no TokenIdentity")
        return outcome(value.name, self._claimed, TOKEN, expires_at=value.expires_at)

    @abstractmethod
    def _token(self, text: str) -> str:
        """Errors: ValueError, NotScram, NotPrepared."""


def _pairs(text: str) -> dict[str, str]:
    """key=value, each ended by %x01, and one more %x01 at the end. Errors: ValueError."""
    body = text.removesuffix(_SEPARATOR)
    if body == text or (body and not body.endswith(_SEPARATOR)):
        raise ValueError(_BROKEN)
    found: dict[str, str] = {}
    for pair in body.split(_SEPARATOR)[:-1]:
        matched = _PAIR.fullmatch(pair)
        if matched is None or matched[1].lower() in found:
            raise ValueError(_BROKEN)
        found[matched[1].lower()] = matched[2]
    return found


def _bearer(value: str) -> str:
    matched = _BEARER.fullmatch(value)
    if matched is None:
        raise ValueError("no Bearer token")
    return matched[1]


class OAuthBearer(_Bearer):
    """RFC 7628. `host` and `port` are for the audience of tokens that name one, which the token itself says here."""

    name = "OAUTHBEARER"
    _refusal = b'{"status":"invalid_token"}'

    def _token(self, text: str) -> str:
        header, separator, rest = text.partition(_SEPARATOR)
        flag, authzid, end = header.split(",")
        # RFC 7628 3.1: without channel binding; a client that asks for it is refused, not ignored.
        if not separator or end or flag not in ("n", "y"):
            raise ValueError(_BROKEN)
        if authzid:
            self._claimed = prepared(unescaped(attribute(authzid, "a")))
        return _bearer(_pairs(rest).get("auth", ""))


class XOAuth2(_Bearer):
    """`user=NAME%x01auth=Bearer TOKEN%x01%x01`: the name must be the identity's."""

    name = "XOAUTH2"
    _refusal = b'{"status":"401","schemes":"bearer"}'

    def _token(self, text: str) -> str:
        pairs = _pairs(text)
        self._claimed = prepared(pairs.get("user", ""))
        if not self._claimed:
            raise ValueError("no name")
        return _bearer(pairs.get("auth", ""))
