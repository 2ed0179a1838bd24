"""How peers prove who they are, put together from the configuration: mechanisms, tokens, Kerberos, the brakes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from bridgehead.broker.events import EventSink
from bridgehead.node.configuration import Config, Kerberos, Listener, TokenIssuer
from bridgehead.node.settings import apply_login
from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import WEAK_LOGIN
from bridgehead.security.identity.identity import Identity
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.login.chain import GSSAPI, NTLM, Chain
from bridgehead.security.sasl.contract import Binding, Mechanism
from bridgehead.security.sasl.offer import Settings
from bridgehead.security.tokens.settings import Issuer
from bridgehead.security.tokens.verifier import TokenVerifier

FAKE_KEY_FILE: Final = "login.key"
FAKE_KEY_OCTETS: Final = 32
REPLAYS_FILE: Final = "kerberos.replays"


def make_authenticator(
    config: Config, identity: Identity, events: EventSink, clock: Callable[[], float]
) -> Authenticator:
    """Errors: SecurityError."""
    others: Mapping[str, Callable[[Binding, bytes], Mechanism]] = {}
    if config.kerberos.keytab:
        others = {GSSAPI: _kerberos(config.kerberos, config.data)}
    authenticator = Authenticator(
        identity.registry,
        events,
        clock=clock,
        settings=Settings(fake_key(config.data), clock, others=others),
        vault=identity.vault,
        tokens=token_verifier(config.token_issuers, events, clock),
    )
    apply_login(config, authenticator)
    warn_of_weak(config.listeners, events)
    return authenticator


def fake_key(data: Path) -> bytes:
    """What unknown names are answered with follows from it, so it must outlast a restart: else whoever compares the
    answers before and after one knows which names exist. Errors: SecurityError."""
    path = data / FAKE_KEY_FILE
    if not path.exists():
        files.write_whole(path, secrets.token_bytes(FAKE_KEY_OCTETS))
    files.check_private(path)
    key = files.read(path)
    if len(key) != FAKE_KEY_OCTETS:
        raise SecurityError(f"{path} is damaged: remove it, and it is made anew")
    return key


def token_verifier(
    issuers: Iterable[TokenIssuer], events: EventSink, clock: Callable[[], float]
) -> TokenVerifier | None:
    """None without issuers: then there are no tokens. Errors: SecurityError."""
    found = [
        Issuer(
            each.issuer,
            each.keys if "://" in each.keys else Path(each.keys),
            tuple(each.audience),
            frozenset(each.algorithms),
            leeway=each.leeway,
        )
        for each in issuers
    ]
    return TokenVerifier(found, events, clock=clock) if found else None


def warn_of_weak(listeners: Iterable[Listener], events: EventSink) -> None:
    """NTLM is weak by today's measure: who names it is told at every start."""
    for listener in listeners:
        if listener.protocol in ("mqtt", "amqp") and NTLM in Chain(listener.login).words:
            because = (
                "NTLM rests on MD4 and on DES-sized guesses: whoever records one log-in can try passwords at "
                "billions a second; let it go as soon as its clients can do SCRAM or Kerberos"
            )
            events(WEAK_LOGIN, {"listener": listener.bind, "because": because})


def _kerberos(kerberos: Kerberos, data: Path) -> Callable[[Binding, bytes], Mechanism]:
    try:
        from bridgehead.security.sasl.kerberos import KerberosAcceptor
    except ImportError:
        raise SecurityError(
            "[kerberos] is configured and the library for it is not installed: pip install 'bridgehead[kerberos]'"
        ) from None
    return KerberosAcceptor(Path(kerberos.keytab), data / REPLAYS_FILE, kerberos.service).make
