"""ddsperf's KeyedSeq, and its samples as octets (XCDR1, little endian)."""

from __future__ import annotations

import struct
from pathlib import Path

from bridgehead.protocols.dds.idl import compile_idl

TOPIC = "DDSPerfRDataKS"  # that ddsperf writes and reads
IDL = Path(__file__).parent / "keyed.idl"
KEYED = compile_idl(IDL, "KeyedSeq")
OTHER = compile_idl(IDL.with_name("keyed_other.idl"), "KeyedSeq")


def sample(seq: int, key: int, baggage: bytes = b"") -> bytes:
    """Padded to a multiple of four octets, as Cyclone keeps it."""
    data = b"\0\1\0\0" + struct.pack("<III", seq, key, len(baggage)) + baggage
    return data + bytes(-len(data) % 4)


def key_of(key: int) -> bytes:
    """The key's field alone, as Cyclone gives it with dispose and unregister (plain CDR2)."""
    return b"\0\7\0\0" + struct.pack("<I", key)
