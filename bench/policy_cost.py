"""What the policy costs the message rates of a real hub: a device with one permission beside one with ten thousand.

    PYTHONPATH=build/compiled python -m bench.policy_cost [--seconds S] [--pairs N]

Two hubs run the same load alternately. The one's device holds the permission `bench/#` and nothing else; the other's
holds two roles besides, with 10,000 permissions between them: placeholders, wildcards, conditions on protocol and
mechanism, a denial in each hundred, none of them for the load's topics. That a message is judged at all is in both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from bench.hub import Hub, flavour
from bench.scenarios import SCENARIOS, TOPIC, USER, Scenario, measure
from bridgehead.security.identity.identity import Identity
from bridgehead.security.records import PermissionRecord, Role

COUNT: Final = 10_000
LIMIT: Final = 0.05  # of the message rate
KEYS: Final = ("pair", "ten", "fan-out", "qos1")
ROLES: Final = ("machine", "plant")


def permissions(first: int, count: int) -> list[PermissionRecord]:
    """Of which none concerns the load; they lie in the same tree, so that they must be told apart."""
    found: list[PermissionRecord] = []
    for i in range(first, first + count):
        if i % 100 == 99:
            found.append(PermissionRecord(f"{TOPIC}/hall-{i}/+/secret", True, True, allow=False))
        elif i % 4 == 0:
            found.append(PermissionRecord(f"{TOPIC}/line-{i}/${{device}}/#", True, False, max_qos=1))
        elif i % 4 == 1:
            found.append(PermissionRecord(f"{TOPIC}/+/slot-{i}/state", True, True, protocols=("mqtt",)))
        elif i % 4 == 2:
            found.append(PermissionRecord(f"{TOPIC}/hall-{i}/+/command", False, True, mechanisms=("certificate",)))
        else:
            found.append(PermissionRecord(f"{TOPIC}/{i}/door/{i % 7}", True, True, retain=False))
    return found


def burden(data: Path) -> None:
    """Give the bench identity the roles."""
    identity = Identity(data)
    try:
        half = COUNT // len(ROLES)
        for number, name in enumerate(ROLES):
            identity.registry.add_role(Role(name, time.time(), tuple(permissions(number * half, half))))
        device = identity.registry.device(USER)
        if device is None:
            raise RuntimeError(f"{USER} is not enrolled")
        identity.registry.update_device(replace(device, roles=ROLES), time.time())
    finally:
        identity.close()


def costs(
    few: Hub, many: Hub, pairs: int, seconds: float, warm_up: float, say: Callable[[str], None]
) -> dict[str, float]:
    """By scenario: which part of the message rate per CPU second the ten thousand cost, the median of the pairs."""
    found: dict[str, float] = {}
    for scenario in (each for each in SCENARIOS if each.key in KEYS):
        ratios: list[float] = []
        for number in range(pairs):
            # Whichever comes second finds a warmer machine: they take turns.
            order = (few, many) if number % 2 == 0 else (many, few)
            rates = {hub.folder: rate(hub, scenario, number, seconds, warm_up) for hub in order}
            ratios.append(rates[many.folder] / rates[few.folder])
            say(f"{scenario.key}: {rates[few.folder]:,.0f} and {rates[many.folder]:,.0f} messages per CPU second")
        found[scenario.key] = 1 - statistics.median(ratios)
    return found


def rate(hub: Hub, scenario: Scenario, number: int, seconds: float, warm_up: float) -> float:
    found = measure(hub, scenario, number, seconds, warm_up).per_cpu_second
    if found is None:
        raise RuntimeError("the hub used too little CPU to be measured")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bridgehead-bench-") as folder:
        few, many = (Hub(Path(folder) / name, {USER: "a long password of the bench"}, [f"{TOPIC}/#"]) for name in "ab")
        for hub in (few, many):
            hub.enrol()
        burden(many.data)
        try:
            few.start()
            many.start()
            found = costs(few, many, options.pairs, options.seconds, 0.5, print)
        finally:
            few.stop()
            many.stop()
    print(
        f"{flavour()}; cost of {COUNT:,} permissions: " + ", ".join(f"{key} {part:+.1%}" for key, part in found.items())
    )


if __name__ == "__main__":
    main()
