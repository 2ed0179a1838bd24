"""`bridgehead dds discover`: who takes part in a DDS domain, what they write and read, and whether they are secured."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from bridgehead.cli.client_options import usage, warn
from bridgehead.cli.dds_options import Credentials, Interface, Peer, credential_files, domain_config
from bridgehead.cli.device_options import Json
from bridgehead.cli.main import CommandError

if TYPE_CHECKING:
    from bridgehead.protocols.dds.discovery import Discovery
    from bridgehead.protocols.dds.session.ports import Endpoint
    from bridgehead.protocols.dds.spdp import Announcement

LAST: Final = 230
PREFIX_OCTETS: Final = 12


def discover(
    domain: Annotated[int, typer.Argument(metavar="[DOMAIN]", min=0, max=LAST, help="The domain's number.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=3600.0, help="How long to look.")] = 3.0,
    interface: Interface = None,
    peer: Peer = None,
    credentials: Credentials = None,
    as_json: Json = False,
) -> None:
    """Show the participants of a domain, and topics, types and quality of service of their writers and readers.

    Secured participants are seen by everybody, what they write and read only by those whom they have let in: give
    --credentials. Names, types and tags are what others say of themselves.
    """
    from bridgehead.protocols.dds.client import Client
    from bridgehead.protocols.dds.cyclone import DdsError
    from bridgehead.protocols.dds.probe import Probe, ProbeError

    if len(interface or ()) > 1:
        raise usage("dds discover looks on one --interface at a time: run it once for each")
    config = domain_config(domain, credentials, tuple(interface or ()), tuple(peer or ()))
    files = credential_files(credentials)

    async def look() -> dict[str, Any]:
        probe = Probe(domain, (*config.interfaces, "")[0], config.peers)
        client = Client(config, files)
        await client.open()
        try:
            await probe.run(seconds)
            own = {probe.own, client.guid[:PREFIX_OCTETS]}
            announced = {prefix: each for prefix, each in probe.found.items() if prefix not in own}
            seen = client.discovery()
            names = {
                each.guid[:PREFIX_OCTETS]: each.name
                for each in seen.participants.values()
                if each.guid[:PREFIX_OCTETS] not in own
            }
            return told(domain, names, seen, announced, config.is_secured)
        finally:
            await client.close()

    try:
        found = asyncio.run(look())
    except (DdsError, ProbeError) as error:
        raise CommandError(str(error)) from None
    if as_json:
        from bridgehead.cli.device_show import print_json

        print_json(found)
    else:
        _show(found)


def told(
    domain: int,
    names: dict[bytes, str],
    discovery: Discovery,
    announced: dict[bytes, Announcement],
    has_credentials: bool,
) -> dict[str, Any]:
    """As JSON, participants in the order of their GUIDs. `names` (of those whom Cyclone sees) and `announced` are by
    GUID prefix."""
    participants = []
    for prefix in sorted({*names, *announced}):
        said = announced.get(prefix)
        # Without an announcement of it: GUIDs of secured participants begin with a 1 (DDS Security 1.1 section 9.3.3),
        # those of others with their vendor's number, whose first bit is 0 (RTPS 2.3 section 9.3.1.5).
        secured = prefix[0] >= 0x80 if said is None else said.secured
        participants.append(
            {
                "guid": prefix.hex(),
                "name": names.get(prefix, "") or (said.name if said is not None else ""),
                "vendor": said.vendor if said is not None else "",
                "addresses": list(said.addresses) if said is not None else [],
                "secured": secured,
                "topics_hidden": secured and not has_credentials,
                "writers": _of(prefix, discovery.writers),
                "readers": _of(prefix, discovery.readers),
            }
        )
    return {"domain": domain, "participants": participants}


def _of(prefix: bytes, endpoints: dict[int, Endpoint]) -> list[dict[str, Any]]:
    found = [each for each in endpoints.values() if each.participant[:PREFIX_OCTETS] == prefix]
    return [_endpoint(each) for each in sorted(found, key=lambda each: (each.topic, each.guid))]


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    qos = endpoint.qos
    found: dict[str, Any] = {
        "topic": endpoint.topic,
        "type": endpoint.type_name,
        "partitions": list(endpoint.partitions),
        "tags": list(endpoint.tags),
        "reliability": qos.reliability,
        "durability": qos.durability,
        "ownership": qos.ownership,
        "liveliness": qos.liveliness,
    }
    numbers = {"strength": qos.strength, "deadline": qos.deadline, "lifespan": qos.lifespan, "lease": qos.lease}
    return {**found, **{name: value for name, value in numbers.items() if value}}


def _show(found: dict[str, Any]) -> None:
    """For people. What others chose is shown without characters that a terminal would obey."""
    from bridgehead.cli.device_show import print_table

    participants = found["participants"]
    domain = found["domain"]
    if not participants:
        print(f"nobody is in domain {domain}: look longer (--seconds), or elsewhere (--interface, --peer)")
        return
    who: list[list[str]] = []
    what: list[list[str]] = []
    for each in participants:
        secured = "secured" if each["secured"] else "not secured"
        who.append([each["guid"], _shown(each["name"]), secured, each["vendor"], " ".join(each["addresses"])])
        for word, endpoints in (("writes", each["writers"]), ("reads", each["readers"])):
            for one in endpoints:
                partitions, tags = ",".join(one["partitions"]), " ".join(one["tags"])
                row = (each["guid"], word, one["topic"], one["type"], partitions, _qos(one), tags)
                what.append([_shown(cell) for cell in row])
    print_table(f"Participants of domain {domain}", ("participant", "name", "security", "software", "addresses"), who)
    if what:
        columns = ("participant", "does", "topic", "type", "partition", "qos", "tags")
        print_table("What they write and read", columns, what)
    if any(each["topics_hidden"] for each in participants):
        warn("what secured participants write and read, they tell only to whom they let in: give --credentials")


def _qos(endpoint: dict[str, Any]) -> str:
    words = [endpoint["reliability"], endpoint["durability"]]
    if endpoint["ownership"] == "exclusive":
        words.append(f"exclusive strength={endpoint.get('strength', 0)}")
    words += [f"{name}={endpoint[name]:g}s" for name in ("deadline", "lifespan", "lease") if name in endpoint]
    return " ".join(words)


def _shown(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)
