"""`bridgehead device import`: thousands of devices from one file, all or none."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridgehead.cli.device_options import Data, Json
from bridgehead.cli.identity_at import PassphraseFile, open_identity, sentences
from bridgehead.cli.main import USAGE, CommandError

if TYPE_CHECKING:
    from bridgehead.security.identity.wanted import Enrolled, Wanted

_HEADING = (
    "name",
    "password",
    "psk_identity",
    "psk_key",
    "otp_pass_phrase",
    "otp_seed",
    "otp_sequence",
    "oscore_sender_id",
    "oscore_recipient_id",
    "oscore_id_context",
    "oscore_master_secret",
    "oscore_master_salt",
)


def import_devices(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv|FILE.json", show_default=False)],
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="New folder for what the devices need; secrets are nowhere else."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Enrol all devices of a file, or none. Every fault is told with its line."""
    from bridgehead.cli.device_show import print_json
    from bridgehead.security.identity import importing

    if file.suffix not in (".csv", ".json"):
        raise CommandError(f"{file} is neither FILE.csv nor FILE.json: its name says what it holds", USAGE)
    text = _text(file)
    with open_identity(data, make=not dry_run, passphrase_file=passphrase_file) as identity:
        try:
            rows = importing.read(text, file.suffix == ".json", identity.registry)
        except importing.Faulty as faulty:
            identity.refused("import", faulty)
            for fault in faulty.faults[:-1]:
                print(f"{file}:{fault.line}: {fault.because}", file=sys.stderr)
            last = faulty.faults[-1]
            more = f" (and {faulty.more} more faults)" if faulty.more else ""
            raise CommandError(f"{file}:{last.line}: {last.because}{more}; nothing was imported", USAGE) from None
        wanted = [each.wanted for each in rows]
        if _has_secrets(wanted) and out is None and not dry_run:
            raise CommandError("credentials are made: say with --out FOLDER where to write them", USAGE)
        if dry_run:
            if as_json:
                print_json({"correct": len(wanted)})
            else:
                print(f"{file}: {len(wanted)} devices, correct; nothing was imported")
            return
        with sentences():
            folder = None if out is None else _Folder(out)
        try:
            with _bar(len(wanted)) as progress, identity.importing(wanted, file.name, progress) as enrolled:
                if folder is not None:
                    folder.write(enrolled)
        except BaseException:
            if folder is not None:
                folder.discard()
            raise
        if as_json:
            print_json({"imported": len(wanted), "out": None if folder is None else str(folder.path)})
        else:
            where = "" if folder is None else f"; what they need is in {folder.path}"
            print(f"imported {len(wanted)} devices{where}")


def _text(file: Path) -> str:
    from bridgehead.security.identity.importing import LARGEST

    try:
        with file.open("rb") as opened:
            found = opened.read(LARGEST + 1)
    except OSError as fault:
        raise CommandError(f"{file} cannot be read: {(fault.strerror or '').lower()}", USAGE) from None
    if len(found) > LARGEST:
        raise CommandError(f"{file} is larger than {LARGEST >> 20} MiB: import it in several files", USAGE)
    try:
        return found.decode()
    except UnicodeDecodeError as fault:
        line = found.count(b"\n", 0, fault.start) + 1
        raise CommandError(f"{file}:{line}: this is not UTF-8 text", USAGE) from None


def _has_secrets(wanted: Sequence[Wanted]) -> bool:
    return any(
        each.fresh.password is not None
        or each.fresh.certificate
        or each.fresh.psk is not None
        or each.fresh.raw_key
        or each.fresh.oscore
        or each.fresh.otp
        or each.fresh.dds
        for each in wanted
    )


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("making credentials"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count: progress.update(task, completed=count)


class _Folder:
    """`secrets.csv`, and a folder with certificates and keys for each device that has some. All or nothing, private."""

    def __init__(self, path: Path) -> None:
        """Errors: NotAcceptable."""
        from bridgehead.security.errors import NotAcceptable

        self.path = path.absolute()
        self._is_made = False
        if self.path.exists() or self.path.is_symlink():
            raise NotAcceptable(f"--out {path} is there already: name a new folder, nothing is overwritten")

    def write(self, enrolled: Sequence[Enrolled]) -> None:
        """Errors: SecurityError."""
        from bridgehead.security import files

        files.output_folder(self.path)
        self._is_made = True
        files.write_whole(self.path / "ca.pem", enrolled[0].authority_pem)
        lines = io.StringIO()
        table = csv.writer(lines)
        table.writerow(_HEADING)
        for each in enrolled:
            row = _row(each)
            if any(row[1:]):
                table.writerow(row)
            contents = _files(each)
            if contents:
                folder = self.path / each.device.name
                files.private_folder(folder)
                for name, content in contents.items():
                    _write_new(folder / name, content)
        files.write_whole(self.path / "secrets.csv", lines.getvalue().encode())
        os.sync()  # once for thousands of files

    def discard(self) -> None:
        if self._is_made:
            shutil.rmtree(self.path, ignore_errors=True)


def _write_new(path: Path, content: bytes) -> None:
    """Private from the moment it exists. Errors: SecurityError."""
    from bridgehead.security.errors import SecurityError

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
    except OSError as fault:
        raise SecurityError(f"cannot write {path}: {(fault.strerror or str(fault)).lower()}") from None


def _row(of: Enrolled) -> list[str]:
    row = [of.device.name, "" if of.password is None else of.password.decode()]
    row += ["", ""] if of.psk is None else [of.psk.identity, of.psk.key.hex()]
    row += ["", "", ""] if of.otp is None else [of.otp.pass_phrase, of.otp.seed, str(of.otp.sequence)]
    if of.oscore is None:
        return row + [""] * 5
    context = of.oscore
    return row + [
        each.hex()
        for each in (context.sender_id, context.recipient_id, context.id_context, context.secret, context.salt)
    ]


def _files(of: Enrolled) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    if of.certificate is not None:
        found["certificate.pem"] = of.certificate.certificate_pem
        found["key.pem"] = of.certificate.key_pem
    if of.raw_key is not None:
        found["raw-key.pem"] = of.raw_key.key_pem
    if of.dds is not None:
        found["dds-certificate.pem"] = of.dds.certificate_pem
        found["dds-key.pem"] = of.dds.key_pem
    return found
