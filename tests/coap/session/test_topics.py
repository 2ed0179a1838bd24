"""Topics as resources: read, written, cleared, under conditions, and answered when it lasts."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.core.message import MessageProperties
from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.core.rights import Rights
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.link_format import parse_links
from bridgehead.protocols.coap.codec.message import ACK, CON, NON, Message, uint_value
from bridgehead.protocols.coap.session.settings import CoapSettings
from tests.coap.topics import TopicsHub, may, shown
from tests.mqtt.dialogue import ManualStore


def tag_of(answer: Message) -> bytes:
    tag = answer.first(numbers.ETAG)
    assert tag is not None
    return tag


# GET. ---------------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7252-5.8.1")
@pytest.mark.clause("RFC7252-5.9.1")
def test_the_retained_message_is_read() -> None:
    hub = TopicsHub()
    hub.other.publish("Office/Temperature", b"21.5", retain=True, properties=MessageProperties("application/json"))
    answer = hub.secured().request(codes.GET, "t/Office/Temperature")
    assert shown(answer) == ("2.05", b"21.5")
    assert answer.uint(numbers.CONTENT_FORMAT) == 50
    assert len(tag_of(answer)) == 8
    assert not answer.has(numbers.MAX_AGE)  # RFC 7252 section 5.10.5: 60 s


def test_there_is_no_value() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"event")
    client = hub.secured()
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND
    assert client.request(codes.GET, "t/").code == codes.BAD_REQUEST
    assert client.request(codes.GET, "t/a?x=1").code == codes.BAD_REQUEST


@pytest.mark.clause("RFC7252-5.10.5")
@pytest.mark.clause("RFC7252-5.6.1")
def test_max_age_is_what_is_left_until_it_expires() -> None:
    hub = TopicsHub()
    hub.other.publish("a", b"x", retain=True, expires_at=hub.clock.now + 600)
    client = hub.secured()
    hub.pass_time(100)
    assert client.request(codes.GET, "t/a").uint(numbers.MAX_AGE) == 500
    hub.pass_time(499.5)
    assert client.request(codes.GET, "t/a").uint(numbers.MAX_AGE) == 0
    hub.pass_time(1)
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND


@pytest.mark.clause("RFC7252-5.6.2")
@pytest.mark.clause("RFC7252-5.10.6")
def test_a_tag_that_holds_is_2_03() -> None:
    hub = TopicsHub()
    client = hub.secured()
    hub.other.publish("a", b"1", retain=True, expires_at=hub.clock.now + 50)
    one = tag_of(client.request(codes.GET, "t/a"))
    valid = client.request(codes.GET, "t/a", options=[(numbers.ETAG, b"other"), (numbers.ETAG, one)])
    assert shown(valid) == ("2.03", b"")
    assert tag_of(valid) == one
    assert valid.uint(numbers.MAX_AGE) == 50
    hub.other.publish("a", b"2", retain=True)
    changed = client.request(codes.GET, "t/a", options=[(numbers.ETAG, one)])
    assert shown(changed) == ("2.05", b"2")
    assert tag_of(changed) != one


@pytest.mark.clause("RFC7252-5.10.6")
def test_a_tag_tells_formats_apart_and_outlives_the_hub() -> None:
    store = ManualStore()
    hub = TopicsHub(store=store)
    client = hub.secured()
    client.request(codes.PUT, "t/a", b"1")
    plain = tag_of(client.request(codes.GET, "t/a"))
    client.request(codes.PUT, "t/a", b"1", [(numbers.CONTENT_FORMAT, b"\x3c")])
    cbor = tag_of(client.request(codes.GET, "t/a"))
    assert plain != cbor
    again = TopicsHub(store=store.copy(), principals=[hub.principal("sensor").root])
    assert tag_of(again.secured().request(codes.GET, "t/a")) == cbor


@pytest.mark.clause("RFC7252-5.10.4")
@pytest.mark.parametrize(
    ("content_type", "payload", "accept", "answer"),
    [
        ("application/json", b"{}", 50, ("2.05", 50)),
        ("application/json", b"{}", 60, ("4.06", -1)),
        ("application/json", b"{}", 42, ("2.05", 42)),
        ("application/json", b"{}", 0, ("4.06", -1)),
        (None, b"21", 0, ("2.05", 0)),
        (None, b"\xff", 0, ("4.06", -1)),
        (None, b"\xff", 42, ("2.05", 42)),
        (None, b"{}", 50, ("4.06", -1)),
        ("application/x-own", b"x", 42, ("2.05", 42)),
    ],
)
def test_accept_is_met_or_4_06(content_type: str | None, payload: bytes, accept: int, answer: tuple[str, int]) -> None:
    hub = TopicsHub()
    hub.other.publish("a", payload, retain=True, properties=MessageProperties(content_type))
    got = hub.secured().request(codes.GET, "t/a", options=[(numbers.ACCEPT, uint_value(accept))])
    wanted, content_format = answer
    assert codes.dotted(got.code) == wanted
    if wanted == "2.05":
        assert (got.payload, got.uint(numbers.CONTENT_FORMAT)) == (payload, content_format)


# PUT, POST, DELETE. -------------------------------------------------------------------------------


@pytest.mark.clause("RFC7252-5.8.3")
def test_put_creates_and_replaces_what_is_retained() -> None:
    hub = TopicsHub()
    hub.other.subscribe("#")
    client = hub.secured()
    assert shown(client.request(codes.PUT, "t/a/b", b"1")) == ("2.01", b"")
    assert shown(client.request(codes.PUT, "t/a/b", b"2", [(numbers.CONTENT_FORMAT, b"")])) == ("2.04", b"")
    assert [(each.topic, each.payload, each.retain) for each in hub.other.messages] == [
        ("a/b", b"1", True),
        ("a/b", b"2", True),
    ]
    assert hub.other.messages[1].properties.is_text
    assert hub.other.messages[0].origin.principal == "sensor"
    assert hub.other.messages[0].origin.protocol == "coap"
    assert shown(client.request(codes.GET, "t/a/b")) == ("2.05", b"2")


@pytest.mark.clause("RFC7252-5.8.2")
def test_post_is_an_event() -> None:
    hub = TopicsHub()
    hub.other.subscribe("a")
    client = hub.secured()
    assert client.request(codes.POST, "t/a", b"bang").code == codes.CHANGED
    assert client.request(codes.POST, "t/a", b"").code == codes.CHANGED
    assert [(each.payload, each.retain) for each in hub.other.messages] == [(b"bang", False), (b"", False)]
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND


@pytest.mark.clause("RFC7252-5.8.4")
def test_delete_clears_and_says_so_each_time() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.PUT, "t/a", b"1")
    hub.other.subscribe("a")
    assert client.request(codes.DELETE, "t/a").code == codes.DELETED
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND
    assert client.request(codes.DELETE, "t/a").code == codes.DELETED
    assert [(each.payload, each.retain) for each in hub.other.messages] == [(b"", True), (b"", True)]


def test_an_empty_value_cannot_be_kept() -> None:
    client = TopicsHub().secured()
    client.request(codes.PUT, "t/a", b"1")
    assert client.request(codes.PUT, "t/a", b"").code == codes.BAD_REQUEST
    assert shown(client.request(codes.GET, "t/a")) == ("2.05", b"1")


def test_max_age_of_a_put_is_its_expiry() -> None:
    hub = TopicsHub()
    client = hub.secured()
    client.request(codes.PUT, "t/a", b"1", [(numbers.MAX_AGE, b"\x1e")])
    hub.pass_time(29)
    assert client.request(codes.GET, "t/a").uint(numbers.MAX_AGE) == 1
    hub.pass_time(1)
    assert client.request(codes.GET, "t/a").code == codes.NOT_FOUND


def test_text_that_is_none_is_4_00() -> None:
    client = TopicsHub().secured()
    assert client.request(codes.PUT, "t/a", b"\xff", [(numbers.CONTENT_FORMAT, b"")]).code == codes.BAD_REQUEST


@pytest.mark.parametrize(("type", "qos"), [(CON, 1), (NON, 0)])
def test_con_is_at_least_once_and_non_at_most_once(type: int, qos: int) -> None:  # noqa: A002
    hub = TopicsHub()
    hub.other.subscribe("#", 2)
    answer = hub.secured().request(codes.POST, "t/a", b"1", type=type)
    assert answer.code == codes.CHANGED
    assert answer.type == (ACK if type == CON else NON)
    assert hub.other.qos == [qos]


def test_over_a_stream_it_is_at_least_once() -> None:
    hub = TopicsHub()
    hub.other.subscribe("#", 2)
    assert hub.stream().request(codes.POST, "t/a", b"1").code == codes.CHANGED
    assert hub.other.qos == [1]


# Conditions. --------------------------------------------------------------------------------------


@pytest.mark.clause("RFC7252-5.10.8.1")
def test_if_match() -> None:
    client = TopicsHub().secured()
    any_value = (numbers.IF_MATCH, b"")
    assert client.request(codes.PUT, "t/a", b"1", [any_value]).code == codes.PRECONDITION_FAILED
    client.request(codes.PUT, "t/a", b"1")
    tag = tag_of(client.request(codes.GET, "t/a"))
    assert client.request(codes.PUT, "t/a", b"2", [any_value]).code == codes.CHANGED
    assert client.request(codes.PUT, "t/a", b"3", [(numbers.IF_MATCH, tag)]).code == codes.PRECONDITION_FAILED
    assert client.request(codes.DELETE, "t/a", options=[(numbers.IF_MATCH, tag)]).code == codes.PRECONDITION_FAILED
    now = tag_of(client.request(codes.GET, "t/a"))
    either = [(numbers.IF_MATCH, tag), (numbers.IF_MATCH, now)]
    assert client.request(codes.PUT, "t/a", b"3", either).code == codes.CHANGED
    assert shown(client.request(codes.GET, "t/a")) == ("2.05", b"3")


@pytest.mark.clause("RFC7252-5.10.8.2")
def test_if_none_match() -> None:
    client = TopicsHub().secured()
    absent = (numbers.IF_NONE_MATCH, b"")
    assert client.request(codes.PUT, "t/a", b"1", [absent]).code == codes.CREATED
    assert client.request(codes.PUT, "t/a", b"2", [absent]).code == codes.PRECONDITION_FAILED
    client.request(codes.DELETE, "t/a")
    assert client.request(codes.PUT, "t/a", b"3", [absent]).code == codes.CREATED


def test_a_condition_tells_nothing_to_who_may_not_read() -> None:
    hub = TopicsHub([may("writer", Permission("a", True, False))])
    hub.other.publish("a", b"secret", retain=True)
    writer = hub.secured("writer")
    for option in ((numbers.IF_MATCH, b""), (numbers.IF_NONE_MATCH, b"")):
        assert writer.request(codes.PUT, "t/a", b"x", [option]).code == codes.FORBIDDEN
    assert writer.request(codes.PUT, "t/a", b"x").code == codes.CHANGED
    assert writer.request(codes.DELETE, "t/a").code == codes.DELETED
    assert writer.request(codes.PUT, "t/a", b"x").code == codes.CHANGED  # and not 2.01: there is none


# What lasts. --------------------------------------------------------------------------------------


def test_a_con_is_answered_after_the_commit() -> None:
    store = ManualStore()
    hub = TopicsHub(store=store)
    client = hub.secured()
    store.automatic = False
    client.send(client.message(codes.PUT, "t/a", b"1", token=b"tk"))
    assert client.get() == []
    hub.commit()
    assert client.response(b"tk").code == codes.CREATED


@pytest.mark.clause("RFC7252-5.2.2")
def test_when_the_disk_is_slow_the_answer_is_separate() -> None:
    store = ManualStore()
    hub = TopicsHub(store=store)
    client = hub.secured()
    store.automatic = False
    request = client.message(codes.PUT, "t/a", b"1")
    client.send(request)
    hub.pass_time(1)
    empty = client.get_one()
    assert (empty.type, empty.code, empty.message_id) == (ACK, codes.EMPTY, request.message_id)
    hub.commit()
    answer = client.get_one()
    assert (answer.type, answer.code, answer.token) == (CON, codes.CREATED, request.token)


@pytest.mark.clause("RFC7252-5.9.3")
def test_what_the_disk_refuses_is_5_03_and_undone() -> None:
    store = ManualStore()
    hub = TopicsHub(store=store)
    client = hub.secured()
    client.request(codes.PUT, "t/a", b"1")
    store.full = True
    assert client.request(codes.PUT, "t/a", b"2").code == codes.SERVICE_UNAVAILABLE
    store.full = False
    assert shown(client.request(codes.GET, "t/a")) == ("2.05", b"1")


def test_what_was_acknowledged_survives_the_hub() -> None:
    store = ManualStore()
    hub = TopicsHub(store=store)
    hub.secured().request(codes.PUT, "t/a", b"1", [(numbers.CONTENT_FORMAT, b"\x3c")])
    again = TopicsHub(store=store.copy(), principals=[hub.principal("sensor").root])
    answer = again.secured().request(codes.GET, "t/a")
    assert (shown(answer), answer.uint(numbers.CONTENT_FORMAT)) == (("2.05", b"1"), 60)


# Who may. -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [codes.GET, codes.PUT, codes.POST, codes.DELETE])
def test_what_the_policy_does_not_permit_is_4_03(code: int) -> None:
    hub = TopicsHub([may("sensor", Permission("own/#", True, True))])
    hub.other.publish("a", b"1", retain=True)
    answer = hub.secured().request(code, "t/a", b"" if code == codes.GET else b"2")
    assert answer.code == codes.FORBIDDEN
    assert b"sensor" in answer.payload
    denied = hub.named("subscribe.denied" if code == codes.GET else "publish.denied")
    assert denied[0]["principal"] == "sensor"
    assert denied[0]["protocol"] == "coap"
    assert hub.broker.retained.get("a") is not None


def test_a_slash_inside_a_segment_is_no_way_around_the_policy() -> None:
    hub = TopicsHub([may("sensor", Permission("a/+", True, True))])
    client = hub.secured()
    answer = client.request(codes.PUT, payload=b"1", options=[(numbers.URI_PATH, b"t"), (numbers.URI_PATH, b"a/b")])
    assert answer.code == codes.BAD_REQUEST


@pytest.mark.parametrize("path", ["t/#", "t/+/a", "t/" + "/".join("x" * 200), "t/a\0"])
def test_what_is_no_topic_name_is_4_00(path: str) -> None:
    client = TopicsHub().secured()
    assert client.request(codes.GET, path).code == codes.BAD_REQUEST
    assert client.request(codes.PUT, path, b"1").code == codes.BAD_REQUEST


def test_a_subscriber_that_trusts_verified_origins_alone_does_not_read_others() -> None:
    hub = TopicsHub([may("reader", Permission("a", False, True, verified=True))])
    hub.client().request(codes.PUT, "t/a", b"1")  # the guest: not verified
    reader = hub.secured("reader")
    assert reader.request(codes.GET, "t/a").code == codes.NOT_FOUND
    hub.secured("sensor", address="192.0.2.7:1").request(codes.PUT, "t/a", b"2")
    assert shown(reader.request(codes.GET, "t/a")) == ("2.05", b"2")


def test_the_quota_is_4_29_with_max_age() -> None:
    rights = Rights("device sensor", [Permission("#", True, True)], messages=1.0)
    hub = TopicsHub([Principal("sensor", [rights], {"device": ("sensor",)}, ["*"])])
    client = hub.secured()
    assert client.request(codes.POST, "t/a", b"1").code == codes.CHANGED
    answer = client.request(codes.POST, "t/a", b"1")
    assert answer.code == codes.TOO_MANY_REQUESTS
    hub.pass_time(answer.uint(numbers.MAX_AGE))
    assert client.request(codes.POST, "t/a", b"1").code == codes.CHANGED


def test_what_is_too_large_for_the_policy_is_4_13() -> None:
    hub = TopicsHub([may("sensor", Permission("a", True, True, max_payload=4))])
    assert hub.secured().request(codes.PUT, "t/a", b"12345").code == codes.REQUEST_ENTITY_TOO_LARGE


def test_as_many_as_the_hub_holds() -> None:
    limits = Limits()
    limits.retained_messages = 1
    client = TopicsHub(limits=limits).secured()
    assert client.request(codes.PUT, "t/a", b"1").code == codes.CREATED
    assert client.request(codes.PUT, "t/b", b"1").code == codes.TOO_MANY_REQUESTS


# Lists. -------------------------------------------------------------------------------------------


@pytest.mark.clause("RFC8132-2")
def test_fetch_takes_a_filter_that_is_too_long_for_a_query() -> None:
    hub = TopicsHub()
    client = hub.secured()
    level = "x" * 250
    client.request(codes.PUT, f"t/{level}/a", b"1")
    client.request(codes.PUT, "t/b", b"1")
    answer = client.request(codes.FETCH, "t", f"{level}/+".encode(), [(numbers.CONTENT_FORMAT, b"")])
    assert [link.target for link in parse_links(answer.payload)] == [f"/t/{level}/a"]
    assert client.request(codes.FETCH, "t", b"").code == codes.BAD_REQUEST
    assert client.request(codes.FETCH, "t", b"#", [(numbers.CONTENT_FORMAT, b"\x3c")]).code == codes.BAD_REQUEST


@pytest.mark.parametrize("query", ["f=a/#/b", "f=", "g=a", "f=a&f=b", "f=a+"])
def test_what_is_no_filter_is_4_00(query: str) -> None:
    client = TopicsHub().secured()
    assert client.request(codes.GET, f"t?{query}").code == codes.BAD_REQUEST
    assert client.request(codes.GET, f"t?{query}", options=[(numbers.OBSERVE, b"")]).code == codes.BAD_REQUEST


def test_a_list_that_is_too_long_asks_for_a_narrower_filter() -> None:
    settings = CoapSettings()
    settings.listed = 3
    hub = TopicsHub(settings=settings)
    client = hub.secured()
    for i in range(4):
        client.request(codes.PUT, f"t/a/{i}", b"1")
    assert client.request(codes.GET, "t").code == codes.REQUEST_ENTITY_TOO_LARGE
    assert len(parse_links(client.request(codes.GET, "t?f=a/1").payload)) == 1
    assert len(parse_links(client.request(codes.GET, ".well-known/core").payload)) == 4
