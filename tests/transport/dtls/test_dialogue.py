"""Handshakes and sessions under loss, doubling, delay and disorder; new handshakes, moves, ends."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings, Proof
from tests.transport.dtls.dialogue import CLIENT, PSK, Dialogue, Network
from tests.transport.dtls.keys import der, pem, town
from tests.transport.dtls.rim import Devices


def raw_key_client() -> DtlsIdentity:
    return DtlsIdentity(raw_key=town().sensor_key.pem, peer_raw_keys=(town().hub_key.spki,))


def certificate_client() -> DtlsIdentity:
    here = town()
    return DtlsIdentity(certificate=pem(here.sensor), key=here.sensor_key.pem, trust=here.authority.pem)


def without_ids() -> DtlsSettings:
    made = DtlsSettings()
    made.connection_ids = False
    return made


@pytest.mark.parametrize("ids", [True, False])
def test_each_mode_with_the_client_of_this_house(ids: bool) -> None:
    dialogue = Dialogue(settings=None if ids else without_ids())
    for identity, kind in ((CLIENT, "psk"), (raw_key_client(), "rpk"), (certificate_client(), "certificate")):
        node = dialogue.connect(identity)
        dialogue.run()
        association = dialogue.associations[-1]
        proof = association.proof
        assert isinstance(proof, Proof)
        assert proof.kind == kind
        dialogue.say(node, b"up")
        dialogue.answer(association, b"down")
        dialogue.run()
        assert (dialogue.sinks[-1].data, node.sink.data) == ([b"up"], [b"down"])
        assert bool(association.cid) is ids
    first, second, third = (each.proof for each in dialogue.associations)
    assert isinstance(first, Proof)
    assert isinstance(second, Proof)
    assert isinstance(third, Proof)
    assert first.identity == b"sensor-7"
    assert second.spki == town().sensor_key.spki
    assert third.certificate == der(town().sensor)


def lossy(chance: random.Random, loss: float, *, doubled: float = 0.0, late: float = 0.0) -> Network:
    def network(to_server: bool, client: int, datagram: bytes) -> list[float]:
        copies = [] if chance.random() < loss else [0.01]
        if chance.random() < doubled:
            copies.append(0.02)
        return [delay + (chance.random() * late) for delay in copies]

    return network


@pytest.mark.clause("RFC6347-4.2.4")
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2]), st.booleans())
def test_handshakes_come_to_an_end_under_loss_doubling_and_disorder(seed: int, mode: int, ids: bool) -> None:
    chance = random.Random(seed)
    limits = DtlsSettings()
    limits.connection_ids = ids
    limits.handshake = 600.0
    limits.cookie = 600.0  # else a client that lost its hello for a minute would have to begin anew
    dialogue = Dialogue(settings=limits, network=lossy(chance, 0.3, doubled=0.2, late=0.5))
    identity = (CLIENT, raw_key_client(), certificate_client())[mode]
    node = dialogue.connect(identity, seconds=500.0)
    # What the server needs may be on its way still, or lost: the client has the last flight of nothing.
    dialogue.run(30.0)
    assert len(dialogue.associations) >= 1
    dialogue.network = lossy(chance, 0.0)
    dialogue.say(node, b"up")
    dialogue.answer(dialogue.associations[-1], b"down")
    dialogue.run()
    assert dialogue.sinks[-1].data == [b"up"]
    assert node.sink.data == [b"down"]
    assert dialogue.server.half_open == 0


@given(st.integers(0, 2**32), st.sampled_from([220, 300, 500]), st.booleans())
def test_messages_in_fragments_under_loss(seed: int, mtu: int, ids: bool) -> None:
    limits = DtlsSettings()
    limits.connection_ids = ids
    limits.mtu = mtu
    limits.handshake = 2_000.0
    limits.cookie = 2_000.0
    dialogue = Dialogue(settings=limits, network=lossy(random.Random(seed), 0.2, doubled=0.1, late=0.3))
    node = dialogue.connect(certificate_client(), seconds=1_900.0)
    dialogue.run(30.0)
    assert max(len(data) for _, data in dialogue.wire) <= mtu
    assert len(dialogue.wire) > 6
    dialogue.network = lossy(random.Random(seed), 0.0)
    dialogue.say(node, b"up")
    dialogue.run()
    assert dialogue.sinks[-1].data == [b"up"]


@pytest.mark.clause("RFC6347-4.2.4")
@pytest.mark.parametrize("lost", range(6))
def test_any_one_datagram_of_a_handshake_may_be_lost(lost: int) -> None:
    seen = 0

    def network(to_server: bool, client: int, datagram: bytes) -> list[float]:
        nonlocal seen
        seen += 1
        return [] if seen == lost + 1 else [0.01]

    dialogue = Dialogue(network=network)
    node = dialogue.connect()
    dialogue.run(20.0)
    dialogue.say(node, b"up")
    dialogue.run()
    assert dialogue.sinks[-1].data == [b"up"]
    assert len(dialogue.associations) == 1


@pytest.mark.clause("RFC6347-4.2.4")
def test_flights_are_repeated_after_one_second_then_two_then_four() -> None:
    dialogue = Dialogue()
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(1.0, until=lambda: dialogue.server.half_open == 1)
    begun = dialogue.clock.now
    times: list[float] = []

    def network(to_server: bool, client: int, datagram: bytes) -> list[float]:
        if not to_server:
            times.append(dialogue.clock.now - begun)
        return []

    dialogue.network = network
    dialogue.run(39.0)
    assert [round(each) for each in times] == [1, 3, 7, 15, 31]
    dialogue.run(2.0)
    assert dialogue.server.half_open == 0
    assert [failure.because for failure in dialogue.failures] == ["it did not come to an end in time"]
    assert not dialogue.failures[0].credential


def test_records_of_a_repeated_flight_have_numbers_of_their_own() -> None:
    dialogue = Dialogue()
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(1.0, until=lambda: dialogue.server.half_open == 1)
    dialogue.network = lambda to_server, client, datagram: []
    dialogue.wire.clear()
    dialogue.run(8.0)
    numbers = [int.from_bytes(data[5:11], "big") for to_server, data in dialogue.wire if not to_server]
    assert len(numbers) >= 3
    assert len(set(numbers)) == len(numbers)


@pytest.mark.clause("RFC6347-4.2.1")
def test_no_state_and_no_more_octets_out_than_in_before_the_cookie_came_back() -> None:
    dialogue = Dialogue(network=lambda to_server, client, datagram: [0.01] if to_server else [])
    for _ in range(200):
        dialogue.add().dtls.start()
    dialogue.run(0.5)
    assert dialogue.server.half_open == 0
    hellos = [data for to_server, data in dialogue.wire if to_server]
    answers = [data for to_server, data in dialogue.wire if not to_server]
    assert len(hellos) == len(answers) == 200
    assert max(map(len, answers)) < min(map(len, hellos))


@pytest.mark.clause("RFC6347-4.2.1")
def test_a_cookie_is_for_its_path_its_hello_and_its_time() -> None:
    dialogue = Dialogue(network=lambda to_server, client, datagram: [0.01])
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(1.0, until=lambda: dialogue.server.half_open == 1)
    with_cookie = [data for to_server, data in dialogue.wire if to_server][1]
    node.dtls.close("enough")
    dialogue.run(60.0)
    assert dialogue.server.half_open == 0
    dialogue.wire.clear()
    dialogue.server.receive(b"198.51.100.1 5", with_cookie)  # another path
    dialogue.server.receive(node.path, with_cookie)  # too late
    dialogue.run(1.0)
    assert [data[13] for _, data in dialogue.wire] == [3, 3]  # HelloVerifyRequest
    assert dialogue.server.half_open == 0


@pytest.mark.clause("RFC6347-4.2.8")
def test_a_new_handshake_from_a_known_address_leaves_the_old_session_until_it_succeeds() -> None:
    dialogue = Dialogue(settings=without_ids())
    old = dialogue.connect(path=b"192.0.2.9 1")
    dialogue.run()
    stranger = dialogue.add(DtlsIdentity(psk_identity=b"sensor-7", psk_key=b"a wrong key"), b"192.0.2.9 1")
    stranger.dtls.start()
    dialogue.run(20.0)
    assert [failure.kind for failure in dialogue.failures] == ["psk"]
    dialogue.say(old, b"still there")
    dialogue.run()
    assert dialogue.sinks[0].data == [b"still there"]
    assert dialogue.sinks[0].because == []
    again = dialogue.connect(path=b"192.0.2.9 1")
    dialogue.run()
    assert dialogue.sinks[0].because == ["its peer made a new handshake"]
    assert len(dialogue.server) == 1
    dialogue.say(again, b"new")
    dialogue.say(old, b"old")
    dialogue.run()
    assert dialogue.sinks[1].data == [b"new"]
    assert dialogue.sinks[0].data == [b"still there"]


@pytest.mark.clause("RFC6347-4.2.8")
@pytest.mark.parametrize("lost", [True, False])
def test_a_hello_that_comes_late_once_more_begins_nothing(lost: bool) -> None:
    """Its cookie is good still: a second handshake would meet what the client sends for the first one."""
    dialogue = Dialogue(settings=without_ids())
    if lost:  # the server's last flight
        dialogue.network = lambda to_server, client, data: [] if not to_server and data[0] == 20 else [0.01]
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(0.5)
    hello = [data for to_server, data in dialogue.wire if to_server][1]
    for _ in range(3):
        dialogue.server.receive(node.path, hello)
    dialogue.network = lambda to_server, client, data: [0.01]
    dialogue.run(10.0)
    assert dialogue.server.half_open == 0
    assert dialogue.failures == []
    dialogue.say(node, b"up")
    dialogue.run()
    assert dialogue.sinks[0].data == [b"up"]


@pytest.mark.clause("RFC9146-3", "RFC9146-4", "RFC9146-6")
def test_a_session_with_a_connection_id_survives_new_addresses() -> None:
    dialogue = Dialogue()
    node = dialogue.connect()
    dialogue.run()
    for port in range(5):
        node.path = f"203.0.113.{port} {port}".encode()
        dialogue.say(node, b"from %d" % port)
        dialogue.run()
        dialogue.answer(dialogue.associations[0], b"to %d" % port)
        dialogue.run()
    assert dialogue.sinks[0].data == [b"from %d" % port for port in range(5)]
    assert node.sink.data == [b"to %d" % port for port in range(5)]
    assert len(dialogue.server) == 1
    assert dialogue.associations[0].path == node.path


@pytest.mark.clause("RFC9146-6")
def test_an_old_or_a_forged_record_does_not_move_a_session() -> None:
    dialogue = Dialogue()
    node = dialogue.connect()
    dialogue.run()
    older, newer = node.association.seal(b"older"), node.association.seal(b"newer")
    at_home = node.path
    dialogue.server.receive(at_home, newer)
    dialogue.server.receive(b"198.51.100.1 6", older)  # genuine, late, from elsewhere
    dialogue.server.receive(b"198.51.100.1 6", newer)  # replayed
    dialogue.server.receive(b"198.51.100.1 6", newer[:-1] + bytes([newer[-1] ^ 1]))
    assert dialogue.associations[0].path == at_home
    assert dialogue.sinks[0].data == [b"newer", b"older"]


@pytest.mark.clause("RFC9146-6")
def test_what_goes_to_a_new_address_is_bounded_until_the_peer_goes_on_from_there() -> None:
    dialogue = Dialogue()
    node = dialogue.connect()
    dialogue.run()
    association, at_home, victim = dialogue.associations[0], node.path, b"198.51.100.1 6"
    taken_on_its_way = node.association.seal(b"a reading of twenty.")
    dialogue.server.receive(victim, taken_on_its_way)  # by somebody who forges the address
    assert association.path == victim
    sent = [association.seal(bytes(20)) for _ in range(50)]
    assert 0 < sum(map(len, sent)) <= 3 * len(taken_on_its_way)
    dialogue.server.receive(at_home, node.association.seal(b"the next one"))
    assert association.path == at_home
    large = bytes(1_000)
    assert association.seal(large) == b""
    dialogue.say(node, b"again")
    dialogue.run()
    assert association.seal(large) == b""
    dialogue.say(node, b"and again")
    dialogue.run()
    assert len(association.seal(large)) > 1_000
    assert dialogue.sinks[0].data == [b"a reading of twenty.", b"the next one", b"again", b"and again"]


def test_without_a_connection_id_another_address_is_nobody() -> None:
    dialogue = Dialogue(settings=without_ids())
    node = dialogue.connect()
    dialogue.run()
    dialogue.server.receive(b"198.51.100.1 6", node.association.seal(b"from elsewhere"))
    assert dialogue.sinks[0].data == []


@pytest.mark.clause("RFC6347-4.1")
def test_each_record_is_taken_once_in_any_order() -> None:
    dialogue = Dialogue(settings=without_ids())
    node = dialogue.connect()
    dialogue.run()
    records = [node.association.seal(b"%d" % number) for number in range(40)]
    shuffled = [*records, *records]
    random.Random(5).shuffle(shuffled)
    for record in shuffled:
        dialogue.server.receive(node.path, record)
    assert sorted(dialogue.sinks[0].data, key=int) == [b"%d" % number for number in range(40)]


@pytest.mark.clause("RFC7925-17")
def test_renegotiation_is_declined_by_a_warning() -> None:
    dialogue = Dialogue(settings=without_ids())
    node = dialogue.connect()
    dialogue.run()
    dialogue.wire.clear()
    for _ in range(10):
        hello = node.association._seal(22, bytes([1]) + bytes(60))
        dialogue.server.receive(node.path, hello)
    answers = [data for to_server, data in dialogue.wire if not to_server]
    assert 1 <= len(answers) <= 3  # not an answer for each of them
    dialogue.run()
    dialogue.say(node, b"goes on")
    dialogue.run()
    assert dialogue.sinks[0].data == [b"goes on"]
    assert node.association.ended == ""


def test_an_end_is_told_to_the_peer_and_to_the_sink_once() -> None:
    dialogue = Dialogue()
    node = dialogue.connect()
    dialogue.run()
    dialogue.server.end(dialogue.associations[0], "revoked", 49)
    dialogue.server.end(dialogue.associations[0], "revoked", 49)
    dialogue.run()
    assert dialogue.sinks[0].because == ["revoked"]
    assert node.sink.because == ["the peer sent the fatal alert 49 (access_denied)"]
    assert len(dialogue.server) == 0
    assert dialogue.associations[0].seal(b"x") == b""


def test_close_notify_is_answered() -> None:
    dialogue = Dialogue()
    node = dialogue.connect()
    dialogue.run()
    dialogue.wire.clear()
    node.dtls.close("done")
    dialogue.run()
    assert [to_server for to_server, _ in dialogue.wire] == [True, False]
    assert dialogue.sinks[0].because == ["the peer closed it"]
    assert len(dialogue.server) == 0


def test_alerts_that_are_not_protected_end_no_session() -> None:
    dialogue = Dialogue()
    node = dialogue.connect()
    dialogue.run()
    dialogue.server.receive(node.path, bytes.fromhex("15fefd0000000000000009000202 28".replace(" ", "")))
    dialogue.server.receive(node.path, bytes.fromhex("15fefd00010000000000090002022 8".replace(" ", "")))
    dialogue.say(node, b"goes on")
    dialogue.run()
    assert dialogue.sinks[0].data == [b"goes on"]


def test_an_identity_that_is_replaced_holds_for_the_next_handshake() -> None:
    here = town()
    dialogue = Dialogue()
    first = dialogue.connect(certificate_client())
    revoked = here.authority.revoke(here.sensor)
    dialogue.server.reload(
        DtlsIdentity(certificate=pem(here.hub), key=here.hub_key.pem, trust=here.authority.pem, lists=revoked)
    )
    dialogue.say(first, b"still there")
    dialogue.run()
    assert dialogue.sinks[0].data == [b"still there"]
    second = dialogue.add(certificate_client())
    second.dtls.start()
    dialogue.run(10.0)
    assert second.dtls.association is None
    assert "revoked" in dialogue.failures[0].because


def test_a_client_refuses_a_server_of_another_name_or_another_key() -> None:
    here = town()
    stranger = DtlsIdentity(certificate=pem(here.stranger), key=here.stranger_key.pem, trust=here.authority.pem)
    dialogue = Dialogue(identity=stranger)
    for identity, because in (
        (certificate_client(), "the server's certificate is refused"),
        (raw_key_client(), "the server's raw public key is not one"),
    ):
        node = dialogue.add(identity)
        node.dtls.start()
        dialogue.run(10.0)
        (failure,) = node.failures
        assert failure.credential
        assert failure.because.startswith(because)
    assert dialogue.associations == []


def test_a_client_gives_up_where_nobody_answers() -> None:
    dialogue = Dialogue(network=lambda to_server, client, datagram: [])
    node = dialogue.add()
    node.dtls.start()
    dialogue.run(50.0)
    assert [failure.because for failure in node.failures] == ["the server did not answer in time"]
    assert len(dialogue.wire) == 6  # at 0, 1, 3, 7, 15 and 31 s


def test_unknown_identities_get_the_same_answers_in_the_same_number() -> None:
    shapes = []
    for identity in (b"sensor-7", b"nobody"):
        dialogue = Dialogue(devices=Devices({b"sensor-7": PSK}))
        node = dialogue.add(DtlsIdentity(psk_identity=identity, psk_key=b"not the key"))
        node.dtls.start()
        dialogue.run(60.0)
        assert [failure.credential for failure in dialogue.failures] == [True]
        shapes.append([(data[0], len(data)) for to_server, data in dialogue.wire if not to_server])
    assert shapes[0] == shapes[1]
