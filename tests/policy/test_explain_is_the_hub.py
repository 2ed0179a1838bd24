"""`policy explain` and the hub decide alike: for any policy, device, topic, kind of connection and time, however the
policy came to be what it is. The hub's principals live through every change; what explains reads the registry anew."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridgehead.core.clearance import forbidden_tag, is_cleared
from bridgehead.core.permission import MAYBE
from bridgehead.core.policy import Context, Principal
from bridgehead.security.credentials import PasswordRecord
from bridgehead.security.errors import NotAcceptable
from bridgehead.security.policy.apply import in_force
from bridgehead.security.policy.standing import PUBLISH, RECEIVE, SUBSCRIBE, Question, answer
from bridgehead.security.records import Device, Group, PermissionRecord, Policy, Role
from bridgehead.security.registry.registry import Registry
from bridgehead.security.rights.directory import Directory
from bridgehead.security.rights.principals import Principals

MONDAY = 1_795_392_000.0  # 2026-11-23, 00:00 UTC
HOUR = 3600.0
NAMES = ("a", "b")
TOPICS = ("a", "a/b", "b/a/x", "x/1", "$SYS/a")
TAGS = (("a=secret",), ("a=b", "x=1"))
FILTERS = ("a", "a/#", "+/a", "#", "$SYS/#", "x/1")
MORNINGS = ("Mon 06:00-12:00",)
SPARED = ("Tue-Sun", "Mon 18:00-03:00")
CONTEXTS = (
    Context("mqtt", ("certificate",)),
    Context("mqtt", ("password",)),
    Context("mqtt", ("password", "certificate")),
    Context("amqp", ("scram",)),
)

Lines = tuple[PermissionRecord, ...]


class Rules(NamedTuple):
    """A whole policy: everyone's, and those of the role, the group and the device of each name."""

    everyone: Lines
    roles: tuple[Lines, Lines]
    groups: tuple[Lines, Lines]
    own: tuple[Lines, Lines]


class Membership(NamedTuple):
    name: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    attributes: dict[str, str]
    enabled: bool


What = float | Rules | Membership  # seconds that pass

levels = st.sampled_from(["a", "b", "x", "+", "${device}", "${group}", "${floor}", "x-${group}"])
filters = st.builds(
    lambda head, rest: "/".join([*head, *rest]) or "#",
    st.lists(levels, max_size=3),
    st.sampled_from([[], [], ["#"]]),
) | st.sampled_from(["#", "#", "a/#", "+/${device}", "$SYS/#", "$SYS/${device}", "$TAG/#", "$TAG/a/+"])


@st.composite
def permissions(draw: st.DrawFn) -> PermissionRecord:
    publish, subscribe = draw(st.sampled_from([(True, False), (False, True), (True, True)]))
    protocols: tuple[str, ...] = draw(st.sampled_from([(), (), (), ("mqtt",), ("amqp", "coap")]))
    mechanisms: tuple[str, ...] = draw(st.sampled_from([(), (), (), ("certificate",), ("password", "scram")]))
    hours: tuple[str, ...] = draw(st.sampled_from([(), (), (), MORNINGS, SPARED, ("Wed",)]))
    allow = draw(st.integers(0, 3)) > 0
    return PermissionRecord(
        draw(filters),
        publish,
        subscribe,
        max_qos=draw(st.integers(0, 2)) if allow else 2,
        retain=draw(st.booleans()) if allow else True,
        allow=allow,
        max_payload=draw(st.sampled_from([None, None, 4])) if allow else None,
        verified=allow and draw(st.integers(0, 3)) == 0,
        protocols=protocols,
        mechanisms=mechanisms,
        hours=hours,
    )


lines = st.lists(permissions(), max_size=3).map(tuple)
holders = st.lists(st.sampled_from(NAMES), max_size=2, unique=True).map(tuple)
pairs = st.tuples(lines, lines)
policies = st.builds(Rules, lines, pairs, pairs, pairs)
members = st.builds(
    Membership,
    st.sampled_from(NAMES),
    holders,
    holders,
    st.sampled_from([{}, {"floor": "a"}, {"floor": "x", "other": "b"}]),
    st.sampled_from([True, True, True, False]),
)
passing = st.sampled_from([0.0, 1.0, 5.9, 6.0, 13.0, 20.0, 40.0]).map(lambda number: number * HOUR)
steps = st.lists(policies | members | passing, min_size=2, max_size=5)


