"""Refusals of the hub's own rules, and faults of our own callers."""

from __future__ import annotations

from typing import Final

# What a Refusal means. Every protocol turns these into its own codes, in one table in its mapping.py.
NOT_AUTHORIZED: Final = "not-authorized"
BAD_CREDENTIALS: Final = "bad-credentials"
NAME_INVALID: Final = "name-invalid"
FILTER_INVALID: Final = "filter-invalid"
CLIENT_ID_INVALID: Final = "client-id-invalid"
QUOTA_EXCEEDED: Final = "quota-exceeded"
STORE_UNAVAILABLE: Final = "store-unavailable"
TOO_LARGE: Final = "too-large"
BUSY: Final = "busy"
PAYLOAD_FORMAT_INVALID: Final = "payload-format-invalid"
UNAVAILABLE: Final = "unavailable"
# Of queues and what else is declared by name.
NOT_FOUND: Final = "not-found"
CONFLICT: Final = "conflict"  # it is there, with other settings
IN_USE: Final = "in-use"  # it was to be deleted only if unused, or only if empty
LOCKED: Final = "locked"  # it is another connection's own
DELETED: Final = "deleted"  # it was there until now
QUEUE_FULL: Final = "queue-full"


class Refusal(Exception):
    """The hub says no. `meaning` is one of this module's words; `because` is one sentence for people."""

    def __init__(self, meaning: str, because: str) -> None:
        super().__init__(because)
        self.meaning = meaning
        self.because = because


class LocalMisuse(Exception):
    """Our own caller erred: a defect of this program, never the peer's doing."""
