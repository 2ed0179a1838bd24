"""Who may do what with a topic: the permissions of the hub's topic of that name decide, and no others."""

from __future__ import annotations

from bridgehead.broker.broker import Broker
from bridgehead.protocols.coap.session.contract import Party


def may_see(broker: Broker, party: Party, topic: str) -> bool:
    """Find a topic and read its properties: who may read its data or publish."""
    return broker.door.may_know(party.principal, topic)


def check_administer(broker: Broker, party: Party, topic: str) -> None:
    """Create, update and delete: who may publish. Raises Refusal."""
    broker.door.permit(party.principal, topic, party.origin, True)
