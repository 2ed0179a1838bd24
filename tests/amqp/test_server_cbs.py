"""`$cbs` in dialogues: tokens brought to an open connection, and what is answered."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import BAD_CREDENTIALS, Refusal
from bridgehead.core.policy import Permission, Principal
from bridgehead.protocols.amqp.codec.v1.sections import (
    AMQP_VALUE,
    APPLICATION_PROPERTIES,
    Properties,
    Sections,
    put_properties,
    put_section,
)
from bridgehead.protocols.amqp.codec.v1.states import ACCEPTED, Rejected
from bridgehead.protocols.amqp.codec.v1.types import Int
from bridgehead.protocols.amqp.session.proving import TOKEN_OCTETS, Renewal, SaslTurn, renewing
from tests.amqp.dialogue import AmqpHub, Container, ReceivingLink, SendingLink

SOON = 1_000_060.0
LATER = 1_003_600.0


class Talk:
    """A container with both links to `$cbs`."""

    def __init__(self, answers: bool = True) -> None:
        self.hub = AmqpHub()
        self.peer: Container = self.hub.container("panel", expires_at=SOON)
        self.answers: ReceivingLink | None = self.peer.receiver("$cbs") if answers else None
        self.tokens: SendingLink = self.peer.sender("$cbs")
        self.peer.get()

    def put(self, token: object, name: str = "1", kind: str = "jwt", operation: str = "put-token") -> None:
        said: dict[object, object] = {"operation": operation, "type": kind, "name": "hub"}
        properties = put_properties(Properties(message_id=name, reply_to="here"))
        body = put_section(APPLICATION_PROPERTIES, said) + put_section(AMQP_VALUE, token)
        self.tokens.transfer(properties + body)

    def asked(self) -> SaslTurn:
        found = self.peer.connection.sasl
        assert self.peer.connection.is_asking()
        assert found is not None
        assert found.again
        return found

    def judge(self, name: str = "panel", expires_at: float = LATER) -> None:
        self.peer.connection.renewed(self.hub.principal(name), expires_at, ("token 1",))
        self.hub.settle()

    def answer(self) -> tuple[object, object]:
        """Its status, and the request that it is for."""
        assert self.answers is not None
        (delivery,) = self.answers.deliveries()
        sections = Sections(delivery.payload)
        status = sections.application_properties()["status-code"]
        assert isinstance(status, Int)
        return status.value, sections.properties().correlation_id


@pytest.mark.clause("AMQPCBS-5")
def test_a_token_is_judged_and_the_connection_stands_on_it() -> None:
    talk = Talk()
    talk.put("a.b.c")
    asked = talk.asked()
    assert (asked.mechanism, asked.data) == ("OAUTHBEARER", b"n,,\x01auth=Bearer a.b.c\x01\x01")
    talk.judge()
    assert talk.answer() == (200, "1")
    assert not talk.peer.connection.is_asking()
    assert talk.peer.connection.expires_at == LATER
    session = talk.peer.connection.hub_session
    assert session is not None
    assert session.marks == ("token 1",)


def test_another_proof_of_the_same_identity_holds_for_everything_there_is() -> None:
    talk = Talk()
    receiver = talk.peer.receiver("Office/x")
    talk.put("a.b.c")
    root = talk.hub.principal("panel")
    narrower = Principal.of("panel", [Permission("elsewhere", True, True)], ["*"])
    assert narrower.created == root.created
    talk.peer.connection.renewed(narrower, LATER, ("token 1",))
    talk.hub.settle()
    talk.hub.broker.judge_on()
    talk.hub.settle()
    assert any(type(each).__name__ == "Detach" for each in talk.peer.get())
    assert receiver.handle is not None


def test_another_identity_is_refused_and_nothing_changes() -> None:
    talk = Talk()
    talk.put("of.somebody.else")
    talk.judge("pump")
    assert talk.answer() == (401, "1")
    assert talk.peer.connection.expires_at == SOON
    assert not talk.peer.closed
    assert "'pump'" in str(talk.hub.named("connection.refused")[0]["because"])


def test_a_token_that_does_not_hold_is_refused_and_nothing_changes() -> None:
    talk = Talk()
    talk.put("a.b.c")
    talk.asked()
    talk.peer.connection.not_renewed(Refusal(BAD_CREDENTIALS, "the credentials are not accepted"))
    talk.hub.settle()
    assert talk.answer() == (401, "1")
    assert talk.peer.connection.expires_at == SOON


def test_several_are_judged_one_after_the_other() -> None:
    talk = Talk()
    for number in range(3):
        talk.put(f"a.b.{number}", str(number))
    for number in range(3):
        data = talk.asked().data
        assert data is not None
        assert data.endswith(b"a.b.%d\x01\x01" % number)
        talk.judge()
        assert talk.answer() == (200, str(number))
    assert not talk.peer.connection.is_asking()


def test_there_is_an_end_of_what_waits() -> None:
    talk = Talk()
    for number in range(17):
        talk.put("a.b.c", str(number))
    talk.put("a.b.c", "too many")
    state = talk.tokens.outcome()
    assert isinstance(state, Rejected)
    assert state.error is not None
    assert state.error.condition == "amqp:resource-limit-exceeded"


@pytest.mark.parametrize(
    ("token", "kind", "operation", "status"),
    [
        ("a.b.c", "servicebus.windows.net:sastoken", "put-token", 400),
        ("a.b.c", "jwt", "delete-token", 400),
        (None, "jwt", "put-token", 400),
        ("", "jwt", "put-token", 401),
        ("x" * (TOKEN_OCTETS + 1), "jwt", "put-token", 401),
        ("a.b.c\x01auth=other", "jwt", "put-token", 401),
        ("ä.b.c", "jwt", "put-token", 401),
    ],
)
def test_what_is_no_token_is_never_judged(token: object, kind: str, operation: str, status: int) -> None:
    talk = Talk()
    talk.put(token, kind=kind, operation=operation)
    assert not talk.peer.connection.is_asking()
    assert talk.answer() == (status, "1")


def test_without_a_link_for_answers_the_outcome_tells() -> None:
    talk = Talk(answers=False)
    talk.put("a.b.c")
    talk.judge()
    assert talk.tokens.outcome() is ACCEPTED
    talk.put("a.b.c", kind="saml")
    assert isinstance(talk.tokens.outcome(), Rejected)


def test_who_leaves_while_a_token_is_judged_is_forgotten() -> None:
    talk = Talk()
    talk.put("a.b.c")
    talk.peer.drop()
    talk.judge()
    assert talk.peer.closed


class Nobody(Renewal):
    def granted(self, expires_at: float) -> None:
        raise AssertionError

    def refused(self, because: str) -> None:
        raise AssertionError


def test_a_listener_that_takes_no_tokens_says_so() -> None:
    with pytest.raises(Refusal, match="OAUTHBEARER"):
        renewing(("PLAIN", "SCRAM-SHA-256"), "panel", "a.b.c", Nobody())
    turn = renewing(("PLAIN", "XOAUTH2"), "panel", "a.b.c", Nobody())
    assert (turn.mechanism, turn.data) == ("XOAUTH2", b"user=panel\x01auth=Bearer a.b.c\x01\x01")
    assert "a.b.c" not in repr(turn)
