"""Receivers with clients not written here: selectors, durable subscriptions, browsing, dynamic nodes, resuming."""

from __future__ import annotations

from typing import Any

import pytest

from tests.amqp.whole.office import Office


def proton(office: Office, what: str) -> Any:
    (told,) = office.python("proton_receivers.py", what, f"proton-{what}").lines()
    return told


def rhea(office: Office, what: str) -> Any:
    (told,) = office.rhea("rhea_receivers.js", what, f"rhea-{what}").lines()
    return told


@pytest.mark.clause("AMQP-3.5.8")
def test_protons_selector(office: Office) -> None:
    told = proton(office, "selector")
    assert told["heard"] == [1, 3]
    assert "amqp:invalid-field" in told["refused"]
    assert "character 10" in told["refused"]


@pytest.mark.clause("AMQP-3.5.8")
def test_rheas_selector(office: Office) -> None:
    assert rhea(office, "selector") == {"heard": ["red", "green"], "filter": ["jms-selector"]}


@pytest.mark.clause("AMQP-3.5.5", "AMQP-3.5.6")
def test_protons_durable_subscription(office: Office) -> None:
    assert proton(office, "durable") == {"heard": [["while away 0"], ["while away 1"]]}


@pytest.mark.clause("AMQP-3.5.7", "AMQP-3.5.10")
def test_proton_browses_a_dynamic_node(office: Office) -> None:
    assert proton(office, "browse") == {"address": True, "looked": [0, 1, 2], "taken": [0, 1, 2]}


def test_proton_asks_and_is_answered_at_a_dynamic_node(office: Office) -> None:
    assert proton(office, "reply") == {"answer": "21.5", "correlation": "c-1"}


@pytest.mark.clause("AMQP-3.4.2", "AMQP-3.4.3", "AMQP-3.4.4", "AMQP-3.4.5")
def test_protons_outcomes(office: Office) -> None:
    told = proton(office, "outcomes")
    # Two messages in four deliveries: released and modified, each came again. Which of them did depends on whether
    # Proton asks for the next message before it tells of the one before, or after that.
    assert len(told["seen"]) == 4
    assert {tuple(each) for each in told["seen"]} == {("once", 0), ("twice", 0)}
    assert not told["left"]


@pytest.mark.clause("AMQP-2.6.13")
def test_rhea_resumes_what_it_has_not_settled(office: Office) -> None:
    assert rhea(office, "resume") == {"same": True, "body": "once", "known": 1}


@pytest.mark.clause("AMQP-2.6.7")
def test_rhea_drains(office: Office) -> None:
    assert rhea(office, "drain") == {"heard": [1, 2], "credit": 0}
