"""Fetches an issuer's key set from a file or over https: bounded in time and size, without redirects. Blocks."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Final

from bridgehead.security.errors import SecurityError
from bridgehead.security.tokens.keys import OCTETS, Keys, parse_keys
from bridgehead.security.tokens.settings import Issuer

SECONDS: Final = 10.0
_PORTION: Final = 16_384


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The address is configured; where it leads else is not, and could be http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def fetch(issuer: Issuer, seconds: float = SECONDS) -> Keys:
    """Errors: SecurityError: it cannot be had within that time, or is no key set."""
    try:
        octets = _read(issuer.keys) if isinstance(issuer.keys, Path) else _get(issuer.keys, issuer.ca_file, seconds)
        return parse_keys(octets)
    except SecurityError as fault:
        raise SecurityError(f"the keys of the issuer {issuer.name!r} at {issuer.keys}: {fault}") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(OCTETS + 1)
    except OSError as fault:
        raise SecurityError(f"the file cannot be read: {fault.strerror}") from None


def _get(url: str, ca_file: Path | None, seconds: float) -> bytes:
    ends = time.monotonic() + seconds
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _NoRedirect(),
        ):
            opener.add_handler(handler)
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - https alone
        with opener.open(request, timeout=seconds) as answer:
            found = bytearray()
            # A portion at a time: a server that sends one octet now and then must not hold the thread.
            while portion := answer.read1(_PORTION):
                found += portion
                if len(found) > OCTETS:
                    raise SecurityError(f"the answer has more than {OCTETS} octets")
                if time.monotonic() > ends:
                    raise SecurityError(f"the answer takes longer than {seconds:g} s")
            return bytes(found)
    except urllib.error.HTTPError as fault:
        fault.close()
        raise SecurityError(f"the server answers {fault.code}") from None
    except (OSError, HTTPException, ValueError) as fault:
        raise SecurityError(f"it cannot be fetched: {getattr(fault, 'reason', None) or fault}") from None
