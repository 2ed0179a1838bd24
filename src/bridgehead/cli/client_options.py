"""What `pub`, `sub` and `bench` share: the options that say where to connect and as whom."""

from __future__ import annotations

import getpass
import os
import ssl
import sys
import uuid
from pathlib import Path
from typing import Annotated, Final

import typer

from bridgehead.cli.main import USAGE, CommandError
from bridgehead.protocols.mqtt.client.errors import Refused
from bridgehead.protocols.mqtt.client.machine import Speaks
from bridgehead.protocols.mqtt.client.target import FORMS, Bundle, Target, TargetError, parse_target, tls_context
from bridgehead.protocols.mqtt.codec.packets import SubscriptionRequest

CREDENTIALS: Final = "Identity"
Url = Annotated[str, typer.Argument(metavar="URL", help=FORMS, show_default=False)]
User = Annotated[
    str | None, typer.Option("--user", "-u", metavar="NAME", help="User name.", rich_help_panel=CREDENTIALS)
]
PasswordFile = Annotated[
    str | None,
    typer.Option(
        "--password-file",
        metavar="FILE|-",
        help="File whose first line is the password; - reads that line from standard input.",
        rich_help_panel=CREDENTIALS,
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option("--cert", metavar="FILE", help="Client certificate (PEM).", rich_help_panel=CREDENTIALS),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Its private key (PEM).", rich_help_panel=CREDENTIALS)
]
Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca", metavar="FILE", help="Authority to trust, instead of the system's (PEM).", rich_help_panel=CREDENTIALS
    ),
]
BundleFolder = Annotated[
    Path | None,
    typer.Option(
        "--bundle",
        metavar="FOLDER",
        help="Folder that `bridgehead device add --out` wrote: certificate, key and authority.",
        rich_help_panel=CREDENTIALS,
    ),
]
ClientId = Annotated[
    str | None,
    typer.Option("--client-id", "-i", metavar="ID", help="Client Identifier; made from the name by default."),
]
Version = Annotated[int, typer.Option("--mqtt-version", "-V", metavar="3|4|5", help="5 is 5.0, 4 is 3.1.1, 3 is 3.1.")]

LONGEST_LINE: Final = 65_537
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# What to try after the server refused CONNECT, by Reason Code, and by return code of MQTT 3.
REMEDIES: Final = {
    0x84: "try --mqtt-version 4",
    0x85: "give a --client-id that the identity may use, such as its name, or its name, a hyphen and anything",
    0x86: "check --user and --password-file, or --bundle: its certificate may be replaced or revoked",
    0x87: "check the identity's permissions",
    0x8C: "the server does not offer this --mechanism there: try another, or --user and --password-file alone",
}
REMEDIES_3: Final = {1: REMEDIES[0x84], 2: REMEDIES[0x85], 4: REMEDIES[0x86], 5: REMEDIES[0x86]}


def usage(sentence: str) -> CommandError:
    """The command line cannot be used as it is."""
    return CommandError(sentence, USAGE)


class Identity:
    """Where to connect, and as whom. The password is never shown."""

    def __init__(
        self,
        target: Target,
        user_name: str | None,
        password: bytes | None,
        tls: ssl.SSLContext | None,
        name: str | None,
        machine: Speaks | None = None,
    ) -> None:
        self.machine = machine  # what proves the identity by AUTH
        self.target = target
        self.user_name = user_name
        self.password = password
        self.tls = tls
        self.name = name  # what the server knows the client by, where that can be told

    def client_id(self, asked: str | None) -> str:
        """The Client Identifier: as asked for, else the identity's name with something of its own behind it."""
        if asked is not None:
            return asked
        return f"{self.name}-{uuid.uuid4().hex[:8]}" if self.name else ""


def identity_of_name(who: Identity, machine: Speaks) -> Identity:
    """The same, proven by the mechanism and not by user name and password in CONNECT."""
    return Identity(who.target, None, None, who.tls, who.name, machine)


