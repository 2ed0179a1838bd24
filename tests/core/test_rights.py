"""Rights with placeholders, conditions and bounds, shared by several principals, against the plainest reading."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.policy import Bindings, Context, Permission, Principal, Rights
from bridgehead.core.rights import parse, resolved
from bridgehead.core.topic import covers
from tests.core.naive import naive_matches

VALUES = ["a", "b", "$a"]
CONTEXTS = [None, Context("mqtt", ()), Context("mqtt", ("scram",)), Context("coap", ("psk", "certificate"))]

levels = st.sampled_from(["a", "b", "", "+", "${device}", "${group}", "${room}", "x-${group}", "${group}${room}"])
topics = st.lists(
    st.sampled_from(["a", "b", "", "$a", "x-a", "x-b", "ab", "ba", "aa", "${group}"]), min_size=1, max_size=4
).map("/".join).filter(bool)  # fmt: skip
one = st.sampled_from(VALUES).map(lambda value: (value,))
groups = st.lists(st.sampled_from(VALUES), max_size=3, unique=True).map(tuple)
bindings = st.fixed_dictionaries({"device": one, "group": groups}, optional={"room": one})


@st.composite
def filters(draw: st.DrawFn) -> str:
    held = draw(st.lists(levels, max_size=4))
    if not held or draw(st.integers(0, 2)) == 0:
        held = [*held, "#"]
    return "/".join(held) or "/"


@st.composite
def permissions(draw: st.DrawFn) -> Permission:
    return Permission(
        draw(filters()),
        publish=draw(st.booleans()),
        subscribe=draw(st.booleans()),
        max_qos=draw(st.integers(0, 2)),
        retain=draw(st.booleans()),
        allow=draw(st.integers(0, 4)) > 0,
        max_payload=draw(st.sampled_from([-1, -1, 0, 10])),
        verified=draw(st.integers(0, 3)) == 0,
        protocols=draw(st.sampled_from([(), (), ("mqtt",), ("coap", "amqp")])),
        mechanisms=draw(st.sampled_from([(), (), ("scram",), ("certificate", "password")])),
    )


rights = st.builds(
    Rights,
    st.sampled_from(["role r", "everyone"]),
    st.lists(permissions(), max_size=5),
    st.none() | st.sampled_from(VALUES).map(lambda value: {"group": (value,)}),
)
contexts = st.sampled_from(CONTEXTS)


def expanded(topic_filter: str, bound: Bindings, own: Bindings) -> list[str]:
    """The filters that one with placeholders stands for, by trying every combination of values."""
    names = [name for name in ("device", "group", "room") if "${" + name + "}" in topic_filter]
    found = []
    for values in product(*[own.get(name, bound.get(name, ())) for name in names]):
        text = topic_filter
        for name, value in zip(names, values, strict=True):
            text = text.replace("${" + name + "}", value)
        found.append(text)
    return found


def holds(permission: Permission, context: Context | None) -> bool:
    if not (permission.protocols or permission.mechanisms):
        return True
    if context is None:
        return not permission.allow
    over = not permission.protocols or context.protocol in permission.protocols
    by = not permission.mechanisms or bool(set(context.mechanisms) & set(permission.mechanisms))
    return over and by


def matching(held: list[Rights], bound: Bindings, context: Context | None, topic: str, name: bool) -> list[Permission]:
    """Those that hold and cover the Topic Name or (not `name`) the Topic Filter."""
    return [
        permission
        for one in held
        for permission in one.permissions
        if holds(permission, context)
        and any(
            naive_matches(each, topic) if name else covers(each, topic)
            for each in expanded(permission.topic_filter, bound, one.bindings)
        )
    ]


def view(held: list[Rights], bound: Bindings, context: Context | None) -> Principal:
    who = Principal("sensor-7", held, bound, [])
    return who if context is None else who.under(context)


@given(st.lists(rights, max_size=3), bindings, contexts, topics, st.integers(0, 20), st.booleans())
def test_who_may_publish_and_receive(
    held: list[Rights], bound: Bindings, context: Context | None, topic: str, payload: int, verified: bool
) -> None:
    who = view(held, bound, context)
    found = matching(held, bound, context, topic, True)
    publishing = [p for p in found if p.publish]
    denied = any(not p.allow for p in publishing)
    for _ in range(2):  # the second time from what is remembered
        mask = who.publish_mask(topic)
        for qos, retain in product((0, 1, 2), (False, True)):
            able = [p for p in publishing if p.max_qos >= qos and (p.retain or not retain) and not denied]
            fitting = [p for p in able if p.max_payload < 0 or payload <= p.max_payload]
            fitting = [p for p in fitting if verified or not p.verified]
            bit = qos + 3 * retain
            assert who.may_publish(topic, qos, retain) is bool(able)
            plain = mask >> bit & 1 == 1
            assert plain is any(p.max_payload < 0 and not p.verified for p in able)
            taken = plain or (
                mask >> 8 >> bit & 1 == 1 and who.take(topic, qos, retain, payload, 0, verified, 0.0) is None
            )
            assert taken is bool(fitting)
            assert who.explain_publish(topic, qos, retain, payload, verified).permit is bool(fitting)
    receiving = [p for p in found if p.subscribe]
    for origin in (False, True):
        able = [p for p in receiving if origin or not p.verified or not p.allow]
        expected = -1 if any(not p.allow for p in able) else max((p.max_qos for p in able), default=-1)
        assert who.receivable_qos(topic, origin) == expected
        assert who.explain_receive(topic, origin).permit is (expected >= 0)
    assert who.tells_origins_apart(topic) is (who.receivable_qos(topic, True) != who.receivable_qos(topic, False))


@given(st.lists(rights, max_size=3), bindings, contexts, filters().filter(lambda text: "${" not in text))
def test_who_may_subscribe(held: list[Rights], bound: Bindings, context: Context | None, topic_filter: str) -> None:
    who = view(held, bound, context)
    covering = [p for p in matching(held, bound, context, topic_filter, False) if p.subscribe]
    expected = -1 if any(not p.allow for p in covering) else max((p.max_qos for p in covering), default=-1)
    assert who.subscribable_qos(topic_filter) == expected
    decision = who.explain_subscribe(topic_filter, thorough=True)
    assert decision.permit is (expected >= 0)
    assert (decision.permission is None) or (decision.permission.allow is decision.permit)


@given(filters(), bindings)
def test_a_filter_stands_for_each_combination_of_values(topic_filter: str, bound: Bindings) -> None:
    assert sorted(resolved(topic_filter, bound)) == sorted(expanded(topic_filter, bound, {}))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("${b}", ["", "b", ""]),
        ("a-${b}c${d}", ["a-", "b", "c", "d", ""]),
        ("${b", ["${b"]),
        ("$b}", ["$b}"]),
    ],
)
def test_placeholders_in_a_level(text: str, parts: list[str]) -> None:
    assert parse(text) == parts


def test_the_same_placeholder_twice_means_the_same_value() -> None:
    """Else a member of two groups could mix them."""
    who = Principal(
        "s", [Rights("role r", [Permission("${group}/x/${group}", True, False)])], {"group": ("a", "b")}, []
    )
    assert who.may_publish("a/x/a", 0, False)
    assert who.may_publish("b/x/b", 0, False)
    assert not who.may_publish("a/x/b", 0, False)


def test_a_group_s_rights_speak_of_this_group_alone() -> None:
    """A member of two groups has in each what that group grants, under its own name."""
    lobby = Rights("group lobby", [Permission("${group}/door", True, False)], {"group": ("lobby",)})
    cellar = Rights("group cellar", [Permission("${group}/light", True, False)], {"group": ("cellar",)})
    who = Principal("s", [lobby, cellar], {"group": ("lobby", "cellar")}, [])
    granted = [t for t in ("lobby/door", "lobby/light", "cellar/door", "cellar/light") if who.may_publish(t, 0, False)]
    assert granted == ["lobby/door", "cellar/light"]


def test_a_placeholder_without_a_value_matches_nothing() -> None:
    who = Principal("s", [Rights("role r", [Permission("a/${room}", True, True)])], {"device": ("s",)}, [])
    for topic in ("a/", "a/s", "a/${room}", "a/+"):
        assert not who.may_publish(topic, 0, False)
        assert who.subscribable_qos(topic) == -1


def test_a_shared_right_that_is_amended_reaches_everyone_who_is_told() -> None:
    role = Rights("role r", [Permission("a/${device}", True, False)])
    holders = [Principal(name, [role], {"device": (name,)}, []) for name in ("x", "y")]
    views = [holder.under(Context("mqtt", ("password",))) for holder in holders]
    assert [each.may_publish(f"a/{each.name}", 0, False) for each in [*holders, *views]] == [True] * 4
    role.amend([Permission("b/${device}/deep/#", True, False)])
    for holder in holders:
        holder.forget()
    assert [each.may_publish(f"a/{each.name}", 0, False) for each in [*holders, *views]] == [False] * 4
    assert [each.may_publish(f"b/{each.name}/deep/1", 0, False) for each in [*holders, *views]] == [True] * 4
    assert not holders[0].may_publish("b/y/deep/1", 0, False)


def test_a_view_is_one_object_per_context_and_follows_its_root() -> None:
    who = Principal.of("s", [Permission("a", True, True, mechanisms=("certificate",))], [], 7.0)
    strong, weak = who.under(Context("mqtt", ("certificate",))), who.under(Context("mqtt", ("password",)))
    assert who.under(Context("mqtt", ("certificate",))) is strong
    assert strong.under(Context("mqtt", ("password",))) is weak
    assert (strong.root, strong.name, strong.created) == (who, "s", 7.0)
    assert [each.may_publish("a", 0, False) for each in (who, strong, weak)] == [False, True, False]
    weak.permit([Permission("a", True, True)], ["other"])
    assert [each.may_publish("a", 0, False) for each in (who, strong, weak)] == [True, True, True]
    assert all(each.may_use_client_id("other") for each in (who, strong, weak))


# Rates and quotas. ----------------------------------------------------------------------------------


def take(who: Principal, topic: str, now: float, payload: int = 1, weight: int = 1) -> str:
    refused = who.take(topic, 0, False, payload, weight, True, now)
    return "" if refused is None else refused.meaning


def test_a_rate_is_the_device_s_whatever_the_connection() -> None:
    who = Principal.of("s", [Permission("a/#", True, False, rate=2.0)], [])
    views = [who.under(Context("mqtt", (by,))) for by in ("password", "certificate")]
    assert [take(each, f"a/{i}", 10.0) for i, each in enumerate([*views, *views])] == ["", "", *["quota-exceeded"] * 2]
    assert take(views[1], "a/x", 10.5) == ""
    assert take(views[0], "a/x", 10.5) == "quota-exceeded"
    assert [take(views[0], "a", 100.0) for _ in range(3)] == [
        "",
        "",
        "quota-exceeded",
    ]  # no more than one second's worth


def test_a_slow_rate_lets_one_through_and_a_clock_that_steps_back_none() -> None:
    who = Principal.of("s", [Permission("a", True, False, rate=0.1)], [])
    assert [take(who, "a", now) for now in (100.0, 101.0, 50.0, 51.0)] == ["", *["quota-exceeded"] * 3]
    assert take(who, "a", 61.0) == ""


def test_where_one_permission_is_used_up_another_serves() -> None:
    slow, fast = Permission("a", True, False, rate=1.0), Permission("a", True, False, max_payload=5)
    who = Principal.of("s", [slow, fast], [])
    assert [take(who, "a", 1.0, payload) for payload in (5, 5, 6, 6, 5)] == ["", "", "", "quota-exceeded", ""]


def test_of_several_quotas_the_strictest_holds_each_of_its_kind() -> None:
    role = Rights("role r", [Permission("#", True, True)], None, 3.0)
    everyone = Rights("everyone", [], None, 100.0, 50.0)
    who = Principal("s", [role, everyone], {}, [])
    other = Principal("t", [role, everyone], {}, [])
    assert who.publish_mask("a") & 0b111111 == 0
    assert who.may_publish("a", 2, True)
    assert [take(who, "a", 1.0) for _ in range(4)] == ["", "", "", "quota-exceeded"]
    assert take(other, "a", 1.0) == ""  # each has its own
    assert take(other, "a", 1.0, weight=60) == "quota-exceeded"
    role.amend([Permission("#", True, True)])
    everyone.amend([])
    who.forget()
    assert who.publish_mask("a") & 0b111111 == 0b111111


def test_a_message_larger_than_a_second_s_worth_passes_once_and_is_paid_for() -> None:
    who = Principal("s", [Rights("r", [Permission("#", True, True)], None, octets=100.0)], {}, [])
    assert take(who, "a", 1.0, weight=1000) == ""
    assert take(who, "a", 9.0, weight=1) == "quota-exceeded"
    assert take(who, "a", 11.0, weight=1) == ""


def test_what_is_refused_counts_for_nothing() -> None:
    who = Principal("s", [Rights("r", [Permission("a", True, True, max_payload=1, rate=1.0)], None, 1.0)], {}, [])
    assert take(who, "a", 1.0, payload=2) == "too-large"
    assert take(who, "a", 1.0) == ""
    assert take(who, "a", 1.0) == "quota-exceeded"


def test_a_bucket_outlives_changes_elsewhere() -> None:
    """Else whoever can have its record touched starts every second anew."""
    role = Rights("role r", [Permission("a", True, True, rate=1.0)], None, 5.0)
    who = Principal("s", [role], {}, [])
    assert take(who, "a", 1.0) == ""
    who.amend([role, Rights("everyone", [])], {"room": ("12",)}, ["x"])
    assert take(who, "a", 1.0) == "quota-exceeded"
    role.amend([Permission("a", True, True, rate=2.0)])
    who.forget()
    assert take(who, "a", 1.0) == ""


# Reasons. -------------------------------------------------------------------------------------------


def test_reasons_name_the_line_and_whose_it_is() -> None:
    role = Rights("role sensor", [Permission("Office/${device}/#", True, False, 1, source="office.policy:12")])
    everyone = Rights("everyone", [Permission("Office/+/secret", True, True, allow=False)])
    who = Principal("s", [role, everyone], {"device": ("s",)}, [])
    permitted = who.explain_publish("Office/s/door", 1, False)
    assert (permitted.permit, permitted.rights, permitted.permission) == (True, "role sensor", role.permissions[0])
    assert "allow publish Office/${device}/# up to QoS 1 (role sensor, office.policy:12)" in permitted.because
    denied = who.explain_publish("Office/s/secret", 0, False)
    assert (denied.permit, denied.rights, denied.permission) == (False, "everyone", everyone.permissions[0])
    higher = who.explain_publish("Office/s/door", 2, False)
    assert (higher.permit, higher.permission, higher.nearest) == (False, None, role.permissions[0])
    far = who.explain_publish("Office/other/door", 0, False, thorough=True)
    assert (far.permit, far.nearest) == (False, role.permissions[0])
    assert "the nearest is to allow publish Office/${device}/#" in far.because
    assert who.explain_publish("Office/other/door", 0, False).nearest is None  # not looked for where time counts


@pytest.mark.parametrize(
    ("permission", "context", "payload", "verified", "says"),
    [
        (
            Permission("a", True, True, mechanisms=("certificate",)),
            Context("mqtt", ("scram",)),
            1,
            True,
            "mqtt by scram",
        ),
        (Permission("a", True, True, protocols=("coap",)), None, 1, True, "it is not known how the connection came"),
        (Permission("a", True, True, max_payload=3), None, 4, True, "and this has 4"),
        (Permission("a", True, True, verified=True), None, 1, False, "and this origin is not"),
        (Permission("a", True, True, retain=False), None, 1, True, "and this is retained"),
        (Permission("a", False, True), None, 1, True, "which is not the same"),
    ],
)
def test_reasons_say_what_is_missing(
    permission: Permission, context: Context | None, payload: int, verified: bool, says: str
) -> None:
    who = view([Rights("role r", [permission])], {}, context)
    decision = who.explain_publish("a", 0, True, payload, verified, thorough=True)
    assert not decision.permit
    assert decision.nearest is permission
    assert says in decision.because
