"""DDS: a participant with security plug-ins, configured for Cyclone DDS, and a client in C."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from bridgehead.security.dds.documents import Rule
from bridgehead.security.dds.grants import Grants
from bridgehead.security.dds.names import ANY, Expression
from bridgehead.security.export.participant import (
    GOVERNANCE,
    IDENTITY,
    IDENTITY_CA,
    PERMISSIONS,
    PERMISSIONS_CA,
    PRIVATE,
    REVOKED,
)
from bridgehead.security.export.terms import EXAMPLE, Terms

TOLD: Final = {
    IDENTITY: "the participant's identity",
    PRIVATE: "its private key",
    IDENTITY_CA: "who vouches for identities",
    PERMISSIONS_CA: "who signs governance and permissions: one certificate, which is no authority",
    GOVERNANCE: "what is protected, signed: the same for every participant of the domain",
    PERMISSIONS: "what it may publish and subscribe, signed; permissions.xml is the same to read",
    REVOKED: "which identities are revoked",
    "cyclonedds.xml": "configuration of Cyclone DDS",
    "environment.sh": "to be read by a shell in this folder: . ./environment.sh",
    "dds_client.c": "publishes or receives octets: sh dds_client.sh publish|subscribe [DOMAIN [SECONDS]]",
}
NEEDED: Final = (
    "Needs Cyclone DDS with its security plug-ins (Debian: cyclonedds-dev and cyclonedds-tools), which\n"
    "PyPI's wheels do not have. The same permissions are right in the domains 0 to 230."
)

_CYCLONE: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<CycloneDDS xmlns="https://cdds.io/config">
  <Domain Id="any">
    <Security>
      <Authentication>
        <Library path="dds_security_auth" initFunction="init_authentication"
                 finalizeFunction="finalize_authentication"/>
        <IdentityCA>file:${{BRIDGEHEAD_DDS:-.}}/{identity_ca}</IdentityCA>
        <IdentityCertificate>file:${{BRIDGEHEAD_DDS:-.}}/{identity}</IdentityCertificate>
        <PrivateKey>file:${{BRIDGEHEAD_DDS:-.}}/{private}</PrivateKey>
        <CRL>file:${{BRIDGEHEAD_DDS:-.}}/{revoked}</CRL>
      </Authentication>
      <AccessControl>
        <Library path="dds_security_ac" initFunction="init_access_control" finalizeFunction="finalize_access_control"/>
        <PermissionsCA>file:${{BRIDGEHEAD_DDS:-.}}/{permissions_ca}</PermissionsCA>
        <Governance>file:${{BRIDGEHEAD_DDS:-.}}/{governance}</Governance>
        <Permissions>file:${{BRIDGEHEAD_DDS:-.}}/{permissions}</Permissions>
      </AccessControl>
      <Cryptographic>
        <Library path="dds_security_crypto" initFunction="init_crypto" finalizeFunction="finalize_crypto"/>
      </Cryptographic>
    </Security>
  </Domain>
</CycloneDDS>
"""

_ENVIRONMENT: Final = """\
# In this folder: . ./environment.sh
export BRIDGEHEAD_DDS="$PWD"
export CYCLONEDDS_URI="file://$PWD/cyclonedds.xml"
"""

_IDL: Final = """\
// One octet sequence: what MQTT calls the payload.
module Bridgehead {
  @final
  struct Message {
    sequence<octet> payload;
  };
};
"""

