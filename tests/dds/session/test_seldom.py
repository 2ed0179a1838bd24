"""Events that a flood repeats: none is lost from the count, and few are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.clock import Clock
from bridgehead.core.message import NEVER
from bridgehead.protocols.dds.session.seldom import INTERVAL, Seldom


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 7)), max_size=60))
def test_every_one_is_told_or_counted(happenings: list[tuple[str, float]]) -> None:
    clock = Clock(100.0)
    counted = {"a": 0, "b": 0, "c": 0}
    told: list[tuple[float, str]] = []

    def event(name: str, fields: dict[str, object]) -> None:
        times = fields.get("times", 1)
        assert isinstance(times, int)
        key = str(fields["key"])
        counted[key] += times
        told.append((clock.now, key))

    seldom = Seldom(event, clock)
    wanted = {"a": 0, "b": 0, "c": 0}
    for key, pause in happenings:
        wanted[key] += 1
        seldom.tell("dds.thing", key, {"key": key})
        clock.now += pause
        if seldom.next_timeout() <= clock.now:
            seldom.handle_timeout()
    seldom.finish()
    assert counted == wanted
    assert len(told) <= 2 * 3 * (1 + int((clock.now - 100.0) / INTERVAL)) + 3


def test_many_keys_are_one_when_there_are_too_many() -> None:
    clock = Clock(0.0)
    told: list[dict[str, object]] = []
    seldom = Seldom(lambda name, fields: told.append(fields), clock)
    for number in range(5000):
        seldom.tell("dds.thing", str(number), {})
    assert len(told) <= 257
    clock.now += INTERVAL
    seldom.handle_timeout()
    assert sum(int(str(fields.get("times", 1))) for fields in told) == 5000


def test_what_was_counted_comes_before_the_next_one() -> None:
    clock = Clock(0.0)
    told: list[dict[str, object]] = []
    seldom = Seldom(lambda name, fields: told.append(fields), clock)
    for number in range(3):
        seldom.tell("dds.thing", "one", {"number": number})
    clock.now += INTERVAL
    seldom.tell("dds.thing", "one", {"number": 3})
    assert told == [{"number": 0}, {"number": 2, "times": 2}, {"number": 3}]


def test_what_is_over_is_forgotten() -> None:
    clock = Clock(0.0)
    seldom = Seldom(lambda name, fields: None, clock)
    seldom.tell("dds.thing", "one", {})
    clock.now += INTERVAL
    seldom.handle_timeout()
    assert seldom.next_timeout() == NEVER
