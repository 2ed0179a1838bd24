"""The results as a table on the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.claims import Claim
from bench.scenarios import Scenario
from bridgehead.cli.load.result import Result

COUNTING = (
    "Rates are messages per second of the server's CPU (user and system time of its process and children, over the "
    "measured seconds only). A message counts when it is delivered; one to 100 subscribers counts 100 times."
)
PROMPT = "mosquitto with set_tcp_nodelay"


class Row:
    """One scenario with the results of Mosquitto (`theirs`; `prompt` is it without Nagle's algorithm) and of the hub,
    run by run. The demand is against Mosquitto as Debian ships it."""

    def __init__(self, scenario: Scenario, theirs: list[Result], prompt: list[Result], ours: list[Result]) -> None:
        self.scenario = scenario
        self.theirs = theirs
        self.prompt = prompt
        self.ours = ours

    @property
    def their_rate(self) -> float:
        return median_rate(self.theirs)

    @property
    def our_rate(self) -> float:
        return median_rate(self.ours)

    @property
    def ratio(self) -> float:
        return median_ratio(self.ours, self.theirs)

    @property
    def prompt_ratio(self) -> float:
        return median_ratio(self.ours, self.prompt)

    @property
    def met(self) -> bool:
        return self.ratio >= self.scenario.at_least

    @property
    def verdict(self) -> str:
        if not self.met:
            return "NOT MET"
        return "met, and the aim" if self.ratio >= self.scenario.aim else "met"

    def trouble(self) -> list[str]:
        """What makes a figure doubtful: losses, refusals, a generator at its limit."""
        found = []
        for name, results in (("mosquitto", self.theirs), (PROMPT, self.prompt), ("bridgehead", self.ours)):
            lost = sum(result.lost for result in results)
            if lost:
                found.append(f"{name} lost {lost:,}")
            if any(result.refused for result in results):
                found.append(f"{name} refused messages")
            if any(result.stalls for result in results):
                found.append(f"{name} stalled")
            if any(result.generator_was_the_limit for result in results):
                found.append(f"the generator was the limit of {name}'s wall clock")
        return found

    def to_json(self) -> dict[str, object]:
        return {
            "scenario": self.scenario.key,
            "title": self.scenario.title,
            "mosquitto": [result.to_json() for result in self.theirs],
            "mosquitto_nodelay": [result.to_json() for result in self.prompt],
            "bridgehead": [result.to_json() for result in self.ours],
            "ratio": round(self.ratio, 3),
            "ratio_to_nodelay": round(self.prompt_ratio, 3),
            "at_least": self.scenario.at_least,
            "aim": self.scenario.aim,
            "met": self.met,
        }


def median_ratio(ours: list[Result], others: list[Result]) -> float:
    """The median of the ratios of runs that stood beside each other, so that what disturbs one disturbs one ratio."""
    ratios = [
        mine.per_cpu_second / other.per_cpu_second
        for mine, other in zip(ours, others, strict=True)
        if mine.per_cpu_second and other.per_cpu_second
    ]
    return statistics.median(ratios) if ratios else 0.0


def median_rate(results: list[Result]) -> float:
    """Messages per second of server CPU; 0 when no run could be measured."""
    rates = [result.per_cpu_second for result in results if result.per_cpu_second]
    return statistics.median(rates) if rates else 0.0


def median_wall(results: list[Result]) -> float:
    return statistics.median(result.per_second for result in results)


def p99(results: list[Result]) -> float:
    """The median of the runs' 99th percentiles of latency, in milliseconds."""
    return statistics.median(result.latency.percentile(99) or 0.0 for result in results) / 1000


def thousands(rate: float) -> str:
    return f"{rate / 1000:,.0f} k"


class Report:
    """Everything that one call of `make bench` measured."""

    def __init__(self, machine: dict[str, str], settings: str) -> None:
        self.machine = machine
        self.settings = settings
        self.rows: list[Row] = []
        self.claims: list[Claim] = []

    @property
    def met(self) -> bool:
        return all(row.met for row in self.rows) and all(claim.met is not False for claim in self.claims)

    def show(self, console: Console) -> None:
        """Print both tables."""
        console.print("\n".join(f"{name:>10}  {value}" for name, value in self.machine.items()), highlight=False)
        console.print(f"{COUNTING} {self.settings}", highlight=False)
        if self.rows:
            table = Table(title="Messages per second of server CPU, authentication and policy on, 64-octet payloads")
            for heading in (
                "scenario",
                "Mosquitto",
                "nodelay",
                "Bridgehead",
                "ratio",
                "at least",
                "aim",
                "",
                "to nodelay",
            ):
                table.add_column(heading, justify="left" if heading in ("scenario", "") else "right")
            for row in self.rows:
                table.add_row(
                    row.scenario.title,
                    thousands(row.their_rate),
                    thousands(median_rate(row.prompt)),
                    thousands(row.our_rate),
                    f"{row.ratio:.2f}",
                    f"{row.scenario.at_least:g}",
                    f"{row.scenario.aim:g}",
                    coloured(row.verdict, row.met),
                    f"{row.prompt_ratio:.2f}",
                )
            console.print(table)
        if self.claims:
            table = Table(title="Beyond the table")
            for heading in ("", "measured", "demanded", " ", "note"):
                table.add_column(heading)
            for claim in self.claims:
                verdict = "" if claim.met is None else "met" if claim.met else "NOT MET"
                table.add_row(
                    claim.title,
                    figure(claim.value, claim.unit),
                    demand(claim),
                    coloured(verdict, claim.met),
                    claim.note,
                )
            console.print(table)
        for row in self.rows:
            for trouble in row.trouble():
                console.print(f"{row.scenario.key}: {trouble}", style="yellow")

    def markdown(self) -> str:
        """The same for `bench/results/`."""
        lines = ["# Speed beside Mosquitto", "", *(f"- {name}: {value}" for name, value in self.machine.items()), ""]
        lines += [COUNTING, "", self.settings, ""]
        if self.rows:
            headings = ["scenario", "Mosquitto", "nodelay", "Bridgehead", "ratio", "at least", "aim", "", "to nodelay"]
            headings += ["wall clock, messages/s", "p99, ms"]
            lines += [f"| {' | '.join(headings)} |", "|---|---:|---:|---:|---:|---:|---:|---|---:|---|---|"]
        for row in self.rows:
            each = (row.theirs, row.prompt, row.ours)
            rates = " | ".join(thousands(median_rate(results)) for results in each)
            wall = " · ".join(thousands(median_wall(results)) for results in each)
            late = " · ".join(f"{p99(results):.2f}" for results in each)
            asked = f"{row.scenario.at_least:g} | {row.scenario.aim:g}"
            lines.append(
                f"| {row.scenario.title} | {rates} | {row.ratio:.2f} | {asked} | {row.verdict} "
                f"| {row.prompt_ratio:.2f} | {wall} | {late} |"
            )
        if self.claims:
            lines += ["", "| beyond the table | measured | demanded | | note |", "|---|---:|---:|---|---|"]
        for claim in self.claims:
            verdict = "" if claim.met is None else "met" if claim.met else "NOT MET"
            measured = figure(claim.value, claim.unit)
            lines.append(f"| {claim.title} | {measured} | {demand(claim)} | {verdict} | {claim.note} |")
        troubles = [f"- {row.scenario.key}: {trouble}" for row in self.rows for trouble in row.trouble()]
        if troubles:
            lines += ["", "Doubtful:", "", *troubles]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path, stem: str) -> list[Path]:
        """STEM.md and STEM.json in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "machine": self.machine,
            "settings": self.settings,
            "rows": [row.to_json() for row in self.rows],
            "claims": [{**vars(claim), "met": claim.met} for claim in self.claims],
        }
        paths = [folder / f"{stem}.md", folder / f"{stem}.json"]
        paths[0].write_text(self.markdown())
        paths[1].write_text(json.dumps(data, indent=1) + "\n")
        return paths


def figure(value: float, unit: str) -> str:
    if unit == "octets":
        return f"{value / 1024:.2f} KiB"
    return f"{value:,.2f} {unit}".rstrip()


def demand(claim: Claim) -> str:
    if claim.limit is None:
        return ""
    return f"{'≥' if claim.more_is_better else '≤'} {figure(claim.limit, claim.unit)}"


def coloured(text: str, good: bool | None) -> Text:
    return Text(text, style="" if good is None else "green" if good else "bold red")
