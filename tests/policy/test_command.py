"""`bridgehead policy`, as a shell calls it."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from bridgehead.security.registry.registry import Registry
from tests.policy.conftest import Command, acts

TEXT = """\
everyone
  deny subscribe $SYS/#

role sensor
  allow publish Office/${group}/${device}/# qos 1
  allow subscribe cmd/${floor} when hours Mon-Fri 07:00-19:00 Europe/Berlin

group lobby
  allow subscribe Office/${group}/#
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "office.policy"
    path.write_text(TEXT)
    return path


@pytest.fixture
def applied(bridgehead: Command, data: Path, file: Path) -> Path:
    told = bridgehead("policy", "apply", file, "--data", data)
    assert told.code == 0, told.err
    return data


def events(data: Path, name: str) -> list[dict[str, Any]]:
    return [line for line in acts(data) if line["event"] == name]


# check ----------------------------------------------------------------------------------------------------------------


def test_check_says_that_it_is_correct(bridgehead: Command, file: Path, data: Path) -> None:
    assert bridgehead("policy", "check", file).out == "office.policy: correct\n"
    told = bridgehead("policy", "check", file, "--data", data, "--json")
    assert (told.code, told.value) == (0, {"file": "office.policy", "correct": True, "faults": []})


def test_check_tells_every_fault(bridgehead: Command, file: Path, data: Path) -> None:
    file.write_text("everyone\n  alow publish a\nrole r\n  allow publish a/#/b\n")
    told = bridgehead("policy", "check", file)
    assert (told.code, told.out) == (2, "")
    assert told.err.splitlines() == [
        "office.policy:2: `alow` begins no line of a policy: did you mean `allow`?",
        "office.policy:4: 'a/#/b' is not a Topic Filter: # must be a level of its own, and the last",
    ]


def test_check_against_the_devices(bridgehead: Command, file: Path, data: Path) -> None:
    file.write_text("role sensor\n  allow publish a/${flor}\ndevice d9\n  allow publish a\n")
    told = bridgehead("policy", "check", file, "--data", data, "--json")
    assert told.code == 2
    assert [(each["line"], each["warning"], each["text"]) for each in told.value["faults"]] == [
        (0, False, "the group 'lobby' is not named, and d1, d2 still has it: name it, or take it from there first"),
        (2, True, "no device has an attribute `flor`: did you mean ${floor}?"),
        (3, False, "there is no device 'd9': enrol it first, or leave its block out"),
    ]


def test_check_reads_standard_input(bridgehead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"everyone\n allow publish a\n")))
    assert bridgehead("policy", "check", "-").out == "standard input: correct\n"


# apply and show -------------------------------------------------------------------------------------------------------


def test_what_is_applied_is_shown(bridgehead: Command, applied: Path) -> None:
    assert bridgehead("policy", "show", "--data", applied).out == f"# revision 1\n\n{TEXT}"
    value = bridgehead("policy", "show", "--data", applied, "--json").value
    assert value["revision"] == 1
    assert [(each["kind"], each["name"]) for each in value["blocks"]] == [
        ("everyone", ""),
        ("role", "sensor"),
        ("group", "lobby"),
    ]
    assert value["blocks"][1]["permissions"][0]["source"] == "office.policy:5"


