"""The folder that is handed over: all of it or nothing, for its owner only (0700, files 0600)."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bridgehead.security import files
from bridgehead.security.errors import NotAcceptable, SecurityError


class BundleFolder:
    """Checked first, written second, taken back if what it belongs to fails after that."""

    def __init__(self, folder: Path) -> None:
        """Errors: NotAcceptable when there is something at `folder` already."""
        self.folder: Final = folder.absolute()
        self._is_written = False
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise NotAcceptable(f"--out {folder} is no folder: name a new one")
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise NotAcceptable(f"--out {folder} is not empty: name a new folder, nothing is overwritten")

    def put(self, contents: Mapping[str, bytes]) -> list[str]:
        """`contents`: path inside of the folder -> data. Returns the paths. The folder appears when it is whole.

        Errors: SecurityError.
        """
        parent = self.folder.parent
        try:
            if not parent.exists():
                files.private_folder(parent)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=parent))  # 0700
            try:
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
        """What it belongs to failed: leave nothing behind."""
        if self._is_written:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.folder)
            self._is_written = False
