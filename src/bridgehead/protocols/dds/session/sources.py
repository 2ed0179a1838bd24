"""Remote writers that match the route's reader: who they are, and as whom their samples are let in."""

from __future__ import annotations

from typing import Final

from bridgehead.core.message import MessageProperties, Origin
from bridgehead.protocols.dds.mapping.settings import CDR, RouteConfig
from bridgehead.protocols.dds.session.ports import Endpoint
from bridgehead.protocols.dds.session.rights import Rights

PROTOCOL: Final = "dds"
JSON_TYPE: Final = "application/json"
CDR_TYPE: Final = "application/x-cdr"
TAG_PROPERTY: Final = "tag:"
TIMESTAMP_PROPERTY: Final = "dds-source-timestamp"  # nanoseconds since the epoch


def client_id(config: RouteConfig) -> str:
    """What the route is called among clients; its writers' names begin with it and a slash."""
    return f"{PROTOCOL}/{config.name}"


class Source:
    """One remote writer. `lifespan` is in seconds, 0 for none."""

    def __init__(self, config: RouteConfig, endpoint: Endpoint, rights: Rights) -> None:
        self.handle: Final = endpoint.handle
        self.guid: Final = endpoint.guid
        self.identity: Final = endpoint.identity
        self.name: Final = rights.name_of(endpoint.identity)
        self.strength: Final = endpoint.strength
        self.lifespan: Final = endpoint.qos.lifespan
        self.origin: Final = Origin(
            self.name,
            PROTOCOL,
            rights.verified,
            f"{client_id(config)}/{endpoint.guid.hex()}",
            "",
            endpoint.tags,
        )
        tags: list[tuple[str, str]] = []
        for tag in endpoint.tags:
            name, _, value = tag.partition("=")
            tags.append((TAG_PROPERTY + name, value))
        self._tags: Final = tuple(tags)
        self._content_type: Final = CDR_TYPE if config.payload == CDR else JSON_TYPE
        self._timestamps: Final = config.timestamps
        self._properties: Final = MessageProperties(self._content_type, user_properties=self._tags)
        self.is_alive = True  # its liveliness is asserted
        self.is_gone = False  # it doesn't match any more

    def properties(self, timestamp: int) -> MessageProperties:
        """Of a message that it sends. `timestamp` as Sample.timestamp."""
        if not self._timestamps:
            return self._properties
        stamped = (*self._tags, (TIMESTAMP_PROPERTY, str(timestamp)))
        return MessageProperties(self._content_type, user_properties=stamped)

    def told(self) -> dict[str, object]:
        """Who it is, for the fields of an event."""
        return {"principal": self.name, "writer": self.guid.hex()}


class Sources:
    """By publication handle."""

    def __init__(self, config: RouteConfig, rights: Rights) -> None:
        self._config: Final = config
        self._rights: Final = rights
        self._by_handle: dict[int, Source] = {}

    def __len__(self) -> int:
        return len(self._by_handle)

    def matched(self, endpoint: Endpoint) -> None:
        before = self._by_handle.get(endpoint.handle)
        source = Source(self._config, endpoint, self._rights)
        if before is not None:
            before.is_gone = True  # it announced itself anew, with other qualities
            source.is_alive = before.is_alive
        self._by_handle[endpoint.handle] = source

    def gone(self, handle: int) -> None:
        source = self._by_handle.pop(handle, None)
        if source is not None:
            source.is_gone = True

    def get(self, handle: int) -> Source | None:
        return self._by_handle.get(handle)
