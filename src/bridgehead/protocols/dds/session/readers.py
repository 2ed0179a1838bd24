"""Remote readers that match the route's writer, and whether all of them may have a message.

Between participants the signed permissions decide, which were made some time ago. The hub asks its policy of now before
it writes: DDS can't leave out one reader, so what one of them may not have is not written.
"""

from __future__ import annotations

from typing import Final

from bridgehead.core.clearance import missing_clearance, tag_topic
from bridgehead.core.message import Message
from bridgehead.protocols.dds import events
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.session.ports import Endpoint
from bridgehead.protocols.dds.session.rights import Rights
from bridgehead.protocols.dds.session.seldom import Seldom

_GUEST: Final = ""  # as whom Rights finds the guest of a domain without security


class Readers:
    """By subscription handle."""

    def __init__(self, config: RouteConfig, rights: Rights, seldom: Seldom) -> None:
        self._route: Final = config.name
        self._tags: Final = config.tags
        self._rights: Final = rights
        self._seldom: Final = seldom
        self._by_handle: dict[int, Endpoint] = {}
        self._identities: list[str] = []
        self._collect()

    def __len__(self) -> int:
        return len(self._by_handle)

    def matched(self, endpoint: Endpoint) -> None:
        self._by_handle[endpoint.handle] = endpoint
        self._collect()

    def gone(self, handle: int) -> None:
        self._by_handle.pop(handle, None)
        self._collect()

    def _collect(self) -> None:
        if not self._rights.verified:
            # Nobody is kept out of a domain without security: its guest is asked for, whoever has matched yet.
            self._identities = [_GUEST]
            return
        self._identities = list({endpoint.identity: None for endpoint in self._by_handle.values()})

    def may_have(self, message: Message) -> bool:
        """Whether each of them may read the message now. Who may not is told of."""
        for identity in self._identities:
            because = self._objection(identity, message)
            if because:
                self._tell(identity, message, because)
                return False
        return True

    def _objection(self, identity: str, message: Message) -> str:
        principal = self._rights.of(identity)
        if principal is None:
            return "it is no device of the hub's, or its credentials were taken back"
        if principal.receivable_qos(message.topic, message.origin.verified) < 0:
            return principal.explain_receive(message.topic, message.origin.verified).because
        tag = missing_clearance(principal, message.origin.tags) or missing_clearance(principal, self._tags)
        if tag:
            return f"{principal.name!r} has no clearance for the data tag {tag} (subscribe {tag_topic(tag)!r})"
        return ""

    def _tell(self, identity: str, message: Message, because: str) -> None:
        name = self._rights.name_of(identity)
        fields: dict[str, object] = {"principal": name, "route": self._route, "topic": message.topic}
        guids = [each.guid.hex() for each in self._by_handle.values() if each.identity == identity]
        if guids:
            fields["reader"] = guids[0]
        remedy = "permit it to subscribe, or end it: until then nobody on the route gets such messages"
        fields["because"] = f"{because}; {remedy}"
        self._seldom.tell(events.READER_UNPERMITTED, identity, fields)
