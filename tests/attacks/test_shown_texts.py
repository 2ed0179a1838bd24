"""Texts of a record that would write lines of their own on a terminal, or into a configuration that is handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridgehead.core.permission import Permission
from bridgehead.core.policy import Principal
from bridgehead.security.credentials import ForeignCertificate, TokenSubject
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.identity.identity import Fresh, Identity, Wanted
from bridgehead.security.identity.importing import read
from bridgehead.security.records import Device

HOSTILE = ["a\nlistener 1883 0.0.0.0", "a\x1b[2J", "a\u202eb", "a\x9b31m", "a\u2028b", "a\rb", "\ud800"]
WAYS: list[Callable[[str], Wanted]] = [
    lambda text: Wanted("d", attributes={"floor": text}, password=b"p"),
    lambda text: Wanted("d", client_ids=[text], password=b"p"),
    lambda text: Wanted("d", fresh=Fresh(psk=text)),
    lambda text: Wanted("d", token_subjects=[TokenSubject("https://issuer", text)]),
    lambda text: Wanted("d", token_subjects=[TokenSubject(text, "sub")]),
    lambda text: Wanted("d", kerberos_principals=[f"{text}@R"]),
]


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Identity]:
    made = Identity(tmp_path / "data")
    yield made
    made.close()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("way", WAYS)
def test_they_are_not_taken(identity: Identity, way: Callable[[str], Wanted], text: str) -> None:
    with pytest.raises(NotAcceptable), identity.enrolling(way(text)):
        pass
    assert identity.registry.devices() == []


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_record_has_none_whoever_writes_it(identity: Identity, text: str) -> None:
    for device in (
        Device("d", 1.0, attributes={"floor": text}),
        Device("d", 1.0, client_ids=(text,)),
        Device("d", 1.0, token_subjects=(TokenSubject("i", text),)),
        Device("d", 1.0, kerberos_principals=(text,)),
        Device("d", 1.0, foreign_certificates=(ForeignCertificate("uri", text),)),
    ):
        with pytest.raises(NotAcceptable):
            identity.registry.add_device(device)


@pytest.mark.parametrize("identity_of_key", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)"])
def test_the_table_of_secrets_holds_no_formula(identity: Identity, identity_of_key: str) -> None:
    with pytest.raises(NotAcceptable, match="formula"):
        read(f"name,psk_identity\na,{identity_of_key}\n", False, identity.registry)


def test_an_explanation_is_one_line() -> None:
    permission = Permission("x/\x1b[31m\n- permitted", True, False, source="a\nb:1")
    decision = Principal.of("d", [permission], []).explain_publish("x/y", 0, False, thorough=True)
    assert decision.because.isprintable()
    assert "x/\\x1b[31m" in decision.because


def test_an_import_file_brings_none_in(identity: Identity) -> None:
    lines = 'name,attributes,credentials\na,"floor=1\nstate        enabled",psk\n'
    with pytest.raises(NotAcceptable, match="line 2"):
        read(lines, False, identity.registry)
