"""How `bridgehead inspect` shows packets: a table on a terminal, aligned text elsewhere, JSON for scripts."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import BinaryIO, Final

from bridgehead.cli import inspect_datagrams
from bridgehead.cli.inspect_capture import LINK_TYPES, Datagram, Frame, Segment, content_of, frames
from bridgehead.cli.inspect_datagrams import DTLS, Conversation, conversations
from bridgehead.cli.inspect_streams import (
    AMQP,
    COAP,
    HTTP,
    MQTT,
    TLS,
    Connection,
    ShownPacket,
    amqp_frames_of,
    coap_messages_of,
    connections,
    packets_of,
)
from bridgehead.protocols.amqp.dissect import dissect as dissect_amqp
from bridgehead.protocols.amqp.dissection import DissectedFrame
from bridgehead.protocols.coap.codec.codes import dotted
from bridgehead.protocols.coap.dissect import DissectedMessage
from bridgehead.protocols.coap.dissect import dissect as dissect_coap
from bridgehead.protocols.mqtt.dissect import DissectedPacket, dissect
from bridgehead.wire.dissection import Dissected, Field

_NAMED: Final = 10  # conversations that cannot be shown; the others are counted
_VERSION_NAMES: Final = {0: "MQTT of an unknown version", 3: "MQTT 3.1", 4: "MQTT 3.1.1", 5: "MQTT 5.0"}


class ShownConnection:
    """One connection or conversation of a capture, and its packets in the order of time. `version` is MQTT's."""

    def __init__(
        self, connection: Connection | Conversation, protocol: str, version: int, packets: list[ShownPacket]
    ) -> None:
        self.connection: Final = connection
        self.protocol: Final = protocol
        self.version: Final = version
        self.packets: Final = packets


class Shown:
    """What there is to show: packets given as hex, or connections of a capture with sentences on what is not shown."""

    def __init__(self, packets: list[Dissected], found: list[ShownConnection], remarks: list[str]) -> None:
        self.packets: Final = packets
        self.connections: Final = found
        self.remarks: Final = remarks


def from_octets(octets: bytes, version: int) -> Shown:
    """MQTT packets."""
    return Shown(list(dissect(octets, version)), [], [])


def from_coap_octets(octets: bytes, framing: str) -> Shown:
    """CoAP messages; `framing` is one of protocols.coap.dissect's."""
    return Shown(list(dissect_coap(octets, framing)), [], [])


def from_amqp_octets(octets: bytes, version: str) -> Shown:
    """AMQP frames; `version` is one of protocols.amqp.dissection's, for octets without a protocol header."""
    return Shown(list(dissect_amqp(octets, version)), [], [])


def from_capture(file: BinaryIO, port: int | None, version: int, protocols: frozenset[str]) -> Shown:
    """`protocols` are names of MQTT and of CoAP's framings. Raises CaptureError for a file that is no capture."""
    remarks: list[str] = []
    segments, datagrams = _contents(file, remarks)
    found: list[ShownConnection] = []
    others = 0
    for connection in connections(segments, port):
        kind = connection.kind(port)
        if kind in (MQTT, COAP, AMQP) and kind not in protocols:
            kind = COAP if COAP in protocols and port is not None else "other"
        if kind == MQTT:
            spoken, packets = packets_of(connection, version)
            found.append(ShownConnection(connection, _VERSION_NAMES[spoken], spoken, packets))
        elif kind == COAP:
            found.append(ShownConnection(connection, COAP, 0, coap_messages_of(connection)))
        elif kind == AMQP:
            frames_shown = amqp_frames_of(connection, "")
            spoken_amqp = next((_version_of_amqp(each) for each in frames_shown if _version_of_amqp(each)), AMQP)
            found.append(ShownConnection(connection, spoken_amqp, 0, frames_shown))
        elif kind == TLS:
            remarks.append(f"{_ends(connection)} is encrypted with TLS: what it carries cannot be shown")
        elif kind == HTTP:
            remarks.append(f"{_ends(connection)} is HTTP or WebSocket, which is not taken apart")
        else:
            others += 1
    names = [name for name in (MQTT, "CoAP", AMQP) if any(each.startswith(name) for each in protocols)]
    wanted = " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    if others:
        remarks.append(f"{_count(others, 'other TCP connection')} in the capture {_be(others)} not {wanted}")
    if inspect_datagrams.COAP in protocols:
        _add_conversations(datagrams, port, found, remarks)
    if not found:
        where = "" if port is None else f" on port {port}"
        remarks.append(f"there is no {wanted}{where} in the capture that could be shown")
    return Shown([], found, remarks)


