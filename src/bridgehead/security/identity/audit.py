"""Every act on identities is told to the audit log, and so is every act that was refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from bridgehead.security.errors import SecurityError
from bridgehead.security.events import ACT_REFUSED

Field = str | int | float | bool
Audit = Callable[[str, Mapping[str, Field]], None]


def unheard(event: str, fields: Mapping[str, Field]) -> None:
    """Where nobody keeps an audit log."""


@contextlib.contextmanager
def refusals(audit: Audit, act: str, principal: str) -> Iterator[None]:
    """Whatever ends the block with SecurityError is told; the sentences hold no secret."""
    try:
        yield
    except SecurityError as fault:
        audit(ACT_REFUSED, {"act": act, "principal": principal, "because": str(fault)})
        raise
