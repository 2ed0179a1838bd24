"""ROS 2: a keystore as SROS 2 lays it out, with one enclave, and the environment that a node needs."""

from __future__ import annotations

import re
from typing import Final

from bridgehead.security.dds import documents
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.names import Expression
from bridgehead.security.dds.routes import Routing
from bridgehead.security.export.participant import (
    GOVERNANCE,
    IDENTITY_CA,
    PERMISSIONS_CA,
    Participant,
)

TOLD: Final = {
    "environment.sh": "to be read by a shell in this folder: . ./environment.sh",
    "keystore/enclaves/governance.p7s": "what is protected, signed",
}
# What rcl and rmw make for every node by themselves.
_SERVICES: Final = (
    "describe_parameters",
    "get_parameter_types",
    "get_parameters",
    "list_parameters",
    "set_parameters",
    "set_parameters_atomically",
)


def enclave(device: str) -> str:
    """The enclave's name, which is the node's too: letters, digits and _ (rcl_validate_enclave_name)."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", device)
    return name if not name[0].isdigit() else f"_{name}"


def own_rules(device: str) -> list[Rule]:
    """Discovery of the graph, logging, and the parameters of the one node that is called as the enclave."""
    graph = Expression("ros_discovery_info")
    log, changes = Expression("rt/rosout"), Expression("rt/parameter_events")
    node = enclave(device)
    requests = [Expression(f"rq/{node}/{each}Request") for each in _SERVICES]
    replies = [Expression(f"rr/{node}/{each}Reply") for each in _SERVICES]
    return [Rule(True, [graph, log, changes, *replies], [graph, changes, *requests])]


def files(device: str, participant: Participant, routing: Routing) -> dict[str, bytes]:
    name = enclave(device)
    found = {f"keystore/enclaves/{name}/{file}": data for file, data in participant.files.items()}
    found[f"keystore/enclaves/{name}/permissions.xml"] = participant.permissions
    found[f"keystore/enclaves/{GOVERNANCE}"] = participant.files[GOVERNANCE]
    found["keystore/enclaves/governance.xml"] = documents.governance(routing.metadata)
    found[f"keystore/public/{IDENTITY_CA}"] = participant.files[IDENTITY_CA]
    found[f"keystore/public/{PERMISSIONS_CA}"] = participant.files[PERMISSIONS_CA]
    found["environment.sh"] = _environment(name).encode()
    return found


def _environment(name: str) -> str:
    return f"""\
# In this folder: . ./environment.sh
export ROS_SECURITY_KEYSTORE="$PWD/keystore"
export ROS_SECURITY_ENABLE=true
export ROS_SECURITY_STRATEGY=Enforce
export ROS_SECURITY_ENCLAVE_OVERRIDE=/{name}
"""


def run(name: str) -> str:
    """For README.txt."""
    return (
        f"A node whose name is {name} runs so:\n"
        f"  . ./environment.sh && ros2 run demo_nodes_cpp talker --ros-args -r __node:={name} -r chatter:=TOPIC\n"
        "The topic Office/Lobby/Door is /Office/Lobby/Door in ROS 2, and rt/Office/Lobby/Door in DDS."
    )
