"""CoAP to HTTP against a real HTTP server on loopback, with the hub's own door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import Origin
from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.message import Message, Option, in_order, uint_value
from bridgehead.protocols.coap.proxy.config import ProxySettings
from bridgehead.protocols.coap.proxy.headers import etag_of
from bridgehead.protocols.coap.proxy.reach import Reach
from bridgehead.protocols.coap.proxy.to_http import ToHttp
from bridgehead.protocols.coap.session.contract import Exchange, Party, Peer, Watcher
from tests.mqtt.dialogue import ManualStore


class Answers(BaseHTTPRequestHandler):
    """What the tests ask for."""

    stored: ClassVar[dict[str, bytes]] = {}
    seen: ClassVar[list[tuple[str, str, dict[str, str]]]] = []
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Quiet."""

    def _answer(self, status: int, content: bytes = b"", **more: str) -> None:
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        Answers.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
        if self.path == "/large":
            self._answer(200, b"x" * 5000)
        elif self.path == "/away":
            self._answer(302, location="http://elsewhere.example/")
        elif self.path == "/busy":
            self._answer(503, retry_after="7")
        elif self.command == "PUT":
            fresh = self.path not in Answers.stored
            Answers.stored[self.path] = body
            self._answer(201 if fresh else 204)
        elif self.command == "DELETE":
            Answers.stored.pop(self.path, None)
            self._answer(204)
        elif self.command == "POST":
            self._answer(200, body[::-1], content_type="application/json")
        elif self.path in Answers.stored:
            control = "max-age=30"
            self._answer(
                200, Answers.stored[self.path], content_type="application/json", etag='"v1"', cache_control=control
            )
        else:
            self._answer(404, b"no such thing", content_type="text/plain")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve


class Caller(Peer):
    def close(self, because: str) -> None:
        self.gone = True


class Asked(Exchange):
    def __init__(self, party: Party | None, request: Message, multicast: bool = False) -> None:
        super().__init__(Caller(party, "192.0.2.7:5683", False, True, True), party, request, True, multicast)
        self.answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def respond(self, response: Message) -> None:
        self.answer.set_result(response)

    def notify(self, response: Message, confirmable: bool, watcher: Watcher | None, number: int) -> bool:
        raise AssertionError("nothing is observed")

    def ended(self) -> None:
        raise AssertionError("nothing is observed")


@pytest.fixture
def server() -> Iterator[int]:
    Answers.stored.clear()
    Answers.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as http:
        thread = Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield http.server_port
        http.shutdown()
        thread.join()


class Proxy:
    def __init__(self, *permissions: Permission) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.broker = Broker(ManualStore(), Clock(1e6), Limits(), self._event, lambda: None)
        principal = Principal.of("node-7", list(permissions), []).under(Context("coap", ("psk",)))
        self.party = Party(principal, Origin("node-7", "coap", True))
        self.settings = ProxySettings()
        self.settings.body_octets = 4000
        self.reach = Reach(4, 2)
        self.handler = ToHttp(self.broker.door, self.settings, self.reach)

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    async def ask(self, code: int, uri: str, payload: bytes = b"", options: tuple[Option, ...] = ()) -> Message:
        request = Message(code, in_order([(numbers.PROXY_URI, uri.encode()), *options]), payload)
        exchange = Asked(self.party, request)
        self.handler.handle(exchange)
        return await exchange.answer


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy(Permission("$PROXY/http/127.0.0.1/#", True, True))
    yield made
    await made.handler.stop()


@pytest.mark.clause("RFC7252-10.1")
async def test_get_put_post_and_delete(proxy: Proxy, server: int) -> None:
    uri = f"http://127.0.0.1:{server}/things/7"
    json = (numbers.CONTENT_FORMAT, uint_value(50))
    missing = await proxy.ask(codes.GET, uri)
    assert (missing.code, missing.payload) == (codes.NOT_FOUND, b"no such thing")
    assert (await proxy.ask(codes.PUT, uri, b"[21.5]", (json,))).code == codes.CREATED
    assert (await proxy.ask(codes.PUT, uri, b"[22.5]", (json,))).code == codes.CHANGED
    found = await proxy.ask(codes.GET, uri)
    assert (found.code, found.payload) == (codes.CONTENT, b"[22.5]")
    assert (found.uint(numbers.CONTENT_FORMAT), found.uint(numbers.MAX_AGE)) == (50, 30)
    posted = await proxy.ask(codes.POST, uri, b"abc")
    assert (posted.code, posted.payload) == (codes.CHANGED, b"cba")
    assert (await proxy.ask(codes.DELETE, uri)).code == codes.DELETED
    assert [(method, path) for method, path, _ in Answers.seen][:2] == [("GET", "/things/7"), ("PUT", "/things/7")]
    assert Answers.seen[1][2]["content-type"] == "application/json"
    assert Answers.seen[1][2]["host"] == f"127.0.0.1:{server}"


