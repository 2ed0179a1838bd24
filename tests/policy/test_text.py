"""The text of a policy: what is read from it, what is printed, and every fault told with its line."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridgehead.core.errors import Refusal
from bridgehead.core.topic import check_topic_filter
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.mechanisms import KINDS, PROTOCOLS
from bridgehead.security.policy.document import Document, Fault, PolicyFaults, Section, normal
from bridgehead.security.policy.printer import print_policy
from bridgehead.security.policy.sense import check_sense
from bridgehead.security.policy.statement import permission, quoted, text_of, words_of
from bridgehead.security.policy.text import decode, parse, without_lines
from bridgehead.security.policy.units import rate, rate_text, size, size_text
from bridgehead.security.records import PermissionRecord, Quota

EXAMPLE = """\
# The office.
retained-of-revoked hide

everyone
  deny subscribe $SYS/#          # of the hub
role sensor
  quota 100 messages/s 64 KiB/s
  allow publish Office/${group}/${device}/# qos 1 no-retain payload 4 KiB rate 10/s
  allow subscribe Office/${group}/commands/# verified
  allow both Lab/# when mechanism scram certificate, protocol mqtt, hours Mon-Fri 07:00-19:00 or Sat 08:00-12:00
group lobby
  allow subscribe "Meeting Room/#" # with a blank
device sensor-7
  allow publish Office/Lobby/Door
  allow publish #
