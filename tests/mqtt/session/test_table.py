"""The state table is total, and says what the standard says."""

from __future__ import annotations

import pytest

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.reason_codes import PACKET_NAMES
from bridgehead.protocols.mqtt.session import table

STATES = [
    table.AWAITING_CONNECT,
    table.AUTHENTICATING,
    table.CONNECTED,
    table.CLOSED,
    table.JUDGING,
    table.CHALLENGED,
]
ACTIONS = {value for name, value in vars(table).items() if name.isupper() and isinstance(value, int)}


def test_every_state_has_an_action_for_every_packet_type() -> None:
    assert list(range(len(table.TABLE))) == STATES
    for row in table.TABLE:
        assert len(row) == 16
        assert all(action in ACTIONS for action in row)


@pytest.mark.clause("MQTT-3.1.0-1", "MQTT3-3.1.0-1")
def test_before_connect_there_is_nothing_but_connect() -> None:
    row = table.TABLE[table.AWAITING_CONNECT]
    assert row[codes.CONNECT] == table.BEGIN
    assert {row[packet] for packet in range(16) if packet != codes.CONNECT} == {table.FIRST_MUST_BE_CONNECT}


@pytest.mark.clause("MQTT-3.1.4-6", "MQTT3-3.1.4-5")
def test_until_the_identity_is_proven_everything_waits() -> None:
    row = table.TABLE[table.AUTHENTICATING]
    assert row[codes.CONNECT] == table.SECOND_CONNECT
    assert {row[packet] for packet in range(16) if packet != codes.CONNECT} == {table.KEEP}


@pytest.mark.clause("MQTT-3.1.2-30")
@pytest.mark.parametrize("state", [table.JUDGING, table.CHALLENGED])
def test_in_an_enhanced_authentication_there_are_auth_and_disconnect_and_nothing_else(state: int) -> None:
    row = table.TABLE[state]
    assert (row[codes.AUTH], row[codes.DISCONNECT], row[codes.CONNECT]) == (
        table.TAKE_AUTH,
        table.LEAVE,
        table.SECOND_CONNECT,
    )
    others = {packet for packet in range(16) if packet not in (codes.AUTH, codes.DISCONNECT, codes.CONNECT)}
    assert {row[packet] for packet in others} == {table.ONLY_AUTH}


def test_after_the_end_everything_is_ignored() -> None:
    assert set(table.TABLE[table.CLOSED]) == {table.IGNORE}


@pytest.mark.parametrize("packet_type", range(16))
def test_a_connected_client_may_send_what_table_2_1_lets_a_client_send(packet_type: int) -> None:
    action = table.TABLE[table.CONNECTED][packet_type]
    from_clients = {"PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE", "PINGREQ"}
    name = PACKET_NAMES[packet_type]
    if name in from_clients | {"DISCONNECT"}:
        assert table.TAKE_PUBLISH <= action <= table.FAREWELL
    elif name == "CONNECT":
        assert action == table.SECOND_CONNECT
    elif name == "AUTH":
        assert action == table.TAKE_AUTH
    else:
        assert action == table.NOT_FROM_A_CLIENT


def test_no_two_packets_share_an_action_of_their_own() -> None:
    own = [action for action in table.TABLE[table.CONNECTED] if action >= table.TAKE_PUBLISH]
    assert len(own) == len(set(own))
