"""Who gets in, with what, and what everybody else is told. Time is the test's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bridgehead.core.errors import BAD_CREDENTIALS, CLIENT_ID_INVALID, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from bridgehead.core.policy import Context
from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.events import AUTHENTICATED, AUTHENTICATION_REFUSED, PASSWORD_REHASHED
from bridgehead.security.identity.identity import Enrolled, Identity, Wanted
from bridgehead.security.login.authenticate import Authenticator, Credentials
from bridgehead.security.login.brake import BrakeLimits
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.login.proof import NEVER
from bridgehead.security.registry.registry import Registry
from tests.security.support import DAY, Time, der, enrol, publish

PASSWORD = b"correct horse battery staple"
ADDRESS = "192.0.2.1:50000"


class CountingHasher(PasswordHasher):
    """Cheap, and tells which hashes were tried."""

    def __init__(self, passes: int = 1) -> None:
        super().__init__(passes, 8, 1)
        self.tried: list[str] = []

    def verify(self, encoded: str, password: bytes) -> bool:
        self.tried.append(encoded)
        return super().verify(encoded, password)


class House:
    """A hub's identities: the writer's side, the hub's side, and what the hub reported."""

    def __init__(self, identity: Identity, clock: Time) -> None:
        self.identity = identity
        self.clock = clock
        self.hasher = CountingHasher()
        self.events: list[tuple[str, dict[str, object]]] = []
        self.registry = Registry(identity.data)
        self.authenticator = self.another()

    def another(self, hasher: PasswordHasher | None = None) -> Authenticator:
        return Authenticator(
            self.registry,
            lambda name, fields: self.events.append((name, fields)),
            clock=self.clock,
            verifier=PasswordVerifier(hasher or self.hasher, threads=1),
            identity_brake=BrakeLimits(free=3, first=1.0, longest=60.0),
            address_brake=BrakeLimits(free=6, first=1.0, longest=60.0),
        )

    async def enter(self, **shown: Any) -> str:
        """The principal's name, or what the peer is told: `meaning: because`."""
        try:
            return (await self.authenticator.authenticate(credentials(**shown))).name
        except Refusal as refusal:
            return f"{refusal.meaning}: {refusal.because}"

    def last(self) -> dict[str, object]:
        return self.events[-1][1]


def credentials(
    user: str | None = None,
    password: bytes | None = None,
    certificate: bytes | None = None,
    client_id: str = "",
    address: str = ADDRESS,
) -> Credentials:
    return Credentials(user, password, certificate, client_id, address, "mqtt")


BAD = f"{BAD_CREDENTIALS}: the credentials are not accepted"