"""


def test_the_example_says_what_it_says() -> None:
    document, warnings = parse(EXAMPLE, "office.policy")
    assert warnings == []
    assert document.retained_of_revoked == "hide"
    assert document.everyone.permissions == (
        PermissionRecord("$SYS/#", False, True, allow=False, source="office.policy:5"),
    )
    sensor = document.roles["sensor"]
    assert sensor.quota == Quota(100.0, 65536.0)
    assert sensor.permissions == (
        PermissionRecord(
            "Office/${group}/${device}/#",
            True,
            False,
            max_qos=1,
            retain=False,
            max_payload=4096,
            rate=10.0,
            source="office.policy:8",
        ),
        PermissionRecord("Office/${group}/commands/#", False, True, verified=True, source="office.policy:9"),
        PermissionRecord(
            "Lab/#",
            True,
            True,
            protocols=("mqtt",),
            mechanisms=("certificate", "scram"),
            hours=("Mon-Fri 07:00-19:00", "Sat 08:00-12:00"),
            source="office.policy:10",
        ),
    )
    assert [each.topic_filter for each in document.groups["lobby"].permissions] == ["Meeting Room/#"]
    assert [each.topic_filter for each in document.devices["sensor-7"].permissions] == ["Office/Lobby/Door", "#"]


def test_the_example_is_printed_in_its_one_form() -> None:
    document, _ = parse(EXAMPLE)
    printed = print_policy(document)
    again, _ = parse(printed)
    assert without_lines(again) == without_lines(document)
    assert print_policy(again) == printed
    assert 'allow subscribe "Meeting Room/#"' in printed
    assert "when mechanism certificate scram, protocol mqtt, hours Mon-Fri" in printed


LEVELS = st.one_of(
    st.sampled_from(
        ["Office", "+", "${device}", "x-${group}", "${floor}", "", "$SYS", "when", "a b", '"', "\\", ",", "#"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00/+#"), max_size=4),
)


def is_filter(text: str) -> bool:
    try:
        permission(words_of(f"allow publish {quoted(text)}", 2))
    except NotAcceptable:
        return False
    return True


def is_valid(text: str) -> bool:
    try:
        check_topic_filter(text)
    except Refusal:
        return False
    return "$share" not in text and "${" not in text.replace("${device}", "").replace("${group}", "").replace(
        "${floor}", ""
    )


FILTERS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(is_valid)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
HOURS = st.sampled_from(["Mon-Fri 07:00-19:00 Europe/Berlin", "22:00-06:00", "Sat-Sun 00:00-24:00"])
SOME = st.one_of(st.none(), st.integers(1, 1 << 20))


@st.composite
def records(draw: st.DrawFn) -> PermissionRecord:
    publish = draw(st.booleans())
    record = PermissionRecord(
        draw(FILTERS),
        publish,
        draw(st.booleans()) or not publish,
        max_qos=draw(st.integers(0, 2)),
        retain=draw(st.booleans()),
        allow=draw(st.integers(0, 3)) > 0,
        max_payload=draw(st.one_of(st.none(), st.integers(0, 268_435_455))),
        rate=draw(st.one_of(st.none(), st.floats(1e-6, 1e9))),
        verified=draw(st.booleans()),
        protocols=tuple(draw(st.lists(st.sampled_from(sorted(PROTOCOLS)), max_size=2))),
        mechanisms=tuple(draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=2))),
        hours=tuple(draw(st.lists(HOURS, max_size=2, unique=True))),
    )
    return normal(record)


SECTIONS = st.builds(
    Section,
    st.lists(records(), max_size=4).map(tuple),
    st.one_of(
        st.none(),
        st.builds(Quota, st.floats(1e-3, 1e6), st.one_of(st.none(), st.floats(1e-3, 1e9))),
    ),
)
DOCUMENTS = st.builds(
    Document,
    SECTIONS,
    st.dictionaries(NAMES, SECTIONS, max_size=3),
    st.dictionaries(NAMES, SECTIONS, max_size=2),
    st.dictionaries(NAMES, SECTIONS, max_size=2),
    st.sampled_from(["keep", "hide", "purge"]),
)


@given(DOCUMENTS)
def test_what_is_printed_is_read_as_the_same(document: Document) -> None:
    printed = print_policy(document)
    assume(not any(not fault.warning for fault in check_sense(document, None)))  # what is void is no policy
    again, _ = parse(printed)
    assert without_lines(again) == document
    assert print_policy(again) == printed


@given(records())
def test_a_permission_in_words_is_the_same_permission(record: PermissionRecord) -> None:
    again, _ = permission(words_of(text_of(record), 2))
    assert again == record


@given(FILTERS)
def test_any_filter_can_be_written(topic_filter: str) -> None:
    assert is_filter(topic_filter)
    assert words_of(f"allow publish {quoted(topic_filter)} qos 1", 2)[2:] == [topic_filter, "qos", "1"]


@given(st.one_of(st.floats(1e-9, 1e12), st.integers(1, 10**6).map(lambda n: n / 60)))
def test_a_rate_is_read_as_it_was_printed(per_second: float) -> None:
    assert rate(rate_text(per_second)) == per_second


@given(st.integers(0, 268_435_455))
def test_a_size_is_read_as_it_was_printed(octets: int) -> None:
    assert size(size_text(octets).replace(" ", "")) == octets


def test_sources_name_the_line() -> None:
    document, _ = parse(EXAMPLE, "office.policy")
    lines = EXAMPLE.splitlines()
    for _, _, section in document.sections():
        for each in section.permissions:
            assert each.topic_filter in lines[int(each.source.rpartition(":")[2]) - 1]


# --- faults -----------------------------------------------------------------------------------------------------------


def faults_of(text: str) -> list[Fault]:
    with pytest.raises(PolicyFaults) as raised:
        parse(text)
    return raised.value.faults


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("everyone\n alow publish a", 2, "`alow` begins no line of a policy: did you mean `allow`?"),
        ("everyone\n allow publihs a", 2, "`publihs` is no operation: did you mean `publish`?"),
        ("everyone\n allow", 2, "the operation is missing: known are publish, subscribe, both"),
        ("everyone\n allow publish", 2, "the Topic Filter is missing"),
        ("allow publish a", 1, "`allow` before any block"),
        ("everyone\n\n allow publish a qso 1", 3, "`qso` is unknown here: did you mean `qos`?"),
        ("everyone\n allow publish a qos 3", 2, "`3` is no QoS: it is 0, 1 or 2"),
        ("everyone\n allow publish a qos", 2, "`qos` needs a value"),
        ("everyone\n allow publish a qos 1 qos 2", 2, "`qos` stands twice"),
        ("everyone\n allow publish a retain no-retain", 2, "exclude each other"),
        ("everyone\n allow publish a payload 4 KB", 2, "'4KB' is no size: write it as 512 B, 4 KiB or 1 MiB"),
        ("everyone\n allow publish a payload 9 GiB", 2, "beyond 268435455 octets"),
        ("everyone\n allow publish a rate 10", 2, "'10' is no rate: write it as 10/s"),
        ("everyone\n allow publish a rate 0/s", 2, "permits nothing"),
        ("everyone\n allow publish a when", 2, "a condition is missing"),
        ("everyone\n allow publish a when mechanism", 2, "`mechanism` needs a value"),
        ("everyone\n allow publish a when mechanism certifcate", 2, "did you mean `certificate`?"),
        ("everyone\n allow publish a when protocol mqt", 2, "did you mean `mqtt`?"),
        ("everyone\n allow publish a when weather fine", 2, "`weather` is no condition: known are mechanism"),
        ("everyone\n allow publish a when hours Mon-Fri 7-19", 2, "'7-19' are no hours: write them as 07:00-19:00"),
        ("everyone\n allow publish a when hours Mon 07:00-08:00 Europe/Berln", 2, "did you mean 'Europe/Berlin'?"),
        ("everyone\n deny publish a qos 1", 2, "a denial holds whatever the QoS"),
        ("everyone\n allow publish a/#/b", 2, "is not a Topic Filter: # must be a level of its own, and the last"),
        ("everyone\n allow publish a+", 2, "is not a Topic Filter: + must be a level of its own"),
        ("everyone\n allow subscribe $share/g/a", 2, "can never match: write the Topic Filter alone"),
        ("everyone\n allow publish a/${}", 2, "can never match: a placeholder is"),
        ("everyone\n allow publish a/${device", 2, "can never match: a placeholder is"),
        ('everyone\n allow publish "a b', 2, "a quotation mark has no partner"),
        ('everyone\n allow publish "a\\q"', 2, "'\\\\q' within quotes"),
        (
            "everyone\n allow publish a\n deny both a",
            2,
            "`allow publish a` can never match: all of it is denied by `deny",
        ),
        (
            "everyone\n deny both a/#\nrole r\n allow publish a/+/b",
            4,
            "can never match: all of it is denied by `deny both",
        ),
        ("everyone\n allow publish +\n deny publish +\n", 2, "can never match"),
        ("role r\n allow publish #\n deny publish +\n deny publish +/+/#", 2, "`deny publish +` (policy:3) and `deny"),
        ("role sensor\nrole sensor", 2, "`role sensor` stands in line 1 already"),
        ("everyone\neveryone", 2, "`everyone` stands in line 1 already"),
        ("role a b", 1, "`b` is unknown here: the line ends after `role a`"),
        ("role", 1, "the role's name is missing"),
        ("role a/b", 1, "'a/b' cannot be a role's name"),
        ("role r\n quota 10 apples/s", 2, "`10 apples/s` is no quota"),
        ("role r\n quota 10", 2, "a quota is written as"),
        ("role r\n quota 1 messages/s\n quota 2 messages/s", 3, "a block has one quota"),
        ("retained-of-revoked hidden", 1, "did you mean `hide`?"),
        ("retained-of-revoked hide\nretained-of-revoked keep", 2, "stands twice in one policy"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, line: int, sentence: str) -> None:
    found = faults_of(text)
    assert [fault.line for fault in found] == [line]
    assert sentence in found[0].text


def test_all_faults_are_told_at_once() -> None:
    assert [fault.line for fault in faults_of("everyone\n x\n allow publish a/\n y\n\n z\n")] == [2, 4, 6]


def test_a_block_that_cannot_be_does_not_make_faults_of_its_lines() -> None:
    assert [fault.line for fault in faults_of("role a/b\n allow publish a\nrole c\nrole c\n allow publish b")] == [1, 4]


@pytest.mark.parametrize(
    "text",
    [
        "everyone\n allow publish a\n deny publish a when protocol mqtt",
        "everyone\n allow publish a when protocol mqtt coap\n deny publish a when protocol mqtt",
        "everyone\n allow publish a\n deny subscribe a",
        "everyone\n allow publish #\n deny publish $SYS/#\n deny publish +",
        "role r\n allow publish a\nrole s\n deny publish a",
    ],
)
def test_a_denial_that_leaves_something_is_no_fault(text: str) -> None:
    assert parse(text)[1] == []


def test_a_denial_under_the_same_condition_voids() -> None:
    text = "everyone\n allow publish a when protocol mqtt\n deny publish a when protocol mqtt coap"
    assert "can never match" in faults_of(text)[0].text


def warnings_of(text: str, attributes: frozenset[str] | None = None) -> list[tuple[int, str]]:
    return [(fault.line, fault.text) for fault in parse(text, "policy", attributes)[1]]


def test_a_placeholder_that_nothing_binds_is_a_warning() -> None:
    text = "role r\n allow publish a/${devise}\n allow publish b/${floor}"
    assert warnings_of(text) == [(2, "the attribute `devise` looks like a slip: did you mean ${device}?")]
    assert warnings_of(text, frozenset({"floor", "devise"})) == []
    assert warnings_of(text, frozenset({"flor"})) == [
        (2, "no device has an attribute `devise`: did you mean ${device}?"),
        (3, "no device has an attribute `floor`: did you mean ${flor}?"),
    ]


def test_a_bound_that_says_nothing_is_a_warning() -> None:
    assert "says nothing about a subscription" in warnings_of("role r\n allow subscribe a rate 1/s")[0][1]


def test_octets_that_are_no_text_are_told_with_their_line() -> None:
    with pytest.raises(PolicyFaults, match=r"office\.policy:2: this line is not UTF-8"):
        decode(b"everyone\n allow publish \xff", "office.policy")
    with pytest.raises(PolicyFaults, match=r"office\.policy:1: this line holds a null character"):
        decode(b"every\x00one\n", "office.policy")
    with pytest.raises(PolicyFaults, match="33554432 are the most"):
        decode(b" " * ((32 << 20) + 1), "office.policy")


def test_a_byte_order_mark_and_other_line_ends_are_taken() -> None:
    document, _ = parse("\ufeffeveryone\r\n  allow publish a\r\n")
    assert document.everyone.permissions[0].topic_filter == "a"


def test_too_many_permissions_are_refused() -> None:
    found = faults_of("everyone\n" + "allow publish a\n" * 100_001)
    assert "more than 100000 permissions" in found[0].text


def test_ten_thousand_permissions_with_denials_are_read_without_comparing_each_with_each() -> None:
    """Measured by work, not by the clock alone: ten times as many take about ten times as long, not a hundred times."""

    def spent(count: int) -> float:
        lines = ["everyone"]
        for i in range(count // 2):
            lines += [f"  allow both plant/{i}/# qos 1", f"  deny publish plant/{i}/secret"]
        text = "\n".join(lines)
        start = time.process_time()
        parse(text)
        return time.process_time() - start

    small = min(spent(1000) for _ in range(3))
    assert spent(10_000) < 40 * small


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document, _ = parse(text)
    except PolicyFaults as faults:
        lines = text.split("\n")
        told = [fault.line for fault in faults.faults if not fault.warning]
    else:
        lines, told = [], []
        assert without_lines(parse(print_policy(document))[0]) == without_lines(document)
    assert all(lines[line - 1].strip() for line in told)


def test_the_sentence_of_many_faults_names_the_first() -> None:
    with pytest.raises(PolicyFaults, match=r"policy:2: .* \(and 1 more: `bridgehead policy check` lists them\)"):
        parse("everyone\n x\n y")


def test_a_word_in_quotes_is_no_key_word() -> None:
    with pytest.raises(NotAcceptable, match="`when` is unknown here"):
        permission(words_of('allow publish a "when" protocol mqtt', 2))


def test_normal_forgets_what_means_nothing() -> None:
    denial = PermissionRecord("a", True, False, max_qos=0, retain=False, allow=False, max_payload=3, source="x:1")
    assert normal(denial) == PermissionRecord("a", True, False, allow=False)
    assert normal(replace(denial, allow=True)).max_payload == 3
