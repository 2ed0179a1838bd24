"""The OSCORE layer of the hub: verifies requests, protects what goes back (RFC 8613 section 8).

Requests without the OSCORE option pass unchanged. After a start nothing tells a request from a replay of one: its
sender is asked once, by an Echo option inside a protected 4.01, to show that it is there now (appendix B.1.2). The same
challenge shows that who sends from an address also receives there, before anything larger is sent to it (RFC 9175).
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.clock import Clock
from bridgehead.core.message import Origin
from bridgehead.protocols.coap.codec import codes, oscore
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, Option
from bridgehead.protocols.coap.session.contract import Exchange, Handler, Party, Peer, Watcher
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.protocols.coap.session.oscore_context import NEW, REPLAYED, OscoreContext, OscoreContexts
from bridgehead.wire.errors import PeerError

PROTOCOL: Final = "coap"
_UNCACHED: Final[Option] = (option.MAX_AGE, b"")  # RFC 8613 section 4.1.3.1: proxies need not keep it


class OscoreExchange(Exchange):
    """A request that was protected, and the protected way back. Its party is that of the context, once the request is
    known to be no replay."""

    def __init__(
        self,
        outer: Exchange,
        request: Message,
        context: OscoreContext,
        contexts: OscoreContexts,
        piv: bytes,
        additional: bytes,
    ) -> None:
        super().__init__(outer.peer, None, request, outer.confirmable, outer.multicast)
        self._outer: Final = outer
        self._context: Final = context
        self._contexts: Final = contexts
        self._piv: Final = piv
        self._additional: Final = additional
        # RFC 8613 section 4.1.3.5: FETCH is answered by Content, for proxies that know Observe. Otherwise Changed.
        self._code: Final = codes.CONTENT if outer.request.code == codes.FETCH else codes.CHANGED
        self._answered = False  # the nonce of the request is used up

    def respond(self, response: Message) -> None:
        if self._suppresses(response.code):
            self.silence()
            return
        # Section 4.1.3.5.2: the first notification may go without a Partial IV. But clients compare the last octets of
        # Partial IVs as Observe values (RFC 7641 section 3.4), and what has none could be taken for the newest.
        if self._answered or response.has(option.OBSERVE):
            self._answered = True
            self._respond_with_own(response)
            return
        self._answered = True
        if response.payload and response.code >= codes.BAD_REQUEST and not self.peer.proven:
            # The sentence could make it more than may go to this address, and whoever cut it below would cut the tag.
            response = Message(response.code, response.options)
        sealed = self._context.seal_by_request(self._piv, oscore.plaintext(response), self._additional)
        self._outer.respond(self._wrapped(response, b"", sealed))

    def challenge(self, response: Message) -> None:
        """As `respond`, never with the nonce of the request: an earlier run may have used it (appendix B.1.2)."""
        self._answered = True
        self._respond_with_own(response)

    def refuse(self, code: int, text: bytes) -> None:
        """Unprotected: nothing is to be spent on it."""
        self._answered = True
        self._outer.respond(Message(code, (_UNCACHED,), text))

    def _respond_with_own(self, response: Message) -> None:
        protected = self._protected(response)
        if protected is None:
            because = b"no OSCORE sequence number is left: rotate the context"
            protected = Message(codes.SERVICE_UNAVAILABLE, (_UNCACHED,), because)
        self._outer.respond(protected)

    def silence(self) -> None:
        self._answered = True
        self._outer.silence()

    def _suppresses(self, code: int) -> bool:
        """By the No-Response inside; one outside is nobody's wish (RFC 8613 section 4.1.3.6, RFC 7967 section 2.1)."""
        value = self.request.uint(option.NO_RESPONSE)
        return value >= 0 and (value >> ((code >> 5) - 1)) & 1 == 1

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        protected = self._protected(response)
        return protected is not None and self._outer.notify(protected, confirmable, watcher, number)

    def ended(self) -> None:
        self._outer.ended()

    def _protected(self, response: Message) -> Message | None:
        """With a Partial IV of our own (RFC 8613 section 8.3.1)."""
        sequence = self._contexts.next_sequence(self._context)
        if sequence < 0:
            return None
        piv = oscore.partial_iv(sequence)
        sealed = self._context.seal(piv, oscore.plaintext(response), self._additional)
        return self._wrapped(response, oscore.compress(oscore.Compressed(piv)), sealed)

    def _wrapped(self, response: Message, compressed: bytes, sealed: bytes) -> Message:
        return Message(self._code, oscore.outer_options(response, compressed), sealed)


