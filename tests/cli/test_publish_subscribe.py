"""`bridgehead pub` and `sub` against Mosquitto as an independent peer, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from bench.certificates import Authority
from bench.mosquitto import Mosquitto
from bridgehead.cli.main import run
from bridgehead.cli.subscribing import harmless

pytestmark = pytest.mark.peer("mosquitto")

PASSWORD = "correct horse"
COMMAND = [sys.executable, "-m", "bridgehead"]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    folder = tmp_path_factory.mktemp("mosquitto")
    acl = ["user sensor", "topic readwrite Office/#", "user device-7", "topic readwrite Office/#"]
    with Mosquitto(folder, {"sensor": PASSWORD}, acl) as running:
        (folder / "password").write_text(PASSWORD + "\n")
        yield running


@pytest.fixture
def as_sensor(broker: Mosquitto) -> list[str]:
    return ["--user", "sensor", "--password-file", str(broker.folder / "password")]


def urls(broker: Mosquitto) -> dict[str, list[str]]:
    ca = ["--ca", str(broker.ca)]
    return {
        "mqtt": [f"mqtt://{broker.host}:{broker.port}"],
        "mqtts": [f"mqtts://{broker.host}:{broker.tls_port}", *ca],
        "ws": [f"ws://{broker.host}:{broker.websocket_port}/mqtt"],
        "unix": [f"mqtt+unix:{broker.socket_path}"],
    }


def bridgehead(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *arguments], input=given, capture_output=True, timeout=30, check=False)


def succeed(*arguments: str, given: bytes = b"") -> bytes:
    done = bridgehead(*arguments, given=given)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def mosquitto(program: str, broker: Mosquitto, *arguments: str) -> bytes:
    command = [program, "-h", broker.host, "-p", str(broker.port), "-u", "sensor", "-P", PASSWORD, *arguments]
    return subprocess.run(command, capture_output=True, timeout=30, check=True).stdout


def keep_session(broker: Mosquitto, client_id: str, topic_filter: str) -> list[str]:
    """A session of mosquitto_sub's that the broker queues for; the arguments that resume it."""
    common = ["-c", "-i", client_id, "-q", "2", "-t", topic_filter]
    mosquitto("mosquitto_sub", broker, *common, "-E")
    return common


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "unix"])
def test_what_pub_sends_reaches_mosquitto_sub(broker: Mosquitto, as_sensor: list[str], scheme: str) -> None:
    session = keep_session(broker, f"peer-{scheme}", f"Office/{scheme}")
    for qos in "012":
        text = f"21.5 °C at {qos}"
        succeed(
            "pub",
            urls(broker)[scheme][0],
            f"Office/{scheme}",
            "-m",
            text,
            "-q",
            qos,
            *as_sensor,
            *urls(broker)[scheme][1:],
        )
    got = mosquitto("mosquitto_sub", broker, *session, "-C", "2", "-v").decode().splitlines()
    assert got == [f"Office/{scheme} 21.5 °C at {qos}" for qos in "12"]  # a broker queues no QoS 0


@pytest.mark.parametrize(
    ("scheme", "version"), [("mqtt", "3"), ("mqtt", "4"), ("mqtt", "5"), ("mqtts", "5"), ("ws", "5"), ("unix", "5")]
)
def test_what_mosquitto_pub_sends_reaches_sub(
    broker: Mosquitto, as_sensor: list[str], scheme: str, version: str
) -> None:
    topic = f"Office/{scheme}/{version}"
    url, *trust = urls(broker)[scheme]
    subscribe = ["sub", url, topic, *as_sensor, *trust, "-V", version, "-q", "2", "-i", f"s{scheme}{version}"]
    subscribe += ["--session-expiry", "60"]
    assert succeed(*subscribe, "--timeout", "0.1") == b""
    for qos in "12":
        mosquitto("mosquitto_pub", broker, "-t", topic, "-m", f"reading {qos}", "-q", qos)
    assert succeed(*subscribe, "--count", "2", "-v").decode() == f"{topic} reading 1\n{topic} reading 2\n"


