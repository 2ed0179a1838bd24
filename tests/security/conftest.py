"""Fixtures of the security tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security.identity.identity import Identity
from tests.security.support import Time


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def identity(data: Path, clock: Time) -> Iterator[Identity]:
    found = Identity(data, clock)
    yield found
    found.close()
