"""CONNACK and DISCONNECT: what the client is told when it is accepted, refused or sent away (sections 3.2, 3.14)."""

from __future__ import annotations

from typing import Final

from bridgehead.core.errors import BUSY, CLIENT_ID_INVALID, NOT_AUTHORIZED, UNAVAILABLE, Refusal
from bridgehead.core.message import NEVER
from bridgehead.core.policy import Principal
from bridgehead.protocols.mqtt.codec import reason_codes as codes
from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connack, Connect, Disconnect
from bridgehead.protocols.mqtt.codec.properties import NO_PROPERTIES, Properties
from bridgehead.protocols.mqtt.config import MqttConfig

_LONGEST_REASON: Final = 1024  # characters, of four octets at most
_UNLIMITED_EXPIRY: Final = 0xFFFFFFFF


def reason(because: str) -> Properties:
    """The Reason String. Names that the peer chose may stand in it, and a UTF-8 Encoded String has 65,535 octets at
    most (section 1.5.4): so it is cut."""
    return Properties(reason_string=because if len(because) <= _LONGEST_REASON else because[:_LONGEST_REASON] + "…")


def tells_why(connect: Connect | None) -> bool:
    """Whether the client takes Reason Strings: Request Problem Information ([MQTT-3.1.2-29])."""
    return connect is not None and connect.protocol_version == 5 and connect.properties.request_problem_information != 0


def client_packet_size(connect: Connect | None) -> int:
    """The client's Maximum Packet Size, 0 for no limit."""
    return 0 if connect is None else connect.properties.maximum_packet_size or 0


def refusing(v5: bool, connect: Connect | None, code: int, because: str) -> bytes:
    """CONNACK with a reason code, or with MQTT 3's return code that comes nearest; empty when the client would not
    take even that [MQTT-3.1.2-24]."""
    if not v5:
        return encode(Connack(False, codes.connect_return_code(code)), 4)
    properties = reason(because) if tells_why(connect) else NO_PROPERTIES
    made = encode(Connack(False, code, properties), 5)
    limit = client_packet_size(connect)
    if limit and len(made) > limit:
        made = encode(Connack(False, code), 5)  # [MQTT-3.2.2-19]
    return made if not limit or len(made) <= limit else b""


def dismissal_code(meaning: str) -> int:
    """The Reason Code of a DISCONNECT that is not the client's fault."""
    if meaning == NOT_AUTHORIZED:
        return codes.NOT_AUTHORIZED
    if meaning == UNAVAILABLE:
        return codes.SERVER_SHUTTING_DOWN
    if meaning == BUSY:
        return codes.SESSION_TAKEN_OVER
    return codes.ADMINISTRATIVE_ACTION


def dismissing(connect: Connect | None, code: int, because: str) -> bytes:
    """DISCONNECT, with the reason where the client wants it and can take it."""
    if not codes.is_allowed(code, codes.DISCONNECT):
        code = codes.UNSPECIFIED_ERROR
    properties = reason(because) if because and tells_why(connect) else NO_PROPERTIES
    made = encode(Disconnect(code, properties), 5)
    limit = client_packet_size(connect)
    if limit and len(made) > limit:
        made = encode(Disconnect(code), 5)  # [MQTT-3.14.2-3]
    return made


def seconds(session_expiry_interval: int) -> float:
    """A Session Expiry Interval as a duration: 0xFFFFFFFF never ends (section 3.1.2.11.2)."""
    return NEVER if session_expiry_interval == _UNLIMITED_EXPIRY else float(session_expiry_interval)


def asked_expiry_interval(connect: Connect) -> float:
    """How long the client wants its session kept, in seconds. MQTT 3 knows no end."""
    if connect.protocol_version == 5:
        return seconds(connect.properties.session_expiry_interval or 0)
    return 0.0 if connect.clean_start else NEVER


def client_id_for(connect: Connect, principal: Principal, unique: str) -> str:
    """The Client Identifier: the client's, or one that the hub makes with `unique` for a client that has none
    ([MQTT-3.1.3-6]). Errors: Refusal, when the identity's record permits only others."""
    if connect.client_id:
        return connect.client_id
    made = f"{principal.name}-{unique}"
    if not principal.may_use_client_id(made):
        raise Refusal(CLIENT_ID_INVALID, f"{principal.name!r} must send a client identifier of its record")
    return made


def granted_keep_alive(connect: Connect, config: MqttConfig) -> int:
    """The Keep Alive in force, in seconds, 0 for none. Only MQTT 5.0 can be told another than it asked for."""
    asked = connect.keep_alive
    ceiling = config.keep_alive_maximum
    if connect.protocol_version == 5 and ceiling and (asked == 0 or asked > ceiling):
        return ceiling
    return asked


def accepting(
    connect: Connect,
    principal: str,
    client_id: str,
    granted: float,
    present: bool,
    config: MqttConfig,
    data: bytes | None = None,
) -> bytes:
    """CONNACK that accepts, with everything in which the hub differs from what was asked for. `granted` is the
    Session Expiry Interval in force, in seconds; `data` what ends an enhanced authentication."""
    if connect.protocol_version != 5:
        return encode(Connack(present, 0), connect.protocol_version)
    asked = connect.properties.session_expiry_interval or 0
    keep_alive = granted_keep_alive(connect, config)
    information: str | None = None
    if connect.properties.request_response_information == 1 and config.response_information:
        information = config.response_information.replace("${device}", principal)
    properties = Properties(
        session_expiry_interval=None if granted == asked else int(granted),  # section 3.2.2.3.2
        receive_maximum=config.receive_maximum,
        maximum_packet_size=config.maximum_packet_size,
        assigned_client_identifier=client_id if connect.client_id == "" else None,  # [MQTT-3.2.2-16]
        topic_alias_maximum=config.topic_alias_maximum,
        server_keep_alive=None if keep_alive == connect.keep_alive else keep_alive,  # [MQTT-3.1.2-21]
        response_information=information,
        authentication_method=connect.properties.authentication_method,  # [MQTT-4.12.0-5], [MQTT-4.12.0-6]
        authentication_data=data,
    )
    return encode(Connack(present, 0, properties), 5)
