"""The cross-proxy as a way in: past the path and the host that the policy names, past a certificate, by a browser that
somebody else's page leads, by streams that outlive the right, by answers that never come."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Context, Permission
from bridgehead.protocols.coap.chain import make_chain
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.codec.uri import Uri
from bridgehead.protocols.coap.config import CoapConfig
from bridgehead.protocols.coap.proxy.config import ProxySettings
from bridgehead.protocols.coap.proxy.gateway import Exchanges, Gateway
from bridgehead.protocols.coap.proxy.reach import Reach, host_of, is_near, topic_of
from bridgehead.protocols.coap.session.echo import Echo
from bridgehead.security.login.proof import Credentials, Proven
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.listener import Listener
from bridgehead.transport.shared import Shared
from tests.attacks.coap_world import NOW, World
from tests.coap.proxy.test_to_http import Answers, Asked, Proxy

OPEN = Permission("$PROXY/http/127.0.0.1/+/open/#", True, True)


class Counting(ThreadingHTTPServer):
    connections = 0

    def verify_request(self, request: object, client_address: object) -> bool:
        self.connections += 1
        return True


@pytest.fixture
def server() -> Iterator[Counting]:
    Answers.stored.clear()
    Answers.seen.clear()
    with Counting(("127.0.0.1", 0), Answers) as http:
        thread = Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy(OPEN)
    yield made
    await made.handler.stop()


async def by_scheme(proxy: Proxy, host: bytes, port: int, *path: bytes) -> Message:
    options: list[Option] = [
        (numbers.PROXY_SCHEME, b"http"),
        (numbers.URI_HOST, host),
        (numbers.URI_PORT, uint_value(port)),
        *[(numbers.URI_PATH, segment) for segment in path],
    ]
    exchange = Asked(proxy.party, Message(codes.GET, in_order(options)))
    proxy.handler.handle(exchange)
    async with asyncio.timeout(10):
        return await exchange.answer


# CoAP to HTTP. ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("up", [b"..", b".", b"../secret", b"..\\secret", b"..;x", b"%2e%2e", b"%252e%252e", b"..%2fx"])
async def test_nobody_climbs_out_of_the_path_that_is_permitted(proxy: Proxy, server: Counting, up: bytes) -> None:
    """The policy reads "open/../secret" as something below "open"; the server would not."""
    answer = await by_scheme(proxy, b"127.0.0.1", server.server_port, b"open", up, b"secret")
    assert answer.code == codes.BAD_OPTION
    assert not Answers.seen
    assert (await by_scheme(proxy, b"127.0.0.1", server.server_port, b"open", b"...")).code == codes.NOT_FOUND


@pytest.mark.parametrize("up", ["%2e%2e", "..%2f..", "..%5csecret", "..;a=b", "%252e%252e"])
async def test_nor_by_a_uri(proxy: Proxy, server: Counting, up: str) -> None:
    answer = await proxy.ask(codes.GET, f"http://127.0.0.1:{server.server_port}/open/{up}/secret")
    assert answer.code == codes.BAD_OPTION
    assert not Answers.seen


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1/80/open/x.evil.example",  # a slash would be another level of the topic
        b"user:secret@127.0.0.1",
        b"127.0.0.1\r\nx-admin: yes",
        b"a..b",
        b"x" * 70,
        "ⓛocalhost".encode(),
        b"fe80::1%/../x",
        b"127.0.0.1\x00",
        b"#",
        b"+",
    ],
)
async def test_hosts_that_are_none_are_answered_and_lead_nowhere(server: Counting, host: bytes) -> None:
    proxy = Proxy(Permission("$PROXY/http/#", True, True), OPEN)
    assert (await by_scheme(proxy, host, server.server_port, b"open", b"x")).code == codes.BAD_REQUEST
    assert not Answers.seen
    await proxy.handler.stop()


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0300.0.02.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("Weather.Example.", "weather.example"),
    ],
)
def test_one_host_has_one_name_for_the_policy(written: str, host: str) -> None:
    """What is denied by one way of writing is not had by another."""
    assert topic_of("http", written, 80, []) == f"$PROXY/http/{host}/80"


def test_an_address_of_the_hub_itself_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is not loopback: services that listen on all addresses are reached by each."""
    assert is_near("fd00:ec2::254")

    class Own(socket.socket):
        def connect(self, address: object) -> None:
            self.asked = address

        def getsockname(self) -> object:
            return self.asked

    assert not is_near("192.0.2.7")
    monkeypatch.setattr(socket, "socket", Own)
    assert is_near("192.0.2.7")


