"""OSCORE's keys: the vectors of RFC 8613 appendix C, and all AEADs of COSE against aiocoap."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridgehead.security.errors import NotAcceptable
from bridgehead.security.oscore.keys import ALGORITHMS, HKDF_SHA_512, Secret, derivation_info, opened

independent: Any = import_module("aiocoap.oscore")  # which has no types

MASTER = bytes.fromhex("0102030405060708090a0b0c0d0e0f10")
SALT = bytes.fromhex("9e7ca92223786340")
CONTEXT = bytes.fromhex("37cbf3210017a2d3")
# Salt, ID Context, the client's Sender ID, its key, the server's key, Common IV. The server's Sender ID is 01.
VECTORS = {
    "C.1": (
        SALT,
        None,
        "",
        "f0910ed7295e6ad4b54fc793154302ff",
        "ffb14e093c94c9cac9471648b4f98710",
        "4622d4dd6d944168eefb54987c",
    ),
    "C.2": (
        b"",
        None,
        "00",
        "321b26943253c7ffb6003b0b64d74041",
        "e57b5635815177cd679ab4bcec9d7dda",
        "be35ae297d2dace910c52e99f9",
    ),
    "C.3": (
        SALT,
        CONTEXT,
        "",
        "af2a1300a5e95788b356336eeecd2b92",
        "e39a0c7c77b43f03b4b39ab9a268699f",
        "2ca58fb85ff1b81c0b7181b85e",
    ),
}


@pytest.mark.clause("RFC8613-C")
@pytest.mark.clause("RFC8613-3.2.1")
@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_key_derivation(name: str) -> None:
    salt, context, client, client_key, server_key, common_iv = VECTORS[name]
    secret = Secret(MASTER, salt, context)
    assert secret.key(bytes.fromhex(client)).hex() == client_key
    assert secret.key(b"\x01").hex() == server_key
    assert secret.common_iv().hex() == common_iv


@pytest.mark.clause("RFC8613-3.2.1")
def test_vectors_of_info() -> None:
    assert derivation_info(b"", None, 10, "Key", 16).hex() == "8540f60a634b657910"
    assert derivation_info(b"\x01", CONTEXT, 10, "Key", 16).hex() == "8541014837cbf3210017a2d30a634b657910"
    assert derivation_info(b"", CONTEXT, 10, "IV", 13).hex() == "85404837cbf3210017a2d30a6249560d"


def reference(algorithm: Any, hash_name: str) -> Any:
    """aiocoap's derivation, with any of its algorithms."""
    made = independent.SecurityContextUtils()
    made.alg_aead = algorithm
    made.hashfun = independent.hashfunctions[hash_name]
    made.id_context = CONTEXT
    made.sender_id = b"\x01"
    made.recipient_id = b""
    made.derive_keys(SALT, MASTER)
    return made


@pytest.mark.clause("RFC8613-3.2")
@pytest.mark.parametrize("number", ALGORITHMS)
@pytest.mark.parametrize("hkdf", [-10, HKDF_SHA_512])
def test_every_algorithm_derives_and_seals_as_aiocoap(number: int, hkdf: int) -> None:
    [theirs] = [each for each in independent.algorithms.values() if getattr(each, "value", None) == number]
    known = reference(theirs, {-10: "sha256", -11: "sha512"}[hkdf])
    secret = Secret(MASTER, SALT, CONTEXT, number, hkdf)
    assert secret.key(b"\x01") == known.sender_key
    assert secret.common_iv() == known.common_iv
    iv = bytes(range(secret.algorithm.nonce))
    assert secret.cipher(b"\x01").encrypt(iv, b"plain", b"aad") == theirs.encrypt(
        b"plain", b"aad", known.sender_key, iv
    )


@pytest.mark.clause("RFC8613-3.3")
@pytest.mark.parametrize("number", ALGORITHMS)
def test_a_sender_id_is_as_long_as_the_nonce_leaves_room(number: int) -> None:
    secret = Secret(MASTER, SALT, None, number)
    most = secret.algorithm.nonce - 6
    secret.key(bytes(most))
    with pytest.raises(NotAcceptable, match=f"at most {most} octets"):
        secret.key(bytes(most + 1))


def test_unknown_algorithms_are_refused() -> None:
    with pytest.raises(NotAcceptable, match="AEAD 9 and HKDF -10"):
        Secret(MASTER, SALT, None, 9)
    with pytest.raises(NotAcceptable, match="AEAD 10 and HKDF -9"):
        Secret(MASTER, SALT, None, 10, -9)


@given(st.binary(max_size=64))
def test_what_was_not_sealed_does_not_open(octets: bytes) -> None:
    cipher = Secret(MASTER, SALT, None).cipher(b"")
    assert opened(cipher, bytes(13), octets, b"aad") is None


def test_nothing_secret_is_shown() -> None:
    assert repr(Secret(MASTER, SALT, CONTEXT)) == "Secret(AES-CCM-16-64-128)"
