"""Who gets data in a secured domain and whose data are taken: one domain, all kinds of participants in it at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from bridgehead.security.dds.guids import OCTETS, device_guid_prefix
from tests.dds.security.peers import Peer
from tests.dds.security.world import DOOR, TEMPERATURE, Patched, World, routing
from tests.security.support import publish, subscribe

pytestmark = [pytest.mark.peer("cc")]
STRANGERS = ["nobody", "foreign", "narrow", "doors", "patched"]
SETTLED = 15  # samples of the permitted ones, at ten a second: the others have had as much time


class Stage:
    """All of them, after the permitted ones have exchanged data for a while."""

    def __init__(self, peers: dict[str, Peer], world: World) -> None:
        self.peers = peers
        self.world = world

    def heard(self, listener: str, topic: str = "Temperature") -> set[str]:
        """What it got on the topic, by its texts."""
        got = f"got {topic} "
        return {each.removeprefix(got) for each in self.peers[listener].lines(got)}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, shared_domain: int) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("world")
    world = World(home, shared_domain)
    elsewhere = World(tmp_path_factory.mktemp("foreign"), shared_domain, routing(shared_domain))
    patched = Patched(home)
    both = ([TEMPERATURE], [TEMPERATURE])
    sender = world.add("sender", publish("Office/#"))
    viewer = world.add("viewer", subscribe("Office/#"))
    narrow = world.add("narrow", publish("Office/Lobby/Temperature"), subscribe("Office/Lobby/Temperature"))
    doors = world.add("doors", publish("Office/+/Door"), subscribe("Office/+/Door"))
    liar = world.add("liar", publish("Office/#"), subscribe("Office/#"))
    gone = world.add("gone", publish("Office/#"), subscribe("Office/#"))
    foreign = elsewhere.add("sender", publish("Office/#"), subscribe("Office/#"))
    world.identity.revoke("gone")
    lies = {"CLAIMED": device_guid_prefix("viewer").hex()}
    with contextlib.ExitStack() as stack:
        peers = {
            "hub": world.hub_peer(*both),
            "viewer": world.peer(viewer, *both),
            "narrow": world.peer(narrow, *both),
            "doors": world.peer(doors, [TEMPERATURE, DOOR], [TEMPERATURE, DOOR]),
            "patched": world.peer(
                doors,
                *both,
                text="from patched",
                plugins={"access": patched.access_control},
                environment=patched.environment,
            ),
            "liar": world.peer(
                liar, *both, plugins={"auth": patched.authentication}, environment={**patched.environment, **lies}
            ),
            "gone": world.peer(gone, *both),
            "foreign": elsewhere.peer(foreign, *both, text="from foreign"),
            "nobody": Peer(shared_domain, {}, *both, "from nobody"),
        }
        for each in peers.values():
            stack.enter_context(each)
        for each in peers.values():
            each.wait("ready")
        peers["sender"] = stack.enter_context(world.peer(sender, [TEMPERATURE]))
        for listener, text in (("hub", "from sender"), ("viewer", "from sender"), ("viewer", "from the hub")):
            peers[listener].wait(text, SETTLED)
        yield Stage(peers, world)
    world.identity.close()
    elsewhere.identity.close()


@pytest.mark.clause("DDSSEC-9.4.1.3")
@pytest.mark.clause("DDSSEC-9.3.1")
def test_credentials_give_data_both_ways(stage: Stage) -> None:
    assert "from sender" in stage.heard("hub")
    assert {"from sender", "from the hub"} <= stage.heard("viewer")


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.clause("DDSSEC-9.4.1.3.2.3")
def test_who_may_not_read_the_topic_gets_nothing(stage: Stage, stranger: str) -> None:
    """No credentials; those of a foreign authority; rights to a part of the route; to another topic; and the latter
    with a plug-in that lets its own participant do everything."""
    # A writer of its own reaches its own reader: that one works.
    assert stage.heard(stranger) <= {f"from {stranger}"}


def test_what_they_may_do_besides_they_can(stage: Stage) -> None:
    assert stage.heard("doors", "Door") == {"from doors"}
    assert stage.heard("nobody") == {"from nobody"}
    for name, word in (("viewer", "writers"), ("narrow", "writers"), ("narrow", "readers"), ("doors", "readers")):
        assert stage.peers[name].count(f"refused {word} Temperature") == 1
    assert stage.peers["patched"].count("refused") == 0


@pytest.mark.parametrize("stranger", [*STRANGERS, "viewer", "gone", "liar"])
@pytest.mark.clause("DDSSEC-9.4.1.3.2.3")
def test_what_it_may_not_write_is_not_taken_by_the_hub(stage: Stage, stranger: str) -> None:
    """Besides: who may only subscribe; a revoked identity; and who bears the GUID of another device."""
    assert f"from {stranger}" not in stage.heard("hub")


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.clause("DDSSEC-9.4.1.3.2.3")
def test_nor_by_another_device(stage: Stage, stranger: str) -> None:
    assert stage.heard("viewer") <= {"from sender", "from the hub", "from gone", "from liar"}
    assert f"from {stranger}" not in stage.heard("viewer")


def test_a_revoked_device_and_a_liar_get_nothing_of_the_hub(stage: Stage) -> None:
    for name in ("gone", "liar"):
        assert "from the hub" not in stage.heard(name)


def test_a_device_with_an_older_list_still_hears_the_revoked_one(stage: Stage) -> None:
    """So `bridgehead dds permissions` brings the list with the permissions."""
    stage.peers["viewer"].wait("got Temperature from gone")


def test_only_the_hub_s_plugin_sees_that_a_peer_bears_another_one_s_guid(stage: Stage) -> None:
    """What it is for: Cyclone's own, at the viewer's, takes the liar's data under the viewer's name."""
    claimed = device_guid_prefix("viewer")
    assert stage.peers["liar"].guid.startswith(claimed)
    assert stage.peers["hub"].count("identity guard: the participant bears the GUID of another one") > 0
    stage.peers["viewer"].wait("got Temperature from liar")


@pytest.mark.clause("DDSSEC-9.3.3")
@pytest.mark.clause("RTPS-8.2.4.1")
def test_a_participant_s_guid_tells_its_device(stage: Stage) -> None:
    for name in ("sender", "viewer", "narrow", "doors"):
        assert stage.peers[name].guid[:OCTETS] == device_guid_prefix(name)
    assert stage.peers["hub"].guid[:OCTETS] == stage.world.hub.guid_prefix
    # The writer's, as the hub discovers it.
    assert stage.peers["hub"].count(f"writer {stage.peers['sender'].guid[:4].hex()}-") == 1


def test_the_hub_s_guid_is_lower_than_any_device_s_by_chance(stage: Stage) -> None:
    """Fast DDS joins only where Cyclone begins the handshake, and the lower one begins."""
    assert int.from_bytes(stage.world.hub.guid_prefix) < 1 << 47 | 1 << 31
