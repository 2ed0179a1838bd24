"""Listeners follow the configuration; what fails leaves everything as it was."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridgehead.node.configuration import Limits
from bridgehead.node.configuration import Listener as Settings
from bridgehead.node.listeners import Listeners, name_of
from bridgehead.security import pki
from bridgehead.security.errors import SecurityError
from bridgehead.security.login.chain import Chain
from bridgehead.transport.address import BindError
from bridgehead.transport.ceilings import Ceilings
from bridgehead.transport.shared import Shared
from bridgehead.transport.stream import Stream


class House:
    """Listeners with what they report, and the streams that came in."""

    def __init__(self, folder: Path) -> None:
        self.streams: list[Stream] = []
        self.events: list[tuple[str, dict[str, object]]] = []
        self.listeners = Listeners(
            self._accept,
            pki.ensure(folder, []),
            Shared(),
            Ceilings(100),
            lambda name, fields: self.events.append((name, fields)),
        )

    def _accept(self, stream: Stream, chain: Chain) -> None:
        self.streams.append(stream)
        stream.start(lambda data: None, lambda reason: None)

    async def change(self, *wanted: Settings, limits: Limits | None = None) -> list[str]:
        await self.listeners.change(wanted, limits or Limits())
        return self.listeners.addresses()

    async def reached(self, port: int) -> None:
        """Connect, and wait for the stream to come in."""
        before = len(self.streams)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        while len(self.streams) == before:
            await asyncio.sleep(0.005)
        writer.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    one = House(tmp_path / "data")
    yield one
    one.listeners.close()
    for stream in one.streams:
        stream.abort()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def plain(port: int, transport: str = "tcp") -> Settings:
    if transport == "tcp":
        return Settings(bind=f"127.0.0.1:{port}", plaintext=True)
    return Settings(bind=f"127.0.0.1:{port}", plaintext=True, transport="websocket")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (Settings(bind="*:1"), "mqtts"),
        (Settings(bind="*:1", plaintext=True), "mqtt"),
        (Settings(bind="*:1", transport="websocket"), "wss"),
        (Settings(bind="*:1", transport="websocket", plaintext=True), "ws"),
        (Settings(bind="unix:/a"), "unix"),
        (Settings(bind="unix:/a", plaintext=True), "unix"),
    ],
)
def test_the_name_of_a_listener(settings: Settings, name: str) -> None:
    assert name_of(settings) == name


async def test_every_address_is_told(house: House) -> None:
    port = free_port()
    assert await house.change(plain(port), plain(0)) == [f"mqtt=127.0.0.1:{port}", house.listeners.addresses()[1]]
    assert await house.change(Settings(bind="*:0", plaintext=True)) == house.listeners.addresses()
    (address,) = house.listeners.addresses()
    assert address.partition(":")[0] in ("mqtt=[", "mqtt=0.0.0.0")
    await house.reached(int(address.rpartition(":")[2]))


async def test_what_fails_leaves_everything_as_it_was(house: House) -> None:
    port, other = free_port(), free_port()
    before = await house.change(plain(port))
    with socket.create_server(("127.0.0.1", other)), pytest.raises(BindError, match="listens there already"):
        # The first of them would take the place of the listener that is open.
        await house.change(plain(port, "websocket"), plain(0), plain(other))
    assert house.listeners.addresses() == before
    await house.reached(port)
    assert [name for name, _ in house.events] == ["listener.opened", "listener.plaintext"]


async def test_a_bad_certificate_opens_and_closes_nothing(house: House, tmp_path: Path) -> None:
    port = free_port()
    before = await house.change(plain(port))
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(SecurityError):
        await house.change(Settings(bind="127.0.0.1:0", certificate=str(bad), key=str(bad)))
    assert house.listeners.addresses() == before
    await house.reached(port)


async def test_a_listener_whose_settings_changed_takes_its_own_place(house: House) -> None:
    port = free_port()
    await house.change(plain(port))
    assert await house.change(plain(port, "websocket")) == [f"ws=127.0.0.1:{port}"]
    assert [name for name, _ in house.events].count("listener.closed") == 1


async def test_a_longer_connect_timeout_is_for_new_connections(house: House) -> None:
    port = free_port()
    await house.change(plain(port))
    await house.reached(port)
    await house.change(plain(port), limits=Limits(connect_timeout=60.0))
    await house.reached(port)
    assert len(house.streams) == 2


async def test_other_certificates_do_not_move_a_listener(house: House) -> None:
    before = await house.change(Settings(bind="127.0.0.1:0"))
    assert await house.change(Settings(bind="127.0.0.1:0", client_certificate="required")) == before
    assert [name for name, _ in house.events] == ["listener.opened"]
