"""`pub` and `sub` with AMQP URLs: what the options mean, each mistake in one sentence, and both against a server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.cli.main import run
from bridgehead.protocols.amqp.client.message import Incoming
from bridgehead.protocols.amqp.codec.v1.performatives import Attach, Open
from bridgehead.protocols.amqp.codec.v1.termini import Source
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol
from tests.amqp.client.double import Listening, Server


class Running:
    """The double in a thread of its own, so that the commands can have a loop of theirs."""

    def __init__(self) -> None:
        self.nodes: dict[str, list[bytes]] = {}
        self.listening = Listening(lambda: Server(["EXTERNAL", "PLAIN", "OAUTHBEARER"], self.judge, self.nodes))
        self.said: list[tuple[str, bytes]] = []
        self.loop = asyncio.new_event_loop()
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        self.started.wait()

    def judge(self, mechanism: str, data: bytes) -> bytes | int:
        self.said.append((mechanism, data))
        return 1 if b"wrong" in data else 0

    def serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.listening.__aenter__())
        self.started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.listening.__aexit__())
        self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    @property
    def url(self) -> str:
        return f"amqp://127.0.0.1:{self.listening.port}"


@pytest.fixture
def there() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


@pytest.fixture
def login(tmp_path: Path) -> list[str]:
    file = tmp_path / "password"
    file.write_text("secret\n")
    return ["--user", "ana", "--password-file", str(file)]


def said(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> str:
    """The sentence of a command that ends with `code`."""
    assert run(list(words)) == code
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    return output.err.partition(": ")[2].rstrip("\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pub", "amqps://h", "-m", "1"], "give a TOPIC, or a URL that ends in /topics/TOPIC or /queues/NAME"),
        (["pub", "amqps://h/queues/q", "t", "-m", "1"], "the URL names the topic or queue already"),
        (["pub", "amqps://h/queues/q", "-m", "1", "-r"], "a queue retains nothing"),
        (["pub", "amqps://h", "a/+", "-m", "1"], "a Topic Name must not hold the wildcards"),
        (["pub", "amqps://h", "t", "-m", "1", "-q", "3"], "--qos is 0, 1 or 2"),
        (["pub", "amqps://h", "t", "-m", "1", "-k", "5"], "--keep-alive is MQTT's and has no meaning in AMQP"),
        (["pub", "amqps://h", "t", "-m", "1", "--psk-identity", "x"], "--psk-identity is CoAP's"),
        (["pub", "amqps://h", "t", "-m", "1", "--property", "x"], "--property x has no value"),
        (["sub", "amqps://h"], "give at least one FILTER"),
        (["sub", "amqps://h/topics/a", "b"], "the URL names the topic or queue already"),
        (["sub", "amqps://h", "a/#/b"], "# must be a level of its own"),
        (["sub", "amqps://h", "t", "--session-expiry", "5"], "--session-expiry keeps the subscription"),
        (["sub", "amqps://h/queues/q", "--session-expiry", "5", "-i", "c"], "a queue keeps its messages by itself"),
        (["sub", "amqps://h", "t", "--retain-handling", "1"], "--retain-handling is MQTT's"),
        (["sub", "amqps://h", "t", "--mqtt-version", "4"], "--mqtt-version is MQTT's"),
    ],
)
def test_mistakes(words: list[str], sentence: str, login: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, 2, *words, *login).startswith(sentence)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "AMQP takes nobody unknown: give --user NAME"),
        (["--user", "ana"], "AMQP takes nobody unknown"),
        (["--mechanism", "EXTERNAL"], "--mechanism EXTERNAL needs a certificate"),
        (["--mechanism", "OAUTHBEARER"], "--mechanism OAUTHBEARER needs --token-file FILE"),
        (["--mechanism", "PLAIN"], "--mechanism PLAIN needs --user NAME and --password-file FILE"),
        (["--mechanism", "X"], "--mechanism X is not known here: use PLAIN, EXTERNAL"),
        (["--password-file", "x"], "--password-file needs --user NAME"),
    ],
)
def test_who_is_it(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, 2, "pub", "amqps://h", "t", "-m", "1", *words).startswith(sentence)


def test_no_password_in_clear(login: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    sentence = said(capsys, 2, "pub", "amqp://h", "t", "-m", "1", "--mechanism", "plain", *login)
    assert sentence == "PLAIN would send the password in clear text: use amqps:// or amqp+wss://"
    sentence = said(capsys, 2, "pub", "amqp://h", "t", "-m", "1", "--ca", "x", *login)
    assert sentence.startswith("--ca, --cert and --key need TLS")


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_published_and_received(
    qos: str, there: Running, login: list[str], capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["pub", there.url, "a/b c", "-m", "hello", "-q", qos, "--expiry", "60", "--content-type", "text/plain"]
    words += ["--response-topic", "r", "--correlation-data", "7", "--property", "k=v", "--retain", *login]
    assert run(words) == 0
    assert there.said == [("PLAIN", b"\0ana\0secret")]
    [octets] = there.nodes["/topics/a%2Fb%20c"]
    assert Incoming(octets, "").retain
    assert run(["sub", there.url, "a/b c", "-q", qos, "-C", "1", "--json", *login]) == 0
    output = capsysbinary.readouterr().out
    assert json.loads(output) == {
        "topic": "a/b c",
        "address": "/topics/a%2Fb%20c",
        "payload": "hello",
        "encoding": "utf8",
        "settled": qos == "0",
        "retain": True,
        "properties": {
            "ttl": 60.0,
            "reply_to": "/topics/r",
            "correlation_id": "7",
            "content_type": "text/plain",
        },
        "application_properties": {"k": "v"},
    }


def test_a_queue_and_the_topic_before_the_payload(
    there: Running, login: list[str], capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    file = tmp_path / "octets"
    file.write_bytes(b"\xff\x00")
    assert run(["pub", f"{there.url}/queues/jobs", "-f", str(file), "-q", "1", *login]) == 0
    assert run(["pub", f"{there.url}/queues/jobs", "-m", "é", "--utf8", *login]) == 0
    assert run(["sub", f"{there.url}/queues/jobs", "-v", "-C", "2", *login]) == 0
    assert capsysbinary.readouterr().out == b"/queues/jobs \xff\x00\n/queues/jobs \xc3\xa9\n"


def test_not_enough_in_time(there: Running, login: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sub", there.url, "a/#", "-C", "1", "-W", "0.2", *login]) == 1
    assert capsys.readouterr().err == "bridgehead sub: 0 of 1 messages came in time\n"


def test_what_the_attach_says(there: Running, login: list[str]) -> None:
    words = ["sub", there.url, "a/#", "-W", "0.1", "-q", "2", "--no-local", "--session-expiry", "9", "-i", "me"]
    assert run([*words, *login]) == 0
    seen = there.listening.servers[0].seen
    [opened] = [each for each in seen if isinstance(each, Open)]
    [attach] = [each for each in seen if isinstance(each, Attach)]
    assert (opened.container_id, opened.hostname) == ("me", "127.0.0.1")
    assert (attach.name, attach.rcv_settle_mode) == ("sub /topics/a%2F%23", 1)
    source = attach.source
    assert isinstance(source, Source)
    assert (source.durable, source.expiry_policy, source.timeout) == (2, "link-detach", 9)
    assert source.filter == {"no-local": Described(Symbol("apache.org:no-local-filter:list"), [])}


def test_refusals(there: Running, login: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sentence = said(capsys, 1, "pub", there.url, "forbidden", "-m", "1", *login)
    assert sentence.endswith("amqp:unauthorized-access: not for you; check the identity's permissions")
    sentence = said(capsys, 1, "pub", there.url, "rejecting", "-m", "1", "-q", "1", *login)
    assert sentence == "the server refused the message: amqp:not-allowed: not today"
    (tmp_path / "password").write_text("wrong\n")
    sentence = said(capsys, 1, "sub", there.url, "a", *login)
    assert sentence.startswith("the server does not believe who this is (PLAIN); check --user")


def test_a_token(there: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "token"
    file.write_text("aaa.bbb.ccc\n")
    assert run(["pub", there.url, "a", "-m", "1", "--token-file", str(file)]) == 0
    [(mechanism, data)] = there.said
    assert mechanism == "OAUTHBEARER"
    assert b"auth=Bearer aaa.bbb.ccc\x01" in data
    assert "clear text" in capsys.readouterr().err
