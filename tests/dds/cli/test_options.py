"""`pub`, `sub` and `dds discover`: what the options mean for DDS, and each mistake in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.cli.dds_options import DdsGiven, DdsTarget, is_dds, parse_url
from bridgehead.cli.main import CommandError, run
from bridgehead.protocols.dds.mapping.settings import OUT, RouteQos


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The sentence of a command that cannot be used as it is."""
    assert run(list(words)) == 2
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    return output.err.partition(": ")[2].rstrip("\n")


def test_urls() -> None:
    assert is_dds("dds://0/x")
    assert is_dds("DDS:x")
    assert not any(is_dds(url) for url in ("ddsx://0", "mqtt://dds", ""))
    assert parse_url("dds://0/Temperature") == (0, "Temperature")
    assert parse_url("dds://230/rt/a%20b") == (230, "rt/a b")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["pub", "dds://0", "-m", "1"], "dds://0 names no topic of DDS: write dds://DOMAIN/TOPIC"),
        (["pub", "dds://231/x", "-m", "1"], "231 is no DDS domain: write a number of 0 to 230 after dds://"),
        (["pub", "dds://office/x", "-m", "1"], "office is no DDS domain"),
        (["sub", "dds:///x"], "nothing is no DDS domain"),
        (["sub", "dds://0/x?y"], "names no topic of DDS"),
        (["sub", "dds://0/x", "y"], "the URL names the topic already"),
        (["pub", "dds://0/x", "y", "-m", "1"], "the URL names the topic already"),
        (["sub", "dds://0/x", "-q", "2"], "DDS has --qos 0 and 1"),
        (["sub", "dds://0/x", "--user", "me"], "--user has no meaning in DDS"),
        (["sub", "dds://0/x", "--bundle", "me"], "--bundle has no meaning in DDS"),
        (["pub", "dds://0/x", "-m", "1", "--psk-identity", "me"], "--psk-identity has no meaning in DDS"),
        (["pub", "dds://0/x", "-m", "1", "--property", "a=b"], "--property has no meaning in DDS"),
        (["pub", "dds://0/x", "-m", "1", "--idl", "x.idl"], "--idl x.idl needs --type NAME"),
        (["pub", "dds://0/x", "-m", "1", "--type", "x"], "--type x needs --idl FILE, or --ros2"),
        (["pub", "dds://0/x", "-m", "1", "--ros2"], "--ros2 needs --type"),
        (["pub", "dds://0/x", "-m", "1", "--ros2", "--type", "a", "--idl", "x"], "--ros2 knows its types"),
        (["pub", "dds://0/x", "-m", "1", "--tag", "secret"], "--tag secret is none: write NAME=VALUE"),
        (["sub", "dds://0/x", "--credentials", "/nonexistent"], "/nonexistent is no bundle for DDS"),
        (["dds", "discover", "--credentials", "/nonexistent"], "/nonexistent is no bundle for DDS"),
        (["dds", "discover", "--interface", "a", "--interface", "b"], "one --interface at a time"),
        (["sub", "mqtt://h", "x", "--ros2"], "--ros2 is DDS': give a URL such as dds://DOMAIN/TOPIC"),
        (["pub", "coap://h/x", "-m", "1", "--idl", "x"], "--idl is DDS'"),
        (["pub", "amqp://h/x", "-m", "1", "--strength", "1"], "--strength is DDS'"),
    ],
)
def test_mistakes(capsys: pytest.CaptureFixture[str], words: list[str], sentence: str) -> None:
    assert sentence in said(capsys, *words)


def test_options_become_a_route_and_a_domain() -> None:
    given = DdsGiven(Path("/a.idl"), "a::B", False, None, ["lo"], ["127.0.0.1"], "here", tags=["level=secret"])
    target = DdsTarget("dds://7/T", given)
    assert (target.config.domain, target.config.is_secured, target.config.multicast) == (7, False, False)
    assert (target.config.interfaces, target.config.peers) == (("lo",), ("127.0.0.1",))
    route = target.route(OUT, RouteQos())
    assert (route.dds_topic, route.type_name, route.idl, route.partition) == ("T", "a::B", "/a.idl", "here")
    assert route.tags == ("level=secret",)
    assert not target.learns


def test_ros2_names() -> None:
    target = DdsTarget("dds://7/chatter", DdsGiven(None, "std_msgs/String", True, None, None, None, None))
    assert target.route(OUT, RouteQos()).dds_topic == "rt/chatter"
    assert target.config.multicast


def test_a_bundle_that_others_would_refuse_is_told_before(tmp_path: Path) -> None:
    for name in ("cert.pem", "permissions.p7s", "identity_ca.cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing")
    with pytest.raises(CommandError, match=r"cert\.pem"):
        DdsTarget("dds://0/x", DdsGiven(None, None, False, tmp_path, None, None, None))
