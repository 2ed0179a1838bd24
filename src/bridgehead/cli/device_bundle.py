"""The folder that `device add --out` hands over: all of it or nothing, for its owner only (0700, files 0600)."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from bridgehead.cli.device_snippets import AUTHORITY, CERTIFICATE, KEY, PASSWORD, Terms, snippets
from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable, SecurityError
from bridgehead.security.identity import Enrolled

DESCRIPTION: Final = "device.json"


class Bundle:
    """Checked first, written second, taken back if the enrolment fails after that."""

    def __init__(self, folder: Path, host: str, port: int) -> None:
        """Errors: NotAcceptable when there is something at `folder` already."""
        self.folder: Final = folder.absolute()
        self.host: Final = host
        self.port: Final = port
        self._is_written = False
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise NotAcceptable(f"--out {folder} is no folder: name a new one")
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise NotAcceptable(f"--out {folder} is not empty: name a new folder, nothing is overwritten")

    def write(self, enrolled: Enrolled) -> list[str]:
        """Returns the names of the files. The folder appears when it is whole. Errors: SecurityError."""
        parent = self.folder.parent
        try:
            if not parent.exists():
                files.private_folder(parent)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=parent))  # 0700
            try:
                contents = self._contents(enrolled)
                for name, data in contents.items():
                    path = unfinished / name
                    if path.parent != unfinished:
                        files.private_folder(path.parent)
                    files.write_whole(path, data)
                os.rename(unfinished, self.folder)  # over nothing, or over an empty folder
                self._is_written = True
                files.sync_folder(parent)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
        except OSError as fault:
            raise SecurityError(f"cannot write {self.folder}: {(fault.strerror or str(fault)).lower()}") from None
        return sorted(contents)

    def discard(self) -> None:
        """The enrolment failed: leave nothing behind."""
        if self._is_written:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.folder)
            self._is_written = False

    def _contents(self, enrolled: Enrolled) -> dict[str, bytes]:
        terms = Terms(enrolled, self.host, self.port)
        contents = {AUTHORITY: enrolled.authority_pem, DESCRIPTION: self._description(terms)}
        if enrolled.certificate is not None:
            contents[CERTIFICATE] = enrolled.certificate.certificate_pem
            contents[KEY] = enrolled.certificate.key_pem
        if enrolled.password is not None:
            contents[PASSWORD] = enrolled.password + b"\n"
        contents.update({name: text.encode() for name, text in snippets(terms).items()})
        return contents

    def _description(self, terms: Terms) -> bytes:
        """For programs that read the bundle; no secret in it."""
        told = {
            "name": terms.name,
            "host": self.host,
            "port": self.port,
            "client_id": terms.client_id(),
            "user_name": terms.name if terms.password is not None else None,
        }
        return msgspec.json.format(msgspec.json.encode(told)) + b"\n"
