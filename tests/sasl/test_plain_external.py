"""PLAIN (RFC 4616) and EXTERNAL (RFC 4422 appendix A), and which mechanisms a connection is offered."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.sasl.contract import Binding, VerifyPassword
from bridgehead.security.sasl.offer import MECHANISMS, NotOffered, make, offered
from tests.sasl.peers import Cyrus, Gsasl
from tests.sasl.rim import NAME, OPEN, PASSWORD, PROTECTED, Town, challenge, failure, mechanism, settings, success

RIGHT = f"\0{NAME}\0{PASSWORD}".encode()


@pytest.mark.parametrize("authzid", ["", NAME])
def test_plain(authzid: str) -> None:
    step = success(Town().start(mechanism("PLAIN"), authzid.encode() + RIGHT))
    assert (step.name, step.authzid, step.kind, step.data) == (NAME, NAME, "password", None)


def test_plain_without_an_initial_response() -> None:
    town, machine = Town(), mechanism("PLAIN")
    assert challenge(machine.start(None)) == b""
    assert success(town.respond(machine, RIGHT)).name == NAME


@pytest.mark.parametrize("authzid", ["pump-1", NAME + " ", "root"])
def test_plain_for_another_identity_is_refused(authzid: str) -> None:
    assert "another identity" in failure(Town().start(mechanism("PLAIN"), authzid.encode() + RIGHT)).because


@pytest.mark.parametrize(("name", "password"), [(NAME, "wrong"), ("nobody", PASSWORD), (NAME, PASSWORD + " ")])
def test_plain_with_a_wrong_password_or_name(name: str, password: str) -> None:
    refused = failure(Town().start(mechanism("PLAIN"), f"\0{name}\0{password}".encode()))
    assert (refused.claimed, refused.guess, refused.data) == (name, True, None)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0",
        b"\0\0",
        b"a\0b",
        RIGHT + b"\0",
        b"\0" + RIGHT,
        b"\0\0" + PASSWORD.encode(),
        b"\0sensor-7\0",
        b"\0\xff\0x",
        b"\0sensor-7\0\xc3(",
        b"\0a\x07b\0x",
        b"\0\xc2\xad\0x",
        b"\0x\0" + b"y" * 70_000,
    ],
)
def test_plain_of_another_form_is_refused(message: bytes) -> None:
    town = Town()
    failure(town.start(mechanism("PLAIN"), message))
    assert town.asked == []


def test_a_password_is_in_no_repr() -> None:
    machine = mechanism("PLAIN")
    step = machine.start(RIGHT)
    assert PASSWORD not in repr(step) + repr(VerifyPassword(NAME, PASSWORD.encode())) + repr(vars(machine))


def test_an_answer_that_is_no_name_is_our_mistake() -> None:
    machine = mechanism("PLAIN")
    machine.start(RIGHT)
    with pytest.raises(LocalMisuse):
        machine.answer(True)


@pytest.mark.parametrize("authzid", ["", NAME])
def test_external(authzid: str) -> None:
    step = success(Town(certificate=NAME).start(mechanism("EXTERNAL"), authzid.encode()))
    assert (step.name, step.kind) == (NAME, "certificate")


def test_external_without_an_initial_response() -> None:
    town, machine = Town(certificate=NAME), mechanism("EXTERNAL")
    assert challenge(machine.start(None)) == b""
    assert success(town.respond(machine, b"")).name == NAME


@pytest.mark.parametrize("authzid", [b"pump-1", b"SENSOR-7", b"\xff", b"sensor-7\0", b"x" * 2000])
def test_external_for_another_identity_is_refused(authzid: bytes) -> None:
    failure(Town(certificate=NAME).start(mechanism("EXTERNAL"), authzid))


def test_external_with_a_certificate_that_names_nobody() -> None:
    assert "names an identity" in failure(Town().start(mechanism("EXTERNAL"), b"")).because


@pytest.mark.peer("gsasl")
def test_gnu_sasl() -> None:
    with Gsasl("PLAIN", ["-a", NAME, "-p", PASSWORD]) as peer:
        assert success(peer.run(Town(), mechanism("PLAIN"))).name == NAME
    with Gsasl("PLAIN", ["-a", NAME, "-z", "pump-1", "-p", PASSWORD]) as peer:
        assert "another identity" in failure(peer.run(Town(), mechanism("PLAIN"))).because
    with Gsasl("EXTERNAL", ["-z", NAME]) as peer:
        assert success(peer.run(Town(certificate=NAME), mechanism("EXTERNAL"))).name == NAME
    with Gsasl("EXTERNAL", ["-z", "pump-1"]) as peer:
        failure(peer.run(Town(certificate=NAME), mechanism("EXTERNAL")))


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl() -> None:
    with Cyrus("PLAIN", ["-a", NAME], PASSWORD) as peer:
        assert success(peer.run(Town(), mechanism("PLAIN"))).name == NAME
    with Cyrus("PLAIN", ["-a", NAME, "-u", "pump-1"], PASSWORD) as peer:
        assert "another identity" in failure(peer.run(Town(), mechanism("PLAIN"))).because


# What is offered. -----------------------------------------------------------------------------------------------------


def test_what_shows_a_secret_needs_a_protected_connection() -> None:
    hidden = {"PLAIN", "OAUTHBEARER", "XOAUTH2", "NTLM"}
    assert hidden.isdisjoint(offered(MECHANISMS, OPEN, settings()))
    assert hidden <= set(offered(MECHANISMS, Binding(protected=True), settings()))
    for name in hidden:
        with pytest.raises(NotOffered):
            make(name, MECHANISMS, OPEN, bytes(32), settings())


def test_external_needs_a_certificate() -> None:
    assert "EXTERNAL" not in offered(MECHANISMS, Binding(protected=True), settings())
    assert "EXTERNAL" in offered(MECHANISMS, PROTECTED, settings())


def test_the_chain_says_which_and_in_which_order() -> None:
    chain = ["certificate", "OTP", "password", "PLAIN", "SCRAM-SHA-256", "OTP"]
    assert offered(chain, PROTECTED, settings()) == ["OTP", "PLAIN", "SCRAM-SHA-256"]
    assert offered([], PROTECTED, settings()) == []
    with pytest.raises(NotOffered, match="offers OTP, PLAIN, SCRAM-SHA-256, and"):
        make("NTLM", chain, PROTECTED, bytes(32), settings())


@pytest.mark.parametrize("name", ["ANONYMOUS", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "plain", "", "PLAIN "])
def test_what_does_not_exist_is_never_offered(name: str) -> None:
    assert offered([name], PROTECTED, settings()) == []
    with pytest.raises(NotOffered):
        make(name, [name], PROTECTED, bytes(32), settings())


def test_every_mechanism_is_made_by_its_name() -> None:
    bound = Binding(b"x", b"y", protected=True, certificate=True)
    names = offered(MECHANISMS, bound, settings())
    assert sorted([*names, "GSSAPI"]) == sorted(MECHANISMS)
    assert [make(name, MECHANISMS, bound, bytes(32), settings()).name for name in names] == names
