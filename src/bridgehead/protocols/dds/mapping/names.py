"""The hub's topic of a sample, and the key fields of a topic: injective, and reversible."""

from __future__ import annotations

import re
from typing import Final

from bridgehead.core.errors import NAME_INVALID, Refusal
from bridgehead.protocols.dds.codec.types import (
    INTEGERS,
    Enum,
    Primitive,
    String,
    Struct,
    Type,
)

_FIELD: Final = re.compile(r"\$\{([^${}]*)\}")
_ESCAPED: Final = re.compile(r"%([0-9A-F]{2})")
# What a level of a topic cannot hold as it is: separators, wildcards, NUL, and the escape itself.
_ESCAPES: Final = {"%": "%25", "/": "%2F", "+": "%2B", "#": "%23", "\0": "%00", "$": "%24"}
_EMPTY: Final = "%"  # an empty value: a level must have a character, and nothing else is written so
_UNESCAPED: Final = {value: key for key, value in _ESCAPES.items()}


def escaped(text: str) -> str:
    """As one level of a topic."""
    if not text:
        return _EMPTY
    if text.isalnum():
        return text
    return "".join([_ESCAPES.get(each, each) for each in text])


def unescaped(level: str) -> str:
    """Errors: Refusal(NAME_INVALID), for what `escaped` does not write."""
    if level == _EMPTY:
        return ""
    if level.isalnum():
        return level
    text = "".join([_UNESCAPED.get(part, "\0\0") if part.startswith("%") else part for part in _parts(level)])
    if escaped(text) != level:
        raise Refusal(NAME_INVALID, f"the level {level!r} is no escaped value: write % / + # $ as %25 %2F %2B %23 %24")
    return text


def _parts(level: str) -> list[str]:
    parts: list[str] = []
    at = 0
    for found in _ESCAPED.finditer(level):
        parts.append(level[at : found.start()])
        parts.append(found.group())
        at = found.end()
    parts.append(level[at:])
    return parts


class Template:
    """`hub` is a topic whose levels may be `${field}` or `${field.inner}`, with the whole level as the field's value.
    Errors of making one: ValueError, with a sentence for people."""

    def __init__(self, hub: str, type_: Struct) -> None:
        self.hub: Final = hub
        self._levels: Final = hub.split("/")
        paths: list[tuple[str, ...]] = []
        types: list[Type] = []
        places: list[int] = []
        for place, level in enumerate(self._levels):
            found = _FIELD.fullmatch(level)
            if found is None:
                if "${" in level or "+" in level or "#" in level or "\0" in level:
                    raise ValueError(f"{hub!r}: a level is a text without wildcards, or ${{field}} and nothing else")
                continue
            path = tuple(found.group(1).split("."))
            paths.append(path)
            types.append(_at(type_, path, hub))
            places.append(place)
        if not hub or hub.startswith("$"):
            raise ValueError(f"{hub!r} cannot be a topic for data: name one that begins otherwise")
        self.fields: Final = tuple(".".join(path) for path in paths)
        self._paths: Final = paths
        self._types: Final = types
        self._places: Final = places
        self.filter: Final = "/".join(["+" if _FIELD.fullmatch(level) else level for level in self._levels])

    @property
    def is_fixed(self) -> bool:
        """Whether it is one topic."""
        return not self._paths

    def topic(self, value: dict[str, object]) -> str:
        """Of a sample's value; its key fields are enough when the template names no others. Errors: Refusal."""
        if not self._paths:
            return self.hub
        levels = self._levels.copy()
        for place, path in zip(self._places, self._paths, strict=True):
            levels[place] = escaped(_text(_value(value, path), path))
        return "/".join(levels)

    def values(self, topic: str) -> dict[str, object]:
        """The fields that the topic tells, in their structures. Errors: Refusal(NAME_INVALID) for a topic that is none
        of this template's."""
        given = topic.split("/")
        if len(given) != len(self._levels):
            raise Refusal(NAME_INVALID, f"{topic!r} is no topic like {self.hub}")
        found: dict[str, object] = {}
        at = 0
        for place, level in enumerate(self._levels):
            if at < len(self._places) and self._places[at] == place:
                _put(found, self._paths[at], _of_text(self._types[at], unescaped(given[place]), self.fields[at]))
                at += 1
            elif given[place] != level:
                raise Refusal(NAME_INVALID, f"{topic!r} is no topic like {self.hub}")
        return found

    def complete(self, given: object, topic: str) -> None:
        """Add the fields that an object of JSON leaves out and the topic tells. Errors: as `values`."""
        for path in self._paths:
            if _is_left_out(given, path):
                break
        else:
            return
        told = self.values(topic)
        for path in self._paths:
            if isinstance(given, dict) and _is_left_out(given, path):
                _put(given, path, _value(told, path))


