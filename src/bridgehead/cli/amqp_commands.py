"""`bridgehead pub` and `sub` with an AMQP URL: from the options to links and messages, from failures to exit codes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from bridgehead.cli.amqp_identity import AmqpIdentity, amqp_identity
from bridgehead.cli.amqp_publishing import publish_amqp
from bridgehead.cli.amqp_subscribing import AmqpReceiving, subscribe_amqp
from bridgehead.cli.client_options import check_qos, usage
from bridgehead.cli.client_session import INTERRUPTED, pairs, until_signalled
from bridgehead.cli.coap_options import Given
from bridgehead.cli.main import CommandError
from bridgehead.core.errors import LocalMisuse
from bridgehead.protocols.amqp.client.errors import ConnectionFailed, LoginRefused, Refused
from bridgehead.protocols.amqp.client.message import Outgoing, topic_node
from bridgehead.protocols.amqp.codec.v1.errors import NOT_FOUND, UNAUTHORIZED_ACCESS

REMEDIES: Final = {
    UNAUTHORIZED_ACCESS: "check the identity's permissions",
    NOT_FOUND: "make the queue first, as with `bridgehead queue add NAME`",
}


class Who:
    """The options that say who this is, as far as AMQP has them."""

    def __init__(
        self,
        user: str | None,
        password_file: str | None,
        mechanism: str | None,
        token_file: str | None,
        client_id: str | None,
    ) -> None:
        self.user = user
        self.password_file = password_file
        self.mechanism = mechanism
        self.token_file = token_file
        self.client_id = client_id

    def identity(self, url: str, given: Given) -> AmqpIdentity:
        option = given.any_of_coap()
        if option:
            raise usage(f"{option} is CoAP's: give a URL such as coaps://HOST, or leave it out")
        return amqp_identity(url, given, self.user, self.password_file, self.mechanism, self.token_file)


def publish_to_amqp(
    url: str,
    given: Given,
    options: Who,
    foreign: dict[str, object],
    topic: str | None,
    qos: int,
    retain: bool,
    expiry: int | None,
    content_type: str | None,
    utf8: bool,
    response_topic: str | None,
    correlation_data: str | None,
    user_property: list[str] | None,
    payload: bytes | None,
    patience: float,
) -> int:
    """`foreign` are the other protocols' own options and what was given for each. The exit code; raises
    CommandError."""
    _refuse(foreign)
    check_qos(qos)
    who = options.identity(url, given)
    if who.target.node and topic is not None:
        raise usage("the URL names the topic or queue already: leave TOPIC out, or end the URL after the port")
    if not who.target.node and topic is None:
        raise usage("give a TOPIC, or a URL that ends in /topics/TOPIC or /queues/NAME")
    node = who.target.node or topic_node(topic or "")
    if retain and not node.startswith("/topics/"):
        raise usage("a queue retains nothing: leave --retain out")
    outgoing = Outgoing(
        qos > 0,
        retain,
        expiry,
        content_type,
        utf8,
        None if response_topic is None else topic_node(response_topic),
        None if correlation_data is None else correlation_data.encode(),
        pairs(user_property),
    )
    if utf8 and payload is not None:
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            raise usage("the message is no UTF-8 text: leave --utf8 out") from None
    return _finished(publish_amqp(who, options.client_id, node, qos, outgoing, payload, patience), INTERRUPTED)


def subscribe_to_amqp(
    url: str,
    given: Given,
    options: Who,
    foreign: dict[str, object],
    filters: list[str],
    qos: int,
    verbose: bool,
    json_lines: bool,
    count: int | None,
    timeout: float | None,
    no_local: bool,
    session_expiry: int | None,
) -> int:
    """As `publish_to_amqp`."""
    _refuse(foreign)
    check_qos(qos)
    who = options.identity(url, given)
    if who.target.node and filters:
        raise usage("the URL names the topic or queue already: leave FILTER out, or end the URL after the port")
    if not who.target.node and not filters:
        raise usage("give at least one FILTER, or a URL that ends in /topics/FILTER or /queues/NAME")
    if session_expiry and not options.client_id:
        raise usage("--session-expiry keeps the subscription under its container-id: give --client-id too")
    nodes = [who.target.node] if who.target.node else [topic_node(each) for each in filters]
    if session_expiry and not all(node.startswith("/topics/") for node in nodes):
        raise usage("a queue keeps its messages by itself: leave --session-expiry out")
    receiving = AmqpReceiving(nodes, qos, verbose, json_lines, count, timeout, no_local, session_expiry or None)
    return _finished(subscribe_amqp(who, options.client_id, receiving), 0)


def _refuse(foreign: dict[str, object]) -> None:
    for option, value in foreign.items():
        if value:
            raise usage(f"{option} is MQTT's and has no meaning in AMQP: leave it out")


def _finished(work: Coroutine[Any, Any, int], interrupted: int) -> int:
    """Run `work` to its exit code; `interrupted` is the one after Ctrl-C or SIGTERM, which end it in order."""
    try:
        return asyncio.run(until_signalled(work, interrupted))
    except LoginRefused as error:
        raise CommandError(f"{error}; check --user and --password-file, --bundle or --mechanism") from None
    except Refused as error:
        remedy = REMEDIES.get(error.condition)
        raise CommandError(f"{error}; {remedy}" if remedy else str(error)) from None
    except (ConnectionFailed, LocalMisuse) as error:
        raise CommandError(str(error)) from None
