"""`bridgehead pub` and `bridgehead sub`: publish and subscribe at any MQTT, CoAP or AMQP server, and in DDS domains."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from bridgehead.cli.client_mechanism import Mechanism, TokenFile, with_mechanism
from bridgehead.cli.client_options import (
    Authority,
    BundleFolder,
    Certificate,
    ClientId,
    Key,
    PasswordFile,
    User,
    Version,
    check_qos,
    check_version,
    identity,
    usage,
)
from bridgehead.cli.client_session import check_names, finished, message_properties, pairs, session_packet
from bridgehead.cli.coap_options import FORMS as COAP_FORMS
from bridgehead.cli.coap_options import (
    Credential,
    Given,
    OscoreFolder,
    PskFile,
    PskIdentity,
    RawKey,
    ServerKey,
    is_coap,
)
from bridgehead.cli.dds_options import FORMS as DDS_FORMS
from bridgehead.cli.dds_options import (
    Credentials,
    DdsGiven,
    Durable,
    Exclusive,
    Idl,
    Interface,
    Lease,
    Partition,
    Peer,
    Ros2,
    Strength,
    Tags,
    TypeName,
    is_dds,
)
from bridgehead.cli.publishing import Sending, one_message, publish_all
from bridgehead.cli.subscribing import Receiving, subscribe_all
from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_filter
from bridgehead.protocols.amqp.client.target import FORMS as AMQP_FORMS
from bridgehead.protocols.amqp.client.target import is_amqp
from bridgehead.protocols.mqtt.client.target import FORMS
from bridgehead.protocols.mqtt.codec.packets import SubscriptionRequest
from bridgehead.protocols.mqtt.codec.properties import Properties

MESSAGE: Final = "Message"
SESSION: Final = "Session"
LARGEST_INTERVAL: Final = 0xFFFFFFFF

AnyUrl = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help=f"{FORMS}; for CoAP {COAP_FORMS}; for AMQP 1.0 {AMQP_FORMS}; for DDS {DDS_FORMS}",
        show_default=False,
    ),
]
Qos = Annotated[int, typer.Option("--qos", "-q", metavar="0|1|2", help="Quality of service.")]
KeepAlive = Annotated[
    int,
    typer.Option(
        "--keep-alive", "-k", metavar="SECONDS", min=0, max=65_535, help="0 for none.", rich_help_panel=SESSION
    ),
]
SessionExpiry = Annotated[
    int | None,
    typer.Option(
        "--session-expiry",
        metavar="SECONDS",
        min=0,
        max=LARGEST_INTERVAL,
        help="Keep the session so long after the end, and resume it; MQTT 3 keeps it without limit.",
        rich_help_panel=SESSION,
    ),
]
UserProperties = Annotated[
    list[str] | None,
    typer.Option("--property", "--user-property", metavar="NAME=VALUE", help="User Property; may be given again."),
]


def register(app: typer.Typer) -> None:
    app.command("pub")(publish)
    app.command("sub")(subscribe)


def publish(
    url: AnyUrl,
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="Topic Name.", show_default=False)] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", metavar="TEXT", help="The message itself.")] = None,
    file: Annotated[str | None, typer.Option("--file", "-f", metavar="FILE|-", help="A file as one message.")] = None,
    lines: Annotated[bool, typer.Option("--stdin", help="Each line of standard input is a message.")] = False,
    qos: Qos = 0,
    retain: Annotated[bool, typer.Option("--retain", "-r", help="The server keeps it for later subscribers.")] = False,
    user: User = None,
    password_file: PasswordFile = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    bundle: BundleFolder = None,
    psk_identity: PskIdentity = None,
    psk_file: PskFile = None,
    raw_key: RawKey = None,
    server_key: ServerKey = None,
    oscore: OscoreFolder = None,
    credential: Credential = None,
    mechanism: Mechanism = None,
    token_file: TokenFile = None,
    client_id: ClientId = None,
    mqtt_version: Version = 5,
    expiry: Annotated[
        int | None,
        typer.Option(
            "--expiry",
            metavar="SECONDS",
            min=0,
            max=LARGEST_INTERVAL,
            help="Not delivered later.",
            rich_help_panel=MESSAGE,
        ),
    ] = None,
    content_type: Annotated[
        str | None, typer.Option("--content-type", metavar="TYPE", help="Such as a MIME type.", rich_help_panel=MESSAGE)
    ] = None,
    utf8: Annotated[
        bool, typer.Option("--utf8", help="Say that the payload is UTF-8 text.", rich_help_panel=MESSAGE)
    ] = False,
    response_topic: Annotated[
        str | None, typer.Option("--response-topic", metavar="TOPIC", help="Where to answer.", rich_help_panel=MESSAGE)
    ] = None,
    correlation_data: Annotated[
        str | None,
        typer.Option("--correlation-data", metavar="TEXT", help="What the answer repeats.", rich_help_panel=MESSAGE),
    ] = None,
    user_property: UserProperties = None,
    session_expiry: SessionExpiry = None,
    keep_alive: KeepAlive = 60,
    timeout: Annotated[
        float,
        typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For the connection, and for the last answers."),
    ] = 10.0,
    idl: Idl = None,
    type_name: TypeName = None,
    ros2: Ros2 = False,
    credentials: Credentials = None,
    interface: Interface = None,
    peer: Peer = None,
    partition: Partition = None,
    strength: Strength = None,
    lease: Lease = None,
    tag: Tags = None,
) -> int:
    """Publish one message, or a message per line of standard input, over MQTT, CoAP, AMQP 1.0 or DDS.

    Over AMQP --qos 0 sends settled, 1 waits until the message is accepted, 2 until both ends have settled; the URL may
    name a queue (/queues/NAME), --utf8 sends text instead of octets, and --client-id is the container-id.

    Over DDS the message is the sample as JSON. It is written when somebody who reads the topic was found; --retain
    offers it to late readers (TRANSIENT_LOCAL) as long as the command runs, --expiry is its Lifespan.

    Exit code 0: done, and acknowledged where --qos asks for it; 1: refused or failed; 2: wrong options.
    """
    if [message is not None, file is not None, lines].count(True) != 1:
        raise usage("give the message in one way: -m TEXT, -f FILE or --stdin")
    given = Given(cert, key, ca, bundle, psk_identity, psk_file, raw_key, server_key, credential, oscore)
    dds = DdsGiven(idl, type_name, ros2, credentials, interface, peer, partition, strength, lease, tag)
    if is_dds(url):
        from bridgehead.cli.dds_commands import publish_to_dds

        foreign = _mqtt_only(user, password_file, mechanism, token_file, client_id, mqtt_version) | _files(given)
        foreign |= {"--content-type": content_type, "--utf8": utf8, "--response-topic": response_topic}
        foreign |= {"--correlation-data": correlation_data, "--property": user_property}
        foreign |= {"--session-expiry": session_expiry, "--keep-alive": keep_alive != 60}
        source = None if lines else one_message(message, file)
        return publish_to_dds(url, dds, foreign, topic, qos, retain, expiry, source, timeout)
    _no_dds_options(dds)
    if is_coap(url):
        from bridgehead.cli.coap_commands import publish_to_coap

        if topic is not None:
            check_names(topic)
        foreign = _mqtt_only(user, password_file, mechanism, token_file, client_id, mqtt_version)
        foreign |= {"--response-topic": response_topic, "--correlation-data": correlation_data}
        foreign |= {"--property": user_property, "--session-expiry": session_expiry, "--keep-alive": keep_alive != 60}
        source = None if lines else one_message(message, file)
        return publish_to_coap(url, given, foreign, topic, qos, retain, expiry, content_type, utf8, source, timeout)
    if is_amqp(url):
        from bridgehead.cli.amqp_commands import Who, publish_to_amqp

        check_names(topic, response_topic)
        foreign = {"--mqtt-version": mqtt_version != 5, "--session-expiry": session_expiry}
        foreign |= {"--keep-alive": keep_alive != 60}
        options = Who(user, password_file, mechanism, token_file, client_id)
        source = None if lines else one_message(message, file)
        return publish_to_amqp(
            url,
            given,
            options,
            foreign,
            topic,
            qos,
            retain,
            expiry,
            content_type,
            utf8,
            response_topic,
            correlation_data,
            user_property,
            source,
            timeout,
        )
    _no_coap_options(given)
    if topic is None:
        raise usage("give a TOPIC")
    check_qos(qos)
    properties = message_properties(expiry, content_type, utf8, response_topic, correlation_data, user_property)
    check_version(mqtt_version, {"a message property": bool(properties.present())})
    check_names(topic, response_topic)
    who = identity(url, user, password_file, cert, key, ca, bundle)
    who = with_mechanism(who, mechanism, token_file, mqtt_version)
    connect = session_packet(who, client_id, mqtt_version, keep_alive, session_expiry)
    sending = Sending(topic, qos, retain, properties)
    source = None if lines else one_message(message, file)
    return finished(publish_all(who, connect, sending, source, timeout), who, mqtt_version)


def subscribe(
    url: AnyUrl,
    topic_filters: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER...", help="Topic Filters.", show_default=False)
    ] = None,
    qos: Qos = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the topic before the payload.")] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object per message.")] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-C", metavar="N", min=1, help="End after so many messages.")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", "-W", metavar="SECONDS", min=0.1, help="End after so long.")
    ] = None,
    user: User = None,
    password_file: PasswordFile = None,
    cert: Certificate = None,
    key: Key = None,
    ca: Authority = None,
    bundle: BundleFolder = None,
    psk_identity: PskIdentity = None,
    psk_file: PskFile = None,
    raw_key: RawKey = None,
    server_key: ServerKey = None,
    oscore: OscoreFolder = None,
    credential: Credential = None,
    mechanism: Mechanism = None,
    token_file: TokenFile = None,
    client_id: ClientId = None,
    mqtt_version: Version = 5,
    no_local: Annotated[bool, typer.Option("--no-local", help="Not what this client itself publishes.")] = False,
    retain_as_published: Annotated[
        bool, typer.Option("--retain-as-published", help="Keep the RETAIN flag as the publisher set it.")
    ] = False,
    retain_handling: Annotated[
        int,
        typer.Option(
            "--retain-handling",
            metavar="0|1|2",
            min=0,
            max=2,
            help="Retained messages: 0 at subscribing, 1 only for a new subscription, 2 never.",
        ),
    ] = 0,
    user_property: UserProperties = None,
    session_expiry: SessionExpiry = None,
    keep_alive: KeepAlive = 60,
    idl: Idl = None,
    type_name: TypeName = None,
    ros2: Ros2 = False,
    credentials: Credentials = None,
    interface: Interface = None,
    peer: Peer = None,
    partition: Partition = None,
    exclusive: Exclusive = False,
    durable: Durable = False,
) -> int:
    """Subscribe over MQTT, CoAP, AMQP 1.0 or DDS and print what arrives, until Ctrl-C, --count or --timeout.

    Over AMQP the URL may name a queue (/queues/NAME): what was printed is accepted, and with --qos 0 it is taken as it
    is sent. --session-expiry with --client-id (the container-id) keeps a subscription to a topic.

    Over DDS samples are shown as JSON; --verbose and --json also show instances that ended (disposed, no writers).

    Exit code 0: ended as asked; 1: refused, failed, or --timeout came before --count; 2: wrong options.
    """
    given = Given(cert, key, ca, bundle, psk_identity, psk_file, raw_key, server_key, credential, oscore)
    dds = DdsGiven(idl, type_name, ros2, credentials, interface, peer, partition, exclusive=exclusive, durable=durable)
    if is_dds(url):
        from bridgehead.cli.dds_commands import subscribe_to_dds

        foreign = _mqtt_only(user, password_file, mechanism, token_file, client_id, mqtt_version) | _files(given)
        foreign |= {"--no-local": no_local, "--retain-as-published": retain_as_published}
        foreign |= {"--retain-handling": retain_handling, "--property": user_property}
        foreign |= {"--session-expiry": session_expiry, "--keep-alive": keep_alive != 60}
        return subscribe_to_dds(url, dds, foreign, topic_filters or [], qos, verbose, json_lines, count, timeout)
    _no_dds_options(dds)
    if is_coap(url):
        from bridgehead.cli.coap_commands import subscribe_to_coap

        _check_filters(topic_filters or [])
        foreign = _mqtt_only(user, password_file, mechanism, token_file, client_id, mqtt_version)
        foreign |= {"--no-local": no_local, "--retain-as-published": retain_as_published}
        foreign |= {"--retain-handling": retain_handling, "--property": user_property}
        foreign |= {"--session-expiry": session_expiry, "--keep-alive": keep_alive != 60}
        return subscribe_to_coap(url, given, foreign, topic_filters or [], qos, verbose, json_lines, count, timeout)
    if is_amqp(url):
        from bridgehead.cli.amqp_commands import Who, subscribe_to_amqp

        _check_filters(topic_filters or [])
        foreign = {"--mqtt-version": mqtt_version != 5, "--retain-as-published": retain_as_published}
        foreign |= {"--retain-handling": retain_handling, "--property": user_property}
        foreign |= {"--keep-alive": keep_alive != 60}
        who_asks = Who(user, password_file, mechanism, token_file, client_id)
        return subscribe_to_amqp(
            url,
            given,
            who_asks,
            foreign,
            topic_filters or [],
            qos,
            verbose,
            json_lines,
            count,
            timeout,
            no_local,
            session_expiry,
        )
    _no_coap_options(given)
    if not topic_filters:
        raise usage("give at least one FILTER")
    check_qos(qos)
    options = {"--no-local": no_local, "--retain-as-published": retain_as_published}
    options |= {"--retain-handling": bool(retain_handling), "--property": bool(user_property)}
    check_version(mqtt_version, options)
    _check_filters(topic_filters)
    requests = [
        SubscriptionRequest(topic_filter, qos, no_local, retain_as_published, retain_handling)
        for topic_filter in topic_filters
    ]
    properties = Properties(user_properties=pairs(user_property))
    who = identity(url, user, password_file, cert, key, ca, bundle)
    who = with_mechanism(who, mechanism, token_file, mqtt_version)
    connect = session_packet(who, client_id, mqtt_version, keep_alive, session_expiry)
    receiving = Receiving(requests, properties, verbose, json_lines, count, timeout)
    return finished(subscribe_all(who, connect, receiving), who, mqtt_version, interrupted=0)


def _check_filters(topic_filters: list[str]) -> None:
    try:
        for topic_filter in topic_filters:
            check_topic_filter(topic_filter)
    except Refusal as refusal:
        raise usage(refusal.because) from None


def _mqtt_only(
    user: str | None,
    password_file: str | None,
    mechanism: str | None,
    token_file: str | None,
    client_id: str | None,
    mqtt_version: int,
) -> dict[str, object]:
    """Options of both commands that have no meaning in CoAP."""
    return {
        "--user": user,
        "--password-file": password_file,
        "--mechanism": mechanism,
        "--token-file": token_file,
        "--client-id": client_id,
        "--mqtt-version": mqtt_version != 5,
    }


def _no_coap_options(given: Given) -> None:
    option = given.any_of_coap()
    if option:
        raise usage(f"{option} is CoAP's: give a URL such as coaps://HOST, or leave it out")


def _no_dds_options(given: DdsGiven) -> None:
    option = given.any()
    if option:
        raise usage(f"{option} is DDS': give a URL such as {DDS_FORMS}, or leave it out")


def _files(given: Given) -> dict[str, object]:
    """Credentials of the other protocols: DDS has a folder of its own."""
    option = given.any_of_coap()
    found: dict[str, object] = {"--bundle": given.bundle, "--cert": given.certificate, "--key": given.key}
    found["--ca"] = given.ca
    return found | ({option: True} if option else {})
