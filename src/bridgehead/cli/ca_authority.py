"""`bridgehead ca`: roll-over, root keys offline, somebody else's root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridgehead.cli.device_options import Data
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.identity.identity import Identity
    from bridgehead.security.pki.rollover import Maker

Overlap = Annotated[
    str,
    typer.Option("--overlap", metavar="TIME", help="How long the present authority is still accepted: 0, 12h, 30d."),
]
KeyPassphrase = Annotated[
    str | None,
    typer.Option("--passphrase-file", metavar="FILE|-|FD", help="Where the key's pass phrase is read from."),
]


def _passphrase(source: str | None) -> bytes | None:
    from bridgehead.cli.identity_at import passphrase

    if source is None:
        return None
    asked = passphrase(source)
    return None if asked is None else asked()


def roll_over(
    data: Data,
    overlap: Overlap = "30d",
    finish: Annotated[bool, typer.Option("--finish", help="End the overlap now.")] = False,
    keep_root: Annotated[
        bool, typer.Option("--keep-root", help="Only a new issuing authority: clients need no new ca.pem.")
    ] = False,
    root_key: Annotated[
        Path | None, typer.Option("--root-key", metavar="FILE", help="--keep-root: the root's key, when it is offline.")
    ] = None,
    passphrase_file: KeyPassphrase = None,
) -> None:
    """Change to a new authority while the hub runs: both are accepted until the overlap ends."""
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security.pki import rollover

    if root_key is not None and not keep_root:
        raise CommandError("--root-key is for --keep-root: a new root has a key of its own", USAGE)
    with act_at(data, "ca roll-over", make=True) as identity:
        if finish:
            _finish(identity)
            return
        now = identity.now()
        if keep_root:
            maker = rollover.with_same_root(identity.pki, root_key, _passphrase(passphrase_file), now)
        else:
            maker = rollover.with_new_root(now)
        _change(identity, "roll-over", maker, overlap)


def _change(identity: Identity, act: str, maker: Maker, overlap: str) -> None:
    from bridgehead.cli.ca_status import day
    from bridgehead.security.events import AUTHORITY_CHANGED
    from bridgehead.security.identity.texts import duration
    from bridgehead.security.pki import rollover

    seconds = duration(overlap)
    made = rollover.roll_over(identity.pki, maker, seconds, identity.now())
    name = made.certificate.subject.rfc4514_string()
    identity.audit(AUTHORITY_CHANGED, {"act": act, "authority": name, "overlap": seconds})
    identity.publish_revocations()
    print(f"signs now    {name}, until {day(made.certificate.not_valid_after_utc.timestamp())}")
    if seconds <= 0:
        _finish(identity)
        return
    print(f"the former one is accepted until {day(identity.now() + seconds)}")
    print(f"give clients {identity.pki.authority_file} (both roots) before then, and devices new certificates")


def _finish(identity: Identity) -> None:
    from bridgehead.security.events import AUTHORITY_CHANGED
    from bridgehead.security.identity.authorities import retire

    retired, devices = retire(identity.pki, identity.registry, identity.now(), early=True)
    if not retired:
        raise CommandError("no roll-over is under way: nothing to finish")
    identity.publish_revocations()
    for each in retired:
        name = each.certificate.subject.rfc4514_string()
        identity.audit(AUTHORITY_CHANGED, {"act": "finish", "authority": name, "overlap": 0.0})
        print(f"no more      {name}")
    if devices:
        print(f"{len(devices)} device(s) lost certificates of it: {' '.join(devices[:20])}")


def offline_root(
    data: Data,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="New file, on a medium that you take away.")],
    passphrase_file: KeyPassphrase = None,
) -> None:
    """Move the root's key out of the data folder. Everything but `roll-over --keep-root` goes on without it."""
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security.events import AUTHORITY_CHANGED
    from bridgehead.security.pki import rollover

    with act_at(data, "ca offline-root", make=True) as identity:
        rollover.offline_root(identity.pki, to, _passphrase(passphrase_file))
        name = identity.pki.signer.root.subject.rfc4514_string()
        identity.audit(AUTHORITY_CHANGED, {"act": "offline-root", "authority": name, "overlap": 0.0})
        print(f"moved        the key of {name} to {to}")


def use_external(
    data: Data,
    chain: Annotated[
        Path, typer.Option("--chain", metavar="FILE", help="PEM: the issuing authority first, the root last.")
    ],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="PEM: the issuing authority's private key.")],
    passphrase_file: KeyPassphrase = None,
    overlap: Overlap = "30d",
) -> None:
    """Issue by an authority below somebody else's root from now on."""
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security import files
    from bridgehead.security.pki import certificates, external

    with act_at(data, "ca use-external", make=True) as identity:
        found = external.read_chain(files.read(chain), str(chain), identity.now())
        secret = certificates.read_key(files.read(key), str(key), _passphrase(passphrase_file))
        _change(identity, "use-external", external.with_chain(found, secret, str(key)), overlap)


def request(
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="New file for the PKCS #10 request.")],
) -> None:
    """Ask somebody else's root for an issuing authority; the key stays here. Then: `ca install`."""
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security import files
    from bridgehead.security.pki import external

    if out.exists():
        raise CommandError(f"{out} exists already: name a new file", USAGE)
    with act_at(data, "ca request", make=True) as identity:
        files.write_whole(out, external.request(identity.pki), 0o644)
        print(f"written to   {out}; install what comes back with: bridgehead ca install --chain FILE")


def install(
    data: Data,
    chain: Annotated[
        Path, typer.Option("--chain", metavar="FILE", help="PEM: the signed authority first, the root last.")
    ],
    overlap: Overlap = "30d",
) -> None:
    """Put in force what was signed for `ca request`."""
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security import files
    from bridgehead.security.pki import external

    with act_at(data, "ca install", make=True) as identity:
        found = external.read_chain(files.read(chain), str(chain), identity.now())
        maker = external.with_chain(found, external.requested_key(identity.pki), "the key of `ca request`")
        _change(identity, "install", maker, overlap)
        external.forget_request(identity.pki)
