"""By which names a machine can be dialled."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.pki import machine


def test_this_machine_has_its_name_and_the_loopback_addresses() -> None:
    found = machine.machine_names()
    assert found.host_name == socket.gethostname().rstrip(".").lower()
    assert ipaddress.ip_address("127.0.0.1") in found.addresses
    assert not any(address.is_link_local or address.is_unspecified for address in found.addresses)
    assert len(set(found.addresses)) == len(found.addresses) <= machine.MOST_ADDRESSES


def test_an_address_found_by_routing_is_among_them() -> None:
    """Another way to the same answer: the source address that the kernel would choose."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:  # a machine without a route has the loopback address only
            probe.connect(("127.0.0.1", 9))
        address = probe.getsockname()[0]
    assert ipaddress.ip_address(address) in machine.machine_names().addresses


def test_a_silent_resolver_does_not_hold_up_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = threading.Event(), threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        asked.set()
        released.wait(20)
        return []

    monkeypatch.setattr(socket, "gethostname", lambda: "hub")
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        assert machine.machine_names().domain_name is None
        assert asked.is_set()
    finally:
        released.set()


@pytest.mark.parametrize(
    ("canonical", "expected"),
    [("hub.plant.example", "hub.plant.example"), ("localhost", None), ("other.example", None), ("hub.bad name", None)],
)
def test_the_domain_name_is_the_host_names_own(
    monkeypatch: pytest.MonkeyPatch, canonical: str, expected: str | None
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Hub")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, canonical, ("192.0.2.1", 0))])
    found = machine.machine_names()
    assert (found.host_name, found.domain_name) == ("hub", expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hub.Example.", "hub.example"),
        (" hub ", "hub"),
        ("*.plant.example", "*.plant.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("::1", "::1"),
    ],
)
def test_hosts_are_read(text: str, expected: str) -> None:
    assert str(machine.parse_host(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "hub:8883", "mqtts://hub", "a b", "-hub", "hub-.example", "bücher.example", "a" * 64, "a." * 127 + "aa"],
)
def test_what_is_no_host_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(NotAcceptable, match="neither a host name nor an IP address"):
        machine.parse_host(text)
