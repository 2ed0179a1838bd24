"""Client Identifiers: one identity cannot take on another's, nor one that its record does not permit."""

from __future__ import annotations

import pytest

from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from tests.mqtt.dialogue import Hub

ALL = [Permission("#", True, True)]


@pytest.mark.clause("MQTT-3.1.3-6")
@pytest.mark.parametrize("version", [4, 5])
def test_an_empty_identifier_is_no_way_around_the_record(version: int) -> None:
    """The hub's own choice would be outside of what the record names, and any number of them."""
    hub = Hub(principals=[Principal.of("door", ALL, ["door", "panel"])])
    peer = hub.peer("door", version)
    answer = peer.connect("")
    assert answer.reason_code == (codes.CLIENT_IDENTIFIER_NOT_VALID if version == 5 else 2)
    assert peer.closed
    assert len(hub.broker.sessions) == 0


@pytest.mark.parametrize("patterns", [[], ["door*"], ["*"]])
def test_an_empty_identifier_is_filled_in_where_the_record_permits_it(patterns: list[str]) -> None:
    hub = Hub(principals=[Principal.of("door", ALL, patterns)])
    answer = hub.peer("door").connect("")
    assert answer.reason_code == 0
    assert (answer.properties.assigned_client_identifier or "").startswith("door-")


def test_identifiers_with_slashes_do_not_reach_into_another_identity() -> None:
    """A session's key is the identity's name, a slash and the Client Identifier; a name holds no slash."""
    hub = Hub(principals=[Principal.of("a", ALL, ["*"]), Principal.of("a.b", ALL, ["*"])])
    victim = hub.client("a.b", client_id="c/d", clean_start=False, expiry=1000)
    victim.subscribe("secret/#", 1)
    victim.drop()
    hub.client("a", client_id="x").publish("secret/1", qos=1)
    for stolen in ["c/d", "a.b/c/d", ".b/c/d", "../a.b/c/d", "b/c/d"]:
        thief = hub.peer("a")
        assert not thief.connect(stolen, clean_start=False, expiry=1000).session_present
        assert thief.messages() == []
    owner = hub.peer("a.b")
    assert owner.connect("c/d", clean_start=False, expiry=1000).session_present
    assert len(owner.messages()) == 1
