"""From a request's target to what is asked for."""

from __future__ import annotations

import binascii
from typing import Final

# RFC 7030 3.2.2; no label behind it: the hub has one authority.
EST: Final = b"/.well-known/est/"
CACERTS: Final = "cacerts"
SIMPLE_ENROLL: Final = "simpleenroll"
SIMPLE_REENROLL: Final = "simplereenroll"
CSR_ATTRIBUTES: Final = "csrattrs"
REVOCATION_LIST: Final = "crl"
OCSP: Final = "ocsp"
NOTHING: Final = ""

_EST: Final = {
    b"cacerts": CACERTS,
    b"simpleenroll": SIMPLE_ENROLL,
    b"simplereenroll": SIMPLE_REENROLL,
    b"csrattrs": CSR_ATTRIBUTES,
}
METHODS: Final = {
    CACERTS: (b"GET", b"HEAD"),
    CSR_ATTRIBUTES: (b"GET", b"HEAD"),
    REVOCATION_LIST: (b"GET", b"HEAD"),
    SIMPLE_ENROLL: (b"POST",),
    SIMPLE_REENROLL: (b"POST",),
    OCSP: (b"GET", b"HEAD", b"POST"),
}
_CRL: Final = b"/crl/"
_OCSP: Final = b"/ocsp"
_HEXADECIMAL: Final = frozenset(b"0123456789abcdef")


class Target:
    """`operation` is one of the words above, NOTHING for what is not served here. `argument`: of a list, the key
    identifier of its authority in hexadecimal, b"" for the one that signs; of OCSP by GET, the DER request."""

    def __init__(self, operation: str, argument: bytes = b"") -> None:
        self.operation: Final = operation
        self.argument: Final = argument


def parse(target: bytes) -> Target:
    """What is not understood is NOTHING."""
    path = target.partition(b"?")[0]
    if path.startswith(EST):
        return Target(_EST.get(path[len(EST) :], NOTHING))
    if path.startswith(_CRL) and path.endswith(b".crl"):
        name = path[len(_CRL) : -4]
        if name == b"ca":
            return Target(REVOCATION_LIST)
        if name and len(name) <= 128 and _HEXADECIMAL.issuperset(name):
            return Target(REVOCATION_LIST, name)
        return Target(NOTHING)
    if path in (_OCSP, _OCSP + b"/"):
        return Target(OCSP)
    if path.startswith(_OCSP + b"/"):
        return _ocsp_by_get(path[len(_OCSP) + 1 :])
    return Target(NOTHING)


def _ocsp_by_get(text: bytes) -> Target:
    """RFC 6960 A.1: the request in base64, then percent-encoded."""
    try:
        return Target(OCSP, binascii.a2b_base64(_unescaped(text), strict_mode=True))
    except binascii.Error:
        return Target(OCSP, text)  # the responder says that it is malformed


def _unescaped(text: bytes) -> bytes:
    """RFC 3986 2.1. What is no escape is left as it is."""
    first, *rest = text.split(b"%")
    out = [first]
    for part in rest:
        try:
            out.append(binascii.unhexlify(part[:2]) + part[2:])
        except binascii.Error:
            out.append(b"%" + part)
    return b"".join(out)
