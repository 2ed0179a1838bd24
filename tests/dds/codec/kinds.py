"""Random types, as classes of Cyclone's binding, with values of them in the hub's form and in the binding's."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any, Optional

from cyclonedds import idl
from hypothesis import strategies as st

Hint = Any
# Made at run time out of what type checkers cannot follow.
types: Any = import_module("cyclonedds.idl.types")
notes: Any = import_module("cyclonedds.idl.annotations")
OPTIONAL: Any = Optional
_numbers = itertools.count()

INTEGERS = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}
ENCODABLE = st.characters(codec="utf-8", exclude_characters="\0")
ANNOTATIONS: dict[str, Callable[[Any], Any]] = {
    "final": notes.final,
    "appendable": notes.appendable,
    "mutable": notes.mutable,
}


class Kind:
    """`hint` is the binding's; `values` makes values in the hub's form, `python` the binding's of one. `mutable`: a
    mutable structure is in it, whose members' headers may be written in several ways. `v1`: XCDR1 has it too."""

    def __init__(
        self,
        hint: Hint,
        values: st.SearchStrategy[Any],
        python: Callable[[Any], Any] = lambda value: value,
        mutable: bool = False,
        v1: bool = True,
        primitive: bool = False,
    ) -> None:
        self.hint = hint
        self.values = values
        self.python = python
        self.mutable = mutable
        self.v1 = v1
        self.primitive = primitive


def _number(name: str, values: st.SearchStrategy[Any]) -> Kind:
    return Kind(getattr(types, name), values, primitive=True)


PRIMITIVES = [
    Kind(bool, st.booleans(), primitive=True),
    *(_number(name, st.integers(-(2**bits), 2**bits - 1)) for name, bits in INTEGERS.items()),
    *(_number("u" + name, st.integers(0, 2 ** (bits + 1) - 1)) for name, bits in INTEGERS.items()),
    _number("float32", st.floats(width=32, allow_nan=False)),
    _number("float64", st.floats(allow_nan=False)),
    Kind(types.char, st.characters(min_codepoint=1, max_codepoint=127), primitive=True),
]
STRINGS = [
    Kind(str, st.text(ENCODABLE, max_size=9)),
    Kind(types.bounded_str[9], st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=9)),
]


@st.composite
def kinds(draw: st.DrawFn, depth: int = 2) -> Kind:
    choice = draw(st.integers(0, 11 if depth else 6))
    if choice <= 3:
        return draw(st.sampled_from(PRIMITIVES))
    if choice == 4:
        return draw(st.sampled_from(STRINGS))
    if choice == 5:
        return draw(enums())
    if choice == 6:
        return draw(bitmasks())
    if choice == 7:
        return draw(sequences(depth))
    if choice == 8:
        return draw(arrays(depth))
    if choice == 9:
        return draw(unions(depth))
    return draw(structs(depth - 1))


@st.composite
def enums(draw: st.DrawFn) -> Kind:
    numbers = draw(st.lists(st.integers(0, 127), min_size=1, max_size=4, unique=True))
    literals = {f"L{number}": number for number in numbers}
    name = f"Enum{next(_numbers)}"
    python = idl.make_idl_enum(name, f"m.{name}", literals)
    bits = draw(st.sampled_from([0, 8, 16]))
    if bits:
        python = notes.bit_bound(bits)(python)
    # In version 1 the binding writes any of them in four octets, and Cyclone's C library in as many as it has.
    return Kind(python, st.sampled_from(list(literals)), lambda literal: python[literal], v1=not bits)


@st.composite
def bitmasks(draw: st.DrawFn) -> Kind:
    flags = [f"f{place}" for place in range(draw(st.integers(1, 8)))]
    name = f"Mask{next(_numbers)}"
    python = idl.make_idl_bitmask(name, f"m.{name}", flags)
    bits = draw(st.sampled_from([8, 16, 32, 64]))
    python = notes.bit_bound(bits)(python)
    return Kind(
        python,
        st.lists(st.sampled_from(flags), unique=True).map(lambda some: tuple(each for each in flags if each in some)),
        lambda some: python(**{each: each in some for each in flags}),
    )


