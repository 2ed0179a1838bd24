"""No event is forgotten: each is kept, or it is said why not."""

from __future__ import annotations

import logging

import pytest

from bridgehead.node.vocabulary import VOCABULARY
from bridgehead.security.audit.throttle import Throttle
from bridgehead.security.audit.vocabulary import AUDITED, DENIAL, KINDS, LOSSLESS, NOT_AUDITED, REFUSAL, kind_of


def test_every_event_of_the_hub_is_audited_or_named_as_not() -> None:
    assert set(VOCABULARY) - set(AUDITED) - set(NOT_AUDITED) == set()


def test_no_event_is_in_both_tables() -> None:
    assert set(AUDITED) & set(NOT_AUDITED) == set()


def test_whoever_leaves_an_event_out_says_why() -> None:
    assert all(len(why) > 3 for why in NOT_AUDITED.values())


def test_the_tables_name_no_event_that_does_not_exist() -> None:
    """The log's own events (audit.) go into the audit log alone, or are told in the hub's log."""
    own = {event for event in (*AUDITED, *NOT_AUDITED) if event.startswith("audit.")}
    assert set(AUDITED) | set(NOT_AUDITED) == set(VOCABULARY) | own


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_events(kind: str) -> None:
    assert kind in AUDITED.values()


def test_what_is_refused_with_a_warning_is_audited() -> None:
    """Whatever the hub's log warns of with a name of refusal in it is no secret to the audit log."""
    for event, entry in VOCABULARY.items():
        if (
            entry.level >= logging.WARNING
            and event.endswith((".denied", ".refused"))
            and event != "system-topics.refused"
        ):
            assert kind_of(event) is not None, event


def test_an_act_that_is_new_is_kept_before_anybody_named_it() -> None:
    assert kind_of("device.sung-to") == "administration"
    assert kind_of("policy.painted") == "policy"
    assert kind_of("weather.changed") is None


def test_only_what_strangers_can_cause_without_end_is_ever_left_out() -> None:
    assert set(KINDS) - LOSSLESS == {REFUSAL, DENIAL}


def test_one_source_does_not_hide_what_others_do() -> None:
    throttle = Throttle(60.0)
    flood = sum(throttle.admit("authentication.refused", "192.0.2.1", 600, 0.0) for _ in range(10_000))
    assert flood == 150
    assert throttle.admit("authentication.refused", "192.0.2.2", 600, 1.0)
    assert throttle.due(60.0) == [("authentication.refused", 9_850)]
