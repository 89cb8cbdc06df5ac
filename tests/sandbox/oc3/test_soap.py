"""SOAP about studies, participants and events: who may ask, what is answered (docs/protocol3.md, web services)."""

from __future__ import annotations

import pytest
import requests
from lxml import etree

from tests.sandbox.oc3.calls import create, found, is_there, schedule, sha1, study_ref, tag, texts

LIST_STUDIES = "<d:listAllRequest/>"


def list_participants(reference: str) -> str:
    return f"<d:listAllByStudyRequest>{reference}</d:listAllByStudyRequest>"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"password": sha1("wrong")}, "Invalid Username or Password"),
        ({"password": "sandbox"}, "Invalid Username or Password"),
        ({"password": sha1("sandbox").upper()}, "Invalid Username or Password"),
        ({"login": "nobody"}, "Invalid Username or Password"),
        ({"kind": "http://example.org/#PasswordDigest"}, "Invalid Username or Password"),
    ],
    ids=["wrong", "in-clear", "upper-case", "nobody", "digest"],
)
def test_who_does_not_send_the_stored_hash_gets_a_fault(soap, options, reason):
    assert soap.fault("study", LIST_STUDIES, **options) == reason


def test_an_account_needs_to_be_allowed_to_use_soap(sandbox, soap):
    requests.post(f"{sandbox.url}/sandbox/users", json={"login": "data_manager", "soap": False}, timeout=10)
    assert soap.fault("study", LIST_STUDIES).startswith("Authorization is required to execute SOAP web services")


@pytest.mark.parametrize("content", ["<s:Body><d:listAllRequest/></s:Body>", "", "<s:Body"])
def test_what_has_no_header_or_is_no_envelope_is_a_fault(soap, content):
    answer = soap.post("study", content)
    assert answer.status_code == 500
    assert texts(etree.fromstring(answer.content), "faultstring")


def test_an_envelope_with_a_dtd_is_a_fault(soap):
    address = f"{soap.url}/ws/study/v1"
    body = '<!DOCTYPE a [<!ENTITY b "c">]><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>'
    assert requests.post(address, body, headers={"Content-Type": "text/xml"}, timeout=10).status_code == 500


def test_what_nobody_knows_is_404(soap):
    assert soap.send("study", "<d:inventedRequest/>").status_code == 404


def test_the_name_of_the_element_counts_and_not_the_path(soap):
    payload = '<x:listAllRequest xmlns:x="http://openclinica.org/ws/study/v1"/>'
    assert texts(soap.ask("crf", payload), "identifier")[0] == "juno"


def test_a_wsdl_is_there_for_anybody(sandbox):
    assert requests.get(f"{sandbox.ws_url}/ws/study/v1/studyWsdl.wsdl", timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("login", "oids"), [("data_manager", ["S_JUNO", "S_BOSTON", "S_LEIDEN"]), ("crc_boston", ["S_JUNO", "S_BOSTON"])]
)
def test_studies_are_listed_with_the_sites_one_may_see(soap, login, oids):
    listed = soap.ask("study", LIST_STUDIES, login=login)
    assert listed.tag == "{http://openclinica.org/ws/study/v1}listAllResponse"
    assert texts(listed, "result") == ["Success"]
    assert texts(listed, "oid") == oids


def test_a_design_comes_as_text_in_an_answer_of_another_name(soap):
    payload = (
        f"<d:getMetadataRequest><d:studyMetadata>{tag('identifier', 'juno')}</d:studyMetadata></d:getMetadataRequest>"
    )
    answer = soap.ask("study", payload)
    (odm,) = texts(answer, "odm")
    assert etree.QName(answer).localname == "createResponse"
    assert found(etree.fromstring(odm.encode()), "Study", "OID")[0] == "S_JUNO"


def test_a_design_is_not_found_below_a_reference(soap):
    payload = f"<d:getMetadataRequest><d:studyMetadata>{study_ref()}</d:studyMetadata></d:getMetadataRequest>"
    assert texts(soap.ask("study", payload), "result") == ["Fail"]


def test_events_are_listed_with_the_versions_of_their_forms(soap):
    asked = f"<d:studyEventDefinitionListAll>{study_ref()}</d:studyEventDefinitionListAll>"
    listed = soap.ask("studyEventDefinition", f"<d:listAllRequest>{asked}</d:listAllRequest>")
    first = next(listed.iter("{*}studyEventDefinition"))
    versions = [texts(version, "oid")[0] for version in first.iter("{*}defaultCrfVersion")]
    assert texts(first, "oid")[0] == "SE_SCREENING"
    assert versions == ["F_DEMOGRAPHICS_1", "F_VITALS_2", "F_LABS_1"]