def test_json_has_every_property_in_order(broker: Mosquitto, as_sensor: list[str]) -> None:
    url = urls(broker)["mqtt"][0]
    mosquitto(
        "mosquitto_pub", broker, "-V", "5", "-t", "Office/properties", "-m", "grün", "-r", "-q", "1",
        "-D", "publish", "content-type", "text/plain", "-D", "publish", "response-topic", "Office/answer",
        "-D", "publish", "correlation-data", "c-1", "-D", "publish", "payload-format-indicator", "1",
        "-D", "publish", "user-property", "room", "Lobby", "-D", "publish", "user-property", "room", "Attic",
    )  # fmt: skip
    line = succeed("sub", url, "Office/properties", *as_sensor, "--json", "--count", "1", "-q", "1")
    assert json.loads(line) == {
        "topic": "Office/properties",
        "payload": "grün",
        "encoding": "utf8",
        "qos": 1,
        "retain": True,
        "dup": False,
        "properties": {
            "content_type": "text/plain",
            "response_topic": "Office/answer",
            "correlation_data": "Yy0x",
            "payload_format_indicator": 1,
            "user_properties": [["room", "Lobby"], ["room", "Attic"]],
        },
    }


def test_properties_given_to_pub_come_back_from_sub(broker: Mosquitto, as_sensor: list[str]) -> None:
    url = urls(broker)["mqtt"][0]
    options = ["--retain", "--expiry", "3600", "--content-type", "application/octet-stream", "--correlation-data", "é"]
    options += ["--response-topic", "Office/answer", "--property", "a=1=2", "--property", "a="]
    succeed("pub", url, "Office/all", "-f", "-", "-q", "1", *as_sensor, *options, given=b"\xff\x00\n")
    got = json.loads(succeed("sub", url, "Office/all", *as_sensor, "--json", "--count", "1"))
    assert (got["payload"], got["encoding"], got["retain"]) == ("/wAK", "base64", True)
    assert got["properties"]["user_properties"] == [["a", "1=2"], ["a", ""]]
    assert got["properties"]["correlation_data"] == "w6k="
    assert 3500 < got["properties"]["message_expiry_interval"] <= 3600


def test_retain_handling_two_brings_nothing_retained(broker: Mosquitto, as_sensor: list[str]) -> None:
    url = urls(broker)["mqtt"][0]
    succeed("pub", url, "Office/kept", "-m", "kept", "--retain", "-q", "1", *as_sensor)
    subscribe = ["sub", url, "Office/kept", *as_sensor, "--timeout", "0.3"]
    assert succeed(*subscribe) == b"kept\n"
    assert succeed(*subscribe, "--retain-handling", "2") == b""


def test_every_line_of_standard_input_is_a_message(broker: Mosquitto, as_sensor: list[str]) -> None:
    session = keep_session(broker, "peer-lines", "Office/lines")
    lines = [f"line {number}" for number in range(3000)] + [""]
    given = "\n".join([*lines, "the last has no end"]).encode()
    succeed("pub", urls(broker)["mqtt"][0], "Office/lines", "--stdin", "-q", "1", *as_sensor, given=given)
    got = mosquitto("mosquitto_sub", broker, *session, "-C", str(len(lines) + 1), "-F", "%p").decode().split("\n")
    assert got == [*lines, "the last has no end", ""]


def test_the_password_may_be_the_first_line_and_messages_the_rest(broker: Mosquitto) -> None:
    session = keep_session(broker, "peer-both", "Office/both")
    given = f"{PASSWORD}\nfirst\nsecond\n".encode()
    url = f"mqtt://sensor@{broker.host}:{broker.port}"
    succeed("pub", url, "Office/both", "--stdin", "-q", "2", "--password-file", "-", given=given)
    assert mosquitto("mosquitto_sub", broker, *session, "-C", "2") == b"first\nsecond\n"