async def test_a_denial_because_of_the_address_is_in_the_audit_log(server: Counting) -> None:
    proxy = Proxy(Permission("$PROXY/http/+/+/open/#", True, True))
    assert (await by_scheme(proxy, b"127.0.0.1", server.server_port, b"open")).code == codes.FORBIDDEN
    [(event, fields)] = proxy.events
    assert event == "subscribe.denied"
    assert (fields["principal"], fields["protocol"]) == ("node-7", "coap")
    await proxy.handler.stop()


async def test_no_connection_serves_a_second_name(proxy: Proxy, server: Counting) -> None:
    """Over TLS it would stand for the certificate of the first, whoever the name server says has the second."""
    for _ in range(3):
        await by_scheme(proxy, b"127.0.0.1", server.server_port, b"open")
    assert server.connections == len(Answers.seen) == 3


async def test_payload_and_rate_of_a_permission_hold_for_what_is_passed_on(server: Counting) -> None:
    """Else a permission that says "10 octets, once a second" would be one for everything."""
    bounded = Permission("$PROXY/http/127.0.0.1/+/open/#", True, True, max_payload=10, rate=1.0)
    proxy = Proxy(bounded)
    uri = f"http://127.0.0.1:{server.server_port}/open/x"
    assert (await proxy.ask(codes.PUT, uri, b"x" * 11)).code == codes.REQUEST_ENTITY_TOO_LARGE
    answers = [await proxy.ask(codes.PUT, uri, b"x") for _ in range(4)]
    assert answers[0].code == codes.CREATED
    assert answers[-1].code == codes.TOO_MANY_REQUESTS
    assert answers[-1].has(numbers.MAX_AGE)
    assert "publish.refused" in [event for event, _ in proxy.events]
    await proxy.handler.stop()


# HTTP to CoAP. ----------------------------------------------------------------------------------------


