"""Writing to the chain: several processes, crashes, clocks, full disks, private files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridgehead.security.audit.folder import HEAD, file_name
from bridgehead.security.audit.journal import Journal, append
from bridgehead.security.audit.line import ORIGIN
from bridgehead.security.audit.settings import Rules
from bridgehead.security.errors import SecurityError
from tests.audit.support import NOON, Chain


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def test_a_line_says_when_what_and_who_in_utc(chain: Chain) -> None:
    (line,) = chain.write()
    content = json.loads(line)
    assert list(content) == ["n", "time", "kind", "event", "principal", "hash"]
    assert content["time"] == "2026-11-18T11:06:40.000Z"
    assert (content["n"], content["kind"], content["event"]) == (2, "log-in", "authentication.accepted")
    assert line.isascii()


def test_the_first_line_begins_the_chain(chain: Chain) -> None:
    first = chain.contents()[0]
    assert (first["n"], first["event"], first["previous"]) == (1, "audit.file-opened", ORIGIN)


def test_everything_is_private(chain: Chain) -> None:
    chain.write()
    assert chain.folder.stat().st_mode & 0o777 == 0o700
    for path in chain.folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_a_file_that_others_can_read_is_refused(chain: Chain) -> None:
    chain.path().chmod(0o644)
    with pytest.raises(SecurityError, match="other users of this machine can open"):
        Journal(chain.data)


def test_fields_cannot_pose_as_the_chain(chain: Chain) -> None:
    (line,) = chain.journal.append([(NOON, "device.added", {"n": 1, "hash": "0" * 64, "event": "x", "name": "a"})])
    content = json.loads(line)
    assert (content["n"], content["event"], content["name"]) == (2, "device.added", "a")
    assert chain.report().intact


def test_a_secret_in_a_field_is_not_written(chain: Chain) -> None:
    chain.journal.append([(NOON, "device.added", {"password": "hunter2", "passphrase": "hunter2", "key": b"hunter2"})])
    assert b"hunter2" not in chain.path().read_bytes()


def test_checkpoints_come_after_so_many_lines_and_so_many_seconds(tmp_path: Path) -> None:
    chain = Chain(tmp_path, Rules(checkpoint_lines=10, checkpoint_seconds=60))
    chain.write()
    assert chain.events().count("audit.checkpoint") == 1  # the first line is signed at once
    chain.write(9)
    assert chain.events().count("audit.checkpoint") == 1
    chain.write()
    assert chain.events().count("audit.checkpoint") == 2
    chain.write()
    chain.time.now += 59
    chain.journal.maintain()
    assert chain.events().count("audit.checkpoint") == 2
    chain.time.now += 1
    chain.journal.maintain()
    assert chain.events().count("audit.checkpoint") == 3
    size = chain.path().stat().st_size
    chain.time.now += 600
    chain.journal.maintain()
    assert chain.path().stat().st_size == size  # nothing new to sign
    assert chain.report().uncovered == 0


def test_files_turn_over_by_size_and_by_age(tmp_path: Path) -> None:
    chain = Chain(tmp_path, Rules(file_size=4096, file_age=100, keep=0))
    chain.write(40)
    chain.write()
    assert chain.path(2).exists()
    chain.time.now += 100
    chain.journal.maintain()
    assert chain.events(3) == ["audit.file-opened"]
    assert chain.report().intact


def test_a_clock_that_jumps_back_is_recorded_and_breaks_nothing(chain: Chain) -> None:
    chain.write()
    chain.time.now -= 3600
    chain.write()
    chain.time.now += 10
    chain.write()
    back = [content for content in chain.contents() if content["event"] == "audit.clock-back"]
    assert [content["seconds"] for content in back] == [3600.0]
    assert chain.report().intact


# Several writers. -----------------------------------------------------------------------------------


def test_two_journals_take_turns(chain: Chain) -> None:
    other = Journal(chain.data, clock=chain.time)
    for _ in range(3):
        chain.write()
        other.append([(NOON, "device.added", {"name": "a"})])
    other.close()
    chain.journal.close()
    report = chain.report()
    assert report.intact
    assert chain.events().count("device.added") == 3


def test_another_process_turns_the_file_over(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    chain.write(30)
    hub = Journal(chain.data, Rules(file_size=4096, keep=0), chain.time)
    hub.append([])
    chain.write()
    assert chain.events(2)[0] == "audit.file-opened"
    assert chain.contents(2)[-1]["principal"] == "sensor-30"
    assert chain.report().intact


WRITER = """
import sys
from pathlib import Path
from bridgehead.security.audit.journal import Journal, append
data, name = Path(sys.argv[1]), sys.argv[2]
journal = Journal(data)
for number in range(60):
    journal.append([(0.0, "device.added", {"name": f"{name}-{number}"})])
