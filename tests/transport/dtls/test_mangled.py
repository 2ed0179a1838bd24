"""Handshakes among which somebody throws mangled copies: they end, one way or the other, and nothing is left."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.transport.dtls.contract import DtlsSettings, Proof
from tests.transport.dtls.dialogue import CLIENT, Dialogue
from tests.transport.dtls.test_dialogue import certificate_client, raw_key_client


def mangled(data: bytes, chance: random.Random) -> bytes:
    octets = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(octets) + 1)
        act = chance.randrange(4)
        if act == 0:
            octets[place : place + 1] = bytes([chance.choice([0, 1, 25, 127, 255])])
        elif act == 1:
            octets[place : place + 1] = chance.randbytes(1)
        elif act == 2:
            del octets[place:]
        else:
            octets[place:place] = chance.randbytes(3)
    return bytes(octets)


@given(st.integers(0, 2**32), st.sampled_from([0, 1, 2]), st.booleans())
def test_mangled_copies(seed: int, mode: int, ids: bool) -> None:
    chance = random.Random(seed)
    settings = DtlsSettings()
    settings.connection_ids = ids
    dialogue = Dialogue(settings=settings, seed=seed)
    node = dialogue.add((CLIENT, raw_key_client(), certificate_client())[mode])

    def network(to_server: bool, client: int, datagram: bytes) -> list[float]:
        if chance.random() < 0.4:
            broken = mangled(datagram, chance)
            if to_server:
                dialogue.server.receive(node.path, broken)
            else:
                held.append(broken)
        return [0.01]

    held: list[bytes] = []
    dialogue.network = network
    node.dtls.start()
    for _ in range(60):
        dialogue.run(1.0)
        while held:
            node.dtls.receive(held.pop())
    assert dialogue.server.half_open == 0
    assert node.dtls.association is not None or node.failures
    for association in dialogue.associations:
        proof = association.proof
        assert isinstance(proof, Proof)
        assert proof.kind == ("psk", "rpk", "certificate")[mode]


def test_a_server_hello_that_somebody_forged_does_not_hide_the_true_one() -> None:
    dialogue = Dialogue()
    node = dialogue.add()
    forged: list[bytes] = []

    def network(to_server: bool, client: int, datagram: bytes) -> list[float]:
        if not to_server and datagram[13] == 2 and not forged:
            session = datagram[13 + 12 + 34]
            at = 13 + 12 + 34 + 1 + session
            forged.append(datagram[:at] + b"\xc0\xa8" + datagram[at + 2 :])  # another suite
            # message_seq 9: GnuTLS keeps it for later and forgets it; the true one is what counts.
            node.dtls.receive(forged[0][:17] + b"\x00\x09" + forged[0][19:])
        return [0.01]

    dialogue.network = network
    node.dtls.start()
    dialogue.run(10.0)
    assert forged
    assert node.dtls.association is not None
    dialogue.say(node, b"up")
    dialogue.run()
    assert dialogue.sinks[0].data == [b"up"]
