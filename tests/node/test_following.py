"""What the hour, a rotation, a revocation and the policy do to what is open: connections, sessions, messages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.message import NO_PROPERTIES, Message, Origin
from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.core.session import Receiver, Session, Subscription, Target, Will
from bridgehead.node.following import Following
from bridgehead.security.credentials import CertificateRecord, PasswordRecord
from bridgehead.security.records import Device, Group, PermissionRecord, Policy, Quota, Role
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals
from bridgehead.store.memory import MemoryStore

NOON = 1_767_614_400.0  # Monday, 2026-01-05 12:00 UTC
HOUR = 3600.0
EVERYTHING = PermissionRecord("#", publish=True, subscribe=True)
CERTIFICATE = CertificateRecord("a" * 64, "1", NOON, NOON + 1000 * HOUR)


class Connection(Receiver):
    def __init__(self) -> None:
        self.got: list[str] = []
        self.dismissed: list[str] = []

    def transmit(self, message: Message, target: Target) -> None:
        self.got.append(message.topic)

    def dismiss(self, meaning: str, because: str) -> None:
        self.dismissed.append(because)

    def pump(self) -> None:
        pass

    def committed(self, ticket: int) -> None:
        pass


class House:
    """A hub on a registry that somebody else writes."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.writer = Registry(folder)
        self.reader = Registry(folder)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.clock = Clock(NOON)
        self.store = MemoryStore(self._run)
        self.broker = Broker(self.store, self.clock, Limits(), self._event, lambda: None)
        self.principals = Principals(Directory(self.reader), self._event, lambda: self.now)
        self.following = Following(self.principals, self.broker)
        self.broker.recover([])
        self.following.begin()

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def _run(self, call: object) -> None:
        assert callable(call)
        call()

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]

    def add(self, name: str, **fields: object) -> None:
        self.writer.add_device(replace(Device(name, self.now, password=PasswordRecord("$x", 1.0)), **fields))

    def change(self, name: str, **fields: object) -> list[str]:
        self.writer.update_device(replace(self.writer.existing_device(name), **fields), self.now)
        return self.following.follow()

    def pass_time(self, seconds: float) -> list[str]:
        self.now += seconds
        self.clock.now = self.now
        return self.following.follow()

    def principal(self, name: str) -> Principal:
        found = self.principals.get(name)
        assert found is not None
        return found

    def connect(
        self, name: str, *mechanisms: str, client_id: str = "", expiry: float = 0.0, will: Will | None = None
    ) -> tuple[Session, Connection]:
        view = self.principal(name).under(Context("mqtt", mechanisms or ("password",)))
        self.broker.admit(view)
        connection = Connection()
        attached = self.broker.attach(view, client_id or name, "mqtt", True, False, expiry, will, connection)
        return attached[0], connection

    def retain(self, name: str, topic: str) -> None:
        session, _ = self.connect(name)
        self.broker.door.publish(session.principal, Message(topic, b"x", 0, True, session.origin), None)

    def seen(self) -> list[str]:
        """The retained messages that somebody who subscribes now is sent."""
        self.broker.journal.flush()
        if self.principals.get("office") is None:
            self.add("office", permissions=(EVERYTHING,))
        session, _ = self.connect("office", client_id="office-seen")
        self.broker.door.subscribe(Subscription(session, "#", 0))
        session.replay_steps = 100_000
        found: list[str] = []
        while (delivery := self.broker.dispatcher.next_replay(session)) is not None:
            found.append(delivery.message.topic)
        self.broker.sessions.end(session, "seen")
        return sorted(found)

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path / "data")
    yield one
    one.close()


# The hour. ------------------------------------------------------------------------------------------


def test_hours_end_and_begin_without_anybody_changing_a_record(house: House) -> None:
    office_hours = PermissionRecord("lab/#", publish=True, subscribe=True, hours=("Mon-Fri 07:00-13:00",))
    house.writer.add_role(Role("worker", NOON, (office_hours,)))
    house.add("s", roles=("worker",))
    session, connection = house.connect("s")
    house.broker.door.subscribe(Subscription(session, "lab/1", 0))
    assert house.principals.next_change(house.now) == NOON + HOUR
    assert house.pass_time(HOUR - 1) == []
    assert connection.dismissed == []
    house.pass_time(1)
    assert "'lab/1' was withdrawn" in connection.dismissed[0]
    assert not session.principal.may_publish("lab/1", 0, False)
    house.pass_time(18 * HOUR)  # Tuesday, 07:00
    assert session.principal.may_publish("lab/1", 0, False)
    assert len(house.named("identity.permissions-changed")) == 2


