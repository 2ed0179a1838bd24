"""SASL exchanges against the records: SCRAM by a client not written here, chains, and what changes meanwhile."""

from __future__ import annotations

import base64
import importlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from bridgehead.core.errors import BAD_CREDENTIALS, BUSY, CLIENT_ID_INVALID, NOT_AUTHORIZED, Refusal
from bridgehead.core.policy import Context
from bridgehead.security.credentials import Sealed, TokenSubject
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.identity.wanted import Fresh
from bridgehead.security.login import authenticate
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.login.brake import BrakeLimits
from bridgehead.security.login.chain import DEFAULT, Chain
from bridgehead.security.login.guard import GuardLimits
from bridgehead.security.login.passwords import PasswordHasher, PasswordVerifier
from bridgehead.security.login.proof import NEVER, Credentials, Proven
from bridgehead.security.records import Device
from bridgehead.security.registry.registry import Registry
from bridgehead.security.sasl.contract import Binding
from bridgehead.security.sasl.offer import NotOffered
from bridgehead.security.tokens.verify import NotAccepted, VerifiedToken
from tests.security.support import Time, der, enrol, publish

PASSWORD = b"correct horse battery staple"
METHOD = "SCRAM-SHA-256"
scramp: Any = importlib.import_module("scramp")  # it says nothing about its types
BOUND = Binding(tls_server_end_point=b"e" * 32, protected=True)


class Tokens:
    """Says what it was told to of a token."""

    def __init__(self) -> None:
        self.known: dict[str, VerifiedToken] = {}

    async def verify(self, text: str) -> VerifiedToken:
        if text not in self.known:
            raise NotAccepted("its signature is wrong")
        return self.known[text]


class House:
    def __init__(self, identity: Identity, clock: Time) -> None:
        self.identity = identity
        self.clock = clock
        self.events: list[tuple[str, dict[str, object]]] = []
        self.registry = Registry(identity.data)
        self.tokens = Tokens()
        self.authenticator = self.another()

    def another(self) -> Authenticator:
        """As after a restart."""
        brakes = GuardLimits(BrakeLimits(3), BrakeLimits(50), lock_after=5, lock_seconds=3600)
        return Authenticator(
            self.registry,
            lambda name, fields: self.events.append((name, fields)),
            clock=self.clock,
            verifier=PasswordVerifier(PasswordHasher(1, 8, 1), threads=1),
            limits=brakes,
            tokens=self.tokens,
            vault=self.identity.vault,
        )

    def shown(
        self,
        chain: Chain = DEFAULT,
        certificate: bytes | None = None,
        binding: Binding | None = None,
        user: str | None = None,
        password: bytes | None = None,
        client_id: str = "",
        address: str = "192.0.2.1:50000",
    ) -> Credentials:
        return Credentials(user, password, certificate, client_id, address, "mqtt", chain, binding)

    async def scram(
        self,
        credentials: Credentials,
        name: str = "sensor-7",
        password: bytes = PASSWORD,
        method: str = METHOD,
        binding: tuple[str, bytes] | None = None,
    ) -> Proven:
        client = scramp.ScramClient([method], name, password.decode(), channel_binding=binding)
        exchange = self.authenticator.exchange(method, credentials)
        challenge = await exchange.begin(client.get_client_first().encode())
        assert isinstance(challenge, bytes)
        client.set_server_first(challenge.decode())
        proven = await exchange.go_on(client.get_client_final().encode())
        assert isinstance(proven, Proven)
        assert proven.data is not None
        client.set_server_final(proven.data.decode())  # the server has proven itself too
        return proven

    def because(self) -> str:
        return str(self.events[-1][1]["because"])


