"""The policy on the page about the resource directory does what the page says of it."""

from __future__ import annotations

import re
from pathlib import Path

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.coap.session.directory.registration import topic_of
from bridgehead.security.policy.document import Section
from bridgehead.security.policy.text import parse

PAGE = Path(__file__).parents[2] / "docs" / "resource-directory.md"


def permitted(section: Section, name: str) -> Principal:
    """An identity that has the section's permissions."""
    permissions = [Permission(each.topic_filter, each.publish, each.subscribe) for each in section.permissions]
    return Principal.of(name, permissions, [])


def test_the_policy_of_the_page() -> None:
    [text] = re.findall(r"^```policy [a-z.]+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    document, faults = parse(text)
    assert faults == []
    sensor = permitted(document.everyone, "sensor-7")
    for sector in ("", "floor-3"):
        assert sensor.may_publish(topic_of(sector, "sensor-7"), 1, True)
        assert not sensor.may_publish(topic_of(sector, "sensor-8"), 0, True)
    assert sensor.receivable_qos(topic_of("floor-3", "sensor-8"), True) >= 0
    assert sensor.receivable_qos(topic_of("floor-4", "sensor-8"), True) < 0
    tool = permitted(document.roles["commissioning"], "tool")
    assert tool.may_publish(topic_of("floor-4", "sensor-8"), 1, True)
    assert tool.receivable_qos(topic_of("", "sensor-8"), True) >= 0
