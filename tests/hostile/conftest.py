"""A hub for each module of attacks, with little patience, and a witness on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.field import Witness
from tests.peers.town import Town

# Whoever is silent is given up after two seconds: attacks that wait for it need not wait longer.
IMPATIENT = "[limits]\nconnect_timeout = 2.0\n[system_topics]\ninterval = 0\n"


@pytest.fixture(scope="module")
def town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """With what the module's MORE says in the configuration, else IMPATIENT."""
    more = getattr(request.module, "MORE", IMPATIENT)
    with Town(tmp_path_factory.mktemp("town"), more) as running:
        yield running
        assert not running.hub.events("node.defect")


@pytest.fixture(scope="module")
def witness(town: Town) -> Witness:
    return Witness(town)
