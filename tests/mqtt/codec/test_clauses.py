"""Every clause that a fault of the codec names exists."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from bridgehead.protocols.mqtt.codec.clauses import clause_in
from tests.mqtt.codec.faults import FAULTS

ROOT = Path(__file__).parent.parent.parent.parent
STATEMENTS = {
    row["clause"] for row in csv.DictReader((ROOT / "docs/conformance/mqtt-clauses.csv").open(encoding="utf-8"))
}
CITED = re.compile(r"MQTT3?-\d[\d.]*-\d+")


def test_cited_statements_exist() -> None:
    folder = ROOT / "src/bridgehead/protocols/mqtt"
    files = [*(folder / "codec").glob("*.py"), folder / "dissect.py"]
    cited = {name for file in files for name in CITED.findall(file.read_text(encoding="utf-8"))}
    assert len(cited) > 40
    assert cited <= STATEMENTS


def test_faults_of_mqtt_3_are_named_as_mqtt_3_numbers_them() -> None:
    for fault in FAULTS:
        for version in fault.versions:
            clause = clause_in(fault.clause, version)
            if clause.startswith(("MQTT-", "MQTT3-")):
                assert clause in STATEMENTS, (fault.name, clause)
            assert version == 5 or not clause.startswith(("MQTT-", "MQTT 5.0")), (fault.name, clause)
