"""What a fatal alert is called, for sentences in logs and errors (RFC 5246 section 7.2 and later ones)."""

from __future__ import annotations

from typing import Final

BAD_CERTIFICATE: Final = 42
CERTIFICATE_UNKNOWN: Final = 46
UNKNOWN_CA: Final = 48
ACCESS_DENIED: Final = 49
DECRYPT_ERROR: Final = 51
UNKNOWN_PSK_IDENTITY: Final = 115
CERTIFICATE_REQUIRED: Final = 116

_NAMES: Final[dict[int, str]] = {
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    BAD_CERTIFICATE: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    CERTIFICATE_UNKNOWN: "certificate_unknown",
    47: "illegal_parameter",
    UNKNOWN_CA: "unknown_ca",
    ACCESS_DENIED: "access_denied",
    50: "decode_error",
    DECRYPT_ERROR: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    UNKNOWN_PSK_IDENTITY: "unknown_psk_identity",
    CERTIFICATE_REQUIRED: "certificate_required",
    120: "no_application_protocol",
}


def alert_name(number: int) -> str:
    """As in `51 (decrypt_error)`; the number alone where it has no name here."""
    name = _NAMES.get(number, "")
    return f"{number} ({name})" if name else str(number)


def is_about_proof(number: int) -> bool:
    """Whether the peer says by it that it does not accept the credential that it was shown."""
    return BAD_CERTIFICATE <= number <= CERTIFICATE_UNKNOWN or number in (
        UNKNOWN_CA,
        ACCESS_DENIED,
        DECRYPT_ERROR,
        UNKNOWN_PSK_IDENTITY,
        CERTIFICATE_REQUIRED,
    )
