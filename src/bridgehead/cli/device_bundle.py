"""The folder that `device add --out` hands over."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from bridgehead.cli.device_credentials import secret_files
from bridgehead.cli.device_snippets import snippets
from bridgehead.security.export.files import DESCRIPTION
from bridgehead.security.export.folder import BundleFolder
from bridgehead.security.export.targets import credential_contents
from bridgehead.security.export.terms import Terms
from bridgehead.security.identity.identity import Enrolled


class Bundle:
    """Checked first, written second, taken back if the enrolment fails after that."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        """Errors: NotAcceptable when there is something at `folder` already."""
        self._folder: Final = BundleFolder(folder)
        self.folder: Final = self._folder.folder
        self.host: Final = host
        self.port: Final = port

    def write(self, enrolled: Enrolled) -> list[str]:
        """Returns the names of the files. The folder appears when it is whole. Errors: SecurityError."""
        return self._folder.put(self._contents(enrolled))

    def discard(self) -> None:
        """The enrolment failed: leave nothing behind."""
        self._folder.discard()

    def _contents(self, enrolled: Enrolled) -> dict[str, bytes]:
        terms = Terms(enrolled, self.host, self.port)
        if terms.is_for_coap_alone:
            terms = Terms(enrolled, self.host, self.port, "coap")
        contents = {DESCRIPTION: description(terms), **credential_contents(terms), **secret_files(enrolled)}
        contents.update({name: text.encode() for name, text in snippets(terms).items()})
        return contents


def description(terms: Terms) -> bytes:
    """device.json, for programs that read the bundle; no secret in it."""
    told = {
        "name": terms.name,
        "host": terms.host,
        "port": terms.port,
        "client_id": terms.client_id(),
        "user_name": terms.name if terms.password is not None else None,
    }
    return msgspec.json.format(msgspec.json.encode(told)) + b"\n"
