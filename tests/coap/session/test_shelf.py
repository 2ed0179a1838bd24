"""What is kept for peers stays within its bounds, whatever comes in whichever order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.shelf import Kept, Shelf

OVERHEAD = Kept(Peer(None, "", False, True, True), (None, b""), 0).weight
steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "grow", "touch", "drop", "forget", "wait"]),
        st.integers(0, 3),  # the peer
        st.integers(0, 5),  # the slot
        st.integers(0, 2000),  # octets, or seconds
    ),
    max_size=60,
)


@given(steps)
def test_number_octets_and_time_are_bounded(several: list[tuple[str, int, int, int]]) -> None:
    shelf = Shelf(10_000, 3, 100.0)
    peers = [Peer(None, str(number), False, True, True) for number in range(4)]
    now = 0.0
    ever: list[Kept] = []
    for what, which, slot_number, amount in several:
        peer = peers[which]
        slot = (None, bytes([slot_number]))
        kept = shelf.find(peer, slot)
        if what == "put":
            kept = Kept(peer, slot, amount)
            ever.append(kept)
            shelf.put(kept, now)
            assert shelf.find(peer, slot) is kept, "what has just come is never the one that gives way"
        elif what == "wait":
            now += amount / 20
            shelf.handle_timeout(now)
        elif what == "forget":
            shelf.forget(peer)
        elif kept is not None and what == "grow":
            shelf.grow(kept, amount)
            assert shelf.find(peer, slot) is kept
        elif kept is not None and what == "touch":
            shelf.touch(kept, now)
        elif kept is not None and what == "drop":
            shelf.drop(kept)
        standing = [each for each in ever if not each.over]
        assert len(shelf) == len(standing)
        assert shelf.weight == sum(each.weight for each in standing)
        assert shelf.weight <= 10_000 or len(standing) == 1
        assert all(shelf.find(each.peer, each.slot) is each for each in standing)
        assert all(sum(each.peer is peer for each in standing) <= 3 for peer in peers)
    shelf.handle_timeout(now + 100)
    assert (len(shelf), shelf.weight, shelf.next_timeout()) == (0, 0, float("inf"))


def test_the_oldest_gives_way_and_who_is_touched_is_young_again() -> None:
    shelf = Shelf(3 * OVERHEAD, 9, 100.0)
    peer = Peer(None, "", False, True, True)
    a, b, c, d = [Kept(peer, (None, name), 0) for name in (b"a", b"b", b"c", b"d")]
    for kept in (a, b, c):
        shelf.put(kept, 0.0)
    shelf.touch(a, 1.0)
    shelf.put(d, 2.0)
    assert [each.over for each in (a, b, c, d)] == [False, True, False, False]
    assert shelf.next_timeout() == 100.0
    shelf.handle_timeout(100.0)
    assert [each.over for each in (a, b, c, d)] == [False, True, True, False]
    assert shelf.next_timeout() == 101.0
