"""Structures: plain, delimited, and as lists of parameters (DDS-XTypes 1.3 section 7.4.3.5)."""

from __future__ import annotations

import struct
from typing import Final

from bridgehead.protocols.dds.codec.coder import Coder
from bridgehead.protocols.dds.codec.defaults import default_of, weight_of
from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable, below
from bridgehead.protocols.dds.codec.parameters import (
    MUST_UNDERSTAND,
    SENTINEL,
    read_header1,
    read_header2,
    write_header1,
    write_header2,
)
from bridgehead.protocols.dds.codec.stream import XCDR1, XCDR2, Sink, Source
from bridgehead.protocols.dds.codec.types import APPENDABLE, FINAL, Member

_WIDEST: Final = 8
_LEAST: Final = 4  # octets of what has a delimiter or an end of its list, whatever is in it


class CodedMember:
    """A member with its coder."""

    def __init__(self, member: Member, coder: Coder) -> None:
        self.name: Final = member.name
        self.id: Final = member.id
        self.coder: Final = coder
        self.optional: Final = member.optional
        self.must_understand: Final = member.must_understand or member.key
        self._type: Final = member.type
        self._weight: Final = weight_of(member.type)

    def fill(self, source: Source, into: dict[str, object]) -> None:
        """The member is not in the sample, whose type is another version of this one: it has its default, or is absent
        where it may be (section 7.2.4.4). Errors: CdrError, when it has to be there."""
        if self.optional:
            return
        if self.must_understand:
            raise CdrError("it is missing", source.at, self.name)
        source.spare -= self._weight
        if source.spare < 0:
            raise CdrError("too many members are missing", source.at, self.name)
        into[self.name] = default_of(self._type)


class Run:
    """Members one after the other that take one number each: read and written by one call of struct, which has one form
    for each place that the run may begin at, for padding depends on it."""

    def __init__(self, members: list[CodedMember]) -> None:
        self.members: Final = members
        self.names: Final = tuple(each.name for each in members)
        self.plain: Final = all(each.coder.plain for each in members)
        self.coders: Final = [each.coder for each in members]
        self.most: Final = sum(2 * each.coder.size for each in members)  # octets, padding included
        self._forms: Final = [
            struct.Struct(_form(order, members, widest, begin))
            for order in ("<", ">")
            for widest in (8, 4)
            for begin in range(_WIDEST)
        ]

    def read(self, source: Source, into: dict[str, object]) -> None:
        form = self._forms[(source.order * 2 + (source.widest == 4)) * _WIDEST + (source.at - source.origin) % _WIDEST]
        at = source.need(form.size)
        numbers = form.unpack_from(source.data, at)
        if self.plain:
            into.update(zip(self.names, numbers, strict=True))
            return
        for index, name in enumerate(self.names):
            coder = self.coders[index]
            number = numbers[index]
            if coder.plain:
                into[name] = number
            else:
                try:
                    into[name] = coder.value_of(number, at)
                except CdrError as error:
                    raise CdrError(error.because, error.at, below(name, error.path)) from None

    def write(self, values: dict[str, object], sink: Sink) -> None:
        numbers: list[object] = []
        for index, name in enumerate(self.names):
            if name not in values:
                raise Unencodable("it is missing", name)
            try:
                numbers.append(self.coders[index].number_of(values[name]))
            except Unencodable as error:
                raise Unencodable(error.because, below(name, error.path)) from None
        form = self._forms[(sink.widest == 4) * _WIDEST + (len(sink.out) - sink.origin) % _WIDEST]
        sink.out.extend(form.pack(*numbers))


def _form(order: str, members: list[CodedMember], widest: int, begin: int) -> str:
    """With the padding before each number when the first may begin at `begin`."""
    form = [order]
    at = begin
    for each in members:
        size = each.coder.size
        padding = -at % min(size, widest)
        form.append("x" * padding + each.coder.letter)
        at += padding + size
    return "".join(form)


