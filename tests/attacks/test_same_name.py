"""A device that was removed and added again under the same name is another identity: it gets nothing of the old one."""

from __future__ import annotations

from pathlib import Path

from bridgehead.broker.broker import Broker
from bridgehead.broker.limits import Limits
from bridgehead.core.clock import Clock
from bridgehead.core.policy import Permission, Principal
from bridgehead.node.identities import Identities
from bridgehead.protocols.mqtt.codec.packets import Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.records import Device, PermissionRecord
from bridgehead.security.registry.registry import Registry
from tests.mqtt.dialogue import Hub, ManualStore


def everything(name: str, created: float) -> Principal:
    return Principal.of(name, [Permission("#", True, True)], [], created)


def left_behind() -> Hub:
    """A hub that is down, with a queue, a QoS 2 identifier and a delayed Will of "door"."""
    hub = Hub(principals=[everything("door", 1.0), everything("office", 1.0)])
    delayed = Will("door/gone", b"open", 1, False, Properties(will_delay_interval=600))
    door = hub.client("door", clean_start=False, expiry=1000, will=delayed)
    door.subscribe("door/orders", 2)
    door.publish("door/state", qos=2, packet_id=7)
    door.drop()
    hub.client("office").publish("door/orders", b"the code is 4711", qos=1)
    return hub


def test_the_same_identity_finds_its_session_after_a_new_start() -> None:
    hub = left_behind().crash()
    door = hub.peer("door")
    assert door.connect(clean_start=False, expiry=1000).session_present
    assert door.payloads() == [b"the code is 4711"]


def test_another_identity_of_the_name_finds_nothing_and_the_disk_keeps_nothing() -> None:
    hub = left_behind()
    hub.principals["door"] = everything("door", 2.0)
    hub = hub.crash()
    assert len(hub.broker.sessions) == 0
    assert hub.store.everything() == {"keys": [], "logs": {}}
    door = hub.peer("door")
    assert not door.connect(clean_start=False, expiry=1000).session_present
    assert door.payloads() == []
    door.drop()
    hub.pass_time(900)
    assert hub.named("will.published") == []


def test_while_the_hub_runs_a_session_serves_no_other_principal_object() -> None:
    hub = left_behind()
    hub.principals["door"] = everything("door", 2.0)
    door = hub.peer("door")
    assert not door.connect(clean_start=False, expiry=1000).session_present
    assert door.payloads() == []


def test_the_registry_tells_them_apart(tmp_path: Path) -> None:
    """From the device's record to the stored session: removed and added again while no hub ran."""
    registry = Registry(tmp_path / "data")
    permission = PermissionRecord("#", publish=True, subscribe=True)
    registry.add_device(Device(name="door", created=100.5, permissions=(permission,)))
    store = ManualStore()

    def started() -> Broker:
        broker = Broker(store, Clock(1000.0), Limits(), lambda name, fields: None, lambda: None)
        Identities(Authenticator(registry, lambda name, fields: None), broker).recover(store)
        return broker

    hub = Hub(store, [Principal.of("door", [Permission("#", True, True)], [], 100.5)])
    hub.client("door", clean_start=False, expiry=1000).subscribe("orders", 1)
    assert len(started().sessions) == 1
    registry.remove_device("door", 200.0)
    registry.add_device(Device(name="door", created=200.5, permissions=(permission,)))
    assert len(started().sessions) == 0
    registry.close()
