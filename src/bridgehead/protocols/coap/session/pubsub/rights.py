"""Who may do what with a topic: the permissions of the hub's topic of that name decide, and no others."""

from __future__ import annotations

from bridgehead.broker.broker import Broker
from bridgehead.protocols.coap.session.contract import Party


def may_see(party: Party, topic: str) -> bool:
    """Find a topic and read its properties: who may read its data or publish."""
    return party.principal.receivable_qos(topic, True) >= 0 or party.principal.may_publish(topic, 0, False)


def check_administer(broker: Broker, party: Party, topic: str) -> None:
    """Create, update and delete: who may publish. Raises Refusal."""
    broker.door.permit(party.principal, topic, party.origin, True)
