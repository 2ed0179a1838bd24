"""The `bind` of a listener: what may stand there, and what it means."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
# sockaddr_un.sun_path holds 108 octets with the closing zero (unix(7)).
_LONGEST_UNIX_PATH: Final = 107


class BindError(ValueError):
    """What is wrong with a `bind`, and what to write instead; both whole clauses."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy


class Bind:
    """An address to listen on: a path (Unix socket), or a host and a port. Host "*" is every IPv4 and IPv6 address."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.host = host
        self.port = port
        self.path = path

    @property
    def is_unix(self) -> bool:
        return bool(self.path)

    @property
    def is_loopback(self) -> bool:
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_bind(text: str) -> Bind:
    """`127.0.0.1:8883`, `[::1]:8883`, `hub.example:8883`, `*:8883` or `unix:/run/hub.sock`. Port 0: any free port."""
    if text.startswith("unix:"):
        return Bind("", 0, _unix_path(text[5:]))
    host, colon, port_text = text.rpartition(":")
    if not colon or not port_text:
        raise BindError(f'"{text}" has no port', 'write host:port, for example "127.0.0.1:8883"')
    if not host:
        raise BindError(f'"{text}" has no host', f'write "*:{port_text}" for every address of this machine')
    if not (port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and int(port_text) <= 65535):
        raise BindError(f'"{port_text}" is not a port', "write a number from 0 to 65535")
    return Bind(_host(host, port_text), int(port_text), "")


def _unix_path(path: str) -> str:
    if not path.startswith("/"):
        raise BindError(f'the path "{path}" is not absolute', 'write unix:/path, for example "unix:/run/hub.sock"')
    if "\0" in path or len(path.encode()) > _LONGEST_UNIX_PATH:
        raise BindError(
            f"a Unix socket's path has at most {_LONGEST_UNIX_PATH} octets and no NUL", "choose a shorter path"
        )
    return path


def _host(host: str, port: str) -> str:
    if host == "*":
        return host
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise BindError(f'"{host}" is not an IPv6 address', f'write for example "[::1]:{port}"') from None
    if ":" in host:
        raise BindError(f'"{host}" is not a host', f'write an IPv6 address in brackets: "[{host}]:{port}"')
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        pass
    # All digits and dots but no IPv4 address: a slip of the pen, not a host name (RFC 1123 2.1).
    if re.fullmatch(r"[0-9.]+", host) or not _HOST_NAME.fullmatch(host):
        raise BindError(f'"{host}" is neither an address nor a host name', f'write for example "127.0.0.1:{port}"')
    return host
