"""Publish/subscribe over topic resources in dialogues: collection, topics, data, and what permissions make of them
(draft-ietf-core-coap-pubsub-21)."""

from __future__ import annotations

from collections.abc import Mapping

import cbor2
import pytest

from bridgehead.core.message import Message as Published
from bridgehead.core.message import Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.coap.codec import codes, numbers
from bridgehead.protocols.coap.codec.link_format import parse_links
from bridgehead.protocols.coap.codec.message import CON, NON, Message, Option, uint_value
from bridgehead.protocols.coap.codec.topic_properties import CodePoints
from bridgehead.protocols.coap.session.observing import Observing
from bridgehead.protocols.coap.session.pubsub.pubsub import PubSub
from bridgehead.protocols.coap.session.pubsub.settings import PubSubSettings
from bridgehead.protocols.coap.session.site import Site
from bridgehead.protocols.coap.session.topics import Topics
from tests.coap.dialogue import Client, Hub
from tests.mqtt.dialogue import ManualStore

FORMAT = (numbers.CONTENT_FORMAT, uint_value(606))
CBOR = (numbers.CONTENT_FORMAT, uint_value(60))
SENML = (numbers.CONTENT_FORMAT, uint_value(112))
NAME, DATA, TYPE, CONTENT, KIND, EXPIRES, MOST, CHECK, INITIALIZE = range(9)
LAMP: dict[int, object] = {NAME: "Office/Lamp", TYPE: "core.ps.data"}

PRINCIPALS = {
    "maker": [Permission("Office/#", publish=True, subscribe=True)],
    "sensor": [Permission("Office/Lamp", publish=True, subscribe=False)],
    "reader": [Permission("Office/+", publish=False, subscribe=True)],
    "stranger": [Permission("Garden/#", publish=True, subscribe=True)],
}


def hub_with(store: ManualStore | None = None, settings: PubSubSettings | None = None) -> Hub:
    principals = [Principal.of(name, permissions, ["*"]) for name, permissions in PRINCIPALS.items()]
    used = settings if settings is not None else PubSubSettings()

    def make(hub: Hub) -> Site:
        site = Site()
        topics = Topics(hub.broker, Observing(hub.broker, hub.settings), hub.settings)
        site.add(b"t", topics)
        site.add(b"ps", PubSub(hub.broker, topics, used))
        return site

    return Hub(make, store=store, principals=principals)


def who(hub: Hub, name: str) -> Client:
    return hub.secured(name, address=f"192.0.2.{1 + list(PRINCIPALS).index(name)}:4711")


def tagged(properties: Mapping[int, object]) -> bytes:
    return cbor2.dumps({key: cbor2.CBORTag(1, value) if key == EXPIRES else value for key, value in properties.items()})


def create(client: Client, properties: Mapping[int, object]) -> Message:
    return client.request(codes.POST, "ps", tagged(properties), [FORMAT])


def path_of(created: Message) -> str:
    assert created.code == codes.CREATED, created.payload
    return b"/".join(created.all(numbers.LOCATION_PATH)).decode()


def properties_of(response: Message) -> dict[int, object]:
    assert response.uint(numbers.CONTENT_FORMAT) == 606
    found: dict[int, object] = cbor2.loads(response.payload)
    return found


def data_of(response: Message) -> str:
    return str(properties_of(response)[DATA]).removeprefix("/")


def targets(response: Message) -> list[str]:
    assert response.code == codes.CONTENT, response.payload
    assert response.uint(numbers.CONTENT_FORMAT) == 40
    return [link.target for link in parse_links(response.payload)]


def observe(client: Client, path: str, token: bytes = b"w", options: tuple[Option, ...] = ()) -> Message:
    return client.request(codes.GET, path, options=[(numbers.OBSERVE, b""), *options], token=token)


def publish(hub: Hub, topic: str, payload: bytes, qos: int = 1, retain: bool = True) -> None:
    """As an MQTT client does."""
    message = Published(topic, payload, qos, retain, Origin("maker", "mqtt", True))
    hub.broker.door.publish(hub.principal("maker"), message, None)
    hub.settle()


# The collection and its topics. -------------------------------------------------------------------


