"""A gain that `policy diff` does not see passes every check before it is in force: the algebra against the core itself,
with names in place of placeholders, denials in other blocks, and rates that add up."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.cli.main import run
from bridgehead.core.permission import Context
from bridgehead.core.rights import resolved
from bridgehead.core.topic import covers
from bridgehead.security.policy.compare import Difference, compare
from bridgehead.security.policy.document import Document, Section
from bridgehead.security.policy.standing import principal_of, sections_of
from bridgehead.security.policy.text import parse
from bridgehead.security.records import Device, PermissionRecord
from bridgehead.security.rights.enforced import bindings_of, permission_from

NOW = 1_795_000_000.0
MQTT = Context("mqtt", ("password",))
COAP = Context("coap", ("certificate",))
LEVELS = ("a", "b", "ab", "g", "z", "$s")
TOPICS = [*LEVELS, *("/".join(each) for each in itertools.product(LEVELS, LEVELS[:-1]))]
DEVICES = [
    Device("a", 1.0, roles=("r",), groups=("g",), attributes={"floor": "b"}),
    Device("b", 1.0, roles=("r", "s"), groups=("g", "a"), attributes={"floor": "z"}),
    Device("z", 1.0, roles=("s",)),
]


@st.composite
def permissions(draw: st.DrawFn) -> PermissionRecord:
    level = st.sampled_from(["a", "b", "ab", "+", "$s", "${device}", "${group}", "${floor}", "a${device}", "${group}b"])
    levels = draw(st.lists(level, min_size=1, max_size=2))
    levels = [each if i == 0 or each != "$s" else "z" for i, each in enumerate(levels)]
    publish = draw(st.booleans())
    return PermissionRecord(
        draw(st.sampled_from(["/".join(levels), "/".join(levels) + "/#", "#"])),
        publish,
        not publish,
        allow=draw(st.integers(0, 3)) > 0,
        rate=draw(st.sampled_from([None, None, 10.0, 20.0])),
        max_payload=draw(st.sampled_from([None, None, 10])),
        protocols=draw(st.sampled_from([(), (), ("mqtt",)])),
    )


SECTIONS = st.builds(lambda found: Section(tuple(found)), st.lists(permissions(), max_size=3))
POLICIES = st.builds(
    Document,
    SECTIONS,
    st.fixed_dictionaries({"r": SECTIONS, "s": SECTIONS}),
    st.fixed_dictionaries({"g": SECTIONS, "a": SECTIONS}),
)


def rate_of(document: Document, device: Device, topic: str, payload: int, context: Context) -> float:
    """How many such messages a second the device may publish; the core decides whether any."""
    view = principal_of(document, device, NOW).under(context)
    if not view.explain_publish(topic, 0, False, payload).permit:
        return 0.0
    found = 0.0
    for _, section, own in sections_of(document, device):
        for record in section.permissions:
            permission = permission_from(record)
            if (
                permission.allow
                and permission.publish
                and permission.holds(context)
                and (permission.max_payload < 0 or payload <= permission.max_payload)
                and any(covers(each, topic) for each in resolved(permission.topic_filter, bindings_of(device), own))
            ):
                found += permission.rate or float("inf")
    return found


def gained(old: Document, new: Document, device: Device) -> list[str]:
    """Topics of which the device may publish more or receive more, tried one by one."""
    found = []
    for topic, context in itertools.product(TOPICS, (MQTT, COAP)):
        more = any(
            rate_of(new, device, topic, payload, context) > rate_of(old, device, topic, payload, context)
            for payload in (5, 20)
        )
        before, after = (principal_of(each, device, NOW).under(context) for each in (old, new))
        if more or after.receivable_qos(topic, True) > before.receivable_qos(topic, True):
            found.append(topic)
    return found


@settings(max_examples=60)
@given(POLICIES, POLICIES, st.sampled_from(DEVICES))
def test_no_gain_of_a_device_is_missed(old: Document, new: Document, device: Device) -> None:
    topics = gained(old, new, device)
    with_devices = compare(old, new, NOW, DEVICES, topics)
    blocks_alone = compare(old, new, NOW, None, topics)
    for topic in topics:
        assert any(device.name in change.names for change, _ in with_devices.gains_within(topic)), topic
        assert blocks_alone.gains_within(topic) or any(change.unsure for change in blocks_alone.blocks), topic


def difference(old: str, new: str, *devices: Device) -> Difference:
    return compare(parse(old)[0], parse(new)[0], NOW, devices or None, ("#",))


def test_a_placeholder_in_the_first_level_is_no_topic_that_begins_with_a_dollar() -> None:
    device = Device("d", 1.0, roles=("r",))
    old = "everyone\n deny publish +/secret\nrole r\n allow publish ${device}/#"
    assert difference(old, "role r\n allow publish ${device}/#", device).gains_within("#")
    assert difference("role r", "role r\n allow publish ${device}/#", device).gains_within("+/data")


def test_a_denial_that_goes_is_seen_in_its_block_whoever_permits_it() -> None:
    old = "everyone\n deny subscribe Secret/#\nrole r\n allow subscribe #"
    found = difference(old, "role r\n allow subscribe #")
    assert not found.is_none()
    assert [str(gain) for _, gain in found.gains_within("Secret/door")] == ["subscribe Secret/# (not denied any more)"]
    assert not difference("role r\n allow subscribe #", old).gains_within("#")


def test_the_same_rate_twice_is_twice_the_rate() -> None:
    device = Device("d", 1.0, roles=("r",))
    one = "role r\n allow publish a rate 10/s"
    for two in (f"{one}\n allow publish a rate 10/s", f"everyone\n allow publish a rate 10/s\n{one}"):
        assert difference(one, two, device).gains_within("#")
        assert difference(two, one, device).gains_within("#") == []


def test_rates_of_other_bounds_do_not_make_up_for_one() -> None:
    old = "role r\n allow publish a rate 30/s payload 10 B\n allow publish a rate 10/s"
    new = (
        "role r\n allow publish a rate 10/s\n allow publish a rate 10/s qos 1\n allow publish a payload 10 B rate 20/s"
    )
    assert difference(old, new, Device("d", 1.0, roles=("r",))).gains_within("#")


def test_all_topics_are_those_that_begin_with_a_dollar_too() -> None:
    found = difference("role r", "role r\n allow subscribe $SYS/#", Device("d", 1.0, roles=("r",)))
    assert found.gains_within("#")
    assert found.gains_within("+/#") == []


def test_what_was_not_looked_at_does_not_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without devices not every combination of names is tried, and the check says so."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("role r\n allow publish x/a-${device}\n deny publish x/${device}-b\n allow publish y\n")
    new.write_text("role r\n allow publish x/a-${device}\n deny publish x/${device}-c\n")
    assert run(["policy", "diff", str(old), str(new), "--fail-on-gain", "z/#"]) == 3
    assert "give --data" in capsys.readouterr().err
