"""Whatever is asked of `/rd` and `/ps` is answered and raises nothing; and the directory, after any order of
registrations, removals, lifetimes and crashes, shows what a plain table of them says."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.link_format import parse_links
from bridgehead.protocols.coap.codec.message import CON, NON, Message, in_order, uint_value
from tests.coap.dialogue import Client, Hub
from tests.coap.session import test_directory as directories
from tests.coap.session import test_pubsub as topics

METHODS = [codes.GET, codes.POST, codes.PUT, codes.DELETE, codes.FETCH, codes.PATCH, codes.IPATCH]
QUERIES = [
    b"ep=a",
    b"d=s",
    b"lt=60",
    b"base=coap://h",
    b"page=1",
    b"count=2",
    b"rt=core.ps.data",
    b"x",
    b"=",
    b"%",
    b"ep",
]
octets = st.binary(max_size=40)
paths = st.lists(st.sampled_from([b"data", b"res", b"ep", b"", b"..", b"81f4d4c2", b"own"]), max_size=3)
options = st.lists(
    st.one_of(
        st.tuples(st.just(numbers.URI_QUERY), st.sampled_from(QUERIES)),
        st.tuples(st.just(numbers.CONTENT_FORMAT), st.sampled_from([uint_value(606), uint_value(40), uint_value(60)])),
        st.tuples(st.just(numbers.OBSERVE), st.sampled_from([b"", b"\x01", b"\x02"])),
        st.tuples(st.just(numbers.ACCEPT), st.sampled_from([uint_value(606), uint_value(40)])),
        st.tuples(st.sampled_from([numbers.ETAG, numbers.IF_MATCH]), st.binary(min_size=1, max_size=8)),
    ),
    max_size=4,
)
payloads = st.one_of(
    octets,
    st.sampled_from(
        [b"</x>;rt=y", topics.tagged(topics.LAMP), topics.tagged({topics.MOST: 1}), b"\x82\x00\x01", b"\xa0"]
    ),
)
requests = st.tuples(st.sampled_from(METHODS), paths, options, payloads, st.sampled_from([CON, NON]))


def ask(client: Client, first: bytes, request: tuple[int, list[bytes], list[tuple[int, bytes]], bytes, int]) -> Message:
    code, path, more, payload, type_ = request
    # An option that may not be repeated is given once.
    once = {number: value for number, value in more if number != numbers.URI_QUERY}
    queries = [option for option in more if option[0] == numbers.URI_QUERY]
    every = [(numbers.URI_PATH, first), *[(numbers.URI_PATH, segment) for segment in path], *queries, *once.items()]
    token = client.next_token()
    client.send(Message(code, in_order(every), payload, token, type_, client.next_id()))
    return client.response(token)


@given(st.lists(requests, max_size=12))
@settings(max_examples=60)
def test_every_request_to_ps_is_answered(
    asked: list[tuple[int, list[bytes], list[tuple[int, bytes]], bytes, int]],
) -> None:
    hub = topics.hub_with()
    maker = topics.who(hub, "maker")
    topics.create(maker, topics.LAMP)
    for request in asked:
        assert ask(maker, b"ps", request).code < codes.INTERNAL_SERVER_ERROR
    hub.pass_time(5)
    assert hub.named("node.defect") == []


@given(st.lists(st.tuples(st.sampled_from([b"rd", b"rd-lookup"]), requests), max_size=12))
@settings(max_examples=60)
def test_every_request_to_rd_is_answered(
    asked: list[tuple[bytes, tuple[int, list[bytes], list[tuple[int, bytes]], bytes, int]]],
) -> None:
    hub = directories.hub_with()
    tool = hub.secured("tool")
    directories.register(tool, "ep=a&base=coap://h")
    for first, request in asked:
        assert ask(tool, first, request).code < codes.INTERNAL_SERVER_ERROR
    hub.pass_time(5)


NAMES = ["a", "b/c", "+"]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("register"), st.sampled_from(NAMES), st.integers(1, 100)),
        st.tuples(st.just("update"), st.sampled_from(NAMES), st.integers(1, 100)),
        st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 60)),
        st.tuples(st.just("crash"), st.just(""), st.just(0)),
    ),
    max_size=15,
)


@given(steps)
@settings(max_examples=60)
def test_the_directory_is_the_table_of_what_was_registered(done: list[tuple[str, str, int]]) -> None:
    hub = directories.hub_with()
    tool = hub.secured("tool")
    ends: dict[str, float] = {}
    locations: dict[str, str] = {}
    for what, name, number in done:
        is_active = ends.get(name, 0.0) > hub.clock.now
        if what == "register":
            created = directories.register(tool, f"ep={name}&lt={number}&base=coap://h")
            assert created.code == codes.CREATED
            location = directories.path_of(created)
            assert locations.setdefault(name, location) == location
            ends[name] = hub.clock.now + number
        elif what == "update" and name in locations:
            answer = tool.request(codes.POST, f"{locations[name]}?lt={number}")
            assert answer.code == (codes.CHANGED if is_active else codes.NOT_FOUND)
            if is_active:
                ends[name] = hub.clock.now + number
        elif what == "remove" and name in locations:
            answer = tool.request(codes.DELETE, locations[name])
            assert answer.code == (codes.DELETED if is_active else codes.NOT_FOUND)
            ends.pop(name, None)
        elif what == "wait":
            hub.pass_time(number)
        elif what == "crash":
            hub = _again(hub)
            tool = hub.secured("tool")
        found = parse_links(tool.request(codes.GET, "rd-lookup/ep").payload)
        active = {name for name, end in ends.items() if end > hub.clock.now}
        assert {link.first("ep") for link in found} == active


def _again(hub: Hub) -> Hub:
    again = directories.hub_with(hub.store.copy(), now=hub.clock.now)
    return again
