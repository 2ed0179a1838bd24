"""NTLM (MS-NLMP) with pyspnego's client: NTLMv2 with its integrity code, and nothing less."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
import spnego

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.sasl.contract import Binding, Challenge
from bridgehead.security.sasl.verifiers import nt_hash
from tests.sasl.peers import Cyrus, Gsasl
from tests.sasl.rim import NAME, PASSWORD, PROTECTED, Town, challenge, failure, mechanism, success

END_POINT = bytes(range(32))


def town() -> Town:
    return Town(ntlm={NAME: nt_hash(PASSWORD), "pump-1": nt_hash("another password")})


def client(user: str = NAME, password: str = PASSWORD, **more: Any) -> spnego.ContextProxy:
    return spnego.client(user, password, hostname="hub", service="mqtt", protocol="ntlm", **more)


def bindings(data: bytes) -> Any:
    return spnego.channel_bindings.GssChannelBindings(application_data=b"tls-server-end-point:" + data)


def first(peer: spnego.ContextProxy) -> bytes:
    token = peer.step()
    assert token is not None
    return token


def second(peer: spnego.ContextProxy, octets: bytes) -> bytes:
    token = peer.step(octets)
    assert token is not None
    return token


def test_the_hash_of_the_standard() -> None:
    """MS-NLMP 4.2.2.1.2: NTOWFv1 of "Password"."""
    assert nt_hash("Password").hex() == "a4f49c406510bdcab6824ee7c30fd852"
    assert nt_hash(b"Password") == nt_hash("Password")


@pytest.mark.parametrize("user", [NAME, f"WORKGROUP\\{NAME}", f"{NAME}@example.org"])
def test_pyspnego(user: str) -> None:
    """The domain is part of what is signed and not of the identity; a name with an @ in it is another name."""
    here, machine, peer = town(), mechanism("NTLM"), client(user)
    here.ntlm[f"{NAME}@example.org"] = nt_hash(PASSWORD)
    step = here.respond(machine, second(peer, challenge(here.start(machine, first(peer)))))
    assert success(step).name == (user if "@" in user else NAME)
    assert success(step).kind == "ntlm"


def test_an_initial_response_may_be_missing() -> None:
    here, machine, peer = town(), mechanism("NTLM"), client()
    assert challenge(machine.start(None)) == b""
    step = here.respond(machine, second(peer, challenge(here.respond(machine, first(peer)))))
    assert success(step).name == NAME


@pytest.mark.parametrize(("user", "password"), [(NAME, "wrong"), ("nobody", PASSWORD), ("pump-1", PASSWORD)])
def test_a_wrong_password_or_name_is_refused(user: str, password: str) -> None:
    here, machine, peer = town(), mechanism("NTLM"), client(user, password)
    refused = failure(here.respond(machine, second(peer, challenge(here.start(machine, first(peer))))))
    assert (refused.because, refused.guess) == ("the NTLM response is not that of the password", True)


def test_a_recorded_response_is_worth_nothing() -> None:
    here, machine, peer = town(), mechanism("NTLM"), client()
    recorded = second(peer, challenge(here.start(machine, first(peer))))
    again = mechanism("NTLM", random=os.urandom(32))
    challenge(here.start(again, first(client())))
    assert failure(here.respond(again, recorded)).guess


def test_what_is_changed_on_the_way_is_refused() -> None:
    """Each octet of the last message is covered by its integrity code, or read."""
    here, peer = town(), client()
    machine = mechanism("NTLM")
    negotiate = first(peer)
    message = second(peer, challenge(here.start(machine, negotiate)))
    for at in range(len(message)):
        again = mechanism("NTLM")
        challenge(here.start(again, negotiate))
        failure(here.respond(again, message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]))
    assert success(here.respond(machine, message)).name == NAME


def test_the_first_message_cannot_be_changed_either() -> None:
    """Somebody in the middle takes a flag away, so that less is negotiated."""
    here, machine, peer = town(), mechanism("NTLM"), client()
    negotiate = bytearray(first(peer))
    negotiate[14] ^= 0x40
    assert failure(here.respond(machine, second(peer, challenge(here.start(machine, bytes(negotiate)))))).guess


@pytest.mark.parametrize("lm_compat", ["0", "1", "2"])
def test_what_is_older_than_ntlmv2_is_refused(lm_compat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", lm_compat)
    here, machine, peer = town(), mechanism("NTLM"), client()
    step = here.start(machine, first(peer))
    if isinstance(step, Challenge):
        step = here.respond(machine, second(peer, step.data))
    assert "not of its form" in failure(step).because


@pytest.mark.parametrize(("bound", "accepted"), [(END_POINT, True), (None, True), (bytes(32), False)])
def test_channel_binding_is_checked_where_the_client_has_it(bound: bytes | None, accepted: bool) -> None:
    here, machine = town(), mechanism("NTLM", Binding(END_POINT, protected=True))
    peer = client(channel_bindings=bindings(bound) if bound else None)
    step = here.respond(machine, second(peer, challenge(here.start(machine, first(peer)))))
    if accepted:
        assert success(step).name == NAME
    else:
        assert "channel binding" in failure(step).because


def test_the_host_says_nothing_of_itself() -> None:
    here, machine, peer = town(), mechanism("NTLM"), client()
    octets = challenge(here.start(machine, first(peer)))
    assert socket.gethostname().upper().encode("utf-16-le") not in octets


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"NTLMSSP\0",
        b"NTLMSSP\0\x01\0\0\0",
        b"NTLMSSP\0\x01\0\0\0\0\0\0\0",
        b"NTLMSSP\0\x03\0\0\0" + bytes(80),
        b"NTLMSSP\0\x01\0\0\0" + bytes(9000),
        b"x" * 40,
    ],
)
def test_a_first_message_of_another_form_is_refused(message: bytes) -> None:
    failure(town().start(mechanism("NTLM", PROTECTED), message))


def test_a_cut_last_message_is_refused() -> None:
    here, peer = town(), client()
    machine = mechanism("NTLM")
    negotiate = first(peer)
    message = second(peer, challenge(here.start(machine, negotiate)))
    for length in range(len(message)):
        again = mechanism("NTLM")
        challenge(here.start(again, negotiate))
        failure(here.respond(again, message[:length]))


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl_speaks_only_what_is_older() -> None:
    with Cyrus("NTLM", ["-a", NAME], PASSWORD) as peer:
        assert "older than NTLMv2" in failure(peer.run(town(), mechanism("NTLM"))).because


@pytest.mark.peer("gsasl")
def test_gnu_sasl_speaks_only_what_is_older() -> None:
    with Gsasl("NTLM", ["-a", NAME, "-p", PASSWORD, "-r", "HUB"]) as peer:
        assert "older than NTLMv2" in failure(peer.run(town(), mechanism("NTLM"))).because


def test_a_hash_of_another_length_is_our_mistake() -> None:
    machine, peer = mechanism("NTLM"), client()
    machine.respond(second(peer, challenge(machine.start(first(peer)))))
    with pytest.raises(LocalMisuse):
        machine.answer(b"short")
