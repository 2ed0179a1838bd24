"""The numbers of DTLS 1.2 that this end looks at (RFC 5246, RFC 6347, RFC 7250, RFC 9146)."""

from __future__ import annotations

from typing import Final

# Content types (RFC 5246 section 6.2.1, RFC 9146 section 3).
CHANGE_CIPHER_SPEC: Final = 20
ALERT: Final = 21
HANDSHAKE: Final = 22
APPLICATION_DATA: Final = 23
TLS12_CID: Final = 25

HEADER: Final = 13  # octets before a record's fragment, without a Connection ID
HANDSHAKE_HEADER: Final = 12
LARGEST_PLAINTEXT: Final = 16_384  # RFC 5246 section 6.2.1
DTLS_1_2: Final = b"\xfe\xfd"
DTLS_1_0: Final = b"\xfe\xff"

# Handshake types (RFC 5246 section 7.4).
HELLO_REQUEST: Final = 0
CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
HELLO_VERIFY_REQUEST: Final = 3

# Alerts (RFC 5246 section 7.2).
WARNING: Final = 1
FATAL: Final = 2
CLOSE_NOTIFY: Final = 0
ACCESS_DENIED: Final = 49
INTERNAL_ERROR: Final = 80
USER_CANCELED: Final = 90
NO_RENEGOTIATION: Final = 100

# Extensions.
CLIENT_CERTIFICATE_TYPE: Final = 19  # RFC 7250 section 3
SERVER_CERTIFICATE_TYPE: Final = 20
CONNECTION_ID: Final = 54  # RFC 9146 section 3
X509: Final = 0
RAW_PUBLIC_KEY: Final = 2
