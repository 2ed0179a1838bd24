"""Reads a policy file. Every fault is told with its line, and nothing is taken from a file that has one."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.document import (
    DEVICE,
    EVERYONE,
    GROUP,
    NOTHING,
    ROLE,
    Document,
    Fault,
    OfRevoked,
    PolicyFaults,
    Section,
)
from bridgehead.security.policy.sense import check_sense
from bridgehead.security.policy.statement import ALLOW, DENY, Word, nearest, permission, words_of
from bridgehead.security.policy.units import quota
from bridgehead.security.records import PermissionRecord, Quota, check_name

LARGEST: Final = 32 << 20  # octets
MOST_PERMISSIONS: Final = 100_000
MOST_FAULTS: Final = 100
QUOTA: Final = "quota"
OF_REVOKED: Final = "retained-of-revoked"
_BEGINNINGS: Final = (EVERYONE, ROLE, GROUP, DEVICE, ALLOW, DENY, QUOTA, OF_REVOKED)
_OF_REVOKED: Final[dict[str, OfRevoked]] = {"keep": "keep", "hide": "hide", "purge": "purge"}


class _Block:
    def __init__(self, line: int) -> None:
        self.line: Final = line
        self.permissions: list[PermissionRecord] = []
        self.quota: Quota | None = None

    def section(self) -> Section:
        return Section(tuple(self.permissions), self.quota, self.line)


class _Reader:
    def __init__(self, name: str) -> None:
        self._name: Final = name
        self._number = 0
        self._count = 0
        self._block: _Block | None = None
        self._blocks: Final[dict[tuple[str, str], _Block]] = {}
        self._of_revoked: OfRevoked | None = None
        self.faults: Final[list[Fault]] = []

    def read(self, text: str) -> Document:
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            self._number = number
            stripped = line.strip(" \t\r")
            if stripped and not stripped.startswith("#"):
                try:
                    self._line(stripped)
                except NotAcceptable as fault:
                    self.faults.append(Fault(number, str(fault)))
                    if len(self.faults) >= MOST_FAULTS:
                        break
        named: dict[str, dict[str, Section]] = {EVERYONE: {}, ROLE: {}, GROUP: {}, DEVICE: {}}
        for (kind, name), block in self._blocks.items():
            named[kind][name] = block.section()
        return Document(
            named[EVERYONE].get("", NOTHING), named[ROLE], named[GROUP], named[DEVICE], self._of_revoked or "keep"
        )

    def _line(self, line: str) -> None:
        first = line.split(None, 1)[0]
        if first in (ALLOW, DENY):
            self._permission(words_of(line, 2))
            return
        words = words_of(line)
        if first == EVERYONE:
            self._begin(first, "", words[1:])
        elif first in (ROLE, GROUP, DEVICE):
            if len(words) < 2:
                raise NotAcceptable(f"the {first}'s name is missing: write for example `{first} sensor`")
            name = str(words[1])
            try:
                check_name(name, first)
            except NotAcceptable:
                self._block = _Block(self._number)  # else each line of it would be a fault of its own
                raise
            self._begin(first, name, words[2:])
        elif first == QUOTA:
            self._quota([str(word) for word in words[1:]])
        elif first == OF_REVOKED:
            self._retained(words[1:])
        else:
            raise NotAcceptable(f"`{first}` begins no line of a policy: {nearest(first, _BEGINNINGS)}")

    def _begin(self, kind: str, name: str, rest: list[Word]) -> None:
        before = self._blocks.get((kind, name))
        if before is not None:
            self._block = _Block(self._number)
            raise NotAcceptable(
                f"`{f'{kind} {name}'.strip()}` stands in line {before.line} already: put its permissions there"
            )
        self._block = _Block(self._number)
        self._blocks[kind, name] = self._block
        if rest:
            raise NotAcceptable(f"`{rest[0]}` is unknown here: the line ends after `{f'{kind} {name}'.strip()}`")

    def _open(self, word: str) -> _Block:
        if self._block is None:
            raise NotAcceptable(
                f"`{word}` before any block: begin one with everyone, role NAME, group NAME, device NAME"
            )
        return self._block

    def _permission(self, words: list[Word]) -> None:
        block = self._open(words[0])
        self._count += 1
        if self._count > MOST_PERMISSIONS:
            raise NotAcceptable(f"more than {MOST_PERMISSIONS} permissions: use roles, groups and placeholders")
        record, warnings = permission(words, f"{self._name}:{self._number}")
        block.permissions.append(record)
        self.faults.extend(Fault(self._number, warning, True) for warning in warnings)

    def _quota(self, words: list[str]) -> None:
        block = self._open(QUOTA)
        if block.quota is not None:
            raise NotAcceptable("a block has one quota: put both bounds into one line")
        block.quota = quota(words)

    def _retained(self, words: list[Word]) -> None:
        if self._of_revoked is not None:
            raise NotAcceptable(f"`{OF_REVOKED}` stands twice in one policy")
        if len(words) != 1 or words[0] not in _OF_REVOKED:
            given = " ".join(words)
            raise NotAcceptable(f"`{OF_REVOKED} {given}`: {nearest(given, _OF_REVOKED)}")
        self._of_revoked = _OF_REVOKED[words[0]]


def parse(text: str, name: str = "policy", attributes: frozenset[str] | None = None) -> tuple[Document, list[Fault]]:
    """The policy, and its warnings. `name` is for the sources of its permissions (`office.policy:12`);
    `attributes`: the names of all attributes that some device has, None: not known.

    Errors: PolicyFaults with all that is wrong.
    """
    reader = _Reader(name)
    document = reader.read(text)
    faults = reader.faults
    if not any(not fault.warning for fault in faults):
        faults = faults + check_sense(document, attributes)
    faults.sort(key=lambda fault: fault.line)
    if any(not fault.warning for fault in faults):
        raise PolicyFaults(name, faults)
    return document, faults


def decode(octets: bytes, name: str = "policy") -> str:
    """The text of a policy file. Errors: PolicyFaults when it is too large or not UTF-8."""
    if len(octets) > LARGEST:
        raise PolicyFaults(name, [Fault(0, f"the file has {len(octets)} octets, and {LARGEST} are the most")])
    try:
        text = octets.decode()
    except UnicodeDecodeError as fault:
        line = octets.count(b"\n", 0, fault.start) + 1
        raise PolicyFaults(name, [Fault(line, "this line is not UTF-8 text: save the file as UTF-8")]) from None
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise PolicyFaults(name, [Fault(line, "this line holds a null character: is it a text file?")])
    return text


def without_lines(document: Document) -> Document:
    """The same policy, without what tells where it was written."""

    def bare(section: Section) -> Section:
        return Section(tuple(replace(each, source="") for each in section.permissions), section.quota)

    return Document(
        bare(document.everyone),
        {name: bare(section) for name, section in document.roles.items()},
        {name: bare(section) for name, section in document.groups.items()},
        {name: bare(section) for name, section in document.devices.items()},
        document.retained_of_revoked,
    )
