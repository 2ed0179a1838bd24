"""Other makers' clients of AMQP 1.0 over TLS: a topic, a queue, and what each does in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.amqp.whole.office import SENSOR, Office

CONFIG = """
[amqp]
create_queues = true
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Attaching to a queue makes it: not every client can declare one."""
    with Office(tmp_path_factory.mktemp("clients"), CONFIG) as made:
        yield made


@pytest.mark.parametrize("node", ["/topics/" + quote("Office/uamqp", safe=""), "/queues/uamqp"])
def test_uamqp(house: Office, node: str) -> None:
    """It writes a whole URI as its address (AMQP's draft of addressing)."""
    assert house.python("uamqp_use.py", "amqps://localhost" + node).lines() == [["one of uamqp", "two of uamqp"]]


@pytest.mark.parametrize("node", ["/topics/" + quote("Office/azure", safe=""), "Office/azure", "/queues/azure"])
def test_azures_pyamqp(house: Office, node: str) -> None:
    assert house.python("azure_use.py", node).lines() == [["one of Azure", "two of Azure"]]


def test_rabbitmqs_own_client_for_python(house: Office) -> None:
    published, consumed = house.python("rabbitmq_client_use.py", "of rabbitmq's client").lines()
    assert len(published["published"]) == 2
    assert all(state in ("ACCEPTED", "36") for state in published["published"])  # 0x24 (3.4.2)
    assert consumed == {"consumed": ["one", "two"]}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_proton_without_tls_where_that_was_asked_for(house: Office, mechanism: str) -> None:
    found = house.python("proton_login.py", mechanism, "Office/proton", "plain").lines()
    assert found == [{"mechanism": mechanism, "heard": "said by Proton"}]


def test_proton_where_the_policy_says_no(house: Office) -> None:
    found = house.python("proton_login.py", "PLAIN", "Kitchen/proton", name=SENSOR).lines()
    assert "amqp:unauthorized-access" in found[0]["refused"]


@pytest.mark.peer("node")
@pytest.mark.clause("AMQPWS-2.1")
@pytest.mark.parametrize("how", ["ws", "ws-plain"])
def test_rhea_over_websocket(house: Office, how: str) -> None:
    assert house.rhea("rhea_login.js", "PLAIN", "Office/rhea", how).lines() == [{"heard": "said by rhea"}]


def test_pika_by_password_and_certificate(house: Office) -> None:
    found = house.python("pika_login.py", "PLAIN").lines()[0]
    assert found["heard"] == "said by pika"
    assert {"PLAIN", "AMQPLAIN"} <= set(found["offered"][0].split())
    for how in ("EXTERNAL", "AMQPLAIN"):
        assert house.python("pika_login.py", how).lines()[0]["heard"] == "said by pika"


@pytest.mark.clause("AMQP091-connection.start")
@pytest.mark.parametrize("how", ["RABBIT-CR-DEMO", "AUTHZID"])
def test_pika_as_no_mechanism_of_ours_and_as_somebody_else(house: Office, how: str) -> None:
    found = house.python("pika_login.py", how).lines()[0]
    assert found["refused"] == "ProbableAuthenticationError"
    offered = found["offered"][0].split()
    assert not {"RABBIT-CR-DEMO", "ANONYMOUS", "EXTERNAL"} & set(offered)