def test_apply_tells_what_changes(bridgehead: Command, data: Path, file: Path) -> None:
    told = bridgehead("policy", "apply", file, "--data", data, "--dry-run")
    assert told.code == 0
    assert "    + publish Office/${group}/${device}/# qos 1   e.g. Office/${group}/${device}\n" in told.out
    assert "2 device(s) gain rights, 0 lose some" in told.out
    assert told.err == "note: nothing is changed: revision 0 stays in force\n"
    assert events(data, "policy.applied") == []
    value = bridgehead("policy", "apply", file, "--data", data, "--json").value
    assert (value["applied"], value["revision"], value["differs"]) == (True, 1, True)
    [line] = events(data, "policy.applied")
    fields = {name: line[name] for name in ("source", "revision", "gaining", "losing")}
    assert fields == {"source": "office.policy", "revision": 1, "gaining": 2, "losing": 0}
    again = bridgehead("policy", "apply", file, "--data", data)
    assert "no difference: both permit the same" in again.out


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("role sensor\ngroup lobby\n alow publish a\n", "office.policy:3: `alow` begins no line of a policy"),
        (TEXT + "  allow publish a\n  deny publish a\n", "can never match"),
        (TEXT + "role sensor\n", "`role sensor` stands in line 4 already"),
        (TEXT + "device d9\n", "there is no device 'd9'"),
        ("role sensor\n", "the group 'lobby' is not named"),
    ],
)
def test_a_bad_file_changes_nothing_and_is_audited(
    bridgehead: Command, applied: Path, file: Path, text: str, sentence: str
) -> None:
    file.write_text(text)
    told = bridgehead("policy", "apply", file, "--data", applied)
    assert (told.code, told.out) == (2, "")
    assert told.err.count("\n") == 1
    assert sentence in told.err
    assert bridgehead("policy", "show", "--data", applied).out == f"# revision 1\n\n{TEXT}"
    [line] = events(applied, "act.refused")
    assert sentence in line["because"]


def test_apply_notices_another_revision(bridgehead: Command, applied: Path, file: Path) -> None:
    told = bridgehead("policy", "apply", file, "--data", applied, "--if-revision", "0")
    assert told.code == 2
    assert "the policy in force is revision 1 and not 0" in told.err
    assert bridgehead("policy", "apply", file, "--data", applied, "--if-revision", "1").code == 0


def test_what_is_not_there_is_one_sentence(bridgehead: Command, tmp_path: Path, data: Path) -> None:
    told = bridgehead("policy", "apply", tmp_path / "no.policy", "--data", data)
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "no.policy cannot be read: no such file" in told.err
    told = bridgehead("policy", "show", "--data", tmp_path / "nowhere")
    assert "there are no identities in" in told.err
    assert not (tmp_path / "nowhere").exists()


# explain --------------------------------------------------------------------------------------------------------------


def test_explain_names_the_line(bridgehead: Command, applied: Path) -> None:
    told = bridgehead("policy", "explain", "d1", "publish", "Office/lobby/d1/Temp", "--data", applied)
    assert told.code == 0
    assert told.out.startswith("+ permitted: 'd1' may publish to 'Office/lobby/d1/Temp' with QoS 0: ")
    assert "(role sensor, office.policy:5)" in told.out
    assert "over mqtt by password" in told.out


def test_a_device_that_is_barred_may_nothing(bridgehead: Command, applied: Path) -> None:
    """As at the hub, whatever the policy says."""
    asked = ("publish", "Office/lobby/d1/Temp", "--data", applied)
    assert bridgehead("device", "disable", "d1", "--data", applied).code == 0
    told = bridgehead("policy", "explain", "d1", *asked)
    assert (told.code, told.out.splitlines()[0]) == (1, "- denied: 'd1' is disabled: as it is, it may nothing at all")
    assert bridgehead("device", "enable", "d1", "--data", applied).code == 0
    assert bridgehead("policy", "explain", "d1", *asked).code == 0
    assert bridgehead("device", "revoke", "d1", "--data", applied).code == 0
    told = bridgehead("policy", "explain", "d1", *asked, "--json")
    assert (told.code, told.value["permitted"]) == (1, False)
    assert "'d1' was revoked" in told.value["because"]


def test_explain_names_what_is_nearest(bridgehead: Command, applied: Path) -> None:
    asked = ("policy", "explain", "d1", "publish", "Office/lobby/d1/Temp", "--qos", "2", "--data", applied)
    told = bridgehead(*asked, "--json")
    assert told.code == 1
    assert (told.value["permitted"], told.value["source"]) == (False, "office.policy:5")
    told = bridgehead("policy", "explain", "d1", "publish", "Office/lobby/d2/Temp", "--data", applied)
    assert told.code == 1
    assert "no permission of 'd1' covers publish 'Office/lobby/d2/Temp'; the nearest is to" in told.out


