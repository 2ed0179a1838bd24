"""What the standard says of names and filters, said in the plainest way: the model that the fast code is held to."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from bridgehead.core.policy import Permission


def naive_matches(topic_filter: str, topic: str) -> bool:
    """MQTT 5.0 section 4.7, level by level."""
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    return _levels_match(topic_filter.split("/"), topic.split("/"))


def _levels_match(filters: list[str], topics: list[str]) -> bool:
    if not filters:
        return not topics
    if filters[0] == "#":
        return True  # the parent too: 4.7.1.2
    if not topics:
        return filters == ["#"]
    return (filters[0] in ("+", topics[0])) and _levels_match(filters[1:], topics[1:])


def naive_may_publish(permissions: Sequence[Permission], topic: str, qos: int, retain: bool) -> bool:
    """Deny by default, deny overrides."""
    matching = [p for p in permissions if p.publish and naive_matches(p.topic_filter, topic)]
    if any(not p.allow for p in matching):
        return False
    return any(p.max_qos >= qos and (p.retain or not retain) for p in matching)


def naive_receive_qos(permissions: Sequence[Permission], topic: str) -> int:
    matching = [p for p in permissions if p.subscribe and naive_matches(p.topic_filter, topic)]
    if not matching or any(not p.allow for p in matching):
        return -1
    return max(p.max_qos for p in matching)


# Few words and few levels, so that what is drawn meets what was drawn before.
words = st.sampled_from(["a", "b", "", "$a", "A"])
topics = st.lists(words, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.sampled_from(["a", "b", "", "$a", "+", "+"]), min_size=0, max_size=4))
    if not levels or draw(st.integers(0, 2)) == 0:
        levels = [*levels, "#"]
    text = "/".join(levels)
    return text or "/"


@st.composite
def permissions(draw: st.DrawFn) -> Permission:
    return Permission(
        draw(filters()),
        publish=draw(st.booleans()),
        subscribe=draw(st.booleans()),
        max_qos=draw(st.integers(0, 2)),
        retain=draw(st.booleans()),
        allow=draw(st.integers(0, 4)) > 0,
    )
