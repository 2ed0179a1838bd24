"""Hashing and verifying passwords: the parameters, the queue, what is remembered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import argon2
import pytest

from bridgehead.core.errors import BUSY, Refusal
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier, generate_password

CHEAP = PasswordHasher(1, 8, 1)


class Gate(PasswordHasher):
    """A hasher whose verification stands still until it is let go, so that a test decides who waits."""

    def __init__(self) -> None:
        super().__init__(1, 8, 1)
        self.go = threading.Event()
        self.calls: list[tuple[str, bytes]] = []

    def verify(self, encoded: str, password: bytes) -> bool:
        self.calls.append((encoded, password))
        if not self.go.wait(20):
            raise TimeoutError
        return super().verify(encoded, password)


def now() -> float:
    return 0.0


def due(*encoded: str) -> Callable[[], tuple[str, ...]]:
    return lambda: encoded


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not come to that")


def test_the_parameters_are_those_that_are_documented() -> None:
    parameters = argon2.extract_parameters(PasswordHasher().hash(b"secret"))
    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
    assert (parameters.hash_len, parameters.salt_len, parameters.version) == (32, 16, 0x13)


def test_a_hash_fits_its_password_only_and_is_salted() -> None:
    encoded = CHEAP.hash("pässword".encode())
    assert CHEAP.verify(encoded, "pässword".encode())
    assert not CHEAP.verify(encoded, b"password")
    assert CHEAP.hash("pässword".encode()) != encoded


@pytest.mark.parametrize("encoded", ["", "no hash", "$argon2id$v=19$m=8,t=1,p=1$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$"])
def test_a_hash_that_cannot_be_read_fits_nothing(encoded: str) -> None:
    assert not CHEAP.verify(encoded, b"password")


def test_nobodys_hash_has_todays_parameters_and_fits_nothing() -> None:
    """A name that does not exist costs what a wrong password costs."""
    for hasher in (CHEAP, PasswordHasher()):
        assert argon2.extract_parameters(hasher.nobody) == argon2.extract_parameters(hasher.hash(b"x"))
        assert not hasher.is_outdated(hasher.nobody)
    assert not CHEAP.verify(CHEAP.nobody, b"")
    assert PasswordHasher(1, 8, 1).nobody != CHEAP.nobody


def test_a_hash_of_other_parameters_is_outdated() -> None:
    encoded = CHEAP.hash(b"password")
    assert not CHEAP.is_outdated(encoded)
    assert PasswordHasher(2, 8, 1).is_outdated(encoded)
    assert PasswordHasher(1, 16, 1).is_outdated(encoded)


def test_generated_passwords_have_154_bits_and_need_no_quoting() -> None:
    made = {generate_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        assert len(password) == 26
        assert password.isascii()
        assert password.isalnum()
    assert len(set("".join(made))) == 62


async def test_it_verifies() -> None:
    verifier = PasswordVerifier(CHEAP)
    encoded = CHEAP.hash(b"right")
    assert await verifier.verify("192.0.2.1", b"right", due(encoded), now)
    assert not await verifier.verify("192.0.2.1", b"wrong", due(encoded), now)
    verifier.close()


async def test_it_does_not_hold_up_the_loop() -> None:
    gate = Gate()
    verifier = PasswordVerifier(gate, threads=1)
    task = asyncio.create_task(verifier.verify("192.0.2.1", b"x", due(gate.nobody), now))
    await until(lambda: bool(gate.calls))
    assert not task.done()
    gate.go.set()
    assert await task is None
    verifier.close()


async def test_beyond_the_queue_it_is_busy_and_then_serves_again() -> None:
    gate = Gate()
    verifier = PasswordVerifier(gate, threads=1, waiting=3)
    tasks = [asyncio.create_task(verifier.verify(f"192.0.2.{n}", b"x", due(gate.nobody), now)) for n in range(4)]
    await until(lambda: bool(gate.calls))
    with pytest.raises(Refusal) as caught:
        await verifier.verify("192.0.2.9", b"x", due(gate.nobody), now)
    assert caught.value.meaning == BUSY
    gate.go.set()
    assert await asyncio.gather(*tasks) == [None] * 4
    assert not await verifier.verify("192.0.2.9", b"x", due(gate.nobody), now)
    verifier.close()


async def test_one_address_does_not_take_the_whole_queue() -> None:
    gate = Gate()
    verifier = PasswordVerifier(gate, threads=1, waiting=10, waiting_per_address=2)
    tasks = [asyncio.create_task(verifier.verify("192.0.2.1", b"x", due(gate.nobody), now)) for _ in range(3)]
    await until(lambda: bool(gate.calls))
    with pytest.raises(Refusal):
        await verifier.verify("192.0.2.1", b"x", due(gate.nobody), now)
    other = asyncio.create_task(verifier.verify("192.0.2.2", b"x", due(gate.nobody), now))
    gate.go.set()
    assert await asyncio.gather(*tasks, other) == [None] * 4
    assert verifier._waiting_by_address == {}
    verifier.close()


async def test_who_goes_away_while_waiting_leaves_the_queue() -> None:
    gate = Gate()
    verifier = PasswordVerifier(gate, threads=1, waiting=1)
    first = asyncio.create_task(verifier.verify("192.0.2.1", b"x", due(gate.nobody), now))
    await until(lambda: bool(gate.calls))
    second = asyncio.create_task(verifier.verify("192.0.2.2", b"y", due(gate.nobody), now))
    await until(lambda: verifier._waiting == 1)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    third = asyncio.create_task(verifier.verify("192.0.2.3", b"z", due(gate.nobody), now))
    gate.go.set()
    assert [await first, await third] == [None, None]
    assert [password for _, password in gate.calls] == [b"x", b"z"]
    verifier.close()


async def test_who_goes_away_while_being_verified_keeps_the_thread_counted() -> None:
    """Else connecting and hanging up would fill the pool's own queue without limit."""
    gate = Gate()
    verifier = PasswordVerifier(gate, threads=1)
    first = asyncio.create_task(verifier.verify("192.0.2.1", b"x", due(gate.nobody), now))
    await until(lambda: bool(gate.calls))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(verifier.verify("192.0.2.2", b"y", due(gate.nobody), now))
    await until(lambda: verifier._waiting == 1)
    assert len(gate.calls) == 1
    gate.go.set()
    assert await second is None
    verifier.close()


