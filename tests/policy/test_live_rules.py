"""Each rule of the policy at the real hub, with two identities: one that has it and one that tries without.

Everything is applied while the hub runs, as people do it. tests/attacks/test_policy_bounds.py and test_policy_live.py
try more ways, in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.protocols.mqtt.codec.packets import Acknowledgement, Disconnect, Publish, Will
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.reason_codes import (
    NOT_AUTHORIZED,
    QUOTA_EXCEEDED,
    SUCCESS,
)
from bridgehead.security.identity.identity import Identity
from bridgehead.security.records import Group, Role
from tests.cli.hub import wait_until
from tests.peers.raw import Raw
from tests.peers.town import SECRET, Town, may_both, may_publish, may_subscribe
from tests.policy.conftest import Command

Apply = Callable[[str], None]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """`writer` publishes everywhere, and `witness` hears everything."""
    with Town(tmp_path_factory.mktemp("town")) as running:
        running.add("writer", may_publish("#"))
        running.add("witness", may_subscribe("#"))
        yield running


@pytest.fixture
def apply(town: Town, tmp_path: Path, bridgehead: Command) -> Apply:
    """Puts a policy in force: devices that it does not name keep their own permissions, other tests' roles and groups
    lose theirs."""

    def put(text: str) -> None:
        identity = Identity(town.hub.data)
        roles, groups = identity.registry.roles(), identity.registry.groups()
        heads = [f"role {each.name}" for each in roles] + [f"group {each.name}" for each in groups]
        identity.close()
        named = text.splitlines()
        (tmp_path / "new.policy").write_text(text + "".join(f"{head}\n" for head in heads if head not in named))
        told = bridgehead("policy", "apply", tmp_path / "new.policy", "--data", town.hub.data)
        assert told.code == 0, told.err

    return put


def belongs(
    town: Town, name: str, roles: tuple[str, ...] = (), groups: tuple[str, ...] = (), **attributes: str
) -> None:
    """The device, before it connects."""
    identity = Identity(town.hub.data)
    for role in roles:
        if identity.registry.role(role) is None:
            identity.registry.add_role(Role(role, time.time()))
    for group in groups:
        if identity.registry.group(group) is None:
            identity.registry.add_group(Group(group, time.time()))
    device = identity.registry.existing_device(name)
    changed = replace(device, roles=roles, groups=groups, attributes=attributes)
    identity.registry.update_device(changed, device.created)
    identity.close()


def lines(town: Town, event: str, name: str) -> list[dict[str, object]]:
    return [line for line in town.hub.events(event) if line.get("principal") == name]


def farewell(raw: Raw) -> str:
    """Nothing but the hub's farewell comes, with the code of a right that ended."""
    (packet,) = raw.rest()
    assert isinstance(packet, Disconnect)
    assert packet.reason_code == NOT_AUTHORIZED
    return str(packet.properties.reason_string)


def burst(raw: Raw, topic: str, count: int, payload: bytes = b"x") -> list[int]:
    """The Reason Codes of that many messages sent at once at QoS 1."""
    raw.send(*[Publish(topic, payload, 1, False, False, raw.next_identifier(), NO_PROPERTIES) for _ in range(count)])
    codes = []
    for _ in range(count):
        answer = raw.receive()
        assert isinstance(answer, Acknowledgement), answer
        codes.append(int(answer.reason_code))
    return codes


# Origins, and how the peer proved itself. -----------------------------------------------------------


