"""Where a client connects to: the URL taken apart, and the TLS settings for it."""

from __future__ import annotations

import json
import os
import socket
import ssl
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from bridgehead.security.tls.profiles import harden

# scheme: (port when the URL names none, TLS, WebSocket)
SCHEMES: Final = {
    "mqtt": (1883, False, False),
    "mqtts": (8883, True, False),
    "ws": (80, False, True),
    "wss": (443, True, True),
    "mqtt+unix": (0, False, False),
}
# What a server says of the client's certificate (RFC 8446 section 6.2), by OpenSSL's names of the alerts.
ALERTS: Final = {
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the server says that this client certificate is revoked; ask for a new one",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the server says that this client certificate has expired; ask for a new one",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the server does not accept this client certificate; was it issued for this server?",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the server does not accept this client certificate; was it issued for it?",
    "TLSV1_ALERT_UNKNOWN_CA": "the server does not know the authority of this client certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a client certificate; give --cert and --key, or --bundle",
}
FORMS: Final = "mqtt://HOST[:1883], mqtts://HOST[:8883], ws://HOST[:80/PATH], wss://HOST[:443/PATH] or mqtt+unix:PATH"


class TargetError(ValueError):
    """The URL or the TLS settings cannot be used. The text says what to do instead and never holds a secret."""


class Target:
    """One server's address. `host` is empty and `path` is the socket's file for `mqtt+unix`; `path` is the
    resource of the WebSocket handshake for ws and wss."""

    def __init__(self, scheme: str, host: str, port: int, path: str = "", user_name: str | None = None) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.user_name = user_name

    @property
    def tls(self) -> bool:
        return SCHEMES[self.scheme][1]

    @property
    def websocket(self) -> bool:
        return SCHEMES[self.scheme][2]

    @property
    def unix(self) -> bool:
        return self.scheme == "mqtt+unix"

    def __str__(self) -> str:
        if self.unix:
            return f"mqtt+unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path if self.websocket else ''}"


def parse_target(url: str) -> Target:
    """The address in `url`, one of FORMS, with an optional `USER@`. Raises TargetError."""
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in SCHEMES:
        raise TargetError(f"the URL must be {FORMS}")
    if scheme == "mqtt+unix":
        path = rest.removeprefix("//") if rest.startswith("///") else rest
        if not path or path.startswith("//"):
            raise TargetError("mqtt+unix: needs the path of a socket, such as mqtt+unix:/run/bridgehead/mqtt.sock")
        return Target(scheme, "", 0, unquote(path))
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as the resolver will ask for it
    except ValueError:
        # The library's own text may repeat the URL, and that may hold a password.
        raise TargetError(f"the URL's host or port cannot be read; it must be {FORMS}") from None
    if parts.password is not None:
        raise TargetError(
            "a password in the URL would be seen by every user of this machine: leave it out and give "
            "--user NAME --password-file FILE (or - to read it from standard input)"
        )
    if not parts.hostname:
        raise TargetError(f"the URL names no host; it must be {FORMS}")
    default, _, websocket = SCHEMES[scheme]
    if not websocket and (parts.path not in ("", "/") or parts.query or parts.fragment):
        raise TargetError("the URL ends after the port: topics and filters are arguments of their own")
    path = (parts.path or "/mqtt") + (f"?{parts.query}" if parts.query else "") if websocket else ""
    user = unquote(parts.username) if parts.username else None
    return Target(scheme, parts.hostname, default if port is None else port, path, user)


def tls_context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """A client's context after the hub's own profile: TLS 1.2 and later, the server's name checked, trusting `ca` or
    else the system's authorities.

    Raises TargetError when a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks names and requires a certificate
    harden(context)
    if ca is not None:
        try:
            context.load_verify_locations(cafile=str(ca))
        except (OSError, ssl.SSLError) as error:
            raise TargetError(f"--ca {ca} cannot be used: {words(error)}; it must hold PEM certificates") from error
    else:
        context.load_default_certs()
    if key is not None and certificate is None:
        raise TargetError("--key needs its certificate: give --cert FILE too")
    if certificate is not None:
        check_key(certificate, key)
        try:
            context.load_cert_chain(str(certificate), str(key) if key else None, password=no_passphrase)
        except (OSError, ssl.SSLError, ValueError) as error:
            files = f"--cert {certificate}" + (f" with --key {key}" if key else " (and no --key)")
            raise TargetError(f"{files} cannot be used: {words(error)}") from error
    return context


def check_key(certificate: Path, key: Path | None) -> None:
    """A certificate alone is a frequent mistake, which OpenSSL calls a "pem lib" error. Raises TargetError."""
    if key is not None or not certificate.is_file():
        return
    try:
        found = b"PRIVATE KEY-----" in certificate.read_bytes()
    except OSError as error:
        raise TargetError(f"--cert {certificate} cannot be read: {words(error)}") from error
    if not found:
        raise TargetError(f"--cert {certificate} holds a certificate without its private key: give --key FILE too")


def no_passphrase() -> str:
    """Asked for by OpenSSL when the key is encrypted: better a sentence than a prompt in the middle of a script."""
    raise ValueError("the key is encrypted; decrypt it first, as with `openssl pkey`, into a file of mode 0600")


def words(error: Exception) -> str:
    """An error of the operating system or of OpenSSL without numbers and source lines."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason in ALERTS:
        return ALERTS[error.reason]
    if isinstance(error, ssl.SSLError):
        return str(error.reason).replace("_", " ").lower() if error.reason else "not readable as PEM"
    if isinstance(error, OSError):
        # asyncio's own text repeats the address; a failed look-up has a number that is no errno.
        system = error.errno is not None and not isinstance(error, socket.gaierror)
        return os.strerror(error.errno) if system and error.errno else error.strerror or str(error)
    return str(error)


class Bundle:
    """The folder that `bridgehead device add --out` wrote. Files that are not there are None."""

    def __init__(self, folder: Path) -> None:
        """Raises TargetError when it is no such folder."""
        if not folder.is_dir():
            raise TargetError(f"--bundle {folder} is no folder; give the one that `bridgehead device add --out` wrote")
        self.folder = folder
        self.ca = self.find("ca.pem")
        self.certificate = self.find("certificate.pem")
        self.key = self.find("key.pem")
        self.password = self.find("password")
        if self.ca is None:
            raise TargetError(f"--bundle {folder} holds no ca.pem; is it what `bridgehead device add --out` wrote?")
        self.user_name: str | None = None
        self.name: str | None = None
        description = self.find("device.json")
        if description is not None:
            self.describe(description)

    def find(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None

    def describe(self, description: Path) -> None:
        """Take the identity's name from `device.json`."""
        try:
            told = json.loads(description.read_text())
        except (OSError, ValueError) as error:
            raise TargetError(f"{description} cannot be read: {error}") from None
        if isinstance(told, dict):
            name, user_name = told.get("name"), told.get("user_name")
            self.name = name if isinstance(name, str) else None
            self.user_name = user_name if isinstance(user_name, str) else None