class Office:
    """A registry that is written, and a hub's principals over the same file."""

    def __init__(self, folder: Path) -> None:
        self.writer = Registry(folder)
        self.reader = Registry(folder)
        for name in NAMES:
            self.writer.add_role(Role(name, 1.0))
            self.writer.add_group(Group(name, 1.0))
            self.writer.add_device(Device(name, 1.0, password=PasswordRecord("$argon2id$", 1.0)))
        self.now = MONDAY
        self.principals = Principals(Directory(self.reader), lambda name, fields: None, lambda: self.now)
        self.held = {name: self.held_principal(name) for name in NAMES}

    def held_principal(self, name: str) -> Principal:
        principal = self.principals.get(name)
        assert principal is not None
        return principal

    def step(self, what: What) -> bool:
        """Whether it was acceptable; what is not changes nothing."""
        try:
            if isinstance(what, float):
                self.now += what
            elif isinstance(what, Membership):
                device = self.writer.existing_device(what.name)
                held = {"roles": what.roles, "groups": what.groups, "attributes": what.attributes}
                new = replace(device, enabled=what.enabled, **held)
                self.writer.update_device(new, device.created)
            else:
                roles = [Role(name, 1.0, lines) for name, lines in zip(NAMES, what.roles, strict=True)]
                groups = [Group(name, 1.0, lines) for name, lines in zip(NAMES, what.groups, strict=True)]
                own = dict(zip(NAMES, what.own, strict=True))
                self.writer.replace_policy(Policy(permissions=what.everyone), roles, groups, own, self.now)
        except NotAcceptable:
            return False
        return True


@pytest.fixture
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Office]]:
    """One registry serves all examples: each begins from what the one before has left."""
    office = Office(tmp_path_factory.mktemp("office") / "data")
    yield [office]
    office.writer.close()
    office.reader.close()


def published(view: Principal, question: Question) -> bool:
    """As the Door decides; without rates and quotas, of which there are none here."""
    bit = question.qos + 3 * question.retain
    mask = view.publish_mask(question.topic)
    if mask >> bit & 1:
        return True
    return bool(mask >> MAYBE >> bit & 1) and (
        view.take(question.topic, question.qos, question.retain, question.payload, 10, question.verified, question.at)
        is None
    )


@given(taken=steps)
@settings(
    max_examples=settings().max_examples // 10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_hub_decides_what_explain_says(offices: list[Office], taken: list[What]) -> None:
    (office,) = offices
    for what in taken:
        office.step(what)
        office.principals.follow()
        document = in_force(office.writer)
        for name in NAMES:
            device = office.writer.existing_device(name)
            for context in CONTEXTS:
                view = office.held[name].under(context)
                for question in questions(context, office.now):
                    decision = answer(document, device, question).decision
                    assert decision.because
                    assert decision.permit == decided(view, question), (device, question.__dict__, decision.because)


def questions(context: Context, now: float) -> Iterator[Question]:
    for topic in TOPICS:
        for verified in (True, False):
            for qos, retain, payload in ((0, False, 4), (1, True, 5), (2, False, 5)):
                yield Question(PUBLISH, topic, context, now, qos, retain, payload, verified)
            yield Question(RECEIVE, topic, context, now, verified=verified)
    for topic, tags in product(("a/b", "x/1"), TAGS):
        for verified in (True, False):
            yield Question(PUBLISH, topic, context, now, verified=verified, tags=tags)
            yield Question(RECEIVE, topic, context, now, verified=verified, tags=tags)
    for topic_filter in FILTERS:
        yield Question(SUBSCRIBE, topic_filter, context, now)


def decided(view: Principal, question: Question) -> bool:
    if question.operation == PUBLISH:
        return published(view, question) and not forbidden_tag(view, question.tags, question.verified)
    if question.operation == SUBSCRIBE:
        return view.subscribable_qos(question.topic) >= 0
    return view.receivable_qos(question.topic, question.verified) >= 0 and is_cleared(view, question.tags)


def test_the_property_sees_a_difference(offices: list[Office]) -> None:
    """Both answers occur, and a hub that does not follow is found out."""
    (office,) = offices
    everyone = (PermissionRecord("a/#", True, True, hours=MORNINGS),)
    assert office.step(Rules(everyone, ((), ()), ((), ()), ((), ())))
    office.principals.follow()
    found = set()
    for hour in (0.0, 7.0):
        office.now = MONDAY + hour * HOUR
        question = Question(PUBLISH, "a/b", CONTEXTS[0], office.now, payload=4)
        said = answer(in_force(office.writer), office.writer.existing_device("a"), question).decision.permit
        view = office.held["a"].under(CONTEXTS[0])
        assert published(view, question) is False
        office.principals.follow()
        assert published(view, question) is said
        found.add(said)
    assert found == {True, False}
