"""Reads whole lines off the chain as they come, over the turn of files: for `log tail` and for syslog."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bridgehead.security.audit.folder import file_name, numbers

_PORTION: Final = 1 << 20  # octets at a time


class Follower:
    """Stands after a line. `lines` moves on; nobody is kept from writing. Errors of every method: OSError."""

    def __init__(self, folder: Path, at_end: bool) -> None:
        self._folder: Final = folder
        found = numbers(folder)
        self._number = (found[-1] if at_end else found[0]) if found else 1
        self._offset = 0
        if at_end and found:
            octets = (folder / file_name(self._number)).read_bytes()
            self._offset = octets.rfind(b"\n") + 1

    def place(self) -> tuple[int, int]:
        """Where it stands, to be given to `back`."""
        return self._number, self._offset

    def back(self, place: tuple[int, int]) -> None:
        self._number, self._offset = place

    def lines(self) -> list[bytes]:
        """The next whole lines, without their line feeds; none when there are none yet."""
        while True:
            # Looked for before reading: what is in this file when the next one is there is all that it will ever hold.
            later = next((each for each in numbers(self._folder) if each > self._number), None)
            try:
                with (self._folder / file_name(self._number)).open("rb") as file:
                    file.seek(self._offset)
                    octets = file.read(_PORTION)
            except FileNotFoundError:
                octets = b""
            whole = octets[: octets.rfind(b"\n") + 1]
            if whole:
                self._offset += len(whole)
                return whole.splitlines()
            if later is None:
                return []
            self._number, self._offset = later, 0
