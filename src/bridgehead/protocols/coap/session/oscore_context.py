"""OSCORE security contexts as the layer sees them: keys behind a port, nonces, and which requests were seen before."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.bucket import Bucket
from bridgehead.core.policy import Principal
from bridgehead.protocols.coap.codec import oscore
from bridgehead.protocols.coap.session.contract import Peer

WINDOW: Final = 32  # RFC 8613 section 3.2.2
NEW: Final = 0
REPLAYED: Final = 1
UNSURE: Final = 2  # only who can show that the request is fresh is believed
_CHALLENGES: Final = 8.0  # a second, for one context


@mypyc_attr(allow_interpreted_subclasses=True)
class Cipher:
    """An AEAD with its key."""

    def seal(self, nonce: bytes, plain: bytes, additional: bytes) -> bytes:
        raise NotImplementedError

    def open(self, nonce: bytes, sealed: bytes, additional: bytes) -> bytes | None:
        """None: it was not made with this key, nonce and additional data."""
        raise NotImplementedError


class ReplayWindow:
    """Which Partial IVs have been received (RFC 8613 section 7.4). What came before the hub started is not known, so
    nothing is new until a request proves to be fresh; from then on, numbers above its own are (appendix B.1.2)."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size: Final = size
        self._floor = -1  # numbers from here on were made after the hub started
        self._top = -1
        self._seen = 0  # bit i: number top - i

    def judge(self, number: int, fresh: bool) -> int:
        """NEW, REPLAYED or UNSURE. `fresh`: the request shows that it was made after the hub started."""
        if self._floor < 0:
            return NEW if fresh else UNSURE
        if number > self._top:
            return NEW
        back = self._top - number
        if back >= self._size or (self._seen >> back) & 1:
            return REPLAYED
        return NEW if fresh or number >= self._floor else UNSURE

    def take(self, number: int) -> None:
        """It is received."""
        if self._floor < 0:
            self._floor = self._top = number
            self._seen = 1
        elif number > self._top:
            forth = number - self._top
            if forth >= self._size:
                self._seen = 1
            else:
                one: int = 1
                self._seen = ((self._seen << forth) | 1) & ((one << self._size) - 1)
            self._top = number
        else:
            one = 1
            self._seen |= one << (self._top - number)


@mypyc_attr(allow_interpreted_subclasses=True)
class OscoreContext:
    """One security context, ours: `sender_id` is the hub's. `algorithm` is the AEAD's number in COSE. `principal` is
    whose it is, as by OSCORE; `marks` name the credential (security.login.proof)."""

    def __init__(
        self,
        sender_id: bytes,
        recipient_id: bytes,
        common_iv: bytes,
        algorithm: int,
        sender: Cipher,
        recipient: Cipher,
        principal: Principal,
        marks: tuple[str, ...],
    ) -> None:
        self.sender_id: Final = sender_id
        self.recipient_id: Final = recipient_id
        self.common_iv: Final = common_iv
        self.algorithm: Final = algorithm
        self._sender: Final = sender
        self._recipient: Final = recipient
        self.principal: Principal = principal
        self.marks: Final = marks
        self.window: Final = ReplayWindow()
        self.address = ""  # where its device has last shown that it receives what is sent there
        self._challenges: Final = Bucket(_CHALLENGES, 0.0)

    def open(self, piv: bytes, sealed: bytes, additional: bytes) -> bytes | None:
        """The plaintext of a request. None: its sender does not have our key."""
        return self._recipient.open(oscore.nonce(self.recipient_id, piv, self.common_iv), sealed, additional)

    def seal_by_request(self, request_piv: bytes, plain: bytes, additional: bytes) -> bytes:
        """With the nonce of the request: once for each (RFC 8613 section 5.2)."""
        return self._sender.seal(oscore.nonce(self.recipient_id, request_piv, self.common_iv), plain, additional)

    def seal(self, piv: bytes, plain: bytes, additional: bytes) -> bytes:
        """With a Partial IV of our own, which was never used before."""
        return self._sender.seal(oscore.nonce(self.sender_id, piv, self.common_iv), plain, additional)

    def may_challenge(self, now: float) -> bool:
        """Each challenge costs a sequence number, and whoever replays old requests asks for them."""
        if not self._challenges.has(1.0, now):
            return False
        self._challenges.take(1.0)
        return True


@mypyc_attr(allow_interpreted_subclasses=True)
class OscoreContexts:
    """What the layer needs of the rim."""

    def find(self, kid: bytes, kid_context: bytes | None) -> list[OscoreContext]:
        """Those in force for a device with this Sender ID and, unless it is None, this ID Context. The same object
        each time, as long as its keys are the same: it knows what it has received."""
        raise NotImplementedError

    def next_sequence(self, context: OscoreContext) -> int:
        """A Sender Sequence Number that was never used, -1 when there is none."""
        raise NotImplementedError

    def opened(self, context: OscoreContext, peer: Peer) -> bool:
        """The first request of this context from this peer was verified. False: nobody new is let in just now."""
        raise NotImplementedError

    def refused(self, peer: Peer, kid: bytes, because: str) -> None:
        """A request could not be verified."""
