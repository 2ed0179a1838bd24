"""Where `pub` and `sub` find CoAP, and as whom: from the options to the credentials of a client."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Final

from bridgehead.cli.client_options import read_secret, usage
from bridgehead.cli.coap_options import CERTIFICATE, FORMS, KINDS, OSCORE, PSK, RAW_KEY, Given
from bridgehead.protocols.coap.client.client import Security
from bridgehead.protocols.coap.client.oscore import ClientContext
from bridgehead.protocols.coap.codec.uri import Uri, parse_uri
from bridgehead.protocols.mqtt.client.target import Bundle, TargetError, tls_context
from bridgehead.security.errors import SecurityError
from bridgehead.security.oscore.folder import OscoreFolder
from bridgehead.transport.dtls.contract import DtlsIdentity
from bridgehead.wire.errors import PeerError

_SECURED: Final = ("coaps", "coaps+tcp", "coaps+ws")


class CoapIdentity:
    """Where to ask, and as whom. Keys are never shown. `is_resource`: the URL names a resource and not only a hub."""

    def __init__(self, uri: Uri, security: Security, oscore: OscoreFolder | None = None) -> None:
        self.uri: Final = uri
        self.security: Final = security
        self._oscore: Final = oscore

    def close(self) -> None:
        """Another program may use the OSCORE context from now on. Errors: SecurityError."""
        if self._oscore is not None:
            self._oscore.close()

    @property
    def is_resource(self) -> bool:
        return bool(self.uri.path or self.uri.query)


def coap_identity(url: str, given: Given) -> CoapIdentity:
    """Check the options and read the files. Raises CommandError with exit code 2."""
    try:
        uri = parse_uri(url)
    except PeerError as fault:
        raise usage(f"{fault.text}; it is {FORMS}") from None
    if given.credential is not None and given.credential not in (*KINDS, OSCORE):
        raise usage(f"--credential is one of {', '.join((*KINDS, OSCORE))}, not {given.credential!r}")
    if given.credential is not None and given.bundle is None:
        raise usage("--credential chooses from --bundle FOLDER: give that too")
    context = _oscore(given, uri)
    who = _connection(uri, given)
    if context is None:
        return who
    security = Security(
        who.security.tls,
        who.security.dtls,
        ClientContext(
            context.sender_id, context.recipient_id, context.id_context, context.secret, context.next_sequence
        ),
    )
    return CoapIdentity(uri, security, context)


def _oscore(given: Given, uri: Uri) -> OscoreFolder | None:
    """What is left in `given` is for the connection."""
    folder, given.oscore = given.oscore, None
    if folder is None and given.credential == OSCORE and given.bundle is not None:
        folder, given.credential = given.bundle / "oscore", None
        if uri.scheme not in _SECURED:
            given.bundle = None
    if folder is None:
        return None
    if not folder.is_dir():
        raise usage(
            f"{folder} is no folder with an OSCORE context: `bridgehead device export NAME --for coap --credential "
            "oscore` writes one"
        )
    try:
        return OscoreFolder(folder)
    except SecurityError as fault:
        raise usage(str(fault)) from None


def _connection(uri: Uri, given: Given) -> CoapIdentity:
    if uri.scheme not in _SECURED:
        secret = given.any_of_coap() or ("--cert" if given.certificate else "--ca" if given.ca else "")
        secured = uri.scheme.replace("coap", "coaps", 1)
        if secret:
            raise usage(f"{secret} needs DTLS or TLS: use {secured}:// instead")
        if given.bundle is not None:
            raise usage(
                f"over {uri.scheme}:// a bundle serves for --credential oscore alone: give that, or use {secured}://"
            )
        return CoapIdentity(uri, Security())
    try:
        if uri.scheme == "coaps":
            return CoapIdentity(uri, Security(dtls=_dtls(given)))
        return CoapIdentity(uri, Security(tls=_tls(given)))
    except TargetError as fault:
        raise usage(str(fault)) from None


def _tls(given: Given) -> ssl.SSLContext:
    """For streams: certificates alone prove who a client is there."""
    for option, value in (("--psk-identity", given.psk_identity), ("--raw-key", given.raw_key)):
        if value is not None:
            raise TargetError(f"{option} is for coaps:// (DTLS): over TCP and WebSocket give --cert and --key")
    ca, certificate, key = given.ca, given.certificate, given.key
    if given.bundle is not None:
        found = Bundle(given.bundle)
        ca = ca or found.ca
        if certificate is None:
            certificate, key = found.certificate, key or found.key
        if certificate is None:
            raise TargetError(
                f"--bundle {given.bundle} holds no certificate: over TCP and WebSocket nothing else serves"
            )
    return tls_context(ca, certificate, key)


def _dtls(given: Given) -> DtlsIdentity:
    ca, certificate, key, raw_key = given.ca, given.certificate, given.key, given.raw_key
    psk = _pre_shared_key(given)
    if [certificate is not None, raw_key is not None, psk is not None].count(True) > 1:
        raise TargetError("give one of --cert, --psk-identity and --raw-key: a client shows one credential")
    if given.bundle is not None:
        found = Bundle(given.bundle)
        ca = ca or found.ca
        if certificate is None and raw_key is None and psk is None:
            certificate, key, psk, raw_key = _from_bundle(found, given.credential)
    if psk is not None:
        return DtlsIdentity(psk_identity=psk[0], psk_key=psk[1])
    trust = _read("--ca", ca) if ca is not None else _system_trust()
    server_keys = () if given.server_key is None else (_public_key(given.server_key),)
    if raw_key is not None:
        return DtlsIdentity(raw_key=_private_block(raw_key), trust=trust, peer_raw_keys=server_keys)
    if certificate is None:
        raise TargetError(
            "coaps:// asks who you are: give --psk-identity NAME with --psk-file FILE, --cert with --key, --raw-key, "
            "or --bundle FOLDER"
        )
    chain = _read("--cert", certificate)
    if key is None and "PRIVATE KEY-----" not in chain:
        raise TargetError(f"--cert {certificate} holds a certificate without its private key: give --key FILE too")
    own = chain if key is None else _read("--key", key)
    return DtlsIdentity(certificate=chain, key=own, trust=trust, peer_raw_keys=server_keys)


def _pre_shared_key(given: Given) -> tuple[bytes, bytes] | None:
    if given.psk_identity is None and given.psk_file is None:
        return None
    if given.psk_identity is None or given.psk_file is None:
        raise TargetError("a pre-shared key has an identity: give both --psk-identity NAME and --psk-file FILE")
    octets = read_secret(given.psk_file, "--psk-file", "pre-shared key")
    if octets.startswith(b"hex:"):
        try:
            octets = bytes.fromhex(octets[4:].decode("ascii"))
        except ValueError:
            raise TargetError(f"--psk-file {given.psk_file}: what follows hex: is not hexadecimal") from None
    return given.psk_identity.encode(), octets


Found = tuple[Path | None, Path | None, tuple[bytes, bytes] | None, Path | None]


def _from_bundle(bundle: Bundle, credential: str | None) -> Found:
    """Certificate, its key, pre-shared key, raw key: the one of them to use."""
    raw_key = bundle.find("raw-key.pem")
    psk = _bundled_psk(bundle)
    held = {CERTIFICATE: bundle.certificate is not None, PSK: psk is not None, RAW_KEY: raw_key is not None}
    chosen = credential or next((kind for kind in KINDS if held[kind]), "")
    if not chosen or not held[chosen]:
        what = f"no {chosen}" if chosen else "no certificate, no pre-shared key and no raw key"
        raise TargetError(
            f"--bundle {bundle.folder} holds {what}: `bridgehead device export NAME --for coap` makes one"
        )
    if chosen == CERTIFICATE:
        return bundle.certificate, bundle.key, None, None
    return (None, None, psk, None) if chosen == PSK else (None, None, None, raw_key)


def _bundled_psk(bundle: Bundle) -> tuple[bytes, bytes] | None:
    """From what `device add --out` writes, or what `device export --for coap` does."""
    file = bundle.find("secrets.json") or bundle.find("aiocoap.json")
    if file is None:
        return None
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        if file.name == "secrets.json":
            psk = told.get("psk")
            return None if psk is None else (psk["identity"].encode(), bytes.fromhex(psk["key"]))
        found = [entry["dtls"] for entry in told.values() if "dtls" in entry]
        if not found:
            return None
        return bytes.fromhex(found[0]["client-identity"]["hex"]), bytes.fromhex(found[0]["psk"]["hex"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise TargetError(f"{file} cannot be read: make the bundle anew") from None


def _read(option: str, file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except OSError as fault:
        raise TargetError(f"{option} {file} cannot be read: {(fault.strerror or '').lower()}") from None
    except UnicodeDecodeError:
        raise TargetError(f"{option} {file} is not PEM") from None


def _private_block(file: Path) -> str:
    """The private key alone: libcoap wants the public half in front of it."""
    text = _read("--raw-key", file)
    begin = text.rfind("-----BEGIN", 0, text.find("PRIVATE KEY-----") + 1)
    if begin < 0:
        raise TargetError(f"--raw-key {file} holds no private key in PEM")
    return text[begin:]


def _public_key(file: Path) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        key = load_pem_public_key(_read("--server-key", file).encode())
    except ValueError:
        raise TargetError(f"--server-key {file} holds no public key in PEM") from None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _system_trust() -> str:
    """The system's authorities, in PEM; "" where they are not in one file."""
    file = ssl.get_default_verify_paths().cafile
    return _read("--ca", Path(file)) if file and Path(file).is_file() else ""
