"""`bridgehead inspect`: hex and captures in, fields with clauses out, one sentence for what is wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from bridgehead.cli.main import run
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from tests.cli import captures
from tests.cli.captures import ACK, ETHERNET, FIN, SYN, Talk, framed, ipv4, ipv6, pcap, pcapng, tcp


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON that comes out."""
    assert run(["inspect", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The sentence on standard error."""
    assert run(["inspect", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("bridgehead inspect: ")
    assert output.err.count("\n") == 1
    return output.err.removeprefix("bridgehead inspect: ").rstrip("\n")


def octets_of(packets: list[Packet], version: int) -> bytes:
    return b"".join([encode(packet, version) for packet in packets])


CONNECT = Connect(4, True, 60, "dev1", None, "user", b"hunter2")


def whole_talk(port: int = 1883) -> Talk:
    """Three packets each way, by turns."""
    up: list[Packet] = [CONNECT, Subscribe(1, [SubscriptionRequest("a/#", 1)]), Puback(7)]
    down: list[Packet] = [Connack(False, 0), Suback(1, [1]), Publish("a/b", b"hello", 1, False, False, 7)]
    talk = Talk(port)
    talk.open()
    for from_client, from_server in zip(up, down, strict=True):
        talk.client(encode(from_client, 4))
        talk.server(encode(from_server, 4))
    return talk


def names(found: Any) -> list[list[str]]:
    return [[packet["name"] for packet in connection["packets"]] for connection in found["connections"]]


# Hex. ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["300500036 12f62"],
        ["30", "05", "00", "03", "61", "2f", "62"],
        ["30:05:00:03:61:2F:62"],
        ["0x30,0x05,0x00,0x03,0x61,0x2f,0x62"],
        ["\\x30\\x05\\x00\\x03a\\x2f\\x62".replace("a", "\\x61")],
        ["30 05\n00 03\t61-2f-62"],
    ],
)
def test_hex_in_every_usual_form(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    [packet] = inspected(capsys, *arguments)["packets"]
    assert (packet["name"], packet["length"], packet["fault"]) == ("PUBLISH", 7, None)
    assert {field["name"]: field["value"] for field in packet["fields"]}["Topic Name"] == "'a/b'"


def test_hex_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("c0 00\n"))
    [packet] = inspected(capsys, "-")["packets"]
    assert packet["name"] == "PINGREQ"


def test_text_shows_the_parts_of_each_packet(capsys: pytest.CaptureFixture[str]) -> None:
    octets = octets_of([CONNECT, Publish("a/b", b"hello")], 4)
    assert run(["inspect", octets.hex()]) == 0
    text = capsys.readouterr().out
    assert "CONNECT" in text
    assert "PUBLISH" in text
    for line in ["  fixed header", "  variable header", "  payload"]:
        assert text.splitlines().count(line) == 2
    assert "MQTT 3.1.1 3.1.3.5" in text
    assert "hunter2" not in text
    assert "(7 octets)" in text
    assert "\x1b" not in text


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    octets = octets_of([CONNECT, Publish("[red]a/b", b"\x1b[2J")], 4) + b"\x36\x07\x00\x03a/b\x00\x01"
    assert run(["inspect", octets.hex()]) == 0
    text = capsys.readouterr().out
    assert "\x1b[1;36mPUBLISH" in text
    assert "'[red]a/b'" in text
    assert "\x1b[2J" not in text
    assert "fault: PUBLISH has QoS 3 [MQTT3-3.3.1-4]" in text
    assert "hunter2" not in text


def test_a_fault_is_shown_with_clause_and_reason_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "36070003612f620001", "--mqtt-version", "5"]) == 0
    assert "fault: PUBLISH has QoS 3 [MQTT-3.3.1-4], Reason Code 0x81, octet 0" in capsys.readouterr().out
    [packet] = inspected(capsys, "36070003612f620001", "--mqtt-version", "4")["packets"]
    assert packet["fault"] == {
        "text": "PUBLISH has QoS 3",
        "clause": "MQTT3-3.3.1-4",
        "reason_code": 0x81,
        "offset": 0,
    }


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", encode(Publish("\x1b[31mred", b"\x1b[2J"), 4).hex(), "--mqtt-version", "4"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("text", "version"), [("3", 3), ("3.1", 3), ("4", 4), ("3.1.1", 4), ("5", 5), ("5.0", 5)])
def test_version(capsys: pytest.CaptureFixture[str], text: str, version: int) -> None:
    [packet] = inspected(capsys, "c000", "--mqtt-version", text)["packets"]
    assert (packet["version"], packet["assumed_version"]) == (version, False)


def test_wrong_usage_is_one_sentence(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "'z' is no hexadecimal digit" in refused(capsys, "30 zz")
    assert "odd number of digits (3)" in refused(capsys, "300")
    assert "give a packet as hex" in refused(capsys)
    assert "there is no hex" in refused(capsys, "0x")
    assert "--port goes with --pcap" in refused(capsys, "c000", "--port", "1883")
    assert "not both" in refused(capsys, "c000", "--pcap", "x.pcap")
    assert "not '7'" in refused(capsys, "c000", "--mqtt-version", "7")
    assert "no such file" in refused(capsys, "--pcap", str(tmp_path / "none.pcap"))
    assert "directory" in refused(capsys, "--pcap", str(tmp_path))


# Captures. ----------------------------------------------------------------------------------------------


def capture(tmp_path: Path, octets: bytes) -> str:
    file = tmp_path / "capture"
    file.write_bytes(octets)
    return str(file)


def test_a_connection(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    talk = whole_talk()
    talk.client(encode(Disconnect(), 4))
    found = inspected(capsys, "--pcap", capture(tmp_path, talk.pcap()))
    [connection] = found["connections"]
    assert (connection["client"], connection["server"], connection["version"]) == ("10.0.0.1:50000", "10.0.0.2:1883", 4)
    assert names(found) == [["CONNECT", "CONNACK", "SUBSCRIBE", "SUBACK", "PUBACK", "PUBLISH", "DISCONNECT"]]
    assert [packet["from"] for packet in connection["packets"]][:2] == ["client", "server"]
    assert all(packet["fault"] is None for packet in connection["packets"])
    assert "hunter2" not in json.dumps(found)


def test_text_of_a_capture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["inspect", "--pcap", capture(tmp_path, whole_talk().pcap())]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("10.0.0.1:50000 → 10.0.0.2:1883  MQTT 3.1.1, 6 packets\n")
    assert "00:00:03.000000  → CONNECT" in output.out
    assert "00:00:04.000000  ← CONNACK" in output.out
    assert output.err == ""


@pytest.mark.parametrize(
    "link_type", [ETHERNET, captures.RAW, captures.SLL, captures.SLL2, captures.NULL, 108, 12, 228]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_link_type_in_pcap(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, link_type: int, order: str
) -> None:
    frames = [framed(packet, link_type) for packet in whole_talk().packets]
    found = inspected(capsys, "--pcap", capture(tmp_path, pcap(frames, link_type, order, nanoseconds=order == "<")))
    assert len(names(found)[0]) == 6


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [6, 3, 2])
def test_pcapng(capsys: pytest.CaptureFixture[str], tmp_path: Path, order: str, kind: int) -> None:
    frames = [(0, framed(packet, ETHERNET)) for packet in whole_talk().packets]
    found = inspected(capsys, "--pcap", capture(tmp_path, pcapng(frames, [ETHERNET], order, kind)))
    assert len(names(found)[0]) == 6
    if kind != 3:  # a simple packet block has no time
        assert found["connections"][0]["packets"][0]["time"] == pytest.approx(3.0)


def test_a_time_beyond_all_calendars(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    octets = pcapng([(0, ipv4(tcp(50000, 1883, 0, ACK, encode(CONNECT, 4))))], [captures.RAW])
    octets = octets.replace(b"\x09\x00\x01\x00\x09", b"\x09\x00\x01\x00\x00")  # the clock counts seconds
    at = octets.index(b"\x06\x00\x00\x00") + 12
    octets = octets[:at] + b"\xff\xff\xff\x7f" + octets[at + 4 :]
    assert run(["inspect", "--pcap", capture(tmp_path, octets)]) == 0
    assert "9.22337e+18 s  → CONNECT" in capsys.readouterr().out


def test_pcapng_with_interfaces_of_different_link_types(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    links = [ETHERNET, captures.SLL]
    frames = [(at % 2, framed(packet, links[at % 2])) for at, packet in enumerate(whole_talk().packets)]
    assert len(names(inspected(capsys, "--pcap", capture(tmp_path, pcapng(frames, links))))[0]) == 6


def test_vlans_and_ipv6(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    hop_by_hop = b"\x06\x00" + bytes(6)
    connect = encode(CONNECT, 4)
    frames = [
        framed(ipv6(tcp(50000, 1883, 0, SYN)), ETHERNET, vlans=2),
        framed(ipv6(tcp(50000, 1883, 1, ACK, connect[:10]), extension=hop_by_hop), ETHERNET, vlans=1),
        framed(ipv6(tcp(50000, 1883, 11, ACK, connect[10:])), ETHERNET),
    ]
    found = inspected(capsys, "--pcap", capture(tmp_path, pcap(frames)))
    assert names(found) == [["CONNECT"]]
    assert found["connections"][0]["client"] == "[fe80::1]:50000"


@pytest.mark.parametrize("start", [1000, (1 << 32) - 40, (1 << 32) - 1])
def test_segments_out_of_order_and_sent_again(capsys: pytest.CaptureFixture[str], tmp_path: Path, start: int) -> None:
    octets = octets_of([CONNECT, *[Publish("a/b", bytes([65 + n]) * 20) for n in range(20)], Disconnect()], 4)
    pieces = [(at, octets[at : at + 7]) for at in range(0, len(octets), 7)]
    order = [*pieces[1::2], *pieces[::2], pieces[3], (5, octets[5:30])]
    talk = Talk(client_sequence=start)
    talk.add(True, SYN)
    for at, data in order:
        talk.add(True, ACK, data, sequence=start + 1 + at)
    found = inspected(capsys, "--pcap", capture(tmp_path, talk.pcap()))
    assert names(found) == [["CONNECT", *["PUBLISH"] * 20, "DISCONNECT"]]
    assert all(packet["fault"] is None for packet in found["connections"][0]["packets"])


def test_a_gap_in_the_capture_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    talk = Talk()
    talk.open()
    talk.client(encode(CONNECT, 4))
    lost = encode(Publish("a/b", b"lost"), 4)
    talk.add(True, ACK, encode(Publish("a/b", b"seen"), 4), sequence=talk.next_of(True) + len(lost))
    file = capture(tmp_path, talk.pcap())
    packets = inspected(capsys, "--pcap", file)["connections"][0]["packets"]
    assert [(packet["name"], packet["missing_before"]) for packet in packets] == [
        ("CONNECT", 0),
        ("PUBLISH", len(lost)),
    ]
    assert run(["inspect", "--pcap", file]) == 0
    assert f"({len(lost)} octets missing from the capture here)" in capsys.readouterr().out


@pytest.mark.parametrize("version", [4, 5])
def test_a_capture_that_begins_in_the_middle(capsys: pytest.CaptureFixture[str], tmp_path: Path, version: int) -> None:
    talk = Talk()
    talk.server(octets_of([Publish("a/b", b"\x00", 1, False, False, 7), Suback(1, [0])], version))
    talk.client(octets_of([Subscribe(1, [SubscriptionRequest("a/#", 1)])], version))
    found = inspected(capsys, "--pcap", capture(tmp_path, talk.pcap()))
    assert found["connections"][0]["version"] == version
    assert names(found) == [["PUBLISH", "SUBACK", "SUBSCRIBE"]]
    assert all(packet["fault"] is None for packet in found["connections"][0]["packets"])


def test_the_same_ports_again_are_another_connection(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    first, second = whole_talk(), Talk(client_sequence=700_000)
    second.open()
    second.client(encode(Connect(5, True, 0, "dev2"), 5))
    frames = [framed(packet, ETHERNET) for packet in first.packets + second.packets]
    found = inspected(capsys, "--pcap", capture(tmp_path, pcap(frames)))
    assert [connection["version"] for connection in found["connections"]] == [4, 5]


def test_a_syn_that_is_sent_again_opens_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    talk = Talk()
    talk.add(True, SYN)
    talk.add(True, SYN, sequence=1000)
    talk.client(encode(CONNECT, 4))
    talk.add(True, FIN | ACK)
    assert names(inspected(capsys, "--pcap", capture(tmp_path, talk.pcap()))) == [["CONNECT"]]


def test_mqtt_on_any_port_is_found_and_port_selects(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frames = [framed(packet, ETHERNET) for packet in whole_talk(4321).packets + whole_talk(1883).packets]
    file = capture(tmp_path, pcap(frames))
    assert len(names(inspected(capsys, "--pcap", file))) == 2
    [connection] = inspected(capsys, "--pcap", file, "--port", "4321")["connections"]
    assert connection["server"] == "10.0.0.2:4321"


def test_what_is_not_shown_is_said_in_one_sentence_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tls, web, other = Talk(8883), Talk(80), Talk(22)
    tls.client(b"\x16\x03\x01\x00\x05hello")
    web.client(b"GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
    other.client(b"SSH-2.0-x\r\n")
    frames = [framed(packet, ETHERNET) for talk in (tls, web, other) for packet in talk.packets]
    assert run(["inspect", "--pcap", capture(tmp_path, pcap(frames))]) == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "the connection 10.0.0.1:50000 → 10.0.0.2:8883 is encrypted with TLS: what it carries cannot be shown",
        "the connection 10.0.0.1:50000 → 10.0.0.2:80 is HTTP or WebSocket, which is not taken apart",
        "1 other TCP connection in the capture is not MQTT, CoAP or AMQP",
        "there is no MQTT, CoAP or AMQP in the capture that could be shown",
    ]


def test_fragments_and_strangers_are_passed_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frames = [framed(packet, ETHERNET) for packet in whole_talk().packets]
    arp, short = bytes(12) + b"\x08\x06" + bytes(46), b"\x00" * 9
    fragment = framed(ipv4(tcp(50000, 1883, 5000, ACK, b"x"), fragment=100), ETHERNET)
    udp = bytearray(framed(ipv4(tcp(50000, 1883, 5000, ACK, b"x")), ETHERNET))
    udp[14 + 9] = 17
    broken = framed(ipv4(b"\x00" * 19), ETHERNET)
    found = inspected(capsys, "--pcap", capture(tmp_path, pcap([arp, short, fragment, bytes(udp), broken, *frames])))
    assert len(names(found)[0]) == 6


def test_headers_that_are_cut_or_strange_are_passed_over(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    segment = tcp(50000, 1883, 0, ACK, encode(CONNECT, 4))
    whole = ipv4(segment)
    strange = [
        whole[:19],  # half an IPv4 header
        b"\x41" + whole[1:],  # a header length of four octets
        b"\x75" + whole[1:],  # IP version 7
        ipv6(segment)[:30],
        ipv6(segment)[:6] + b"\x11" + ipv6(segment)[7:],  # UDP
        ipv4(segment[:12] + b"\x10" + segment[13:]),  # a TCP header of four octets
        ipv4(segment[:12] + b"\xf0" + segment[13:40]),  # a TCP header longer than the segment
        b"",
    ]
    found = inspected(capsys, "--pcap", capture(tmp_path, pcap([*strange, whole], captures.RAW)))
    assert names(found) == [["CONNECT"]]
    sll2 = [b"\x08\x06" + bytes(18) + whole, framed(whole, captures.SLL2)]
    assert names(inspected(capsys, "--pcap", capture(tmp_path, pcap(sll2, captures.SLL2)))) == [["CONNECT"]]


def test_a_segment_that_the_network_card_cut_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its total length is 0 in the capture."""
    packet = bytearray(ipv4(tcp(50000, 1883, 0, ACK, encode(CONNECT, 4))))
    packet[2:4] = b"\x00\x00"
    assert names(inspected(capsys, "--pcap", capture(tmp_path, pcap([bytes(packet)], captures.RAW)))) == [["CONNECT"]]


def test_a_connect_from_the_port_of_the_server_side(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a SYN and without a known port, the higher port is the client's."""
    frames = [ipv4(tcp(7000, 60000, 0, ACK, encode(Connack(False, 0), 4)), "10.0.0.2", "10.0.0.1")]
    frames.append(ipv4(tcp(60000, 7000, 0, ACK, encode(CONNECT, 4)), "10.0.0.1", "10.0.0.2"))
    found = inspected(capsys, "--pcap", capture(tmp_path, pcap(frames, captures.RAW)))
    assert [connection["client"] for connection in found["connections"]] == ["10.0.0.1:60000"]


def test_cut_frames_and_unknown_link_types_are_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    octets = bytearray(whole_talk().pcap())
    octets[24 + 12 : 24 + 16] = (2000).to_bytes(4, "little")
    assert run(["inspect", "--pcap", capture(tmp_path, bytes(octets))]) == 0
    assert "1 frame is cut short by the capture" in capsys.readouterr().err
    assert run(["inspect", "--pcap", capture(tmp_path, pcap([bytes(60)], 147))]) == 0
    assert "frames of the link type 147 are not understood" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (b"", "too short to be a capture file"),
        (b"hello world, this is no capture", "neither pcap nor pcapng"),
        (b"\x1f\x8b\x08\x00\x00", "it is compressed"),
        (pcap([])[:20], "header is cut short"),
        (pcap([b"x"])[:32] + b"\xff\xff\xff\x7f\xff\xff\xff\x7f", "damaged: a frame of 2147483647 octets"),
        (pcapng([], [1])[:8] + b"\x00\x00\x00\x00", "byte-order magic"),
        (
            captures.block(0x0A0D0D0A, b"\x4d\x3c\x2b\x1a" + bytes(12))[:28] + b"\x06\x00\x00\x00\x03\x00\x00\x00",
            "3 octets",
        ),
        (pcapng([(5, b"x")], [1]), "an interface that is not described"),
    ],
)
def test_a_file_that_is_no_capture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, octets: bytes, sentence: str
) -> None:
    assert sentence in refused(capsys, "--pcap", capture(tmp_path, octets))


@pytest.mark.parametrize("make", ["pcap", "pcapng"])
def test_a_capture_cut_anywhere_shows_what_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make: str
) -> None:
    packets = [framed(packet, ETHERNET) for packet in whole_talk().packets]
    whole = pcap(packets) if make == "pcap" else pcapng([(0, packet) for packet in packets], [ETHERNET])
    most = 0
    for length in range(28, len(whole) + 1, 37):
        assert run(["inspect", "--json", "--pcap", capture(tmp_path, whole[:length])]) == 0
        shown = sum(len(each) for each in names(json.loads(capsys.readouterr().out)))
        assert shown >= most
        most = shown
    assert most >= 5


def test_damaged_captures_end_in_a_sentence_or_in_packets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    packets = [framed(packet, ETHERNET) for packet in whole_talk().packets]
    for whole in (pcap(packets), pcapng([(0, packet) for packet in packets], [ETHERNET])):
        for place in range(0, len(whole), 7):
            for value in (0x00, 0xFF):
                damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
                assert run(["inspect", "--pcap", capture(tmp_path, damaged)]) in (0, 2)
                assert "Error" not in capsys.readouterr().err