@pytest.fixture
async def house(identity: Identity, clock: Time, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    cheap = PasswordHasher(1, 8, 1)
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", cheap.hash)
    found = House(identity, clock)
    yield found
    found.authenticator.close()
    found.registry.close()


def with_password(house: House, name: str = "sensor-7", password: bytes = PASSWORD) -> Enrolled:
    return enrol(house.identity, Wanted(name, [publish("Office/${device}/#")], password=password))


def with_certificate(house: House, name: str = "sensor-7") -> Enrolled:
    return enrol(house.identity, Wanted(name, [publish("Office/${device}/#")], certificate=True))


def with_both(house: House, name: str = "sensor-7") -> Enrolled:
    return enrol(house.identity, Wanted(name, require="password+certificate", password=PASSWORD, certificate=True))


def overlap(house: House, name: str) -> None:
    """As a rotation does: another password, and the present one for another hour."""
    registry = house.identity.registry
    device = registry.existing_device(name)
    assert device.password is not None
    new = replace(device.password, encoded=PasswordHasher(1, 8, 1).hash(b"new"))
    former = replace(device.password, until=house.clock() + 3600)
    registry.update_device(replace(device, password=new, former_password=former), house.clock())


# By password. ---------------------------------------------------------------------------------------


async def test_the_right_password(house: House) -> None:
    with_password(house)
    proven = await house.authenticator.authenticate(credentials("sensor-7", PASSWORD, client_id="sensor-7-a"))
    assert (proven.name, proven.kinds, proven.expires_at) == ("sensor-7", ("password",), NEVER)
    assert proven.principal.context == Context("mqtt", ("password",))
    assert proven.principal.may_publish("Office/sensor-7/a", 2, True)
    assert not proven.principal.may_publish("Office/sensor-8/a", 0, False)
    assert house.events == [
        (
            AUTHENTICATED,
            {
                "principal": "sensor-7",
                "by": "password",
                "client_id": "sensor-7-a",
                "address": ADDRESS,
                "protocol": "mqtt",
            },
        )
    ]


async def test_whatever_is_wrong_the_peer_is_told_the_same(house: House) -> None:
    with_password(house)
    with_password(house, "disabled")
    house.identity.registry.update_device(
        replace(house.identity.registry.existing_device("disabled"), enabled=False), house.clock()
    )
    with_certificate(house, "certified")
    told: dict[str, object] = {}
    for user, password in [
        ("sensor-7", b"wrong"),
        ("nobody", PASSWORD),
        ("disabled", PASSWORD),
        ("disabled", b"wrong"),
        ("certified", PASSWORD),
        ("", PASSWORD),
        ("not a name", PASSWORD),
        ("sensor-7\x00", PASSWORD),
        ("x" * 65535, PASSWORD),
        ("SENSOR-7", PASSWORD),
    ]:
        house.authenticator = house.another()  # without a brake from the try before
        assert await house.enter(user=user, password=password) == BAD
        told[f"{user[:20]}/{password[:5]!r}"] = house.last()["because"]
    assert list(told.values()) == [
        "the password is not that of 'sensor-7'",
        "there is no device 'nobody'",
        "the device 'disabled' is disabled",
        "the password is not that of 'disabled'",
        "the device 'certified' has no password",
        "the user name is no device's",
        "the user name is no device's",
        "the user name is no device's",
        "the user name is no device's",
        "there is no device 'SENSOR-7'",
    ]


async def test_a_wrong_password_costs_the_same_hashes_whoevers_it_is(house: House) -> None:
    """The same code path with the same parameters, not a stopwatch; also while a rotation overlaps."""
    with_password(house)
    with_certificate(house, "certified")
    with_password(house, "rotated")
    overlap(house, "rotated")
    for user in ("sensor-7", "nobody", "certified", "rotated", "not a name"):
        house.hasher.tried.clear()
        assert await house.enter(user=user, password=b"wrong") == BAD
        assert len(house.hasher.tried) == 2
        assert all(each.startswith("$argon2id$v=19$m=8,t=1,p=1$") for each in house.hasher.tried)
    house.clock.now += 60
    assert await house.enter(user="rotated", password=PASSWORD, address="192.0.2.2:1") == "rotated"


async def test_guesses_that_are_sent_at_once_during_an_overlap_are_braked_too(house: House) -> None:
    with_password(house)
    overlap(house, "sensor-7")
    await asyncio.gather(*(house.enter(user="sensor-7", password=b"wrong %d" % n) for n in range(50)))
    assert len(house.hasher.tried) == 8


async def test_a_remembered_password_costs_no_hash_and_a_wrong_one_always_does(house: House) -> None:
    with_password(house)
    for _ in range(3):
        assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    assert len(house.hasher.tried) == 1
    assert await house.enter(user="sensor-7", password=b"wrong") == BAD
    assert len(house.hasher.tried) == 3
    house.clock.now += 301
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    assert len(house.hasher.tried) == 4


async def test_a_changed_password_is_asked_for_at_once(house: House) -> None:
    with_password(house)
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    house.identity.remove_device("sensor-7")
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    with_password(house, password=b"another one")
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    assert await house.enter(user="sensor-7", password=b"another one") == "sensor-7"


async def test_a_device_that_is_removed_while_its_hash_is_computed_does_not_get_in(house: House) -> None:
    with_password(house)

    class Removing(CountingHasher):
        def verify(self, encoded: str, password: bytes) -> bool:
            other = Identity(house.identity.data, house.clock)  # on the hasher's own thread
            other.remove_device("sensor-7")
            other.close()
            return super().verify(encoded, password)

    house.authenticator = house.another(Removing())
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    assert house.last()["because"] == "there is no device 'sensor-7'"


async def test_a_password_that_is_changed_while_its_hash_is_computed_is_the_old_one(house: House) -> None:
    with_password(house)

    class Changing(CountingHasher):
        def verify(self, encoded: str, password: bytes) -> bool:
            other = Registry(house.identity.data)  # on the hasher's own thread
            changed = PasswordRecord(CountingHasher().hash(b"another one"), house.clock() + 1)
            other.update_device(replace(other.existing_device("sensor-7"), password=changed), house.clock())
            other.close()
            return super().verify(encoded, password)

    house.authenticator = house.another(Changing())
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    assert house.last()["because"] == "the password is not that of 'sensor-7'"


async def test_without_any_credentials(house: House) -> None:
    told = "no credentials: send a client certificate, or user name and password"
    assert await house.enter() == f"{NOT_AUTHORIZED}: {told}"
    assert await house.enter(user="sensor-7") == BAD
    assert await house.enter(password=PASSWORD) == BAD
    assert house.hasher.tried == []


async def test_with_its_new_hash_a_password_gets_the_verifiers_of_scram_that_it_had_not(house: House) -> None:
    """Passwords that came from elsewhere (a Mosquitto's file) have none until they are shown."""
    with_password(house)
    registry = house.identity.registry
    device = registry.existing_device("sensor-7")
    assert device.password is not None
    registry.update_device(replace(device, password=replace(device.password, scram=())), house.clock.now)
    house.authenticator = house.another(CountingHasher(passes=2))
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    after = registry.existing_device("sensor-7").password
    assert after is not None
    assert {each.mechanism for each in after.scram} == {"SCRAM-SHA-256", "SCRAM-SHA-512"}


async def test_a_hash_of_older_parameters_is_made_anew_and_nobody_is_disconnected(house: House) -> None:
    with_password(house)
    before = house.identity.registry.existing_device("sensor-7").password
    house.authenticator = house.another(CountingHasher(passes=2))
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    assert (PASSWORD_REHASHED, {"principal": "sensor-7"}) in house.events
    after = house.identity.registry.existing_device("sensor-7").password
    assert before is not None
    assert after is not None
    assert after.encoded != before.encoded
    assert "t=2" in after.encoded
    assert after.set_at == before.set_at
    assert after.scram == before.scram
    assert house.authenticator.refresh() == []
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    assert sum(name == PASSWORD_REHASHED for name, _ in house.events) == 1


# By certificate. ------------------------------------------------------------------------------------


async def test_a_certificate_names_its_device(house: House) -> None:
    enrolled = with_certificate(house)
    assert await house.enter(certificate=der(enrolled.certificate)) == "sensor-7"
    assert house.last()["by"] == "certificate"
    assert await house.enter(certificate=der(enrolled.certificate), user="sensor-7") == "sensor-7"


async def test_a_certificate_that_is_on_no_record_is_worth_nothing(house: House) -> None:
    """Also one that our authority has signed: only the record counts."""
    with_password(house)
    stray = der(house.identity.pki.issue_device("sensor-7", house.clock()))
    assert await house.enter(certificate=stray) == BAD
    assert "is on no device's record" in str(house.last()["because"])
    assert await house.enter(certificate=stray, user="sensor-7", password=PASSWORD) == BAD
    assert await house.enter(certificate=b"no certificate") == BAD


async def test_a_removed_device_does_not_get_in_even_by_a_resumed_session(house: House) -> None:
    """A resumed TLS session shows the certificate without verifying it: the record decides."""
    certificate = der(with_certificate(house).certificate)
    assert await house.enter(certificate=certificate) == "sensor-7"
    house.identity.remove_device("sensor-7")
    assert await house.enter(certificate=certificate) == BAD
    assert "... of 'sensor-7' was revoked" in str(house.last()["because"])
    assert len(house.identity.pki.revoked_serials()) == 1
    with_certificate(house)  # a new device of that name
    assert await house.enter(certificate=certificate) == BAD


@pytest.mark.parametrize(("days", "because"), [(-2, "is not valid yet"), (91, "has expired"), (0, None), (89, None)])
async def test_the_certificate_must_be_in_force_now(house: House, days: float, because: str | None) -> None:
    certificate = der(with_certificate(house).certificate)
    house.clock.now += days * DAY
    told = await house.enter(certificate=certificate)
    if because is None:
        assert told == "sensor-7"
    else:
        assert told == BAD
        assert because in str(house.last()["because"])


async def test_certificate_and_user_name_must_be_one_device(house: House) -> None:
    certificate = der(with_certificate(house).certificate)
    with_password(house, "sensor-8")
    assert await house.enter(certificate=certificate, user="sensor-8", password=PASSWORD) == BAD
    assert house.last()["because"] == "the certificate is of 'sensor-7', and the user name is not"
    assert await house.enter(certificate=certificate, user="") == BAD
    assert house.hasher.tried == []


async def test_a_password_beside_a_certificate_must_be_right(house: House) -> None:
    enrolled = enrol(house.identity, Wanted("sensor-7", password=PASSWORD, certificate=True))
    certificate = der(enrolled.certificate)
    assert await house.enter(certificate=certificate, user="sensor-7", password=b"wrong") == BAD
    assert await house.enter(certificate=certificate, user="sensor-7", password=PASSWORD) == "sensor-7"
    assert house.last()["by"] == "password+certificate"
    assert await house.enter(certificate=certificate, password=PASSWORD) == "sensor-7"
    assert await house.enter(certificate=certificate) == "sensor-7"
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"


async def test_both_are_needed_where_the_record_says_so(house: House) -> None:
    certificate = der(with_both(house).certificate)
    assert await house.enter(certificate=certificate) == BAD
    assert "must prove itself by password and certificate, and did by certificate only" in str(house.last()["because"])
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    assert "and did by password only" in str(house.last()["because"])
    assert await house.enter(certificate=certificate, user="sensor-7", password=PASSWORD) == "sensor-7"


async def test_anothers_certificate_does_not_complete_a_password(house: House) -> None:
    with_both(house)
    other = der(with_both(house, "sensor-8").certificate)
    assert await house.enter(certificate=other, user="sensor-7", password=PASSWORD) == BAD


# Client identifiers. --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patterns", "client_id", "permitted"),
    [
        ((), "", True),
        ((), "sensor-7", True),
        ((), "sensor-7-a", True),
        ((), "sensor-7a", False),
        ((), "sensor-8", False),
        (("lab-*",), "lab-1", True),
        (("lab-*",), "sensor-7", False),
        (("lab-*",), "", True),
        (("one", "two"), "two", True),
        (("one", "two"), "three", False),
    ],
)
async def test_the_client_identifier_is_the_records(
    house: House, patterns: tuple[str, ...], client_id: str, permitted: bool
) -> None:
    enrol(house.identity, Wanted("sensor-7", client_ids=patterns, password=PASSWORD))
    told = await house.enter(user="sensor-7", password=PASSWORD, client_id=client_id)
    assert told == ("sensor-7" if permitted else f"{CLIENT_ID_INVALID}: 'sensor-7' may not use this client identifier")


