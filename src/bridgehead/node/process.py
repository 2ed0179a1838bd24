"""The hub as a process: file modes, open files, garbage collection, the event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from collections.abc import Callable
from typing import Final

# Descriptors that are not connections: store, log, lock, listeners, the loop's own.
RESERVED_FILES: Final = 100
# Containers made and not released before the youngest generation is looked at. Messages, packets and deliveries
# hold no cycles and die by reference count; what cycles there are (a connection and its callbacks) come and go
# with connections.
_GC_THRESHOLDS: Final = (50_000, 20, 50)


def raise_open_files() -> int:
    """Raise the soft limit of open files to the hard one (RLIMIT_NOFILE); returns how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # some systems say "unlimited" and accept less: what we have is what counts
    if soft == resource.RLIM_INFINITY:
        return 2**31
    return max(1, soft - RESERVED_FILES)


def settle_memory() -> None:
    """Call once after the start: what lives until the end is not looked at again by the garbage collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's event loop where it is to be had, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def restrict_files() -> None:
    """Files are made for their owner only."""
    os.umask(0o077)
