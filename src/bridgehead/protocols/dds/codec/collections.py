"""Sequences, arrays and maps (DDS-XTypes 1.3 section 7.4.3.5)."""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.protocols.dds.codec.coder import Coder, is_primitive
from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable, below
from bridgehead.protocols.dds.codec.stream import XCDR2, Sink, Source
from bridgehead.protocols.dds.codec.types import SIZES


class OctetsCoder(Coder):
    """A sequence of octets (`length` 0), or an array of so many. `bound` as a sequence's."""

    def __init__(self, bound: int, length: int = 0) -> None:
        super().__init__(length or 4)
        self._bound: Final = bound
        self._length: Final = length

    def read(self, source: Source) -> object:
        count = self._length or source.length(1)
        begin = source.need(count)
        if self._bound and count > self._bound:
            raise CdrError(f"a sequence has {count} elements, more than {self._bound}", at=begin)
        return source.data[begin : begin + count]

    def write(self, value: object, sink: Sink) -> None:
        if type(value) is not bytes:
            raise Unencodable("octets are wanted")
        count = len(value)
        if self._length:
            if count != self._length:
                raise Unencodable(f"{self._length} octets are wanted, not {count}")
        else:
            if self._bound and count > self._bound:
                raise Unencodable(f"{count} octets are more than {self._bound}")
            sink.u32(count)
        sink.out.extend(value)


class ElementsCoder(Coder):
    """A sequence (`length` 0) or an array of anything else. Values: list. `delimited`: whether XCDR2 tells its octets
    before it."""

    def __init__(self, element: Coder, delimited: bool, bound: int, length: int = 0) -> None:
        super().__init__(element.least * length if length else 4)
        self._element: Final = element
        self._bound: Final = bound
        self._length: Final = length
        self._delimited: Final = delimited

    def read(self, source: Source) -> object:
        if self._delimited and source.version == XCDR2:
            outer = source.enter(source.u32())
            values = self._elements(source)
            if source.left:
                raise CdrError(f"{source.left} octets are left behind the elements", at=source.at)
            source.leave(outer)
            return values
        return self._elements(source)

    def _elements(self, source: Source) -> list[object]:
        element = self._element
        at = source.at
        count = self._length or source.length(max(element.least, 1))
        if self._bound and count > self._bound:
            raise CdrError(f"a sequence has {count} elements, more than {self._bound}", at=at)
        if not count:
            return []
        if element.letter and element.size <= SIZES["int64"]:
            return self._numbers(source, count)
        values: list[object] = []
        for index in range(count):
            try:
                values.append(element.read(source))
            except CdrError as error:
                raise CdrError(error.because, error.at, below(f"[{index}]", error.path)) from None
        return values

    def _numbers(self, source: Source, count: int) -> list[object]:
        element = self._element
        source.align(element.size)
        begin = source.need(count * element.size)
        order = ">" if source.order else "<"
        numbers: list[object] = list(struct.unpack_from(f"{order}{count}{element.letter}", source.data, begin))
        if element.plain:
            return numbers
        return [element.value_of(number, begin) for number in numbers]

    def write(self, value: object, sink: Sink) -> None:
        if not isinstance(value, (list, tuple)):
            raise Unencodable("a list is wanted")
        if self._delimited and sink.version == XCDR2:
            hole = sink.hole()
            self._write_elements(value, sink)
            sink.fill(hole)
        else:
            self._write_elements(value, sink)

    def _write_elements(self, values: list[object] | tuple[object, ...], sink: Sink) -> None:
        count = len(values)
        if self._length:
            if count != self._length:
                raise Unencodable(f"{self._length} elements are wanted, not {count}")
        else:
            if self._bound and count > self._bound:
                raise Unencodable(f"{count} elements are more than {self._bound}")
            sink.u32(count)
        element = self._element
        for index, value in enumerate(values):
            try:
                element.write(value, sink)
            except Unencodable as error:
                raise Unencodable(error.because, below(f"[{index}]", error.path)) from None


class MapCoder(Coder):
    """Pairs, one after the other. Values: dict."""

    def __init__(self, key: Coder, value: Coder, bound: int) -> None:
        super().__init__(4)
        self._key: Final = key
        self._value: Final = value
        self._bound: Final = bound
        self._delimited: Final = not (is_primitive(key) and is_primitive(value))

    def read(self, source: Source) -> object:
        if self._delimited and source.version == XCDR2:
            outer = source.enter(source.u32())
            pairs = self._pairs(source)
            if source.left:
                raise CdrError(f"{source.left} octets are left behind the map", at=source.at)
            source.leave(outer)
            return pairs
        return self._pairs(source)

    def _pairs(self, source: Source) -> dict[object, object]:
        at = source.at
        count = source.length(max(self._key.least + self._value.least, 1))
        if self._bound and count > self._bound:
            raise CdrError(f"a map has {count} pairs, more than {self._bound}", at=at)
        pairs: dict[object, object] = {}
        for _ in range(count):
            key = self._key.read(source)
            if key in pairs:
                raise CdrError("a map has a key twice", at=source.at)
            pairs[key] = self._value.read(source)
        return pairs

    def write(self, value: object, sink: Sink) -> None:
        if not isinstance(value, dict):
            raise Unencodable("an object is wanted")
        if self._bound and len(value) > self._bound:
            raise Unencodable(f"{len(value)} pairs are more than {self._bound}")
        hole = sink.hole() if self._delimited and sink.version == XCDR2 else 0
        sink.u32(len(value))
        for key, each in value.items():
            try:
                self._key.write(key, sink)
                self._value.write(each, sink)
            except Unencodable as error:
                raise Unencodable(error.because, below(f"[{key!r}]"[:40], error.path)) from None
        if hole:
            sink.fill(hole)
