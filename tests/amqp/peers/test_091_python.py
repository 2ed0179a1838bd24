"""aio-pika (over aiormq) and py-amqp against the real hub, over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.amqp.whole.office import LISTENERS, Office


@pytest.mark.clause("AMQP091-confirm.select", "AMQP091-tx.commit", "AMQP091-tx.rollback")
def test_aio_pika(office: Office) -> None:
    lines = office.python("aiopika_robust.py", "confirms", "transactions", "calls").lines()
    assert {line["what"]: line["told"] for line in lines} == {
        "got": True,
        "returned": "PublishError",
        "transaction": [0, "committed", True],
        "called": 42,
    }


@pytest.mark.clause("AMQP091-3.1.4")
def test_a_robust_connection_goes_on_after_the_hub_was_started_again(tmp_path: Path) -> None:
    """What it declared is there still: the exchange, the queue, and the binding between them."""
    office = Office(tmp_path)
    office.start()
    try:
        port = office.port()
        with office.python("aiopika_robust.py", "comes_back") as script:
            assert script.line() == {"what": "before", "told": "before"}
            assert office.hub.process is not None
            office.hub.process.kill()
            office.hub.process.wait()
            anywhere = 'bind = "127.0.0.1:0"\nprotocol = "amqp"'
            office.hub.configure(LISTENERS.replace(anywhere, anywhere.replace(":0", f":{port}"), 1))
            office.hub.start()
            script.say("go on")
            assert script.line()["told"] in (["after"], ["before", "after"])
    finally:
        office.stop()


@pytest.mark.clause("AMQP091-basic.recover", "AMQP091-basic.qos", "AMQP091-4.2.7")
def test_py_amqp(office: Office) -> None:
    """Seven seconds without a message: beats alone keep the connection, in both directions (its heartbeat is 2 s)."""
    (said,) = office.python("pyamqp_use.py", "7").lines()
    assert said == {
        "by priority": [["1", 1, False], ["2", 2, False], ["0", 0, False]],
        "recovered": ["again", "again", True],
        "purged": 0,
        "consumed": ["a", "b", "c"],
        "heartbeat": 2,
        "errors": [["NotFound", 404], ["PreconditionFailed", 406], ["PreconditionFailed", 406]],
    }
