"""`bridgehead device set`: what a record says beside its credentials, changed in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from bridgehead.cli.device_credentials import Foreign, Kerberos, TokenSubjects, foreign_certificates, token_subjects
from bridgehead.cli.device_options import (
    Data,
    DenyPublish,
    DenySubscribe,
    Json,
    MaxQos,
    Name,
    NoRetain,
    Publish,
    Subscribe,
    permissions,
)
from bridgehead.cli.identity_at import open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.records import Device

_List = list[str] | None
_Value = TypeVar("_Value")


def change(
    name: Name,
    data: Data,
    role: Annotated[_List, typer.Option("--role", metavar="ROLE", help="Give it this role.")] = None,
    no_role: Annotated[_List, typer.Option("--no-role", metavar="ROLE", help="Take this role from it.")] = None,
    group: Annotated[_List, typer.Option("--group", metavar="GROUP", help="Put it into this group.")] = None,
    no_group: Annotated[_List, typer.Option("--no-group", metavar="GROUP", help="Take it out of this group.")] = None,
    attribute: Annotated[_List, typer.Option("--attribute", metavar="NAME=VALUE", help="Set an attribute.")] = None,
    no_attribute: Annotated[_List, typer.Option("--no-attribute", metavar="NAME", help="Drop an attribute.")] = None,
    client_id: Annotated[
        _List, typer.Option("--client-id", metavar="PATTERN", help="These instead of those that it had.")
    ] = None,
    default_client_ids: Annotated[
        bool, typer.Option("--default-client-ids", help="NAME and NAME-* instead of those that it had.")
    ] = False,
    publish: Publish = None,
    subscribe: Subscribe = None,
    deny_publish: DenyPublish = None,
    deny_subscribe: DenySubscribe = None,
    max_qos: MaxQos = 2,
    no_retain: NoRetain = False,
    no_permission: Annotated[
        _List, typer.Option("--no-permission", metavar="FILTER", help="Drop its own permissions for this filter.")
    ] = None,
    quota: Annotated[
        str | None, typer.Option("--quota", metavar="TEXT", help='At most, in all: "100 messages/s 64 KiB/s".')
    ] = None,
    no_quota: Annotated[bool, typer.Option("--no-quota", help="No quota of its own.")] = False,
    require: Annotated[
        str | None, typer.Option("--require", metavar="any|password+certificate", help="What it must prove itself by.")
    ] = None,
    foreign_certificate: Foreign = None,
    no_foreign_certificate: Annotated[
        _List, typer.Option("--no-foreign-certificate", metavar="KIND:VALUE", help="Take it off the record.")
    ] = None,
    token_subject: TokenSubjects = None,
    no_token_subject: Annotated[
        _List, typer.Option("--no-token-subject", metavar="ISS SUB", help="Take it off the record.")
    ] = None,
    kerberos: Kerberos = None,
    no_kerberos: Annotated[
        _List, typer.Option("--no-kerberos", metavar="NAME@REALM", help="Take it off the record.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change a device: roles, groups, attributes, permissions of its own, names that others prove it by."""
    granted = permissions(publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain)
    if client_id and default_client_ids:
        raise CommandError("--client-id and --default-client-ids exclude each other: give one of them", USAGE)
    if quota is not None and no_quota:
        raise CommandError("--quota and --no-quota exclude each other: give one of them", USAGE)
    if require not in (None, "any", "password+certificate"):
        raise CommandError(f"--require {require} is not known: any or password+certificate", USAGE)

    from msgspec.structs import replace

    from bridgehead.cli.device_show import device_lines, device_value, print_json
    from bridgehead.security.identity import texts as identity_texts
    from bridgehead.security.identity.wanted import check_kerberos

    with sentences():
        foreign_given = foreign_certificates(foreign_certificate)
        foreign_gone = [identity_texts.foreign(each) for each in no_foreign_certificate or ()]
        tokens_given, tokens_gone = token_subjects(token_subject), token_subjects(no_token_subject)
        attributes = identity_texts.attributes(attribute or ())
        new_quota = None if quota is None else identity_texts.quota(quota)
        for principal in kerberos or ():
            check_kerberos(principal)

    def changed(device: Device) -> Device:
        kept = [each for each in device.permissions if each.topic_filter not in (no_permission or ())]
        values = {each: value for each, value in device.attributes.items() if each not in (no_attribute or ())}
        new = replace(
            device,
            roles=_changed(device.roles, role, no_role, "role"),
            groups=_changed(device.groups, group, no_group, "group"),
            attributes={**values, **attributes},
            permissions=tuple(dict.fromkeys([*kept, *granted])),
            foreign_certificates=_changed(
                device.foreign_certificates, foreign_given, foreign_gone, "foreign certificate"
            ),
            token_subjects=_changed(device.token_subjects, tokens_given, tokens_gone, "token subject"),
            kerberos_principals=_changed(device.kerberos_principals, kerberos, no_kerberos, "Kerberos principal"),
        )
        if client_id or default_client_ids:
            new = replace(new, client_ids=tuple(dict.fromkeys(client_id or ())))
        if new_quota is not None or no_quota:
            new = replace(new, quota=new_quota)
        if require == "any":
            new = replace(new, require="any")
        elif require is not None:
            new = replace(new, require="password+certificate")
        return new

    with open_identity(data) as identity:
        device = identity.change(name, changed)
        effective = identity.registry.permissions_of(device)
        if as_json:
            print_json(device_value(device, effective))
        else:
            print("\n".join(device_lines(device, effective)))


def _changed(
    present: tuple[_Value, ...], given: list[_Value] | None, gone: list[_Value] | None, kind: str
) -> tuple[_Value, ...]:
    """Errors: NotAcceptable for what is to be taken away and is not there."""
    from bridgehead.security.errors import NotAcceptable

    for each in gone or ():
        if each not in present:
            named = f" {each!r}" if isinstance(each, str) else " of that name"
            raise NotAcceptable(f"the device has no {kind}{named} to take away: `device show` says what it has")
    kept = [each for each in present if each not in (gone or ())]
    return tuple(dict.fromkeys([*kept, *(given or ())]))
