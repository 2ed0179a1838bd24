"""A key distribution centre for the session, started when the first test asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.sasl.kdc import Kdc


@pytest.fixture(scope="session")
def kdc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    """The library in this process uses its configuration too, until the session ends."""
    found = Kdc(tmp_path_factory.mktemp("kdc"))
    before = os.environ.get("KRB5_CONFIG")
    os.environ["KRB5_CONFIG"] = found.environment["KRB5_CONFIG"]
    try:
        yield found
    finally:
        found.close()
        if before is None:
            del os.environ["KRB5_CONFIG"]
        else:
            os.environ["KRB5_CONFIG"] = before
