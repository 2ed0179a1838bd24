"""What one peer's requests came to, for those that come again (RFC 7252 section 4.5). Bounded, per peer and in all."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.session.alarms import Timed
from bridgehead.protocols.coap.session.layer import MessageLayer

_RECORD: Final = 250  # octets that a remembered Message ID takes beside its reply


@mypyc_attr(acyclic=True)
class Record:
    """`fingerprint` tells a duplicate from a request of an endpoint that began anew with the same Message IDs. `reply`
    is sent again: the acknowledgement, with or without the response; None while there is none, and for requests that
    are not confirmable."""

    def __init__(self, fingerprint: int, until: float) -> None:
        self.fingerprint: Final = fingerprint
        self.until: Final = until
        self.reply: bytes | None = None
        self.octets: int = _RECORD
        self.kept: bool = True


class Duplicates(Timed):
    """One peer's. What does not fit is forgotten, the oldest first, and never another peer's: a duplicate of it is then
    taken for a new request."""

    def __init__(self, layer: MessageLayer) -> None:
        super().__init__()
        self._layer: Final = layer
        self._records: dict[int, Record] = {}
        self._octets = 0
        self._listed = False

    def __len__(self) -> int:
        return len(self._records)

    def find(self, message_id: int, data: bytes, now: float) -> Record | None:
        """The record of the request of which this is a duplicate."""
        record = self._records.get(message_id)
        if record is None or record.until <= now or record.fingerprint != hash(data):
            return None
        return record

    def keep(self, message_id: int, data: bytes, until: float, reply: bytes | None) -> Record:
        """Remember a request until then."""
        layer = self._layer
        if not self._listed:
            self._listed = True
            self.over = False
            layer.purging.add(self, layer.clock.now)
        earlier = self._records.pop(message_id, None)  # so that the order stays that of coming
        if earlier is not None:
            self._release(earlier)
        record = Record(hash(data), until)
        self._records[message_id] = record
        self._take(record, _RECORD)
        if reply is not None:
            self.amend(record, reply)
        self._fit()
        return record

    def amend(self, record: Record, reply: bytes | None) -> None:
        """From now on a duplicate gets this."""
        record.reply = reply
        if record.kept:
            octets = _RECORD if reply is None else _RECORD + len(reply)
            change = octets - record.octets
            record.octets = octets
            self._take(record, change)

    def due(self, now: float) -> None:
        """Forget what is over, and look again later if anything is left."""
        records = self._records
        ended = [message_id for message_id, record in records.items() if record.until <= now]
        for message_id in ended:
            self._release(records.pop(message_id))
        self._listed = bool(records)
        if records:
            self._layer.purging.add(self, now)
        else:
            self._records = {}  # a dict that was large stays so

    def clear(self) -> None:
        """The peer is gone."""
        self.over = True
        for record in self._records.values():
            self._release(record)
        self._records = {}

    def _fit(self) -> None:
        layer = self._layer
        settings = layer.settings
        records = self._records
        while self._octets > settings.remembered_per_peer or layer.remembered > settings.remembered:
            if not records:
                return
            oldest = next(iter(records))
            self._release(records.pop(oldest))

    def _take(self, record: Record, octets: int) -> None:
        self._octets += octets
        self._layer.remembered += octets

    def _release(self, record: Record) -> None:
        record.kept = False
        self._octets -= record.octets
        self._layer.remembered -= record.octets
