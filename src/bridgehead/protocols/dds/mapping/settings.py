"""What a route's owner can set: `[[dds.route]]` of the configuration, in the rooms' own words."""

from __future__ import annotations

from typing import Final

IN: Final = "in"  # from DDS to the hub's topics
OUT: Final = "out"
BOTH: Final = "both"

JSON: Final = "json"
CDR: Final = "cdr"  # the sample's octets as they are, encapsulation header included

RELIABLE: Final = "reliable"
BEST_EFFORT: Final = "best-effort"

VOLATILE: Final = "volatile"
TRANSIENT_LOCAL: Final = "transient-local"

AUTOMATIC: Final = "automatic"
MANUAL_BY_TOPIC: Final = "manual-by-topic"

SHARED: Final = "shared"
EXCLUSIVE: Final = "exclusive"

ROS2: Final = "ros2"  # a preset: names and types as ROS 2 has them

FOREVER: Final = 0.0  # DURATION_INFINITE (DDS 1.4 section 2.2.3), as the configuration writes it


class RouteQos:
    """Quality of service of the route's reader and writer (DDS 1.4 section 2.2.3). Times are in seconds, 0: no limit.

    `depth` is History KEEP_LAST's, 0 for KEEP_ALL. `strength` is that of the hub's own writer (Ownership Strength).
    `lifespan` is that of the hub's writer. `lease` is Liveliness' lease duration.
    """

    def __init__(
        self,
        reliability: str = RELIABLE,
        durability: str = VOLATILE,
        depth: int = 16,
        deadline: float = FOREVER,
        lifespan: float = FOREVER,
        liveliness: str = AUTOMATIC,
        lease: float = FOREVER,
        ownership: str = SHARED,
        strength: int = 0,
        latency_budget: float = 0.0,
    ) -> None:
        self.reliability: Final = reliability
        self.durability: Final = durability
        self.depth: Final = depth
        self.deadline: Final = deadline
        self.lifespan: Final = lifespan
        self.liveliness: Final = liveliness
        self.lease: Final = lease
        self.ownership: Final = ownership
        self.strength: Final = strength
        self.latency_budget: Final = latency_budget

    @property
    def qos(self) -> int:
        """The hub's delivery guarantee of what comes in, and the highest of what goes out."""
        return 1 if self.reliability == RELIABLE else 0

    @property
    def retain(self) -> bool:
        """Whether what comes in is retained."""
        return self.durability == TRANSIENT_LOCAL


DEFAULT_QOS: Final = RouteQos()


class RouteConfig:
    """One route. `domain` is the DDS domain id, `topic` the DDS topic's name, `type_name` the full IDL name.

    `partition` is the DDS partition's name, "" the default one. `hub` is the template of the hub's topic, "" for
    the one made of partition and topic. `key` names the fields, in order, that fill the template; () for those
    that it names itself. `idl` is the path of the IDL file, "" when the type is discovered or is a preset's. `preset`:
    "" or "ros2". `payload` is JSON or CDR. `tags` are those of the hub's own writer ("NAME=VALUE").
    `instances` bounds the instances. `timestamps`: whether the sources' times travel as User Properties.
    """

    def __init__(
        self,
        domain: int,
        topic: str,
        type_name: str = "",
        idl: str = "",
        preset: str = "",
        partition: str = "",
        hub: str = "",
        key: tuple[str, ...] = (),
        direction: str = BOTH,
        payload: str = JSON,
        qos: RouteQos = DEFAULT_QOS,
        tags: tuple[str, ...] = (),
        instances: int = 10_000,
        timestamps: bool = False,
    ) -> None:
        self.domain: Final = domain
        self.topic: Final = topic
        self.type_name: Final = type_name
        self.idl: Final = idl
        self.preset: Final = preset
        self.partition: Final = partition
        self.hub: Final = hub
        self.key: Final = key
        self.direction: Final = direction
        self.payload: Final = payload
        self.qos: Final = qos
        self.tags: Final = tags
        self.instances: Final = instances
        self.timestamps: Final = timestamps

    @property
    def dds_topic(self) -> str:
        """The topic's name in DDS: ROS 2 puts rt/ before that of a topic."""
        return "rt/" + self.topic.lstrip("/") if self.preset == ROS2 else self.topic

    @property
    def comes_in(self) -> bool:
        return self.direction != OUT

    @property
    def goes_out(self) -> bool:
        return self.direction != IN

    @property
    def exclusive(self) -> bool:
        return self.qos.ownership == EXCLUSIVE

    @property
    def name(self) -> str:
        """What the route is called in events, and the name of the right to be its owner or stand-by is made of."""
        path = f"{self.partition}/{self.topic}" if self.partition else self.topic
        return f"{self.domain}/{path}"
