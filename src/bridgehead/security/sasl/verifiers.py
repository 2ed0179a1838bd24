"""What is stored of a password so that SCRAM and NTLM can verify it."""

from __future__ import annotations

import secrets

from bridgehead.security.credentials import ScramRecord
from bridgehead.security.sasl.prepare import NotPrepared, prepared
from bridgehead.security.sasl.scram_keys import (
    HASHES,
    ITERATIONS,
    SALT_OCTETS,
    client_key,
    salted_password,
    server_key,
    stored_key,
)


def scram_records(password: str | bytes, iterations: int = ITERATIONS) -> tuple[ScramRecord, ...]:
    """One record for each SCRAM mechanism, each with its own new salt (RFC 5802 section 3, RFC 7677).

    A password that SCRAM cannot carry has no records: it is not UTF-8, or SASLprep (RFC 4013) forbids it or leaves
    nothing of it. Costs `iterations` hashes of each kind, some milliseconds.
    """
    try:
        normal = prepared(password if isinstance(password, str) else password.decode())
    except (NotPrepared, UnicodeDecodeError):
        return ()
    if not normal:
        return ()
    return tuple(scram_record(name, normal, secrets.token_bytes(SALT_OCTETS), iterations) for name in HASHES)


def scram_record(mechanism: str, normal: str, salt: bytes, iterations: int) -> ScramRecord:
    """`normal` is prepared."""
    digest = HASHES[mechanism]
    salted = salted_password(digest, normal, salt, iterations)
    stored = stored_key(digest, client_key(digest, salted))
    return ScramRecord(mechanism, salt, iterations, stored, server_key(digest, salted))


def nt_hash(password: str | bytes) -> bytes:
    """MD4 of the password in UTF-16 (MS-NLMP 3.3.1, NTOWFv1): as good as the password itself, seal it.

    Needs the extra `bridgehead[ntlm]`. Errors: ImportError; UnicodeError for a password that is no text.
    """
    from spnego._ntlm_raw.md4 import md4

    text = password if isinstance(password, str) else password.decode()
    return md4(text.encode("utf-16-le"))
