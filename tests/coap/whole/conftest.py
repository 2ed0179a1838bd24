"""One hub for all tests that do not change it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.coap.whole.harbour import Harbour


@pytest.fixture(scope="session")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    made = Harbour(tmp_path_factory.mktemp("harbour"))
    made.start()
    try:
        yield made
    finally:
        made.hub.__exit__(None, None, None)
