"""The values in a bundle: who, where, with which credentials, and topics that the device may really use."""

from __future__ import annotations

from typing import Final

from bridgehead.core.policy import Context, Principal, Rights
from bridgehead.core.rights import Bindings, resolved
from bridgehead.core.topic import check_topic_filter
from bridgehead.security import mechanisms
from bridgehead.security.identity.identity import Enrolled
from bridgehead.security.records import Device, PermissionRecord
from bridgehead.security.rights.enforced import permission_from

EXAMPLE: Final = "21.5"
MQTT_PORT: Final = 8883
_LEVELS: Final = ("test", "1", "example")  # what stands for a wildcard, the first that is permitted

COAP_ALONE: Final = frozenset((mechanisms.PRE_SHARED_KEY, mechanisms.RAW_PUBLIC_KEY, mechanisms.OSCORE))


class Terms:
    """`topic` and `topic_filter` are None when nothing may be published or subscribed; `may_retain`: what is published
    to `topic` may be kept there. `port` is MQTT's over TLS."""

    def __init__(self, enrolled: Enrolled, host: str, port: int = MQTT_PORT, protocol: str = "mqtt") -> None:
        device = enrolled.device
        self.name: Final = device.name
        self.host: Final = host
        self.port: Final = port
        self.bindings: Final = bindings_of(device)
        self.permissions: Final = enrolled.permissions
        self.client_ids: Final = list(device.client_ids)
        self.password: Final = None if enrolled.password is None else enrolled.password.decode()
        self.authority: Final = enrolled.authority_pem.decode()
        issued = enrolled.certificate
        self.certificate: Final = None if issued is None else issued.certificate_pem.decode()
        self.key: Final = None if issued is None else issued.key_pem.decode()
        self.psk: Final = enrolled.psk
        self.raw_key: Final = enrolled.raw_key
        self.oscore: Final = enrolled.oscore
        self.dds: Final = enrolled.dds
        self.kinds: Final = self._kinds()
        principal = _principal(device, self.permissions, self.bindings, Context(protocol, self.kinds))
        self.topic, self.publish_qos = _publishable(principal, self.bindings)
        self.may_retain: Final = self.topic is not None and _may_retain(principal, self.topic, self.publish_qos)
        self.topic_filter, self.subscribe_qos = _subscribable(principal, self.bindings)

    def __repr__(self) -> str:
        return f"Terms({self.name!r})"

    def _kinds(self) -> tuple[str, ...]:
        held = {
            mechanisms.CERTIFICATE: self.certificate is not None,
            mechanisms.PASSWORD: self.password is not None,
            mechanisms.PRE_SHARED_KEY: self.psk is not None,
            mechanisms.RAW_PUBLIC_KEY: self.raw_key is not None,
            mechanisms.OSCORE: self.oscore is not None,
            mechanisms.DDS: self.dds is not None,
        }
        return tuple(kind for kind, is_held in held.items() if is_held)

    @property
    def is_for_coap_alone(self) -> bool:
        """Whether none of its credentials could log in to another protocol."""
        return bool(self.kinds) and set(self.kinds) <= COAP_ALONE

    def client_id(self, purpose: str = "") -> str:
        """The device's own client identifier, or one for a purpose of its own where the record permits more."""
        if not self.client_ids:
            return f"{self.name}-{purpose}" if purpose else self.name
        pattern = next((each for each in self.client_ids if each.endswith("*")), self.client_ids[0])
        if pattern.endswith("*"):
            return pattern[:-1] + (purpose or "device")
        return pattern

    def url_host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


def bindings_of(device: Device) -> Bindings:
    """What the placeholders in its permissions stand for."""
    found: Bindings = {name: (value,) for name, value in device.attributes.items()}
    return {**found, "device": (device.name,), "group": tuple(device.groups)}


def _principal(device: Device, permissions: list[PermissionRecord], bindings: Bindings, context: Context) -> Principal:
    """Permissions with hours are left out: a snippet shall work at any hour. A denial with hours counts always."""
    known = [permission_from(each) for each in permissions if not (each.allow and each.hours)]
    rights = [Rights(f"device {device.name}", known)]
    return Principal(device.name, rights, bindings, list(device.client_ids), device.created).under(context)


def _publishable(principal: Principal, bindings: Bindings) -> tuple[str | None, int]:
    """A Topic Name that may be published to, by the first permission that gives one, and a QoS of at most 1."""
    for permission in principal.rights[0].permissions:
        if not (permission.publish and permission.allow):
            continue
        for topic_filter in resolved(permission.topic_filter, bindings):
            for level in _LEVELS:
                topic = topic_filter.replace("#", level).replace("+", level)
                for qos in (1, 0):
                    if principal.explain_publish(topic, qos, False, len(EXAMPLE)).permit:
                        return topic, qos
    return None, 0


def _may_retain(principal: Principal, topic: str, qos: int) -> bool:
    return principal.explain_publish(topic, qos, True, len(EXAMPLE)).permit


def _subscribable(principal: Principal, bindings: Bindings) -> tuple[str | None, int]:
    for permission in principal.rights[0].permissions:
        if not (permission.subscribe and permission.allow):
            continue
        for topic_filter in resolved(permission.topic_filter, bindings):
            check_topic_filter(topic_filter)
            qos = principal.subscribable_qos(topic_filter)
            if qos >= 0:
                return topic_filter, min(qos, 1)
    return None, 0
