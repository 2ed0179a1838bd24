"""The options of `pub` and `sub` that CoAP alone has. What they lead to is in coap_identity.py, which loads more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from bridgehead.cli.client_options import CREDENTIALS

CERTIFICATE: Final = "certificate"
PSK: Final = "psk"
RAW_KEY: Final = "rpk"
OSCORE: Final = "oscore"
KINDS: Final = (CERTIFICATE, PSK, RAW_KEY)
FORMS: Final = (
    "coap://HOST[:5683], coaps://HOST[:5684], coap+tcp://, coaps+tcp://, coap+ws:// or coaps+ws://; with a path it is "
    "that resource, and no TOPIC is given"
)

PskIdentity = Annotated[
    str | None,
    typer.Option(
        "--psk-identity", metavar="NAME", help="CoAP: whose pre-shared key it is.", rich_help_panel=CREDENTIALS
    ),
]
PskFile = Annotated[
    str | None,
    typer.Option(
        "--psk-file",
        metavar="FILE|-",
        help="CoAP: file whose first line is the pre-shared key, as text or as hex: and digits.",
        rich_help_panel=CREDENTIALS,
    ),
]
RawKey = Annotated[
    Path | None,
    typer.Option(
        "--raw-key",
        metavar="FILE",
        help="CoAP: private key whose public half the server knows (PEM, RFC 7250).",
        rich_help_panel=CREDENTIALS,
    ),
]
ServerKey = Annotated[
    Path | None,
    typer.Option(
        "--server-key",
        metavar="FILE",
        help="CoAP: the server's raw public key (PEM), where it has no certificate.",
        rich_help_panel=CREDENTIALS,
    ),
]
OscoreFolder = Annotated[
    Path | None,
    typer.Option(
        "--oscore",
        metavar="FOLDER",
        help="CoAP: an OSCORE context (RFC 8613) as `device export` writes it, over any of the schemes.",
        rich_help_panel=CREDENTIALS,
    ),
]
Credential = Annotated[
    str | None,
    typer.Option(
        "--credential",
        metavar="|".join((*KINDS, OSCORE)),
        help="CoAP: which of the credentials in --bundle to use.",
        rich_help_panel=CREDENTIALS,
    ),
]


def is_coap(url: str) -> bool:
    """Whether the URL has one of CoAP's schemes, or is meant to: what is wrong with it is then told in CoAP's terms."""
    return url[:4].lower() == "coap"


class Given:
    """The options as they were given; a bundle fills what is missing."""

    def __init__(
        self,
        certificate: Path | None,
        key: Path | None,
        ca: Path | None,
        bundle: Path | None,
        psk_identity: str | None,
        psk_file: str | None,
        raw_key: Path | None,
        server_key: Path | None,
        credential: str | None,
        oscore: Path | None,
    ) -> None:
        self.certificate = certificate
        self.key = key
        self.ca = ca
        self.bundle = bundle
        self.psk_identity = psk_identity
        self.psk_file = psk_file
        self.raw_key = raw_key
        self.server_key = server_key
        self.credential = credential
        self.oscore = oscore

    def any_of_coap(self) -> str:
        """The first option that CoAP alone has, "" if none was given."""
        given = {
            "--psk-identity": self.psk_identity,
            "--psk-file": self.psk_file,
            "--raw-key": self.raw_key,
            "--server-key": self.server_key,
            "--credential": self.credential,
            "--oscore": self.oscore,
        }
        return next((option for option, value in given.items() if value is not None), "")
