"""Sender Sequence Numbers: never twice, over restarts, full disks, lost files and backups."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security import files
from bridgehead.security.errors import SecurityError
from bridgehead.security.oscore import sequences
from bridgehead.security.oscore.sequences import COUNT_BITS, EPOCHS, FILE, Sequences

BEGINNING = 1_767_225_600.0  # 2026-01-01: the clock gives no epoch yet
NOW = BEGINNING + 3600.0
BLOCK = 1 << COUNT_BITS


def used(made: Sequences, context: str, count: int) -> list[int]:
    found = [made.next(context) for _ in range(count)]
    return [each for each in found if each is not None]


@pytest.mark.clause("RFC8613-7.2")
def test_numbers_grow_by_one_for_each_context(tmp_path: Path) -> None:
    made = Sequences(tmp_path, NOW)
    first = made.next("a")
    assert first is not None
    assert used(made, "a", 3) == [first + 1, first + 2, first + 3]
    assert used(made, "b", 2) == [first, first + 1]  # other keys


@pytest.mark.clause("RFC8613-B.1.1")
def test_a_new_run_begins_above_the_old_one(tmp_path: Path) -> None:
    before = used(Sequences(tmp_path, NOW), "a", 5)
    after = used(Sequences(tmp_path, NOW), "a", 5)  # killed: nothing more was written
    assert min(after) > max(before)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, BLOCK)), max_size=12), st.integers(0, 12))
def test_no_number_comes_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], kill: int
) -> None:
    folder = tmp_path_factory.mktemp("sequences")
    made = Sequences(folder, NOW)
    highest: dict[str, int] = {}
    for at, (context, count) in enumerate(steps):
        if at == kill:
            made = Sequences(folder, NOW)
        first = made.next(context)
        assert first is not None
        assert first > highest.get(context, -1)
        # As if so many more had been drawn within the block.
        highest[context] = first
        made._next[context] = last = min(first + count, (first // BLOCK + 1) * BLOCK)
        highest[context] = last - 1


def test_the_file_is_written_once_for_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Sequences(tmp_path, NOW)
    made.next("b")
    written: list[bytes] = []
    whole = files.write_whole

    def counted(path: Path, data: bytes) -> None:
        written.append(data)
        whole(path, data)

    monkeypatch.setattr(files, "write_whole", counted)
    drawn = used(made, "a", BLOCK + 10)
    assert len(set(drawn)) == BLOCK + 10
    assert len(written) == 1
    assert used(made, "b", BLOCK + 9)[-1] == drawn[-1]  # follows into the epoch that is there
    assert len(written) == 1
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_on_a_full_disk_no_number_is_given_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Sequences(tmp_path, NOW)
    last = used(made, "a", BLOCK)[-1]

    def full(path: Path, data: bytes) -> None:
        raise SecurityError(f"cannot write {path}: no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_whole", full)
        with pytest.raises(SecurityError, match="no space"):
            made.next("a")
        assert made.next("b") is not None  # its block is the hub's already
    assert made.next("a") == last + 1


def test_a_folder_from_a_backup_or_a_lost_file_repeats_nothing(tmp_path: Path) -> None:
    week = 7 * 86400.0
    used(Sequences(tmp_path, NOW), "a", 1)
    backup = (tmp_path / FILE).read_bytes()
    before = used(Sequences(tmp_path, NOW + week), "a", 5)
    (tmp_path / FILE).write_bytes(backup)
    restored = used(Sequences(tmp_path, NOW + 2 * week), "a", 5)
    assert min(restored) > max(before)
    (tmp_path / FILE).unlink()
    lost = used(Sequences(tmp_path, NOW + 3 * week), "a", 5)
    assert min(lost) > max(restored)


def test_a_clock_that_is_wrong_leaves_half_of_the_numbers(tmp_path: Path) -> None:
    made = Sequences(tmp_path, NOW + 1e12)
    assert used(made, "a", 1) == [EPOCHS // 2 * BLOCK]
    assert used(Sequences(tmp_path, NOW), "a", 1) == [(EPOCHS // 2 + 1) * BLOCK]


@pytest.mark.clause("RFC8613-7.2.1")
def test_the_last_number_is_below_2_to_the_40(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.touch(0o600)
    path.write_text(f"{EPOCHS - 2}\n")
    made = Sequences(tmp_path, NOW)
    assert used(made, "a", BLOCK)[-1] == (1 << 40) - 1
    assert made.next("a") is None
    assert made.next("b") is None  # there is one epoch for all
    again = Sequences(tmp_path, NOW)
    assert again.next("c") is None
    assert "rotate every device's OSCORE context" in again.exhausted


@pytest.mark.parametrize("text", ["", "x", "-1", "9999999999"])
def test_a_damaged_file_is_told_and_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / sequences.FILE
    path.touch(0o600)
    path.write_text(text)
    made = Sequences(tmp_path, NOW)
    for _ in range(2):
        with pytest.raises(SecurityError, match="rotate every device's OSCORE context"):
            made.next("a")
    assert path.read_text() == text


def test_nothing_is_written_before_a_number_is_needed(tmp_path: Path) -> None:
    made = Sequences(tmp_path, NOW)
    assert not (tmp_path / FILE).exists()
    made.next("a")
    assert (tmp_path / FILE).exists()
