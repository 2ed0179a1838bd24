"""The kinds of client that a bundle can be for: which credentials each can use, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bridgehead.security.dds import names
from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.grants import Grants, Naming, grants
from bridgehead.security.dds.routes import UNROUTED, Routing
from bridgehead.security.export import amqp, coap, dds, mosquitto, mqtt, ros2, wot_td
from bridgehead.security.export.esp_idf import esp_idf
from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD, README
from bridgehead.security.export.paho import paho
from bridgehead.security.export.participant import Participant, lasting, left_out, participant
from bridgehead.security.export.readme import compose, credential_files, readme
from bridgehead.security.export.terms import MQTT_PORT, Terms
from bridgehead.security.identity.identity import Enrolled, Identity
from bridgehead.security.mechanisms import CERTIFICATE as BY_CERTIFICATE
from bridgehead.security.mechanisms import DDS, OSCORE, PRE_SHARED_KEY, RAW_PUBLIC_KEY
from bridgehead.security.mechanisms import PASSWORD as BY_PASSWORD
from bridgehead.security.pki.raw_key import public_raw_key

Texts = Mapping[str, str]


class Order:
    """Whose bundle, of whom, and where the hub is. `enrolled` is as `gather` made it. `routing`: the hub's for DDS."""

    def __init__(
        self, identity: Identity, enrolled: Enrolled, host: str, port: int, routing: Routing = UNROUTED
    ) -> None:
        self.identity: Final = identity
        self.enrolled: Final = enrolled
        self.host: Final = host
        self.port: Final = port
        self.routing: Final = routing

    def terms(self, protocol: str) -> Terms:
        return Terms(self.enrolled, self.host, self.port, protocol)


class Target:
    """`port`: the hub's, by default. `usual`: the kind of credential that `--credential new` makes; empty: it takes
    none. `usable`: the kinds that it can use. `build` returns path -> contents."""

    def __init__(
        self,
        name: str,
        port: int,
        usual: str,
        usable: Sequence[str],
        build: Callable[[Order], dict[str, bytes]],
    ) -> None:
        self.name: Final = name
        self.port: Final = port
        self.usual: Final = usual
        self.usable: Final = usable
        self.build: Final = build

    def __repr__(self) -> str:
        return f"Target({self.name!r})"


def credential_contents(terms: Terms) -> dict[str, bytes]:
    """The files that every TLS client reads."""
    contents = {AUTHORITY: terms.authority.encode()}
    if terms.certificate is not None and terms.key is not None:
        contents[CERTIFICATE] = terms.certificate.encode()
        contents[KEY] = terms.key.encode()
    if terms.password is not None:
        contents[PASSWORD] = terms.password.encode() + b"\n"
    return contents


def _mqtt(texts: Callable[[Terms], Texts]) -> Callable[[Order], dict[str, bytes]]:
    def build(order: Order) -> dict[str, bytes]:
        terms = order.terms("mqtt")
        found = dict(texts(terms))
        found[README] = readme(terms, found)
        return {**credential_contents(terms), **_encoded(found)}

    return build


def _mosquitto(terms: Terms) -> Texts:
    found = mosquitto.clients(terms)
    if mosquitto.can_bridge(terms):
        found["mosquitto-bridge.conf"] = mosquitto.bridge(terms)
    return found


def _coap(texts: Callable[[Terms], Texts]) -> Callable[[Order], dict[str, bytes]]:
    def build(order: Order) -> dict[str, bytes]:
        terms = order.terms("coap")
        found = texts(terms)
        first = f"What the device {terms.name} needs to connect to {terms.host}, port {terms.port} (CoAP over DTLS)."
        paragraphs = [coap.ADDRESSES] if terms.oscore is None else [coap.ADDRESSES, coap.OSCORE_ONCE, coap.OSCORE_WHERE]
        if terms.psk is not None and coap.HINTS not in found:
            paragraphs.append(
                "coap-client takes keys of printable text only, and this one is not: use aiocoap.json (--for coap)."
            )
        if terms.raw_key is not None:
            found = {**found, coap.HUB_RAW_KEY: public_raw_key(order.identity.pki.folder)}
        listed = [AUTHORITY, *credential_files(terms), *found]
        found = {**found, README: compose(terms, first, listed, coap.TOLD, paragraphs)}
        return {**credential_contents(terms), **_encoded(found)}

    return build


