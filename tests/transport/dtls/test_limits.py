"""Floods, ceilings and time: what a peer can make grow has an end, and others do not notice."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Proof
from tests.transport.dtls.dialogue import CLIENT, PSK, Dialogue
from tests.transport.dtls.rim import Devices
from tests.wire.dtls.parts import hello


def settings(**values: object) -> DtlsSettings:
    made = DtlsSettings()
    for name, value in values.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def to_server_only(to_server: bool, client: int, datagram: bytes) -> list[float]:
    return [0.01] if to_server else []


@pytest.mark.clause("RFC6347-4.2.1")
def test_a_flood_of_hellos_from_a_thousand_addresses_leaves_nothing_and_disturbs_nobody() -> None:
    dialogue = Dialogue()
    busy = dialogue.connect()
    dialogue.run()
    flood = hello(extensions=[(10, b"\x00\x02\x00\x17")])
    for round_ in range(3):
        for number in range(1_000):
            dialogue.server.receive(f"198.51.{number // 250}.{number % 250} 1".encode(), flood)
        dialogue.server.receive(busy.path, busy.association.seal(b"%d" % round_))
        assert dialogue.sinks[0].data[-1] == b"%d" % round_  # at once, whatever the others want
    assert dialogue.server.half_open == 0
    newcomer = dialogue.connect()
    assert newcomer.proofs


def test_handshakes_under_way_are_bounded_and_the_oldest_gives_way() -> None:
    dialogue = Dialogue(settings=settings(half_open=10), network=to_server_only)
    for number in range(40):
        node = dialogue.add(path=f"192.0.2.{number} 1".encode())
        node.dtls.start()
        dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    dialogue.run(0.5)
    assert dialogue.server.half_open == 10
    dialogue.run(10.0)  # those that were refused try again, and the oldest make room
    assert dialogue.server.half_open == 10
    assert {failure.because for failure in dialogue.failures} == {
        "others came while it was under way, and it was the oldest"
    }
    dialogue.run(100.0)
    assert dialogue.server.half_open == 0


def test_handshakes_of_one_address_are_bounded() -> None:
    dialogue = Dialogue(settings=settings(half_open_per_address=3))
    dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    for port in range(9):
        dialogue.add(path=f"192.0.2.1 {port}".encode()).dtls.start()
    dialogue.add(path=b"192.0.2.2 1").dtls.start()
    dialogue.run(0.5)
    assert dialogue.server.half_open == 4


def test_a_network_of_ipv6_counts_as_one_address() -> None:
    dialogue = Dialogue(settings=settings(half_open_per_address=3))
    dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    for host in range(9):
        dialogue.add(path=f"2001:db8:1:1::{host} 1".encode()).dtls.start()
    dialogue.add(path=b"2001:db8:1:2::1 1").dtls.start()
    dialogue.run(0.5)
    assert dialogue.server.half_open == 4


def test_handshakes_of_one_address_come_at_most_so_fast() -> None:
    dialogue = Dialogue(settings=settings(handshake_rate=0.1, handshake_burst=2.0))
    for port in range(5):
        dialogue.add(path=f"192.0.2.1 {port}".encode()).dtls.start()
    other = dialogue.add(path=b"192.0.2.2 1")
    other.dtls.start()
    dialogue.run(0.9)
    assert len(dialogue.server) == 3
    assert other.proofs
    dialogue.run(35.0)  # the others repeat their hellos, until it is their turn
    assert 5 <= len(dialogue.server) <= 6


def test_one_address_that_asks_for_ever_more_leaves_room_for_others() -> None:
    dialogue = Dialogue(settings=settings(waiting=100, waiting_per_address=10))
    dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    greedy = [dialogue.add(path=f"192.0.2.1 {port}".encode()) for port in range(300)]
    for node in greedy:
        node.dtls.start()
    hellos = len(dialogue.wire)
    late = dialogue.add(path=b"192.0.2.2 1")
    late.dtls.start()
    dialogue.run(0.1, until=lambda: dialogue.server.half_open > 0)
    assert hellos == 300
    assert sum(1 for *_, network in dialogue.server._waiting if network == "192.0.2.1") < 10
    dialogue.run(0.1)
    assert late.path in dialogue.server._half_open


def test_no_more_than_a_few_costly_steps_are_taken_in_a_turn() -> None:
    dialogue = Dialogue(settings=settings(handshakes_per_turn=4))
    dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    for number in range(10):
        dialogue.add(path=f"192.0.2.{number} 1".encode()).dtls.start()
    dialogue.run(0.5)
    assert dialogue.server.half_open == 10
    assert dialogue.turns == [4, 4, 2]


def test_three_steps_without_public_keys_count_as_one() -> None:
    dialogue = Dialogue(settings=settings(handshakes_per_turn=4, psk_exchanges=("PSK",)))
    dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    for number in range(15):
        dialogue.add(path=f"192.0.2.{number} 1".encode()).dtls.start()
    dialogue.run(0.5)
    assert dialogue.server.half_open == 15
    assert dialogue.turns == [12, 3]


def test_what_waits_for_its_turn_is_bounded() -> None:
    dialogue = Dialogue(settings=settings(waiting=5))
    dialogue.network = lambda to_server, client, data: [0.0] if to_server or data[13] == 3 else []
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(0.5, until=lambda: dialogue.server.half_open == 1)
    for _ in range(1_000):
        dialogue.server.receive(node.path, b"\x16\xfe\xfd" + bytes(10))
    assert len(dialogue.server._waiting) == 5
    dialogue.run()
    assert dialogue.server._waiting_per_network == {}


def test_sessions_are_bounded_and_the_idle_give_way() -> None:
    dialogue = Dialogue(settings=settings(associations=4, idle_at_least=100.0, half_open=2))
    nodes = [dialogue.connect() for _ in range(4)]
    late = dialogue.add()
    late.dtls.start()
    dialogue.run(30.0)
    assert late.dtls.association is None
    assert len(dialogue.server) == 4
    dialogue.run(60.0)
    for node in nodes[1:]:
        dialogue.say(node, b"busy")
    dialogue.run(30.0)
    newcomer = dialogue.connect()
    dialogue.run()
    assert dialogue.sinks[0].because == ["it was idle, and another one needed its place"]
    assert nodes[0].sink.because == ["the peer closed it"]
    assert len(dialogue.server) == 4
    assert newcomer.association.ended == ""


def test_sessions_that_are_silent_for_too_long_end() -> None:
    dialogue = Dialogue(settings=settings(idle=3_600.0))
    quiet, busy = dialogue.connect(), dialogue.connect()
    for _ in range(4):
        dialogue.run(1_200.0)
        dialogue.say(busy, b"here")
    dialogue.run(10.0)
    assert dialogue.sinks[0].because == ["nothing came for too long"]
    assert dialogue.sinks[1].because == []
    assert quiet.sink.because == ["the peer closed it"]


def test_datagrams_of_nobody_keep_nothing() -> None:
    dialogue = Dialogue()
    before = len(dialogue.wire)
    for first in range(256):
        dialogue.server.receive(b"198.51.100.1 1", bytes([first]) + b"\xfe\xfd" + bytes(30))
        dialogue.server.receive(b"198.51.100.1 1", bytes([first]))
        dialogue.server.receive(b"198.51.100.1 1", b"")
    dialogue.run()
    assert len(dialogue.wire) == before
    assert (dialogue.server.half_open, len(dialogue.server), dialogue.failures) == (0, 0, [])


def test_a_hello_whose_number_is_nearly_the_last_one_there_is() -> None:
    dialogue = Dialogue()
    path = b"198.51.100.1 1"
    last = (1 << 48) - 3
    dialogue.server.receive(path, hello(number=last, extensions=[]))
    ((_, request),) = dialogue.wire
    dialogue.server.receive(path, hello(cookie=request[28:], number=last, sequence=1, extensions=[]))
    dialogue.run(20.0)
    assert dialogue.server.half_open == 1
    assert {data[0] for _, data in dialogue.wire} == {22}  # ServerHello, again and again


def test_a_hello_that_gnutls_refuses_is_a_failure_without_a_credential() -> None:
    dialogue = Dialogue()
    path = b"198.51.100.1 1"
    dialogue.server.receive(path, hello(suites=b"\x00\x2f"))
    ((_, request),) = dialogue.wire
    dialogue.server.receive(path, hello(suites=b"\x00\x2f", cookie=request[28:], number=1, sequence=1))
    dialogue.run()
    (failure,) = dialogue.failures
    assert (failure.address, failure.kind, failure.credential) == ("198.51.100.1", "", False)
    assert dialogue.wire[-1][1][0] == 21  # a fatal alert
    assert dialogue.server.half_open == 0


@pytest.mark.parametrize(
    "junk", [b"\x16\xfe\xfd" + bytes(10), b"\x17\xfe\xfd\x00\x01" + bytes(28), b"\xff" * 40, b"\x16"]
)
def test_junk_amid_a_handshake_does_not_end_it(junk: bytes) -> None:
    dialogue = Dialogue()
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(1.0, until=lambda: dialogue.server.half_open == 1)
    dialogue.server.receive(node.path, junk)
    dialogue.run()
    assert node.proofs
    assert len(dialogue.server) == 1


def test_keys_and_identities_of_any_octets() -> None:
    for identity, key in ((b"\x00\xff" * 64, b"\x00" * 64), (b"i", b"k")):
        dialogue = Dialogue(devices=Devices({identity: key}))
        dialogue.connect(DtlsIdentity(psk_identity=identity, psk_key=key))
        dialogue.run()
        proof = dialogue.associations[0].proof
        assert isinstance(proof, Proof)
        assert proof.identity == identity


def test_no_key_shows_in_any_repr() -> None:
    dialogue = Dialogue()
    dialogue.connect(CLIENT)
    dialogue.run()
    shown = " ".join(map(repr, (CLIENT, dialogue.associations[0], dialogue.associations[0].proof, dialogue.server)))
    assert PSK.decode() not in shown
    assert PSK.hex() not in shown


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_twenty_thousand_peers_of_less_than_eight_thousand_octets() -> None:
    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    dialogue = Dialogue(settings=settings(half_open=100))
    for number in range(100):
        dialogue.connect(path=f"10.1.0.{number} 1".encode())
    dialogue.nodes.clear()
    before = resident()
    for number in range(20_000 - 100):
        dialogue.connect(path=f"10.0.{number // 250}.{number % 250} 1".encode())
        dialogue.nodes.clear()
        dialogue.wire.clear()
    assert len(dialogue.server) == 20_000
    assert (resident() - before) / 19_900 < 8_000
