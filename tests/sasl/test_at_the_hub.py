"""Kerberos tickets and one-time passwords by MQTT 5.0's AUTH at a hub that is a process of its own, as two devices."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest

from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.packets import Auth, Connack, Connect, Disconnect, Packet
from bridgehead.protocols.mqtt.codec.properties import Properties
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.wanted import Fresh, NewOtp, Wanted
from bridgehead.security.otp.otp import compute, to_hex, to_words
from bridgehead.security.sasl.kerberos_client import GssapiClient
from tests.cli.hub import Hub, command
from tests.peers.raw import Raw
from tests.peers.town import may_both
from tests.sasl.kdc import REALM, SERVICE, Kdc

pytestmark = pytest.mark.peer("krb5kdc")
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"
login = ["GSSAPI", "OTP"]
[kerberos]
keytab = "{keytab}"
service = "{service}"
[login]
lock_after = 6
[log]
format = "json"
"""
NAMES = ("sensor-7", "pump-1")


class House:
    def __init__(self, hub: Hub, kdc: Kdc, otp: dict[str, NewOtp]) -> None:
        self.hub = hub
        self.kdc = kdc
        self.otp = otp

    def raw(self) -> Raw:
        return Raw(self.hub.dial())

    def one_time(self, name: str, number: int) -> bytes:
        given = self.otp[name]
        return compute(given.algorithm, given.pass_phrase, given.seed, number)

    def ticket(self, name: str, authzid: str = "") -> GssapiClient:
        return GssapiClient(SERVICE, authzid, self.kdc.ticket(name))


