"""The hub's resources under one roof: what is asked for by its path, and what nobody here understands is refused."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.errors import BadOption
from bridgehead.protocols.coap.codec.link_format import Link
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.options import check
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Party, Peer, Watcher
from bridgehead.protocols.coap.session.replies import failure

# All that the chain understands, from the message layer to the resources. OSCORE is not among them: the layer that
# understands it takes it out.
KNOWN: Final = frozenset(
    [
        numbers.IF_MATCH,
        numbers.URI_HOST,
        numbers.ETAG,
        numbers.IF_NONE_MATCH,
        numbers.OBSERVE,
        numbers.URI_PORT,
        numbers.URI_PATH,
        numbers.CONTENT_FORMAT,
        numbers.MAX_AGE,
        numbers.URI_QUERY,
        numbers.HOP_LIMIT,
        numbers.ACCEPT,
        numbers.Q_BLOCK1,
        numbers.BLOCK1,
        numbers.BLOCK2,
        numbers.Q_BLOCK2,
        numbers.SIZE1,
        numbers.SIZE2,
        numbers.PROXY_URI,
        numbers.PROXY_SCHEME,
        numbers.ECHO,
        numbers.NO_RESPONSE,
        numbers.REQUEST_TAG,
    ]
)
_NO_PROXY: Final = Message(codes.PROXYING_NOT_SUPPORTED, (), b"The hub does not forward requests.")
_NO_SUCH: Final = Message(codes.NOT_FOUND, (), b"No such resource: GET /.well-known/core lists what is here.")


@mypyc_attr(allow_interpreted_subclasses=True)
class Resource(Handler):
    """What stands in a Site: everything whose path begins with one segment."""

    def links(self, party: Party) -> list[Link]:
        """What /.well-known/core says of it to this party. No target but such as it may use."""
        return []


class Checked(Exchange):
    """A request without the options that are to be ignored; everything else is the outer exchange's."""

    def __init__(self, outer: Exchange, request: Message) -> None:
        super().__init__(outer.peer, outer.party, request, outer.confirmable, outer.multicast)
        self._outer: Final = outer

    def respond(self, response: Message) -> None:
        self._outer.respond(response)

    def silence(self) -> None:
        self._outer.silence()

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        return self._outer.notify(response, confirmable, watcher, number)

    def ended(self) -> None:
        self._outer.ended()


class Site(Handler):
    """The end of the chain. `proxy` takes the requests that name another server by Proxy-Uri or Proxy-Scheme; None:
    there is none (5.05, RFC 7252 section 5.7.2)."""

    def __init__(self) -> None:
        self.proxy: Handler | None = None
        self._resources: dict[bytes, Resource] = {}
        self._listed: list[Resource] = []  # each once, in the order of their coming

    def add(self, segment: bytes, resource: Resource) -> None:
        """Everything whose path begins with `segment` is the resource's. One resource may have several."""
        self._resources[segment] = resource
        if resource not in self._listed:
            self._listed.append(resource)

    def links(self, party: Party) -> list[Link]:
        """Of all resources, as far as the party may use them."""
        found: list[Link] = []
        for resource in self._listed:
            found.extend(resource.links(party))
        return found

    def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        try:
            checked = check(request, KNOWN)
        except BadOption as error:
            # RFC 7252 section 5.4.1: 4.02 for Confirmable requests, the others are rejected: here by silence.
            if exchange.confirmable:
                exchange.respond(failure(error.code, error.text))
            else:
                exchange.silence()
            return
        if checked is not request:
            exchange = Checked(exchange, checked)
        elsewhere = False
        resource: Resource | None = None
        is_first = True
        for number, value in checked.options:
            if number == numbers.URI_PATH:
                if is_first:
                    is_first = False
                    resource = self._resources.get(value)
            elif number == numbers.PROXY_URI or number == numbers.PROXY_SCHEME:
                elsewhere = True
        if elsewhere:
            if self.proxy is None:
                exchange.respond(_NO_PROXY)
            else:
                self.proxy.handle(exchange)
        elif resource is None:
            exchange.respond(_NO_SUCH)
        else:
            resource.handle(exchange)

    def forget(self, peer: Peer) -> None:
        for resource in self._listed:
            resource.forget(peer)
        if self.proxy is not None:
            self.proxy.forget(peer)

    def next_timeout(self) -> float:
        when = NEVER
        for resource in self._listed:
            when = min(when, resource.next_timeout())
        if self.proxy is not None:
            when = min(when, self.proxy.next_timeout())
        return when

    def handle_timeout(self, now: float) -> None:
        for resource in self._listed:
            resource.handle_timeout(now)
        if self.proxy is not None:
            self.proxy.handle_timeout(now)
