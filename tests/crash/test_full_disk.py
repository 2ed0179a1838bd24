"""A disk that is full: what must last is refused with a reason code, what needs no disk goes on, and it recovers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.protocols.mqtt.codec.packets import Publish
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.reason_codes import QUOTA_EXCEEDED
from tests.cli.hub import Hub, wait_until
from tests.crash.disks import DISKS, LimitedHub, SmallDiskHub
from tests.crash.ground import CONFIG
from tests.peers.raw import Raw

PAYLOAD = 20_000
MOST = 5_000


@pytest.fixture(params=DISKS)
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LimitedHub | SmallDiskHub]:
    with DISKS[request.param](tmp_path, CONFIG) as running:
        assert isinstance(running, LimitedHub | SmallDiskHub)
        running.add_device()
        yield running


def device(hub: Hub, purpose: str, version: int = 5, expiry: int = 0) -> Raw:
    """The one device, over one of several connections; `expiry` above 0 keeps the session."""
    raw = Raw(hub.dial(), version)
    answer = raw.connect(f"device-{purpose}", "device", "secret", clean_start=not expiry, expiry=expiry)
    assert answer.reason_code == 0
    return raw


def fill_up(publisher: Raw) -> list[bytes]:
    """Publish what must be kept until it is refused; what was acknowledged."""
    kept: list[bytes] = []
    for number in range(MOST):
        payload = f"{number:08d}".encode() * (PAYLOAD // 8)
        code = publisher.publish("kept/a", payload, 1 + number % 2)
        if code:
            assert code == QUOTA_EXCEEDED
            return kept
        kept.append(payload)
    raise AssertionError("the disk is not full after all")


def test_what_must_last_is_refused_and_the_rest_goes_on(hub: LimitedHub | SmallDiskHub) -> None:
    absent = device(hub, "absent", expiry=3600)
    assert absent.subscribe("kept/#", 2) == 2
    absent.disconnect()
    present = device(hub, "present")
    assert present.subscribe("live/#", 1) == 1
    publisher = device(hub, "publisher")
    resumed = device(hub, "resumed", expiry=3600)
    hub.fill()
    kept = fill_up(publisher)

    # What must last, and can be told.
    assert publisher.publish("kept/a", b"x" * PAYLOAD, 1) == QUOTA_EXCEEDED
    lines = len(hub.events("store.commit-failed"))
    for _ in range(10):
        assert publisher.publish("kept/a", b"x" * PAYLOAD, 2) == QUOTA_EXCEEDED
    assert len(hub.events("store.commit-failed")) == lines  # a line when it begins, not one for each message
    assert publisher.publish("retained", b"x" * PAYLOAD, 1, retain=True) == QUOTA_EXCEEDED
    assert resumed.subscribe("f" * PAYLOAD, 1) == QUOTA_EXCEEDED
    # 3.1.1 has no code for it: the connection ends and there is no PUBACK, so the client will send it again.
    old = device(hub, "old", version=4)
    old.send(Publish("kept/a", b"x" * PAYLOAD, 1, False, False, 1, NO_PROPERTIES))
    assert old.rest() == []

    # What needs no disk.
    for qos in range(2):
        assert publisher.publish("live/a", b"goes on", qos) == 0
        assert present.message().payload == b"goes on"
    newcomer = device(hub, "newcomer")
    assert newcomer.subscribe("live/#", 0) == 0
    assert publisher.publish("live/b", b"to both", 0) == 0
    assert present.message().payload == newcomer.message().payload == b"to both"

    # Nothing was delivered that was refused, and nothing is lost that was acknowledged.
    hub.free()
    wait_until("it is kept again", lambda: publisher.publish("kept/a", b"room again", 2) == 0)
    again = device(hub, "absent", expiry=3600)
    got = [again.message().payload for _ in range(len(kept) + 1)]
    assert got == [*kept, b"room again"]
    assert publisher.publish("retained", b"kept", 1, retain=True) == 0
    assert newcomer.subscribe("retained", 0) == 0
    assert newcomer.message().payload == b"kept"
    assert resumed.subscribe("f" * PAYLOAD, 1) == 1
    # What is small may still have found room in between, so it may have begun and ended more than once.
    begun, ended = hub.events("store.commit-failed"), hub.events("store.commit-recovered")
    assert len(begun) == len(ended)
    assert all("make room" in str(line["because"]) or "free some" in str(line["because"]) for line in begun)


def test_a_hub_that_stops_with_a_full_disk_has_lost_nothing(tmp_path: Path) -> None:
    hub = LimitedHub(tmp_path, CONFIG)
    with hub:
        hub.add_device()
        absent = device(hub, "absent", expiry=3600)
        absent.subscribe("kept/#", 2)
        absent.disconnect()
        publisher = device(hub, "publisher")
        hub.fill()
        kept = fill_up(publisher)
        assert hub.process is not None
        hub.process.kill()
        hub.process.wait()
        hub.start()
        again = device(hub, "absent", expiry=3600)
        assert [again.message().payload for _ in kept] == kept
        again.ping()
