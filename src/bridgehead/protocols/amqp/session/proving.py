"""What a peer said to prove who it is, on its way to the rim, which judges it: SASL before the connection is open, a
token for an open one."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.core.errors import NOT_AUTHORIZED, Refusal

# Whose turn it is.
NOBODY: Final = 0
HUB: Final = 1  # the rim judges `data`
PEER: Final = 2  # a challenge is out

# More rounds than any mechanism needs; GSSAPI's five are the most.
MOST_ROUNDS: Final = 16
_BEARER: Final = "OAUTHBEARER"
_XOAUTH2: Final = "XOAUTH2"
# A log-in by these ends with its token, unless that is renewed.
TOKENS: Final = (_BEARER, _XOAUTH2)
_END: Final = b"\x01\x01"
TOKEN_OCTETS: Final = 32_768  # of a token that renews; the first one is bounded by the SASL layer's frames


@mypyc_attr(allow_interpreted_subclasses=True)
class Renewal:
    """Who waits for the outcome of a proof given anew: a link of `$cbs`, or connection.update-secret."""

    def granted(self, expires_at: float) -> None:
        raise NotImplementedError

    def refused(self, because: str) -> None:
        raise NotImplementedError


class SaslTurn:
    """A SASL exchange as far as the peer has brought it. `data` is what it said last, None for nothing; it may be a
    secret, and no repr shows it. `again`: on an open connection; `renewal` waits then."""

    def __init__(self, mechanism: str, data: bytes | None, renewal: Renewal | None = None) -> None:
        self.mechanism: Final = mechanism
        self.renewal: Final = renewal
        self.again: Final = renewal is not None
        self.data: bytes | None = data
        self.turn = HUB
        self.rounds = 1

    def challenged(self) -> None:
        """The hub has answered: the peer's turn."""
        self.turn = PEER
        self.data = None

    def responded(self, data: bytes) -> bool:
        """The peer has answered: the hub's turn. False: out of turn, or there is no end of it."""
        if self.turn != PEER or self.rounds >= MOST_ROUNDS:
            return False
        self.rounds += 1
        self.turn = HUB
        self.data = data
        return True

    def done(self) -> None:
        self.turn = NOBODY
        self.data = None


def renewing(mechanisms: tuple[str, ...], user_name: str, token: str, renewal: Renewal) -> SaslTurn:
    """A token given anew, as a SASL mechanism of those in force would bring it. Errors: Refusal, where none takes
    tokens."""
    if len(token) > TOKEN_OCTETS or not token.isascii() or not token or "\x01" in token:
        raise Refusal(NOT_AUTHORIZED, "this is no token: send a JWT in its compact form")
    octets = token.encode("ascii")
    if _BEARER in mechanisms:
        return SaslTurn(_BEARER, b"n,,\x01auth=Bearer " + octets + _END, renewal)  # RFC 7628 section 3.1
    if _XOAUTH2 in mechanisms:
        return SaslTurn(_XOAUTH2, b"user=" + user_name.encode() + b"\x01auth=Bearer " + octets + _END, renewal)
    raise Refusal(NOT_AUTHORIZED, "this listener takes no tokens: it has to name OAUTHBEARER in its login")
