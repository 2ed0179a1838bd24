"""`pub` and `sub` with CoAP URLs: what the options mean, and each mistake in one sentence."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridgehead.cli import coap_subscribing
from bridgehead.cli.coap_identity import coap_identity
from bridgehead.cli.coap_options import Given, is_coap
from bridgehead.cli.coap_publishing import CoapSending, coap_message_options
from bridgehead.cli.coap_subscribing import Source, as_json, requested
from bridgehead.cli.main import CommandError, run
from bridgehead.protocols.coap.client.client import Client, Observation
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.codec.uri import parse_uri
from tests.transport.dtls.keys import pem, town


def given(
    *,
    ca: Path | None = None,
    bundle: Path | None = None,
    psk_identity: str | None = None,
    psk_file: str | None = None,
    raw_key: Path | None = None,
    server_key: Path | None = None,
    credential: str | None = None,
) -> Given:
    return Given(None, None, ca, bundle, psk_identity, psk_file, raw_key, server_key, credential, None)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The sentence of a command that cannot be used as it is."""
    assert run(list(words)) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    return output.err.partition(": ")[2].rstrip("\n")


def test_schemes() -> None:
    assert all(is_coap(f"{scheme}://h") for scheme in ("coap", "COAPS", "coap+tcp", "coaps+ws", "coapx"))
    assert not any(is_coap(url) for url in ("mqtt://h", "wss://h", "h:5683", ""))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pub", "coap://h", "-m", "1"], "give a TOPIC, or a URL with the path of a resource"),
        (["pub", "coap://h/x", "t", "-m", "1"], "the URL names a resource already: leave TOPIC out"),
        (["sub", "coap://h"], "give at least one FILTER"),
        (["sub", "coap://h/x", "t"], "the URL names a resource already: leave FILTER out"),
        (["pub", "coap://h", "t", "-m", "1", "-q", "2"], "CoAP has --qos 0"),
        (["sub", "coap://h", "t", "--user", "me"], "--user is MQTT's"),
        (["sub", "coap://h", "t", "--mqtt-version", "4"], "--mqtt-version is MQTT's"),
        (["pub", "coap://h", "t", "-m", "1", "--response-topic", "r"], "--response-topic is MQTT's"),
        (["pub", "coap://h", "t", "-m", "1", "--content-type", "a/b"], "--content-type a/b has no Content-Format"),
        (["pub", "coap://h", "a/../b", "-m", "1"], "this topic has no path in CoAP"),
        (["pub", "coap://h", "a/+", "-m", "1"], "a Topic Name must not hold the wildcards"),
        (["sub", "coap://h", "a/#/b"], "# must be a level of its own"),
        (["pub", "coap://h:99999", "t", "-m", "1"], "the port in"),
        (["pub", "coap://h", "t", "-m", "1", "--ca", "x"], "--ca needs DTLS or TLS: use coaps:// instead"),
        (
            ["pub", "coap+ws://h", "t", "-m", "1", "--psk-identity", "x"],
            "--psk-identity needs DTLS or TLS: use coaps+ws",
        ),
        (["pub", "coap://h", "t", "-m", "1", "--bundle", "x"], "over coap:// a bundle serves for --credential oscore"),
        (["pub", "coaps://h", "t", "-m", "1"], "coaps:// asks who you are: give --psk-identity"),
        (["pub", "coaps://h", "t", "-m", "1", "--psk-identity", "x"], "a pre-shared key has an identity: give both"),
        (["pub", "coaps://h", "t", "-m", "1", "--credential", "psk"], "--credential chooses from --bundle"),
        (["pub", "coaps://h", "t", "-m", "1", "--credential", "otp"], "--credential is one of certificate, psk, rpk"),
        (["pub", "coaps+tcp://h", "t", "-m", "1", "--raw-key", "x"], "--raw-key is for coaps:// (DTLS)"),
        (["pub", "coaps://h", "t", "-m", "1", "--raw-key", "/nothing/here"], "--raw-key /nothing/here cannot be read"),
        (["pub", "mqtt://h", "t", "-m", "1", "--psk-identity", "x"], "--psk-identity is CoAP's"),
        (["pub", "coap//h", "t", "-m", "1"], "a CoAP URI begins with coap://, coaps:// or"),
        (["sub", "coapss://h", "t"], "a CoAP URI begins with coap://, coaps:// or"),
        (["sub", "coap://h", "t", "--oscore", "/nothing/here"], "/nothing/here is no folder with an OSCORE context"),
        (["pub", "mqtt://h", "-m", "1"], "give a TOPIC"),
        (["sub", "mqtt://h"], "give at least one FILTER"),
    ],
)
def test_a_mistake_is_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert said(capsys, *words).startswith(sentence)


