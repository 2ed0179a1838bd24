"""How the audit log is kept: when files change, how long they stay, how often the chain is signed."""

from __future__ import annotations

from typing import Final

DAY: Final = 86400.0


class Rules:
    """`file_size` in octets; times in seconds. `keep` 0: no file is ever removed.

    A checkpoint is written after `checkpoint_lines` lines, and `checkpoint_seconds` after the last one if there are
    lines that it does not cover.
    """

    def __init__(
        self,
        file_size: int = 16 * 1024 * 1024,
        file_age: float = 7 * DAY,
        keep: float = 365 * DAY,
        checkpoint_lines: int = 1000,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        self.file_size: Final = file_size
        self.file_age: Final = file_age
        self.keep: Final = keep
        self.checkpoint_lines: Final = checkpoint_lines
        self.checkpoint_seconds: Final = checkpoint_seconds


# A command adds its lines; the hub turns the files over.
COMMAND_RULES: Final = Rules(file_size=2**62, file_age=float("inf"), keep=0)
