"""GNU SASL's client library on two pipes, for clients of AMQP that bring no SCRAM of their own.

`python gsasl_client.py MECHANISM`, the identity in AMQP_USER and AMQP_PASSWORD, whom to act for in AMQP_AUTHZID. The
first line is the data of the channel binding "tls-exporter" in base64, empty for none; then base64 of a challenge in,
base64 of a response out.
"""

from __future__ import annotations

import base64
import ctypes
import os
import sys
from typing import Final

AUTHID: Final = 1
AUTHZID: Final = 2
PASSWORD: Final = 3
TLS_EXPORTER: Final = 25
OK: Final = 0
NEEDS_MORE: Final = 1


def main() -> int:
    library = ctypes.CDLL("libgsasl.so.18")
    context, session = ctypes.c_void_p(), ctypes.c_void_p()
    if library.gsasl_init(ctypes.byref(context)) != OK:
        return 1
    if library.gsasl_client_start(context, sys.argv[1].encode(), ctypes.byref(session)) != OK:
        return 1
    library.gsasl_property_set(session, AUTHID, os.environ["AMQP_USER"].encode())
    library.gsasl_property_set(session, PASSWORD, os.environ["AMQP_PASSWORD"].encode())
    if os.environ.get("AMQP_AUTHZID"):
        library.gsasl_property_set(session, AUTHZID, os.environ["AMQP_AUTHZID"].encode())
    binding = sys.stdin.readline().strip()
    if binding:
        library.gsasl_property_set(session, TLS_EXPORTER, binding.encode())
    challenge = b""
    while True:
        answer, length = ctypes.c_void_p(), ctypes.c_size_t()
        told = (ctypes.c_char_p(challenge), ctypes.c_size_t(len(challenge)))
        code = library.gsasl_step(session, *told, ctypes.byref(answer), ctypes.byref(length))
        if code not in (OK, NEEDS_MORE):
            return 1
        sys.stdout.write(base64.b64encode(ctypes.string_at(answer, length.value)).decode() + "\n")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return 0
        challenge = base64.b64decode(line)


if __name__ == "__main__":
    sys.exit(main())