def test_who_hears_verified_origins_only(town: Town, apply: Apply) -> None:
    """Live and retained; the very same sender, once over TLS with its certificate and once in clear."""
    for name in ("teller", "careful", "careless"):
        town.add(name, may_both("none"))
    apply(
        "device teller\n  allow publish v/#\ndevice careful\n  allow subscribe v/# verified\n"
        "device careless\n  allow subscribe v/#\n"
    )
    careful, careless = town.client("careful"), town.client("careless")
    for each in (careful, careless):
        assert each.subscribe("v/#", 1) == 1
    in_clear, proven = town.guest("teller", "teller-clear"), town.client("teller")
    for raw, text in ((in_clear, b"in clear"), (proven, b"proven")):
        assert raw.publish(f"v/{text.decode().replace(' ', '-')}", text, 1, retain=True) in (0, 0x10)
    assert [careless.message().payload for _ in range(2)] == [b"in clear", b"proven"]
    assert careful.message().payload == b"proven"
    careful.ping()
    again = town.client("careful", "careful-again")
    assert again.subscribe("v/#") == 0
    assert again.message().payload == b"proven"
    again.ping()


def test_who_may_publish_over_a_verified_connection_only(town: Town, apply: Apply) -> None:
    town.add("meter", may_both("none"))
    apply("device meter\n  allow publish w/# verified\n")
    witness = town.client("witness", "witness-w")
    witness.subscribe("w/#", 1)
    assert town.guest("meter", "meter-clear").publish("w/x", b"in clear", 1) == NOT_AUTHORIZED
    assert town.client("meter").publish("w/x", b"proven", 1) == SUCCESS
    assert witness.message().payload == b"proven"
    assert "verified connection only" in str(lines(town, "publish.denied", "meter")[-1]["because"])


def test_the_condition_on_the_mechanism(town: Town, apply: Apply) -> None:
    """The same device, by its certificate and by its password; and a takeover by the weaker proof."""
    town.add("keeper", may_both("none"))
    apply(
        "device keeper\n  allow both x/# when mechanism certificate\n"
        "  deny publish x/key when mechanism password\n  allow publish x/key\n"
    )
    weak = town.guest("keeper", "keeper-weak")
    assert weak.subscribe("x/#") == NOT_AUTHORIZED
    assert weak.publish("x/door", b"open", 1) == NOT_AUTHORIZED
    assert weak.publish("x/key", b"open", 1) == NOT_AUTHORIZED
    strong = town.client("keeper", expiry=60)
    assert strong.subscribe("x/#", 1) == 1
    assert strong.publish("x/key", b"open", 1) == SUCCESS
    assert strong.message().payload == b"open"
    thief = town.raw()
    assert thief.connect("keeper", "keeper", SECRET, clean_start=False, expiry=60).reason_code == 0
    town.client("writer").publish("x/door", b"secret", 1)
    assert all(not isinstance(packet, Publish) for packet in thief.rest())


def test_the_condition_on_the_protocol(town: Town, apply: Apply) -> None:
    town.add("gateway", may_both("none"))
    apply("device gateway\n  allow publish y/here when protocol mqtt\n  allow publish y/there when protocol amqp\n")
    gateway = town.client("gateway")
    assert gateway.publish("y/here", b"x", 1) in (0, 0x10)
    assert gateway.publish("y/there", b"x", 1) == NOT_AUTHORIZED


