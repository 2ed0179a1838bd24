"""Which credentials `device add`, `device rotate` and `device set` are asked for, and how new ones are told once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.credentials import ForeignCertificate, TokenSubject
    from bridgehead.security.identity.wanted import Enrolled

_LARGEST_FILE: Final = 1 << 20

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
Psk = Annotated[bool, typer.Option("--psk", help="Make a pre-shared key (DTLS, TLS).")]
PskIdentity = Annotated[
    str | None, typer.Option("--psk-identity", metavar="TEXT", help="Its identity; default NAME. Means --psk.")
]
RawPublicKey = Annotated[
    Path | None,
    typer.Option("--raw-public-key", metavar="FILE", help="The device's raw public key (RFC 7250), in PEM or DER."),
]
RawKey = Annotated[bool, typer.Option("--raw-key", help="Make a raw key pair; needs --out.")]
Oscore = Annotated[bool, typer.Option("--oscore", help="Make an OSCORE security context (RFC 8613).")]
Otp = Annotated[bool, typer.Option("--otp", help="Make a pass phrase for one-time passwords (RFC 2289).")]
Dds = Annotated[bool, typer.Option("--dds", help="Issue a DDS identity; needs --out.")]
Ntlm = Annotated[bool, typer.Option("--ntlm", help="Keep an NT hash of the password too. NTLM is weak.")]
Foreign = Annotated[
    list[str] | None,
    typer.Option(
        "--foreign-certificate",
        metavar="KIND:VALUE|FILE",
        help="Certificate of another authority: fingerprint:, uri:, dns:, email:, subject:, or its PEM file.",
    ),
]
TokenSubjects = Annotated[
    list[str] | None,
    typer.Option(
        "--token-subject", metavar="ISS SUB", help='Subject of its tokens: "https://issuer subject", in one word.'
    ),
]
Kerberos = Annotated[
    list[str] | None, typer.Option("--kerberos", metavar="NAME@REALM", help="A Kerberos principal that it has.")
]


def foreign_certificates(given: list[str] | None) -> list[ForeignCertificate]:
    """Errors: NotAcceptable, CommandError."""
    from bridgehead.security.identity import texts as identity_texts

    found: list[ForeignCertificate] = []
    for text in given or ():
        kind, colon, _ = text.partition(":")
        if colon and "/" not in kind and not Path(text).is_file():
            found.append(identity_texts.foreign(text))
        else:
            found.append(identity_texts.foreign_of(read_file("--foreign-certificate", Path(text)), text, time.time()))
    return found


def token_subjects(given: list[str] | None) -> list[TokenSubject]:
    """Errors: CommandError."""
    from bridgehead.security.credentials import TokenSubject

    found: list[TokenSubject] = []
    for text in given or ():
        issuer, blank, subject = text.partition(" ")
        if not blank or not issuer or not subject.strip():
            raise CommandError(
                f'--token-subject {text!r} is not two texts: write "https://issuer subject", its iss and sub',
                USAGE,
            )
        found.append(TokenSubject(issuer, subject.strip()))
    return found


def read_file(option: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as fault:
        raise CommandError(f"{option} {path} cannot be read: {(fault.strerror or '').lower()}", USAGE) from None


def raw_public_key(path: Path | None) -> bytes | None:
    """Errors: NotAcceptable, CommandError."""
    if path is None:
        return None
    from bridgehead.security.identity import texts as identity_texts

    return identity_texts.public_key(read_file("--raw-public-key", path), str(path))


def secrets_told(enrolled: Enrolled, with_password: bool) -> dict[str, object]:
    """What is shown once where there is no folder to write it to. `with_password`: it was made here."""
    found: dict[str, object] = {}
    if with_password and enrolled.password is not None:
        found["generated_password"] = enrolled.password.decode()
    if enrolled.psk is not None:
        found["psk"] = {"identity": enrolled.psk.identity, "key": enrolled.psk.key.hex()}
    if enrolled.oscore is not None:
        context = enrolled.oscore
        found["oscore"] = {
            "sender_id": context.sender_id.hex(),
            "recipient_id": context.recipient_id.hex(),
            "id_context": context.id_context.hex(),
            "master_secret": context.secret.hex(),
            "master_salt": context.salt.hex(),
        }
    if enrolled.otp is not None:
        found["otp"] = {
            "algorithm": enrolled.otp.algorithm,
            "pass_phrase": enrolled.otp.pass_phrase,
            "seed": enrolled.otp.seed,
            "sequence": enrolled.otp.sequence,
        }
    return found


def secret_files(enrolled: Enrolled) -> dict[str, bytes]:
    """File name -> contents, of what was made beside certificate and password: a bundle holds all that there is."""
    import msgspec

    found: dict[str, bytes] = {}
    told = secrets_told(enrolled, with_password=False)
    if told:
        found["secrets.json"] = msgspec.json.format(msgspec.json.encode(told)) + b"\n"
    if enrolled.raw_key is not None:
        found["raw-key.pem"] = enrolled.raw_key.key_pem
    if enrolled.dds is not None:
        found["dds-certificate.pem"] = enrolled.dds.certificate_pem
        found["dds-key.pem"] = enrolled.dds.key_pem
    return found


def secret_lines(told: dict[str, object]) -> list[str]:
    """As text; each is shown only now."""
    lines: list[str] = []
    for name, value in told.items():
        shown = value if isinstance(value, str) else " ".join(f"{key}={each}" for key, each in _items(value))
        lines.append(f"{'password' if name == 'generated_password' else name:<12} {shown}   (shown only now)")
    return lines


def _items(value: object) -> list[tuple[object, object]]:
    assert isinstance(value, dict)
    return list(value.items())
