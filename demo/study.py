"""Bring the sandbox's demo study to life: half a year of an invented trial, through the public API.

    fill(client)    42 participants of two sites, their visits, values and queries; a second or two, the same every time
    exported()      what a sandbox that was filled so exports

Participants and visits come in as CSV, values and queries as ODM, each as a job, as on any OpenClinica. For a fresh
sandbox that is running:

    python -m demo.study http://127.0.0.1:8090/OpenClinica
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from airflow_provider_openclinica.client import (
    JobState,
    OpenClinicaClient,
    ServerSettings,
    TokenManager,
    upload_from,
)
from airflow_provider_openclinica.client.joblog import read_rows
from airflow_provider_openclinica.sandbox.server import Sandbox
from airflow_provider_openclinica.sandbox.service import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_openclinica.client.uploads import Upload

STUDY = "S_JUNO"
TODAY = date(2026, 6, 1)
FIRST_VISIT, BETWEEN_PARTICIPANTS = date(2025, 10, 20), timedelta(days=8)
#: Visit, its days after the first, and its forms.
PLAN = (
    ("SE_SCREENING", 0, ("F_DEMOGRAPHICS", "F_VITALS", "F_LABS")),
    ("SE_BASELINE", 14, ("F_VITALS", "F_LABS", "F_ECG")),
    *(("SE_FOLLOWUP", 14 + 28 * number, ("F_VITALS", "F_LABS")) for number in range(1, 5)),
)
HEAD = (
    '<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" ODMVersion="1.3" FileOID="JUNO" FileType="Snapshot" '
    'CreationDateTime="2026-06-01T02:00:00Z" xmlns:OpenClinica="http://www.openclinica.org/ns/odm_ext_v130/v3.1">'
)
#: How often a form is asked about, and with what words.
ASKED = {"F_DEMOGRAPHICS": 0.1, "F_VITALS": 0.12, "F_LABS": 0.26, "F_ECG": 0.12, "F_AE": 0.4}
QUESTIONS = {
    "F_DEMOGRAPHICS": ("Is the year of birth right?", "Consent is dated after the visit."),
    "F_VITALS": ("Please confirm the second reading.", "Weight fell by 9 kg since the last visit."),
    "F_LABS": (
        "Unit and result do not go together.",
        "Which sample was this?",
        "Flag is missing.",
        "Was this fasting?",
    ),
    "F_ECG": ("Please name what is abnormal.",),
    "F_AE": ("Is it still going on?", "Please give the drug that was stopped."),
}


@dataclass(frozen=True)
class Site:
    """How a site works.

    :param seeded: how many participants the study comes with; ``names`` continues them.
    :param delay: days until a visit's data are usually in.
    :param care: how likely a form is complete once it is due, and how likely a question about it is settled.
    """

    oid: str
    prefix: str
    seeded: int
    participants: int
    delay: int
    care: float

    @property
    def names(self) -> list[str]:
        """IDs of its participants, those in the order of enrolment, without one who was removed."""
        numbers = [number for number in range(1, self.participants + 2) if (self.prefix, number) != ("BOS", 7)]
        return [f"{self.prefix}-{number:03}" for number in numbers[: self.participants]]


SITES = (
    Site("S_BOSTON", "BOS", seeded=6, participants=24, delay=24, care=0.9),
    Site("S_LEIDEN", "LEI", seeded=5, participants=18, delay=9, care=0.97),
)


def connect(study_url: str) -> OpenClinicaClient:
    """Return a client of a sandbox, for its data manager."""
    auth_url = study_url.replace("/OpenClinica", "/user-service/api/oauth/token")
    settings = ServerSettings.from_parts(host=study_url, login="data_manager", password=PASSWORD, auth_url=auth_url)
    return OpenClinicaClient(settings, TokenManager(settings))


def exported() -> bytes:
    """Fill a sandbox of its own and return the study as ODM, metadata and queries included."""
    with Sandbox(job_seconds=0, token_rate=0) as sandbox:
        client = connect(sandbox.study_url)
        fill(client)
        with client.clinicaldata.retrieve(STUDY, include_metadata=True, include_queries=True) as answer:
            export = b"".join(answer.chunks())
        client.close()
    return export


def fill(client: OpenClinicaClient) -> None:
    """Bring all of it in. Twice would schedule follow-up visits twice.

    :raises RuntimeError: a row was refused.
    """
    for site in SITES:
        dice = random.Random(site.oid)  # noqa: S311
        added = "\r\n".join(["ParticipantID", *site.names[site.seeded :], ""])
        _wait(client, client.participants.add_bulk(_upload("who.csv", added), study_oid=STUDY, site_oid=site.oid))
        ward = _Ward(site, dice)
        data = _upload("data.xml", ward.document())
        visits = "\r\n".join(["ParticipantID,StudyEventOID,StudyEventRepeatKey,StartDate", *ward.visits, ""])
        _wait(client, client.events.bulk(_upload("visits.csv", visits), study_oid=STUDY, site_oid=site.oid))
        _wait(client, client.clinicaldata.import_odm(data))


def _upload(name: str, text: str) -> Upload:
    return upload_from(lambda: BytesIO(text.encode()), name=name)


def _wait(client: OpenClinicaClient, job: str) -> None:
    while (state := client.jobs.state(job)) is not JobState.FINISHED:
        if state is not JobState.RUNNING:
            raise RuntimeError(f"job {job} ended otherwise: {state}")
        time.sleep(0.05)
    with client.jobs.open_log(job) as log:
        refused = {row.code for row in read_rows(log.chunks()) if row.failed}
    if refused:
        raise RuntimeError(f"job {job} refused rows: {', '.join(sorted(refused))}")


class _Ward:
    """One site's data, as an ODM document; the rows that schedule its visits are in ``visits`` afterwards."""

    def __init__(self, site: Site, dice: random.Random) -> None:
        self._site, self._dice = site, dice
        self.visits: list[str] = []

    def document(self) -> str:
        """Write all participants."""
        people = "".join(map(self._participant, range(self._site.participants), self._site.names))
        return f'{HEAD}<ClinicalData StudyOID="{self._site.oid}">{people}</ClinicalData></ODM>'

    def _participant(self, number: int, name: str) -> str:
        begin = FIRST_VISIT + number * BETWEEN_PARTICIPANTS * 24 // self._site.participants
        visits, repeats = [], 0
        for event, after, forms in PLAN:
            day = begin + timedelta(days=after + self._dice.randint(-2, 3))
            if day > TODAY:
                break
            repeats += event == "SE_FOLLOWUP"
            written = "".join(self._form(form, day) for form in forms if self._is_begun(day))
            self.visits.append(f"{name},{event},,{day}")
            if written:
                visits.append(_event(event, max(repeats, 1), day, written))
        for key in range(1, 1 + self._dice.choice((0, 0, 0, 1, 1, 2))):
            day = begin + timedelta(days=self._dice.randint(15, 60))
            visits.append(_event("SE_AE", key, None, self._form("F_AE", day)) if day < TODAY else "")
        subject = "".join(visits)
        return f"<SubjectData OpenClinica:StudySubjectID={quoteattr(name)}>{subject}</SubjectData>" if subject else ""

    def _is_begun(self, day: date) -> bool:
        """Tell whether there are data: they come in with a delay, and a few do not until somebody asks."""
        age = (TODAY - day).days
        return self._dice.random() < (self._site.care + 0.05 if age > self._site.delay else 0.4)

    def _form(self, oid: str, day: date) -> str:
        age = (TODAY - day).days
        is_complete = self._dice.random() < (self._site.care if age > self._site.delay else 0.35)
        groups = list(_groups(oid, day, self._dice))
        asked = self._dice.random() < ASKED[oid]
        at = self._dice.randrange(len(groups)) if asked else -1
        written = "".join(
            _group(group, key, items, self._query(oid, age) if number == at else "")
            for number, (group, key, items) in enumerate(groups)
        )
        status = "data entry complete" if is_complete else "initial data entry"
        version = 'OpenClinica:FormLayoutOID="2"' if oid == "F_VITALS" else 'OpenClinica:FormLayoutOID="1"'
        return f'<FormData FormOID="{oid}" {version} OpenClinica:Status="{status}">{written}</FormData>'

    def _query(self, form: str, age: int) -> str:
        """Write what a monitor asked, and what came of it; the older, the likelier that it is settled."""
        said = [("New", "monitor", self._dice.choice(QUESTIONS[form]))]
        if self._dice.random() < self._site.care - 20 / (age + 20):
            said += [("Updated", "data_manager", "Checked with the source."), ("Closed", "monitor", "Thank you.")]
        elif self._dice.random() < 0.4:
            said += [("Updated", "data_manager", "Confirmed by the site.")]
        notes = "".join(
            f'<OpenClinica:ChildNote Status="{status}" UserName="{who}"><OpenClinica:DetailedNote>{escape(text)}'
            "</OpenClinica:DetailedNote></OpenClinica:ChildNote>"
            for status, who, text in said
        )
        return (
            '<OpenClinica:DiscrepancyNotes><OpenClinica:DiscrepancyNote NoteType="Query">'
            f"{notes}</OpenClinica:DiscrepancyNote></OpenClinica:DiscrepancyNotes>"
        )