@pytest.mark.parametrize(
    ("topic", "retain", "payload", "code", "path"),
    [
        ("Office//Door", True, b"open", codes.PUT, [b"t", b"Office", b"", b"Door"]),
        ("Office/Door", False, b"open", codes.POST, [b"t", b"Office", b"Door"]),
        ("Office/Door", False, b"", codes.POST, [b"t", b"Office", b"Door"]),
        ("Office/Door", True, b"", codes.DELETE, [b"t", b"Office", b"Door"]),
        (None, True, b"", codes.PUT, [b"made"]),
    ],
)
def test_what_is_sent(topic: str | None, retain: bool, payload: bytes, code: int, path: list[bytes]) -> None:
    client = Client(parse_uri("coap://192.0.2.1/made" if topic is None else "coap://192.0.2.1"))
    request = CoapSending(topic, 1, retain, [(option.MAX_AGE, b"\x05")]).request(client, payload)
    assert (request.code, request.all(option.URI_PATH), request.payload) == (code, path, payload)
    assert request.has(option.MAX_AGE) is (code != codes.DELETE)


def test_message_options() -> None:
    assert coap_message_options(60, "application/json", False) == [
        (option.CONTENT_FORMAT, b"\x32"),
        (option.MAX_AGE, b"<"),
    ]
    assert coap_message_options(None, None, True) == [(option.CONTENT_FORMAT, b"")]
    assert coap_message_options(None, "65000", False) == [(option.CONTENT_FORMAT, b"\xfd\xe8")]
    with pytest.raises(CommandError):
        coap_message_options(None, "65536", False)


def test_what_is_observed() -> None:
    client = Client(parse_uri("coap://hub.example"))
    topic = requested(client, "Office/Door")
    assert (topic.all(option.URI_PATH), topic.all(option.URI_QUERY)) == ([b"t", b"Office", b"Door"], [])
    assert topic.first(option.URI_HOST) == b"hub.example"
    wild = requested(client, "Office/+/Door")
    assert (wild.all(option.URI_PATH), wild.all(option.URI_QUERY)) == ([b"t"], [b"f=Office/+/Door"])


async def test_what_was_told_is_not_told_again() -> None:
    asked: list[bytes] = []

    class Asked(Observation):
        def refresh(self, etag: bytes) -> None:
            asked.append(etag)

    def answer(payload: bytes, etag: bytes = b"", code: int = codes.CONTENT) -> Message:
        return Message(code, ((option.ETAG, etag),) if etag else (), payload)

    source = Source(Asked(Client(parse_uri("coap://h")), 1), "a", False, True)
    assert not source.is_news(answer(b""))  # registered, and no value yet
    assert source.is_news(answer(b"kept", b"1"))
    assert source.is_news(answer(b"event", b"2"))
    assert source.is_news(answer(b""))  # cleared, or an empty event
    source.refresh()
    assert asked == [b"2"]
    assert not source.is_news(answer(b"", b"2", codes.VALID))
    source.refresh()
    assert not source.is_news(answer(b"kept", b"1"))  # older than the event
    assert source.is_news(answer(b"kept", b"1"))  # published again
    source.refresh()
    assert source.is_news(answer(b"newer", b"3"))
    source.refresh()
    assert not source.is_news(answer(b""))
    stream = Source(Asked(Client(parse_uri("coap://h")), 2), "#", True, True)
    stream.refresh()
    assert len(asked) == 4


def test_a_message_as_json() -> None:
    message = Message(codes.CONTENT, ((4, b"\x01\x02"), (12, b"2"), (14, b"\x05")), b"\xff")
    assert as_json("a/b", message) == {
        "topic": "a/b",
        "payload": "/w==",
        "encoding": "base64",
        "code": "2.05",
        "content_type": "application/json",
        "etag": "0102",
        "max_age": 5,
    }
    assert as_json("a", Message(codes.CONTENT, (), b"x"))["encoding"] == "utf8"


# Credentials. ------------------------------------------------------------------------------------------


