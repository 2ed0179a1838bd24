"""What happens to a route, told on topics below `$SYS/dds/DOMAIN/TOPIC/`: JSON, at most once, the last one retained."""

from __future__ import annotations

from typing import Final

import msgspec

from bridgehead.broker.broker import Broker
from bridgehead.core.errors import Refusal
from bridgehead.core.message import Message, MessageProperties, Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.forms import topic_without_template

_ROOT: Final = "$SYS/dds/"
_NAME: Final = "$SYS"
OWNER: Final = "owner"
LIVELINESS: Final = "liveliness"
INSTANCE: Final = "instance"

_PROPERTIES: Final = MessageProperties("application/json")


class Notices:
    """Of one route. They are the hub's own messages: who may read them, the policy says."""

    def __init__(self, config: RouteConfig, broker: Broker) -> None:
        self._broker: Final = broker
        self.root: Final = f"{_ROOT}{config.domain}/{topic_without_template(config)}/"
        self._principal: Final = Principal.of(_NAME, [Permission(_ROOT + "#", publish=True, subscribe=False)], [])
        self._origin: Final = Origin(_NAME, "internal", True)

    def publish(self, leaf: str, fields: dict[str, object], retain: bool = True) -> None:
        payload = msgspec.json.encode(fields)
        self._put(Message(self.root + leaf, payload, 0, retain, self._origin, _PROPERTIES))

    def clear(self) -> None:
        """The route is no more, and what was told of it neither."""
        for leaf in (OWNER, LIVELINESS):
            if self._broker.retained.get(self.root + leaf) is not None:
                self._put(Message(self.root + leaf, b"", 0, True, self._origin))

    def _put(self, message: Message) -> None:
        try:
            self._broker.door.publish(self._principal, message, None)
        except Refusal:
            return  # the hub holds as many retained messages as it may: the door has told it
