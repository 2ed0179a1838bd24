"""The configuration of Mosquitto's dynamic security plug-in.

There the first match decides: by priority, a client's own roles before those of its groups. Here a denial overrides.
So what is allowed above a denial that overlaps it becomes less, and is remarked. To receive takes two rights there, to
subscribe and to receive; here it is one, given for what both allow.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.login import mosquitto_hash
from bridgehead.security.policy.algebra import intersection, overlaps, span
from bridgehead.security.policy.mosquitto import PATTERNS
from bridgehead.security.policy.moving import Moving, any_name
from bridgehead.security.records import PermissionRecord

DEFAULTS: Final = "mosquitto-defaults"  # the role that has what is allowed by default
SEND: Final = "publishClientSend"
RECEIVE: Final = "publishClientReceive"
SUBSCRIBE: Final = ("subscribeLiteral", "subscribePattern")
UNSUBSCRIBE: Final = ("unsubscribeLiteral", "unsubscribePattern")


class _Acl(msgspec.Struct):
    acltype: str
    topic: str = ""
    priority: int = 0
    allow: bool = False


class _Role(msgspec.Struct):
    rolename: str
    acls: list[_Acl] = []


class _RoleOf(msgspec.Struct):
    rolename: str
    priority: int = 0


class _GroupOf(msgspec.Struct):
    groupname: str
    priority: int = 0


class _ClientOf(msgspec.Struct):
    username: str


class _Group(msgspec.Struct):
    groupname: str
    roles: list[_RoleOf] = []
    clients: list[_ClientOf] = []


class _Client(msgspec.Struct):
    username: str
    clientid: str = ""
    password: str = ""
    salt: str = ""
    iterations: int = 0
    roles: list[_RoleOf] = []
    groups: list[_GroupOf] = []
    disabled: bool = False


class _Defaults(msgspec.Struct):
    publishClientSend: bool = False
    publishClientReceive: bool = True
    subscribe: bool = False
    unsubscribe: bool = True


class _File(msgspec.Struct):
    defaultACLAccess: _Defaults = msgspec.field(default_factory=_Defaults)
    clients: list[_Client] = []
    groups: list[_Group] = []
    roles: list[_Role] = []
    anonymousGroup: Any = None


def read_dynamic_security(moving: Moving, octets: bytes, file: str) -> None:
    """Takes the file over; all that it cannot is remarked. Errors: NotAcceptable."""
    try:
        content = msgspec.json.decode(octets, type=_File)
    except msgspec.MsgspecError as fault:
        raise NotAcceptable(f"{file} is no configuration of dynamic security: {fault}") from None
    if content.anonymousGroup:
        moving.remark(file, 0, "left out", "the group of clients without a name: nobody connects so here")
    defaults = content.defaultACLAccess
    if defaults.publishClientSend or defaults.subscribe:
        moving.role_permissions[DEFAULTS] = [
            PermissionRecord("#", defaults.publishClientSend, defaults.subscribe, source=file)
        ]
        moving.remark(file, 0, "narrower", "what is allowed by default is allowed by #, which leaves topics with $ out")
    if defaults.subscribe and not defaults.publishClientReceive:
        moving.role_permissions.pop(DEFAULTS)
        if defaults.publishClientSend:
            moving.role_permissions[DEFAULTS] = [PermissionRecord("#", True, False, source=file)]
        moving.remark(file, 0, "narrower", "to receive is denied by default: nothing may be subscribed to by default")
    acls: dict[str, list[_Acl]] = {}
    for role in content.roles:
        if role.rolename in (DEFAULTS, PATTERNS):
            raise NotAcceptable(
                f"{file}: the role {role.rolename!r} has a name that is given to all here: rename it there"
            )
        if moving.is_usable(role.rolename, "role", file, 0):
            acls[role.rolename] = role.acls
            moving.role_permissions[role.rolename] = _role(moving, role, defaults, file)
    _clients(moving, content, acls, file)


def _role(moving: Moving, role: _Role, defaults: _Defaults, file: str) -> list[PermissionRecord]:
    found: list[PermissionRecord] = []
    where = f"role {role.rolename}"
    receivable = [acl.topic for acl in role.acls if acl.acltype == RECEIVE and acl.allow]
    for acl in role.acls:
        shown = f"{where}: {acl.acltype} {acl.topic!r}"
        if acl.acltype in UNSUBSCRIBE:
            moving.remark(file, 0, "note", f"{shown}: everybody may unsubscribe")
            continue
        if acl.acltype not in (SEND, RECEIVE, *SUBSCRIBE):
            moving.remark(file, 0, "left out", f"{shown}: this type is not known")
            continue
        if "%c" in acl.topic or "%u" in acl.topic:
            if acl.allow:
                moving.remark(file, 0, "left out", f"{shown}: whether % stands for a name depends on the version")
                continue
            wide = any_name(acl.topic, lambda level: "%" in level, file, 0)
            moving.remark(file, 0, "narrower", f"{shown}: {wide!r} is denied")
            found += moving.permission(wide, acl.acltype == SEND, acl.acltype != SEND, False, file, 0)
            continue
        if not acl.allow:
            found += moving.permission(acl.topic, acl.acltype == SEND, acl.acltype != SEND, False, file, 0)
            if acl.acltype in SUBSCRIBE:
                moving.remark(file, 0, "narrower", f"{shown}: not delivered by a wider subscription either")
        elif acl.acltype == SEND:
            found += moving.permission(acl.topic, True, False, True, file, 0)
        elif acl.acltype in SUBSCRIBE:
            if acl.acltype == SUBSCRIBE[0]:
                moving.remark(file, 0, "note", f"{shown}: to parts of it may be subscribed too, for the same messages")
            found += _subscription(moving, acl.topic, receivable, defaults, shown, file)
    _remark_order(moving, role, where, file)
    return found


def _subscription(
    moving: Moving, topic: str, receivable: list[str], defaults: _Defaults, shown: str, file: str
) -> list[PermissionRecord]:
    """For what may be received as well."""
    if defaults.publishClientReceive:
        return moving.permission(topic, False, True, True, file, 0)
    found: list[PermissionRecord] = []
    made = moving.permission(topic, False, True, True, file, 0)
    for other in receivable if made else []:
        if moving.permission(other, False, True, True, file, 0):
            met = intersection(span(topic), span(other))
            if met is not None:
                found += moving.permission(str(met), False, True, True, file, 0)
    if [each.topic_filter for each in found] != [topic]:
        moving.remark(file, 0, "narrower", f"{shown}: only to what the same role allows to receive")
    return found


def _remark_order(moving: Moving, role: _Role, where: str, file: str) -> None:
    """Remarks what is allowed above a denial."""
    for acl in role.acls:
        for other in role.acls:
            if (
                acl.allow
                and not other.allow
                and (acl.acltype == SEND) == (other.acltype == SEND)
                and acl.acltype not in UNSUBSCRIBE
                and other.acltype not in UNSUBSCRIBE
                and other.priority <= acl.priority
                and overlaps(span(acl.topic), span(other.topic))
            ):
                text = (
                    f"{where}: {acl.topic!r} is allowed above the denial of {other.topic!r}: here the denial overrides"
                )
                moving.remark(file, 0, "narrower", text)


def _clients(moving: Moving, content: _File, acls: dict[str, list[_Acl]], file: str) -> None:
    roles_of_group: dict[str, list[str]] = {}
    members: dict[str, list[str]] = {}
    for group in content.groups:
        if moving.is_usable(group.groupname, "group", file, 0):
            moving.group_names.append(group.groupname)
        roles_of_group[group.groupname] = [each.rolename for each in group.roles]
        for member in group.clients:
            members.setdefault(member.username, []).append(group.groupname)
    told: set[tuple[str, ...]] = set()
    for client in content.clients:
        if not moving.is_usable(client.username, "device", file, 0):
            continue
        if client.clientid.endswith("*"):
            text = f"the user {client.username!r} has the client identifier {client.clientid!r}: here * stands for any"
            moving.remark(file, 0, "left out", text)
            continue
        account = moving.account(client.username)
        account.enabled = not client.disabled
        if client.clientid:
            account.client_ids = (client.clientid,)
        if client.password:
            encoded = mosquitto_hash.encode(client.iterations, client.salt, client.password)
            if mosquitto_hash.is_readable(encoded):
                account.encoded = encoded
            else:
                moving.remark(file, 0, "left out", f"the hash of {client.username!r} cannot be read")
        groups = [each.groupname for each in client.groups] + members.get(client.username, [])
        account.groups += [group for group in groups if group in moving.group_names]
        names = [each.rolename for each in client.roles]
        names += [role for group in groups for role in roles_of_group.get(group, ())]
        held = [role for role in dict.fromkeys(names) if role in acls]
        missing = [role for role in dict.fromkeys(names) if role not in acls]
        if any(
            not acl.allow for role in missing for each in content.roles if each.rolename == role for acl in each.acls
        ):
            # A role that denies, and cannot be here: who has it would be allowed more.
            moving.remark(file, 0, "left out", f"the user {client.username!r} has a denying role that cannot be here")
            del moving.accounts[client.username]
            continue
        account.roles += held
        if DEFAULTS in moving.role_permissions:
            account.roles.append(DEFAULTS)
        together = tuple(sorted(held))
        if together not in told and len(held) > 1 and any(not acl.allow for role in held for acl in acls[role]):
            told.add(together)
            shown = ", ".join(together)
            moving.remark(
                file, 0, "narrower", f"who has the roles {shown}: each denial overrides what the others allow"
            )
