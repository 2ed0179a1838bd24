"""An issuer of tokens for the tests: keys of every kind, its key set, and tokens that no library has judged."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from bridgehead.security.tokens.settings import Issuer
from tests.sasl.rim import NAME, NOW

ISSUER = "https://issuer.example.org"
AUDIENCE = "bridgehead"
Key = RSAKey | ECKey | OKPKey


def key(kind: str, kid: str = "first") -> Key:
    """`kind`: the algorithm; keys are made once for the session."""
    return _key(kind, kid)


@functools.cache
def _key(kind: str, kid: str) -> Key:
    if kind[:2] in ("RS", "PS"):
        return rsa(kid)
    if kind.startswith("ES"):
        return ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[kind], {"kid": kid})
    return OKPKey.generate_key("Ed25519", {"kid": kid})


@functools.cache
def rsa(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid})


def key_set(*keys: Key, **more: object) -> bytes:
    return json.dumps({"keys": [{**each.as_dict(private=False), **more} for each in keys]}).encode()


def issuer(keys: Path | str = Path("unused.json"), **more: Any) -> Issuer:
    return Issuer(ISSUER, keys, (AUDIENCE,), **more)


def claims(**changes: object) -> dict[str, object]:
    """Those of a good token; a change to None leaves the claim out."""
    found: dict[str, object] = {"iss": ISSUER, "sub": NAME, "aud": AUDIENCE, "exp": NOW + 600, **changes}
    return {name: value for name, value in found.items() if value is not None}


def encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def token(
    what: Mapping[str, object] | bytes | None = None,
    algorithm: str = "ES256",
    kid: str | None = "first",
    header: Mapping[str, object] | None = None,
    signer: Key | None = None,
) -> str:
    head: dict[str, object] = {"alg": algorithm, "typ": "JWT", **({"kid": kid} if kid else {}), **(header or {})}
    body = what if isinstance(what, bytes) else json.dumps(claims() if what is None else what).encode()
    signed = f"{encode(json.dumps(head).encode())}.{encode(body)}"
    made = JWSRegistry.algorithms[algorithm].sign(signed.encode(), signer or key(algorithm, kid or "first"))
    return f"{signed}.{encode(made)}"


def confused(secret: bytes, algorithm: str = "HS256") -> str:
    """Signed with what everybody knows, the public key, as if it were a shared secret (RFC 8725 section 2.1)."""
    head = {"alg": algorithm, "typ": "JWT", "kid": "first"}
    signed = f"{encode(json.dumps(head).encode())}.{encode(json.dumps(claims()).encode())}"
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def unsigned(algorithm: str = "none", signature: str = "") -> str:
    head = {"alg": algorithm, "typ": "JWT"}
    return f"{encode(json.dumps(head).encode())}.{encode(json.dumps(claims()).encode())}.{signature}"
