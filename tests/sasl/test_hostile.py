"""Whatever octets come, in whatever order: a failure or a PeerError, a bounded memory, and nobody gets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security.otp.otp import compute
from bridgehead.security.sasl.contract import Binding, Challenge, Failure, OtpState, TokenIdentity
from bridgehead.security.sasl.kerberos import KerberosAcceptor
from bridgehead.security.sasl.offer import MECHANISMS, make
from bridgehead.security.sasl.verifiers import nt_hash, scram_records
from bridgehead.wire.errors import PeerError
from tests.sasl.kdc import SERVICE, Kdc
from tests.sasl.rim import NAME, NOW, PASSWORD, Town, settings

BOUND = Binding(bytes(32), bytes(range(32)), protected=True, certificate=True)
NAMES = [name for name in MECHANISMS if name not in ("GSSAPI", "EXTERNAL")]
RECORDS = scram_records(PASSWORD)
STATE = OtpState("otp-sha1", 100, "ke1234", compute("otp-sha1", "This is a test.", "ke1234", 100))

# Pieces that get past the first checks more often than chance does.
PIECES = st.sampled_from(
    [
        b"n,,",
        b"y,,",
        b"p=tls-exporter,,",
        b"n=sensor-7",
        b",r=abc",
        b"r=",
        b"c=biws",
        b",p=",
        b"a=",
        b"\x00",
        b"\x01",
        b"=",
        b"sensor-7",
        b"user=sensor-7",
        b"auth=Bearer x",
        b"hex:",
        b"word:",
        b"init-hex:",
        b":md5 499 ke1",
        b"0" * 16,
        b"NTLMSSP\x00",
        b"\x01\x00\x00\x00",
        b"\x03\x00\x00\x00",
        b"\xff\xff\xff\xff",
        bytes(80),
        b"AAAA",
        b"A" * 9000,
    ]
)
MESSAGES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=8).map(b"".join))


def town() -> Town:
    return Town(
        scram={NAME: RECORDS},
        tokens={"right": TokenIdentity(NAME, NOW)},
        otp={NAME: STATE},
        ntlm={NAME: nt_hash(PASSWORD)},
    )


@pytest.mark.parametrize("name", NAMES)
@given(initial=st.none() | MESSAGES, responses=st.lists(MESSAGES, max_size=5))
def test_whatever_comes_nobody_gets_in(name: str, initial: bytes | None, responses: list[bytes]) -> None:
    here, machine = town(), make(name, NAMES, BOUND, bytes(32), settings())
    step = here.start(machine, initial)
    for response in responses:
        if isinstance(step, Challenge):
            step = here.respond(machine, response)
            continue
        with pytest.raises(PeerError):
            here.respond(machine, response)
    assert isinstance(step, Challenge | Failure)
    assert len(here.asked) <= 2


@pytest.mark.peer("krb5kdc")
def test_whatever_comes_to_kerberos(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> None:
    acceptor = KerberosAcceptor(kdc.keytab, tmp_path_factory.mktemp("hub") / "replays", SERVICE)

    @given(initial=st.none() | MESSAGES, responses=st.lists(MESSAGES, max_size=4))
    def try_it(initial: bytes | None, responses: list[bytes]) -> None:
        here, machine = Town(kerberos={"": NAME}), acceptor.make(BOUND, bytes(32))
        step = here.start(machine, initial)
        for response in responses:
            if isinstance(step, Challenge):
                step = here.respond(machine, response)
        assert isinstance(step, Challenge | Failure)
        assert here.asked == []

    try_it()


@pytest.mark.parametrize("name", NAMES)
def test_more_than_any_message_has_is_refused_unread(name: str) -> None:
    here, machine = town(), make(name, NAMES, BOUND, bytes(32), settings())
    refused = here.start(machine, bytes(1_000_000))
    assert isinstance(refused, Failure)
    assert "larger than any" in refused.because
    assert here.asked == []