def test_a_created_topic_has_a_place_for_itself_and_one_for_its_data() -> None:
    """Section 2.4.3 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    created = create(maker, LAMP | {CONTENT: 112, KIND: "light", MOST: 5, CHECK: 3600, EXPIRES: 2_000_000})
    path = path_of(created)
    assert path.startswith("ps/")
    properties = properties_of(created)
    assert str(properties[DATA]).startswith("/ps/data/")
    assert {key: properties[key] for key in (NAME, TYPE, CONTENT, KIND, MOST, CHECK)} == LAMP | {
        CONTENT: 112,
        KIND: "light",
        MOST: 5,
        CHECK: 3600,
    }
    read = maker.request(codes.GET, path)
    assert read.code == codes.CONTENT
    assert read.payload == created.payload
    assert targets(maker.request(codes.GET, "ps")) == ["/" + path]


def test_a_topic_without_a_resource_type_has_that_of_the_draft() -> None:
    hub = hub_with()
    created = create(who(hub, "maker"), {NAME: "Office/Lamp"})
    assert properties_of(created)[TYPE] == "core.ps.data"


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {TYPE: "core.ps.data"},
        LAMP | {NAME: ""},
        LAMP | {NAME: "Office/#"},
        LAMP | {NAME: "Office/../Lamp"},
        LAMP | {NAME: "$SYS/broker"},
        LAMP | {NAME: "Office/" + "/" * 200},
        LAMP | {NAME: "Office/" + "x" * 300},
        LAMP | {TYPE: ""},
        LAMP | {TYPE: "two types"},
        LAMP | {TYPE: 'a"b'},
        LAMP | {KIND: "x" * 256},
        LAMP | {CHECK: 0},
        LAMP | {CONTENT: 65536},
        LAMP | {EXPIRES: 999_999},
        LAMP | {INITIALIZE: b"\x80"},
        LAMP | {INITIALIZE: b"", CONTENT: 60},
        LAMP | {DATA: "relative"},
        LAMP | {DATA: "/ps/data/"},
        LAMP | {DATA: "/ps/data/a/b"},
        LAMP | {DATA: "/ps/data/.."},
        LAMP | {DATA: "/t/Office/Lamp"},
        LAMP | {DATA: "coap://"},
        LAMP | {DATA: "coap://other/x", INITIALIZE: b"1", CONTENT: 0},
        LAMP | {9: 1},
        LAMP | {-1: 1},
    ],
)
def test_topics_that_are_not_created(properties: Mapping[int, object]) -> None:
    """Section 2.4.3 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    response = create(maker, properties)
    assert response.code == codes.BAD_REQUEST
    assert response.payload
    assert targets(maker.request(codes.GET, "ps")) == []
    assert hub.broker.retained.topics() == []


def test_a_topic_name_is_one_topics() -> None:
    """Section 2.4.3 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    first = create(maker, LAMP)
    assert create(maker, LAMP | {CONTENT: 60}).code == codes.BAD_REQUEST
    taken = LAMP | {NAME: "Office/Other", DATA: "/" + data_of(first)}
    assert create(maker, taken).code == codes.BAD_REQUEST
    assert maker.request(codes.DELETE, path_of(first)).code == codes.DELETED
    assert path_of(create(maker, LAMP)) == path_of(first)


def test_the_place_of_the_data_may_be_chosen_here_or_elsewhere() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    create(maker, LAMP | {DATA: "/ps/data/my-lamp"})
    assert maker.request(codes.PUT, "ps/data/my-lamp", b"on").code == codes.CREATED
    elsewhere = create(maker, LAMP | {NAME: "Office/Door", DATA: "coap://other.example/door"})
    assert properties_of(elsewhere)[DATA] == "coap://other.example/door"
    found = targets(maker.request(codes.GET, "ps?rt=core.ps.data"))
    assert found == ["/ps/data/my-lamp", "coap://other.example/door"]
    assert maker.request(codes.DELETE, path_of(elsewhere)).code == codes.DELETED


def test_topics_and_their_data_are_discovered_by_queries() -> None:
    """Sections 2.3.4 and 2.4.1 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    lamp = create(maker, LAMP | {CONTENT: 112})
    door = create(maker, {NAME: "Office/Door", TYPE: "door.data"})
    topics = ["/" + path_of(lamp), "/" + path_of(door)]
    assert targets(maker.request(codes.GET, "ps")) == topics
    assert targets(maker.request(codes.GET, "ps?rt=core.ps.conf")) == topics
    assert targets(maker.request(codes.GET, "ps?rt=core.ps.data")) == ["/" + data_of(lamp)]
    assert targets(maker.request(codes.GET, "ps?rt=door.*")) == ["/" + data_of(door)]
    assert targets(maker.request(codes.GET, "ps?rt=core.ps.data&ct=112")) == ["/" + data_of(lamp)]
    assert targets(maker.request(codes.GET, "ps?rt=other")) == []


