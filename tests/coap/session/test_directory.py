"""The resource directory in dialogues: registration, update, removal, look-ups and what others may see (RFC 9176)."""

from __future__ import annotations

import pytest

from bridgehead.core.message import Message as Published
from bridgehead.core.message import Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.block import exponent_for, write_block
from bridgehead.protocols.coap.codec.link_format import Link, parse_links
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, RST, Message, Option, in_order, uint_value
from bridgehead.protocols.coap.session.contract import Peer
from bridgehead.protocols.coap.session.directory.directory import ResourceDirectory
from bridgehead.protocols.coap.session.directory.fetching import PeerFetch
from bridgehead.protocols.coap.session.directory.ports import Fetch, Fetched
from bridgehead.protocols.coap.session.directory.registration import topic_of
from bridgehead.protocols.coap.session.directory.settings import DirectorySettings
from tests.coap.dialogue import Client, Hub
from tests.mqtt.dialogue import ManualStore

LINKS = b'</sensors/temp>;rt=temperature-c;if=sensor,<http://www.example.com/t>;anchor="/sensors/temp";rel=describedby'
FORMAT = (numbers.CONTENT_FORMAT, uint_value(40))
EVERYTHING = [Permission("$COAP/rd/#", publish=True, subscribe=True)]


def own(name: str) -> list[Permission]:
    """Registers itself in any sector, and reads all."""
    return [
        Permission(f"$COAP/rd/+/{name}", publish=True, subscribe=False),
        Permission("$COAP/rd/#", publish=False, subscribe=True),
    ]


PRINCIPALS = {
    "tool": EVERYTHING,
    "node1": own("node1"),
    "node2": own("node2"),
    "reader": [Permission("$COAP/rd/floor-3/+", publish=False, subscribe=True)],
    "nobody": [Permission("#", publish=True, subscribe=True)],
}