def test_participants_are_listed_with_events_and_without_statuses(soap):
    soap.ask("event", schedule(location="Ward", endDate="2025-02-04"))
    listed = soap.ask("studySubject", list_participants(study_ref("juno-boston")), login="crc_boston")
    assert texts(listed, "label") == [f"BOS-00{number}" for number in range(1, 8)]
    assert [texts(listed, name) for name in ("eventDefinitionOID", "startDate", "endDate", "location")] == [
        ["SE_FOLLOWUP"],
        ["2025-02-03"],
        ["2025-02-04"],
        ["Ward"],
    ]
    assert texts(listed, "status") == texts(listed, "studyEventOrdinal") == []


def test_a_study_lists_the_participants_of_its_sites(soap):
    assert len(texts(soap.ask("studySubject", list_participants(study_ref())), "label")) == 12


def test_a_list_wants_its_children_in_the_namespace_of_beans(soap):
    assert soap.fault("studySubject", list_participants(study_ref().replace("b:", "d:")))


def test_a_list_of_a_site_wants_a_role_at_the_site(soap):
    site = list_participants(study_ref("juno-boston"))
    assert texts(soap.ask("studySubject", site, login="data_manager"), "result") == ["Fail"]
    assert texts(soap.ask("studySubject", site, login="crc_boston"), "result") == ["Success"]


@pytest.mark.parametrize("reference", [study_ref(study="nowhere"), study_ref("nowhere")])
def test_a_study_or_site_that_is_not_there_is_a_failure(soap, reference):
    assert texts(soap.ask("studySubject", list_participants(reference)), "result") == ["Fail"]


def test_a_participant_is_there_or_a_text_says_not(soap):
    there, absent = soap.ask("studySubject", is_there("BOS-001")), soap.ask("studySubject", is_there("BOS-999"))
    assert texts(there, "subjectOID") == ["SS_BOS001"]
    assert etree.QName(absent).localname == "createResponse"
    assert texts(absent, "error") == [
        'StudySubject label you specified "BOS-999" does not correspond to the study "Juno".',
        "Fail",
    ]
    assert texts(soap.ask("studySubject", is_there("BOS-001", "juno-leiden")), "result") == ["Fail"]


def test_a_participant_is_enrolled(sandbox, soap, browser):
    sent = create("NEW-1", uniqueIdentifier="P1", gender="f", dateOfBirth="1980-05-06")
    assert texts(soap.ask("studySubject", sent), "label") == ["NEW-1"]
    root = browser.xml("S_JUNO/NEW-1/*/*")
    (subject,) = root.iter("{*}SubjectData")
    assert {name.rpartition("}")[2]: value for name, value in subject.items()} == {
        "SubjectKey": "SS_NEW1",
        "StudySubjectID": "NEW-1",
        "UniqueIdentifier": "P1",
        "Status": "available",
        "DateOfBirth": "1980-05-06",
        "Sex": "f",
        "EnrollmentDate": "2025-01-02",
    }
    assert texts(soap.ask("studySubject", list_participants(study_ref())), "gender") == ["f"]


LONG = f"<b:secondaryLabel>{'N' * 31}</b:secondaryLabel>"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(create("BOS-001"), id="label-taken"),
        pytest.param(create("LEI-001"), id="label-taken-at-another-site"),
        pytest.param(create(""), id="no-label"),
        pytest.param(create("N" * 31), id="label-too-long"),
        pytest.param(create().replace(study_ref("juno-boston"), LONG + study_ref("juno-boston")), id="second-label"),
        pytest.param(create("N&lt;1"), id="markup-in-a-label"),
        pytest.param(create(enrolled="2025-02-30"), id="no-such-day"),
        pytest.param(create(enrolled=None), id="no-date"),
        pytest.param(create(gender="x"), id="gender"),
        pytest.param(create(dateOfBirth="5/6/1980"), id="date-of-birth"),
        pytest.param(create(uniqueIdentifier="p" * 256), id="person-id-too-long"),
        pytest.param(create(site="nowhere"), id="site"),
    ],
)
def test_a_wrong_participant_is_a_failure_that_stores_nothing(sandbox, soap, sent):
    answer = soap.ask("studySubject", sent)
    assert texts(answer, "result") == ["Fail"]
    assert texts(answer, "error")
    assert len(sandbox.participants()) == 12


def test_a_person_id_is_unique_in_a_study(soap):
    soap.ask("studySubject", create("NEW-1", uniqueIdentifier="P1"))
    assert texts(soap.ask("studySubject", create("NEW-2", uniqueIdentifier="P1")), "result") == ["Fail"]


def test_a_label_that_is_taken_is_told_with_its_text(soap):
    assert texts(soap.ask("studySubject", create("BOS-001")), "error") == ["Subject with label BOS-001 exists."]


