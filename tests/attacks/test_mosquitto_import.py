"""Files of a Mosquitto that would permit more here than there: placeholders that are none there, names that mean more
here, characters that end no line there."""

from __future__ import annotations

import json

import pytest

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.mosquitto import give_patterns, read_acl, read_passwords
from bridgehead.security.policy.mosquitto_dynamic import read_dynamic_security
from bridgehead.security.policy.moving import Moving


def moved(acl: str) -> Moving:
    moving = Moving()
    read_acl(moving, acl, "acl")
    give_patterns(moving)
    return moving


def permitted(moving: Moving) -> list[str]:
    return [each.topic_filter for account in moving.accounts.values() for each in account.permissions if each.allow]


def dynamic(roles: list[dict[str, object]], *clients: dict[str, object]) -> Moving:
    moving = Moving()
    content = {"clients": list(clients), "roles": roles, "defaultACLAccess": {"publishClientSend": True}}
    read_dynamic_security(moving, json.dumps(content).encode(), "file")
    return moving


def test_what_looks_like_a_placeholder_is_left_out_and_told() -> None:
    moving = moved("user a\ntopic write x/${device}\ntopic read y\n")
    assert permitted(moving) == ["y"]
    assert [(each.line, each.level) for each in moving.remarks] == [(2, "left out")]
    roles: list[dict[str, object]] = [
        {"rolename": "r", "acls": [{"acltype": "publishClientSend", "topic": "x/${group}", "allow": True}]}
    ]
    assert dynamic(roles).role_permissions["r"] == []


def test_a_denial_that_would_become_another_one_stops_the_import() -> None:
    with pytest.raises(NotAcceptable, match=r"acl:2: the denial of 'x/\$\{device\}'"):
        moved("user a\ntopic deny x/${device}\ntopic x/#\n")
    with pytest.raises(NotAcceptable, match="acl:3: the denial"):
        moved("user a\ntopic $SYS/#\npattern deny $S%c/#\n")
    with pytest.raises(NotAcceptable, match="the denial of"):
        dynamic([{"rolename": "r", "acls": [{"acltype": "publishClientSend", "topic": "$a%u/x", "allow": False}]}])


def test_a_role_does_not_take_the_place_of_what_all_have() -> None:
    for name in ("mosquitto-defaults", "mosquitto-patterns"):
        with pytest.raises(NotAcceptable, match="rename it"):
            dynamic([{"rolename": name, "acls": [{"acltype": "subscribeLiteral", "topic": "#", "allow": True}]}])


def test_a_client_identifier_is_no_pattern() -> None:
    moving = dynamic([], {"username": "a", "clientid": "room*"}, {"username": "b", "clientid": "room"})
    assert {name: account.client_ids for name, account in moving.accounts.items()} == {"b": ("room",)}
    assert any("'room*'" in each.text and each.level == "left out" for each in moving.remarks)


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x0c", "\r"])
def test_a_line_ends_with_a_line_feed_alone(separator: str) -> None:
    moving = moved(f"user a\ntopic deny x/y{separator}topic #\ntopic read z\r\n")
    assert permitted(moving) == ["z"]
    read_passwords(moving, f"a:hash{separator}b:hash", "passwords")
    assert "b" not in moving.accounts
