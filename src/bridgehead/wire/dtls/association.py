"""One DTLS session after its handshake: opens and seals its records, and knows when it has ended.

The handshake's library is let go by then; what stays is two keys, two counters and a window. RFC 6347 section 4.1,
RFC 9146.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.wire.dtls.alerts import alert_name
from bridgehead.wire.dtls.numbers import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    CLOSE_NOTIFY,
    FATAL,
    HANDSHAKE,
    HEADER,
    HELLO_REQUEST,
    LARGEST_PLAINTEXT,
    NO_RENEGOTIATION,
    TLS12_CID,
    WARNING,
)
from bridgehead.wire.dtls.protection import Protection
from bridgehead.wire.dtls.replay import ReplayWindow

_EPOCH: Final = 1  # there is no renegotiation (RFC 7925 section 17), so the second epoch is the last one
_LAST_NUMBER: Final = (1 << 48) - 1
_UNLIMITED: Final = -1
_TIMES: Final = 3  # as RFC 9000 section 8 and RFC 9175 section 2.3 have it
_CONFIRMED: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class Sink:
    """Takes what a peer sends. Set on an association by whoever is told that it is established."""

    def received(self, data: bytes) -> None:
        """The content of one record of application data."""
        raise NotImplementedError

    def ended(self, because: str) -> None:
        """Once: the peer closed it, its time is over, or this end closed it."""
        raise NotImplementedError


class Association:
    """`path`: where the peer is now (opaque). `proof`: how it proved who it is. `sink` takes what it sends.

    `heard`: when something genuine came last, in seconds since the epoch. `flight`: datagrams of this end's last
    flight while the peer may still ask for them again. `ended`: "" or why it is over; it seals nothing any more.
    """

    def __init__(
        self, path: bytes, proof: object, incoming: Protection, outgoing: Protection, forgeries: int = 1 << 20
    ) -> None:
        self.path: bytes = path
        self.proof: Final = proof
        self.sink: Sink | None = None
        self.heard: float = 0.0
        self.flight: tuple[bytes, ...] = ()
        self.hello: bytes = b""  # the random of the ClientHello that it began with, while that could be repeated
        self.ended: str = ""
        self.moved: bool = False  # the newest record was in the last call of open()
        self._in: Final = incoming
        self._out: Final = outgoing
        self._window: Final = ReplayWindow()
        self._next: int = _EPOCH << 48
        self._forgeries: int = forgeries  # how many more may come
        self._answers: list[bytes] | None = None
        self._refusals: int = 3  # how many more requests to renegotiate are answered,
        self._repeats: int = 16  # and how many more requests for the last flight
        self._credit: int = _UNLIMITED  # octets that may still go to a new path
        self._confirmations: int = 0

    @property
    def cid(self) -> bytes:
        """The Connection ID by which the peer's records name this association; b"": none, its path does."""
        return self._in.cid

    @property
    def overhead(self) -> int:
        """Octets that a datagram is longer than what is sealed."""
        return self._out.overhead

    def move(self, path: bytes, octets: int) -> None:
        """The newest record, in a datagram of `octets`, came on another path. RFC 9146 section 6 wants to know whether
        the peer receives there: no more than three times what came goes out until two newer records have come on it.
        So a record that somebody sent on from a forged address brings nobody more than this, and the peer's next one
        moves it back."""
        self.path = path
        self._credit = _TIMES * octets
        self._confirmations = 0

    def stay(self, octets: int) -> None:
        """The newest record came where the peer was before."""
        if self._credit != _UNLIMITED:
            self._confirmations += 1
            self._credit = _UNLIMITED if self._confirmations >= _CONFIRMED else self._credit + _TIMES * octets

    def rest(self) -> None:
        """Nothing is expected for a while: it takes less memory until then."""
        self._in.rest()
        self._out.rest()
        self.hello = b""

    def begin_at(self, sent: int, received: int) -> None:
        """What the handshake used of this epoch: the next number to send, and the highest one that came (-1: none)."""
        self._next = _EPOCH << 48 | sent
        for number in range(max(0, received - 63), received + 1):
            self._window.take(number)

    def seal(self, plain: bytes) -> bytes:
        """A datagram that carries `plain` (at most 16,384 octets) as application data; b"" when it has ended, or when
        that is too much for a path that is new (see `move`)."""
        return self._seal(APPLICATION_DATA, plain)

    def alert(self, level: int, description: int) -> bytes:
        """A datagram with an alert; b"" as with `seal`."""
        return self._seal(ALERT, bytes([level, description]))

    def end(self, because: str) -> None:
        """It is over; its sink is told, the peer is not (see `alert`). Further calls do nothing."""
        if self.ended:
            return
        self.ended = because
        self.flight = ()
        sink = self.sink
        if sink is not None:
            sink.ended(because)

    def answers(self) -> list[bytes]:
        """Datagrams that the last calls of open() give rise to, to be sent to `path`; each is returned once."""
        answers = self._answers
        if answers is None:
            return []
        self._answers = None
        return answers

    def open(self, datagram: bytes) -> list[bytes]:
        """What the records of a datagram carry as application data. Others are dealt with or dropped in silence
        (RFC 6347 section 4.1.2.7): what is not genuine, not fresh, not whole, or of another epoch."""
        found: list[bytes] = []
        cid = self._in.cid
        extra = len(cid)
        pos = 0
        end = len(datagram)
        self.moved = False
        asked_again = False
        while end - pos >= HEADER and not self.ended:
            kind = datagram[pos]
            start = pos + HEADER
            if kind == TLS12_CID:
                if not cid or end - start < extra or datagram[pos + 11 : pos + 11 + extra] != cid:
                    break
                start += extra
            stop = start + (datagram[start - 2] << 8 | datagram[start - 1])
            if stop > end:
                break
            epoch = datagram[pos + 3] << 8 | datagram[pos + 4]
            if epoch == 0:
                # The peer repeats its flight, so ours was lost. A new ClientHello is not for this association.
                asked_again = asked_again or kind in (CHANGE_CIPHER_SPEC, HANDSHAKE)
            elif (
                epoch == _EPOCH
                and (kind == TLS12_CID) == (extra > 0)
                and datagram[pos + 1] == 0xFE
                and datagram[pos + 2] == 0xFD
            ):
                sequence = datagram[pos + 3 : pos + 11]
                number = int.from_bytes(sequence[2:], "big")
                if not self._window.fresh(number):
                    asked_again = asked_again or number == 0
                else:
                    self._record(kind, number, sequence, datagram[start:stop], found)
            pos = stop
        if asked_again:
            self._repeat()
        return found

    def _record(self, kind: int, number: int, sequence: bytes, fragment: bytes, found: list[bytes]) -> None:
        plain = self._in.open(kind, sequence, fragment)
        if plain is None:
            self._forgeries -= 1
            if self._forgeries <= 0:
                self.end("too many records that are not genuine came for it")
            return
        if kind == TLS12_CID:
            # RFC 9146 section 4: the real type is the last octet that is not zero.
            plain = plain.rstrip(b"\x00")
            if not plain:
                return
            kind = plain[-1]
            plain = plain[:-1]
        if len(plain) > LARGEST_PLAINTEXT:
            return
        if self._window.take(number):
            self.moved = True
        if kind == APPLICATION_DATA:
            self.flight = ()  # whoever sends data has our last flight
            found.append(plain)
        elif kind == ALERT:
            self._alerted(plain)
        elif kind == HANDSHAKE:
            self._handshaken(plain)

    def _alerted(self, plain: bytes) -> None:
        if len(plain) != 2:
            return
        if plain[1] == CLOSE_NOTIFY:
            self._answer([self.alert(WARNING, CLOSE_NOTIFY)])  # RFC 5246 section 7.2.1
            self.end("the peer closed it")
        elif plain[0] == FATAL:
            self.end(f"the peer sent the fatal alert {alert_name(plain[1])}")

    def _handshaken(self, plain: bytes) -> None:
        if not plain:
            return
        if plain[0] == CLIENT_HELLO or plain[0] == HELLO_REQUEST:
            if self._refusals > 0:
                self._refusals -= 1
                self._answer([self.alert(WARNING, NO_RENEGOTIATION)])
        else:
            self._repeat()

    def _repeat(self) -> None:
        """RFC 6347 section 4.2.4: whoever sends the last flight answers the flight before it once more."""
        if self.flight and self._repeats > 0 and not self.ended:
            self._repeats -= 1
            self._answer(list(self.flight))

    def _answer(self, datagrams: list[bytes]) -> None:
        answers = self._answers
        if answers is None:
            self._answers = datagrams
        elif len(answers) < 8:
            answers.extend(datagrams)

    def _seal(self, kind: int, plain: bytes) -> bytes:
        if self.ended:
            return b""
        if len(plain) > LARGEST_PLAINTEXT:
            raise ValueError("a DTLS record carries at most 16384 octets: divide what you send")
        if self._credit != _UNLIMITED:
            octets = len(plain) + self._out.overhead
            if octets > self._credit:
                return b""
            self._credit -= octets
        number = self._next
        if number & _LAST_NUMBER == _LAST_NUMBER:
            self.end("its sequence numbers are used up")
            return b""
        self._next = number + 1
        return self._out.seal(kind, number, plain)
