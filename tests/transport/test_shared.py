"""Deadlines: one timer for any number of items, order, coarseness, floods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bridgehead.transport.shared import Deadlines
from tests.transport.tools import turns, until


async def test_items_expire_in_order_unless_discarded() -> None:
    expired: list[str] = []
    deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), 0.02, expired.append)
    for name in ("a", "b", "c"):
        deadlines.add(name)
    assert "b" in deadlines
    deadlines.discard("b")
    deadlines.discard("never there")
    assert deadlines.items() == ["a", "c"]
    await until(lambda: expired == ["a", "c"])
    assert len(deadlines) == 0


async def test_adding_again_does_not_prolong() -> None:
    loop = asyncio.get_running_loop()
    expired: list[str] = []
    deadlines: Deadlines[str] = Deadlines(loop, 0.05, expired.append)
    deadlines.add("a")
    before = deadlines._due["a"]
    await turns(2)
    deadlines.add("a")
    assert deadlines._due["a"] == before
    deadlines.discard("a")


async def test_how_much_of_an_items_time_is_over() -> None:
    class At:
        """Stands for the loop at a moment."""

        now = 50.0

        def time(self) -> float:
            return self.now

        def call_later(self, delay: float, callback: Callable[[], object]) -> None:
            assert delay == 10.0

    loop: Any = At()
    deadlines: Deadlines[str] = Deadlines(loop, 10.0, lambda item: None)
    deadlines.add("a")
    assert deadlines.spent("a") == 0
    loop.now = 57.5
    assert deadlines.spent("a") == 7.5


async def test_one_timer_whatever_the_number() -> None:
    calls: list[float] = []

    class Counting:
        """Stands for the loop, and counts its timers."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.loop = loop

        def time(self) -> float:
            return self.loop.time()

        def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
            calls.append(delay)
            return self.loop.call_later(delay, callback)

    loop: Any = Counting(asyncio.get_running_loop())
    expired: list[int] = []
    deadlines: Deadlines[int] = Deadlines(loop, 0.02, expired.append)
    for item in range(1000):
        deadlines.add(item)
    assert len(calls) == 1
    await until(lambda: len(expired) == 1000)
    assert expired == list(range(1000))
    assert 4 <= len(calls) < 10  # at most 256 each, so that the loop can do something else in between


async def test_the_timer_begins_again_after_it_was_idle() -> None:
    expired: list[str] = []
    deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), 0.01, expired.append)
    deadlines.add("a")
    await until(lambda: expired == ["a"])
    await turns()
    deadlines.add("b")
    await until(lambda: expired == ["a", "b"])


async def test_an_expiry_may_add_and_discard() -> None:
    expired: list[str] = []

    def expire(item: str) -> None:
        expired.append(item)
        deadlines.discard(item)
        if item == "a":
            deadlines.add("c")

    deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), 0.01, expire)
    deadlines.add("a")
    deadlines.add("b")
    await until(lambda: expired == ["a", "b", "c"])
