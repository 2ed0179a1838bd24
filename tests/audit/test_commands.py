"""`bridgehead log`, the commands that write, and docs/audit-log.md, whose commands are run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridgehead.cli.log_view import content_of, sentence_of, since_of
from bridgehead.cli.main import CommandError, run
from bridgehead.protocols.mqtt.codec.packets import Connack, Pingreq, Pingresp
from bridgehead.security.audit.folder import FOLDER
from bridgehead.security.audit.settings import COMMAND_RULES, Rules
from bridgehead.security.audit.verify import verify
from tests.audit.support import NOON, Chain
from tests.cli.hub import Client, Hub, command, wait_until

DOCS = Path(__file__).parents[2] / "docs" / "audit-log.md"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    one = Chain(tmp_path)
    one.write(30)
    one.time.now += 3600
    one.journal.append(
        [
            (one.time.now, "authentication.refused", {"claimed": "sensor-7", "because": "wrong \x1b[31m\npassword"}),
            (one.time.now, "device.revoked", {"principal": "sensor-7"}),
        ]
    )
    one.journal.close()
    return one


def test_verify_says_so_and_exits_with_0(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", "verify", "--data", str(chain.data)]) == 0
    assert capsys.readouterr().out.startswith("intact: 35 lines in 1 file, 2 signed checkpoints; it ends at 35:")


def test_verify_names_the_line_and_exits_with_1(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    chain.rewrite(lambda lines: [*lines[:5], *lines[6:]])
    assert run(["log", "verify", "--data", str(chain.data)]) == 1
    out = capsys.readouterr().out
    assert "audit-000001.jsonl, line 6: line 6 of the chain stood before this one, 7, and are missing" in out
    assert "NOT intact" in out


def test_verify_as_json(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", "verify", "--data", str(chain.data), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["intact"], report["lines"], report["findings"]) == (True, 35, [])
    chain.rewrite(lambda lines: [*lines[:5], lines[5].replace(b"sensor", b"censor"), *lines[6:]])
    assert run(["log", "verify", "--data", str(chain.data), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["file"], finding["line"]) == ("audit-000001.jsonl", 6)


def test_verify_holds_the_log_against_a_noted_line(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    head = f"{chain.contents()[-1]['n']}:{chain.contents()[-1]['hash']}"
    assert run(["log", "verify", "--data", str(chain.data), "--head", head]) == 0
    assert run(["log", "verify", "--data", str(chain.data), "--head", f"35:{'0' * 64}"]) == 1
    assert run(["log", "verify", "--data", str(chain.data), "--head", "35"]) == 2
    assert "write N:HASH" in capsys.readouterr().err


@pytest.mark.parametrize("sub", ["verify", "tail"])
def test_a_folder_without_an_audit_log_is_a_sentence(
    tmp_path: Path, sub: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["log", sub, "--data", str(tmp_path)]) != 0
    assert "there is no audit log in" in capsys.readouterr().err


def tail(chain: Chain, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert run(["log", "tail", "--data", str(chain.data), *options]) == 0
    return capsys.readouterr().out.splitlines()


def test_tail_shows_the_last_lines(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(tail(chain, capsys)) == 20
    assert len(tail(chain, capsys, "-n", "5")) == 5
    assert len(tail(chain, capsys, "-n", "500")) == 35
    assert tail(chain, capsys, "-n", "0") == []


def test_tail_chooses(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the lines that match, the last ones."""
    assert [line.split()[3] for line in tail(chain, capsys, "--device", "sensor-7")] == [
        "authentication.accepted",
        "authentication.refused",
        "device.revoked",
    ]
    assert len(tail(chain, capsys, "--event", "device.*")) == 1
    assert len(tail(chain, capsys, "--event", "authentication.*", "-n", "99")) == 31
    assert len(tail(chain, capsys, "--kind", "refusal", "--kind", "revocation")) == 2
    assert len(tail(chain, capsys, "--since", "2026-11-18T11:30", "-n", "99")) == 3
    assert len(tail(chain, capsys, "--since", "2026-11-18T12:30+01:00", "-n", "99")) == 3


