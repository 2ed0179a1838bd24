"""The frame of the command line: exit codes, one sentence for each fault, and only what is needed imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable

import pytest
import typer

from bridgehead import __version__
from bridgehead.cli import main
from bridgehead.cli.main import CommandError, run
from bridgehead.core.errors import NOT_AUTHORIZED, Refusal

BRIDGEHEAD = [sys.executable, "-m", "bridgehead"]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Makes a function the only command of the command line, `bridgehead probe`."""

    def install(function: Callable[..., object]) -> None:
        module = types.ModuleType("probe_module")
        vars(module)["register"] = lambda app: app.command("probe")(function)
        monkeypatch.setitem(sys.modules, "probe_module", module)
        monkeypatch.setattr(main, "COMMANDS", {"probe": "probe_module"})
        monkeypatch.setenv("BRIDGEHEAD_DEBUG", "0")

    return install


def failing(fault: BaseException) -> Callable[[], None]:
    def probe() -> None:
        raise fault

    return probe


FAULTS = [
    (CommandError("the data folder is in use: stop the other hub"), 1, "the data folder is in use: stop the other hub"),
    (CommandError("hub.toml:3: wrong", main.USAGE), 2, "hub.toml:3: wrong"),
    (Refusal(NOT_AUTHORIZED, "no permission covers it"), 1, "no permission covers it"),
    (FileNotFoundError(2, "No such file or directory", "/a/b"), 1, "/a/b: No such file or directory"),
    (OSError(28, "No space left on device"), 1, "No space left on device"),
    (ValueError("two\nlines."), 1, "two lines (ValueError; BRIDGEHEAD_DEBUG=1 shows where)"),
    (KeyError(), 1, "KeyError (KeyError; BRIDGEHEAD_DEBUG=1 shows where)"),
    (typer.BadParameter("7 is too many."), 2, "Invalid value: 7 is too many (see bridgehead probe --help)"),
    (typer.Abort(), 1, "given up"),
]


@pytest.mark.parametrize(("fault", "code", "sentence"), FAULTS, ids=[type(fault[0]).__name__ for fault in FAULTS])
def test_a_fault_is_one_sentence(
    command: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    fault: Exception,
    code: int,
    sentence: str,
) -> None:
    command(failing(fault))
    assert run(["probe"]) == code
    printed = capsys.readouterr()
    assert printed.err == f"bridgehead probe: {sentence}\n"
    assert printed.out == ""


def test_a_traceback_only_when_asked(command: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    command(failing(ValueError("boom")))
    with pytest.raises(ValueError, match="boom"):
        run(["--debug", "probe"])
    monkeypatch.setenv("BRIDGEHEAD_DEBUG", "1")
    with pytest.raises(ValueError, match="boom"):
        run(["probe"])


def test_an_interrupt_is_quiet(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    command(failing(KeyboardInterrupt()))
    assert run(["probe"]) == 130
    assert capsys.readouterr().err.strip() == ""


def test_a_command_gives_the_exit_code(command: Callable[..., None]) -> None:
    def probe(code: int) -> int:
        return code

    command(probe)
    assert run(["probe", "7"]) == 7
    assert run(["probe", "0"]) == 0


def test_exit_is_obeyed(command: Callable[..., None]) -> None:
    command(failing(typer.Exit(3)))
    assert run(["probe"]) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up"], "bridgehead up: Missing option '--data' (see bridgehead up --help)"),
        (["up", "--data", "x", "--chek"], "bridgehead up: No such option: --chek"),
        (["up", "--data"], "bridgehead up: Option '--data' requires an argument"),
        (["up", "--data", "x", "surplus"], "bridgehead up: Got unexpected extra argument"),
        (["--verison", "up"], "No such option: --verison"),
        (["device", "add", "x", "--typo"], "(see bridgehead device add --help)"),
        (["device", "import"], "(see bridgehead device import --help)"),
    ],
)
def test_a_wrong_command_line(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert run(arguments) == 2
    printed = capsys.readouterr().err
    assert says in printed
    assert printed.count("\n") == 1


def test_a_group_of_commands_alone_shows_its_help_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dds"]) == 2
    alone = capsys.readouterr().err
    assert run(["dds", "--help"]) == 0
    assert alone == capsys.readouterr().out
    assert "\nCommands:\n  discover " in alone


def test_an_unknown_command_has_a_suggestion(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    def probe() -> None:
        """Look."""

    command(probe)
    assert run(["prob"]) == 2
    assert capsys.readouterr().err == (
        "bridgehead: No such command 'prob'. Did you mean 'probe'? (see bridgehead --help)\n"
    )


def test_without_a_command_the_help_is_shown(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    def probe() -> None:
        """Look at something."""

    command(probe)
    assert run([]) == 2
    assert "Look at something." in capsys.readouterr().err


def test_the_version(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    command(failing(ValueError()))
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"bridgehead {__version__}\n"


def test_every_command_is_registered_by_its_module(capsys: pytest.CaptureFixture[str]) -> None:
    for name in main.COMMANDS:
        assert run([name, "--help"]) == 0, name
        assert f"Usage: bridgehead {name}" in capsys.readouterr().out
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in main.COMMANDS:
        assert f"\n  {name} " in listed


HEAVY = ("cryptography", "sqlite3", "argon2", "msgspec", "uvloop", "rich")
HEAVIER = (*HEAVY, "asyncio", "ssl", "websockets", "logging")


@pytest.mark.parametrize(
    ("arguments", "unwanted"), [(["--version"], HEAVIER), (["up", "--help"], HEAVIER), (["--help"], HEAVY)]
)
def test_nothing_slow_is_imported_for_help(arguments: list[str], unwanted: tuple[str, ...]) -> None:
    code = (
        "import sys; from bridgehead.cli.main import run; "
        f"assert run({arguments!r}) == 0; "
        f"print([name for name in {unwanted!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_a_reader_that_leaves_is_no_fault() -> None:
    code = (
        "import sys; from bridgehead.cli import main; import types; m = types.ModuleType('m')\n"
        "def probe():\n    print('x' * 200000)\n"
        "m.register = lambda app: app.command('probe')(probe); sys.modules['m'] = m\n"
        "main.COMMANDS['probe'] = 'm'; sys.argv = ['bridgehead', 'probe']; main.main()"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode != 0
    assert done.returncode != -signal.SIGPIPE


def test_python_dash_m() -> None:
    done = subprocess.run([*BRIDGEHEAD, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bridgehead {__version__}\n"
