"""A JSON Web Key Set (RFC 7517) of an issuer: the keys that verify signatures, by identifier and kind. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from bridgehead.security.errors import SecurityError

OCTETS: Final = 262_144
KEYS: Final = 64
RSA_BITS: Final = (2048, 8192)  # RFC 7518 section 3.3: 2048 or larger; above, each try costs too much

Key = RSAKey | ECKey | OKPKey
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}


class Keys:
    """What of a key set can verify signatures. Other keys in it are passed over (RFC 7517 section 5)."""

    def __init__(self, known: list[tuple[str | None, dict[str, Any], Key]]) -> None:
        self._known: Final = known

    def __len__(self) -> int:
        return len(self._known)

    def has(self, kid: str) -> bool:
        return any(kid == known for known, _, _ in self._known)

    def fit(self, kid: str | None, algorithm: str) -> list[Key]:
        """The keys that may have made a signature: of that identifier (None: of any), and of that algorithm's kind."""
        return [
            key
            for known, entry, key in self._known
            if (kid is None or known == kid) and entry.get("alg", algorithm) == algorithm and _is_of(key, algorithm)
        ]


def parse_keys(octets: bytes) -> Keys:
    """Errors: SecurityError: it is no key set, or none of its keys can verify a signature."""
    if len(octets) > OCTETS:
        raise SecurityError(f"the key set has more than {OCTETS} octets")
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        raise SecurityError("the key set is no JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > KEYS:
        raise SecurityError(f"the key set has no list of at most {KEYS} `keys`")
    known = [(entry.get("kid"), entry, key) for entry in entries if (key := _key_of(entry)) is not None]
    if not known:
        raise SecurityError("the key set holds no public key that verifies signatures")
    return Keys(known)


def _key_of(entry: object) -> Key | None:
    """None: a key that is broken, of another kind or for another use."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    operations, kid = entry.get("key_ops", ["verify"]), entry.get("kid")
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(kid, str | None):
        return None
    kinds: dict[object, type[Key]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
    kind = entry.get("kty")
    if not isinstance(kind, str) or kind not in kinds:
        return None
    # Only what is public: a private part that slipped into a key set is not loaded.
    public = {name: entry[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in entry}
    if not all(isinstance(value, str) for value in public.values()):
        return None
    if kind == "RSA" and not RSA_BITS[0] <= len(public.get("n", "")) * 6 <= RSA_BITS[1] + 64:
        return None
    try:
        key = kinds[kind].import_key(public)
        raw = key.public_key
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(raw, RSAPublicKey) and not RSA_BITS[0] <= raw.key_size <= RSA_BITS[1]:
        return None
    return key


def _is_of(key: Key, algorithm: str) -> bool:
    """RFC 8725 section 3.1: an algorithm goes with its own kind of key."""
    raw = key.public_key
    if algorithm.startswith(("RS", "PS")):
        return isinstance(raw, RSAPublicKey)
    if algorithm in _CURVES:
        return isinstance(raw, EllipticCurvePublicKey) and raw.curve.name == _CURVES[algorithm]
    return isinstance(raw, Ed25519PublicKey)
