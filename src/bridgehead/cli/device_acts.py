"""`bridgehead device list|revoke|enable|disable|remove|invite|unlock`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from bridgehead.cli.device_options import Data, Json, Name
from bridgehead.cli.identity_at import open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.records import Device


def list_devices(
    data: Data,
    role: Annotated[str | None, typer.Option("--role", metavar="ROLE", help="Only those that have it.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="GROUP", help="Only those that belong to it.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those: enabled, disabled or revoked.")
    ] = None,
    expiring: Annotated[
        str | None,
        typer.Option("--expiring", metavar="TIME", help="Only those with a certificate that ends within 30d, say."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Devices, by name; all, or those that the options name."""
    from bridgehead.cli.device_show import Effective, credentials, device_value, print_json, print_table, state_of
    from bridgehead.security.identity import texts as identity_texts

    if state not in (None, "enabled", "disabled", "revoked"):
        raise CommandError(f"--state {state} is no state: enabled, disabled or revoked", USAGE)
    with sentences():
        within = None if expiring is None else identity_texts.duration(expiring)
    with open_identity(data) as identity:
        if role is not None:
            identity.registry.existing_role(role)
        if group is not None:
            identity.registry.existing_group(group)
        until = None if within is None else identity.now() + within
        devices = [
            each
            for each in identity.registry.each_device()
            if (role is None or role in each.roles)
            and (group is None or group in each.groups)
            and (state is None or state_of(each) == state)
            and (until is None or _ends_by(each, until))
        ]
        if as_json:
            effective = Effective(identity.registry)
            print_json([device_value(each, effective.of(each)) for each in devices])
            return
        rows = [
            (each.name, state_of(each), credentials(each), " ".join(each.roles) or "-", " ".join(each.groups) or "-")
            for each in devices
        ]
        print_table(f"{len(devices)} devices", ("name", "state", "credentials", "roles", "groups"), rows)


def show(name: Name, data: Data, as_json: Json = False) -> None:
    """One device: credentials, client identifiers, permissions. Never a secret."""
    from bridgehead.cli.device_show import device_lines, device_value, print_json

    with open_identity(data) as identity:
        device = identity.registry.existing_device(name)
        effective = identity.registry.permissions_of(device)
        if as_json:
            print_json(device_value(device, effective))
        else:
            print("\n".join(device_lines(device, effective)))


def _ends_by(device: Device, until: float) -> bool:
    """Its newest certificate ends by then: older ones are on their way out in any case."""
    ends = [min(each.not_after, each.until or each.not_after) for each in device.certificates]
    return bool(ends) and max(ends) <= until


def revoke(name: Name, data: Data, as_json: Json = False) -> None:
    """Take back all credentials at once; the record stays. A running hub closes its connections at once."""
    from bridgehead.cli.device_show import print_json

    with open_identity(data) as identity:
        old = identity.revoke(name)
        revoked = [each.fingerprint for each in old.certificates]
        if as_json:
            print_json({"revoked": old.name, "certificates": revoked})
        else:
            print(f"revoked {old.name}" + (f" and {len(revoked)} certificate(s)" if revoked else ""))


def enable(name: Name, data: Data, as_json: Json = False) -> None:
    """Let a disabled device connect again."""
    with open_identity(data) as identity:
        identity.enable(name)
        _say("enabled", name, as_json)


def disable(name: Name, data: Data, as_json: Json = False) -> None:
    """Keep a device out for a while: its connections end, its credentials and sessions stay."""
    with open_identity(data) as identity:
        identity.disable(name)
        _say("disabled", name, as_json)


def remove(name: Name, data: Data, as_json: Json = False) -> None:
    """Remove a device and revoke its certificates. A running hub closes its connections within a second."""
    from bridgehead.cli.device_show import print_json

    with open_identity(data) as identity:
        device = identity.remove_device(name)
        revoked = [each.fingerprint for each in device.certificates]
        if as_json:
            print_json({"removed": device.name, "revoked": revoked})
        else:
            print(f"removed {device.name}" + (f", revoked {len(revoked)} certificate(s)" if revoked else ""))


def invite(
    name: Name,
    data: Data,
    life: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long it may be used: 15m, 1h, at most 7d.")
    ] = "15m",
    as_json: Json = False,
) -> None:
    """Print a token by which the device enrols itself, once. A new one voids the one before."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.security.identity import texts as identity_texts

    with sentences():
        seconds = identity_texts.duration(life)
    with open_identity(data) as identity:
        invitation = identity.invite(name, seconds)
        until = datetime.fromtimestamp(invitation.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if as_json:
            print_json({"device": name, "invitation": invitation.token, "expires": until})
        else:
            print(f"invitation   {invitation.token}   (counts once, until {until}; shown only now)")


def unlock(
    data: Data,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", show_default=False)] = None,
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="Only lock-outs at this address; alone: of all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Lift lock-outs after too many wrong tries. A running hub follows within a second."""
    from bridgehead.cli.device_show import print_json

    if name is None and address is None:
        raise CommandError("say what to unlock: NAME, --address ADDRESS, or both", USAGE)
    with open_identity(data) as identity:
        lifted = identity.unlock(name, address)
        if as_json:
            print_json([{"device": each, "address": at} for each, at in lifted])
        elif lifted:
            print("\n".join(f"unlocked {each} at {at}" for each, at in lifted))
        else:
            print("nothing was locked out" + (f" of {name}" if name else "") + (f" at {address}" if address else ""))


def _say(done: str, name: str, as_json: bool) -> None:
    from bridgehead.cli.device_show import print_json

    if as_json:
        print_json({done: name})
    else:
        print(f"{done} {name}")
