"""OAUTHBEARER (RFC 7628) and XOAUTH2: the messages, the error's round, and identities that are not the token's."""

from __future__ import annotations

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.sasl.client import OAuthBearerClient
from bridgehead.security.sasl.contract import TokenIdentity, VerifyToken
from bridgehead.wire.errors import Violation
from tests.sasl.rim import NAME, NOW, Town, challenge, failure, mechanism, success

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
A = b"\x01"


def town() -> Town:
    return Town(tokens={TOKEN: TokenIdentity(NAME, NOW + 60)})


def bearer(header: bytes = b"n,,", auth: bytes = b"auth=Bearer " + TOKEN.encode()) -> bytes:
    return header + A + b"host=hub.example.org" + A + b"port=8883" + A + auth + A + A


def xoauth2(user: str = NAME, token: str = TOKEN) -> bytes:
    return f"user={user}\x01auth=Bearer {token}\x01\x01".encode()


@pytest.mark.parametrize("header", [b"n,,", b"y,,", b"n,a=sensor-7,"])
def test_a_token_proves_its_identity_until_it_ends(header: bytes) -> None:
    step = success(town().start(mechanism("OAUTHBEARER"), bearer(header)))
    assert (step.name, step.authzid, step.kind, step.expires_at) == (NAME, NAME, "token", NOW + 60)


def test_our_client() -> None:
    peer = OAuthBearerClient(TOKEN, "hub.example.org", 8883, NAME)
    assert success(town().talk(mechanism("OAUTHBEARER"), peer.start(), peer.respond)[0]).name == NAME
    peer.finish(None)
    assert success(town().talk(mechanism("OAUTHBEARER"), None, OAuthBearerClient(TOKEN).respond)[0]).name == NAME


def test_a_refused_token_is_told_and_acknowledged() -> None:
    """RFC 7628 section 3.2.3."""
    peer = OAuthBearerClient("wrong")
    outcome, challenges = town().talk(mechanism("OAUTHBEARER"), peer.start(), peer.respond)
    assert failure(outcome).guess
    assert challenges == [b'{"status":"invalid_token"}']
    with pytest.raises(Violation):
        peer.finish(None)


@pytest.mark.parametrize("acknowledgement", [A, b"", bearer(), b"x"])
def test_after_a_refusal_there_is_no_second_try(acknowledgement: bytes) -> None:
    here, machine = town(), mechanism("OAUTHBEARER")
    challenge(here.start(machine, bearer(auth=b"auth=Bearer wrong")))
    failure(here.respond(machine, acknowledgement))
    assert here.asked == [VerifyToken("wrong")]


@pytest.mark.parametrize("authzid", [b"pump-1", b"SENSOR-7", b"sensor-7 ", b"root"])
def test_another_identity_is_refused(authzid: bytes) -> None:
    refused = failure(town().start(mechanism("OAUTHBEARER"), bearer(b"n,a=" + authzid + b",")))
    assert "another identity" in refused.because


@pytest.mark.parametrize(
    "message",
    [
        b"",
        A,
        b"n,," + A + A,
        bearer(b"p=tls-exporter,,"),
        bearer(b"n,"),
        bearer(b"n,,,"),
        bearer(b"n,b=x,"),
        bearer(b"n,a=x=y,"),
        bearer(auth=b"auth=Basic abc"),
        bearer(auth=b"auth="),
        bearer(auth=b"auth=Bearer"),
        bearer(auth=b"auth=Bearer a b"),
        bearer(auth=b"auth=Bearer a\nb"),
        bearer(auth=b"auth=Bearer \xc3\xa4"),
        bearer(auth=b"auth=Bearer x" + A + b"auth=Bearer " + TOKEN.encode()),
        bearer()[:-1],
        bearer()[:-2],
        bearer() + A,
        bearer() + b"x",
        bearer().replace(A, b"\0"),
        b"\xff" + bearer(),
        bearer() + b" " * 70_000,
    ],
)
def test_a_message_of_another_form_is_refused(message: bytes) -> None:
    here = town()
    failure(here.start(mechanism("OAUTHBEARER"), message))
    assert here.asked == []


def test_a_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(mechanism("OAUTHBEARER").start(bearer()))


def test_xoauth2() -> None:
    step = success(town().start(mechanism("XOAUTH2"), xoauth2()))
    assert (step.name, step.kind, step.expires_at) == (NAME, "token", NOW + 60)


def test_xoauth2_as_google_shows_it() -> None:
    """The example of Google's page on XOAUTH2, in which the token ends with padding."""
    text = b"user=someuser@example.com" + A + b"auth=Bearer ya29." + TOKEN.encode() + A + A
    here = Town(tokens={"ya29." + TOKEN: TokenIdentity("someuser@example.com", None)})
    assert success(here.start(mechanism("XOAUTH2"), text)).name == "someuser@example.com"


def test_xoauth2_refused() -> None:
    here, machine = town(), mechanism("XOAUTH2")
    assert challenge(here.start(machine, xoauth2(token="wrong"))) == b'{"status":"401","schemes":"bearer"}'
    assert failure(here.respond(machine, b"")).claimed == NAME


@pytest.mark.parametrize("user", ["pump-1", "", "root", NAME + "x"])
def test_xoauth2_for_another_identity_is_refused(user: str) -> None:
    failure(town().start(mechanism("XOAUTH2"), xoauth2(user)))


def test_xoauth2_without_a_user_is_refused() -> None:
    failure(town().start(mechanism("XOAUTH2"), b"auth=Bearer " + TOKEN.encode() + A + A))


def test_an_answer_that_is_no_identity_is_our_mistake() -> None:
    machine = mechanism("OAUTHBEARER")
    machine.start(bearer())
    with pytest.raises(LocalMisuse):
        machine.answer(NAME)
