"""Which routes a device is let onto: only where its rights cover the whole of a route, whatever else it may do."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.core.policy import Context, Principal, Rights
from bridgehead.core.topic import covers
from bridgehead.node.dds_routing import routing, topic_filter
from bridgehead.protocols.dds.config import PLAIN, DdsConfig, DomainConfig
from bridgehead.protocols.dds.mapping.settings import EXCLUSIVE, IN, OUT, RouteConfig, RouteQos
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.grants import grants
from bridgehead.security.dds.names import plain
from bridgehead.security.dds.routes import LOG_TOPIC, RouteGrant, Routing
from bridgehead.security.mechanisms import CERTIFICATE, DDS
from bridgehead.security.records import PermissionRecord
from bridgehead.security.rights.enforced import permission_from
from tests.security.support import publish, subscribe

DOMAIN = 5
LEVELS = st.sampled_from(["a", "b", "+"])
FILTERS = st.lists(LEVELS, min_size=1, max_size=3).flatmap(
    lambda levels: st.sampled_from(["/".join(levels), "/".join([*levels, "#"]), "#"])
)
ROUTED = st.lists(LEVELS, min_size=1, max_size=3).map("/".join)
TOPICS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
PERMISSIONS = st.lists(
    st.builds(PermissionRecord, FILTERS, st.booleans(), st.booleans(), allow=st.sampled_from([True, True, False])),
    max_size=4,
)


def route(filter_: str, topic: str = "T", partition: str = "", owner: str = "") -> RouteGrant:
    return RouteGrant(DOMAIN, topic, partition, filter_, owner, True, True)


def judged(rules: Sequence[Rule], publishes: bool, topic: str, partition: str = "", domain: int = DOMAIN) -> bool:
    """As participants judge: the first rule of the domain that fits, else a denial (DDS Security 1.1 section
    9.4.1.3.2)."""
    for rule in rules:
        if rule.domains[0] <= domain <= rule.domains[1]:
            for each in rule.publish if publishes else rule.subscribe:
                if fnmatchcase(topic, each.topic) and fnmatchcase(partition, each.partition):
                    return rule.allow
    return False


def rules(routes: Sequence[RouteGrant], *permissions: PermissionRecord, logged: Sequence[int] = ()) -> list[Rule]:
    return grants(permissions, {"device": ("robot",)}, plain, Routing({DOMAIN: "encrypt"}, routes, logged)).rules


def may(permissions: Sequence[PermissionRecord], publishes: bool, topic: str) -> bool:
    """What the hub says of one topic."""
    rights = [Rights("device robot", [permission_from(each) for each in permissions])]
    principal = Principal("robot", rights, {"device": ("robot",)}, [], 0.0).under(Context("dds", (DDS, CERTIFICATE)))
    if publishes:
        return principal.explain_publish(topic, 0, False, 1).permit
    return principal.subscribable_qos(topic) >= 0


@given(permissions=PERMISSIONS, filter_=ROUTED, topic=TOPICS, publishes=st.booleans())
def test_a_device_on_a_route_may_on_the_hub_what_any_sample_there_would_be(
    permissions: list[PermissionRecord], filter_: str, topic: str, publishes: bool
) -> None:
    if judged(rules([route(filter_)], *permissions), publishes, "T") and covers(filter_, topic):
        assert may(permissions, publishes, topic)


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        (publish("Office/#"), True),
        (publish("Office/+/Temperature"), True),
        (publish("+/+/Temperature"), True),
        (publish("Office/Lobby/Temperature"), False),
        (publish("Office/+"), False),
        (subscribe("Office/#"), False),
        (PermissionRecord("Office/#", True, False, rate=10.0), False),
        (PermissionRecord("Office/#", True, False, max_payload=100), False),
        (PermissionRecord("Office/#", True, False, hours=("Mon-Fri 07:00-19:00",)), False),
        (PermissionRecord("Office/#", True, False, protocols=("mqtt",)), False),
        (PermissionRecord("Office/#", True, False, protocols=("mqtt", "dds")), True),
        (PermissionRecord("Office/#", True, False, mechanisms=("certificate",)), True),
        (PermissionRecord("Office/#", True, False, mechanisms=("password",)), False),
    ],
)
@pytest.mark.clause("DDSSEC-9.4.1.3.2.3")
def test_the_whole_route_or_nothing(permission: PermissionRecord, expected: bool) -> None:
    made = rules([route("Office/+/Temperature", "Temperature")], permission)
    assert judged(made, True, "Temperature") is expected
    assert judged(made, False, "Temperature") is permission.subscribe


def test_several_permissions_cover_together_and_one_denial_undoes_it() -> None:
    routes = [route("Office/+/Door")]
    allowed = [publish("Office/+/+")]
    assert judged(rules(routes, *allowed), True, "T")
    assert not judged(rules(routes, *allowed, publish("Office/Vault/#", allow=False)), True, "T")
    assert judged(rules(routes, *allowed, publish("Attic/#", allow=False)), True, "T")
    assert judged(rules(routes, *allowed, subscribe("Office/#", allow=False)), True, "T")


def test_exclusive_ownership_needs_the_name_besides() -> None:
    routes = [route("Office/+/Door", "Door", owner="$DDS/5/Door")]
    assert not judged(rules(routes, publish("Office/#")), True, "Door")
    assert not judged(rules(routes, publish("$DDS/5/Door")), True, "Door")
    assert judged(rules(routes, publish("Office/#"), publish("$DDS/5/Door")), True, "Door")
    assert judged(rules(routes, publish("Office/#"), publish("$DDS/5/#")), True, "Door")
    assert not judged(rules(routes, publish("Office/#"), publish("$DDS/6/Door")), True, "Door")
    # To read needs none.
    assert judged(rules(routes, subscribe("Office/#")), False, "Door")


def test_a_permission_by_names_does_not_let_onto_a_route() -> None:
    """The route's topic stands for the vault; by its name it would be Lobby/Door."""
    routes = [route("Vault/+/Door", "Door", "Lobby")]
    made = rules(routes, publish("Lobby/#"), subscribe("Lobby/#"))
    for publishes in (True, False):
        for partition in ("Lobby", "", "Lobby/Inner", "*"):
            assert not judged(made, publishes, "Door", partition)
        assert judged(made, publishes, "Window", "Lobby")
        # In another domain the route is not.
        assert judged(made, publishes, "Door", "Lobby", domain=DOMAIN + 1)


