"""Thousands of devices from one file: judged line by line, put in all or none."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridgehead.security import events
from bridgehead.security.credentials import ForeignCertificate, TokenSubject
from bridgehead.security.errors import SecurityError
from bridgehead.security.identity import importing
from bridgehead.security.identity.identity import Identity
from bridgehead.security.identity.importing import Faulty, Row
from bridgehead.security.identity.wanted import Enrolled, Wanted
from bridgehead.security.login.passwords import PasswordHasher
from bridgehead.security.records import Group, PermissionRecord, Quota, Role
from tests.security.support import Time, enrol

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"


@pytest.fixture
def identity(data: Path, clock: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    monkeypatch.setattr("bridgehead.security.identity.identity._hash", PasswordHasher(1, 8, 1).hash)
    found = Identity(data, clock)
    found.registry.add_role(Role("reader", 1.0))
    found.registry.add_group(Group("lobby", 1.0))
    yield found
    found.close()


def read(identity: Identity, text: str, is_json: bool = False) -> list[Row]:
    return importing.read(text, is_json, identity.registry)


def faults(identity: Identity, text: str, is_json: bool = False) -> list[str]:
    with pytest.raises(Faulty) as caught:
        read(identity, text, is_json)
    return [str(each) for each in caught.value.faults]


def take(identity: Identity, wanted: list[Wanted]) -> list[Enrolled]:
    with identity.importing(wanted, "devices.csv") as enrolled:
        return enrolled


_COLUMNS = "name,roles,groups,client_ids,attributes,publish,subscribe,quota,require,"
_CELLS = "sensor-7,reader,lobby,lab-*;one,floor=3;room=12,a/${floor};b,b,100 messages/s,password+certificate,"
CSV = f"""{_COLUMNS}credentials,foreign,token_subjects,kerberos
{_CELLS}password;certificate,uri:urn:acme:7,https://i seven,seven@X

"pump",,,,,,,,,psk,,,
"""


def test_every_column_is_understood(identity: Identity) -> None:
    first, second = read(identity, CSV)
    assert (first.line, second.line) == (2, 4)
    wanted = first.wanted
    assert (wanted.roles, wanted.groups, wanted.client_ids) == (("reader",), ("lobby",), ("lab-*", "one"))
    assert wanted.attributes == {"floor": "3", "room": "12"}
    assert wanted.permissions == (PermissionRecord("a/${floor}", True, False), PermissionRecord("b", True, True))
    assert (wanted.quota, wanted.require) == (Quota(messages=100.0), "password+certificate")
    assert wanted.fresh.password is not None
    assert wanted.fresh.certificate
    assert wanted.foreign_certificates == (ForeignCertificate("uri", "urn:acme:7"),)
    assert wanted.token_subjects == (TokenSubject("https://i", "seven"),)
    assert wanted.kerberos_principals == ("seven@X",)
    assert second.wanted.fresh.psk == ""


def test_json_says_the_same(identity: Identity) -> None:
    value = [
        {"name": "sensor-7", "roles": ["reader"], "attributes": {"floor": "3"}, "credentials": ["password"]},
        {"name": "pump", "password_hash": HASH},
    ]
    first, second = read(identity, json.dumps(value, indent=1), True)
    assert (first.line, second.line) == (2, 14)
    assert (first.wanted.roles, first.wanted.attributes) == (("reader",), {"floor": "3"})
    assert second.wanted.fresh.encoded == HASH
    (device,) = [each.device for each in take(identity, [second.wanted])]
    assert device.password is not None
    assert device.password.encoded == HASH


def test_all_faults_are_told_with_their_lines(identity: Identity) -> None:
    enrol(identity, Wanted("there", password=b"password", kerberos_principals=["t@X"]))
    text = """name,credentials,roles,publish,kerberos
