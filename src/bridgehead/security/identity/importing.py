"""Many devices at once: a CSV or JSON file is read and judged line by line, then all of it is put in, or nothing.

CSV: a heading line with any of the columns below; several values of a column are separated by `;`. JSON: a list of
objects with the same names, lists where there are several values.

    name          required
    roles, groups, client_ids, attributes (NAME=VALUE), publish, subscribe, quota, require
    credentials   what to make: password, certificate, psk, raw-key, oscore, otp, dds
    password_hash an Argon2id hash that is there already
    psk_identity, foreign (KIND:VALUE), token_subjects (ISS SUB), kerberos
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Final

from bridgehead.security.credentials import TokenSubject
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity import texts as identity_texts
from bridgehead.security.identity.wanted import Fresh, Wanted
from bridgehead.security.login.passwords import generate_password
from bridgehead.security.records import PermissionRecord, Requirement
from bridgehead.security.registry.registry import GROUP, ROLE, Registry

LARGEST: Final = 64 * 1024 * 1024  # octets of a file
MOST: Final = 200_000  # devices
FAULTS: Final = 50  # that are told

_LISTS: Final = (
    "roles",
    "groups",
    "client_ids",
    "attributes",
    "publish",
    "subscribe",
    "credentials",
    "foreign",
    "token_subjects",
    "kerberos",
)
_TEXTS: Final = ("name", "quota", "require", "password_hash", "psk_identity")
_COLUMNS: Final = frozenset((*_LISTS, *_TEXTS))
_MADE: Final = ("password", "certificate", "psk", "raw-key", "oscore", "otp", "dds")
_ARGON2ID: Final = re.compile(
    r"\$argon2id\$v=19\$m=[0-9]{1,7},t=[0-9]{1,2},p=[0-9]{1,2}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
_FORMULA: Final = ("=", "+", "-", "@")
_MEMORY_MOST: Final = 262_144  # KiB: a hash shall not make each log-in an attack on ourselves


class Row:
    """One device of the file. `line`: where it begins, from 1."""

    def __init__(self, line: int, wanted: Wanted) -> None:
        self.line: Final = line
        self.wanted: Final = wanted


class Fault:
    def __init__(self, line: int, because: str) -> None:
        self.line: Final = line
        self.because: Final = because

    def __str__(self) -> str:
        return f"line {self.line}: {self.because}"


class Faulty(NotAcceptable):
    """The file cannot be taken as it is. `faults`: all that were found, `FAULTS` at most; `more`: how many beyond."""

    def __init__(self, faults: list[Fault], more: int) -> None:
        rest = f" (and {more} more)" if more else ""
        super().__init__(
            "; ".join(map(str, faults[:1])) + (f" (and {len(faults) - 1 + more} more)" if faults[1:] else rest)
        )
        self.faults: Final = faults
        self.more: Final = more


class _Faults:
    def __init__(self) -> None:
        self.told: list[Fault] = []
        self.more = 0

    def add(self, line: int, because: str) -> None:
        if len(self.told) < FAULTS:
            self.told.append(Fault(line, because))
        else:
            self.more += 1

    def raise_any(self) -> None:
        if self.told:
            raise Faulty(sorted(self.told, key=_line_of), self.more)


def _line_of(fault: Fault) -> int:
    return fault.line


def read(
    text: str, is_json: bool, registry: Registry, new_password: Callable[[], str] = generate_password
) -> list[Row]:
    """The devices of the file, each as far as it can be judged before anything is made. Errors: Faulty."""
    faults = _Faults()
    rows: list[Row] = []
    first: dict[str, int] = {}
    known = _Known(registry)
    entries = _json(text, faults) if is_json else _csv(text, faults)
    for line, values in entries:
        if len(first) >= MOST:
            faults.add(line, f"there are more than {MOST} devices: import them in several files")
            break
        try:
            wanted = _wanted(values, new_password)
            wanted.check()
            known.check(wanted)
        except NotAcceptable as fault:
            faults.add(line, str(fault))
            name = values.get("name")
            if isinstance(name, str):
                first.setdefault(name, line)
            continue
        if wanted.name in first:
            faults.add(line, f"the device {wanted.name!r} is in line {first[wanted.name]} already")
            continue
        first[wanted.name] = line
        for kind, value in known.taken(wanted, line):
            faults.add(line, f"the {kind} {value!r} is in line {known.line_of(kind, value)} already")
        rows.append(Row(line, wanted))
    if not rows and not faults.told:
        faults.add(1, "there is no device in the file")
    faults.raise_any()
    return rows


class _Known:
    """What a row is judged against, read once."""

    def __init__(self, registry: Registry) -> None:
        self._registry: Final = registry
        self._devices: Final = set(registry.device_names())
        self._roles: Final = {each.name for each in registry.roles()}
        self._groups: Final = {each.name for each in registry.groups()}
        self._lines: dict[tuple[str, str], int] = {}

    def check(self, wanted: Wanted) -> None:
        """Errors: NotAcceptable."""
        if wanted.name in self._devices:
            raise NotAcceptable(f"there is a device {wanted.name!r} already: leave it out, or remove it first")
        self._each(wanted.roles, self._roles, ROLE)
        self._each(wanted.groups, self._groups, GROUP)
        for identity in _identities(wanted):
            found = self._registry.device_by_psk_identity(identity)
            if found is not None:
                raise NotAcceptable(
                    f"the pre-shared key identity {identity!r} belongs to the device {found.name!r} already"
                )
        for foreign in wanted.foreign_certificates:
            found = self._registry.device_by_foreign(foreign.kind, foreign.value)
            if found is not None:
                raise NotAcceptable(
                    f"the foreign certificate {foreign.value!r} belongs to the device {found.name!r} already"
                )
        for subject in wanted.token_subjects:
            found = self._registry.device_by_token_subject(subject.issuer, subject.subject)
            if found is not None:
                raise NotAcceptable(
                    f"the token subject {subject.subject!r} belongs to the device {found.name!r} already"
                )
        for principal in wanted.kerberos_principals:
            found = self._registry.device_by_kerberos(principal)
            if found is not None:
                raise NotAcceptable(
                    f"the Kerberos principal {principal!r} belongs to the device {found.name!r} already"
                )

    def _each(self, names: Iterable[str], known: Collection[str], kind: str) -> None:
        for name in names:
            if name not in known:
                raise NotAcceptable(f"there is no {kind} {name[:80]!r}{self._registry.nearest(kind, name)}")

    def taken(self, wanted: Wanted, line: int) -> list[tuple[str, str]]:
        """What of it an earlier line has already."""
        found: list[tuple[str, str]] = []
        given = [("pre-shared key identity", each) for each in _identities(wanted)]
        given += [("foreign certificate", f"{each.kind}:{each.value}") for each in wanted.foreign_certificates]
        given += [("token subject", f"{each.issuer} {each.subject}") for each in wanted.token_subjects]
        given += [("Kerberos principal", each) for each in wanted.kerberos_principals]
        for kind, value in given:
            if self._lines.setdefault((kind, value), line) != line:
                found.append((kind, value))
        return found

    def line_of(self, kind: str, value: str) -> int:
        return self._lines[kind, value]


def _identities(wanted: Wanted) -> list[str]:
    return [] if wanted.fresh.psk is None else [wanted.fresh.psk or wanted.name]


# One row. -------------------------------------------------------------------------------------------


def _wanted(values: Mapping[str, object], new_password: Callable[[], str]) -> Wanted:
    """Errors: NotAcceptable."""
    texts = {name: _text(values, name) for name in _TEXTS}
    lists = {name: _list(values, name) for name in _LISTS}
    make = lists["credentials"]
    for each in make:
        if each not in _MADE:
            # Not shown: somebody may have written a password there.
            raise NotAcceptable(f"credentials names what is to be made, and knows only {', '.join(_MADE)}")
    require = texts["require"] or "any"
    if require not in ("any", "password+certificate"):
        raise NotAcceptable(f"require is {require[:40]!r}: it is any or password+certificate")
    if texts["psk_identity"].startswith(_FORMULA):
        # It comes back in secrets.csv, which somebody opens.
        raise NotAcceptable(f"psk_identity is {texts['psk_identity'][:40]!r}: spreadsheets would take it for a formula")
    encoded = texts["password_hash"]
    if encoded:
        _check_hash(encoded)
        if "password" in make:
            raise NotAcceptable("a password cannot be made where password_hash gives one: leave one of them out")
    fresh = Fresh(
        password=new_password().encode() if "password" in make else None,
        encoded=encoded or None,
        certificate="certificate" in make,
        psk=texts["psk_identity"] if texts["psk_identity"] or "psk" in make else None,
        raw_key="raw-key" in make,
        oscore="oscore" in make,
        otp="otp" in make,
        dds="dds" in make,
    )
    both: Requirement = "password+certificate" if require != "any" else "any"
    return Wanted(
        texts["name"],
        _permissions(lists["publish"], lists["subscribe"]),
        lists["roles"],
        lists["client_ids"],
        both,
        fresh=fresh,
        groups=lists["groups"],
        attributes=identity_texts.attributes(lists["attributes"]),
        quota=identity_texts.quota(texts["quota"]) if texts["quota"] else None,
        foreign_certificates=[identity_texts.foreign(each) for each in lists["foreign"]],
        token_subjects=[_token_subject(each) for each in lists["token_subjects"]],
        kerberos_principals=lists["kerberos"],
    )


def _permissions(publish: list[str], subscribe: list[str]) -> list[PermissionRecord]:
    return [
        PermissionRecord(each, each in publish, each in subscribe) for each in dict.fromkeys([*publish, *subscribe])
    ]


def _token_subject(text: str) -> TokenSubject:
    issuer, _, subject = text.partition(" ")
    if not issuer or not subject:
        raise NotAcceptable(f"{text[:80]!r} is no token subject: write its issuer, a blank, and its subject")
    return TokenSubject(issuer, subject)


def _check_hash(encoded: str) -> None:
    """Errors: NotAcceptable."""
    found = _ARGON2ID.fullmatch(encoded)
    if found is None:
        raise NotAcceptable("password_hash is no Argon2id hash: it begins with $argon2id$v=19$m=")
    memory, passes = (
        int(encoded.partition(f"{name}=")[2].partition(end)[0]) for name, end in (("$m", ","), (",t", ","))
    )
    if not 8 <= memory <= _MEMORY_MOST or not 1 <= passes <= 20:
        raise NotAcceptable(f"password_hash takes {memory} KiB and {passes} passes: at most {_MEMORY_MOST} and 20 do")


def _text(values: Mapping[str, object], name: str) -> str:
    value = values.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotAcceptable(f"{name} is not a text")
    return value


def _list(values: Mapping[str, object], name: str) -> list[str]:
    value = values.get(name)
    if value is None:
        return []
    if isinstance(value, dict) and name == "attributes":
        value = [f"{key}={each}" for key, each in value.items()]
    if isinstance(value, str):
        value = [each.strip() for each in value.split(";") if each.strip()]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise NotAcceptable(f"{name} is not a list of texts")
    return [str(each) for each in value]


# Files. ---------------------------------------------------------------------------------------------


def _csv(text: str, faults: _Faults) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    heading: list[str] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                continue
            if not heading:
                heading = [cell.strip() for cell in cells]
                if not _check_heading(heading, begins, faults):
                    return
                continue
            if len(cells) != len(heading):
                faults.add(begins, f"there are {len(cells)} columns here and {len(heading)} in the heading")
                continue
            yield begins, {name: cell.strip() for name, cell in zip(heading, cells, strict=True)}
    except csv.Error as fault:
        faults.add(reader.line_num or line, f"this is not CSV: {fault}")


def _check_heading(heading: list[str], line: int, faults: _Faults) -> bool:
    right = True
    for name in heading:
        if name not in _COLUMNS:
            faults.add(line, f"{_unknown(heading.index(name), name)}: {', '.join(sorted(_COLUMNS))}")
            right = False
        elif heading.count(name) > 1:
            faults.add(line, f"the column {name!r} is there twice")
            return False
    if "name" not in heading:
        faults.add(line, "the first line names the columns, and there must be one called name")
        return False
    return right


def _unknown(index: int, name: str) -> str:
    """A file without a heading begins with a device, and perhaps its password: that is not shown."""
    near = difflib.get_close_matches(name, _COLUMNS, n=1)
    return f"there is no column {name!r}" if near else f"column {index + 1} has no heading that is known"


def _json(text: str, faults: _Faults) -> Iterator[tuple[int, dict[str, object]]]:
    """Element by element, so that each one's line is known."""
    decoder = json.JSONDecoder(object_pairs_hook=_once)
    at = _skip(text, 1 if text.startswith("\ufeff") else 0)
    if text[at : at + 1] != "[":
        faults.add(_line(text, at), "the file is no JSON list of devices: it begins with [")
        return
    at = _skip(text, at + 1)
    line, counted = 1, 0
    while text[at : at + 1] != "]":
        line += text.count("\n", counted, at)
        counted = at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as fault:
            faults.add(fault.lineno, f"this is not JSON: {fault.msg.lower()}")
            return
        except NotAcceptable as fault:
            faults.add(line, str(fault))
            return
        except RecursionError:
            faults.add(line, "this is nested too deeply")
            return
        if not isinstance(value, dict):
            faults.add(line, "this is no device: write an object with its name")
        elif unknown := [name for name in value if name not in _COLUMNS]:
            faults.add(line, f"there is no field {unknown[0][:40]!r}: {', '.join(sorted(_COLUMNS))}")
        else:
            yield line, value
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            faults.add(_line(text, at), "a comma or ] is missing here")
            return
    if text[at + 1 :].strip():
        faults.add(_line(text, at), "there is something after the list's end")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotAcceptable("a field is there twice")
    return found


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