class OscoreLayer(Handler):
    """Hands on what it has verified, and what is not protected, to `inner`."""

    def __init__(self, inner: Handler, contexts: OscoreContexts, echo: Echo, clock: Clock) -> None:
        """`echo` has a key of this run alone: who knows a value of it was there since the hub started."""
        self._inner: Final = inner
        self._contexts: Final = contexts
        self._echo: Final = echo
        self._clock: Final = clock
        self._parties: Final[dict[Peer, dict[OscoreContext, Party]]] = {}

    def forget(self, peer: Peer) -> None:
        self._parties.pop(peer, None)
        self._inner.forget(peer)

    def next_timeout(self) -> float:
        return self._inner.next_timeout()

    def handle_timeout(self, now: float) -> None:
        self._inner.handle_timeout(now)

    def handle(self, exchange: Exchange) -> None:
        outer = exchange.request
        value = outer.first(option.OSCORE)
        if value is None:
            self._inner.handle(exchange)
            return
        if exchange.multicast:
            return  # that would be Group OSCORE
        try:
            header = oscore.decompress(value)
        except PeerError as fault:
            self._refuse(exchange, b"", codes.BAD_OPTION, b"Failed to decode COSE", str(fault))
            return
        # Section 2: without a payload it is malformed; section 5: a request has both of these.
        if header.kid is None or not header.partial_iv or not outer.payload:
            because = "a request without kid, Partial IV or ciphertext"
            self._refuse(exchange, header.kid or b"", codes.BAD_OPTION, b"Failed to decode COSE", because)
            return
        self._verify(exchange, header.kid, header.kid_context, header.partial_iv)

    def _verify(self, exchange: Exchange, kid: bytes, kid_context: bytes | None, piv: bytes) -> None:
        """RFC 8613 section 8.2, from step 2 on."""
        found = self._contexts.find(kid, kid_context)
        if not found:
            because = "no device has this context"
            self._refuse(exchange, kid, codes.UNAUTHORIZED, b"Security context not found", because)
            return
        number = int.from_bytes(piv, "big")
        replayed = 0
        for context in found:  # more than one only without a kid context
            if context.window.judge(number, True) == REPLAYED:
                replayed += 1
                continue
            additional = oscore.additional_data(context.algorithm, kid, piv)
            plain = context.open(piv, exchange.request.payload, additional)
            if plain is not None:
                self._verified(exchange, context, number, piv, plain, additional)
                return
        if replayed == len(found):
            because = "a replay, or older than the replay window"
            self._refuse(exchange, kid, codes.UNAUTHORIZED, b"Replay detected", because)
        else:
            self._refuse(exchange, kid, codes.BAD_REQUEST, b"Decryption failed", "not made with the device's key")

    def _verified(
        self, exchange: Exchange, context: OscoreContext, number: int, piv: bytes, plain: bytes, additional: bytes
    ) -> None:
        fault: PeerError | None = None
        try:
            request = oscore.restored(plain, exchange.request)
        except PeerError as raised:
            fault = raised
            request = exchange.request
        inner = OscoreExchange(exchange, request, context, self._contexts, piv, additional)
        fresh = fault is None and self._is_fresh(exchange.peer, context, request)
        if context.window.judge(number, fresh) != NEW:
            self._challenge(inner, context)
            return
        context.window.take(number)
        if fresh or context.address == exchange.peer.address:
            exchange.peer.proven = True  # also when the peer was forgotten meanwhile: it had shown that it is there
            context.address = exchange.peer.address
        if fault is not None:
            code = codes.BAD_OPTION if fault.code == codes.BAD_OPTION else codes.BAD_REQUEST
            inner.respond(Message(code, (), fault.text.encode()))
        elif not exchange.peer.proven and _answer_may_be_large(request):
            self._challenge(inner, context)
        elif codes.is_request(request.code):
            inner.party = self._party(exchange.peer, context)
            if inner.party is None:
                inner.respond(Message(codes.SERVICE_UNAVAILABLE, (), b"nobody new is let in just now"))
            else:
                self._inner.handle(inner)
        else:
            inner.respond(Message(codes.BAD_REQUEST, (), b"the code inside is not a request's"))

    def _is_fresh(self, peer: Peer, context: OscoreContext, request: Message) -> bool:
        value = request.first(option.ECHO)
        return value is not None and self._echo.proves(_place(peer, context), value, self._clock.now)

    def _challenge(self, exchange: OscoreExchange, context: OscoreContext) -> None:
        """Ask once more, with the Echo option and nothing else (RFC 8613 appendix B.1.2)."""
        if not context.may_challenge(self._clock.now):
            exchange.refuse(codes.UNAUTHORIZED, b"Replay detected")
            return
        echo = self._echo.value(_place(exchange.peer, context), self._clock.now)
        exchange.challenge(Message(codes.UNAUTHORIZED, ((option.ECHO, echo),)))

    def _party(self, peer: Peer, context: OscoreContext) -> Party | None:
        known = self._parties.get(peer)
        if known is None:
            known = {}
            self._parties[peer] = known
        party = known.get(context)
        if party is None or party.principal is not context.principal:
            if not self._contexts.opened(context, peer):
                return None
            origin = Origin(context.principal.name, PROTOCOL, True, "", peer.address)
            party = Party(context.principal, origin, context.marks)
            known[context] = party
        return party

    def _refuse(self, exchange: Exchange, kid: bytes, code: int, text: bytes, because: str) -> None:
        """Unprotected, in the words of RFC 8613 section 8.2. `because` is for the log."""
        self._contexts.refused(exchange.peer, kid, because)
        exchange.respond(Message(code, (_UNCACHED,), text))


def _place(peer: Peer, context: OscoreContext) -> str:
    """What an Echo value is bound to: this context at this address."""
    return f"OSCORE {context.principal.name} {context.marks[0]} {peer.address}"


def _answer_may_be_large(request: Message) -> bool:
    """More than three times the request, or many messages: not for an address that is not proven."""
    return request.code != codes.PUT and request.code != codes.DELETE
