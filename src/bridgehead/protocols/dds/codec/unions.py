"""Unions (DDS-XTypes 1.3 section 7.4.3.5): a discriminator, and the member that it chooses."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.dds.codec.coder import Coder
from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable, below
from bridgehead.protocols.dds.codec.parameters import (
    MUST_UNDERSTAND,
    SENTINEL,
    read_header1,
    read_header2,
    write_header1,
    write_header2,
)
from bridgehead.protocols.dds.codec.stream import XCDR2, Sink, Source
from bridgehead.protocols.dds.codec.types import APPENDABLE, FINAL, Union

_DISCRIMINATOR: Final = 0  # member id of the discriminator in a mutable union


class UnionCoder(Coder):
    """Values: (discriminator, member's name or "", its value or None)."""

    def __init__(self, type_: Union, discriminator: Coder, members: dict[str, Coder]) -> None:
        super().__init__(discriminator.least)
        self._type: Final = type_
        self._discriminator: Final = discriminator
        self._members: Final = members

    def read(self, source: Source) -> object:
        if self._type.extensibility == FINAL:
            return self._read_plain(source)
        if self._type.extensibility == APPENDABLE:
            if source.version != XCDR2:
                return self._read_plain(source)
            outer = source.enter(source.u32())
            value = self._read_plain(source)
            source.leave(outer)
            return value
        if source.version == XCDR2:
            outer = source.enter(source.u32())
            value = self._read_parameters(source)
            source.leave(outer)
            return value
        return self._read_parameters(source)

    def _read_plain(self, source: Source) -> tuple[object, str, object]:
        label = self._discriminator.read(source)
        case = self._type.case(label)
        if case is None:
            return label, "", None
        return label, case.name, self._read_member(case.name, source)

    def _read_member(self, name: str, source: Source) -> object:
        try:
            return self._members[name].read(source)
        except CdrError as error:
            raise CdrError(error.because, error.at, below(name, error.path)) from None

    def _read_parameters(self, source: Source) -> tuple[object, str, object]:
        label: object = None
        found: dict[int, object] = {}
        case = None
        while source.version != XCDR2 or source.left >= 4:
            if source.version == XCDR2:
                number, length, must_understand = read_header2(source)
            else:
                number, length, flags = read_header1(source, True)
                if number == SENTINEL:
                    break
                must_understand = bool(flags & MUST_UNDERSTAND)
            outer, before = source.enter(length), source.origin
            if source.version != XCDR2:
                source.origin = source.at
            if number == _DISCRIMINATOR and label is None:
                label = self._discriminator.read(source)
                case = self._type.case(label)
            elif case is not None and number == case.id:
                found[number] = self._read_member(case.name, source)
            elif must_understand:
                raise CdrError(f"the member {number} must be understood and is not known", at=source.at)
            source.origin = before
            source.leave(outer)
        if label is None:
            raise CdrError("a union has no discriminator", at=source.at)
        if case is None:
            return label, "", None
        if case.id not in found:
            raise CdrError("it is missing", source.at, case.name)
        return label, case.name, found[case.id]

    def write(self, value: object, sink: Sink) -> None:
        if not isinstance(value, tuple) or len(value) != 3:
            raise Unencodable(f"a union is wanted ({self._type.name})")
        label, name, inner = value
        case = self._type.case(label)
        if (case.name if case is not None else "") != name:
            raise Unencodable(f"{label!r} does not choose this member", str(name)[:40])
        member = None if case is None else self._members[case.name]
        extensibility = self._type.extensibility
        if extensibility == FINAL or (extensibility == APPENDABLE and sink.version != XCDR2):
            self._write_plain(label, name, member, inner, sink)
        elif extensibility == APPENDABLE:
            hole = sink.hole()
            self._write_plain(label, name, member, inner, sink)
            sink.fill(hole)
        else:
            number = 0 if case is None else case.id
            self._write_parameters(label, name, number, member, inner, sink)

    def _write_plain(self, label: object, name: object, member: Coder | None, inner: object, sink: Sink) -> None:
        self._discriminator.write(label, sink)
        if member is not None:
            try:
                member.write(inner, sink)
            except Unencodable as error:
                raise Unencodable(error.because, below(str(name), error.path)) from None

    def _write_parameters(
        self, label: object, name: object, number: int, member: Coder | None, inner: object, sink: Sink
    ) -> None:
        parts: list[tuple[int, Coder, object]] = [(_DISCRIMINATOR, self._discriminator, label)]
        if member is not None:
            parts.append((number, member, inner))
        hole = sink.hole() if sink.version == XCDR2 else 0
        for id_, coder, each in parts:
            try:
                if hole:
                    length = write_header2(sink, id_, True)
                    coder.write(each, sink)
                    sink.fill(length)
                else:
                    before = sink.origin
                    header = write_header1(sink, id_, True)
                    sink.origin = len(sink.out)
                    coder.write(each, sink)
                    header.fill()
                    sink.origin = before
            except Unencodable as error:
                raise Unencodable(error.because, below(str(name), error.path)) from None
        if hole:
            sink.fill(hole)
        else:
            write_header1(sink, SENTINEL, False)
