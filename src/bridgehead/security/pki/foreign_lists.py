"""Revocation lists of other authorities: read from a file or fetched, verified, and kept in DATA/pki/foreign.

A list takes the place of the one before only when an authority of the listener has signed it and it is not older: who
sits on the way of a plain-http list can withhold it, and nothing else.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.pki import certificates

FOLDER: Final = "foreign"
MOST_OCTETS: Final = 16 * 1024 * 1024
_SECONDS: Final = 20.0  # for one list, in all
_STALL: Final = 5.0  # for one read
_PART: Final = 65536

Fetch = Callable[[str], bytes]


class ForeignLists:
    """The lists of one data folder. `refresh` is called in a thread; the rest reads files."""

    def __init__(self, pki_folder: Path, fetch: Fetch | None = None) -> None:
        self._folder: Final = pki_folder / FOLDER
        self._fetch: Final = fetch if fetch is not None else fetch_list

    def path_of(self, source: str) -> Path:
        """Where the verified list of a source lies, in PEM."""
        return self._folder / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.crl"

    def refresh(self, source: str, authorities: Sequence[x509.Certificate], now: float) -> str:
        """Take over what the source has. Returns why not, or ""."""
        try:
            files.private_folder(self._folder)
            der = self._fetch(source) if "://" in source else files.read(Path(source))
            new = _verified(der, source, authorities)
            path = self.path_of(source)
            if path.exists():
                old = certificates.read_revocation_list(files.read(path), str(path))
                if new.last_update_utc < old.last_update_utc:
                    raise SecurityError(
                        f"the revocation list from {source} is older than the one before: kept that one"
                    )
                if new == old:
                    return _staleness(new, source, now)
            files.write_whole(path, new.public_bytes(serialization.Encoding.PEM))
            return _staleness(new, source, now)
        except SecurityError as fault:
            return str(fault)

    def until(self, source: str) -> float | None:
        """When the kept list ends; None: there is none. Errors: SecurityError."""
        path = self.path_of(source)
        if not path.exists():
            return None
        end = certificates.read_revocation_list(files.read(path), str(path)).next_update_utc
        return float("inf") if end is None else end.timestamp()

    def holds(self, source: str, now: float) -> bool:
        try:
            end = self.until(source)
        except SecurityError:
            return False
        return end is not None and end > now


def _staleness(listed: x509.CertificateRevocationList, source: str, now: float) -> str:
    end = listed.next_update_utc
    if end is not None and end.timestamp() <= now:
        return (
            f"the revocation list from {source} has ended on {end:%Y-%m-%d %H:%M UTC}: its publisher has no newer one"
        )
    return ""


def _verified(data: bytes, source: str, authorities: Sequence[x509.Certificate]) -> x509.CertificateRevocationList:
    try:
        pem = data.lstrip().startswith(b"-----BEGIN")
        listed = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        for each in authorities:
            key = each.public_key()
            named = each.subject == listed.issuer
            if named and isinstance(key, certificates.VerifyingKey) and listed.is_signature_valid(key):
                return listed
    except certificates.UNREADABLE:
        raise SecurityError(f"what {source} gave is no readable revocation list: check the address") from None
    raise SecurityError(f"the revocation list from {source} is not signed by an authority of client_ca: check both")


def fetch_list(url: str) -> bytes:
    """By http or https alone, also after redirections; bounded in time and size. Errors: SecurityError."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise SecurityError(f"{url} is fetched by http or https only: give such an address, or a file")
    opener = urllib.request.OpenerDirector()  # without the handlers of files, ftp, data and proxies
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    deadline = time.monotonic() + _SECONDS
    parts: list[bytes] = []
    size = 0
    try:
        response = opener.open(url, timeout=_STALL)
        if response is None:
            raise SecurityError(f"{url} leads to an address that is neither http nor https")
        with response:
            while part := response.read1(_PART):
                size += len(part)
                parts.append(part)
                if size > MOST_OCTETS:
                    raise SecurityError(f"the revocation list from {url} is larger than {MOST_OCTETS} octets")
                if time.monotonic() > deadline:
                    raise SecurityError(f"the revocation list from {url} did not come within {_SECONDS:g} s")
    except urllib.error.URLError as fault:
        raise SecurityError(f"the revocation list from {url} cannot be fetched: {fault.reason}") from None
    except (OSError, http.client.HTTPException) as fault:
        raise SecurityError(f"the revocation list from {url} cannot be fetched: {fault}") from None
    return b"".join(parts)
