"""A network namespace of its own whose loopback loses datagrams by chance, for real processes on both ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

RULES = """
table inet loss {{
    chain input {{
        type filter hook input priority 0; policy accept;
        meta l4proto udp numgen random mod 100 < {percent} counter drop
        meta l4proto udp counter accept
    }}
}}
"""


@contextmanager
def losing(percent: int) -> Iterator[list[str]]:
    """The beginning of a command line that runs in there. Each datagram is lost with that probability, each way; TCP
    is not. Needs the right to make namespaces; they end with this context."""
    name = f"bridgehead-{os.getpid()}-{percent}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["ip", "netns", "exec", name]
    try:
        subprocess.run([*inside, "ip", "link", "set", "lo", "up"], check=True)
        subprocess.run([*inside, "nft", "-f", "-"], input=RULES.format(percent=percent), text=True, check=True)
        yield inside
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def lost(inside: list[str]) -> tuple[int, int]:
    """How many datagrams were lost so far, and how many arrived."""
    shown = subprocess.run([*inside, "nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    counts = [int(line.split("packets ")[1].split()[0]) for line in shown.splitlines() if "packets " in line]
    return counts[0], counts[1]
