"""A participant of its own process: `python -m tests.dds.security.peer ORDER`, ORDER being JSON as peers.py makes it.

Says line by line what happens, until its standard input ends. (No annotations of the future: the binding reads them.)
"""

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication, DcpsEndpoint
from cyclonedds.core import DDSException, Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import IdlStruct, annotations, make_idl_enum, make_idl_struct
from cyclonedds.pub import DataWriter, Publisher
from cyclonedds.sub import DataReader, Subscriber
from cyclonedds.topic import Topic

types: Any = import_module("cyclonedds.idl.types")
LOG_TOPIC = "DDS/Security/LogTopic"
NETWORK = (
    '<General><Interfaces><NetworkInterface name="lo" multicast="false"/></Interfaces>'
    "<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    '<MaxAutoParticipantIndex>30</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers></Discovery>'
    "<Tracing><Category>warning</Category><OutputFile>stdout</OutputFile></Tracing>"
)
PROPERTIES = {
    "identity_ca": "dds.sec.auth.identity_ca",
    "certificate": "dds.sec.auth.identity_certificate",
    "key": "dds.sec.auth.private_key",
    "permissions_ca": "dds.sec.access.permissions_ca",
    "governance": "dds.sec.access.governance",
    "permissions": "dds.sec.access.permissions",
    "crl": "org.eclipse.cyclonedds.sec.auth.crl",
}
PLUGINS = {
    "auth": ("dds_security_auth", "authentication"),
    "access": ("dds_security_ac", "access_control"),
    "crypto": ("dds_security_crypto", "crypto"),
}
PERIOD = 0.1


@dataclass
class Reading(IdlStruct, typename="Office.SecretReading"):
    text: str


def logging_type() -> Any:
    """DDS Security 1.1 section 9.6, the map as its pairs."""

    def structure(name: str, members: dict[str, Any]) -> Any:
        return annotations.final(make_idl_struct(name, f"DDSSecurity.{name}", members))

    words = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
    levels = {f"{word}_LEVEL": number for number, word in enumerate(words)}
    level = make_idl_enum("LoggingLevel", "DDSSecurity.LoggingLevel", levels)
    pair = structure("NameValuePair", {"name": str, "value": str})
    members = {
        "facility": types.uint8,
        "severity": level,
        "timestamp": structure("Time_t", {"sec": types.int32, "nanosec": types.uint32}),
        **dict.fromkeys(("hostname", "hostip", "appname", "procid", "msgid", "message"), str),
        "structured_data": types.sequence[structure("StructuredElement", {"key": str, "value": types.sequence[pair]})],
    }
    return structure("BuiltinLoggingTypeV2", members)


def told(sample: Any) -> str:
    if isinstance(sample, Reading):
        return sample.text
    if not hasattr(sample, "structured_data"):
        return ""  # an instance without writers
    pairs = " ".join(f"{pair.name}={pair.value}" for each in sample.structured_data for pair in each.value)
    head = f"{sample.facility} {sample.severity.name} {sample.appname} {sample.msgid}"
    return f"{head} {sample.message!r} {pairs}"


def security(files: dict[str, str], plugins: dict[str, str]) -> Sequence[object]:
    found = [Policy.Property(PROPERTIES[name], f"file:{path}") for name, path in files.items()]
    for name, (path, word) in PLUGINS.items():
        at = f"dds.sec.{name}.library"
        found.append(Policy.Property(f"{at}.path", plugins.get(name, path)))
        found.append(Policy.Property(f"{at}.init", f"init_{word}"))
        found.append(Policy.Property(f"{at}.finalize", f"finalize_{word}"))
    found.append(Policy.Property("dds.sec.auth.password", ""))
    return found


def until_told(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    order = json.loads(sys.argv[1])
    number = order["domain"]
    domain = Domain(number, f'<CycloneDDS><Domain Id="any">{NETWORK}</Domain></CycloneDDS>')
    try:
        properties = security(order["files"], order["plugins"]) if order["files"] else []
        participant = DomainParticipant(number, qos=Qos(*properties))
    except DDSException:
        print("refused participant", flush=True)
        return
    print(f"is {participant.guid}", flush=True)
    writers: list[Any] = []
    readers: list[Any] = []
    for word in ("writers", "readers"):
        for name, partition in order[word]:
            kind = logging_type() if name == LOG_TOPIC else Reading
            qos = Qos(Policy.Reliability.Reliable(10**9), Policy.History.KeepLast(100), Policy.Partition([partition]))
            if name == LOG_TOPIC:
                qos = Qos(Policy.Durability.TransientLocal, base=qos)
            try:
                topic = Topic(participant, name, kind)
                if word == "writers":
                    writers.append(DataWriter(Publisher(participant, qos), topic, qos))
                else:
                    readers.append(DataReader(Subscriber(participant, qos), topic, qos))
            except DDSException:
                print(f"refused {word} {name}", flush=True)
    discovered = BuiltinDataReader(participant, BuiltinTopicDcpsPublication)
    ended = threading.Event()
    threading.Thread(target=until_told, args=[ended], daemon=True).start()
    print("ready", flush=True)
    while not ended.is_set():
        for writer in writers:
            writer.write(Reading(order["text"]))
        for reader in readers:
            for sample in reader.take(100):
                if text := told(sample):
                    print(f"got {reader.topic.name} {text}", flush=True)
        for found in discovered.take(100):
            if isinstance(found, DcpsEndpoint):
                print(f"writer {found.participant_key} {found.topic_name}", flush=True)
        time.sleep(PERIOD)
    del participant, domain


if __name__ == "__main__":
    main()
