"""Whatever is done to the files, `verify` finds it and names the line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridgehead.security.audit.folder import HEAD
from bridgehead.security.audit.line import seal
from bridgehead.security.audit.settings import DAY, Rules
from bridgehead.security.audit.verify import Finding, verify
from bridgehead.security.errors import SecurityError
from tests.audit.support import EVENT, NOON, Chain

FILE = "audit-000001.jsonl"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """opened, ten log-ins, checkpoint (line 12), ten log-ins, checkpoint (line 23)."""
    one = Chain(tmp_path)
    for _ in range(2):
        one.write(10)
        one.journal.close()
        one.reopen()
    return one


def test_an_untouched_chain_is_intact(chain: Chain) -> None:
    report = chain.report()
    assert report.intact
    assert (report.lines, report.checkpoints, report.uncovered) == (23, 2, 0)
    assert report.digest == chain.contents()[-1]["hash"]
    assert report.notices == []


def changed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:6], lines[6].replace(b"sensor-5", b"sensor-6"), *lines[7:]]


def rehashed(lines: list[bytes]) -> list[bytes]:
    """Changed, with a hash that fits the line before: now the line after it gives it away."""
    previous = json.loads(lines[5])["hash"]
    line, _ = seal(7, NOON, "log-in", EVENT, {"principal": "somebody-else"}, previous)
    return [*lines[:6], line, *lines[7:]]


TOUCHED: list[tuple[Callable[[list[bytes]], list[bytes]], int]] = [
    (changed, 7),
    (rehashed, 8),
    (lambda lines: [*lines[:6], *lines[7:]], 7),
    (lambda lines: [*lines[:6], *lines[9:]], 7),
    (lambda lines: [*lines[:6], lines[7], lines[6], *lines[8:]], 7),
    (lambda lines: [*lines[:6], lines[6], lines[6], *lines[7:]], 8),
    (lambda lines: [*lines[:6], b'{"event":"forged"}\n', *lines[6:]], 7),
    (lambda lines: [*lines[:6], b"\n", *lines[6:]], 7),
    (lambda lines: [*lines[:6], lines[6].replace(b'"kind":', b'"kind": '), *lines[7:]], 7),
    (lambda lines: [*lines[:6], lines[6].replace(b"\n", b"\r\n"), *lines[7:]], 7),
    (lambda lines: lines[1:], 1),
]


@pytest.mark.parametrize(("change", "line"), TOUCHED)
def test_the_line_that_was_touched_is_named(
    chain: Chain, change: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    chain.rewrite(change)
    assert (FILE, line) in chain.findings()


def test_what_is_missing_is_counted(chain: Chain) -> None:
    chain.rewrite(lambda lines: [*lines[:6], *lines[9:]])
    assert str(chain.report().findings[0]) == (
        f"{FILE}, line 7: lines 7 to 9 of the chain stood before this one, 10, and are missing"
    )


@pytest.mark.parametrize("kept", [22, 21, 15, 12, 11, 2, 1, 0])
def test_lines_cut_off_at_the_end_are_missed(chain: Chain, kept: int) -> None:
    """The head promises them, also those after the last checkpoint."""
    chain.rewrite(lambda lines: lines[:kept])
    because = "; ".join(finding.because for finding in chain.report().findings)
    assert f"lines {kept + 1} to 23 are missing at the end" in because


def test_lines_after_the_last_checkpoint_are_counted_and_missed_too(chain: Chain) -> None:
    chain.write(3)
    assert chain.report().uncovered == 3
    assert chain.report().intact
    chain.rewrite(lambda lines: lines[:-1])
    assert not chain.report().intact


def remade(lines: list[bytes], keep_checkpoints: bool) -> list[bytes]:
    """A whole chain of one's own, every hash right, without the key."""
    result: list[bytes] = []
    previous = "0" * 64
    for line in lines:
        content = json.loads(line)
        if content["event"] == "audit.checkpoint" and not keep_checkpoints:
            continue
        kind, event = str(content.pop("kind")), str(content.pop("event"))
        fields = {key: value for key, value in content.items() if key not in ("n", "time", "hash")}
        fields = {key: "other" if value == "sensor-5" else value for key, value in fields.items()}
        made, previous = seal(len(result) + 1, NOON, kind, event, fields, previous)
        result.append(made)
    return result


@pytest.mark.parametrize("keep_checkpoints", [True, False])
def test_a_chain_made_anew_without_the_key_is_found(chain: Chain, keep_checkpoints: bool) -> None:
    chain.rewrite(lambda lines: remade(lines, keep_checkpoints))
    because = [finding.because for finding in chain.report().findings]
    assert any("signature is not right" in each for each in because) is keep_checkpoints
    assert any("is not the one that was written" in each or "missing at the end" in each for each in because)


def test_the_head_cannot_be_removed_or_made_without_the_key(chain: Chain, tmp_path: Path) -> None:
    head = chain.folder / HEAD
    old = head.read_bytes()
    head.write_bytes(old.replace(b'"number":23', b'"number":12'))
    assert "missing or not signed" in chain.report().findings[0].because
    head.write_bytes(b"not even JSON")
    assert "missing or not signed" in chain.report().findings[0].because
    foreign = Chain(tmp_path / "other")
    foreign.write(22)
    head.write_bytes((foreign.folder / HEAD).read_bytes())
    assert "missing or not signed" in chain.report().findings[0].because
    head.unlink()
    assert "missing or not signed" in chain.report().findings[0].because


