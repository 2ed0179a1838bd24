"""From options to packets: CONNECT and message properties; from a client's failures to exit codes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from bridgehead.cli.client_options import Identity, connect_remedy, usage
from bridgehead.cli.main import CommandError
from bridgehead.core.errors import LocalMisuse, Refusal
from bridgehead.core.topic import check_topic_name
from bridgehead.protocols.mqtt.client.errors import ConnectionFailed, ConnectRefused, Refused
from bridgehead.protocols.mqtt.client.machine import Speaks
from bridgehead.protocols.mqtt.codec.packets import Connect
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.security.errors import SecurityError

INTERRUPTED = 130


def session_packet(
    who: Identity, client_id: str | None, version: int, keep_alive: int, session_expiry: int | None
) -> Connect:
    """The CONNECT. A session that is to be kept is resumed too, if the server still has it."""
    if session_expiry and not client_id:
        raise usage("--session-expiry keeps the session under its Client Identifier: give --client-id too")
    properties = NO_PROPERTIES
    if who.machine is not None:
        properties = Properties(
            session_expiry_interval=session_expiry or None,
            authentication_method=who.machine.name,
            authentication_data=_first(who.machine),
        )
    elif version == 5 and session_expiry:
        properties = Properties(session_expiry_interval=session_expiry)
    return Connect(
        protocol_version=version,
        clean_start=not session_expiry,
        keep_alive=keep_alive,
        client_id=who.client_id(client_id),
        will=None,
        user_name=who.user_name,
        password=who.password,
        properties=properties,
    )


def _first(machine: Speaks) -> bytes:
    try:
        return machine.start()
    except SecurityError as fault:
        raise usage(str(fault)) from None


def message_properties(
    expiry: int | None,
    content_type: str | None,
    utf8: bool,
    response_topic: str | None,
    correlation_data: str | None,
    user_property: list[str] | None,
) -> Properties:
    """The PUBLISH properties that the options ask for; NO_PROPERTIES when there are none."""
    properties = Properties(
        payload_format_indicator=1 if utf8 else None,
        message_expiry_interval=expiry,
        content_type=content_type,
        response_topic=response_topic,
        correlation_data=None if correlation_data is None else correlation_data.encode(),
        user_properties=pairs(user_property),
    )
    return properties if properties.present() else NO_PROPERTIES


def pairs(texts: list[str] | None) -> list[tuple[str, str]]:
    """NAME=VALUE texts taken apart, order and duplicates kept."""
    found = []
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise usage(f"--property {text} has no value: write NAME=VALUE")
        found.append((name, value))
    return found


def check_names(*topics: str | None) -> None:
    """Each that is given must be a Topic Name."""
    try:
        for topic in topics:
            if topic is not None:
                check_topic_name(topic)
    except Refusal as refusal:
        raise usage(refusal.because) from None


def finished(work: Coroutine[Any, Any, int], who: Identity, version: int, interrupted: int = INTERRUPTED) -> int:
    """Run `work` to its exit code; `interrupted` is the one after Ctrl-C or SIGTERM, which end it in order."""
    try:
        return asyncio.run(until_signalled(work, interrupted))
    except ConnectRefused as error:
        raise CommandError(connect_remedy(error, version, bool(who.name))) from None
    except (Refused, ConnectionFailed, LocalMisuse) as error:
        raise CommandError(str(error)) from None


async def until_signalled(work: Coroutine[Any, Any, int], interrupted: int) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return interrupted
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
