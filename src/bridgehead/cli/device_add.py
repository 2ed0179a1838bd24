"""`bridgehead device add` and `device rotate`: credentials are made, and handed over once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_credentials import (
    Dds,
    Foreign,
    GeneratePassword,
    IssueCertificate,
    Kerberos,
    Ntlm,
    Oscore,
    Otp,
    Out,
    PasswordFile,
    Psk,
    PskIdentity,
    RawKey,
    RawPublicKey,
    TokenSubjects,
    foreign_certificates,
    raw_public_key,
    secret_lines,
    secrets_told,
    token_subjects,
)
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
    note,
    permissions,
    read_password,
)
from bridgehead.cli.identity_at import PassphraseFile, open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.cli.device_bundle import Bundle
    from bridgehead.security.identity.identity import Identity
    from bridgehead.security.identity.wanted import Enrolled

MQTT_OVER_TLS: Final = 8883

Roles = Annotated[list[str] | None, typer.Option("--role", metavar="ROLE", help="A role that it has.")]
Groups = Annotated[list[str] | None, typer.Option("--group", metavar="GROUP", help="A group that it belongs to.")]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--attribute", metavar="NAME=VALUE", help="What ${NAME} in a permission stands for."),
]
ClientIds = Annotated[
    list[str] | None,
    typer.Option(
        "--client-id",
        metavar="PATTERN",
        help="Client identifier that it may use, * at the end; default NAME and NAME-*.",
    ),
]
QuotaText = Annotated[
    str | None, typer.Option("--quota", metavar="TEXT", help='At most, in all: "100 messages/s 64 KiB/s".')
]
RequireBoth = Annotated[bool, typer.Option("--require-both", help="Password and certificate, not one of them.")]
Invite = Annotated[
    str | None,
    typer.Option("--invite", metavar="TIME", help="It enrols itself: print a token that counts once, for 15m say."),
]
NoCredential = Annotated[
    bool,
    typer.Option("--no-credential", help="None for now: `device export --credential new` makes one with its files."),
]
Host = Annotated[
    str | None, typer.Option("--host", metavar="HOST", help="The hub, in the snippets; default this machine's name.")
]
Port = Annotated[int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Its port, in the snippets.")]
Overlap = Annotated[
    str, typer.Option("--overlap", metavar="TIME", help="The old ones count for so long: 30s, 15m, 1h, 7d; 0: no more.")
]


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
    group: Groups = None,
    attribute: Attributes = None,
    client_id: ClientIds = None,
    quota: QuotaText = None,
    password_file: PasswordFile = None,
    generate_password: GeneratePassword = False,
    certificate: IssueCertificate = False,
    foreign_certificate: Foreign = None,
    psk: Psk = False,
    psk_identity: PskIdentity = None,
    raw_public_key_file: RawPublicKey = None,
    raw_key: RawKey = False,
    oscore: Oscore = False,
    token_subject: TokenSubjects = None,
    kerberos: Kerberos = None,
    otp: Otp = False,
    dds: Dds = False,
    ntlm: Ntlm = False,
    invite: Invite = None,
    no_credential: NoCredential = False,
    require_both: RequireBoth = False,
    out: Out = None,
    host: Host = None,
    port: Port = MQTT_OVER_TLS,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Enrol a device. A running hub knows it within a second."""
    granted = permissions(publish, subscribe, deny_publish, deny_subscribe, max_qos, no_retain)
    has_password = password_file is not None or generate_password
    if password_file is not None and generate_password:
        raise CommandError("--password-file and --generate-password exclude each other: give one of them", USAGE)
    _check_out(out, (("--certificate", certificate), ("--raw-key", raw_key), ("--dds", dds)))
    others = [psk, psk_identity, raw_public_key_file, oscore, token_subject, kerberos, otp, foreign_certificate, invite]
    if no_credential and (has_password or certificate or raw_key or dds or out is not None or any(others)):
        raise CommandError("--no-credential excludes all credentials, and --out: there is nothing to write", USAGE)
    if not has_password and out is None and not no_credential and not any(others):
        raise CommandError(
            "say how the device proves who it is: --certificate --out FOLDER (best), --generate-password, "
            "--password-file FILE, or --no-credential for now (others: see bridgehead device add --help)",
            USAGE,
        )
    if require_both and not (has_password and (certificate or foreign_certificate)):
        raise CommandError(
            "--require-both needs both: --certificate, and --generate-password or --password-file FILE", USAGE
        )

    from bridgehead.security.identity import texts as identity_texts
    from bridgehead.security.identity.wanted import Fresh, Wanted
    from bridgehead.security.login.passwords import generate_password as new_password

    password: bytes | None = None
    with sentences():  # before anything is made
        bundle = _bundle(out, host, port)
        invited = None if invite is None else identity_texts.duration(invite)
        if generate_password:
            password = new_password().encode()
        elif password_file is not None:
            password = read_password(password_file)
        fresh = Fresh(
            password=password,
            certificate=certificate or (out is not None and not has_password and not (any(others) or dds or raw_key)),
            psk=psk_identity if psk_identity is not None else "" if psk else None,
            raw_public_key=raw_public_key(raw_public_key_file),
            raw_key=raw_key,
            oscore=oscore,
            otp=otp,
            dds=dds,
            ntlm=ntlm,
        )
        wanted = Wanted(
            name,
            granted,
            role or (),
            client_id or (),
            "password+certificate" if require_both else "any",
            fresh=fresh,
            groups=group or (),
            attributes=identity_texts.attributes(attribute or ()),
            quota=None if quota is None else identity_texts.quota(quota),
            foreign_certificates=foreign_certificates(foreign_certificate),
            token_subjects=token_subjects(token_subject),
            kerberos_principals=kerberos or (),
            later=no_credential or invited is not None,
        )
        wanted.check()
    with open_identity(data, True, passphrase_file) as identity:
        with handing_over(bundle), identity.enrolling(wanted) as enrolled:
            files = [] if bundle is None else bundle.write(enrolled)
        token = None if invited is None else identity.invite(name, invited).token
        report(enrolled, bundle, files, generate_password, as_json, token)
        if no_credential:
            export = f"bridgehead device export {name} --data {data} --for TARGET --credential new"
            note(f"{name} cannot connect yet: `{export}` makes what it needs")
        if not any(each.allow for each in enrolled.permissions):
            note(f"{name} may connect and do nothing: give it --publish, --subscribe or --role")
        if bundle is not None and host is not None:
            _check_host(identity, bundle.host)


