"""Every mechanism at the real hub, with two identities: who proves one of them, by whatever mechanism, gets nothing of
the other's, whatever name it claims, and whatever it tries once it is in."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from bridgehead.protocols.mqtt.codec.packets import Auth, Connack, Disconnect
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.protocols.mqtt.codec.reason_codes import CLIENT_IDENTIFIER_NOT_VALID, NOT_AUTHORIZED, SUCCESS
from bridgehead.security.credentials import TokenSubject
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Fresh, NewOtp, Wanted
from bridgehead.security.otp.otp import compute
from bridgehead.security.records import PermissionRecord
from bridgehead.security.sasl.client import OAuthBearerClient, ScramClient
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.kerberos_client import GssapiClient
from tests.cli.hub import PATIENCE, Hub
from tests.peers.raw import Raw
from tests.sasl.issuer import AUDIENCE, ISSUER, claims, key, key_set, token
from tests.sasl.kdc import REALM, SERVICE, Kdc

pytestmark = pytest.mark.peer("krb5kdc")
THIEF, VICTIM = "sensor-7", "pump-1"
COMMON = "common"  # a client identifier that both may use
MECHANISMS = (
    *("PLAIN", "EXTERNAL", "SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"),
    *("OAUTHBEARER", "XOAUTH2", "GSSAPI", "NTLM", "OTP"),
)
BY_NAME = tuple(name for name in MECHANISMS if name not in ("EXTERNAL", "OAUTHBEARER", "GSSAPI"))
LOGIN = ", ".join(f'"{name}"' for name in ("certificate", "password", *MECHANISMS) if not name.endswith("PLUS"))
CONFIG = f"""
[[listener]]
bind = "127.0.0.1:0"
login = [{LOGIN}]

[[token_issuer]]
issuer = "{ISSUER}"
keys = "keys.json"
audience = ["{AUDIENCE}"]

[kerberos]
keytab = "hub.keytab"
service = "{SERVICE}"

[login]
tries_per_identity = 1000
tries_per_address = 1000
"""


class Client(Protocol):
    def start(self) -> bytes: ...

    def respond(self, challenge: bytes) -> bytes: ...


class Said:
    """One message, and an acknowledgement of whatever comes then."""

    def __init__(self, message: str) -> None:
        self._message = message.encode()

    def start(self) -> bytes:
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        return b""


class OneTime(Said):
    def __init__(self, names: str, secret: NewOtp) -> None:
        super().__init__(names)
        self._secret = secret

    def respond(self, challenge: bytes) -> bytes:
        algorithm, number, seed, _ = challenge.decode().split()
        return f"hex:{compute(algorithm, self._secret.pass_phrase, seed, int(number)).hex()}".encode()


class Ntlm:
    def __init__(self, name: str, password: str) -> None:
        self._context = spnego.client(name, password, hostname="hub", service="mqtt", protocol="ntlm")

    def start(self) -> bytes:
        return self._context.step() or b""

    def respond(self, challenge: bytes) -> bytes:
        return self._context.step(challenge) or b""


class House:
    """A hub with every mechanism, and two devices that have every proof; each may use what is below its own name."""

    def __init__(self, folder: Path, kdc: Kdc) -> None:
        self.folder = folder
        self.kdc = kdc
        (folder / "keys.json").write_bytes(key_set(key("ES256")))
        (folder / "hub.keytab").write_bytes(kdc.keytab.read_bytes())
        (folder / "hub.keytab").chmod(0o600)
        self.hub = Hub(folder, CONFIG)
        self.passwords = {THIEF: "the thief's own", VICTIM: "the victim's own"}
        self.one_time: dict[str, NewOtp] = {}

    def enrol(self) -> None:
        identity = Identity(self.hub.data)
        for name, password in self.passwords.items():
            wanted = Wanted(
                name,
                [PermissionRecord("own/${device}/#", publish=True, subscribe=True)],
                client_ids=(name, COMMON),
                fresh=Fresh(password=password.encode(), certificate=True, otp=True, ntlm=True),
                token_subjects=[TokenSubject(ISSUER, name)],
                kerberos_principals=[f"{name}@{REALM}"],
            )
            with identity.enrolling(wanted) as enrolled:
                assert enrolled.certificate is not None
                assert enrolled.otp is not None
                pem = enrolled.certificate.certificate_pem + enrolled.certificate.key_pem
                (self.folder / f"{name}.pem").write_bytes(pem)
                self.one_time[name] = enrolled.otp
        identity.close()

    def raw(self, certificate: str = "") -> Raw:
        if not certificate:
            return Raw(self.hub.dial())
        context = self.hub.trust()
        context.load_cert_chain(self.folder / f"{certificate}.pem")
        sock = socket.create_connection(("127.0.0.1", self.hub.port("mqtts")), PATIENCE)
        return Raw(context.wrap_socket(sock, server_hostname="localhost"))

    def client(self, mechanism: str, who: str, authzid: str = "", name: str = "") -> Client:
        """With the proofs of `who`, under the name `name` where the mechanism has a place for one."""
        name = name or who
        password = self.passwords[who]
        if mechanism == "PLAIN":
            return Said(f"{authzid}\0{name}\0{password}")
        if mechanism == "EXTERNAL":
            return Said(authzid)
        if mechanism.startswith("SCRAM"):
            return ScramClient(mechanism, name, password, os.urandom(24), self.binding(), authzid=authzid)
        if mechanism == "OTP":
            return OneTime(f"{authzid}\0{name}", self.one_time[who])
        if mechanism == "NTLM":
            return Ntlm(name, password)
        if mechanism == "GSSAPI":
            return GssapiClient(SERVICE, authzid, self.kdc.ticket(who))
        mine = token(claims(sub=who, exp=int(time.time()) + 600))
        if mechanism == "XOAUTH2":
            return Said(f"user={authzid or name}\x01auth=Bearer {mine}\x01\x01")
        return OAuthBearerClient(mine, authzid=authzid)

    def binding(self) -> Binding:
        """tls-server-end-point (RFC 5929 section 4.1)."""
        with self.hub.dial() as sock:
            assert isinstance(sock, ssl.SSLSocket)
            der = sock.getpeercert(binary_form=True)
        assert der is not None
        algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
        assert algorithm is not None
        digest = hashes.Hash(algorithm)
        digest.update(der)
        return Binding(digest.finalize(), None, True)


def log_in(raw: Raw, mechanism: str, client: Client, client_id: str) -> int:
    """CONNACK's Reason Code."""
    first = Properties(authentication_method=mechanism, authentication_data=client.start())
    raw.send(raw.hello(client_id, properties=first))
    while isinstance(packet := raw.receive(), Auth):
        raw.send(_answer(mechanism, client, packet))
    assert isinstance(packet, Connack)
    return packet.reason_code


