"""One thread per domain waits for everything that can happen in it, and tells the event loop; it takes nothing itself.

Samples are taken in the loop, a batch per reader and turn: what isn't taken yet stays with Cyclone, whose bounds then
hold the writers back. The thread waits again when the loop has done its turn. Nothing runs in Cyclone's own threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final

from bridgehead.protocols.dds.cyclone import INFINITY, DdsError, checked, ffi, library

_ROOM: Final = 64  # entities that can be told at once, to begin with
_STOP: Final = 0


class Waiting:
    """Calls back in the loop it was made in. `failed` is called there, once, when waiting itself fails."""

    def __init__(self, participant: int, name: str, failed: Callable[[str], None]) -> None:
        """Errors: DdsError. The thread runs from `start` to `stop`."""
        lib = library()
        self._loop: Final = asyncio.get_running_loop()
        self._failed: Final = failed
        self._waitset: Final = checked(lib.dds_create_waitset(participant), "no waitset can be made")
        self._guard: Final = checked(lib.dds_create_guardcondition(participant), "no guard condition can be made")
        checked(lib.dds_waitset_attach(self._waitset, self._guard, _STOP), "the guard condition can't be waited for")
        self._calls: dict[int, Callable[[], None]] = {}
        self._names: dict[int, int] = {}
        self._attached = 1
        self._last = _STOP
        self._turn: Final = threading.Semaphore(0)
        self._stopping: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def attach(self, entity: int, call: Callable[[], None]) -> None:
        """Have `call` called in the loop whenever the condition triggers, or the entity's status changes. Errors:
        DdsError."""
        self._last += 1
        checked(library().dds_waitset_attach(self._waitset, entity, self._last), "an entity can't be waited for")
        self._calls[self._last] = call
        self._names[entity] = self._last
        self._attached = len(self._calls) + 1

    def detach(self, entity: int) -> None:
        """Nothing is called for it any more, from now on."""
        number = self._names.pop(entity, None)
        if number is not None:
            del self._calls[number]
            self._attached = len(self._calls) + 1
            library().dds_waitset_detach(self._waitset, entity)

    def stop(self) -> None:
        """Blocks until the thread has ended: it is in Cyclone's wait, or about to be."""
        self._stopping.set()
        library().dds_set_guardcondition(self._guard, True)
        self._turn.release()
        if self._thread.ident is not None:
            self._thread.join()
        self._calls.clear()
        library().dds_delete(self._waitset)

    def _run(self) -> None:
        """The thread: told numbers instead of entities, so that what is gone meanwhile is simply not found."""
        lib = library()
        room = _ROOM
        values: Any = ffi().new("intptr_t[]", room)
        while not self._stopping.is_set():
            try:
                if self._attached > room:  # with less, those attached last could be kept waiting by the first for ever
                    room = 2 * self._attached
                    values = ffi().new("intptr_t[]", room)
                count = checked(lib.dds_waitset_wait(self._waitset, values, room, INFINITY), "waiting")
                told = ffi().unpack(values, min(count, room))
                if self._stopping.is_set():
                    return
                self._loop.call_soon_threadsafe(self._on_told, told)
            except (DdsError, RuntimeError) as error:  # RuntimeError: the loop is closed
                if not self._stopping.is_set() and not self._loop.is_closed():
                    self._loop.call_soon_threadsafe(self._failed, str(error))
                return
            self._turn.acquire()

    def _on_told(self, told: list[int]) -> None:
        try:
            for number in told:
                call = self._calls.get(number)
                if call is not None:
                    call()
        finally:
            self._turn.release()
