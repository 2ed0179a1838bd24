"""Two identities over CoAP, each trying to be or to disturb the other: by DTLS, by OSCORE, by one proxy's address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec import numbers as option
from bridgehead.protocols.coap.codec.block import write_block
from bridgehead.protocols.coap.codec.message import Message, Option
from tests.attacks.coap_world import World, device_of
from tests.coap.dialogue import Client

OBSERVE: tuple[Option, ...] = ((option.OBSERVE, b""),)
CANCEL: tuple[Option, ...] = ((option.OBSERVE, b"\1"),)
TOKEN = b"same"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def notified(client: Client) -> list[bytes]:
    return [each.payload for each in client.get() if each.has(option.OBSERVE)]


# Whose topics. --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), OBSERVE], ids=["GET", "Observe"])
def test_what_the_other_owns_is_forbidden_by_each_proof(world: World, options: tuple[Option, ...]) -> None:
    alice, bob = world.secured("alice", "192.0.2.1:1"), world.secured("bob", "192.0.2.2:1")
    assert alice.request(codes.PUT, "t/a/door", b"open").code == codes.CREATED
    assert bob.request(codes.GET, "t/a/door", options=options).code == codes.FORBIDDEN
    assert bob.request(codes.PUT, "t/a/door", b"shut").code == codes.FORBIDDEN
    assert bob.request(codes.DELETE, "t/a/door").code == codes.FORBIDDEN
    plain = world.plain("192.0.2.3:1")
    assert world.ask("bob", plain, codes.GET, "t/a/door", options=options).code == codes.FORBIDDEN
    assert world.ask("bob", plain, codes.PUT, "t/a/door", b"shut").code == codes.FORBIDDEN
    assert plain.request(codes.GET, "t/a/door").code == codes.UNAUTHORIZED
    assert alice.request(codes.GET, "t/a/door").payload == b"open"


def test_a_filter_that_covers_more_than_one_may_read_is_forbidden(world: World) -> None:
    bob = world.secured("bob", "192.0.2.2:1")
    for topic_filter in ("#", "+/door", "a/#"):
        answer = bob.request(codes.GET, f"t?f={topic_filter}", options=OBSERVE)
        assert (topic_filter, answer.code) == (topic_filter, codes.FORBIDDEN)
    assert bob.request(codes.GET, "t?f=b/#", options=OBSERVE).code == codes.CONTENT


def test_the_list_of_resources_names_nothing_of_the_other(world: World) -> None:
    alice, bob = world.secured("alice", "192.0.2.1:1"), world.secured("bob", "192.0.2.2:1")
    alice.request(codes.PUT, "t/a/door", b"open")
    assert b"</t/a/door>" in alice.request(codes.GET, ".well-known/core").payload
    assert b"/a/" not in bob.request(codes.GET, ".well-known/core").payload
    assert b"/a/" not in world.ask("bob", world.plain("192.0.2.3:1"), codes.GET, ".well-known/core").payload


# Observations. --------------------------------------------------------------------------------------


def test_nobody_ends_or_replaces_the_others_observation_by_its_token(world: World) -> None:
    """Tokens are the client's: RFC 7252 section 5.3.1."""
    alice, bob = world.secured("alice", "192.0.2.1:1"), world.secured("bob", "192.0.2.2:1")
    alice.request(codes.GET, "t/a/door", options=OBSERVE, token=TOKEN)
    bob.request(codes.GET, "t/a/door", options=CANCEL, token=TOKEN)
    bob.request(codes.GET, "t/b/door", options=OBSERVE, token=TOKEN)
    bob.request(codes.GET, "t/b/door", options=CANCEL, token=TOKEN)
    alice.request(codes.PUT, "t/a/door", b"open")
    assert notified(alice) == [b"open"]