def test_what_sub_did_not_print_stays_in_the_session(broker: Mosquitto, as_sensor: list[str]) -> None:
    url = urls(broker)["mqtt"][0]
    subscribe = ["sub", url, "Office/queue", *as_sensor, "-q", "2", "-i", "queue", "--session-expiry", "60"]
    succeed(*subscribe, "--timeout", "0.1")
    succeed("pub", url, "Office/queue", "--stdin", "-q", "2", *as_sensor, given=b"1\n2\n3\n")
    assert succeed(*subscribe, "--count", "2") == b"1\n2\n"
    assert succeed(*subscribe, "--count", "1") == b"3\n"


def test_a_bundle_brings_authority_certificate_and_key(broker: Mosquitto, tmp_path: Path) -> None:
    certificate, key = broker.authority.issue("device-7")
    shutil.copy(broker.ca, tmp_path / "ca.pem")
    shutil.move(certificate, tmp_path / "certificate.pem")
    shutil.move(key, tmp_path / "key.pem")
    url = f"mqtts://localhost:{broker.certificate_port}"
    succeed("pub", url, "Office/bundle", "-m", "by certificate", "--retain", "-q", "1", "--bundle", str(tmp_path))
    assert succeed("sub", url, "Office/bundle", "--count", "1", "--bundle", str(tmp_path)) == b"by certificate\n"


def test_a_bundle_brings_user_name_and_password(broker: Mosquitto, tmp_path: Path) -> None:
    shutil.copy(broker.ca, tmp_path / "ca.pem")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    (tmp_path / "device.json").write_text(json.dumps({"name": "sensor", "user_name": "sensor"}))
    url = f"mqtts://localhost:{broker.tls_port}"
    succeed("pub", url, "Office/told", "-m", "by password", "--retain", "-q", "1", "--bundle", str(tmp_path))
    assert succeed("sub", url, "Office/told", "--count", "1", "--bundle", str(tmp_path)) == b"by password\n"


def test_a_refused_message_tells_the_reason_code(broker: Mosquitto, as_sensor: list[str]) -> None:
    done = bridgehead("pub", urls(broker)["mqtt"][0], "Plant/secret", "-m", "x", "-q", "1", *as_sensor)
    assert done.returncode == 1
    assert b"the server refused the message: Not authorized (0x87)" in done.stderr


@pytest.mark.parametrize("version", ["4", "5"])
def test_a_wrong_password_is_refused_without_showing_it(broker: Mosquitto, tmp_path: Path, version: str) -> None:
    (tmp_path / "wrong").write_text("battery staple")
    access = ["--user", "sensor", "--password-file", str(tmp_path / "wrong")]
    done = bridgehead("sub", urls(broker)["mqtt"][0], "Office/#", *access, "-V", version)
    assert done.returncode == 1
    assert b"refused the connection" in done.stderr
    assert b"battery" not in done.stderr


def test_no_credentials_names_the_options_that_give_them(broker: Mosquitto) -> None:
    done = bridgehead("sub", urls(broker)["mqtt"][0], "Office/#")
    assert done.returncode == 1
    assert b"--password-file" in done.stderr