_CLIENT: Final = """\
/* A participant as {name}. Built and run in this folder by: sh dds_client.sh publish|subscribe [DOMAIN [SECONDS]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dds/dds.h"
#include "bridgehead.h"

static dds_entity_t checked(dds_entity_t entity, const char *what)
{{
    if (entity < 0) {{
        printf("%s refused: %s\\n", what, dds_strretcode(entity));
        exit(1);
    }}
    return entity;
}}

int main(int argc, char **argv)
{{
    const int publishes = argc > 1 && strcmp(argv[1], "publish") == 0;
    const int domain = argc > 2 ? atoi(argv[2]) : publishes ? {publish_domain} : {subscribe_domain};
    const double seconds = argc > 3 ? atof(argv[3]) : 5.0;
    const char *topic_name = argc > 4 ? argv[4] : publishes ? {publish_topic} : {subscribe_topic};
    const char *partition = argc > 5 ? argv[5] : publishes ? {publish_partition} : {subscribe_partition};
    dds_entity_t participant =
        checked(dds_create_participant((dds_domainid_t)domain, NULL, NULL), "the participant is");
    dds_qos_t *qos = dds_create_qos();
    dds_qset_reliability(qos, DDS_RELIABILITY_RELIABLE, DDS_SECS(1));
    dds_qset_durability(qos, DDS_DURABILITY_TRANSIENT_LOCAL);
    if (partition[0] != 0)
        dds_qset_partition1(qos, partition);
    dds_entity_t topic =
        checked(dds_create_topic(participant, &Bridgehead_Message_desc, topic_name, NULL, NULL), "the topic is");
    if (publishes) {{
        dds_entity_t publisher = checked(dds_create_publisher(participant, qos, NULL), "the publisher is");
        dds_entity_t writer = checked(dds_create_writer(publisher, topic, qos, NULL), "the writer is");
        uint8_t text[] = "{example}";
        Bridgehead_Message message = {{.payload = {{._length = sizeof text - 1, ._buffer = text}}}};
        dds_write(writer, &message);
        printf("published to %s\\n", topic_name);
        fflush(stdout);
        dds_sleepfor((dds_duration_t)(seconds * 1e9));
    }} else {{
        dds_entity_t subscriber = checked(dds_create_subscriber(participant, qos, NULL), "the subscriber is");
        dds_entity_t reader = checked(dds_create_reader(subscriber, topic, qos, NULL), "the reader is");
        dds_entity_t waiting = dds_create_waitset(participant);
        dds_waitset_attach(waiting, dds_create_readcondition(reader, DDS_ANY_STATE), 0);
        printf("subscribed to %s\\n", topic_name);
        fflush(stdout);
        dds_time_t end = dds_time() + (dds_time_t)(seconds * 1e9);
        while (dds_time() < end) {{
            void *sample = NULL;
            dds_sample_info_t about;
            dds_waitset_wait_until(waiting, NULL, 0, end);
            while (dds_take(reader, &sample, &about, 1, 1) > 0) {{
                Bridgehead_Message *message = sample;
                if (about.valid_data) {{
                    printf("received %.*s\\n", (int)message->payload._length, (char *)message->payload._buffer);
                    fflush(stdout);
                }}
                dds_return_loan(reader, &sample, 1);
                sample = NULL;
            }}
        }}
    }}
    dds_delete_qos(qos);
    dds_delete(participant);
    return 0;
}}
"""

_BUILD: Final = """\
#!/bin/sh
# sh dds_client.sh publish|subscribe [DOMAIN [SECONDS]]
set -e
cd -- "$(dirname -- "$0")"
if [ ! -x dds_client ]; then
    idlc bridgehead.idl
    "${CC:-cc}" -I. -o dds_client dds_client.c bridgehead.c -lddsc
fi
[ -n "$CYCLONEDDS_URI" ] || . ./environment.sh
exec ./dds_client "$@"
"""


def files(terms: Terms, granted: Grants) -> dict[str, str]:
    """All but what is signed."""
    published, publish_domain = _example(granted, True)
    subscribed, subscribe_domain = _example(granted, False)
    cyclone = _CYCLONE.format(
        identity_ca=IDENTITY_CA,
        identity=IDENTITY,
        private=PRIVATE,
        revoked=REVOKED,
        permissions_ca=PERMISSIONS_CA,
        governance=GOVERNANCE,
        permissions=PERMISSIONS,
    )
    client = _CLIENT.format(
        name=terms.name,
        publish_topic=json.dumps(published.topic),
        publish_partition=json.dumps(published.partition),
        subscribe_topic=json.dumps(subscribed.topic),
        subscribe_partition=json.dumps(subscribed.partition),
        publish_domain=publish_domain,
        subscribe_domain=subscribe_domain,
        example=EXAMPLE,
    )
    return {
        "cyclonedds.xml": cyclone,
        "environment.sh": _ENVIRONMENT,
        "bridgehead.idl": _IDL,
        "dds_client.c": client,
        "dds_client.sh": _BUILD,
    }


def _example(granted: Grants, publish: bool) -> tuple[Expression, int]:
    """A topic and a partition that the permissions allow, and a domain where they do; called Nothing where they allow
    none."""
    for rule in granted.rules:
        domain = rule.domains[0]
        for each in _of(rule, publish) if rule.allow else ():
            found = Expression(each.topic.replace(ANY, "test"), each.partition.replace(ANY, "test"))
            if _is_allowed(granted, publish, found, domain):
                return found, domain
    return Expression("Nothing", "Nothing"), 0


def _is_allowed(granted: Grants, publish: bool, one: Expression, domain: int) -> bool:
    """As participants judge it: by the first rule that fits."""
    for rule in granted.rules:
        reaches = rule.domains[0] <= domain <= rule.domains[1]
        if reaches and any(_covers(each, one) for each in _of(rule, publish)):
            return rule.allow
    return False


def _covers(expression: Expression, one: Expression) -> bool:
    return fnmatchcase(one.topic, expression.topic) and fnmatchcase(one.partition, expression.partition)


def _of(rule: Rule, publish: bool) -> Sequence[Expression]:
    return rule.publish if publish else rule.subscribe
