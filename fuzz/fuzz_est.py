"""Fuzzes what EST's listener reads from strangers: HTTP, targets, bodies, credentials, PKCS #10 and OCSP requests.

The first octet of an input chooses the reader, for HTTP the second where the stream is cut.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from cryptography.x509 import ocsp

    from bridgehead.protocols.est.codec import body
    from bridgehead.protocols.est.codec import target as targets
    from bridgehead.protocols.est.config import EstConfig
    from bridgehead.security.errors import NotAcceptable
    from bridgehead.security.identity.enrolment import read_request
    from bridgehead.security.pki import open_authority
    from bridgehead.security.pki.ocsp import Responder
    from bridgehead.wire import http_basic
    from bridgehead.wire.errors import PeerError
    from bridgehead.wire.http import ANSWERING, HttpConnection

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-est-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
NOW = time.time()
PKI = open_authority(FOLDER / "data", NOW)
RESPONDER = Responder(PKI)
ISSUED = PKI.issue_device("sensor-7", NOW)


def http(parts: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    """The requests, however the stream is cut."""
    connection = HttpConnection(EstConfig(), 0.0)
    found: list[tuple[bytes, bytes, bytes]] = []
    for part in parts:
        if part:
            connection.receive(part, 0.0)
        while connection.state == ANSWERING:
            request = connection.request
            assert request is not None
            found.append((request.method, request.target, request.body))
            connection.respond(200, [], b"", 0.0)
    return found


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    octets = data[1:]
    kind = data[0] % 5
    if kind == 0:
        cut = octets[0] % len(octets)
        whole, parts = http([octets[1:]]), http([octets[1 : 1 + cut], octets[1 + cut :]])
        if whole != parts:
            raise AssertionError(f"cut at {cut}: {parts} instead of {whole}")
    elif kind == 1:
        targets.parse(octets)
        http_basic.basic(octets)
    elif kind == 2:
        try:
            body.decode(octets)
        except PeerError:
            return
    elif kind == 3:
        try:
            read_request(octets)
        except NotAcceptable:
            return
    else:
        ocsp.load_der_ocsp_response(RESPONDER.respond(octets, NOW))


def seeds() -> list[bytes]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    from bridgehead.security.pki import certificates

    csr = certificates.make_request(certificates.new_key()).public_bytes(Encoding.DER)
    asked = ocsp.OCSPRequestBuilder().add_certificate(ISSUED.certificate, PKI.authority, hashes.SHA256()).build()
    post = b"POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
    chunked = b"POST /ocsp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    return [
        b"\x00\x05" + post + post,
        b"\x00\x09" + chunked,
        b"\x01/ocsp/MAM%3D",
        b"\x01Basic c2Vuc29yLTc6dG9rZW4=",
        b"\x02" + body.encode(csr),
        b"\x03" + csr,
        b"\x04" + asked.public_bytes(Encoding.DER),
    ]


if __name__ == "__main__":
    harness.run("est", target, seeds())