async def test_validators_and_conditions(proxy: Proxy, server: int) -> None:
    uri = f"http://127.0.0.1:{server}/doc"
    await proxy.ask(codes.PUT, uri, b"1")
    tag = (await proxy.ask(codes.GET, uri)).first(numbers.ETAG)
    assert tag == etag_of('"v1"')
    valid = await proxy.ask(codes.GET, uri, options=((numbers.ETAG, tag),))
    assert (valid.code, valid.payload, valid.first(numbers.ETAG)) == (codes.VALID, b"", tag)
    other = (numbers.IF_MATCH, b"otherone")
    assert (await proxy.ask(codes.PUT, uri, b"2", (other,))).code == codes.PRECONDITION_FAILED
    assert (await proxy.ask(codes.PUT, uri, b"2", ((numbers.IF_MATCH, tag),))).code == codes.CHANGED
    assert Answers.seen[-1][2]["if-match"] == '"v1"'


@pytest.mark.clause("RFC7252-5.7.1")
@pytest.mark.clause("RFC8075-10")
async def test_closed_unless_the_policy_opens_it(server: int) -> None:
    uri = f"http://127.0.0.1:{server}/open/x"
    for permissions, code, expected in (
        ([], codes.GET, codes.FORBIDDEN),
        ([Permission("#", True, True)], codes.GET, codes.FORBIDDEN),
        # A wildcard for the host does not open this machine's own addresses.
        ([Permission("$PROXY/#", True, True)], codes.GET, codes.FORBIDDEN),
        ([Permission("$PROXY/http/+/+/open/#", True, True)], codes.GET, codes.FORBIDDEN),
        ([Permission("$PROXY/http/127.0.0.1/+/open/#", False, True)], codes.PUT, codes.FORBIDDEN),
        ([Permission("$PROXY/http/127.0.0.1/+/shut/#", True, True)], codes.GET, codes.FORBIDDEN),
        ([Permission("$PROXY/http/127.0.0.1/+/open/#", False, True)], codes.GET, codes.NOT_FOUND),
    ):
        proxy = Proxy(*permissions)
        answer = await proxy.ask(code, uri)
        assert answer.code == expected, permissions
        await proxy.handler.stop()
    assert len(Answers.seen) == 1


async def test_a_name_that_leads_to_this_machine_needs_to_be_named(server: int) -> None:
    by_wildcard = Proxy(Permission("$PROXY/http/+/#", True, True))
    assert (await by_wildcard.ask(codes.GET, f"http://localhost:{server}/")).code == codes.FORBIDDEN
    by_name = Proxy(Permission("$PROXY/http/localhost/#", True, True))
    assert (await by_name.ask(codes.GET, f"http://LocalHost:{server}/")).code == codes.NOT_FOUND
    await by_wildcard.handler.stop()
    await by_name.handler.stop()


async def test_answers_that_are_not_handed_on(proxy: Proxy, server: int) -> None:
    base = f"http://127.0.0.1:{server}"
    assert (await proxy.ask(codes.GET, f"{base}/large")).code == codes.BAD_GATEWAY
    assert (await proxy.ask(codes.GET, f"{base}/away")).code == codes.BAD_GATEWAY
    busy = await proxy.ask(codes.GET, f"{base}/busy")
    assert (busy.code, busy.uint(numbers.MAX_AGE)) == (codes.SERVICE_UNAVAILABLE, 7)
    assert (await proxy.ask(codes.GET, "http://127.0.0.1:1/")).code == codes.BAD_GATEWAY
    assert (await proxy.ask(codes.FETCH, f"{base}/x")).code == codes.METHOD_NOT_ALLOWED


@pytest.mark.clause("RFC8768-3")
async def test_the_last_hop_is_reached(proxy: Proxy, server: int) -> None:
    answer = await proxy.ask(codes.GET, f"http://127.0.0.1:{server}/x", options=((numbers.HOP_LIMIT, b"\x01"),))
    assert answer.code == codes.HOP_LIMIT_REACHED
    assert not Answers.seen


async def test_who_has_not_proven_anything_is_not_served(proxy: Proxy, server: int) -> None:
    exchange = Asked(None, Message(codes.GET, ((numbers.PROXY_URI, f"http://127.0.0.1:{server}/".encode()),)))
    proxy.handler.handle(exchange)
    assert (await exchange.answer).code == codes.UNAUTHORIZED
    group = Asked(proxy.party, Message(codes.GET, ((numbers.PROXY_URI, b"http://x/"),)), multicast=True)
    proxy.handler.handle(group)
    await asyncio.sleep(0)
    assert not group.answer.done()


async def test_no_more_requests_of_one_identity_than_may_be(proxy: Proxy, server: int) -> None:
    with proxy.reach.under_way("node-7"), proxy.reach.under_way("node-7"):
        refused = await proxy.ask(codes.GET, f"http://127.0.0.1:{server}/x")
    assert refused.code == codes.SERVICE_UNAVAILABLE
    assert (await proxy.ask(codes.GET, f"http://127.0.0.1:{server}/x")).code == codes.NOT_FOUND
