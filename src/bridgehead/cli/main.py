"""The `bridgehead` command: finds the one module that the asked command lives in, and turns faults into sentences."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from bridgehead import __version__
from bridgehead.core.errors import Refusal

# Which module registers which commands. Only the asked one is imported, so that a start is quick.
COMMANDS: Final = {
    "up": "bridgehead.cli.up",
    "device": "bridgehead.cli.device",
    "role": "bridgehead.cli.role",
    "group": "bridgehead.cli.group",
    "queue": "bridgehead.cli.queue",
    "policy": "bridgehead.cli.policy",
    "ca": "bridgehead.cli.ca",
    "pub": "bridgehead.cli.publish_subscribe",
    "sub": "bridgehead.cli.publish_subscribe",
    "bench": "bridgehead.cli.bench",
    "inspect": "bridgehead.cli.inspect",
    "log": "bridgehead.cli.log",
    "dds": "bridgehead.cli.dds",
}

USAGE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

_DEBUG: Final = "BRIDGEHEAD_DEBUG"


class CommandError(Exception):
    """A command cannot do what it was asked: `sentence` says what is wrong and what to do. No traceback is shown."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code


def build_app(command: str | None = None) -> typer.Typer:
    """The typer app with the module of `command` registered, or with all of them."""
    app = typer.Typer(
        name="bridgehead",
        help="A secure hub that starts closed. It speaks MQTT, CoAP, AMQP and DDS.",
        invoke_without_command=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_top)
    modules = [COMMANDS[command]] if command in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in modules:
        importlib.import_module(module).register(app)
    return app


def main() -> None:
    """The entry point of the `bridgehead` script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code. 2: the command line or configuration is wrong, 1: it failed."""
    if list(arguments) == ["--version"]:
        _print_version()
        return 0
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    try:
        result = build_app(command)(list(arguments), prog_name="bridgehead", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`bridgehead sub ... | head`); the interpreter shall not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as fault:
        if debugging():
            raise
        return _tell(fault, command)


def debugging() -> bool:
    """Whether faults are to be shown with their traceback: --debug, or BRIDGEHEAD_DEBUG set to anything but 0."""
    return os.environ.get(_DEBUG, "0") not in ("", "0")


def _tell(fault: Exception, command: str | None) -> int:
    """One line on standard error; returns the exit code."""
    name = f"bridgehead {command}" if command in COMMANDS else "bridgehead"
    if isinstance(fault, CommandError):
        sentence, code = fault.sentence, fault.exit_code
    elif isinstance(fault, typer.Abort):
        sentence, code = "given up", 1
    elif hasattr(fault, "format_message"):  # what typer raises about the command line
        context = getattr(fault, "ctx", None)  # of the command that was meant: `bridgehead device add`
        if context is not None and fault.format_message() == context.get_help():  # `bridgehead device` alone
            print(context.get_help(), file=sys.stderr)
            return USAGE
        where = name if context is None else context.command_path
        sentence, code = f"{_sentence(fault.format_message())} (see {where} --help)", USAGE
    elif isinstance(fault, Refusal):
        sentence, code = fault.because, 1
    elif isinstance(fault, OSError) and fault.strerror:
        place = f"{fault.filename}: " if fault.filename is not None else ""
        sentence, code = f"{place}{fault.strerror}", 1
    else:
        kind = type(fault).__name__
        sentence, code = f"{_sentence(str(fault)) or kind} ({kind}; {_DEBUG}=1 shows where)", 1
    print(f"{name}: {sentence}", file=sys.stderr)
    return code


def _sentence(text: str) -> str:
    """One line, without the full stop that would stand before our own words."""
    return " ".join(text.split()).removesuffix(".")


def _show_version(asked: bool) -> None:
    if asked:
        _print_version()
        raise typer.Exit


def _print_version() -> None:
    print(f"bridgehead {__version__}")


def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (also: BRIDGEHEAD_DEBUG=1).")] = False,
) -> None:
    if debug:
        os.environ[_DEBUG] = "1"
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(USAGE)
