"""The company's token service in the demo: it signs short-lived tokens (RFC 7519) for the office control.

A new token replaces the former one in its file before that one ends, as a cluster gives them to its workloads. The
hub knows the service by its public key alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER = "https://login.office.example"
AUDIENCE = "bridgehead"
LIFETIME = 30  # seconds
KEY_ID = "office-1"
KEYS = "issuer-keys.json"


class Issuer:
    """`folder` gets KEYS, the public key for the hub (JWKS, RFC 7517), and the tokens."""

    def __init__(self, folder: Path) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": KEY_ID, "use": "sig", "alg": "ES256"})
        self._folder = folder
        (folder / KEYS).write_text(json.dumps({"keys": [self._key.as_dict(private=False)]}))

    def sign(self, subject: str) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + LIFETIME}
        return jwt.encode({"alg": "ES256", "kid": KEY_ID}, claims, self._key)

    def write(self, subject: str) -> Path:
        """The file with a token for `subject`, replaced whole and readable for its owner alone."""
        target = self._folder / f"{subject}.token"
        fresh = target.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.sign(subject) + "\n")
        fresh.replace(target)
        return target

    async def keep(self, subject: str) -> None:
        """Write new ones for ever."""
        while True:
            self.write(subject)
            await asyncio.sleep(LIFETIME / 3)
