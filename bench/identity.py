"""What `make bench` measures of identities: log-ins, revocation, the policy's price, the audit log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench import login, policy, policy_cost, revoke
from bench.claims import Claim
from bench.hub import Hub
from bridgehead.security.audit.journal import Journal

LOGIN, REVOKE, POLICY, AUDIT = "login", "revoke", "policy", "audit"
MEASUREMENTS: Final = {
    LOGIN: "full TLS 1.3 log-ins by certificate and password beside Mosquitto",
    REVOKE: "from a revocation to the last message, 1,000 connections open",
    POLICY: "decisions of the policy, and what 10,000 permissions cost the message rates",
    AUDIT: "lines of the audit log",
}
RATIO: Final = 0.8
DECISIONS: Final = 500_000  # per CPU second
FLATNESS: Final = 0.8  # of the rate with 100 devices that is left with 10,000
LINES: Final = 20_000
AT_ONCE: Final = 100
Say = Callable[[str], None]


@contextmanager
def all_cores() -> Iterator[None]:
    """For servers that are started here and may use every core: they inherit what this process may use."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def log_ins(quick: bool) -> list[Claim]:
    with all_cores():
        found = login.compare(200 if quick else 600, 1 if quick else 5)
    rounds = ", ".join(f"{ours:.0f} to {theirs:.0f}" for theirs, ours in found.certificate)
    theirs, ours = found.password
    note = f"p50 {found.storm[0]:.2f} ms; without log-ins p50 {found.quiet[0]:.2f}, p99 {found.quiet[1]:.2f} ms"
    return [
        Claim("login-certificate", "Log-ins by certificate, Mosquitto = 1", found.ratio, RATIO, "", True, rounds),
        Claim(
            "login-password",
            "Log-ins by password per CPU second",
            ours,
            None,
            "",
            True,
            f"Argon2id, 19 MiB, 2 passes; Mosquitto's PBKDF2: {theirs:.0f}",
        ),
        Claim(
            "login-others",
            f"PINGRESP's p99 while {login.STORM} passwords log in",
            found.storm[1],
            None,
            "ms",
            False,
            note,
        ),
    ]


def revocations(hub: Hub, quick: bool, say: Say) -> list[Claim]:
    """`hub` is new and not started."""
    connections, acts = (100, 20) if quick else (1000, 200)
    found = revoke.measure(hub, connections, acts, say)
    last = [each.last_message for each in found]
    note = (
        f"{connections:,} connections, {acts} revocations; p50 {revoke.percentile(last, 0.5) * 1000:.1f} ms, "
        f"p99 to the connection's end {revoke.percentile([each.closed for each in found], 0.99) * 1000:.1f} ms"
    )
    value = revoke.percentile(last, 0.99) * 1000
    return [Claim("revoke", "Revocation to last message, p99", value, revoke.LIMIT * 1000, "ms", False, note)]


def decisions() -> list[Claim]:
    some, many = (policy.run(policy_cost.COUNT, number) for number in (100, 10_000))
    return [
        Claim(
            "policy-uncached",
            f"Uncached decisions per CPU second, {policy_cost.COUNT:,} permissions, 10,000 devices",
            many[0],
            DECISIONS,
            "",
            True,
            f"cached {many[1]:,.0f}",
        ),
        Claim(
            "policy-flat",
            "Uncached decisions with 10,000 devices, with 100 = 1",
            many[0] / some[0],
            FLATNESS,
            "",
            True,
            f"{some[0]:,.0f} with 100",
        ),
    ]


def price(few: Hub, many: Hub, pairs: int, seconds: float, warm_up: float, say: Say) -> list[Claim]:
    """Both hubs run; `many` was burdened before."""
    found = policy_cost.costs(few, many, pairs, seconds, warm_up, say)
    return [
        Claim(
            f"policy-cost-{key}",
            f"Message rate lost to {policy_cost.COUNT:,} permissions beside one, {key}",
            part * 100,
            policy_cost.LIMIT * 100,
            "%",
            False,
            "below 0: noise",
        )
        for key, part in found.items()
    ]


def audit_lines(folder: Path) -> list[Claim]:
    """Each batch is on disk before the next one, as in the hub."""
    folder.mkdir(mode=0o700, parents=True)
    journal = Journal(folder)
    fields: dict[str, object] = {"principal": "sensor-7", "peer": "127.0.0.1:40000", "mechanism": "certificate"}
    begun = time.process_time()
    for _ in range(LINES // AT_ONCE):
        journal.append([(time.time(), "session.opened", fields) for _ in range(AT_ONCE)])
    journal.close()
    value = LINES / (time.process_time() - begun)
    note = f"{LINES:,} lines, hashed and chained, {AT_ONCE} at once on the disk"
    return [Claim("audit", "Lines of the audit log per CPU second", value, None, "", True, note)]