@pytest.mark.parametrize("label", ["BOS-001", "NEW-1", None])
def test_a_study_that_numbers_itself_enrols_somebody_each_time(sandbox, soap, label):
    sandbox.configure(generates_ids=True)
    labels = [texts(soap.ask("studySubject", create(label)), "label") for _ in range(2)]
    assert labels == [["1"], ["2"]]
    assert len(sandbox.participants()) == 14


@pytest.mark.parametrize(("service", "payload"), [("studySubject", create()), ("event", schedule())])
def test_a_monitor_writes_nothing(soap, service, payload):
    assert texts(soap.ask(service, payload, login="monitor"), "result") == ["Fail"]


@pytest.mark.parametrize(
    ("service", "payload", "allowed"), [("studySubject", create(), False), ("event", schedule(), True)]
)
def test_a_pending_study_takes_events_and_no_participants(sandbox, soap, service, payload, allowed):
    sandbox.service.set_status("S_JUNO", "DESIGN")
    assert (texts(soap.ask(service, payload), "result") == ["Success"]) is allowed
    sandbox.service.set_status("S_JUNO", "LOCKED")
    assert texts(soap.ask(service, payload), "result") == ["Fail"]


def test_a_locked_site_takes_no_participants(sandbox, soap):
    sandbox.service.set_status("S_BOSTON", "LOCKED")
    assert texts(soap.ask("studySubject", create()), "result") == ["Fail"]
    assert texts(soap.ask("studySubject", create(site="juno-leiden")), "result") == ["Success"]


def test_a_repeating_event_gets_the_next_ordinal_each_time(sandbox, soap):
    ordinals = [texts(soap.ask("event", schedule()), "studyEventOrdinal") for _ in range(3)]
    assert ordinals == [["1"], ["2"], ["3"]]
    assert [event["repeat"] for event in sandbox.events()] == [1, 2, 3]


def test_an_event_that_does_not_repeat_is_scheduled_once(soap):
    first, second = (soap.ask("event", schedule(event="SE_BASELINE")) for _ in range(2))
    assert [texts(first, name) for name in ("result", "eventDefinitionOID", "studySubjectOID")] == [
        ["Success"],
        ["SE_BASELINE"],
        ["SS_BOS001"],
    ]
    assert texts(second, "error") == ["Cannot schedule an event for this Subject."]


def test_the_time_of_an_event_is_lost(sandbox, soap):
    soap.ask("event", schedule(startTime="09:30", endDate="2025-02-03", endTime="10:00"))
    assert [(event["start"], event["end"]) for event in sandbox.events()] == [("2025-02-03", "2025-02-03")]


@pytest.mark.parametrize(
    "payload",
    [
        schedule(start=None),
        schedule(start="03-Feb-2025"),
        schedule(startTime="09:30:00"),
        schedule(startTime="24:00"),
        schedule(endDate="tomorrow"),
    ],
    ids=["no-date", "date", "seconds", "no-such-time", "end"],
)
def test_a_bad_date_or_time_of_an_event_is_a_fault(sandbox, soap, payload):
    assert soap.fault("event", payload)
    assert sandbox.events() == []


@pytest.mark.parametrize("payload", [schedule("NOBODY"), schedule(event="SE_NOWHERE"), schedule(study="nowhere")])
def test_an_event_of_nobody_or_nothing_is_a_failure(soap, payload):
    assert texts(soap.ask("event", payload), "result") == ["Fail"]


def test_only_the_first_participant_of_a_request_counts(sandbox, soap):
    both = create("NEW-1").replace("</d:createRequest>", create("NEW-2").removeprefix("<d:createRequest>"))
    soap.ask("studySubject", both)
    assert [one["participant"] for one in sandbox.participants()][12:] == ["NEW-1"]


def test_a_lost_write_is_a_success_once(sandbox, soap):
    sandbox.lose()
    for _ in range(2):
        assert texts(soap.ask("event", schedule()), "studyEventOrdinal") == ["1"]
    assert len(sandbox.events()) == 1
    requests.post(f"{sandbox.url}/sandbox/losses", json={"times": 1}, timeout=10)
    assert texts(soap.ask("studySubject", create()), "label") == ["NEW-1"]
    assert len(sandbox.participants()) == 12


def test_a_fault_strikes_here_as_anywhere(sandbox, soap):
    sandbox.fault("drop_after", path="OpenClinica-ws/*")
    with pytest.raises(requests.ConnectionError):
        soap.send("event", schedule())
    assert len(sandbox.events()) == 1


def test_no_password_is_noted(sandbox, soap):
    soap.ask("study", LIST_STUDIES)
    assert sha1("sandbox") not in str(sandbox.requests())
    assert [entry["user"] for entry in sandbox.requests()] == ["data_manager"]
