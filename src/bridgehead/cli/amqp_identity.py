"""Where `pub` and `sub` connect to over AMQP, and what proves who they are there."""

from __future__ import annotations

import secrets
import ssl
from typing import Final

from bridgehead.cli.client_options import LOOPBACK, common_name, read_password, read_secret, usage, warn
from bridgehead.cli.coap_options import Given
from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.client.mechanisms import ExternalClient, PlainClient, Speaks
from bridgehead.protocols.amqp.client.streams import ALPN
from bridgehead.protocols.amqp.client.target import Target, TargetError, parse_target
from bridgehead.protocols.mqtt.client.target import Bundle, tls_context
from bridgehead.protocols.mqtt.client.target import TargetError as FilesError
from bridgehead.security.errors import SecurityError
from bridgehead.security.sasl.client import OAuthBearerClient, ScramClient
from bridgehead.security.sasl.scram import NONCE_OCTETS

SCRAMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256")
MECHANISMS: Final = ("PLAIN", "EXTERNAL", *SCRAMS, "OAUTHBEARER", "GSSAPI")


class AmqpIdentity:
    """Where to connect, and as whom. `candidates` are the mechanisms that the given credentials are for."""

    def __init__(self, target: Target, tls: ssl.SSLContext | None, candidates: list[Speaks], name: str | None) -> None:
        self.target: Final = target
        self.tls: Final = tls
        self.candidates: Final = candidates
        self.name: Final = name

    def container(self, asked: str | None) -> str:
        """The container-id: as asked for, else the identity's name with something of its own behind it."""
        return asked or f"{self.name or 'bridgehead'}-{secrets.token_hex(4)}"


def amqp_identity(
    url: str, given: Given, user: str | None, password_file: str | None, mechanism: str | None, token_file: str | None
) -> AmqpIdentity:
    """Check the options and read the files. Raises CommandError with exit code 2."""
    certificate, key, ca = given.certificate, given.key, given.ca
    try:
        target = parse_target(url)
        found = None if given.bundle is None else Bundle(given.bundle)
        if found is not None:
            ca = ca or found.ca
            if certificate is None:
                certificate, key = found.certificate, key or found.key
            if user is None and target.user_name is None and found.password is not None:
                user = found.user_name
                password_file = password_file or str(found.password)
        if not target.tls and (certificate or ca or key) and found is None:
            raise TargetError(f"--ca, --cert and --key need TLS: use amqps:// or amqp+wss:// and not {target.scheme}:")
        tls = tls_context(ca, certificate, key) if target.tls else None
    except (TargetError, FilesError) as error:
        raise usage(str(error)) from None
    if tls is not None and not target.websocket:
        tls.set_alpn_protocols([ALPN])
    user = user if user is not None else target.user_name
    if password_file is not None and user is None:
        raise usage("--password-file needs --user NAME")
    password = None if password_file is None else read_password(password_file)
    token = None if token_file is None else read_secret(token_file, "--token-file", "token")
    name = user or (found.name if found else None)
    if name is None and tls is not None and certificate is not None:
        name = common_name(certificate)
    proofs = _Proofs(target, user, password, token, tls is not None and certificate is not None)
    return AmqpIdentity(target, tls, proofs.candidates(mechanism), name)


class _Proofs:
    """What there is to prove an identity with."""

    def __init__(
        self, target: Target, user: str | None, password: bytes | None, token: bytes | None, certificate: bool
    ) -> None:
        self.target = target
        self.user = user
        self.password = password
        self.token = token
        self.certificate = certificate

    def candidates(self, mechanism: str | None) -> list[Speaks]:
        """The one asked for, else all that fit, the best first."""
        if mechanism is not None:
            name = mechanism.upper()
            if name not in MECHANISMS:
                raise usage(f"--mechanism {mechanism} is not known here: use {', '.join(MECHANISMS)}")
            return [self.one(name)]
        if self.token is not None:
            return [self.one("OAUTHBEARER")]
        if self.password is not None:
            # Inside TLS the server is known, and PLAIN works whatever it keeps of the password.
            names = ("PLAIN", *SCRAMS) if self.may_be_clear() else SCRAMS
            return [self.one(name) for name in names]
        if self.certificate:
            return [self.one("EXTERNAL")]
        raise usage("AMQP takes nobody unknown: give --user NAME and --password-file FILE, --bundle FOLDER or a token")

    def may_be_clear(self) -> bool:
        return self.target.tls or self.target.host in LOOPBACK

    def one(self, name: str) -> Speaks:
        if name == "EXTERNAL":
            if not self.certificate:
                raise usage(
                    "--mechanism EXTERNAL needs a certificate: give --cert and --key, or --bundle, and amqps://"
                )
            return ExternalClient()
        if name == "GSSAPI":
            return _kerberos(self.target)
        if name == "OAUTHBEARER":
            return self.bearer()
        if self.user is None or self.password is None:
            raise usage(f"--mechanism {name} needs --user NAME and --password-file FILE")
        if name == "PLAIN":
            if not self.may_be_clear():
                raise usage("PLAIN would send the password in clear text: use amqps:// or amqp+wss://")
            return PlainClient(self.user, self.password)
        password = self.password.decode("utf-8", "replace")
        try:
            return ScramClient(name, self.user, password, secrets.token_bytes(NONCE_OCTETS))
        except LocalMisuse as fault:
            raise usage(str(fault)) from None

    def bearer(self) -> Speaks:
        if self.token is None:
            raise usage("--mechanism OAUTHBEARER needs --token-file FILE")
        if not self.target.tls:
            warn("the token crosses the connection in clear text: use amqps:// or amqp+wss:// instead")
        return OAuthBearerClient(self.token.decode("ascii", "replace"), self.target.host, self.target.port)


def _kerberos(target: Target) -> Speaks:
    try:
        from bridgehead.security.sasl.kerberos_client import GssapiClient
    except ImportError:
        raise usage("--mechanism GSSAPI needs a library: pip install 'bridgehead[kerberos]'") from None
    try:
        return GssapiClient(f"amqp@{target.host}")
    except SecurityError as fault:
        raise usage(str(fault)) from None
