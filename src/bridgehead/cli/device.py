"""`bridgehead device`: who may connect, with which credentials, and do what."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

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
    identities,
    note,
    permissions,
    read_password,
    sentences,
)
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.cli.device_bundle import Bundle
    from bridgehead.security.identity import Enrolled, Identity, Wanted
    from bridgehead.security.records import Device

MQTT_OVER_TLS: Final = 8883

PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file", metavar="FILE|-", help="File with the password as its one line; - reads standard input."
    ),
]
GeneratePassword = Annotated[
    bool, typer.Option("--generate-password", help="Make a password; it is shown once, or written to --out.")
]
IssueCertificate = Annotated[
    bool, typer.Option("--certificate", help="Issue a certificate and key; needs --out to write them to.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FOLDER", help="New folder for what the device needs. Alone it means --certificate too."
    ),
]
Roles = Annotated[list[str] | None, typer.Option("--role", metavar="ROLE", help="A role that it has.")]
ClientIds = Annotated[
    list[str] | None,
    typer.Option(
        "--client-id",
        metavar="PATTERN",
        help="Client identifier that it may use, * at the end; default NAME and NAME-*.",
    ),
]
RequireBoth = Annotated[bool, typer.Option("--require-both", help="Password and certificate, not one of them.")]
Host = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="The hub, in the snippets; default this machine's name.")
]
Port = Annotated[int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Its port, in the snippets.")]


def register(app: typer.Typer) -> None:
    devices = typer.Typer(help="Devices: who may connect, with which credentials, and do what.", no_args_is_help=True)
    devices.command("add")(add)
    devices.command("list")(list_devices)
    devices.command("show")(show)
    devices.command("remove")(remove)
    app.add_typer(devices, name="device")


def add(
    name: Name,
    data: Data,
    publish: Publish = None,
    subscribe: Subscribe = None,
    deny_publish: DenyPublish = None,
    deny_subscribe: DenySubscribe = None,
    max_qos: MaxQos = 2,
    no_retain: NoRetain = False,
    role: Roles = None,
    client_id: ClientIds = None,
    password_file: PasswordFile = None,
    generate_password: GeneratePassword = False,
    certificate: IssueCertificate = False,
    require_both: RequireBoth = False,
    out: Out = None,
    host: Host = None,
    port: Port = MQTT_OVER_TLS,
    as_json: Json = False,
) -> None:
    """Enrol a device. A running hub knows it within a second."""
    granted = permissions(publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain)
    _check_choice(password_file, generate_password, certificate, require_both, out)

    from bridgehead.cli.device_bundle import Bundle
    from bridgehead.security.identity import Wanted
    from bridgehead.security.machine import parse_host
    from bridgehead.security.passwords import generate_password as new_password

    password: bytes | None = None
    with sentences():  # before anything is made
        dialled = str(parse_host(host)) if host is not None else socket.gethostname()
        bundle = None if out is None else Bundle(out, dialled, port)
        if generate_password:
            password = new_password().encode()
        elif password_file is not None:
            password = read_password(password_file)
        wanted = Wanted(
            name,
            granted,
            role or (),
            client_id or (),
            "password+certificate" if require_both else "any",
            password,
            certificate or (password is None and out is not None),
        )
        wanted.check()
    with identities(data, make=True) as identity:
        enrolled, files = _enrol(identity, wanted, bundle)
        shown = password.decode() if generate_password and password is not None and bundle is None else None
        _report(enrolled, bundle, files, shown, as_json)
        if bundle is not None and host is not None:
            _check_host(identity, dialled)


def _check_choice(
    password_file: str | None, generate_password: bool, certificate: bool, require_both: bool, out: Path | None
) -> None:
    has_password = password_file is not None or generate_password
    if password_file is not None and generate_password:
        raise CommandError("--password-file and --generate-password exclude each other: give one of them", USAGE)
    if certificate and out is None:
        raise CommandError("--certificate makes a private key: say with --out FOLDER where to write it", USAGE)
    if not has_password and out is None:
        raise CommandError(
            "say how the device proves who it is: --certificate --out FOLDER (best), "
            "--generate-password, or --password-file FILE",
            USAGE,
        )
    if require_both and not (has_password and certificate):
        raise CommandError(
            "--require-both needs both: --certificate, and --generate-password or --password-file FILE", USAGE
        )


def _enrol(identity: Identity, wanted: Wanted, bundle: Bundle | None) -> tuple[Enrolled, list[str]]:
    """The record and the bundle, or neither."""
    files: list[str] = []
    try:
        with identity.enrolling(wanted) as enrolled:
            if bundle is not None:
                files = bundle.write(enrolled)
        return enrolled, files
    except BaseException:
        if bundle is not None:
            bundle.discard()
        raise


def _report(enrolled: Enrolled, bundle: Bundle | None, files: list[str], password: str | None, as_json: bool) -> None:
    from bridgehead.cli.device_show import device_lines, device_value, print_json

    device = enrolled.device
    if as_json:
        value = device_value(device, enrolled.permissions)
        value["out"] = None if bundle is None else str(bundle.folder)
        value["files"] = files
        if password is not None:
            value["generated_password"] = password
        print_json(value)
    else:
        print("\n".join(device_lines(device, enrolled.permissions)))
        if bundle is not None:
            print(f"written to   {bundle.folder}: {' '.join(files)}")
        if password is not None:
            print(f"password     {password}   (shown only now)")
    if not any(each.allow for each in enrolled.permissions):
        note(f"{device.name} may connect and do nothing: give it --publish, --subscribe or --role")


def _check_host(identity: Identity, host: str) -> None:
    """Clients refuse a hub whose certificate does not stand for the name that they dial."""
    from bridgehead.security.machine import machine_names
    from bridgehead.security.pki import wanted_hosts

    # Before its first start the hub has no certificate yet: then what it would be made for.
    known = identity.pki.server_hosts() or wanted_hosts((), machine_names(), ())
    if host not in map(str, known):
        note(
            f'the hub\'s certificate does not stand for {host}: put names = ["{host}"] under [tls] in its configuration'
        )


def list_devices(data: Data, as_json: Json = False) -> None:
    """All devices, by name."""
    from bridgehead.cli.device_show import credentials, device_value, print_json, print_table

    with identities(data, make=False) as identity:
        devices = identity.registry.devices()
        if as_json:
            print_json([device_value(each, identity.registry.permissions_of(each)) for each in devices])
            return
        rows = [
            (each.name, "enabled" if each.enabled else "disabled", credentials(each), " ".join(each.roles) or "-")
            for each in devices
        ]
        print_table(f"{len(devices)} devices", ("name", "state", "credentials", "roles"), rows)


def show(name: Name, data: Data, as_json: Json = False) -> None:
    """One device: credentials, client identifiers, permissions."""
    from bridgehead.cli.device_show import device_lines, device_value, print_json

    with identities(data, make=False) as identity:
        device: Device = identity.registry.existing_device(name)
        effective = identity.registry.permissions_of(device)
        if as_json:
            print_json(device_value(device, effective))
        else:
            print("\n".join(device_lines(device, effective)))


def remove(name: Name, data: Data, as_json: Json = False) -> None:
    """Remove a device and revoke its certificates. A running hub closes its connections within a second."""
    from bridgehead.cli.device_show import print_json

    with identities(data, make=False) as identity:
        device = identity.remove_device(name)
        revoked = [each.fingerprint for each in device.certificates]
        if as_json:
            print_json({"removed": device.name, "revoked": revoked})
        else:
            print(f"removed {device.name}" + (f", revoked {len(revoked)} certificate(s)" if revoked else ""))
