"""`bridgehead inspect`: takes MQTT packets, CoAP messages and AMQP frames apart, as hex or from a capture file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.cli.inspect_view import Shown

_VERSIONS: Final = {"3": 3, "3.1": 3, "4": 4, "3.1.1": 4, "5": 5, "5.0": 5}
_PROTOCOLS: Final = ("mqtt", "coap", "coap+tcp", "coap+ws", "amqp", "amqp091")
_AMQP: Final = {"amqp": "", "amqp091": "AMQP 0-9-1"}
_NOTHING: Final = "give a packet as hex, for example `bridgehead inspect 30 05 00 03 61 2f 62`, or --pcap FILE"

Hex = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="HEX|-",
        show_default=False,
        help="One or several packets in a row; spaces, colons and 0x are allowed. - reads standard input, "
        "which keeps a password out of the list of processes.",
    ),
]
Pcap = Annotated[Path | None, typer.Option("--pcap", metavar="FILE", help="A capture file, pcap or pcapng.")]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="With --pcap: what goes to or from this port only.")
]
Version = Annotated[
    str,
    typer.Option(
        "--mqtt-version",
        metavar="3|4|5",
        show_default=False,
        help="3 is MQTT 3.1, 4 is 3.1.1, 5 is 5.0. Default: what a CONNECT tells, else what fits.",
    ),
]
Protocol = Annotated[
    str,
    typer.Option(
        "--protocol",
        metavar="mqtt|coap|coap+tcp|coap+ws|amqp|amqp091",
        show_default=False,
        help="What the hex is: MQTT packets (the default), a CoAP datagram, CoAP messages as on TCP, a CoAP message "
        "as in WebSocket, or frames of AMQP 1.0 or 0-9-1 (with a protocol header before them both are known by it). "
        "With --pcap: show only this.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def register(app: typer.Typer) -> None:
    """Add `inspect` to the command line."""
    app.command("inspect")(inspect)


def inspect(
    packets: Hex = None,
    pcap: Pcap = None,
    port: Port = None,
    protocol: Protocol = "",
    mqtt_version: Version = "",
    as_json: Json = False,
) -> None:
    """Show MQTT packets, CoAP messages or AMQP frames field by field, each with offset, value and defining clause."""
    from bridgehead.cli import inspect_view

    version = _version(mqtt_version)
    if protocol and protocol not in _PROTOCOLS:
        raise CommandError(f"--protocol is one of {', '.join(_PROTOCOLS)}, not {protocol!r}", USAGE)
    if version and protocol not in ("", "mqtt"):
        raise CommandError("--mqtt-version goes with MQTT, not with --protocol " + protocol, USAGE)
    if pcap is None and port is not None:
        raise CommandError("--port goes with --pcap FILE", USAGE)
    if pcap is not None and packets:
        raise CommandError("give either hex or --pcap FILE, not both", USAGE)
    if pcap is not None:
        shown = _from_capture(pcap, port, version, protocol)
    elif packets:
        shown = _from_hex(_octets(packets), version, protocol)
    else:
        raise CommandError(_NOTHING, USAGE)
    if as_json:
        inspect_view.print_json(shown)
    else:
        inspect_view.print_text(shown)


def _from_hex(octets: bytes, version: int, protocol: str) -> Shown:
    from bridgehead.cli import inspect_view
    from bridgehead.protocols.coap.dissect import DATAGRAM, STREAM, WEBSOCKET

    framings = {"coap": DATAGRAM, "coap+tcp": STREAM, "coap+ws": WEBSOCKET}
    if protocol in framings:
        return inspect_view.from_coap_octets(octets, framings[protocol])
    if protocol.startswith("amqp") or (not protocol and octets.startswith(b"AMQP")):
        return inspect_view.from_amqp_octets(octets, _AMQP[protocol or "amqp"])
    return inspect_view.from_octets(octets, version)


def _version(text: str) -> int:
    version = _VERSIONS.get(text, 0)
    if text and not version:
        raise CommandError(f"--mqtt-version is 3 (MQTT 3.1), 4 (3.1.1) or 5, not {text!r}", USAGE)
    return version


def _octets(arguments: list[str]) -> bytes:
    """The octets that the hex stands for."""
    text = sys.stdin.read() if arguments == ["-"] else " ".join(arguments)
    for token in (":", ",", "\\x", "0x", "0X", "-"):
        text = text.replace(token, " ")
    text = "".join(text.split())
    wrong = next((character for character in text if character not in "0123456789abcdefABCDEF"), "")
    if wrong:
        raise CommandError(f"{wrong!r} is no hexadecimal digit; {_NOTHING}", USAGE)
    if len(text) % 2:
        raise CommandError(f"the hex has an odd number of digits ({len(text)}): every octet takes two", USAGE)
    if not text:
        raise CommandError(f"there is no hex; {_NOTHING}", USAGE)
    return bytes.fromhex(text)


def _from_capture(file: Path, port: int | None, version: int, protocol: str) -> Shown:
    from bridgehead.cli.inspect_capture import CaptureError
    from bridgehead.cli.inspect_streams import AMQP, MQTT
    from bridgehead.cli.inspect_view import from_capture
    from bridgehead.protocols.coap.dissect import DATAGRAM, STREAM

    if protocol == "coap+ws":
        raise CommandError("CoAP over WebSocket is not found in captures: give one message as hex", USAGE)
    names = {"mqtt": MQTT, "coap": DATAGRAM, "coap+tcp": STREAM, "amqp": AMQP, "amqp091": AMQP}
    protocols = frozenset([names[protocol]] if protocol else names.values())
    try:
        with file.open("rb") as opened:
            return from_capture(opened, port, version, protocols)
    except CaptureError as error:
        raise CommandError(f"{file} cannot be read: {error}", USAGE) from None
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}", USAGE) from None
