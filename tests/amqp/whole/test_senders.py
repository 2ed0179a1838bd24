"""Senders with clients not written here: transactions, exactly once, small frames, the anonymous terminus, drain."""

from __future__ import annotations

from typing import Any

import pytest

from tests.amqp.whole.office import Office


def proton(office: Office, what: str) -> Any:
    (told,) = office.python("proton_senders.py", what, f"proton-{what}").lines()
    return told


@pytest.mark.clause("AMQP-4.2", "AMQP-4.3", "AMQP-4.4.1", "AMQP-4.4.2")
def test_protons_transactions(office: Office) -> None:
    told = proton(office, "transactions")
    # What it has taken in the transaction that it aborts it releases, and gets once more.
    assert told == {
        "heard": ["a", "b", "e", "a", "b", "e"],
        "ends": ["committed", "aborted", "committed", "aborted", "committed"],
    }


@pytest.mark.clause("AMQP-2.6.12", "AMQP-2.8.3")
def test_proton_sends_and_receives_exactly_once(office: Office) -> None:
    told = proton(office, "exactly")
    assert told == {"heard": [0, 1, 2], "accepted": 3, "settled": 3, "sender": 1, "receiver": 1}


@pytest.mark.clause("AMQP-2.6.14")
def test_proton_sends_and_receives_in_small_frames(office: Office) -> None:
    assert proton(office, "large") == {"same": [[1, 1], [5_000, 1], [300_000, 1]]}


@pytest.mark.clause("AMQPANON-2", "AMQPANON-2.1")
def test_protons_anonymous_sender(office: Office) -> None:
    assert proton(office, "anonymous") == {"heard": {"one": True, "two": True}, "rejected": ["amqp:not-found"]}


@pytest.mark.clause("AMQP-2.6.7")
def test_proton_drains(office: Office) -> None:
    told = proton(office, "drained")
    assert told["heard"] == 1
    assert told["credit"] == 0


def rhea(office: Office, what: str) -> Any:
    (told,) = office.rhea("rhea_senders.js", what, f"rhea-{what}").lines()
    return told


@pytest.mark.clause("AMQP-2.6.13")
def test_rhea_learns_what_had_arrived(office: Office) -> None:
    assert rhea(office, "exactly") == {"heard": ["once", "twice"], "known": 1}


@pytest.mark.clause("AMQP-2.6.1", "AMQP-2.8.18")
def test_a_link_of_rhea_is_stolen_by_another_connection(office: Office) -> None:
    assert rhea(office, "stolen") == {"condition": "amqp:link:stolen"}


@pytest.mark.clause("AMQP-2.6.3")
def test_rhea_is_refused_with_the_reason(office: Office) -> None:
    assert rhea(office, "refused") == {"told": ["amqp:not-found", "amqp:invalid-field", "amqp:invalid-field"]}
