"""Fuzzes what is read of DTLS before GnuTLS sees it, and what stays of it afterwards: records and who they are for.

The first octet of an input chooses the path; the rest is cut at each %xFF%xFF into datagrams.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.wire.dtls.cookie import Cookies
    from bridgehead.wire.dtls.hello import is_client_hello, read_client_hello
    from bridgehead.wire.dtls.table import Associations
    from bridgehead.wire.errors import PeerError
    from tests.wire.dtls.parts import hello, pair, protection

COOKIES = Cookies(bytes(32), 30.0)


def target(data: bytes) -> None:
    if not data:
        return
    sent: list[bytes] = []
    table = Associations(lambda path, datagram: sent.append(datagram), 2)
    plain, plain_peer, plain_told, _ = pair()
    named, named_peer, named_told, _ = pair("gcm", b"\x01\x02")
    named.path = b"elsewhere"
    for association in (plain, named):
        association.flight = (b"flight",)
        table.add(association, 0.0)
    path = (b"first", b"elsewhere", b"nowhere")[data[0] % 3]
    for datagram in data[1:].split(b"\xff\xff"):
        if table.receive(path, datagram, 1.0):
            continue
        if is_client_hello(datagram):
            try:
                read = read_client_hello(datagram)
            except PeerError:
                continue
            request = COOKIES.request(path, read, 1.0)
            assert len(request) < len(datagram), "no more octets go to an address that is not proven than came"
            assert COOKIES.verify(path, read, 1.0) is False or len(read.cookie) == 20
        else:
            at = table.at(path)
            if at is not None:
                table.opened(at, path, datagram, 1.0)
    # Nothing without a key was taken for genuine, so both go on.
    assert plain_told.data == []
    assert named_told.data == []
    assert plain.ended == named.ended == ""
    assert len(sent) <= 64
    assert plain.open(plain_peer.seal(b"still here")) == [b"still here"]
    assert named.open(named_peer.seal(b"still here")) == [b"still here"]


def seeds() -> list[bytes]:
    # Sealed by keys that nobody has here: no mutation of them is genuine.
    forged = protection("ccm-8", 99).seal(23, 1 << 48, b"some data")
    forged_name = protection("gcm", 99, b"\x01\x02").seal(23, 1 << 48, b"some data")
    hellos = hello(extensions=[(19, b"\x01\x02"), (20, b"\x02\x00\x02"), (54, b"\x03abc"), (10, b"\x00\x02\x00\x17")])
    change = b"\x14\xfe\xfd" + bytes(8) + b"\x00\x01\x01"
    return [
        b"\x00" + forged,
        b"\x01" + forged_name,
        b"\x02" + hellos,
        b"\x00" + change + forged,
        b"\x00" + change + b"\xff\xff" + change,
        b"\x02" + hello(cookie=bytes(20)),
    ]


if __name__ == "__main__":
    harness.run("dtls", target, seeds())
