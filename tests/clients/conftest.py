"""One hub for all clients of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.office import Office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")) as running:
        yield running
