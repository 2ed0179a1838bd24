"""`bridgehead dds permissions`: a device's permissions in DDS, signed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridgehead.cli.device_export import Configuration, duration, routing_of
from bridgehead.cli.device_options import Data, Json, Name
from bridgehead.cli.identity_at import act_at
from bridgehead.cli.main import USAGE, CommandError


def permissions(
    name: Name,
    data: Data,
    config: Configuration = None,
    valid: Annotated[str, typer.Option("--valid", metavar="TIME", help="For how long: 30m, 12h, 7d.")] = "24h",
    ros2: Annotated[bool, typer.Option("--ros2", help="For a ROS 2 node, by ROS 2's names of topics.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="The device's bundle or enclave, whose documents are replaced; default NAME-dds.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign what the device may do in DDS now, for a short time, and what is revoked; its identity stays.

    Writes permissions.p7s, permissions.xml, crl.pem and governance.p7s. A participant reads them when it starts.
    """
    life = duration(valid, "--valid")
    if not life:
        raise CommandError("--valid 0 is no time: write 30m, 12h or 7d", USAGE)
    routes = routing_of(config, data)
    folder = Path(f"{name}-dds") if out is None else out
    if not (folder / "cert.pem").is_file():
        raise CommandError(
            f"there is no bundle in {folder}: name it by --out (`device export --for dds` writes one)", USAGE
        )

    from bridgehead.security import files
    from bridgehead.security.dds import names
    from bridgehead.security.dds.grants import grants
    from bridgehead.security.errors import NotAcceptable
    from bridgehead.security.events import DDS_SIGNED
    from bridgehead.security.export import ros2 as keystore
    from bridgehead.security.export.gather import permissions_of
    from bridgehead.security.export.participant import documents_of
    from bridgehead.security.export.terms import bindings_of
    from bridgehead.security.pki.authority import date
    from bridgehead.security.pki.certificates import common_name, read_certificate

    with act_at(data, "dds-permissions", principal=name) as identity:
        holder = read_certificate(files.read(folder / "cert.pem"), str(folder / "cert.pem")).subject
        if holder != common_name(name):
            raise NotAcceptable(
                f"{folder} is the bundle of {holder.rfc4514_string().removeprefix('CN=')}: name another"
            )
        device = identity.registry.existing_device(name)
        held = permissions_of(identity.registry, device)
        granted = grants(held, bindings_of(device), names.ros if ros2 else names.plain, routes)
        if ros2:
            granted.rules[:0] = keystore.own_rules(name)
        made = documents_of(device, granted, identity, routes, identity.now(), life)
        identity.audit(DDS_SIGNED, {"principal": name, "what": "permissions", "expires": made.not_after})
        contents = {**made.files, "permissions.xml": made.permissions}
        for file, content in contents.items():
            files.write_whole(folder / file, content)
    if as_json:
        from bridgehead.cli.device_show import print_json

        print_json({"name": name, "out": str(folder), "files": sorted(contents), "not_after": made.not_after})
        return
    print(f"written to   {folder}: {' '.join(sorted(contents))}, good until {date(made.not_after)}")
