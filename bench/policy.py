"""What a decision costs: uncached and cached, with many permissions, for few devices and for very many.

    python -m bench.policy                                  # interpreted
    PYTHONPATH=build/compiled python -m bench.policy        # compiled

Each figure is decisions per second of CPU time, the best of some rounds. Uncached: every topic is asked about for the
first time. `memory` is what the process grew by, for all devices together.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Callable

from bench.machine import describe
from bridgehead.core import rights as compiled_or_not
from bridgehead.core.policy import Bindings, Context, Permission, Principal, Rights

ROUNDS = 5
TOPICS = 200  # that each device is asked about: fewer than it remembers
CONTEXT = Context("mqtt", ("certificate",))


def permissions(count: int) -> list[Permission]:
    """Of a plant: rooms with placeholders, halls by name, wildcards, a denial in each hundred."""
    found: list[Permission] = []
    for i in range(count):
        if i % 100 == 99:
            found.append(Permission(f"plant/hall-{i}/+/secret", True, True, allow=False))
        elif i % 4 == 0:
            found.append(Permission(f"plant/line-{i}/${{device}}/#", True, False, 1))
        elif i % 4 == 1:
            found.append(Permission(f"plant/${{group}}/slot-{i}/state", True, True))
        elif i % 4 == 2:
            found.append(Permission(f"plant/hall-{i}/+/command", False, True))
        else:
            found.append(Permission(f"office/{i}/door/{i % 7}", True, True, retain=False))
    return found


def topics(name: str, count: int, first: int) -> list[str]:
    """Half of them permitted."""
    made: list[str] = []
    for i in range(count):
        n = (first + i * 7) % 10_000
        kind = i % 4
        if kind == 0:
            made.append(f"plant/line-{n - n % 4}/{name}/temperature/{i}")
        elif kind == 1:
            made.append(f"plant/lobby/slot-{n - n % 4 + 1}/state")
        elif kind == 2:
            made.append(f"plant/hall-{n - n % 4 + 2}/left-{i}/open")
        else:
            made.append(f"office/{n}/door/{i % 9}")
    return made


def measure(work: Callable[[], int]) -> float:
    """Decisions per second of CPU time."""
    begun = time.process_time()
    count = work()
    return count / (time.process_time() - begun)


def devices(count: int, role: Rights, everyone: Rights) -> list[Principal]:
    group = Rights("group lobby", [Permission("Office/${group}/#", False, True)], {"group": ("lobby",)})
    made: list[Principal] = []
    for i in range(count):
        name = f"sensor-{i}"
        own = Rights(f"device {name}", [Permission("own/${device}/#", True, True)])
        bindings: Bindings = {"device": (name,), "group": ("lobby",), "room": (f"room-{i % 50}",)}
        made.append(Principal(name, [own, role, group, everyone], bindings, [], float(i)).under(CONTEXT))
    return made


def resident() -> int:
    """In octets."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def asked(holders: list[Principal], lists: list[list[str]]) -> Callable[[], int]:
    def work() -> int:
        count = 0
        for holder, ask in zip(holders, lists, strict=True):
            mask = holder.publish_mask
            for topic in ask:
                mask(topic)
            count += len(ask)
        return count

    return work


def run(count: int, number: int) -> tuple[float, float, float, float]:
    """(uncached, cached per CPU second, octets per device, seconds to amend the role for all of them)."""
    gc.collect()
    role = Rights("role sensor", permissions(count))
    everyone = Rights("everyone", [Permission("$SYS/#", True, True, allow=False)])
    before = resident()
    holders = devices(number, role, everyone)
    per_device = (resident() - before) / number
    some = holders[:: max(1, number // 500)][:500]
    uncached = cached = 0.0
    for round_number in range(ROUNDS):
        for holder in some:
            holder.root.forget()
        lists = [topics(holder.name, TOPICS, round_number * 31 + i) for i, holder in enumerate(some)]
        work = asked(some, lists)
        uncached = max(uncached, measure(work))
        cached = max(cached, measure(work))
    begun = time.process_time()
    role.amend(permissions(count))
    for holder in holders:
        holder.root.forget()
    return uncached, cached, per_device, time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--permissions", type=int, default=10_000)
    arguments = parser.parse_args()
    flavour = "interpreted" if compiled_or_not.__file__.endswith(".py") else "compiled"
    print(f"{flavour}; {describe()['processor']}; {describe()['python']}")
    print(
        f"{'permissions':>12} {'devices':>8} {'uncached/s':>12} {'cached/s':>12} {'octets/device':>14} {'amend, s':>9}"
    )
    for count in (100, arguments.permissions):
        for number in (1, 100, 10_000):
            uncached, cached, memory, amend = run(count, number)
            print(f"{count:>12} {number:>8} {uncached:>12,.0f} {cached:>12,.0f} {memory:>14,.0f} {amend:>9.3f}")


if __name__ == "__main__":
    main()
