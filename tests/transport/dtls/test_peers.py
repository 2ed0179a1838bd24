"""Clients of other makers against the server's end: libcoap on GnuTLS and on OpenSSL, OpenSSL's and GnuTLS's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridgehead.transport.dtls.contract import DtlsIdentity, DtlsSettings
from tests.transport.dtls.keys import der, pem, town
from tests.transport.dtls.rim import Devices, Server, as_coap

PSK = b"a key of 16 oct."


def identity(lists: str = "") -> DtlsIdentity:
    here = town()
    return DtlsIdentity(certificate=pem(here.hub), key=here.hub_key.pem, trust=here.authority.pem, lists=lists)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    devices = Devices({b"sensor-7": PSK}, {town().sensor_key.spki})
    made = Server(identity(), devices, answer=as_coap)
    yield made
    made.close()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    here = town()
    for name, text in {
        "ca.pem": here.authority.pem,
        "sensor.crt": pem(here.sensor),
        "sensor.key": here.sensor_key.sec1,
        "stranger.crt": pem(here.stranger),
        "stranger.key": here.stranger_key.sec1,
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


async def run(*command: str, standard_input: bytes = b"", wait: float = 20) -> str:
    """What it writes to both of its outputs."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(standard_input), wait)
    return output.decode(errors="replace")


async def get(client: str, server: Server, *options: str) -> str:
    return await run(client, "-B", "3", "-m", "get", *options, f"coaps://localhost:{server.port}/t")


CLIENTS = [
    pytest.param("coap-client-gnutls", marks=pytest.mark.peer("coap-client-gnutls")),
    pytest.param("coap-client-openssl", marks=pytest.mark.peer("coap-client-openssl")),
]


@pytest.mark.clause("RFC7252-9", "RFC7252-9.1", "RFC7925-4.2")
@pytest.mark.parametrize("client", CLIENTS)
async def test_pre_shared_key(server: Server, client: str) -> None:
    assert "it works" in await get(client, server, "-u", "sensor-7", "-k", PSK.decode())
    (proof,) = server.proofs
    assert (proof.kind, proof.identity, proof.resumed) == ("psk", b"sensor-7", False)
    assert server.sinks[0].because == "the peer closed it"
    assert len(server.dtls) == 0


@pytest.mark.clause("RFC7925-4.2")
@pytest.mark.parametrize("client", CLIENTS)
async def test_unknown_identity_and_wrong_key_look_alike(server: Server, client: str) -> None:
    answers = [
        await get(client, server, "-u", user, "-k", key)
        for user, key in (("sensor-7", "another key"), ("nobody", "another key"))
    ]
    for answer in answers:
        assert "it works" not in answer
        assert "decrypt error" in answer.lower()
    assert [(each.kind, each.identity, each.credential) for each in server.failures] == [
        ("psk", b"sensor-7", True),
        ("psk", b"nobody", True),
    ]
    assert server.failures[0].because == server.failures[1].because
    assert server.dtls.half_open == 0


@pytest.mark.clause("RFC7925-4.3")
@pytest.mark.peer("coap-client-gnutls")
async def test_raw_public_key(server: Server, files: Path) -> None:
    """libcoap lists X.509 first for the server's certificate, and then cannot read one."""
    assert "it works" in await get("coap-client-gnutls", server, "-M", str(files / "sensor.key"))
    (proof,) = server.proofs
    assert (proof.kind, proof.spki) == ("rpk", town().sensor_key.spki)


@pytest.mark.peer("coap-client-gnutls")
async def test_raw_public_key_that_no_device_has(server: Server, files: Path) -> None:
    assert "it works" not in await get("coap-client-gnutls", server, "-M", str(files / "stranger.key"))
    (failure,) = server.failures
    assert (failure.kind, failure.identity, failure.credential) == ("rpk", town().stranger_key.spki, True)
    assert failure.because == "its raw public key is no device's"
    assert not server.proofs


@pytest.mark.clause("RFC7925-4.4")
@pytest.mark.parametrize("client", CLIENTS)
async def test_certificate(server: Server, files: Path, client: str) -> None:
    options = ("-c", str(files / "sensor.crt"), "-j", str(files / "sensor.key"), "-C", str(files / "ca.pem"))
    assert "it works" in await get(client, server, *options)
    (proof,) = server.proofs
    assert (proof.kind, proof.certificate) == ("certificate", der(town().sensor))


@pytest.mark.clause("RFC7925-4.4")
@pytest.mark.parametrize("client", CLIENTS)
async def test_certificate_of_another_authority(server: Server, files: Path, client: str) -> None:
    options = ("-c", str(files / "stranger.crt"), "-j", str(files / "stranger.key"), "-C", str(files / "ca.pem"))
    assert "it works" not in await get(client, server, *options)
    (failure,) = server.failures
    assert (failure.kind, failure.identity, failure.credential) == ("certificate", der(town().stranger), True)
    assert "its certificate is refused" in failure.because


@pytest.mark.peer("coap-client-gnutls")
async def test_revoked_certificate(files: Path) -> None:
    here = town()
    server = Server(identity(here.authority.revoke(here.sensor)), answer=as_coap)
    options = ("-c", str(files / "sensor.crt"), "-j", str(files / "sensor.key"), "-C", str(files / "ca.pem"))
    try:
        assert "it works" not in await get("coap-client-gnutls", server, *options)
        (failure,) = server.failures
        assert "revoked" in failure.because
    finally:
        server.close()