class StructCoder(Coder):
    """Values: dict by the members' names."""

    def __init__(self, name: str, members: list[CodedMember], extensibility: str) -> None:
        present = [each for each in members if not each.optional]
        least = sum(each.coder.least for each in present)
        super().__init__(least if extensibility == FINAL else min(least, _LEAST))
        self._name: Final = name
        self._members: Final = members
        self._by_id: Final = {each.id: each for each in members}
        self._names: Final = frozenset(each.name for each in members)
        self._extensibility: Final = extensibility
        self._steps: Final = _steps(members)

    # In. --------------------------------------------------------------------------------------------

    def read(self, source: Source) -> object:
        into: dict[str, object] = {}
        if self._extensibility == FINAL:
            self._read_members(source, into)
        elif self._extensibility == APPENDABLE:
            if source.version == XCDR2:
                outer = source.enter(source.u32())
                self._read_delimited(source, into)
                source.leave(outer)  # members that a later version of the type has are skipped
            else:
                self._read_members(source, into)
        elif source.version == XCDR2:
            self._read_parameters2(source, into)
        else:
            self._read_parameters1(source, into)
        return into

    def _read_members(self, source: Source, into: dict[str, object]) -> None:
        for step in self._steps:
            if isinstance(step, Run):
                step.read(source, into)
            else:
                self._read_member(step, source, into)

    def _read_delimited(self, source: Source, into: dict[str, object]) -> None:
        """The members as far as the part goes: an earlier version of the type has fewer."""
        for step in self._steps:
            if isinstance(step, CodedMember):
                if source.left > 0:
                    self._read_member(step, source, into)
                else:
                    step.fill(source, into)
            elif source.left >= step.most:
                step.read(source, into)
            else:
                for each in step.members:
                    if source.left > 0:
                        self._read_member(each, source, into)
                    else:
                        each.fill(source, into)

    def _read_member(self, member: CodedMember, source: Source, into: dict[str, object]) -> None:
        try:
            if not member.optional:
                into[member.name] = member.coder.read(source)
            elif source.version == XCDR2:
                present = source.u8()
                if present > 1:
                    raise CdrError(f"{present} does not say whether it is there", at=source.at - 1)
                if present:
                    into[member.name] = member.coder.read(source)
            else:
                number, length, _ = read_header1(source, False)
                if number != member.id:
                    raise CdrError(f"the member {number} stands where {member.id} should", at=source.at)
                if length:
                    self._read_parameter(member, length, True, source, into)
        except CdrError as error:
            raise CdrError(error.because, error.at, below(member.name, error.path)) from None

    def _read_parameter(
        self, member: CodedMember, length: int, origin: bool, source: Source, into: dict[str, object]
    ) -> None:
        """One of `length` octets. `origin`: alignment counts from here (XCDR1)."""
        outer, before = source.enter(length), source.origin
        if origin:
            source.origin = source.at
        into[member.name] = member.coder.read(source)
        source.origin = before
        source.leave(outer)

    def _read_parameters1(self, source: Source, into: dict[str, object]) -> None:
        while True:
            number, length, flags = read_header1(source, True)
            if number == SENTINEL:
                break
            self._take(number, length, bool(flags & MUST_UNDERSTAND), True, source, into)
        self._check_complete(source, into)

    def _read_parameters2(self, source: Source, into: dict[str, object]) -> None:
        outer = source.enter(source.u32())
        while source.left >= 4:
            number, length, must_understand = read_header2(source)
            self._take(number, length, must_understand, False, source, into)
        source.leave(outer)
        self._check_complete(source, into)

    def _take(
        self, number: int, length: int, must_understand: bool, origin: bool, source: Source, into: dict[str, object]
    ) -> None:
        member = self._by_id.get(number)
        if member is None:
            if must_understand:
                raise CdrError(f"the member {number} must be understood and is not known", at=source.at)
            source.need(length)
            return
        if member.name in into:
            raise CdrError("it is there twice", source.at, member.name)
        try:
            self._read_parameter(member, length, origin, source, into)
        except CdrError as error:
            raise CdrError(error.because, error.at, below(member.name, error.path)) from None

    def _check_complete(self, source: Source, into: dict[str, object]) -> None:
        for each in self._members:
            if each.name not in into:
                each.fill(source, into)

    # Out. -------------------------------------------------------------------------------------------

    def write(self, value: object, sink: Sink) -> None:
        if not isinstance(value, dict):
            raise Unencodable(f"an object is wanted ({self._name})")
        for name in value:
            if name not in self._names:
                raise Unencodable(f"there is no such member in {self._name}", str(name)[:40])
        if self._extensibility == FINAL:
            self._write_members(value, sink)
        elif self._extensibility == APPENDABLE:
            if sink.version == XCDR2:
                hole = sink.hole()
                self._write_members(value, sink)
                sink.fill(hole)
            else:
                self._write_members(value, sink)
        else:
            self._write_parameters(value, sink)

    def _write_members(self, values: dict[str, object], sink: Sink) -> None:
        for step in self._steps:
            if isinstance(step, Run):
                step.write(values, sink)
                continue
            there = step.name in values
            if not there and not step.optional:
                raise Unencodable("it is missing", step.name)
            try:
                if not step.optional:
                    step.coder.write(values[step.name], sink)
                elif sink.version == XCDR2:
                    sink.u8(1 if there else 0)
                    if there:
                        step.coder.write(values[step.name], sink)
                else:
                    before = sink.origin
                    begin = write_header1(sink, step.id, step.must_understand)
                    if there:
                        sink.origin = len(sink.out)
                        step.coder.write(values[step.name], sink)
                    begin.fill()
                    sink.origin = before
            except Unencodable as error:
                raise Unencodable(error.because, below(step.name, error.path)) from None

    def _write_parameters(self, values: dict[str, object], sink: Sink) -> None:
        hole = sink.hole() if sink.version == XCDR2 else 0
        for each in self._members:
            if each.name not in values:
                if each.optional:
                    continue
                raise Unencodable("it is missing", each.name)
            try:
                if sink.version == XCDR2:
                    length = write_header2(sink, each.id, each.must_understand)
                    each.coder.write(values[each.name], sink)
                    sink.fill(length)
                else:
                    before = sink.origin
                    begin = write_header1(sink, each.id, each.must_understand)
                    sink.origin = len(sink.out)
                    each.coder.write(values[each.name], sink)
                    begin.fill()
                    sink.origin = before
            except Unencodable as error:
                raise Unencodable(error.because, below(each.name, error.path)) from None
        if hole:
            sink.fill(hole)
        if sink.version == XCDR1:
            write_header1(sink, SENTINEL, False)


def _steps(members: list[CodedMember]) -> list[Run | CodedMember]:
    steps: list[Run | CodedMember] = []
    run: list[CodedMember] = []
    for each in members:
        if each.coder.letter and not each.optional and each.coder.size <= _WIDEST:
            run.append(each)
            continue
        if run:
            steps.append(Run(run))
            run = []
        steps.append(each)
    if run:
        steps.append(Run(run))
    return steps
