"""The configuration model: every key of the TOML file, its type, its bounds, its default and what it is for.

`docs/configuration.md` and `docs/limits.md` list the same keys with the same defaults; a test holds them together.
Octets are counted in octets, times in seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from bridgehead.node.amqp_settings import Amqp
from bridgehead.node.audit_settings import Audit
from bridgehead.node.dds_settings import Dds
from bridgehead.node.pki_settings import Pki
from bridgehead.node.proxy_settings import Proxy
from bridgehead.node.queue_settings import Queues
from bridgehead.protocols.coap.codec.uri import WEBSOCKET_PATH
from bridgehead.security.login.chain import default_chain
from bridgehead.security.tls.profiles import LONGEST_TICKET_LIFETIME, TICKET_LIFETIME, ProfileName

MIB: Final = 1024 * 1024
PATHS: Final = {"mqtt": "/mqtt", "amqp": "/amqp", "coap": WEBSOCKET_PATH}
DAY: Final = 24 * 60 * 60
LARGEST: Final = 2**53 - 1

Count = Annotated[int, Meta(ge=1, le=LARGEST)]
Seconds = Annotated[float, Meta(gt=0, le=10 * 365 * DAY)]


class Listener(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[listener]]`: an address on which the hub accepts connections. TLS, unless `plaintext = true` is said."""

    bind: Annotated[str, Meta(min_length=1, description="`host:port`, `*:port` (IPv4 and IPv6) or `unix:/path`")]
    protocol: Annotated[
        Literal["mqtt", "coap", "amqp", "proxy", "est"],
        Meta(
            description="the protocol spoken there: `mqtt`, `coap`, `amqp` (1.0 and 0-9-1), `proxy`: HTTP for CoAP "
            "resources, or `est`: HTTPS for enrolment (EST), revocation lists and OCSP"
        ),
    ] = "mqtt"
    transport: Annotated[
        Literal["", "tcp", "websocket", "udp"],
        Meta(
            description="`tcp`: the protocol directly on the connection, `websocket`: inside WebSocket frames, `udp`: "
            "CoAP in datagrams, with DTLS; empty: `udp` for CoAP, else `tcp`"
        ),
    ] = ""
    plaintext: Annotated[
        bool, Meta(description="no TLS: everybody on the way reads passwords and data; must be said")
    ] = False
    guest: Annotated[
        str,
        Meta(
            description="CoAP with plaintext = true: the device with whose permissions, and no others, all ask; "
            "empty: nobody may anything but by OSCORE"
        ),
    ] = ""
    multicast: Annotated[
        list[str],
        Meta(
            description="CoAP on UDP with plaintext = true: network interfaces on which it also listens to the groups "
            "of All CoAP Nodes; `*`: all of them"
        ),
    ] = field(default_factory=list)
    path: Annotated[
        str,
        Meta(description="WebSocket: the path of the URL; empty: `/mqtt`, `/amqp`, and `/.well-known/coap` for CoAP"),
    ] = ""
    origins: Annotated[
        list[str],
        Meta(
            description="WebSocket: web pages' origins that may connect; `same`: those of this very host and port, "
            "`*`: any; empty: no web page may"
        ),
        # Some programs that are no browsers (paho-mqtt) send their URL's host as their Origin.
    ] = field(default_factory=lambda: ["same"])
    certificate: Annotated[
        str, Meta(description="PEM file with the server's certificate chain; empty: the hub's own certificate")
    ] = ""
    key: Annotated[str, Meta(description="PEM file with the private key of `certificate`")] = ""
    client_ca: Annotated[
        str, Meta(description="PEM file of further CAs that sign devices' certificates, beside the hub's own")
    ] = ""
    client_crl: Annotated[
        list[str],
        Meta(description="revocation lists of `client_ca`'s authorities: files, or `http://` and `https://` addresses"),
    ] = field(default_factory=list)
    client_crl_stale: Annotated[
        Literal["refuse", "accept"],
        Meta(description="certificates of `client_ca` while a list of `client_crl` is missing or has ended"),
    ] = "refuse"
    login: Annotated[
        list[str],
        Meta(
            description="what it lets in by, in this order: `certificate`, `password`, a SASL mechanism, or two "
            "together (`password+certificate`); empty: certificate, password, SCRAM, and tokens and Kerberos where "
            "they are configured; for CoAP on UDP: `psk`, `rpk`, `certificate`, empty: all three"
        ),
    ] = field(default_factory=list)
    client_certificate: Annotated[
        Literal["optional", "required"],
        Meta(description="whether the TLS handshake fails without a device's certificate"),
    ] = "optional"
    tls_profile: Annotated[
        Literal["", "modern", "intermediate"], Meta(description="as `tls.profile`, for this listener; empty: that one")
    ] = ""
    mode: Annotated[str, Meta(pattern="^0?[0-7]{3}$", description="Unix socket: its file mode, in octal digits")] = (
        "0600"
    )


