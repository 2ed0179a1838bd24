"""What comes of another broker's files: devices, roles and groups to be, and a report of what is not as it was.

Where something cannot be said here exactly, what is said permits less, and the report names the line. It never permits
more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from msgspec import Struct

from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.algebra import Span, span, witness
from bridgehead.security.policy.document import Document, Section
from bridgehead.security.policy.statement import check_filter
from bridgehead.security.records import Device, Group, PermissionRecord, Role, is_name

Level = Literal["left out", "narrower", "note"]


class Remark(Struct, frozen=True):
    """One line of the report; `line` counts from 1, 0: none."""

    file: str
    line: int
    level: Level
    text: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {self.level}: {self.text}"


class Account:
    """A user to become a device."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.encoded = ""
        self.enabled = True
        self.client_ids: tuple[str, ...] = ()
        self.roles: list[str] = []
        self.groups: list[str] = []
        self.permissions: list[PermissionRecord] = []


class Moving:
    """Filled by the readers of each file; `devices`, `roles` and `groups` are what came of it."""

    def __init__(self) -> None:
        self.remarks: Final[list[Remark]] = []
        self.accounts: Final[dict[str, Account]] = {}
        self.role_permissions: Final[dict[str, list[PermissionRecord]]] = {}
        self.group_names: Final[list[str]] = []

    def remark(self, file: str, line: int, level: Level, text: str) -> None:
        self.remarks.append(Remark(file, line, level, text))

    def account(self, name: str) -> Account:
        return self.accounts.setdefault(name, Account(name))

    def is_usable(self, name: str, what: str, file: str, line: int) -> bool:
        """Whether it can be a name here; the report has it when not."""
        if is_name(name):
            return True
        shown = repr(name[:80])
        self.remark(file, line, "left out", f"{shown} cannot be a {what}'s name: use the characters A-Z a-z 0-9 . _ -")
        return False

    def permission(
        self,
        topic_filter: str,
        publish: bool,
        subscribe: bool,
        allow: bool,
        file: str,
        line: int,
        placeholders: bool = False,
    ) -> list[PermissionRecord]:
        """One, or none and a remark. `placeholders`: those in the filter are meant; elsewhere `${` is itself, which no
        filter can say here. Errors: NotAcceptable for a denial that cannot be said here."""
        record = PermissionRecord(
            topic_filter, publish, subscribe, allow=allow, source=f"{file}:{line}" if line else file
        )
        try:
            check_filter(topic_filter)
            if not placeholders and "${" in topic_filter:
                raise NotAcceptable(f"the filter {topic_filter!r} has ${{ in it, which begins a placeholder here")
        except NotAcceptable as fault:
            if not allow and "${" in topic_filter:
                raise NotAcceptable(
                    f"{file}:{line}: the denial of {topic_filter!r} cannot be said here: {fault}"
                ) from None
            self.remark(file, line, "left out", str(fault))
            return []
        return [record]

    # What came of it. -------------------------------------------------------------------------------

    def finish(self, file: str) -> None:
        """Users without a password cannot become devices; what a denial voids is left out."""
        for name, account in list(self.accounts.items()):
            if not account.encoded:
                self.remark(file, 0, "left out", f"the user {name!r} has no password: enrol it with `device add`")
                del self.accounts[name]
            else:
                account.permissions = self._effective(account.permissions)
        for role, permissions in self.role_permissions.items():
            self.role_permissions[role] = self._effective(permissions)

    def _effective(self, permissions: Sequence[PermissionRecord]) -> list[PermissionRecord]:
        found: list[PermissionRecord] = []
        for each in dict.fromkeys(permissions):
            if not each.allow:
                found.append(each)
                continue
            publish = each.publish and not _is_void(each.topic_filter, permissions, True)
            subscribe = each.subscribe and not _is_void(each.topic_filter, permissions, False)
            if (publish, subscribe) != (each.publish, each.subscribe):
                file, _, line = each.source.rpartition(":")
                self.remark(file, int(line) if line.isdigit() else 0, "note", f"{each.topic_filter!r} is denied anyway")
            if publish or subscribe:
                found.append(PermissionRecord(each.topic_filter, publish, subscribe, source=each.source))
        return found

    def devices(self, now: float, any_client_id: bool) -> list[Device]:
        return [
            Device(
                account.name,
                now,
                enabled=account.enabled,
                roles=tuple(dict.fromkeys(account.roles)),
                password=PasswordRecord(account.encoded, now),
                client_ids=account.client_ids or (("*",) if any_client_id else ()),
                permissions=tuple(account.permissions),
                groups=tuple(dict.fromkeys(account.groups)),
            )
            for account in self.accounts.values()
        ]

    def roles(self, now: float) -> list[Role]:
        return [Role(name, now, tuple(permissions)) for name, permissions in self.role_permissions.items()]

    def groups(self, now: float) -> list[Group]:
        return [Group(name, now) for name in dict.fromkeys(self.group_names)]

    def document(self) -> Document:
        """Its permissions as a policy."""
        return Document(
            roles={name: Section(tuple(each)) for name, each in self.role_permissions.items()},
            groups={name: Section() for name in self.group_names},
            devices={
                name: Section(tuple(each.permissions)) for name, each in self.accounts.items() if each.permissions
            },
        )


def lines_of(text: str) -> list[str]:
    """The lines of a file as Mosquitto reads them: a line feed ends one, and no other character does."""
    return [line.removesuffix("\r") for line in text.split("\n")]


def any_name(topic_filter: str, is_name: Callable[[str], bool], file: str, line: int) -> str:
    """The filter of a denial, wide enough for whichever names stand in its levels for which `is_name` holds. Errors:
    NotAcceptable where no filter is."""
    levels = topic_filter.split("/")
    if levels[0].startswith("$") and is_name(levels[0]):
        raise NotAcceptable(
            f"{file}{f':{line}' if line else ''}: the denial of {topic_filter!r} cannot be said here: no "
            "wildcard stands for names that begin with $; name each of them"
        )
    return "/".join("+" if is_name(level) else level for level in levels)


def _is_void(topic_filter: str, permissions: Sequence[PermissionRecord], publish: bool) -> bool:
    denied: list[Span] = [
        span(each.topic_filter)
        for each in permissions
        if not each.allow and (each.publish if publish else each.subscribe)
    ]
    return bool(denied) and witness(span(topic_filter), denied) is None
