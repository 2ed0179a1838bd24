"""Which mechanisms a connection is offered, and the machine for the one that the client chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridgehead.security.sasl.contract import Binding, Mechanism
from bridgehead.security.sasl.external import External
from bridgehead.security.sasl.plain import Plain

RANDOM_OCTETS: Final = 32


@dataclass(frozen=True, slots=True)
class Settings:
    """`fake_key`: a secret of the hub, at least 32 octets, that stays the same: what unknown names are answered with
    follows from it. `iterations` is what SCRAM verifiers are made with, so unknown names look the same."""

    fake_key: bytes = field(repr=False)
    iterations: int = 4096


class NotOffered(Exception):
    """The client chose a mechanism that this connection does not offer; the message names those that it does."""


def offered(chain: Sequence[str], binding: Binding, settings: Settings) -> list[str]:
    """The SASL mechanisms of a listener's `login` chain that this connection may use, in the chain's order.

    The chain's other words ("password", "certificate", ...) are passed over. "SCRAM-SHA-256" stands for
    "SCRAM-SHA-256-PLUS" too where the connection has channel binding data.
    """
    return [name for name in chain if _possible(name, binding)]


def _possible(name: str, binding: Binding) -> bool:
    if name == Plain.name:
        return binding.protected
    if name == External.name:
        return binding.certificate
    return False


def make(name: str, chain: Sequence[str], binding: Binding, random: bytes, settings: Settings) -> Mechanism:
    """The machine for one exchange. `random`: RANDOM_OCTETS fresh secret octets. Errors: NotOffered."""
    known = offered(chain, binding, settings)
    if name not in known:
        raise NotOffered(f"this connection offers {', '.join(known) or 'no SASL mechanism'}, and not the one chosen")
    if name == Plain.name:
        return Plain()
    return External()