def identity(
    url: str,
    user: str | None,
    password_file: str | None,
    certificate: Path | None,
    key: Path | None,
    ca: Path | None,
    bundle: Path | None,
) -> Identity:
    """Check the options and read the files. Raises CommandError with exit code 2."""
    try:
        target = parse_target(url)
        found = None if bundle is None else Bundle(bundle)
        if found is not None:
            ca = ca or found.ca
            if certificate is None:
                certificate, key = found.certificate, key or found.key
            if user is None and target.user_name is None and found.password is not None:
                user = found.user_name
                password_file = password_file or str(found.password)
        if not target.tls and (certificate or ca or key) and bundle is None:
            raise TargetError(f"--ca, --cert and --key need TLS: use mqtts:// or wss:// instead of {target.scheme}:")
        if not target.tls and found is not None and found.certificate is not None and password_file is None:
            raise TargetError(
                f"the certificate in --bundle {bundle} proves who this is by TLS only: use mqtts:// or wss:// "
                f"instead of {target.scheme}:"
            )
        tls = tls_context(ca, certificate, key) if target.tls else None
    except TargetError as error:
        raise usage(str(error)) from None
    user = user if user is not None else target.user_name
    if password_file is not None and user is None:
        raise usage("--password-file needs --user NAME")
    password = None if password_file is None else read_password(password_file)
    if password is not None and not target.tls and not target.unix and target.host not in LOOPBACK:
        warn(f"the password crosses the network in clear text: use {'wss' if target.websocket else 'mqtts'}:// instead")
    name = user or (found.name if found else None)
    if name is None and tls is not None and certificate is not None:
        name = common_name(certificate)
    return Identity(target, user, password, tls, name)


def read_password(path: str) -> bytes:
    """The first line of the file, or of standard input for `-` (asked for without echo on a terminal)."""
    return read_secret(path, "--password-file", "password")


def read_secret(path: str, option: str, what: str) -> bytes:
    """As `read_password`, for the `option` that holds `what`."""
    if path != "-":
        try:
            with Path(path).open("rb") as file:
                line = file.readline(LONGEST_LINE)
        except OSError as error:
            raise usage(f"{option} {path} cannot be read: {error.strerror}") from None
    elif sys.stdin.isatty():
        line = getpass.getpass(f"{what.capitalize()}: ").encode()
    else:
        line = b""
        while not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            octet = os.read(sys.stdin.fileno(), 1)  # one by one: what follows the line may be messages
            if not octet:
                break
            line += octet
    password = line.rstrip(b"\r\n")
    if not password:
        raise usage(f"{option} {path} holds no {what} in its first line")
    return password


def common_name(certificate: Path) -> str | None:
    """The Common Name of a certificate's subject: by it a hub knows the device."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    except (OSError, ValueError):
        return None  # the TLS context has read it already: only its name stays unknown
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else None


def check_version(version: int, only_five: dict[str, bool]) -> None:
    """Refuse an unknown version, and options that MQTT 3 has no place for; `only_five` maps them to whether given."""
    if version not in (3, 4, 5):
        raise usage("--mqtt-version is 3 (3.1), 4 (3.1.1) or 5 (5.0)")
    if version < 5:
        for option, given in only_five.items():
            if given:
                raise usage(f"{option} needs MQTT 5.0: leave --mqtt-version out")


def check_qos(qos: int) -> None:
    if qos not in (0, 1, 2):
        raise usage("--qos is 0, 1 or 2")


def connect_remedy(error: Refused, version: int, identified: bool) -> str:
    """The refusal of a CONNECT with what to do about it; `identified` is whether it carried any credentials."""
    remedy = (REMEDIES if version == 5 else REMEDIES_3).get(error.reason_code)
    if not identified and error.reason_code in (4, 5, 0x86, 0x87):
        remedy = "give --user NAME and --password-file FILE, or --bundle FOLDER"
    return f"{error}; {remedy}" if remedy else str(error)


def subscription_refused(request: SubscriptionRequest, code: int, reason_string: str | None, version: int) -> Refused:
    """One Reason Code of a SUBACK as a sentence."""
    name = "Failure" if version < 5 else ""
    return Refused(f"the server refused the subscription {request.topic_filter}", code, reason_string, name)


def warn(sentence: str) -> None:
    print(f"bridgehead: warning: {sentence}", file=sys.stderr)
