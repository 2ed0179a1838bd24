"""Whose is a key that a handshake proves? Pre-shared keys, raw public keys, certificates; guessing; what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.core.errors import BAD_CREDENTIALS, UNAVAILABLE, Refusal
from bridgehead.core.policy import Context
from bridgehead.security.credentials import Sealed
from bridgehead.security.errors import SecurityError
from bridgehead.security.events import AUTHENTICATED, AUTHENTICATION_REFUSED, LOCKED_OUT, RECORD_UNREADABLE
from bridgehead.security.identity.identity import Enrolled, Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.login.brake import BrakeLimits
from bridgehead.security.login.guard import GuardLimits
from bridgehead.security.login.keys import Kind
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.login.proof import NEVER
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.enforced import credentials_in_force
from bridgehead.security.vault import Vault
from tests.security.support import DAY, Time, der, enrol, publish

ADDRESS = "192.0.2.1"
PORT = f"{ADDRESS}:50000"


class CountingVault:
    """Tells how often something was opened."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.opened: list[str] = []

    def unlock(self) -> bool:
        return self._vault.unlock()

    def seal(self, plain: bytes, context: str) -> Sealed:
        return self._vault.seal(plain, context)

    def open_sealed(self, sealed: Sealed, context: str) -> bytes:
        self.opened.append(context)
        return self._vault.open_sealed(sealed, context)