@pytest.fixture(scope="module")
def house(kdc: Kdc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    hub = Hub(tmp_path_factory.mktemp("house"), CONFIG.format(keytab=kdc.keytab, service=SERVICE))
    kdc.keytab.chmod(0o600)
    identity = Identity(hub.data)
    otp: dict[str, NewOtp] = {}
    for name in NAMES:
        wanted = Wanted(name, [may_both(f"{name}/#")], kerberos_principals=[f"{name}@{REALM}"], fresh=Fresh(otp=True))
        with identity.enrolling(wanted) as enrolled:
            assert enrolled.otp is not None
            otp[name] = enrolled.otp
    identity.close()
    with hub:
        yield House(hub, kdc, otp)


def said(method: str, data: bytes) -> Properties:
    return Properties(authentication_method=method, authentication_data=data)


def goes_on(raw: Raw, method: str, respond: Callable[[bytes], bytes]) -> Packet:
    """Answers challenges until something else comes."""
    while True:
        packet = raw.receive()
        if not isinstance(packet, Auth) or packet.reason_code != codes.CONTINUE_AUTHENTICATION:
            return packet
        raw.send(
            Auth(codes.CONTINUE_AUTHENTICATION, said(method, respond(packet.properties.authentication_data or b"")))
        )


def enters(raw: Raw, method: str, client_id: str, first: bytes, respond: Callable[[bytes], bytes]) -> int:
    """The Reason Code of CONNACK."""
    raw.send(Connect(5, True, 0, client_id, None, None, None, said(method, first)))
    answer = goes_on(raw, method, respond)
    assert isinstance(answer, Connack)
    return answer.reason_code


def by_ticket(house: House, name: str, client_id: str, authzid: str = "") -> tuple[Raw, int]:
    raw, client = house.raw(), house.ticket(name, authzid)
    return raw, enters(raw, "GSSAPI", client_id, client.start(), client.respond)


# Kerberos. ------------------------------------------------------------------------------------------


def test_a_ticket_lets_in_as_its_principal_and_nobody_else(house: House) -> None:
    raw, code = by_ticket(house, "sensor-7", "sensor-7")
    assert code == 0
    assert raw.publish("sensor-7/a", b"mine", 1) < 0x80
    assert raw.publish("pump-1/a", b"another's", 1) == codes.NOT_AUTHORIZED
    raw.close()


def test_a_ticket_with_the_name_or_client_identifier_of_another(house: House) -> None:
    assert by_ticket(house, "sensor-7", "sensor-7", "pump-1")[1] == codes.BAD_USER_NAME_OR_PASSWORD
    assert by_ticket(house, "sensor-7", "pump-1")[1] == codes.CLIENT_IDENTIFIER_NOT_VALID


def test_a_ticket_again_while_connected_and_then_another_ones(house: House) -> None:
    raw, code = by_ticket(house, "sensor-7", "sensor-7-again")
    assert code == 0
    client = house.ticket("sensor-7")
    raw.send(Auth(codes.RE_AUTHENTICATE, said("GSSAPI", client.start())))
    answer = goes_on(raw, "GSSAPI", client.respond)
    assert isinstance(answer, Auth)
    assert answer.reason_code == codes.SUCCESS
    raw.ping()
    client = house.ticket("pump-1")
    raw.send(Auth(codes.RE_AUTHENTICATE, said("GSSAPI", client.start())))
    answer = goes_on(raw, "GSSAPI", client.respond)
    assert isinstance(answer, Disconnect)
    assert answer.reason_code == codes.NOT_AUTHORIZED


def test_a_first_message_that_was_overheard_is_no_ticket(house: House) -> None:
    client = house.ticket("sensor-7")
    first = client.start()
    assert enters(house.raw(), "GSSAPI", "sensor-7", first, client.respond) == 0
    assert enters(house.raw(), "GSSAPI", "sensor-7", first, client.respond) == codes.BAD_USER_NAME_OR_PASSWORD


# One-time passwords. --------------------------------------------------------------------------------


def by_otp(house: House, name: str, answer: bytes, authzid: str = "") -> tuple[Raw, int]:
    raw = house.raw()
    return raw, enters(raw, "OTP", name, f"{authzid}\0{name}".encode(), lambda _: answer)


def number_due(house: House, name: str) -> tuple[Raw, int]:
    """A connection that was challenged, and for which number."""
    raw = house.raw()
    raw.send(Connect(5, True, 0, name, None, None, None, said("OTP", f"\0{name}".encode())))
    packet = raw.receive()
    assert isinstance(packet, Auth)
    return raw, int((packet.properties.authentication_data or b"").split()[1])


def answer(raw: Raw, data: bytes) -> int:
    raw.send(Auth(codes.CONTINUE_AUTHENTICATION, said("OTP", data)))
    packet = raw.receive()
    assert isinstance(packet, Connack)
    return packet.reason_code


def test_a_one_time_password_counts_once_and_for_its_device(house: House) -> None:
    raw, number = number_due(house, "pump-1")
    right = f"hex:{to_hex(house.one_time('pump-1', number))}".encode()
    assert answer(raw, right) == 0
    assert raw.publish("sensor-7/a", b"another's", 1) == codes.NOT_AUTHORIZED
    assert by_otp(house, "pump-1", right)[1] == codes.BAD_USER_NAME_OR_PASSWORD
    assert number_due(house, "pump-1")[1] == number - 1
    other = f"word:{to_words(house.one_time('pump-1', number - 1))}".encode()
    assert by_otp(house, "sensor-7", other)[1] == codes.BAD_USER_NAME_OR_PASSWORD
    assert by_otp(house, "pump-1", other, "sensor-7")[1] == codes.BAD_USER_NAME_OR_PASSWORD


def test_of_many_that_show_one_password_at_once_one_gets_in(house: House) -> None:
    """RFC 2289 section 9.0: whoever reads along is as fast as its owner."""
    begun = [number_due(house, "sensor-7") for _ in range(5)]
    right = f"hex:{to_hex(house.one_time('sensor-7', begun[0][1]))}".encode()
    for raw, _ in begun:
        raw.send(Auth(codes.CONTINUE_AUTHENTICATION, said("OTP", right)))
    got: list[int] = []
    for raw, _ in begun:
        packet = raw.receive()
        assert isinstance(packet, Connack)
        got.append(packet.reason_code)
    assert sorted(got) == [0] + [codes.BAD_USER_NAME_OR_PASSWORD] * 4


def test_an_exchange_does_not_go_on_by_another_method(house: House) -> None:
    raw, number = number_due(house, "sensor-7")
    right = f"hex:{to_hex(house.one_time('sensor-7', number))}".encode()
    raw.send(Auth(codes.CONTINUE_AUTHENTICATION, said("GSSAPI", right)))
    (refused,) = raw.rest()
    assert isinstance(refused, Connack)
    assert refused.reason_code == codes.BAD_AUTHENTICATION_METHOD


@pytest.mark.parametrize("method", ["SCRAM-SHA-256", "PLAIN", "EXTERNAL", "ANONYMOUS", "GSS-SPNEGO", "otp", ""])
def test_a_method_that_the_listener_does_not_name(house: House, method: str) -> None:
    raw = house.raw()
    assert enters(raw, method, "sensor-7", b"\0sensor-7\0x", lambda _: b"") == codes.BAD_AUTHENTICATION_METHOD


def test_who_guesses_is_locked_out_and_let_in_again_by_command(house: House) -> None:
    """By that name, from this address: its neighbour goes on."""
    wrong = b"hex:0123456789abcdef"
    for _ in range(8):
        assert by_otp(house, "sensor-7", wrong)[1] == codes.BAD_USER_NAME_OR_PASSWORD
    assert house.hub.await_event("authentication.locked-out")["claimed"] == "sensor-7"
    assert house.hub.events("authentication.refused")[-1]["braked"] is True
    assert by_ticket(house, "pump-1", "pump-1")[1] == 0
    done = subprocess.run(
        command("device", "unlock", "sensor-7", "--data", house.hub.data), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    raw, number = number_due(house, "sensor-7")
    assert answer(raw, f"hex:{to_hex(house.one_time('sensor-7', number))}".encode()) == 0
