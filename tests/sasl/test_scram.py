"""SCRAM (RFC 5802, RFC 7677): the vector, channel binding, order, names that are unknown, and clients of others."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from bridgehead.core.errors import LocalMisuse
from bridgehead.security.credentials import ScramRecord
from bridgehead.security.sasl import scram_keys
from bridgehead.security.sasl.client import ScramClient
from bridgehead.security.sasl.contract import Binding, Mechanism
from bridgehead.security.sasl.offer import offered
from bridgehead.security.sasl.scram import Scram
from bridgehead.security.sasl.verifiers import scram_record, scram_records
from bridgehead.wire.errors import Violation
from tests.sasl.peers import Cyrus, Gsasl
from tests.sasl.rim import (
    FAKE_KEY,
    NAME,
    OPEN,
    PASSWORD,
    PROTECTED,
    Town,
    challenge,
    failure,
    mechanism,
    settings,
    success,
)

END_POINT = bytes(range(32))
EXPORTER = bytes(range(32, 64))
BOUND = Binding(END_POINT, EXPORTER, protected=True)
PLAIN_NAMES = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
PLUS_NAMES = [name + "-PLUS" for name in PLAIN_NAMES]
RANDOM = bytes(range(100, 132))


def client(name: str, password: str = PASSWORD, user: str = NAME, **more: Any) -> ScramClient:
    return ScramClient(name, user, password, RANDOM, **more)


def first_challenge(machine: Mechanism, town: Town, text: str) -> str:
    return challenge(town.start(machine, text.encode())).decode()


# What the standard says. ----------------------------------------------------------------------------------------------


def test_the_vector_of_rfc_7677_section_3() -> None:
    salt = scram_keys.decoded("W22ZaJ0SNY7soEsUEjb6gQ==")
    record = scram_record("SCRAM-SHA-256", "pencil", salt, 4096)
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
    proof = scram_keys.decoded("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert scram_keys.proof_is_right("sha256", record.stored_key, message, proof)
    assert not scram_keys.proof_is_right("sha256", record.stored_key, message, proof[:-1])
    assert not scram_keys.proof_is_right("sha256", record.stored_key, message + ",x=y", proof)
    verifier = scram_keys.signature("sha256", record.server_key, message)
    assert scram_keys.encoded(verifier) == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize("name", PLAIN_NAMES + PLUS_NAMES)
def test_both_sides_prove_themselves(name: str) -> None:
    town, peer = Town(), client(name, binding=BOUND)
    outcome, _ = town.talk(mechanism(name, BOUND), peer.start(), peer.respond)
    assert (success(outcome).name, success(outcome).kind) == (NAME, "scram")
    peer.finish(outcome.data)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_an_initial_response_may_be_missing(name: str) -> None:
    town, peer, machine = Town(), client(name), mechanism(name)
    assert challenge(machine.start(None)) == b""
    step = town.respond(machine, peer.start())
    assert success(town.respond(machine, peer.respond(challenge(step)))).name == NAME


def test_a_wrong_password_is_refused_with_invalid_proof() -> None:
    peer = client("SCRAM-SHA-256", "wrong")
    refused = failure(Town().talk(mechanism("SCRAM-SHA-256"), peer.start(), peer.respond)[0])
    assert (refused.data, refused.claimed, refused.guess) == (b"e=invalid-proof", NAME, True)


def test_a_server_that_does_not_know_the_verifier_is_found_out() -> None:
    peer = client("SCRAM-SHA-256")
    outcome, _ = Town().talk(mechanism("SCRAM-SHA-256"), peer.start(), peer.respond)
    data = success(outcome).data
    assert data is not None
    with pytest.raises(Violation):
        peer.finish(data.replace(data[4:5], b"A" if data[4:5] != b"A" else b"B"))
    with pytest.raises(Violation):
        client("SCRAM-SHA-256").finish(None)
    peer.finish(data)


@pytest.mark.parametrize("answer", ["r=x,s=AAAA,i=4096", "s=AAAA,i=4096", "e=no-resources", "r={r}AA,s=,i=4096", "x"])
def test_a_server_that_breaks_the_rules_is_found_out(answer: str) -> None:
    peer = client("SCRAM-SHA-256")
    nonce = peer.start().decode().rpartition("r=")[2]
    with pytest.raises(Violation):
        peer.respond(answer.replace("{r}", nonce).encode())


@pytest.mark.parametrize("count", ["1", "4095", "1000001", "99999999999", "-1", "x", "", "\u0664\u0660\u0669\u0666"])
def test_the_server_does_not_choose_how_long_the_client_hashes(count: str) -> None:
    peer = client("SCRAM-SHA-256")
    nonce = peer.start().decode().rpartition("r=")[2]
    with pytest.raises(Violation):
        peer.respond(f"r={nonce}AAAA,s=AAAAAAAA,i={count}".encode())


# Names. ---------------------------------------------------------------------------------------------------------------


def test_an_unknown_name_looks_like_a_known_one() -> None:
    town = Town()
    known = first_challenge(mechanism("SCRAM-SHA-256"), town, f"n,,n={NAME},r=abc").split(",")
    unknown = first_challenge(mechanism("SCRAM-SHA-256"), town, "n,,n=nobody,r=abc").split(",")
    again = first_challenge(mechanism("SCRAM-SHA-256"), town, "n,,n=nobody,r=abc").split(",")
    other = first_challenge(mechanism("SCRAM-SHA-256"), town, "n,,n=nobody-2,r=abc").split(",")
    longer = first_challenge(mechanism("SCRAM-SHA-512"), town, "n,,n=nobody,r=abc").split(",")
    assert unknown == again
    assert unknown[1] not in (known[1], other[1], longer[1])
    assert [len(each) for each in unknown] == [len(each) for each in known]
    assert unknown[0] == known[0]
    assert unknown[2] == known[2]


def test_an_unknown_name_hears_what_a_wrong_password_hears() -> None:
    known, unknown = client("SCRAM-SHA-256", "wrong"), client("SCRAM-SHA-256", user="nobody")
    first = failure(Town().talk(mechanism("SCRAM-SHA-256"), known.start(), known.respond)[0])
    second = failure(Town().talk(mechanism("SCRAM-SHA-256"), unknown.start(), unknown.respond)[0])
    assert first.data == second.data
    assert first.guess
    assert second.guess


def test_no_proof_is_right_for_an_unknown_name() -> None:
    """Even for one who knew the made-up record: its keys are not what is checked last."""
    machine = mechanism("SCRAM-SHA-256")
    text = first_challenge(machine, Town(), "n,,n=nobody,r=abc")
    assert isinstance(machine, Scram)
    record = machine._record
    assert record is not None
    final = f"c=biws,{text.split(',')[0]}"
    key = scram_keys.signature("sha256", record.stored_key, f"n=nobody,r=abc,{text},{final}")
    refused = failure(machine.respond(f"{final},p={scram_keys.encoded(key)}".encode()))
    assert refused.because == "no SCRAM verifier has that name"


@pytest.mark.parametrize("authzid", [NAME, ""])
def test_the_identity_may_be_named(authzid: str) -> None:
    peer = client("SCRAM-SHA-256", authzid=authzid)
    assert success(Town().talk(mechanism("SCRAM-SHA-256"), peer.start(), peer.respond)[0]).authzid == NAME


@pytest.mark.parametrize("authzid", ["pump-1", "admin", NAME + "x", NAME.upper()])
def test_another_identity_is_refused(authzid: str) -> None:
    peer = client("SCRAM-SHA-256", authzid=authzid)
    outcome, _ = Town().talk(mechanism("SCRAM-SHA-256"), peer.start(), peer.respond)
    assert "another identity" in failure(outcome).because


@pytest.mark.parametrize(("user", "prepared"), [("a,b=c", "a,b=c"), ("\u2168", "IX"), ("I\u00adX", "IX")])
def test_names_are_escaped_and_prepared(user: str, prepared: str) -> None:
    town = Town(passwords={prepared: PASSWORD.encode()})
    peer = client("SCRAM-SHA-256", user=user)
    assert success(town.talk(mechanism("SCRAM-SHA-256"), peer.start(), peer.respond)[0]).name == prepared


def test_passwords_are_prepared() -> None:
    """RFC 4013: what looks the same is the same, however it was typed."""
    town = Town(passwords={NAME: "gr\u00fc\u00df\u00a0dich IX".encode()})
    peer = client("SCRAM-SHA-512", "gru\u0308\u00df dich \u2168")
    assert success(town.talk(mechanism("SCRAM-SHA-512"), peer.start(), peer.respond)[0]).name == NAME


@pytest.mark.parametrize("password", ["", "\u00ad", "a\u0007b", b"\xff\xfe", "\u0627b"])
def test_a_password_that_cannot_be_typed_has_no_verifiers(password: str | bytes) -> None:
    assert scram_records(password) == ()


def test_verifiers_have_salts_of_their_own() -> None:
    records = [*scram_records(PASSWORD), *scram_records(PASSWORD)]
    assert len({record.salt for record in records}) == 4
    assert {record.mechanism for record in records} == set(PLAIN_NAMES)
    assert PASSWORD not in repr(records)


# Channel binding. -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "data"), [("tls-server-end-point", END_POINT), ("tls-exporter", EXPORTER)])
def test_a_client_binds_to_either(kind: str, data: bytes) -> None:
    only = Binding(END_POINT) if kind == "tls-server-end-point" else Binding(None, EXPORTER)
    peer = client("SCRAM-SHA-256-PLUS", binding=only)
    assert peer.start().startswith(f"p={kind},,".encode())
    outcome, _ = Town().talk(mechanism("SCRAM-SHA-256-PLUS", BOUND), peer.start(), peer.respond)
    assert success(outcome).name == NAME


def test_a_relayed_login_is_refused() -> None:
    """Somebody in the middle has another certificate, so the client binds to that."""
    peer = client("SCRAM-SHA-256-PLUS", binding=Binding(bytes(32)))
    refused = failure(Town().talk(mechanism("SCRAM-SHA-256-PLUS", BOUND), peer.start(), peer.respond)[0])
    assert refused.data == b"e=channel-bindings-dont-match"


@pytest.mark.parametrize(
    ("name", "header", "error"),
    [
        ("SCRAM-SHA-256-PLUS", "n,,", b"e=server-does-support-channel-binding"),
        ("SCRAM-SHA-256-PLUS", "y,,", b"e=server-does-support-channel-binding"),
        ("SCRAM-SHA-256", "y,,", b"e=server-does-support-channel-binding"),
        ("SCRAM-SHA-256", "p=tls-exporter,,", b"e=channel-binding-not-supported"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,", b"e=unsupported-channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "p=,,", b"e=unsupported-channel-binding-type"),
        ("SCRAM-SHA-256-PLUS", "q,,", b"e=other-error"),
        ("SCRAM-SHA-256-PLUS", "", b"e=other-error"),
    ],
)
def test_the_gs2_flag_is_judged(name: str, header: str, error: bytes) -> None:
    """RFC 5802 section 6."""
    message = f"{header}n={NAME},r=abc".encode()
    assert failure(Town().start(mechanism(name, BOUND), message)).data == error


def test_a_client_that_could_bind_may_say_so_where_we_cannot() -> None:
    peer = client("SCRAM-SHA-256", binding=BOUND, server_binds=False)
    assert peer.start().startswith(b"y,,")
    assert success(Town().talk(mechanism("SCRAM-SHA-256", PROTECTED), peer.start(), peer.respond)[0]).name == NAME


def test_plus_is_offered_with_channel_binding_and_first() -> None:
    assert offered(["SCRAM-SHA-256"], BOUND, settings()) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
    assert offered(["SCRAM-SHA-256"], PROTECTED, settings()) == ["SCRAM-SHA-256"]
    assert offered(["SCRAM-SHA-512-PLUS"], PROTECTED, settings()) == []


# Order and form. ------------------------------------------------------------------------------------------------------


def finals(machine: Mechanism, town: Town) -> tuple[ScramClient, str]:
    peer = client("SCRAM-SHA-256")
    step = town.start(machine, peer.start())
    return peer, peer.respond(challenge(step)).decode()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c, r, p: f"{r},{c},{p}", b"e=other-error"),
        (lambda c, r, p: f"{c},{p},{r}", b"e=other-error"),
        (lambda c, r, p: f"{p},{c},{r}", b"e=other-error"),
        (lambda c, r, p: f"{r},{p}", b"e=other-error"),
        (lambda c, r, p: f"{c},{p}", b"e=other-error"),
        (lambda c, r, p: f"{c},{r}", b"e=other-error"),
        (lambda c, r, p: f"{c},{r},{p},{p}", b"e=other-error"),
        (lambda c, r, p: f"{c},{c},{r},{p}", b"e=other-error"),
        (lambda c, r, p: f"c=,{r},{p}", b"e=channel-bindings-dont-match"),
        (lambda c, r, p: f"c=eSws,{r},{p}", b"e=channel-bindings-dont-match"),
        (lambda c, r, p: f"c=biw,{r},{p}", b"e=invalid-encoding"),
        (lambda c, r, p: f"{c},r=abc,{p}", b"e=other-error"),
        (lambda c, r, p: f"{c},{r}A,{p}", b"e=other-error"),
        (lambda c, r, p: f"{c},{r},p=", b"e=invalid-proof"),
        (lambda c, r, p: f"{c},{r},{p}=", b"e=invalid-encoding"),
        (lambda c, r, p: f"{c},{r},{p}\n", b"e=invalid-encoding"),
        (lambda c, r, p: f"{c},{r},m=1,{p}", b"e=extensions-not-supported"),
        (lambda c, r, p: f"{c},{r},x=1,{p}", b"e=invalid-proof"),
        (lambda c, r, p: "", b"e=other-error"),
    ],
)
def test_a_reordered_or_cut_final_message_is_refused(change: Any, error: bytes) -> None:
    """RFC 5802 section 5.1: "the order of attributes is fixed"; x=1 is an extension, but was not signed."""
    town, machine = Town(), mechanism("SCRAM-SHA-256")
    _, text = finals(machine, town)
    assert failure(town.respond(machine, change(*text.split(",")).encode())).data == error


def test_the_final_message_as_it_is_would_do() -> None:
    town, machine = Town(), mechanism("SCRAM-SHA-256")
    assert success(town.respond(machine, finals(machine, town)[1].encode())).name == NAME


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"n,,r=abc,n=sensor-7", b"e=other-error"),
        (b"n,,n=sensor-7", b"e=other-error"),
        (b"n,,n=,r=abc", b"e=other-error"),
        (b"n,,n=sensor-7,r=", b"e=other-error"),
        (b"n,,n=sensor-7,r=a\x7fc", b"e=other-error"),
        (b"n,,n=sensor-7,r=abc,r=abc", b"e=other-error"),
        (b"n,,n=sensor-7,r=" + b"a" * 600, b"e=other-error"),
        (b"n,,m=1,n=sensor-7,r=abc", b"e=extensions-not-supported"),
        (b"n,,n=sens=or,r=abc", b"e=invalid-username-encoding"),
        (b"n,,n=sens\x07or,r=abc", b"e=invalid-username-encoding"),
        (b"n,b=x,n=sensor-7,r=abc", b"e=other-error"),
        (b"n,,n=\xff,r=abc", b"e=invalid-encoding"),
        (b"n", b"e=other-error"),
        (b"", b"e=other-error"),
        (b"n,,n=" + b"x" * 9000 + b",r=abc", None),
    ],
)
def test_a_first_message_of_another_form_is_refused(message: bytes, error: bytes | None) -> None:
    assert failure(Town().start(mechanism("SCRAM-SHA-256"), message)).data == error


def test_what_was_recorded_is_worth_nothing() -> None:
    """The same messages in another exchange: its nonce is another."""
    town, machine = Town(), mechanism("SCRAM-SHA-256")
    peer, recorded = finals(machine, town)
    assert success(town.respond(machine, recorded.encode())).name == NAME
    again = mechanism("SCRAM-SHA-256", random=bytes(32))
    challenge(town.start(again, peer.start()))
    assert failure(town.respond(again, recorded.encode())).because == "the nonce is not this exchange's"


def test_a_proof_for_one_name_is_none_for_another() -> None:
    """Even with the same password and, by a copied record, the same salt: the proof covers the name."""
    shared = scram_records(PASSWORD)
    town, machine = Town(scram={NAME: shared, "pump-1": shared}), mechanism("SCRAM-SHA-256")
    peer = client("SCRAM-SHA-256")
    claimed = peer.start().replace(b"n=sensor-7", b"n=pump-1")
    refused = failure(town.respond(machine, peer.respond(challenge(town.start(machine, claimed)))))
    assert (refused.claimed, refused.data) == ("pump-1", b"e=invalid-proof")


def test_our_own_caller_keeps_the_order() -> None:
    machine = mechanism("SCRAM-SHA-256")
    with pytest.raises(LocalMisuse):
        machine.respond(b"")
    machine.start(f"n,,n={NAME},r=abc".encode())
    with pytest.raises(LocalMisuse):
        machine.respond(b"")
    with pytest.raises(LocalMisuse):
        machine.start(b"")
    with pytest.raises(LocalMisuse):
        machine.answer("a name")
    with pytest.raises(LocalMisuse):
        Scram("SCRAM-SHA-256", OPEN, b"short", FAKE_KEY, 4096)


def test_after_the_end_comes_nothing() -> None:
    machine = mechanism("SCRAM-SHA-256")
    failure(machine.start(b"x"))
    with pytest.raises(Violation):
        machine.respond(b"x")


# Clients of others. ---------------------------------------------------------------------------------------------------


@pytest.mark.peer("gsasl")
def test_gnu_sasl() -> None:
    with Gsasl("SCRAM-SHA-256", ["-a", NAME, "-p", PASSWORD, "--no-cb"]) as peer:
        assert success(peer.run(Town(), mechanism("SCRAM-SHA-256"))).name == NAME
        assert "error" not in peer.end()


@pytest.mark.peer("gsasl")
def test_gnu_sasl_with_a_wrong_password() -> None:
    with Gsasl("SCRAM-SHA-256", ["-a", NAME, "-p", "wrong", "--no-cb"]) as peer:
        assert failure(peer.run(Town(), mechanism("SCRAM-SHA-256"))).data == b"e=invalid-proof"
        assert "error" in peer.end()


@pytest.mark.peer("sasl-sample-client")
@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_cyrus_sasl(name: str) -> None:
    with Cyrus(name, ["-a", NAME], PASSWORD) as peer:
        assert success(peer.run(Town(), mechanism(name))).name == NAME
        assert "Negotiation complete" in peer.end()


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl_asking_for_another_identity() -> None:
    with Cyrus("SCRAM-SHA-256", ["-a", NAME, "-u", "pump-1"], PASSWORD) as peer:
        assert "another identity" in failure(peer.run(Town(), mechanism("SCRAM-SHA-256"))).because


@pytest.mark.peer("sasl-sample-client")
def test_cyrus_sasl_with_a_wrong_password() -> None:
    with Cyrus("SCRAM-SHA-512", ["-a", NAME], "wrong") as peer:
        assert failure(peer.run(Town(), mechanism("SCRAM-SHA-512"))).data == b"e=invalid-proof"


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"])
def test_scramp_as_client(name: str) -> None:
    scramp: Any = importlib.import_module("scramp")
    cb = ("tls-server-end-point", END_POINT) if name.endswith("-PLUS") else None
    peer = scramp.ScramClient([name], NAME, PASSWORD, channel_binding=cb)
    town, machine = Town(), mechanism(name, BOUND if cb else OPEN)
    step = town.start(machine, peer.get_client_first().encode())
    peer.set_server_first(challenge(step).decode())
    final = success(town.respond(machine, peer.get_client_final().encode()))
    assert final.data is not None
    peer.set_server_final(final.data.decode())


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-512", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512-PLUS"])
def test_scramp_as_server(name: str) -> None:
    scramp: Any = importlib.import_module("scramp")
    cb = ("tls-server-end-point", END_POINT) if name.endswith("-PLUS") else None
    known = {each.mechanism: each for each in scram_records(PASSWORD)}[name.removesuffix("-PLUS")]

    def look_up(user: str) -> tuple[bytes, bytes, bytes, int]:
        assert user == NAME
        return known.salt, known.stored_key, known.server_key, known.iterations

    server = scramp.ScramMechanism(name).make_server(look_up, channel_binding=cb)
    peer = client(name, binding=Binding(END_POINT) if cb else None)
    server.set_client_first(peer.start().decode())
    server.set_client_final(peer.respond(server.get_server_first().encode()).decode())
    peer.finish(server.get_server_final().encode())


def test_an_answer_for_another_mechanism_is_our_mistake() -> None:
    machine = mechanism("SCRAM-SHA-256")
    machine.start(f"n,,n={NAME},r=abc".encode())
    with pytest.raises(LocalMisuse):
        machine.answer(ScramRecord("SCRAM-SHA-512", bytes(16), 4096, b"", b""))
