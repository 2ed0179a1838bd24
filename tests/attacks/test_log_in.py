"""Guessing without paying, and getting in on what was taken away a moment ago."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.errors import BAD_CREDENTIALS, BUSY, Refusal
from bridgehead.node.identities import Identities
from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.login.authenticate import Authenticator, Credentials
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.records import PermissionRecord
from bridgehead.store.memory import MemoryStore

NOW = 1_800_000_000.0
RIGHT = b"the right one"


class Gate(PasswordHasher):
    """Cheap hashes whose computing waits for the test. `renews`: it takes every hash for an outdated one."""

    def __init__(self, renews: bool = False) -> None:
        super().__init__(1, 8, 1)
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.computed = 0
        self.renews = renews

    def _wait(self) -> None:
        self.begun.release()
        assert self.may_end.acquire(timeout=20)

    def verify(self, encoded: str, password: bytes) -> bool:
        self.computed += 1
        if not self.renews:
            self._wait()
        return super().verify(encoded, password)

    def is_outdated(self, encoded: str) -> bool:
        return self.renews

    def hash(self, password: bytes) -> str:
        self._wait()
        return super().hash(password)

    async def has_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, True, 20)


class House:
    """`writer` is another process, as it were."""

    def __init__(self, folder: Path, hasher: Gate) -> None:
        self.hasher = hasher
        self.writer = Identity(folder, lambda: NOW)
        self.reader = Identity(folder, lambda: NOW)
        encoded = PasswordHasher(1, 8, 1).hash(RIGHT)
        with self.writer.enrolling(Wanted("door", [PermissionRecord("#", True, True)], password=RIGHT)):
            pass
        device = self.writer.registry.existing_device("door")
        self.writer.registry.update_device(replace(device, password=PasswordRecord(encoded, NOW)), NOW)
        verifier = PasswordVerifier(hasher, threads=1)
        self.authenticator = Authenticator(
            self.reader.registry, lambda name, fields: None, clock=lambda: NOW, verifier=verifier
        )
        self.broker = Broker(
            MemoryStore(lambda call: None), Clock(NOW), Limits(), lambda name, fields: None, lambda: None
        )
        self.identities = Identities(self.authenticator, self.broker)

    def close(self) -> None:
        self.hasher.may_end.release(100)
        self.authenticator.close()
        self.reader.close()
        self.writer.close()

    def shown(self, password: bytes, address: str = "192.0.2.1:5000") -> Credentials:
        return Credentials("door", password, None, "door", address, "mqtt")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "data", Gate())
    yield house
    house.close()


@pytest.fixture
def renewing(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "data", Gate(renews=True))
    yield house
    house.close()


async def test_who_leaves_before_the_answer_is_braked_all_the_same(house: House) -> None:
    """Else one address has hashes computed without end, and everybody else's password waits behind them."""
    for _ in range(20):
        task = asyncio.ensure_future(house.authenticator.authenticate(house.shown(b"a guess")))
        begun = asyncio.ensure_future(house.hasher.has_begun())
        await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            house.hasher.begun.release()  # refused without a look: nothing to wait for
            await begun
        task.cancel()
        house.hasher.may_end.release(2)
        await asyncio.gather(task, return_exceptions=True)
    assert house.hasher.computed <= 2 * 6


async def test_who_leaves_while_waiting_for_a_turn_is_not_braked(house: House) -> None:
    """A fleet that comes back after a power cut, with clients that are impatient."""
    first = asyncio.ensure_future(house.authenticator.authenticate(house.shown(RIGHT)))
    await house.hasher.has_begun()
    others = [asyncio.ensure_future(house.authenticator.authenticate(house.shown(RIGHT))) for _ in range(20)]
    await asyncio.sleep(0)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    house.hasher.may_end.release()
    assert (await first).name == "door"
    assert (await house.authenticator.authenticate(house.shown(RIGHT))).name == "door"


async def test_a_device_removed_while_its_hash_is_made_anew_is_out(renewing: House) -> None:
    task = asyncio.ensure_future(renewing.identities.authenticate(renewing.shown(RIGHT)))
    await renewing.hasher.has_begun()
    renewing.writer.remove_device("door")
    renewing.identities.follow()
    renewing.hasher.may_end.release()
    with pytest.raises(Refusal) as caught:
        await task
    assert caught.value.meaning == BAD_CREDENTIALS
    assert renewing.authenticator.principal("door") is None


@pytest.mark.parametrize("disabled", [False, True])
async def test_a_device_changed_while_its_hash_is_made_anew_gets_in_as_it_is_now(
    renewing: House, disabled: bool
) -> None:
    task = asyncio.ensure_future(renewing.identities.authenticate(renewing.shown(RIGHT)))
    await renewing.hasher.has_begun()
    registry = renewing.writer.registry
    registry.update_device(replace(registry.existing_device("door"), permissions=(), enabled=not disabled), NOW)
    renewing.hasher.may_end.release()
    if disabled:
        with pytest.raises(Refusal):
            await task
    else:
        proven = await task
        assert not proven.principal.may_publish("a", 0, False)


async def test_what_is_void_by_the_time_the_session_begins_does_not_get_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes after the last look at the record, before the connection is known to the broker."""
    house.hasher.may_end.release(10)
    prove = house.authenticator.authenticate
    registry = house.writer.registry

    async def change_at_the_end(credentials: Credentials) -> object:
        principal = await prove(credentials)
        device = registry.existing_device("door")
        registry.update_device(replace(device, password=PasswordRecord("$other", NOW + 1)), NOW)
        return principal

    monkeypatch.setattr(house.authenticator, "authenticate", change_at_the_end)
    with pytest.raises(Refusal) as caught:
        await house.identities.authenticate(house.shown(RIGHT))
    assert caught.value.meaning == BUSY


async def test_a_record_that_cannot_be_read_shuts_its_device_out_and_no_other_in(house: House) -> None:
    """In one look at the registry: one record damaged, another one's password changed."""
    house.hasher.may_end.release(10)
    with house.writer.enrolling(Wanted("gate", [PermissionRecord("#", True, True)], password=RIGHT)):
        pass
    assert house.authenticator.principal("gate") is not None
    await house.identities.authenticate(house.shown(RIGHT))
    registry = house.writer.registry
    with registry.transaction():
        registry.update_device(replace(registry.existing_device("door"), roles=()), NOW)
        gate = registry.existing_device("gate")
        registry.update_device(replace(gate, password=PasswordRecord("$other", NOW + 1)), NOW)
        registry._database.write("UPDATE devices SET record = x'7b' WHERE name = 'door'")
    assert sorted(house.identities.follow()) == ["door", "gate"]
