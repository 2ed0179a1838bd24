"""What the transport's tests share: both event loops, certificates, and the rule that no callback may fail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from bench.certificates import Authority
from bridgehead.transport.shared import Shared
from tests.transport.tools import Contexts


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both."""
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
async def no_callback_fails() -> AsyncIterator[None]:
    """An exception in a reader, writer or timer would only be logged."""
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    yield
    assert failures == []


@pytest.fixture
async def shared() -> Shared:
    return Shared()


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return Contexts(Authority(folder))


@pytest.fixture
def server_tls(contexts: Contexts) -> ssl.SSLContext:
    return contexts.server()


@pytest.fixture
def client_tls(contexts: Contexts) -> ssl.SSLContext:
    return contexts.client()
