"""Routing keys of AMQP 0-9-1 and Topic Names, binding keys and Topic Filters: injective both ways.

Dots and slashes change places: `Office/Room 2.5/Temperature` is the routing key `Office.Room 2/5.Temperature`, and no
two topics share a key. In binding keys the words `*` and `#` are the wildcards `+` and `#`; a level that is a star is
the word `%2A`, and each further `%25` before it stands for one more sign of that kind.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import FILTER_INVALID, NAME_INVALID, Refusal

_STAR: Final = "%2A"
_PERCENT: Final = "%25"
_SWAPPED: Final = str.maketrans({".": "/", "/": "."})


def topic_of(routing_key: str) -> str:
    """The Topic Name that publishing with the routing key means. Raises Refusal(NAME_INVALID)."""
    if not routing_key:
        raise Refusal(NAME_INVALID, "a routing key that names a topic is not empty: write its levels with dots between")
    return routing_key.translate(_SWAPPED)


def routing_key_of(topic: str) -> str:
    """The routing key of a Topic Name."""
    return topic.translate(_SWAPPED)


def filter_of(binding_key: str) -> str:
    """The Topic Filter that a binding key means. Raises Refusal(FILTER_INVALID)."""
    if not binding_key:
        raise Refusal(FILTER_INVALID, "a binding key that names topics is not empty: # means all of them")
    words = binding_key.split(".")
    levels: list[str] = []
    for index, word in enumerate(words):
        if word == "#":
            if index != len(words) - 1:
                raise Refusal(
                    FILTER_INVALID,
                    f"in the binding key {binding_key[:128]!r} something follows '#': at amq.topic, which is the hub's "
                    "topics, it is the last word",
                )
            levels.append("#")
        elif word == "*":
            levels.append("+")
        elif "+" in word:
            raise Refusal(
                FILTER_INVALID,
                f"the binding key {binding_key[:128]!r} holds '+', which no topic does: any one level is the word '*'",
            )
        else:
            levels.append(_unescaped(word).replace("/", "."))
    return "/".join(levels)


def binding_key_of(topic_filter: str) -> str:
    """The binding key of a Topic Filter."""
    words: list[str] = []
    for level in topic_filter.split("/"):
        if level == "+":
            words.append("*")
        elif level == "#":
            words.append("#")
        else:
            words.append(_escaped(level).replace(".", "/"))
    return ".".join(words)


def _is_star(word: str) -> bool:
    """Whether it is `%2A` behind any number of `%25`."""
    if not word.endswith(_STAR):
        return False
    return not word[: -len(_STAR)].replace(_PERCENT, "")


def _escaped(level: str) -> str:
    if level == "*":
        return _STAR
    return _PERCENT + level if _is_star(level) else level


def _unescaped(word: str) -> str:
    if word == _STAR:
        return "*"
    return word[len(_PERCENT) :] if _is_star(word) else word
