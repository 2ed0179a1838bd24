"""How an identity was proven: the kinds of proof that policies, listeners and records speak of."""

from __future__ import annotations

from typing import Final

PASSWORD: Final = "password"  # noqa: S105 - the kind of credential
CERTIFICATE: Final = "certificate"
SCRAM: Final = "scram"
TOKEN: Final = "token"  # noqa: S105 - the kind of credential
KERBEROS: Final = "kerberos"
NTLM: Final = "ntlm"
OTP: Final = "otp"
PRE_SHARED_KEY: Final = "psk"
RAW_PUBLIC_KEY: Final = "rpk"
OSCORE: Final = "oscore"
DDS: Final = "dds"

# A policy's `when` and a listener's chain name them so. A proof by two of them holds for each.
KINDS: Final = frozenset(
    {PASSWORD, CERTIFICATE, SCRAM, TOKEN, KERBEROS, NTLM, OTP, PRE_SHARED_KEY, RAW_PUBLIC_KEY, OSCORE, DDS}
)
PROTOCOLS: Final = frozenset({"mqtt", "coap", "amqp", "dds", "https"})