@pytest.mark.clause("RFC8132-2")
def test_topics_are_filtered_by_their_properties() -> None:
    """Section 2.4.2 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    lamp = create(maker, LAMP | {KIND: "light", MOST: 5})
    door = create(maker, {NAME: "Office/Door", TYPE: "core.ps.data", KIND: "contact", MOST: 5})

    def found(wanted: Mapping[int, object]) -> list[str]:
        return targets(maker.request(codes.FETCH, "ps", tagged(wanted), [FORMAT]))

    assert found({TYPE: "core.ps.data"}) == ["/" + path_of(lamp), "/" + path_of(door)]
    assert found({NAME: "Office/Lamp", TYPE: "core.ps.data"}) == ["/" + path_of(lamp)]
    assert found({KIND: "contact", MOST: 5}) == ["/" + path_of(door)]
    assert found({KIND: "contact", MOST: 6}) == []
    assert found({CHECK: 86400}) == []  # only what stands there
    assert len(found({})) == 2
    assert maker.request(codes.FETCH, "ps", b"[]", [CBOR]).code == codes.UNSUPPORTED_CONTENT_FORMAT
    assert maker.request(codes.FETCH, "ps", b"\x80", [FORMAT]).code == codes.BAD_REQUEST


@pytest.mark.clause("RFC8132-2")
def test_part_of_a_topic_is_read() -> None:
    """Section 2.5.2 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    created = create(maker, LAMP | {CONTENT: 112})
    path = path_of(created)
    part = maker.request(codes.FETCH, path, cbor2.dumps([DATA, CONTENT, CHECK]), [CBOR])
    assert properties_of(part) == {DATA: "/" + data_of(created), CONTENT: 112}
    wrong = maker.request(codes.FETCH, path, cbor2.dumps([1]), [FORMAT])
    assert wrong.code == codes.UNSUPPORTED_CONTENT_FORMAT
    assert maker.request(codes.FETCH, path, cbor2.dumps({1: 1}), [CBOR]).code == codes.BAD_REQUEST


def test_post_puts_a_topic_anew() -> None:
    """Section 2.5.3 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    created = create(maker, LAMP | {KIND: "light", MOST: 5})
    path = path_of(created)
    wanted = properties_of(created) | {EXPIRES: 2_000_000, KIND: "lamp"}
    del wanted[MOST]
    changed = maker.request(codes.POST, path, tagged(wanted), [FORMAT])
    assert changed.code == codes.CHANGED
    assert MOST not in properties_of(changed)
    assert properties_of(changed)[KIND] == "lamp"
    assert maker.request(codes.GET, path).payload == changed.payload
    only = maker.request(codes.POST, path, tagged({CHECK: 60}), [FORMAT])
    assert set(properties_of(only)) == {NAME, DATA, TYPE, CHECK}


@pytest.mark.clause("RFC8132-3")
def test_ipatch_changes_what_it_names() -> None:
    """Section 2.5.4 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    path = path_of(create(maker, LAMP | {KIND: "light", MOST: 5}))
    changed = maker.request(codes.IPATCH, path, tagged({MOST: 7, EXPIRES: 2_000_000}), [FORMAT])
    assert changed.code == codes.CHANGED
    properties = properties_of(changed)
    assert (properties[KIND], properties[MOST]) == ("light", 7)
    assert EXPIRES in properties


