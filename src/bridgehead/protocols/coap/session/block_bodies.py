"""Answers that are fetched block by block, as they were when they were made (RFC 7959 section 2.4)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.clock import Clock
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.block_parts import fetching_key, with_etag, without
from bridgehead.protocols.coap.session.block_settings import BlockSettings
from bridgehead.protocols.coap.session.contract import Party, Peer
from bridgehead.protocols.coap.session.fetching import Fetching
from bridgehead.protocols.coap.session.shelf import Kept, Shelf, Slot

_NOT_OF_THE_REST: Final = frozenset((option.OBSERVE, option.BLOCK1))


@mypyc_attr(allow_interpreted_subclasses=True)
class Sending:
    """Blocks of a body that still go out by themselves."""

    def __init__(self) -> None:
        self.over: bool = False


class Said:
    """What a request got, for when it is said again: a repeated GET is not known to the message layer (RFC 7252 section
    4.5), and where it asks there is another body by then."""

    def __init__(self, request: Message, response: Message) -> None:
        self._token: Final = request.token
        self._message_id: Final = request.message_id
        self.response: Final = response

    def is_for(self, request: Message) -> bool:
        return request.message_id == self._message_id and request.token == self._token


class Body(Kept):
    """One answer. `asked` is the payload of the request that it answers, `tags` are its Request-Tags."""

    def __init__(self, peer: Peer, slot: Slot, whole: Message, request: Message) -> None:
        super().__init__(peer, slot, len(whole.payload) + len(request.payload))
        self.whole: Final = whole
        self.asked: Final = request.payload
        self.tags: Final = request.all(option.REQUEST_TAG)
        self.sending: Sending | None = None
        self.fetching: Fetching | None = None
        self.last: Said | None = None  # its last block, when it went out
        self.before: Said | None = None  # that of the body in whose place it is

    def answers(self, request: Message) -> bool:
        """Whether `request` asks for a block of it. The payload need not be said again, and Request-Tags not either
        (RFC 7959 section 3.3); if they are, they have to be the same."""
        if request.payload and request.payload != self.asked:
            return False
        tags = request.all(option.REQUEST_TAG)
        return not tags or tags == self.tags

    def removed(self) -> None:
        if self.sending is not None:
            self.sending.over = True
        if self.fetching is not None:
            self.fetching.finish()


class Bodies:
    """The answers of all peers, apart for peers that are proven and those that are not. One that is not there any more
    is no harm to GET: it is made anew."""

    def __init__(self, clock: Clock, settings: BlockSettings) -> None:
        self._clock: Final = clock
        self._proven: Final = Shelf(settings.served, settings.bodies, settings.serve_time)
        self._unproven: Final = Shelf(settings.gathered_unproven, settings.bodies, settings.serve_time)

    def keep(self, peer: Peer, party: Party | None, request: Message, response: Message) -> Body:
        """What of `response` may be asked for later."""
        whole = with_etag(response)
        # RFC 7959 sections 2.6 and 3.3: Observe and Block1 are in the first block alone.
        whole = whole.with_options(without(whole.options, _NOT_OF_THE_REST))
        body = Body(peer, (party, fetching_key(request)), whole, request)
        before = self._find(peer, body.slot)
        if before is not None:
            body.before = before.last
        shelf, other = (self._proven, self._unproven) if peer.proven else (self._unproven, self._proven)
        other.drop_slot(peer, body.slot)
        shelf.put(body, self._clock.now)
        return body

    def is_fetched(self, peer: Peer, party: Party | None, request: Message) -> bool:
        """Whether the client is fetching the rest of a notification from there."""
        body = self._find(peer, (party, fetching_key(request)))
        return body is not None and body.fetching is not None and not body.fetching.over

    def find(self, peer: Peer, party: Party | None, request: Message) -> Body | None:
        body = self._find(peer, (party, fetching_key(request)))
        return body if body is not None and body.answers(request) else None

    def drop(self, peer: Peer, party: Party | None, request: Message) -> None:
        """Nothing more of it is given."""
        slot = (party, fetching_key(request))
        self._proven.drop_slot(peer, slot)
        self._unproven.drop_slot(peer, slot)

    def _find(self, peer: Peer, slot: Slot) -> Body | None:
        kept = self._proven.find(peer, slot)
        if kept is None:
            kept = self._unproven.find(peer, slot)
        return kept if isinstance(kept, Body) else None

    def forget(self, peer: Peer) -> None:
        self._proven.forget(peer)
        self._unproven.forget(peer)

    def next_timeout(self) -> float:
        return min(self._proven.next_timeout(), self._unproven.next_timeout())

    def handle_timeout(self, now: float) -> None:
        self._proven.handle_timeout(now)
        self._unproven.handle_timeout(now)
