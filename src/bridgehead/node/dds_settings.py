"""`[dds]`: domains and routes of DDS (docs/dds.md), and what they may grow to."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

MIB: Final = 1024 * 1024
DAY: Final = 24 * 60 * 60

Count = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Duration = Annotated[float, Meta(ge=0, le=10 * 365 * DAY)]
# Of 232, the last whose UDP ports exist (RTPS 2.3 section 9.6.1.1), Cyclone DDS 0.10 reads permissions up to 230 only.
DomainId = Annotated[int, Meta(ge=0, le=230)]


class DdsDomain(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[dds.domain]]`: a DDS domain in which the hub has a participant."""

    id: Annotated[DomainId, Meta(description="the domain's number, 0 to 230")]
    security: Annotated[
        Literal["required", "none"],
        Meta(
            description="`required`: DDS Security's plug-ins, whose documents the hub signs; `none`: everybody on the "
            "network reads and writes, must be said"
        ),
    ] = "required"
    guest: Annotated[
        str,
        Meta(
            description='with security = "none": the device with whose permissions, and no others, all publish; empty: '
            "nobody may"
        ),
    ] = ""
    interfaces: Annotated[
        list[str], Meta(description="network interfaces, by name or address; empty: the one that Cyclone DDS chooses")
    ] = field(default_factory=list)
    peers: Annotated[
        list[str], Meta(description="addresses at which participants are looked for, beside multicast")
    ] = field(default_factory=list)
    multicast: Annotated[
        bool, Meta(description="whether participants are looked for, and samples sent, by multicast")
    ] = True
    discover_types: Annotated[
        bool,
        Meta(
            description="types of routes without `idl` are asked of their writers (XTypes type look-up), which travels "
            "in clear on protected domains too"
        ),
    ] = False
    metadata: Annotated[
        Literal["encrypt", "sign"],
        Meta(description="governance's metadata_protection_kind: submessages' headers are encrypted, or signed only"),
    ] = "encrypt"


class DdsQos(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`qos = {...}` of a route (docs/dds-qos.md)."""

    reliability: Annotated[Literal["reliable", "best-effort"], Meta(description="QoS 1 or QoS 0")] = "reliable"
    durability: Annotated[
        Literal["volatile", "transient-local"], Meta(description="`transient-local`: messages are retained")
    ] = "volatile"
    depth: Annotated[
        int, Meta(ge=0, le=1_000_000, description="History: samples kept for each instance; 0: all (KEEP_ALL)")
    ] = 16
    deadline: Annotated[Duration, Meta(description="seconds within which each instance changes; 0: none")] = 0.0
    lifespan: Annotated[
        Duration, Meta(description="seconds after which what the hub wrote has expired; 0: as the message says")
    ] = 0.0
    liveliness: Annotated[
        Literal["automatic", "manual-by-topic"], Meta(description="how a writer shows that it is alive")
    ] = "automatic"
    lease: Annotated[Duration, Meta(description="seconds of silence after which a writer is not alive; 0: none")] = 0.0
    ownership: Annotated[
        Literal["shared", "exclusive"],
        Meta(description="`exclusive`: of each instance the strongest writer alive is heard, the others stand by"),
    ] = "shared"
    strength: Annotated[
        int, Meta(ge=-(2**31), le=2**31 - 1, description="Ownership Strength of the hub's own writer")
    ] = 0
    latency_budget: Annotated[Duration, Meta(description="seconds that a sample may wait to be sent with others")] = 0.0


class DdsRoute(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[dds.route]]`: a DDS topic and the hub's topics that it is."""

    topic: Annotated[str, Meta(min_length=1, max_length=255, description="the DDS topic's name")]
    domain: Annotated[DomainId, Meta(description="its domain")] = 0
    type: Annotated[
        str, Meta(description="full name of its type, as `office::Temperature` or `office.Temperature`")
    ] = ""
    idl: Annotated[
        str,
        Meta(description="the IDL file that has the type, relative to the configuration's folder; empty: discovered"),
    ] = ""
    preset: Annotated[
        Literal["", "ros2"],
        Meta(
            description='`ros2`: `topic` is a topic of ROS 2, and `type` one of its common messages ("std_msgs/String")'
        ),
    ] = ""
    partition: Annotated[str, Meta(max_length=255, description="the DDS partition; empty: the default one")] = ""
    hub: Annotated[
        str,
        Meta(
            description="the hub's topic, with the values of key fields as `${field}`; empty: `PARTITION/TOPIC`, for a "
            "type without keys"
        ),
    ] = ""
    key: Annotated[
        str | list[str], Meta(description="the key fields in `hub`; empty: those that stand there as `${field}`")
    ] = ""
    direction: Annotated[
        Literal["in", "out", "both"], Meta(description="`in`: from DDS to the hub, `out`: from the hub to DDS")
    ] = "both"
    payload: Annotated[
        Literal["json", "cdr"],
        Meta(description="`json` (docs/dds-json.md), or the sample's octets as they are (`application/x-cdr`)"),
    ] = "json"
    qos: Annotated[DdsQos, Meta(description='quality of service, as `{reliability = "best-effort"}`')] = field(
        default_factory=DdsQos
    )
    tags: Annotated[
        dict[str, str], Meta(description='data tags of the hub\'s own writer, as `{classification = "secret"}`')
    ] = field(default_factory=dict)
    instances: Annotated[Count, Meta(description="instances that it may have; samples of more are refused")] = 10_000
    timestamps: Annotated[
        bool, Meta(description="source timestamps travel as the User Property `dds-source-timestamp`")
    ] = False


class Dds(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[dds]`."""

    domains: Annotated[list[DdsDomain], Meta(description="`[[dds.domain]]`: where the hub takes part")] = field(
        name="domain", default_factory=list
    )
    routes: Annotated[list[DdsRoute], Meta(description="`[[dds.route]]`: DDS topics and the hub's topics")] = field(
        name="route", default_factory=list
    )
    sample_size: Annotated[Count, Meta(description="octets of the largest sample that is taken")] = MIB
    batch: Annotated[int, Meta(ge=1, le=65_536, description="samples that are taken from a reader at a time")] = 256
    waiting: Annotated[
        Count, Meta(description="samples of one domain that wait for the hub; above it, history decides what is lost")
    ] = 8192
    participants: Annotated[Count, Meta(description="remote participants of one domain that are known")] = 1000
    endpoints: Annotated[Count, Meta(description="their readers and writers, of one domain")] = 20_000
    permissions_lifetime: Annotated[
        float,
        Meta(
            ge=60, le=365 * DAY, description="seconds for which the hub's own signed permissions hold, renewed at half"
        ),
    ] = float(DAY)
    log_topic: Annotated[
        bool, Meta(description="security's log on secured domains, on the encrypted topic `DDS/Security/LogTopic`")
    ] = True
