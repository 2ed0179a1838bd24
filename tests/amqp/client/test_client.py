"""The AMQP client against a small server on loopback: login, links, guarantees, flow control, and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bridgehead.protocols.amqp.client.client import Client
from bridgehead.protocols.amqp.client.errors import ConnectionFailed, LoginRefused, Refused
from bridgehead.protocols.amqp.client.mechanisms import ExternalClient, PlainClient, Speaks
from bridgehead.protocols.amqp.client.message import Incoming, Outgoing, plain, topic_node
from bridgehead.protocols.amqp.client.target import Target, TargetError, parse_target
from bridgehead.protocols.amqp.codec.v1.performatives import Disposition, Flow, Open, Transfer
from bridgehead.protocols.amqp.codec.v1.sections import AMQP_SEQUENCE, AMQP_VALUE, put_section
from bridgehead.protocols.amqp.codec.v1.types import Described, Symbol, UInt, Uuid
from tests.amqp.client.double import Listening, Server

clause = pytest.mark.clause
PLAIN = "PLAIN"


def plain_login(mechanism: str, data: bytes) -> bytes | int:
    return 0 if (mechanism, data) == (PLAIN, b"\0ana\0secret") else 1


def server(nodes: dict[str, list[bytes]] | None = None, **more: int) -> Callable[[], Server]:
    shared = {} if nodes is None else nodes
    return lambda: Server([PLAIN, "EXTERNAL"], plain_login, shared, **more)


def client(port: int, password: bytes = b"secret") -> Client:
    candidates: list[Speaks] = [PlainClient("ana", password)]
    return Client(Target("amqp", "127.0.0.1", port), "test", candidates, timeout=5)


@clause("AMQP-2.2", "AMQP-2.4.1", "AMQP-2.4.2", "AMQP-2.5.1", "AMQP-2.6.3", "AMQP-2.6.12", "AMQP-2.8.10")
@clause("AMQP-5.3", "AMQP-5.3.2", "AMQP-5.3.4")
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_there_and_back(qos: int) -> None:
    async with Listening(server()) as there:
        sender, receiver = client(there.port), client(there.port)
        await sender.open()
        await receiver.open()
        await receiver.receiver("in", "/queues/q", qos, 10)
        link = await sender.sender("out", "/queues/q", qos)
        message = Outgoing(qos > 0, content_type="text/plain")
        # The double gives a window of 10 frames and a credit of 20 at a time: both have to be filled up.
        for number in range(50):
            await sender.publish(link, message.octets(b"%d" % number))
        await sender.detach(link)
        await receiver.receiver("again", "/queues/q", qos, 10)
        for number in range(50):
            delivery = await receiver.next_message()
            found = Incoming(delivery.octets, delivery.link.address)
            assert found.payload == b"%d" % number
            assert found.properties == {"content_type": "text/plain"}
            assert delivery.settled is (qos == 0)
            receiver.accept(delivery)
        await receiver.close()
        await sender.close()
        published, received = there.servers[0].seen, there.servers[1].seen
    transfers = [each for each in published if isinstance(each, Transfer)]
    assert [each.settled for each in transfers] == [int(qos == 0)] * 50
    said = [each for each in received if isinstance(each, Disposition)]
    assert [each.settled for each in said] == ([] if qos == 0 else [qos == 1] * 50)
    # Where the receiver did not settle first, the sender did.
    assert any(isinstance(each, Disposition) and not each.role for each in published) is (qos > 0)


@clause("AMQP-2.6.14", "AMQP-2.5.6")
async def test_a_large_message_goes_in_frames() -> None:
    nodes: dict[str, list[bytes]] = {}
    async with Listening(server(nodes, frame_size=1000)) as there:
        one = client(there.port)
        await one.open()
        link = await one.sender("out", "/queues/q", 1)
        body = bytes(range(256)) * 200
        await one.publish(link, Outgoing(True).octets(body))
        await one.receiver("in", "/queues/q", 1, 1)
        delivery = await one.next_message()
        assert Incoming(delivery.octets, "").payload == body
        with pytest.raises(Refused, match="the server takes 1000000"):
            await one.publish(link, Outgoing(True).octets(bytes(1_000_001)))
        await one.close()
        transfers = [each for each in there.servers[0].seen if isinstance(each, Transfer)]
    assert len(transfers) > 50
    assert [each.more for each in transfers] == [True] * (len(transfers) - 1) + [False]


@clause("AMQP-2.6.7")
async def test_no_more_credit_than_is_wanted() -> None:
    nodes = {"/queues/q": [Outgoing(False).octets(b"%d" % number) for number in range(30)]}
    async with Listening(server(nodes)) as there:
        one = client(there.port)
        await one.open()
        await one.receiver("in", "/queues/q", 0, 4, total=6)
        for number in range(6):
            delivery = await one.next_message()
            assert Incoming(delivery.octets, "").payload == b"%d" % number
            one.accept(delivery)
        await one.close()
        granted = [each for each in there.servers[0].seen if isinstance(each, Flow) and each.link_credit >= 0]
    assert max(each.delivery_count + each.link_credit for each in granted) == 6
    assert len(nodes["/queues/q"]) == 24


async def test_what_the_server_refuses() -> None:
    async with Listening(server()) as there:
        one = client(there.port)
        await one.open()
        with pytest.raises(Refused, match="amqp:unauthorized-access: not for you"):
            await one.sender("out", "/topics/forbidden", 1)
        link = await one.sender("reject", "/topics/rejecting", 1)
        with pytest.raises(Refused, match="refused the message: amqp:not-allowed: not today") as fault:
            await one.publish(link, Outgoing(True).octets(b"x"))
        assert fault.value.condition == "amqp:not-allowed"
        await one.close()
        with pytest.raises(ConnectionFailed):
            await one.publish(link, b"")


async def test_what_is_refused_of_what_was_settled() -> None:
    async with Listening(server()) as there:
        one = client(there.port)
        await one.open()
        link = await one.sender("out", "/topics/late", 0)
        await one.publish(link, Outgoing(False).octets(b"x"))
        with pytest.raises(Refused, match="detached /topics/late: amqp:not-allowed: one of them"):
            await one.detach(link)
        await one.close()


@clause("AMQP-5.3.2")
async def test_login() -> None:
    async with Listening(server()) as there:
        wrong = client(there.port, b"wrong")
        with pytest.raises(LoginRefused, match="does not believe who this is \\(PLAIN\\)"):
            await wrong.open()
        other = Client(Target("amqp", "127.0.0.1", there.port), "test", [_Unknown()], timeout=5)
        with pytest.raises(LoginRefused, match=r"offers the mechanisms PLAIN, EXTERNAL, and what is given .* X-OTHER"):
            await other.open()


class _Unknown(ExternalClient):
    name = "X-OTHER"


async def test_a_mechanism_of_several_steps() -> None:
    steps: list[bytes] = []

    def judge(mechanism: str, data: bytes) -> bytes | int:
        steps.append(data)
        answers: list[bytes | int] = [b"one", b"two", 0]
        return answers[len(steps) - 1]

    class Talk(ExternalClient):
        name = "TALK"

        def start(self) -> bytes:
            return b"hello"

        def respond(self, challenge: bytes) -> bytes:
            return b"to " + challenge

        def finish(self, data: bytes | None) -> None:
            steps.append(b"done")

    async with Listening(lambda: Server(["TALK"], judge)) as there:
        one = Client(Target("amqp", "127.0.0.1", there.port), "test", [Talk()], timeout=5)
        await one.open()
        await one.close()
    assert steps == [b"hello", b"to one", b"to two", b"done"]


async def test_an_empty_challenge_is_answered_with_the_initial_response() -> None:
    said: list[bytes] = []

    def judge(mechanism: str, data: bytes) -> bytes | int:
        said.append(data)
        return b"" if len(said) == 1 else 0

    async with Listening(lambda: Server([PLAIN], judge)) as there:
        one = client(there.port)
        await one.open()
        await one.close()
    assert said == [b"\0ana\0secret"] * 2


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "answers in HTTP; for AMQP over WebSocket use amqp\\+wss"),
        (b"AMQP\x00\x00\x09\x01", "the header of AMQP 0.9.1"),
        (b"SSH-2.0-x", "does not speak AMQP"),
        (b"AMQP\x03\x01\x00\x00\xff\xff\xff\xff\x02\x01\x00\x00", "sent what AMQP forbids"),
        (b"", "closed the connection without an answer"),
    ],
)
async def test_servers_that_are_something_else(answer: bytes, sentence: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(answer)
        await writer.drain()
        writer.close()

    there = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with there:
        one = client(there.sockets[0].getsockname()[1])
        with pytest.raises(ConnectionFailed, match=sentence):
            await one.open()


async def test_nobody_there() -> None:
    there = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = there.sockets[0].getsockname()[1]
    there.close()
    await there.wait_closed()
    with pytest.raises(ConnectionFailed, match="cannot connect to amqp://"):
        await client(port).open()


@clause("AMQP-2.4.5")
async def test_the_connection_is_kept_alive() -> None:
    async with Listening(server(idle=100)) as there:
        one = client(there.port)
        await one.open()
        opened = one.machine.peer
        assert isinstance(opened, Open)
        # On a clock of its own: half of what the server waits, and an empty frame is due.
        machine = one.machine
        due = machine.next_timeout()
        assert due is not None
        machine.to_send(due - 0.05)
        assert machine.handle_timeout(due + 1.0)
        assert machine.to_send(due + 1.0) == b"\x00\x00\x00\x08\x02\x00\x00\x00"
        assert not machine.handle_timeout(due + 1000.0)
        await one.close()


TARGETS = [
    ("amqp://hub", ("amqp", "hub", 5672, "", "/amqp", None)),
    ("amqps://ana@hub:1/queues/q%2F1", ("amqps", "hub", 1, "/queues/q%2F1", "/amqp", "ana")),
    ("AMQPS://[::1]/topics/a%2F%23", ("amqps", "::1", 5671, "/topics/a%2F%23", "/amqp", None)),
    ("amqp+wss://hub/topics/a", ("amqp+wss", "hub", 443, "/topics/a", "/amqp", None)),
    ("amqps+ws://hub:8443/other", ("amqps+ws", "hub", 8443, "", "/other", None)),
    ("amqp+ws://hub/", ("amqp+ws", "hub", 80, "", "/amqp", None)),
]


@pytest.mark.parametrize(("url", "wanted"), TARGETS)
def test_urls(url: str, wanted: tuple[object, ...]) -> None:
    found = parse_target(url)
    assert (found.scheme, found.host, found.port, found.node, found.path, found.user_name) == wanted
    assert found.websocket_url.startswith("wss://" if found.tls else "ws://")
    assert str(found.port) in str(found)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://hub", "the URL must be"),
        ("amqps://ana:secret@hub", "a password in the URL"),
        ("amqps://", "names no host"),
        ("amqps://hub:x", "cannot be read"),
        ("amqps://hub/other", "names a topic or a queue"),
        ("amqps://hub/queues/", "names no topic or queue"),
        ("amqps://hub/topics/a?b", "written %3F"),
    ],
)
def test_urls_that_cannot_be(url: str, sentence: str) -> None:
    with pytest.raises(TargetError, match=sentence) as fault:
        parse_target(url)
    assert "secret" not in str(fault.value)


def test_messages_taken_apart() -> None:
    message = Outgoing(True, True, 5, "a/b", False, topic_node("answers/1"), b"\xff\x01", [("k", "v")])
    found = Incoming(message.octets(b"body"), topic_node("a/b"))
    assert (found.where, found.payload, found.retain, found.durable) == ("a/b", b"body", True, True)
    assert found.application == {"k": "v"}
    assert found.properties == {
        "ttl": 5.0,
        "content_type": "a/b",
        "reply_to": "/topics/answers%2F1",
        "correlation_id": "ff01",
    }
    assert Incoming(Outgoing(False, is_text=True).octets("é".encode()), "/queues/q").payload == "é".encode()
    assert Incoming(put_section(AMQP_VALUE, {"a": [UInt(1), b"x"]}), "/queues/q").payload == b'{"a": [1, "x"]}'
    assert Incoming(put_section(AMQP_SEQUENCE, [None, True]), "/queues/q").payload == b"[[null, true]]"
    assert Incoming(put_section(AMQP_VALUE, b"\x00"), "/queues/q").where == "/queues/q"
    assert plain(Described(Symbol("d"), Uuid(bytes(16)))) == "00000000-0000-0000-0000-000000000000"