class Servers:
    """Another CoAP server that tells what is put."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[Message] = asyncio.Queue()
        self.closed = False
        self.fault: Exception | None = None

    async def ask(self, target: Uri, address: str, request: Message) -> Message:
        if self.fault is not None:
            raise self.fault
        return Message(codes.CONTENT, (), b"there")

    async def observe(self, target: Uri, address: str, request: Message) -> AsyncIterator[Message]:
        try:
            while True:
                yield await self.told.get()
        finally:
            self.closed = True


class Rim:
    """A gateway on loopback. Whoever asks is `alice`, until `expires_at`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.broker = world.house.broker
        chain = make_chain(self.broker, CoapConfig(), world.contexts, Echo(b"a key by chance.", 600.0), lambda: 0.5)
        self.settings = ProxySettings()
        self.settings.keep_alive = 0.02
        self.servers = Servers()
        self.expires_at = NEVER
        self.gateway = Gateway(
            chain.site,
            self.broker.door,
            self,
            self.settings,
            Reach(4, 2),
            self.servers,
            chain.attach,
            self.broker.clock,
        )
        self.port = 0

    async def authenticate(self, credentials: Credentials) -> Proven:
        device = self.world.identity.registry.existing_device("alice")
        principal = self.world.authenticator.principals.of(device).under(Context("https", ("password",)))
        return Proven(principal, ("password",), self.expires_at)

    def exchange(self, mechanism: str, credentials: Credentials) -> Exchanges:
        raise NotOffered("none")

    async def open(self, method: str, uri: str, *headers: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = [f"{method} /hc/{uri} HTTP/1.1", "Host: hub", "Authorization: Basic YTpi", "Connection: close", *headers]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode())
        return reader, writer

    async def ask(self, method: str, uri: str, *headers: str) -> str:
        """All that comes until the hub ends."""
        reader, writer = await self.open(method, uri, *headers)
        try:
            async with asyncio.timeout(10):
                return (await reader.read()).decode()
        finally:
            writer.close()

    async def stream(self, uri: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.open("GET", uri, "Accept: text/event-stream")
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        return reader, writer


@pytest.fixture
async def rim(tmp_path: Path) -> AsyncIterator[Rim]:
    world = World(tmp_path)
    made = Rim(world)
    listener = Listener(
        "127.0.0.1:0",
        made.gateway.accept,
        shared=Shared(),
        on_event=lambda _name, _fields: None,
        ceilings=Ceilings(1000),
    )
    await listener.start()
    made.port = listener.port
    yield made
    listener.close()
    await made.gateway.stop()
    world.close()


FAR = "coap://192.0.2.7/temperature"
TOPIC = "$PROXY/coap/192.0.2.7/5683/#"


async def rest(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(10):
        return (await reader.read()).decode()


async def test_a_stream_from_another_server_ends_with_the_permission(rim: Rim) -> None:
    rim.world.permit("alice", TOPIC)
    reader, writer = await rim.stream(FAR)
    rim.servers.told.put_nowait(Message(codes.CONTENT, (), b"before"))
    async with asyncio.timeout(10):
        assert b"data: before" in await reader.readuntil(b"before\n\n")
    device = rim.world.identity.registry.existing_device("alice")
    fewer = [each for each in device.permissions if each.topic_filter != TOPIC]
    rim.world.identity.registry.update_device(replace(device, permissions=tuple(fewer)), NOW)
    rim.world.follow()
    rim.servers.told.put_nowait(Message(codes.CONTENT, (), b"after"))
    told = await rest(reader)
    assert "after" not in told
    assert "data: 4.03" in told
    assert rim.servers.closed
    writer.close()


async def test_a_stream_from_another_server_ends_with_the_identity(rim: Rim) -> None:
    rim.world.permit("alice", TOPIC)
    reader, writer = await rim.stream(FAR)
    rim.world.identity.revoke("alice")
    rim.world.follow()
    rim.servers.told.put_nowait(Message(codes.CONTENT, (), b"after"))
    assert "after" not in await rest(reader)
    assert rim.servers.closed
    writer.close()


@pytest.mark.parametrize("uri", ["coap://hub/t/a/x", FAR])
async def test_a_stream_ends_with_what_proved_its_identity(rim: Rim, uri: str) -> None:
    """A token or a certificate that runs out."""
    rim.world.permit("alice", TOPIC)
    rim.expires_at = rim.broker.clock.now + 60.0
    reader, writer = await rim.stream(uri)
    rim.broker.clock.now += 61.0
    assert "event: error" not in await rest(reader)
    writer.close()


async def test_one_identity_does_not_have_all_the_streams(rim: Rim) -> None:
    rim.settings.streams_per_identity = 2
    open_ones = [await rim.stream("coap://hub/t/a/x") for _ in range(2)]
    assert (await rim.ask("GET", "coap://hub/t/a/x", "Accept: text/event-stream")).startswith("HTTP/1.1 503")
    for _, writer in open_ones:
        writer.close()
    async with asyncio.timeout(10):
        while True:  # the places are free again
            reader, writer = await rim.open("GET", "coap://hub/t/a/x", "Accept: text/event-stream")
            status = await reader.readline()
            writer.close()
            if b"200" in status:
                return


async def test_a_head_opens_no_stream(rim: Rim) -> None:
    answer = await rim.ask("HEAD", "coap://hub/t/a/x", "Accept: text/event-stream")
    assert answer.startswith("HTTP/1.1 404")


@pytest.mark.parametrize("header", ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"])
async def test_a_page_of_another_origin_does_not_act_with_the_users_credentials(rim: Rim, header: str) -> None:
    assert (await rim.ask("DELETE", "coap://hub/t/a/x", header)).startswith("HTTP/1.1 403")
    same = await rim.ask("DELETE", "coap://hub/t/a/x", "Origin: https://hub", "Sec-Fetch-Site: same-origin")
    assert same.startswith("HTTP/1.1 204")


async def test_what_others_publish_runs_in_no_browser(rim: Rim) -> None:
    """An SVG picture may hold a script (Content-Format 30000)."""
    answer = (await rim.ask("GET", "coap://hub/.well-known/core")).lower()
    assert "x-content-type-options: nosniff" in answer
    assert "content-security-policy: default-src 'none'; sandbox" in answer


async def test_a_defect_leaves_no_connection_waiting(rim: Rim) -> None:
    """Else five hundred of them would be all that the proxy has."""
    rim.world.permit("alice", TOPIC)
    rim.servers.fault = ValueError("what nobody expected")
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    with pytest.raises(ConnectionResetError):
        await rim.ask("GET", FAR)
    assert len(rim.gateway) == 0


@pytest.mark.parametrize("host", ["192.0.2.7%2F5683%2Fx.evil.example", "a..b", "%E2%93%9Bocalhost"])
async def test_hosts_that_are_none_over_http(rim: Rim, host: str) -> None:
    rim.world.permit("alice", "$PROXY/coap/#", TOPIC)
    assert (await rim.ask("GET", f"coap://{host}/x")).startswith("HTTP/1.1 400")


def test_a_host_of_nothing_but_a_dot() -> None:
    with pytest.raises(Refusal):
        host_of(".")
