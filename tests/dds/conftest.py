"""A DDS domain for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dds.domains import free_domain


@pytest.fixture
def domain() -> Iterator[int]:
    with free_domain() as number:
        yield number


@pytest.fixture(scope="module")
def shared_domain() -> Iterator[int]:
    with free_domain() as number:
        yield number
