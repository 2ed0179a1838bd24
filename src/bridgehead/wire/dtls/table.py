"""Which association a datagram belongs to: by the path it came on, or by its Connection ID (RFC 9146 section 6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridgehead.wire.dtls.association import Association
from bridgehead.wire.dtls.numbers import APPLICATION_DATA, HANDSHAKE, HEADER, TLS12_CID

_LOOKED_AT: Final = 64  # associations that one search for an idle one looks at


class Associations:
    """All sessions of one secured port. `send(path, datagram)` is where their answers go. `cid`: how many octets the
    Connection IDs of this end have."""

    def __init__(self, send: Callable[[bytes, bytes], None], cid: int) -> None:
        self._send: Final = send
        self._cid: Final = cid
        self._by_path: Final[dict[bytes, Association]] = {}
        self._by_cid: Final[dict[bytes, Association]] = {}
        self._all: Final[dict[Association, None]] = {}  # in the order of the search for idle ones

    def __len__(self) -> int:
        return len(self._all)

    def __bool__(self) -> bool:
        return True

    def at(self, path: bytes) -> Association | None:
        """Whose peer was heard at `path` last."""
        return self._by_path.get(path)

    def with_cid(self, cid: bytes) -> Association | None:
        return self._by_cid.get(cid)

    def add(self, association: Association, now: float) -> None:
        """From now on; one that was at its path ends (RFC 6347 section 4.2.8)."""
        association.heard = now
        before = self._by_path.get(association.path)
        if before is not None:
            self.remove(before)
            before.end("its peer made a new handshake")
        self._by_path[association.path] = association
        if association.cid:
            self._by_cid[association.cid] = association
        self._all[association] = None

    def remove(self, association: Association) -> None:
        """It is not found any more. One that is not there is no error."""
        if self._by_path.get(association.path) is association:
            del self._by_path[association.path]
        self._by_cid.pop(association.cid, None)
        self._all.pop(association, None)

    def idle_since(self, before: float) -> Association | None:
        """One that was heard last before `before`, if one is found soon: each call looks at the next few."""
        for association in _first(self._all, _LOOKED_AT):
            if association.heard < before:
                return association
            del self._all[association]
            self._all[association] = None
        return None

    def rest(self, before: float) -> None:
        """Those that were heard last before `before` need not be ready at once."""
        for association in self._all:
            if association.heard < before:
                association.rest()

    def all(self) -> list[Association]:
        return list(self._all)

    def receive_all(self, datagrams: list[tuple[bytes, bytes]], now: float) -> list[tuple[bytes, bytes]]:
        """Takes what belongs to associations out of `datagrams` (path, data); returns the rest, which is for
        handshakes."""
        rest: list[tuple[bytes, bytes]] = []
        for item in datagrams:
            if not self.receive(item[0], item[1], now):
                rest.append(item)
        return rest

    def receive(self, path: bytes, data: bytes, now: float) -> bool:
        """What an association's peer sent goes to its sink. False: the datagram is for no association, or begins with
        a record of a handshake."""
        if len(data) < HEADER:
            return True  # no record is so short: dropped
        kind = data[0]
        if kind == APPLICATION_DATA:
            association = self._by_path.get(path)
        elif kind == TLS12_CID:
            association = self._by_cid.get(data[11 : 11 + self._cid])
        elif (data[3] == 0 and data[4] == 0) or kind == HANDSHAKE:
            return False
        else:
            association = self._by_path.get(path)
        if association is None:
            return False
        self.opened(association, path, data, now)
        return True

    def opened(self, association: Association, path: bytes, data: bytes, now: float) -> None:
        """`data` is for `association`, whatever it begins with."""
        found = association.open(data)
        if association.moved:
            association.heard = now
            if association.path != path:
                self._move(association, path, len(data))
            else:
                association.stay(len(data))
        sink = association.sink
        if sink is not None:
            for each in found:
                if association.ended:
                    break  # by what came before it
                sink.received(each)
        for answer in association.answers():
            if answer:
                self._send(association.path, answer)
        if association.ended:
            self.remove(association)

    def _move(self, association: Association, path: bytes, octets: int) -> None:
        """RFC 9146 section 6: the newest record that is genuine says where the peer is, if a Connection ID named it."""
        if not association.cid:
            return
        if self._by_path.get(association.path) is association:
            del self._by_path[association.path]
        association.move(path, octets)
        if path not in self._by_path:
            self._by_path[path] = association


def _first(items: dict[Association, None], most: int) -> list[Association]:
    """The first few of a dictionary that is about to change."""
    found: list[Association] = []
    for each in items:
        if len(found) == most:
            break
        found.append(each)
    return found
