"""Registration parameters: what a query may say of an endpoint (RFC 9176 sections 5 and 5.3.1)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import numbers
from bridgehead.protocols.coap.codec.codes import BAD_REQUEST
from bridgehead.protocols.coap.codec.link_format import Attribute
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.directory.references import check_base
from bridgehead.wire.errors import Violation

DEFAULT_LIFETIME: Final = 90_000  # 25 hours
LONGEST_LIFETIME: Final = 4_294_967_295
_LONGEST_NAME: Final = 63  # octets
_MOST_ATTRIBUTES: Final = 32
_ONCE: Final = ("ep", "d", "lt", "base")
# They mean something else in a look-up, or are given by the directory.
_NOT_FOR_ENDPOINTS: Final = frozenset(["page", "count", "href", "anchor", "rt"])
_TOKEN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~")


class Parameters:
    """None: not given. `attributes` are the others, for look-ups, in their order."""

    def __init__(
        self,
        ep: str | None,
        d: str | None,
        lifetime: int | None,
        base: str | None,
        attributes: tuple[Attribute, ...],
    ) -> None:
        self.ep: Final = ep
        self.d: Final = d
        self.lifetime: Final = lifetime
        self.base: Final = base
        self.attributes: Final = attributes


def read_parameters(request: Message) -> Parameters:
    """From Uri-Query. Violation, with the Response Code, for what is no registration parameter."""
    once: dict[str, str] = {}
    attributes: list[Attribute] = []
    for octets in request.all(numbers.URI_QUERY):
        name, mark, value = octets.decode("utf-8", "replace").partition("=")
        if not name or not _TOKEN.issuperset(name):
            raise bad("a registration parameter is to have a name of letters and digits: name=value")
        if name in _NOT_FOR_ENDPOINTS:
            raise bad(f"{name} is no registration parameter: leave it out")
        if name not in _ONCE:
            if _has_controls(value):
                raise bad(f"{name} holds a control character")
            attributes.append((name, value if mark else None))
        elif name in once:
            raise bad(f"{name} stands there twice")
        else:
            once[name] = value
    if len(attributes) > _MOST_ATTRIBUTES:
        raise bad(f"an endpoint has {_MOST_ATTRIBUTES} attributes at most")
    for name in ("ep", "d"):
        if name in once:
            check_name(name, once[name])
    base = once.get("base")
    if base is not None:
        check_base(base)
    lifetime = once.get("lt")
    return Parameters(
        once.get("ep"), once.get("d"), None if lifetime is None else _lifetime(lifetime), base, tuple(attributes)
    )


def check_name(what: str, name: str) -> None:
    """An endpoint's or a sector's name. Raises Violation."""
    if not name:
        raise bad(f"{what} is empty: give it a name, or leave it out")
    if len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        raise bad(f"{what} is longer than {_LONGEST_NAME} octets")
    if _has_controls(name):
        raise bad(f"{what} holds a control character")


def _has_controls(text: str) -> bool:
    for character in text:
        if character < " " or "\x7f" <= character <= "\x9f":
            return True
    return False


def _lifetime(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 10:
        lifetime = int(text)
        if 1 <= lifetime <= LONGEST_LIFETIME:
            return lifetime
    raise bad(f"lt is to be a lifetime in seconds, from 1 to {LONGEST_LIFETIME}")


def base_of(peer: Peer) -> str:
    """The base URI of whoever gives none: where the request came from (section 5). Violation when nobody can be
    reached there."""
    if peer.reliable:
        raise bad("base is missing: nobody can connect to the port that this connection comes from")
    scheme, port = ("coaps", ":5684") if peer.secured else ("coap", ":5683")
    base = f"{scheme}://{peer.address.removesuffix(port)}"
    check_base(base)
    return base


def merged(before: tuple[Attribute, ...], after: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    """An update: those that it names take the place of all of that name (section 5.3.1)."""
    named = {name for name, _ in after}
    return tuple([attribute for attribute in before if attribute[0] not in named]) + after


def bad(because: str) -> Violation:
    return Violation(because, BAD_REQUEST)
