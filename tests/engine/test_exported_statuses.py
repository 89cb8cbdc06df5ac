"""Which statuses an event or a form has, as a running OpenClinica exports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.documents import FIRST
from tests.engine.statuses import about_event, about_form, all_of, answers
from tests.exports import event, export, form

if TYPE_CHECKING:
    from airflow_provider_openclinica.client.client import OpenClinicaClient
    from airflow_provider_openclinica.sandbox.server import Sandbox


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        pytest.param({"oc_Status": "scheduled", "oc_WorkflowStatus": "scheduled"}, ["scheduled"], id="scheduled"),
        pytest.param({"oc_Status": "DATA_ENTRY_STARTED"}, ["data entry started"], id="as-other-answers-spell-it"),
        pytest.param(
            {"oc_Status": "signed", "oc_WorkflowStatus": "completed", "oc_Signed": "Yes"},
            ["completed", "signed"],
            id="signed-after-it-was-completed",
        ),
        pytest.param(
            {"oc_Status": "Locked", "oc_WorkflowStatus": "completed", "oc_Signed": "Yes", "oc_Locked": "Yes"},
            ["completed", "locked", "signed"],
            id="locked-above-all",
        ),
        pytest.param(
            {"oc_Status": "signed", "oc_WorkflowStatus": "completed", "oc_Signed": "No", "oc_Removed": "No"},
            ["completed", "signed"],
            id="the-text-counts-too",
        ),
        pytest.param(
            {"oc_Status": "completed", "oc_WorkflowStatus": "completed", "oc_Removed": "Yes"}, ["removed"], id="removed"
        ),
        pytest.param({"oc_Status": "completed", "oc_Archived": "Yes"}, ["archived"], id="archived"),
        pytest.param({"oc_Status": "on hold"}, [], id="a-status-nobody-knows"),
        pytest.param({}, [], id="no-status"),
    ],
)
def test_the_statuses_of_an_event(
    sandbox: Sandbox, client: OpenClinicaClient, said: dict[str, str], statuses: list[str]
) -> None:
    answers(sandbox, export(event(form(oc_Status="data entry complete"), **said)))

    assert all_of(about_event(), client) == statuses


@pytest.mark.parametrize(
    ("said", "statuses"),
    [
        pytest.param(
            {"oc_Status": "initial data entry", "oc_WorkflowStatus": "initial data entry"},
            ["initial data entry"],
            id="begun",
        ),
        pytest.param(
            {"oc_WorkflowStatus": "data entry complete", "oc_SdvStatus": "Verified"},
            ["data entry complete", "verified"],
            id="complete-and-verified",
        ),
        pytest.param(
            {"oc_WorkflowStatus": "Locked", "oc_SdvStatus": "Changed since verified"},
            ["changed since verified", "locked"],
            id="locked",
        ),
        pytest.param({"oc_Status": "complete"}, ["data entry complete"], id="as-imports-call-it"),
        pytest.param(
            {"oc_Status": "invalid", "oc_WorkflowStatus": "data entry complete", "oc_SdvStatus": "Verified"},
            ["removed"],
            id="invalid-with-what-it-lies-in",
        ),
        pytest.param(
            {"oc_Status": "invalid", "oc_WorkflowStatus": "data entry complete", "oc_Archived": "Yes"},
            ["archived"],
            id="archived",
        ),
    ],
)
def test_the_statuses_of_a_form(
    sandbox: Sandbox, client: OpenClinicaClient, said: dict[str, str], statuses: list[str]
) -> None:
    answers(sandbox, export(event(form("F_LABS", oc_Status="not started"), form(**said), oc_Status="completed")))

    assert all_of(about_form(), client) == statuses


@pytest.mark.parametrize(
    ("document", "status"),
    [
        pytest.param(export(event(form(), oc_Status="completed"), status="Removed"), "removed", id="a-participant"),
        pytest.param(export(event(form(oc_Status="locked"), oc_Removed="Yes")), "removed", id="an-event"),
        pytest.param(export(event(form(oc_Status="locked"), oc_Archived="Yes")), "archived", id="an-archived-event"),
    ],
)
def test_what_lies_in_something_removed_is_removed(
    sandbox: Sandbox, client: OpenClinicaClient, document: str, status: str
) -> None:
    answers(sandbox, document)

    assert all_of(about_event(), client) == [status]
    assert all_of(about_form(), client) == [status]


@pytest.mark.parametrize(
    ("stored", "of_event", "of_form"),
    [
        pytest.param({"status": "scheduled"}, ["scheduled"], [], id="scheduled"),
        pytest.param({"status": "skipped"}, ["skipped"], [], id="skipped"),
        pytest.param({"status": "stopped", "locked": True}, ["locked", "stopped"], [], id="stopped-and-locked"),
        pytest.param({"status": "completed", "signed": True}, ["completed", "signed"], [], id="completed-and-signed"),
        pytest.param({"status": "completed", "removed": True}, ["removed"], [], id="removed"),
        pytest.param({"status": "completed", "archived": True}, ["archived"], [], id="archived"),
        pytest.param({"form": {"status": "initial data entry"}}, None, ["initial data entry"], id="a-form-begun"),
        pytest.param(
            {"form": {"status": "data entry complete", "sdv_status": "verified"}},
            None,
            ["data entry complete", "verified"],
            id="a-form-verified",
        ),
        pytest.param({"form": {"removed": True}}, None, ["removed"], id="a-form-removed"),
        pytest.param({"form": {"archived": True}}, None, ["archived"], id="a-form-archived"),
    ],
)
def test_the_sandbox_tells_what_it_has_stored(
    sandbox: Sandbox,
    client: OpenClinicaClient,
    stored: dict[str, Any],
    of_event: list[str] | None,
    of_form: list[str],
) -> None:
    place = {"participant": FIRST, "event": "SE_BASELINE"}
    event_has = {name: value for name, value in stored.items() if name != "form"}
    sandbox.set_status("event", **place, **{"status": "data entry started"} | event_has)
    if "form" in stored:
        sandbox.set_status("form", **place, form="F_LABS", **stored["form"])

    found = all_of(about_form(study_event_oid="SE_BASELINE", form_oid="F_LABS"), client)
    assert [status for status in found if status != "not verified"] == of_form
    assert all_of(about_event(study_event_oid="SE_BASELINE"), client) == (of_event or ["data entry started"])


OCCURRENCES = export(
    event(form(oc_Status="locked"), repeat="1", oc_Status="completed"),
    event(form(oc_Status="not started"), repeat="2", oc_Status="scheduled"),
    event(form(oc_Status="data entry complete"), oid="SE_BASELINE", oc_Status="skipped"),
)


@pytest.mark.parametrize(
    ("place", "of_event", "of_form"),
    [
        pytest.param({}, "completed", "locked", id="the-first"),
        pytest.param({"study_event_repeat_key": "2"}, "scheduled", "not started", id="the-second"),
        pytest.param({"study_event_repeat_key": "3"}, None, None, id="one-that-is-not-there-yet"),
        pytest.param({"study_event_oid": "SE_BASELINE"}, "skipped", "data entry complete", id="without-a-repeat-key"),
        pytest.param({"study_event_oid": "SE_SCREENING"}, None, None, id="another-event"),
    ],
)
def test_exactly_one_occurrence_is_looked_at(
    sandbox: Sandbox, client: OpenClinicaClient, place: dict[str, str], of_event: str | None, of_form: str | None
) -> None:
    answers(sandbox, OCCURRENCES)

    assert about_event(**place).ask(client) == of_event
    assert about_form(**place).ask(client) == of_form


def test_the_status_that_was_asked_for_first_is_given(sandbox: Sandbox, client: OpenClinicaClient) -> None:
    answers(sandbox, export(event(oc_Status="signed", oc_WorkflowStatus="completed")))

    assert about_event("stopped", "signed", "completed").ask(client) == "signed"


@pytest.mark.parametrize(
    ("place", "selectors"),
    [
        pytest.param({}, f"S_JUNO/{FIRST}/SE_FOLLOWUP/*", id="an-event"),
        pytest.param({"study_event_repeat_key": "2"}, f"S_JUNO/{FIRST}/SE_FOLLOWUP[2]/*", id="a-later-occurrence"),
        pytest.param({"site_oid": "S_BOSTON"}, f"S_BOSTON/{FIRST}/SE_FOLLOWUP/*", id="of-a-site"),
    ],
)
def test_one_event_of_one_participant_is_all_that_is_read(
    sandbox: Sandbox, client: OpenClinicaClient, place: dict[str, str], selectors: str
) -> None:
    answers(sandbox, export())

    assert about_form(**place).ask(client) is None
    (request,) = [request for request in sandbox.requests() if "oauth" not in request["path"]]
    assert request["path"].endswith(f"/clinicaldata/{selectors}")