def rotate(
    name: Name,
    data: Data,
    overlap: Overlap = "0",
    password_file: PasswordFile = None,
    password: Annotated[bool, typer.Option("--password", help="A new password.")] = False,
    certificate: Annotated[bool, typer.Option("--certificate", help="A new certificate; needs --out.")] = False,
    psk: Psk = False,
    raw_key: RawKey = False,
    oscore: Oscore = False,
    otp: Otp = False,
    dds: Dds = False,
    every: Annotated[
        bool, typer.Option("--all", help="All that it has of these; so it is without any option.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="New folder for what the device needs.")
    ] = None,
    host: Host = None,
    port: Port = MQTT_OVER_TLS,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """New credentials for a device. The old ones count until the overlap's end, and are void then."""
    from bridgehead.security.identity import texts as identity_texts
    from bridgehead.security.identity.rotation import kinds_of

    chosen = {
        "password": password or password_file is not None,
        "certificate": certificate,
        "psk": psk,
        "rpk": raw_key,
        "oscore": oscore,
        "otp": otp,
        "dds": dds,
    }
    which = [kind for kind, asked in chosen.items() if asked]
    if every and which:
        raise CommandError("--all and single kinds exclude each other: give one or the other", USAGE)
    with sentences():
        seconds = identity_texts.duration(overlap)
        bundle = _bundle(out, host, port)
        given = None if password_file is None else read_password(password_file)
    with open_identity(data, False, passphrase_file) as identity:
        kinds = which or kinds_of(identity.registry.existing_device(name))
        needing = (("the certificate", "certificate"), ("the raw key", "rpk"), ("the DDS identity", "dds"))
        _check_out(out, [(what, kind in kinds) for what, kind in needing])
        with handing_over(bundle), identity.rotating(name, seconds, kinds, given) as enrolled:
            files = [] if bundle is None else bundle.write(enrolled)
        report(enrolled, bundle, files, given is None, as_json)


@contextmanager
def handing_over(bundle: Bundle | None) -> Iterator[None]:
    """The record and the bundle, or neither."""
    try:
        yield
    except BaseException:
        if bundle is not None:
            bundle.discard()
        raise


def report(
    enrolled: Enrolled,
    bundle: Bundle | None,
    files: list[str],
    generated: bool,
    as_json: bool,
    token: str | None = None,
) -> None:
    """Secrets are in the bundle, or shown once. `generated`: the password was made here. `token`: of an invitation."""
    from bridgehead.cli.device_show import device_lines, device_value, print_json

    device = enrolled.device
    told = secrets_told(enrolled, generated) if bundle is None else {}
    if token is not None:
        told["invitation"] = token
    if as_json:
        value = device_value(device, enrolled.permissions)
        value["out"] = None if bundle is None else str(bundle.folder)
        value["files"] = files
        value.update(told)
        print_json(value)
        return
    print("\n".join(device_lines(device, enrolled.permissions)))
    if bundle is not None:
        print(f"written to   {bundle.folder}: {' '.join(files)}")
    for line in secret_lines(told):
        print(line)


def _bundle(out: Path | None, host: str | None, port: int) -> Bundle | None:
    from bridgehead.cli.device_bundle import Bundle
    from bridgehead.security.pki.machine import parse_host

    dialled = str(parse_host(host)) if host is not None else socket.gethostname()
    return None if out is None else Bundle(out, dialled, port)


def _check_out(out: Path | None, needing: tuple[tuple[str, bool], ...] | list[tuple[str, bool]]) -> None:
    for what, asked in needing:
        if asked and out is None:
            raise CommandError(f"{what} makes a private key: say with --out FOLDER where to write it", USAGE)


def _check_host(identity: Identity, host: str) -> None:
    """Clients refuse a hub whose certificate does not stand for the name that they dial."""
    from bridgehead.security.pki.hub import wanted_hosts
    from bridgehead.security.pki.machine import machine_names

    # Before its first start the hub has no certificate yet: then what it would be made for.
    known = identity.pki.server_hosts() or wanted_hosts((), machine_names(), ())
    if host not in map(str, known):
        note(
            f'the hub\'s certificate does not stand for {host}: put names = ["{host}"] under [tls] in its configuration'
        )
