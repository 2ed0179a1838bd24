"""`bridgehead log verify` and `bridgehead log tail`: the audit log, held against its hashes, and read."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from bridgehead.cli.device_options import Data, Json, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.cli.log_view import Choice
    from bridgehead.security.audit.verify import Report

NOT_INTACT: Final = 1
_POLL: Final = 0.25  # seconds
_HEAD: Final = re.compile(r"(\d{1,18}):([0-9a-f]{64})")

log_app = typer.Typer(help="The audit log: verify it, read it.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(log_app, name="log")


@log_app.command("verify")
def verify_log(
    data: Data,
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", metavar="FILE", help="A copy of audit/signing.pub that was kept elsewhere."),
    ] = None,
    head: Annotated[
        str, typer.Option("--head", metavar="N:HASH", help="A line that an earlier verify named, which must be there.")
    ] = "",
    json_output: Json = False,
) -> None:
    """Find every line that was changed, removed, put in or moved. Exit code 0: none was; 1: each is named."""
    from bridgehead.security.audit.folder import FOLDER
    from bridgehead.security.audit.verify import verify

    with sentences():
        report = verify(data / FOLDER, public_key, _head(head))
    if json_output:
        _print_report(report)
    else:
        for notice in report.notices:
            print(f"note: {notice}")
        for finding in report.findings:
            print(finding)
        print(_summary(report))
    if not report.intact:
        raise typer.Exit(NOT_INTACT)


@log_app.command("tail")
def tail_log(
    data: Data,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, metavar="N", help="How many lines.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new lines as they come.")] = False,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="Lines that name this device.")] = "",
    event: Annotated[
        list[str] | None, typer.Option("--event", metavar="EVENT", help="Lines of this event; * stands for anything.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="log-in, refusal, denial, administration, revocation, policy, ..."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="30m, 2h, 7d ago, or a time such as 2026-11-22T16:00.")
    ] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print the lines as they are on disk.")] = False,
) -> None:
    """The last lines of the audit log. With filters: the last ones that match."""
    from bridgehead.cli.log_view import Choice, since_of
    from bridgehead.security.audit.folder import FOLDER
    from bridgehead.security.audit.reading import Follower

    folder = data / FOLDER
    if not folder.is_dir():
        raise CommandError(f"there is no audit log in {data}: name the hub's data folder with --data", USAGE)
    choice = Choice(device, event or (), kind or (), since_of(since))
    follower = Follower(folder, at_end=False)
    kept: list[str] = []
    while lines := follower.lines():
        kept += _chosen(lines, choice, json_output)
        del kept[: max(0, len(kept) - count)]
    for text in kept:
        print(text)
    while follow:
        sys.stdout.flush()
        time.sleep(_POLL)
        while lines := follower.lines():
            for text in _chosen(lines, choice, json_output):
                print(text)


def _chosen(lines: Iterable[bytes], choice: Choice, as_json: bool) -> list[str]:
    from bridgehead.cli.log_view import content_of, sentence_of

    result: list[str] = []
    for line in lines:
        content = content_of(line)
        if content is not None and choice.wants(content):
            result.append(line.decode("ascii", "backslashreplace") if as_json else sentence_of(content))
    return result


def _head(text: str) -> tuple[int, str] | None:
    if not text:
        return None
    found = _HEAD.fullmatch(text)
    if found is None:
        raise CommandError(f"--head {text!r} is not a line's number and hash: write N:HASH as verify printed it", USAGE)
    return int(found[1]), found[2]


def _summary(report: Report) -> str:
    verdict = "intact" if report.intact else f"NOT intact: {len(report.findings)} findings"
    counted = ", ".join(
        (
            f"{_count(report.lines, 'line')} in {_count(report.files, 'file')}",
            _count(report.checkpoints, "signed checkpoint"),
        )
    )
    uncovered = f", {report.uncovered} lines after the last one" if report.uncovered else ""
    return f"{verdict}: {counted}{uncovered}; it ends at {report.number}:{report.digest}"


def _print_report(report: Report) -> None:
    from bridgehead.cli.device_show import print_json

    def values(found: Iterable[object]) -> list[dict[str, object]]:
        return [dict(vars(each)) for each in found]

    print_json(
        {
            "intact": report.intact,
            "files": report.files,
            "lines": report.lines,
            "checkpoints": report.checkpoints,
            "uncovered": report.uncovered,
            "head": f"{report.number}:{report.digest}",
            "findings": values(report.findings),
            "notices": values(report.notices),
        }
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
