"""The hub's audit log: takes events on the event loop's thread, writes them on one of its own, and never blocks.

Log-ins and administration are never dropped while the disk takes lines; refusals and denials, which strangers can
cause without end, are counted above a quota.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from bridgehead.security.audit.events import FAILED, RECOVERED, SYSLOG_FAILED, SYSLOG_RECOVERED
from bridgehead.security.audit.journal import Entry, Journal
from bridgehead.security.audit.settings import Rules
from bridgehead.security.audit.syslog import Syslog, Target
from bridgehead.security.audit.throttle import Throttle
from bridgehead.security.audit.vocabulary import LINES_LOST, LOSSLESS, SUMMARY, kind_of
from bridgehead.security.errors import SecurityError

WINDOW: Final = 60.0  # seconds to which a quota applies
QUOTA: Final = 600  # lines of one event in a window; a quarter of it for one source
CEILING: Final = 20_000  # lines that wait for the disk
_BATCH: Final = 1000
_IDLE: Final = 1.0  # seconds between two looks at whether a checkpoint is due
_RETRY: Final = 1.0
_CLOSE_SECONDS: Final = 5.0
_GATHER: Final = 0.01  # seconds in which lines that come together go to disk together

Tell = Callable[[str, dict[str, object]], None]


class AuditLog:
    """`tell(event, fields)` reports to the hub's own log what the audit log cannot say itself; it is called from
    `tick` only, hence on the thread that calls that."""

    def __init__(
        self,
        data: Path,
        rules: Rules,
        tell: Tell,
        *,
        refuse: bool = False,
        syslog: Target | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`refuse`: see `failing`. Errors: SecurityError when the audit log cannot be written."""
        self._clock: Final = clock
        self._tell: Final = tell
        self._refuse = refuse
        self._throttle: Final = Throttle(WINDOW)
        self._queue: Final[deque[Entry]] = deque()
        self._told: Final[deque[tuple[str, dict[str, object]]]] = deque()
        self._lost = 0
        self._failure = ""
        self._ending = False
        self._taken = 0  # entries that `record` has put into the queue
        self._written = 0  # ... that are on disk, or lost
        self._wake: Final = threading.Event()
        self._progress: Final = threading.Condition()
        self._journal: Final = Journal(data, rules, clock)
        self._target: Target | None = None
        self._syslog: Syslog | None = None
        self._send_to(syslog)
        self._thread: Final = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    # On the event loop's thread. --------------------------------------------------------------------

    def record(self, event: str, fields: Mapping[str, object]) -> None:
        """Keep the event, if it is of those that are kept. Costs microseconds; the lines follow within a moment."""
        kind = kind_of(event)
        if kind is None:
            return
        now = self._clock()
        if kind not in LOSSLESS:
            self._summarise(now)
            if not self._throttle.admit(event, source_of(fields), QUOTA, now):
                return
        self._put((now, event, dict(fields)), kind in LOSSLESS)

    def failing(self) -> str:
        """Why no new log-ins must be accepted, or "": only with `refuse`, while lines cannot be written."""
        if not self._refuse:
            return ""
        if not self._thread.is_alive():
            return "the audit log has ended by a defect: start the hub anew"
        return self._failure or ("the disk is too slow for the audit log" if len(self._queue) >= CEILING else "")

    def tick(self) -> None:
        """Call about once a second."""
        self._summarise(self._clock())
        while self._told:
            event, fields = self._told.popleft()
            self._tell(event, fields)
            if event in (SYSLOG_FAILED, SYSLOG_RECOVERED):
                self.record(event, fields)

    def reconfigure(self, rules: Rules, refuse: bool, syslog: Target | None) -> None:
        """Errors: OSError when the lines cannot be read back for syslog."""
        self._journal.rules = rules
        self._refuse = refuse
        self._send_to(syslog)

    def flush(self, seconds: float) -> bool:
        """Wait until all that was recorded so far is on disk. False: it is not, after so many seconds. Blocks."""
        until = self._taken
        self._wake.set()
        with self._progress:
            return self._progress.wait_for(lambda: self._written >= until, seconds)

    def close(self) -> None:
        """Writes what waits, and the last checkpoint. Blocks."""
        self._summarise(float("inf"))
        self._ending = True
        self._wake.set()
        self._thread.join(_CLOSE_SECONDS)
        if self._syslog is not None:
            self._syslog.close()
        self.tick()

    def _put(self, entry: Entry, lossless: bool) -> None:
        # What must not be lost may use the room that the rest has to leave.
        if len(self._queue) >= (2 * CEILING if lossless else CEILING):
            self._lost += 1
            return
        self._queue.append(entry)
        self._taken += 1
        if not self._wake.is_set():
            self._wake.set()

    def _summarise(self, now: float) -> None:
        for event, count in self._throttle.due(now):
            because = f"{count} more of {event} within {WINDOW:.0f} s were not written one by one"
            when = min(now, self._clock())
            self._put((when, SUMMARY, {"of": event, "count": count, "because": because}), True)

    def _send_to(self, target: Target | None) -> None:
        if target is not None and self._target is not None and vars(target) == vars(self._target):
            return
        if self._syslog is not None:
            self._syslog.close(wait=False)  # the event loop does not wait for a collector that has gone
        self._target = target
        self._syslog = None if target is None else Syslog(self._journal.folder, target, self._syslog_told)

    def _syslog_told(self, because: str) -> None:
        if because:
            self._told.append((SYSLOG_FAILED, {"because": f"{because}; lines wait on disk and are sent later"}))
        else:
            self._told.append((SYSLOG_RECOVERED, {}))

    # On its own thread. -----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._wake.wait(_IDLE)
            if not self._ending:
                time.sleep(_GATHER)
            self._wake.clear()
            ending = self._ending  # looked at after `clear`, which would forget a wake-up of `close`
            try:
                self._write_queue()
                self._journal.maintain()
                self._works_again()
            except SecurityError as fault:
                self._cannot(str(fault))
                if not ending:
                    time.sleep(_RETRY)
                    self._wake.set()
            if ending:
                break
        try:
            self._journal.close()
        except SecurityError as fault:
            self._cannot(str(fault))

    def _write_queue(self) -> None:
        while self._queue:
            count = min(len(self._queue), _BATCH)
            batch = [self._queue[index] for index in range(count)]
            self._journal.append(batch)
            for _ in range(count):
                self._queue.popleft()
            with self._progress:
                self._written += count
                self._progress.notify_all()
            if self._syslog is not None:
                self._syslog.wake()

    def _cannot(self, because: str) -> None:
        if not self._failure:
            choice = "no log-ins are accepted until it can" if self._refuse else "the hub goes on without"
            self._told.append((FAILED, {"because": f"{because}; {choice}: free space, or check the folder"}))
        self._failure = because

    def _works_again(self) -> None:
        lost, self._lost = self._lost, 0
        if not self._failure and not lost:
            return
        now = self._clock()
        entries: list[Entry] = []
        if self._failure:
            entries.append((now, RECOVERED, {"because": f"for a while: {self._failure}"}))
        if lost:
            entries.append((now, LINES_LOST, {"count": lost, "because": "there was no room for them to wait"}))
        try:
            self._journal.append(entries)
        except SecurityError:
            self._lost += lost
            raise
        self._told.append((RECOVERED, {"lost": lost}))
        self._failure = ""


def source_of(fields: Mapping[str, object]) -> str:
    """Who caused an event: an identity, else an address without its port, since a flood comes from many ports."""
    source = str(fields.get("principal") or fields.get("address") or fields.get("peer") or "")
    host, colon, port = source.rpartition(":")
    return host if colon and port.isdigit() else source
