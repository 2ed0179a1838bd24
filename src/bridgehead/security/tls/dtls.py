"""What a DTLS listener proves itself by and whom it trusts, gathered from the same files as a TLS context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.pki import Pki
from bridgehead.security.pki.raw_key import raw_key


class DtlsFiles:
    """PEM texts. `certificate`: the chain, leaf first; `trust`: authorities of devices' certificates; `lists`: their
    revocation lists; `raw_key`: the private half of the hub's raw public key."""

    def __init__(self, certificate: str, key: str, trust: str, lists: str, raw: str) -> None:
        self.certificate: Final = certificate
        self.key: Final = key
        self.trust: Final = trust
        self.lists: Final = lists
        self.raw_key: Final = raw

    def __repr__(self) -> str:
        return "DtlsFiles(...)"


def dtls_files(
    pki: Pki,
    certificate: Path | None,
    key: Path | None,
    client_ca: Path | None,
    client_lists: Sequence[Path],
) -> DtlsFiles:
    """Without `certificate` and `key` the hub's own are used. `client_ca` adds foreign authorities, `client_lists`
    their lists; who may not be trusted without a list that holds is left out by the caller. Errors: SecurityError."""
    own = pki.server_file if certificate is None else certificate
    chain = _text(own)
    trust = _text(pki.trust_file)
    lists = _text(pki.revocation_file)
    if client_ca is not None:
        trust += _text(client_ca)
    for path in client_lists:
        lists += _text(path)
    return DtlsFiles(chain, chain if key is None else _text(key), trust, lists, raw_key(pki.folder))


def _text(path: Path) -> str:
    return files.read(path).decode("ascii", "replace") + "\n"
