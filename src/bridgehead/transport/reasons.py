"""Errors of sockets and of TLS as sentences for the log and for the peers of the transport."""

from __future__ import annotations

import errno
import os
import ssl
from typing import Final

_SENTENCES: Final = {
    errno.ECONNRESET: "the peer reset the connection",
    errno.EPIPE: "the peer closed the connection while data was on its way to it",
    errno.ETIMEDOUT: "the peer no longer answers (TCP timed out)",
    errno.EHOSTUNREACH: "the peer's host cannot be reached",
    errno.ENETUNREACH: "the peer's network cannot be reached",
    errno.ECONNREFUSED: "the connection was refused: nothing listens there",
}

# What OpenSSL calls it, and what it means to somebody who reads a log.
_TLS_SENTENCES: Final = {
    "HTTP_REQUEST": "plain HTTP was sent to a TLS port",
    "WRONG_VERSION_NUMBER": "what came is not TLS (plaintext sent to a TLS port?)",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common",
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no client certificate came, and one is required",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust our certificate (unknown CA)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer does not accept our certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the peer requires a client certificate",
}


def ends_the_input(error: ssl.SSLError) -> bool:
    """Whether the peer has ended the connection. Python 3.11.2 tells it by other types and names than 3.11.4 does."""
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or error.reason == "UNEXPECTED_EOF_WHILE_READING"


def explain(error: OSError) -> str:
    """One sentence without a full stop; says nothing that came from the peer but TLS's own error names."""
    if isinstance(error, ssl.SSLError) and ends_the_input(error):
        return "the peer ended the connection without TLS's close_notify"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        name = error.reason or ""
        return _TLS_SENTENCES.get(name) or f"TLS failed: {name.lower().replace('_', ' ') or 'unknown error'}"
    number = error.errno or 0
    return _SENTENCES.get(number) or os.strerror(number).lower()