async def test_the_client_identifier_is_looked_at_last(house: House) -> None:
    """Who has not proven anything learns nothing about identifiers."""
    with_password(house)
    assert await house.enter(user="sensor-7", password=b"wrong", client_id="sensor-8") == BAD


# The brake. -----------------------------------------------------------------------------------------


async def test_guessing_is_slowed_down_and_a_braked_guess_is_not_looked_at(house: House) -> None:
    with_password(house)
    for _ in range(4):
        assert await house.enter(user="sensor-7", password=b"wrong") == BAD
    assert len(house.hasher.tried) == 8
    # Even the right password gets the same answer, so that a guesser learns nothing.
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    assert len(house.hasher.tried) == 8
    assert house.last()["braked"] is True
    assert "not looked at for another 1 s" in str(house.last()["because"])
    house.clock.now += 1.0
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"


async def test_a_device_is_never_braked_for_what_somebody_does_elsewhere(house: House) -> None:
    with_password(house)
    for _ in range(20):
        await house.enter(user="sensor-7", password=b"wrong", address="203.0.113.9:1")
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    assert await house.enter(user="sensor-7", password=PASSWORD, address="203.0.113.9:2") == BAD


async def test_names_that_do_not_exist_are_braked_alike(house: House) -> None:
    for _ in range(5):
        assert await house.enter(user="nobody", password=b"wrong") == BAD
    assert house.last()["braked"] is True
    assert len(house.hasher.tried) == 8


