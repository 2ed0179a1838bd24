"""A sample's value <-> JSON (docs/dds-json.md has the rules), by a plan that is made once for each type.

Whether a value fits its type in size and range is the codec's to say. Here is only what JSON writes otherwise.
"""

from __future__ import annotations

from binascii import Error as NoBase64
from binascii import a2b_base64, b2a_base64
from typing import Final

import msgspec
from mypy_extensions import mypyc_attr

from bridgehead.core.errors import PAYLOAD_FORMAT_INVALID, Refusal
from bridgehead.protocols.dds.codec.errors import Unencodable, below
from bridgehead.protocols.dds.codec.types import (
    FLOAT32,
    FLOAT64,
    FLOAT128,
    INT64,
    INTEGERS,
    UINT64,
    Array,
    Bitmask,
    Case,
    Enum,
    Map,
    Primitive,
    Sequence,
    Struct,
    Type,
    Union,
    is_octets,
)

CASE: Final = "$case"  # of a union: the label that chose the member
_EXACT: Final = 2**53  # up to here every JSON reader keeps an integer as it is (RFC 8259 section 6)
_INFINITE: Final = float("inf")
_NAMED: Final = {"NaN": float("nan"), "Infinity": _INFINITE, "-Infinity": -_INFINITE}
_LONGEST_NUMBER: Final = 20  # characters of a 64-bit integer


def parsed(payload: bytes) -> object:
    """Errors: Refusal(PAYLOAD_FORMAT_INVALID)."""
    try:
        given: object = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise Refusal(PAYLOAD_FORMAT_INVALID, f"the payload is no JSON ({fault})") from None
    except RecursionError:
        raise Refusal(PAYLOAD_FORMAT_INVALID, "the payload's JSON is nested too deeply") from None
    return given


class JsonForm:
    """Of one type of sample."""

    def __init__(self, type_: Struct) -> None:
        self.type: Final = type_
        self._form: Final = _StructForm(type_)

    def to_json(self, value: dict[str, object]) -> bytes:
        """Of what the codec has decoded."""
        return msgspec.json.encode(self._form.out(value))

    def from_json(self, payload: bytes) -> dict[str, object]:
        """For the codec to encode. Errors: Refusal(PAYLOAD_FORMAT_INVALID), which names the field."""
        return self.value_of(parsed(payload))

    def value_of(self, given: object) -> dict[str, object]:
        """As `from_json`, of what is parsed already."""
        try:
            value = self._form.back(given)
        except Unencodable as fault:
            raise Refusal(PAYLOAD_FORMAT_INVALID, str(fault)) from None
        assert isinstance(value, dict)
        return value


@mypyc_attr(allow_interpreted_subclasses=True)
class _Form:
    """How values of one type stand in JSON: as they are, unless a subclass says otherwise."""

    same: bool = False  # as they are, both ways, whatever they contain

    def out(self, value: object) -> object:
        return value

    def back(self, given: object) -> object:
        """Errors: Unencodable."""
        return given


class _SameForm(_Form):
    def __init__(self) -> None:
        self.same = True


class _LongForm(_Form):
    """Integers of 64 bits: as text where a reader of JSON might round them."""

    def out(self, value: object) -> object:
        assert isinstance(value, int)
        return value if -_EXACT <= value <= _EXACT else str(value)

    def back(self, given: object) -> object:
        if type(given) is not str:
            return given
        digits = given[1:] if given.startswith("-") else given
        if len(given) > _LONGEST_NUMBER or not digits.isascii() or not digits.isdigit():
            raise Unencodable("a whole number is wanted, not this text")
        return int(given)


class _FloatForm(_Form):
    """JSON has no NaN and no infinity: they are texts."""

    def out(self, value: object) -> object:
        assert isinstance(value, float)
        if value - value == 0.0:
            return value
        if value != value:
            return "NaN"
        return "Infinity" if value > 0.0 else "-Infinity"

    def back(self, given: object) -> object:
        if type(given) is str:
            named = _NAMED.get(given)
            if named is None:
                raise Unencodable('a number is wanted, or "NaN", "Infinity" or "-Infinity"')
            return named
        return given


class _OctetsForm(_Form):
    """Base64 (RFC 4648 section 4)."""

    def out(self, value: object) -> object:
        assert isinstance(value, bytes)
        return b2a_base64(value, newline=False).decode("ascii")

    def back(self, given: object) -> object:
        if type(given) is not str:
            raise Unencodable("octets in base64 are wanted, as a text")
        try:
            return a2b_base64(given.encode("ascii"), strict_mode=True)
        except (NoBase64, ValueError):
            raise Unencodable("the text is no base64") from None


class _EnumForm(_Form):
    """By name; a number is taken too."""

    def __init__(self, type_: Enum) -> None:
        self._type: Final = type_

    def back(self, given: object) -> object:
        if type(given) is int:
            name = self._type.names.get(given)
            if name is None:
                raise Unencodable(f"{given} is no literal of {self._type.name}")
            return name
        return given


class _BitmaskForm(_Form):
    """The names of the flags that are set."""

    def __init__(self, type_: Bitmask) -> None:
        self._type: Final = type_

    def out(self, value: object) -> object:
        return value

    def back(self, given: object) -> object:
        if type(given) is not list:
            raise Unencodable(f"a list of the names of flags is wanted ({', '.join(self._type.flags)})")
        return tuple(given)


