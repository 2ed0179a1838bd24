"""`--mechanism`: how `pub` and `sub` prove who they are by MQTT 5.0's enhanced authentication."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

import typer

from bridgehead.cli.client_options import CREDENTIALS, Identity, identity_of_name, read_secret, usage, warn
from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.mqtt.client.machine import Speaks
from bridgehead.protocols.mqtt.client.target import Target
from bridgehead.security.errors import SecurityError

MECHANISMS: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI")
Mechanism = Annotated[
    str | None,
    typer.Option(
        "--mechanism",
        metavar="NAME",
        help="Prove the identity by AUTH (MQTT 5.0): "
        + ", ".join(MECHANISMS)
        + "; over AMQP also PLAIN and EXTERNAL, and what fits is chosen when this is left out.",
        rich_help_panel=CREDENTIALS,
    ),
]
TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="FILE|-",
        help="File whose first line is the token of OAUTHBEARER; - reads that line from standard input.",
        rich_help_panel=CREDENTIALS,
    ),
]


def with_mechanism(who: Identity, mechanism: str | None, token_file: str | None, version: int) -> Identity:
    """The identity that proves itself by the mechanism. Raises CommandError with exit code 2."""
    if mechanism is None:
        if token_file is not None:
            raise usage("--token-file needs --mechanism OAUTHBEARER")
        return who
    name = mechanism.upper()
    if name not in MECHANISMS:
        raise usage(f"--mechanism {mechanism} is not known here: use {', '.join(MECHANISMS)}")
    if version != 5:
        raise usage("--mechanism needs MQTT 5.0: leave --mqtt-version out")
    if (token_file is not None) != (name == "OAUTHBEARER"):
        raise usage("--mechanism OAUTHBEARER needs --token-file FILE, and no other mechanism does")
    machine = _machine(name, who, token_file)
    return identity_of_name(who, machine)


def _machine(name: str, who: Identity, token_file: str | None) -> Speaks:
    target = who.target
    if name == "OAUTHBEARER":
        from bridgehead.security.sasl.client import OAuthBearerClient

        token = read_secret(token_file or "", "--token-file", "token")
        if not target.tls and not target.unix:
            warn("the token crosses the connection in clear text: use mqtts:// or wss:// instead")
        return OAuthBearerClient(token.decode("ascii", "replace"), target.host, target.port)
    if name == "GSSAPI":
        return _kerberos(target)
    from bridgehead.security.sasl.client import ScramClient
    from bridgehead.security.sasl.scram import NONCE_OCTETS

    if who.user_name is None or who.password is None:
        raise usage(f"--mechanism {name} needs --user NAME and --password-file FILE")
    try:
        return ScramClient(
            name, who.user_name, who.password.decode("utf-8", "replace"), secrets.token_bytes(NONCE_OCTETS)
        )
    except LocalMisuse as fault:
        raise usage(str(fault)) from None


def _kerberos(target: Target) -> Speaks:
    try:
        from bridgehead.security.sasl.kerberos_client import GssapiClient
    except ImportError:
        raise usage("--mechanism GSSAPI needs a library: pip install 'bridgehead[kerberos]'") from None
    try:
        return GssapiClient(f"mqtt@{target.host}")
    except SecurityError as fault:
        raise usage(str(fault)) from None
