"""A re-authentication by another kind of proof: the policy's view and what the connection stands on follow it."""

from __future__ import annotations

from bridgehead.core.message import NEVER
from bridgehead.core.policy import Context
from tests.mqtt.dialogue import Hub
from tests.mqtt.session.test_auth import again, connected


def test_the_view_and_the_marks_are_those_of_the_new_proof() -> None:
    hub = Hub()
    peer = connected(hub)
    session = peer.connection.session
    assert session is not None
    before = session.principal
    peer.send(again())
    hub.settle()
    view = hub.principal("sensor").under(Context("mqtt", ("token",)))
    peer.connection.authenticated_again(view, NEVER, b"proof", ("token issuer subject",))
    hub.settle()
    assert session.principal is view is not before
    assert session.marks == ("token issuer subject",)
    assert hub.broker.disconnect("sensor", "ended", frozenset({"scram 1.0"})) == 0
    assert hub.broker.disconnect("sensor", "ended", frozenset({"token issuer subject"})) == 1
