"""A Mosquitto moves in: what it permitted and what is permitted here, asked of a real one with the same files."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from bridgehead.core.policy import Context
from bridgehead.security.login import mosquitto_hash
from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.policy.apply import in_force
from bridgehead.security.policy.standing import principal_of
from bridgehead.security.registry.registry import Registry
from tests.policy.broker import Mosquitto, Someone
from tests.policy.conftest import Command, acts

ACL = """\
# The office.
topic read public/#

user admin
topic readwrite #

user sensor-7
topic write Office/Lobby/#
topic deny Office/Lobby/secret
topic read cmd/+/all
topic readwrite Office/Meeting Room/state

user panel
topic read Office/#
topic deny Office/Lobby/secret
topic readwrite locked/panel

pattern readwrite home/%u/#
pattern read done
pattern write ids/%c/up
pattern deny locked/#
"""
TOPICS = [
    "public/a",
    "Office",
    "Office/Lobby",
    "Office/Lobby/Door",
    "Office/Lobby/secret",
    "Office/Hall/x",
    "Office/Meeting Room/state",
    "cmd/7/all",
    "cmd/7/one",
    "home/sensor-7",
    "home/sensor-7/x",
    "home/panel/x",
    "ids/sensor-7/up",
    "ids/panel/up",
    "locked/panel",
    "locked/x",
]
USERS = ("admin", "sensor-7", "panel")
Matrix = dict[tuple[str, str, str], bool]


def asked_there(broker: Mosquitto, users: tuple[str, ...], topics: list[str]) -> Matrix:
    """(user, topic, operation): whether Mosquitto permits it."""
    found: Matrix = {}
    people = {user: Someone(broker, user, f"secret of {user}") for user in users}
    try:
        for user, person in people.items():
            for topic in topics:
                found[user, topic, "write"] = person.publish(topic)
            person.subscribe("#")
        people["admin"].received.clear()
        for topic in [*topics, "done"]:
            assert people["admin"].publish(topic)
        for user, person in people.items():
            person.await_topic("done")
            for topic in topics:
                found[user, topic, "read"] = topic in person.received
    finally:
        for person in people.values():
            person.close()
    return found


def asked_here(data: Path, users: tuple[str, ...], topics: list[str]) -> Matrix:
    registry = Registry(data)
    try:
        document = in_force(registry)
        found: Matrix = {}
        for user in users:
            device = registry.existing_device(user)
            view = principal_of(document, device, 0.0).under(Context("mqtt", ("password",)))
            for topic in topics:
                found[user, topic, "write"] = view.explain_publish(topic, 1, False).permit
                found[user, topic, "read"] = view.receivable_qos(topic, False) >= 0
        return found
    finally:
        registry.close()


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Its files."""
    (tmp_path / "acl").write_text(ACL)
    (tmp_path / "passwords").touch(0o600)
    for user in USERS:
        subprocess.run(["mosquitto_passwd", "-b", "passwords", user, f"secret of {user}"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.peer("mosquitto")
def test_an_acl_file_permits_here_what_it_permits_there(there: Path, bridgehead: Command) -> None:
    lines = [f"acl_file {there / 'acl'}", f"password_file {there / 'passwords'}"]
    data = there / "data"
    with Mosquitto(there, lines) as broker:
        expected = asked_there(broker, USERS, TOPICS)
        told = bridgehead("policy", "import-mosquitto", "--config", broker.config, "--data", data, "--json")
    assert told.code == 0, told.err
    assert told.value["devices"] == sorted(USERS, key=(there / "passwords").read_text().index)
    found = asked_here(data, USERS, TOPICS)
    # There a user's own line comes before a denying pattern: that is less here, and was said.
    narrower = {key for key in expected if key[1].startswith("locked/")}
    assert {key: found[key] for key in expected if key not in narrower} == {
        key: expected[key] for key in expected if key not in narrower
    }
    assert not any(found[key] and not expected[key] for key in expected)
    assert any(expected[key] and not found[key] for key in narrower)
    report = [(each["file"], each["line"], each["level"]) for each in told.value["report"]]
    assert ("acl", 2, "left out") in report
    assert ("acl", 19, "narrower") not in report
    assert ("acl", 0, "narrower") in report
    [line] = [line for line in acts(data) if line["event"] == "policy.imported"]
    assert line["devices"] == 3


@pytest.mark.peer("mosquitto")
def test_old_passwords_count_and_are_hashed_anew(there: Path, bridgehead: Command) -> None:
    words = ("--acl", there / "acl", "--passwords", there / "passwords", "--data", there / "data")
    assert bridgehead("policy", "import-mosquitto", *words).code == 0
    registry = Registry(there / "data")
    hasher = PasswordHasher(1, 8, 1)
    for user in USERS:
        password = registry.existing_device(user).password
        assert password is not None
        assert password.encoded.startswith("$7$")
        assert hasher.verify(password.encoded, f"secret of {user}".encode())
        assert not hasher.verify(password.encoded, b"another")
        assert hasher.is_outdated(password.encoded)
    registry.close()


def test_both_of_mosquittos_hashes() -> None:
    hasher = PasswordHasher(1, 8, 1)
    salt = base64.b64encode(b"0123456789ab").decode()
    sha = base64.b64encode(hashlib.sha512(b"secret" + b"0123456789ab").digest()).decode()
    assert hasher.verify(f"$6${salt}${sha}", b"secret")
    assert not hasher.verify(f"$6${salt}${sha}", b"Secret")
    derived = base64.b64encode(hashlib.pbkdf2_hmac("sha512", b"secret", b"0123456789ab", 101)).decode()
    assert hasher.verify(mosquitto_hash.encode(101, salt, derived), b"secret")
    assert not hasher.verify(mosquitto_hash.encode(102, salt, derived), b"secret")
    for broken in (
        "$6$",
        "$6$a$b",
        "$7$x$YQ==$YQ==",
        "$7$0$YQ==$" + derived,
        "$7$99999999$YQ==$" + derived,
        "$7$101$$" + derived,
    ):
        assert not hasher.verify(broken, b"secret")
        assert not mosquitto_hash.is_readable(broken)


def test_a_mosquitto_hash_costs_what_every_other_name_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = PasswordHasher(1, 8, 1)
    verified: list[str] = []

    def is_right(encoded: str, password: bytes) -> bool:
        verified.append(encoded)
        return False

    monkeypatch.setattr(hasher, "_is_right", is_right)
    hasher.verify("$6$YQ==$YQ==", b"x")
    assert verified == [hasher.nobody]


def test_the_report_names_each_line(tmp_path: Path, bridgehead: Command) -> None:
    (tmp_path / "acl").write_text(
        "user bob smith\ntopic read a\nuser bob\ntopic red a\ntopic write a/#/b\ntopic write b\ntopic deny b\n"
        "nonsense\npattern write up/%c\n"
    )
    (tmp_path / "passwords").write_text(f"bob:$6$YQ==${base64.b64encode(b'x' * 64).decode()}\nbad:secret\n\neve\n")
    words = ("--acl", tmp_path / "acl", "--passwords", tmp_path / "passwords", "--data", tmp_path / "data", "--dry-run")
    told = bridgehead("policy", "import-mosquitto", *words, "--text")
    assert told.code == 0
    assert "secret" not in told.err
    assert [line.split(": ")[:2] for line in told.err.splitlines() if not line.startswith("note: ")] == [
        ["passwords:2", "left out"],
        ["passwords:4", "left out"],
        ["acl:1", "left out"],
        ["acl:4", "left out"],
        ["acl:5", "left out"],
        ["acl:8", "left out"],
        ["acl:9", "narrower"],
        ["acl:6", "note"],
    ]
    assert told.out == ("role mosquitto-patterns\n  allow publish up/${device}\n\ndevice bob\n  deny both b\n")
    registry = Registry(tmp_path / "data")
    assert registry.devices() == []
    registry.close()


def test_all_or_nothing(tmp_path: Path, bridgehead: Command) -> None:
    hashed = base64.b64encode(b"x" * 64).decode()
    (tmp_path / "passwords").write_text(f"bob:$6$YQ==${hashed}\n")
    (tmp_path / "more").write_text(f"alice:$6$YQ==${hashed}\nbob:$6$YQ==${hashed}\n")
    assert (
        bridgehead(
            "policy", "import-mosquitto", "--passwords", tmp_path / "passwords", "--data", tmp_path / "data"
        ).code
        == 0
    )
    told = bridgehead("policy", "import-mosquitto", "--passwords", tmp_path / "more", "--data", tmp_path / "data")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "there is a device 'bob' already" in told.err
    registry = Registry(tmp_path / "data")
    assert [device.name for device in registry.devices()] == ["bob"]
    registry.close()


# dynamic security -----------------------------------------------------------------------------------------------------


def client(name: str, *roles: str, groups: tuple[str, ...] = (), **more: object) -> dict[str, object]:
    digest = hashlib.pbkdf2_hmac("sha512", f"secret of {name}".encode(), b"0123456789ab", 101)
    return {
        "username": name,
        "salt": base64.b64encode(b"0123456789ab").decode(),
        "password": base64.b64encode(digest).decode(),
        "iterations": 101,
        "roles": [{"rolename": role, "priority": -1} for role in roles],
        "groups": [{"groupname": group} for group in groups],
        **more,
    }


def acl(kind: str, topic: str, allow: bool = True, priority: int = 0) -> dict[str, object]:
    return {"acltype": kind, "topic": topic, "allow": allow, "priority": priority}


DYNAMIC = {
    "defaultACLAccess": {
        "publishClientSend": False,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    },
    "clients": [
        client("admin", "all"),
        client("sensor-7", "sensor", groups=("lobby",)),
        client("panel", "reader"),
        client("off", "all", disabled=True, clientid="off-1"),
    ],
    "groups": [{"groupname": "lobby", "roles": [{"rolename": "reader"}], "clients": [{"username": "sensor-7"}]}],
    "roles": [
        {
            "rolename": "all",
            "acls": [acl("publishClientSend", "#"), acl("subscribePattern", "#"), acl("unsubscribePattern", "#")],
        },
        {
            "rolename": "sensor",
            "acls": [
                acl("publishClientSend", "Office/Lobby/secret", False, 5),
                acl("publishClientSend", "Office/Lobby/#"),
                acl("publishClientSend", "locked/panel", True, 9),
                acl("publishClientSend", "locked/#", False, 5),
            ],
        },
        {
            "rolename": "reader",
            "acls": [
                acl("subscribePattern", "#"),
                acl("publishClientReceive", "Office/Lobby/secret", False, 5),
                acl("publishClientReceive", "home/#", False, 5),
            ],
        },
    ],
}


@pytest.mark.peer("mosquitto")
def test_dynamic_security_permits_here_what_it_permits_there(tmp_path: Path, bridgehead: Command) -> None:
    file = tmp_path / "dynamic-security.json"
    file.write_text(json.dumps(DYNAMIC))
    data = tmp_path / "data"
    told = bridgehead("policy", "import-mosquitto", "--dynamic-security", file, "--data", data, "--json")
    assert told.code == 0, told.err
    plugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
    with Mosquitto(tmp_path, ["allow_anonymous false", f"plugin {plugin}", f"plugin_opt_config_file {file}"]) as broker:
        expected = asked_there(broker, USERS, TOPICS)
    found = asked_here(data, USERS, TOPICS)
    narrower = {("sensor-7", "locked/panel", "write")}
    assert {key for key in expected if found[key] != expected[key]} == narrower
    assert not any(found[key] and not expected[key] for key in expected)
    assert any(
        "'locked/panel' is allowed above the denial of 'locked/#'" in each["text"] for each in told.value["report"]
    )
    registry = Registry(data)
    off = registry.existing_device("off")
    assert (off.enabled, off.client_ids) == (False, ("off-1",))
    assert registry.existing_device("sensor-7").groups == ("lobby",)
    assert registry.existing_device("sensor-7").roles == ("sensor", "reader")
    registry.close()


def test_what_may_be_received_is_within_what_may_be_subscribed(tmp_path: Path, bridgehead: Command) -> None:
    content = {
        "defaultACLAccess": {"publishClientReceive": False, "subscribe": True, "publishClientSend": True},
        "clients": [client("a", "r")],
        "roles": [{"rolename": "r", "acls": [acl("subscribePattern", "+/x"), acl("publishClientReceive", "a/#")]}],
    }
    (tmp_path / "d.json").write_text(json.dumps(content))
    told = bridgehead(
        "policy",
        "import-mosquitto",
        "--dynamic-security",
        tmp_path / "d.json",
        "--data",
        tmp_path,
        "--text",
        "--dry-run",
    )
    assert told.out == "role mosquitto-defaults\n  allow publish #\n\nrole r\n  allow subscribe a/x\n"


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, bridgehead: Command) -> None:
    (tmp_path / "d.json").write_text("{")
    data = tmp_path / "data"
    told = bridgehead("policy", "import-mosquitto", "--dynamic-security", tmp_path / "d.json", "--data", data)
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "is no configuration of dynamic security" in told.err
    assert "say where the users are" in bridgehead("policy", "import-mosquitto", "--data", data).err
