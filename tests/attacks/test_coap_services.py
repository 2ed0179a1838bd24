"""Two identities at what the hub offers over CoAP beside topics: the directory, publish/subscribe, conditions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
from msgspec.structs import replace

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.message import Message, Option, uint_value
from tests.attacks.coap_world import World
from tests.coap.dialogue import Client, SecuredClient

OBSERVE: tuple[Option, ...] = ((option.OBSERVE, b""),)
LINKS: tuple[Option, ...] = ((option.CONTENT_FORMAT, uint_value(40)),)
PUBSUB: tuple[Option, ...] = ((option.CONTENT_FORMAT, uint_value(606)),)
TEMPERATURE = b'</temp>;rt="temperature"'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Each may register under its own name alone, and see what is registered on its own floor."""
    made = World(tmp_path)
    for name in ("alice", "bob"):
        made.permit(name, f"$COAP/rd/+/{name}", f"$COAP/rd/{name}/+")
    yield made
    made.close()


@pytest.fixture
def alice(world: World) -> SecuredClient:
    return world.secured("alice", "192.0.2.1:1")


@pytest.fixture
def bob(world: World) -> SecuredClient:
    return world.secured("bob", "192.0.2.2:1")


def location(answer: Message) -> str:
    return "/".join(segment.decode() for segment in answer.all(option.LOCATION_PATH))


def test_a_registration_belongs_to_who_may_publish_it(alice: SecuredClient, bob: SecuredClient) -> None:
    made = alice.request(codes.POST, "rd?ep=alice&d=alice", TEMPERATURE, LINKS)
    assert made.code == codes.CREATED
    where = location(made)
    before = alice.request(codes.GET, "rd-lookup/res").payload
    assert b"temperature" in before
    refused = (codes.FORBIDDEN, codes.NOT_FOUND)
    assert bob.request(codes.POST, "rd?ep=alice&d=alice", b'</evil>;rt="evil"', LINKS).code in refused
    assert bob.request(codes.POST, where).code in refused
    assert bob.request(codes.POST, f"{where}?base=coap://203.0.113.9").code in refused
    assert bob.request(codes.DELETE, where).code in refused
    assert bob.request(codes.GET, "rd-lookup/res").payload == b""
    assert bob.request(codes.GET, "rd-lookup/ep?ep=alice").payload == b""
    assert alice.request(codes.GET, "rd-lookup/res").payload == before


@pytest.mark.parametrize(
    "query",
    ["ep=bob/../alice", "ep=alice%2Fx", "ep=x&d=alice/alice", "ep=%2B&d=alice", "ep=%23&d=alice", "ep=bob&d=+/alice"],
)
def test_no_name_reaches_into_the_others_topics(alice: SecuredClient, bob: SecuredClient, query: str) -> None:
    alice.request(codes.POST, "rd?ep=alice&d=alice", TEMPERATURE, LINKS)
    before = alice.request(codes.GET, "rd-lookup/ep").payload
    bob.request(codes.POST, f"rd?{query}", b'</evil>;rt="evil"', LINKS)
    assert alice.request(codes.GET, "rd-lookup/ep").payload == before
    assert b"evil" not in alice.request(codes.GET, "rd-lookup/res").payload


def properties(topic: str) -> bytes:
    found: bytes = cbor2.dumps({0: topic, 2: "core.ps.data"})
    return found


def test_a_topic_of_the_collection_belongs_to_who_may_publish_it(alice: SecuredClient, bob: SecuredClient) -> None:
    made = alice.request(codes.POST, "ps", properties("a/lamp"), PUBSUB)
    assert made.code == codes.CREATED
    where = location(made)
    data = cbor2.loads(made.payload)[1].strip("/")
    assert alice.request(codes.PUT, data, b"on").code == codes.CREATED
    refused = (codes.FORBIDDEN, codes.NOT_FOUND)
    assert bob.request(codes.POST, "ps", properties("a/other"), PUBSUB).code == codes.FORBIDDEN
    assert bob.request(codes.GET, where).code in refused
    assert bob.request(codes.DELETE, where).code in refused
    assert bob.request(codes.GET, data).code in refused
    assert bob.request(codes.GET, data, options=((option.OBSERVE, b""),)).code in refused
    assert bob.request(codes.PUT, data, b"off").code in refused
    assert bob.request(codes.DELETE, data).code in refused
    assert b"lamp" not in bob.request(codes.GET, "ps").payload
    assert where.rpartition("/")[2].encode() not in bob.request(codes.GET, "ps").payload
    assert alice.request(codes.GET, data).payload == b"on"


def test_a_topic_of_ones_own_is_not_laid_over_the_others_data(alice: SecuredClient, bob: SecuredClient) -> None:
    """topic-data may be chosen (key 1), but not where somebody else's are."""
    made = cbor2.loads(alice.request(codes.POST, "ps", properties("a/lamp"), PUBSUB).payload)
    data = made[1].strip("/")
    alice.request(codes.PUT, data, b"on")
    laid = cbor2.dumps({0: "b/lamp", 1: made[1], 2: "core.ps.data"})
    assert bob.request(codes.POST, "ps", laid, PUBSUB).code in (codes.FORBIDDEN, codes.CONFLICT, codes.BAD_REQUEST)
    assert bob.request(codes.GET, data).code in (codes.FORBIDDEN, codes.NOT_FOUND)
    assert alice.request(codes.GET, data).payload == b"on"