def test_an_unknown_authority_is_not_trusted(broker: Mosquitto, as_sensor: list[str]) -> None:
    done = bridgehead("pub", urls(broker)["mqtts"][0], "Office/x", "-m", "x", *as_sensor)
    assert done.returncode == 1
    assert b"not trusted" in done.stderr
    assert b"--ca FILE" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["pub", "mqtt://user:hunter2@127.0.0.1", "t", "-m", "x"], "--password-file"),
        (["pub", "http://127.0.0.1", "t", "-m", "x"], "mqtts://"),
        (["pub", "mqtt://127.0.0.1:99999", "t", "-m", "x"], "host or port"),
        (["pub", "mqtt://127.0.0.1/topic", "t", "-m", "x"], "topics and filters are arguments"),
        (["pub", "mqtt://127.0.0.1", "t"], "-m TEXT"),
        (["pub", "mqtt://127.0.0.1", "t", "-m", "x", "--stdin"], "-m TEXT"),
        (["pub", "mqtt://127.0.0.1", "t/#", "-m", "x"], "wildcards"),
        (["pub", "mqtt://127.0.0.1", "t", "-m", "x", "-q", "3"], "0, 1 or 2"),
        (["pub", "mqtt://127.0.0.1", "t", "-m", "x", "-V", "4", "--expiry", "1"], "MQTT 5.0"),
        (["pub", "mqtt://127.0.0.1", "t", "-m", "x", "--property", "nothing"], "NAME=VALUE"),
        (["pub", "mqtt://127.0.0.1", "t", "-m", "x", "--password-file", "f"], "--user"),
        (["pub", "mqtt://127.0.0.1", "t", "-f", "no-such-file"], "cannot be read"),
        (["pub", "mqtt://127.0.0.1", "t", "-m", "x", "--ca", "ca.pem"], "mqtts://"),
        (["pub", "mqtts://127.0.0.1", "t", "-m", "x", "--ca", "no-such-file"], "--ca no-such-file"),
        (["pub", "mqtts://127.0.0.1", "t", "-m", "x", "--key", "no-such-file"], "--cert"),
        (["pub", "mqtts://127.0.0.1", "t", "-m", "x", "--bundle", "no-such-folder"], "device add --out"),
        (["sub", "mqtt://127.0.0.1", "a/#/b"], "the last"),
        (["sub", "mqtt://127.0.0.1", "a", "--session-expiry", "9"], "--client-id"),
        (["sub", "mqtt://127.0.0.1"], "FILTER"),
    ],
)
def test_wrong_options_are_one_sentence_and_exit_code_two(
    arguments: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(arguments)
    text = capsys.readouterr().err
    assert code == 2, text
    assert remedy in text
    assert text.count("\n") == 1
    assert "hunter2" not in text


async def answers(serve: Serve, *arguments: str, tls: ssl.SSLContext | None = None) -> tuple[int, str]:
    """(exit code, standard error) of a command whose URL, at the place of `URL`, is a server that does `serve`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        command = [part.replace("URL", f"mqtt{'s' if tls else ''}://127.0.0.1:{port}") for part in arguments]
        process = await asyncio.create_subprocess_exec(*COMMAND, *command, stderr=asyncio.subprocess.PIPE)
        _, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, errors.decode()


async def test_a_server_that_says_goodbye_is_quoted() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x20\x03\x00\x00\x00" + b"\xe0\x0b\x8b\x09\x1f\x00\x06closed")

    code, text = await answers(serve, "sub", "URL", "Office/#")
    assert code == 1
    assert "the server disconnected: Server shutting down (0x8B): closed" in text


async def test_a_server_that_breaks_the_protocol_is_said_to() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x00\x00")
        await reader.read(100)

    code, text = await answers(serve, "pub", "URL", "Office/x", "-m", "x")
    assert code == 1
    assert "sent what MQTT forbids" in text


async def test_a_server_that_closes_at_once_asks_for_the_port() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    code, text = await answers(serve, "pub", "URL", "Office/x", "-m", "x")
    assert code == 1
    assert "is it the right port" in text


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            pass

    code, text = await answers(serve, "pub", "URL", "Office/x", "-m", "x", "--timeout", "0.2")
    assert code == 1
    assert "did not answer within 0.2 seconds" in text


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("elsewhere", ("elsewhere.example",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)

    code, text = await answers(serve, "pub", "URL", "Office/x", "-m", "x", "--ca", str(authority.ca), tls=context)
    assert code == 1
    assert "is for another name" in text


def test_a_device_cannot_steer_the_terminal() -> None:
    assert harmless(b"\x1b[2J\x07 21.5 \xc2\xb0C\t\xff") == "\\x1b[2J\\x07 21.5 °C\t\\xff".encode()