class Limits(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[limits]`: whatever a peer can make grow has a ceiling here. 0 means no ceiling where a key permits 0."""

    connections: Annotated[Count, Meta(description="open connections, over all listeners")] = 100_000
    connections_per_address: Annotated[
        Count, Meta(description="open connections from one IP address (IPv6: from one /64)")
    ] = 10_000
    connection_rate: Annotated[
        float,
        Meta(ge=0, le=1e9, description="connections accepted per second from one address (IPv6: one /64); 0: any"),
    ] = 2000.0
    connection_burst: Annotated[
        int, Meta(ge=1, le=1_000_000_000, description="connections from one address at once, above `connection_rate`")
    ] = 20_000
    connect_timeout: Annotated[
        Seconds, Meta(description="seconds from the accepted connection to the whole CONNECT, TLS handshake included")
    ] = 10.0
    keep_alive_maximum: Annotated[
        int,
        Meta(
            ge=0,
            le=65535,
            description="longest Keep Alive in seconds; a 5.0 client that asks for more, or for none, is told this one "
            "(Server Keep Alive); 0: any",
        ),
    ] = 3600
    packet_size: Annotated[
        int, Meta(ge=256, le=268_435_460, description="octets of the largest packet accepted (Maximum Packet Size)")
    ] = MIB
    inflight: Annotated[
        int,
        Meta(ge=1, le=65535, description="unacknowledged QoS 1 and 2 messages, each way (Receive Maximum)"),
    ] = 1000
    topic_alias_maximum: Annotated[
        int, Meta(ge=0, le=65535, description="Topic Aliases that a client may set (Topic Alias Maximum)")
    ] = 64
    topic_levels: Annotated[int, Meta(ge=1, le=1024, description="levels of a Topic Name or Topic Filter")] = 128
    subscriptions_per_session: Annotated[Count, Meta(description="subscriptions of one session")] = 1000
    subscriptions: Annotated[Count, Meta(description="subscriptions of all sessions together")] = 2_000_000
    subscription_bytes_per_identity: Annotated[
        Count, Meta(description="octets of the Topic Filters of one identity, 400 for each level above the eighth")
    ] = 64 * MIB
    subscription_bytes: Annotated[Count, Meta(description="octets of the Topic Filters of all identities")] = 1024 * MIB
    sessions_per_identity: Annotated[
        Count, Meta(description="sessions (client identifiers) of one identity, connected or not")
    ] = 1000
    session_expiry_maximum: Annotated[
        int,
        Meta(
            ge=0,
            le=4_294_967_295,
            description="longest Session Expiry Interval in seconds; 4294967295: sessions may last for ever",
        ),
    ] = 30 * DAY
    will_delay_maximum: Annotated[
        int, Meta(ge=0, le=4_294_967_295, description="longest Will Delay Interval in seconds")
    ] = DAY
    queue_messages: Annotated[
        Count, Meta(description="QoS 1 and 2 messages that wait for one session; what comes above is dropped, counted")
    ] = 10_000
    queue_bytes: Annotated[Count, Meta(description="octets (topic and payload) that wait for one session")] = 16 * MIB
    queue_bytes_per_identity: Annotated[
        Count, Meta(description="octets that wait for all sessions of one identity together")
    ] = 1024 * MIB
    outbox_bytes: Annotated[
        Count,
        Meta(description="octets not yet taken by a connected client; above it QoS 0 is dropped, QoS 1 and 2 queued"),
    ] = 4 * MIB
    publish_rate: Annotated[
        float,
        Meta(ge=0, le=1e9, description="PUBLISH packets per second of one client, then it is read slower; 0: any"),
    ] = 0.0
    publish_burst: Annotated[
        int, Meta(ge=1, le=1_000_000_000, description="PUBLISH packets of one client at once, above `publish_rate`")
    ] = 1000
    retained_messages: Annotated[Count, Meta(description="retained messages")] = 1_000_000
    retained_bytes: Annotated[Count, Meta(description="octets (topic and payload) of all retained messages")] = (
        256 * MIB
    )


class Login(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[login]`: the brake on guessing passwords, and the queue of those that wait to be verified."""

    tries_per_identity: Annotated[
        Count, Meta(description="wrong passwords for one identity from one address, before further tries are delayed")
    ] = 5
    tries_per_address: Annotated[
        Count,
        Meta(description="wrong passwords from one address (IPv6: from one /64), before further tries are delayed"),
    ] = 50
    first_delay: Annotated[
        Seconds, Meta(description="seconds until the next try is looked at; doubles with each that is wrong")
    ] = 1.0
    longest_delay: Annotated[Seconds, Meta(description="seconds that the delay grows to")] = 60.0
    forget: Annotated[Seconds, Meta(description="seconds without a wrong try until all is forgotten")] = 900.0
    remembered_failures: Annotated[
        Count, Meta(description="identities and addresses whose wrong tries are remembered, the latest of them")
    ] = 10_000
    tries_rate: Annotated[
        float,
        Meta(ge=0, le=1e9, description="tries to log in per second from one address, right or wrong; 0: any"),
    ] = 100.0
    tries_burst: Annotated[
        int, Meta(ge=1, le=1_000_000_000, description="tries to log in from one address at once, above `tries_rate`")
    ] = 1000
    lock_after: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000_000,
            description="wrong tries of one identity from one address that lock it out there; 0: never",
        ),
    ] = 20
    lock_seconds: Annotated[
        Seconds, Meta(description="seconds of a lock-out, which outlasts a restart; `device unlock` lifts it")
    ] = 3600.0
    waiting: Annotated[Count, Meta(description="passwords that wait to be verified")] = 1024
    waiting_per_address: Annotated[Count, Meta(description="passwords from one address that wait to be verified")] = 256
    remember: Annotated[
        float,
        Meta(ge=0, le=DAY, description="seconds for which a right password is not hashed again; 0: always hashed"),
    ] = 300.0


class TokenIssuer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[token_issuer]]`: who signs the tokens of OAUTHBEARER and XOAUTH2."""

    issuer: Annotated[str, Meta(min_length=1, description="its tokens' `iss`, exactly")]
    keys: Annotated[str, Meta(min_length=1, description="its keys (JWKS): a file, or an `https://` URL")]
    audience: Annotated[list[str], Meta(description="one of these must be in a token's `aud`")]
    algorithms: Annotated[
        list[str], Meta(description="signature algorithms that are accepted, asymmetric ones only")
    ] = field(default_factory=lambda: ["ES256", "RS256", "PS256", "EdDSA"])
    leeway: Annotated[float, Meta(ge=0, le=300, description="seconds by which its clock may differ from the hub's")] = (
        30.0
    )


class Kerberos(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[kerberos]`: GSSAPI, for devices with a Kerberos principal on their record."""

    keytab: Annotated[str, Meta(description="the hub's keytab (mode 0600); empty: no Kerberos")] = ""
    service: Annotated[str, Meta(description="the hub's service in it, as in `mqtt@hub.example.org`; empty: any")] = ""


class Mqtt(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[mqtt]`: choices that the MQTT standard leaves to the server."""

    denied_publish_v3: Annotated[
        Literal["acknowledge", "close"],
        Meta(description="a PUBLISH that the policy refuses, of a 3.1 or 3.1.1 client, which cannot be told"),
    ] = "acknowledge"
    response_information: Annotated[
        str,
        Meta(
            description="what a 5.0 client is told that asks for Response Information, `${device}` is its identity's "
            "name; empty: nothing"
        ),
    ] = ""


class Coap(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[coap]`: times and ceilings of CoAP; RFC 7252 section 4.8 names the first ones."""

    ack_timeout: Annotated[
        Seconds, Meta(description="seconds until a confirmable message is sent again (ACK_TIMEOUT), doubled each time")
    ] = 2.0
    ack_random_factor: Annotated[
        float, Meta(ge=1, le=10, description="up to so many times that, by chance (ACK_RANDOM_FACTOR)")
    ] = 1.5
    max_retransmit: Annotated[
        int, Meta(ge=0, le=20, description="times a confirmable message is sent again (MAX_RETRANSMIT)")
    ] = 4
    nstart: Annotated[
        int, Meta(ge=1, le=64, description="confirmable messages under way to one client at a time (NSTART)")
    ] = 1
    leisure: Annotated[
        Seconds, Meta(description="seconds within which a request to a group is answered (DEFAULT_LEISURE)")
    ] = 5.0
    separate_after: Annotated[
        Seconds, Meta(description="seconds after which a request without an answer is acknowledged alone")
    ] = 0.5
    echo_required: Annotated[
        bool, Meta(description="plain UDP: nobody is served before the address was proven by Echo (RFC 9175)")
    ] = False
    clients: Annotated[Count, Meta(description="addresses that plain UDP remembers, on one listener")] = 50_000
    client_idle: Annotated[Seconds, Meta(description="seconds after which a silent one of them is forgotten")] = 300.0
    remembered_bytes: Annotated[
        Count, Meta(description="octets of answers that are kept for repeated requests, of all clients")
    ] = 64 * MIB
    message_size: Annotated[
        int,
        Meta(
            ge=1152, le=16 * MIB, description="octets of the largest message over TCP, TLS and WebSocket, told in CSM"
        ),
    ] = MIB
    body_size: Annotated[
        int, Meta(ge=1024, le=256 * MIB, description="octets of the largest body that may come block by block")
    ] = MIB
    bodies_bytes: Annotated[
        Count, Meta(description="octets of bodies that are under way block by block, of all clients")
    ] = 64 * MIB
    dtls_sessions: Annotated[
        Count, Meta(description="DTLS sessions of one listener; above it the longest idle one gives way")
    ] = 20_000
    dtls_idle: Annotated[Seconds, Meta(description="seconds after which a silent DTLS session ends")] = 2.0 * DAY
    dtls_half_open: Annotated[
        Count, Meta(description="DTLS handshakes under way, of addresses that returned their cookie")
    ] = 1_000
    dtls_half_open_per_address: Annotated[Count, Meta(description="of these, from one address")] = 16
    dtls_connection_ids: Annotated[
        bool, Meta(description="Connection IDs (RFC 9146), for clients whose address changes")
    ] = True
    pubsub: Annotated[
        bool, Meta(description="publish/subscribe over topic resources at /ps, experimental (docs/coap-pubsub.md)")
    ] = True
    pubsub_content_format: Annotated[
        int, Meta(ge=0, le=65_535, description="the number of application/core-pubsub+cbor, not assigned yet")
    ] = 606
    pubsub_topics: Annotated[Count, Meta(description="topics of /ps")] = 10_000
    pubsub_topics_per_identity: Annotated[Count, Meta(description="of these, created by one identity")] = 1_000
    directory: Annotated[bool, Meta(description="the resource directory at /rd (docs/resource-directory.md)")] = True
    directory_registrations: Annotated[Count, Meta(description="registrations in the resource directory")] = 10_000
    directory_registrations_per_identity: Annotated[Count, Meta(description="of these, of one identity")] = 1_000


class Tls(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[tls]`: the hub's own certificate."""

    names: Annotated[
        list[str],
        Meta(description="host names and addresses in the hub's own certificate, beside this machine's own"),
    ] = field(default_factory=list)
    profile: Annotated[
        ProfileName,
        Meta(description="`modern`: TLS 1.3 only; `intermediate`: 1.2 too; for each listener that names none itself"),
    ] = "intermediate"
    ticket_lifetime: Annotated[
        int,
        Meta(ge=0, le=LONGEST_TICKET_LIFETIME, description="seconds that a TLS session may be resumed; 0: never"),
    ] = TICKET_LIFETIME


class Log(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[log]`."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least severe events that are written")
    ] = "info"
    format: Annotated[
        Literal["auto", "text", "json"],
        Meta(description="`auto`: text on a terminal, JSON lines otherwise"),
    ] = "auto"
    file: Annotated[
        str, Meta(description="file to append to (mode 0600, reopened on SIGHUP); empty: standard error")
    ] = ""


class SystemTopics(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[system_topics]`: the hub's own figures under `$SYS/broker/`."""

    interval: Annotated[
        float, Meta(ge=0, le=DAY, description="seconds between two publications; 0: none are published")
    ] = 10.0


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[store]`: where sessions, queues and retained messages last."""

    kind: Annotated[
        Literal["sqlite", "memory"],
        Meta(description="`sqlite`: in the data folder, durable; `memory`: everything is lost when the hub stops"),
    ] = "sqlite"


class ConfigFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole TOML file."""

    listeners: list[Listener] = field(name="listener", default_factory=list)
    limits: Limits = field(default_factory=Limits)
    login: Login = field(default_factory=Login)
    queues: Queues = field(default_factory=Queues)
    token_issuers: list[TokenIssuer] = field(name="token_issuer", default_factory=list)
    kerberos: Kerberos = field(default_factory=Kerberos)
    mqtt: Mqtt = field(default_factory=Mqtt)
    coap: Coap = field(default_factory=Coap)
    amqp: Amqp = field(default_factory=Amqp)
    dds: Dds = field(default_factory=Dds)
    proxy: Proxy = field(default_factory=Proxy)
    tls: Tls = field(default_factory=Tls)
    pki: Pki = field(default_factory=Pki)
    log: Log = field(default_factory=Log)
    audit: Audit = field(default_factory=Audit)
    system_topics: SystemTopics = field(default_factory=SystemTopics)
    store: StoreSettings = field(default_factory=StoreSettings)


# Without any [[listener]]: MQTT over TLS, MQTT over WebSocket over TLS, CoAP over DTLS, AMQP over TLS, HTTPS for
# enrolment.
DEFAULT_LISTENERS: Final = (
    Listener(bind="*:8883"),
    Listener(bind="*:8884", transport="websocket"),
    Listener(bind="*:5684", protocol="coap"),
    Listener(bind="*:5671", protocol="amqp"),
    Listener(bind="*:8443", protocol="est"),
)


def settled(listener: Listener) -> Listener:
    """With the transport and the path that follow from the protocol."""
    transport = listener.transport or ("udp" if listener.protocol == "coap" else "tcp")
    return replace(listener, transport=transport, path=listener.path or PATHS.get(listener.protocol, PATHS["mqtt"]))


def coap_modes(listener: Listener) -> list[str]:
    """By what a CoAP listener can let in, whose transport is settled. OSCORE counts on each."""
    if listener.plaintext:
        return []
    return ["psk", "rpk", "certificate"] if listener.transport == "udp" else ["certificate"]


class Config:
    """What the hub runs with: the file's settings, checked, with paths made absolute and default listeners put in."""

    def __init__(self, data: Path, file: Path | None, settings: ConfigFile) -> None:
        self.data = data
        self.file = file
        self.token_issuers = tuple(settings.token_issuers)
        self.kerberos = settings.kerberos
        profile = settings.tls.profile
        self.listeners = tuple(
            replace(self._with_login(settled(each)), tls_profile=each.tls_profile or profile)
            for each in tuple(settings.listeners) or DEFAULT_LISTENERS
        )
        self.limits = settings.limits
        self.login = settings.login
        self.queues = settings.queues
        self.mqtt = settings.mqtt
        self.coap = settings.coap
        self.amqp = settings.amqp
        self.dds = settings.dds
        self.proxy = settings.proxy
        self.tls = settings.tls
        self.pki = settings.pki
        self.log = settings.log
        self.audit = settings.audit
        self.system_topics = settings.system_topics
        self.store = settings.store

    def _with_login(self, listener: Listener) -> Listener:
        """What a listener without `login` lets in by. Tokens cross a network in clear only where they are named."""
        if listener.login:
            return listener
        if listener.protocol == "coap":
            return replace(listener, login=coap_modes(listener))
        hidden = not listener.plaintext or listener.bind.startswith("unix:")
        chain = default_chain(bool(self.token_issuers) and hidden, bool(self.kerberos.keytab))
        return replace(listener, login=list(chain.entries))