async def test_trying_many_names_is_braked_by_address(house: House) -> None:
    with_password(house)
    for number in range(7):
        assert await house.enter(user=f"guess-{number}", password=b"wrong") == BAD
    assert house.last()["braked"] is False
    assert await house.enter(user="sensor-7", password=PASSWORD) == BAD
    assert house.last()["braked"] is True
    assert await house.enter(user="sensor-7", password=PASSWORD, address="192.0.2.2:1") == "sensor-7"


async def test_neighbours_behind_one_address_do_not_pay_for_each_other(house: House) -> None:
    """Who got in from there before is not held up by somebody else's failures."""
    with_password(house)
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"
    for number in range(30):
        await house.enter(user=f"guess-{number}", password=b"wrong")
    assert house.last()["braked"] is True
    assert await house.enter(user="sensor-7", password=PASSWORD) == "sensor-7"


async def test_a_certificate_cannot_be_guessed_and_is_not_braked(house: House) -> None:
    certificate = der(with_certificate(house).certificate)
    for number in range(30):
        await house.enter(user=f"guess-{number}", password=b"wrong")
    assert await house.enter(certificate=certificate) == "sensor-7"


async def test_guesses_that_are_sent_at_once_are_braked_too(house: House) -> None:
    """Each is held against the brake again when its turn has come."""
    with_password(house)
    await asyncio.gather(*(house.enter(user="sensor-7", password=b"wrong %d" % n) for n in range(50)))
    assert len(house.hasher.tried) == 8


