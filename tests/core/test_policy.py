"""Permissions and decisions: deny by default, deny overrides, against the plainest reading of the same list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.policy import Permission, Principal
from bridgehead.core.topic import covers
from tests.core.naive import filters, naive_may_publish, naive_receive_qos, permissions, topics


def principal(*granted: Permission, name: str = "sensor-7", client_ids: list[str] | None = None) -> Principal:
    return Principal.of(name, list(granted), client_ids or [])


@given(st.lists(permissions(), max_size=6), topics)
def test_the_masks_say_what_the_list_says(granted: list[Permission], topic: str) -> None:
    who = principal(*granted)
    for _ in range(2):  # the second time from what is remembered
        for qos in (0, 1, 2):
            for retain in (False, True):
                expected = naive_may_publish(granted, topic, qos, retain)
                assert who.may_publish(topic, qos, retain) is expected
                assert ((who.publish_mask(topic) >> (qos + 3 * retain)) & 1 == 1) is expected
        assert who.receivable_qos(topic, True) == naive_receive_qos(granted, topic)


@given(st.lists(permissions(), max_size=6), topics, st.integers(0, 2), st.booleans())
def test_an_explanation_is_the_decision(granted: list[Permission], topic: str, qos: int, retain: bool) -> None:
    who = principal(*granted)
    decision = who.explain_publish(topic, qos, retain)
    assert decision.permit is who.may_publish(topic, qos, retain)
    assert "sensor-7" in decision.because
    if decision.permit:
        permission = decision.permission
        assert permission is not None
        assert permission.allow
        assert naive_may_publish([permission], topic, qos, retain)


@given(st.lists(permissions(), max_size=6), filters())
def test_a_subscription_needs_one_permission_that_covers_it(granted: list[Permission], topic_filter: str) -> None:
    who = principal(*granted)
    covering = [p for p in granted if p.subscribe and covers(p.topic_filter, topic_filter)]
    expected = -1 if any(not p.allow for p in covering) else max((p.max_qos for p in covering), default=-1)
    assert who.subscribable_qos(topic_filter) == expected
    assert who.explain_subscribe(topic_filter).permit is (expected >= 0)


@given(st.lists(permissions(), max_size=6), filters(), topics)
def test_a_granted_filter_never_promises_more_than_each_delivery_gets(
    granted: list[Permission], topic_filter: str, topic: str
) -> None:
    """Where the subscription is granted, a topic under it is received or denied by a denial, and by nothing else."""
    who = principal(*granted)
    if who.subscribable_qos(topic_filter) >= 0 and covers(topic_filter, topic):
        denied = any(p.subscribe and not p.allow and covers(p.topic_filter, topic) for p in granted)
        assert (who.receivable_qos(topic, True) < 0) is denied


def test_nothing_is_permitted_by_default() -> None:
    who = principal()
    assert not who.may_publish("a", 0, False)
    assert who.receivable_qos("a", True) == -1
    assert who.subscribable_qos("a") == -1
    assert "no permission of 'sensor-7' covers publish 'a'" in who.explain_publish("a", 0, False).because
    assert "no permission of 'sensor-7' covers subscribe 'a'" in who.explain_subscribe("a").because


def test_a_denial_inside_an_allowed_wildcard_overrides_whatever_the_order() -> None:
    allow = Permission("plant/#", True, True)
    deny = Permission("plant/+/secret", True, True, max_qos=0, allow=False)
    for order in ([allow, deny], [deny, allow]):
        who = principal(*order)
        assert who.may_publish("plant/1/open", 2, True)
        assert not who.may_publish("plant/1/secret", 0, False)
        assert who.receivable_qos("plant/1/secret", True) == -1
        assert who.subscribable_qos("plant/#") == 2
        assert who.subscribable_qos("plant/+/secret") == -1
        assert who.explain_publish("plant/1/secret", 0, False).permission is deny


def test_qos_and_retain_are_bounded_each_by_its_own_permission() -> None:
    """Two permissions don't add up to a third: QoS 2 not retained and QoS 0 retained give no retained QoS 2."""
    who = principal(Permission("a", True, False, 2, False), Permission("a", True, False, 0, True))
    allowed = [(qos, retain) for qos in (0, 1, 2) for retain in (False, True) if who.may_publish("a", qos, retain)]
    assert allowed == [(0, False), (0, True), (1, False), (2, False)]


@pytest.mark.parametrize(
    ("client_ids", "client_id", "expected"),
    [
        ([], "sensor-7", True),
        ([], "sensor-7-cellar", True),
        ([], "sensor-77", False),
        ([], "sensor-", False),
        ([], "SENSOR-7", False),
        ([], "", False),
        (["gateway-*"], "gateway-1", True),
        (["gateway-*"], "sensor-7", False),
        (["gateway-*", "spare"], "spare", True),
        (["spare"], "spare-1", False),
        (["*"], "anything", True),
    ],
)
def test_which_client_identifiers_a_principal_may_use(client_ids: list[str], client_id: str, expected: bool) -> None:
    assert principal(client_ids=client_ids).may_use_client_id(client_id) is expected


def test_amending_forgets_what_was_remembered() -> None:
    who = principal(Permission("a", True, True))
    assert who.may_publish("a", 2, True)
    who.permit([], [])
    assert not who.may_publish("a", 0, False)
    assert who.receivable_qos("a", True) == -1
    who.permit([Permission("a", True, True, 1)], ["other"])
    assert who.receivable_qos("a", True) == 1
    assert who.may_use_client_id("other")


def test_what_is_remembered_is_bounded_and_stays_right() -> None:
    who = principal(Permission("t/+", True, False), Permission("t/13", True, False, allow=False))
    for _ in range(2):
        for i in range(10_000):
            assert who.may_publish(f"t/{i}", 0, False) is (i != 13)


def test_a_permission_reads_as_a_sentence() -> None:
    assert str(Permission("a/#", True, True, 1, False)) == "allow publish and subscribe a/# up to QoS 1, not retained"
    assert str(Permission("a", False, True)) == "allow subscribe a up to QoS 2"
    assert str(Permission("a", True, False, allow=False)) == "deny publish a"
