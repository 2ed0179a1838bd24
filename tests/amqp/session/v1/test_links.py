"""Links, credit and deliveries of AMQP 1.0, frame by frame."""

from __future__ import annotations

import pytest

from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED
from tests.amqp.dialogue import AmqpHub


@pytest.mark.clause("AMQP-2.7.5")
def test_a_settled_message_goes_from_sender_to_receiver() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/Office%2FTemp")
    sender = hub.container("sensor").sender("/topics/Office%2FTemp")
    sender.transfer(settled=True, body=b"21.5")
    delivered = receiver.deliveries()
    assert [each.body for each in delivered] == [b"21.5"]
    assert delivered[0].settled
    assert sender.outcomes() == []


@pytest.mark.clause("AMQP-2.6.12")
def test_an_unsettled_message_is_accepted_and_settled() -> None:
    hub = AmqpHub()
    receiver = hub.container("display").receiver("/topics/a")
    sender = hub.container("sensor").sender("/topics/a")
    sender.transfer()
    assert sender.outcome() is ACCEPTED
    (delivered,) = receiver.deliveries()
    assert not delivered.settled
    receiver.settle(delivered.delivery_id, state=ACCEPTED)
    assert receiver.deliveries() == []
    assert receiver.dispositions == []