async def test_a_fleet_is_not_braked(house: House) -> None:
    with_password(house)
    told = await asyncio.gather(
        *(house.enter(user="sensor-7", password=PASSWORD, client_id=f"sensor-7-{n}") for n in range(100))
    )
    assert told == ["sensor-7"] * 100
    assert len(house.hasher.tried) <= 2


# What is reported. ----------------------------------------------------------------------------------


async def test_a_password_in_the_wrong_field_is_not_reported(house: House) -> None:
    await house.enter(user=PASSWORD.decode(), password=b"")
    assert house.last()["claimed"] == "(not a device's name)"
    assert PASSWORD.decode() not in repr(house.events)


async def test_every_decision_is_reported_with_address_and_reason(house: House) -> None:
    with_password(house)
    await house.enter(user="sensor-7", password=PASSWORD)
    await house.enter(user="sensor-7", password=b"wrong", client_id="x")
    await house.enter()
    assert [name for name, _ in house.events] == [AUTHENTICATED, AUTHENTICATION_REFUSED, AUTHENTICATION_REFUSED]
    assert house.events[1][1] == {
        "claimed": "sensor-7",
        "because": "the password is not that of 'sensor-7'",
        "braked": False,
        "client_id": "x",
        "address": ADDRESS,
        "protocol": "mqtt",
    }


async def test_a_database_that_cannot_be_read_lets_nobody_in(house: House) -> None:
    with_password(house)
    connection = house.identity.registry._database._connection
    connection.execute("UPDATE devices SET record = x'7b'")
    assert await house.enter(user="sensor-7", password=PASSWORD) == (
        f"{UNAVAILABLE}: identities cannot be read just now"
    )
    assert "the record of device 'sensor-7'" in str(house.last()["because"])


async def test_the_principal_is_one_object_per_name(house: House) -> None:
    with_password(house)
    first = await house.authenticator.authenticate(credentials("sensor-7", PASSWORD))
    second = await house.authenticator.authenticate(credentials("sensor-7", PASSWORD, address="192.0.2.9:1"))
    assert first.principal is second.principal
    assert first.principal.root is house.authenticator.principal("sensor-7")
    assert house.authenticator.principal("nobody") is None


def test_credentials_show_nothing_that_the_peer_claims(tmp_path: Path) -> None:
    shown = credentials("user-secret", b"password-secret", b"certificate", "client-secret")
    assert repr(shown) == str(shown) == "Credentials(address='192.0.2.1:50000', protocol='mqtt')"
