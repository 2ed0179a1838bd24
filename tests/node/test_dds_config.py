"""[dds]: what cannot be right is refused with its place and a remedy; what is right reaches DDS' own rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.node.config import ConfigError, load
from bridgehead.node.dds_config import dds_config

RIGHT = """\
[[dds.domain]]
id = 3
security = "none"
guest = "robot"

[[dds.route]]
domain = 3
topic = "Temperature"
type = "office.Temperature"
idl = "office.idl"
key = "room"
hub = "Office/${room}/Temperature"
qos = { ownership = "exclusive", lease = 0.1 }
tags = { classification = "secret" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "office.idl").write_text("module office { struct Temperature { @key string room; double celsius; }; };")
    return tmp_path


def read(folder: Path, text: str) -> object:
    file = folder / "bridgehead.toml"
    file.write_text(text)
    return dds_config(load(file, folder / "data").dds)


def test_a_route_reaches_its_room(folder: Path) -> None:
    file = folder / "bridgehead.toml"
    file.write_text(RIGHT)
    config = dds_config(load(file, folder / "data").dds)
    (domain,), (route,) = config.domains, config.routes
    assert (domain.domain, domain.is_secured, domain.guest) == (3, False, "robot")
    assert (route.name, route.idl, route.key) == ("3/Temperature", str(folder / "office.idl"), ("room",))
    assert (route.exclusive, route.qos.lease, route.tags) == (True, 0.1, ("classification=secret",))
    assert route.comes_in
    assert route.goes_out


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("domain = 3\ntopic", "domain = 4\ntopic", 7, "the hub takes no part in domain 4; add [[dds.domain]]"),
        ("id = 3", "id = 231", 2, "231 is not accepted; expected a whole number from 0 to 230"),
        ('"office.idl"', '"office.id"', 10, "is no file; check the path"),
        ('idl = "office.idl"\n', "", 8, "domain 3 does not discover types; name the IDL file of its type"),
        ('type = "office.Temperature"\n', "", 6, "name the type in the IDL file"),
        ('"exclusive"', '"exclusiv"', 13, 'expected "exclusive" or "shared"'),
        ('"none"\nguest', '"required"\nguest', 4, "here everybody proves who they are; remove it"),
        ('"robot"', '"a/b"', 4, "is no device's name; name a device of this hub"),
        ('"Temperature"\n', '"DCPSTopic"\n', 8, "is one of DDS' own topics; name another topic"),
        ('"secret"', '"a/b"', 14, "is no tag; use letters"),
        ("[[dds.domain]]", "[dds.domain]", 1, "write [[dds.domain]] with two brackets"),
        ('idl = "office.idl"', 'idl = "office.idl"\npreset = "ros2"', 10, "brings its types by their names in ROS 2"),
        ("hub =", "hup =", 12, 'did you mean "hub"?'),
    ],
)
def test_what_cannot_be_right_is_named(folder: Path, before: str, after: str, line: int, said: str) -> None:
    assert before in RIGHT
    with pytest.raises(ConfigError) as caught:
        read(folder, RIGHT.replace(before, after, 1))
    assert said in str(caught.value)
    assert caught.value.line == line


def test_a_topic_has_one_route(folder: Path) -> None:
    with pytest.raises(ConfigError, match="has a route already; join the two"):
        read(folder, RIGHT + RIGHT[RIGHT.index("[[dds.route]]") :])


def test_a_domain_has_one_participant(folder: Path) -> None:
    with pytest.raises(ConfigError, match="domain 3 stands there twice; join the two"):
        read(folder, RIGHT + "[[dds.domain]]\nid = 3\n")
