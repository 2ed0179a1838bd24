"""The documentation lists every key of the model with its default, and no other; every key is obeyed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridgehead.broker.limits import Limits as BrokerLimits
from bridgehead.node.amqp_settings import Amqp
from bridgehead.node.configuration import Config, ConfigFile, Limits, Listener, Login, Mqtt, TokenIssuer
from bridgehead.node.dds_config import dds_config
from bridgehead.node.dds_settings import Dds, DdsDomain, DdsQos, DdsRoute
from bridgehead.node.queue_settings import Queues
from bridgehead.node.settings import apply_amqp, apply_limits, apply_login, apply_mqtt
from bridgehead.protocols.amqp.config import AmqpConfig
from bridgehead.protocols.mqtt.config import MqttConfig
from bridgehead.security.login.authenticate import Authenticator
from bridgehead.security.registry.registry import Registry

DOCS = Path(__file__).parents[2] / "docs"


# Tables in tables.
INNER: dict[str, Any] = {"dds.domain": DdsDomain, "dds.route": DdsRoute, "dds.route.qos": DdsQos}


def documented() -> dict[str, str]:
    text = "".join((DOCS / name).read_text() for name in ("configuration.md", "limits.md"))
    return dict(re.findall(r"^\| `([a-z_0-9]+(?:\.[a-z_0-9]+)+)` \| `?([^`|]+?)`? \|", text, re.MULTILINE))


def model() -> dict[str, str]:
    """Every key with its default as TOML writes it."""
    result: dict[str, str] = {}
    for table in msgspec.structs.fields(ConfigFile):
        kind = {"listener": Listener, "token_issuer": TokenIssuer}.get(table.encode_name, table.type)
        result.update(keys(kind, table.encode_name))
    return result


def keys(kind: Any, table: str) -> dict[str, str]:
    result: dict[str, str] = {}
    for key in msgspec.structs.fields(kind):
        name = f"{table}.{key.encode_name}"
        if name in INNER:
            result.update(keys(INNER[name], name))
            continue
        default: Any = key.default
        if key.default_factory is not msgspec.NODEFAULT:
            default = key.default_factory()
        result[name] = "required" if default is msgspec.NODEFAULT else json.dumps(default)
    return result


def test_every_key_is_documented_with_its_default() -> None:
    assert documented() == model()


def test_every_key_says_what_it_is_for() -> None:
    schema = msgspec.json.schema(ConfigFile)
    for name in (
        "Listener",
        "Limits",
        "Login",
        "TokenIssuer",
        "Kerberos",
        "Mqtt",
        "Coap",
        "Amqp",
        "Dds",
        "DdsDomain",
        "DdsRoute",
        "DdsQos",
        "Queues",
        "Tls",
        "Log",
        "Audit",
        "SystemTopics",
        "StoreSettings",
    ):
        for key, entry in schema["$defs"][name]["properties"].items():
            assert entry.get("description"), f"{name}.{key}"


# Obeyed by the node itself, where listeners and connections are accepted.
NODES_OWN = {"connections", "connections_per_address", "connection_rate", "connection_burst"}


@pytest.mark.parametrize("key", [field.name for field in msgspec.structs.fields(Limits) if field.name not in NODES_OWN])
def test_every_limit_reaches_who_obeys_it(tmp_path: Path, key: str) -> None:
    def rooms(limits: Limits) -> tuple[dict[str, object], dict[str, object]]:
        broker, mqtt = BrokerLimits(), MqttConfig()
        config = Config(tmp_path, None, ConfigFile(limits=limits))
        apply_limits(config, broker)
        apply_mqtt(config, mqtt)
        return state(broker), state(mqtt)

    usual = getattr(Limits(), key)
    assert rooms(msgspec.structs.replace(Limits(), **{key: usual + 1})) != rooms(Limits())


def test_every_setting_of_the_rooms_is_set(tmp_path: Path) -> None:
    """No ceiling of the broker, of MQTT or AMQP is out of the configuration's reach."""
    broker, mqtt, amqp = BrokerLimits(), MqttConfig(), AmqpConfig()
    for room in (broker, mqtt, amqp):
        for name, value in state(room).items():
            setattr(room, name, "?" if isinstance(value, str) else -1)
    config = Config(tmp_path, None, ConfigFile(mqtt=Mqtt(response_information="x")))
    apply_limits(config, broker)
    apply_mqtt(config, mqtt)
    apply_amqp(config, amqp)
    untouched = [name for room in (broker, mqtt, amqp) for name, value in state(room).items() if value in ("?", -1)]
    assert untouched == []


