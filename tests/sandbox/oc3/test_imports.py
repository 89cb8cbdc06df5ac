"""The import by SOAP: what is stored, and what is only said to be (docs/protocol3.md, import)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.sandbox.oc3.calls import OC, schedule, texts

PULSE = "I_VITALS_PULSE"
STARTED = ' OpenClinica:Status="initial data entry"'


def form(oid: str = "F_VITALS_2", value: str = "72", *, status: str = STARTED, item: str = PULSE, **group: str) -> str:
    oid_of_group, repeat = group.get("group", "IG_VITALS_MAIN"), group.get("repeat", "1")
    return (
        f'<FormData FormOID="{oid}"{status}><ItemGroupData ItemGroupOID="{oid_of_group}" ItemGroupRepeatKey="{repeat}">'
        f'<ItemData ItemOID="{item}" Value="{value}"/></ItemGroupData></FormData>'
    )


def event(*forms: str, oid: str = "SE_FOLLOWUP", repeat: str = "1") -> str:
    return f'<StudyEventData StudyEventOID="{oid}" StudyEventRepeatKey="{repeat}">{"".join(forms)}</StudyEventData>'


def document(*events: str, study: str = "S_JUNO", participant: str = "SS_BOS001", upsert: str = "") -> str:
    subject = f'<SubjectData SubjectKey="{participant}">{"".join(events)}</SubjectData>'
    data = f'<ClinicalData StudyOID="{study}">{f"<UpsertOn {upsert}/>" if upsert else ""}{subject}</ClinicalData>'
    return f"<d:importRequest><ODM>{data}</ODM></d:importRequest>"


def result(answer: etree._Element) -> str:
    (text,) = texts(answer, "result")
    return text


def values(sandbox) -> list[tuple[str, str, str]]:
    return [(row["form"], row["version"], row["value"]) for row in sandbox.data()]


@pytest.fixture
def scheduled(soap):
    """BOS-001 has one follow-up."""
    soap.ask("event", schedule())
    return soap


def test_a_value_is_stored_and_can_be_read(sandbox, scheduled, browser):
    answer = scheduled.ask("data", document(event(form())))
    root = browser.xml("S_JUNO/SS_BOS001/*/*")
    (stored,) = root.iter("{*}FormData")
    assert etree.QName(answer).localname == "importDataResponse"
    assert result(answer) == "Success. 1 of 1 forms imported."
    assert stored.get(f"{OC}Status") == "initial data entry"
    assert values(sandbox) == [("F_VITALS", "2", "72")]
    assert [event["status"] for event in sandbox.events()] == ["DATA_ENTRY_STARTED"]


def test_a_form_is_complete_unless_it_says_otherwise(sandbox, scheduled, browser):
    scheduled.ask("data", document(event(form(status=""))))
    (stored,) = browser.xml("S_JUNO/SS_BOS001/*/*").iter("{*}FormData")
    assert stored.get(f"{OC}Status") == "data entry complete"


def test_sent_again_it_changes_nothing_and_another_value_replaces(sandbox, scheduled):
    for value in ("72", "72", "80"):
        assert result(scheduled.ask("data", document(event(form(value=value))))).startswith("Success")
    assert values(sandbox) == [("F_VITALS", "2", "80")]


@pytest.mark.parametrize("absent", [event(form(), repeat="7"), event(form(), oid="SE_BASELINE")])
def test_an_event_that_is_not_there_is_a_success_that_stores_nothing(sandbox, scheduled, absent):
    assert result(scheduled.ask("data", document(absent))) == "Success. 1 of 1 forms imported."
    assert values(sandbox) == []


def test_an_absent_event_is_a_failure_where_nothing_may_be_begun(scheduled):
    answer = scheduled.ask("data", document(event(form(), repeat="7"), upsert='NotStarted="false"'))
    assert result(answer) == "Fail"
    assert "does not have the correct status" in texts(answer, "error")[0]


@pytest.mark.parametrize("state", [{"status": "stopped"}, {"locked": True}, {"signed": True}, {"status": "skipped"}])
def test_an_event_that_is_closed_is_a_failure(sandbox, scheduled, state):
    sandbox.set_status("event", participant="BOS-001", event="SE_FOLLOWUP", **state)
    answer = scheduled.ask("data", document(event(form())))
    assert "does not have the correct status" in texts(answer, "error")[0]


@pytest.mark.parametrize("oid", ["F_VITALS", "F_NOWHERE_1", "F_AE_1"])
def test_a_form_that_is_unknown_here_is_passed_over(sandbox, scheduled, oid):
    alone = scheduled.ask("data", document(event(form(oid))))
    assert texts(alone, "error") == ["No Event CRFs matching the XML metadata."]
    assert result(scheduled.ask("data", document(event(form(oid), form())))) == "Success. 1 of 1 forms imported."


def test_forms_that_upsert_leaves_out_are_warnings(sandbox, scheduled):
    scheduled.ask("data", document(event(form(status=""))))
    laboratory = form("F_LABS_1", "2025-02-03", item="I_LABS_COMMENT", group="IG_LABS_MAIN")
    answer = scheduled.ask("data", document(event(form(value="99"), laboratory), upsert='DataEntryComplete="false"'))
    assert result(answer) == "Success. 1 of 2 forms imported."
    assert len(texts(answer, "warning")) == 1
    assert "99" not in [value for *_, value in values(sandbox)]


def test_no_form_past_upsert_is_a_failure(scheduled):
    answer = scheduled.ask("data", document(event(form()), upsert='NotStarted="false"'))
    assert "do not pass the Upsert rules" in texts(answer, "error")[0]


def test_a_last_form_that_may_not_be_begun_drops_those_before_it_though_they_count(sandbox, scheduled):
    scheduled.ask("data", document(event(form())))
    laboratory = form("F_LABS_1", "x", item="I_LABS_COMMENT", group="IG_LABS_MAIN")
    answer = scheduled.ask("data", document(event(form(value="99"), laboratory), upsert='NotStarted="false"'))
    assert result(answer) == "Success. 1 of 2 forms imported."
    assert values(sandbox) == [("F_VITALS", "2", "72")]


def test_another_version_takes_the_form_over(sandbox, scheduled):
    scheduled.ask("data", document(event(form("F_VITALS_2"))))
    scheduled.ask("data", document(event(form("F_VITALS_1", "73"))))
    assert values(sandbox) == [("F_VITALS", "1", "73")]


def test_a_changed_value_is_no_longer_verified(sandbox, scheduled):
    scheduled.ask("data", document(event(form())))
    sandbox.set_status("form", participant="BOS-001", event="SE_FOLLOWUP", form="F_VITALS", sdv_status="verified")
    scheduled.ask("data", document(event(form(value="80"))))
    with sandbox.service.state.reading() as db:
        assert db.execute("SELECT sdv_status FROM forms").fetchall() == [("NOT_VERIFIED",)]


@pytest.mark.parametrize(
    "wrong",
    [
        form(value="fast"),
        form(item="I_NOWHERE"),
        form(group="IG_LABS_MAIN"),
        form(group="IG_NOWHERE"),
        form(repeat="2"),
        form(item="I_VITALS_POSITION", value="upside down"),
    ],
    ids=["type", "item", "group-of-another-form", "group", "repeat", "choice"],
)
def test_a_wrong_value_is_a_failure_that_leaves_an_empty_form_behind(sandbox, scheduled, browser, wrong):
    answer = scheduled.ask("data", document(event(wrong)))
    root = browser.xml("S_JUNO/SS_BOS001/*/*")
    assert result(answer) == "Fail"
    assert values(sandbox) == []
    assert len(list(root.iter("{*}FormData"))) == 1


def test_what_is_wrong_is_told_in_one_text(scheduled):
    answer = scheduled.ask("data", document(event(form(value="fast"), form(item="I_NOWHERE"))))
    assert len(texts(answer, "error")) == 1


@pytest.mark.parametrize(
    "sent",
    [
        document(event(form())).replace("<ODM>", '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3">'),
        document(event(form())).replace("<ODM>", '<ODM FileType="Snapshot">'),
        document(event(form())).replace("<ODM>", f'<ODM xmlns:x="{OC[1:-1]}">'),
    ],
    ids=["namespace", "attribute", "declared-prefix"],
)
def test_a_root_that_is_not_bare_is_a_failure(sandbox, scheduled, sent):
    assert texts(scheduled.ask("data", sent), "error") == ["Your XML is not well-formed."]
    assert values(sandbox) == []


@pytest.mark.parametrize(
    "sent",
    [
        "<d:importRequest/>",
        "<d:importRequest><ODM/></d:importRequest>",
        document(event(form())).replace("</ClinicalData>", '</ClinicalData><ClinicalData StudyOID="S_JUNO"/>'),
        document(event(form(), repeat="first")),
    ],
    ids=["nothing", "no-data", "two-studies", "repeat-key"],
)
def test_a_document_built_otherwise_is_a_fault(scheduled, sent):
    assert scheduled.fault("data", sent)


@pytest.mark.parametrize(
    "sent",
    [
        document(event(form()), study="S_NOWHERE"),
        document(event(form()), participant="BOS-001"),
        document(event(form()), study="S_LEIDEN"),
        document(event(form(), oid="SE_NOWHERE")),
    ],
    ids=["study", "label-instead-of-oid", "site-of-others", "event"],
)
def test_what_does_not_exist_is_a_failure(scheduled, sent):
    assert result(scheduled.ask("data", sent)) == "Fail"


def test_a_site_wants_a_role_at_the_site(scheduled):
    sent = document(event(form()), study="S_BOSTON")
    assert result(scheduled.ask("data", sent, login="data_manager")) == "Fail"
    assert result(scheduled.ask("data", sent, login="crc_boston")).startswith("Success")


def test_a_monitor_imports_nothing(scheduled):
    assert result(scheduled.ask("data", document(event(form())), login="monitor")) == "Fail"


def test_a_lost_import_is_a_success(sandbox, scheduled):
    sandbox.lose()
    assert result(scheduled.ask("data", document(event(form())))) == "Success. 1 of 1 forms imported."
    assert sandbox.data() == []


def test_a_value_in_the_place_of_a_removed_one_vanishes(sandbox, scheduled):
    scheduled.ask("data", document(event(form())))
    with sandbox.service.state.writing() as db:
        db.execute("UPDATE items SET removed = 1")
    assert result(scheduled.ask("data", document(event(form(value="80"))))).startswith("Success")
    assert values(sandbox) == []


NAMES = st.sampled_from(["UpsertOn", "SubjectData", "StudyEventData", "FormData", "ItemGroupData", "ItemData", "Other"])
ATTRIBUTES = ("SubjectKey", "StudyEventOID", "StudyEventRepeatKey", "FormOID", "ItemGroupOID", "ItemOID", "Value")
SAID = st.dictionaries(
    st.sampled_from(ATTRIBUTES),
    st.sampled_from(["SS_BOS001", "SE_FOLLOWUP", "F_VITALS_2", "IG_VITALS_MAIN", PULSE, "1", "-1", "", "99999999999"]),
)


def trees(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def written(name: str, said: dict[str, str], below: list[str]) -> str:
        return f"<{name}{''.join(f' {key}={text!r}' for key, text in said.items())}>{''.join(below)}</{name}>"

    return st.builds(written, NAMES, SAID, st.lists(children, max_size=3))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.recursive(st.just(form()), trees, max_leaves=6))
def test_whatever_stands_in_a_document_is_answered_in_soap(scheduled, content):
    sent = document(content).replace("</ClinicalData>", f"{content}</ClinicalData>")
    answer = scheduled.send("data", sent)
    assert etree.QName(etree.fromstring(answer.content)).localname == "Envelope"
    assert answer.status_code in {200, 500}
