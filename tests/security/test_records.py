"""What may stand in a record."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bridgehead.core.errors import Refusal
from bridgehead.core.policy import Principal
from bridgehead.core.topic import check_topic_filter
from bridgehead.security import records
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.records import Device, PermissionRecord, Quota, permission_of
from tests.security.support import publish, subscribe

GOOD_NAMES = ["a", "7", "sensor-7", "Sensor.7_b", "d" * 64]
BAD_NAMES = ["", "-a", ".a", "_a", "a b", "a/b", "a+b", "a#", "${device}", "ä", "a\n", "a\x00", "d" * 65, "a:b", "a*"]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names(name: str) -> None:
    records.check_name(name, "device")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_explained(name: str) -> None:
    with pytest.raises(NotAcceptable, match=r"cannot be a device's name: use 1 to 64 of the characters A-Z a-z 0-9"):
        records.check_name(name, "device")


def test_a_huge_name_makes_no_huge_sentence() -> None:
    with pytest.raises(NotAcceptable) as caught:
        records.check_name("x" * 100_000, "role")
    assert len(str(caught.value)) < 300


@given(st.text(max_size=80))
def test_a_name_that_is_accepted_is_one_topic_level(name: str) -> None:
    """So `${device}` can widen no filter and leave no level."""
    if records.is_name(name):
        check_topic_filter(name)
        assert not set(name) & set("/+#$*")
        assert name.isascii()


@pytest.mark.parametrize(
    "topic_filter",
    [
        "a",
        "a/+/b",
        "#",
        "+",
        "a/#",
        "$SYS/#",
        "Office/${device}/#",
        "${group}/${floor}",
        "x${device}y",
        "${device}",
        "é/✓",
        "a//b",
    ],
)
def test_good_filters(topic_filter: str) -> None:
    records.check_permissions([publish(topic_filter), subscribe(topic_filter)])


@pytest.mark.parametrize(
    ("topic_filter", "because"),
    [
        ("", "is not a Topic Filter: a Topic Filter must be at least one character long"),
        ("a/#/b", "# must be a level of its own, and the last"),
        ("a#", "# must be a level of its own"),
        ("a+/b", "+ must be a level of its own"),
        ("${device}+", "+ must be a level of its own"),
        ("a\x00b", "null character"),
        ("a" * 65536, "longer than 65535 octets"),
        ("$share/group/a", "can never match: write the Topic Filter alone"),
        ("$share", "can never match"),
        ("${no user}/a", "unknown placeholder ${no user}: write ${device}, ${group}, or ${NAME} for the attribute"),
        ("${}/a", "unknown placeholder ${}"),
        ("${GROUP}/a", "unknown placeholder ${GROUP}"),
        ("${Device}/a", "unknown placeholder ${Device}"),
        ("${device/a", "unknown placeholder"),
        ("a/\udcff", "is not UTF-8 and can never match"),
    ],
)
def test_bad_filters_are_explained(topic_filter: str, because: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        records.check_permissions([publish(topic_filter)])
    assert because in str(caught.value)


def test_a_permission_must_permit_something() -> None:
    with pytest.raises(NotAcceptable, match="neither to publish nor to subscribe"):
        records.check_permissions([PermissionRecord("a", False, False)])
    with pytest.raises(NotAcceptable, match="3 is no QoS: it is 0, 1 or 2"):
        records.check_permissions([publish("a", max_qos=3)])


@pytest.mark.parametrize(
    ("allowed", "denied", "void"),
    [
        (publish("a/b"), publish("a/#", allow=False), True),
        (publish("a/b"), publish("a/b", allow=False), True),
        (publish("${device}/x"), publish("${device}/#", allow=False), True),
        (PermissionRecord("a", True, True), subscribe("a", allow=False), True),
        (publish("a/#"), publish("a/b", allow=False), False),
        (publish("a/b"), subscribe("a/#", allow=False), False),
        (publish("$SYS/a"), publish("#", allow=False), False),
    ],
)
def test_a_permission_that_a_denial_covers_can_never_match(
    allowed: PermissionRecord, denied: PermissionRecord, void: bool
) -> None:
    if void:
        with pytest.raises(NotAcceptable, match="can never match: the denial of"):
            records.check_permissions([allowed, denied])
    else:
        records.check_permissions([allowed, denied])


def test_a_denial_under_a_condition_makes_no_permission_void() -> None:
    for condition in (
        {"hours": ("Mon-Fri",)},
        {"mechanisms": ("password",)},
        {"protocols": ("mqtt",)},
        {"verified": True},
    ):
        records.check_permissions([publish("a"), replace(publish("#", allow=False), **condition)])


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"mechanisms": ("pasword",)}, "names the unknown mechanism 'pasword': known are certificate, dds"),
        ({"protocols": ("mqttt",)}, "names the unknown protocol 'mqttt': known are amqp"),
        ({"hours": ("Mon-Fry",)}, "Fry"),
        ({"rate": 0.0}, "allows 0 messages a second"),
        ({"rate": float("nan")}, "allows nan messages a second"),
        ({"max_payload": -1}, "allows a payload of -1 octets"),
    ],
)
def test_wrong_conditions_are_explained(changes: dict[str, object], because: str) -> None:
    with pytest.raises(NotAcceptable, match=because):
        records.check_permissions([replace(publish("a"), **changes)])


@pytest.mark.parametrize("value", ["", "a/b", "+", "a#", "$SYS", "a\x00", "\udcff", "x" * 257])
def test_an_attribute_stays_within_its_level(value: str) -> None:
    with pytest.raises(NotAcceptable, match="the attribute floor cannot be"):
        records.check_attributes({"floor": value})


@pytest.mark.parametrize("name", ["", "device", "Group", "a b", "1st", "x" * 33])
def test_an_attribute_has_a_name_of_its_own(name: str) -> None:
    with pytest.raises(NotAcceptable, match="cannot be an attribute's name"):
        records.check_attributes({name: "3"})


@pytest.mark.parametrize("amount", [0.0, -1.0, float("inf"), float("nan")])
def test_a_quota_lets_something_through(amount: float) -> None:
    with pytest.raises(NotAcceptable, match="lets nothing through"):
        records.check_quota(Quota(messages=amount))
    with pytest.raises(NotAcceptable, match="lets nothing through"):
        records.check_quota(Quota(octets=amount))


@pytest.mark.parametrize("pattern", ["sensor-7", "*", "lab-*", "a b", "é"])
def test_good_client_identifiers(pattern: str) -> None:
    records.check_client_id(pattern)


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "a\x00", "\udcff", "x" * 65536])
def test_bad_client_identifiers_are_refused(pattern: str) -> None:
    with pytest.raises(NotAcceptable):
        records.check_client_id(pattern)


def test_the_placeholder_becomes_the_name() -> None:
    permission = permission_of(PermissionRecord("x/${device}/y${device}", True, False, 1, False), "sensor-7")
    assert permission.topic_filter == "x/sensor-7/ysensor-7"
    assert (permission.publish, permission.subscribe) == (True, False)
    assert (permission.max_qos, permission.retain, permission.allow) == (1, False, True)


@given(
    st.lists(st.sampled_from(["a", "b", "+", "#", "${device}", "", "$SYS"]), min_size=1, max_size=4),
    st.sampled_from(GOOD_NAMES),
)
def test_a_filter_that_is_accepted_is_one_the_core_accepts_too(levels: list[str], name: str) -> None:
    record = publish("/".join(levels))
    try:
        records.check_permissions([record])
    except NotAcceptable:
        return
    permission = permission_of(record, name)
    try:
        check_topic_filter(permission.topic_filter)
    except Refusal as refusal:
        pytest.fail(f"{permission.topic_filter!r}: {refusal.because}")
    Principal.of(name, [permission], [])


def test_a_record_of_today_reads_back_and_an_unknown_field_is_refused() -> None:
    """A field that is not known could be a restriction: it must not be dropped in silence."""
    device = Device("sensor-7", 1.0, permissions=(publish("a"),), attributes={"room": "12"})
    encoded = msgspec.json.encode(device)
    assert msgspec.json.decode(encoded, type=Device) == device
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(encoded[:-1] + b',"hours":"8-17"}', type=Device)
