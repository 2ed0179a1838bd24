"""`bridgehead device export`: a ready bundle for one kind of client."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import Data, Json, Name, note
from bridgehead.cli.identity_at import PassphraseFile, open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.dds.routes import Routing
    from bridgehead.security.export.targets import Target

# As security.export.targets.TARGETS; held together by a test. Help shall not wait for cryptography to be loaded.
NAMES: Final = ("mqtt", "coap", "libcoap", "amqp", "dds", "esp-idf", "mosquitto", "paho", "ros2", "wot-td")
NEW: Final = "new"
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

For = Annotated[str, typer.Option("--for", metavar="TARGET", help=f"One of {', '.join(NAMES)}.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="New folder for the bundle; default NAME-TARGET.", show_default=False),
]
Credential = Annotated[
    list[str] | None,
    typer.Option(
        "--credential",
        metavar="new|KIND",
        help="Make a credential for it: the usual one of the target, or certificate, password, psk, rpk, oscore, dds.",
    ),
]
Overlap = Annotated[
    str,
    typer.Option("--overlap", metavar="TIME", help="How long the present ones still count then: 0, 90s, 30m, 12h, 7d."),
]
Host = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="The hub, in the snippets; default this machine's name.")
]
Port = Annotated[
    int | None,
    typer.Option("--port", metavar="PORT", min=1, max=65535, help="Its port, in the snippets; default the protocol's."),
]
Configuration = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The hub's configuration: its DDS routes, for dds and ros2."),
]


def export(
    name: Name,
    data: Data,
    target: For,
    out: Out = None,
    credential: Credential = None,
    overlap: Overlap = "7d",
    host: Host = None,
    port: Port = None,
    config: Configuration = None,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Write a ready bundle for one kind of client: files, a snippet that works as pasted, and what to do with them."""
    seconds = duration(overlap)
    if target not in NAMES:
        raise CommandError(f"--for {target} is not known: choose one of {', '.join(NAMES)}", USAGE)

    from bridgehead.security.export.folder import BundleFolder
    from bridgehead.security.export.gather import check_usable, gathering
    from bridgehead.security.export.targets import TARGETS, Order
    from bridgehead.security.pki.machine import parse_host

    chosen = TARGETS[target]
    new = _kinds(chosen, credential)
    routes = routing_of(config, data)
    with sentences():
        dialled = str(parse_host(host)) if host is not None else socket.gethostname()
        folder = BundleFolder(Path(f"{name}-{target}") if out is None else out)
    with open_identity(data, passphrase_file=passphrase_file) as identity:
        try:
            with gathering(identity, name, new, seconds) as enrolled:
                if chosen.usable:
                    check_usable(enrolled, chosen.usable, target)
                order = Order(identity, enrolled, dialled, chosen.port if port is None else port, routes)
                written = folder.put(chosen.build(order))
        except BaseException:
            folder.discard()
            raise
    _report(name, target, folder.folder, written, new, as_json)


def routing_of(config: Path | None, data: Path) -> Routing:
    """DDS' routes in the hub's configuration; without one there are none. Errors: CommandError."""
    from bridgehead.security.dds.routes import UNROUTED

    if config is None:
        return UNROUTED
    from bridgehead.node.config import ConfigError, load
    from bridgehead.node.dds_config import dds_config
    from bridgehead.node.dds_routing import routing

    try:
        return routing(dds_config(load(config, data).dds))
    except ConfigError as fault:
        raise CommandError(str(fault), USAGE) from None


def duration(text: str, option: str = "--overlap") -> float:
    """Seconds of "0", "90s", "30m", "12h", "7d". Errors: CommandError."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text)
    if found is None or (not found[2] and found[1] != "0"):
        raise CommandError(f"{option} {text} is no time: write 0, 90s, 30m, 12h or 7d", USAGE)
    return int(found[1]) * _SECONDS.get(found[2], 1.0)


def _kinds(target: Target, credential: list[str] | None) -> list[str]:
    """The kinds of credential to make."""
    found: list[str] = []
    for each in credential or ():
        if not target.usable:
            raise CommandError(f"--for {target.name} takes no credential: leave --credential out", USAGE)
        kind = target.usual if each == NEW else each
        if kind not in target.usable:
            choice = ", ".join(target.usable)
            raise CommandError(
                f"--credential {each} is nothing that {target.name} can use: say new, or one of {choice}", USAGE
            )
        if kind not in found:
            found.append(kind)
    return found


def _report(name: str, target: str, folder: Path, written: list[str], new: list[str], as_json: bool) -> None:
    from bridgehead.cli.device_show import print_json

    if as_json:
        print_json({"name": name, "for": target, "out": str(folder), "files": written, "made": new})
        return
    print(f"written to   {folder}: {' '.join(written)}")
    if new:
        note(f"new for {name}: {', '.join(new)}")