@pytest.mark.parametrize("key", [field.name for field in msgspec.structs.fields(Login)])
async def test_every_limit_on_logging_in_reaches_who_obeys_it(tmp_path: Path, key: str) -> None:
    registry = Registry(tmp_path / "data")
    authenticator = Authenticator(registry, lambda name, fields: None)

    def rooms(login: Login) -> list[dict[str, object]]:
        apply_login(Config(tmp_path, None, ConfigFile(login=login)), authenticator)
        guard = authenticator.guard._limits
        numbers = {
            name: value for name, value in vars(authenticator._verifier).items() if isinstance(value, int | float)
        }
        bounds = {name: value for name, value in vars(guard).items() if isinstance(value, int | float)}
        return [vars(guard.identity).copy(), vars(guard.address).copy(), bounds, numbers]

    usual = rooms(Login())
    assert rooms(Login(**{key: getattr(Login(), key) + 1})) != usual
    assert rooms(Login()) == usual
    authenticator.close()
    registry.close()


@pytest.mark.parametrize("key", msgspec.structs.fields(Amqp), ids=lambda key: str(key.name))
def test_every_key_of_amqp_reaches_who_obeys_it(tmp_path: Path, key: msgspec.structs.FieldInfo) -> None:
    def room(amqp: Amqp) -> dict[str, object]:
        settings = AmqpConfig()
        apply_amqp(Config(tmp_path, None, ConfigFile(amqp=amqp)), settings)
        return state(settings)

    assert room(Amqp(**{key.name: key.default + 1})) != room(Amqp())


def test_amqp_by_default_is_what_its_room_says(tmp_path: Path) -> None:
    settings = AmqpConfig()
    apply_amqp(Config(tmp_path, None, ConfigFile()), settings)
    assert state(settings) == state(AmqpConfig())


@pytest.mark.parametrize("key", msgspec.structs.fields(Queues), ids=lambda key: str(key.name))
def test_every_key_of_queues_reaches_who_obeys_it(tmp_path: Path, key: msgspec.structs.FieldInfo) -> None:
    def room(queues: Queues) -> dict[str, object]:
        limits = BrokerLimits()
        apply_limits(Config(tmp_path, None, ConfigFile(queues=queues)), limits)
        return state(limits)

    assert room(Queues(**{key.name: key.default + 1})) != room(Queues())


def state(room: object) -> dict[str, object]:
    """The attributes of a value, compiled or not."""
    return {name: getattr(room, name) for name in dir(room) if not name.startswith("_")}


# Of a route and a domain each key is given another value than its default.
OTHER: dict[str, Any] = {
    "id": 3, "security": "none", "guest": "robot", "interfaces": ["lo"], "peers": ["127.0.0.1"], "multicast": False,
    "discover_types": True, "metadata": "sign", "topic": "U", "domain": 3, "type": "a.B", "idl": "x.idl",
    "preset": "ros2", "partition": "P", "hub": "A/${b}", "key": "b", "direction": "in", "payload": "cdr",
    "qos": DdsQos(depth=2), "tags": {"a": "b"}, "instances": 7, "timestamps": True, "reliability": "best-effort",
    "durability": "transient-local", "depth": 3, "deadline": 1.0, "lifespan": 1.0, "liveliness": "manual-by-topic",
    "lease": 1.0, "ownership": "exclusive", "strength": 4, "latency_budget": 1.0, "log_topic": False,
}  # fmt: skip


@pytest.mark.parametrize("kind", [Dds, DdsDomain, DdsRoute, DdsQos])
def test_every_key_of_dds_reaches_who_obeys_it(kind: Any) -> None:
    def room(**keys: Any) -> str:
        route, domain, dds = DdsRoute(topic="T"), DdsDomain(id=0), Dds()
        if kind is Dds:
            dds = Dds(**keys)
        elif kind is DdsDomain:
            domain = msgspec.structs.replace(domain, **keys)
        elif kind is DdsRoute:
            route = msgspec.structs.replace(route, **keys)
        else:
            route = msgspec.structs.replace(route, qos=DdsQos(**keys))
        config = dds_config(msgspec.structs.replace(dds, domains=[domain], routes=[route]))
        values = [state(config), state(config.domains[0]), state(config.routes[0]), state(config.routes[0].qos)]
        return re.sub(r"0x[0-9a-f]+|<[^<>]*>", "", repr(values))

    for key in msgspec.structs.fields(kind):
        if key.name not in ("domains", "routes"):
            other = OTHER[key.name] if key.name in OTHER else key.default + 1
            assert room(**{key.name: other}) != room(), key.name
