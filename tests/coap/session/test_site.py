"""Resources are found by their path; options that nobody understands, proxying, and /.well-known/core."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.core.permission import Permission
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.link_format import parse_links
from bridgehead.protocols.coap.codec.message import CON, NON, Message, in_order
from bridgehead.protocols.coap.session.contract import Exchange, Handler
from tests.coap.topics import TopicsHub, may, shown

KNOWN_NUMBERS = [numbers.IF_MATCH, numbers.ETAG, numbers.IF_NONE_MATCH, numbers.OBSERVE, numbers.CONTENT_FORMAT]
ANY_OPTION = st.one_of(
    st.tuples(st.just(numbers.URI_PATH), st.sampled_from([b"t", b"a", b"", b"+", b"#", b".well-known", b"core", b"/"])),
    st.tuples(st.just(numbers.URI_QUERY), st.sampled_from([b"f=#", b"f=a/+", b"f", b"rt=*", b"=", b"\xff"])),
    st.tuples(st.sampled_from([*KNOWN_NUMBERS, numbers.MAX_AGE, numbers.ACCEPT]), st.binary(max_size=5)),
    st.tuples(st.integers(0, 300), st.binary(max_size=9)),
)

UNKNOWN_CRITICAL = (65001, b"x")
UNKNOWN_ELECTIVE = (65000, b"x")


class Proxy(Handler):
    def __init__(self) -> None:
        self.requests: list[Message] = []

    def handle(self, exchange: Exchange) -> None:
        self.requests.append(exchange.request)
        exchange.respond(Message(codes.BAD_GATEWAY))


# Options. -----------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7252-5.4.1")
def test_a_critical_option_that_nobody_understands_is_4_02() -> None:
    client = TopicsHub().secured()
    answer = client.request(codes.PUT, "t/a", b"1", [UNKNOWN_CRITICAL])
    assert answer.code == codes.BAD_OPTION
    assert b"65001" in answer.payload
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND


@pytest.mark.clause("RFC7252-5.4.1")
def test_in_a_non_confirmable_request_it_is_rejected_in_silence() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.send(client.message(codes.PUT, "t/a", b"1", [UNKNOWN_CRITICAL], NON))
    hub.pass_time(60)
    assert client.get() == []
    assert client.peer.pending == 0


@pytest.mark.clause("RFC7252-5.4.1")
def test_an_elective_one_is_ignored() -> None:
    client = TopicsHub().secured()
    assert client.request(codes.PUT, "t/a", b"1", [UNKNOWN_ELECTIVE]).code == codes.CREATED


@pytest.mark.clause("RFC7252-5.4.5")
def test_an_elective_option_that_is_repeated_without_leave_counts_once() -> None:
    hub = TopicsHub()
    client = hub.secured()
    twice = [(numbers.MAX_AGE, b"\x0a"), (numbers.MAX_AGE, b"\xff")]
    assert client.request(codes.PUT, "t/a", b"1", twice).code == codes.CREATED
    assert client.request(codes.GET, "t/a").uint(numbers.MAX_AGE) == 10


@pytest.mark.clause("RFC7252-5.4.3")
def test_a_path_that_is_no_text_is_an_option_that_is_not_understood() -> None:
    client = TopicsHub().secured()
    answer = client.request(codes.GET, options=[(numbers.URI_PATH, b"t"), (numbers.URI_PATH, b"\xff")])
    assert answer.code == codes.BAD_OPTION


def test_oscore_without_its_layer_is_not_understood() -> None:
    client = TopicsHub().secured()
    assert client.request(codes.POST, "", b"x", [(numbers.OSCORE, b"\x09")]).code == codes.BAD_OPTION


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 31), st.lists(ANY_OPTION, max_size=6), st.binary(max_size=8), st.booleans()),
        max_size=8,
    )
)
def test_whatever_is_asked_is_answered_once(
    requests: list[tuple[int, list[tuple[int, bytes]], bytes, bool]],
) -> None:
    """Nothing is raised, and no success comes where a critical option is not understood."""
    hub = TopicsHub()
    client = hub.secured()
    for code, options, payload, confirmable in requests:
        quiet = any(number == numbers.NO_RESPONSE for number, _ in options)
        kind = CON if confirmable else NON
        message = Message(code, in_order(options), payload, client.next_token(), kind, client.next_id())
        client.send(message)
        answers = [each for each in client.get() if each.message_id == message.message_id or not confirmable]
        if confirmable and not quiet:
            assert [each.code >= 0x40 for each in answers] == [True]
        if any(number & 1 and number > numbers.PROXY_SCHEME for number, _ in options):
            assert all(each.code >= codes.BAD_REQUEST for each in answers if each.token == message.token)
    hub.pass_time(0)


# Where. -------------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7252-5.10.1")
@pytest.mark.parametrize("path", ["", "x", "x/t", "T/a", "/t"])
def test_what_is_not_here_is_4_04(path: str) -> None:
    assert TopicsHub().secured().request(codes.GET, path).code == codes.NOT_FOUND


@pytest.mark.clause("RFC7252-5.10.1")
def test_whatever_host_is_asked_for_it_is_this_one() -> None:
    client = TopicsHub().secured()
    options = [(numbers.URI_HOST, b"hub.example"), (numbers.URI_PORT, b"\x16\x33")]
    assert client.request(codes.GET, ".well-known/core", options=options).code == codes.CONTENT


@pytest.mark.clause("RFC7252-5.7.2")
@pytest.mark.parametrize(
    "option", [(numbers.PROXY_URI, b"coap://elsewhere/t/a"), (numbers.PROXY_SCHEME, b"http")], ids=["uri", "scheme"]
)
def test_who_does_not_proxy_answers_5_05(option: tuple[int, bytes]) -> None:
    assert TopicsHub().secured().request(codes.GET, "t/a", options=[option]).code == codes.PROXYING_NOT_SUPPORTED


@pytest.mark.clause("RFC7252-5.7.1")
@pytest.mark.clause("RFC7252-5.7.2")
def test_a_proxy_gets_what_names_another_server() -> None:
    hub = TopicsHub()
    proxy = Proxy()
    hub.site.proxy = proxy
    client = hub.secured()
    assert client.request(codes.GET, "t/a", options=[(numbers.PROXY_SCHEME, b"http")]).code == codes.BAD_GATEWAY
    assert client.request(codes.GET, options=[(numbers.PROXY_URI, b"coap://a/")]).code == codes.BAD_GATEWAY
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND
    assert len(proxy.requests) == 2


@pytest.mark.clause("RFC7252-5.1")
@pytest.mark.parametrize("code", [codes.PATCH, codes.IPATCH, codes.FETCH, 0x1F])
def test_a_method_that_a_topic_does_not_know_is_4_05(code: int) -> None:
    client = TopicsHub().secured()
    assert client.request(code, "t/a", b"1").code == codes.METHOD_NOT_ALLOWED
    assert client.request(codes.PUT, ".well-known/core", b"1").code == codes.METHOD_NOT_ALLOWED


def test_nobody_is_served_without_a_name() -> None:
    hub = TopicsHub()
    hub.guest = None
    client = hub.client()
    assert client.request(codes.GET, "t/a").code == codes.UNAUTHORIZED
    assert client.request(codes.GET, ".well-known/core").code == codes.UNAUTHORIZED


# /.well-known/core. -------------------------------------------------------------------------------


def targets(answer: Message) -> list[str]:
    assert answer.code == codes.CONTENT
    assert answer.uint(numbers.CONTENT_FORMAT) == 40
    return [link.target for link in parse_links(answer.payload)]


@pytest.mark.clause("RFC7252-7.2")
@pytest.mark.clause("RFC6690-4")
def test_what_is_here_is_listed() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.PUT, "t/Office/a b", b"{}", [(numbers.CONTENT_FORMAT, b"\x32")])
    answer = client.request(codes.GET, ".well-known/core")
    assert targets(answer) == ["/t", "/t/Office/a%20b"]
    links = parse_links(answer.payload)
    assert links[0].first("rt") == "bridgehead.topics"
    assert links[1].first("ct") == "50"
    assert links[1].first("obs") == ""


def test_nobody_sees_what_it_may_not_read() -> None:
    hub = TopicsHub([may("reader", Permission("Office/+", False, True))])
    writer = hub.secured("writer")
    for path in ("t/Office/Door", "t/Office/Safe/Code", "t/Lab/Door"):
        writer.request(codes.PUT, path, b"1")
    reader = hub.secured("reader", address="192.0.2.8:1")
    assert targets(reader.request(codes.GET, ".well-known/core")) == ["/t", "/t/Office/Door"]
    assert targets(reader.request(codes.GET, "t?f=#")) == ["/t/Office/Door"]


@pytest.mark.clause("RFC6690-4.1")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("rt=bridgehead.topics", ["/t"]),
        ("rt=bridgehead*", ["/t"]),
        ("href=/t/b*", ["/t/b"]),
        ("href=/t/a", ["/t/a"]),
        ("ct=0", ["/t/a"]),
        ("rt=nothing", []),
    ],
)
def test_links_are_filtered(query: str, found: list[str]) -> None:
    client = TopicsHub().secured()
    client.request(codes.PUT, "t/a", b"1", [(numbers.CONTENT_FORMAT, b"")])
    client.request(codes.PUT, "t/b", b"1")
    assert targets(client.request(codes.GET, f".well-known/core?{query}")) == found


def test_the_same_list_is_not_sent_twice() -> None:
    client = TopicsHub().secured()
    first = client.request(codes.GET, ".well-known/core")
    tag = first.first(numbers.ETAG)
    assert tag is not None
    assert client.request(codes.GET, ".well-known/core", options=[(numbers.ETAG, tag)]).code == codes.VALID


@pytest.mark.clause("RFC7252-8.2")
@pytest.mark.clause("RFC6690-4.1")
def test_a_group_is_answered_only_if_there_is_something_to_say() -> None:
    hub = TopicsHub()
    client = hub.client()
    client.multicast = True
    client.send(client.message(codes.GET, ".well-known/core?rt=nothing", type=NON))
    client.send(client.message(codes.GET, ".well-known/nothing", type=NON))
    client.send(client.message(codes.PUT, "t/a", b"1", type=NON))
    hub.pass_time(60)
    assert client.get() == []
    client.send(client.message(codes.GET, ".well-known/core?rt=bridgehead.topics", type=NON))
    hub.pass_time(60)
    assert targets(client.get_one()) == ["/t"]
    assert client.peer.pending == 0


@pytest.mark.clause("RFC7252-8.2")
def test_who_asks_a_group_reads_what_the_guest_may_and_writes_nothing() -> None:
    hub = TopicsHub([may("guest", Permission("Public/#", True, True))])
    hub.other.publish("Public/a", b"open", retain=True)
    hub.other.publish("Private/a", b"closed", retain=True)
    client = hub.client()
    client.multicast = True
    for path in ("t/Public/a", "t/Private/a", "t/Public/none"):
        client.send(client.message(codes.GET, path, type=NON))
    client.send(client.message(codes.POST, "t/Public/a", b"x", type=NON))
    hub.pass_time(60)
    assert [shown(message) for message in client.get()] == [("2.05", b"open")]
