"""Which terminus a link is attached to: topics, queues, dynamic nodes, the coordinator, `$cbs`, the anonymous one."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT
from bridgehead.protocols.amqp.codec.v1.errors import (
    INVALID_FIELD,
    NOT_IMPLEMENTED,
    RESOURCE_LIMIT_EXCEEDED,
    AmqpError,
)
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.codec.v1.termini import Coordinator as CoordinatorValue
from bridgehead.protocols.amqp.codec.v1.termini import Source as SourceValue
from bridgehead.protocols.amqp.codec.v1.termini import Target as TargetValue
from bridgehead.protocols.amqp.session.speaker import Speaker
from bridgehead.protocols.amqp.session.v1.attaching import Opener
from bridgehead.protocols.amqp.session.v1.cbs import open_cbs_source, open_cbs_target
from bridgehead.protocols.amqp.session.v1.contract import IncomingLink, OutgoingLink, Source, Target
from bridgehead.protocols.amqp.session.v1.coordinator import Coordinator
from bridgehead.protocols.amqp.session.v1.targets import open_target
from bridgehead.protocols.amqp.session.v1.termini import open_source
from bridgehead.protocols.amqp.session.v1.wiring import Wiring

CBS: Final = "$cbs"
_LONGEST: Final = 1024  # characters of a link's or container's name: they are kept as keys


class TerminusOpener(Opener):
    def __init__(self, connection: Speaker) -> None:
        self._connection: Final = connection

    def source(self, attach: Attach, link: OutgoingLink) -> Source:
        _check(attach, link.peer.container_id)
        source = attach.source
        if isinstance(source, SourceValue) and source.address == CBS:
            return open_cbs_source(attach, link, self._connection)
        return open_source(attach, link)

    def target(self, attach: Attach, link: IncomingLink, wiring: Wiring) -> Target:
        _check(attach, link.peer.container_id)
        if attach.initial_delivery_count == ABSENT:
            raise AmqpError(INVALID_FIELD, "a sender's attach has an initial-delivery-count", clause="AMQP-2.7.3")
        target = attach.target
        if isinstance(target, CoordinatorValue):
            return Coordinator(link, wiring.transactions, wiring.waitings)
        if target is None:
            raise AmqpError(INVALID_FIELD, "the attach names no target to send to", clause="AMQP-2.6.3")
        if not isinstance(target, TargetValue):
            raise AmqpError(NOT_IMPLEMENTED, "this kind of target is not known here")
        if target.address == CBS:
            return open_cbs_target(attach, link, self._connection)
        return open_target(target, attach, link)


def _check(attach: Attach, container_id: str) -> None:
    if len(attach.name) > _LONGEST or len(container_id) > _LONGEST:
        raise AmqpError(RESOURCE_LIMIT_EXCEEDED, f"names of links and containers have at most {_LONGEST} characters")
