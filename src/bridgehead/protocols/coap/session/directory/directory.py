"""The resource directory: `/rd`, `/rd-lookup/...` and `/.well-known/rd` under one handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import QUOTA_EXCEEDED, Refusal
from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.content_formats import LINK_FORMAT
from bridgehead.protocols.coap.codec.link_format import Attribute, Link
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer
from bridgehead.protocols.coap.session.directory.lookup import ENDPOINTS, RESOURCES, look_up
from bridgehead.protocols.coap.session.directory.ports import Fetch
from bridgehead.protocols.coap.session.directory.registering import Registering
from bridgehead.protocols.coap.session.directory.registry import Registry
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from bridgehead.protocols.coap.session.records import Records
from bridgehead.protocols.coap.session.replies import answer_failure, check_plain, failure, party_of
from bridgehead.protocols.coap.session.site import Resource
from bridgehead.protocols.coap.session.watching import Watches
from bridgehead.wire.errors import PeerError

_REGISTRATION: Final = b"rd"
_LOOKUP: Final = b"rd-lookup"
_WELL_KNOWN: Final = [b".well-known", b"rd"]


class ResourceDirectory(Resource):
    """`fetch` brings the links of simple registrations; None: they are not offered. `attend` sees to it that a party
    has a receiver as long as its right lasts (Observing.attend)."""

    def __init__(
        self,
        broker: Broker,
        settings: DirectorySettings,
        fetch: Fetch | None = None,
        attend: Callable[[Party, Peer], None] | None = None,
    ) -> None:
        self._attend: Final = attend
        self._broker: Final = broker
        self._settings: Final = settings
        records = Records(broker)
        self._registry: Final = Registry(broker, records, settings)
        self._registering: Final = Registering(broker, self._registry, records, settings, fetch)
        self._watches: Final = Watches(settings.watchers, settings.watchers_per_peer)
        self._look_at = NEVER
        self._seen_version = -1
        self._next_expiry = NEVER

    def links(self, party: Party) -> list[Link]:
        """What `/.well-known/core` shows (section 4.3)."""
        if not self._settings.enabled:
            return []
        ct: Attribute = ("ct", str(LINK_FORMAT))
        return [
            Link("/rd", (("rt", "core.rd"), ct)),
            Link("/rd-lookup/ep", (("rt", "core.rd-lookup-ep"), ct, ("obs", None))),
            Link("/rd-lookup/res", (("rt", "core.rd-lookup-res"), ct, ("obs", None))),
        ]

    def handle(self, exchange: Exchange) -> None:
        if not self._settings.enabled:
            exchange.respond(failure(codes.NOT_FOUND, "the resource directory is closed here"))
            return
        party = party_of(exchange)
        if party is None:
            return
        path = exchange.request.all(numbers.URI_PATH)
        try:
            check_plain(exchange)
            if path == _WELL_KNOWN:
                self._simple(exchange, party)
            elif path[:1] == [_REGISTRATION] and len(path) <= 2:
                self._registration(exchange, party, path)
            elif len(path) == 2 and path[0] == _LOOKUP and (path[1] == RESOURCES or path[1] == ENDPOINTS):
                self._look_up(exchange, party, path[1])
            else:
                exchange.respond(failure(codes.NOT_FOUND, "the directory has /rd, /rd-lookup/ep and /rd-lookup/res"))
        except (PeerError, Refusal) as error:
            answer_failure(exchange, error)

    def _registration(self, exchange: Exchange, party: Party, path: list[bytes]) -> None:
        if len(path) == 2:
            self._registering.operate(exchange, party, path[1].decode("utf-8", "replace"))
        elif exchange.request.code == codes.POST:
            self._registering.register(exchange, party)
        else:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "/rd takes POST: look-ups are at /rd-lookup"))
        self._look_soon()

    def _simple(self, exchange: Exchange, party: Party) -> None:
        if exchange.request.code == codes.POST:
            self._registering.register_simply(exchange, party)
            self._look_soon()
        else:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "/.well-known/rd takes POST"))

    def _look_up(self, exchange: Exchange, party: Party, kind: bytes) -> None:
        if exchange.request.code != codes.GET:
            exchange.respond(failure(codes.METHOD_NOT_ALLOWED, "look-ups take GET"))
            return
        response = look_up(self._registry, party, kind, exchange.request)
        if self._attend is not None and exchange.request.uint(numbers.OBSERVE) == 0 and not exchange.multicast:
            try:
                self._attend(party, exchange.peer)
            except Refusal as refusal:
                if refusal.meaning != QUOTA_EXCEEDED:
                    raise
                exchange.respond(response)  # RFC 7641 section 4.1: there is no more room
                return
        self._watches.answer(exchange, party, response, self._broker.clock.now)
        self._look_soon()

    def forget(self, peer: Peer) -> None:
        self._registering.forget(peer)
        self._watches.forget(peer)

    # Time: whether something has changed, while somebody observes. ------------------------------------

    def _look_soon(self) -> None:
        if len(self._watches) and self._look_at == NEVER:
            self._look_at = self._broker.clock.now + self._settings.look_interval

    def next_timeout(self) -> float:
        return self._look_at

    def handle_timeout(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = NEVER
        self._look_soon()
        self._registry.refresh()
        if (
            self._registry.version == self._seen_version
            and now < self._next_expiry
            and now < self._watches.next_confirmation()
        ):
            return
        self._seen_version = self._registry.version
        self._next_expiry = self._registry.next_expiry()
        for watch in self._watches.all():
            if self._attend is not None and watch.party.receiver is None:
                because = "what you proved your identity by has ended: prove it anew"
                self._watches.end(watch, failure(codes.UNAUTHORIZED, because))
                continue
            request = watch.exchange.request
            kind = request.all(numbers.URI_PATH)[1]
            response = look_up(self._registry, watch.party, kind, request)
            if not self._watches.tell(watch, response, now):
                self._seen_version = -1  # look again
