"""Where an AMQP client connects to, and the node that its URL names."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

# scheme: (port when the URL names none, TLS, WebSocket)
SCHEMES: Final = {
    "amqp": (5672, False, False),
    "amqps": (5671, True, False),
    "amqp+ws": (80, False, True),
    "amqp+wss": (443, True, True),
    "amqps+ws": (443, True, True),
}
FORMS: Final = (
    "amqps://HOST[:5671]/topics/TOPIC, amqps://HOST[:5671]/queues/NAME, or with amqp://, amqp+ws://, amqp+wss://"
)
NODES: Final = ("/topics/", "/queues/")
RESOURCE: Final = "/amqp"


class TargetError(ValueError):
    """The URL cannot be used. The text says what to do instead and never holds a secret."""


class Target:
    """One server's address. `node` is the address of a topic or a queue, "" when the URL names none; `path` is the
    resource of the WebSocket handshake."""

    def __init__(
        self, scheme: str, host: str, port: int, node: str = "", path: str = RESOURCE, user_name: str | None = None
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.node = node
        self.path = path
        self.user_name = user_name

    @property
    def tls(self) -> bool:
        return SCHEMES[self.scheme][1]

    @property
    def websocket(self) -> bool:
        return SCHEMES[self.scheme][2]

    @property
    def websocket_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'wss' if self.tls else 'ws'}://{host}:{self.port}{self.path}"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path if self.websocket else ''}"


def is_amqp(url: str) -> bool:
    return url.partition(":")[0].lower() in SCHEMES


def parse_target(url: str) -> Target:
    """The address in `url`, with an optional `USER@`. Raises TargetError."""
    scheme = url.partition(":")[0].lower()
    if scheme not in SCHEMES:
        raise TargetError(f"the URL must be {FORMS}")
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")
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
    if parts.query or parts.fragment:
        raise TargetError("a ? or # in the name of a topic or queue is written %3F or %23")
    default, _, websocket = SCHEMES[scheme]
    path, node = RESOURCE, ""
    if parts.path.startswith(NODES):
        node = parts.path
        if node in NODES:
            raise TargetError(f"the URL names no topic or queue; it must be {FORMS}")
    elif websocket and parts.path not in ("", "/"):
        path = parts.path
    elif parts.path not in ("", "/"):
        raise TargetError(f"the URL's path names a topic or a queue: {FORMS}")
    user = unquote(parts.username) if parts.username else None
    return Target(scheme, parts.hostname, default if port is None else port, node, path, user)