def test_one_name_in_two_partitions_is_two_routes() -> None:
    routes = [route("Office/+/Door", "Door", "A"), route("Vault/+/Door", "Door", "B")]
    made = rules(routes, publish("Office/#"))
    assert judged(made, True, "Door", "A")
    assert not judged(made, True, "Door", "B")


@pytest.mark.clause("DDSSEC-8.6")
def test_nobody_writes_security_s_log_and_whoever_may_reads_it() -> None:
    name = f"$DDS/{DOMAIN}/{LOG_TOPIC}"
    assert not judged(rules([], publish("#"), publish("$DDS/#"), logged=[DOMAIN]), True, LOG_TOPIC)
    assert not judged(rules([], subscribe("#"), logged=[DOMAIN]), False, LOG_TOPIC)
    assert judged(rules([], subscribe(name), logged=[DOMAIN]), False, LOG_TOPIC)


def config(*routes: RouteConfig) -> DdsConfig:
    made = DdsConfig()
    made.domains = (DomainConfig(DOMAIN, metadata="sign"), DomainConfig(6, PLAIN))
    made.routes = routes
    return made


def test_routes_of_the_configuration() -> None:
    qos = RouteQos(ownership=EXCLUSIVE)
    made = routing(
        config(
            RouteConfig(DOMAIN, "Temperature", hub="Office/${room}/Temperature", direction=IN, qos=qos),
            RouteConfig(DOMAIN, "Door", partition="Office/Lobby", direction=OUT),
            RouteConfig(6, "Open", hub="Open"),
        )
    )
    assert made.metadata == {DOMAIN: "sign"}
    assert made.logged == (DOMAIN,)
    assert made.routes == (
        RouteGrant(DOMAIN, "Temperature", "", "Office/+/Temperature", "$DDS/5/Temperature", False, True),
        RouteGrant(DOMAIN, "Door", "Office/Lobby", "Office/Lobby/Door", "", True, False),
    )


@pytest.mark.parametrize(
    ("found", "topic", "expected"),
    [
        (RouteConfig(0, "T", hub="a/${k}/b/${n.m}"), "T", "a/+/b/+"),
        (RouteConfig(0, "T", hub="a/x-${k}"), "T", "a/+"),
        (RouteConfig(0, "T"), "T", "T"),
        (RouteConfig(0, "T", partition="a/b"), "T", "a/b/T"),
        (RouteConfig(0, "T", partition="a/*"), "T", "a/#"),
        (RouteConfig(0, "T", partition="*"), "T", "#"),
        (RouteConfig(0, "/a/chatter", preset="ros2"), "rt/a/chatter", "a/chatter"),
        (RouteConfig(0, "chatter", preset="ros2", hub="Robots/chatter"), "rt/chatter", "Robots/chatter"),
    ],
)
def test_what_a_route_may_stand_for(found: RouteConfig, topic: str, expected: str) -> None:
    assert found.dds_topic == topic
    assert topic_filter(found) == expected
