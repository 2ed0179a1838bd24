"""/.well-known/core: what is here, for who may use it (RFC 7252 section 7.2, RFC 6690)."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.coap.codec import codes, content_formats, numbers
from bridgehead.protocols.coap.codec.link_format import filtered, write_links
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.contract import Exchange
from bridgehead.protocols.coap.session.replies import content, failure, party_of
from bridgehead.protocols.coap.session.site import Resource, Site

WELL_KNOWN: Final = b".well-known"
_CORE: Final = b"core"
_NO_SUCH: Final = Message(codes.NOT_FOUND, (), b"Of the well-known resources only /.well-known/core is here.")


class WellKnown(Resource):
    def __init__(self, site: Site) -> None:
        self._site: Final = site
        self._others: dict[bytes, Resource] = {}

    def add(self, segment: bytes, resource: Resource) -> None:
        """`/.well-known/SEGMENT` is the resource's. It stands in the Site too, by a path of its own: the Site tells it
        the time, and of peers that are gone."""
        self._others[segment] = resource

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        path = request.all(numbers.URI_PATH)
        if len(path) == 2 and path[1] in self._others:
            self._others[path[1]].handle(exchange)
            return
        if len(path) != 2 or path[1] != _CORE:
            exchange.respond(_NO_SUCH)
            return
        if request.code != codes.GET:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "/.well-known/core takes GET only"))
            return
        party = party_of(exchange)
        if party is None:
            return
        queries = [query.decode("utf-8", "replace") for query in request.all(numbers.URI_QUERY)]
        links = filtered(self._site.links(party), queries)
        if exchange.multicast and not links:
            return  # RFC 6690 section 4.1: to a group nothing is said where there is nothing to say
        exchange.respond(content(request, content_formats.LINK_FORMAT, write_links(links).encode()))