def test_a_pre_shared_key_as_text_and_as_digits(tmp_path: Path) -> None:
    file = tmp_path / "key"
    for text, key in [("secret key\n", b"secret key"), ("hex:00ff\n", b"\x00\xff")]:
        file.write_text(text)
        dtls = coap_identity("coaps://h", given(psk_identity="me", psk_file=str(file))).security.dtls
        assert dtls is not None
        assert (dtls.psk_identity, dtls.psk_key) == (b"me", key)
    file.write_text("hex:xyz\n")
    with pytest.raises(CommandError, match="is not hexadecimal"):
        coap_identity("coaps://h", given(psk_identity="me", psk_file=str(file)))


def test_a_raw_key_with_its_public_half_before_it(tmp_path: Path) -> None:
    key = town().sensor_key
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tmp_path / "raw.pem").write_text(public + key.sec1)
    (tmp_path / "server.pem").write_text(public)
    options = given(raw_key=tmp_path / "raw.pem", server_key=tmp_path / "server.pem", ca=tmp_path / "server.pem")
    dtls = coap_identity("coaps://h", options).security.dtls
    assert dtls is not None
    assert (dtls.raw_key, dtls.peer_raw_keys) == (key.sec1, (key.spki,))
    (tmp_path / "raw.pem").write_text(public)
    with pytest.raises(CommandError, match="holds no private key"):
        coap_identity("coaps://h", options)


def test_one_credential_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k\n")
    with pytest.raises(CommandError, match="a client shows one credential"):
        coap_identity("coaps://h", given(psk_identity="a", psk_file=str(tmp_path / "key"), raw_key=tmp_path / "key"))


def bundle(folder: Path, *parts: str) -> Path:
    here = town()
    contents = {
        "ca.pem": here.authority.pem,
        "certificate.pem": pem(here.sensor),
        "key.pem": here.sensor_key.pem,
        "raw-key.pem": here.sensor_key.pem,
        "secrets.json": json.dumps({"psk": {"identity": "sensor", "key": "6b6579"}}),
        "aiocoap.json": json.dumps(
            {"coaps://h/*": {"dtls": {"psk": {"hex": "6b6579"}, "client-identity": {"hex": "73656e736f72"}}}}
        ),
    }
    for name in ("ca.pem", *parts):
        (folder / name).write_text(contents[name])
    return folder


@pytest.mark.parametrize(
    ("parts", "credential", "shown"),
    [
        (["certificate.pem", "key.pem", "secrets.json", "raw-key.pem"], None, "certificate"),
        (["certificate.pem", "key.pem", "secrets.json", "raw-key.pem"], "psk", "psk"),
        (["certificate.pem", "key.pem", "secrets.json", "raw-key.pem"], "rpk", "rpk"),
        (["secrets.json", "raw-key.pem"], None, "psk"),
        (["aiocoap.json"], None, "psk"),
        (["raw-key.pem"], None, "rpk"),
    ],
)
def test_a_bundle_gives_one_of_its_credentials(
    tmp_path: Path, parts: list[str], credential: str | None, shown: str
) -> None:
    dtls = coap_identity("coaps://h", given(bundle=bundle(tmp_path, *parts), credential=credential)).security.dtls
    assert dtls is not None
    assert (bool(dtls.certificate), bool(dtls.psk_key), bool(dtls.raw_key)) == (
        shown == "certificate",
        shown == "psk",
        shown == "rpk",
    )
    if shown == "psk":
        assert (dtls.psk_identity, dtls.psk_key) == (b"sensor", b"key")
    else:
        assert dtls.trust == town().authority.pem


def test_who_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A registration that is not confirmable is sent once: nobody else would notice that it went to a wrong port."""
    monkeypatch.setattr(coap_subscribing, "PATIENCE", 0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert run(["sub", f"coap://127.0.0.1:{port}", "a/b"]) == 1
    assert capsys.readouterr().err == (
        f"bridgehead sub: coap://127.0.0.1:{port} did not answer within 0.1 seconds; does the server run there, and "
        "speak coap:// on that port?\n"
    )


def test_a_bundle_without_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no rpk: `bridgehead device export"):
        coap_identity("coaps://h", given(bundle=bundle(tmp_path), credential="rpk"))
    with pytest.raises(CommandError, match="holds no certificate, no pre-shared key and no raw key"):
        coap_identity("coaps://h", given(bundle=tmp_path))
    with pytest.raises(CommandError, match="over TCP and WebSocket nothing else serves"):
        coap_identity("coaps+tcp://h", given(bundle=tmp_path))
    (tmp_path / "secrets.json").write_text("[]")
    with pytest.raises(CommandError, match="make the bundle anew"):
        coap_identity("coaps://h", given(bundle=tmp_path))