class Fetches(Fetch):
    """The hub as a client: who is asked what, and who waits for it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Peer, tuple[bytes, ...], Fetched]] = []

    def challenge(self, peer: Peer) -> tuple[Option, ...]:
        return ((numbers.ECHO, b"prove it"),)

    def fetch(self, peer: Peer, path: tuple[bytes, ...], accept: int, waiting: Fetched) -> None:
        assert accept == 40
        self.asked.append((peer, path, waiting))


def hub_with(
    store: ManualStore | None = None,
    settings: DirectorySettings | None = None,
    fetch: Fetch | None = None,
    now: float = 1_000_000.0,
) -> Hub:
    principals = [Principal.of(name, permissions, ["*"]) for name, permissions in PRINCIPALS.items()]
    used = settings if settings is not None else DirectorySettings()
    return Hub(
        lambda hub: ResourceDirectory(hub.broker, used, fetch),
        store=store,
        principals=principals,
        now=now,
        guest="nobody",
    )


def register(client: Client, query: str, links: bytes = LINKS) -> Message:
    return client.request(codes.POST, f"rd?{query}", links, [FORMAT])


def path_of(response: Message) -> str:
    return b"/".join(response.all(numbers.LOCATION_PATH)).decode()


def look_up(client: Client, kind: str, query: str = "") -> list[Link]:
    response = client.request(codes.GET, f"rd-lookup/{kind}" + (f"?{query}" if query else ""))
    assert response.code == codes.CONTENT, response.payload
    assert response.uint(numbers.CONTENT_FORMAT) == 40
    return parse_links(response.payload)


@pytest.mark.clause("RFC9176-5")
@pytest.mark.clause("RFC9176-6.1")
def test_registered_links_are_found_resolved() -> None:
    hub = hub_with()
    node = hub.secured("node1")
    created = register(node, "ep=node1&base=coap://[2001:db8:3::123]:61616")
    assert created.code == codes.CREATED
    assert path_of(created).startswith("rd/")
    assert not created.has(numbers.LOCATION_QUERY)
    found = look_up(node, "res")
    assert [link.target for link in found] == [
        "coap://[2001:db8:3::123]:61616/sensors/temp",
        "http://www.example.com/t",
    ]
    assert found[0].attributes == (("rt", "temperature-c"), ("if", "sensor"))  # no anchor where none was
    assert found[1].first("anchor") == "coap://[2001:db8:3::123]:61616/sensors/temp"


@pytest.mark.clause("RFC9176-5")
def test_the_same_endpoint_replaces_its_registration_and_keeps_its_location() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    first = register(tool, "ep=node1&d=floor-3&base=coap://a.example")
    other = register(tool, "ep=node1&d=floor-4&base=coap://a.example")
    again = register(tool, "ep=node1&d=floor-3&base=coap://b.example&et=lamp", b"</x>")
    assert path_of(again) == path_of(first) != path_of(other)
    assert [link.target for link in look_up(tool, "res", "d=floor-3")] == ["coap://b.example/x"]
    assert len(look_up(tool, "ep")) == 2


@pytest.mark.clause("RFC9176-5")
@pytest.mark.clause("RFC9176-6.4")
def test_who_gives_no_name_and_no_base_is_known_by_its_identity_and_address() -> None:
    hub = hub_with()
    assert register(hub.secured("node1", address="192.0.2.7:61616"), "lt=60").code == codes.CREATED
    (endpoint,) = look_up(hub.secured("tool"), "ep")
    assert (endpoint.first("ep"), endpoint.first("base")) == ("node1", "coaps://192.0.2.7:61616")
    assert endpoint.first("lt") is None  # the lifetime is not told
    assert register(hub.secured("node2", address="192.0.2.8:5684"), "").code == codes.CREATED
    assert [link.first("base") for link in look_up(hub.secured("tool"), "ep", "ep=node2")] == ["coaps://192.0.2.8"]


@pytest.mark.clause("RFC9176-5")
def test_a_connection_without_a_base_cannot_be_reached() -> None:
    hub = hub_with()
    stream = hub.stream("node1")
    response = stream.request(codes.POST, "rd?ep=node1", LINKS, [FORMAT])
    assert response.code == codes.BAD_REQUEST
    assert b"base is missing" in response.payload
    assert stream.request(codes.POST, "rd?base=coaps://n.example", LINKS, [FORMAT]).code == codes.CREATED


@pytest.mark.clause("RFC9176-5")
@pytest.mark.parametrize(
    "query",
    [
        "ep=" + "x" * 64,
        "ep=a\x01b",
        "ep=",
        "d=",
        "lt=0",
        "lt=4294967296",
        "lt=soon",
        "base=nothing",
        "base=coap://h?q",
        "base=coap://[fe80::1]:5683",
        "base=coap://[fe80::1%25eth0]",
        "base=coap://169.254.3.4",
        "base=coap://a b",
        "page=1",
        "rt=x",
        "href=/x",
        "ep=a&ep=b",
        "=x",
    ],
)
def test_parameters_that_no_registration_has_are_refused(query: str) -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    response = register(tool, query if "base" in query else f"{query}&base=coap://h")
    assert response.code == codes.BAD_REQUEST
    assert response.payload
    assert look_up(tool, "ep") == []


@pytest.mark.clause("RFC9176-5")
@pytest.mark.parametrize("links", [b"<relative>", b"<//host/x>", b'</x>;anchor="../y"', b"</x", b"</a b>", b"\xff"])
def test_links_outside_the_limited_format_are_refused(links: bytes) -> None:
    hub = hub_with()
    assert register(hub.secured("tool"), "base=coap://h", links).code == codes.BAD_REQUEST


@pytest.mark.clause("RFC9176-5")
def test_a_registration_needs_links_of_a_known_form_and_size() -> None:
    settings = DirectorySettings()
    settings.octets = 40
    settings.links = 2
    hub = hub_with(settings=settings)
    tool = hub.secured("tool")
    other_format = tool.request(codes.POST, "rd?base=coap://h", b"</x>", [(numbers.CONTENT_FORMAT, uint_value(60))])
    assert other_format.code == codes.UNSUPPORTED_CONTENT_FORMAT
    assert register(tool, "base=coap://h", b"</a>,</b>,</c>").code == codes.BAD_REQUEST
    assert register(tool, "base=coap://h", b"<" + b"/a" * 20 + b">").code == codes.REQUEST_ENTITY_TOO_LARGE
    assert register(tool, "base=coap://h", b"").code == codes.CREATED
    assert len(look_up(tool, "ep")) == 1


@pytest.mark.clause("RFC9176-5.3.1")
def test_an_update_renews_the_lifetime_and_changes_what_it_names() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    location = path_of(register(tool, "ep=e&base=coap://old.example&lt=500&et=a&x=1&x=2"))
    hub.pass_time(400)
    assert tool.request(codes.POST, location).code == codes.CHANGED
    hub.pass_time(400)
    assert [link.first("base") for link in look_up(tool, "ep")] == ["coap://old.example"]
    assert tool.request(codes.POST, f"{location}?base=coaps://new.example&et=b").code == codes.CHANGED
    (endpoint,) = look_up(tool, "ep")
    assert [value for name, value in endpoint.attributes if name == "x"] == ["1", "2"]
    assert endpoint.first("et") == "b"
    assert look_up(tool, "res")[1].first("anchor") == "coaps://new.example/sensors/temp"
    hub.pass_time(499)
    assert len(look_up(tool, "ep")) == 1
    hub.pass_time(2)
    assert look_up(tool, "ep") == []
    assert tool.request(codes.POST, location).code == codes.NOT_FOUND


@pytest.mark.clause("RFC9176-5.3.1")
def test_an_implicit_base_follows_the_address_of_the_update() -> None:
    hub = hub_with()
    location = path_of(register(hub.secured("node1", address="192.0.2.7:1000"), ""))
    moved = hub.secured("node1", address="192.0.2.8:2000")
    assert moved.request(codes.POST, f"{location}?lt=100").code == codes.CHANGED
    assert [link.first("base") for link in look_up(moved, "ep")] == ["coaps://192.0.2.8:2000"]


@pytest.mark.clause("RFC9176-5.3.1")
@pytest.mark.parametrize(("query", "payload"), [("?ep=other", b""), ("?d=x", b""), ("?lt=0", b""), ("", b"</x>")])
def test_what_an_update_cannot_change(query: str, payload: bytes) -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    location = path_of(register(tool, "ep=e&base=coap://h"))
    assert tool.request(codes.POST, location + query, payload).code == codes.BAD_REQUEST


@pytest.mark.clause("RFC9176-5.3.2")
def test_a_removed_registration_is_gone() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    location = path_of(register(tool, "ep=e&base=coap://h"))
    assert tool.request(codes.DELETE, location).code == codes.DELETED
    assert look_up(tool, "ep") == []
    assert tool.request(codes.DELETE, location).code == codes.NOT_FOUND


@pytest.mark.clause("RFC9176-6.2")
@pytest.mark.clause("RFC9176-6.4")
def test_all_criteria_match_by_the_link_or_by_its_endpoint() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    register(tool, "ep=a&d=s&et=lamp&base=coap://a", b'</1>;rt="light dim",</2>;rt=temp')
    register(tool, "ep=b&et=sensor&base=coap://b", b"</1>;rt=temp")

    def targets(query: str) -> list[str]:
        return [link.target for link in look_up(tool, "res", query)]

    def endpoints(query: str) -> list[str | None]:
        return [link.first("ep") for link in look_up(tool, "ep", query)]

    assert targets("rt=temp") == ["coap://a/2", "coap://b/1"]
    assert targets("rt=dim") == ["coap://a/1"]
    assert targets("rt=temp&et=lamp") == ["coap://a/2"]
    assert targets("et=l*&ep=a") == ["coap://a/1", "coap://a/2"]
    assert targets("href=coap://b/*") == ["coap://b/1"]
    assert targets("rt=temp&ep=c") == []
    assert endpoints("rt=temp") == ["a", "b"]
    assert endpoints("rt=temp&rt=light") == ["a"]  # one by one link, the other by another
    assert endpoints("rt=core.rd-ep&d=s") == ["a"]
    (a,) = look_up(tool, "ep", "ep=a")
    assert endpoints(f"href={a.target}") == ["a"]
    assert targets(f"href={a.target}") == ["coap://a/1", "coap://a/2"]


@pytest.mark.clause("RFC9176-6.2")
def test_pages() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    register(tool, "ep=a&base=coap://a", b",".join([b"</%d>" % i for i in range(7)]))
    numbered = [[link.target[-1] for link in look_up(tool, "res", f"page={i}&count=3")] for i in range(4)]
    assert numbered == [["0", "1", "2"], ["3", "4", "5"], ["6"], []]
    assert len(look_up(tool, "res", "count=2")) == 2
    assert look_up(tool, "res", "count=0") == []
    for query in ("page=1", "page=-1&count=2", "count=x"):
        assert tool.request(codes.GET, f"rd-lookup/res?{query}").code == codes.BAD_REQUEST


@pytest.mark.clause("RFC9176-6.2")
def test_an_entity_tag_saves_the_list_and_another_format_is_not_there() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    register(tool, "ep=a&base=coap://a")
    first = tool.request(codes.GET, "rd-lookup/ep")
    tag = first.first(numbers.ETAG)
    assert tag is not None
    assert tool.request(codes.GET, "rd-lookup/ep", options=[(numbers.ETAG, tag)]).code == codes.VALID
    register(tool, "ep=b&base=coap://b")
    assert tool.request(codes.GET, "rd-lookup/ep", options=[(numbers.ETAG, tag)]).code == codes.CONTENT
    cbor = tool.request(codes.GET, "rd-lookup/ep", options=[(numbers.ACCEPT, uint_value(60))])
    assert cbor.code == codes.NOT_ACCEPTABLE


@pytest.mark.clause("RFC9176-7")
def test_nobody_registers_or_changes_what_is_not_its_own() -> None:
    hub = hub_with()
    node1, node2 = hub.secured("node1"), hub.secured("node2", address="192.0.2.9:1")
    location = path_of(register(node1, "base=coap://one"))
    stolen = register(node2, "ep=node1&base=coap://two")
    assert stolen.code == codes.FORBIDDEN
    assert b"node2" in stolen.payload  # it says why
    assert node2.request(codes.POST, f"{location}?base=coap://two").code == codes.FORBIDDEN
    assert node2.request(codes.DELETE, location).code == codes.FORBIDDEN
    assert [link.first("base") for link in look_up(node1, "ep")] == ["coap://one"]
    assert {event["principal"] for event in hub.named("publish.denied")} == {"node2"}


@pytest.mark.clause("RFC9176-7")
def test_a_look_up_shows_what_the_asker_may_read_and_lets_nothing_else_through_a_criterion() -> None:
    hub = hub_with()
    tool, reader = hub.secured("tool"), hub.secured("reader", address="192.0.2.9:1")
    hidden = path_of(register(tool, "ep=a&d=floor-4&base=coap://a"))
    register(tool, "ep=b&d=floor-3&base=coap://b")
    assert [link.first("ep") for link in look_up(reader, "ep")] == ["b"]
    assert [link.first("ep") for link in look_up(reader, "ep", "rt=temperature-c")] == ["b"]
    assert look_up(reader, "res", "ep=a") == []
    # That it is there is not told either: the same answer as for one that never was.
    answers = [reader.request(codes.POST, path) for path in (hidden, "rd/0123456789abcdef")]
    assert answers[0].code == answers[1].code == codes.NOT_FOUND
    assert answers[0].payload == answers[1].payload
    assert look_up(hub.secured("nobody", address="192.0.2.10:1"), "ep") == []


@pytest.mark.clause("RFC9176-7")
def test_a_revoked_identity_registrations_are_hidden() -> None:
    hub = hub_with()
    register(hub.secured("node1"), "base=coap://one")
    tool = hub.secured("tool", address="192.0.2.9:1")
    assert len(look_up(tool, "ep")) == 1
    hub.broker.hide_retained("node1", 0.0)
    assert look_up(tool, "ep") == []
    hub.broker.show_retained("node1", 0.0)
    assert len(look_up(tool, "ep")) == 1
    hub.broker.purge_retained("node1")
    assert look_up(tool, "ep") == []


def test_a_name_with_anything_in_it_stays_one_name() -> None:
    names = ["a/b", "a%2Fb", "+", "#", "$x", "%", "ä", "a", "", "a/", "/"]
    topics = {topic_of(d, ep) for d in names for ep in names}
    assert len(topics) == len(names) ** 2
    assert {topic.count("/") for topic in topics} == {3}
    hub = hub_with()
    tool = hub.secured("tool")
    for name in names:
        if name:
            assert register(tool, f"ep={name}&d={name}&base=coap://h").code == codes.CREATED
    assert [link.first("ep") for link in look_up(tool, "ep")] == [name for name in names if name]


def test_ceilings_of_registrations() -> None:
    settings = DirectorySettings()
    settings.registrations = 3
    settings.registrations_per_identity = 2
    hub = hub_with(settings=settings)
    tool, node1 = hub.secured("tool"), hub.secured("node1", address="192.0.2.9:1")
    node2 = hub.secured("node2", address="192.0.2.10:1")
    assert register(tool, "ep=a&lt=100&base=coap://h").code == codes.CREATED
    assert register(tool, "ep=b&base=coap://h").code == codes.CREATED
    assert register(tool, "ep=c&base=coap://h").code == codes.TOO_MANY_REQUESTS
    assert register(tool, "ep=b&base=coap://h").code == codes.CREATED  # its own, again
    assert register(node1, "").code == codes.CREATED
    assert register(node2, "").code == codes.TOO_MANY_REQUESTS
    hub.pass_time(200)
    assert register(node2, "").code == codes.CREATED


def test_registrations_outlive_a_crash_and_are_answered_after_the_commit() -> None:
    store = ManualStore()
    hub = hub_with(store)
    tool = hub.secured("tool")
    location = path_of(register(tool, "ep=a&d=s&base=coap://a&lt=1000&et=lamp&flag"))
    before = [tool.request(codes.GET, f"rd-lookup/{kind}").payload for kind in ("ep", "res")]
    assert all(before)
    store.automatic = False
    message = tool.message(codes.POST, "rd?ep=b&base=coap://b", LINKS, [FORMAT])
    tool.send(message)
    assert tool.get() == []  # not before it lasts
    copy = store.copy()
    hub.commit()
    assert tool.response(message.token).code == codes.CREATED
    again = hub_with(copy)
    tool = again.secured("tool")
    assert [tool.request(codes.GET, f"rd-lookup/{kind}").payload for kind in ("ep", "res")] == before
    assert tool.request(codes.POST, location).code == codes.CHANGED
    again.pass_time(1001)
    assert look_up(tool, "ep") == []


def test_a_registration_that_the_disk_refuses_is_none() -> None:
    store = ManualStore()
    hub = hub_with(store)
    tool = hub.secured("tool")
    register(tool, "ep=a&base=coap://old")
    store.full = True
    assert register(tool, "ep=a&base=coap://new").code == codes.SERVICE_UNAVAILABLE
    assert register(tool, "ep=b&base=coap://new").code == codes.SERVICE_UNAVAILABLE
    store.full = False
    assert [link.first("base") for link in look_up(tool, "ep")] == ["coap://old"]


def test_a_non_confirmable_registration_counts_too() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    assert tool.request(codes.POST, "rd?base=coap://h", LINKS, [FORMAT], NON).code == codes.CREATED
    assert len(look_up(tool, "ep")) == 1


def test_a_registration_is_a_retained_message_that_other_protocols_may_read_and_write() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    register(tool, "ep=a&d=s&base=coap://a&lt=60", b"</x>;rt=light")
    kept = hub.broker.retained.get("$COAP/rd/s/a")
    assert kept is not None
    assert kept.properties.content_type == "application/link-format"
    assert kept.origin.principal == "tool"
    assert parse_links(kept.payload)[1].target == "/x"

    def publish(topic: str, payload: bytes) -> None:
        message = Published(topic, payload, 1, True, Origin("tool", "mqtt", True))
        hub.broker.door.publish(hub.principal("tool"), message, None)
        hub.settle()

    publish("$COAP/rd/s/b", b'</any>;ep="b";d="s";base="coap://b";rt="core.rd-ep",</y>')
    assert [link.target for link in look_up(tool, "res", "ep=b")] == ["coap://b/y"]
    publish("$COAP/rd/s/a", b"")
    assert [link.first("ep") for link in look_up(tool, "ep")] == ["b"]
    # What is no registration, or another's than its topic says, is none.
    publish("$COAP/rd/s/c", b'</any>;ep="b";d="s";base="coap://b";rt="core.rd-ep"')
    publish("$COAP/rd/s/d", b"\xff\x00")
    publish("$COAP/rd/s/b", b'</any>;ep="b";d="s";base="coap://[fe80::1]";rt="core.rd-ep"')
    assert look_up(tool, "ep") == []


@pytest.mark.clause("RFC9176-6.1")
def test_an_observed_look_up_tells_of_changes_only() -> None:
    hub = hub_with()
    tool, reader = hub.secured("tool"), hub.secured("reader", address="192.0.2.9:1")
    first = reader.request(codes.GET, "rd-lookup/res?rt=light", options=[(numbers.OBSERVE, b"")], token=b"w")
    assert (first.code, first.payload) == (codes.CONTENT, b"")
    order = [first.uint(numbers.OBSERVE)]
    register(tool, "ep=a&d=floor-4&base=coap://a", b"</w>;rt=light")  # not for the reader
    hub.pass_time(3)
    assert reader.get() == []
    location = path_of(register(tool, "ep=b&d=floor-3&base=coap://b", b"</w>;rt=light"))
    hub.pass_time(3)
    told = reader.get_one()
    assert told.token == b"w"
    assert [link.target for link in parse_links(told.payload)] == ["coap://b/w"]
    order.append(told.uint(numbers.OBSERVE))
    tool.request(codes.POST, f"{location}?et=x")  # nothing that the look-up shows
    hub.pass_time(3)
    assert reader.get() == []
    tool.request(codes.DELETE, location)
    hub.pass_time(3)
    gone = reader.get_one()
    assert (gone.code, gone.payload) == (codes.CONTENT, b"")
    order.append(gone.uint(numbers.OBSERVE))
    assert order == sorted(set(order))
    reader.request(codes.GET, "rd-lookup/res?rt=light", options=[(numbers.OBSERVE, b"\x01")], token=b"w")
    register(tool, "ep=b&d=floor-3&base=coap://b", b"</w>;rt=light")
    hub.pass_time(3)
    assert reader.get() == []


def test_an_observer_learns_that_an_identity_was_revoked() -> None:
    hub = hub_with()
    register(hub.secured("node1"), "base=coap://one")
    tool = hub.secured("tool", address="192.0.2.9:1")
    tool.request(codes.GET, "rd-lookup/ep", options=[(numbers.OBSERVE, b"")], token=b"w")
    hub.pass_time(3)
    assert tool.get() == []
    hub.broker.hide_retained("node1", 0.0)
    hub.pass_time(3)
    assert tool.get_one().payload == b""
    hub.broker.show_retained("node1", 0.0)
    hub.pass_time(3)
    assert b'ep="node1"' in tool.get_one().payload


def test_an_observer_learns_that_a_lifetime_is_over_and_is_asked_once_a_day() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    register(tool, "ep=a&base=coap://a&lt=5000")
    reader = hub.secured("node1", address="192.0.2.9:1")
    reader.request(codes.GET, "rd-lookup/ep", options=[(numbers.OBSERVE, b"")], type=NON, token=b"w")
    hub.pass_time(5002)
    told = reader.get_one()
    assert (told.type, told.payload) == (NON, b"")
    hub.pass_time(86_402)
    asked = reader.get_one()
    assert asked.type == 0  # Confirmable
    reader.acknowledges = False
    register(tool, "ep=a&base=coap://a")
    hub.pass_time(2)
    reader.reset(reader.get_one())
    register(tool, "ep=b&base=coap://a")
    hub.pass_time(2)
    assert reader.get() == []


def test_ceilings_of_observers() -> None:
    settings = DirectorySettings()
    settings.watchers = 3
    settings.watchers_per_peer = 2
    hub = hub_with(settings=settings)
    tool, other = hub.secured("tool"), hub.secured("node1", address="192.0.2.9:1")

    def observes(client: Client, token: bytes) -> bool:
        response = client.request(codes.GET, "rd-lookup/ep", options=[(numbers.OBSERVE, b"")], token=token)
        assert response.code == codes.CONTENT
        return response.has(numbers.OBSERVE)

    assert [observes(tool, token) for token in (b"1", b"2", b"3", b"1")] == [True, True, False, True]
    assert [observes(other, token) for token in (b"1", b"2")] == [True, False]
    hub.handler.forget(tool.peer)
    assert observes(other, b"2")


@pytest.mark.clause("RFC9176-5.1")
def test_simple_registration_reads_the_links_where_the_request_came_from() -> None:
    fetches = Fetches()
    hub = hub_with(fetch=fetches)
    node = hub.secured("node1", address="192.0.2.7:61616")
    message = node.message(codes.POST, ".well-known/rd?lt=6000")
    node.send(message)
    ((peer, path, waiting),) = fetches.asked
    assert (peer, path) == (node.peer, (b".well-known", b"core"))
    links = Message(codes.CONTENT, (FORMAT, (numbers.MAX_AGE, uint_value(100))), b"</sen/temp>")
    waiting.fetched(links, "")
    hub.settle()
    assert node.response(message.token).code == codes.CHANGED
    assert [link.target for link in look_up(node, "res")] == ["coaps://192.0.2.7:61616/sen/temp"]
    # While what it answered is fresh it is not asked again.
    hub.pass_time(50)
    assert node.request(codes.POST, ".well-known/rd?lt=6000").code == codes.CHANGED
    assert len(fetches.asked) == 1
    hub.pass_time(51)
    node.send(node.message(codes.POST, ".well-known/rd?lt=6000"))
    assert len(fetches.asked) == 2


@pytest.mark.clause("RFC9176-5.1")
def test_simple_registration_asks_nobody_for_those_who_may_not_register() -> None:
    fetches = Fetches()
    hub = hub_with(fetch=fetches)
    node = hub.secured("node1")
    assert node.request(codes.POST, ".well-known/rd?ep=node2").code == codes.FORBIDDEN
    assert node.request(codes.POST, ".well-known/rd?base=coap://h").code == codes.BAD_REQUEST
    assert node.request(codes.POST, ".well-known/rd", b"</x>").code == codes.BAD_REQUEST
    unproven = hub.client().request(codes.POST, ".well-known/rd?ep=x" + "&x" * 30)
    assert (unproven.code, unproven.first(numbers.ECHO)) == (codes.UNAUTHORIZED, b"prove it")
    assert fetches.asked == []
    assert hub_with().secured("node1").request(codes.POST, ".well-known/rd").code == codes.NOT_IMPLEMENTED


@pytest.mark.clause("RFC9176-5.1")
@pytest.mark.parametrize(
    ("response", "code"),
    [
        (None, codes.GATEWAY_TIMEOUT),
        (Message(codes.NOT_FOUND), codes.BAD_GATEWAY),
        (Message(codes.CONTENT, ((numbers.CONTENT_FORMAT, b""),), b"text"), codes.BAD_GATEWAY),
        (Message(codes.CONTENT, (FORMAT,), b"<relative>"), codes.BAD_REQUEST),
    ],
)
def test_simple_registration_of_who_has_no_links(response: Message | None, code: int) -> None:
    fetches = Fetches()
    hub = hub_with(fetch=fetches)
    node = hub.secured("node1")
    message = node.message(codes.POST, ".well-known/rd")
    node.send(message)
    fetches.asked[0][2].fetched(response, "no answer came")
    hub.settle()
    assert node.response(message.token).code == code
    assert look_up(node, "ep") == []


@pytest.mark.clause("RFC9176-4")
def test_the_directory_says_where_it_is() -> None:
    hub = hub_with()
    assert isinstance(hub.handler, ResourceDirectory)
    links = hub.handler.links(hub.party("node1", "psk", ""))
    assert {link.target: link.first("rt") for link in links} == {
        "/rd": "core.rd",
        "/rd-lookup/ep": "core.rd-lookup-ep",
        "/rd-lookup/res": "core.rd-lookup-res",
    }
    assert {link.first("ct") for link in links} == {"40"}


@pytest.mark.parametrize(
    ("code", "path", "answer"),
    [
        (codes.GET, "rd", codes.METHOD_NOT_ALLOWED),
        (codes.POST, "rd-lookup/ep", codes.METHOD_NOT_ALLOWED),
        (codes.GET, "rd-lookup", codes.NOT_FOUND),
        (codes.GET, "rd-lookup/other", codes.NOT_FOUND),
        (codes.POST, "rd/a/b", codes.NOT_FOUND),
        (codes.GET, ".well-known/rd", codes.METHOD_NOT_ALLOWED),
    ],
)
def test_what_is_not_there(code: int, path: str, answer: int) -> None:
    assert hub_with().secured("tool").request(code, path).code == answer


def test_a_registration_is_not_read() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    location = path_of(register(tool, "ep=e&base=coap://h"))
    assert tool.request(codes.GET, location).code == codes.METHOD_NOT_ALLOWED


def test_who_is_not_known_is_told_so() -> None:
    hub = hub_with()
    hub.guest = None
    assert hub.client("192.0.2.99:1").request(codes.GET, "rd-lookup/ep").code == codes.UNAUTHORIZED


@pytest.mark.clause("RFC7252-8.2")
def test_a_group_may_only_look_up() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    register(tool, "ep=a&base=coap://a")
    hub.guest = "tool"
    plain = hub.client()
    plain.multicast = True
    plain.send(plain.message(codes.POST, "rd?ep=b&base=coap://b", LINKS, [FORMAT], NON))
    message = plain.message(codes.GET, "rd-lookup/ep", options=[(numbers.OBSERVE, b"")], type=NON)
    plain.send(message)
    hub.pass_time(10)
    (answer,) = plain.get()
    assert answer.token == message.token
    assert not answer.has(numbers.OBSERVE)
    assert [link.first("ep") for link in parse_links(answer.payload)] == ["a"]


@pytest.mark.clause("RFC7252-5.4.1")
def test_a_condition_that_nobody_looks_at_is_refused() -> None:
    hub = hub_with()
    tool = hub.secured("tool")
    response = tool.request(codes.POST, "rd?base=coap://h", LINKS, [FORMAT, (numbers.IF_NONE_MATCH, b"")])
    assert response.code == codes.BAD_OPTION
    assert look_up(tool, "ep") == []


def test_it_can_be_closed() -> None:
    settings = DirectorySettings()
    settings.enabled = False
    hub = hub_with(settings=settings)
    assert isinstance(hub.handler, ResourceDirectory)
    assert hub.handler.links(hub.party("tool", "psk", "")) == []
    tool = hub.secured("tool")
    assert register(tool, "ep=a&base=coap://h").code == codes.NOT_FOUND
    assert tool.request(codes.GET, "rd-lookup/ep").code == codes.NOT_FOUND


class Device:
    """A constrained server: it answers what the hub asks of it, as `answer` says."""

    def __init__(self, client: Client, links: bytes, size: int = 1024) -> None:
        self.client = client
        self.links = links
        self.size = size
        self.asked: list[Message] = []

    def serve(self, separate: bool = False) -> None:
        """Answer the requests that have come, piggybacked or in messages of their own."""
        while requests := [message for message in self.client.received if codes.is_request(message.code)]:
            for request in requests:
                self.client.received.remove(request)
                self.asked.append(request)
                options: list[Option] = [FORMAT, (numbers.ETAG, b"e")]
                number = request.uint(numbers.BLOCK2, 0) >> 4
                payload = self.links[number * self.size : (number + 1) * self.size]
                if len(self.links) > self.size:
                    more = len(self.links) > (number + 1) * self.size
                    options.append((numbers.BLOCK2, write_block(number, more, exponent_for(self.size))))
                type_, message_id = (CON, self.client.next_id()) if separate else (ACK, request.message_id)
                answer = Message(codes.CONTENT, in_order(options), payload, request.token, type_, message_id)
                if separate:
                    self.client.acknowledge(request)
                self.client.send(answer)


def fetching_hub(settings: DirectorySettings | None = None) -> Hub:
    used = settings if settings is not None else DirectorySettings()
    return hub_with(settings=used, fetch=PeerFetch(used))


@pytest.mark.clause("RFC9176-5.1")
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("size", [1024, 32])
def test_a_simple_endpoint_registers_over_its_own_dtls_session(separate: bool, size: int) -> None:
    hub = fetching_hub()
    node = hub.secured("node1", address="192.0.2.7:61616")
    node.acknowledges = False
    device = Device(node, b",".join([b"</sen/%d>;rt=light" % i for i in range(9)]), size)
    message = node.message(codes.POST, ".well-known/rd?lt=6000&et=lamp")
    node.send(message)
    device.serve(separate)
    assert [request.all(numbers.URI_PATH) for request in device.asked[:1]] == [[b".well-known", b"core"]]
    assert device.asked[0].uint(numbers.ACCEPT) == 40
    assert len(device.asked) == -(-len(device.links) // size)
    assert node.response(message.token).code == codes.CHANGED
    found = look_up(node, "res")
    assert [link.target for link in found] == [f"coaps://192.0.2.7:61616/sen/{i}" for i in range(9)]
    assert [message.type for message in node.get()] == ([ACK] * len(device.asked) if separate else [])


@pytest.mark.clause("RFC9176-5.1")
def test_a_simple_endpoint_that_does_not_answer() -> None:
    hub = fetching_hub()
    node = hub.secured("node1")
    node.acknowledges = False
    message = node.message(codes.POST, ".well-known/rd")
    node.send(message)
    hub.pass_time(100)
    (answer,) = {each.message_id: each for each in node.get() if each.token == message.token}.values()
    assert answer.code == codes.GATEWAY_TIMEOUT
    node.acknowledge(answer)
    # Nor does one that acknowledges, and then says nothing.
    message = node.message(codes.POST, ".well-known/rd")
    node.send(message)
    (request,) = [each for each in node.get() if codes.is_request(each.code)]
    node.acknowledge(request)
    hub.pass_time(31)
    (answer,) = {each.message_id: each for each in node.get() if each.token == message.token}.values()
    assert answer.code == codes.GATEWAY_TIMEOUT
    node.acknowledge(answer)
    # What comes too late is of no use, and told so.
    node.send(node.message(codes.POST, ".well-known/rd"))
    (request,) = {each.token: each for each in node.get() if codes.is_request(each.code)}.values()
    node.reset(request)
    assert {each.code for each in node.get()} == {codes.GATEWAY_TIMEOUT}
    node.send(Message(codes.CONTENT, (FORMAT,), b"</x>", request.token, CON, 9))
    assert node.get_one().type == RST
    assert look_up(node, "ep") == []


@pytest.mark.clause("RFC9176-5.1")
def test_a_simple_endpoint_with_too_many_links_or_with_others_at_each_block() -> None:
    settings = DirectorySettings()
    settings.octets = 100
    hub = fetching_hub(settings)
    node = hub.secured("node1")
    node.acknowledges = False
    device = Device(node, b"</" + b"x" * 200 + b">", 32)
    message = node.message(codes.POST, ".well-known/rd")
    node.send(message)
    device.serve()
    assert node.response(message.token).code == codes.GATEWAY_TIMEOUT
    assert len(device.asked) == 4
    second = node.message(codes.POST, ".well-known/rd")
    node.send(second)
    for tag, number in ((b"a", 0), (b"b", 1)):
        (request,) = [each for each in node.get() if codes.is_request(each.code)]
        options = in_order([FORMAT, (numbers.ETAG, tag), (numbers.BLOCK2, write_block(number, True, 0))])
        node.send(Message(codes.CONTENT, options, b"x" * 16, request.token, ACK, request.message_id))
    assert b"changed" in node.response(second.token).payload


@pytest.mark.clause("RFC9176-5.1")
def test_a_peer_that_goes_while_it_is_asked() -> None:
    hub = fetching_hub()
    node = hub.secured("node1")
    node.send(node.message(codes.POST, ".well-known/rd"))
    assert not node.peer.is_idle()
    node.peer.lost("the session ended")
    hub.pass_time(100)
    assert look_up(hub.secured("tool", address="192.0.2.9:1"), "ep") == []


@pytest.mark.clause("RFC9176-5.1")
@pytest.mark.clause("RFC9175-2.3")
def test_a_simple_endpoint_without_security_proves_its_address_first() -> None:
    hub = fetching_hub()
    hub.guest = "tool"
    node = hub.client("192.0.2.7:5683")
    device = Device(node, b"</x>")
    challenge = node.request(codes.POST, ".well-known/rd?ep=plain&lt=600")
    echo = challenge.first(numbers.ECHO)
    assert challenge.code == codes.UNAUTHORIZED
    assert echo is not None
    device.serve()
    assert device.asked == []
    message = node.message(codes.POST, ".well-known/rd?ep=plain&lt=600", options=[(numbers.ECHO, echo)])
    node.send(message)
    device.serve()
    assert node.response(message.token).code == codes.CHANGED
    assert [link.target for link in look_up(node, "res")] == ["coap://192.0.2.7/x"]


def test_ceilings_of_simple_registration() -> None:
    settings = DirectorySettings()
    settings.fetches = 2
    fetches = Fetches()
    hub = hub_with(settings=settings, fetch=fetches)
    nodes = [hub.secured("tool", address=f"192.0.2.{i}:1") for i in range(3)]

    def ask(i: int) -> Message | None:
        """The answer, None while there is none."""
        nodes[i].send(nodes[i].message(codes.POST, f".well-known/rd?ep=n{i}&lt=50"))
        hub.settle()
        found = nodes[i].get()
        return found[-1] if found else None

    assert ask(0) is None
    assert ask(1) is None
    for i in (1, 2):  # it is asked already, and there is no more room
        refused = ask(i)
        assert refused is not None
        assert refused.code == codes.SERVICE_UNAVAILABLE
    links = Message(codes.CONTENT, (FORMAT, (numbers.MAX_AGE, uint_value(1000))), b"</x>")
    for _, _, waiting in list(fetches.asked):
        waiting.fetched(links, "")
    assert ask(2) is None
    fetches.asked[2][2].fetched(links, "")
    for i in range(3):
        nodes[i].get()
    again = [ask(i) for i in (2, 1)]  # what these answered is kept
    assert [answer.code for answer in again if answer is not None] == [codes.CHANGED, codes.CHANGED]
    assert ask(0) is None  # and of the first no more
