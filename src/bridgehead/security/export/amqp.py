"""AMQP: Python for Qpid Proton and JavaScript for rhea (1.0), Python for pika (0-9-1), with the certificate (SASL
EXTERNAL) or the password (SASL PLAIN inside TLS). Each checks the hub's certificate and its name."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote

from bridgehead.security.export.amqp_scripts import PIKA_SCRIPT, PROTON_SCRIPT, RHEA_SCRIPT
from bridgehead.security.export.files import AUTHORITY, CERTIFICATE, KEY, PASSWORD
from bridgehead.security.export.terms import EXAMPLE, Terms

PORT: Final = 5671
PROTON: Final = "proton_client.py"
RHEA: Final = "rhea_client.js"
PIKA: Final = "pika_client.py"
TOLD: Final = {
    PROTON: "sends one message and receives, by AMQP 1.0: python3 proton_client.py [SECONDS]",
    RHEA: "the same for Node.js: npm install rhea, then node rhea_client.js [SECONDS]",
    PIKA: "the same by AMQP 0-9-1: python3 pika_client.py [SECONDS]",
}
NAMES: Final = (
    "AMQP 1.0 calls a topic /topics/NAME, percent-encoded, slashes too. AMQP 0-9-1 calls it by a routing key of the\n"
    "exchange amq.topic, in which dots and slashes have changed places."
)
_SHORT: Final = 255  # octets of a routing key
_SWAPPED: Final = str.maketrans({".": "/", "/": "."})


def files(terms: Terms) -> dict[str, str]:
    """Scripts by their files' names."""
    return {PROTON: proton(terms), RHEA: rhea(terms), PIKA: pika(terms)}


def proton(terms: Terms) -> str:
    tls = ""
    password = ""
    if terms.certificate is not None:
        tls = f'        tls.set_credentials(str(FOLDER / "{CERTIFICATE}"), str(FOLDER / "{KEY}"), None)\n'
    if terms.password is not None:
        password = f"        options.update(user={terms.name!r}, password={_password()})\n"
    return PROTON_SCRIPT.format(
        name=terms.name,
        address=repr(_address(terms.topic)),
        source=repr(_address(terms.topic_filter)),
        authority=AUTHORITY,
        tls=tls,
        password=password,
        # Who has a certificate and a password shows both: TLS carries the one, SASL the other.
        mechanism="EXTERNAL" if terms.password is None else "PLAIN",
        url=repr(f"amqps://{terms.url_host()}:{terms.port}"),
        host=repr(terms.host),
        example=EXAMPLE,
        guarantee="AtLeastOnce" if terms.publish_qos else "AtMostOnce",
    )


def rhea(terms: Terms) -> str:
    lines: list[str] = []
    if terms.certificate is not None:
        lines += [f"cert: file('{CERTIFICATE}'),", f"key: file('{KEY}'),"]
    if terms.password is not None:
        read = f"file('{PASSWORD}').toString().replace(/\\n$/, '')"
        lines += [f"username: {json.dumps(terms.name)},", f"password: {read},"]
    else:
        lines.append("enable_sasl_external: true,")
    return RHEA_SCRIPT.format(
        name=terms.name,
        address=json.dumps(_address(terms.topic)),
        source=json.dumps(_address(terms.topic_filter)),
        host=json.dumps(terms.host),
        port=terms.port,
        authority=AUTHORITY,
        credentials="".join([f"    {line}\n" for line in lines]),
        example=EXAMPLE,
        settled=0 if terms.publish_qos else 1,
    )


def pika(terms: Terms) -> str:
    lines = ""
    if terms.certificate is not None:
        lines += f'tls.load_cert_chain(FOLDER / "{CERTIFICATE}", FOLDER / "{KEY}")\n'
    if terms.password is not None:
        lines += f"credentials = pika.PlainCredentials({terms.name!r}, {_password()})\n"
    else:
        lines += "credentials = pika.credentials.ExternalCredentials()\n"
    return PIKA_SCRIPT.format(
        name=terms.name,
        routing_key=repr(None if terms.topic is None else _fitting(routing_key(terms.topic))),
        binding_key=repr(None if terms.topic_filter is None else _fitting(binding_key(terms.topic_filter))),
        authority=AUTHORITY,
        credentials=lines,
        host=repr(terms.host),
        port=terms.port,
        mode=2 if terms.publish_qos else 1,
        example=EXAMPLE,
    )


def _password() -> str:
    return f'(FOLDER / "{PASSWORD}").read_text().rstrip("\\n")'


def _address(topic: str | None) -> str | None:
    return None if topic is None else address(topic)


def _fitting(key: str) -> str | None:
    """None for what is too long for a short string of 0-9-1: such a topic is out of its reach."""
    return key if len(key.encode()) <= _SHORT else None


# As protocols/amqp/mapping has them, which is not below this room; a test holds the two together.


def address(topic: str) -> str:
    """A Topic Name or Topic Filter as an address of AMQP 1.0: percent-encoded, reversibly."""
    return "/topics/" + quote(topic, safe="")


def routing_key(topic: str) -> str:
    """A Topic Name as a routing key of amq.topic."""
    return topic.translate(_SWAPPED)


def binding_key(topic_filter: str) -> str:
    """A Topic Filter as a binding key of amq.topic."""
    words: list[str] = []
    for level in topic_filter.split("/"):
        if level == "+":
            words.append("*")
        elif level == "*":
            words.append("%2A")
        elif level.endswith("%2A") and not level[:-3].replace("%25", ""):
            words.append("%25" + level)
        else:
            words.append(level.replace(".", "/"))
    return ".".join(words)