def default_topic(partition: str, topic: str) -> str:
    """The hub's topic of a DDS topic without a template: its partition's levels, and its name as one level more."""
    levels = [escaped(each) for each in partition.split("/")] if partition else []
    return "/".join([*levels, *[escaped(each) for each in topic.split("/")]])


def _at(type_: Struct, path: tuple[str, ...], hub: str) -> Type:
    """The type of the field. Of a keyed type it is to be part of the key, so that each instance has its topic."""
    current: Type = type_
    for name in path:
        member = current.member(name) if isinstance(current, Struct) else None
        if member is None:
            known = [each.name for each in current.members] if isinstance(current, Struct) else []
            remedy = f"name one that is there ({', '.join(known)})" if known else "fields are in structures only"
            raise ValueError(f"{hub!r}: {type_.name} has no field {'.'.join(path)}: {remedy}")
        current = member.type
    if not isinstance(current, (String, Enum)) and not (
        isinstance(current, Primitive) and current.kind not in ("float32", "float64", "float128")
    ):
        raise ValueError(f"{hub!r}: {'.'.join(path)} cannot be a level: only texts, whole numbers and enumerations can")
    if type_.keys and path not in type_.keys:
        raise ValueError(
            f"{hub!r}: {'.'.join(path)} is no key of {type_.name}: mark it @key in the IDL, or name a key field"
        )
    return current


def _value(value: dict[str, object], path: tuple[str, ...]) -> object:
    current: object = value
    for name in path:
        current = current.get(name) if isinstance(current, dict) else None
    return current


def _is_left_out(given: object, path: tuple[str, ...]) -> bool:
    """Whether the field, or a structure around it, is not there. What is there, whatever it is, stays."""
    current = given
    for name in path:
        if not isinstance(current, dict):
            return False
        if name not in current:
            return True
        current = current[name]
    return False


def _put(into: dict[str, object], path: tuple[str, ...], value: object) -> None:
    for name in path[:-1]:
        inner = into.get(name)
        if not isinstance(inner, dict):
            inner = {}
            into[name] = inner
        into = inner
    into[path[-1]] = value


def _text(value: object, path: tuple[str, ...]) -> str:
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    name = ".".join(path)
    raise Refusal(NAME_INVALID, f"{name}: a text, a whole number or a boolean is wanted: it is part of the topic")


def _of_text(type_: Type, text: str, field: str) -> object:
    if not isinstance(type_, Primitive) or type_.kind in ("char8", "char16"):
        return text
    if type_.kind == "boolean":
        if text in ("true", "false"):
            return text == "true"
        raise Refusal(NAME_INVALID, f'{field}: "true" or "false" is wanted in the topic, not {text[:40]!r}')
    least, most = INTEGERS.get(type_.kind, (0, 255))
    digits = text[1:] if text.startswith("-") else text
    if len(text) <= 20 and digits.isascii() and digits.isdigit():
        number = int(text)
        if least <= number <= most and str(number) == text:
            return number
    raise Refusal(
        NAME_INVALID, f"{field}: a whole number from {least} to {most} is wanted in the topic, not {text[:40]!r}"
    )