SUITES = {
    "PSK-AES128-CCM8": "TLS_PSK_WITH_AES_128_CCM_8",
    "PSK-AES128-CCM": "TLS_PSK_WITH_AES_128_CCM",
    "PSK-AES128-GCM-SHA256": "TLS_PSK_WITH_AES_128_GCM_SHA256",
    "PSK-AES256-GCM-SHA384": "TLS_PSK_WITH_AES_256_GCM_SHA384",
    "PSK-CHACHA20-POLY1305": "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-PSK-CHACHA20-POLY1305": "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256",
}


async def s_client(server: Server, *options: str, text: str = "as it came", wait: float = 10) -> str:
    """openssl s_client, which is stopped as soon as `text` has come back."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{server.port}", *options,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(text.encode() + b"\n")
    output = b""
    try:
        async with asyncio.timeout(wait):
            while text.encode() not in output.partition(b"Extended master secret: ")[2]:
                piece = await process.stdout.read(4096)
                if not piece:
                    break
                output += piece
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
    return output.decode(errors="replace")


@pytest.mark.clause("RFC7252-9.1.3.1")
@pytest.mark.peer("openssl")
@pytest.mark.parametrize("suite", SUITES)
async def test_suites_of_pre_shared_keys(suite: str) -> None:
    server = Server(devices=Devices({b"sensor-7": PSK}))
    try:
        answer = await s_client(
            server, "-psk_identity", "sensor-7", "-psk", PSK.hex(), "-cipher", f"{suite}:@SECLEVEL=0"
        )
        assert f"Cipher is {suite}" in answer
        assert "Extended master secret: yes" in answer
        assert [proof.suite for proof in server.proofs] == [SUITES[suite]]
        assert server.sinks[0].received_data == [b"as it came\n"]
    finally:
        server.close()


ECDSA = {
    "ECDHE-ECDSA-AES128-CCM8": "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
    "ECDHE-ECDSA-AES128-CCM": "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}


@pytest.mark.clause("RFC7252-9.1.3.3", "RFC7252-9.1.3.2")
@pytest.mark.peer("openssl")
@pytest.mark.parametrize("suite", ECDSA)
async def test_suites_of_certificates(files: Path, suite: str) -> None:
    server = Server(identity())
    try:
        options = ("-cert", str(files / "sensor.crt"), "-key", str(files / "sensor.key"))
        trust = ("-CAfile", str(files / "ca.pem"), "-verify_return_error")
        answer = await s_client(server, *options, *trust, "-cipher", f"{suite}:@SECLEVEL=0")
        assert f"Cipher is {suite}" in answer
        assert "Verify return code: 0" in answer
        assert [proof.suite for proof in server.proofs] == [ECDSA[suite]]
    finally:
        server.close()


@pytest.mark.clause("RFC7252-9.1.3.2")
@pytest.mark.peer("gnutls-cli")
async def test_gnutls_cli_with_the_mandatory_suite_and_a_raw_key(server: Server, files: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "gnutls-cli", "--udp", "-p", str(server.port), "127.0.0.1", "--insecure",
        "--rawpkkeyfile", str(files / "sensor.key"), "--rawpkfile", str(raw_public(files)), "--priority",
        "NONE:+VERS-DTLS1.2:+AES-128-CCM-8:+AEAD:+ECDHE-ECDSA:+SIGN-ALL:+GROUP-SECP256R1:+COMP-NULL"
        ":+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(10):
            while not server.proofs:
                await asyncio.sleep(0.02)
    finally:
        process.terminate()
        await process.wait()
    assert server.proofs[0].suite == "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"
    assert (server.proofs[0].kind, server.proofs[0].spki) == ("rpk", town().sensor_key.spki)


def raw_public(files: Path) -> Path:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = town().sensor_key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path = files / "sensor.pub"
    path.write_bytes(public)
    return path


@pytest.mark.clause("RFC7925-6")
@pytest.mark.peer("openssl")
async def test_a_session_is_resumed_by_its_ticket(tmp_path: Path) -> None:
    server = Server(devices=Devices({b"sensor-7": PSK}))
    session = str(tmp_path / "session.pem")
    psk = ("-psk_identity", "sensor-7", "-psk", PSK.hex())
    try:
        await s_client(server, *psk, "-sess_out", session)
        answer = await s_client(server, *psk, "-sess_in", session)
        assert "Reused" in answer
        assert [(proof.identity, proof.resumed) for proof in server.proofs] == [
            (b"sensor-7", False),
            (b"sensor-7", True),
        ]
        assert server.sinks[1].received_data == [b"as it came\n"]
        server.dtls.forget_tickets()
        assert "Reused" not in await s_client(server, *psk, "-sess_in", session)
        assert not server.proofs[2].resumed
    finally:
        server.close()


@pytest.mark.clause("RFC7925-6")
@pytest.mark.peer("openssl")
async def test_no_session_is_resumed_whose_key_has_ended(tmp_path: Path) -> None:
    server = Server(devices=Devices({b"sensor-7": PSK}))
    session = str(tmp_path / "session.pem")
    psk = ("-psk_identity", "sensor-7", "-psk", PSK.hex())
    try:
        await s_client(server, *psk, "-sess_out", session)
        server.devices.keys.clear()
        await s_client(server, *psk, "-sess_in", session)
        assert len(server.proofs) == 1
        (failure,) = server.failures
        assert (failure.identity, failure.credential) == (b"sensor-7", True)
    finally:
        server.close()


@pytest.mark.peer("openssl")
async def test_modes_that_are_off_are_not_offered(files: Path) -> None:
    settings = DtlsSettings()
    settings.modes = ("psk",)
    server = Server(identity(), settings=settings)
    try:
        answer = await s_client(server, "-cert", str(files / "sensor.crt"), "-key", str(files / "sensor.key"))
        assert "alert handshake failure" in answer
        assert not server.proofs
        assert [failure.credential for failure in server.failures] == [False]
    finally:
        server.close()