def _add_conversations(
    datagrams: list[Datagram], port: int | None, found: list[ShownConnection], remarks: list[str]
) -> None:
    encrypted = 0
    for conversation in conversations(datagrams, port):
        kind = conversation.kind(port)
        if kind == inspect_datagrams.COAP:
            found.append(ShownConnection(conversation, kind, 0, conversation.messages()))
        elif kind == DTLS:
            encrypted += 1
            if encrypted <= _NAMED:
                remarks.append(f"{_ends(conversation)} is encrypted with DTLS: what it carries cannot be shown")
    more = encrypted - _NAMED
    if more > 0:
        remarks.append(f"{_count(more, 'more conversation')} {_be(more)} encrypted with DTLS: choose by --port")


def _contents(file: BinaryIO, remarks: list[str]) -> tuple[list[Segment], list[Datagram]]:
    segments: list[Segment] = []
    datagrams: list[Datagram] = []
    cut = 0
    unknown: set[int] = set()
    for frame in frames(file):
        content = content_of(frame)
        if isinstance(content, Segment):
            segments.append(content)
        elif content is not None:
            datagrams.append(content)
        elif not _is_known(frame):
            unknown.add(frame.link_type)
        cut += content is not None and frame.missing > 0
    if cut:
        remarks.append(f"{_count(cut, 'frame')} {_be(cut)} cut short by the capture: capture with a snap length of 0")
    for link_type in sorted(unknown):
        remarks.append(f"frames of the link type {link_type} are not understood")
    return segments, datagrams


def _is_known(frame: Frame) -> bool:
    return frame.link_type in LINK_TYPES


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _ends(connection: Connection | Conversation) -> str:
    client, server = connection.client, connection.server
    kind = "connection" if isinstance(connection, Connection) else "conversation"
    return f"the {kind} {client[0]}:{client[1]} → {server[0]}:{server[1]}"


# Text. --------------------------------------------------------------------------------------------------


def print_text(shown: Shown) -> None:
    """To standard output; remarks on what is not shown go to standard error."""
    for packet in shown.packets:
        _print_packet(packet, "", "")
    for found in shown.connections:
        connection = found.connection
        heading = f"{connection.client[0]}:{connection.client[1]} → {connection.server[0]}:{connection.server[1]}"
        print(f"{heading}  {found.protocol}, {_count(len(found.packets), _unit(found))}\n")
        for each in found.packets:
            if each.missing:
                print(f"  ({_count(each.missing, 'octet')} missing from the capture here)\n")
            arrow = "←" if each.from_server else "→"
            _print_packet(each.packet, arrow, f"{_clock(each.time)}  ")
    sys.stdout.flush()
    for remark in shown.remarks:
        print(remark, file=sys.stderr)


def _unit(found: ShownConnection) -> str:
    if found.protocol.startswith(AMQP):
        return "frame"
    return "packet" if found.protocol.startswith(MQTT) else "message"


def _version_of_amqp(shown: ShownPacket) -> str:
    return shown.packet.version if isinstance(shown.packet, DissectedFrame) else ""


def _clock(time: float) -> str:
    """The time of day in UTC, as far as a damaged capture has one."""
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S.%f")
    except (OverflowError, ValueError, OSError):
        return f"{time:g} s"


def _title(packet: Dissected) -> str:
    if isinstance(packet, DissectedPacket):
        version = _VERSION_NAMES[packet.version]
        assumed = " (assumed: give --mqtt-version to say otherwise)" if packet.assumed_version else ""
        return f"{_count(packet.length, 'octet')}, {version}{assumed}"
    if isinstance(packet, DissectedFrame):
        return f"{_count(packet.length, 'octet')}{f', {packet.version}' if packet.version else ''}"
    framing = f", {packet.framing}" if isinstance(packet, DissectedMessage) else ""
    return f"{_count(packet.length, 'octet')}{framing}"