def log_in_anew(raw: Raw, mechanism: str, client: Client) -> int:
    """The Reason Code of the last AUTH or of DISCONNECT."""
    data = client.start()
    raw.send(Auth(0x19, Properties(authentication_method=mechanism, authentication_data=data)))
    while isinstance(packet := raw.receive(), Auth) and packet.reason_code == 0x18:
        raw.send(_answer(mechanism, client, packet))
    assert isinstance(packet, Auth | Disconnect)
    return packet.reason_code


def _answer(mechanism: str, client: Client, packet: Auth) -> Auth:
    data = client.respond(packet.properties.authentication_data or b"")
    return Auth(0x18, Properties(authentication_method=mechanism, authentication_data=data))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, kdc: Kdc) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), kdc)
    with made.hub:
        made.enrol()
        yield made


@pytest.fixture
def victim(house: House) -> Iterator[Raw]:
    """Connected; nothing that happens in a test reaches it."""
    raw = house.raw(VICTIM)
    assert raw.connect(VICTIM).reason_code == SUCCESS
    assert raw.subscribe(f"own/{VICTIM}/#", 1) == 1
    yield raw
    raw.ping()
    raw.disconnect()


def certificate(mechanism: str) -> str:
    return THIEF if mechanism == "EXTERNAL" else ""


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_who_is_in_is_itself_and_nobody_else(house: House, victim: Raw, mechanism: str) -> None:
    thief = house.raw(certificate(mechanism))
    assert log_in(thief, mechanism, house.client(mechanism, THIEF), COMMON) == SUCCESS
    assert thief.publish(f"own/{THIEF}/x", b"mine", 1) in (0, 0x10)
    assert thief.publish(f"own/{VICTIM}/x", b"forged", 1) == NOT_AUTHORIZED
    assert thief.subscribe(f"own/{VICTIM}/#") == NOT_AUTHORIZED
    # Anew as itself, and then as the victim, with proofs of the victim's that are good.
    assert log_in_anew(thief, mechanism, house.client(mechanism, THIEF)) == SUCCESS
    thief.ping()
    other = "OAUTHBEARER" if mechanism == "EXTERNAL" else mechanism
    refusals = len(house.hub.events("connection.refused"))
    assert log_in_anew(thief, other, house.client(other, VICTIM)) >= 0x80
    assert thief.rest() == []
    if mechanism == MECHANISMS[0]:  # the log leaves out what comes too often
        line = house.hub.await_event("connection.refused", refusals + 1)
        assert (line["principal"], line["client_id"], line["protocol"]) == (THIEF, COMMON, "mqtt")
        assert line["because"] == f"the identity proven anew is another one, {VICTIM!r}"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_client_identifier_of_the_other_is_refused(house: House, victim: Raw, mechanism: str) -> None:
    thief = house.raw(certificate(mechanism))
    assert log_in(thief, mechanism, house.client(mechanism, THIEF), VICTIM) == CLIENT_IDENTIFIER_NOT_VALID
    assert thief.rest() == []


@pytest.mark.parametrize("mechanism", [name for name in MECHANISMS if name != "NTLM"])
def test_the_other_as_authorization_identity_is_refused(house: House, victim: Raw, mechanism: str) -> None:
    """RFC 4422 section 3.4.1. NTLM has none."""
    for client_id in (THIEF, VICTIM):
        thief = house.raw(certificate(mechanism))
        assert log_in(thief, mechanism, house.client(mechanism, THIEF, VICTIM), client_id) >= 0x80
        assert thief.rest() == []


@pytest.mark.parametrize("mechanism", BY_NAME)
def test_the_name_of_the_other_with_proofs_of_its_own_is_refused(house: House, victim: Raw, mechanism: str) -> None:
    thief = house.raw()
    assert log_in(thief, mechanism, house.client(mechanism, THIEF, name=VICTIM), VICTIM) >= 0x80
    assert thief.rest() == []


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_certificate_of_the_other_beside_it_is_refused(house: House, victim: Raw, mechanism: str) -> None:
    """Good proofs of both: they are not one identity. EXTERNAL is that certificate itself."""
    thief = house.raw(VICTIM)
    authzid = THIEF if mechanism == "EXTERNAL" else ""
    assert log_in(thief, mechanism, house.client(mechanism, THIEF, authzid), THIEF) >= 0x80
    assert thief.rest() == []
