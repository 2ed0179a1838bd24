"""Cyrus SASL's client library behind the lines of its own sample client: `S: base64` in, `C: base64` out.

For mechanisms that the sample client cannot use: OTP asks by the callback for a challenge (SASL_CB_ECHOPROMPT) where
there is one, and the sample client's insists on an argument that the library leaves out ("invalid parameter supplied").
Here is a pass phrase alone. Run as `python cyrus_client.py MECHANISM NAME IDENTITY`, the pass phrase in
SASL_TEST_PASSWORD.
"""

from __future__ import annotations

import base64
import ctypes
import os
import sys
from typing import Final

USER: Final = 0x4001
NAME: Final = 0x4002
PASSWORD: Final = 0x4004
OK: Final = 0
CONTINUE: Final = 1

SIMPLE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.POINTER(ctypes.c_uint)
)
SECRET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p))


class Callback(ctypes.Structure):
    _fields_ = (("id", ctypes.c_ulong), ("procedure", ctypes.c_void_p), ("context", ctypes.c_void_p))


def main() -> int:
    mechanism, name, identity = sys.argv[1:4]
    password = os.environ["SASL_TEST_PASSWORD"].encode()
    library = ctypes.CDLL("libsasl2.so.2")
    texts = {USER: ctypes.c_char_p(identity.encode()), NAME: ctypes.c_char_p(name.encode())}

    def simple(_context: int, which: int, result: ctypes._Pointer[ctypes.c_char_p], _length: object) -> int:
        result[0] = texts[which]
        return OK

    # sasl_secret_t: its length, and the octets behind it.
    held = ctypes.create_string_buffer(len(password).to_bytes(ctypes.sizeof(ctypes.c_ulong), sys.byteorder) + password)

    def secret(_connection: int, _context: int, _which: int, result: ctypes._Pointer[ctypes.c_void_p]) -> int:
        result[0] = ctypes.addressof(held)
        return OK

    told, kept = SIMPLE(simple), SECRET(secret)
    callbacks = (Callback * 4)(
        Callback(USER, ctypes.cast(told, ctypes.c_void_p)),
        Callback(NAME, ctypes.cast(told, ctypes.c_void_p)),
        Callback(PASSWORD, ctypes.cast(kept, ctypes.c_void_p)),
        Callback(0),
    )
    connection, data, length, chosen = ctypes.c_void_p(), ctypes.c_char_p(), ctypes.c_uint(), ctypes.c_char_p()
    answer = (ctypes.byref(data), ctypes.byref(length))
    if library.sasl_client_init(callbacks) != OK:
        return 1
    if library.sasl_client_new(b"mqtt", b"localhost", None, None, None, 0, ctypes.byref(connection)) != OK:
        return 1
    code = library.sasl_client_start(connection, mechanism.encode(), None, *answer, ctypes.byref(chosen))
    first = mechanism.encode() + (b"\0" if data else b"")
    while code in (OK, CONTINUE):
        print("C:", base64.b64encode(first + ctypes.string_at(data, length.value)).decode(), flush=True)
        first = b""
        line = sys.stdin.readline()
        if not line:
            return 0
        octets = base64.b64decode(line.removeprefix("S: "))
        code = library.sasl_client_step(connection, octets, len(octets), None, *answer)
    library.sasl_errdetail.restype = ctypes.c_char_p
    library.sasl_errdetail.argtypes = (ctypes.c_void_p,)
    print("refused:", library.sasl_errdetail(connection).decode(), flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