def _fault(packet: Dissected) -> str:
    code = ""
    if packet.fault_code:
        is_coap = isinstance(packet, DissectedMessage)
        code = f", {dotted(packet.fault_code)}" if is_coap else f", Reason Code 0x{packet.fault_code:02X}"
    place = f", octet {packet.fault_offset}" if packet.fault_offset >= 0 else ""
    clause = f" [{packet.fault_clause}]" if packet.fault_clause else ""
    return f"fault: {packet.fault}{clause}{code}{place}"


def _print_packet(packet: Dissected, arrow: str, prefix: str) -> None:
    if sys.stdout.isatty():
        _print_table(packet, arrow, prefix)
        return
    print(f"{prefix}{arrow + ' ' if arrow else ''}{packet.name}  {_title(packet)}")
    widths = [max(len(_cells(field)[column]) for field in packet.fields) for column in range(5)]
    part = ""
    for field in packet.fields:
        if field.part != part:
            part = field.part
            print(f"  {part}")
        row = "  ".join(cell.ljust(width) for cell, width in zip(_cells(field), widths, strict=True))
        print(f"    {row}  {field.note}".rstrip())
    if packet.fault is not None:
        print(f"  {_fault(packet)}")
    print()


def _cells(field: Field) -> tuple[str, str, str, str, str]:
    return str(field.offset), f"+{field.length}", field.name, field.value, field.clause


def _print_table(packet: Dissected, arrow: str, prefix: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    title = Text(prefix)
    title.append(f"{arrow} " if arrow else "")
    title.append(packet.name, style="bold cyan")
    title.append(f"  {_title(packet)}", style="dim")
    console.print(title)
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", style="dim")
    table.add_column(style="dim")
    table.add_column(style="bold")
    table.add_column(style="green", overflow="fold")
    table.add_column(style="blue")
    table.add_column(style="dim")
    part = ""
    for field in packet.fields:
        if field.part != part:
            part = field.part
            table.add_row("", "", Text(part, style="italic dim"))
        table.add_row(*(Text(cell) for cell in (*_cells(field), field.note)))
    console.print(table)
    if packet.fault is not None:
        console.print(Text(_fault(packet), style="bold red"))
    console.print()


# JSON. --------------------------------------------------------------------------------------------------


def print_json(shown: Shown) -> None:
    """One JSON object: `packets` for hex, `connections` for a capture, and the remarks."""
    import msgspec

    value: dict[str, object] = {}
    if shown.connections or shown.remarks:
        value["connections"] = [_connection_value(found) for found in shown.connections]
        value["remarks"] = shown.remarks
    else:
        value["packets"] = [_packet_value(packet) for packet in shown.packets]
    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def _connection_value(found: ShownConnection) -> dict[str, object]:
    connection = found.connection
    return {
        "client": f"{connection.client[0]}:{connection.client[1]}",
        "server": f"{connection.server[0]}:{connection.server[1]}",
        "protocol": "MQTT" if found.protocol.startswith(MQTT) else found.protocol,
        "version": found.version or None,
        "packets": [
            {
                "time": each.time,
                "from": "server" if each.from_server else "client",
                "missing_before": each.missing,
                **_packet_value(each.packet),
            }
            for each in found.packets
        ],
    }


def _packet_value(packet: Dissected) -> dict[str, object]:
    value: dict[str, object] = {"name": packet.name, "offset": packet.offset, "length": packet.length}
    if isinstance(packet, DissectedPacket):
        value["version"] = packet.version or None
        value["assumed_version"] = packet.assumed_version
    elif isinstance(packet, DissectedMessage):
        value["framing"] = packet.framing
    elif isinstance(packet, DissectedFrame):
        value["version"] = packet.version or None
    value["fields"] = [
        {
            "part": field.part,
            "name": field.name,
            "value": field.value,
            "offset": field.offset,
            "length": field.length,
            "clause": field.clause,
            "note": field.note,
        }
        for field in packet.fields
    ]
    value["fault"] = None
    if packet.fault is not None:
        code: dict[str, object] = {"reason_code": packet.fault_code}
        if isinstance(packet, DissectedMessage):
            code = {"code": dotted(packet.fault_code) if packet.fault_code else None}
        elif isinstance(packet, DissectedFrame):
            code = {}
        value["fault"] = {
            "text": packet.fault,
            "clause": packet.fault_clause,
            **code,
            "offset": packet.fault_offset if packet.fault_offset >= 0 else None,
        }
    return value
