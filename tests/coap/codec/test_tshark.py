"""Wireshark's dissector reads what we write as we meant it, and finds nothing malformed."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import Message, Option, in_order
from bridgehead.protocols.coap.codec.options import OPTIONS, STRING, UINT
from bridgehead.protocols.coap.codec.stream import encode_stream
from bridgehead.protocols.coap.dissect import STREAM, dissect
from tests.cli.captures import ETHERNET, Talk, framed, ipv4, pcap, udp

pytestmark = pytest.mark.peer("tshark")

# Debian's Wireshark does not know them, or dissects a payload that is not there.
_LEFT_OUT = {
    option.NO_RESPONSE,
    option.OSCORE,
    option.HOP_LIMIT,
    option.Q_BLOCK1,
    option.Q_BLOCK2,
    option.REQUEST_TAG,
    option.ECHO,
}
_BLOCKS = {option.BLOCK1, option.BLOCK2}


def some_messages(count: int) -> list[Message]:
    chance = random.Random(7252)
    found: list[Message] = []
    rows = [row for number, row in sorted(OPTIONS.items()) if number not in _LEFT_OUT | _BLOCKS]
    for serial in range(count):
        options: list[Option] = []
        for row in chance.sample(rows, chance.randint(0, 5)):
            # Wireshark 4.0 takes a string without octets for a fault; RFC 7252 table 4 does not.
            least = max(row.minimum, 1) if row.format == STRING else row.minimum
            length = chance.randint(least, min(row.maximum, 30))
            value = bytes(chance.choice(b"abcdefgh") for _ in range(length))
            if row.format == UINT:
                value = value.lstrip(b"\0")
            options += [(row.number, value)] * (2 if row.repeatable and row.format == STRING else 1)
        code = chance.choice([codes.GET, codes.PUT, codes.POST, codes.DELETE, codes.CONTENT, codes.NOT_FOUND])
        payload = chance.randbytes(chance.choice([0, 1, 60]))
        options = [each for each in options if each[0] != option.CONTENT_FORMAT]
        options.append((option.CONTENT_FORMAT, b"\x2a"))  # octets: nothing that is dissected further
        found.append(
            Message(code, in_order(options), payload, chance.randbytes(chance.randint(0, 8)), serial % 2, serial)
        )
    return found


def tshark(file: Path, *options: str) -> list[str]:
    done = subprocess.run(
        ["tshark", "-r", str(file), *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.clause("RFC7252-3")
@pytest.mark.clause("RFC7252-3.1")
def test_datagrams(tmp_path: Path) -> None:
    sent = some_messages(150)
    file = tmp_path / "capture.pcap"
    file.write_bytes(pcap([framed(ipv4(udp(40_000, 5683, encode(each)), protocol=17), ETHERNET) for each in sent]))
    assert tshark(file, "-Y", "_ws.malformed || coap.invalid_option_number || coap.invalid_option_range") == []
    names = ["coap.code", "coap.mid", "coap.token", "coap.payload_length", "coap.type"]
    rows = tshark(file, "-T", "fields", *[word for name in names for word in ("-e", name)])
    read = [row.split("\t") for row in rows]
    assert [[int(row[0]), int(row[1]), bytes.fromhex(row[2].replace(":", "")), int(row[4])] for row in read] == [
        [each.code, each.message_id, each.token, each.type] for each in sent
    ]
    counts = tshark(file, "-T", "fields", "-e", "coap.opt.name")
    assert [len(row.split(",")) for row in counts] == [len(each.options) for each in sent]


@pytest.mark.clause("RFC8323-3.2")
def test_a_stream(tmp_path: Path) -> None:
    sent = some_messages(60)
    talk = Talk(5683)
    talk.open()
    for each in sent:
        talk.client(encode_stream(each))
    file = tmp_path / "capture.pcap"
    file.write_bytes(talk.pcap())
    assert tshark(file, "-Y", "_ws.malformed") == []
    rows = tshark(file, "-Y", "coap", "-T", "fields", "-e", "coap.code", "-e", "coap.token")
    read = [row.split("\t") for row in rows]
    assert [(int(row[0]), bytes.fromhex(row[1].replace(":", ""))) for row in read] == [
        (each.code, each.token) for each in sent
    ]
    assert len(dissect(b"".join(encode_stream(each) for each in sent), STREAM)) == 60
