"""A sample as the hub's topic and payload, and back: the route's template, codec and JSON mapping together."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import NAME_INVALID, PAYLOAD_FORMAT_INVALID, Refusal
from bridgehead.protocols.dds.codec.codec import Codec, key_fields, key_holder
from bridgehead.protocols.dds.codec.errors import CdrError, Unencodable
from bridgehead.protocols.dds.mapping.json_form import JsonForm, parsed
from bridgehead.protocols.dds.mapping.names import Template, default_topic
from bridgehead.protocols.dds.mapping.settings import CDR, ROS2, RouteConfig


def topic_without_template(config: RouteConfig) -> str:
    """The hub's topic of a route that has no template, which its notices are called after too."""
    name = config.topic.lstrip("/") if config.preset == ROS2 else config.topic
    return default_topic(config.partition, name)


def _with_keys(hub: str, key: tuple[str, ...]) -> str:
    """The template with the fields that `key` names, in order, in place of the names that stand there."""
    levels = hub.split("/")
    places = [at for at, level in enumerate(levels) if level.startswith("${") and level.endswith("}")]
    if not key:
        return hub
    if len(places) != len(key):
        raise ValueError(f"{hub!r} has {len(places)} fields and key names {len(key)}: name as many, or leave key out")
    for at, field in zip(places, key, strict=True):
        levels[at] = f"${{{field}}}"
    return "/".join(levels)


class Encoded:
    """`key` is one and the same for samples of one instance."""

    def __init__(self, cdr: bytes, key: str | bytes) -> None:
        self.cdr: Final = cdr
        self.key: Final = key


class Forms:
    """`tells_instances`: each instance has a topic of its own; else several may share one."""

    def __init__(self, config: RouteConfig, codec: Codec) -> None:
        """Errors: ValueError, when the template doesn't fit the type."""
        self._codec: Final = codec
        self._json: Final = JsonForm(codec.type)
        self._keys_json: Final = JsonForm(key_holder(codec.type))
        self._is_cdr: Final = config.payload == CDR
        self.has_keys: Final = codec.has_keys
        hub = _with_keys(config.hub, config.key) if config.hub else topic_without_template(config)
        self._template: Final = Template(hub, codec.type)
        self._fixed: Final = hub if self._template.is_fixed else ""
        named = {tuple(field.split(".")) for field in self._template.fields}
        self.tells_instances: Final = named.issuperset(codec.type.keys)
        self.filter: Final = self._template.filter

    # From DDS. ----------------------------------------------------------------------------------------

    def topic_of(self, data: bytes, valid: bool) -> str:
        """The hub's topic of a sample; not `valid`: of its key fields alone. Errors: CdrError, Refusal."""
        if self._fixed:
            return self._fixed
        return self._template.topic(self._codec.decode(data) if valid else self._codec.decode_keys(data))

    def payload_of(self, data: bytes) -> bytes:
        """Of a valid sample. Errors: CdrError."""
        if self._is_cdr:
            return data  # as it came: nothing is decoded
        return self._json.to_json(self._codec.decode(data))

    def instance_of(self, data: bytes, valid: bool) -> bytes:
        """The key fields as JSON, for notices. Errors: CdrError."""
        if not self.has_keys:
            return b"{}"
        if valid:
            return self._keys_json.to_json(key_fields(self._codec.type, self._codec.decode(data)))
        return self._keys_json.to_json(self._codec.decode_keys(data))

    # To DDS. ------------------------------------------------------------------------------------------

    def sample_of(self, topic: str, payload: bytes) -> Encoded:
        """Errors: Refusal, with the field that doesn't fit. A topic that names another instance than the payload would
        let who may write the one write the other."""
        try:
            if self._is_cdr:
                return self._from_cdr(topic, payload)
            given = parsed(payload)
            if not self._fixed:
                self._template.complete(given, topic)
            value = self._json.value_of(given)
            self._agrees(topic, value)
            return Encoded(self._codec.encode(value), self._key(topic, value))
        except Unencodable as fault:
            raise Refusal(PAYLOAD_FORMAT_INVALID, str(fault)) from None
        except CdrError as fault:
            raise Refusal(PAYLOAD_FORMAT_INVALID, f"the payload is no sample: {fault}") from None

    def _from_cdr(self, topic: str, payload: bytes) -> Encoded:
        if not self.has_keys and self._fixed:
            return Encoded(payload, "")  # Cyclone's own checker judges it
        value = self._codec.decode(payload)
        self._agrees(topic, value)
        return Encoded(payload, self._key(topic, value))

    def _agrees(self, topic: str, value: dict[str, object]) -> None:
        if not self._fixed:
            named = self._template.topic(value)
            if named != topic:
                raise Refusal(PAYLOAD_FORMAT_INVALID, f"the payload's key fields say {named!r}, the topic {topic!r}")

    def _key(self, topic: str, value: dict[str, object]) -> str | bytes:
        if self.tells_instances:
            return topic
        return self._codec.encode_keys(value)

    def key_of(self, topic: str) -> bytes:
        """The instance that the topic stands for, as CDR. Errors: Refusal, when the topic doesn't tell."""
        if not self.tells_instances:
            raise Refusal(NAME_INVALID, "the topic doesn't tell which instance it is: name all key fields in `hub`")
        try:
            return self._codec.encode_keys(self._template.values(topic))
        except Unencodable as fault:
            raise Refusal(NAME_INVALID, str(fault)) from None
