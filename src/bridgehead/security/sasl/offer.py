"""Which mechanisms a connection is offered, and the machine for the one that the client chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridgehead.security.sasl.contract import Binding, Mechanism
from bridgehead.security.sasl.external import External
from bridgehead.security.sasl.ntlm import Ntlm
from bridgehead.security.sasl.oauth import OAuthBearer, XOAuth2
from bridgehead.security.sasl.otp import Otp
from bridgehead.security.sasl.plain import Plain
from bridgehead.security.sasl.scram import Scram, bindings_of
from bridgehead.security.sasl.scram_keys import HASHES, ITERATIONS, PLUS

RANDOM_OCTETS: Final = 32
GSSAPI: Final = "GSSAPI"
# Every mechanism that a chain may name. ANONYMOUS is not one.
MECHANISMS: Final = (
    External.name,
    *(name + plus for name in sorted(HASHES, reverse=True) for plus in (PLUS, "")),
    GSSAPI,
    OAuthBearer.name,
    XOAuth2.name,
    Otp.name,
    Plain.name,
    Ntlm.name,
)
# Whoever reads along has the password or the token (RFC 4616, RFC 7628 section 3), or can guess against it (NTLM).
_PROTECTED_ONLY: Final = frozenset({Plain.name, OAuthBearer.name, XOAuth2.name, Ntlm.name})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the machines share.

    `fake_key`: a secret of the hub, at least 32 octets, that stays the same over restarts: what unknown names are
    answered with follows from it. `iterations`: what SCRAM verifiers are made with, so that unknown names look so too.
    `clock`: seconds since the epoch; read once as an NTLM exchange begins. `others`: makers of mechanisms whose
    libraries may be missing: {"GSSAPI": kerberos.KerberosAcceptor(...).make}.
    """

    fake_key: bytes = field(repr=False)
    clock: Callable[[], float]
    iterations: int = ITERATIONS
    others: Mapping[str, Callable[[Binding, bytes], Mechanism]] = field(default_factory=dict)


class NotOffered(Exception):
    """The client chose a mechanism that this connection does not offer; the message names those that it does."""


def offered(chain: Sequence[str], binding: Binding, settings: Settings) -> list[str]:
    """The SASL mechanisms of a listener's `login` chain that this connection may use, in the chain's order.

    The chain's other words ("password", "certificate", ...) are passed over. "SCRAM-SHA-256" stands for
    "SCRAM-SHA-256-PLUS" too, in front of it, where the connection has channel binding data: a client that could bind
    and does not is then known to have been misled (RFC 5802 section 6).
    """
    found: list[str] = []
    for word in chain:
        for name in (word + PLUS, word) if word in HASHES else (word,):
            if name not in found and _possible(name, binding, settings):
                found.append(name)
    return found


def _possible(name: str, binding: Binding, settings: Settings) -> bool:
    if name not in MECHANISMS or (name in _PROTECTED_ONLY and not binding.protected):
        return False
    if name == External.name:
        return binding.certificate
    if name.endswith(PLUS):
        return bool(bindings_of(binding))
    return name != GSSAPI or name in settings.others


def make(name: str, chain: Sequence[str], binding: Binding, random: bytes, settings: Settings) -> Mechanism:
    """The machine for one exchange. `random`: RANDOM_OCTETS fresh secret octets. Errors: NotOffered."""
    known = offered(chain, binding, settings)
    if name not in known:
        raise NotOffered(f"this connection offers {', '.join(known) or 'no SASL mechanism'}, and not the one chosen")
    if name in settings.others:
        return settings.others[name](binding, random)
    if name.removesuffix(PLUS) in HASHES:
        return Scram(name, binding, random, settings.fake_key, settings.iterations)
    if name == Otp.name:
        return Otp(settings.fake_key)
    if name == Ntlm.name:
        return Ntlm(random, settings.clock(), settings.fake_key, binding.tls_server_end_point)
    machines: dict[str, type[External | Plain | OAuthBearer | XOAuth2]] = {
        External.name: External,
        Plain.name: Plain,
        OAuthBearer.name: OAuthBearer,
        XOAuth2.name: XOAuth2,
    }
    return machines[name]()