def test_hours_of_a_device_s_own_permission_and_of_a_denial(house: House) -> None:
    night = PermissionRecord("#", publish=True, subscribe=False, allow=False, hours=("22:00-06:00",))
    house.writer.put_policy(Policy(permissions=(night,)))
    day = PermissionRecord("a", publish=True, subscribe=False, hours=("11:00-23:00",))
    house.add("s", permissions=(day,))
    may = [house.principal("s").may_publish("a", 0, False)]
    for _ in range(12):
        house.pass_time(HOUR)
        may.append(house.principal("s").may_publish("a", 0, False))
    assert may == [True] * 10 + [False] * 3
    assert house.principals.next_change(house.now) > house.now


# Roles, groups, everyone. ---------------------------------------------------------------------------


def test_a_role_of_ten_thousand_is_compiled_once(house: House) -> None:
    house.writer.add_role(
        Role("r", NOON, tuple(PermissionRecord(f"a/${{device}}/{i}", True, False) for i in range(50)))
    )
    devices = [Device(f"s{i}", NOON, password=PasswordRecord("$x", 1.0), roles=("r",)) for i in range(10_000)]
    principals = [house.principals.of(device) for device in devices]
    shared = {id(rights) for principal in principals for rights in principal.rights if rights.name == "role r"}
    assert len(shared) == 1
    assert principals[77].may_publish("a/s77/1", 0, False)
    house.writer.update_role(Role("r", NOON, (PermissionRecord("b/${device}", True, False),)))
    house.following.follow()
    assert {id(r) for p in principals for r in p.rights if r.name == "role r"} == shared
    assert not principals[77].may_publish("a/s77/1", 0, False)
    assert principals[77].may_publish("b/s77", 0, False)
    assert not principals[77].may_publish("b/s78", 0, False)


def test_groups_attributes_and_quotas_take_effect_live(house: House) -> None:
    house.writer.add_group(Group("lobby", NOON, (PermissionRecord("o/${group}/#", True, False),), Quota(messages=5.0)))
    house.add("s", permissions=(PermissionRecord("room/${room}", True, False),))
    principal = house.principal("s")
    topics = ("o/lobby/1", "room/12")
    assert [principal.may_publish(topic, 0, False) for topic in topics] == [False, False]
    house.change("s", groups=("lobby",), attributes={"room": "12"})
    assert [principal.may_publish(topic, 0, False) for topic in topics] == [True, True]
    assert principal.publish_mask("o/lobby/1") & 0b111111 == 0  # each message is counted
    house.writer.update_group(Group("lobby", NOON, (PermissionRecord("o/${group}/#", True, False),)))
    house.following.follow()
    assert principal.publish_mask("o/lobby/1") & 1
    house.change("s", groups=(), attributes={})
    assert [principal.may_publish(topic, 0, False) for topic in topics] == [False, False]


def test_a_role_that_cannot_be_read_takes_all_rights_from_who_has_it(house: House) -> None:
    """Its denials are not known, so what others permit is not safe either."""
    house.writer.add_role(Role("r", NOON, (PermissionRecord("secret", True, True, allow=False),)))
    house.add("s", roles=("r",), permissions=(EVERYTHING,))
    house.add("t", permissions=(EVERYTHING,))
    _, connection = house.connect("s")
    house.connect("t")
    with house.writer.transaction():
        house.writer.update_role(Role("r", NOON))
        house.writer._database._connection.execute("UPDATE roles SET record = x'7b'")
    assert house.following.follow() == ["s"]
    assert connection.dismissed != []
    assert [house.principals._live[name].principal.may_publish("a", 0, False) for name in ("s", "t")] == [False, True]
    with house.writer.transaction():
        house.writer._database._connection.execute("DELETE FROM roles")
        house.writer.add_role(Role("r", NOON, (PermissionRecord("secret", True, True, allow=False),)))
    house.following.follow()
    principal = house.principals.of(house.writer.existing_device("s"))
    assert [principal.may_publish(topic, 0, False) for topic in ("a", "secret")] == [True, False]


# Credentials. ---------------------------------------------------------------------------------------


def test_a_rotation_s_overlap_disconnects_nobody_and_its_end_does(house: House) -> None:
    house.add("s", certificates=(CERTIFICATE,), permissions=(EVERYTHING,))
    _, password = house.connect("s", "password", client_id="s-1")
    _, scram = house.connect("s", "scram", client_id="s-2")
    _, certificate = house.connect("s", "certificate", client_id="s-3")
    former = PasswordRecord("$x", 1.0, NOON + HOUR)
    assert house.change("s", password=PasswordRecord("$y", NOON), former_password=former) == []
    assert house.pass_time(HOUR - 1) == []
    assert house.principals.next_change(house.now) == NOON + HOUR
    assert house.pass_time(1) == ["s"]
    assert [len(each.dismissed) for each in (password, scram, certificate)] == [1, 1, 0]
    assert house.change("s", former_password=None) == []  # the sweep that follows finds nothing left to do
    assert house.pass_time(1000 * HOUR) == []