@pytest.fixture
async def house(identity: Identity, clock: Time, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", PasswordHasher(1, 8, 1).hash)
    found = House(identity, clock)
    for name in ("sensor-7", "sensor-8"):
        enrol(identity, Wanted(name, [publish("Office/${device}/#")], password=PASSWORD))
    yield found
    found.authenticator.close()
    found.registry.close()


def change(house: House, name: str, **fields: object) -> None:
    registry = house.identity.registry
    registry.update_device(replace(registry.existing_device(name), **fields), house.clock())


@pytest.mark.parametrize("method", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_scram_proves_the_device_to_the_hub_and_the_hub_to_the_device(house: House, method: str) -> None:
    proven = await house.scram(house.shown(), method=method)
    assert (proven.name, proven.kinds, proven.expires_at) == ("sensor-7", ("scram",), NEVER)
    assert proven.principal.context == Context("mqtt", ("scram",))
    assert proven.principal.root is house.authenticator.principal("sensor-7")
    assert house.events[-1][1]["mechanism"] == method


async def test_scram_bound_to_the_channel(house: House) -> None:
    proven = await house.scram(
        house.shown(binding=BOUND), method=METHOD + "-PLUS", binding=("tls-server-end-point", b"e" * 32)
    )
    assert proven.name == "sensor-7"
    with pytest.raises(Refusal) as refused:  # somebody in the middle, with another certificate
        await house.scram(
            house.shown(binding=BOUND), method=METHOD + "-PLUS", binding=("tls-server-end-point", b"m" * 32)
        )
    assert refused.value.meaning == BAD_CREDENTIALS


async def test_plus_that_was_stripped_on_the_way_is_noticed(house: House) -> None:
    """RFC 5802 section 6: "y" says that the client could bind and was told that the server could not."""
    exchange = house.authenticator.exchange(METHOD, house.shown(binding=BOUND))
    with pytest.raises(Refusal) as refused:
        await exchange.begin(b"y,,n=sensor-7,r=abcdefgh")
    assert refused.value.meaning == BAD_CREDENTIALS


async def test_plus_without_a_channel_is_not_offered(house: House) -> None:
    with pytest.raises(NotOffered):
        house.authenticator.exchange(METHOD + "-PLUS", house.shown())


async def test_a_wrong_password_and_an_unknown_name_look_alike(house: House) -> None:
    enrol(house.identity, Wanted("certified", certificate=True))
    answers: list[tuple[int, int]] = []
    for name in ("sensor-7", "nobody", "certified", "not a name"):
        house.authenticator = house.another()
        client = scramp.ScramClient([METHOD], name, "wrong")
        exchange = house.authenticator.exchange(METHOD, house.shown())
        challenge = await exchange.begin(client.get_client_first().encode())
        assert isinstance(challenge, bytes)
        parts = dict(part.split("=", 1) for part in challenge.decode().split(","))
        answers.append((len(base64.b64decode(parts["s"])), int(parts["i"])))
        client.set_server_first(challenge.decode())
        with pytest.raises(Refusal) as refused:
            await exchange.go_on(client.get_client_final().encode())
        assert (refused.value.meaning, refused.value.because) == (BAD_CREDENTIALS, "the credentials are not accepted")
    assert len(set(answers)) == 1


async def test_who_begins_as_one_does_not_end_as_another(house: House) -> None:
    for shown, name in (
        (house.shown(user="sensor-8"), "sensor-7"),
        (house.shown(client_id="sensor-8"), "sensor-7"),
    ):
        with pytest.raises(Refusal) as refused:
            await house.scram(shown, name)
        assert refused.value.meaning in (BAD_CREDENTIALS, CLIENT_ID_INVALID)


async def test_another_devices_certificate_beside_scram(house: House) -> None:
    certificate = der(enrol(house.identity, Wanted("door", password=PASSWORD, certificate=True)).certificate)
    with pytest.raises(Refusal) as refused:
        await house.scram(house.shown(certificate=certificate), "sensor-7")
    assert refused.value.meaning == BAD_CREDENTIALS
    proven = await house.scram(house.shown(certificate=certificate), "door")
    assert proven.kinds == ("certificate", "scram")


async def test_both_of_a_record_may_be_scram_and_certificate(house: House) -> None:
    both = Wanted("door", require="password+certificate", password=PASSWORD, certificate=True)
    certificate = der(enrol(house.identity, both).certificate)
    with pytest.raises(Refusal):
        await house.scram(house.shown(), "door")
    assert (await house.scram(house.shown(certificate=certificate), "door")).kinds == ("certificate", "scram")


async def test_a_password_beside_a_method_is_refused(house: House) -> None:
    with pytest.raises(Refusal) as refused:
        house.authenticator.exchange(METHOD, house.shown(user="sensor-7", password=b"wrong"))
    assert refused.value.meaning == NOT_AUTHORIZED


async def test_a_chain_that_wants_both(house: House) -> None:
    chain = Chain(["SCRAM-SHA-256+certificate"])
    certificate = der(enrol(house.identity, Wanted("door", password=PASSWORD, certificate=True)).certificate)
    with pytest.raises(Refusal) as refused:
        house.authenticator.exchange(METHOD, house.shown(chain))
    assert refused.value.meaning == NOT_AUTHORIZED
    assert (await house.scram(house.shown(chain, certificate), "door")).name == "door"
    for user, password, cert in (("door", PASSWORD, None), ("door", PASSWORD, certificate), (None, None, certificate)):
        with pytest.raises(Refusal) as refused:
            await house.authenticator.authenticate(house.shown(chain, cert, user=user, password=password))
        assert refused.value.meaning == NOT_AUTHORIZED


async def test_a_chain_is_said_before_anything_is_looked_at(house: House) -> None:
    """Right or wrong, a password where none is taken gets the same answer, and costs no hash."""
    told = []
    for password in (PASSWORD, b"wrong"):
        with pytest.raises(Refusal) as refused:
            await house.authenticator.authenticate(
                house.shown(Chain(["certificate"]), user="sensor-7", password=password)
            )
        told.append((refused.value.meaning, refused.value.because))
    assert told[0] == told[1]
    assert told[0][0] == NOT_AUTHORIZED


async def test_a_method_downgrade_is_not_offered(house: House) -> None:
    for method in ("PLAIN", "NTLM", "OTP", "ANONYMOUS", "SCRAM-SHA-1", ""):
        with pytest.raises(NotOffered):
            house.authenticator.exchange(method, house.shown(binding=BOUND))
    with pytest.raises(NotOffered):
        house.authenticator.exchange(METHOD, house.shown(Chain([METHOD + "-PLUS"]), binding=BOUND))


@pytest.mark.parametrize("taken", ["disabled", "password", "removed"])
async def test_what_is_taken_back_during_an_exchange(house: House, taken: str) -> None:
    client = scramp.ScramClient([METHOD], "sensor-7", PASSWORD.decode())
    exchange = house.authenticator.exchange(METHOD, house.shown())
    challenge = await exchange.begin(client.get_client_first().encode())
    assert isinstance(challenge, bytes)
    client.set_server_first(challenge.decode())
    if taken == "disabled":
        change(house, "sensor-7", enabled=False)
    elif taken == "password":
        change(house, "sensor-7", password=house.identity.registry.existing_device("sensor-8").password)
    else:
        house.identity.registry.remove_device("sensor-7", house.clock())
    with pytest.raises(Refusal) as refused:
        await exchange.go_on(client.get_client_final().encode())
    assert refused.value.meaning == BAD_CREDENTIALS


async def test_a_password_that_ends_ends_the_right(house: House) -> None:
    password = house.identity.registry.existing_device("sensor-7").password
    assert password is not None
    change(house, "sensor-7", password=replace(password, until=house.clock() + 60))
    assert (await house.scram(house.shown())).expires_at == house.clock() + 60
    proven = await house.authenticator.authenticate(house.shown(user="sensor-7", password=PASSWORD))
    assert proven.expires_at == house.clock() + 60
    house.clock.now += 60
    for act in (
        house.scram(house.shown()),
        house.authenticator.authenticate(house.shown(user="sensor-7", password=PASSWORD)),
    ):
        with pytest.raises(Refusal):
            await act


async def test_the_password_before_counts_until_its_time(house: House) -> None:
    old = house.identity.registry.existing_device("sensor-7").password
    assert old is not None
    new = replace(old, encoded=PasswordHasher(1, 8, 1).hash(b"new"), set_at=old.set_at + 1)
    change(house, "sensor-7", password=new, former_password=replace(old, until=house.clock() + 60))
    for password, until in ((b"new", NEVER), (PASSWORD, house.clock() + 60)):
        proven = await house.authenticator.authenticate(house.shown(user="sensor-7", password=password))
        assert proven.expires_at == until
    house.clock.now += 60
    with pytest.raises(Refusal):
        await house.authenticator.authenticate(house.shown(user="sensor-7", password=PASSWORD))
    assert (await house.authenticator.authenticate(house.shown(user="sensor-7", password=b"new"))).name == "sensor-7"


async def test_a_name_that_does_not_exist_costs_as_much_as_one_that_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The means of many first messages would tell them apart: the same look-ups and computations, not a stopwatch."""
    looked_up: list[str] = []
    opened: list[str] = []
    look_up, vault = house.registry.device, house.identity.vault
    open_sealed = vault.open_sealed

    def counted_look_up(name: str) -> Device | None:
        looked_up.append(name)
        return look_up(name)

    def counted_open(box: Sealed, context: str) -> bytes:
        opened.append(context)
        return open_sealed(box, context)

    monkeypatch.setattr(house.registry, "device", counted_look_up)
    monkeypatch.setattr(vault, "open_sealed", counted_open)
    authenticator = house.another()
    enrol(house.identity, Wanted("by-otp", fresh=Fresh(otp=True)))
    chain = Chain(["OTP", METHOD])
    for name in ("sensor-7", "by-otp", "nobody"):
        for _ in range(3):
            client = scramp.ScramClient([METHOD], name, "wrong")
            for method, first in ((METHOD, client.get_client_first().encode()), ("OTP", b"\0" + name.encode())):
                exchange = authenticator.exchange(method, house.shown(chain))
                assert isinstance(await exchange.begin(first), bytes)
                exchange.close()
        assert looked_up == [name]
        assert len(opened) == 3
        looked_up.clear()
        opened.clear()
    authenticator.close()


async def test_a_name_that_did_not_exist_gets_in_as_soon_as_it_does(house: House) -> None:
    for _ in range(2):
        with pytest.raises(Refusal):
            await house.scram(house.shown(), "late")
    enrol(house.identity, Wanted("late", password=PASSWORD))
    assert (await house.scram(house.shown(), "late")).name == "late"


# Tokens. --------------------------------------------------------------------------------------------

BEARER = Chain(["OAUTHBEARER"])
PROTECTED = Binding(protected=True)


async def bear(house: House, token: str, authzid: str = "", user: str | None = None) -> Proven:
    exchange = house.authenticator.exchange("OAUTHBEARER", house.shown(BEARER, binding=PROTECTED, user=user))
    outcome = await exchange.begin(f"n,{authzid and 'a=' + authzid},\x01auth=Bearer {token}\x01\x01".encode())
    if isinstance(outcome, bytes):  # RFC 7628 section 3.2.3: the failure in JSON, and a dummy answer
        outcome = await exchange.go_on(b"\x01")
    assert isinstance(outcome, Proven)
    return outcome


@pytest.fixture
def subjects(house: House) -> House:
    for name in ("sensor-7", "sensor-8"):
        change(house, name, token_subjects=(TokenSubject("https://issuer.example", f"subject of {name}"),))
        house.tokens.known[name] = VerifiedToken("https://issuer.example", f"subject of {name}", house.clock() + 300)
    return house


async def test_a_token_proves_its_subjects_device_as_long_as_it_lasts(subjects: House) -> None:
    proven = await bear(subjects, "sensor-7")
    assert (proven.name, proven.kinds) == ("sensor-7", ("token",))
    assert proven.expires_at == subjects.clock() + 300


async def test_the_token_of_another_device(subjects: House) -> None:
    for attempt in (bear(subjects, "sensor-8", "sensor-7"), bear(subjects, "sensor-8", user="sensor-7")):
        with pytest.raises(Refusal) as refused:
            await attempt
        assert refused.value.meaning == BAD_CREDENTIALS


async def test_a_token_of_nobody_or_with_a_wrong_signature(subjects: House) -> None:
    subjects.tokens.known["stranger"] = VerifiedToken("https://issuer.example", "stranger", subjects.clock() + 300)
    subjects.tokens.known["other"] = VerifiedToken("https://other.example", "subject of sensor-7", NEVER)
    for token in ("stranger", "other", "forged"):
        with pytest.raises(Refusal) as refused:
            await bear(subjects, token)
        assert refused.value.meaning == BAD_CREDENTIALS
        assert token not in subjects.because()


# Guessing. ------------------------------------------------------------------------------------------


async def guess(house: House, times: int, address: str = "192.0.2.1:50000", name: str = "sensor-7") -> None:
    for _ in range(times):
        house.clock.now += 61  # the brake lets each be looked at
        with pytest.raises(Refusal):
            await house.scram(house.shown(address=address), name, b"wrong")


async def test_a_lock_out_outlasts_a_restart_and_holds_at_that_address_alone(house: House) -> None:
    await guess(house, 5)
    house.clock.now += 61
    while house.authenticator._writing:
        await next(iter(house.authenticator._writing))
    for authenticator in (house.authenticator, house.another()):
        house.authenticator = authenticator
        with pytest.raises(Refusal) as refused:
            await house.scram(house.shown())
        assert refused.value.meaning == BAD_CREDENTIALS
        assert "not looked at for another" in house.because()
        assert (await house.scram(house.shown(address="192.0.2.2:50000"))).name == "sensor-7"
    house.clock.now += 3600
    assert (await house.scram(house.shown())).name == "sensor-7"


async def test_a_lock_out_is_lifted_by_command_while_the_hub_runs(house: House) -> None:
    await guess(house, 5)
    while house.authenticator._writing:
        await next(iter(house.authenticator._writing))
    assert house.identity.unlock("sensor-8", None) == []
    with pytest.raises(Refusal):
        await house.scram(house.shown())
    assert house.identity.unlock("sensor-7", None) == [("sensor-7", "192.0.2.1")]
    assert (await house.scram(house.shown())).name == "sensor-7"


async def test_who_got_in_is_not_touched_by_guesses_from_elsewhere(house: House) -> None:
    assert (await house.scram(house.shown())).name == "sensor-7"
    for host in range(2, 6):
        await guess(house, 5, f"192.0.2.{host}:1")
    assert (await house.scram(house.shown())).name == "sensor-7"


async def test_a_half_done_exchange_is_no_wrong_try(house: House) -> None:
    for _ in range(100):
        exchange = house.authenticator.exchange(METHOD, house.shown())
        assert isinstance(await exchange.begin(b"n,,n=sensor-7,r=abcdefgh"), bytes)
        exchange.close()
    assert (await house.scram(house.shown())).name == "sensor-7"


async def test_exchanges_that_were_begun_at_once_are_braked_too(house: House) -> None:
    """Else who begins hundreds before the first wrong proof has as many guesses as exchanges."""
    begun = []
    for number in range(9):
        password = PASSWORD if number == 8 else b"guess %d" % number
        client = scramp.ScramClient([METHOD], "sensor-7", password.decode())
        exchange = house.authenticator.exchange(METHOD, house.shown())
        challenge = await exchange.begin(client.get_client_first().encode())
        assert isinstance(challenge, bytes)
        client.set_server_first(challenge.decode())
        begun.append((exchange, client.get_client_final().encode()))
    for exchange, final in begun:
        with pytest.raises(Refusal) as caught:
            await exchange.go_on(final)
        assert caught.value.meaning == BAD_CREDENTIALS
    assert "not looked at" in house.because()
    assert (await house.scram(house.shown(address="192.0.2.2:50000"))).name == "sensor-7"


async def test_half_done_exchanges_are_bounded_and_given_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticate, "EXCHANGES", 20)
    monkeypatch.setattr(authenticate, "EXCHANGES_PER_ADDRESS", 8)
    held = [house.authenticator.exchange(METHOD, house.shown()) for _ in range(8)]
    with pytest.raises(Refusal) as refused:
        house.authenticator.exchange(METHOD, house.shown())
    assert refused.value.meaning == BUSY
    for host in range(2, 14):
        held.append(house.authenticator.exchange(METHOD, house.shown(address=f"192.0.2.{host}:1")))
    with pytest.raises(Refusal):
        house.authenticator.exchange(METHOD, house.shown(address="198.51.100.1:1"))
    for exchange in held:
        exchange.close()
        exchange.close()  # once is enough
    assert (await house.scram(house.shown())).name == "sensor-7"
    assert (house.authenticator._exchanges, house.authenticator._exchanges_by_address) == (0, {})


async def test_tries_that_cost_work_have_a_rate_per_address(house: House) -> None:
    house.authenticator.guard.limit(GuardLimits(BrakeLimits(5), BrakeLimits(50), rate=1.0, burst=3.0))
    for _ in range(3):
        house.authenticator.exchange(METHOD, house.shown()).close()
    with pytest.raises(Refusal) as refused:
        house.authenticator.exchange(METHOD, house.shown())
    assert refused.value.meaning == BUSY
    house.authenticator.exchange(METHOD, house.shown(address="192.0.2.2:1")).close()
    house.clock.now += 1
    house.authenticator.exchange(METHOD, house.shown()).close()
