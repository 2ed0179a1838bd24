"""The resource directory and publish/subscribe against a whole hub: aiocoap registers itself, libcoap's client looks up
and publishes, MQTT reads, and all of it outlives a killed hub."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import cbor2
import pytest

from tests.coap.whole.harbour import DEVICE, GUEST, OTHER, SECRET, WATCHER, Harbour, Observing, may_both

aiocoap: Any = import_module("aiocoap")  # which has no types
resource: Any = import_module("aiocoap.resource")
register: Any = import_module("aiocoap.resourcedirectory.client.register")

PROGRAM = "coap-client-gnutls"
FORMAT = "606"
LINK_FORMAT = "40"

pytestmark = pytest.mark.peer(PROGRAM)


class Ground(Harbour):
    """Everybody but the stranger may register anything, too."""

    def start(self) -> None:
        self.add(GUEST, may_both("open/#"), may_both("$COAP/rd/#"), password=SECRET)
        self.add(WATCHER, may_both("#"), may_both("$COAP/rd/#"), password=SECRET)
        self.add(DEVICE, may_both("Office/#"), may_both("$COAP/rd/#"))
        self.add(OTHER, may_both("nothing"))
        self.hub.start()

    def kill(self) -> None:
        """SIGKILL, and a new start on the same data."""
        process = self.hub.process
        assert process is not None
        process.kill()
        process.wait()
        self.hub.start()

    def request(self, path: str, *options: str, name: str = DEVICE) -> str:
        return self.ask(PROGRAM, self.uri("coaps", path), *self.proof("psk", name), *options)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(tmp_path_factory.mktemp("ground"))
    made.start()
    try:
        yield made
    finally:
        made.hub.__exit__(None, None, None)


def location(said: str) -> str:
    """From what coap-client prints of a response at level 7."""
    paths = re.findall(r"Location-Path:([^,\] ]+)", said)
    assert len(paths) == 2, said
    return "/".join(paths)


def written(folder: Path, name: str, octets: bytes) -> str:
    path = folder / name
    path.write_bytes(octets)
    return str(path)


@pytest.mark.clause("RFC9176-5")
@pytest.mark.clause("RFC9176-5.3.2")
def test_aiocoap_registers_itself_renews_and_leaves(ground: Ground) -> None:
    asyncio.run(_registers(ground))


async def _registers(ground: Ground) -> None:
    site = resource.Site()
    site.add_resource(["sensors", "temp"], resource.Resource())
    context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", 0))
    try:

        async def look_up(path: str) -> str:
            message = aiocoap.Message(code=aiocoap.GET, uri=ground.uri("coap", path))
            payload: bytes = (await context.request(message).response_raising).payload
            return payload.decode()

        registerer = register.Registerer(
            context,
            rd=ground.uri("coap", "").rstrip("/"),
            lt=61,
            registration_parameters={"ep": "aiocoap-1", "d": "lab"},
        )
        async with asyncio.timeout(20):
            while registerer.state != "registered":
                await asyncio.sleep(0.01)
            endpoints = await look_up("rd-lookup/ep?ep=aiocoap-1")
            assert 'd="lab"' in endpoints
            links = await look_up("rd-lookup/res?ep=aiocoap-1")
            assert re.search(r"<coap://127\.0\.0\.1:\d+/sensors/temp>", links)
            await registerer.shutdown()
            while await look_up("rd-lookup/ep?ep=aiocoap-1"):
                await asyncio.sleep(0.01)
    finally:
        await context.shutdown()


@pytest.mark.clause("RFC9176-5.1")
def test_aiocoap_registers_simply(ground: Ground) -> None:
    asyncio.run(_registers_simply(ground))


async def _registers_simply(ground: Ground) -> None:
    """It proves its address by Echo, as it is asked to, and then serves its links to the hub."""
    site = resource.Site()
    site.add_resource([".well-known", "core"], resource.WKCResource(site.get_resources_as_linkheader))
    for i in range(60):  # more than one block of 1,024 octets
        site.add_resource(["sensors", f"temperature-{i}"], resource.Resource())
    context = await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", 0))
    try:
        uri = ground.uri("coap", ".well-known/rd?ep=aiocoap-2&lt=600")
        challenge = await context.request(aiocoap.Message(code=aiocoap.POST, uri=uri)).response
        assert challenge.code == aiocoap.UNAUTHORIZED, challenge.payload
        again = aiocoap.Message(code=aiocoap.POST, uri=uri, echo=challenge.opt.echo)
        response = await context.request(again).response
        assert response.code == aiocoap.CHANGED, response.payload
        uri = ground.uri("coap", "rd-lookup/res?ep=aiocoap-2&href=coap:*")
        found = (await context.request(aiocoap.Message(code=aiocoap.GET, uri=uri)).response_raising).payload.decode()
        assert found.count("/sensors/temperature-") == 60
    finally:
        await context.shutdown()


@pytest.mark.clause("RFC9176-6.1")
def test_a_registration_over_dtls_is_seen_over_mqtt_and_outlives_a_killed_hub(ground: Ground, tmp_path: Path) -> None:
    links = written(tmp_path, "links", b"</temp>;rt=temperature-c")
    mqtt = ground.mqtt()
    mqtt.subscribe("$COAP/rd/#")
    said = ground.request("rd?d=floor-3&base=coap://n.example", "-m", "post", "-t", LINK_FORMAT, "-f", links, "-v", "7")
    path = location(said)
    topic, document = mqtt.message()
    assert topic == f"$COAP/rd/floor-3/{DEVICE}"
    assert "</temp>" in document
    mqtt.close()
    ground.kill()
    assert "<coap://n.example/temp>" in ground.request("rd-lookup/res?rt=temperature-c")
    assert f'ep="{DEVICE}"' in ground.request("rd-lookup/ep?d=floor-3")
    assert ground.request("rd-lookup/ep", name=OTHER).strip() == ""
    assert "4.04" in ground.request(path, "-m", "delete", name=OTHER)
    ground.request(path, "-m", "delete")
    assert ground.request("rd-lookup/res?rt=temperature-c").strip() == ""


def test_topic_data_cross_to_mqtt_and_back_and_outlive_a_killed_hub(ground: Ground, tmp_path: Path) -> None:
    properties = written(tmp_path, "topic", cbor2.dumps({0: "Office/Lamp", 2: "core.ps.data", 3: 0}))
    created = tmp_path / "created"
    ground.request("ps", "-m", "post", "-t", FORMAT, "-f", properties, "-o", str(created))
    data = cbor2.loads(created.read_bytes())[1].removeprefix("/")
    assert ground.request("ps?rt=core.ps.data").strip() == f"</{data}>"
    path = ground.request("ps").strip().strip("<>/")
    wanted = written(tmp_path, "filter", cbor2.dumps({0: "Office/Lamp"}))
    assert ground.request("ps", "-m", "fetch", "-t", FORMAT, "-f", wanted).strip() == f"</{path}>"
    change = written(tmp_path, "change", cbor2.dumps({4: "light"}))
    ground.request(path, "-m", "ipatch", "-t", FORMAT, "-f", change, "-o", str(created))
    assert cbor2.loads(created.read_bytes()) == {0: "Office/Lamp", 1: f"/{data}", 2: "core.ps.data", 3: 0, 4: "light"}
    assert "4.04" in ground.request(data)
    mqtt = ground.mqtt()
    mqtt.subscribe("Office/Lamp")
    ground.request(data, "-m", "put", "-t", "0", "-e", "on")
    assert mqtt.message() == ("Office/Lamp", "on")
    assert "4.15" in ground.request(data, "-m", "put", "-t", "50", "-e", "1")
    observing = Observing(PROGRAM, ground.uri("coaps", data), ground.proof("psk"), tmp_path / "out")
    try:
        observing.await_value("on")
        mqtt.publish("Office/Lamp", "dimmed", retain=True)
        observing.await_value("dimmed")
    finally:
        observing.stop()
        mqtt.close()
    ground.kill()
    assert ground.request(data) == "dimmed\n"
    assert ground.request("ps").strip() == f"</{path}>"
    assert ground.request("ps", name=OTHER).strip() == ""
    ground.request(path, "-m", "delete")
    assert "4.04" in ground.request(path)
    assert "4.04" in ground.request("t/Office/Lamp")


@pytest.mark.clause("RFC9176-4")
def test_both_are_found_at_well_known_core(ground: Ground) -> None:
    assert '</rd>;rt="core.rd"' in ground.request(".well-known/core?rt=core.rd*")
    assert '</ps>;rt="core.ps core.ps.coll"' in ground.request(".well-known/core?rt=core.ps.coll")
