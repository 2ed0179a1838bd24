"""The hub's listeners of CoAP: groups, guests, streams and WebSockets with other makers' clients, what the hub says."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from bridgehead.node.configuration import Config, ConfigFile, Listener, Log, StoreSettings
from bridgehead.node.run import HubError, run
from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.decode import decode
from bridgehead.protocols.coap.codec.encode import encode
from bridgehead.protocols.coap.codec.message import CON, NON, Message, in_order
from bridgehead.protocols.coap.codec.numbers import ECHO, URI_PATH, URI_QUERY
from bridgehead.protocols.coap.codec.stream import decode_websocket, encode_websocket
from bridgehead.transport.dtls.contract import DtlsError
from tests.cli.hub import PATIENCE, Hub, wait_until
from tests.coap.whole.harbour import GUEST, Harbour, may_both

aiocoap: Any = import_module("aiocoap")  # which has no types
NUMBERS = itertools.count(1)
CORE = ((URI_PATH, b".well-known"), (URI_PATH, b"core"))


def topic() -> str:
    return f"open/listeners/{next(NUMBERS)}"


# Groups (RFC 7252 section 8). ----------------------------------------------------------------------------


def ask_group(harbour: Harbour, request: Message) -> list[bytes]:
    """What comes back within a moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        index = socket.if_nametoindex("lo")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", bytes(4), bytes(4), index))
        sock.sendto(encode(request), ("224.0.1.187", harbour.hub.port("coap")))
        sock.settimeout(PATIENCE if request.type == NON and request.code == codes.GET else 0.5)
        try:
            return [sock.recv(4096)]
        except TimeoutError:
            return []


@pytest.mark.clause("RFC7252-8.1")
def test_a_group_is_answered_with_what_the_guest_may_see(quick: Harbour) -> None:
    options = in_order([*CORE, (URI_QUERY, b"rt=bridgehead.topics")])
    (answer,) = ask_group(quick, Message(codes.GET, options, b"", b"tk", NON, 7))
    message = decode(answer)
    assert (message.type, message.code, message.token) == (NON, codes.CONTENT, b"tk")
    assert message.payload.startswith(b"</t>")


@pytest.mark.clause("RFC9175-2.4")
def test_a_group_gets_nobody_more_than_three_times_what_he_sent(quick: Harbour) -> None:
    """Whoever forged the address would have it flooded: the answer must be asked for with an Echo, by unicast."""
    (answer,) = ask_group(quick, Message(codes.GET, CORE, b"", b"tk", NON, 7))
    message = decode(answer)
    assert message.code == codes.UNAUTHORIZED
    assert message.has(ECHO)


@pytest.mark.clause("RFC7252-8.2")
@pytest.mark.parametrize(
    "request_of_group",
    [
        Message(codes.PUT, ((URI_PATH, b"t"), (URI_PATH, b"open"), (URI_PATH, b"x")), b"x", b"", NON, 8),
        Message(codes.GET, CORE, b"", b"", CON, 9),
    ],
    ids=["an error", "a confirmable one"],
)
def test_a_group_hears_no_errors(quick: Harbour, request_of_group: Message) -> None:
    assert ask_group(quick, request_of_group) == []


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    """A hub that answers groups soon."""
    made = Harbour(tmp_path_factory.mktemp("quick"), "[coap]\nleisure = 0.1\n[system_topics]\ninterval = 0.2\n")
    made.start()
    try:
        yield made
    finally:
        made.stop()


# Guests. ------------------------------------------------------------------------------------------------


@pytest.mark.peer("coap-client-gnutls")
@pytest.mark.parametrize("scheme", ["coap", "coap+tcp"])
def test_the_guest_has_its_own_record_and_is_not_verified(quick: Harbour, scheme: str) -> None:
    assert "4.03" not in quick.ask("coap-client-gnutls", quick.uri(scheme, f"t/{topic()}"), "-m", "put", "-e", "x")
    role = f"of-guests-{next(NUMBERS)}"
    quick.command("role", "add", role, "--allow", f"publish {role}/any", "--allow", f"publish {role}/sure verified")
    quick.command("device", "set", GUEST, "--role", role)
    for name, permitted in (("any", True), ("sure", False), ("other", False)):
        said = quick.ask("coap-client-gnutls", quick.uri(scheme, f"t/{role}/{name}"), "-m", "put", "-e", "x")
        assert ("4.03" in said) != permitted