def test_a_rotation_without_overlap_and_a_certificate_taken_back(house: House) -> None:
    house.add("s", certificates=(CERTIFICATE,), permissions=(EVERYTHING,))
    _, password = house.connect("s", "password", client_id="s-1")
    _, both = house.connect("s", "certificate", "password", client_id="s-2")
    _, certificate = house.connect("s", "certificate", client_id="s-3")
    house.change("s", password=PasswordRecord("$y", NOON))
    assert [len(each.dismissed) for each in (password, both, certificate)] == [1, 1, 0]
    house.change("s", certificates=())
    assert [len(each.dismissed) for each in (password, both, certificate)] == [1, 2, 1]


def test_disabled_and_enabled_again_the_session_is_as_it_was(house: House) -> None:
    house.add("s", permissions=(EVERYTHING,))
    session, connection = house.connect("s", expiry=1000.0)
    house.broker.door.subscribe(Subscription(session, "a", 1))
    assert house.change("s", enabled=False) == ["s"]
    assert len(connection.dismissed) == 1
    assert not session.ended
    assert not session.principal.may_publish("a", 0, False)
    house.change("s", enabled=True)
    assert list(session.subscriptions) == ["a"]
    assert session.principal.receivable_qos("a", True) == 2


def test_a_revocation_takes_sessions_queues_and_wills_with_it(house: House) -> None:
    house.add("s", permissions=(EVERYTHING,))
    house.add("office", permissions=(EVERYTHING,))
    will = Will("will", b"bye", 0, False, NO_PROPERTIES, None, 0)
    session, connection = house.connect("s", expiry=1000.0, will=will)
    other, hearing = house.connect("office")
    house.broker.door.subscribe(Subscription(session, "a", 1))
    house.broker.door.subscribe(Subscription(other, "#", 0))
    assert house.change("s", revoked_at=NOON) == ["s"]
    assert connection.dismissed == ["the identity's credentials were revoked"]
    assert session.ended
    assert house.broker.sessions.of("s") == []
    assert hearing.got == []
    assert not house.principal("s").may_publish("a", 0, False)
    house.change("s", revoked_at=None)
    assert house.principal("s").may_publish("a", 0, False)


# Retained messages. ---------------------------------------------------------------------------------


def treatment(house: House, word: str) -> None:
    house.writer.put_policy(replace(house.writer.policy(), retained_of_revoked=word))
    house.following.follow()


def filled(house: House) -> None:
    for name in ("s", "t"):
        house.add(name, permissions=(EVERYTHING,))
        house.retain(name, name)


def test_what_a_revoked_device_wrote_is_kept_hidden_or_purged(house: House) -> None:
    filled(house)
    house.change("s", revoked_at=NOON)
    assert house.seen() == ["s", "t"]
    treatment(house, "hide")
    assert house.seen() == ["t"]
    house.change("s", revoked_at=None)
    assert house.seen() == ["s", "t"]
    house.change("s", revoked_at=NOON)
    assert house.seen() == ["t"]
    treatment(house, "keep")
    assert house.seen() == ["s", "t"]
    treatment(house, "purge")
    assert house.seen() == ["t"]
    treatment(house, "keep")
    house.change("s", revoked_at=None)
    assert house.seen() == ["t"]


def test_what_a_removed_device_wrote_does_not_come_back_with_its_name(house: House) -> None:
    filled(house)
    treatment(house, "hide")
    house.writer.remove_device("s", NOON)
    house.following.follow()
    assert house.seen() == ["t"]
    house.now += 1
    house.add("s", permissions=(EVERYTHING,))
    house.following.follow()
    assert house.seen() == ["t"]
    house.retain("s", "new")
    assert house.seen() == ["new", "t"]


def test_a_device_that_nobody_has_seen_in_this_run_is_judged_too(house: House) -> None:
    """Its messages are all that the hub has of it."""
    filled(house)
    treatment(house, "hide")
    again = Principals(Directory(house.reader), house._event, lambda: house.now)
    house.following = Following(again, house.broker)
    house.following.begin()
    house.principals = again
    house.change("s", revoked_at=NOON)
    assert house.seen() == ["t"]


def test_the_hub_s_own_figures_are_nobody_s_to_revoke(house: House) -> None:
    hub = Principal.of("$SYS", [Permission("$SYS/#", True, False)], [])
    house.broker.door.publish(hub, Message("$SYS/uptime", b"1", 0, True, Origin("$SYS", "internal", True)), None)
    treatment(house, "purge")
    assert len(house.broker.retained) == 1
