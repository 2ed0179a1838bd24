"""`bridgehead inspect` for CoAP: hex in each framing, and conversations and connections in captures."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.cli.main import run
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import ACK, CON, Message
from bridgehead.protocols.coap.codec.signalling import Capabilities
from bridgehead.protocols.coap.codec.stream import encode_stream, encode_websocket
from tests.cli.captures import ETHERNET, Talk, framed, ipv4, ipv6, pcap, udp
from tests.cli.test_inspect import inspected, names, refused

REQUEST = Message(codes.GET, ((11, b"t"), (11, b"Office")), b"", b"\x01", CON, 7)
ANSWER = Message(codes.CONTENT, ((12, b""),), b"21.5", b"\x01", ACK, 7)


def capture(folder: Path, packets: list[bytes]) -> str:
    file = folder / "capture.pcap"
    file.write_bytes(pcap([framed(packet, ETHERNET) for packet in packets]))
    return str(file)


def up(data: bytes, port: int = 5683) -> bytes:
    return ipv4(udp(50000, port, data), protocol=17)


def down(data: bytes, port: int = 5683) -> bytes:
    return ipv4(udp(port, 50000, data), "10.0.0.2", "10.0.0.1", protocol=17)


@pytest.mark.parametrize(
    ("protocol", "octets"),
    [
        ("coap", encode(REQUEST)),
        ("coap+tcp", encode_stream(REQUEST)),
        ("coap+ws", encode_websocket(REQUEST)),
    ],
)
def test_hex_in_each_framing(capsys: pytest.CaptureFixture[str], protocol: str, octets: bytes) -> None:
    [message] = inspected(capsys, "--protocol", protocol, octets.hex())["packets"]
    assert (message["name"], message["fault"]) == ("GET", None)
    assert [field["value"] for field in message["fields"] if field["name"] == "Uri-Path"] == ["'t'", "'Office'"]


def test_a_message_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--protocol", "coap", encode(ANSWER).hex()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Content  11 octets, CoAP over UDP"
    assert lines[1] == "  header"
    payload = [line.split() for line in lines if "'21.5'" in line]
    assert payload == [["7", "+4", "Payload", "'21.5'", "RFC", "7252", "3", "4", "octets"]]


def test_a_fault_is_said_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "--protocol", "coap", "40 01 00 01 30"]) == 0
    output = capsys.readouterr().out
    assert "  fault: Uri-Host has 0 octets, and may have 1 to 255 [RFC 7252 5.4.3], 4.02\n" in output
    [message] = inspected(capsys, "--protocol", "coap", "4f010001")["packets"]
    assert message["fault"] == {
        "text": "a token length of 15 is reserved",
        "clause": "RFC 7252 3",
        "code": "4.00",
        "offset": 0,
    }


def test_a_conversation_over_udp(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = capture(tmp_path, [up(encode(REQUEST)), down(encode(ANSWER)), up(b"\x40\x01")])
    found = inspected(capsys, "--pcap", file)
    assert names(found) == [["GET", "Content", "CoAP message"]]
    [conversation] = found["connections"]
    assert (conversation["protocol"], conversation["client"]) == ("CoAP over UDP", "10.0.0.1:50000")
    assert [packet["from"] for packet in conversation["packets"]] == ["client", "server", "client"]


def test_a_capture_that_begins_with_an_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    v6 = [
        ipv6(udp(5683, 5683, encode(ANSWER)), "fe80::2", "fe80::1", protocol=17),
        ipv6(udp(5683, 5683, encode(REQUEST)), "fe80::1", "fe80::2", protocol=17),
    ]
    [conversation] = inspected(capsys, "--pcap", capture(tmp_path, v6))["connections"]
    assert (conversation["client"], conversation["server"]) == ("[fe80::1]:5683", "[fe80::2]:5683")


def test_another_port_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = capture(tmp_path, [up(encode(REQUEST), 7000), down(encode(ANSWER), 7000), up(encode(REQUEST))])
    assert names(inspected(capsys, "--pcap", file)) == [["GET"]]
    assert names(inspected(capsys, "--pcap", file, "--port", "7000")) == [["GET", "Content"]]


def test_dtls_is_named_and_not_shown(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record = bytes.fromhex("16fefd0000000000000000000401020304")
    assert run(["inspect", "--pcap", capture(tmp_path, [up(record, 5684)])]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "the conversation 10.0.0.1:50000 → 10.0.0.2:5684 is encrypted with DTLS: what it carries cannot be shown",
        "there is no MQTT, CoAP or AMQP in the capture that could be shown",
    ]


def test_much_dtls_is_counted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    record = bytes.fromhex("16fefd0000000000000000000401020304")
    assert run(["inspect", "--pcap", capture(tmp_path, [up(record, port) for port in range(7000, 7013)])]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[9:11] == [
        "the conversation 10.0.0.1:50000 → 10.0.0.2:7009 is encrypted with DTLS: what it carries cannot be shown",
        "3 more conversations are encrypted with DTLS: choose by --port",
    ]


@pytest.mark.parametrize("port", [5683, 7000])
def test_a_connection_over_tcp(capsys: pytest.CaptureFixture[str], tmp_path: Path, port: int) -> None:
    talk = Talk(port)
    talk.open()
    csm = encode_stream(Capabilities(8192, True).message())
    talk.client(csm + encode_stream(REQUEST)[:3])
    talk.client(encode_stream(REQUEST)[3:])
    talk.server(csm)
    talk.server(encode_stream(ANSWER))
    found = inspected(capsys, "--pcap", capture(tmp_path, talk.packets))
    assert names(found) == [["CSM", "GET", "CSM", "Content"]]
    assert found["connections"][0]["protocol"] == "CoAP over TCP"


def test_one_protocol_only(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    talk = Talk(1883)
    talk.open()
    talk.client(b"\xc0\x00")
    file = capture(tmp_path, [*talk.packets, up(encode(REQUEST))])
    assert names(inspected(capsys, "--pcap", file)) == [["PINGREQ"], ["GET"]]
    assert names(inspected(capsys, "--pcap", file, "--protocol", "coap")) == [["GET"]]
    assert names(inspected(capsys, "--pcap", file, "--protocol", "mqtt")) == [["PINGREQ"]]
    found = inspected(capsys, "--pcap", file, "--protocol", "coap+tcp")
    assert found["connections"] == []
    assert found["remarks"] == [
        "1 other TCP connection in the capture is not CoAP",
        "there is no CoAP in the capture that could be shown",
    ]


def test_what_does_not_go_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert refused(capsys, "--protocol", "dds", "00").startswith("--protocol is one of mqtt, coap,")
    assert refused(capsys, "--protocol", "coap", "--mqtt-version", "5", "00").startswith(
        "--mqtt-version goes with MQTT"
    )
    file = capture(tmp_path, [up(encode(REQUEST))])
    assert refused(capsys, "--protocol", "coap+ws", "--pcap", file).startswith("CoAP over WebSocket is not found")