def test_explain_names_rates_and_quotas(bridgehead: Command, data: Path, file: Path) -> None:
    """What bounds a message that is permitted; a line without a rate beside one with it leaves no bound."""
    file.write_text(
        "role sensor\n  quota 3 messages/h\n  allow publish a/# rate 5/min\n  allow publish a/b rate 2/h\n"
        "  allow publish a/c qos 0\ngroup lobby\n  quota 1 KiB/s\n  allow publish a/# rate 1/s\n"
    )
    assert bridgehead("policy", "apply", file, "--data", data).code == 0
    told = bridgehead("policy", "explain", "d1", "publish", "a/b", "--data", data)
    assert told.code == 0
    keeps = [line for line in told.out.splitlines() if line.startswith("  as long as")]
    assert [line.partition(":")[0].split()[-1] for line in keeps[:3]] == ["5/min", "2/h", "1/s"]
    assert keeps[3:] == [
        "  as long as all that it publishes keeps to 3 messages/h: the quota of role sensor",
        "  as long as all that it publishes keeps to 1 KiB/s: the quota of group lobby",
    ]
    told = bridgehead("policy", "explain", "d1", "publish", "a/c", "--data", data, "--json")
    assert (told.value["permitted"], told.value["rates"], len(told.value["quotas"])) == (True, [], 2)
    told = bridgehead("policy", "explain", "d1", "publish", "a/c", "--qos", "1", "--data", data, "--json")
    assert [each["holder"] for each in told.value["rates"]] == ["role sensor", "group lobby"]
    told = bridgehead("policy", "explain", "d1", "publish", "b", "--data", data, "--json")
    assert (told.value["permitted"], told.value["rates"], told.value["quotas"]) == (False, [], [])


def test_explain_says_when_a_data_tag_decides(bridgehead: Command, data: Path, file: Path) -> None:
    file.write_text(
        "role sensor\n  quota 3 messages/h\n  allow publish a/#\n  allow publish $TAG/site/+\n  allow subscribe #\n"
        "group lobby\n  allow subscribe $TAG/class/secret when hours Mon 07:00-19:00\n"
    )
    assert bridgehead("policy", "apply", file, "--data", data).code == 0
    asked = ("policy", "explain", "d1", "publish", "a/b", "--protocol", "dds", "--data", data)
    told = bridgehead(*asked, "--tag", "site=north")
    assert told.code == 0
    assert told.out.startswith("+ permitted: 'd1' may publish to 'a/b' with QoS 0: ")
    assert "  it bears the data tag site=north: 'd1' may publish to '$TAG/site/north' with QoS 0: " in told.out
    assert "(role sensor, office.policy:4)" in told.out
    assert "as long as all that it publishes keeps to 3 messages/h" in told.out
    told = bridgehead(*asked, "--tag", "site=north", "--tag", "class=secret")
    assert told.code == 1
    begins = "- denied: it bears the data tag class=secret: no permission of 'd1' covers publish '$TAG/class/secret'"
    assert told.out.startswith(begins)
    assert "as long as" not in told.out

    received = ("policy", "explain", "d1", "receive", "a/b", "--tag", "class=secret", "--data", data, "--at")
    assert bridgehead(*received, "2026-11-23T12:00:00Z").code == 0
    told = bridgehead(*received, "2026-11-24T12:00:00Z")
    assert told.code == 1
    assert "outside its hours, next time at 2026-11-30T07:00:00Z: allow subscribe $TAG/class/secret" in told.out
    told = bridgehead(*received, "2026-11-23T12:00:00Z", "--json")
    assert [(each["tag"], each["permitted"], each["holder"]) for each in told.value["tags"]] == [
        ("class=secret", True, "group lobby")
    ]


def test_explain_names_the_denial(bridgehead: Command, applied: Path) -> None:
    told = bridgehead("policy", "explain", "d1", "subscribe", "$SYS/#", "--data", applied, "--json")
    assert (told.code, told.value["holder"], told.value["source"]) == (1, "everyone", "office.policy:2")


