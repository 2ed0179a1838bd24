"""At the end of a credential only those connections close that stood on it."""

from __future__ import annotations

from pathlib import Path

from bridgehead.security.credentials import CertificateRecord, PasswordRecord, TokenSubject
from bridgehead.security.rights.enforced import mark_of, mark_of_password
from tests.node.test_following import HOUR, NOON, Connection, House

OLD = PasswordRecord("$old", NOON - 5, until=NOON + HOUR)
NEW = PasswordRecord("$new", NOON)
FIRST = CertificateRecord("a" * 64, "1", NOON, NOON + 1000 * HOUR)
SECOND = CertificateRecord("b" * 64, "2", NOON, NOON + 1000 * HOUR)


def connect(house: House, client_id: str, *marks: str) -> Connection:
    kinds = tuple(mark.partition(" ")[0] for mark in marks)
    session, connection = house.connect("s", *kinds, client_id=client_id)
    session.marks = marks
    return connection


def test_the_end_of_an_overlap_closes_who_came_by_the_former_password_alone(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    house.add("s", password=NEW, former_password=OLD)
    former = connect(house, "s-1", mark_of_password("password", OLD))
    by_scram = connect(house, "s-2", mark_of_password("scram", NEW))
    new = connect(house, "s-3", mark_of_password("password", NEW))
    unknown, by_kind = house.connect("s", "password", client_id="s-4")
    assert unknown.marks == ()
    house.pass_time(HOUR - 1)
    assert not former.dismissed
    assert house.pass_time(1) == ["s"]
    assert len(former.dismissed) == 1
    assert len(by_kind.dismissed) == 1  # of which it is not known
    assert not by_scram.dismissed
    assert not new.dismissed
    house.close()


def test_one_of_two_certificates_and_of_two_subjects_taken_away(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    subjects = (TokenSubject("https://a", "s"), TokenSubject("https://b", "s"))
    house.add("s", certificates=(FIRST, SECOND), token_subjects=subjects)
    first = connect(house, "s-1", mark_of("certificate", FIRST.fingerprint))
    second = connect(house, "s-2", mark_of("certificate", SECOND.fingerprint))
    both = connect(house, "s-3", mark_of("certificate", FIRST.fingerprint), mark_of("token", "https://b s"))
    house.change("s", certificates=(SECOND,))
    assert [len(each.dismissed) for each in (first, second, both)] == [1, 0, 1]
    token = connect(house, "s-4", mark_of("token", "https://a s"))
    house.change("s", token_subjects=subjects[1:])
    assert len(token.dismissed) == 1
    assert not second.dismissed
    house.close()


def test_a_session_that_another_connection_takes_over_forgets_what_proved_the_one_before(tmp_path: Path) -> None:
    house = House(tmp_path / "data")
    house.add("s")
    session, _ = house.connect("s", expiry=60.0)
    session.marks += ("password 1.0",)
    again, _ = house.connect("s", expiry=60.0)
    assert again is session
    assert session.marks == ()
    house.close()