class _ListForm(_Form):
    def __init__(self, element: _Form) -> None:
        self._element: Final = element

    def out(self, value: object) -> object:
        assert isinstance(value, list)
        element = self._element
        return [element.out(each) for each in value]

    def back(self, given: object) -> object:
        if type(given) is not list:
            raise Unencodable("a list is wanted")
        element = self._element
        values: list[object] = []
        for index, each in enumerate(given):
            try:
                values.append(element.back(each))
            except Unencodable as fault:
                raise Unencodable(fault.because, below(f"[{index}]", fault.path)) from None
        return values


class _MapForm(_Form):
    """An object; keys that are no texts are written as texts."""

    def __init__(self, key: Type, value: _Form) -> None:
        self._key: Final = key
        self._value: Final = value

    def out(self, value: object) -> object:
        assert isinstance(value, dict)
        pairs: dict[str, object] = {}
        for key, each in value.items():
            pairs[_key_text(key)] = self._value.out(each)
        return pairs

    def back(self, given: object) -> object:
        if not isinstance(given, dict):
            raise Unencodable("an object is wanted")
        pairs: dict[object, object] = {}
        for text, each in given.items():
            assert isinstance(text, str)
            try:
                pairs[self._key_of(text)] = self._value.back(each)
            except Unencodable as fault:
                raise Unencodable(fault.because, below(f"[{text!r}]"[:40], fault.path)) from None
        return pairs

    def _key_of(self, text: str) -> object:
        kind = self._key
        if isinstance(kind, Primitive):
            if kind.kind == "boolean":
                if text not in ("true", "false"):
                    raise Unencodable('the key is to be "true" or "false"')
                return text == "true"
            if kind.kind in INTEGERS or kind.kind == "byte":
                return _LONG.back(text)
        return text


class _StructForm(_Form):
    """An object. Members that are optional and absent are left out; null is absent too."""

    def __init__(self, type_: Struct) -> None:
        self._name: Final = type_.name
        self._forms: Final = {each.name: _form_of(each.type) for each in type_.members}
        self._optional: Final = frozenset(each.name for each in type_.members if each.optional)
        self._needed: Final = tuple(each.name for each in type_.members if not each.optional)
        self._others: Final = [(name, form) for name, form in self._forms.items() if not form.same]
        self.same = False

    def out(self, value: object) -> object:
        assert isinstance(value, dict)
        others = self._others
        if not others:
            return value
        written: dict[str, object] = value.copy()
        for name, form in others:
            if name in written:
                written[name] = form.out(written[name])
        return written

    def back(self, given: object) -> object:
        if not isinstance(given, dict):
            raise Unencodable(f"an object is wanted ({self._name})")
        value: dict[str, object] = {}
        forms = self._forms
        for name, each in given.items():
            assert isinstance(name, str)
            form = forms.get(name)
            if form is None:
                raise Unencodable(f"there is no such member in {self._name}", name[:40])
            if each is None and name in self._optional:
                continue
            if form.same:
                value[name] = each
                continue
            try:
                value[name] = form.back(each)
            except Unencodable as fault:
                raise Unencodable(fault.because, below(name, fault.path)) from None
        for name in self._needed:
            if name not in value:
                raise Unencodable("it is missing", name)
        return value


class _UnionForm(_Form):
    """An object of the label, as `$case`, and of the member that it chooses."""

    def __init__(self, type_: Union) -> None:
        cases: list[Case] = list(type_.cases)
        if type_.default is not None:
            cases.append(type_.default)
        self._type: Final = type_
        self._label: Final = _form_of(type_.discriminator)
        self._members: Final = {each.name: _form_of(each.type) for each in cases}

    def out(self, value: object) -> object:
        assert isinstance(value, tuple)
        label, name, inner = value
        written: dict[str, object] = {CASE: self._label.out(label)}
        if name:
            assert isinstance(name, str)
            written[name] = self._members[name].out(inner)
        return written

    def back(self, given: object) -> object:
        if not isinstance(given, dict) or CASE not in given:
            raise Unencodable(f'an object with "{CASE}" is wanted ({self._type.name})')
        label = self._label.back(given[CASE])
        try:
            case = self._type.case(label)
        except TypeError:
            case = None
        wanted = "" if case is None else case.name
        for name in given:
            if name not in (CASE, wanted):
                raise Unencodable(f"{label!r} does not choose this member"[:80], str(name)[:40])
        if not wanted:
            return (label, "", None)
        if wanted not in given:
            raise Unencodable("it is missing", wanted)
        try:
            return (label, wanted, self._members[wanted].back(given[wanted]))
        except Unencodable as fault:
            raise Unencodable(fault.because, below(wanted, fault.path)) from None


_SAME: Final = _SameForm()
_LONG: Final = _LongForm()
_FLOAT: Final = _FloatForm()
_OCTETS: Final = _OctetsForm()


def _form_of(type_: Type) -> _Form:
    if isinstance(type_, Primitive):
        if type_.kind in (INT64, UINT64):
            return _LONG
        if type_.kind in (FLOAT32, FLOAT64):
            return _FLOAT
        return _OCTETS if type_.kind == FLOAT128 else _SAME
    if isinstance(type_, Enum):
        return _EnumForm(type_)
    if isinstance(type_, Bitmask):
        return _BitmaskForm(type_)
    if isinstance(type_, Sequence):
        if is_octets(type_.element):
            return _OCTETS
        element = _form_of(type_.element)
        return _SAME if element.same else _ListForm(element)
    if isinstance(type_, Array):
        if is_octets(type_.element):
            return _OCTETS
        element = _form_of(type_.element)
        return _SAME if element.same else _ListForm(element)
    if isinstance(type_, Map):
        return _MapForm(type_.key, _form_of(type_.value))
    if isinstance(type_, Struct):
        return _StructForm(type_)
    if isinstance(type_, Union):
        return _UnionForm(type_)
    return _SAME


def _key_text(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
