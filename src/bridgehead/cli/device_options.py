"""What `device add` and `role add` share: the options, and from them permissions and passwords."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.identity_at import open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.identity.identity import Identity
    from bridgehead.security.records import PermissionRecord

__all__ = ["identities", "sentences"]  # sentences: for the commands that import it from here

LARGEST_PASSWORD: Final = 65_535  # octets: the field of an MQTT CONNECT (5.0 section 3.1.3.6)
SHORT_PASSWORD: Final = 12

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="The hub's data folder.", show_default=False)]
Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Publish = Annotated[
    list[str] | None,
    typer.Option("--publish", metavar="FILTER", help="May publish to it. ${device} stands for the device's name."),
]
Subscribe = Annotated[list[str] | None, typer.Option("--subscribe", metavar="FILTER", help="May subscribe to it.")]
DenyPublish = Annotated[
    list[str] | None,
    typer.Option("--deny-publish", metavar="FILTER", help="May not publish to it, whatever else permits it."),
]
DenySubscribe = Annotated[
    list[str] | None,
    typer.Option("--deny-subscribe", metavar="FILTER", help="May not receive it, whatever else permits it."),
]
MaxQos = Annotated[int, typer.Option("--max-qos", metavar="0|1|2", help="Highest QoS of these permissions.")]
NoRetain = Annotated[bool, typer.Option("--no-retain", help="May not publish retained messages.")]


@contextmanager
def identities(data: Path, make: bool) -> Iterator[Identity]:
    """The identities of the data folder; `make`: also when there are none yet."""
    with open_identity(data, make) as identity:
        yield identity


def permissions(
    publish: list[str] | None,
    subscribe: list[str] | None,
    deny_publish: list[str] | None,
    deny_subscribe: list[str] | None,
    max_qos: int,
    no_retain: bool,
) -> list[PermissionRecord]:
    """In the order of the command line; one for both operations where a filter stands for both."""
    from bridgehead.security.records import PermissionRecord

    if max_qos not in (0, 1, 2):
        raise CommandError(f"--max-qos {max_qos} is no QoS: it is 0, 1 or 2", USAGE)
    found: list[PermissionRecord] = []
    for allow, published, subscribed in ((True, publish, subscribe), (False, deny_publish, deny_subscribe)):
        for topic_filter in dict.fromkeys([*(published or ()), *(subscribed or ())]):
            may_publish = topic_filter in (published or ())
            may_subscribe = topic_filter in (subscribed or ())
            if allow:
                record = PermissionRecord(topic_filter, may_publish, may_subscribe, max_qos, not no_retain)
            else:
                record = PermissionRecord(topic_filter, may_publish, may_subscribe, allow=False)
            found.append(record)
    return found


def read_password(path: str) -> bytes:
    """The one line in the file, or of standard input for `-` (asked for twice, without echo, on a terminal)."""
    where = "standard input" if path == "-" else path
    if path == "-" and sys.stdin.isatty():
        password = getpass.getpass("password of the device: ").encode()
        if getpass.getpass("once more: ").encode() != password:
            raise CommandError("the two passwords differ: nothing was changed", USAGE)
    elif path == "-":
        password = sys.stdin.buffer.read(LARGEST_PASSWORD + 3)
    else:
        try:
            with Path(path).open("rb") as file:
                password = file.read(LARGEST_PASSWORD + 3)
        except OSError as fault:
            raise CommandError(
                f"--password-file {path} cannot be read: {(fault.strerror or '').lower()}", USAGE
            ) from None
    password = password.rstrip(b"\r\n")
    if not password:
        raise CommandError(f"there is no password in {where}: write it there as one line", USAGE)
    if b"\n" in password or b"\r" in password or b"\x00" in password:
        raise CommandError(f"{where} holds more than one line: the password is one line of text", USAGE)
    if len(password) > LARGEST_PASSWORD:
        raise CommandError(f"the password in {where} is longer than {LARGEST_PASSWORD} octets", USAGE)
    try:
        password.decode()
    except UnicodeDecodeError:
        raise CommandError(f"the password in {where} is not UTF-8 text", USAGE) from None
    if len(password) < SHORT_PASSWORD:
        note("this password is short; --generate-password makes one that cannot be guessed")
    return password


def note(text: str) -> None:
    """Something to know, on standard error: standard output is for results."""
    print(f"note: {text}", file=sys.stderr)