def _list(inner: Kind, least: int, most: int, octets: bool) -> tuple[st.SearchStrategy[Any], Callable[[Any], Any]]:
    if octets:
        return st.binary(min_size=least, max_size=most), list
    return st.lists(inner.values, min_size=least, max_size=most), lambda some: [inner.python(each) for each in some]


@st.composite
def sequences(draw: st.DrawFn, depth: int) -> Kind:
    inner = draw(kinds(depth - 1))
    bound = draw(st.sampled_from([None, 4]))
    values, python = _list(inner, 0, 4, inner.hint == types.uint8)
    hint = types.sequence[inner.hint, bound] if bound else types.sequence[inner.hint]
    return Kind(hint, values, python, inner.mutable, inner.v1)


@st.composite
def arrays(draw: st.DrawFn, depth: int) -> Kind:
    inner = draw(kinds(depth - 1).filter(lambda kind: not isinstance(kind.hint, types.array)))
    length = draw(st.integers(1, 4))
    values, python = _list(inner, length, length, inner.hint == types.uint8)
    return Kind(types.array[inner.hint, length], values, python, inner.mutable, inner.v1)


@st.composite
def unions(draw: st.DrawFn, depth: int) -> Kind:
    discriminator = draw(st.sampled_from([types.int32, types.uint8, types.int16]))
    fields: dict[str, Any] = {}
    inners: dict[str, Kind] = {}
    labels: dict[str, list[int]] = {}
    for place in range(draw(st.integers(1, 3))):
        name = f"c{place}"
        inners[name] = draw(kinds(depth - 1))
        labels[name] = [2 * place, 2 * place + 1][: draw(st.integers(1, 2))]
        fields[name] = types.case[labels[name], inners[name].hint]
    if draw(st.booleans()):
        inners["other"] = draw(kinds(depth - 1))
        labels["other"] = [100, 101]
        fields["other"] = types.default[inners["other"].hint]
    name = f"Union{next(_numbers)}"
    python = idl.make_idl_union(name, f"m.{name}", fields, discriminator)
    extensibility = draw(st.sampled_from(["final", "appendable"]))
    python = ANNOTATIONS[extensibility](python)
    values = st.sampled_from(list(inners)).flatmap(
        lambda name: st.tuples(st.sampled_from(labels[name]), st.just(name), inners[name].values)
    )
    return Kind(
        python,
        values,
        lambda value: python(discriminator=value[0], value=inners[value[1]].python(value[2])),
        any(each.mutable for each in inners.values()),
        extensibility == "final" and all(each.v1 for each in inners.values()),
    )


@st.composite
def structs(draw: st.DrawFn, depth: int = 2, extensibility: str = "", optional: bool = True) -> Kind:
    extensibility = extensibility or draw(st.sampled_from(list(ANNOTATIONS)))
    inners = {f"m{place}": draw(kinds(depth)) for place in range(draw(st.integers(1, 5)))}
    absent = {name: optional and draw(st.integers(0, 5)) == 0 for name in inners}
    name = f"Struct{next(_numbers)}"
    fields = {name: OPTIONAL[each.hint] if absent[name] else each.hint for name, each in inners.items()}
    python = ANNOTATIONS[extensibility](idl.make_idl_struct(name, f"m.{name}", fields))

    def of(value: dict[str, Any]) -> Any:
        return python(**{name: each.python(value[name]) if name in value else None for name, each in inners.items()})

    return Kind(
        python,
        st.fixed_dictionaries(
            {name: each.values for name, each in inners.items() if not absent[name]},
            optional={name: each.values for name, each in inners.items() if absent[name]},
        ),
        of,
        extensibility == "mutable" or any(each.mutable for each in inners.values()),
        extensibility == "final" and not any(absent.values()) and all(each.v1 for each in inners.values()),
    )