def test_behind_one_address_two_contexts_have_each_their_observations(world: World) -> None:
    """A proxy, or a NAT: what the message layer calls one endpoint are two identities."""
    proxy = world.plain("192.0.2.9:5683")
    world.ask("alice", proxy, codes.GET, "t/a/door", options=OBSERVE, token=TOKEN)
    bound = world.bound
    assert world.ask("bob", proxy, codes.GET, "t/a/door", options=CANCEL, token=TOKEN).code == codes.FORBIDDEN
    world.ask("bob", proxy, codes.GET, "t/b/door", options=CANCEL, token=TOKEN)
    proxy.get()
    world.secured("alice", "192.0.2.1:1").request(codes.PUT, "t/a/door", b"open")
    [notification] = [each for each in proxy.get() if each.has(option.OBSERVE)]
    assert world.devices["alice"].unprotect(notification, bound).payload == b"open"
    assert b"open" not in notification.payload


def test_a_reset_from_another_address_ends_nothing(world: World) -> None:
    alice, bob = world.secured("alice", "192.0.2.1:1"), world.secured("bob", "192.0.2.2:1")
    alice.acknowledges = False
    alice.request(codes.GET, "t/a/door", options=OBSERVE, token=TOKEN)
    publisher = world.secured("alice", "192.0.2.1:2")
    publisher.request(codes.PUT, "t/a/door", b"1")
    [notification] = alice.get()
    for message_id in range(notification.message_id - 50, notification.message_id + 50):
        bob.send(Message(codes.EMPTY, (), b"", b"", 3, message_id & 0xFFFF))
    alice.acknowledge(notification)
    publisher.request(codes.PUT, "t/a/door", b"2")
    assert notified(alice) == [b"2"]


# OSCORE. --------------------------------------------------------------------------------------------


def test_inside_ones_session_the_others_context_is_the_other_and_plain_is_oneself(world: World) -> None:
    bob = world.secured("bob", "192.0.2.2:1")
    assert world.ask("alice", bob, codes.PUT, "t/a/door", b"open").code == codes.CREATED
    assert bob.request(codes.GET, "t/a/door").code == codes.FORBIDDEN
    assert world.ask("alice", bob, codes.GET, "t/a/door").payload == b"open"
    assert bob.request(codes.PUT, "t/b/door", b"mine").code == codes.CREATED


def test_ones_key_does_not_make_the_others_kid(world: World) -> None:
    mine, theirs = world.new["bob"], world.new["alice"]
    forged = device_of(mine)
    forged.context.sender_id, forged.context.id_context = theirs.sender_id, theirs.id_context
    world.devices["forged"] = forged
    plain = world.plain("192.0.2.3:1")
    for _ in range(200):
        protected, _ = world.protect("forged", plain, codes.PUT, "t/a/door", b"shut")
        plain.send(protected)
        answer = plain.response(protected.token)
        assert (answer.code, answer.has(option.OSCORE)) == (codes.BAD_REQUEST, False)
    # Nobody is kept out by what others try in its name.
    assert world.ask("alice", plain, codes.PUT, "t/a/door", b"open").code == codes.CREATED
    refused = [fields for event, fields in world.events if event == "authentication.refused"]
    assert {str(each["claimed"]) for each in refused} == {"alice"}


def test_what_was_overheard_does_nothing_from_anywhere(world: World) -> None:
    plain = world.plain("192.0.2.3:1")
    world.ask("alice", plain, codes.GET, "t/a/door")
    protected, _ = world.protect("alice", plain, codes.POST, "t/a/door", b"open once")
    witness = world.secured("alice", "192.0.2.1:1")
    witness.request(codes.GET, "t/a/door", options=OBSERVE, token=TOKEN)
    plain.send(protected)
    assert notified(witness) == [b"open once"]
    for attacker in (world.plain("203.0.113.9:1"), world.secured("bob", "192.0.2.2:1"), plain):
        replayed = Message(
            protected.code, protected.options, protected.payload, b"rp", 0, (protected.message_id + 77) & 0xFFFF
        )
        attacker.send(replayed)
        assert attacker.response(b"rp").code == codes.UNAUTHORIZED
    assert notified(witness) == []