def test_tail_as_json_prints_the_lines_as_they_are(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert tail(chain, capsys, "--json", "-n", "3") == [line.decode().rstrip("\n") for line in chain.lines()[-3:]]


def test_no_line_moves_the_cursor_of_the_terminal(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(line.isprintable() for line in tail(chain, capsys, "-n", "99"))


def test_since_in_words(chain: Chain) -> None:
    assert since_of("30m", NOON) == "2026-11-18T10:36:40.000Z"
    assert since_of("7d", NOON) == "2026-11-11T11:06:40.000Z"
    assert since_of("") == ""
    for text in ("yesterday", "7w", "2026-13-01"):
        with pytest.raises(CommandError, match="is no time"):
            since_of(text)


def test_what_is_no_line_is_passed_over() -> None:
    assert content_of(b"{") is None
    assert content_of(b"[]") is None
    assert sentence_of({"n": 1, "event": "x\ny"}) == r"1 ? ? x\ny"


def test_tail_follows(chain: Chain) -> None:
    child = subprocess.Popen(
        command("log", "tail", "--data", chain.data, "-n", "1", "-f", "--kind", "log-in"), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert b"principal=sensor-29" in child.stdout.readline()
    chain.reopen()
    chain.journal.rules = Rules(file_size=4096, keep=0)
    chain.write(1)
    assert b"principal=sensor-30" in child.stdout.readline()
    assert chain.path(2).exists()
    chain.journal.rules = COMMAND_RULES
    chain.write(1)
    assert b"principal=sensor-31" in child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()


# With a hub. ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a hub that ran, let somebody in, refused somebody, was reloaded and stopped."""
    folder = tmp_path_factory.mktemp("hub")
    bind = '[[listener]]\nbind = "127.0.0.1:0"\n'
    with Hub(folder, bind) as hub:
        run_ok("device", "add", "sensor-7", "--data", str(hub.data), "--publish", "a/#", "--out", str(folder / "out-7"))
        hub.enrol("sensor-8", "right-password-1")
        Client(hub.dial(), "sensor-8", "right-password-1").receive()
        Client(hub.dial(), "sensor-8", "wrong-password-1").receive()
        hub.reload(bind + "[audit]\ncheckpoint_lines = 7\n")
        hub.await_event("node.reloaded")
        hub.reload("nonsense")
        hub.await_event("node.reload-failed")
        run_ok("device", "remove", "sensor-8", "--data", str(hub.data))
        hub.await_event("identity.ended")
        assert hub.stop() == 0
    return hub.data


def run_ok(*arguments: str) -> str:
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def contents(data: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (data / FOLDER / "audit-000001.jsonl").read_bytes().splitlines()]


def test_the_hub_and_the_commands_make_one_chain(kept: Path) -> None:
    report = verify(kept / FOLDER)
    assert report.intact, [str(finding) for finding in report.findings]
    assert report.uncovered == 0
    events = [content["event"] for content in contents(kept)]
    for event in (
        "node.starting",
        "listener.opened",
        "node.ready",
        "device.added",
        "authentication.accepted",
        "authentication.refused",
        "node.reloaded",
        "node.reload-failed",
        "device.removed",
        "identity.ended",
        "node.stopping",
        "node.stopped",
    ):
        assert event in events, event
    assert events[-1] == "audit.checkpoint"


def test_a_line_says_who_from_where_by_what_and_why(kept: Path) -> None:
    accepted = next(each for each in contents(kept) if each["event"] == "authentication.accepted")
    assert (accepted["principal"], accepted["by"], accepted["protocol"]) == ("sensor-8", "password", "mqtt")
    assert str(accepted["address"]).startswith("127.0.0.1:")
    refused = next(each for each in contents(kept) if each["event"] == "authentication.refused")
    assert (refused["kind"], refused["claimed"]) == ("refusal", "sensor-8")
    assert refused["because"]
    added = next(each for each in contents(kept) if each["event"] == "device.added")
    assert re.search(r"\(uid \d+\)", str(added["by"]))


def test_an_act_that_cannot_be_recorded_is_not_done(kept: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(kept, data)
    shutil.rmtree(data / FOLDER)
    (data / FOLDER).write_text("in the way")
    done = subprocess.run(
        command("device", "remove", "sensor-7", "--data", data), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "audit" in done.stderr
    assert "sensor-7" in run_ok("device", "list", "--data", str(data))


def test_killed_the_hub_leaves_a_chain_that_goes_on(tmp_path: Path) -> None:
    with Hub(tmp_path, '[[listener]]\nbind = "127.0.0.1:0"\n') as hub:
        hub.enrol("sensor-8", "right-password-1")
        Client(hub.dial(), "sensor-8", "right-password-1").receive()
        path = hub.data / FOLDER / "audit-000001.jsonl"
        wait_until("the log-in is on disk", lambda: b"authentication.accepted" in path.read_bytes())
        assert hub.process is not None
        hub.process.kill()
        hub.process.wait()
        hub.start()
        assert hub.stop() == 0
        events = [content["event"] for content in contents(hub.data)]
        assert events.count("node.starting") == 2
        assert verify(hub.data / FOLDER).intact


def test_with_refuse_nobody_new_gets_in_while_lines_cannot_be_written(tmp_path: Path) -> None:
    """Who is in stays in; when the lines can be written again, all of them are."""
    config = '[[listener]]\nbind = "127.0.0.1:0"\n[audit]\non_failure = "refuse"\n'
    with Hub(tmp_path, config) as hub:
        hub.enrol("sensor-8", "right-password-1")
        first = Client(hub.dial(), "sensor-8", "right-password-1", "sensor-8-a")
        assert code_of(first) == 0
        folder, aside = hub.data / FOLDER, hub.data / "aside"
        folder.rename(aside)
        folder.write_text("in the way")
        Client(hub.dial(), "sensor-8", "right-password-1", "sensor-8-b").receive()
        hub.await_event("audit.failed")
        assert code_of(Client(hub.dial(), "sensor-8", "right-password-1", "sensor-8-c")) == 0x88  # Server unavailable
        first.send(Pingreq())
        assert isinstance(first.receive(), Pingresp)
        folder.unlink()
        aside.rename(folder)
        hub.await_event("audit.recovered")
        assert code_of(Client(hub.dial(), "sensor-8", "right-password-1", "sensor-8-d")) == 0
        assert hub.stop() == 0
        clients = [each["client_id"] for each in contents(hub.data) if each["event"] == "authentication.accepted"]
        assert clients == ["sensor-8-a", "sensor-8-b", "sensor-8-d"]
        assert verify(hub.data / FOLDER).intact


def code_of(client: Client) -> int:
    packet = client.receive()
    assert isinstance(packet, Connack)
    return packet.reason_code


# The documentation. ---------------------------------------------------------------------------------


def documented_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_the_documented_commands_work_as_written(kept: Path, tmp_path: Path) -> None:
    data = tmp_path / "DATA"
    shutil.copytree(kept, data)
    last = contents(data)[-1]
    ran = 0
    for line in documented_commands():
        arguments = shlex.split(line.replace("N:HASH", f"{last['n']}:{last['hash']}"))
        if arguments[0] == "bridgehead":
            arguments = [sys.executable, "-m", *arguments]
        if "-f" in arguments:
            arguments.remove("-f")
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (line, done.stderr)
        ran += 1
    assert ran >= 8


def test_the_documented_line_is_one_of_ours() -> None:
    (line,) = re.findall(r"```json\n(.*?)\n```", DOCS.read_text())
    content = json.loads(line)
    assert list(content)[:4] == ["n", "time", "kind", "event"]
    assert len(content["hash"]) == 64
    assert time.strptime(content["time"][:19], "%Y-%m-%dT%H:%M:%S")
