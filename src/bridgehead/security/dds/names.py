"""Topic Filters as DDS expressions of permissions: exact, or not at all.

DDS matches with POSIX fnmatch() and without FNM_PATHNAME (DDS Security 1.1 section 9.4.1.3.2.3), so its `*` crosses
`/`. What would allow more than the filter is not translated; a denial may deny more.

    plain DDS   Office/Lobby/Door -> partition Office/Lobby, topic Door
    ROS 2       Office/Lobby/Door -> topic rt/Office/Lobby/Door, no partition (the ROS topic /Office/Lobby/Door)
"""

from __future__ import annotations

import re
from typing import Final

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEVEL: Final = re.compile(r"[A-Za-z0-9_.~@ -]+")  # nothing that fnmatch() or XML reads in its own way
ANY: Final = "*"


class Expression:
    """One topic expression in one partition expression; `partition` "" is the default partition."""

    def __init__(self, topic: str, partition: str = "") -> None:
        self.topic: Final = topic
        self.partition: Final = partition

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and (self.topic, self.partition) == (other.topic, other.partition)

    def __hash__(self) -> int:
        return hash((self.topic, self.partition))

    def __repr__(self) -> str:
        return f"Expression({self.topic!r}, {self.partition!r})"


def plain(topic_filter: str, widen: bool = False) -> list[Expression] | None:
    """None: DDS cannot say it. `widen`: what is matched beyond the filter does no harm (a denial)."""
    levels = topic_filter.split("/")
    last = levels.pop()
    if last == "#":
        if not levels:
            return [Expression(ANY, ""), Expression(ANY, ANY)]
        parent = _path(levels, widen)
        if parent is None:
            return None
        # "a/b/#" is a/b itself, what is directly below it, and what is further down.
        # No topic in DDS can be called sensor-7: then there is nothing to allow.
        itself = plain("/".join(levels), widen) or []
        return [Expression(ANY, parent), Expression(ANY, parent + "/" + ANY), *itself]
    topic = _topic(last, widen)
    partition = _path(levels, widen)
    return None if topic is None or partition is None else [Expression(topic, partition)]


def ros(topic_filter: str, widen: bool = False) -> list[Expression] | None:
    """As `plain`, in ROS 2's naming: its middleware puts rt/ before the name of a topic."""
    levels = topic_filter.split("/")
    below = levels[-1] == "#"
    if below:
        levels.pop()
    path = ["rt"]
    for at, level in enumerate(levels):
        if level == "+":
            # fnmatch's * would cross levels.
            if not widen:
                return None
            path.append(ANY)
        elif _IDENTIFIER.fullmatch(level):
            path.append(level)
        elif widen and at:
            return [Expression("/".join([*path, ANY]))]
        else:
            return None
    itself = "/".join(path)
    if not below:
        return [Expression(itself)]
    return [Expression(itself), Expression(itself + "/" + ANY)] if levels else [Expression("rt/" + ANY)]


def _topic(level: str, widen: bool) -> str | None:
    if level == "+" or (widen and not _IDENTIFIER.fullmatch(level)):
        return ANY
    return level if _IDENTIFIER.fullmatch(level) else None


def _path(levels: list[str], widen: bool) -> str | None:
    if levels and levels[0].startswith("$"):
        return None
    path: list[str] = []
    for level in levels:
        if level != "+" and _LEVEL.fullmatch(level):
            path.append(level)
        elif widen:
            path.append(ANY)
        else:
            return None
    return "/".join(path)