class Gate:
    """A hub's identities, and what it reported."""

    def __init__(self, identity: Identity, clock: Time) -> None:
        self.identity = identity
        self.clock = clock
        self.events: list[tuple[str, dict[str, object]]] = []
        self.vault = CountingVault(identity.vault)
        self.registry = Registry(identity.data)
        self.authenticator = Authenticator(
            self.registry,
            lambda name, fields: self.events.append((name, fields)),
            clock=clock,
            verifier=PasswordVerifier(PasswordHasher(1, 8, 1), threads=1),
            limits=GuardLimits(BrakeLimits(free=3), BrakeLimits(free=50), lock_after=6, lock_seconds=3600.0),
            vault=self.vault,
        )
        self.keys = self.authenticator.keys

    def add(self, name: str, *, require: bool = False) -> Enrolled:
        if require:
            fresh = Fresh(password=b"a password for the tests", psk=name, certificate=True)
            wanted = Wanted(name, (publish("a"),), require="password+certificate", fresh=fresh)
        else:
            wanted = Wanted(name, (publish("a"),), fresh=Fresh(psk=name, raw_key=True, certificate=True))
        return enrol(self.identity, wanted)

    def fails(self, identity: str) -> None:
        """A handshake with this identity and a key that is not its own."""
        self.keys.pre_shared_key(identity.encode(), ADDRESS)
        self.keys.failed("psk", identity.encode(), "the key is another one", ADDRESS, "coap")

    def told(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    clock = Time()
    identity = Identity(tmp_path / "data", clock)
    identity.maintain([])
    made = Gate(identity, clock)
    yield made
    made.authenticator.close()
    made.registry.close()
    identity.close()


def shown(enrolled: Enrolled, kind: Kind) -> bytes:
    if kind == "psk":
        assert enrolled.psk is not None
        return enrolled.psk.identity.encode()
    if kind == "rpk":
        assert enrolled.raw_key is not None
        return enrolled.raw_key.spki
    return der(enrolled.certificate)


KINDS: tuple[Kind, ...] = ("psk", "rpk", "certificate")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_proves_its_device(gate: Gate, kind: Kind) -> None:
    enrolled = gate.add("node")
    proven = gate.keys.prove(kind, shown(enrolled, kind), PORT, "coap")
    assert (proven.name, proven.kinds) == ("node", (kind,))
    assert proven.principal.context == Context("coap", (kind,))
    ((found, fields),) = [event for event in gate.events if event[0].startswith("authentication")]
    assert found == AUTHENTICATED
    assert fields == {"principal": "node", "by": kind, "client_id": "", "address": PORT, "protocol": "coap"}
    held, _ = credentials_in_force(enrolled.device, gate.clock())
    assert proven.marks == (f"{kind} {next(iter(held[kind]))}",)
    assert (proven.expires_at == NEVER) == (kind != "certificate")


async def test_what_a_handshake_asks_for(gate: Gate) -> None:
    enrolled = gate.add("node")
    assert enrolled.psk is not None
    assert enrolled.raw_key is not None
    assert gate.keys.pre_shared_key(b"node", ADDRESS) == enrolled.psk.key
    assert gate.keys.knows_raw_key(enrolled.raw_key.spki)
    assert not gate.keys.knows_raw_key(enrolled.raw_key.spki + b"\0")


@pytest.mark.parametrize("identity", [b"nobody", b"", b"\xff\xfe", b"node\0", b"n" * 128])
async def test_an_identity_of_nobody_costs_as_much_as_somebodys(gate: Gate, identity: bytes) -> None:
    """Each opens one box, asked first and asked again."""
    gate.add("node")
    for _ in range(3):
        gate.vault.opened.clear()
        assert gate.keys.pre_shared_key(b"node", ADDRESS) is not None
        assert len(gate.vault.opened) == 1
        gate.vault.opened.clear()
        assert gate.keys.pre_shared_key(identity, ADDRESS) is None
        assert len(gate.vault.opened) == 1


async def test_an_identity_that_is_added_later_is_known_then(gate: Gate) -> None:
    assert gate.keys.pre_shared_key(b"late", ADDRESS) is None
    gate.add("late")
    assert gate.keys.pre_shared_key(b"late", ADDRESS) is not None


@pytest.mark.parametrize("act", ["disable", "revoke", "remove"])
@pytest.mark.parametrize("kind", KINDS)
async def test_who_has_no_right_any_more_is_nobody(gate: Gate, act: str, kind: Kind) -> None:
    enrolled = gate.add("node")
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is not None
    if act == "disable":
        gate.registry.update_device(replace(enrolled.device, enabled=False), gate.clock())
    elif act == "revoke":
        gate.identity.revoke("node")
    else:
        gate.identity.remove_device("node")
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is None
    assert not gate.keys.knows_raw_key(shown(enrolled, "rpk"))
    with pytest.raises(Refusal) as refusal:
        gate.keys.prove(kind, shown(enrolled, kind), PORT, "coap")
    assert refusal.value.meaning == BAD_CREDENTIALS
    assert "node" not in refusal.value.because
    assert gate.told(AUTHENTICATION_REFUSED)[-1]["mechanism"] == kind


async def test_a_former_key_counts_until_its_time_is_over(gate: Gate) -> None:
    enrolled = gate.add("node")
    device = enrolled.device
    until = gate.clock() + DAY
    old = replace(device.pre_shared_keys[0], until=until)
    raw = replace(device.raw_public_keys[0], until=until)
    gate.registry.update_device(replace(device, pre_shared_keys=(old,), raw_public_keys=(raw,)), gate.clock())
    for kind in KINDS[:2]:
        proven = gate.keys.prove(kind, shown(enrolled, kind), PORT, "coap")
        assert proven.expires_at == until
    gate.clock.now = until
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is None
    assert not gate.keys.knows_raw_key(shown(enrolled, "rpk"))
    with pytest.raises(Refusal):
        gate.keys.prove("psk", b"node", PORT, "coap")


async def test_password_and_certificate_are_not_replaced_by_a_key(gate: Gate) -> None:
    enrolled = gate.add("careful", require=True)
    for kind in (KINDS[0], KINDS[2]):
        with pytest.raises(Refusal):
            gate.keys.prove(kind, shown(enrolled, kind), PORT, "coap")
        assert "by password and certificate" in str(gate.told(AUTHENTICATION_REFUSED)[-1]["because"])


# Guessing. -----------------------------------------------------------------------------------------------


async def test_wrong_keys_are_braked_and_a_braked_try_counts_for_nothing(gate: Gate) -> None:
    gate.add("node")
    for _ in range(4):
        gate.fails("node")
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is None
    gate.keys.failed("psk", b"node", "the key is another one", ADDRESS, "coap")
    told = gate.told(AUTHENTICATION_REFUSED)
    assert [fields["braked"] for fields in told] == [False] * 4 + [True]
    assert "not looked at" in str(told[-1]["because"])
    assert gate.keys.pre_shared_key(b"node", "192.0.2.2") is not None  # a brake is for one address
    gate.clock.now += 2.0
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is not None


async def test_many_wrong_keys_lock_out_and_the_right_one_sets_the_count_back(gate: Gate) -> None:
    gate.add("node")
    for _ in range(3):
        gate.fails("node")
    gate.keys.prove("psk", b"node", ADDRESS, "coap")
    for _ in range(6):
        gate.fails("node")
        gate.clock.now += 100.0
    ((fields),) = gate.told(LOCKED_OUT)
    assert fields["claimed"] == "node"
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is None
    await asyncio.sleep(0)  # the lock-out is being written


async def test_an_identity_of_nobody_is_braked_as_somebodys_is(gate: Gate) -> None:
    for _ in range(5):
        gate.fails("nobody")
    assert [fields["braked"] for fields in gate.told(AUTHENTICATION_REFUSED)] == [False] * 4 + [True]


async def test_what_may_be_a_secret_is_not_told(gate: Gate) -> None:
    gate.fails("my secret/key")
    (fields,) = gate.told(AUTHENTICATION_REFUSED)
    assert fields["claimed"] == "(not a device's name)"
    assert "secret" not in str(fields)


async def test_a_failed_raw_key_or_certificate_is_told_and_brakes_nobody(gate: Gate) -> None:
    enrolled = gate.add("node")
    for _ in range(10):
        gate.keys.failed("rpk", shown(enrolled, "rpk"), "the signature is wrong", ADDRESS, "coap")
        gate.keys.failed("certificate", b"not DER", "it has expired", ADDRESS, "coap")
        gate.keys.failed(None, b"", "it broke off", ADDRESS, "coap")
    told = gate.told(AUTHENTICATION_REFUSED)
    assert {fields["claimed"] for fields in told[0::3]} == {"node"}
    assert {fields["claimed"] for fields in told[1::3]} == {""}
    assert "mechanism" not in told[2]
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is not None


# Faults. -------------------------------------------------------------------------------------------------


async def test_a_key_that_cannot_be_opened_lets_nobody_in_and_is_told(gate: Gate) -> None:
    enrolled = gate.add("node")
    (record,) = enrolled.device.pre_shared_keys
    damaged = replace(record, key=Sealed(record.key.key, record.key.box[:-1] + b"?"))
    gate.registry.update_device(replace(enrolled.device, pre_shared_keys=(damaged,)), gate.clock())
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is None
    (fields,) = gate.told(RECORD_UNREADABLE)
    assert "damaged" in str(fields["because"])


async def test_records_that_cannot_be_read_let_nobody_in(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    enrolled = gate.add("node")

    def broken() -> None:
        raise SecurityError("the registry is locked")

    monkeypatch.setattr(gate.authenticator, "follow", broken)
    assert gate.keys.pre_shared_key(b"node", ADDRESS) is None
    assert not gate.keys.knows_raw_key(shown(enrolled, "rpk"))
    with pytest.raises(Refusal) as refusal:
        gate.keys.prove("psk", b"node", PORT, "coap")
    assert refusal.value.meaning == UNAVAILABLE


async def test_without_a_vault_there_are_no_pre_shared_keys(gate: Gate) -> None:
    enrolled = gate.add("node")
    bare = Authenticator(gate.registry, lambda name, fields: None, clock=gate.clock)
    assert bare.keys.pre_shared_key(b"node", ADDRESS) is None
    assert bare.keys.knows_raw_key(shown(enrolled, "rpk"))
    bare.close()
