"""The two documents of DDS Security 1.1: governance of the domain (9.4.1.2) and permissions of a participant (9.4.1.3).

Both say no more than they must: unauthenticated participants are kept out, everything on the wire is encrypted, and
what no rule allows is denied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from xml.sax.saxutils import escape

from bridgehead.security.dds.names import Expression

# Of 232, the last whose UDP ports exist (RTPS 2.3 section 9.6.1.1), Cyclone DDS 0.10 reads documents up to 230 only.
LAST_DOMAIN: Final = 230
_SCHEMA: Final = "http://www.omg.org/spec/DDS-SECURITY/20170901/omg_shared_ca_"
_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<dds xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="{schema}{kind}.xsd">\n'
)
Domains = tuple[int, int]  # from, to
EVERYWHERE: Final[Domains] = (0, LAST_DOMAIN)
ENCRYPT: Final = "encrypt"
SIGN: Final = "sign"

# metadata_protection_kind is not NONE, or Fast DDS (ROS 2) and Cyclone DDS do not find each other. rtps SIGN
# authenticates the headers that the other kinds leave alone.
_DOMAIN_RULE: Final = """\
    <domain_rule>
      {domains}
      <allow_unauthenticated_participants>false</allow_unauthenticated_participants>
      <enable_join_access_control>true</enable_join_access_control>
      <discovery_protection_kind>ENCRYPT</discovery_protection_kind>
      <liveliness_protection_kind>ENCRYPT</liveliness_protection_kind>
      <rtps_protection_kind>SIGN</rtps_protection_kind>
      <topic_access_rules>
        <topic_rule>
          <topic_expression>*</topic_expression>
          <enable_discovery_protection>true</enable_discovery_protection>
          <enable_liveliness_protection>true</enable_liveliness_protection>
          <enable_read_access_control>true</enable_read_access_control>
          <enable_write_access_control>true</enable_write_access_control>
          <metadata_protection_kind>{metadata}</metadata_protection_kind>
          <data_protection_kind>ENCRYPT</data_protection_kind>
        </topic_rule>
      </topic_access_rules>
    </domain_rule>
"""


class Rule:
    """What may (or, with `allow=False`, may not) be published or subscribed, in which domains."""

    def __init__(
        self,
        allow: bool,
        publish: Sequence[Expression],
        subscribe: Sequence[Expression],
        domains: Domains = EVERYWHERE,
    ) -> None:
        self.allow: Final = allow
        self.publish: Final = publish
        self.subscribe: Final = subscribe
        self.domains: Final = domains

    def __repr__(self) -> str:
        return f"Rule({self.allow}, {self.publish}, {self.subscribe}, {self.domains})"


def governance(metadata: Mapping[int, str] | None = None, usual: str = ENCRYPT) -> bytes:
    """The same for every participant: DDS wants it equal on all sides. `metadata`: domain -> ENCRYPT or SIGN, how
    submessages are protected there; `usual`: in all other domains. The first rule that names a domain holds."""
    rules = [
        _DOMAIN_RULE.format(domains=_domains((domain, domain)), metadata=kind.upper())
        for domain, kind in sorted((metadata or {}).items())
        if kind != usual
    ]
    rules.append(_DOMAIN_RULE.format(domains=_domains(EVERYWHERE), metadata=usual.upper()))
    head = _HEAD.format(schema=_SCHEMA, kind="governance")
    return f"{head}  <domain_access_rules>\n{''.join(rules)}  </domain_access_rules>\n</dds>\n".encode()


def permissions(name: str, rules: Sequence[Rule], not_before: float, not_after: float) -> bytes:
    """For the participant whose certificate's subject is `CN=name`. The first rule that fits decides, so denials
    should come first."""
    lines = [_HEAD.format(schema=_SCHEMA, kind="permissions").rstrip("\n")]
    lines += ["  <permissions>", f'    <grant name="{name}">', f"      <subject_name>CN={name}</subject_name>"]
    begin, end = _utc(not_before), _utc(not_after)
    lines.append(f"      <validity><not_before>{begin}</not_before><not_after>{end}</not_after></validity>")
    for rule in rules:
        if not rule.publish and not rule.subscribe:
            continue
        word = "allow_rule" if rule.allow else "deny_rule"
        lines += [f"      <{word}>", f"        {_domains(rule.domains)}"]
        for verb, expressions in (("publish", rule.publish), ("subscribe", rule.subscribe)):
            lines += [_criteria(verb, each) for each in dict.fromkeys(expressions)]
        lines.append(f"      </{word}>")
    lines += ["      <default>DENY</default>", "    </grant>", "  </permissions>", "</dds>"]
    return ("\n".join(lines) + "\n").encode()


def _criteria(verb: str, expression: Expression) -> str:
    """Without <partitions> the default partition is meant (9.4.1.3.2.3.3)."""
    partitions = ""
    if expression.partition:
        partitions = f"<partitions><partition>{escape(expression.partition)}</partition></partitions>"
    return f"        <{verb}><topics><topic>{escape(expression.topic)}</topic></topics>{partitions}</{verb}>"


def _domains(domains: Domains) -> str:
    if domains[0] == domains[1]:
        return f"<domains><id>{domains[0]}</id></domains>"
    return f"<domains><id_range><min>{domains[0]}</min><max>{domains[1]}</max></id_range></domains>"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")