@pytest.mark.peer("coap-client-gnutls")
def test_a_guest_that_is_gone_takes_its_rights_with_it(tmp_path: Path) -> None:
    made = Harbour(tmp_path)
    made.start()
    try:
        uri = made.uri("coap", "t/open/x")
        assert "4.0" not in made.ask("coap-client-gnutls", uri, "-m", "put", "-e", "x")
        made.command("device", "disable", GUEST)
        assert "4.03" in made.ask("coap-client-gnutls", uri, "-m", "put", "-e", "x")
        made.command("device", "remove", GUEST)
        assert "4.0" in made.ask("coap-client-gnutls", uri, "-m", "put", "-e", "x")
        made.add(GUEST, may_both("open/#"), password="x" * 20)
        wait_until(
            "the new one's rights count",
            lambda: "4.0" not in made.ask("coap-client-gnutls", uri, "-m", "put", "-e", "x"),
        )
        assert made.hub.stop() == 0
    finally:
        made.stop()


# Streams (RFC 8323). -------------------------------------------------------------------------------------


@asynccontextmanager
async def client(harbour: Harbour) -> AsyncIterator[Any]:
    """aiocoap's, which trusts the hub's authority."""
    context = await aiocoap.Context.create_client_context()
    for scheme in ("coaps+tcp", "coaps+ws"):
        context.client_credentials.load_from_dict(
            {f"{scheme}://localhost:{harbour.hub.port(scheme)}/*": {"tlscert": {"certfile": str(harbour.authority)}}}
        )
    try:
        yield context
    finally:
        await context.shutdown()


@pytest.mark.parametrize("scheme", ["coap", "coap+tcp", "coap+ws"])
@pytest.mark.clause("RFC8323-4.3")
async def test_aiocoap_writes_reads_and_observes(harbour: Harbour, scheme: str) -> None:
    name = topic()
    uri = harbour.uri(scheme, f"t/{name}")
    mqtt = await asyncio.to_thread(harbour.mqtt)
    async with client(harbour) as context, asyncio.timeout(PATIENCE):
        put = aiocoap.Message(code=aiocoap.PUT, uri=uri, payload=b"one")
        assert (await context.request(put).response).code == aiocoap.CREATED
        observing = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
        assert (await observing.response).payload == b"one"
        # one iterator: aiocoap's second one would begin with the last change again
        changes = aiter(observing.observation)
        for value in ("two", "three"):
            await asyncio.to_thread(mqtt.publish, name, value, True)
            assert (await anext(changes)).payload == value.encode()
        observing.observation.cancel()
    mqtt.close()


@pytest.mark.parametrize("scheme", ["coaps+ws", "coap+ws"])
@pytest.mark.clause("RFC8323-4.2")
@pytest.mark.clause("RFC8323-4.3")
async def test_a_websocket_message_is_one_message_of_coap(harbour: Harbour, scheme: str) -> None:
    """Whole in one frame, in several frames, and several at once."""
    secured = scheme == "coaps+ws"
    tls = ssl.create_default_context(cafile=harbour.authority) if secured else None
    if tls is not None:
        tls.load_cert_chain(harbour.pem("sensor", "cert"))
    uri = f"{'wss' if secured else 'ws'}://localhost:{harbour.hub.port(scheme)}/.well-known/coap"
    async with asyncio.timeout(PATIENCE), connect(uri, subprotocols=[Subprotocol("coap")], ssl=tls) as socket_:
        assert socket_.subprotocol == "coap"
        csm = await socket_.recv(decode=False)
        assert decode_websocket(csm).code == codes.CSM
        await socket_.send(encode_websocket(Message(codes.CSM)))
        request = encode_websocket(Message(codes.GET, CORE, b"", b"a"))
        await socket_.send([request[:3], request[3:9], request[9:]])
        answer = decode_websocket(await socket_.recv(decode=False))
        assert (answer.code, answer.token) == (codes.CONTENT, b"a")
        for token in (b"b", b"c"):
            await socket_.send(encode_websocket(Message(codes.GET, CORE, b"", token)))
        assert [decode_websocket(await socket_.recv(decode=False)).token for _ in range(2)] == [b"b", b"c"]


@pytest.mark.clause("RFC8323-4.1")
async def test_a_websocket_without_the_subprotocol_is_refused(harbour: Harbour) -> None:
    with pytest.raises(Exception, match=r"HTTP 400|rejected"):
        async with connect(f"ws://localhost:{harbour.hub.port('coap+ws')}/.well-known/coap"):
            pass


@pytest.mark.clause("RFC8323-8.2")
def test_tls_agrees_on_coap_by_alpn(harbour: Harbour) -> None:
    context = ssl.create_default_context(cafile=harbour.authority)
    context.set_alpn_protocols(["mqtt", "coap"])
    sock = socket.create_connection(("127.0.0.1", harbour.hub.port("coaps+tcp")), PATIENCE)
    with context.wrap_socket(sock, server_hostname="localhost") as tls:
        assert tls.selected_alpn_protocol() == "coap"


