"""`bridgehead inspect` with AMQP: as hex, and in captures of both versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pamqp import commands, frame

from bridgehead.cli.main import run
from bridgehead.protocols.amqp.codec.v1.encode import encode
from bridgehead.protocols.amqp.codec.v1.encode import frame as v1_frame
from bridgehead.protocols.amqp.codec.v1.hot import TransferEncoder
from bridgehead.protocols.amqp.codec.v1.performatives import Open
from bridgehead.protocols.amqp.codec.v1.sections import put_data
from tests.cli.captures import ACK, PSH, SYN, framed, ipv4, pcap, tcp

V1_HEADER = b"AMQP\x00\x01\x00\x00"
V091_HEADER = b"AMQP\x00\x00\x09\x01"
OPEN = v1_frame(0, encode(Open("office")))
TRANSFER = TransferEncoder(0, 0).settled_frame(1, put_data(b"21.5"))
PUBLISH = frame.marshal(commands.Basic.Publish(0, "e", "r"), 1)


def test_hex_with_a_header_is_known_by_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", (V1_HEADER + OPEN).hex(), "--json"]) == 0
    [header, opened] = json.loads(capsys.readouterr().out)["packets"]
    assert (header["name"], header["version"]) == ("protocol header", "AMQP 1.0")
    assert (opened["name"], opened["fault"]) == ("open", None)
    assert {"name": "container-id", "value": "'office'"}.items() <= opened["fields"][6].items()
    assert run(["inspect", (V091_HEADER + PUBLISH).hex()]) == 0
    output = capsys.readouterr().out
    assert "basic.publish  " in output
    assert "AMQP 0-9-1" in output
    assert "routing_key  'r'" in output


def test_hex_without_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--protocol", "amqp", TRANSFER.hex()]) == 0
    assert "data             '21.5'" in capsys.readouterr().out
    assert run(["inspect", "--protocol", "amqp091", PUBLISH.hex()]) == 0
    assert "basic.publish  " in capsys.readouterr().out
    assert run(["inspect", "--protocol", "amqp", TRANSFER[:20].hex()]) == 0
    assert "fault: the frame is incomplete [AMQP 1.0 2.3.1]" in capsys.readouterr().out


def connection(port: int, up: list[bytes], down: list[bytes], opened: bool = True) -> list[bytes]:
    frames = []
    sequence = answer = 1000
    if opened:
        frames.append(ipv4(tcp(40_000, port, sequence - 1, SYN)))
        frames.append(ipv4(tcp(port, 40_000, answer - 1, SYN | ACK), "10.0.0.2", "10.0.0.1"))
    for octets in up:
        frames.append(ipv4(tcp(40_000, port, sequence, PSH | ACK, octets)))
        sequence += len(octets)
    for octets in down:
        frames.append(ipv4(tcp(port, 40_000, answer, PSH | ACK, octets), "10.0.0.2", "10.0.0.1"))
        answer += len(octets)
    return [framed(each, 1) for each in frames]


def shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, frames: list[bytes], *words: str
) -> list[tuple[str, list[str]]]:
    file = tmp_path / "capture.pcap"
    file.write_bytes(pcap(frames))
    assert run(["inspect", "--pcap", str(file), "--json", *words]) == 0
    found = json.loads(capsys.readouterr().out)["connections"]
    return [(each["protocol"], [packet["name"] for packet in each["packets"]]) for each in found]


def test_captures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # Frames are put together from segments, whatever their borders; any port is known by the protocol header.
    frames = connection(5999, [V1_HEADER, OPEN[:5], OPEN[5:] + TRANSFER], [V1_HEADER + OPEN])
    frames += connection(6000, [V091_HEADER + PUBLISH], [])
    wanted = [
        ("AMQP 1.0", ["protocol header", "open", "transfer", "protocol header", "open"]),
        ("AMQP 0-9-1", ["protocol header", "basic.publish"]),
    ]
    assert shown(capsys, tmp_path, frames) == wanted
    assert shown(capsys, tmp_path, frames, "--protocol", "amqp") == wanted
    assert shown(capsys, tmp_path, frames, "--protocol", "mqtt") == []


def test_a_capture_that_begins_in_the_middle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frames = connection(5672, [TRANSFER], [], opened=False)
    assert shown(capsys, tmp_path, frames) == [("AMQP 1.0", ["transfer"])]
    file = tmp_path / "capture.pcap"
    assert run(["inspect", "--pcap", str(file)]) == 0
    assert "AMQP 1.0, 1 frame" in capsys.readouterr().out