def test_an_answer_that_went_astray_tells_nothing(world: World) -> None:
    """Whoever relays a request from an address of its own gets the answer, and cannot read it."""
    plain = world.plain("192.0.2.3:1")
    world.ask("alice", plain, codes.PUT, "t/a/door", b"the code is 4711")
    relay = world.secured("bob", "192.0.2.2:1")
    protected, request = world.protect("alice", relay, codes.GET, "t/a/door")
    relay.send(protected)
    stolen = relay.response(protected.token)
    assert b"4711" not in stolen.payload
    assert world.devices["alice"].unprotect(stolen, request).payload == b"the code is 4711"


# Bodies in blocks. ----------------------------------------------------------------------------------


def block1(number: int, more: bool) -> tuple[Option, ...]:
    return ((option.BLOCK1, write_block(number, more, 2)),)


def test_the_blocks_of_two_identities_behind_one_address_are_not_mixed(world: World) -> None:
    proxy = world.plain("192.0.2.9:5683")
    world.ask("bob", proxy, codes.GET, "t/b/door")
    assert world.ask("alice", proxy, codes.PUT, "t/a/door", b"a" * 64, block1(0, True)).code == codes.CONTINUE
    answer = world.ask("bob", proxy, codes.PUT, "t/a/door", b"b" * 64, block1(1, False))
    assert answer.code in (codes.REQUEST_ENTITY_INCOMPLETE, codes.FORBIDDEN)
    assert world.ask("alice", proxy, codes.PUT, "t/a/door", b"A", block1(1, False)).code == codes.CREATED
    assert world.ask("alice", proxy, codes.GET, "t/a/door").payload == b"a" * 64 + b"A"


def test_the_rest_of_a_large_answer_is_for_whom_the_first_block_was(world: World) -> None:
    proxy = world.plain("192.0.2.9:5683")
    world.secured("alice", "192.0.2.1:1").request(codes.PUT, "t/a/door", b"x" * 1000)
    first = world.ask("alice", proxy, codes.GET, "t/a/door", options=((option.BLOCK2, write_block(0, False, 2)),))
    assert (first.code, len(first.payload)) == (codes.CONTENT, 64)
    rest: tuple[Option, ...] = ((option.BLOCK2, write_block(1, False, 2)),)
    assert world.ask("bob", proxy, codes.GET, "t/a/door", options=rest).code == codes.FORBIDDEN
    assert world.ask("alice", proxy, codes.GET, "t/a/door", options=rest).payload == b"x" * 64


# What is taken back. --------------------------------------------------------------------------------


def test_a_revocation_ends_the_ones_observations_and_not_the_others(world: World) -> None:
    plain = world.plain("192.0.2.9:5683")
    alice, bob = world.secured("alice", "192.0.2.1:1"), world.secured("bob", "192.0.2.2:1")
    for client, path in ((alice, "t/a/door"), (bob, "t/b/door")):
        client.request(codes.GET, path, options=OBSERVE, token=TOKEN)
    world.ask("alice", plain, codes.GET, "t/a/door", options=OBSERVE, token=b"A")
    world.ask("bob", plain, codes.GET, "t/b/door", options=OBSERVE, token=b"B")
    bound = world.bound
    world.identity.revoke("alice")
    world.follow()
    assert alice.closed
    assert not bob.closed
    alice.get(), plain.get()
    protected, _ = world.protect("alice", plain, codes.GET, "t/a/door")
    plain.send(protected)
    assert plain.response(protected.token).code == codes.UNAUTHORIZED
    assert bob.request(codes.PUT, "t/b/door", b"still here").code == codes.CREATED
    assert notified(bob) == [b"still here"]
    [notification] = [each for each in plain.get() if each.has(option.OBSERVE)]
    assert world.devices["bob"].unprotect(notification, bound).payload == b"still here"


