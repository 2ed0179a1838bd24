"""The options of signalling messages (RFC 8323 section 5): each code has numbers of its own."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.errors import BadOption
from bridgehead.protocols.coap.codec.message import NO_OPTIONS, Message, Option, uint_value
from bridgehead.protocols.coap.codec.stream import DEFAULT_MAXIMUM

MAX_MESSAGE_SIZE: Final = 2  # of CSM
BLOCK_WISE_TRANSFER: Final = 4
CUSTODY: Final = 2  # of Ping and Pong
ALTERNATIVE_ADDRESS: Final = 2  # of Release
HOLD_OFF: Final = 4
BAD_CSM_OPTION: Final = 2  # of Abort

_NAMES: Final[dict[tuple[int, int], tuple[str, int, int]]] = {
    (codes.CSM, MAX_MESSAGE_SIZE): ("Max-Message-Size", 0, 4),
    (codes.CSM, BLOCK_WISE_TRANSFER): ("Block-Wise-Transfer", 0, 0),
    (codes.PING, CUSTODY): ("Custody", 0, 0),
    (codes.PONG, CUSTODY): ("Custody", 0, 0),
    (codes.RELEASE, ALTERNATIVE_ADDRESS): ("Alternative-Address", 1, 255),
    (codes.RELEASE, HOLD_OFF): ("Hold-Off", 0, 3),
    (codes.ABORT, BAD_CSM_OPTION): ("Bad-CSM-Option", 0, 2),
}
_CODE_NAMES: Final = {
    codes.CSM: "CSM",
    codes.PING: "Ping",
    codes.PONG: "Pong",
    codes.RELEASE: "Release",
    codes.ABORT: "Abort",
}


def is_signalling(code: int) -> bool:
    """Class 7."""
    return code >> 5 == 7


def signal_name(code: int) -> str:
    """As the standard calls it, "7.31" where it has no name."""
    return _CODE_NAMES.get(code, codes.dotted(code))


def signalling_option_name(code: int, number: int) -> str:
    """The option's name in messages of that code, "Option 9" where it has none."""
    found = _NAMES.get((code, number))
    return f"Option {number}" if found is None else found[0]


def check_signalling(message: Message) -> None:
    """Errors: BadOption for a critical option, as none is defined: the connection is aborted (section 5.2)."""
    for number, _ in message.options:
        if number & 1:
            raise BadOption(
                f"the critical option {number} of {signal_name(message.code)} is not understood here",
                number,
                "RFC8323-5.2",
            )


@mypyc_attr(acyclic=True)
class Capabilities:
    """What a peer said of itself in its CSMs so far (section 5.3). `maximum` is in octets of a whole message."""

    def __init__(self, maximum: int = DEFAULT_MAXIMUM, block_wise: bool = False) -> None:
        self.maximum: Final = maximum
        self.block_wise: Final = block_wise

    @property
    def bert(self) -> bool:
        """Both together say so (section 5.3.2)."""
        return self.block_wise and self.maximum > DEFAULT_MAXIMUM

    def updated(self, csm: Message) -> Capabilities:
        """After one more CSM: what it does not name stays. Errors: BadOption, to be answered with Bad-CSM-Option."""
        check_signalling(csm)
        maximum = self.maximum
        block_wise = self.block_wise
        for number, value in csm.options:
            found = _NAMES.get((codes.CSM, number))
            if found is None:
                continue  # elective, and not understood
            name, shortest, longest = found
            if not shortest <= len(value) <= longest:
                raise BadOption(f"{name} has {len(value)} octets, at most {longest}", number, "RFC8323-5.3")
            if number == MAX_MESSAGE_SIZE:
                maximum = int.from_bytes(value, "big")
            else:
                block_wise = True
        return Capabilities(maximum, block_wise)

    def message(self) -> Message:
        """The CSM that says all this."""
        options: list[Option] = [(MAX_MESSAGE_SIZE, uint_value(self.maximum))]
        if self.block_wise:
            options.append((BLOCK_WISE_TRANSFER, b""))
        return Message(codes.CSM, tuple(options))


def pong(ping: Message) -> Message:
    """The answer to a Ping (section 5.4). Whoever handles a connection's messages in order grants Custody."""
    options: tuple[Option, ...] = ((CUSTODY, b""),) if ping.has(CUSTODY) else NO_OPTIONS
    return Message(codes.PONG, options, b"", ping.token)


def release(because: str, hold_off: int = -1) -> Message:
    """A wish that the peer closes (section 5.5). `hold_off`: seconds in which the peer is asked not to come again."""
    options: tuple[Option, ...] = ((HOLD_OFF, uint_value(hold_off)),) if hold_off >= 0 else NO_OPTIONS
    return Message(codes.RELEASE, options, because.encode())


def abort(because: str, bad_csm_option: int = -1) -> Message:
    """The last message before this side closes (section 5.6)."""
    options: tuple[Option, ...] = NO_OPTIONS
    if bad_csm_option >= 0:
        options = ((BAD_CSM_OPTION, uint_value(bad_csm_option)),)
    return Message(codes.ABORT, options, because.encode())
