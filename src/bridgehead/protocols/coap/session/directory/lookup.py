"""`/rd-lookup/res` and `/rd-lookup/ep` (RFC 9176 section 6)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import numbers
from bridgehead.protocols.coap.codec.content_formats import LINK_FORMAT
from bridgehead.protocols.coap.codec.link_format import Link, matches, write_links
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Party
from bridgehead.protocols.coap.session.directory.parameters import bad
from bridgehead.protocols.coap.session.directory.registration import Registration
from bridgehead.protocols.coap.session.directory.registry import Registry
from bridgehead.protocols.coap.session.replies import content

RESOURCES: Final = b"res"
ENDPOINTS: Final = b"ep"
_LONGEST_NUMBER: Final = 9  # digits


class Search:
    """The query of a look-up (section 6.2). Raises Violation."""

    def __init__(self, request: Message) -> None:
        self.criteria: Final[list[str]] = []
        page = count = -1
        for octets in request.all(numbers.URI_QUERY):
            query = octets.decode("utf-8", "replace")
            name, _, value = query.partition("=")
            if name == "page":
                page = _number(name, value)
            elif name == "count":
                count = _number(name, value)
            else:
                self.criteria.append(query)
        if page >= 0 and count < 0:
            raise bad("page needs count beside it")
        self._begin: Final = max(page, 0) * count if count >= 0 else 0
        self._count: Final = count

    def cut(self, links: list[Link]) -> list[Link]:
        """The page that is asked for."""
        return links if self._count < 0 else links[self._begin : self._begin + self._count]


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > _LONGEST_NUMBER:
        raise bad(f"{name} is to be a number from 0 on")
    return int(value)


def look_up(registry: Registry, party: Party, kind: bytes, request: Message) -> Message:
    """The response: what the party may read and all criteria match. Raises PeerError."""
    search = Search(request)
    found: list[Link] = []
    for registration in registry.readable(party):
        if kind == RESOURCES:
            _add_resources(found, registration, search.criteria)
        else:
            _add_endpoint(found, registration, search.criteria)
    return content(request, LINK_FORMAT, write_links(search.cut(found)).encode())


def _add_resources(found: list[Link], registration: Registration, criteria: list[str]) -> None:
    """Links that match each criterion themselves or by their endpoint."""
    endpoint = registration.link()
    left = [criterion for criterion in criteria if not matches(endpoint, criterion)]
    for link in registration.resolved():
        if _match_all(link, left):
            found.append(link)


def _add_endpoint(found: list[Link], registration: Registration, criteria: list[str]) -> None:
    """The endpoint, if it matches each criterion itself or by one of its links."""
    endpoint = registration.link()
    for criterion in criteria:
        if not matches(endpoint, criterion) and not _match_any(registration.resolved(), criterion):
            return
    found.append(endpoint)


def _match_all(link: Link, criteria: list[str]) -> bool:
    for criterion in criteria:
        if not matches(link, criterion):
            return False
    return True


def _match_any(links: list[Link], criterion: str) -> bool:
    for link in links:
        if matches(link, criterion):
            return True
    return False