@pytest.mark.peer("coap-client-openssl")
def test_without_a_certificate_tls_alone_lets_nobody_do_anything(harbour: Harbour) -> None:
    uri = harbour.uri("coaps+tcp", "t/open/x")
    assert "4.01" in harbour.ask("coap-client-openssl", uri, "-R", str(harbour.authority))


async def test_a_stopping_hub_says_so_to_its_streams(tmp_path: Path) -> None:
    made = Harbour(tmp_path)
    await asyncio.to_thread(made.start)
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", made.hub.port("coap+tcp"))
            writer.write(bytes((0x00, codes.CSM)))
            await writer.drain()
            made.hub.signal(signal.SIGTERM)
            octets = await reader.read()
            writer.close()
        assert octets[-1 - len("the hub is stopping") - 1 :].endswith(b"the hub is stopping")
        assert bytes((codes.RELEASE,)) in octets
        assert await asyncio.to_thread(made.hub.stop) == 0
    finally:
        made.stop()


# DTLS with more clients. ---------------------------------------------------------------------------------


@pytest.mark.peer("gnutls-cli")
def test_gnutls_cli_gets_an_answer(harbour: Harbour) -> None:
    """By its certificate, to a message that is malformed: it is answered by Reset (RFC 7252 section 4.2)."""
    port = harbour.hub.port("coaps")
    words = ["gnutls-cli", "--udp", "-p", str(port), "localhost", "--x509cafile", str(harbour.authority)]
    words += ["--x509certfile", str(harbour.pem("sensor", "cert")), "--x509keyfile", str(harbour.pem("sensor", "cert"))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = b""
        while b"Handshake was completed" not in said:
            said += process.stdout.readline()
        process.stdin.write(b"\x40\x01AB\n")  # the line's end begins an option that is cut off
        process.stdin.flush()
        while b"p\0AB" not in said:
            octet = process.stdout.read(1)
            assert octet, said
            said += octet
        process.kill()


# What the hub says. --------------------------------------------------------------------------------------


def test_the_ready_line_names_each_listener_by_its_scheme(harbour: Harbour) -> None:
    names = [name for name, _ in harbour.hub.addresses()]
    assert names == ["mqtts", "coaps", "coap", "coaps+tcp", "coap+tcp", "coaps+ws", "coap+ws"]
    warning = harbour.hub.events("listener.plaintext")[0]["because"]
    assert f"whoever reaches it may do what the device '{GUEST}' may" in str(warning)


@pytest.mark.peer("coap-client-gnutls")
def test_the_hubs_own_figures_count_coap(quick: Harbour) -> None:
    quick.add("reader", may_both("$SYS/#"))
    uri = quick.uri("coaps", "t/%24SYS/broker/messages/received")
    proof = quick.proof("psk", "reader")
    first = _number(quick.ask("coap-client-gnutls", uri, *proof))
    for _ in range(5):
        quick.ask("coap-client-gnutls", quick.uri("coap", ".well-known/core"))
    wait_until("they are counted", lambda: _number(quick.ask("coap-client-gnutls", uri, *proof)) >= first + 5)


def _number(said: str) -> int:
    return int(said.split()[0]) if said.split()[:1] and said.split()[0].isdigit() else 0


@pytest.fixture
def own_signals() -> Iterator[None]:
    """A hub in this process ignores signals when it has ended, and so would all that later tests start."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_without_gnutls_the_hub_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And does not start with a door that is not there."""

    def missing(*_: object, **__: object) -> None:
        raise DtlsError("GnuTLS is missing, and DTLS needs it: install it")

    monkeypatch.setattr("bridgehead.node.coap.Credentials", missing)
    settings = ConfigFile(
        listeners=[Listener(bind="127.0.0.1:0", protocol="coap")],
        log=Log(format="json", file=str(tmp_path / "log")),
        store=StoreSettings(kind="memory"),
    )
    with pytest.raises(HubError, match=r"CoAP over DTLS at 127.0.0.1:0: GnuTLS is missing.*: install it"):
        run(Config(tmp_path / "data", None, settings))


def test_an_rsa_key_is_refused_for_dtls(tmp_path: Path) -> None:
    """It would hold up everybody else's handshakes."""
    subprocess.run(
        ["sh", "-c", "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=hub -days 2 -keyout key.pem -out cert.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (tmp_path / "key.pem").chmod(0o600)
    hub = Hub(
        tmp_path,
        f'[[listener]]\nbind = "127.0.0.1:0"\nprotocol = "coap"\ncertificate = "{tmp_path}/cert.pem"\n'
        f'key = "{tmp_path}/key.pem"\n',
    )
    process = hub.launch()
    assert process.wait(PATIENCE) == 1
    assert "make a P-256 key instead" in hub.log_text()