@pytest.mark.clause("RFC8132-3.4")
@pytest.mark.parametrize("code", [codes.POST, codes.IPATCH])
@pytest.mark.parametrize(
    "wanted", [{NAME: "Office/Other"}, {DATA: "/ps/data/x"}, {TYPE: "other"}, {CHECK: 0}, {EXPIRES: 5}, {9: 1}]
)
def test_what_cannot_be_changed(code: int, wanted: Mapping[int, object]) -> None:
    """Section 2.5.3 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    path = path_of(create(maker, LAMP))
    before = maker.request(codes.GET, path).payload
    assert maker.request(code, path, tagged(wanted), [FORMAT]).code == codes.BAD_REQUEST
    assert maker.request(code, path, tagged(wanted), [CBOR]).code == codes.UNSUPPORTED_CONTENT_FORMAT
    assert maker.request(codes.GET, path).payload == before


@pytest.mark.clause("RFC7252-5.10.8.1")
def test_an_update_of_what_has_changed_meanwhile_is_refused() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    path = path_of(create(maker, LAMP))
    tag = maker.request(codes.GET, path).first(numbers.ETAG)
    assert tag is not None
    match = (numbers.IF_MATCH, tag)
    assert maker.request(codes.GET, path, options=[(numbers.ETAG, tag)]).code == codes.VALID
    assert maker.request(codes.IPATCH, path, tagged({MOST: 1}), [FORMAT, match]).code == codes.CHANGED
    assert maker.request(codes.IPATCH, path, tagged({MOST: 2}), [FORMAT, match]).code == codes.PRECONDITION_FAILED
    assert maker.request(codes.DELETE, path, options=[match]).code == codes.PRECONDITION_FAILED
    assert maker.request(codes.IPATCH, path, tagged({MOST: 3}), [FORMAT, (numbers.IF_MATCH, b"")]).code == codes.CHANGED


def test_methods_that_are_not_there() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    created = create(maker, LAMP)
    for code, path in (
        (codes.PUT, "ps"),
        (codes.DELETE, "ps"),
        (codes.PUT, path_of(created)),
        (codes.PATCH, path_of(created)),
        (codes.POST, data_of(created)),
        (codes.FETCH, data_of(created)),
    ):
        assert maker.request(code, path, b"x").code == codes.METHOD_NOT_ALLOWED
    for path in ("ps/none", "ps/data/none", "ps/data", "ps/data/none/x", f"{path_of(created)}/x"):
        assert maker.request(codes.GET, path).code == codes.NOT_FOUND
    assert maker.request(codes.GET, "ps", options=[(numbers.ACCEPT, uint_value(60))]).code == codes.NOT_ACCEPTABLE


# Data. ----------------------------------------------------------------------------------------------


def test_a_topic_is_half_created_until_somebody_publishes() -> None:
    """Sections 3.1 and 3.2.1 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    data = data_of(create(maker, LAMP))
    assert reader.request(codes.GET, data).code == codes.NOT_FOUND
    early = observe(reader, data)
    assert early.code == codes.NOT_FOUND
    assert not early.has(numbers.OBSERVE)
    assert maker.request(codes.PUT, data, b"on", [CBOR]).code == codes.CREATED
    assert maker.request(codes.PUT, data, b"off", [CBOR]).code == codes.CHANGED
    read = reader.request(codes.GET, data)
    assert (read.code, read.payload, read.uint(numbers.CONTENT_FORMAT)) == (codes.CONTENT, b"off", 60)
    assert maker.request(codes.DELETE, data).code == codes.DELETED
    assert reader.request(codes.GET, data).code == codes.NOT_FOUND
    assert maker.request(codes.PUT, data, b"on").code == codes.CREATED


def test_initial_data_make_a_topic_whole_at_once() -> None:
    """Section 2.2.1 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    created = create(maker, LAMP | {CONTENT: 112, INITIALIZE: b"\x80"})
    data = data_of(created)
    read = reader.request(codes.GET, data)
    assert (read.code, read.payload, read.uint(numbers.CONTENT_FORMAT)) == (codes.CONTENT, b"\x80", 112)
    assert maker.request(codes.PUT, data, b"\x81\x01", [SENML]).code == codes.CHANGED
    assert maker.request(codes.DELETE, data).code == codes.DELETED
    assert reader.request(codes.GET, data).code == codes.NOT_FOUND  # it is not initialised again


def test_data_of_another_content_format_are_refused() -> None:
    """Section 3.2.1 of the draft."""
    hub = hub_with()
    maker = who(hub, "maker")
    data = data_of(create(maker, LAMP | {CONTENT: 112}))
    for options in ([CBOR], []):
        assert maker.request(codes.PUT, data, b"\x80", options).code == codes.UNSUPPORTED_CONTENT_FORMAT
    assert maker.request(codes.PUT, data, b"\x80", [SENML]).code == codes.CREATED


def test_a_subscriber_gets_what_is_published() -> None:
    """Section 3.2.2 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    data = data_of(create(maker, LAMP))
    maker.request(codes.PUT, data, b"1")
    first = observe(reader, data)
    assert (first.code, first.payload) == (codes.CONTENT, b"1")
    order = [first.uint(numbers.OBSERVE)]
    for payload in (b"2", b"3"):
        maker.request(codes.PUT, data, payload)
        told = reader.get_one()
        assert (told.token, told.code, told.payload) == (b"w", codes.CONTENT, payload)
        order.append(told.uint(numbers.OBSERVE))
    assert order == sorted(set(order))
    stopped = reader.request(codes.GET, data, options=[(numbers.OBSERVE, b"\x01")], token=b"w")
    assert not stopped.has(numbers.OBSERVE)
    maker.request(codes.PUT, data, b"4")
    assert reader.get() == []


