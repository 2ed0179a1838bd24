"""`make bench`: its figures, its table and its choice of measurements, without running the servers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.claims import Claim, foreign_filter
from bench.hub import addresses
from bench.machine import slug
from bench.policy_cost import COUNT, KEYS, permissions
from bench.report import Report, Row
from bench.scenarios import SCENARIOS, USER
from bridgehead.cli.load.histogram import Histogram
from bridgehead.cli.load.plan import Plan
from bridgehead.cli.load.result import Result
from bridgehead.core.topic import check_topic_filter, matches

ROOT = Path(__file__).resolve().parents[2]


def result(messages: int, server_cpu: float | None = 1.0, lost: int = 0) -> Result:
    latency = Histogram()
    latency.add(100, messages)
    return Result(
        plan=Plan(),
        window=100,
        seconds=2.0,
        published=messages,
        delivered=messages,
        acknowledged=0,
        expected=messages + lost,
        received=messages,
        unacknowledged=0,
        refused={},
        disordered=0,
        stalls=0,
        latency=latency,
        server_cpu=server_cpu,
        generator_cpu=0.5,
    )


def row(ours: list[int], theirs: list[int]) -> Row:
    return Row(SCENARIOS[0], [result(n) for n in theirs], [result(n) for n in theirs], [result(n) for n in ours])


def test_a_ratio_is_the_median_of_neighbours() -> None:
    # The second pair was disturbed on both sides: its ratio is as good as the others'.
    assert row([1300, 130, 1200], [100, 10, 100]).ratio == 13.0


def test_a_row_is_judged_by_its_ratio() -> None:
    assert row([1200], [100]).verdict == "met"
    assert row([1800], [100]).verdict == "met, and the aim"
    assert row([1199], [100]).verdict == "NOT MET"


def test_losses_make_a_row_doubtful() -> None:
    doubtful = Row(SCENARIOS[0], [result(5)], [result(5)], [result(5, lost=2)])
    assert doubtful.trouble() == ["bridgehead lost 2"]


def test_a_server_that_used_no_cpu_has_no_rate() -> None:
    assert result(100, server_cpu=0.01).per_cpu_second is None
    assert result(100, server_cpu=None).per_cpu_second is None


@pytest.mark.parametrize(
    ("value", "more_is_better", "met"), [(0.2, True, False), (0.3, True, True), (0.3, False, True), (0.4, False, False)]
)
def test_a_claim_knows_which_side_is_good(value: float, more_is_better: bool, met: bool) -> None:
    assert Claim("key", "title", value, 0.3, "s", more_is_better).met is met


def test_the_report_is_written_twice(tmp_path: Path) -> None:
    report = Report({"processor": "a"}, "settings")
    report.rows.append(row([1500], [100]))
    report.claims.append(Claim("idle-plain", "Memory", 7000.0, 6144.0, "octets", False, "note"))
    assert not report.met
    markdown, data = report.write(tmp_path / "results", "today")
    text = markdown.read_text()
    assert "| one pair, QoS 0, 1000 in flight | 0 k | 0 k | 2 k | 15.00 | 12 | 18 | met |" in text
    assert "| Memory | 6.84 KiB | ≤ 6.00 KiB | NOT MET | note |" in text
    told = json.loads(data.read_text())
    assert (told["rows"][0]["ratio"], told["claims"][0]["met"]) == (15.0, False)


def test_the_scenarios_ask_what_the_project_promised() -> None:
    asked = {scenario.key: (scenario.at_least, scenario.aim) for scenario in SCENARIOS}
    assert asked == {
        "pair": (12, 18), "ten": (9, 12), "trickle": (1.5, 1.8), "fan-out": (5, 5.5), "qos1": (7, 8.6), "qos2": (9, 12),
        "tls-pair": (6, 6.3), "tls-ten": (5, 7.8), "tls-trickle": (1.2, 1.35), "tls-fan-out": (5, 5.9),
        "tls-qos1": (4, 5.6), "tls-qos2": (6, 7.5),
    }  # fmt: skip


@pytest.mark.parametrize("number", range(20))
def test_the_subscriptions_of_others_are_valid_and_match_nothing_measured(number: int) -> None:
    topic_filter = foreign_filter(3, number)
    check_topic_filter(topic_filter)
    topics = Plan(10, 10, topic="bench/f0", topics=100).topics_of(3)
    assert not any(matches(topic_filter, topic) for topic in topics)
    assert topic_filter.startswith("bench/")
    assert USER == "bench"


def test_the_ready_line_tells_both_ports() -> None:
    assert addresses("ready mqtt=127.0.0.1:1234 mqtts=127.0.0.1:5678\n") == (1234, 5678)
    with pytest.raises(RuntimeError):
        addresses("ready mqtts=127.0.0.1:5678\n")


def test_a_processors_name_becomes_a_files() -> None:
    assert slug("AMD EPYC(TM) 7763 64-Core Processor") == "amd-epyc-7763-64-core"
    assert slug("Intel(R) Xeon(R) CPU @ 2.60GHz") == "intel-xeon"


def test_an_unknown_measurement_is_a_usage_error() -> None:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--only", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "--list" in done.stderr


def test_the_list_names_what_is_measured_of_identities() -> None:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert {"login", "revoke", "policy", "audit"} < {line.split()[0] for line in done.stdout.splitlines()}


def test_ten_thousand_permissions_leave_the_measured_topics_alone() -> None:
    burden = permissions(0, COUNT)
    assert len(burden) == COUNT
    assert sum(not each.allow for each in burden) == COUNT // 100
    topics = [topic for key in KEYS for topic in Plan(10, 10, topic=f"bench/{key}/0").topics_of(3)]
    assert not any(matches(each.topic_filter.replace("${device}", USER), topic) for each in burden for topic in topics)
