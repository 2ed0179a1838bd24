"""`pub`, `sub` and `dds discover` with Cyclone DDS' own binding in other processes."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bridgehead.security.records import PermissionRecord
from tests.cli.hub import PATIENCE
from tests.dds.cli.commands import LOOPBACK, TYPE, Running, ran
from tests.dds.peers.hands import cyclone
from tests.dds.security.world import World


def url(domain: int, topic: str = "Temperature") -> str:
    return f"dds://{domain}/{topic}"


def discovered(domain: int, wanted: str, *words: str) -> Any:
    """What is shown as JSON once `wanted` is in it."""
    end = time.monotonic() + PATIENCE
    while True:
        code, out, err = ran("dds", "discover", str(domain), *LOOPBACK, "--seconds", "1", "--json", *words)
        assert code == 0, err
        if wanted in out:
            return json.loads(out)
        assert time.monotonic() < end, out


def test_pub_reaches_a_reader_of_another_program(domain: int, tmp_path: Path) -> None:
    with cyclone(tmp_path, "listen", domain, "Temperature") as peer:
        payload = '{"room":"Lobby","celsius":21.5,"counter":9007199254740993}'
        assert ran("pub", url(domain), *TYPE, *LOOPBACK, "-m", payload, "-q", "1") == (0, "", "")
        assert peer.sample(room="Lobby")["sample"]["counter"] == 9007199254740993
        lines = '{"room":"A","celsius":1,"counter":1}\n{"room":"A","celsius":"warm","counter":2}\n'
        code, _, err = ran("pub", url(domain), *TYPE, *LOOPBACK, "--stdin", given=lines)
        assert code == 1
        assert "line 2: celsius: a number is wanted" in err
        peer.sample(room="A", counter=1)


def test_sub_prints_what_another_program_writes(domain: int, tmp_path: Path) -> None:
    with cyclone(tmp_path, "talk", domain, "Temperature", every=0.05) as peer:
        known = Running("sub", url(domain), *TYPE, *LOOPBACK, "-C", "2")
        learnt = Running("sub", url(domain), *LOOPBACK, "-C", "1", "--json")
        code, out, err = known.ended()
        assert (code, err) == (0, "")
        assert [json.loads(line)["room"] for line in out.splitlines()] == ["Lobby", "Lobby"]
        code, out, err = learnt.ended()
        assert code == 0
        assert "asked of whoever announces the topic, in clear" in err
        told = json.loads(out)
        assert (told["topic"], told["state"], told["payload"]["room"]) == ("Temperature", "alive", "Lobby")
        peer.end()


def test_discover_shows_topics_types_qos_and_tags(domain: int, tmp_path: Path) -> None:
    with cyclone(tmp_path, "talk", domain, "Temperature", strength=7, tag="level=secret", partition="Hall"):
        found = discovered(domain, "Temperature")
        (participant,) = found["participants"]
        assert not participant["secured"]
        assert participant["vendor"] == "Eclipse Cyclone DDS"
        assert all(each.startswith("127.0.0.1:") for each in participant["addresses"])
        (writer,) = participant["writers"]
        assert (writer["topic"], writer["type"]) == ("Temperature", "office::Temperature")
        assert (writer["partitions"], writer["tags"]) == (["Hall"], ["level=secret"])
        assert (writer["reliability"], writer["ownership"], writer["strength"]) == ("reliable", "exclusive", 7)
        code, out, _ = ran("dds", "discover", str(domain), *LOOPBACK, "--seconds", "1")
        assert code == 0
        assert "not secured\tEclipse Cyclone DDS" in out
        assert "exclusive strength=7\tlevel=secret" in out


@pytest.mark.slow
def test_alone_it_says_what_to_look_at(domain: int) -> None:
    payload = '{"room":"Lobby","celsius":21.5,"counter":1}'
    code, _, err = ran("pub", url(domain), *TYPE, *LOOPBACK, "-m", payload, "--timeout", "0.5")
    assert code == 1
    assert f"`bridgehead dds discover {domain}` shows who is there" in err
    code, _, err = ran("sub", url(domain), *TYPE, *LOOPBACK, "-C", "1", "-W", "0.5")
    assert (code, err) == (1, "bridgehead sub: 0 of 1 samples came in time\n")
    code, out, _ = ran("dds", "discover", str(domain), *LOOPBACK, "--seconds", "0.5")
    assert code == 0
    assert out == f"nobody is in domain {domain}: look longer (--seconds), or elsewhere (--interface, --peer)\n"


@pytest.mark.slow
def test_who_asks_for_more_than_is_offered_is_named(domain: int, tmp_path: Path) -> None:
    with cyclone(tmp_path, "listen", domain, "Temperature", durability="transient-local"):
        payload = '{"room":"Lobby","celsius":21.5,"counter":1}'
        code, _, err = ran("pub", url(domain), *TYPE, *LOOPBACK, "-m", payload, "--timeout", "3")
        assert code == 1
        assert err.splitlines()[-1].startswith("bridgehead pub: a reader of topic Temperature")
        assert "asks for more than is offered (Durability)" in err.splitlines()[-1]


def test_who_asks_for_more_than_is_offered_is_named_at_once_and_others_are_waited_for(
    domain: int, tmp_path: Path
) -> None:
    with cyclone(tmp_path, "listen", domain, "Temperature", durability="transient-local"):
        payload = '{"room":"Lobby","celsius":21.5,"counter":1}'
        told = Running("pub", url(domain), *TYPE, *LOOPBACK, "-m", payload, "--timeout", "20")
        assert told.process.stderr is not None
        line = told.process.stderr.readline()
        assert "asks for more than is offered (Durability): give --retain" in line
        assert "waiting for another one" in line
        with cyclone(tmp_path, "listen", domain, "Temperature") as listener:
            listener.sample(counter=1)
        assert told.ended()[0] == 0


def test_secured_only_who_has_credentials_hears_and_sees(domain: int, tmp_path: Path) -> None:
    world = World(tmp_path, domain)
    both = PermissionRecord("Office/+/Temperature", publish=True, subscribe=True)
    sensor, viewer = str(world.add("sensor", both)), str(world.add("viewer", both))
    told = Running("sub", url(domain), *TYPE, *LOOPBACK, "--credentials", viewer, "-C", "1")
    outside = Running("sub", url(domain), *TYPE, *LOOPBACK, "-C", "1", "-W", "6")
    hidden = discovered(domain, '"secured": true')
    assert [each["readers"] for each in hidden["participants"] if each["secured"]] == [[]]
    shown = discovered(domain, "office::Temperature", "--credentials", sensor)
    assert any(each["secured"] and each["readers"] for each in shown["participants"])
    payload = '{"room":"Lobby","celsius":21.5,"counter":1}'
    assert ran("pub", url(domain), *TYPE, *LOOPBACK, "-m", payload, "--credentials", sensor)[0] == 0
    code, out, err = told.ended()
    assert (code, json.loads(out)["room"], err) == (0, "Lobby", "")
    assert outside.ended() == (1, "", "bridgehead sub: 0 of 1 samples came in time\n")
    code, _, err = ran("pub", url(domain, "Pressure"), *TYPE, *LOOPBACK, "-m", payload, "--credentials", sensor)
    assert code == 1
    assert f"topic Pressure of DDS domain {domain} can't be used: signed governance or permissions forbid it" in err