def _amqp(order: Order) -> dict[str, bytes]:
    terms = order.terms("amqp")
    found = amqp.files(terms)
    first = f"What the device {terms.name} needs to connect to {terms.host}, port {terms.port} (AMQP over TLS)."
    listed = [AUTHORITY, *credential_files(terms), *found]
    found[README] = compose(terms, first, listed, amqp.TOLD, [amqp.NAMES])
    return {**credential_contents(terms), **_encoded(found)}


def _participant(order: Order, terms: Terms, naming: Naming, own: Sequence[Rule] = ()) -> tuple[Participant, Grants]:
    """`own`: rules beside what the device's permissions say, and before them."""
    granted = grants(terms.permissions, terms.bindings, naming, order.routing)
    granted.rules[:0] = own
    return participant(terms, granted, order.identity, order.routing, order.identity.now()), granted


def _dds(order: Order) -> dict[str, bytes]:
    terms = order.terms("dds")
    made, granted = _participant(order, terms, names.plain)
    found = dds.files(terms, granted)
    first = f"What the device {terms.name} needs as a secured DDS participant."
    listed = [*made.files, *found]
    found[README] = compose(terms, first, listed, dds.TOLD, [dds.NEEDED, lasting(made, terms.name), *left_out(granted)])
    return {**made.files, "permissions.xml": made.permissions, **_encoded(found)}


def _ros2(order: Order) -> dict[str, bytes]:
    terms = order.terms("dds")
    own = ros2.own_rules(terms.name)
    made, granted = _participant(order, terms, names.ros, own)
    found = ros2.files(terms.name, made, order.routing)
    name = ros2.enclave(terms.name)
    first = f"What the device {terms.name} needs as a secured ROS 2 node: a keystore with the enclave /{name}."
    text = compose(terms, first, found, ros2.TOLD, [ros2.run(name), lasting(made, terms.name), *left_out(granted)])
    return {**found, README: text.encode()}


def _wot_td(order: Order) -> dict[str, bytes]:
    terms = order.terms("mqtt")
    return {"thing.td.json": wot_td.description(terms, order.enrolled.device, coap.PORT).encode()}


def _encoded(texts: Texts) -> dict[str, bytes]:
    return {name: text.encode() for name, text in texts.items()}


_TLS: Final = (BY_CERTIFICATE, BY_PASSWORD)
_COAP: Final = (PRE_SHARED_KEY, RAW_PUBLIC_KEY, BY_CERTIFICATE, OSCORE)
TARGETS: Final = {
    each.name: each
    for each in (
        Target("mqtt", MQTT_PORT, BY_CERTIFICATE, _TLS, _mqtt(lambda terms: {"settings.json": mqtt.settings(terms)})),
        Target("mosquitto", MQTT_PORT, BY_CERTIFICATE, _TLS, _mqtt(_mosquitto)),
        Target("paho", MQTT_PORT, BY_CERTIFICATE, _TLS, _mqtt(lambda terms: {"paho_client.py": paho(terms)})),
        Target("esp-idf", MQTT_PORT, BY_CERTIFICATE, _TLS, _mqtt(lambda terms: {"esp_idf_main.c": esp_idf(terms)})),
        Target("coap", coap.PORT, PRE_SHARED_KEY, _COAP, _coap(coap.files)),
        Target("libcoap", coap.PORT, PRE_SHARED_KEY, _COAP, _coap(coap.libcoap)),
        Target("amqp", amqp.PORT, BY_CERTIFICATE, _TLS, _amqp),
        Target("dds", MQTT_PORT, DDS, (DDS,), _dds),
        Target("ros2", MQTT_PORT, DDS, (DDS,), _ros2),
        Target("wot-td", MQTT_PORT, "", (), _wot_td),
    )
}
