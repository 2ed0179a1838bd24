"""`bridgehead device revoke` at the real hub: one act takes back everything that the device had and held.

The figure of the time from the act to the last delivered message is that of bench/revoke.py.
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from bridgehead.cli.main import run
from bridgehead.protocols.mqtt.codec.packets import Disconnect, Publish, Will
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES
from bridgehead.protocols.mqtt.codec.reason_codes import NOT_AUTHORIZED
from bridgehead.security.audit.folder import FOLDER
from bridgehead.security.audit.verify import verify
from tests.cli.hub import PATIENCE, command, wait_until
from tests.peers.raw import Raw
from tests.peers.town import SECRET, Town, may_both, may_publish, may_subscribe


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Town(tmp_path_factory.mktemp("town")) as running:
        running.add("writer", may_publish("#"))
        running.add("witness", may_subscribe("#"))
        yield running


def policy(town: Town, folder: Path, treatment: str) -> None:
    (folder / "new.policy").write_text(f"retained-of-revoked {treatment}\n")
    assert run(["policy", "apply", str(folder / "new.policy"), "--data", str(town.hub.data)]) == 0


def serials(town: Town) -> set[int]:
    """Of the certificates on the hub's revocation lists, one behind the other in one file."""
    end = b"-----END X509 CRL-----\n"
    lists = (town.hub.data / "pki" / "ca.crl").read_bytes().split(end)[:-1]
    return {each.serial_number for one in lists for each in x509.load_pem_x509_crl(one + end)}


@pytest.mark.parametrize("version", [4, 5])
def test_connections_sessions_queues_and_wills_end(town: Town, version: int) -> None:
    """Of three connections by two proofs and one session that is away; while another device goes on publishing."""
    name = f"culprit-{version}"
    town.add(name, may_both("a/#"))
    serial = x509.load_pem_x509_certificate((town.hub.folder / f"{name}.pem").read_bytes()).serial_number
    witness = town.client("witness", f"witness-{version}")
    witness.subscribe("a/#", 0)
    mourned = Raw(town.tls(name), version)
    assert mourned.connect(name, will=Will("a/will", b"will", 1, True, NO_PROPERTIES)).reason_code == 0
    here = [mourned, town.client(name, f"{name}-2", version), town.guest(name, f"{name}-3", version)]
    for each in here:
        assert each.subscribe("a/#", 1) == 1
    away = Raw(town.tls(name))
    assert away.connect(f"{name}-away", clean_start=False, expiry=3600).reason_code == 0
    away.subscribe("a/#", 1)
    away.disconnect()
    writer = town.client("writer", f"writer-{version}")
    writer.publish("a/before", b"x", 1)
    assert {each.message().topic for each in (*here, witness)} == {"a/before"}
    revoking = subprocess.Popen(command("device", "revoke", name, "--data", town.hub.data), stdout=subprocess.DEVNULL)
    while revoking.poll() is None:
        writer.publish("a/meanwhile", b"x", 1)
    assert revoking.wait(PATIENCE) == 0
    for each in here:
        packets = each.rest()  # what came before the act, the farewell, and the end
        if version == 5:
            farewell = packets.pop()
            assert isinstance(farewell, Disconnect)
            assert farewell.reason_code == NOT_AUTHORIZED
            assert "revoked" in str(farewell.properties.reason_string)
        assert all(isinstance(packet, Publish) and packet.topic == "a/meanwhile" for packet in packets)
    assert serial in serials(town)
    # Nothing lets it in again: neither proof, and no ticket.
    assert town.raw().connect(name, name, SECRET).reason_code == 0x86
    wait_until("the certificate refused in the handshake", lambda: _refused(town, name))
    writer.publish("a/after", b"x", 1)
    heard: list[str] = []
    while not heard or heard[-1] != "a/after":
        heard.append(witness.message().topic)
    assert "a/will" not in heard
    assert verify(town.hub.data / FOLDER).intact
    told = "".join(path.read_text() for path in sorted((town.hub.data / FOLDER).glob("*.jsonl")))
    assert f'"event":"device.revoked","principal":"{name}"' in told


def _refused(town: Town, name: str) -> bool:
    try:
        raw = Raw(town.tls(name))
        answer = raw.connect(name)
    except (ConnectionError, ssl.SSLError):
        return True
    assert answer.reason_code >= 0x80
    return False


@pytest.mark.parametrize(("treatment", "seen"), [("keep", 2), ("hide", 1), ("purge", 1)])
def test_what_it_wrote_is_kept_hidden_or_purged(town: Town, tmp_path: Path, treatment: str, seen: int) -> None:
    """As the policy says when it is revoked; and a policy that changes its mind shows what was hidden, not what is
    purged."""
    author, other = f"author-{treatment}", f"other-{treatment}"
    for name in (author, other):
        town.add(name, may_publish(f"r/{treatment}/#"))
    policy(town, tmp_path, treatment)
    clients = [town.client(name) for name in (author, other)]
    for name, raw in zip((author, other), clients, strict=True):
        assert raw.publish(f"r/{treatment}/{name}", name.encode(), 1, retain=True) in (0, 0x10)
    assert retained(town, treatment) == {author, other}
    assert run(["device", "revoke", author, "--data", str(town.hub.data)]) == 0
    (farewell,) = clients[0].rest()
    assert isinstance(farewell, Disconnect)
    assert len(retained(town, treatment)) == seen
    assert other in retained(town, treatment)
    clients[1].ping()
    shown = len(town.hub.events("retained.shown"))
    policy(town, tmp_path, "keep")
    if treatment == "hide":
        town.hub.await_event("retained.shown", shown + 1)
    assert retained(town, treatment) == ({other} if treatment == "purge" else {author, other})


def retained(town: Town, treatment: str) -> set[str]:
    """What somebody who subscribes now is sent."""
    witness = town.client("witness", f"witness-{treatment}")
    assert witness.subscribe(f"r/{treatment}/#", 0) == 0
    writer = town.client("writer", f"writer-{treatment}")
    writer.publish(f"r/{treatment}/end", b"end", 1)
    found: list[str] = []
    while not found or found[-1] != "end":
        found.append(witness.message().payload.decode())
    witness.disconnect()
    writer.disconnect()
    return set(found) - {"end"}
