"""GSSAPI (RFC 4752) with real tickets: our client, GNU SASL's and Cyrus SASL's; and tickets of somebody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.security.errors import SecurityError
from bridgehead.security.sasl.contract import Challenge, Mechanism
from bridgehead.security.sasl.kerberos import KerberosAcceptor
from bridgehead.security.sasl.kerberos_client import GssapiClient
from bridgehead.security.sasl.offer import NotOffered, make, offered
from tests.sasl.kdc import OTHER, REALM, SERVICE, Kdc
from tests.sasl.peers import Cyrus, Gsasl
from tests.sasl.rim import NAME, OPEN, Town, challenge, failure, settings, success

pytestmark = pytest.mark.peer("krb5kdc")
PRINCIPAL = f"{NAME}@{REALM}"
RANDOM = bytes(32)


@pytest.fixture
def acceptor(kdc: Kdc, tmp_path: Path) -> KerberosAcceptor:
    return KerberosAcceptor(kdc.keytab, tmp_path / "replays", SERVICE)


@pytest.fixture
def machine(acceptor: KerberosAcceptor) -> Mechanism:
    return make("GSSAPI", ["GSSAPI"], OPEN, RANDOM, settings(GSSAPI=acceptor.make))


@pytest.fixture
def town() -> Town:
    return Town(kerberos={PRINCIPAL: NAME})


def test_our_client_proves_the_identity_of_its_principal(kdc: Kdc, machine: Mechanism, town: Town) -> None:
    client = GssapiClient(SERVICE, cache=kdc.ticket(NAME))
    outcome, challenges = town.talk(machine, client.start(), client.respond)
    assert (success(outcome).name, success(outcome).kind, len(challenges)) == (NAME, "kerberos", 2)
    client.finish(None)


def test_an_initial_response_may_be_missing(kdc: Kdc, machine: Mechanism, town: Town) -> None:
    client = GssapiClient(SERVICE, cache=kdc.ticket(NAME))
    assert challenge(town.start(machine, None)) == b""
    step = town.respond(machine, client.start())
    while isinstance(step, Challenge):
        step = town.respond(machine, client.respond(step.data))
    assert success(step).name == NAME


@pytest.mark.parametrize("authzid", ["", NAME, PRINCIPAL])
def test_the_identity_may_be_named(kdc: Kdc, machine: Mechanism, town: Town, authzid: str) -> None:
    client = GssapiClient(SERVICE, authzid, kdc.ticket(NAME))
    assert success(town.talk(machine, client.start(), client.respond)[0]).authzid == NAME


@pytest.mark.parametrize("authzid", ["pump-1", f"pump-1@{REALM}", f"{NAME}@{OTHER}", NAME.upper()])
def test_another_identity_is_refused(kdc: Kdc, machine: Mechanism, town: Town, authzid: str) -> None:
    client = GssapiClient(SERVICE, authzid, kdc.ticket(NAME))
    assert "another identity" in failure(town.talk(machine, client.start(), client.respond)[0]).because


@pytest.mark.parametrize("principal", ["pump-1", f"{NAME}@{OTHER}"])
def test_a_ticket_of_another_principal_or_realm_proves_nobody(
    kdc: Kdc, machine: Mechanism, town: Town, principal: str
) -> None:
    client = GssapiClient(SERVICE, NAME, kdc.ticket(principal))
    refused = failure(town.talk(machine, client.start(), client.respond)[0])
    assert refused.because == "the Kerberos principal is no device's"
    assert refused.claimed == (principal if "@" in principal else f"{principal}@{REALM}")


def test_a_ticket_for_another_hub_is_refused(kdc: Kdc, tmp_path: Path, town: Town) -> None:
    foreign = KerberosAcceptor(kdc.foreign_keytab, tmp_path / "replays")
    client = GssapiClient(SERVICE, cache=kdc.ticket(NAME))
    assert "Kerberos refuses" in failure(town.start(foreign.make(OPEN, RANDOM), client.start())).because


def test_a_ticket_is_taken_once(kdc: Kdc, acceptor: KerberosAcceptor, town: Town) -> None:
    client = GssapiClient(SERVICE, cache=kdc.ticket(NAME))
    first = client.start()
    challenge(town.start(acceptor.make(OPEN, RANDOM), first))
    assert "replay" in failure(town.start(acceptor.make(OPEN, RANDOM), first)).because


def test_a_security_layer_is_refused(kdc: Kdc, machine: Mechanism, town: Town) -> None:
    """RFC 4752 3.1: none is offered, so none can be chosen."""
    client = GssapiClient(SERVICE, cache=kdc.ticket(NAME))
    assert client.respond(challenge(town.start(machine, client.start()))) == b""
    challenge(town.respond(machine, b""))
    chosen = client._context.wrap(bytes((4, 0, 255, 255)), False).message
    assert "security layer" in failure(town.respond(machine, chosen)).because


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_changed_on_the_way_is_refused(kdc: Kdc, machine: Mechanism, town: Town, place: int) -> None:
    client = GssapiClient(SERVICE, cache=kdc.ticket(NAME))
    responses = [client.start()]
    step = town.start(machine, _spoilt(responses[0]) if place == 0 else responses[0])
    for number in (1, 2):
        if not isinstance(step, Challenge):
            break
        response = client.respond(step.data)
        step = town.respond(machine, (_spoilt(response) or b"\0") if place == number else response)
    assert failure(step).because


def _spoilt(octets: bytes) -> bytes:
    return octets[:-1] + bytes((octets[-1] ^ 1,)) if octets else b""


@pytest.mark.peer("gsasl")
def test_gnu_sasl(kdc: Kdc, machine: Mechanism, town: Town) -> None:
    options = ["--service", "mqtt", "--hostname", "localhost", "--authentication-id", NAME]
    environment = {**kdc.environment, "KRB5CCNAME": f"FILE:{kdc.ticket(NAME)}"}
    with Gsasl("GSSAPI", options, environment) as client:
        assert success(client.run(town, machine)).name == NAME


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl(kdc: Kdc, machine: Mechanism, town: Town) -> None:
    environment = {**kdc.environment, "KRB5CCNAME": f"FILE:{kdc.ticket(NAME)}"}
    with Cyrus("GSSAPI", ["-u", NAME], None, environment) as client:
        assert success(client.run(town, machine)).name == NAME
        assert "Negotiation complete" in client.end()


def test_it_is_offered_only_where_there_is_a_keytab(acceptor: KerberosAcceptor) -> None:
    assert offered(["GSSAPI"], OPEN, settings(GSSAPI=acceptor.make)) == ["GSSAPI"]
    assert offered(["GSSAPI"], OPEN, settings()) == []
    with pytest.raises(NotOffered):
        make("GSSAPI", ["GSSAPI"], OPEN, RANDOM, settings())


def test_a_keytab_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="ktadd"):
        KerberosAcceptor(tmp_path / "none", tmp_path / "replays", SERVICE)


def test_a_client_without_a_ticket_says_so(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="kinit"):
        GssapiClient(SERVICE, cache=tmp_path / "none")
