"""`/rd` and `/.well-known/rd`: registration, update and removal (RFC 9176 section 5)."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import Refusal
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.content_formats import LINK_FORMAT
from bridgehead.protocols.coap.codec.link_format import parse_links
from bridgehead.protocols.coap.codec.message import Message, Option
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer
from bridgehead.protocols.coap.session.directory.parameters import (
    DEFAULT_LIFETIME,
    Parameters,
    bad,
    base_of,
    check_name,
    merged,
    read_parameters,
)
from bridgehead.protocols.coap.session.directory.ports import Fetch, Fetched
from bridgehead.protocols.coap.session.directory.registration import Registration, check_links, topic_of
from bridgehead.protocols.coap.session.directory.registry import Registry
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from bridgehead.protocols.coap.session.records import Records
from bridgehead.protocols.coap.session.replies import answer_failure, failure
from bridgehead.wire.errors import PeerError

_WELL_KNOWN: Final = (b".well-known", b"core")
_PROVE: Final = b"say it again with Echo: the hub does not know that you are there"
_MAX_AGE: Final = 60  # seconds (RFC 7252 section 5.10.5)


class Registering:
    """Requests that change registrations. `fetch` is None where simple registration is not offered."""

    def __init__(
        self, broker: Broker, registry: Registry, records: Records, settings: DirectorySettings, fetch: Fetch | None
    ) -> None:
        self._broker: Final = broker
        self._registry: Final = registry
        self._records: Final = records
        self._settings: Final = settings
        self._fetch: Final = fetch
        self._known: dict[Peer, _Known] = {}
        self._asked: dict[Peer, None] = {}

    def register(self, exchange: Exchange, party: Party) -> None:
        """POST /rd (section 5). Raises PeerError and Refusal."""
        request = exchange.request
        if request.uint(numbers.CONTENT_FORMAT, LINK_FORMAT) != LINK_FORMAT:
            because = f"send the links with Content-Format {LINK_FORMAT}"
            raise PeerError(because, codes.UNSUPPORTED_CONTENT_FORMAT)
        registration = self._made(exchange.peer, party, read_parameters(request), request.payload)
        ticket = self._registry.put(party, registration, _qos(exchange))
        location: tuple[Option, ...] = (
            (numbers.LOCATION_PATH, b"rd"),
            (numbers.LOCATION_PATH, registration.identifier.encode()),
        )
        self._records.answer(ticket, exchange, Message(codes.CREATED, location))

    def _name(self, party: Party, parameters: Parameters) -> str:
        """The endpoint's, or that of who asks where it gives none (section 5, ep)."""
        name = parameters.ep if parameters.ep is not None else party.principal.name
        check_name("ep", name)
        return name

    def _made(self, peer: Peer, party: Party, parameters: Parameters, payload: bytes) -> Registration:
        self._check_size(payload)
        links = parse_links(payload)
        check_links(links, self._settings.links)
        base = parameters.base
        return Registration(
            self._name(party, parameters),
            parameters.d or "",
            base_of(peer) if base is None else base,
            base is None,
            parameters.lifetime or DEFAULT_LIFETIME,
            parameters.attributes,
            links,
        )

    def _check_size(self, payload: bytes) -> None:
        if len(payload) > self._settings.octets:
            most = self._settings.octets
            raise PeerError(f"the links of a registration have {most} octets at most", codes.REQUEST_ENTITY_TOO_LARGE)

    # One registration. ------------------------------------------------------------------------------

    def operate(self, exchange: Exchange, party: Party, identifier: str) -> None:
        """On `/rd/...`. Raises PeerError and Refusal."""
        registration = self._registry.find(identifier)
        if registration is None or not self._broker.door.may_know(party.principal, registration.topic, True):
            because = "there is no such registration: register again with POST /rd"
            exchange.respond(failure(codes.NOT_FOUND, because))
            return
        code = exchange.request.code
        if code == codes.POST:
            self._update(exchange, party, registration)
        elif code == codes.DELETE:
            ticket = self._registry.delete(party, registration, _qos(exchange))
            self._records.answer(ticket, exchange, Message(codes.DELETED))
        else:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "a registration takes POST and DELETE"))

    def _update(self, exchange: Exchange, party: Party, registration: Registration) -> None:
        """Section 5.3.1: what the request does not name stays, and the lifetime begins anew."""
        if exchange.request.payload:
            raise bad("an update has no payload: register again to change the links")
        parameters = read_parameters(exchange.request)
        if parameters.ep is not None or parameters.d is not None:
            raise bad("ep and d cannot be updated: remove the registration, and register anew")
        base, is_implicit = registration.base, registration.is_implicit
        if parameters.base is not None:
            base, is_implicit = parameters.base, False
        elif is_implicit:
            base = base_of(exchange.peer)
        updated = Registration(
            registration.ep,
            registration.d,
            base,
            is_implicit,
            parameters.lifetime or registration.lifetime,
            merged(registration.attributes, parameters.attributes),
            registration.links,
        )
        ticket = self._registry.put(party, updated, _qos(exchange))
        self._records.answer(ticket, exchange, Message(codes.CHANGED))

    # Simple registration (section 5.1). ---------------------------------------------------------------

    def register_simply(self, exchange: Exchange, party: Party) -> None:
        """POST /.well-known/rd: the hub fetches the links from whoever asks. Raises PeerError and Refusal."""
        peer = exchange.peer
        if self._fetch is None:
            because = "simple registration is not offered here: send the links with POST /rd"
            raise PeerError(because, codes.NOT_IMPLEMENTED)
        if exchange.request.payload:
            raise bad("a simple registration has no payload: send links with POST /rd")
        parameters = read_parameters(exchange.request)
        if parameters.base is not None:
            raise bad("a simple registration has no base: use POST /rd")
        base_of(peer)
        if party is not peer.party:
            raise PeerError("the hub asks back without OSCORE: send the links with POST /rd", codes.NOT_IMPLEMENTED)
        if not peer.proven:
            # Else anybody could have the hub ask whomever it names as the sender, and register what is not its own.
            exchange.respond(Message(codes.UNAUTHORIZED, self._fetch.challenge(peer), _PROVE))
            return
        topic = topic_of(parameters.d or "", self._name(party, parameters))
        self._broker.door.permit(party.principal, topic, party.origin, True)
        known = self._known.get(peer)
        if known is not None and known.fresh_until > self._broker.clock.now:
            self._register_fetched(exchange, party, parameters, known.payload)
            return
        self._known.pop(peer, None)
        if peer in self._asked or len(self._asked) >= self._settings.fetches:
            raise PeerError("the hub is asking already: come again later", codes.SERVICE_UNAVAILABLE)
        self._asked[peer] = None
        self._fetch.fetch(peer, _WELL_KNOWN, LINK_FORMAT, _Simple(self, exchange, party, parameters))

    def fetched(
        self, exchange: Exchange, party: Party, parameters: Parameters, response: Message | None, because: str
    ) -> None:
        """The peer has answered with what is at its /.well-known/core, or not."""
        self._asked.pop(exchange.peer, None)
        if response is None:
            exchange.respond(failure(codes.GATEWAY_TIMEOUT, f"your /.well-known/core could not be read: {because}"))
            return
        if response.code != codes.CONTENT or response.uint(numbers.CONTENT_FORMAT, LINK_FORMAT) != LINK_FORMAT:
            because = f"your /.well-known/core is to answer with links, and answered {codes.dotted(response.code)}"
            exchange.respond(failure(codes.BAD_GATEWAY, because))
            return
        if self._register_fetched(exchange, party, parameters, response.payload) and not exchange.peer.gone:
            fresh_until = self._broker.clock.now + response.uint(numbers.MAX_AGE, _MAX_AGE)
            if len(self._known) >= self._settings.fetches:
                del self._known[next(iter(self._known))]
            self._known[exchange.peer] = _Known(response.payload, fresh_until)

    def _register_fetched(self, exchange: Exchange, party: Party, parameters: Parameters, payload: bytes) -> bool:
        try:
            registration = self._made(exchange.peer, party, parameters, payload)
            ticket = self._registry.put(party, registration, _qos(exchange))
        except (PeerError, Refusal) as error:
            answer_failure(exchange, error)
            return False
        self._records.answer(ticket, exchange, Message(codes.CHANGED))
        return True

    def forget(self, peer: Peer) -> None:
        self._known.pop(peer, None)
        self._asked.pop(peer, None)


class _Known:
    """What a peer answered, and how long it holds."""

    def __init__(self, payload: bytes, fresh_until: float) -> None:
        self.payload: Final = payload
        self.fresh_until: Final = fresh_until


class _Simple(Fetched):
    def __init__(self, registering: Registering, exchange: Exchange, party: Party, parameters: Parameters) -> None:
        self._registering: Final = registering
        self._exchange: Final = exchange
        self._party: Final = party
        self._parameters: Final = parameters

    def fetched(self, response: Message | None, because: str) -> None:
        self._registering.fetched(self._exchange, self._party, self._parameters, response, because)


def _qos(exchange: Exchange) -> int:
    """What was asked Confirmable is kept before it is answered."""
    return 1 if exchange.confirmable else 0
