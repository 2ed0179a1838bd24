"""Fuzzes the SASL machines: a challenge or a failure comes out, nothing else, and nobody gets in.

The first octet of an input chooses the mechanism; the rest is cut at each %xFF into the client's messages.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz import harness

with harness.use_the_source():
    from bridgehead.security.sasl.contract import (
        Ask,
        Binding,
        Challenge,
        Failure,
        LookUpOtp,
        LookUpScram,
        OtpState,
    )
    from bridgehead.security.sasl.offer import MECHANISMS, Settings, make
    from bridgehead.security.sasl.verifiers import scram_record

NAMES = sorted(set(MECHANISMS) - {"GSSAPI", "EXTERNAL"})
BOUND = Binding(bytes(32), bytes(range(32)), protected=True)
RECORDS = {name: scram_record(name, "pencil-and-paper", bytes(16), 4096) for name in ("SCRAM-SHA-256", "SCRAM-SHA-512")}
STATE = OtpState("otp-sha1", 100, "ke1234", b"fuzzing!")
SETTINGS = Settings(bytes(32), lambda: 0.0)


def target(data: bytes) -> None:
    if not data:
        return
    name = NAMES[data[0] % len(NAMES)]
    machine = make(name, NAMES, BOUND, bytes(32), SETTINGS)
    messages = data[1:].split(b"\xff")
    step = machine.start(messages[0])
    for message in [*messages[1:], None]:
        while isinstance(step, Ask):
            question = step.question
            if isinstance(question, LookUpScram):
                step = machine.answer(RECORDS[question.mechanism])
            elif isinstance(question, LookUpOtp):
                step = machine.answer(STATE)
            else:
                step = machine.answer(None)
        if not isinstance(step, Challenge | Failure):
            raise AssertionError(f"{name} let somebody in: {step!r}")
        if message is None or isinstance(step, Failure):
            return
        step = machine.respond(message)


def seeds() -> list[bytes]:
    examples = {
        "PLAIN": b"\0sensor-7\0pencil",
        "OAUTHBEARER": b"n,a=sensor-7,\x01host=hub\x01auth=Bearer abc.def.ghi\x01\x01\xff\x01",
        "XOAUTH2": b"user=sensor-7\x01auth=Bearer abc\x01\x01\xff",
        "OTP": b"\0sensor-7\xffinit-hex:5bf075d9959d036f:md5 499 ke1235:3712dcb4aa5316c1",
        "NTLM": b"NTLMSSP\0\1\0\0\0\7\x82\x88\0" + bytes(16) + b"\xffNTLMSSP\0\3\0\0\0" + bytes(120),
        "SCRAM-SHA-256": b"n,a=sensor-7,n=sensor-7,r=abc\xffc=bixhPXNlbnNvci03LA==,r=abcAAAA,p=AAAA",
        "SCRAM-SHA-256-PLUS": b"p=tls-exporter,,n=sensor-7,r=abc\xffc=cD10bHM=,r=abcAAAA,p=AAAA",
    }
    return [bytes((NAMES.index(name),)) + octets for name, octets in examples.items()]


if __name__ == "__main__":
    harness.run("sasl", target, seeds())
