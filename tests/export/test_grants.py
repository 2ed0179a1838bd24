"""Topic Filters in DDS: what the expressions match is never more than the filter does; denials never less."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.topic import covers
from bridgehead.security.dds.documents import Rule, governance, permissions
from bridgehead.security.dds.grants import Naming, grants
from bridgehead.security.dds.names import Expression, plain, ros
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import PermissionRecord
from tests.security.support import publish, subscribe

LEVELS = st.sampled_from(["a", "b", "a-1", "Ab"])
FILTERS = st.lists(st.one_of(LEVELS, st.just("+")), min_size=1, max_size=4).flatmap(
    lambda levels: st.sampled_from(["/".join(levels), "/".join([*levels, "#"]), "#"])
)
TOPICS = st.lists(st.sampled_from(["a", "b", "Ab"]), min_size=1, max_size=5).map("/".join)


def as_plain(topic: str) -> tuple[str, str]:
    partition, _, name = topic.rpartition("/")
    return name, partition


def as_ros(topic: str) -> tuple[str, str]:
    return f"rt/{topic}", ""


def matches(expressions: list[Expression], place: tuple[str, str]) -> bool:
    topic, partition = place
    return any(fnmatchcase(topic, each.topic) and fnmatchcase(partition, each.partition) for each in expressions)


@pytest.mark.parametrize(("naming", "place"), [(plain, as_plain), (ros, as_ros)])
@given(topic_filter=FILTERS, topic=TOPICS)
def test_exact_or_nothing(naming: Naming, place: object, topic_filter: str, topic: str) -> None:
    assert callable(place)
    found = naming(topic_filter, False)
    if found is not None:
        assert matches(found, place(topic)) == covers(topic_filter, topic)


@pytest.mark.parametrize(("naming", "place"), [(plain, as_plain), (ros, as_ros)])
@given(topic_filter=FILTERS, topic=TOPICS)
def test_a_denial_may_be_wider_and_is_never_narrower(
    naming: Naming, place: object, topic_filter: str, topic: str
) -> None:
    assert callable(place)
    found = naming(topic_filter, True)
    if found is not None and covers(topic_filter, topic):
        assert matches(found, place(topic))


@given(allowed=st.lists(FILTERS, max_size=3), denied=st.lists(FILTERS, max_size=2), topic=TOPICS)
def test_what_the_document_allows_the_policy_allows(allowed: list[str], denied: list[str], topic: str) -> None:
    """For every topic, by the order in which the rules decide (DDS Security 1.1 section 9.4.1.3.2.2)."""
    records = [publish(each) for each in allowed] + [publish(each, allow=False) for each in denied]
    found = grants(records, {}, plain)
    verdict = next((rule.allow for rule in found.rules if matches(list(rule.publish), as_plain(topic))), False)
    permitted = any(covers(each, topic) for each in allowed) and not any(covers(each, topic) for each in denied)
    assert permitted or not verdict


@pytest.mark.parametrize(
    ("record", "because"),
    [
        (PermissionRecord("a/b", True, False, protocols=("mqtt",)), "over mqtt only"),
        (PermissionRecord("a/b", True, False, mechanisms=("password",)), "proven by password only"),
        (PermissionRecord("a/b", True, False, hours=("Mon-Fri 07:00-19:00",)), "keep hours"),
        (PermissionRecord("a/b", True, False, rate=1.0), "do not count"),
        (PermissionRecord("a/b", True, False, max_payload=10), "do not count"),
        (PermissionRecord("a/+/b", True, False), "no expression"),
        (PermissionRecord("a/ä b/é", True, False), "no expression"),
    ],
)
def test_what_participants_could_not_hold_to_is_left_out_and_said(record: PermissionRecord, because: str) -> None:
    found = grants([record], {}, plain)
    assert not found.rules
    [(topic_filter, said)] = found.left_out
    assert topic_filter == record.topic_filter
    assert because in said


def test_placeholders_are_the_device_s_own() -> None:
    found = grants([publish("Office/${group}/${device}/x")], {"device": ("s7",), "group": ("g", "h")}, plain)
    assert [list(rule.publish) for rule in found.rules] == [
        [Expression("x", "Office/g/s7")],
        [Expression("x", "Office/h/s7")],
    ]


def test_a_denial_that_cannot_be_said_refuses_the_export() -> None:
    with pytest.raises(NotAcceptable, match="cannot be said in DDS"):
        grants([publish("#"), publish("é/b", allow=False)], {}, ros)
    assert grants([publish("a/b"), subscribe("$SYS/#", allow=False)], {}, plain).left_out == []


def test_documents_name_the_subject_escape_what_they_hold_and_deny_by_default() -> None:
    text = permissions("s.7", [Rule(True, [Expression("a&b", "<x>")], []), Rule(False, [], [])], 0, 86400).decode()
    assert "<subject_name>CN=s.7</subject_name>" in text
    assert "<topic>a&amp;b</topic>" in text
    assert "<partition>&lt;x&gt;</partition>" in text
    assert "<not_before>1970-01-01T00:00:00</not_before>" in text
    assert "deny_rule" not in text
    assert "<default>DENY</default>" in text
    assert b"<allow_unauthenticated_participants>false<" in governance()
