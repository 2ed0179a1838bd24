"""What ends a right ends the link or the connection, with the condition that says so: tokens, revocation, policy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from bridgehead.security.credentials import TokenSubject
from tests.amqp.whole.office import EVERYTHING, Office, Script
from tests.coap.whole.harbour import may_both
from tests.sasl import issuer

pytestmark = pytest.mark.peer("node")
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
login = {login}

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
plaintext = true

[[token_issuer]]
issuer = "{issuer}"
keys = "keys.json"
audience = ["{audience}"]
leeway = 0.0
"""
UNAUTHORIZED = "amqp:unauthorized-access"
TOPIC = "Office/rights"
SHORT = 3  # seconds that a token lasts, which a log-in fits into many times over


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("rights")
    (folder / "keys.json").write_bytes(issuer.key_set(issuer.key("ES256")))
    login = json.dumps(["certificate", "password", "OAUTHBEARER"])
    config = CONFIG.format(login=login, issuer=issuer.ISSUER, audience=issuer.AUDIENCE)
    made = Office(folder, listeners=config)
    for name in ("panel", "pump", "lamp", "clock", "gone"):
        made.add(name, may_both("Office/#"), tokens=[TokenSubject(issuer.ISSUER, name)])
    for name in ("taker", "leaver"):
        made.add(name, *EVERYTHING, tokens=[TokenSubject(issuer.ISSUER, name)])
    with made:
        yield made


def token(subject: str, seconds: float = 600) -> str:
    return issuer.token(issuer.claims(sub=subject, exp=int(time.time() + seconds)))


def stay(house: Office, name: str, lasts: float = 0.0) -> Script:
    """Connected and attached; by a token that `lasts` so long, or by password."""
    more = {"AMQP_TOKEN": token(name, lasts)} if lasts else {}
    script = house.rhea("rhea_stay.js", "OAUTHBEARER" if lasts else "PLAIN", TOPIC, name=name, more=more)
    assert script.line() == {"open": True}
    return script


@pytest.mark.clause("AMQPCBS-2")
def test_the_connection_ends_with_its_token(house: Office) -> None:
    with stay(house, "panel", SHORT) as script:
        assert script.line()["closed"] == UNAUTHORIZED


@pytest.mark.clause("AMQPCBS-5")
def test_a_token_given_anew_goes_on_with_the_connection(house: Office) -> None:
    began = time.time()
    with stay(house, "panel", SHORT) as script:
        script.say("token " + token("panel", 600))
        assert script.line() == {"status": 200, "description": "the token is accepted", "to": "put-1"}
        time.sleep(max(0.0, began + SHORT + 1.5 - time.time()))
        mqtt = house.mqtt()
        mqtt.publish(TOPIC, "still there")
        mqtt.close()
        assert script.line() == {"heard": "still there"}
        # And a shorter one counts, too.
        script.say("token " + token("panel", 2))
        assert script.line()["status"] == 200
        assert script.line()["closed"] == UNAUTHORIZED


@pytest.mark.clause("AMQPCBS-5")
def test_no_token_of_another_identity_and_none_that_is_wrong(house: Office) -> None:
    with stay(house, "panel") as script:
        script.say("token " + token("pump", 600))
        answer = script.line()
        assert (answer["status"], answer["to"]) == (401, "put-1")
        assert "another identity" in answer["description"]
        script.say("token " + token("panel", -100))
        assert script.line()["status"] == 401
        script.say("token " + "x" * 40_000)
        assert script.line()["status"] == 401
        # The connection stands on what it had.
        mqtt = house.mqtt()
        mqtt.publish(TOPIC, "unchanged")
        mqtt.close()
        assert script.line() == {"heard": "unchanged"}
    refused = [str(each["because"]) for each in house.hub.events("connection.refused")]
    assert any("'pump'" in because for because in refused)


@pytest.mark.parametrize("act", ["revoke", "disable", "remove"])
def test_an_identity_that_is_taken_back_is_sent_away_at_once(house: Office, act: str) -> None:
    name = {"revoke": "pump", "disable": "lamp", "remove": "gone"}[act]
    words = {"revoke": ["revoke", name], "disable": ["disable", name], "remove": ["remove", name]}[act]
    with stay(house, name) as script:
        house.command("device", *words)
        assert script.line()["closed"] == UNAUTHORIZED
    again = house.rhea("rhea_stay.js", "PLAIN", TOPIC, name=name).lines()
    assert again == [{"closed": None, "because": None}]  # as rhea tells of a failed log-in


def test_azures_client_brings_its_token_to_cbs(house: Office) -> None:
    found = house.python("azure_use.py", TOPIC, name="panel", more={"AMQP_TOKEN": token("panel")}).lines()
    assert found == [["one of Azure", "two of Azure"]]
    renewed = [each for each in house.hub.events("authentication.accepted") if each.get("mechanism") == "OAUTHBEARER"]
    assert renewed[-1]["principal"] == "panel"


# 0-9-1. ---------------------------------------------------------------------------------------------


def pika(house: Office, name: str, how: str, then: str, lasts: float = 0.0) -> Script:
    more = {"AMQP_TOKEN": token(name, lasts)} if lasts else {}
    script = house.python("pika_login.py", how, then, name=name, more=more)
    assert script.line()["heard"] == "said by pika"
    return script


@pytest.mark.clause("AMQP091-connection.close")
def test_pikas_connection_ends_with_its_token(house: Office) -> None:
    with pika(house, "taker", "OAUTHBEARER", "stay", SHORT) as script:
        assert script.line()["closed"] in (320, 403)


@pytest.mark.clause("AMQP091-connection.update-secret")
def test_pika_renews_its_token(house: Office) -> None:
    began = time.time()
    with pika(house, "taker", "OAUTHBEARER", "renew", SHORT) as script:
        script.say(token("taker", SHORT + 3))
        assert script.line() == {"renewed": True}
        assert script.line()["closed"] in (320, 403)
        assert time.time() > began + SHORT + 1


def test_pika_cannot_become_another_by_a_token(house: Office) -> None:
    with pika(house, "taker", "OAUTHBEARER", "renew", SHORT) as script:
        script.say(token("panel"))
        assert script.process.wait(20) != 0
    refused = [str(each["because"]) for each in house.hub.events("connection.refused")]
    assert any("'panel'" in because for because in refused)


def test_a_secret_changes_nothing_where_no_token_proved_who_it_is(house: Office) -> None:
    with pika(house, "leaver", "PLAIN", "renew") as script:
        script.say(token("panel"))
        assert script.line() == {"renewed": True}
        house.command("device", "disable", "leaver")  # whom it still is
        assert script.line()["closed"] == 403
    house.command("device", "enable", "leaver")


def test_pika_is_sent_away_with_its_identity(house: Office) -> None:
    with pika(house, "leaver", "PLAIN", "stay") as script:
        house.command("device", "disable", "leaver")
        assert script.line()["closed"] == 403


def test_a_permission_that_is_taken_back_ends_the_link_and_nothing_else(house: Office) -> None:
    with stay(house, "clock") as script:
        house.command("device", "set", "clock", "--no-permission", "Office/#")
        found = script.line()
        assert found["detached"] == UNAUTHORIZED
        script.say("close")
        assert script.line() == {"closed": None, "because": None}
