"""What changes in the registry takes effect on principals, sessions and connections of the running hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal
from bridgehead.core.message import Message
from bridgehead.core.session import Receiver, Session, Subscription, Target
from bridgehead.node.identities import Identities
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.login.authenticate import Authenticator, Credentials
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.records import PermissionRecord
from bridgehead.store.memory import MemoryStore

NOW = 1_800_000_000.0
TOPIC = PermissionRecord("t", publish=True, subscribe=True)


class Connection(Receiver):
    def __init__(self) -> None:
        self.got: list[str] = []
        self.dismissed: list[str] = []

    def transmit(self, message: Message, target: Target) -> None:
        self.got.append(message.topic)

    def dismiss(self, meaning: str, because: str) -> None:
        self.dismissed.append(meaning)

    def pump(self) -> None:
        pass

    def committed(self, ticket: int) -> None:
        pass


class House:
    """A broker, a registry with its own writer (another process, as it were), and what joins them."""

    def __init__(self, folder: Path) -> None:
        self.writer = Identity(folder, lambda: NOW)
        self.reader = Identity(folder, lambda: NOW)
        self.events: list[tuple[str, dict[str, object]]] = []
        self.verifier = PasswordVerifier(PasswordHasher())
        self.authenticator = Authenticator(self.reader.registry, self._event, clock=lambda: NOW, verifier=self.verifier)
        self.turn: list[object] = []
        self.store = MemoryStore(self._run)
        self.broker = Broker(self.store, Clock(NOW), Limits(), self._event, lambda: None)
        self.identities = Identities(self.authenticator, self.broker)

    def _event(self, name: str, fields: dict[str, object]) -> None:
        self.events.append((name, fields))

    def _run(self, call: object) -> None:
        assert callable(call)
        call()

    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def enrol(self, name: str, *permissions: PermissionRecord) -> None:
        with self.writer.enrolling(Wanted(name, permissions, password=b"secret")):
            pass

    def amend(self, name: str, *permissions: PermissionRecord) -> None:
        device = self.writer.registry.existing_device(name)
        self.writer.registry.update_device(replace(device, permissions=permissions), NOW)

    async def connect(self, name: str, expiry: float = 0.0) -> tuple[Session, Connection, bool]:
        credentials = Credentials(name, b"secret", None, name, "127.0.0.1:1", "mqtt")
        principal = (await self.identities.authenticate(credentials)).principal
        self.broker.admit(principal)
        connection = Connection()
        session, present = self.broker.attach(principal, name, "mqtt", True, False, expiry, None, connection)
        return session, connection, present

    def close(self) -> None:
        self.authenticator.close()
        self.reader.close()
        self.writer.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    one = House(tmp_path / "data")
    yield one
    one.close()


async def test_a_permission_taken_away_ends_delivery_at_once(house: House) -> None:
    house.enrol("reader", TOPIC)
    session, connection, _ = await house.connect("reader")
    house.broker.door.subscribe(Subscription(session, "t", 0))
    house.broker.door.publish(session.principal, Message("t", b"1", 0, False, session.origin), None)
    assert connection.got == ["t"]
    house.amend("reader", PermissionRecord("t", publish=True, subscribe=False))
    house.identities.follow()
    house.broker.door.publish(session.principal, Message("t", b"2", 0, False, session.origin), None)
    assert connection.got == ["t"]
    assert connection.dismissed == [NOT_AUTHORIZED]  # it is to know that it has the subscription no more
    assert house.names()[-2:] == ["subscription.withdrawn", "identity.permissions-changed"]
    house.amend("reader", TOPIC)
    house.identities.follow()
    house.broker.door.subscribe(Subscription(session, "t", 0))
    house.broker.door.publish(session.principal, Message("t", b"3", 0, False, session.origin), None)
    assert connection.got == ["t", "t"]


async def test_other_permissions_are_no_reason_to_end_the_connection(house: House) -> None:
    house.enrol("reader", TOPIC)
    session, connection, _ = await house.connect("reader")
    house.broker.door.subscribe(Subscription(session, "t", 0))
    house.amend("reader", PermissionRecord("t", publish=False, subscribe=True))
    house.identities.follow()
    assert connection.dismissed == []
    assert list(session.subscriptions) == ["t"]


async def test_nothing_is_done_when_nothing_has_changed(house: House) -> None:
    house.enrol("reader", TOPIC)
    await house.connect("reader")
    before = list(house.events)
    house.identities.follow()
    assert house.events == before


async def test_a_removed_identity_loses_connection_and_sessions(house: House) -> None:
    house.enrol("reader", TOPIC)
    session, connection, _ = await house.connect("reader", 3600.0)
    house.broker.door.subscribe(Subscription(session, "t", 1))
    house.writer.remove_device("reader")
    house.identities.follow()
    assert connection.dismissed == [NOT_AUTHORIZED]
    assert session.ended
    assert len(house.broker.sessions) == 0
    assert house.broker.router.subscriptions == 0
    assert ("identity.ended", {"principal": "reader", "because": "the identity was removed"}) in house.events
    with pytest.raises(Refusal):
        house.broker.door.publish(session.principal, Message("t", b"", 0, False, session.origin), None)


async def test_a_disabled_identity_loses_its_connection(house: House) -> None:
    house.enrol("reader", TOPIC)
    _, connection, _ = await house.connect("reader", 3600.0)
    device = house.writer.registry.existing_device("reader")
    house.writer.registry.update_device(replace(device, enabled=False), NOW)
    house.identities.follow()
    assert connection.dismissed == [NOT_AUTHORIZED]
    assert "identity.changed" in house.names()
    with pytest.raises(Refusal):
        await house.connect("reader")


async def test_the_new_holder_of_a_name_does_not_get_the_old_ones_session(house: House) -> None:
    house.enrol("reader", TOPIC)
    session, connection, _ = await house.connect("reader", 3600.0)
    house.broker.detach(session, connection, False)
    house.writer.remove_device("reader")
    with house.writer.enrolling(Wanted("reader", [TOPIC], password=b"secret")):
        pass
    device = house.writer.registry.existing_device("reader")
    house.writer.registry.update_device(replace(device, created=NOW + 1), NOW)
    # Nobody has asked for changes meanwhile: the new one's own connection comes first.
    new, _, present = await house.connect("reader", 3600.0)
    assert not present
    assert new is not session
    assert session.ended


async def test_after_a_restart_only_identities_that_still_exist_get_their_sessions_back(house: House) -> None:
    for name in ("stays", "goes"):
        house.enrol(name, TOPIC)
        session, connection, _ = await house.connect(name, 3600.0)
        house.broker.door.subscribe(Subscription(session, "t", 1))
        house.broker.detach(session, connection, False)
    house.broker.journal.flush()
    house.writer.remove_device("goes")
    again = Broker(house.store, Clock(NOW + 1), Limits(), lambda name, fields: None, lambda: None)
    Identities(house.authenticator, again).recover(house.store)
    again.journal.flush()
    assert [session.principal.name for session in again.sessions.all()] == ["stays"]
    assert again.router.subscriptions == 1
    assert [key for key, _ in house.store.scan("session")] == ["stays/stays"]
