"""Routes: who receives a topic, with what, against a naive walk over all subscriptions."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridgehead.core.message import Origin
from bridgehead.core.policy import Permission, Principal
from bridgehead.core.router import Router
from bridgehead.core.session import Session, Subscription
from tests.core.naive import filters, naive_matches, naive_receive_qos, permissions, topics

ORIGIN = Origin("somebody", "mqtt", True)


def session(principal: Principal, client_id: str) -> Session:
    return Session(principal, client_id, Origin(principal.name, "mqtt", True, client_id))


def described(subscriptions: list[Subscription], permitted: int) -> tuple[object, ...] | None:
    if not subscriptions:
        return None
    return (
        min(permitted, max(s.qos for s in subscriptions)),
        sorted(s.identifier for s in subscriptions if s.identifier),
        any(s.retain_as_published for s in subscriptions),
    )


class RouterAgainstList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.router = Router()
        everything = [Permission("#", True, True), Permission("$a/#", True, True)]
        self.principals = [Principal.of("one", everything, []), Principal.of("two", everything, [])]
        self.sessions = [session(p, f"{p.name}-{i}") for p in self.principals for i in range(2)]
        self.model: dict[tuple[Session, str], Subscription] = {}

    @rule(
        who=st.integers(0, 3),
        topic_filter=filters(),
        qos=st.integers(0, 2),
        no_local=st.booleans(),
        rap=st.booleans(),
        identifier=st.integers(0, 3),
        share=st.sampled_from(["", "", "g", "h"]),
    )
    def add(
        self, who: int, topic_filter: str, qos: int, no_local: bool, rap: bool, identifier: int, share: str
    ) -> None:
        owner = self.sessions[who]
        new = Subscription(owner, topic_filter, qos, no_local and not share, rap, 0, identifier, share)
        assert self.router.add(new) is self.model.get((owner, new.key))
        self.model[owner, new.key] = new

    @rule(who=st.integers(0, 3), topic_filter=filters(), share=st.sampled_from(["", "g", "h"]))
    def remove(self, who: int, topic_filter: str, share: str) -> None:
        owner = self.sessions[who]
        key = f"$share/{share}/{topic_filter}" if share else topic_filter
        assert self.router.remove(owner, key) is self.model.pop((owner, key), None)

    @rule(data=st.data())
    def remove_one_that_is_there(self, data: st.DataObject) -> None:
        if self.model:
            owner, key = data.draw(st.sampled_from(sorted(self.model, key=lambda k: (k[0].client_id, k[1]))))
            assert self.router.remove(owner, key) is self.model.pop((owner, key))

    @rule(who=st.integers(0, 1), granted=st.lists(permissions(), max_size=4))
    def amend(self, who: int, granted: list[Permission]) -> None:
        self.principals[who].permit(granted, [])
        self.router.permissions_changed()

    @rule(topic=topics)
    def route(self, topic: str) -> None:
        route = self.router.route(topic)
        assert self.router.known_route(topic) is route
        matching = [s for s in self.model.values() if naive_matches(s.topic_filter, topic)]
        by_session = {target.session: target for target in route.targets}
        assert len(by_session) == len(route.targets)
        for owner in self.sessions:
            permitted = naive_receive_qos(owner.principal.rights[0].permissions, topic)
            mine = [s for s in matching if s.session is owner and not s.share]
            target = by_session.get(owner)
            if permitted < 0 or not mine:
                assert target is None
                continue
            assert target is not None
            assert (target.qos, sorted(target.identifiers), target.retain_as_published) == described(mine, permitted)
            foreign = [s for s in mine if not s.no_local]
            assert target.skip_own is (len(foreign) < len(mine))
            own = target.without_own
            if target.skip_own and foreign:
                assert own is not None
                assert (own.qos, sorted(own.identifiers), own.retain_as_published) == described(foreign, permitted)
            else:
                assert own is None
        groups = {found.group.key: found for found in route.groups}
        assert set(groups) == {s.key for s in matching if s.share}
        for key, found in groups.items():
            expected = []
            for s in matching:
                permitted = naive_receive_qos(s.session.principal.rights[0].permissions, topic)
                if s.key == key and permitted >= 0:
                    expected.append((s.session.client_id, min(permitted, s.qos), s.identifier))
            got = [(t.session.client_id, t.qos, t.identifiers[0] if t.identifiers else 0) for t in found.targets]
            assert sorted(got) == sorted(expected)
            assert self.router.group_route(key, topic, ORIGIN) is found

    @invariant()
    def counts(self) -> None:
        assert self.router.subscriptions == len(self.model)
        for owner in self.sessions:
            assert set(owner.subscriptions) == {key for held, key in self.model if held is owner}

    def teardown(self) -> None:
        for owner, key in list(self.model):
            self.router.remove(owner, key)
        assert self.router.subscriptions == 0
        assert self.router.route("a").targets == []
        assert self.router.route("a").groups == []


TestRouterAgainstList = RouterAgainstList.TestCase
TestRouterAgainstList.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_change_of_subscriptions_starts_a_new_generation() -> None:
    router = Router()
    who = session(Principal.of("one", [Permission("#", True, True)], []), "one")
    before = router.route("a")
    router.add(Subscription(who, "a", 1))
    assert router.generation != before.generation
    assert router.known_route("a") is None
    assert [target.session for target in router.route("a").targets] == [who]


def test_cached_routes_are_bounded() -> None:
    router = Router()
    for i in range(70_000):
        router.route(f"t/{i}")
    assert router.known_route("t/0") is None
    assert router.known_route("t/69999") is not None


def test_the_members_of_a_group_keep_their_place_when_one_subscribes_anew() -> None:
    router = Router()
    who = Principal.of("one", [Permission("#", True, True)], [])
    members = [session(who, f"one-{i}") for i in range(3)]
    for member in members:
        router.add(Subscription(member, "a", 1, share="g"))
    router.add(Subscription(members[1], "a", 2, share="g"))
    found = router.group_route("$share/g/a", "a", ORIGIN)
    assert found is not None
    assert [(t.session, t.qos) for t in found.targets] == [(members[0], 1), (members[1], 2), (members[2], 1)]
    assert router.group("$share/g/a") is found.group
    assert router.group_route("$share/h/a", "a", ORIGIN) is None
