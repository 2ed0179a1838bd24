"""A load run on the terminal: the progress line, and the result in words."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.table import Table

from bridgehead.cli.load.plan import ALL, Plan
from bridgehead.cli.load.result import PERCENTILES, Result
from bridgehead.protocols.mqtt.codec.reason_codes import reason_name

BAR = 30  # characters
ERASE = "\x1b[K"  # to the end of the line


class ProgressLine:
    """One line on standard error that shows the phase, how far it is and the present rate; only on a terminal.

    A plain write: drawing with rich takes milliseconds, which would be measured as the server's latency.
    """

    def __init__(self) -> None:
        self.shown = sys.stderr.isatty()

    def show(self, phase: str, fraction: float, rate: float) -> None:
        if self.shown:
            done = round(fraction * BAR)
            text = f"{rate:,.0f} messages/s" if rate else ""
            self.write(f"{phase:>10} [{'#' * done}{' ' * (BAR - done)}] {text}")

    def write(self, text: str) -> None:
        sys.stderr.write(f"\r{text}{ERASE}")
        sys.stderr.flush()

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.shown:
            self.write("")


def describe(plan: Plan, window: int) -> str:
    """The plan in one line."""
    if plan.layout == ALL:
        who = f"{counted(plan.publishers, 'publisher')} to {counted(plan.subscribers, 'subscriber')}"
    else:
        who = counted(plan.publishers, "pair")
    pace = f"{plan.rate:,.0f} messages/s asked for" if plan.rate else f"{window} in flight each"
    return f"{who}, QoS {plan.qos}, {plan.size} octets, {pace}"


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(micros: float | None) -> str:
    """A latency for people."""
    if micros is None:
        return "–"
    return f"{micros:.0f} µs" if micros < 1000 else f"{micros / 1000:.2f} ms"


def print_result(result: Result) -> None:
    """The result as a small table."""
    plan = result.plan
    table = Table(title=describe(plan, result.window), title_justify="left", show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    what = "delivered" if plan.subscribers else "acknowledged" if plan.qos else "sent"
    table.add_row(
        "throughput", f"{result.per_second:,.0f} messages/s {what} ({result.messages:,} in {result.seconds:.1f} s)"
    )
    if result.latency.total:
        values = [f"p{percent:g} {duration(result.latency.percentile(percent))}" for percent in PERCENTILES]
        table.add_row("latency", "  ".join([*values, f"max {duration(float(result.latency.largest))}"]))
    table.add_row("lost", f"{result.lost:,}" + (f" of {result.expected:,}" if result.lost else ""))
    if result.unacknowledged:
        table.add_row("unanswered", f"{result.unacknowledged:,} never acknowledged")
    for code, count in result.refused.items():
        table.add_row("refused", f"{count:,} times {reason_name(code)} (0x{code:02X})")
    if result.stalls:
        table.add_row("stalls", f"{result.stalls} times nothing moved for a second until the windows were opened anew")
    if result.server_cpu is not None:
        share = result.server_cpu / result.seconds
        cost = "too little to measure" if result.per_cpu_second is None else f"{result.per_cpu_second:,.0f} messages/s"
        table.add_row("server", f"{cost} per second of its CPU ({share:.0%} of one core)")
    limit = "; it was the limit, not the server" if result.generator_was_the_limit else ""
    table.add_row("generator", f"{result.generator_share:.0%} of one core{limit}")
    Console(highlight=False).print(table)
