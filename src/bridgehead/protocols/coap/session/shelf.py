"""What is kept for peers while block-wise transfers are under way: bounded in number, octets and time."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.message import NEVER
from bridgehead.protocols.coap.session.contract import Party, Peer

_OVERHEAD: Final = 512  # octets that an entry takes beside its content

Slot = tuple[Party | None, bytes]  # who asks, and for what: RFC 9175 section 3.3 wants both to be the same


@mypyc_attr(allow_interpreted_subclasses=True)
class Kept:
    """One thing on a shelf. `weight` is in octets. `over` is set when it is taken off, for whatever reason."""

    def __init__(self, peer: Peer, slot: Slot, weight: int) -> None:
        self.peer: Final = peer
        self.slot: Final = slot
        self.weight: int = weight + _OVERHEAD
        self.until: float = 0.0
        self.over: bool = False

    def removed(self) -> None:
        """It was taken off."""


class Shelf:
    """Things of peers, found by what they belong to. When one is too many, or too heavy, the oldest go: those of the
    same peer for `per_peer`, those of anybody for `octets`. `touch` makes one the youngest again."""

    def __init__(self, octets: int, per_peer: int, time: float) -> None:
        self._octets: Final = octets
        self._per_peer: Final = per_peer
        self._time: Final = time
        self._peers: Final[dict[Peer, dict[Slot, Kept]]] = {}
        self._order: Final[dict[Kept, None]] = {}  # by `until`
        self.weight: int = 0

    def __len__(self) -> int:
        return len(self._order)

    def find(self, peer: Peer, slot: Slot) -> Kept | None:
        own = self._peers.get(peer)
        return None if own is None else own.get(slot)

    def put(self, kept: Kept, now: float) -> None:
        """In the place of what had the same slot."""
        peer = kept.peer
        own = self._peers.get(peer)
        if own is not None:
            before = own.get(kept.slot)
            if before is not None:
                self.drop(before)
            while len(own) >= self._per_peer:
                self.drop(_first(own))
        own = self._peers.setdefault(peer, {})
        own[kept.slot] = kept
        kept.until = now + self._time
        self._order[kept] = None
        self.weight += kept.weight
        self._make_room(kept)

    def grow(self, kept: Kept, octets: int) -> None:
        """It is heavier by so much."""
        kept.weight += octets
        self.weight += octets
        self._make_room(kept)

    def touch(self, kept: Kept, now: float) -> None:
        """It was of use: the time begins anew."""
        del self._order[kept]
        self._order[kept] = None
        kept.until = now + self._time
        own = self._peers[kept.peer]
        del own[kept.slot]
        own[kept.slot] = kept

    def drop(self, kept: Kept) -> None:
        if kept.over:
            return
        kept.over = True
        del self._order[kept]
        self.weight -= kept.weight
        own = self._peers[kept.peer]
        del own[kept.slot]
        if not own:
            del self._peers[kept.peer]
        kept.removed()

    def drop_slot(self, peer: Peer, slot: Slot) -> None:
        kept = self.find(peer, slot)
        if kept is not None:
            self.drop(kept)

    def forget(self, peer: Peer) -> None:
        own = self._peers.get(peer)
        if own is not None:
            for kept in list(own.values()):
                self.drop(kept)

    def next_timeout(self) -> float:
        for kept in self._order:
            return kept.until
        return NEVER

    def handle_timeout(self, now: float) -> None:
        while self._order:
            kept = _oldest(self._order)
            if kept.until > now:
                return
            self.drop(kept)

    def _make_room(self, but: Kept) -> None:
        while self.weight > self._octets and len(self._order) > 1:
            oldest = _oldest(self._order)
            if oldest is but:
                self.touch(but, but.until - self._time)  # the ceiling is no reason to lose what comes in right now
                oldest = _oldest(self._order)
            self.drop(oldest)


def _oldest(order: dict[Kept, None]) -> Kept:
    return next(iter(order))


def _first(own: dict[Slot, Kept]) -> Kept:
    return next(iter(own.values()))