good,password,reader,a,
a b,password,,,
there,password,,,
nothing,,,,
good,password,,,
typo,password,raeder,,
filter,password,,a/#/b,
secret,pasword,,,
short,password
p1,,,,p@X
p2,,,,p@X
p3,,,,t@X
"""
    first, *others = faults(identity, text)
    assert first.startswith("line 3: 'a b' cannot be a device's name: use 1 to 64 of the characters")
    assert others == [
        "line 4: there is a device 'there' already: leave it out, or remove it first",
        "line 5: the device 'nothing' needs a credential: a password, a certificate, or both",
        "line 6: the device 'good' is in line 2 already",
        "line 7: there is no role 'raeder': did you mean 'reader'?",
        "line 8: the filter 'a/#/b' is not a Topic Filter: # must be a level of its own, and the last",
        f"line 9: credentials names what is to be made, and knows only {', '.join(importing._MADE)}",
        "line 10: there are 2 columns here and 5 in the heading",
        "line 12: the Kerberos principal 'p@X' is in line 11 already",
        "line 13: the Kerberos principal 't@X' belongs to the device 'there' already",
    ]
    assert [each.name for each in identity.registry.devices()] == ["there"]


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "line 1: there is no device in the file"),
        ("\n\n", "line 1: there is no device in the file"),
        ("name,credentials\n", "line 1: there is no device in the file"),
        ("sensor-7,hunter2\n", "line 1: column 1 has no heading that is known"),
        ("name,role\na,b\n", "line 1: there is no column 'role'"),
        ("credentials\npassword\n", "line 1: the first line names the columns, and there must be one called name"),
        ("name,name\na,b\n", "line 1: the column 'name' is there twice"),
        ("name,hours\na,b\n", "line 1: column 2 has no heading that is known"),
        ('name,credentials\na,"password\n', "this is not CSV"),
        ("name,credentials\na,password\x00\n", "line 2"),
        ("name,require,credentials\na,both,password\n", "line 2: require is 'both': it is any or password+certificate"),
        ("name,quota,credentials\na,lots,password\n", "line 2: a quota is written as"),
        ("name,attributes,credentials\na,floor,password\n", "line 2: the attribute 'floor' has no value"),
        ("name,attributes,credentials\na,floor=a/b,password\n", "line 2: the attribute floor cannot be 'a/b'"),
        ("name,foreign\na,uri:urn:bridgehead:device:b\n", "only the hub's own authority gives"),
        ("name,token_subjects\na,https://i\n", "line 2: 'https://i' is no token subject"),
        ("name,kerberos\na,b\n", "line 2: 'b' is no Kerberos principal: write NAME@REALM"),
        ("name,password_hash\na,secret\n", "line 2: password_hash is no Argon2id hash"),
        (f'name,password_hash\na,"{HASH.replace("19456", "9000000")}"\n', "line 2: password_hash takes 9000000 KiB"),
        (f'name,password_hash,credentials\na,"{HASH}",password\n', "leave one of them out"),
    ],
)
def test_what_is_wrong_with_a_table_is_told(identity: Identity, text: str, because: str) -> None:
    assert because in faults(identity, text)[0]


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("", "line 1: the file is no JSON list of devices: it begins with ["),
        ("{}", "line 1: the file is no JSON list"),
        ("[]", "line 1: there is no device in the file"),
        ("[\n1]", "line 2: this is no device: write an object with its name"),
        ('[\n{"name": "a",\n}]', "line 3: this is not JSON"),
        ('[\n{"name": "a", "name": "b"}]', "line 2: a field is there twice"),
        ('[{"name": "a", "hours": "8"}]', "line 1: there is no field 'hours'"),
        ('[{"name": 7}]', "line 1: name is not a text"),
        ('[{"name": "a", "roles": [1]}]', "line 1: roles is not a list of texts"),
        ('[{"name": "a", "kerberos": ["b@C"]}\n{}]', "line 2: a comma or ] is missing here"),
        ('[{"name": "a", "kerberos": ["b@C"]}', "line 1: a comma or ] is missing here"),
        ('[{"name": "a", "kerberos": ["b@C"]}] x', "there is something after the list's end"),
        ("[" * 100_000, "line 1: "),
    ],
)
def test_what_is_wrong_with_a_list_is_told(identity: Identity, text: str, because: str) -> None:
    assert because in faults(identity, text, True)[0]


def test_a_password_in_a_wrong_place_is_not_shown(identity: Identity) -> None:
    assert "hunter2" not in str(faults(identity, "sensor-7,hunter2\n"))
    assert "hunter2" not in str(faults(identity, "name,credentials\nsensor-7,hunter2\n"))
    assert "hunter2" not in str(faults(identity, "name,password_hash\nsensor-7,hunter2\n"))


def test_faults_beyond_a_bound_are_counted(identity: Identity) -> None:
    with pytest.raises(Faulty, match=r"line 2: .* \(and 199 more\)") as caught:
        read(identity, "name,credentials\n" + "a b,password\n" * 200)
    assert (len(caught.value.faults), caught.value.more) == (importing.FAULTS, 200 - importing.FAULTS)


def test_all_are_put_in_with_what_they_need(identity: Identity) -> None:
    told: list[int] = []
    rows = read(identity, "name,credentials\n" + "".join(f"d{n},password;psk;oscore;otp\n" for n in range(150)))
    with identity.importing([each.wanted for each in rows], "devices.csv", told.append) as enrolled:
        pass
    assert told == list(range(1, 151))
    devices = identity.registry.devices()
    assert {each.name for each in devices} == {f"d{n}" for n in range(150)}
    for each in enrolled:
        device = identity.registry.existing_device(each.device.name)
        assert each.password is not None
        assert device.password is not None
        assert PasswordHasher().verify(device.password.encoded, each.password)
    assert len({each.psk.key for each in enrolled if each.psk is not None}) == 150


def test_a_failure_at_the_end_puts_in_nobody(data: Path, clock: Time) -> None:
    heard: list[str] = []
    identity = Identity(data, clock, lambda event, fields: heard.append(event))
    wanted = [Wanted(f"d{n}", kerberos_principals=[f"d{n}@X"]) for n in range(20)]
    with pytest.raises(OSError, match="disk full"), identity.importing(wanted):
        raise OSError("disk full")
    assert identity.registry.devices() == []
    with pytest.raises(SecurityError, match="the Kerberos principal 'd3@X' belongs to the device 'd3' already"):
        take(identity, [*wanted, Wanted("late", kerberos_principals=["d3@X"])])
    assert identity.registry.devices() == []
    assert heard == [events.ACT_REFUSED]
    take(identity, wanted)
    assert heard == [events.ACT_REFUSED, events.DEVICES_IMPORTED]
    identity.close()


def test_a_table_that_a_spreadsheet_wrote_is_read(identity: Identity, tmp_path: Path) -> None:
    """With a byte order mark, CRLF, and quotes."""
    path = tmp_path / "devices.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["name", "kerberos"], ["a", "x@Y"], ["b", "z@Y"]])
    assert [each.wanted.name for each in read(identity, path.read_text(encoding="utf-8"))] == ["a", "b"]
