"""Thing Descriptions, by the rules of W3C WoT TD 1.1 section 5.3 and annex B that concern what we write."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridgehead.security.identity.identity import Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.records import PermissionRecord
from tests.export.conftest import Home
from tests.security.support import publish, subscribe

# Section 5.3.4.2, table of well-known operations, by the kind of affordance.
OPERATIONS = {"events": {"subscribeevent", "unsubscribeevent"}, "actions": {"invokeaction"}}
# Section 5.3.3: each scheme with the members that it may have, and those that it must.
SCHEMES: dict[str, tuple[set[str], set[str]]] = {
    "auto": (set(), set()),
    "basic": ({"in", "name"}, set()),
    "psk": ({"identity"}, set()),
    "bearer": ({"in", "name", "alg", "format", "authorization"}, set()),
    "combo": ({"oneOf", "allOf"}, set()),
}
SECRET = b"correct horse battery"


def check(thing: dict[str, Any]) -> None:
    context = thing["@context"]
    assert context[0] == "https://www.w3.org/2022/wot/td/v1.1"
    assert all(isinstance(value, str) for value in context[1].values())
    assert isinstance(thing["title"], str)
    assert urlsplit(thing["id"]).scheme == "urn"
    definitions = thing["securityDefinitions"]
    assert thing["security"]
    assert set(thing["security"]) <= set(definitions)
    for definition in definitions.values():
        allowed, required = SCHEMES[definition["scheme"]]
        assert required <= set(definition) <= allowed | {"scheme", "description"}
        if definition["scheme"] == "combo":
            [members] = [definition[word] for word in ("oneOf", "allOf") if word in definition]
            assert len(members) >= 2
            assert set(members) <= set(definitions)
    for kind, operations in OPERATIONS.items():
        for name, affordance in thing.get(kind, {}).items():
            assert name.isalnum()
            assert affordance["forms"]
            for form in affordance["forms"]:
                asked = form["op"] if isinstance(form["op"], list) else [form["op"]]
                assert set(asked) <= operations
                assert urlsplit(form["href"]).scheme in ("mqtts", "coaps")
                assert form.get("mqv:qos", "0") in ("0", "1", "2")


def description(home: Home, wanted: Wanted) -> dict[str, Any]:
    with home.identity.enrolling(wanted):
        pass
    text = (home.export(wanted.name, "wot-td", host="hub.example") / "thing.td.json").read_text()
    for secret in (SECRET.decode(), "PRIVATE KEY"):
        assert secret not in text
    thing: dict[str, Any] = json.loads(text)
    check(thing)
    return thing


def test_what_it_publishes_are_events_and_what_it_receives_actions(home: Home) -> None:
    thing = description(
        home,
        Wanted(
            "sensor-7",
            [
                publish("Office/${device}/#", 1),
                subscribe("Office/a b"),
                subscribe("Office/+/all"),
                publish("x", allow=False),
            ],
            fresh=Fresh(psk="sensor-7", certificate=True),
        ),
    )
    [event] = thing["events"].values()
    [form] = event["forms"]
    assert (form["href"], form["mqv:filter"], form["mqv:qos"]) == (
        "mqtts://hub.example:8883",
        "Office/sensor-7/#",
        "1",
    )
    [action] = thing["actions"].values()
    assert [form["href"] for form in action["forms"]] == [
        "mqtts://hub.example:8883",
        "coaps://hub.example:5684/t/Office/a%20b",
    ]
    assert action["forms"][0]["mqv:topic"] == "Office/a b"


@pytest.mark.parametrize(
    ("wanted", "schemes"),
    [
        (Wanted("a", password=SECRET), {"basic"}),
        (Wanted("a", certificate=True), {"auto"}),
        (Wanted("a", password=SECRET, certificate=True), {"auto", "basic", "combo"}),
        (Wanted("a", fresh=Fresh(psk="")), {"psk"}),
    ],
)
def test_the_schemes_are_the_credentials_of_the_record(home: Home, wanted: Wanted, schemes: set[str]) -> None:
    thing = description(home, wanted)
    assert {each["scheme"] for each in thing["securityDefinitions"].values()} == schemes


def test_both_where_both_are_required(home: Home) -> None:
    wanted = Wanted("a", password=SECRET, certificate=True, require="password+certificate")
    assert description(home, wanted)["securityDefinitions"]["any"]["allOf"] == ["tls", "password"]


def test_names_of_affordances_differ(home: Home) -> None:
    rights = [PermissionRecord(each, True, True) for each in ("a/b", "a-b", "a b", "é")]
    assert len(description(home, Wanted("a", rights, password=SECRET))["events"]) == 4
