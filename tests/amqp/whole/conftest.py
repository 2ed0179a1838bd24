"""One hub for all tests that do not change it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.amqp.whole.office import Office


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")) as made:
        yield made
