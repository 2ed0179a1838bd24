"""Topic Names and Topic Filters: what is valid, what matches, what covers what (MQTT 5.0 section 4.7)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import FILTER_INVALID, NAME_INVALID, Refusal

MAXIMUM_OCTETS: Final = 65535
# Characters. What is found out about a longer topic is not remembered: caches are counted in entries.
LONGEST_REMEMBERED: Final = 512
_LONGEST_SHOWN: Final = 200


def _check_text(text: str, what: str, meaning: str) -> None:
    if not text:
        raise Refusal(meaning, f"a {what} must be at least one character long")  # [MQTT-4.7.3-1]
    if "\x00" in text:
        raise Refusal(meaning, f"a {what} must not hold the null character")  # [MQTT-4.7.3-2]
    if len(text) * 4 > MAXIMUM_OCTETS and len(text.encode("utf-8", "surrogatepass")) > MAXIMUM_OCTETS:
        raise Refusal(meaning, f"a {what} must not be longer than {MAXIMUM_OCTETS} octets")  # [MQTT-4.7.3-3]


def check_topic_name(topic: str) -> None:
    """Raise Refusal(NAME_INVALID) unless `topic` is a valid Topic Name."""
    _check_text(topic, "Topic Name", NAME_INVALID)
    if "+" in topic or "#" in topic:
        raise Refusal(NAME_INVALID, "a Topic Name must not hold the wildcards + and #")  # [MQTT-4.7.1-1]


def check_topic_filter(topic_filter: str) -> None:
    """Raise Refusal(FILTER_INVALID) unless `topic_filter` is a valid Topic Filter."""
    _check_text(topic_filter, "Topic Filter", FILTER_INVALID)
    if "+" not in topic_filter and "#" not in topic_filter:
        return
    levels = topic_filter.split("/")
    last = len(levels) - 1
    for i, level in enumerate(levels):
        if "#" in level and (level != "#" or i != last):
            raise Refusal(FILTER_INVALID, "# must be a level of its own, and the last")  # [MQTT-4.7.1-1]
        if "+" in level and level != "+":
            raise Refusal(FILTER_INVALID, "+ must be a level of its own")  # [MQTT-4.7.1-2]


def shown(topic: str) -> str:
    """A topic in quotes for a sentence, cut when it is long: peers choose topics, and writing them costs time."""
    if len(topic) <= _LONGEST_SHOWN:
        return repr(topic)
    return f"{topic[:_LONGEST_SHOWN]!r}... ({len(topic)} characters)"


def has_more_levels(topic: str, most: int) -> bool:
    """Whether a Topic Name or Topic Filter has more than `most` levels. The rest of a long one is not looked at."""
    if len(topic) < most:
        return False
    at = -1
    for _ in range(most):
        at = topic.find("/", at + 1)
        if at < 0:
            return False
    return True


def is_reserved(topic: str) -> bool:
    """Whether wildcards at the first level stay away from this topic ([MQTT-4.7.2-1])."""
    return topic.startswith("$")


def covers(topic_filter: str, other: str) -> bool:
    """Whether every topic that the filter `other` can match is matched by `topic_filter` too.

    Both are valid; a Topic Name is a filter without wildcards.
    """
    if topic_filter == other:
        return True
    if other == "#":
        return topic_filter == "+/#"  # every topic has a first level
    wide = topic_filter.split("/")
    narrow = other.split("/")
    if narrow[0].startswith("$") and (wide[0] == "+" or wide[0] == "#"):
        return False  # [MQTT-4.7.2-1]
    for i, level in enumerate(wide):
        if level == "#":
            return True
        if i >= len(narrow):
            return False
        theirs = narrow[i]
        if theirs == "#" or (level != "+" and level != theirs):
            return False
    return len(wide) == len(narrow)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether the Topic Filter matches the Topic Name."""
    return covers(topic_filter, topic)
