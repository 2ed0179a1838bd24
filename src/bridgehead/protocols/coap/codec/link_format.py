"""CoRE Link Format: written, parsed and filtered (RFC 6690)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec import codes
from bridgehead.wire.errors import Malformed

Attribute = tuple[str, str | None]  # None: a name alone, like "obs"
NO_ATTRIBUTES: Final[tuple[Attribute, ...]] = ()

MOST_LINKS: Final = 10_000
_MOST_ATTRIBUTES: Final = 100
# RFC 6690 section 2: these hold values that are separated by spaces, each of which a filter may name.
_LISTS: Final = frozenset(["rt", "if", "rel", "rev", "ct", "hreflang"])
_PARMNAME: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~*")
_PTOKEN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'()*+-./:<=>?@[]^_`{|}~")
# RFC 6690 section 2: the values of these are cardinal numbers, and stand without quotes.
_CARDINALS: Final = frozenset(["sz", "ct", "lt"])


@mypyc_attr(acyclic=True)
class Link:
    """A target, a URI reference, and its attributes in their order."""

    def __init__(self, target: str, attributes: tuple[Attribute, ...] = NO_ATTRIBUTES) -> None:
        self.target: Final = target
        self.attributes: Final = attributes

    def first(self, name: str) -> str | None:
        """The first value of an attribute; "" for a name alone, None where it is not there."""
        for each, value in self.attributes:
            if each == name:
                return value or ""
        return None


def write_links(links: list[Link]) -> str:
    """The document (application/link-format)."""
    return ",".join([write_link(link) for link in links])


def write_link(link: Link) -> str:
    parts = [f"<{link.target}>"]
    for name, value in link.attributes:
        if value is None:
            parts.append(name)
        elif name in _CARDINALS and value.isascii() and value.isdecimal():
            parts.append(f"{name}={value}")
        else:
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{name}="{escaped}"')
    return ";".join(parts)


def parse_links(document: bytes) -> list[Link]:
    """The links of a document. Errors: Malformed."""
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _error("a link-format document is not UTF-8", error.start) from None
    return _Parser(text).links()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text: Final = text
        self._at = 0

    def links(self) -> list[Link]:
        found: list[Link] = []
        self._space()
        while self._at < len(self._text):
            found.append(self._link())
            if len(found) > MOST_LINKS:
                raise _error(f"a link-format document has more than {MOST_LINKS} links", self._at)
            self._space()
            if self._at == len(self._text):
                break
            self._expect(",")
            self._space()
            if self._at == len(self._text):
                raise _error("no link follows a comma", self._at)
        return found

    def _link(self) -> Link:
        self._expect("<")
        end = self._text.find(">", self._at)
        if end < 0:
            raise _error("a link's target has no end", self._at)
        target = self._text[self._at : end]
        self._at = end + 1
        attributes: list[Attribute] = []
        self._space()
        while self._peek() == ";":
            self._at += 1
            self._space()
            attributes.append(self._attribute())
            if len(attributes) > _MOST_ATTRIBUTES:
                raise _error(f"a link has more than {_MOST_ATTRIBUTES} attributes", self._at)
            self._space()
        return Link(target, tuple(attributes))

    def _attribute(self) -> Attribute:
        name = self._run(_PARMNAME)
        if not name:
            raise _error("a link's attribute has no name", self._at)
        if self._peek() != "=":
            return name, None
        self._at += 1
        if self._peek() == '"':
            return name, self._quoted()
        value = self._run(_PTOKEN)
        if not value:
            raise _error(f"the attribute {name} has no value", self._at)
        return name, value

    def _quoted(self) -> str:
        begin = self._at
        self._at += 1
        parts: list[str] = []
        while True:
            character = self._peek()
            self._at += 1
            if character == "":
                raise _error("a quoted value has no end", begin)
            if character == '"':
                return "".join(parts)
            if character == "\\":
                character = self._peek()
                self._at += 1
                if character == "":
                    raise _error("a quoted value has no end", begin)
            parts.append(character)

    def _run(self, allowed: frozenset[str]) -> str:
        begin = self._at
        while self._at < len(self._text) and self._text[self._at] in allowed:
            self._at += 1
        return self._text[begin : self._at]

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _expect(self, character: str) -> None:
        if self._peek() != character:
            raise _error(f"a {character!r} is missing", self._at)
        self._at += 1

    def _space(self) -> None:
        # RFC 6690 has no white space between links; documents that people write have it.
        while self._peek() in (" ", "\t", "\r", "\n") and self._at < len(self._text):
            self._at += 1


def _error(text: str, at: int) -> Malformed:
    return Malformed(text, codes.BAD_REQUEST, at, "RFC6690-2")


# Filters. -----------------------------------------------------------------------------------------


def matches(link: Link, query: str) -> bool:
    """Whether a link passes a query argument "name=pattern" (RFC 6690 section 4.1).

    A pattern that ends in * stands for all values that begin so. `href` is the target. A name alone asks that the
    attribute be there.
    """
    name, mark, pattern = query.partition("=")
    if name == "href":
        return _fits(link.target, pattern)
    for each, value in link.attributes:
        if each != name:
            continue
        if not mark:
            return True
        text = value or ""
        if _fits(text, pattern):
            return True
        if name in _LISTS and " " in text:
            for part in text.split():
                if _fits(part, pattern):
                    return True
    return False


def filtered(links: list[Link], queries: list[str]) -> list[Link]:
    """Those that pass all of them."""
    if not queries:
        return links
    found: list[Link] = []
    for link in links:
        passed = True
        for query in queries:
            if not matches(link, query):
                passed = False
                break
        if passed:
            found.append(link)
    return found


def _fits(value: str, pattern: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
