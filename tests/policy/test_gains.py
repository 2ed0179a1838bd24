"""Gains by algebra against the core itself: every message of a small world, judged by both policies."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.policy import Context, Permission, Principal
from bridgehead.security.policy.compare import Difference, compare
from bridgehead.security.policy.document import Document, Section
from bridgehead.security.policy.gains import PUBLISH, SUBSCRIBE, Gain, gains
from bridgehead.security.policy.holdings import Circumstances, Holding, bind
from bridgehead.security.policy.text import parse
from bridgehead.security.records import Device, PermissionRecord

NOW = 1_795_000_000.0
TOPICS = [
    "/".join(levels)
    for depth in range(1, 4)
    for levels in itertools.product(*[("a", "z", "$s") if i == 0 else ("a", "z") for i in range(depth)])
]
CONTEXTS = [
    Context(protocol, proof)
    for protocol in ("mqtt", "coap")
    for proof in (("password",), ("certificate",), ("otp",), ("password", "certificate"))
]


@st.composite
def permissions(draw: st.DrawFn) -> PermissionRecord:
    levels = draw(st.lists(st.sampled_from(["a", "+", "$s"]), min_size=1, max_size=2))
    levels = [level if i == 0 or level != "$s" else "+" for i, level in enumerate(levels)]
    topic_filter = "/".join(levels) + draw(st.sampled_from(["", "", "/#"]))
    publish = draw(st.booleans())
    return PermissionRecord(
        draw(st.sampled_from([topic_filter, topic_filter, "#"])),
        publish,
        not publish,
        max_qos=draw(st.sampled_from([2, 2, 1])),
        retain=draw(st.booleans()),
        allow=draw(st.integers(0, 3)) > 0,
        max_payload=draw(st.sampled_from([None, None, 10])),
        verified=draw(st.booleans()),
        protocols=draw(st.sampled_from([(), (), (), ("mqtt",)])),
        mechanisms=draw(st.sampled_from([(), (), (), ("password",), ("certificate", "password")])),
    )


POLICIES = st.lists(permissions(), max_size=4)


def principal(records: list[PermissionRecord]) -> Principal:
    return Principal.of(
        "d",
        [
            Permission(
                each.topic_filter,
                each.publish,
                each.subscribe,
                each.max_qos,
                each.retain,
                each.allow,
                -1 if each.max_payload is None else each.max_payload,
                0.0,
                each.verified,
                each.protocols,
                each.mechanisms,
            )
            for each in records
        ],
        [],
    )


def publishes(records: list[PermissionRecord]) -> set[tuple[object, ...]]:
    """Every message that may be published."""
    root = principal(records)
    return {
        (i, topic, qos, retain, payload, verified)
        for i, context in enumerate(CONTEXTS)
        for topic in TOPICS
        for qos, retain, payload, verified in itertools.product((0, 2), (False, True), (5, 20), (False, True))
        if root.under(context).explain_publish(topic, qos, retain, payload, verified).permit
    }


def receives(records: list[PermissionRecord]) -> set[tuple[object, ...]]:
    """Every message that may be received, and every filter of the policies and a few more that may be subscribed."""
    root = principal(records)
    found: set[tuple[object, ...]] = set()
    for i, context in enumerate(CONTEXTS):
        view = root.under(context)
        for topic in TOPICS:
            for verified in (False, True):
                found.update((i, topic, qos, verified) for qos in range(view.receivable_qos(topic, verified) + 1))
    return found


def found_gains(new: list[PermissionRecord], old: list[PermissionRecord], operation: str) -> list[Gain]:
    circumstances = Circumstances([*new, *old], NOW)
    holdings = [
        Holding(bind(Section(tuple(each)), "role r", {}, circumstances), operation == PUBLISH) for each in (new, old)
    ]
    return gains(holdings[0], holdings[1], operation)


@given(POLICIES, POLICIES)
def test_what_may_be_published_is_compared_exactly(new: list[PermissionRecord], old: list[PermissionRecord]) -> None:
    more = publishes(new) - publishes(old)
    found = found_gains(new, old, PUBLISH)
    assert bool(found) == bool(more)
    for gain in found:
        assert any(message[1] == example(gain.topic) for message in more)
    told = principal([record_of(gain) for gain in found])
    for _, topic, *_ in more:
        assert told.explain_publish(str(topic), 0, False).permit


@given(POLICIES, POLICIES)
def test_what_may_be_received_is_compared_exactly(new: list[PermissionRecord], old: list[PermissionRecord]) -> None:
    more = receives(new) - receives(old)
    found = [gain for gain in found_gains(new, old, SUBSCRIBE) if not gain.whole]
    assert bool(found) == bool(more)
    for gain in found:
        assert any(message[1] == example(gain.topic) for message in more)


@given(POLICIES, POLICIES)
def test_what_may_be_subscribed_to_at_once_is_not_missed(
    new: list[PermissionRecord], old: list[PermissionRecord]
) -> None:
    before, after = principal(old), principal(new)
    filters = [each.topic_filter for each in new]
    more = [
        each
        for each in filters
        for context in CONTEXTS
        if after.under(context).subscribable_qos(each) > before.under(context).subscribable_qos(each)
    ]
    if more:
        assert found_gains(new, old, SUBSCRIBE)


def example(topic: str) -> str:
    """The levels that nobody names are z in the small world, and depth beyond the third tells nothing apart."""
    return "/".join(level if level in ("a", "$s") else "z" for level in topic.split("/"))


def record_of(gain: Gain) -> PermissionRecord:
    return PermissionRecord(str(gain.span), True, False)


# --- policies as text -------------------------------------------------------------------------------------------------


def difference(old: str, new: str, *devices: Device, also: tuple[str, ...] = ()) -> Difference:
    documents: list[Document] = [parse(text)[0] for text in (old, new)]
    return compare(documents[0], documents[1], NOW, devices or None, also)


def told(found: Difference) -> list[str]:
    changes = found.blocks if found.devices is None else found.devices
    lines = []
    for change in changes:
        lines += [f"{change}: + {gain}" for gain in change.gained] + [f"{change}: - {loss}" for loss in change.lost]
        if change.quota is not None:
            lines.append(f"{change}: quota {change.quota[0] or 'none'} -> {change.quota[1] or 'none'}")
    return lines


def device(name: str, *roles: str, groups: tuple[str, ...] = (), **attributes: str) -> Device:
    return Device(name, 0.0, roles=roles, groups=groups, attributes=attributes)


def test_a_wider_filter_is_gained_except_what_was_there() -> None:
    assert told(difference("role r\n allow publish a/b", "role r\n allow publish a/#")) == [
        "role r: + publish a/# except a/b"
    ]


def test_a_denial_that_goes_is_a_gain() -> None:
    old = "everyone\n allow subscribe a/#\n deny subscribe a/secret/#"
    assert told(difference(old, "everyone\n allow subscribe a/#")) == ["everyone: + subscribe a/secret/#"]


def test_parts_that_make_up_the_whole_are_no_difference_to_publish() -> None:
    found = difference("role r\n allow publish a/#", "role r\n allow publish a\n allow publish a/+/#")
    assert told(found) == []
    assert found.is_none()
    assert [change.reworded for change in found.blocks] == [True]


def test_to_subscribe_in_parts_is_not_to_subscribe_at_once() -> None:
    found = difference("role r\n allow subscribe a/#", "role r\n allow subscribe a\n allow subscribe a/+/#")
    assert told(found) == ["role r: - subscribe a/# (as one subscription)"]


def test_the_bound_that_makes_the_difference_is_told() -> None:
    assert told(difference("role r\n allow publish a qos 1 no-retain", "role r\n allow publish a qos 1")) == [
        "role r: + publish a qos 1 (what differs: retained)"
    ]
    assert told(difference("role r\n allow publish a payload 1 KiB", "role r\n allow publish a payload 2 KiB")) == [
        "role r: + publish a payload 2 KiB (what differs: up to 2 KiB)"
    ]
    assert told(difference("role r\n allow subscribe a verified", "role r\n allow subscribe a")) == [
        "role r: + subscribe a (what differs: unverified too)"
    ]


def test_rates_are_counted_together() -> None:
    one = "role r\n allow publish a rate 10/s"
    assert told(difference(one, one + "\n allow publish # rate 1/s")) == ["role r: + publish # rate 1/s"]
    assert told(difference(one, one + "\n allow publish a rate 5/s")) == [
        "role r: + publish a rate 5/s (what differs: up to 5/s)"
    ]
    assert told(difference(one, "role r\n allow publish a rate 5/s")) == [
        "role r: - publish a rate 10/s (what differs: up to 10/s)"
    ]


def test_narrower_hours_are_a_loss_and_no_gain() -> None:
    old = "role r\n allow publish a when hours Mon-Fri 07:00-19:00 Europe/Berlin"
    new = "role r\n allow publish a when hours Tue-Fri 08:00-12:00 Europe/Berlin or Tue-Fri 11:00-18:00 Europe/Berlin"
    found = difference(old, new)
    assert found.blocks[0].gained == []
    assert told(found) == ["role r: - publish a when hours Mon-Fri 07:00-19:00 Europe/Berlin (in some of the cases)"]


def test_the_same_hours_otherwise_written_are_no_difference() -> None:
    old = "role r\n allow publish a when hours Mon-Fri 08:00-18:00"
    new = "role r\n allow publish a when hours Mon-Fri 08:00-12:00 or Mon-Fri 12:00-18:00"
    assert difference(old, new).is_none()


def test_conditions_are_compared_as_sets() -> None:
    old = "role r\n allow publish a when mechanism certificate"
    assert told(difference(old, "role r\n allow publish a")) == ["role r: + publish a (in some of the cases)"]
    new = "role r\n allow publish a\n deny publish a when mechanism password"
    assert "(in some of the cases)" in told(difference("role r\n allow publish a", new))[0]


def test_quotas_are_compared() -> None:
    found = difference("role r\n quota 10 messages/s", "role r\n quota 20 messages/s")
    assert told(found) == ["role r: quota 10 messages/s -> 20 messages/s"]
    assert not found.is_none()


def test_a_placeholder_may_be_a_name_that_is_denied() -> None:
    """Whichever name it is nothing changes, but for the one that the denial names."""
    old = "role r\n allow publish Office/${device}/#\n deny publish Office/sensor-7/#"
    assert told(difference(old, "role r\n allow publish Office/${device}/#")) == ["role r: + publish Office/sensor-7/#"]


def test_devices_gain_what_their_roles_gain() -> None:
    old = "role r\n allow publish a/${device}\nrole s\n allow publish b"
    new = "role r\n allow publish a/${device}/#\nrole s\n allow publish b"
    found = difference(old, new, device("d1", "r"), device("d2", "r", "s"), device("d3", "s"), device("d4", "r"))
    assert told(found) == [
        "device d1 d4: + publish a/${device}/# except a/${device}",
        "device d2: + publish a/${device}/# except a/${device}",
    ]


def test_what_another_role_permits_already_is_no_gain() -> None:
    old = "role r\n allow publish a\nrole s\n allow publish #"
    new = "role r\n allow publish a/#\nrole s\n allow publish #"
    assert told(difference(old, new, device("d", "r", "s"))) == []


def test_a_denial_for_everyone_takes_from_each() -> None:
    old = "role r\n allow subscribe #"
    found = difference(old, "everyone\n deny subscribe secret/#\n" + old, device("d", "r"), device("e"))
    assert told(found) == ["device d: - subscribe secret/#"]


def test_groups_bind_their_own_name() -> None:
    text = "group lobby\n allow subscribe Office/${group}/#\nrole r\n allow publish Office/${group}/x"
    found = difference("", text, device("d", "r", groups=("lobby", "hall")))
    assert sorted(told(found)) == [
        "device d: + publish Office/hall/x",
        "device d: + publish Office/lobby/x",
        "device d: + subscribe Office/lobby/#",
    ]


def test_a_device_that_a_filter_names_is_looked_at_by_itself() -> None:
    old = "role r\n allow publish Office/${device}/#\n deny publish Office/d2/#"
    new = "role r\n allow publish Office/${device}/#"
    found = difference(old, new, device("d1", "r"), device("d2", "r"))
    assert told(found) == ["device d2: + publish Office/d2/#"]


def test_attributes_that_coincide_are_seen() -> None:
    old = "role r\n allow publish ${floor}/x\n deny publish ${wing}/x"
    new = "role r\n allow publish ${floor}/x"
    found = difference(old, new, device("d1", "r", floor="1", wing="2"), device("d2", "r", floor="2", wing="2"))
    assert told(found) == ["device d2: + publish 2/x"]


def test_gains_within_a_filter() -> None:
    new = "role r\n allow publish Office/${device}/#"
    found = difference("role r", new, device("d1", "r"), device("Lobby", "r"), also=("Office/Lobby/#",))
    assert [str(change) for change, _ in found.gains_within("Office/Lobby/#")] == ["device Lobby"]
    assert [str(change) for change, _ in found.gains_within("#")] == ["device Lobby", "device d1"]
    assert found.gains_within("Plant/#") == []
    without = difference("role r", new)
    assert [str(change) for change, _ in without.gains_within("Office/Lobby/#")] == ["role r"]


def test_ten_thousand_devices_share_the_work_of_their_roles() -> None:
    roles = "".join(f"role r{i}\n allow publish plant/{i}/${{device}}/#\n" for i in range(20))
    new = roles.replace("allow publish plant/3/", "allow both plant/3/")
    devices = [device(f"device-{i}", f"r{i % 20}") for i in range(10_000)]
    found = difference(roles, new, *devices)
    assert found.devices is not None
    assert [len(change.names) for change in found.devices] == [500]