@pytest.mark.parametrize("what", ["data", "topic"])
def test_subscriptions_end_with_the_data(what: str) -> None:
    """Section 3.2.4 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    created = create(maker, LAMP)
    data = data_of(created)
    maker.request(codes.PUT, data, b"1")
    observe(reader, data)
    assert maker.request(codes.DELETE, data if what == "data" else path_of(created)).code == codes.DELETED
    last = reader.get_one()
    assert (last.token, last.code) == (b"w", codes.NOT_FOUND)
    assert not last.has(numbers.OBSERVE)
    assert hub.broker.retained.get("Office/Lamp") is None
    if what == "topic":
        assert reader.request(codes.GET, data).code == codes.NOT_FOUND
        assert maker.request(codes.GET, path_of(created)).code == codes.NOT_FOUND
        assert maker.request(codes.PUT, data, b"2").code == codes.NOT_FOUND
        assert maker.request(codes.DELETE, path_of(created)).code == codes.NOT_FOUND
    else:
        assert maker.request(codes.PUT, data, b"2").code == codes.CREATED
    assert reader.get() == []


def test_no_more_subscribers_than_the_topic_permits() -> None:
    """Sections 2.2.1 and 3.2.2 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    created = create(maker, LAMP | {MOST: 2})
    data = data_of(created)
    maker.request(codes.PUT, data, b"1")
    assert [observe(reader, data, token).has(numbers.OBSERVE) for token in (b"a", b"b", b"c", b"a")] == [
        True,
        True,
        False,
        True,
    ]
    maker.request(codes.PUT, data, b"2")
    assert sorted(message.token for message in reader.get()) == [b"a", b"b"]
    # Who came last goes first.
    assert maker.request(codes.IPATCH, path_of(created), tagged({MOST: 1}), [FORMAT]).code == codes.CHANGED
    last = reader.get_one()
    assert (last.token, last.code) == (b"a", codes.NOT_FOUND)
    maker.request(codes.PUT, data, b"3")
    assert reader.get_one().token == b"b"
    reader.request(codes.GET, data, options=[(numbers.OBSERVE, b"\x01")], token=b"b")
    assert observe(reader, data, b"d").has(numbers.OBSERVE)
    hub.handler.forget(reader.peer)
    assert observe(maker, data, b"e").has(numbers.OBSERVE)


