"""pyspnego's NTLMv2 client on two pipes, as gsasl_client.py is for SCRAM; its first line is empty: nothing is bound."""

from __future__ import annotations

import base64
import os
import sys

import spnego


def main() -> int:
    client = spnego.client(
        os.environ["AMQP_USER"], os.environ["AMQP_PASSWORD"], hostname="localhost", service="amqp", protocol="ntlm"
    )
    sys.stdin.readline()
    answer = client.step()
    while True:
        sys.stdout.write(base64.b64encode(answer or b"").decode() + "\n")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return 0
        answer = client.step(base64.b64decode(line))


if __name__ == "__main__":
    sys.exit(main())
