"""Wireshark's dissector, which knows the pre-shared key, reads a session: nothing is malformed, and all is opened."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from bridgehead.transport.dtls.contract import DtlsSettings
from tests.transport.dtls.dialogue import PSK, Dialogue


def pcap(packets: list[tuple[bool, bytes]]) -> bytes:
    """IPv4 and UDP around each, between 192.0.2.1:40000 and 192.0.2.2:7777 (LINKTYPE_RAW)."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    for number, (to_server, data) in enumerate(packets):
        source, target = (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")[:: 1 if to_server else -1]
        ports = (40_000, 7_777) if to_server else (7_777, 40_000)
        udp = struct.pack(">HHHH", *ports, 8 + len(data), 0) + data
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0, source, target)
        out += struct.pack("<IIII", 1_000 + number, 0, len(ip) + len(udp), len(ip) + len(udp)) + ip + udp
    return out


@pytest.mark.clause("RFC9146-3", "RFC9146-4")
@pytest.mark.peer("tshark")
@pytest.mark.parametrize("ids", [False, True])
async def test_a_session_as_wireshark_reads_it(tmp_path: Path, ids: bool) -> None:
    settings = DtlsSettings()
    settings.connection_ids = ids
    settings.psk_exchanges = ("PSK",)  # without forward secrecy, so that the key opens it
    settings.ciphers = ("AES-128-CCM-8",)
    dialogue = Dialogue(settings=settings)
    node = dialogue.connect()
    dialogue.run()
    for number in range(5):
        dialogue.say(node, b"reading %d" % number)
        dialogue.run()
        dialogue.answer(dialogue.associations[0], b"heard %d" % number)
        dialogue.run()
    node.dtls.close("done")
    dialogue.run()
    capture = tmp_path / "session.pcap"
    capture.write_bytes(pcap(dialogue.wire))
    process = await asyncio.create_subprocess_exec(
        "tshark", "-r", str(capture), "-d", "udp.port==7777,dtls", "-o", f"dtls.psk:{PSK.hex()}", "-T", "json",
        "-e", "dtls.record.content_type", "-e", "dtls.handshake.type", "-e", "dtls.record.connection_id",
        "-e", "dtls.app_data", "-e", "dtls.alert_message.desc", "-e", "data.data", "-e", "_ws.malformed",
        "-e", "_ws.expert.message", "-e", "dtls.handshake.ciphersuite",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, complaints = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode == 0, complaints.decode()
    layers = [each["_source"]["layers"] for each in json.loads(output)]
    assert not any("_ws.malformed" in each or "_ws.expert.message" in each for each in layers), layers
    opened = [bytes.fromhex(each["data.data"][0]) for each in layers if "data.data" in each]
    said = [text for number in range(5) for text in (b"reading %d" % number, b"heard %d" % number)]
    assert opened == said
    handshakes = [kind for each in layers for kind in each.get("dtls.handshake.type", [])]
    assert handshakes.count("20") == 2  # both Finished were opened
    named = [each["dtls.record.connection_id"] for each in layers if "dtls.record.connection_id" in each]
    # Finished, five readings, the alert: all that the client protects.
    assert named == ([[dialogue.associations[0].cid.hex()]] * 7 if ids else []), layers
    assert [each["dtls.alert_message.desc"] for each in layers if "dtls.alert_message.desc" in each] == [["0"], ["0"]]
