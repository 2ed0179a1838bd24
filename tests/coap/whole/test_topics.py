"""Topics at the real hub as aiocoap and libcoap's client see them: streams of filters, conditions, lists, rights."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bridgehead.protocols.coap.codec.link_format import parse_links
from tests.cli.hub import PATIENCE
from tests.coap.whole.harbour import Harbour, Observing

aiocoap: Any = import_module("aiocoap")  # which has no types

PROGRAM = "coap-client-gnutls"
NUMBERS = itertools.count(1)


def place() -> str:
    """A branch of the topics of this test alone, which the guest may use."""
    return f"open/topics-{next(NUMBERS)}"


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Any]:
    context = await aiocoap.Context.create_client_context()
    yield context
    await context.shutdown()


async def ask(client: Any, harbour: Harbour, code: Any, path: str, payload: bytes = b"", **options: Any) -> Any:
    """The address is proven by Echo where the hub asks for it (RFC 9175): aiocoap leaves that to the application."""
    request = aiocoap.Message(code=code, uri=harbour.uri("coap", path), payload=payload, **options)
    async with asyncio.timeout(PATIENCE):
        answer = await client.request(request).response
    if answer.code == aiocoap.UNAUTHORIZED and answer.opt.echo and "echo" not in options:
        return await ask(client, harbour, code, path, payload, **options, echo=answer.opt.echo)
    return answer


@pytest.mark.clause("RFC7641-4.2")
async def test_a_stream_names_the_topic_of_each_message(harbour: Harbour, client: Any) -> None:
    branch = place()
    mqtt = await asyncio.to_thread(harbour.mqtt)
    await asyncio.to_thread(mqtt.publish, f"{branch}/kept/T", "20", True)
    request = aiocoap.Message(code=aiocoap.GET, uri=harbour.uri("coap", f"t?f={branch}/%2B/T"), observe=0)
    stream = client.request(request)
    told = stream.observation.__aiter__()
    async with asyncio.timeout(PATIENCE):
        first = await stream.response
        assert (first.code, first.payload) == (aiocoap.CONTENT, b"")
        kept = await told.__anext__()
        await asyncio.to_thread(mqtt.publish, f"{branch}/a b/H", "50")
        fresh = []
        for topic, payload in ((f"{branch}/a b/T", "21"), (f"{branch}//T", "22")):
            # One by one: aiocoap's iterator leaves out what another follows at once.
            await asyncio.to_thread(mqtt.publish, topic, payload)
            fresh.append(await told.__anext__())
    levels = tuple(branch.split("/"))
    assert (kept.opt.location_path, kept.payload) == (("t", *levels, "kept", "T"), b"20")
    assert [(each.opt.location_path, each.payload) for each in fresh] == [
        (("t", *levels, "a b", "T"), b"21"),
        (("t", *levels, "", "T"), b"22"),
    ]
    stream.observation.cancel()
    mqtt.close()


@pytest.mark.clause("RFC7252-5.6.2")
@pytest.mark.clause("RFC7252-5.10.8.1")
@pytest.mark.clause("RFC7252-5.10.8.2")
async def test_tags_and_conditions(harbour: Harbour, client: Any) -> None:
    path = f"t/{place()}/value"
    assert (await ask(client, harbour, aiocoap.PUT, path, b"1", if_none_match=True)).code == aiocoap.CREATED
    assert (await ask(client, harbour, aiocoap.PUT, path, b"2", if_none_match=True)).code == aiocoap.PRECONDITION_FAILED
    read = await ask(client, harbour, aiocoap.GET, path)
    assert read.payload == b"1"
    assert (await ask(client, harbour, aiocoap.GET, path, etags=[read.opt.etag])).code == aiocoap.VALID
    assert (await ask(client, harbour, aiocoap.PUT, path, b"2", if_match=[read.opt.etag])).code == aiocoap.CHANGED
    assert (
        await ask(client, harbour, aiocoap.PUT, path, b"3", if_match=[read.opt.etag])
    ).code == aiocoap.PRECONDITION_FAILED
    assert (await ask(client, harbour, aiocoap.DELETE, path)).code == aiocoap.DELETED


@pytest.mark.clause("RFC7252-5.10.4")
async def test_formats(harbour: Harbour, client: Any) -> None:
    path = f"t/{place()}/value"
    await ask(client, harbour, aiocoap.PUT, path, b"{}", content_format=50, max_age=600)
    read = await ask(client, harbour, aiocoap.GET, path, accept=50)
    assert read.opt.content_format == 50
    assert 500 < read.opt.max_age <= 600
    assert (await ask(client, harbour, aiocoap.GET, path, accept=60)).code == aiocoap.NOT_ACCEPTABLE


@pytest.mark.clause("RFC6690-4")
@pytest.mark.clause("RFC8132-2")
async def test_lists_hold_what_the_asker_may_read(harbour: Harbour, client: Any) -> None:
    branch = place()
    mqtt = await asyncio.to_thread(harbour.mqtt)
    await asyncio.to_thread(mqtt.publish, f"{branch}/a", "1", True)
    await asyncio.to_thread(mqtt.publish, f"closed/{branch}/a", "1", True)
    mqtt.close()
    core = await ask(client, harbour, aiocoap.GET, ".well-known/core")
    listed = [link.target for link in parse_links(core.payload)]
    assert {"/t", f"/t/{branch}/a"} <= set(listed)
    assert not [target for target in listed if "closed" in target]
    fetched = await ask(client, harbour, aiocoap.FETCH, "t", f"{branch}/#".encode(), content_format=0)
    assert [link.target for link in parse_links(fetched.payload)] == [f"/t/{branch}/a"]
    assert (await ask(client, harbour, aiocoap.GET, f"t/closed/{branch}/a")).code == aiocoap.FORBIDDEN


@pytest.mark.peer(PROGRAM)
def test_libcoap_follows_a_filter(harbour: Harbour, tmp_path: Path) -> None:
    branch = f"Office/topics-{next(NUMBERS)}"
    uri = harbour.uri("coaps", f"t?f={branch}/%2B/T")
    observing = Observing(PROGRAM, uri, harbour.proof("psk"), tmp_path / "out")
    mqtt = harbour.mqtt()
    try:
        mqtt.publish(f"{branch}/one/T", "first", retain=True)
        observing.await_value("first")
        mqtt.publish(f"{branch}/two/T", "second")
        observing.await_value("second")
    finally:
        observing.stop()
        mqtt.close()