def test_conditions_tell_nothing_to_who_may_not_read(world: World, alice: SecuredClient) -> None:
    """If-Match with guesses would be a way to read."""
    alice.request(codes.PUT, "t/a/secret", b"4711")
    tag = alice.request(codes.GET, "t/a/secret").first(option.ETAG)
    assert tag is not None
    world.add("writer")
    world.permit("writer", publish="a/secret")
    writer = world.secured("writer", "192.0.2.4:1")
    answers = [
        writer.request(codes.PUT, "t/a/secret", b"x", options)
        for options in (((option.IF_MATCH, tag),), ((option.IF_MATCH, b"guess"),), ((option.IF_NONE_MATCH, b""),))
    ]
    assert {answer.code for answer in answers} == {codes.FORBIDDEN}
    assert alice.request(codes.GET, "t/a/secret").payload == b"4711"
    fresh, known = (writer.request(codes.PUT, "t/a/secret", b"y").code for _ in range(2))
    assert fresh == known == codes.CHANGED  # nor whether there was a value


# Several clients behind one peer. -----------------------------------------------------------------------


def notified(world: World, name: str, client: Client, bound: object) -> list[bytes]:
    return [world.devices[name].unprotect(each, bound).payload for each in client.get() if each.has(option.OSCORE)]


def test_behind_one_address_nobody_ends_anothers_look_up_by_its_token(world: World) -> None:
    gateway, bob = world.plain("192.0.2.9:5"), world.secured("bob", "192.0.2.2:1")
    world.permit("alice", "$COAP/rd/shared/+")
    world.permit("bob", "$COAP/rd/shared/+")
    world.ask("alice", gateway, codes.GET, "rd-lookup/ep", options=OBSERVE, token=b"same")
    bound = world.bound
    ended = ((option.OBSERVE, b"\x01"),)
    world.ask("bob", gateway, codes.GET, "rd-lookup/ep", options=ended, token=b"same")
    bob.request(codes.POST, "rd?ep=bob&d=shared", TEMPERATURE, LINKS)
    world.house.pass_time(2.0)
    [told] = notified(world, "alice", gateway, bound)
    assert b'ep="bob"' in told


def test_nor_anothers_subscription_of_topic_data(world: World, alice: SecuredClient, bob: SecuredClient) -> None:
    gateway = world.plain("192.0.2.9:5")
    data: dict[str, str] = {}
    for client, name in ((alice, "a/lamp"), (bob, "b/lamp")):
        made = client.request(codes.POST, "ps", properties(name), PUBSUB)
        data[name] = cbor2.loads(made.payload)[1].strip("/")
        client.request(codes.PUT, data[name], b"off")
    world.ask("alice", gateway, codes.GET, data["a/lamp"], options=OBSERVE, token=b"same")
    bound = world.bound
    world.ask("bob", gateway, codes.GET, data["b/lamp"], options=OBSERVE, token=b"same")
    gateway.get()
    alice.request(codes.PUT, data["a/lamp"], b"on")
    assert notified(world, "alice", gateway, bound) == [b"on"]


# Quotas. ------------------------------------------------------------------------------------------------


def test_who_writes_below_rd_by_another_way_takes_nobodys_place(world: World, bob: SecuredClient) -> None:
    """By MQTT or /t; also with what is no registration."""
    world.config.directory.registrations = 6
    world.config.directory.registrations_per_identity = 3
    alice = world.secured("alice", "192.0.2.1:1")
    for sector in range(9):
        assert alice.request(codes.PUT, f"t/$COAP/rd/s{sector}/alice", b"junk").code == codes.CREATED
    assert bob.request(codes.POST, "rd?ep=bob&d=bob", TEMPERATURE, LINKS).code == codes.CREATED
    alice.request(codes.PUT, "t/$COAP/rd/s9/alice", b"junk")
    assert b'ep="bob"' in bob.request(codes.GET, "rd-lookup/ep").payload


# What ended. --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["revoked", "rotated", "withdrawn"])
def test_an_observed_look_up_ends_with_the_right(world: World, bob: SecuredClient, how: str) -> None:
    gateway = world.plain("192.0.2.9:5")
    world.permit("alice", "$COAP/rd/shared/+")
    world.permit("bob", "$COAP/rd/shared/+")
    world.ask("alice", gateway, codes.GET, "rd-lookup/ep", options=OBSERVE)
    bound = world.bound
    world.house.clock.now += 1.0
    if how == "revoked":
        world.identity.revoke("alice")
    elif how == "rotated":
        with world.identity.rotating("alice", 0.0, ["oscore"], None):
            """Its context is another one."""
    else:
        device = world.identity.registry.existing_device("alice")
        world.identity.registry.update_device(replace(device, permissions=()), world.house.clock.now)
    world.follow()
    gateway.get()
    bob.request(codes.POST, "rd?ep=bob&d=shared", TEMPERATURE, LINKS)
    world.house.pass_time(3.0)
    assert all(b"bob" not in told for told in notified(world, "alice", gateway, bound))