journal.close()
"""


def test_processes_at_the_same_time_make_one_chain(chain: Chain) -> None:
    names = ("a", "b", "c")
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(chain.data), name]) for name in names]
    chain.write(50)
    assert [child.wait(30) for child in children] == [0, 0, 0]
    chain.write(1)
    report = chain.report()
    assert report.intact, [str(finding) for finding in report.findings]
    for name in names:
        own = [each["name"] for each in chain.contents() if str(each.get("name", "")).startswith(f"{name}-")]
        assert own == [f"{name}-{number}" for number in range(60)]


def test_an_act_of_a_command_is_signed_when_append_returns(chain: Chain) -> None:
    append(chain.data, "device.added", {"name": "sensor-7"})
    assert chain.events()[-2:] == ["device.added", "audit.checkpoint"]
    assert chain.report().uncovered == 0


# Crashes. -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"{", b'{"n":6,"time":"2026-11-', b'{"n":6,"time":"2026-\n\x00\x00', b"\x00" * 4096])
def test_a_torn_line_is_told_and_the_chain_goes_on(chain: Chain, torn: bytes) -> None:
    chain.write(3)
    with chain.path().open("ab") as file:
        file.write(torn)
    assert chain.report().intact  # nobody has come to tell of it yet, and no line is missing
    assert len(chain.report().notices) == 1
    chain.reopen()
    chain.write(3)
    events = [json.loads(line)["event"] for line in chain.lines() if line.startswith(b'{"n"') and b"hash" in line]
    assert events.count("audit.torn") == 1
    report = chain.report()
    assert report.intact, [str(finding) for finding in report.findings]
    assert "cut off in writing" in report.notices[0].because


def test_what_stands_torn_cannot_be_changed_or_removed_later(chain: Chain) -> None:
    with chain.path().open("ab") as file:
        file.write(b'{"n":3,"time')
    chain.reopen()
    chain.write()
    chain.path().write_bytes(chain.path().read_bytes().replace(b'{"n":3,"time\n', b'{"n":3,"tame\n'))
    assert not chain.report().intact


@pytest.mark.parametrize("put", [b"{}\n", b"somebody's notes\n", b'{"n":7,"time":"2026'])
def test_what_somebody_put_at_the_end_is_not_taken_for_a_torn_line(chain: Chain, put: bytes) -> None:
    chain.write(3)
    with chain.path().open("ab") as file:
        file.write(put)
    chain.reopen()
    chain.write()
    assert "audit.broken" in [json.loads(line).get("event") for line in chain.lines()[-3:]]
    assert not chain.report().intact


def test_whole_lines_beyond_the_head_count(chain: Chain) -> None:
    """Killed after the lines were written and before the head was."""
    chain.write(2)
    old = (chain.folder / HEAD).read_bytes()
    chain.write(2)
    (chain.folder / HEAD).write_bytes(old)
    assert chain.report().intact
    chain.reopen()
    chain.write()
    assert "audit.torn" not in chain.events()
    assert "audit.broken" not in chain.events()
    assert chain.report().intact


@pytest.mark.parametrize("written", [0, 40, 10_000])
def test_killed_between_two_files(tmp_path: Path, written: int) -> None:
    """With as many octets of the new file on disk, and the head still speaking of the old one."""
    chain = Chain(tmp_path, Rules(file_size=4096, keep=0))
    chain.write(30)
    old = (chain.folder / HEAD).read_bytes()
    chain.write()
    assert chain.path(2).exists()
    (chain.folder / HEAD).write_bytes(old)
    chain.path(2).write_bytes(chain.path(2).read_bytes()[:written])
    chain.reopen()
    chain.write()
    report = chain.report()
    assert report.intact, [str(finding) for finding in report.findings]


KILLED = """
import os, sys
from pathlib import Path
from bridgehead.security.audit.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100000):
    journal.append([(0.0, "device.added", {"name": f"x-{number}"})] * 5)
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(chain: Chain) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(chain.data)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    told = 0
    while told < 20:
        told = int(child.stdout.readline())
    child.kill()
    rest = child.stdout.read().split()
    child.wait()
    told = max([told, *map(int, rest)])
    chain.write()
    report = chain.report()
    assert report.intact, [str(finding) for finding in report.findings]
    names = {line.get("name") for line in map(json.loads, chain.lines()) if "name" in line}
    assert {f"x-{number}" for number in range(told + 1)} <= names


# Somebody touched it while nobody looked. -----------------------------------------------------------


def test_lines_that_are_gone_at_the_start_are_recorded(chain: Chain) -> None:
    chain.write(5)
    chain.rewrite(lambda lines: lines[:3])
    chain.reopen()
    chain.write()
    broken = [content for content in chain.contents() if content["event"] == "audit.broken"]
    assert [content["because"] for content in broken] == ["lines 4 to 7 are missing from audit-000001.jsonl"]
    assert [finding.line for finding in chain.report().findings] == [4]


@pytest.mark.parametrize("gone", ["files", "head", "both"])
def test_a_chain_that_is_gone_is_recorded_in_the_new_one(chain: Chain, gone: str) -> None:
    chain.write(5)
    if gone != "head":
        chain.path().unlink()
    if gone != "files":
        (chain.folder / HEAD).unlink()
    chain.reopen()
    chain.write()
    assert "audit.broken" in chain.events()
    assert not chain.report().intact


def test_a_file_removed_under_the_running_hub_is_recorded(chain: Chain) -> None:
    chain.write(5)
    chain.path().unlink()
    chain.write()
    assert "audit.broken" in chain.events()


# The disk. ------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_nothing_behind(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.write(2)
    before = chain.path().read_bytes()
    write = os.write

    def full(descriptor: int, octets: bytes) -> int:
        if len(octets) > 100:
            return write(descriptor, bytes(octets[:100]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SecurityError, match=r"cannot write the audit log in .*: no space left on device"):
        chain.write()
    monkeypatch.undo()
    assert chain.path().read_bytes() == before
    chain.write(2)
    assert chain.report().intact


def test_a_folder_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    (data / "audit").write_text("not a folder")
    with pytest.raises(SecurityError, match="audit"):
        Journal(data)


def test_a_foreign_file_in_the_way_is_not_written_to(tmp_path: Path) -> None:
    chain = Chain(tmp_path, Rules(file_size=4096, keep=0))
    chain.write(30)
    chain.path(2).write_text("somebody's notes\n")
    chain.path(2).chmod(0o600)
    chain.write()
    assert not chain.report().intact
    assert file_name(2) in [finding.file for finding in chain.report().findings]
