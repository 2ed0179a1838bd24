"""`bridgehead ca`: the hub's certificate authorities, what they issue, and when what ends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli import ca_authority, ca_status
from bridgehead.cli.device_options import Data, Json
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from bridgehead.security.identity.identity import Identity
    from bridgehead.security.pki import IssuedCertificate
    from bridgehead.security.pki.profiles import Profile

_PROFILES: Final = ("server", "device", "administrator", "dds-identity", "dds-permissions")


def register(app: typer.Typer) -> None:
    commands = typer.Typer(
        help="Certificate authorities: what they issue, when what ends, roll-over.", no_args_is_help=True
    )
    commands.command("status")(ca_status.status)
    commands.command("list")(ca_status.list_issued)
    commands.command("issue")(issue)
    commands.command("revoke")(revoke)
    commands.command("roll-over")(ca_authority.roll_over)
    commands.command("offline-root")(ca_authority.offline_root)
    commands.command("use-external")(ca_authority.use_external)
    commands.command("request")(ca_authority.request)
    commands.command("install")(ca_authority.install)
    app.add_typer(commands, name="ca")


def issue(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is; a server's host name.", show_default=False)],
    data: Data,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="New folder for certificate, key and ca.pem.")],
    profile: Annotated[str, typer.Option("--profile", metavar="PROFILE", help=", ".join(_PROFILES))],
    host: Annotated[
        list[str] | None, typer.Option("--host", metavar="HOST", help="server: a further name or address.")
    ] = None,
    csr: Annotated[
        Path | None, typer.Option("--csr", metavar="FILE", help="PKCS #10 request (PEM or DER) instead of a new key.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Issue a certificate. A device's counts at once: it is put on its record."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security import files
    from bridgehead.security.pki import certificates, profiles

    if profile not in _PROFILES:
        raise CommandError(f"there is no profile {profile!r}: use {', '.join(_PROFILES)}", USAGE)
    if host and profile != "server":
        raise CommandError("--host is for --profile server only", USAGE)
    if out.exists() and any(out.iterdir()):
        raise CommandError(f"{out} is not empty: name a new folder", USAGE)
    chosen = profiles.PROFILES[profile]
    with act_at(data, "ca issue", chosen.urn != profiles.DEVICE.urn, name) as identity:
        issued = _issue(identity, chosen, [name, *(host or [])], csr)
        files.output_folder(out)
        files.write_whole(out / "cert.pem", issued.certificate_pem)
        files.write_whole(out / "ca.pem", files.read(identity.pki.authority_file))
        names = ["ca.pem", "cert.pem"]
        if issued.key_pem:
            files.write_whole(out / "key.pem", issued.key_pem)
            names.append("key.pem")
        if as_json:
            print_json(
                {
                    "profile": profile,
                    "subject": name,
                    "serial": f"{issued.serial:x}",
                    "fingerprint": issued.fingerprint,
                    "not_after": issued.not_after,
                    "out": str(out),
                    "files": names,
                }
            )
        else:
            end = certificates.not_after(issued.certificate)
            print(f"issued       {profile} {name}, until {ca_status.day(end)}")
            print(f"serial       {issued.serial:x}")
            print(f"written to   {out}: {' '.join(names)}")


def _issue(identity: Identity, profile: Profile, subjects: list[str], csr: Path | None) -> IssuedCertificate:
    from msgspec.structs import replace

    from bridgehead.security.events import CERTIFICATE_ISSUED
    from bridgehead.security.identity.credentials import certificate_record
    from bridgehead.security.identity.enrolment import read_request
    from bridgehead.security.pki import certificates, profiles

    public_key: CertificatePublicKeyTypes
    if csr is None:
        key = certificates.new_key()
        public_key, pem = key.public_key(), certificates.key_pem(key)
    else:
        public_key, pem = read_request(_der(csr)).public_key(), b""
    now = identity.now()
    with identity.registry.transaction():
        device = identity.registry.existing_device(subjects[0]) if profile.urn == profiles.DEVICE.urn else None
        issued = identity.pki.issue(profile, list(subjects), public_key, now, pem)
        if device is not None:
            record = certificate_record(issued)
            if profile is profiles.DEVICE:
                device = replace(device, certificates=(*device.certificates, record))
            else:
                device = replace(device, dds_identity=record)
            identity.registry.update_device(device, now)
        fields: dict[str, str | int | float | bool] = {
            "profile": profile.name,
            "subject": subjects[0],
            "serial": f"{issued.serial:x}",
        }
        identity.audit(CERTIFICATE_ISSUED, fields)
    identity.publish_revocations()
    return issued


def _der(path: Path) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from bridgehead.security.pki import certificates

    try:
        data = path.read_bytes()
        return x509.load_pem_x509_csr(data).public_bytes(Encoding.DER) if data.startswith(b"-----") else data
    except OSError as fault:
        raise CommandError(f"{path} cannot be read: {(fault.strerror or '').lower()}", USAGE) from None
    except certificates.UNREADABLE:
        raise CommandError(f"{path} holds no certification request: make one with `openssl req -new`", USAGE) from None


def revoke(
    serial: Annotated[str, typer.Argument(metavar="SERIAL", help="As `ca list` shows it.", show_default=False)],
    data: Data,
) -> None:
    """Revoke a certificate that stands on no device's record (those: `device revoke`, `device rotate`)."""
    from bridgehead.cli.identity_at import act_at
    from bridgehead.security.events import CERTIFICATE_REVOKED
    from bridgehead.security.pki import profiles

    try:
        number = int(serial.replace(":", ""), 16)
    except ValueError:
        raise CommandError(f"{serial!r} is no serial number: take one of `bridgehead ca list`", USAGE) from None
    with act_at(data, "ca revoke") as identity:
        entry = identity.pki.ledger.find(number)
        of_device = entry is not None and entry.profile in (profiles.DEVICE.name, profiles.DDS_IDENTITY.name)
        if entry is not None and of_device and identity.registry.device_by_fingerprint(entry.fingerprint):
            raise CommandError(
                f"the certificate is {entry.subject!r}'s: use `bridgehead device rotate` or `device revoke`", USAGE
            )
        entry = identity.pki.ledger.revoke(number, identity.now())
        identity.publish_revocations()
        identity.audit(CERTIFICATE_REVOKED, {"serial": entry.serial, "subject": entry.subject})
        print(f"revoked      {entry.profile} {entry.subject}, serial {entry.serial}")
