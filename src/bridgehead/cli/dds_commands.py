"""`bridgehead pub` and `sub` with a DDS URL: from the options to samples, from failures to exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from bridgehead.cli.client_options import usage, warn
from bridgehead.cli.client_session import INTERRUPTED, until_signalled
from bridgehead.cli.dds_options import DdsGiven, DdsTarget
from bridgehead.cli.dds_publishing import publish_dds
from bridgehead.cli.dds_subscribing import DdsReceiving, subscribe_dds
from bridgehead.cli.main import CommandError
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.mapping import settings
from bridgehead.protocols.dds.mapping.settings import RouteQos


def publish_to_dds(
    url: str,
    given: DdsGiven,
    foreign: dict[str, object],
    topic: str | None,
    qos: int,
    retain: bool,
    expiry: int | None,
    payload: bytes | None,
    patience: float,
) -> int:
    """`foreign` are the other protocols' options and what was given for each. The exit code; raises CommandError."""
    _refuse(foreign, topic is not None, qos)
    target = DdsTarget(url, given)
    route_qos = RouteQos(
        durability=settings.TRANSIENT_LOCAL if retain else settings.VOLATILE,
        depth=0,
        lifespan=settings.FOREVER if expiry is None else float(expiry),
        lease=settings.FOREVER if given.lease is None else given.lease,
        ownership=settings.SHARED if given.strength is None else settings.EXCLUSIVE,
        strength=given.strength or 0,
    )
    _warn_of_asking(target)
    return _finished(publish_dds(target, target.route(settings.OUT, route_qos), qos, payload, patience), INTERRUPTED)


def subscribe_to_dds(
    url: str,
    given: DdsGiven,
    foreign: dict[str, object],
    filters: list[str],
    qos: int,
    verbose: bool,
    json_lines: bool,
    count: int | None,
    timeout: float | None,
) -> int:
    """As `publish_to_dds`."""
    _refuse(foreign, bool(filters), qos)
    target = DdsTarget(url, given)
    route_qos = RouteQos(
        # What a reader keeps, writers keep for it only when it is reliable (DDS 1.4 section 2.2.3.4).
        reliability=settings.RELIABLE if qos or given.durable else settings.BEST_EFFORT,
        durability=settings.TRANSIENT_LOCAL if given.durable else settings.VOLATILE,
        depth=0,
        ownership=settings.EXCLUSIVE if given.exclusive else settings.SHARED,
    )
    _warn_of_asking(target)
    receiving = DdsReceiving(verbose, json_lines, count, timeout)
    return _finished(subscribe_dds(target, target.route(settings.IN, route_qos), receiving), 0)


def _refuse(foreign: dict[str, object], names_topic: bool, qos: int) -> None:
    for option, value in foreign.items():
        if value:
            raise usage(f"{option} has no meaning in DDS: leave it out")
    if names_topic:
        raise usage("the URL names the topic already: leave the other out")
    if qos not in (0, 1):
        raise usage("DDS has --qos 0 and 1 (RELIABLE)")


def _warn_of_asking(target: DdsTarget) -> None:
    if target.learns:
        warn("the type is asked of whoever announces the topic, in clear; --idl and --type keep it here")


def _finished(work: Coroutine[Any, Any, int], interrupted: int) -> int:
    try:
        return asyncio.run(until_signalled(work, interrupted))
    except DdsError as error:
        raise CommandError(str(error)) from None
