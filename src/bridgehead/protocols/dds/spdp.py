"""What participants say of themselves before anything else: the SPDP announcement (RTPS 2.3 sections 8.5.3 and 9.6.2).

It travels in clear on secured domains too, where it carries an identity token (DDS Security 1.1 section 7.4.1): so
who has no credentials still sees that somebody is there, and that it is secured. What it says proves nothing.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final

from bridgehead.wire.errors import PeerError

PREFIX_OCTETS: Final = 12
_MAGIC: Final = b"RTPS"
_HEADER: Final = 20
_DATA: Final = 0x15
_INFO_TS: Final = 0x09
_PAD: Final = 0x01
_ANNOUNCES: Final = b"\x00\x01\x00\xc2"  # ENTITYID_SPDP_BUILTIN_PARTICIPANT_WRITER
_LISTENS: Final = b"\x00\x01\x00\xc7"
_PL_CDR: Final = {b"\0\2": ">", b"\0\3": "<"}

_SENTINEL: Final = 0x0001
_LEASE: Final = 0x0002
_DOMAIN: Final = 0x000F
_VERSION: Final = 0x0015
_VENDOR: Final = 0x0016
_DEFAULT_LOCATOR: Final = 0x0031
_LOCATOR: Final = 0x0032  # PID_METATRAFFIC_UNICAST_LOCATOR
_GUID: Final = 0x0050
_BUILTIN: Final = 0x0058
_NAME: Final = 0x0062
_STATUS: Final = 0x0071
_IDENTITY_TOKEN: Final = 0x1001

_UDP4: Final = 1
_UDP6: Final = 2
_NAME_OCTETS: Final = 256
# RTPS 2.3 section 9.3.2.1 and the OMG's list of vendors.
VENDORS: Final = {
    (1, 1): "RTI Connext",
    (1, 2): "ADLINK OpenSplice",
    (1, 3): "OpenDDS",
    (1, 15): "eProsima Fast DDS",
    (1, 16): "Eclipse Cyclone DDS",
    (1, 17): "GurumNetworks GurumDDS",
    (1, 18): "RustDDS",
}


class SpdpError(PeerError):
    """The octets are no announcement."""


class Announcement:
    """`prefix` is the participant's GUID prefix (12 octets), `name` what it calls itself ("" for nothing), `addresses`
    where it wants to be spoken to ("ADDRESS:PORT"), `lease` in seconds, `secured` whether it shows an identity."""

    def __init__(
        self, prefix: bytes, name: str, vendor: str, addresses: tuple[str, ...], lease: float, secured: bool
    ) -> None:
        self.prefix: Final = prefix
        self.name: Final = name
        self.vendor: Final = vendor
        self.addresses: Final = addresses
        self.lease: Final = lease
        self.secured: Final = secured


def announcements(datagram: bytes) -> list[Announcement]:
    """All that an RTPS message announces; [] when it is about something else. Errors: SpdpError."""
    if len(datagram) < _HEADER or datagram[:4] != _MAGIC or datagram[4] != 2:
        raise SpdpError("no RTPS 2 message")
    found = []
    at = _HEADER
    while at + 4 <= len(datagram):
        kind, flags = datagram[at], datagram[at + 1]
        order = "<" if flags & 1 else ">"
        (size,) = struct.unpack_from(order + "H", datagram, at + 2)
        at += 4
        if size == 0 and kind not in (_INFO_TS, _PAD):
            size = len(datagram) - at  # the last one (section 8.3.3.2.3)
        if at + size > len(datagram):
            raise SpdpError("a submessage is longer than the message")
        if kind == _DATA and flags & 4:
            announced = _data(datagram[at : at + size], order, bool(flags & 2))
            if announced is not None:
                found.append(announced)
        at += size
    return found


def _data(body: bytes, order: str, has_qos: bool) -> Announcement | None:
    """Of a DATA submessage with data (section 9.4.5.3); None when another writer's."""
    if len(body) < 20:
        raise SpdpError("a DATA submessage is too short")
    if body[8:12] != _ANNOUNCES:
        return None
    (to_qos,) = struct.unpack_from(order + "H", body, 2)
    at = 4 + to_qos
    if has_qos:
        while True:
            number, _, at = _parameter(body, at, order)
            if number == _SENTINEL:
                break
    encoding = _PL_CDR.get(body[at : at + 2])
    if encoding is None:
        raise SpdpError("an announcement is no parameter list")
    return _announcement(body, at + 4, encoding)


