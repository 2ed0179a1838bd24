"""Verifies a JSON Web Token (RFC 7519) by an issuer's keys, as RFC 8725 advises. Pure: keys and time are arguments."""

from __future__ import annotations

import binascii
import json
import math
import re
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from bridgehead.security.tokens.keys import Keys
from bridgehead.security.tokens.settings import ALGORITHMS, Issuer

TOKEN_OCTETS: Final = 16_384
_FORM: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
_SUBJECT_OCTETS: Final = 1024
_TRIED: Final = 8  # keys, for a token that names none


class NotAccepted(Exception):
    """The token speaks for nobody here. The message says why, for the log, and holds nothing of its signature."""


class VerifiedToken:
    """Whom it speaks for; `expires_at`: when it ends here (its `exp` and the leeway), seconds since the epoch."""

    def __init__(self, issuer: str, subject: str, expires_at: float) -> None:
        self.issuer: Final = issuer
        self.subject: Final = subject
        self.expires_at: Final = expires_at

    def __repr__(self) -> str:
        return f"VerifiedToken({self.issuer!r}, {self.subject!r}, {self.expires_at!r})"


class UnverifiedToken:
    """A token in its parts; nothing that it says is to be believed before `verify`. Errors: NotAccepted."""

    def __init__(self, token: str) -> None:
        if len(token) > TOKEN_OCTETS:
            raise NotAccepted(f"the token has more than {TOKEN_OCTETS} octets")
        form = _FORM.fullmatch(token)
        if form is None:
            raise NotAccepted("the token is no JWS in its compact form")
        header = _object(form[1], "header")
        self.claims: Final = _object(form[2], "payload")
        self.signed: Final = token[: form.start(3) - 1].encode()
        self.signature: Final = _octets(form[3], "signature")
        # RFC 8725 section 3.1: "none" and everything that we don't know is refused before any key is looked at.
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise NotAccepted("the token's algorithm is none that is accepted: it must be signed with a private key")
        self.algorithm: Final[str] = algorithm
        if "crit" in header:
            # RFC 7515 section 4.1.11: extensions that are not understood must not be ignored; we understand none.
            raise NotAccepted("the token has critical extensions, and none is understood here")
        if header.get("b64", True) is not True:
            raise NotAccepted("the token's payload is not encoded")
        kid = header.get("kid")
        if not isinstance(kid, str | None):
            raise NotAccepted("the token's key identifier is no text")
        self.kid: Final = kid
        kind = header.get("typ", "JWT")
        # RFC 8725 section 3.11: tokens for other purposes are not taken for access tokens (RFC 9068) and plain ones.
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in ("jwt", "at+jwt"):
            raise NotAccepted("the token's type is neither JWT nor at+jwt")
        issuer = self.claims.get("iss")
        if not isinstance(issuer, str):
            raise NotAccepted("the token names no issuer")
        self.issuer: Final[str] = issuer


def verify(token: UnverifiedToken, issuer: Issuer, keys: Keys, now: float) -> VerifiedToken:
    """Errors: NotAccepted."""
    if token.issuer != issuer.name:
        raise NotAccepted("the token is another issuer's")
    if token.algorithm not in issuer.algorithms:
        raise NotAccepted(f"the token is signed with {token.algorithm}, which this issuer must not use")
    fitting = keys.fit(token.kid, token.algorithm)[:_TRIED]
    if not fitting:
        raise NotAccepted("no key of the issuer fits the token")
    algorithm = JWSRegistry.algorithms[token.algorithm]
    try:
        right = any(algorithm.verify(token.signed, token.signature, key) for key in fitting)
    except (JoseError, ValueError):
        right = False
    if not right:
        raise NotAccepted("the token's signature is wrong")
    return _judge(token.claims, issuer, now)


def _judge(claims: dict[str, Any], issuer: Issuer, now: float) -> VerifiedToken:
    leeway = issuer.leeway
    ends = _time(claims, "exp")
    if ends is None:
        raise NotAccepted("the token has no end (exp)")
    if now >= ends + leeway:
        raise NotAccepted("the token has expired")
    for name in ("nbf", "iat"):
        begins = _time(claims, name)
        if begins is not None and begins > now + leeway:
            raise NotAccepted(f"the token is not valid yet ({name} lies in the future): compare the clocks")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(each, str) and each in issuer.audience for each in named):
        raise NotAccepted("the token is for another audience")
    subject = claims.get(issuer.subject_claim)
    if not isinstance(subject, str) or not subject or len(subject) > _SUBJECT_OCTETS:
        raise NotAccepted(f"the token names no subject in {issuer.subject_claim!r}")
    return VerifiedToken(issuer.name, subject, ends + leeway)


def _time(claims: dict[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 section 2); None: it is not there. Errors: NotAccepted."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**53) < value < 2**53:
        raise NotAccepted(f"the token's {name} is no time")
    return float(value) if math.isfinite(value) else None


def _octets(text: str, part: str) -> bytes:
    """Errors: NotAccepted."""
    try:
        return binascii.a2b_base64(text.translate(_URL) + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise NotAccepted(f"the token's {part} is not base64url") from None


_URL: Final = str.maketrans("-_", "+/")


def _object(text: str, part: str) -> dict[str, Any]:
    """Errors: NotAccepted."""
    try:
        # RFC 8725 section 3.7: UTF-8 alone. `json.loads` would guess the encoding of octets.
        found = json.loads(_octets(text, part).decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise NotAccepted(f"the token's {part} is no JSON, or names something twice") from None
    if not isinstance(found, dict):
        raise NotAccepted(f"the token's {part} is no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519 section 4: a claim's name appears once; two readers could else read different tokens."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found
