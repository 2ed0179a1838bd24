"""What the composite types of AMQP 1.0 share: the numbers of their descriptors, their modes, and errors (2.8.14).

Attributes have the standard's names; -1 (ABSENT) is an unsigned number that is absent, None anything else that is."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

ABSENT: Final = -1
OPEN: Final = 0x10
BEGIN: Final = 0x11
ATTACH: Final = 0x12
FLOW: Final = 0x13
TRANSFER: Final = 0x14
DISPOSITION: Final = 0x15
DETACH: Final = 0x16
END: Final = 0x17
CLOSE: Final = 0x18
ERROR: Final = 0x1D
RECEIVED: Final = 0x23
ACCEPTED_CODE: Final = 0x24
REJECTED: Final = 0x25
RELEASED_CODE: Final = 0x26
MODIFIED: Final = 0x27
SOURCE: Final = 0x28
TARGET: Final = 0x29
DELETE_ON_CLOSE: Final = 0x2B
DELETE_ON_NO_LINKS: Final = 0x2C
DELETE_ON_NO_MESSAGES: Final = 0x2D
DELETE_ON_NO_LINKS_OR_MESSAGES: Final = 0x2E
COORDINATOR: Final = 0x30
DECLARE: Final = 0x31
DISCHARGE: Final = 0x32
DECLARED: Final = 0x33
TRANSACTIONAL_STATE: Final = 0x34
SASL_MECHANISMS: Final = 0x40
SASL_INIT: Final = 0x41
SASL_CHALLENGE: Final = 0x42
SASL_RESPONSE: Final = 0x43
SASL_OUTCOME: Final = 0x44

# 2.8.2, 2.8.3: settle modes. 2.8.1: role, False is the sender's and True the receiver's.
SENDER: Final = False
RECEIVER: Final = True
SND_UNSETTLED: Final = 0
SND_SETTLED: Final = 1
SND_MIXED: Final = 2
RCV_FIRST: Final = 0
RCV_SECOND: Final = 1
# 3.5.5: terminus durability.
NONE: Final = 0
CONFIGURATION: Final = 1
UNSETTLED_STATE: Final = 2
# 5.3.3.6: outcome codes of SASL.
SASL_OK: Final = 0
SASL_AUTH: Final = 1
SASL_SYS: Final = 2
SASL_SYS_PERM: Final = 3
SASL_SYS_TEMP: Final = 4

MAX_UINT: Final = 4_294_967_295


class Composite:
    """What all have in common. `code` is the number of the descriptor, one of the constants above."""

    def __init__(self, code: i64) -> None:
        self.code: Final = code

    def content(self) -> dict[str, object]:
        """The fields by name, in the standard's order. Two values are equal when their content is."""
        return {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composite) and self.code == other.code and self.content() == other.content()

    def __repr__(self) -> str:
        shown: list[str] = []
        for name, value in self.content().items():
            if value is None or value == ABSENT or value is False or value == []:
                continue
            # SASL's octets are secrets, other octets may be many: only their number.
            shown.append(f"{name}=<{len(value)} octets>" if isinstance(value, bytes) else f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


class Performative(Composite):
    """What a frame's body holds."""


class DeliveryState(Composite):
    """3.4. Terminal ones are Outcomes."""


class Outcome(DeliveryState):
    """A terminal delivery state."""


class Error(Composite):
    """2.8.14. `condition` is a symbol of errors.py; `description` is for people."""

    def __init__(
        self, condition: str, description: str | None = None, info: dict[object, object] | None = None
    ) -> None:
        super().__init__(ERROR)
        self.condition: Final = condition
        self.description: Final = description
        self.info: Final = info

    def content(self) -> dict[str, object]:
        return {"condition": self.condition, "description": self.description, "info": self.info}
