"""Every SASL mechanism with a client that was not written here, at a hub that is a process of its own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bridgehead.security.credentials import TokenSubject
from tests.amqp.whole.office import SECRET, Office
from tests.coap.whole.harbour import may_both
from tests.sasl import issuer
from tests.sasl.conftest import kdc as kdc
from tests.sasl.kdc import REALM, Kdc

pytestmark = pytest.mark.peer("krb5kdc")
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
login = {login}

[[listener]]
bind = "127.0.0.1:0"
protocol = "amqp"
transport = "websocket"

[[token_issuer]]
issuer = "{issuer}"
keys = "keys.json"
audience = ["{audience}"]

[kerberos]
keytab = "{keytab}"
service = "amqp@localhost"

[login]
lock_after = 0
"""
LOGIN = (
    "certificate",
    "password",
    "SCRAM-SHA-256",
    "SCRAM-SHA-512",
    "OAUTHBEARER",
    "XOAUTH2",
    "GSSAPI",
    "OTP",
    "NTLM",
)
DEVICE = "sensor-7"  # a principal of the KDC's realm
TOPIC = "Office/mechanisms"


@pytest.fixture(scope="module")
def house(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("mechanisms")
    (folder / "keys.json").write_bytes(issuer.key_set(issuer.key("ES256")))
    kdc.keytab.chmod(0o600)
    config = CONFIG.format(login=json.dumps(LOGIN), issuer=issuer.ISSUER, audience=issuer.AUDIENCE, keytab=kdc.keytab)
    made = Office(folder, listeners=config)
    made.add(
        DEVICE,
        may_both("Office/#"),
        tokens=[TokenSubject(issuer.ISSUER, DEVICE)],
        kerberos=[f"{DEVICE}@{REALM}"],
        otp=True,
        ntlm=True,
    )
    made.add("pump-1", may_both("Office/#"))
    with made:
        yield made


def token(subject: str = DEVICE, seconds: float = 600) -> str:
    return issuer.token(issuer.claims(sub=subject, exp=int(time.time() + seconds)))


def proton(house: Office, mechanism: str, name: str = DEVICE, **more: str) -> Any:
    return house.python("proton_login.py", mechanism, TOPIC, name=name, more=more).lines()[-1]


def rhea(house: Office, mechanism: str, how: str = "tls", name: str = DEVICE, **more: str) -> Any:
    return house.rhea("rhea_login.js", mechanism, TOPIC, how, name=name, more=more).lines()[-1]


def last_by(house: Office) -> object:
    """By which mechanism the hub says somebody got in last."""
    return house.hub.events("authentication.accepted")[-1]["mechanism"]


@pytest.mark.clause("AMQP-5.3.2")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_proton_by_password(house: Office, mechanism: str) -> None:
    assert proton(house, mechanism) == {"mechanism": mechanism, "heard": "said by Proton"}
    assert last_by(house) == mechanism
    assert "refused" in proton(house, mechanism, AMQP_PASSWORD="a wrong one")


@pytest.mark.clause("AMQP-5.3.2")
def test_proton_by_certificate(house: Office) -> None:
    assert proton(house, "EXTERNAL", SHOW_CERTIFICATE="1") == {"mechanism": "EXTERNAL", "heard": "said by Proton"}
    assert last_by(house) == "EXTERNAL"
    # Without a certificate it is not offered.
    assert "refused" in proton(house, "EXTERNAL")


@pytest.mark.clause("AMQP-5.3.2")
def test_proton_by_kerberos_ticket(house: Office, kdc: Kdc) -> None:
    ticket = str(kdc.ticket(DEVICE))
    found = proton(house, "GSSAPI", KRB5CCNAME=ticket, KRB5_CONFIG=kdc.environment["KRB5_CONFIG"])
    assert found == {"mechanism": "GSSAPI", "heard": "said by Proton"}
    assert last_by(house) == "GSSAPI"
    # A ticket of somebody who is on no device's record proves nobody.
    ticket = str(kdc.ticket("pump-1"))
    assert "refused" in proton(house, "GSSAPI", KRB5CCNAME=ticket, KRB5_CONFIG=kdc.environment["KRB5_CONFIG"])


@pytest.mark.clause("AMQP-5.3.3.4")
@pytest.mark.peer("node")
def test_rhea_with_ntlm_of_pyspnego(house: Office) -> None:
    assert rhea(house, "NTLM", SASL_PYTHON=sys.executable) == {"heard": "said by rhea"}
    assert last_by(house) == "NTLM"
    assert "refused" in rhea(house, "NTLM", SASL_PYTHON=sys.executable, AMQP_PASSWORD="a wrong one")


def test_proton_by_what_is_older_than_ntlm_v2(house: Office) -> None:
    """Cyrus SASL's client answers as NTLM did in 1996."""
    assert "refused" in proton(house, "NTLM")
    assert "older than NTLMv2" in str(house.hub.events("authentication.refused")[-1]["because"])


@pytest.mark.clause("AMQP-5.3.3.4")
def test_proton_by_one_time_password(house: Office) -> None:
    phrase = house.otp[DEVICE].pass_phrase
    for _ in range(2):
        found = proton(house, "OTP", AMQP_PASSWORD=phrase)
        assert found == {"mechanism": "OTP", "heard": "said by Proton"}
        assert last_by(house) == "OTP"
    assert "refused" in proton(house, "OTP", AMQP_PASSWORD="another pass phrase")


@pytest.mark.peer("node")
@pytest.mark.clause("AMQP-5.3.3.5")
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
def test_rhea_with_scram_of_gnu_sasl(house: Office, mechanism: str) -> None:
    """With -PLUS bound to the TLS connection by tls-exporter (RFC 9266)."""
    assert rhea(house, mechanism) == {"heard": "said by rhea"}
    assert last_by(house) == mechanism


@pytest.mark.peer("node")
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_rhea_by_token(house: Office, mechanism: str) -> None:
    assert rhea(house, mechanism, AMQP_TOKEN=token()) == {"heard": "said by rhea"}
    assert last_by(house) == mechanism
    assert "refused" in rhea(house, mechanism, AMQP_TOKEN=token(seconds=-3600))
    assert "refused" in rhea(house, mechanism, AMQP_TOKEN=token("pump-1"))


@pytest.mark.peer("node")
@pytest.mark.parametrize("how", ["tls", "ws"])
def test_rhea_by_password_and_websocket(house: Office, how: str) -> None:
    assert rhea(house, "PLAIN", how) == {"heard": "said by rhea"}


@pytest.mark.peer("node")
@pytest.mark.clause("AMQP-5.3.3.1")
def test_nobody_gets_in_as_anonymous_or_without_sasl(house: Office) -> None:
    """rhea without credentials tries both, one after the other."""
    assert "refused" in rhea(house, "ANONYMOUS")
    assert "refused" in proton(house, "ANONYMOUS")
    assert not [each for each in house.hub.events("authentication.accepted") if each["mechanism"] == "ANONYMOUS"]


def test_a_device_that_must_show_both_shows_both(house: Office) -> None:
    house.command("device", "set", "pump-1", "--require", "password+certificate")
    assert "refused" in proton(house, "PLAIN", "pump-1")
    assert "refused" in proton(house, "EXTERNAL", "pump-1", SHOW_CERTIFICATE="1")
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        found = proton(house, mechanism, "pump-1", SHOW_CERTIFICATE="1")
        assert found == {"mechanism": mechanism, "heard": "said by Proton"}


def test_a_password_beside_the_certificate_of_another(house: Office) -> None:
    another = {"AMQP_CERTIFICATE": str(house.certificate("pump-1")), "AMQP_KEY": str(house.key("pump-1"))}
    assert "refused" in proton(house, "PLAIN", SHOW_CERTIFICATE="1", **another)
    assert "the certificate is of 'pump-1'" in str(house.hub.events("authentication.refused")[-1]["because"])


@pytest.mark.peer("node")
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_nobody_acts_for_anybody(house: Office, mechanism: str) -> None:
    """GNU SASL asks to act for another (RFC 4422 section 3.4.1)."""
    assert rhea(house, f"GSASL/{mechanism}") == {"heard": "said by rhea"}
    assert "refused" in rhea(house, f"GSASL/{mechanism}", AMQP_AUTHZID="pump-1")
    assert "another identity" in str(house.hub.events("authentication.refused")[-1]["because"])


def test_no_secret_is_in_the_log(house: Office) -> None:
    text = house.hub.log_text()
    assert SECRET not in text
    assert house.otp[DEVICE].pass_phrase not in text
    assert DEVICE in text
