"""Which association a datagram is for; who gives way."""

from __future__ import annotations

import pytest

from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.table import Associations
from tests.wire.dtls.parts import Told, pair, protection


class Port:
    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes]] = []
        self.table = Associations(lambda path, data: self.sent.append((path, data)), 2)

    def add(self, path: bytes, cid: bytes = b"", now: float = 0.0) -> tuple[Association, Association, Told]:
        """The hub's end, the peer's, and what the hub's was told."""
        hub, peer, told, _ = pair("ccm-8", cid)
        hub.path = path
        self.table.add(hub, now)
        return hub, peer, told


def test_by_path_and_by_connection_id() -> None:
    port = Port()
    _, one, told_one = port.add(b"a")
    _, two, told_two = port.add(b"b", b"\x01\x02")
    rest = port.table.receive_all(
        [(b"a", one.seal(b"1")), (b"x", two.seal(b"2")), (b"y", one.seal(b"3")), (b"a", b"short")], 5.0
    )
    assert (told_one.data, told_two.data) == ([b"1"], [b"2"])
    assert [path for path, _ in rest] == [b"y"]


@pytest.mark.clause("RFC9146-6")
def test_a_path_that_is_taken_stays_with_who_has_it() -> None:
    port = Port()
    fixed, fixed_peer, fixed_told = port.add(b"a")
    moving, moving_peer, moving_told = port.add(b"b", b"\x01\x02")
    assert port.table.receive(b"a", moving_peer.seal(b"moved"), 1.0)
    assert (moving.path, moving_told.data) == (b"a", [b"moved"])
    assert port.table.at(b"a") is fixed
    assert port.table.at(b"b") is None
    assert port.table.receive(b"a", fixed_peer.seal(b"still"), 2.0)
    assert fixed_told.data == [b"still"]
    port.table.remove(moving)
    assert port.table.at(b"a") is fixed
    assert len(port.table) == 1


def test_unprotected_records_and_handshakes_are_for_others() -> None:
    port = Port()
    port.add(b"a")
    assert not port.table.receive(b"a", b"\x16\xfe\xfd" + bytes(8) + b"\x00\x00", 0.0)
    assert not port.table.receive(b"a", b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28", 0.0)
    assert not port.table.receive(b"a", protection("ccm-8", 1).seal(22, 1 << 48, b"\x14"), 0.0)
    assert port.table.receive(b"a", b"", 0.0)


def test_one_that_its_peer_closes_is_forgotten_after_the_answer() -> None:
    port = Port()
    hub, peer, told = port.add(b"a", b"\x01\x02")
    assert port.table.receive(b"a", peer.alert(1, 0), 0.0)
    assert told.because == ["the peer closed it"]
    assert [path for path, _ in port.sent] == [b"a"]
    assert peer.open(port.sent[0][1]) == []
    assert peer.ended == "the peer closed it"
    assert len(port.table) == 0
    assert port.table.with_cid(b"\x01\x02") is None
    port.table.remove(hub)


def test_the_idle_give_way_and_the_busy_do_not() -> None:
    port = Port()
    made = [port.add(b"%d" % number) for number in range(200)]
    for number, (_, peer, _) in enumerate(made):
        if number != 150:
            assert port.table.receive(b"%d" % number, peer.seal(b"x"), 50.0)
    found = [port.table.idle_since(10.0) for _ in range(4)]
    assert [each for each in found if each is not None] == [made[150][0]] * len([e for e in found if e is not None])
    assert any(each is made[150][0] for each in found)
    assert len(port.table) == 200


def test_a_new_one_at_the_same_path_ends_the_old_one() -> None:
    port = Port()
    _, old_peer, old_told = port.add(b"a", b"\x01\x02")
    _, new_peer, new_told = port.add(b"a", b"\x03\x04")
    assert old_told.because == ["its peer made a new handshake"]
    assert not port.table.receive(b"a", old_peer.seal(b"old"), 0.0)
    assert port.table.receive(b"a", new_peer.seal(b"new"), 0.0)
    assert (old_told.data, new_told.data) == ([], [b"new"])


def test_nothing_is_delivered_after_the_sink_closed_it() -> None:
    port = Port()
    hub, peer, told = port.add(b"a")

    class Closing(Told):
        def received(self, data: bytes) -> None:
            super().received(data)
            hub.end("enough")

    closing = Closing()
    hub.sink = closing
    assert port.table.receive(b"a", peer.seal(b"one") + peer.seal(b"two"), 0.0)
    assert (closing.data, closing.because, told.data) == ([b"one"], ["enough"], [])
    assert len(port.table) == 0


def test_those_that_rest_are_awake_when_something_comes() -> None:
    port = Port()
    _, quiet_peer, quiet = port.add(b"a", now=0.0)
    _, busy_peer, busy = port.add(b"b", now=50.0)
    for now in (60.0, 120.0):
        port.table.rest(now - 30.0)
        assert port.table.receive(b"a", quiet_peer.seal(b"%d" % now), now)
        assert port.table.receive(b"b", busy_peer.seal(b"%d" % now), now)
    assert quiet.data == busy.data == [b"60", b"120"]
