"""The running hub's TLS, asked by programs that are not ours: sslyze, which judges after Mozilla's profiles, and
`openssl s_client`. What each profile promises stands in docs/tls.md."""

from __future__ import annotations

import datetime
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from bridgehead.protocols.mqtt.codec.encode import encode
from bridgehead.protocols.mqtt.codec.packets import Connack, Connect, Pingreq, Pingresp
from bridgehead.security.identity.identity import Identity, Wanted
from bridgehead.security.tls.profiles import INTERMEDIATE, MODERN, SUITES, TICKET_LIFETIME, TICKETS, harden_server
from tests.cli.hub import PATIENCE, Client, Hub

DOCS = Path(__file__).parents[2] / "docs" / "tls.md"
DAY = 86400
PROFILES = ("intermediate", "modern")
CONFIG = """
[[listener]]
bind = "127.0.0.1:0"

[[listener]]
bind = "localhost:0"
tls_profile = "modern"
"""


class Town:
    """A hub with one listener of each profile."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        first, second = (address for _, address in hub.addresses()[:2])
        self.addresses = {"intermediate": first, "modern": second}
        self.ca = hub.data / "pki" / "ca.pem"

    def s_client(self, profile: str, *options: str, typed: str = "Q\n") -> str:
        """All that `openssl s_client` says of one connection."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", self.addresses[profile], "-CAfile", str(self.ca), *options],
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with Hub(tmp_path_factory.mktemp("hub"), CONFIG) as hub:
        yield Town(hub)


def connected(said: str) -> bool:
    return "Verify return code: 0 (ok)" in said and "Cipher is (NONE)" not in said


# sslyze. --------------------------------------------------------------------------------------------


