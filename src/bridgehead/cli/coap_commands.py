"""`bridgehead pub` and `sub` with a CoAP URL: from the options to requests, from failures to exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from bridgehead.cli.client_options import usage
from bridgehead.cli.client_session import INTERRUPTED, until_signalled
from bridgehead.cli.coap_identity import CoapIdentity, coap_identity
from bridgehead.cli.coap_options import Given
from bridgehead.cli.coap_publishing import (
    CoapSending,
    check_topic_has_path,
    coap_message_options,
    publish_coap,
    with_remedy,
)
from bridgehead.cli.coap_subscribing import CoapReceiving, subscribe_coap
from bridgehead.cli.main import CommandError
from bridgehead.protocols.coap.client.errors import ConnectionFailed, Refused


def publish_to_coap(
    url: str,
    given: Given,
    foreign: dict[str, object],
    topic: str | None,
    qos: int,
    retain: bool,
    expiry: int | None,
    content_type: str | None,
    utf8: bool,
    payload: bytes | None,
    patience: float,
) -> int:
    """`foreign` are MQTT's own options and what was given for each. The exit code; raises CommandError."""
    _refuse(foreign)
    _check_qos(qos)
    if topic is not None:
        check_topic_has_path(topic)
    options = coap_message_options(expiry, content_type, utf8)
    who = coap_identity(url, given)
    if who.is_resource and topic is not None:
        raise usage("the URL names a resource already: leave TOPIC out, or end the URL after the port")
    if not who.is_resource and topic is None:
        raise usage("give a TOPIC, or a URL with the path of a resource")
    return _finished(publish_coap(who, CoapSending(topic, qos, retain, options), payload, patience), INTERRUPTED, who)


def subscribe_to_coap(
    url: str,
    given: Given,
    foreign: dict[str, object],
    filters: list[str],
    qos: int,
    verbose: bool,
    json_lines: bool,
    count: int | None,
    timeout: float | None,
) -> int:
    """As `publish_to_coap`."""
    _refuse(foreign)
    _check_qos(qos)
    for each in filters:
        if "+" not in each and "#" not in each:
            check_topic_has_path(each)
    who = coap_identity(url, given)
    if who.is_resource and filters:
        raise usage("the URL names a resource already: leave FILTER out, or end the URL after the port")
    if not who.is_resource and not filters:
        raise usage("give at least one FILTER, or a URL with the path of a resource")
    return _finished(subscribe_coap(who, CoapReceiving(filters, qos, verbose, json_lines, count, timeout)), 0, who)


def _refuse(foreign: dict[str, object]) -> None:
    for option, value in foreign.items():
        if value:
            raise usage(f"{option} is MQTT's and has no meaning in CoAP: leave it out")


def _check_qos(qos: int) -> None:
    if qos not in (0, 1):
        raise usage("CoAP has --qos 0 (non-confirmable) and 1 (confirmable)")


def _finished(work: Coroutine[Any, Any, int], interrupted: int, who: CoapIdentity) -> int:
    try:
        return asyncio.run(until_signalled(work, interrupted))
    except (Refused, ConnectionFailed) as error:
        raise CommandError(with_remedy(error)) from None
    finally:
        who.close()
