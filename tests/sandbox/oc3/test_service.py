"""What is kept and what is not, and how large an answer may be (docs/protocol3.md, clinical data)."""

from __future__ import annotations

import pytest

from airflow_provider_openclinica.sandbox.server import Sandbox
from tests.sandbox.oc3.calls import OC, Browser, Keyed, Soap, create, found, schedule


def test_data_outlive_the_process_and_so_do_keys(tmp_path):
    state = tmp_path / "clinic.sqlite"
    with Sandbox(version=3, state=state) as first:
        key = Keyed(first).key
        Soap(first).ask("studySubject", create("NEW-1", gender="f"))
    with Sandbox(version=3, state=state) as second:
        browser = Browser(second)
        browser.log_in()
        assert found(browser.xml("S_JUNO/NEW-1/*/*"), "SubjectData", f"{OC}Sex") == ["f"]
        assert Keyed(second).key == key


def test_both_versions_can_play_one_state(tmp_path):
    state = tmp_path / "clinic.sqlite"
    with Sandbox(version=3, state=state) as three:
        Soap(three).ask("event", schedule())
    with Sandbox(state=state) as four:
        assert [event["event"] for event in four.events()] == ["SE_FOLLOWUP"]


def test_a_reset_brings_back_the_fresh_study(sandbox, soap, browser):
    soap.ask("studySubject", create())
    sandbox.lose(5)
    sandbox.reset()
    soap.ask("studySubject", create("NEW-2"))
    assert [one["participant"] for one in sandbox.participants()][12:] == ["NEW-2"]
    assert browser.place(browser.get("MainMenu")) == "/pages/login/login"


def test_only_version_3_loses_writes():
    with Sandbox() as four, pytest.raises(TypeError, match="only version 3"):
        four.lose()


def test_there_is_no_other_version():
    with pytest.raises(ValueError, match="no version 2"):
        Sandbox(version=2)
