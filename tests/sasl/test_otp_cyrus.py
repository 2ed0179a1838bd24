"""OTP with a client that was not written here: Cyrus SASL's plug-in (RFC 2444, RFC 2243)."""

from __future__ import annotations

import pytest

from bridgehead.security.otp.otp import compute
from bridgehead.security.sasl.contract import OtpState
from tests.sasl.peers import CyrusLibrary
from tests.sasl.rim import NAME, OPEN, Town, failure, mechanism, success

PHRASE = "This is a test."
SEED = "ke1234"


def town(algorithm: str, number: int) -> Town:
    return Town(otp={NAME: OtpState(algorithm, number, SEED, compute(algorithm, PHRASE, SEED, number))})


def log_in(here: Town) -> OtpState:
    """What is kept for the next time."""
    with CyrusLibrary("OTP", NAME, PHRASE, "") as peer:
        assert success(peer.run(here, mechanism("OTP", OPEN))).name == NAME
    return here.otp[NAME]


@pytest.mark.peer("sasl-sample-client")
@pytest.mark.parametrize("algorithm", ["otp-md5", "otp-sha1"])
def test_cyrus_sasl(algorithm: str) -> None:
    here = town(algorithm, 500)
    for number in (499, 498):
        assert log_in(here) == OtpState(algorithm, number, SEED, compute(algorithm, PHRASE, SEED, number))


@pytest.mark.peer("sasl-sample-client")
@pytest.mark.parametrize("number", [10, 3])
def test_cyrus_sasl_begins_anew_before_the_last(number: int) -> None:
    """RFC 2444 section 3, RFC 2243 section 4 (init-hex): a new seed with the last but few of the old ones."""
    here = town("otp-sha1", number)
    anew = log_in(here)
    assert anew.seed != SEED
    assert anew.sequence > number
    after = log_in(here)
    assert (after.seed, after.sequence) == (anew.seed, anew.sequence - 1)


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl_with_a_wrong_pass_phrase() -> None:
    here = town("otp-sha1", 100)
    with CyrusLibrary("OTP", NAME, "another pass phrase", "") as peer:
        assert failure(peer.run(here, mechanism("OTP", OPEN))).guess
    assert here.otp == town("otp-sha1", 100).otp


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl_asking_for_another_identity() -> None:
    here = town("otp-sha1", 100)
    with CyrusLibrary("OTP", NAME, PHRASE, "pump-1") as peer:
        assert "another identity" in failure(peer.run(here, mechanism("OTP", OPEN))).because
