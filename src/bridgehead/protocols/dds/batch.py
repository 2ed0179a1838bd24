"""Takes samples by the batch, with the C helper that tools/cyclonedds.py builds beside the binding, where it is there.

Each call into Cyclone costs as much as a sample does: with the helper there are two for a batch, without it three for
every sample.
"""

from __future__ import annotations

import importlib.util
import struct
from functools import cache
from pathlib import Path
from typing import Any, Final

import cffi

from bridgehead.protocols.dds import cyclone
from bridgehead.protocols.dds.cyclone import checked, ffi, library
from bridgehead.protocols.dds.session.ports import Sample

LIBRARY: Final = "libbridgehead_batch.so"
# Keys alone are plain CDR2, whatever identifier Cyclone DDS 0.10 puts before them: that of the whole type.
PLAIN_CDR2: Final = b"\0\7"
_RECORD: Final = struct.Struct("=qQQQIII4x")  # struct record of tools/cyclonedds_batch.c
_DECLARATIONS: Final = """
uint32_t bridgehead_record_octets(void);
int32_t bridgehead_take(int32_t reader, void *taken, void *infos, void *records, uint32_t most, uint32_t largest,
                        uint64_t *total);
void bridgehead_copy(void *taken, const void *records, uint32_t count, void *into);
"""


@cache
def helper() -> Any:
    """The C helper's functions; None when it isn't there, or is another version's."""
    found = importlib.util.find_spec("cyclonedds")
    for folder in (found.submodule_search_locations if found is not None else None) or ():
        path = Path(folder) / LIBRARY
        if path.is_file():
            library()  # it stands on the same libddsc
            declared = cffi.FFI()
            declared.cdef(_DECLARATIONS)
            opened: Any = declared.dlopen(str(path))
            return opened if opened.bridgehead_record_octets() == _RECORD.size else None
    return None


class Batch:
    """Room for `most` samples, none of which is larger than `largest` octets; larger ones are counted and dropped.
    `by_hand`: take them one by one, with or without the helper."""

    def __init__(self, most: int, largest: int, by_hand: bool = False) -> None:
        declared = ffi()
        self.most: Final = most
        self.too_large = 0
        self._largest: Final = largest
        self._taken: Final = declared.new("struct serdata *[]", most)
        self._infos: Final = declared.new("sample_info_t[]", most)
        self._helper: Final[Any] = None if by_hand else helper()
        self._records: Final = declared.new("char[]", most * _RECORD.size)
        self._total: Final = declared.new("uint64_t *")
        self._room: Any = declared.new("char[]", 64 * 1024)

    def take(self, reader: int) -> list[Sample]:
        """What waits in `reader`, at most a batch. Errors: DdsError."""
        return self._take_all(reader) if self._helper is not None else self._take_each(reader)

    def _take_all(self, reader: int) -> list[Sample]:
        called, declared, records = self._helper, ffi(), self._records
        code = called.bridgehead_take(reader, self._taken, self._infos, records, self.most, self._largest, self._total)
        count = checked(code, "samples are not taken")
        if not count:
            return []
        total = self._total[0]
        if total > len(self._room):
            self._room = declared.new("char[]", total)
        called.bridgehead_copy(self._taken, records, count, self._room)
        data = bytes(declared.buffer(self._room, total))
        samples = [
            Sample(
                data[offset : offset + size] if valid else PLAIN_CDR2 + data[offset + 2 : offset + size],
                valid != 0,
                state,
                timestamp,
                instance,
                publication,
            )
            for timestamp, instance, publication, offset, size, state, valid in _RECORD.iter_unpack(
                declared.buffer(records, count * _RECORD.size)
            )
            if size
        ]
        self.too_large += count - len(samples)
        return samples

    def _take_each(self, reader: int) -> list[Sample]:
        lib, declared = library(), ffi()
        count = checked(
            lib.dds_takecdr(reader, self._taken, self.most, self._infos, cyclone.ANY_STATE), "samples are not taken"
        )
        samples: list[Sample] = []
        for index in range(count):
            serdata, info = self._taken[index], self._infos[index]
            size = lib.ddsi_serdata_size(serdata)
            if size > self._largest:
                self.too_large += 1
            else:
                data = bytearray(size)
                lib.ddsi_serdata_to_ser(serdata, 0, size, declared.from_buffer(data))
                samples.append(
                    Sample(
                        bytes(data) if info.valid_data else PLAIN_CDR2 + bytes(data[2:]),
                        info.valid_data,
                        info.instance_state,
                        info.source_timestamp,
                        info.instance_handle,
                        info.publication_handle,
                    )
                )
            lib.ddsi_serdata_unref(serdata)
        return samples