def sslyze(town: Town, profile: str, folder: Path) -> tuple[dict[str, Any], str]:
    """Its results, and what it says of compliance with Mozilla's profile of the same name."""
    found = folder / "found.json"
    done = subprocess.run(
        [
            "sslyze",
            *("--mozilla_config", profile),
            *("--certinfo_ca_file", str(town.ca)),
            *("--resum", "--resum_attempts", "2"),
            *("--json_out", str(found), town.addresses[profile]),
        ],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    (result,) = json.loads(found.read_text())["server_scan_results"]
    return {name: each["result"] for name, each in result["scan_result"].items()}, done.stdout


@pytest.mark.peer("sslyze")
@pytest.mark.parametrize("profile", PROFILES)
def test_sslyze_finds_the_hub_compliant_with_mozillas_profile(town: Town, tmp_path: Path, profile: str) -> None:
    found, said = sslyze(town, profile, tmp_path)
    assert re.search(r"Checking results against Mozilla's \"" + profile, said)
    assert "OK - Compliant." in said, said[-2000:]

    def suites(version: str) -> set[str]:
        return {each["cipher_suite"]["name"] for each in found[f"{version}_cipher_suites"]["accepted_cipher_suites"]}

    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert suites(old) == set()
    assert suites("tls_1_3") == {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
    assert len(suites("tls_1_2")) == (3 if profile == "intermediate" else 0)
    assert all(name.startswith("TLS_ECDHE_") for name in suites("tls_1_2"))
    assert sorted(each["name"] for each in found["elliptic_curves"]["supported_curves"]) == ["X25519", "secp256r1"]
    assert found["tls_compression"]["supports_compression"] is False
    assert found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert found["session_renegotiation"]["supports_secure_renegotiation"] is True
    assert found["session_resumption"]["tls_ticket_resumption_result"] == (
        "FULLY_SUPPORTED" if profile == "intermediate" else "SERVER_IS_TLS_1_3_ONLY"
    )
    assert found["tls_fallback_scsv"]["supports_fallback_scsv"] is True
    assert found["tls_extended_master_secret"]["supports_ems_extension"] is True
    assert found["heartbleed"]["is_vulnerable_to_heartbleed"] is False
    assert found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"] is False


# openssl s_client. ----------------------------------------------------------------------------------

WEAK = ("-cipher", "ALL:@SECLEVEL=0")


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1", "-tls1_2", "-tls1_3"])
def test_versions(town: Town, profile: str, version: str) -> None:
    """RFC 8996: TLS 1.0 and 1.1 are not spoken; RFC 9325 3.1.1."""
    weak = WEAK if version in ("-tls1", "-tls1_1") else ()
    spoken = {"intermediate": ("-tls1_2", "-tls1_3"), "modern": ("-tls1_3",)}[profile]
    said = town.s_client(profile, version, *weak)
    assert connected(said) is (version in spoken)
    if version not in spoken:
        assert "alert protocol version" in said


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("suite", [name for name in SUITES if "ECDSA" in name])
def test_each_suite_of_tls_1_2_is_spoken(town: Town, suite: str) -> None:
    assert f"Cipher is {suite}" in town.s_client("intermediate", "-tls1_2", "-cipher", suite)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(
    "suite", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-CCM8", "AECDH-AES128-SHA"]
)
def test_no_other_suite_is(town: Town, suite: str) -> None:
    """RFC 9325 4.1 and 4.2: no CBC, no short tags, nothing anonymous."""
    said = town.s_client("intermediate", "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert "alert handshake failure" in said


@pytest.mark.peer("openssl")
def test_the_client_chooses_among_suites_none_of_which_is_weak(town: Town) -> None:
    for first, second in ((SUITES[0], SUITES[4]), (SUITES[4], SUITES[0])):
        said = town.s_client("intermediate", "-tls1_2", "-cipher", f"{first}:{second}")
        assert f"Cipher is {first}" in said


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("groups", "accepted"),
    [
        ("P-256", True),
        ("X25519", True),
        ("P-384:P-256", True),
        ("P-384", False),
        ("P-521", False),
        ("ffdhe2048", False),
    ],
)
def test_groups(town: Town, profile: str, groups: str, accepted: bool) -> None:
    assert connected(town.s_client(profile, "-tls1_3", "-groups", groups)) is accepted


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(
    ("version", "algorithms", "accepted"),
    [
        ("-tls1_2", "ECDSA+SHA1", False),
        ("-tls1_2", "ECDSA+SHA256", True),
        ("-tls1_3", "ecdsa_secp256r1_sha256", True),
        ("-tls1_3", "rsa_pss_rsae_sha256", False),
    ],
)
def test_signature_algorithms(town: Town, version: str, algorithms: str, accepted: bool) -> None:
    """RFC 9155: SHA-1 signs no handshake."""
    level = ("-cipher", "DEFAULT:@SECLEVEL=0") if version == "-tls1_2" else ()
    said = town.s_client("intermediate", version, "-sigalgs", algorithms, *level)
    assert connected(said) is accepted


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_nothing_is_compressed(town: Town, version: str) -> None:
    """RFC 9325 3.3; CRIME."""
    assert "Compression: NONE" in town.s_client("intermediate", version, "-comp")


@pytest.mark.peer("openssl")
def test_nobody_renegotiates(town: Town) -> None:
    """RFC 9325 3.5; TLS 1.3 has none."""
    said = town.s_client("intermediate", "-tls1_2", typed="R\n")
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said
    assert "Secure Renegotiation IS supported" in said  # RFC 5746, so that nobody else can splice one in


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(("profile", "version"), [("intermediate", "-tls1_2"), ("modern", "-tls1_3")])
def test_tickets_do_not_live_for_a_day(town: Town, profile: str, version: str) -> None:
    """RFC 9325 3.4. A hub that says nothing hands out the tickets right after the handshake."""
    said = town.s_client(profile, version, "-ign_eof", typed="\x00\x00")
    hints = [int(each) for each in re.findall(r"ticket lifetime hint: (\d+)", said)]
    assert hints == [TICKET_LIFETIME] * len(hints)
    assert 1 <= len(hints) <= TICKETS
    assert max(hints) <= DAY


@pytest.mark.peer("openssl")
@pytest.mark.parametrize(("lifetime", "version"), [(600, "-tls1_2"), (600, "-tls1_3"), (0, "-tls1_2"), (0, "-tls1_3")])
def test_the_lifetime_of_tickets_is_the_configurations(tmp_path: Path, lifetime: int, version: str) -> None:
    """RFC 9325 3.4; with 0 there is no ticket and no session to resume."""
    with Hub(tmp_path, f"[tls]\nticket_lifetime = {lifetime}\n{CONFIG}") as hub:
        town, kept = Town(hub), str(tmp_path / "session.pem")
        said = town.s_client("intermediate", version, "-sess_out", kept, "-ign_eof", typed="\x00\x00")
        assert connected(said)
        hints = {int(each) for each in re.findall(r"ticket lifetime hint: (\d+)", said)}
        assert hints == ({lifetime} if lifetime else set())
        if Path(kept).exists():
            assert ("Reused" in town.s_client("intermediate", version, "-sess_in", kept)) is (lifetime > 0)


@pytest.mark.peer("openssl")
def test_a_session_is_resumed_at_its_own_listener_only(town: Town, tmp_path: Path) -> None:
    kept = str(tmp_path / "session.pem")
    assert connected(town.s_client("intermediate", "-tls1_2", "-sess_out", kept))
    assert "Reused, TLSv1.2" in town.s_client("intermediate", "-tls1_2", "-sess_in", kept)
    assert "Reused" not in town.s_client("modern", "-sess_in", kept)


@pytest.mark.peer("openssl")
@pytest.mark.parametrize("profile", PROFILES)
def test_early_data_is_not_accepted(town: Town, profile: str) -> None:
    """RFC 8446 8: it could be replayed."""
    said = town.s_client(profile, "-tls1_3", "-ign_eof", typed="\x00\x00")
    assert "Max Early Data: 0" in said


# Certificates at resumption. ------------------------------------------------------------------------

VERSIONS = {"intermediate": ssl.TLSVersion.TLSv1_2, "modern": ssl.TLSVersion.TLSv1_3}


class Device:
    """A device with a certificate, which connects and resumes."""

    def __init__(self, town: Town, folder: Path, profile: str) -> None:
        self.name = f"sensor-{profile}"
        self.address = ("127.0.0.1", int(town.addresses[profile].rpartition(":")[2]))
        self.data = town.hub.data
        identity = Identity(self.data)
        with identity.enrolling(Wanted(self.name, certificate=True)) as enrolled:
            assert enrolled.certificate is not None
            (folder / "device.pem").write_bytes(enrolled.certificate.certificate_pem + enrolled.certificate.key_pem)
        identity.close()
        self.context = town.hub.trust()
        self.context.minimum_version = self.context.maximum_version = VERSIONS[profile]
        self.context.load_cert_chain(folder / "device.pem")

    def connect(self, session: ssl.SSLSession | None = None) -> tuple[int, ssl.SSLSocket]:
        """CONNACK's reason code. Errors: OSError, when the hub refuses the handshake or ends the connection."""
        sock = socket.create_connection(self.address, timeout=PATIENCE)
        tls = self.context.wrap_socket(sock, server_hostname="localhost", session=session)
        tls.sendall(encode(Connect(5, True, 0, self.name), 5))
        octets = tls.recv(4096)
        if len(octets) < 4:
            raise ConnectionError("the hub closed the connection")
        return octets[3], tls

    def refused(self, session: ssl.SSLSession | None) -> bool:
        try:
            return self.connect(session)[0] >= 0x80
        except OSError:
            return True


@pytest.mark.parametrize("profile", PROFILES)
def test_a_revoked_certificate_gets_nowhere_by_resumption(town: Town, tmp_path: Path, profile: str) -> None:
    """RFC 9325 3.4 and 7.5, RFC 8446 4.6.1: a resumed session shows no certificate, so the record counts."""
    device = Device(town, tmp_path, profile)
    code, first = device.connect()
    assert code == 0
    session = first.session
    assert session is not None
    code, second = device.connect(session)
    assert (code, second.session_reused) == (0, True)
    identity = Identity(device.data)
    identity.remove_device(device.name)
    identity.close()
    # At once, while the tickets still open a handshake; and when the hub has made new ticket keys.
    count = len(town.hub.events("certificate.loaded"))
    assert device.refused(session)
    town.hub.await_event("certificate.loaded", count + 1)
    assert device.refused(session)
    assert device.refused(None)


def test_a_session_without_a_certificate_does_not_enter_where_one_is_required(tmp_path: Path) -> None:
    """Each listener has ticket keys of its own."""
    config = CONFIG + 'client_certificate = "required"\n'
    with Hub(tmp_path, config) as hub:
        town = Town(hub)
        context = hub.trust()
        port = {name: int(address.rpartition(":")[2]) for name, address in town.addresses.items()}
        with socket.create_connection(("127.0.0.1", port["intermediate"]), timeout=PATIENCE) as sock:
            tls = context.wrap_socket(sock, server_hostname="localhost")
            tls.sendall(encode(Connect(5, True, 0, "nobody"), 5))
            assert tls.recv(4096)[3] >= 0x80
            session = tls.session
        assert session is not None
        # In TLS 1.3 the client's handshake is over before the server has judged: the refusal comes with the first read.
        sock = socket.create_connection(("127.0.0.1", port["modern"]), timeout=PATIENCE)
        with pytest.raises(OSError, match=r"certificate required|EOF|reset"):
            enter(context, sock, session)
        sock.close()


def enter(context: ssl.SSLContext, sock: socket.socket, session: ssl.SSLSession) -> None:
    """Errors: OSError, which is what is asked for."""
    with context.wrap_socket(sock, server_hostname="localhost", session=session) as tls:
        tls.sendall(encode(Connect(5, True, 0, "nobody"), 5))
        pytest.fail(f"let in: {tls.recv(4096)!r}")


# Configuration and documentation. -------------------------------------------------------------------


@pytest.mark.peer("openssl")
def test_another_profile_comes_into_force_live(tmp_path: Path) -> None:
    """The listener keeps its address, and open connections stay."""
    with Hub(tmp_path, CONFIG) as hub:
        hub.enrol("sensor-8", "right-password-1")
        town = Town(hub)
        sock = socket.create_connection(("127.0.0.1", int(town.addresses["intermediate"].rpartition(":")[2])))
        context = hub.trust()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client = Client(context.wrap_socket(sock, server_hostname="localhost"), "sensor-8", "right-password-1")
        assert isinstance(client.receive(), Connack)
        assert connected(town.s_client("intermediate", "-tls1_2"))
        hub.reload('[tls]\nprofile = "modern"\n' + CONFIG)
        hub.await_event("node.reloaded")
        assert not connected(town.s_client("intermediate", "-tls1_2"))
        assert connected(town.s_client("intermediate", "-tls1_3"))
        client.send(Pingreq())
        assert isinstance(client.receive(), Pingresp)


def test_a_short_rsa_key_is_not_accepted(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(days=2))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    pem += key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "short.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for profile in PROFILES:
        harden_server(context, MODERN if profile == "modern" else INTERMEDIATE)
        with pytest.raises(ssl.SSLError, match="KEY_TOO_SMALL"):
            context.load_cert_chain(tmp_path / "short.pem")


def test_the_documentation_names_what_is_spoken() -> None:
    text = DOCS.read_text()
    assert set(re.findall(r"`(ECDHE-[A-Z0-9-]+)`", text)) == set(SUITES)
    assert set(re.findall(r"`(TLS_[A-Z0-9_]+)`", text)) == {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
    assert f"{TICKET_LIFETIME // 3600} hours" in text
