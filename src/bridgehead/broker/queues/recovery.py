"""From the store back to queues, when the hub starts."""

from __future__ import annotations

from typing import Final

from bridgehead.broker.events import QUEUES_RECOVERED, EventSink
from bridgehead.broker.journal import HELD, MARKED, QUEUES, Journal
from bridgehead.broker.ports import Store
from bridgehead.broker.queues import records
from bridgehead.broker.queues.belongings import Holding
from bridgehead.broker.queues.queue import Queue
from bridgehead.broker.queues.queues import Queues
from bridgehead.broker.queues.stock import Author
from bridgehead.core.entry import ACQUIRED, Entry
from bridgehead.core.errors import Refusal
from bridgehead.core.message import NEVER

OF_QUEUE: Final = "w"  # what the name of a queue's log begins with
_PAGE: Final = 1000


def identities_of(store: Store) -> set[str]:
    """The names of those who declared queues that are kept, or bound them: they are to be admitted before."""
    found: set[str] = set()
    for _, record in store.scan(QUEUES):
        kept = records.read_queue(record)
        found.add(kept.author.name)
        for _, author in kept.feeds:
            found.add(author.name)
    found.discard("")  # the hub itself
    return found


def recover_queues(store: Store, queues: Queues, journal: Journal, event: EventSink) -> None:
    """Read queues, their entries, what became of these and what feeds them; the principals are admitted already. What
    may have been with a consumer comes again, and says so. Raises records.CorruptRecord."""
    by_log: dict[str, Queue] = {}
    feeds: list[tuple[Queue, str, Author]] = []
    count = 0
    for name, record in store.scan(QUEUES):
        kept = records.read_queue(record)
        queue = queues.restore(name, kept)
        by_log[queue.log] = queue
        for topic_filter, author in kept.feeds:
            feeds.append((queue, topic_filter, author))
    marks = _by_log(store, journal, MARKED, by_log)
    held = _by_log(store, journal, HELD, by_log)
    for log in list(store.logs()):
        if log[0] != OF_QUEUE:
            continue
        queues.next_number = max(queues.next_number, int(log[1:]) + 1)
        found = by_log.get(log)
        if found is None:
            journal.drop_log(log)
        else:
            count += _read_log(store, found, marks[log], held[log])
    for log in by_log:
        for sequence in marks[log]:
            journal.delete(MARKED, f"{log}/{sequence}")
        for sequence in held[log]:
            journal.delete(HELD, f"{log}/{sequence}")
    lost: dict[Queue, None] = {}
    for queue, topic_filter, author in feeds:
        principal = queues.feeds.principal_of(author)
        if principal is None:
            lost[queue] = None
            continue
        try:
            queues.feeds.bind(principal, queue, topic_filter)
        except Refusal:
            lost[queue] = None  # the door has told: it may not be subscribed to any more
    for queue in lost:
        queue.note()
    for queue in by_log.values():
        queues.watch(queue)
    if by_log:
        event(QUEUES_RECOVERED, {"queues": len(by_log), "messages": count})


def _read_log(store: Store, queue: Queue, marks: dict[int, bytes], held: dict[int, bytes]) -> int:
    after = 0
    count = 0
    while True:
        page = store.read(queue.log, after, _PAGE)
        for sequence, record in page:
            after = sequence
            count += 1
            entry = records.read_entry(sequence, record)
            mark = marks.pop(sequence, None)
            if mark is not None:
                records.read_mark(mark, entry)
            entry.again = not queue.unsent_from or sequence < queue.unsent_from
            queue.enter(entry)
            queue.has_tags = queue.has_tags or bool(entry.message.origin.tags)
            holding = held.pop(sequence, None)
            if holding is not None:
                _hold(queue, entry, holding)
        if len(page) < _PAGE:
            break
    queue.next_sequence = max(queue.next_sequence, after + 1)
    if queue.unsent_from == 0 and not queue.holdings:
        queue.settle_down()
    return count


def _hold(queue: Queue, entry: Entry, record: bytes) -> None:
    """A durable link has it: it counts as away from now on."""
    holder, lasting = records.read_holding(record)
    holding = queue.holdings.get(holder)
    if holding is None:
        holding = Holding(holder, NEVER if lasting == NEVER else queue.clock.now + lasting)
        queue.holdings[holder] = holding
    holding.entries[entry.sequence] = entry
    entry.holder = holder
    entry.state = ACQUIRED
    queue.leave(entry)
    queue.unsettled += 1


def _by_log(store: Store, journal: Journal, bucket: str, by_log: dict[str, Queue]) -> dict[str, dict[int, bytes]]:
    """The bucket's records by log and sequence number. What belongs to no queue is deleted."""
    found: dict[str, dict[int, bytes]] = {log: {} for log in by_log}
    for key, record in store.scan(bucket):
        log, _, sequence = key.rpartition("/")
        if log in found:
            found[log][int(sequence)] = record
        else:
            journal.delete(bucket, key)
    return found
