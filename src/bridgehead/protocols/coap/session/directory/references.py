"""URI references of links, in the limited form that a directory takes (RFC 9176 appendix C), and their resolution."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec.codes import BAD_REQUEST
from bridgehead.wire.errors import Violation

_LONGEST: Final = 1024  # characters of a base
_SCHEME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.")
_NO_URI: Final = frozenset(' "<>\\^`{|}')


def has_scheme(reference: str) -> bool:
    """Whether it is a URI, and no relative reference (RFC 3986 section 3.1)."""
    scheme, colon, _ = reference.partition(":")
    return bool(colon) and scheme[:1].isalpha() and scheme.isascii() and _SCHEME.issuperset(scheme)


def check_reference(reference: str, what: str) -> None:
    """A URI, or a path that begins with one slash. Raises Violation."""
    if not has_scheme(reference) and (not reference.startswith("/") or reference.startswith("//")):
        raise _bad(f"a link's {what} is to be a URI or a path that begins with one slash")
    for character in reference:
        if character <= " " or character in _NO_URI or "\x7f" <= character <= "\x9f":
            raise _bad(f"a link's {what} holds a character that no URI has")


def resolve(base: str, reference: str) -> str:
    """What the reference means below the base: no other forms of it are taken (appendix C)."""
    if has_scheme(reference):
        return reference
    scheme, _, rest = base.partition("://")
    return f"{scheme}://{_authority(rest)}{reference}"


def check_base(base: str) -> None:
    """scheme://authority, and perhaps a path. Raises Violation, also for an address that holds on one link only: the
    directory does not know who else is on that link, and may not show it to others (section 6.1)."""
    _, separator, rest = base.partition("://")
    authority = _authority(rest)
    if not separator or not has_scheme(base) or not authority or len(base) > _LONGEST:
        raise _bad("base is to be a URI as coap://host:port")
    if "?" in base or "#" in base:
        raise _bad("base is to have neither query nor fragment")
    check_reference(base, "base")
    if "%" in authority and authority.startswith("["):
        raise _bad("base is to have no zone identifier")
    if _is_link_local(authority):
        raise _bad("base holds on one link only: give an address that others can reach")


def _authority(rest: str) -> str:
    for i, character in enumerate(rest):
        if character in "/?#":
            return rest[:i]
    return rest


def _is_link_local(authority: str) -> bool:
    """fe80::/10 and 169.254.0.0/16, with a port or not."""
    host = authority.rpartition("@")[2].lower()
    if host.startswith("169.254."):
        return True
    return host[:4] in ("[fe8", "[fe9", "[fea", "[feb") and host[4:5] not in (":", "]")


def _bad(because: str) -> Violation:
    return Violation(because, BAD_REQUEST)
