"""All CoAP Nodes by IPv6 (RFC 7252 section 12.8), in a network namespace with an interface that knows groups."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.cli.hub import PATIENCE
from tests.coap.whole.harbour import Harbour
from tests.coap.whole.test_loss import HubInside

MORE = """
[[listener]]
bind = "*:5683"
protocol = "coap"
plaintext = true
guest = "visitor"
multicast = ["d0"]

[coap]
leisure = 0.1
"""


@pytest.fixture
def inside() -> Iterator[list[str]]:
    """The beginning of a command line that runs in there."""
    name = f"bridgehead-{os.getpid()}-groups"
    subprocess.run(["ip", "netns", "add", name], check=True)
    words = ["ip", "netns", "exec", name]
    try:
        for line in (
            "link set lo up",
            "link add d0 type veth peer name d1",
            "link set d1 up",
            "link set d0 multicast on up",
            "addr add 2001:db8::1/64 dev d0 nodad",
        ):
            subprocess.run([*words, "ip", *line.split()], check=True)
        yield words
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.peer("ip")
@pytest.mark.peer("coap-client-gnutls")
@pytest.mark.clause("RFC7252-8.1")
@pytest.mark.clause("RFC7252-8.2")
def test_libcoap_asks_the_group(inside: list[str], tmp_path: Path) -> None:
    harbour = Harbour(tmp_path, MORE, partial(HubInside, inside))
    harbour.start()
    try:
        assert "</t>" in _ask(inside, ".well-known/core?rt=bridgehead.topics")
        assert _ask(inside, "t/not-there", "1") == ""  # no error is told to a group
    finally:
        harbour.stop()


def _ask(inside: list[str], path: str, seconds: str = "3") -> str:
    words = [*inside, "coap-client-gnutls", "-N", "-B", seconds, f"coap://[ff05::fd]/{path}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False).stdout