def test_a_subscriber_is_asked_once_in_an_observer_check() -> None:
    """Section 3.2.3 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    data = data_of(create(maker, LAMP | {CHECK: 600}))
    maker.request(codes.PUT, data, b"1")
    first = reader.request(codes.GET, data, options=[(numbers.OBSERVE, b"")], token=b"w", type=NON)
    hub.pass_time(599)
    assert reader.get() == []
    hub.pass_time(2)
    asked = reader.get_one()
    assert (asked.type, asked.payload) == (CON, b"1")
    maker.request(codes.PUT, data, b"2", type=NON)
    told = reader.get_one()
    assert told.type == NON
    order = [message.uint(numbers.OBSERVE) for message in (first, asked, told)]
    assert order == sorted(set(order))
    # Who does not answer is forgotten.
    reader.acknowledges = False
    hub.pass_time(1000)
    assert reader.get()[0].type == CON
    reader.acknowledges = True
    maker.request(codes.PUT, data, b"3", type=NON)
    assert reader.get() == []


def test_an_expired_topic_is_deleted_with_its_data() -> None:
    """Section 2.2.1 of the draft."""
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    created = create(maker, LAMP | {EXPIRES: 1_000_100.5})
    data = data_of(created)
    maker.request(codes.PUT, data, b"1")
    observe(reader, data)
    changed = maker.request(codes.IPATCH, path_of(created), tagged({EXPIRES: 1_000_200}), [FORMAT])
    assert changed.code == codes.CHANGED
    hub.pass_time(150)
    assert reader.request(codes.GET, data).code == codes.CONTENT
    hub.pass_time(51)
    assert [message.code for message in reader.get()] == [codes.NOT_FOUND]
    assert targets(maker.request(codes.GET, "ps")) == []
    assert hub.broker.retained.topics() == []


def test_data_of_an_owner_who_may_not_delete_them_stay() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    data = data_of(create(maker, LAMP | {EXPIRES: 1_000_100}))
    maker.request(codes.PUT, data, b"1")
    hub.principals["maker"].permit([Permission("Office/#", publish=False, subscribe=True)], ["*"])
    hub.broker.permissions_changed(["maker"])
    hub.pass_time(101)
    assert targets(maker.request(codes.GET, "ps")) == []
    assert hub.broker.retained.topics() == ["Office/Lamp"]
    denied = hub.named("publish.denied")[-1]
    assert (denied["principal"], denied["topic"]) == ("maker", "Office/Lamp")


def test_topic_data_are_a_topic_of_the_hub_for_every_protocol() -> None:
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    publish(hub, "Office/Lamp", b"0")
    data = data_of(create(maker, LAMP))
    first = observe(reader, data)  # there was a value before there was a topic
    assert (first.code, first.payload) == (codes.CONTENT, b"0")
    publish(hub, "Office/Lamp", b"1")
    publish(hub, "Office/Lamp", b"2", qos=0)
    maker.request(codes.PUT, "t/Office/Lamp", b"3")
    assert [message.payload for message in reader.get()] == [b"1", b"2", b"3"]
    maker.request(codes.PUT, data, b"4", [CBOR])
    kept = hub.broker.retained.get("Office/Lamp")
    assert kept is not None
    assert (kept.payload, kept.origin.principal, kept.properties.content_type) == (b"4", "maker", "application/cbor")


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("type_", [CON, NON])
def test_a_value_that_is_cleared_over_another_protocol_ends_subscriptions(qos: int, type_: int) -> None:
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    data = data_of(create(maker, LAMP))
    maker.request(codes.PUT, data, b"1")
    for token in (b"a", b"b", b"c"):
        reader.request(codes.GET, data, options=[(numbers.OBSERVE, b"")], token=token, type=type_)
    direct = hub.secured("maker", address="192.0.2.99:1")
    observe(direct, "t/Office/Lamp", b"direct")
    publish(hub, "Office/Lamp", b"", qos)
    ends = reader.get()
    assert sorted((message.token, message.code) for message in ends) == [
        (token, codes.NOT_FOUND) for token in (b"a", b"b", b"c")
    ]
    hub.pass_time(5)
    maker.request(codes.PUT, data, b"2")
    assert reader.get() == []
    assert observe(reader, data, b"a").payload == b"2"
    for i in range(40):  # more than may be under way: nothing was left there
        maker.request(codes.PUT, data, b"%d" % i)
    hub.pass_time(5)
    assert [message.payload for message in reader.get()] == [b"%d" % i for i in range(40)]
    assert direct.get()[-1].payload == b"39"


# Permissions: those of the hub's topic of that name. ------------------------------------------------


def test_who_may_not_publish_makes_no_topic() -> None:
    hub = hub_with()
    stranger = who(hub, "stranger")
    refused = create(stranger, LAMP)
    assert refused.code == codes.FORBIDDEN
    assert b"stranger" in refused.payload  # it says why
    assert hub.named("publish.denied")[0]["topic"] == "Office/Lamp"
    assert create(who(hub, "sensor"), LAMP).code == codes.CREATED


def test_who_may_read_reads_and_no_more() -> None:
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    created = create(maker, LAMP)
    path, data = path_of(created), data_of(created)
    maker.request(codes.PUT, data, b"1")
    assert reader.request(codes.GET, path).code == codes.CONTENT
    assert reader.request(codes.POST, path, tagged({MOST: 0}), [FORMAT]).code == codes.FORBIDDEN
    assert reader.request(codes.IPATCH, path, tagged({MOST: 0}), [FORMAT]).code == codes.FORBIDDEN
    assert reader.request(codes.DELETE, path).code == codes.FORBIDDEN
    assert reader.request(codes.PUT, data, b"2").code == codes.FORBIDDEN
    assert reader.request(codes.DELETE, data).code == codes.FORBIDDEN
    assert reader.request(codes.GET, data).payload == b"1"


def test_who_may_only_publish_reads_no_data() -> None:
    hub = hub_with()
    sensor = who(hub, "sensor")
    created = create(sensor, LAMP)
    assert sensor.request(codes.PUT, data_of(created), b"1").code == codes.CREATED
    assert sensor.request(codes.GET, data_of(created)).code == codes.FORBIDDEN
    assert observe(sensor, data_of(created)).code == codes.FORBIDDEN
    assert sensor.request(codes.GET, path_of(created)).code == codes.CONTENT


def test_a_topic_that_one_may_not_see_is_not_there() -> None:
    hub = hub_with()
    maker, stranger = who(hub, "maker"), who(hub, "stranger")
    path = path_of(create(maker, LAMP))
    assert targets(stranger.request(codes.GET, "ps")) == []
    assert targets(stranger.request(codes.GET, "ps?rt=core.ps.data")) == []
    assert targets(stranger.request(codes.FETCH, "ps", tagged({NAME: "Office/Lamp"}), [FORMAT])) == []
    for code in (codes.GET, codes.DELETE, codes.IPATCH):
        there, nowhere = stranger.request(code, path), stranger.request(code, "ps/01234567")
        assert there.code == nowhere.code == codes.NOT_FOUND
        assert there.payload == nowhere.payload
    guest = hub.client()
    hub.guest = None
    assert guest.request(codes.GET, "ps").code == codes.UNAUTHORIZED


def test_nobody_else_writes_the_hubs_records() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    path = path_of(create(maker, LAMP))
    forger = Principal.of("forger", [Permission("#", True, True), Permission("$COAP/#", True, True)], ["*"])
    hub.broker.admit(forger)
    record = hub.broker.retained.get(f"$COAP/{path}")
    assert record is not None
    for topic in (f"$COAP/{path}", "$COAP/ps/another"):
        message = Published(topic, record.payload, 1, True, Origin("forger", "mqtt", True))
        hub.broker.door.publish(forger, message, None)
    hub.settle()
    assert maker.request(codes.GET, "ps/another").code == codes.NOT_FOUND
    again = hub_with(hub.store.copy())
    assert targets(who(again, "maker").request(codes.GET, "ps")) == []
    # An identity that may everything by a wildcard may not this: $ is apart.
    assert hub.principal("maker").may_publish("$COAP/ps/x", 0, True) is False


def test_a_withdrawn_permission_ends_the_subscription() -> None:
    hub = hub_with()
    maker, reader = who(hub, "maker"), who(hub, "reader")
    data = data_of(create(maker, LAMP | {MOST: 1}))
    maker.request(codes.PUT, data, b"1")
    assert observe(reader, data).has(numbers.OBSERVE)
    hub.principals["reader"].permit([], ["*"])
    hub.broker.permissions_changed(["reader"])
    hub.settle()
    hub.principals["reader"].permit([Permission("Office/Door", publish=False, subscribe=True)], ["*"])
    hub.broker.permissions_changed(["reader"])
    hub.settle()
    last = reader.get_one()
    assert (last.token, last.code) == (b"w", codes.FORBIDDEN)
    maker.request(codes.PUT, data, b"2")
    assert reader.get() == []
    assert observe(maker, data).has(numbers.OBSERVE)  # its place is free


# Ceilings, and what lasts. ---------------------------------------------------------------------------


def test_ceilings_of_topics() -> None:
    settings = PubSubSettings()
    settings.topics = 3
    settings.topics_per_identity = 2
    settings.properties_octets = 60
    hub = hub_with(settings=settings)
    maker, stranger = who(hub, "maker"), who(hub, "stranger")
    answers = [create(maker, LAMP | {NAME: f"Office/{i}"}).code for i in range(3)]
    assert answers == [codes.CREATED, codes.CREATED, codes.TOO_MANY_REQUESTS]
    answers = [create(stranger, LAMP | {NAME: f"Garden/{i}"}).code for i in range(2)]
    assert answers == [codes.CREATED, codes.TOO_MANY_REQUESTS]
    assert create(maker, LAMP | {KIND: "x" * 60}).code == codes.REQUEST_ENTITY_TOO_LARGE


def test_topics_outlive_a_crash_and_are_answered_after_the_commit() -> None:
    store = ManualStore()
    hub = hub_with(store)
    maker = who(hub, "maker")
    created = create(maker, LAMP | {CONTENT: 112, EXPIRES: 1_001_000})
    maker.request(codes.PUT, data_of(created), b"\x80", [SENML])
    store.automatic = False
    message = maker.message(codes.POST, "ps", tagged(LAMP | {NAME: "Office/Door"}), [FORMAT])
    maker.send(message)
    assert maker.get() == []  # not before it lasts
    copy = store.copy()
    hub.commit()
    assert maker.response(message.token).code == codes.CREATED
    again = hub_with(copy)
    maker = who(again, "maker")
    assert maker.request(codes.GET, path_of(created)).payload == created.payload
    assert maker.request(codes.GET, data_of(created)).payload == b"\x80"
    assert len(targets(maker.request(codes.GET, "ps"))) == 1
    assert create(maker, LAMP).code == codes.BAD_REQUEST
    again.pass_time(1001)
    assert targets(maker.request(codes.GET, "ps")) == []


def test_a_topic_that_the_disk_refuses_is_none() -> None:
    store = ManualStore()
    hub = hub_with(store)
    maker = who(hub, "maker")
    path = path_of(create(maker, LAMP))
    store.full = True
    assert create(maker, LAMP | {NAME: "Office/Door"}).code == codes.SERVICE_UNAVAILABLE
    refused = maker.request(codes.IPATCH, path, tagged({MOST: 1}), [FORMAT])
    assert refused.code == codes.SERVICE_UNAVAILABLE
    store.full = False
    assert targets(maker.request(codes.GET, "ps")) == ["/" + path]
    assert MOST not in properties_of(maker.request(codes.GET, path))
    assert create(maker, LAMP | {NAME: "Office/Door"}).code == codes.CREATED


def test_initial_data_that_are_refused_leave_no_topic() -> None:
    hub = hub_with()
    hub.principals["maker"].permit([Permission("Office/#", publish=True, subscribe=True, retain=False)], ["*"])
    maker = who(hub, "maker")
    assert create(maker, LAMP | {CONTENT: 0, INITIALIZE: b"1"}).code == codes.FORBIDDEN
    assert targets(maker.request(codes.GET, "ps")) == []
    assert hub.broker.retained.topics() == []


def test_other_code_points_may_be_set() -> None:
    settings = PubSubSettings()
    settings.points = CodePoints(content_format=65001)
    hub = hub_with(settings=settings)
    maker = who(hub, "maker")
    assert create(maker, LAMP).code == codes.UNSUPPORTED_CONTENT_FORMAT
    options = [(numbers.CONTENT_FORMAT, uint_value(65001))]
    created = maker.request(codes.POST, "ps", tagged(LAMP), options)
    assert (created.code, created.uint(numbers.CONTENT_FORMAT)) == (codes.CREATED, 65001)


def test_the_broker_says_where_it_is() -> None:
    """Section 2.3.2 of the draft."""
    hub = hub_with()
    assert isinstance(hub.handler, Site)
    (link,) = [link for link in hub.handler.links(hub.party("maker", "psk", "")) if link.target == "/ps"]
    assert link.first("rt") == "core.ps core.ps.coll"
    assert link.first("ct") == "40"


@pytest.mark.clause("RFC7252-8.2")
def test_a_group_may_only_read() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    path = path_of(create(maker, LAMP))
    guest = hub.client("192.0.2.77:1")
    guest.multicast = True
    guest.send(guest.message(codes.POST, "ps", tagged(LAMP | {NAME: "Office/Door"}), [FORMAT], NON))
    guest.send(guest.message(codes.DELETE, path, type=NON))
    hub.pass_time(10)
    assert guest.get() == []  # errors are not told to a group's asker
    assert targets(maker.request(codes.GET, "ps")) == ["/" + path]
    message = guest.message(codes.GET, "ps", type=NON)
    guest.send(message)
    hub.pass_time(10)
    assert targets(guest.response(message.token)) == ["/" + path]


@pytest.mark.clause("RFC7252-5.4.1")
def test_a_condition_that_nobody_looks_at_is_refused() -> None:
    hub = hub_with()
    maker = who(hub, "maker")
    for condition in (numbers.IF_MATCH, numbers.IF_NONE_MATCH):
        refused = maker.request(codes.POST, "ps", tagged(LAMP), [FORMAT, (condition, b"")])
        assert refused.code == codes.BAD_OPTION
    assert targets(maker.request(codes.GET, "ps")) == []


def test_it_can_be_closed() -> None:
    settings = PubSubSettings()
    hub = hub_with(settings=settings)
    maker = who(hub, "maker")
    data = data_of(create(maker, LAMP))
    settings.enabled = False
    assert isinstance(hub.handler, Site)
    assert [link for link in hub.handler.links(hub.party("maker", "psk", "")) if link.target == "/ps"] == []
    for path in ("ps", data):
        assert maker.request(codes.GET, path).code == codes.NOT_FOUND
    assert create(maker, LAMP | {NAME: "Office/Door"}).code == codes.NOT_FOUND
    settings.enabled = True
    assert len(targets(maker.request(codes.GET, "ps"))) == 1
