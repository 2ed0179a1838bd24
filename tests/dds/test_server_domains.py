"""Domains that can't be joined say why, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridgehead.protocols.dds import binding, cyclone, participant
from bridgehead.protocols.dds.config import SECURED, DomainConfig
from bridgehead.protocols.dds.configuration import domain_xml
from bridgehead.protocols.dds.cyclone import DdsError
from bridgehead.protocols.dds.participant import Domain, Participant
from bridgehead.security.dds import guard
from tests.dds.keyed import KEYED
from tests.dds.rim import OCTETS, joined, loopback


@pytest.mark.clause("RTPS-9.6.1.1")
@pytest.mark.parametrize("number", [-1, 231, 300, 2**31])
def test_a_domain_out_of_range(number: int) -> None:
    with pytest.raises(DdsError, match="out of range: choose one of 0 to 230"):
        Domain(loopback(number), OCTETS)


def test_a_domain_is_open_once(domain: int) -> None:
    with joined(domain) as opened:
        Participant(opened, None).close()
        with pytest.raises(DdsError, match="open in this process already"):
            Domain(loopback(domain), OCTETS)
    with joined(domain):
        pass  # closed means closed


def test_an_interface_that_is_not_there(domain: int) -> None:
    config = DomainConfig(domain, "none", interfaces=("nosuch0",))
    with pytest.raises(DdsError, match=r"check `interfaces` and `peers`.*\)$"):
        Domain(config, OCTETS)


def test_a_secured_domain_without_documents(domain: int) -> None:
    opened = Domain(loopback(domain, SECURED), OCTETS)
    try:
        with pytest.raises(DdsError, match="no documents for it yet"):
            Participant(opened, None)
    finally:
        opened.close()


def test_here_nothing_is_missing() -> None:
    assert binding.missing() == ""
    assert binding.security_missing() == ""


def test_without_plug_ins_a_secured_domain_says_what_to_install(
    domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert binding.plugin_folder(lambda: str(tmp_path / "libddsc.so.0")) is None
    monkeypatch.setattr(binding, "plugin_folder", lambda: None)
    with pytest.raises(DdsError, match="security plug-ins: install Debian's libddsc0debian"):
        Domain(loopback(domain, SECURED), OCTETS)
    with joined(domain):
        pass  # one without security goes on


def test_plug_ins_are_found_beside_the_library_and_below(tmp_path: Path) -> None:
    below = tmp_path / "libddsc0debian"
    below.mkdir()
    for name in binding.PLUGINS:
        (below / name).touch()
    assert binding.plugin_folder(lambda: str(tmp_path / "libddsc.so.0")) == below
    for name in binding.PLUGINS:
        (tmp_path / name).touch()
    assert binding.plugin_folder(lambda: str(tmp_path / "libddsc.so.0")) == tmp_path


def test_without_the_guard_a_secured_domain_says_what_to_run(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "library", lambda: None)
    with pytest.raises(DdsError, match=r"authentication plug-in: run `python tools/cyclonedds\.py`"):
        Domain(loopback(domain, SECURED), OCTETS)


def test_without_the_binding_the_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> object:
        raise ImportError("No module named 'cyclonedds'")

    monkeypatch.setattr(cyclone, "library", fails)
    monkeypatch.setattr(binding, "_missing", binding._missing.__wrapped__)
    assert binding.missing() == (
        "DDS needs the Python binding of Cyclone DDS (No module named 'cyclonedds'): install cyclonedds-dev and "
        "cyclonedds-tools (Debian) or Cyclone DDS 0.10, then run `python tools/cyclonedds.py`"
    )
    with pytest.raises(DdsError, match="DDS domain 1 is not joined: DDS needs"):
        Domain(loopback(1), OCTETS)


def test_what_others_chose_does_not_become_xml() -> None:
    text = domain_xml(DomainConfig(1, "none", interfaces=('a"<b>',), peers=('x" y="',)), OCTETS)
    assert "name='a\"&lt;b&gt;'" in text
    assert "Address='x\" y=\"'" in text


def test_topics_of_the_hub_are_of_the_checked_kind(domain: int, monkeypatch: pytest.MonkeyPatch) -> None:

    with joined(domain) as opened:
        at = Participant(opened, None)
        assert at.topic("One", KEYED.python, 0).sertype
        monkeypatch.setattr(participant, "_TOPIC_OCTETS", 8)
        with pytest.raises(DdsError, match="no type that this Cyclone DDS checks"):
            at.topic("Two", KEYED.python, 0)
