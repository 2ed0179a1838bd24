"""Two sides whose qualities of service don't fit (DDS 1.4 section 2.2.3): what each of them says."""

from __future__ import annotations

from bridgehead.protocols.dds.mapping.settings import RouteConfig, RouteQos
from bridgehead.protocols.dds.session.ports import Endpoint


def value_of(policy: str, qos: RouteQos) -> str:
    """What `qos` says of the policy, "" for one that routes don't set."""
    if policy == "Reliability":
        return qos.reliability
    if policy == "Durability":
        return qos.durability
    if policy == "Deadline":
        return _seconds(qos.deadline)
    if policy == "Latency Budget":
        return f"{qos.latency_budget:g} s"
    if policy == "Ownership":
        return qos.ownership
    if policy == "Liveliness":
        return f"{qos.liveliness}, lease {_seconds(qos.lease)}"
    return ""


def _seconds(duration: float) -> str:
    return f"{duration:g} s" if duration else "infinite"


def told(config: RouteConfig, policy: str, remote: Endpoint | None, who: str) -> dict[str, object]:
    """For the fields of an event. `who` is the device that the remote participant is, "" for nobody's."""
    fields: dict[str, object] = {"route": config.name, "policy": policy}
    ours = value_of(policy, config.qos)
    if remote is None:
        has = f", the hub's is {ours}" if ours else ""
        fields["because"] = f"another participant's {policy} does not fit{has}: nothing flows between the two"
        return fields
    fields["principal"] = who
    fields["remote"] = remote.guid.hex()
    wants, hub = ("asks for", "offers") if remote.is_reader else ("offers", "asks for")
    theirs = value_of(policy, remote.qos)
    name = repr(who) if who else "nobody known"
    if ours and theirs and ours != theirs:
        what = f"{wants} {policy} {theirs}, the hub {hub} {ours}"
    else:
        what = f"does not fit the hub's in {policy}"
    fields["because"] = f"the {_side(remote)} of {name} {what}: change the one or the other (qos of the route)"
    return fields


def other_type(config: RouteConfig, ours: str, remote: Endpoint, who: str) -> dict[str, object]:
    """As `told`, where the other's topic has another type than the route's, which is called `ours`."""
    name = repr(who) if who else "nobody known"
    return {
        "route": config.name,
        "principal": who,
        "remote": remote.guid.hex(),
        "because": f"the {_side(remote)} of {name} has the type {remote.type_name!r} for this topic, the route has "
        f"{ours!r}, so nothing flows between the two: change the one or the other (type of the route)",
    }


def _side(remote: Endpoint) -> str:
    return "reader" if remote.is_reader else "writer"