def test_the_condition_on_the_hours(town: Town, apply: Apply) -> None:
    """Days of the week in UTC: today with its neighbours, and those that are far."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    today = time.gmtime().tm_wday
    near, far = names[(today - 1) % 7] + "-" + names[(today + 1) % 7], names[(today + 3) % 7]
    town.add("guard", may_both("none"))
    apply(
        f"device guard\n  allow publish z/now when hours {near}\n  allow publish z/then when hours {far}\n"
        f"  allow publish z/#\n  deny publish z/closed when hours {near}\n  deny publish z/open when hours {far}\n"
    )
    guard = town.client("guard")
    assert guard.publish("z/now", b"x", 1) in (0, 0x10)
    assert guard.publish("z/open", b"x", 1) in (0, 0x10)
    assert guard.publish("z/closed", b"x", 1) == NOT_AUTHORIZED


# Names. ---------------------------------------------------------------------------------------------


def test_placeholders_keep_devices_apart(town: Town, apply: Apply) -> None:
    """One rule for all: each in its own group, by its own name, on its own floor."""
    for name, group, floor in (("left", "east", "1"), ("right", "west", "2")):
        town.add(name)
        belongs(town, name, ("tenant",), (group,), floor=floor)
    apply(
        "role tenant\n  allow both t/${group}/${device}/#\n  allow subscribe floor/${floor}/#\n"
        "group east\n  allow publish hall/${group}\ngroup west\n  allow publish hall/${group}\n"
    )
    left, right = town.client("left"), town.client("right")
    assert left.subscribe("t/east/left/#") == 0
    for other in ("t/west/left/#", "t/east/right/#", "t/#", "t/+/left/#", "floor/2/#", "t/${group}/${device}/#"):
        assert left.subscribe(other) == NOT_AUTHORIZED
    assert right.subscribe("floor/2/#") == 0
    assert right.publish("t/east/left/x", b"forged", 1) == NOT_AUTHORIZED
    assert right.publish("hall/east", b"forged", 1) == NOT_AUTHORIZED
    assert right.publish("hall/west", b"x", 1) in (0, 0x10)
    left.ping()


def test_a_denial_overrides_whoever_allows(town: Town, apply: Apply) -> None:
    town.add("clerk", may_both("file/#"))
    town.add("chief", may_both("file/#"))
    belongs(town, "clerk", ("office-clerk",))
    apply("role office-clerk\n  deny both file/secret/#\n")
    clerk, chief = town.client("clerk"), town.client("chief")
    assert clerk.subscribe("file/#", 1) == 1  # but for what is denied
    assert clerk.subscribe("file/secret/+") == NOT_AUTHORIZED
    assert clerk.publish("file/secret/a", b"x", 1) == NOT_AUTHORIZED
    assert chief.publish("file/secret/a", b"x", 1) in (0, 0x10)
    assert chief.publish("file/open", b"x", 1) == SUCCESS
    assert clerk.message().topic == "file/open"
    clerk.ping()


# Bounds. --------------------------------------------------------------------------------------------


def test_qos_retain_and_payload(town: Town, apply: Apply) -> None:
    town.add("small", may_both("none"))
    town.add("large", may_subscribe("bound/#"))
    apply("device small\n  allow publish bound/# qos 1 no-retain payload 4 B\n")
    small, large = town.client("small"), town.client("large")
    assert large.subscribe("bound/#", 2) == 2
    assert small.publish("bound/a", b"four", 1) == SUCCESS
    assert small.publish("bound/a", b"four", 2) == NOT_AUTHORIZED
    assert small.publish("bound/a", b"four", 1, retain=True) == NOT_AUTHORIZED
    assert small.publish("bound/a", b"five5", 1) == QUOTA_EXCEEDED  # PUBACK has no 0x95 (3.4.2.1)
    assert town.client("writer").publish("bound/a", b"larger", 2, retain=True) == SUCCESS
    assert [large.message().payload for _ in range(2)] == [b"four", b"larger"]
    large.ping()


@pytest.mark.parametrize(
    ("holder", "line"),
    [
        ("device", "allow publish rate/# rate 3/h"),
        ("device", "quota 3 messages/h"),
        ("role", "allow publish rate/# rate 3/h"),
        ("role", "quota 3 messages/h"),
        ("group", "allow publish rate/# rate 3/h"),
        ("group", "quota 3 messages/h"),
        ("everyone", "quota 3 messages/h"),
    ],
)
def test_rates_and_quotas(town: Town, apply: Apply, holder: str, line: str) -> None:
    """Of a device, a role, a group or everyone, each device with its own count; over two connections of it too."""
    who = f"{holder}-{'quota' if line.startswith('quota') else 'rate'}"
    one, two = f"{who}-one", f"{who}-two"
    for name in (one, two):
        town.add(name)
        belongs(town, name, (who,) if holder == "role" else (), (who,) if holder == "group" else ())
    allow = "" if line.startswith("allow") else "  allow publish rate/#\n"
    heads = {"device": [f"device {one}", f"device {two}"], "everyone": ["everyone"]}
    apply("".join(f"{head}\n  {line}\n{allow}" for head in heads.get(holder, [f"{holder} {who}"])))
    witness = town.client("witness", f"witness-{who}")
    assert witness.subscribe("rate/#", 0) == 0
    first, again, other = town.client(one), town.client(one, f"{one}-again"), town.client(two)
    # A bucket of 3 an hour holds one message, and is full again after 20 minutes.
    assert burst(first, "rate/a", 3) == [SUCCESS, QUOTA_EXCEEDED, QUOTA_EXCEEDED]
    assert burst(again, "rate/b", 1) == [QUOTA_EXCEEDED]
    assert burst(other, "rate/c", 2) == [SUCCESS, QUOTA_EXCEEDED]
    assert [witness.message().topic for _ in range(2)] == ["rate/a", "rate/c"]
    witness.ping()
    apply("")  # of everyone and the roles


# What was open when the policy changed. -------------------------------------------------------------


@pytest.mark.parametrize("retain", [False, True])
def test_a_will_is_judged_when_it_is_due(town: Town, apply: Apply, retain: bool) -> None:
    """It was permitted when it was made. Two senders lose the right but for one."""
    names = [f"{name}-{retain}" for name in ("loser", "winner")]
    for name in names:
        town.add(name, may_publish(f"will/{name}"))
    witness = town.client("witness", f"witness-will-{retain}")
    witness.subscribe("will/#", 1)
    clients = []
    for name in names:
        raw = Raw(town.tls(name))
        will = Will(f"will/{name}", b"gone", 1, retain, NO_PROPERTIES)
        assert raw.connect(name, will=will).reason_code == 0
        clients.append(raw)
    changes = len(town.hub.events("identity.permissions-changed"))
    apply(f"device {names[0]}\n  allow publish will/else\n")
    town.hub.await_event("identity.permissions-changed", changes + 1)
    for raw in clients:
        raw.close()
    wait_until("the Will denied", lambda: bool(lines(town, "will.denied", names[0])))
    assert witness.message().topic == f"will/{names[1]}"
    witness.ping()
    later = town.client("witness", f"witness-later-{retain}")
    later.subscribe(f"will/{names[0]}")
    later.ping()


def test_open_subscriptions_and_queues(town: Town, apply: Apply) -> None:
    """A right of the role ends: who is there is told, who is away gets nothing of what waits for it; others go on."""
    for name, role in (("here", "hearer"), ("away", "hearer"), ("spared", "other-hearer")):
        town.add(name)
        belongs(town, name, (role,))
    apply("role hearer\n  allow subscribe q/#\nrole other-hearer\n  allow subscribe q/#\n")
    here, away, spared = (town.client(name, expiry=600) for name in ("here", "away", "spared"))
    for each in (here, away, spared):
        assert each.subscribe("q/#", 1) == 1
    away.disconnect()
    writer = town.client("writer")
    assert writer.publish("q/1", b"before", 1) == SUCCESS
    assert (here.message().payload, spared.message().payload) == (b"before", b"before")
    apply("role hearer\n  allow subscribe p/#\nrole other-hearer\n  allow subscribe q/#\n")
    assert "'q/#'" in farewell(here)
    assert writer.publish("q/2", b"after", 1) == SUCCESS
    assert spared.message().payload == b"after"
    back = Raw(town.tls("away"))
    assert back.connect("away", clean_start=False, expiry=600).session_present
    assert "'q/#'" in farewell(back)
    back = Raw(town.tls("away"))
    assert back.connect("away", clean_start=False, expiry=600).session_present
    back.ping()  # and nothing of the queue came before
