"""The running hub's secured domains when its configuration is read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.hub import Hub
from tests.dds.domains import free_domain
from tests.dds.peers.town import LISTENERS, domain_table, temperature_route, town

pytestmark = [pytest.mark.peer("idlc")]


def in_force(hub: Hub) -> list[tuple[str, object]]:
    """Domains as they were joined and left."""
    return [
        (str(each["event"]), each["domain"])
        for each in hub.lines()
        if each.get("event") in ("dds.domain-joined", "dds.domain-left")
    ]


def test_a_domain_goes_on_while_others_come_and_routes_change(tmp_path: Path, domain: int) -> None:
    first = domain_table(domain) + temperature_route(domain)
    with free_domain() as other, town(tmp_path, first) as place:
        hub = place.hub
        hub.reload(LISTENERS + first + temperature_route(domain, "Second", "Second/${room}"))
        hub.await_event("dds.route-opened", 2)
        hub.reload(LISTENERS + first + domain_table(other) + temperature_route(other))
        hub.await_event("dds.route-opened", 3)
        assert in_force(hub) == [("dds.domain-joined", domain), ("dds.domain-joined", other)]
        hub.reload(LISTENERS + domain_table(domain, metadata="sign") + temperature_route(domain))
        hub.await_event("dds.domain-left", 2)
        hub.await_event("dds.domain-joined", 3)
        assert str(hub.await_event("node.reloaded", 3)["listeners"]).endswith(f"dds={domain}")


def test_a_guest_that_is_no_device_is_told_with_the_remedy(tmp_path: Path, domain: int) -> None:
    with town(tmp_path, domain_table(domain, guest="nobody") + temperature_route(domain)) as place:
        because = str(place.hub.await_event("dds.plain")["because"])
        assert "its guest 'nobody' is no device (bridgehead device add nobody)" in because
        place.enrol("nobody")
        place.hub.reload(LISTENERS + domain_table(domain, guest="nobody") + temperature_route(domain))
        assert "writes as the device 'nobody'" in str(place.hub.await_event("dds.plain", 2)["because"])
