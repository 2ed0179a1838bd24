"""The credentials of many devices, made by several threads; all records put in by one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bridgehead.security.identity.credentials import Made
from bridgehead.security.identity.wanted import Wanted

Progress = Callable[[int], None]
_AHEAD: Final = 64  # jobs that wait for each thread


def make_all(
    wanted: Sequence[Wanted], make_one: Callable[[Wanted], Made], progress: Progress, threads: int | None = None
) -> list[Made]:
    """In the order of `wanted`. Argon2, PBKDF2 and signing let go of the interpreter, so threads do. `progress` is told
    how many are done, on the caller's thread. The first fault ends it all."""
    count = threads or os.cpu_count() or 1
    made: list[Made] = []
    with ThreadPoolExecutor(count, "enrol") as pool:
        try:
            for begin in range(0, len(wanted), count * _AHEAD):
                for one in pool.map(make_one, wanted[begin : begin + count * _AHEAD]):
                    made.append(one)
                    progress(len(made))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return made
