"""The hub's raw public key (RFC 7250): one that outlasts its certificates, because devices hold it as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization

from bridgehead.security import files
from bridgehead.security.pki import certificates

KEY_FILE: Final = "raw-key.pem"
PUBLIC_FILE: Final = "raw-key.pub"


def raw_key(folder: Path) -> str:
    """The private key in PEM, P-256, made at the first call; its public half lies beside it in PUBLIC_FILE, for
    devices. `folder`: that of the PKI. Errors: SecurityError."""
    path = folder / KEY_FILE
    if not path.exists():
        with files.locked(folder / ".lock"):
            if not path.exists():
                key = certificates.new_key()
                public = key.public_key().public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                )
                files.write_whole(folder / PUBLIC_FILE, public)
                files.write_whole(path, certificates.key_pem(key))
    files.check_private(path)
    return files.read(path).decode("ascii", "replace")


def public_raw_key(folder: Path) -> str:
    """Its public half in PEM (SubjectPublicKeyInfo), for devices. Errors: SecurityError."""
    raw_key(folder)
    return files.read(folder / PUBLIC_FILE).decode("ascii", "replace")
