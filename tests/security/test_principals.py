"""Principals follow their records: amended while they live, ended when what proved them is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from msgspec.structs import replace

from bridgehead.core.policy import Principal
from bridgehead.security.credentials import CertificateRecord, PasswordRecord
from bridgehead.security.events import RECORD_UNREADABLE
from bridgehead.security.identity.identity import Identity
from bridgehead.security.records import Device, Role
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals
from tests.security.support import DAY, publish, subscribe

NOW = 1_800_000_000.0
CERTIFICATES = tuple(CertificateRecord(digit * 64, digit * 8, NOW, NOW + DAY) for digit in "ab")
DEVICE = Device(
    "sensor-7",
    NOW,
    roles=("reader",),
    password=PasswordRecord("$hash", NOW),
    certificates=CERTIFICATES,
    permissions=(publish("Office/${device}"),),
)


class House:
    """The writer's registry, and the hub's view of it over a connection of its own."""

    def __init__(self, identity: Identity) -> None:
        self.writer = identity.registry
        self.writer.add_role(Role("reader", NOW, (subscribe("cmd/${device}/#"),)))
        self.reader = Registry(identity.data)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.principals = Principals(Directory(self.reader), lambda name, fields: self.events.append((name, fields)))

    def add(self, device: Device = DEVICE) -> Principal:
        self.writer.add_device(device)
        return self.get(device.name)

    def get(self, name: str) -> Principal:
        found = self.principals.get(name)
        assert found is not None
        return found

    def change(self, **fields: object) -> None:
        self.writer.update_device(replace(self.writer.existing_device("sensor-7"), **fields), NOW)

    def ended(self) -> list[str]:
        self.principals.follow()
        return self.principals.take_ended()


@pytest.fixture
def house(identity: Identity) -> Iterator[House]:
    found = House(identity)
    yield found
    found.reader.close()


def told(principal: Principal) -> list[str]:
    lines = [str(each) for rights in principal.rights for each in rights.permissions]
    return [line.replace("${device}", principal.name) for line in lines]


def test_a_principal_has_its_own_permissions_and_its_roles(house: House) -> None:
    assert told(house.add()) == [
        "allow publish Office/sensor-7 up to QoS 2",
        "allow subscribe cmd/sensor-7/# up to QoS 2",
    ]


def test_other_permissions_take_effect_on_the_same_object_and_nobody_is_disconnected(house: House) -> None:
    principal = house.add()
    generation = house.principals.generation
    house.change(permissions=(publish("Other"), publish("Office/${device}", allow=False)))
    assert house.ended() == []
    assert house.get("sensor-7") is principal
    assert principal.may_publish("Other", 0, False)
    assert not principal.may_publish("Office/sensor-7", 0, False)
    assert house.principals.generation == generation + 1


def test_a_changed_role_reaches_who_has_it_and_nobody_else(house: House) -> None:
    principal = house.add()
    other = house.add(Device("sensor-8", NOW, password=PasswordRecord("$hash", NOW)))
    house.writer.update_role(Role("reader", NOW, (subscribe("new"),)))
    assert house.ended() == []
    assert told(principal)[1:] == ["allow subscribe new up to QoS 2"]
    assert told(other) == []


def test_a_change_that_changes_nothing_for_it_leaves_the_principal_alone(house: House) -> None:
    house.add()
    generation = house.principals.generation
    house.change(kerberos_principals=("sensor-7@EXAMPLE",))
    house.writer.renew_password_hash("sensor-7", "$hash", "$other")
    assert house.ended() == []
    assert house.principals.generation == generation


NEW_CERTIFICATE = CertificateRecord("c" * 64, "c" * 8, NOW, NOW + DAY)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"enabled": False}, True),
        ({"password": None}, True),
        ({"password": PasswordRecord("$new", NOW + 1)}, True),
        ({"certificates": CERTIFICATES[:1]}, True),
        ({"certificates": ()}, True),
        ({"require": "password+certificate"}, True),
        ({"client_ids": ("lab-*",)}, True),
        ({"certificates": (*CERTIFICATES, NEW_CERTIFICATE)}, False),
        ({"permissions": ()}, False),
        ({"attributes": {"room": "12"}}, False),
        ({"roles": ()}, False),
    ],
)
def test_what_ends_connections(house: House, fields: dict[str, object], ends: bool) -> None:
    house.add()
    house.change(**fields)
    assert house.ended() == (["sensor-7"] if ends else [])
    assert house.ended() == []


def test_more_roles_less_demands_and_a_first_password_end_nothing(house: House) -> None:
    house.writer.add_role(Role("writer", NOW))
    house.add(replace(DEVICE, require="password+certificate"))
    house.change(require="any", roles=("reader", "writer"))
    assert house.ended() == []
    house.change(password=None)
    assert house.ended() == ["sensor-7"]
    house.change(password=PasswordRecord("$first", NOW))
    assert house.ended() == []


def test_a_disabled_device_may_nothing_and_comes_back_as_it_was(house: House) -> None:
    principal = house.add()
    house.change(enabled=False)
    assert house.ended() == ["sensor-7"]
    assert told(principal) == []
    assert house.get("sensor-7") is principal
    house.change(enabled=True)
    assert house.ended() == []
    assert len(told(principal)) == 2


def test_a_removed_device_is_nobody_and_who_holds_it_may_nothing(house: House) -> None:
    principal = house.add()
    house.writer.remove_device("sensor-7", NOW)
    assert house.ended() == ["sensor-7"]
    assert told(principal) == []
    assert house.principals.get("sensor-7") is None


def test_a_new_device_of_an_old_name_is_somebody_else(house: House) -> None:
    """Also when nobody looked in between."""
    old = house.add()
    house.writer.remove_device("sensor-7", NOW)
    house.writer.add_device(
        Device("sensor-7", NOW + 1, password=PasswordRecord("$x", NOW), permissions=(publish("b"),))
    )
    assert house.ended() == ["sensor-7"]
    new = house.get("sensor-7")
    assert new is not old
    assert (told(old), told(new)) == ([], ["allow publish b up to QoS 2"])


def test_who_has_never_been_here_is_not_told(house: House) -> None:
    house.writer.add_device(DEVICE)
    house.change(enabled=False)
    house.writer.remove_device("sensor-7", NOW)
    assert house.ended() == []


def test_everything_is_looked_at_when_too_much_has_changed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    principal = house.add()
    house.principals.follow()
    monkeypatch.setattr("bridgehead.security.registry.base._CHANGES_KEPT", 2)
    house.change(permissions=(publish("b"),))
    for number in range(5):
        house.writer.add_device(Device(f"other-{number}", NOW, password=PasswordRecord("$x", NOW)))
    assert house.ended() == []
    assert told(principal) == ["allow publish b up to QoS 2", "allow subscribe cmd/sensor-7/# up to QoS 2"]


def test_a_record_that_cannot_be_read_gives_no_rights_and_hides_no_other(house: House) -> None:
    principal = house.add()
    other = house.add(replace(DEVICE, name="sensor-8", certificates=()))
    connection = house.writer._database._connection
    with house.writer.transaction():
        house.change(permissions=(publish("b"),))
        house.writer.update_device(replace(DEVICE, name="sensor-8", certificates=(), permissions=(publish("c"),)), NOW)
        connection.execute("UPDATE devices SET record = x'7b' WHERE name = 'sensor-7'")
    assert house.ended() == ["sensor-7"]
    assert told(principal) == []
    assert told(other)[0] == "allow publish c up to QoS 2"
    assert [(name, fields["principal"]) for name, fields in house.events] == [(RECORD_UNREADABLE, "sensor-7")]
    assert house.principals.get("sensor-7") is principal  # its sessions are not given up
    connection.execute("UPDATE devices SET record = ? WHERE name = 'sensor-7'", (msgspec.json.encode(DEVICE),))
    house.principals.follow()
    assert house.principals.of(DEVICE) is principal
    assert told(principal)[0] == "allow publish Office/sensor-7 up to QoS 2"


def test_the_cache_is_bounded_and_answers_the_same(identity: Identity) -> None:
    for number in range(6):
        identity.registry.add_device(
            Device(
                f"d{number}",
                NOW,
                certificates=(CertificateRecord(f"{number}" * 64, f"{number}", NOW, NOW + DAY),),
            )
        )
    directory = Directory(identity.registry, cached=2)
    for _ in range(2):
        for number in range(6):
            by_name, by_fingerprint = directory.device(f"d{number}"), directory.device_by_fingerprint(f"{number}" * 64)
            assert by_name == by_fingerprint == identity.registry.device(f"d{number}")
            assert len(directory._devices) <= 2
    assert directory.device("d9") is None


def test_a_poll_without_changes_reads_no_record(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.add()
    house.principals.follow()
    asked: list[str] = []
    real: Callable[..., list[tuple[object, ...]]] = house.reader._database.rows

    def watched(statement: str, *values: str | int | float | bytes) -> list[tuple[object, ...]]:
        asked.append(statement)
        return real(statement, *values)

    monkeypatch.setattr(house.reader._database, "rows", watched)
    for _ in range(10):
        assert house.ended() == []
    assert asked == []
