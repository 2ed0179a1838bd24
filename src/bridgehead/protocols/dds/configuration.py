"""Cyclone DDS' configuration of one domain, as the XML text it takes. The environment's CYCLONEDDS_URI isn't asked."""

from __future__ import annotations

import ipaddress
from typing import Final
from xml.sax.saxutils import quoteattr

from bridgehead.protocols.dds.config import DomainConfig

NAMESPACE: Final = "https://cdds.io/config"
PARTICIPANTS_OF_A_HOST: Final = 60  # indices that are tried where participants find each other without multicast


def domain_xml(config: DomainConfig, sample_octets: int) -> str:
    """The whole document. `sample_octets` bounds what a fragmented sample may make Cyclone allocate."""
    switch = "true" if config.multicast else "false"
    parts = [f'<CycloneDDS xmlns="{NAMESPACE}"><Domain Id="any"><General>']
    if config.interfaces:
        parts.append("<Interfaces>")
        parts += [_interface(each, config.multicast) for each in config.interfaces]
        parts.append("</Interfaces>")
    parts.append(f"<AllowMulticast>{switch}</AllowMulticast>")
    parts.append(f"<MaxMessageSize>65500B</MaxMessageSize></General><Sizing><ReceiveBufferChunkSize>{128 * 1024}B")
    parts.append("</ReceiveBufferChunkSize></Sizing><Discovery>")
    # An index per participant lets others on the same host be found without multicast (RTPS 2.3 section 9.6.1.1).
    parts.append("<ParticipantIndex>auto</ParticipantIndex>")
    parts.append(f"<MaxAutoParticipantIndex>{PARTICIPANTS_OF_A_HOST}</MaxAutoParticipantIndex>")
    if config.peers:
        parts.append("<Peers>")
        parts += [f"<Peer Address={quoteattr(each)}/>" for each in config.peers]
        parts.append("</Peers>")
    parts.append("</Discovery>")
    # A participant that is gone without a word is forgotten after its lease; the hub announces the same of itself.
    parts.append(f"<Internal><MaxSampleSize>{sample_octets}B</MaxSampleSize></Internal>")
    parts.append("</Domain></CycloneDDS>")
    return "".join(parts)


def _interface(name: str, multicast: bool) -> str:
    switch = "default" if multicast else "false"
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return f'<NetworkInterface name={quoteattr(name)} multicast="{switch}"/>'
    return f'<NetworkInterface address={quoteattr(name)} multicast="{switch}"/>'
