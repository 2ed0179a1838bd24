"""Whose tokens are accepted, and for what: the configuration of token verification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bridgehead.security.errors import NotAcceptable

# RFC 7518 section 3.1, RFC 8037, RFC 9864: signatures with a private key. A shared secret (HS*) is none of them: who
# can verify with it can also sign; and an RSA public key must never be taken for such a secret.
ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
LEEWAY_MAX: Final = 300.0


@dataclass(frozen=True, slots=True)
class Issuer:
    """`name` is the tokens' `iss`, exactly. `keys`: a JWKS file, or an https URL (`ca_file`: trust these authorities
    for it, and no others). `audience`: one of these must be in `aud`. `subject_claim`: the claim that names the
    subject; nested ones are not looked into. Times in seconds."""

    name: str
    keys: Path | str
    audience: tuple[str, ...]
    algorithms: frozenset[str] = ALGORITHMS
    subject_claim: str = "sub"
    ca_file: Path | None = None
    leeway: float = 30.0

    def check(self) -> None:
        """Errors: NotAcceptable, with what to change."""
        if not self.name:
            raise NotAcceptable("an issuer of tokens has no name: give the `iss` of its tokens")
        if not self.audience or not all(self.audience):
            raise NotAcceptable(
                f"the issuer {self.name!r} has no audience: name the `aud` that its tokens for this hub have, "
                "or tokens for other services would be accepted here"
            )
        wrong = sorted(self.algorithms - ALGORITHMS)
        if wrong or not self.algorithms:
            raise NotAcceptable(
                f"the issuer {self.name!r} allows {', '.join(wrong) or 'no algorithm'}: "
                f"use some of {', '.join(sorted(ALGORITHMS))}"
            )
        if not 0 <= self.leeway <= LEEWAY_MAX:
            raise NotAcceptable(f"a leeway of {self.leeway:g} s is not between 0 and {LEEWAY_MAX:g} s")
        if isinstance(self.keys, str):
            parts = urlsplit(self.keys)
            if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
                raise NotAcceptable(
                    f"the keys of the issuer {self.name!r} come from no https address: "
                    "give a file, or https://HOST/PATH without user and password"
                )
        elif self.ca_file is not None:
            raise NotAcceptable(f"the issuer {self.name!r} has a CA file and no https address that needs it")
