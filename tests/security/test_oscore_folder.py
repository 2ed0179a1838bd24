"""A device's own OSCORE context in a folder: what export writes is read, numbers last, and one program has it."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bridgehead.security.errors import SecurityError
from bridgehead.security.mechanisms import OSCORE
from bridgehead.security.oscore.folder import LOCK, SECRET, SEQUENCE, SETTINGS, OscoreFolder
from tests.export.conftest import Home
from tests.security.support import publish

aiocoap_oscore: Any = import_module("aiocoap.oscore")  # which has no types


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = Home(tmp_path)
    home.add("sensor-7", publish("Office/a"))
    bundle = home.export("sensor-7", "coap", OSCORE)
    home.identity.close()
    return bundle / "oscore"


def numbers(folder: Path, count: int) -> list[int]:
    context = OscoreFolder(folder)
    found = [context.next_sequence() for _ in range(count)]
    context.close()
    return found


def test_what_export_writes_gives_the_keys_that_aiocoap_derives(folder: Path) -> None:
    context = OscoreFolder(folder)
    ours = context.secret.key(context.sender_id), context.secret.key(context.recipient_id), context.secret.common_iv()
    context.close()
    theirs = aiocoap_oscore.FilesystemSecurityContext(str(folder))
    assert ours == (theirs.sender_key, theirs.recipient_key, theirs.common_iv)
    theirs._destroy()
    theirs.lockfile = None


@pytest.mark.clause("RFC8613-7.2")
def test_numbers_go_on_where_they_ended(folder: Path) -> None:
    assert numbers(folder, 3) == [0, 1, 2]
    assert numbers(folder, 100) == list(range(3, 103))
    assert (folder / SEQUENCE).stat().st_mode & 0o777 == 0o600


@pytest.mark.clause("RFC8613-B.1.1")
def test_a_program_that_was_killed_leaves_a_gap_and_no_number_comes_twice(folder: Path) -> None:
    killed = OscoreFolder(folder)
    used = [killed.next_sequence() for _ in range(5)]
    os.close(killed._lock)  # what the kernel does; nothing is written
    assert numbers(folder, 1)[0] > max(used)


def test_the_folder_goes_from_one_program_to_the_other(folder: Path) -> None:
    assert numbers(folder, 7) == list(range(7))
    theirs = aiocoap_oscore.FilesystemSecurityContext(str(folder))
    assert theirs.new_sequence_number() == 7
    theirs._destroy()
    theirs.lockfile = None
    assert numbers(folder, 1) == [8]


def test_one_program_at_a_time(folder: Path) -> None:
    first = OscoreFolder(folder)
    with pytest.raises(SecurityError, match="another program uses"):
        OscoreFolder(folder)
    first.close()
    OscoreFolder(folder).close()
    assert (folder / LOCK).exists()


@pytest.mark.clause("RFC8613-7.2.1")
def test_the_last_number_is_below_2_to_the_40(folder: Path) -> None:
    (folder / SEQUENCE).write_text(json.dumps({"next-to-send": (1 << 40) - 1, "received": "unknown"}))
    context = OscoreFolder(folder)
    assert context.next_sequence() == (1 << 40) - 1
    with pytest.raises(SecurityError, match="export another context"):
        context.next_sequence()
    context.close()


@pytest.mark.parametrize("name", [SETTINGS, SECRET, SEQUENCE])
@pytest.mark.parametrize("text", ["", "[]", "{}", '{"secret_hex": 7, "next-to-send": -1}', "{"])
def test_a_file_that_is_something_else_is_named_and_nothing_of_it_shown(folder: Path, name: str, text: str) -> None:
    secret = json.loads((folder / SECRET).read_text())["secret_hex"]
    (folder / name).touch(0o600)
    (folder / name).write_text(text)
    with pytest.raises(SecurityError, match=name) as raised:
        OscoreFolder(folder)
    assert secret not in str(raised.value)


def test_a_secret_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / SECRET).chmod(0o644)
    with pytest.raises(SecurityError, match="other users"):
        OscoreFolder(folder)


def test_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="cannot be used as an OSCORE context: no such file"):
        OscoreFolder(tmp_path / "nothing")