def test_explain_at_a_time(bridgehead: Command, applied: Path) -> None:
    asked = ("policy", "explain", "d1", "receive", "cmd/1", "--data", applied, "--at")
    assert bridgehead(*asked, "2026-11-23T12:00:00+01:00").code == 0
    told = bridgehead(*asked, "2026-11-22T12:00:00+01:00")
    assert told.code == 1
    assert "outside its hours, next time at 2026-11-23T06:00:00Z: allow subscribe cmd/${floor}" in told.out
    assert bridgehead("policy", "explain", "d1", "receive", "cmd/2", "--data", applied).code == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("d1", "publsh", "a"), "`publsh` is no operation: did you mean `publish`?"),
        (("d1", "publish", "a/#"), "must not hold the wildcards"),
        (("d1", "publish", "a", "--qos", "3"), "--qos 3 is no QoS"),
        (("d1", "publish", "a", "--mechanism", "certifcate"), "did you mean `certificate`?"),
        (("d1", "publish", "a", "--protocol", "mqt"), "did you mean `mqtt`?"),
        (("d1", "publish", "a", "--at", "noon"), "--at 'noon' is no time"),
        (("d1", "publish", "a", "--tag", "secret"), "--tag 'secret' is no data tag"),
        (("d1", "subscribe", "a", "--tag", "class=secret"), "ask for `receive`"),
        (("d9", "publish", "a"), "there is no device 'd9'"),
    ],
)
def test_a_wrong_question_is_one_sentence(
    bridgehead: Command, applied: Path, words: tuple[str, ...], sentence: str
) -> None:
    told = bridgehead("policy", "explain", *words, "--data", applied)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert sentence in told.err


# what-if --------------------------------------------------------------------------------------------------------------


def test_what_if_answers_for_the_file_and_changes_nothing(bridgehead: Command, applied: Path, file: Path) -> None:
    file.write_text(TEXT.replace("qos 1", "qos 2") + "  allow publish plant/#\n")
    asked = ("policy", "what-if", file, "d1", "publish")
    assert bridgehead(*asked, "Office/lobby/d1/Temp", "--qos", "2", "--data", applied).code == 0
    told = bridgehead(*asked, "plant/7", "--data", applied)
    assert told.code == 0
    assert "(group lobby, office.policy:10)" in told.out
    assert bridgehead("policy", "explain", "d1", "publish", "plant/7", "--data", applied).code == 1


def test_what_if_alone_tells_all_gains_and_losses(bridgehead: Command, applied: Path, file: Path) -> None:
    file.write_text(TEXT.replace("qos 1", "qos 2").replace("cmd/${floor} when hours", "cmd/+ when hours"))
    told = bridgehead("policy", "what-if", file, "d1", "--data", applied)
    assert told.code == 1
    assert told.out.splitlines() == [
        "  device d1",
        "    + publish Office/lobby/d1/# (what differs: up to QoS 2)   e.g. Office/lobby/d1",
        "    + subscribe cmd/+ except cmd/1 when hours Mon-Fri 07:00-19:00 Europe/Berlin   e.g. cmd/any",
    ]
    file.write_text(TEXT)
    told = bridgehead("policy", "what-if", file, "d1", "--data", applied)
    assert (told.code, told.out) == (0, "d1 would gain and lose nothing\n")


# diff -----------------------------------------------------------------------------------------------------------------


