"""Attaching a link (2.6.3): who makes its terminus, and what our attach says."""

from __future__ import annotations

from typing import Final

from bridgehead.protocols.amqp.codec.v1.composites import ABSENT, DeliveryState
from bridgehead.protocols.amqp.codec.v1.performatives import Attach
from bridgehead.protocols.amqp.session.v1.contract import IncomingLink, OutgoingLink, Source, Target
from bridgehead.protocols.amqp.session.v1.settling import state_octets
from bridgehead.protocols.amqp.session.v1.wiring import Wiring

# What our attach has beside the unsettled map, at most, where it is to fit into a small frame.
_BESIDE: Final = 256


class Opener:
    """Makes termini: opening.py has the one that knows all kinds."""

    def source(self, attach: Attach, link: OutgoingLink) -> Source:
        """Errors: Refusal, AmqpError."""
        raise NotImplementedError

    def target(self, attach: Attach, link: IncomingLink, wiring: Wiring) -> Target:
        """Errors: Refusal, AmqpError."""
        raise NotImplementedError


def refused_attach(attach: Attach) -> Attach:
    """2.6.3: the terminus that would be ours is null, so that the peer knows that a detach follows."""
    return Attach(
        attach.name,
        attach.handle,
        not attach.role,
        attach.snd_settle_mode,
        attach.rcv_settle_mode,
        None if attach.role else attach.source,
        attach.target if attach.role else None,
        initial_delivery_count=0 if attach.role else ABSENT,
    )


def bare(attach: Attach) -> Attach:
    """What a link needs of its attach once that is answered: maps of a few octets take much when they are decoded, and
    a link may last for years."""
    return Attach(attach.name, attach.handle, attach.role, attach.snd_settle_mode, attach.rcv_settle_mode)


def attach_of_sender(
    link: OutgoingLink, attach: Attach, unsettled: dict[bytes, DeliveryState | None], max_frame_size: int
) -> Attach:
    fitting = _fitting(unsettled, max_frame_size)
    return Attach(
        attach.name,
        attach.handle,
        False,
        link.snd_settle_mode,
        link.rcv_settle_mode,
        link.source,
        attach.target,
        fitting,
        fitting is not None and len(fitting) < len(unsettled),
        initial_delivery_count=0,
        max_message_size=0,
        properties=link.properties,
    )


def attach_of_taker(
    link: IncomingLink, attach: Attach, unsettled: dict[bytes, DeliveryState | None], max_frame_size: int
) -> Attach:
    fitting = _fitting(unsettled, max_frame_size)
    return Attach(
        attach.name,
        attach.handle,
        True,
        link.snd_settle_mode,
        link.rcv_settle_mode,
        attach.source,
        link.target,
        fitting,
        fitting is not None and len(fitting) < len(unsettled),
        max_message_size=link.max_message_size,
        properties=link.properties,
    )


def _fitting(unsettled: dict[bytes, DeliveryState | None], room: int) -> dict[bytes, DeliveryState | None] | None:
    """As much of the map as one frame holds (2.7.3, incomplete-unsettled); None when there is nothing unsettled."""
    if not unsettled:
        return None
    left = room - 2 * _BESIDE if room > 4 * _BESIDE else room // 4
    found: dict[bytes, DeliveryState | None] = {}
    for tag, state in unsettled.items():
        left -= 2 + len(tag) + len(state_octets(state))
        if left < 0:
            break
        found[tag] = state
    return found
