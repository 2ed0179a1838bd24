"""The Will Delay Interval (section 3.1.3.2.2), also across a crash of the hub."""

from __future__ import annotations

import pytest

from bridgehead.broker.limits import Limits
from bridgehead.core.policy import Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Will
from bridgehead.protocols.mqtt.codec.properties import Properties
from tests.mqtt.dialogue import Hub, Peer


def delayed(delay: int, payload: bytes = b"gone", retain: bool = False) -> Will:
    return Will("state/sensor", payload, 1, retain, Properties(will_delay_interval=delay))


def watched(hub: Hub) -> Peer:
    watcher = hub.client("watcher")
    watcher.subscribe("state/#", 1)
    return watcher


@pytest.mark.clause("MQTT-3.1.2-8")
def test_a_will_waits_for_its_delay() -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", expiry=100, will=delayed(50)).drop()
    hub.pass_time(49)
    assert watcher.get() == []
    hub.pass_time(2)
    assert watcher.payloads() == [b"gone"]
    hub.pass_time(1000)
    assert watcher.get() == []


@pytest.mark.clause("MQTT-3.1.3-9")
@pytest.mark.parametrize("version", [4, 5])
def test_a_new_connection_in_time_stops_the_will(version: int) -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", expiry=100, will=delayed(50)).drop()
    hub.pass_time(49)
    again = hub.peer("sensor", version)
    assert again.connect(clean_start=False).session_present
    hub.pass_time(1000)
    assert watcher.get() == []
    again.disconnect()
    assert watcher.get() == []


def test_the_new_connections_own_will_takes_its_place() -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", expiry=100, will=delayed(50, b"first")).drop()
    hub.pass_time(40)
    hub.client("sensor", expiry=100, clean_start=False, will=delayed(50, b"second")).drop()
    hub.pass_time(49)
    assert watcher.get() == []
    hub.pass_time(2)
    assert watcher.payloads() == [b"second"]


@pytest.mark.clause("MQTT-3.1.2-8")
def test_the_end_of_the_session_ends_the_delay() -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", expiry=20, will=delayed(50)).drop()
    hub.pass_time(19)
    assert watcher.get() == []
    hub.pass_time(2)
    assert watcher.payloads() == [b"gone"]
    assert len(hub.broker.sessions.of("sensor")) == 0


def test_without_a_session_that_lasts_there_is_no_delay() -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", will=delayed(50)).drop()
    assert watcher.payloads() == [b"gone"]


def test_clean_start_ends_the_session_and_so_the_delay() -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", expiry=100, will=delayed(50)).drop()
    hub.pass_time(10)
    hub.client("sensor", expiry=100, clean_start=True)
    assert watcher.payloads() == [b"gone"]


def test_disconnect_with_will_waits_too() -> None:
    hub = Hub()
    watcher = watched(hub)
    hub.client("sensor", expiry=100, will=delayed(50)).disconnect(codes.DISCONNECT_WITH_WILL)
    hub.pass_time(49)
    assert watcher.get() == []
    hub.pass_time(2)
    assert watcher.payloads() == [b"gone"]


def test_disconnect_that_ends_the_session_ends_the_delay() -> None:
    hub = Hub()
    watcher = watched(hub)
    sensor = hub.client("sensor", expiry=100, will=delayed(50))
    sensor.disconnect(codes.DISCONNECT_WITH_WILL, Properties(session_expiry_interval=0))
    assert watcher.payloads() == [b"gone"]


def test_the_ceiling_of_the_delay() -> None:
    limits = Limits()
    limits.will_delay_interval = 30
    hub = Hub(limits=limits)
    watcher = watched(hub)
    hub.client("sensor", expiry=100, will=delayed(50)).drop()
    hub.pass_time(31)
    assert watcher.payloads() == [b"gone"]


# A crash of the hub. --------------------------------------------------------------------------------


def test_a_will_whose_connection_lived_is_due_after_the_crash() -> None:
    hub = Hub()
    durable = hub.durable("watcher")
    durable.subscribe("state/#", 1)
    hub.client("sensor", will=Will("state/sensor", b"gone", 1, True))
    hub = hub.crash()
    hub.pass_time(0)
    assert hub.durable("watcher").payloads() == [b"gone"]
    assert watched(hub).payloads() == [b"gone"]  # retained
    hub = hub.crash()
    hub.pass_time(1000)
    assert hub.named("will.published") == []


def test_a_delay_counts_anew_for_a_connection_that_the_crash_broke() -> None:
    hub = Hub()
    hub.client("sensor", expiry=100, will=delayed(50))
    hub.pass_time(60)
    hub = hub.crash()
    watcher = watched(hub)
    hub.pass_time(49)
    assert watcher.get() == []
    hub.pass_time(2)
    assert watcher.payloads() == [b"gone"]


def test_a_delay_that_runs_goes_on_across_a_crash() -> None:
    hub = Hub()
    hub.client("sensor", expiry=100, will=delayed(50)).drop()
    hub.pass_time(30)
    hub = hub.crash()
    watcher = watched(hub)
    hub.pass_time(19)
    assert watcher.get() == []
    hub.pass_time(2)
    assert watcher.payloads() == [b"gone"]


@pytest.mark.clause("MQTT-3.1.3-9")
def test_a_client_that_is_back_after_the_crash_stops_its_will() -> None:
    hub = Hub()
    hub.client("sensor", expiry=100, will=delayed(50))
    hub = hub.crash()
    watcher = watched(hub)
    hub.pass_time(40)
    assert hub.peer("sensor").connect(clean_start=False, expiry=100).session_present
    hub.pass_time(1000)
    assert watcher.get() == []


def test_the_will_of_an_identity_that_is_gone_after_the_crash_is_dropped() -> None:
    hub = Hub()
    hub.client("sensor", expiry=100, will=delayed(50))
    hub.principals = {name: who for name, who in hub.principals.items() if name != "sensor"}
    hub = hub.crash()
    hub.broker.admit(Principal.of("sensor", [], []))
    hub.pass_time(1000)
    assert hub.named("will.published") == []
    assert hub.named("will.denied") == []
    assert hub.store.everything() == {"keys": [], "logs": {}}


def test_wills_that_come_and_go_leave_no_timers_behind() -> None:
    hub = Hub()
    for _ in range(5000):
        hub.client("sensor", clean_start=False, expiry=100_000, will=delayed(50_000)).drop()
        hub.peers.clear()
    assert len(hub.broker.sessions._will_times) < 3000
    hub.pass_time(50_001)
    assert len(hub.named("will.published")) == 1