def _parameter(body: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """The parameter at `at`, and where the next one is (section 9.4.2.11)."""
    if at + 4 > len(body):
        raise SpdpError("a parameter list has no end")
    number, size = struct.unpack_from(order + "HH", body, at)
    at += 4
    if number == _SENTINEL:
        return number, b"", at
    if at + size > len(body):
        raise SpdpError("a parameter is longer than its list")
    return number, body[at : at + size], at + size


def _announcement(body: bytes, at: int, order: str) -> Announcement:
    prefix = name = b""
    vendor = "unknown"
    addresses: list[str] = []
    lease, secured = 100.0, False  # RTPS 2.3 table 9.13: what holds when it isn't said
    while True:
        number, value, at = _parameter(body, at, order)
        if number == _SENTINEL:
            break
        if number == _GUID and len(value) >= 16:
            prefix = value[:PREFIX_OCTETS]
        elif number == _VENDOR and len(value) >= 2:
            vendor = VENDORS.get((value[0], value[1]), f"vendor {value[0]}.{value[1]}")
        elif number == _NAME and len(value) >= 4:
            (size,) = struct.unpack_from(order + "I", value)
            name = value[4 : 4 + min(size, _NAME_OCTETS)].rstrip(b"\0")
        elif number == _LEASE and len(value) >= 8:
            seconds, fraction = struct.unpack_from(order + "iI", value)
            lease = seconds + fraction / 2**32
        elif number in (_LOCATOR, _DEFAULT_LOCATOR) and len(value) >= 24:
            address = _address(value, order)
            if address and address not in addresses:
                addresses.append(address)
        elif number == _IDENTITY_TOKEN:
            secured = True
    if not prefix:
        raise SpdpError("an announcement has no GUID")
    return Announcement(prefix, name.decode(errors="replace"), vendor, tuple(addresses), lease, secured)


def _address(value: bytes, order: str) -> str:
    kind, port = struct.unpack_from(order + "iI", value)
    if kind == _UDP4:
        return f"{ipaddress.IPv4Address(value[20:24])}:{port}"
    if kind == _UDP6:
        return f"[{ipaddress.IPv6Address(value[8:24])}]:{port}"
    return ""


class Introduction:
    """What is said to make others announce themselves: a participant without any reader or writer.

    `prefix` are 12 octets of nobody else's; `address` and `port` (UDP, IPv4) are where the answers go to; `lease` is
    the whole seconds after which the others forget it.
    """

    def __init__(self, prefix: bytes, address: str, port: int, lease: int) -> None:
        self._prefix: Final = prefix
        self._locator: Final = struct.pack("<iI12x", _UDP4, port) + ipaddress.IPv4Address(address).packed
        self._lease: Final = lease
        self._number = 0

    def announcement(self) -> bytes:
        guid = self._prefix + b"\x00\x00\x01\xc1"
        parameters = [
            (_VERSION, b"\x02\x01\0\0"),
            (_VENDOR, b"\0\0\0\0"),  # VENDORID_UNKNOWN
            (_GUID, guid),
            (_BUILTIN, struct.pack("<I", 3)),  # announces participants, and listens to announcements
            (_LOCATOR, self._locator),
            (_DEFAULT_LOCATOR, self._locator),
            (_LEASE, struct.pack("<iI", self._lease, 0)),
        ]
        payload = (
            b"\0\3\0\0" + b"".join(_packed(number, value) for number, value in parameters) + _packed(_SENTINEL, b"")
        )
        return self._message(b"", payload, 0x05)

    def farewell(self) -> bytes:
        """The participant is no more: disposed and unregistered (section 8.5.5.2)."""
        guid = self._prefix + b"\x00\x00\x01\xc1"
        status = _packed(_STATUS, b"\0\0\0\3") + _packed(_SENTINEL, b"")
        return self._message(status, b"\0\3\0\0" + _packed(_GUID, guid) + _packed(_SENTINEL, b""), 0x0B)

    def _message(self, qos: bytes, payload: bytes, flags: int) -> bytes:
        self._number += 1
        body = struct.pack("<HH", 0, 16) + _LISTENS + _ANNOUNCES + struct.pack("<iI", 0, self._number) + qos + payload
        head = _MAGIC + b"\x02\x01\0\0" + self._prefix
        return head + struct.pack("<BBH", _DATA, flags, len(body)) + body


def _packed(number: int, value: bytes) -> bytes:
    return struct.pack("<HH", number, len(value)) + value
