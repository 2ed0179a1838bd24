"""`bridgehead bench`: put load on any MQTT server and tell what it carried, and at what cost."""

from __future__ import annotations

import json
import resource
import uuid
from typing import Annotated, Final

import typer

from bridgehead.cli.client_options import (
    Authority,
    BundleFolder,
    Certificate,
    ClientId,
    Key,
    PasswordFile,
    Url,
    User,
    Version,
    check_version,
    identity,
    usage,
)
from bridgehead.cli.load.plan import Access, Plan, PlanError
from bridgehead.cli.main import CommandError

SPARE_FILES: Final = 100  # open files beside the connections


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    url: Url,
    publishers: Annotated[int, typer.Option("--publishers", "-p", metavar="N", help="Connections that send.")] = 1,
    subscribers: Annotated[int, typer.Option("--subscribers", "-s", metavar="N", help="Connections that get.")] = 1,
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="pairs|all",
            help="Publisher i to subscriber i, or all to all (fan-out, fan-in). Default: pairs if the numbers agree.",
            show_default=False,
        ),
    ] = "",
    qos: Annotated[int, typer.Option("--qos", "-q", metavar="0|1|2", help="Of publishing and of subscribing.")] = 0,
    size: Annotated[int, typer.Option("--size", metavar="OCTETS", help="Payload.")] = 64,
    rate: Annotated[
        float | None, typer.Option("--rate", metavar="R", help="Messages per second of all publishers together.")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            metavar="W",
            help="Messages in flight per publisher: not yet received, or at QoS 1, 2 not acknowledged. [default: 100]",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Measured time.")] = 5.0,
    warm_up: Annotated[float, typer.Option("--warm-up", metavar="S", help="Time before it.")] = 1.0,
    topic: Annotated[
        str,
        typer.Option("--topic", metavar="TOPIC", help="The run's topics lie under it; the identity must be permitted."),
    ] = "bench",
    topics: Annotated[int, typer.Option("--topics", metavar="N", help="Topics per publisher, used in turn.")] = 1,
    pid: Annotated[
        list[int] | None,
        typer.Option(
            "--pid", metavar="PID", help="The server's process on this machine, children included; repeatable."
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="The result as JSON; latencies in microseconds.")] = False,
    user: User = None,
    password_file: PasswordFile = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    bundle: BundleFolder = None,
    client_id: ClientId = None,
    mqtt_version: Version = 5,
) -> int:
    """Put load on a server; report messages per second, latencies, losses and, with --pid, the server's cost.

    Messages are counted as they are delivered: one message to a hundred subscribers counts a hundred times.
    Exit code 0: measured; 1: refused, failed, or no message arrived; 2: wrong options.
    """
    check_version(mqtt_version, {})
    run = uuid.uuid4().hex[:6]
    try:
        plan = Plan(
            publishers=publishers,
            subscribers=subscribers,
            qos=qos,
            size=size,
            window=choose_window(window, rate, qos),
            rate=rate or 0.0,
            seconds=seconds,
            warm_up=warm_up,
            layout=layout,
            topic=f"{topic}/{run}",
            topics=topics,
            pids=pid,
        )
    except PlanError as error:
        raise usage(str(error)) from None
    who = identity(url, user, password_file, cert, key, ca, bundle)
    stem = client_id or f"{who.name or 'bench'}-{run}"
    access = Access(who.target, stem, who.user_name, who.password, who.tls, mqtt_version)
    allow_files(publishers + subscribers)
    return measure(access, plan, json_output)


def choose_window(window: int | None, rate: float | None, qos: int) -> int:
    """The window asked for; with a rate, one so large that it does not slow the rate down."""
    if window is not None:
        return window
    if rate is not None:
        return 1000 if qos else 16_000
    return 100


def measure(access: Access, plan: Plan, json_output: bool) -> int:
    """Run the plan with a progress line, and print the result."""
    from bridgehead.cli.load.engine import run
    from bridgehead.cli.load.links import LinkLost
    from bridgehead.cli.load.opening import OpeningFailed
    from bridgehead.cli.load.processes import NoSuchProcess
    from bridgehead.cli.load.report import ProgressLine, print_result

    try:
        with ProgressLine() as progress:
            result = run(access, plan, progress.show)
    except (OpeningFailed, LinkLost, NoSuchProcess) as error:
        raise CommandError(str(error)) from None
    if json_output:
        print(json.dumps(result.to_json()))
    else:
        print_result(result)
    if not result.messages:
        raise CommandError(f"no message arrived: may the identity publish and subscribe under {plan.topic}?")
    return 0


def allow_files(connections: int) -> None:
    """Raise this process's own limit of open files when the run needs it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise usage(f"{connections} connections need {wanted} open files and the limit is {hard}: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
