"""Two identities: what one may not do with exchanges and bindings, and what of one's own ends with one's rights."""

from __future__ import annotations

import pytest

from bridgehead.broker.door import NOBODY
from bridgehead.core.errors import NOT_AUTHORIZED
from bridgehead.core.permission import Permission
from tests.amqp.session.v091.hall import ALL, Hall, Person, make, refused, send, take

pytestmark = pytest.mark.clause("AMQP091-4.7")

MINE = [make("$QUEUE/mine/#"), take("$QUEUE/mine/#"), make("$EXCHANGE/mine/#"), take("$EXCHANGE/mine/#")]


def scene(*more: Permission) -> tuple[Hall, Person, Person]:
    """`owner` has the exchange `vault`, from which the queue `secret` is bound; `mallory` has what is hers."""
    hall = Hall({"owner": ALL, "mallory": [*MINE, *more]})
    owner, mallory = hall.who("owner"), hall.who("mallory")
    owner.exchange("vault", "fanout", durable=True)
    owner.queue("secret", durable=True)
    owner.bind("secret", "vault")
    mallory.queue("mine/q", durable=True)
    mallory.exchange("mine/ex", "fanout", durable=True)
    return hall, owner, mallory


def test_every_verb_is_asked_of_the_policy() -> None:
    hall, _, mallory = scene()
    exchanges = hall.vhost.exchanges
    with refused(NOT_AUTHORIZED):
        mallory.exchange("new")
    with refused(NOT_AUTHORIZED):
        mallory.exchange("vault", "fanout", durable=True)
    with refused(NOT_AUTHORIZED):
        mallory.delete_exchange("vault")
    with refused(NOT_AUTHORIZED):
        exchanges.known(mallory.principal, mallory.origin, "vault")
    with refused(NOT_AUTHORIZED):
        mallory.publish("vault", "")
    with refused(NOT_AUTHORIZED):
        mallory.publish("", "secret")
    with refused(NOT_AUTHORIZED):
        mallory.bind("mine/q", "vault")
    with refused(NOT_AUTHORIZED):
        mallory.unbind("secret", "vault")
    with refused(NOT_AUTHORIZED):
        mallory.join("mine/ex", "vault")
    with refused(NOT_AUTHORIZED):
        mallory.join("vault", "mine/ex")
    with refused(NOT_AUTHORIZED):
        mallory.part("vault", "mine/ex")
    with refused(NOT_AUTHORIZED):
        mallory.bind("secret", "mine/ex")
    assert hall.waiting("secret") == []
    assert {event["principal"] for event in hall.named("publish.denied") + hall.named("subscribe.denied")} == {
        "mallory"
    }


def test_what_is_not_there_and_what_one_may_not_know_look_alike() -> None:
    _, _, mallory = scene()
    sentences = []
    for name in ("vault", "fault"):
        with pytest.raises(Exception, match="permission") as told:
            mallory.publish(name, "")
        sentences.append(str(told.value).replace(name, "X"))
    assert sentences[0] == sentences[1]


def test_who_may_only_publish_may_not_bind_nor_delete() -> None:
    hall, _, mallory = scene(send("$EXCHANGE/vault"))
    assert mallory.publish("vault", "", b"1") >= 0
    with refused(NOT_AUTHORIZED):
        mallory.bind("mine/q", "vault")
    with refused(NOT_AUTHORIZED):
        mallory.delete_exchange("vault")
    with refused(NOT_AUTHORIZED):
        mallory.join("vault", "mine/ex")
    assert hall.waiting("secret") == [b"1"]


def test_an_alternate_one_may_not_write_is_refused_and_ends_with_the_right() -> None:
    hall, _, mallory = scene()
    with refused(NOT_AUTHORIZED):
        mallory.exchange("mine/back", arguments={"alternate-exchange": "vault"})
    mallory.principal.permit([*MINE, send("$EXCHANGE/vault")], ["*"])
    hall.broker.permissions_changed(["mallory"])
    mallory.exchange("mine/back", arguments={"alternate-exchange": "vault"})
    mallory.publish("mine/back", "", b"while permitted")
    mallory.principal.permit(MINE, ["*"])
    hall.broker.permissions_changed(["mallory"])
    assert mallory.publish("mine/back", "", b"no more") == NOBODY
    assert hall.waiting("secret") == [b"while permitted"]


def test_a_binding_holds_no_longer_than_its_binder_may_read() -> None:
    hall, owner, mallory = scene(take("$EXCHANGE/vault"))
    mallory.bind("mine/q", "vault")
    owner.publish("vault", "", b"1")
    mallory.principal.permit(MINE, ["*"])
    hall.broker.permissions_changed(["mallory"])
    owner.publish("vault", "", b"2")
    assert hall.waiting("mine/q") == [b"1"]
    assert hall.waiting("secret") == [b"1", b"2"]


def test_nor_than_its_binder_exists() -> None:
    hall, owner, mallory = scene(take("$EXCHANGE/vault"))
    mallory.bind("mine/q", "vault")
    hall.broker.revoke("mallory", "gone")
    owner.publish("vault", "", b"secret")
    assert hall.waiting("mine/q") == []
    there = hall.vhost.exchanges.find("vault")
    assert there is not None
    assert [binding.binder.name for binding in there.bindings.values()] == ["owner"]


def test_a_redirection_between_exchanges_ends_with_the_right_to_it() -> None:
    hall, _, mallory = scene(make("$EXCHANGE/vault"))
    mallory.join("vault", "mine/ex")
    mallory.publish("mine/ex", "", b"1")
    mallory.principal.permit(MINE, ["*"])
    hall.broker.permissions_changed(["mallory"])
    mallory.publish("mine/ex", "", b"2")
    assert hall.waiting("secret") == [b"1"]


def test_a_right_to_verified_origins_only_binds_those_only() -> None:
    strict = Permission("$EXCHANGE/vault", publish=False, subscribe=True, verified=True)
    hall, owner, mallory = scene(strict)
    mallory.bind("mine/q", "vault")
    owner.publish("vault", "", b"proven")
    owner.origin = type(owner.origin)("owner", "amqp", False, "amqp:9")
    owner.publish("vault", "", b"not")
    assert hall.waiting("mine/q") == [b"proven"]