def _groups(form: str, day: date, dice: random.Random) -> Iterator[tuple[str, int, dict[str, str]]]:
    """Invent what a form holds: group, repeat key, and values by the end of the item's OID."""
    match form:
        case "F_DEMOGRAPHICS":
            risks = ",".join(dice.sample(("SMOK", "DYSL", "OBES", "FAM", "SED"), dice.randint(1, 3)))
            born = str(dice.randint(1946, 1984))
            yield (
                "DEMOG_MAIN",
                1,
                {"CONSENTED": str(day), "YEAROFBIRTH": born, "SEX": dice.choice("FM"), "RISKS": risks},
            )
        case "F_VITALS":
            weight, pulse = f"{dice.uniform(62, 118):.1f}", str(dice.randint(58, 92))
            yield "VITALS_MAIN", 1, {"DATE": str(day), "PULSE": pulse, "WEIGHT": weight, "POSITION": "1"}
            for key in (1, 2):
                systolic, diastolic = str(dice.randint(118, 164)), str(dice.randint(70, 98))
                yield "VITALS_PRESSURE", key, {"SYSTOLIC": systolic, "DIASTOLIC": diastolic, "ARM": "L"}
        case "F_LABS":
            yield "LABS_MAIN", 1, {"COLLECTED": str(day), "FASTING": "1", "SAMPLE": f"J-{dice.randrange(10**5):05}"}
            for key, (test, low, high, unit) in enumerate(
                (("HBA1C", 6.1, 9.8, "%"), ("GLUC", 4.9, 13.2, "mmol/L"), ("CREAT", 54, 118, "umol/L")), start=1
            ):
                value = f"{dice.uniform(low, high):.1f}"
                yield (
                    "LABS_RESULTS",
                    key,
                    {"TEST": test, "VALUE": value, "UNIT": unit, "FLAG": dice.choice(("10", "12"))},
                )
        case "F_ECG":
            yield "ECG_MAIN", 1, {"DATE": str(day), "RATE": str(dice.randint(56, 96)), "RESULT": dice.choice("112")}
        case "F_AE":
            term = dice.choice(("Nausea", "Headache", "Dizziness", "Cough", "Ankle oedema", "Hypoglycaemia"))
            known = {"TERM": term, "START": str(day), "SEVERITY": dice.choice("1123"), "SERIOUS": "0"}
            yield (
                "AE_MAIN",
                1,
                known | {"ACTIONS": dice.choice(("NONE", "NONE", "DOSE")), "OUTCOME": dice.choice("1123")},
            )


def _event(oid: str, key: int, day: date | None, forms: str) -> str:
    start = f' OpenClinica:StartDate="{day}"' if day else ""
    return f'<StudyEventData StudyEventOID="{oid}" StudyEventRepeatKey="{key}"{start}>{forms}</StudyEventData>'


def _group(name: str, key: int, items: dict[str, str], query: str) -> str:
    """Write a group; a query stands on its first item."""
    form = name.partition("_")[0]
    data = _items(form, items.items(), query)
    return f'<ItemGroupData ItemGroupOID="IG_{name}" ItemGroupRepeatKey="{key}">{data}</ItemGroupData>'


def _items(form: str, items: Iterable[tuple[str, str]], query: str) -> str:
    return "".join(
        f'<ItemData ItemOID="I_{form}_{name}" Value={quoteattr(value)}>{query if number == 0 else ""}</ItemData>'
        for number, (name, value) in enumerate(items)
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Say where the sandbox is: python -m demo.study http://127.0.0.1:8090/OpenClinica")
    fill(connect(sys.argv[1]))
