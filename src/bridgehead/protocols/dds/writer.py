"""A writer of raw samples. It never blocks: what Cyclone has no room for is offered again by the route."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from bridgehead.core.errors import PAYLOAD_FORMAT_INVALID, UNAVAILABLE, Refusal
from bridgehead.protocols.dds import cyclone, policies
from bridgehead.protocols.dds.cyclone import DdsError, checked, ffi, library
from bridgehead.protocols.dds.mapping.settings import RouteConfig
from bridgehead.protocols.dds.participant import Participant, Topic
from bridgehead.protocols.dds.reader import handles
from bridgehead.protocols.dds.session.ports import Writer

_STATUSES: Final = cyclone.OFFERED_INCOMPATIBLE_QOS | cyclone.PUBLICATION_MATCHED


def _nobody_asks() -> None:
    """Whoever writes here asks for no reader."""


class RawWriter(Writer):
    """Errors of making it: DdsError."""

    def __init__(self, participant: Participant, topic: Topic, route: RouteConfig) -> None:
        lib, null = library(), ffi().NULL
        with policies.made() as qos:
            policies.partition(qos, route.partition)
            publisher = checked(lib.dds_create_publisher(participant.entity, qos, null), f"route {route.name}")
        with policies.made() as qos:
            policies.writer_qos(qos, route, topic.representation)
            code = lib.dds_create_writer(publisher, topic.entity, qos, null)
        self._publisher: Final = publisher
        self.entity: Final = checked(code, f"route {route.name} can't write topic {route.topic}")
        checked(lib.dds_set_status_mask(self.entity, _STATUSES), f"route {route.name} can't watch its writer")
        self._topic: Final = topic
        self._parts: Final = ffi().new("iovec_t *")
        self._matches: Final = ffi().new("matched_t *")
        self.on_matched: Callable[[], None] = _nobody_asks  # called by `look` when others match than before

    def look(self) -> None:
        """Cyclone matches readers in threads of its own. The loop is told of it a little later, and somebody who came
        meanwhile would get what is written before he is asked for."""
        matches = self._matches
        try:
            checked(library().dds_get_publication_matched_status(self.entity, matches), "a status can't be read")
            if matches.change or matches.current_change:
                self.on_matched()
        except DdsError as error:
            raise Refusal(UNAVAILABLE, str(error)) from None

    def write(self, cdr: bytes, timestamp: int) -> bool:
        return self._forward(cdr, cyclone.DATA, 0, timestamp)

    def dispose(self, cdr_key: bytes) -> bool:
        return self._forward(self._key(cdr_key), cyclone.KEY, cyclone.DISPOSED, 0)

    def unregister(self, cdr_key: bytes) -> bool:
        return self._forward(self._key(cdr_key), cyclone.KEY, cyclone.UNREGISTERED, 0)

    def _key(self, cdr_key: bytes) -> bytes:
        """As Cyclone wants it: plain CDR2, under the type's own identifier."""
        return self._topic.key_header + cdr_key[2:]

    def _forward(self, cdr: bytes, kind: int, status: int, timestamp: int) -> bool:
        lib, parts = library(), self._parts
        held: Any = ffi().from_buffer(cdr)
        parts.base, parts.size = held, len(cdr)
        serdata = lib.ddsi_serdata_from_ser_iov(self._topic.sertype, kind, 1, parts, len(cdr))
        if not serdata:
            raise Refusal(PAYLOAD_FORMAT_INVALID, "the octets are no sample of the topic's type")
        serdata.timestamp, serdata.statusinfo = timestamp or time.time_ns(), status
        code = lib.dds_forwardcdr(self.entity, serdata)
        if code == cyclone.TIMEOUT:
            return False
        try:
            checked(code, "a sample was not written")
        except DdsError as error:
            raise Refusal(UNAVAILABLE, str(error)) from None  # the caller is a route, in a publisher's own turn
        return True

    def changed(self) -> int:
        """Which statuses changed since this was asked last."""
        status = ffi().new("uint32_t *")
        checked(library().dds_take_status(self.entity, status, _STATUSES), "a writer's status can't be read")
        return int(status[0])

    def matched(self) -> set[int]:
        """The subscription handles of all remote readers that read this writer."""
        return handles(library().dds_get_matched_subscriptions, self.entity)

    def incompatible(self) -> tuple[int, str]:
        """How many readers ask for too much since this was asked last, and the policy that is to blame (the last)."""
        status = ffi().new("incompatible_t *")
        checked(library().dds_get_offered_incompatible_qos_status(self.entity, status), "a status can't be read")
        return status.change, policies.policy_name(status.last)

    def close(self) -> None:
        library().dds_delete(self._publisher)
