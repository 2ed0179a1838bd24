"""CoAP: lines for libcoap's coap-client, credentials for aiocoap, an OSCORE context in the format of each."""

from __future__ import annotations

import json
import shlex
from typing import Final
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization

from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY
from bridgehead.security.export.terms import EXAMPLE, Terms
from bridgehead.security.identity.wanted import NewRawKey

PORT: Final = 5684
HINTS: Final = "coap-psk"
RAW_KEY: Final = "raw-key.pem"
HUB_RAW_KEY: Final = "hub-raw-key.pem"
_CLIENT: Final = "$(command -v coap-client-gnutls || command -v coap-client-openssl || echo coap-client)"
_MOST_LINE: Final = 250  # octets of a line that coap-client reads whole


def files(terms: Terms) -> dict[str, str]:
    """What the credentials allow, for what the device may do: for libcoap's client and for aiocoap."""
    found = libcoap(terms)
    if terms.psk is not None or terms.oscore is not None:
        found["aiocoap.json"] = _aiocoap(terms)
    if terms.oscore is not None:
        found["oscore/settings.json"], found["oscore/secret.json"] = _oscore_aiocoap(terms)
    return found


def libcoap(terms: Terms) -> dict[str, str]:
    """For libcoap's client alone."""
    found: dict[str, str] = {}
    if terms.psk is not None and _hints(terms) is not None:
        found[HINTS] = _hints(terms) or ""
        # The key is read from the file: on the command line everybody on the machine could see it. -k must be given,
        # and counts only for a server with another hint than those in the file.
        found.update(_lines(terms, "", ["-u", terms.psk.identity, "-k", "-", "-h", HINTS]))
    if terms.certificate is not None:
        found.update(_lines(terms, "-certificate", ["-c", CERTIFICATE, "-j", KEY, "-C", AUTHORITY]))
    if terms.raw_key is not None:
        found[RAW_KEY] = _key_pair(terms.raw_key)
        found.update(_lines(terms, "-raw-key", ["-M", RAW_KEY]))
    if terms.oscore is not None:
        found["oscore-libcoap.conf"] = _oscore_libcoap(terms)
    return found


TOLD: Final = {
    HINTS: "pre-shared key for coap-client: hint, identity, key",
    "coap-put.sh": "publishes one message, by the pre-shared key: sh coap-put.sh [MESSAGE]",
    "coap-post.sh": "publishes one message, which is not kept, by the pre-shared key: sh coap-post.sh [MESSAGE]",
    "coap-get.sh": "reads, or with -s SECONDS observes: sh coap-get.sh [OPTION]...",
    "coap-put-certificate.sh": "publishes one message, by the certificate",
    "coap-post-certificate.sh": "publishes one message, which is not kept, by the certificate",
    "coap-get-certificate.sh": "reads or observes, by the certificate",
    RAW_KEY: "the key pair whose public half is on the device's record (RFC 7250)",
    HUB_RAW_KEY: "the hub's own raw public key: where it shows no certificate, take no other",
    "coap-put-raw-key.sh": "publishes one message, by the raw public key (coap-client with GnuTLS)",
    "coap-post-raw-key.sh": "publishes one message, which is not kept, by the raw public key (with GnuTLS)",
    "coap-get-raw-key.sh": "reads or observes, by the raw public key (coap-client with GnuTLS)",
    "aiocoap.json": "for aiocoap-client --credentials aiocoap.json, in this folder (DTLS: aiocoap[tinydtls])",
    "oscore-libcoap.conf": "OSCORE context for coap-client -E oscore-libcoap.conf,SEQUENCES (from libcoap 4.3.2)",
    "oscore/settings.json": "OSCORE context for aiocoap, with oscore/secret.json",
}
ADDRESSES: Final = (
    "Topics are at /t: each level of a topic is a segment of the path, percent-encoded. PUT publishes and keeps, POST\n"
    "publishes, GET reads, GET with Observe subscribes; /t?f=FILTER with Observe subscribes to a Topic Filter."
)
OSCORE_ONCE: Final = (
    "Use the OSCORE context in one program only and keep its sequence numbers: a copy that begins anew reuses nonces\n"
    "(RFC 8613 section 7.2.1). Therefore the hub never hands the same context out twice."
)
OSCORE_WHERE: Final = (
    "OSCORE protects messages over plain UDP too: for that the hub needs a listener that permits it (protocol coap\n"
    "with plaintext, port 5683). By default it has none; through DTLS and TLS OSCORE works at once."
)


