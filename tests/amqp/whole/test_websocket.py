"""AMQP over WebSocket at the real hub: the subprotocol, messages without meaning in their borders, and what is none."""

from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, NegotiationError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bridgehead.protocols.amqp.codec.v1.frames import Decoder
from bridgehead.protocols.amqp.codec.v1.sasl import SaslMechanisms
from tests.amqp.whole.office import Office

SASL = b"AMQP\x03\x01\x00\x00"


def opened(office: Office, *names: str) -> ClientConnection:
    asked = [Subprotocol(name) for name in names]
    return connect(f"ws://127.0.0.1:{office.port('amqp+ws')}/amqp", subprotocols=asked, compression=None)


@pytest.mark.clause("AMQPWS-2.1")
def test_the_subprotocol(office: Office) -> None:
    with opened(office, "other", "amqp") as socket:
        assert socket.subprotocol == "amqp"
    for names in (("mqtt",), ()):
        with pytest.raises((InvalidStatus, NegotiationError)):
            opened(office, *names)


@pytest.mark.clause("AMQPWS-2.4")
def test_borders_of_messages_mean_nothing(office: Office) -> None:
    with opened(office, "amqp") as socket:
        for octet in SASL:
            socket.send(bytes([octet]))
        answer = b""
        while len(answer) < 12:
            part = socket.recv(10)
            assert isinstance(part, bytes)
            answer += part
        assert answer[:8] == SASL
        found = Decoder(8192, sasl=True).one(answer[8:])
        assert found is not None
        assert isinstance(found.performative, SaslMechanisms)


@pytest.mark.clause("AMQPWS-2.4")
def test_text_is_no_amqp(office: Office) -> None:
    with opened(office, "amqp") as socket:
        socket.send(SASL.decode("latin-1"))
        with pytest.raises(ConnectionClosed):
            socket.recv(10)


@pytest.mark.clause("AMQPWS-4")
def test_the_websocket_is_closed_after_amqp(office: Office) -> None:
    with opened(office, "amqp") as socket:
        socket.send(b"AMQP\x03\x09\x00\x00")
        answer = socket.recv(10)
        assert answer == SASL  # what it speaks, and that is all (AMQP-2.2)
        with pytest.raises(ConnectionClosedOK):
            socket.recv(10)