def test_a_rotated_context_ends_what_stood_on_it_and_nothing_else(world: World) -> None:
    plain = world.plain("192.0.2.9:5683")
    alice = world.secured("alice", "192.0.2.1:1")
    alice.request(codes.GET, "t/a/door", options=OBSERVE, token=TOKEN)
    world.ask("alice", plain, codes.GET, "t/a/door", options=OBSERVE, token=b"A")
    world.house.clock.now += 1.0
    with world.identity.rotating("alice", 0.0, ["oscore"], None) as enrolled:
        assert enrolled.oscore is not None
    world.follow()
    plain.get()
    assert not alice.closed
    alice.request(codes.PUT, "t/a/door", b"open")
    assert notified(alice) == [b"open"]
    assert plain.get() == []
    protected, _ = world.protect("alice", plain, codes.GET, "t/a/door")
    plain.send(protected)
    assert plain.response(protected.token).code == codes.UNAUTHORIZED
    world.devices["alice"] = device_of(enrolled.oscore)
    assert world.ask("alice", plain, codes.GET, "t/a/door").payload == b"open"


def test_after_the_overlap_of_a_rotation_the_former_context_hears_nothing_more(world: World) -> None:
    plain = world.plain("192.0.2.9:5683")
    alice = world.secured("alice", "192.0.2.1:1")
    world.ask("alice", plain, codes.GET, "t/a/door", options=OBSERVE, token=b"A")
    bound = world.bound
    world.house.clock.now += 1.0
    with world.identity.rotating("alice", 60.0, ["oscore"], None):
        """The former one holds for a minute more."""
    told: list[bytes] = []
    for value in (b"in the overlap", b"after it"):
        world.follow()
        plain.get()
        alice.request(codes.PUT, "t/a/door", value)
        protected = [each for each in plain.get() if each.has(option.OSCORE)]
        told += [world.devices["alice"].unprotect(each, bound).payload for each in protected]
        world.house.pass_time(61.0)
    assert told == [b"in the overlap"]


def test_a_rotated_key_leaves_what_stands_on_the_context(world: World) -> None:
    plain = world.plain("192.0.2.9:5683")
    world.ask("alice", plain, codes.GET, "t/a/door", options=OBSERVE, token=b"A")
    bound = world.bound
    world.house.clock.now += 1.0
    with world.identity.rotating("alice", 0.0, ["psk"], None):
        """Its DTLS sessions end, of which there are none."""
    world.follow()
    assert plain.get() == []
    assert world.ask("alice", plain, codes.PUT, "t/a/door", b"open").code == codes.CREATED
    [notification] = [each for each in plain.get() if each.has(option.OBSERVE)]
    assert world.devices["alice"].unprotect(notification, bound).payload == b"open"


def test_a_permission_for_dtls_alone_does_not_hold_by_oscore(world: World) -> None:
    def only_by_psk(name: str) -> None:
        device = world.identity.registry.existing_device(name)
        permissions = tuple(replace(each, mechanisms=("psk",)) for each in device.permissions)
        world.identity.registry.update_device(replace(device, permissions=permissions), world.house.clock.now)

    plain, alice = world.plain("192.0.2.9:5683"), world.secured("alice", "192.0.2.1:1")
    world.ask("alice", plain, codes.GET, "t/a/door", options=OBSERVE, token=b"A")
    plain.get()
    only_by_psk("alice")
    world.follow()
    world.house.pass_time(1.0)
    assert alice.request(codes.PUT, "t/a/door", b"open").code == codes.CREATED
    assert notified(plain) == []
    assert world.ask("alice", plain, codes.GET, "t/a/door").code == codes.FORBIDDEN


def test_nobody_on_the_way_has_a_protected_request_carried_elsewhere(world: World) -> None:
    """RFC 8613 leaves Proxy-Uri outside, where anybody can add it: what was opened here stays here."""
    plain = world.plain("192.0.2.9:5683")
    world.ask("alice", plain, codes.GET, "t/a/door")
    for number, value in ((option.PROXY_URI, b"coap://203.0.113.9/t/a/door"), (option.PROXY_SCHEME, b"coap")):
        protected, request = world.protect("alice", plain, codes.PUT, "t/a/door", b"open")
        plain.send(protected.with_options((*protected.options, (number, value))))
        answer = world.devices["alice"].unprotect(plain.response(protected.token), request)
        assert answer.code in (codes.CREATED, codes.CHANGED)
    assert world.ask("alice", plain, codes.GET, "t/a/door").payload == b"open"
