"""A data folder with an authority, devices in it, and their bundles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.export.folder import BundleFolder
from bridgehead.security.export.gather import check_usable, gathering
from bridgehead.security.export.targets import TARGETS, Order
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.records import PermissionRecord
from tests.security.support import machine


class Home:
    """`export` does what `bridgehead device export` does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.identity = Identity(self.data)  # by the real clock: foreign programs look at theirs
        self.identity.maintain([], machine)

    def add(self, name: str, *permissions: PermissionRecord) -> None:
        with self.identity.enrolling(Wanted(name, permissions, certificate=True)):
            pass

    def export(self, name: str, target: str, *new: str, host: str = "localhost", port: int | None = None) -> Path:
        chosen = TARGETS[target]
        number = sum(1 for _ in self.folder.iterdir())
        folder = BundleFolder(self.folder / f"{name}-{target}-{number}")
        with gathering(self.identity, name, new, 3600.0) as enrolled:
            if chosen.usable:
                check_usable(enrolled, chosen.usable, target)
            order = Order(self.identity, enrolled, host, chosen.port if port is None else port)
            folder.put(chosen.build(order))
        return folder.folder


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.identity.close()


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("home"))
    yield made
    made.identity.close()