async def test_a_turn_that_is_no_longer_wanted_is_given_on() -> None:
    def braked() -> tuple[str, ...]:
        raise Refusal(BUSY, "too late")

    verifier = PasswordVerifier(CHEAP, threads=1)
    for _ in range(3):
        with pytest.raises(Refusal, match="too late"):
            await verifier.verify("192.0.2.1", b"x", braked, now)
    assert not await verifier.verify("192.0.2.1", b"x", due(CHEAP.nobody), now)
    verifier.close()


async def test_a_right_password_is_remembered_for_a_while() -> None:
    verifier = PasswordVerifier(CHEAP, remember_seconds=300)
    encoded = CHEAP.hash(b"right")
    assert not verifier.remembers(encoded, b"right", 1000.0)
    assert await verifier.verify("192.0.2.1", b"right", due(encoded), lambda: 1000.0)
    assert verifier.remembers(encoded, b"right", 1299.0)
    assert not verifier.remembers(encoded, b"right", 1300.0)
    assert not verifier.remembers(encoded, b"wrong", 1001.0)
    assert not verifier.remembers(CHEAP.hash(b"right"), b"right", 1001.0)  # the hash was changed since
    verifier.close()


async def test_a_wrong_password_is_not_remembered_and_neither_is_anything_when_it_is_off() -> None:
    encoded = CHEAP.hash(b"right")
    verifier = PasswordVerifier(CHEAP)
    await verifier.verify("192.0.2.1", b"wrong", due(encoded), now)
    assert not verifier._remembered
    verifier.close()
    verifier = PasswordVerifier(CHEAP, remember_seconds=0)
    assert await verifier.verify("192.0.2.1", b"right", due(encoded), now)
    assert not verifier._remembered
    verifier.close()


async def test_what_is_remembered_is_bounded_and_holds_no_password() -> None:
    verifier = PasswordVerifier(CHEAP, remembered=3)
    for number in range(5):
        encoded = CHEAP.hash(b"right %d" % number)
        await verifier.verify("192.0.2.1", b"right %d" % number, due(encoded), now)
    assert len(verifier._remembered) == 3
    assert all(len(mac) == 32 and b"right" not in mac for mac in verifier._remembered)
    verifier.close()


async def test_a_fleet_with_one_password_costs_as_many_hashes_as_there_are_threads() -> None:
    gate = Gate()
    gate.go.set()
    verifier = PasswordVerifier(gate, threads=2)
    encoded = gate.hash(b"right")
    found = await asyncio.gather(*(verifier.verify("192.0.2.1", b"right", due(encoded), now) for _ in range(100)))
    assert found == [encoded] * 100
    assert len(gate.calls) <= 4
    verifier.close()


async def test_threads_yield_to_the_loop_by_their_priority() -> None:
    import os

    found: list[int] = []
    verifier = PasswordVerifier(CHEAP, threads=1)
    await verifier.run(lambda: found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    assert found[0] > os.getpriority(os.PRIO_PROCESS, 0) or found[0] == 19
    verifier.close()


async def test_closing_gives_up_what_waits() -> None:
    gate = Gate()
    verifier = PasswordVerifier(gate, threads=1)
    running = asyncio.create_task(verifier.verify("192.0.2.1", b"x", due(gate.nobody), now))
    await until(lambda: bool(gate.calls))
    waiting = asyncio.create_task(verifier.verify("192.0.2.1", b"x", due(gate.nobody), now))
    await until(lambda: verifier._waiting == 1)
    for task in (running, waiting):
        task.cancel()
    gate.go.set()
    before = time.monotonic()
    verifier.close()
    assert time.monotonic() - before < 20  # it ends at all
    assert [task.cancelled() for task in await asyncio.wait_for(_settled(running, waiting), 20)] == [True, True]


async def _settled(*tasks: asyncio.Task[str | None]) -> list[asyncio.Task[str | None]]:
    await asyncio.gather(*tasks, return_exceptions=True)
    return list(tasks)