def test_diff_of_two_files(bridgehead: Command, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "new.policy"
    other.write_text(TEXT)
    assert bridgehead("policy", "diff", file, other).code == 0
    other.write_text(TEXT.replace("qos 1", "qos 0"))
    told = bridgehead("policy", "diff", file, other)
    assert told.code == 1
    assert told.out.splitlines() == [
        "in the policy",
        "  role sensor",
        "    - publish Office/${group}/${device}/# qos 1 (what differs: up to QoS 1)   e.g. Office/${group}/${device}",
    ]


def test_diff_with_what_is_in_force(bridgehead: Command, applied: Path, file: Path) -> None:
    assert bridgehead("policy", "diff", "current", file, "--data", applied).code == 0
    file.write_text(TEXT + "  allow publish plant/#\n")
    told = bridgehead("policy", "diff", "-", file, "--data", applied)
    assert told.code == 1
    assert "  2 devices: d1, d2\n    + publish plant/#   e.g. plant\n" in told.out
    told = bridgehead("policy", "diff", file, "current", "--data", applied, "--json")
    assert told.value["devices"][0]["lost"][0]["filter"] == "plant/#"
    told = bridgehead("policy", "diff", "current", file)
    assert "give --data DIR" in told.err


@pytest.mark.parametrize(("topic_filter", "code"), [("#", 3), ("plant/7/+", 3), ("Office/#", 1), ("$SYS/#", 1)])
def test_fail_on_gain(bridgehead: Command, applied: Path, file: Path, topic_filter: str, code: int) -> None:
    file.write_text(TEXT + "  allow publish plant/#\n")
    told = bridgehead("policy", "diff", "current", file, "--data", applied, "--fail-on-gain", topic_filter)
    assert told.code == code
    assert ("gains within" in told.err) == (code == 3)


def test_a_bad_file_is_no_difference(bridgehead: Command, file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("x")
    assert bridgehead("policy", "diff", file, tmp_path / "bad").code == 2
    told = bridgehead("policy", "diff", file, file, "--fail-on-gain", "a/#/b")
    assert (told.code, told.err.count("\n")) == (2, 1)


# role and group -------------------------------------------------------------------------------------------------------


def test_a_role_in_the_words_of_the_policy(bridgehead: Command, data: Path) -> None:
    words = (
        "--allow",
        "publish Office/# qos 1 when protocol mqtt",
        "--deny",
        "both secret/#",
        "--quota",
        "5 messages/s",
    )
    told = bridgehead("role", "add", "writer", *words, "--subscribe", "cmd/#", "--data", data)
    assert told.code == 0, told.err
    assert told.out.splitlines()[2:6] == [
        "quota        5 messages/s",
        "may          allow publish Office/# qos 1 when protocol mqtt",
        "may          deny both secret/#",
        "may          allow subscribe cmd/#",
    ]
    told = bridgehead("role", "set", "writer", "--allow", "publish a", "--keep", "--data", data, "--json")
    assert [each["text"] for each in told.value["permissions"]][-1] == "allow publish a"
    assert len(told.value["permissions"]) == 4
    told = bridgehead("role", "set", "writer", "--allow", "publish b", "--quota", "none", "--data", data, "--json")
    assert [each["text"] for each in told.value["permissions"]] == ["allow publish b"]
    assert told.value["quota"] is None
    assert bridgehead("role", "remove", "writer", "--data", data).out == "removed writer\n"
    assert [line["event"] for line in acts(data) if line["event"].startswith("role.")] == [
        "role.added",
        "role.changed",
        "role.changed",
        "role.removed",
    ]


def test_a_group(bridgehead: Command, data: Path) -> None:
    assert bridgehead("group", "add", "hall", "--data", data).code == 0
    assert bridgehead("group", "list", "--data", data).out == "hall\t0\t0\nlobby\t0\t2\n"
    told = bridgehead("group", "set", "lobby", "--allow", "subscribe Office/${group}/#", "--data", data)
    assert told.code == 0
    told = bridgehead("group", "show", "lobby", "--data", data, "--json")
    assert told.value["permissions"][0]["text"] == "allow subscribe Office/${group}/#"
    assert told.value["devices"] == ["d1", "d2"]
    told = bridgehead("group", "remove", "lobby", "--data", data)
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert bridgehead("group", "remove", "hall", "--data", data).code == 0
    registry = Registry(data)
    assert [group.name for group in registry.groups()] == ["lobby"]
    registry.close()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("role", "set", "sensor"), "say what the role shall be"),
        (("role", "set", "snsor", "--allow", "publish a"), "there is no role 'snsor'"),
        (("role", "add", "sensor", "--allow", "publish a"), "there is a role 'sensor' already"),
        (("role", "add", "r", "--allow", "publsh a"), "did you mean `publish`?"),
        (("role", "add", "r", "--allow", "publish a", "--quota", "5 apples"), "is no quota"),
        (("group", "add", "a/b"), "cannot be a group's name"),
    ],
)
def test_a_wrong_record_is_one_sentence(bridgehead: Command, data: Path, words: tuple[str, ...], sentence: str) -> None:
    told = bridgehead(*words, "--data", data)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert sentence in told.err
