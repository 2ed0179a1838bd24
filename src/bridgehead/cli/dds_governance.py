"""`bridgehead dds governance`: the signed governance document of DDS domains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridgehead.cli.device_export import Configuration, routing_of
from bridgehead.cli.device_options import Data, Json
from bridgehead.cli.identity_at import act_at
from bridgehead.cli.main import USAGE, CommandError

ENCRYPT = "encrypt"
SIGN = "sign"


def governance(
    data: Data,
    config: Configuration = None,
    domain: Annotated[
        int | None, typer.Option("--domain", metavar="N", min=0, max=230, help="Where --metadata holds; default all.")
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            "--metadata",
            metavar="encrypt|sign",
            help="How submessages are protected; default as configured, else encrypt.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where it is written to; replaced when it is there.")
    ] = Path("governance.p7s"),
    as_json: Json = False,
) -> None:
    """Write the governance that all participants of the hub's domains have to share, signed by the leaf signer.

    Discovery, liveliness and data are encrypted in it, and nobody takes part unauthenticated.
    """
    if metadata not in (None, ENCRYPT, SIGN):
        raise CommandError(f"--metadata {metadata} is not known: say encrypt or sign", USAGE)
    if domain is not None and metadata is None:
        raise CommandError("--domain says where --metadata holds: add --metadata encrypt or sign", USAGE)
    kinds = dict(routing_of(config, data).metadata)
    usual = ENCRYPT
    if metadata is not None:
        if domain is None:
            kinds, usual = {}, metadata
        else:
            kinds[domain] = metadata

    from bridgehead.security import files
    from bridgehead.security.dds.authority import DdsAuthority
    from bridgehead.security.dds.documents import governance as document
    from bridgehead.security.events import DDS_SIGNED

    with act_at(data, "dds-governance") as identity:
        signed = DdsAuthority(data, identity.now()).sign(document(kinds, usual))
        files.write_whole(out.absolute(), signed)
        identity.audit(DDS_SIGNED, {"what": "governance", "expires": 0})
    if as_json:
        from bridgehead.cli.device_show import print_json

        print_json({"out": str(out), "usual": usual, "metadata": {str(each): kind for each, kind in kinds.items()}})
        return
    print(f"written to   {out}: give it to every participant, and start them again")
