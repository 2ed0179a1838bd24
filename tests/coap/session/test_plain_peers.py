"""The table of plain UDP's peers: bounded, and idle ones are forgotten."""

from __future__ import annotations

from bridgehead.protocols.coap.codec import codes
from bridgehead.protocols.coap.codec.message import Message
from bridgehead.protocols.coap.session.settings import CoapSettings
from tests.coap.session.resources import Told, served


def few(peers: int) -> CoapSettings:
    settings = CoapSettings()
    settings.peers = peers
    return settings


def test_who_is_idle_is_forgotten_and_who_observes_is_not() -> None:
    hub, resources = served()
    observer = hub.client("192.0.2.1:1")
    observer.request(codes.GET, "watch")
    passing = hub.client("192.0.2.1:2")
    passing.request(codes.GET, "now")
    peer = passing.peer
    hub.pass_time(290)
    assert len(hub.peers) == 2
    hub.pass_time(60)
    assert list(hub.peers.peers) == [observer.path]
    resources.kept[0].ended()
    assert resources.forgotten == [peer]
    assert peer.gone
    assert passing.request(codes.GET, "now").code == codes.CONTENT
    hub.pass_time(60)
    assert list(hub.peers.peers) == [passing.path]


def test_a_flood_of_addresses_stays_within_the_bound_and_disturbs_nobody_who_is_served() -> None:
    hub, resources = served(few(50))
    observer = hub.client("192.0.2.1:1")
    observer.request(codes.GET, "watch")
    waiting = hub.client("192.0.2.1:2")
    waiting.send(waiting.message(codes.GET, "later"))
    for port in range(1000):
        assert hub.client(f"198.51.100.1:{port}").request(codes.GET, "now").code == codes.CONTENT
        assert len(hub.peers) <= 50
    assert resources.kept[0].notify(Message(codes.CONTENT), False, None, 0)
    resources.kept[1].respond(Message(codes.CONTENT, (), b"late"))
    hub.settle()
    assert waiting.get_one().payload == b"late"
    assert hub.layer.remembered < 300  # the request that was under way
    assert hub.peers.dropped == 0


def test_newcomers_are_turned_away_while_all_are_busy() -> None:
    hub, resources = served(few(20))
    for port in range(20):
        hub.client(f"192.0.2.1:{port}").request(codes.GET, "watch")
    late = hub.client("192.0.2.2:1")
    late.send(late.message(codes.GET, "now"))
    assert (late.get(), hub.peers.dropped, len(hub.peers)) == ([], 1, 20)
    resources.kept[7].ended()
    resources.kept[7].ended()  # once is enough
    for _ in range(2):  # a portion is looked at each time
        late.send(late.message(codes.GET, "now"))
    assert late.received[-1].code == codes.CONTENT


def test_a_table_for_nobody_serves_nobody() -> None:
    hub, resources = served(few(0))
    client = hub.client()
    client.send(client.message(codes.GET, "now"))
    assert (client.get(), resources.handled, hub.peers.dropped) == ([], [], 1)


def test_the_end_of_a_listener_ends_its_peers() -> None:
    hub, resources = served()
    told = Told()
    client = hub.client()
    client.acknowledges = False
    client.request(codes.GET, "watch")
    resources.kept[0].notify(Message(codes.CONTENT), True, told, 1)
    hub.peers.close("the listener was closed")
    assert (told.fates, len(hub.peers), len(resources.forgotten)) == ([("timed out", 1)], 0, 1)


def test_a_listener_without_a_guest_serves_nobody_in_particular() -> None:
    hub, resources = served()
    hub.guest = None
    hub.client().request(codes.GET, "now")
    assert resources.handled[0].party is None
    hub.guest = "lobby"
    hub.client("192.0.2.1:2").request(codes.GET, "now")
    party = resources.handled[1].party
    assert party is not None
    assert (party.principal.name, party.origin.verified) == ("lobby", False)