def _key_pair(key: NewRawKey) -> str:
    """In the form that libcoap's -M takes: the public half first, then the private one as RFC 5915 has it."""
    private = serialization.load_pem_private_key(key.key_pem, None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return (public + secret).decode()


def _hints(terms: Terms) -> str | None:
    """One line for servers that send no hint, one for libcoap's default. None: the file has no place for the key."""
    assert terms.psk is not None
    try:
        key = terms.psk.key.decode("ascii")
    except UnicodeDecodeError:
        return None
    line = f"{terms.psk.identity},{key}"
    if line.count(",") != 1 or not line.isprintable() or len(line.encode()) > _MOST_LINE:
        return None
    return f",{line}\nCoAP,{line}\n"


def _lines(terms: Terms, suffix: str, options: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if terms.topic is not None:
        method = "put" if terms.may_retain else "post"
        confirmable = [] if terms.publish_qos else ["-N"]  # confirmable is at least once
        words = shlex.join([*options, "-B", "10", *confirmable, "-m", method])
        found[f"coap-{method}{suffix}.sh"] = _script(
            f"Publishes as {terms.name}: sh coap-{method}{suffix}.sh [MESSAGE]",
            f'{words} -e "${{1:-{EXAMPLE}}}" {shlex.quote(_uri(terms, _path(terms.topic)))}',
        )
    if terms.topic_filter is not None:
        words = shlex.join([*options, "-B", "10", "-m", "get"])
        is_wild = "+" in terms.topic_filter or "#" in terms.topic_filter
        where = f"?f={quote(terms.topic_filter, safe='/')}" if is_wild else _path(terms.topic_filter)
        found[f"coap-get{suffix}.sh"] = _script(
            f"Reads as {terms.name}, or observes: sh coap-get{suffix}.sh [-s SECONDS]",
            f'{words} "$@" {shlex.quote(_uri(terms, where))}',
            # A Topic Filter has no value to read: it is observed.
            before="[ $# -gt 0 ] || set -- -s 60\n" if is_wild else "",
        )
    return found


def _script(comment: str, words: str, before: str = "") -> str:
    return f'#!/bin/sh\n# {comment}\ncd -- "$(dirname -- "$0")"\n{before}"${{COAP_CLIENT:-{_CLIENT}}}" {words}\n'


def _path(topic: str) -> str:
    """Every level is a path segment, percent-encoded."""
    return "/" + "/".join(quote(level, safe="") for level in topic.split("/"))


def _uri(terms: Terms, behind: str) -> str:
    """RFC 7252 section 6.1: of what stands behind the hub's resource for topics."""
    return f"coaps://{terms.url_host()}:{terms.port}/t{behind}"


def _aiocoap(terms: Terms) -> str:
    found: dict[str, object] = {}
    if terms.psk is not None:
        psk = {"psk": {"hex": terms.psk.key.hex()}, "client-identity": {"hex": terms.psk.identity.encode().hex()}}
        found[f"coaps://{terms.url_host()}:{terms.port}/*"] = {"dtls": psk}
    if terms.oscore is not None:
        found[f"coap://{terms.url_host()}/*"] = {"oscore": {"basedir": "oscore/"}}
    return json.dumps(found, indent=2) + "\n"


def _oscore_libcoap(terms: Terms) -> str:
    """coap-oscore-conf(5). AES-CCM-16-64-128 and HKDF-SHA-256 are its defaults, and named all the same."""
    context = terms.oscore
    assert context is not None
    return (
        f'master_secret,hex,"{context.secret.hex()}"\n'
        f'master_salt,hex,"{context.salt.hex()}"\n'
        f'id_context,hex,"{context.id_context.hex()}"\n'
        f'sender_id,hex,"{context.sender_id.hex()}"\n'
        f'recipient_id,hex,"{context.recipient_id.hex()}"\n'
        "aead_alg,integer,10\n"
        "hkdf_alg,integer,-10\n"
        "replay_window,integer,32\n"
    )


def _oscore_aiocoap(terms: Terms) -> tuple[str, str]:
    context = terms.oscore
    assert context is not None
    settings = {
        "sender-id_hex": context.sender_id.hex(),
        "recipient-id_hex": context.recipient_id.hex(),
        "id-context_hex": context.id_context.hex(),
        "algorithm": "AES-CCM-16-64-128",
        "kdf-hashfun": "sha256",
        "window": 32,
    }
    secret = {"secret_hex": context.secret.hex(), "salt_hex": context.salt.hex()}
    return json.dumps(settings, indent=2) + "\n", json.dumps(secret, indent=2) + "\n"