def test_a_chain_of_another_key_is_told_by_the_public_key_kept_elsewhere(chain: Chain, tmp_path: Path) -> None:
    """Whoever has the machine can make a whole new log with a new key: so the public key is kept elsewhere."""
    kept = tmp_path / "kept.pub"
    kept.write_bytes((chain.folder / "signing.pub").read_bytes())
    other = Chain(tmp_path / "other")
    other.write(20)
    other.journal.close()
    assert other.report().intact
    assert verify(chain.folder, kept).intact
    assert [finding.line for finding in verify(other.folder, kept).findings] == [22, 0]


def test_a_line_that_was_noted_elsewhere_must_be_there(chain: Chain) -> None:
    """Even who has the key and cuts the end off cannot bring back a line that somebody has noted."""
    noted = (chain.report().number, chain.report().digest)
    assert verify(chain.folder, None, noted).intact
    chain.write(2)
    assert verify(chain.folder, None, noted).intact
    assert not verify(chain.folder, None, (noted[0], "0" * 64)).intact
    assert not verify(chain.folder, None, (99, noted[1])).intact


def test_without_any_file_everything_is_missing(chain: Chain) -> None:
    chain.path().unlink()
    assert [finding.because for finding in chain.report().findings] == [
        "there is no file of the audit log: all lines are missing",
        "lines 1 to 23 are missing at the end",
    ]


def test_a_folder_or_key_that_is_none_is_a_sentence(chain: Chain, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="there is no audit log"):
        verify(tmp_path / "nowhere" / "audit")
    with pytest.raises(SecurityError, match="no readable public key"):
        verify(chain.folder, chain.path())


# Several files. -------------------------------------------------------------------------------------


@pytest.fixture
def rotated(tmp_path: Path) -> Chain:
    """Four files."""
    one = Chain(tmp_path, Rules(file_size=4096, keep=0))
    while not one.path(4).exists():
        one.write(5)
        one.time.now += 1
    one.journal.close()
    one.reopen()
    return one


def test_the_chain_goes_on_over_files(rotated: Chain) -> None:
    report = rotated.report()
    assert report.intact
    assert report.files == 4
    for number in (1, 2, 3):
        last, first = rotated.contents(number)[-1], rotated.contents(number + 1)[0]
        assert last["event"] == "audit.checkpoint"
        assert (first["event"], first["previous"]) == ("audit.file-opened", last["hash"])


def test_a_missing_file_is_found_wherever_it_stood(rotated: Chain) -> None:
    texts = {number: rotated.path(number).read_bytes() for number in (1, 2, 3, 4)}
    for number, octets in texts.items():
        rotated.path(number).unlink()
        assert not rotated.report().intact, number
        rotated.path(number).write_bytes(octets)
    assert rotated.report().intact
    rotated.path(1).unlink()
    assert "no line tells that they were removed by retention" in rotated.report().findings[0].because


def test_files_that_changed_places_are_found(rotated: Chain) -> None:
    two, three = rotated.path(2).read_bytes(), rotated.path(3).read_bytes()
    rotated.path(2).write_bytes(three)
    rotated.path(3).write_bytes(two)
    assert ("audit-000002.jsonl", 1) in rotated.findings()


def test_retention_removes_old_files_and_says_so(tmp_path: Path) -> None:
    chain = Chain(tmp_path, Rules(file_age=DAY, keep=3 * DAY))
    for _ in range(7):
        chain.write(3)
        chain.time.now += DAY
    assert min(path.name for path in chain.folder.glob("audit-*")) == "audit-000003.jsonl"
    assert chain.report().intact
    removed = [
        content
        for number in (3, 4, 5, 6, 7)
        for content in chain.contents(number)
        if content["event"] == "audit.file-removed"
    ]
    assert [content["file"] for content in removed] == ["audit-000001.jsonl", "audit-000002.jsonl"]
    assert removed[-1]["last_hash"] == chain.contents(3)[0]["previous"]
    # One more that nobody recorded:
    chain.path(3).unlink()
    assert not chain.report().intact


@given(data=st.data())
@settings(max_examples=60)
def test_no_single_octet_can_be_changed_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    chain = Chain(tmp_path_factory.mktemp("chain"))
    chain.write(6)
    chain.journal.close()
    octets = bytearray(chain.path().read_bytes())
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    chain.path().write_bytes(octets)
    report = chain.report()
    assert not report.intact
    line = bytes(octets[:at]).count(b"\n") + 1
    assert any(finding.line in (line, line + 1) or not finding.line for finding in report.findings)


def test_a_finding_reads_as_a_sentence() -> None:
    assert str(Finding("f", 3, "it is so")) == "f, line 3: it is so"
    assert str(Finding("", 0, "it is so")) == "it is so"


def test_the_hash_is_what_the_documentation_says(chain: Chain) -> None:
    """Anybody can recompute it: SHA-256 over the previous hash's octets and the line up to `,"hash":`."""
    previous = bytes(32)
    for line in chain.lines():
        body, _, rest = line.rpartition(b',"hash":"')
        digest = hashlib.sha256(previous + body).digest()
        assert rest == digest.hex().encode() + b'"}\n'
        previous = digest
